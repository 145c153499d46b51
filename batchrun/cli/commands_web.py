"""The command that serves the local page: `web`."""

from __future__ import annotations

from typing import Annotated

import typer

from batchrun.cli.commands_run import RUN_PANEL
from batchrun.cli.consent import confirm_address
from batchrun.cli.help import add_command
from batchrun.cli.options import JournalAt
from batchrun.cli.output import print_text
from batchrun.cli.settings import sandbox_journal, settings_from


def add_web_command(app: typer.Typer) -> None:
    """Add the command that opens the page."""
    add_command(
        app,
        web,
        "batchrun web",
        "batchrun web --sandbox  # practice without a key",
        panel=RUN_PANEL,
    )


def web(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port to listen on. [default: 8484, or a free one]"),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open no browser.")
    ] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Practice: imitate the service; no key needed.")
    ] = False,
    journal: JournalAt = None,
) -> None:
    """Open batchrun in your browser: drop a list, see its cost, get the workbook.

    Only this computer can reach it. Ctrl-C stops it.
    """
    from batchrun.settings import Settings, given_key, profile_of
    from batchrun.web.server import serve

    def load() -> Settings:
        return settings_from(journal=journal)

    settings = load()
    if not sandbox and (given_key(settings) or profile_of(settings) is not None):
        confirm_address(settings)
    serve(
        settings,
        load,
        sandbox_journal=journal if sandbox and journal else sandbox_journal(settings),
        sandbox=sandbox,
        port=port,
        open_browser=not no_browser,
        say=print_text,
    )
