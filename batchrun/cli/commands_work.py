"""Commands about workers: `work`, `stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batchrun.cli.commands_run import RUN_PANEL
from batchrun.cli.help import add_command
from batchrun.cli.options import Batch, JournalAt, LogFile, ProfileName, Quiet
from batchrun.cli.output import print_text
from batchrun.cli.settings import settings_from
from batchrun.errors import ExitCode
from batchrun.model import Outcome

if TYPE_CHECKING:
    from batchrun.model import BatchSummary


def add_work_commands(app: typer.Typer) -> None:
    """Add the commands about workers."""
    add_command(
        app,
        work,
        "batchrun work  # every open batch of your key, until you stop it",
        "batchrun work 1124-acc --until-done",
        panel=RUN_PANEL,
    )
    add_command(app, stop, "batchrun stop 1124-acc  # on all machines", panel=RUN_PANEL)


def work(
    batch: Batch = None,
    *,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="End when no batch is open any more.")
    ] = False,
    profile: ProfileName = None,
    journal: JournalAt = None,
    log_file: LogFile = None,
    quiet: Quiet = False,
) -> None:
    """Help with batches that other processes have begun in the same journal.

    On any machine that shares a PostgreSQL journal. If the process that began a batch is gone, this
    one finishes it and writes the workbook.
    """
    from batchrun import aio
    from batchrun.batch.control import Control
    from batchrun.cli.progress import ProgressPrinter
    from batchrun.cli.signals import Stopper

    settings = settings_from(profile=profile, journal=journal, log_file=log_file)
    printer, control = ProgressPrinter(speed=settings.speed), Control()
    stopper = Stopper(control, printer.say, printer.close)
    if not quiet:
        print_text("Working on open batches. Press Ctrl-C to stop.", err=True)
    working = aio.work(
        batch,
        until_done=until_done,
        on_progress=None if quiet else printer.show,
        control=control,
        settings=settings,
    )
    with stopper.listening():
        worked = stopper.run(working)
    printer.close()
    for each in worked:
        print_text(f"Batch {each.words}", err=quiet)
    raise typer.Exit(max((_exit_code(each) for each in worked), default=ExitCode.COMPLETED))


def stop(batch: Batch = None, *, journal: JournalAt = None) -> None:
    """Stop the workers of a batch on all machines; resume picks it up.

    They trigger nothing more within 5 seconds, and collect for a minute what is in flight.
    """
    from batchrun.batch.control import stop as stop_workers

    stopped = stop_workers(batch, settings=settings_from(journal=journal))
    print_text(f"The workers of batch {stopped.batch_id} stop within 5 seconds.")


def _exit_code(summary: BatchSummary) -> ExitCode:
    if summary.unfinished:
        return ExitCode.PAUSED
    completed = summary.counts[Outcome.COMPLETED] == summary.rows
    return ExitCode.COMPLETED if completed else ExitCode.INCOMPLETE
