"""The command line: parse, call, print. What it does, the library does.

Modules here import only typer and the errors when they are loaded; the rest is imported when a
command runs, so that ``batchrun --help`` answers at once.
"""

from __future__ import annotations

import os
import sys

import typer

from batchrun.cli import batches, configuring, deciding, doctor, keys, running, service
from batchrun.cli.stopping import nobody_reads, tell
from batchrun.errors import BatchrunError, ExitCode

app = typer.Typer(
    name="batchrun",
    help="Run a PG:AI workflow for every row of a spreadsheet and get a finished workbook back.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from batchrun import __version__

        typer.echo(f"batchrun {__version__}")
        raise typer.Exit


@app.callback()
def batchrun(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Run a PG:AI workflow for every row of a spreadsheet and get a finished workbook back."""
    del version  # its callback has shown it
    if context.invoked_subcommand is None:
        from batchrun.cli.welcome import welcome

        welcome()


for family in (keys, service, running, deciding, batches, configuring, doctor):
    family.add_commands(app)


def main() -> None:
    """Run the command line; every error ends in one or two lines and a documented exit code."""
    # A console that can't show a character (cp1252) shows a question mark instead of failing.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except BatchrunError as error:
        tell(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has gone (`| head`): nothing is wrong here.
        nobody_reads(sys.stdout)
        sys.exit(ExitCode.COMPLETED)
    except Exception as error:
        if os.environ.get("BATCHRUN_DEBUG"):
            raise
        typer.echo(
            f"Error: batchrun failed unexpectedly ({type(error).__name__}: {error}).\n"
            "What was triggered is in the journal: batchrun resume goes on. "
            "BATCHRUN_DEBUG=1 shows where it failed.",
            err=True,
        )
        sys.exit(ExitCode.UNEXPECTED)
