"""The command line: parse, call the library, print.

Modules in this package import only typer and the errors at the top; the rest is imported when a
command runs, to keep ``batchrun --help`` fast.
"""

from __future__ import annotations

import atexit
import gc
import sys
from itertools import pairwise
from typing import Annotated, Any

import typer

from batchrun.cli.commands_batches import add_batch_commands
from batchrun.cli.commands_config import add_config_commands
from batchrun.cli.commands_run import add_run_commands, add_worker_commands
from batchrun.cli.errors import HiddenMessages, end
from batchrun.cli.help import HelpGroup, add_command
from batchrun.cli.output import (
    name_commands,
    open_standard_streams,
    replace_unprintable,
    replace_unusable_time_zone,
)
from batchrun.cli.settings import announced
from batchrun.cli.signals import exit_codes, ignore_interrupts, interrupts_restored
from batchrun.errors import ExitCode, UsageError
from batchrun.installation import program
from batchrun.text import did_you_mean

app = typer.Typer(
    name="batchrun",
    cls=HelpGroup,
    help="Run a PG:AI workflow for every row of a spreadsheet and get a finished workbook back.",
    epilog="\n".join(
        (
            "batchrun demo  # try it: no key, no cost",
            'batchrun run accounts.xlsx -w "Account Research"',
            "batchrun doctor  # when something does not work",
            "batchrun help run  # all options of a command",
        )
    ),
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
        False, "--version", "-V", callback=_print_version, is_eager=True, help="Show the version."
    ),
    debug: bool = typer.Option(
        False, "--debug", help="Write the details of an error to a file. [env: BATCHRUN_DEBUG]"
    ),
) -> None:
    """Run a PG:AI workflow for every row of a spreadsheet and get a finished workbook back."""
    del version, debug  # eager callback; `_run` also finds --debug after a command
    if context.invoked_subcommand is None:
        from batchrun.cli.commands_config import welcome

        welcome()


def show_help(
    context: typer.Context,
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="A command.")] = "",
) -> None:
    """Show the help of a command."""
    parent: Any = context.parent
    every = parent.command
    if not command:
        typer.echo(every.get_help(parent))
        return
    found = every.get_command(parent, command)
    if found is None:
        raise UsageError(
            f"batchrun has no command {command}.",
            f"{did_you_mean(command, every.commands)}See: batchrun --help",
        )
    with found.make_context(command, [], parent=parent, resilient_parsing=True) as shown:
        typer.echo(found.get_help(shown))


def show_version() -> None:
    """Show the version."""
    _print_version(wanted=True)


add_run_commands(app)
add_batch_commands(app)
add_config_commands(app)
add_worker_commands(app)
add_command(app, show_help, name="help", hidden=True)
add_command(app, show_version, name="version", hidden=True)


def main() -> None:
    """Run the command line; every error ends with one or two lines and a documented exit code."""
    open_standard_streams()
    replace_unprintable()
    replace_unusable_time_zone()
    announced.clear()
    exit_codes.clear()
    # Saves 0.2 s: a last garbage collection would search everything that was imported.
    atexit.register(gc.freeze)
    try:
        with interrupts_restored():
            code = _run(sys.argv[1:])
    except KeyboardInterrupt:  # at the very end
        code = exit_codes[-1] if exit_codes else ExitCode.INTERRUPTED
    sys.exit(code or ExitCode.COMPLETED)


def _run(typed: list[str]) -> int:
    """Run a command and return its exit code."""
    unseen = HiddenMessages()
    command: Any = typer.main.get_command(app)
    name_commands(program(), command.commands)
    with unseen.listening():
        try:
            # --debug may be anywhere, even after a command. Otherwise pass None and let typer read
            # the arguments: it expands wildcards if the shell doesn't (Windows).
            given = [word for word in typed if word != "--debug"] if "--debug" in typed else None
            _refuse_empty(typed)
            code: int = command(given, prog_name="batchrun", standalone_mode=False)
            error: BaseException = KeyboardInterrupt()  # typer returns a code instead of raising it
            if code != ExitCode.INTERRUPTED:
                return code
        except (Exception, KeyboardInterrupt, SystemExit) as raised:
            error = raised
        ignore_interrupts()
        if isinstance(error, KeyboardInterrupt) and exit_codes:
            return exit_codes[-1]  # the batch has ended, and the user has seen how
        return end(error, typed, command.commands, unseen)


def _refuse_empty(typed: list[str]) -> None:
    """Refuse an empty argument: as a path, it would mean the current folder.

    Raises:
        UsageError: An argument is empty.
    """
    for before, word in pairwise(["", *typed]):
        option, equals, value = word.partition("=")
        if not word or (word.startswith("--") and equals and not value):
            raise UsageError(
                f"The argument after {option or before or 'batchrun'} is empty.",
                "Give it a value, or leave it out. An unset shell variable is empty.",
            )
