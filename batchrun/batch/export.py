"""Write results from the journal to a file: during a run, at its end, and on request."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun import workbook
from batchrun.advice import Action, Advice
from batchrun.errors import BatchrunError, JournalLostError, JournalWriteError, UsageError
from batchrun.events import Event, log_event
from batchrun.installation import program
from batchrun.settings.consent import Consent, agree, has_agreed
from batchrun.settings.location import SANDBOX_JOURNALS, is_loopback
from batchrun.settings.model import default_journal
from batchrun.text import quoted_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchrun.journal import Journal
    from batchrun.model import BatchResults, BatchSummary


_LOG = logging.getLogger(__name__)

ANY_BATCH = "any"


def write_results(
    journal: Journal,
    batch_id: str,
    target: Path,
    form: workbook.Form,
    *,
    as_its_workbook: bool = True,
) -> Path:
    """Write the current results of a batch to a file; return the path that was written.

    ``as_its_workbook`` is for the batch's own workbook, which `resume` writes again.

    Raises:
        OutputError: The file can't be written.
    """
    if as_its_workbook:
        target = workbook.free_target(target, is_as_written)
    if _is_open(target):  # the file that was written beside it last time is replaced
        target = workbook.free_target(
            target, lambda path: not _is_open(path) and is_as_written(path, batch_id)
        )
    with journal.results(batch_id, earlier=earlier_batches(journal, batch_id, form)) as found:
        written = _write(found, target, form, journal.location)
    if as_its_workbook:
        with suppress(JournalWriteError):  # the workbook is written, and the caller gets its path
            journal.keep(batch_id, "output", str(written))
        agree(Consent.OUTPUT, str(written))
    return written


def _is_open(written: Path) -> bool:
    """Return whether another program has a file open, or one of its parts."""
    return any(map(workbook.is_open, (written, *workbook.other_parts(written))))


def _remember(written: Path, batch_id: str) -> None:
    """Remember a file and its companions as written, to notice later changes."""
    for path in (written, *workbook.companions(written)):
        if path.exists():
            for batch in (batch_id, ANY_BATCH):
                agree(Consent.REPLACE, _as_written(path, batch))


def is_as_written(path: Path, batch_id: str = ANY_BATCH) -> bool:
    """Return whether a file is still as this machine wrote it for this batch, or for any."""
    try:
        return has_agreed(Consent.REPLACE, _as_written(path, batch_id))
    except OSError:
        return False  # it is gone


def _as_written(path: Path, batch_id: str) -> str:
    """Return what tells a file of a batch apart from one that was changed or put in its place."""
    found = path.stat()
    return f"{batch_id} {found.st_size} {found.st_mtime_ns} {path.absolute()}"


def earlier_batches(journal: Journal, batch_id: str, form: workbook.Form) -> list[str]:
    """Return the IDs of the earlier batches to compare a batch with, newest first.

    Raises:
        NoBatchError: There is no batch with the ID given in ``form``.
        UsageError: That ID is the batch itself, or a batch of another workflow.
    """
    match form.compare or "auto":
        case "off":
            return []
        case "auto":
            inputs = _inputs(journal, batch_id)
            found = journal.earlier_batches(batch_id)
            return [each for each in found if _inputs(journal, each) == inputs]
        case given:
            earlier, mine = journal.resolve(given), journal.summary(batch_id)
    if earlier.batch_id == batch_id or earlier.workflow.id != mine.workflow.id:
        raise UsageError(
            f"Batch {batch_id} can't be compared with batch {earlier.batch_id}: "
            "that must be an earlier batch of the same workflow.",
            Advice("", "To list the batches: batchrun batches"),
        )
    return [earlier.batch_id]


def _inputs(journal: Journal, batch_id: str) -> tuple[object, ...]:
    """Return which inputs a batch sends: results of other inputs differ for that reason alone."""
    with journal.results(batch_id, limit=0) as found:
        summary = found.summary
        return found.roles.keys(), summary.parameters, summary.parameter_columns


def commands_for(location: str, summary: BatchSummary) -> workbook.Commands:
    """Return the commands that continue a batch, quoted for the user's shell."""
    called, name = program(absolute=True), Path(location).name  # for any folder
    if is_loopback(summary.base_url) and name in SANDBOX_JOURNALS:
        return workbook.Commands(called, "--sandbox")
    if location == str(default_journal()):
        return workbook.Commands(called)
    return workbook.Commands(called, f"--journal {quoted_command(location)}")


def _with_commands(form: workbook.Form, location: str, summary: BatchSummary) -> workbook.Form:
    return replace(form, commands=form.commands or commands_for(location, summary))


def write_after_journal_error(
    error: JournalWriteError,
    journal: Journal,
    batch_id: str,
    target: Path | None,
    form: workbook.Form,
) -> None:
    """Write the results of a batch even if its journal can't be written or is lost.

    The results come from the safety copy, which also has the results that the journal could not
    store. If the journal is lost, the safety copy is saved as a new journal. The message of
    ``error`` is extended by the paths of both files.
    """
    if isinstance(error, JournalLostError):
        saved = journal.save_copy()
        if saved is not None:
            again = quoted_command("batchrun", "resume", batch_id, "--journal", str(saved))
            error.what += f" The batch is saved in {saved}."
            error.hint = Advice("", f"Resume with: {again}\n", Action.RESUME) + error.hint
    if target is None:
        return
    # The cause of ``error`` may make this fail too, and ``error`` is the one to report.
    with suppress(BatchrunError), journal.copied_results(batch_id) as found:
        if found is None:
            written = write_results(journal, batch_id, target, form)
        else:
            written = _write(found, target, form, journal.location)
        error.what += f" The results so far are in {written}."


def _write(found: BatchResults, target: Path, form: workbook.Form, location: str) -> Path:
    """Write results. If the layout fails, write them as JSON Lines beside the target instead."""
    try:
        written = workbook.write(found, target, _with_commands(form, location, found.summary))
    except BatchrunError:
        raise
    except Exception as error:
        plain = target.with_name(f"{target.stem}.jsonl")
        if target == plain:
            raise
        kind = type(error).__name__
        batch_id = found.summary.batch_id
        log_event(_LOG, Event.RESULTS_DEGRADED, logging.ERROR, batch=batch_id, error=kind)
        written = workbook.write(found, plain, form)
    _remember(written, found.summary.batch_id)
    log_event(_LOG, Event.RESULTS_WRITTEN, batch=found.summary.batch_id, path=str(written))
    return written


def remembered_form(journal: Journal, batch_id: str, given: workbook.Form) -> workbook.Form:
    """Return how to lay out a batch's results: as given now, else as in its last run."""
    before = journal.form(batch_id)
    form = given.merged_with(workbook.Form.recalled(before))
    kept = form.remembered()
    if kept != before:
        journal.keep(batch_id, "form", kept)
    return form


@asynccontextmanager
async def refreshed_workbook(
    journal: Journal, batch_id: str, target: Path | None, form: workbook.Form
) -> AsyncIterator[None]:
    """Write the workbook at the form's interval, if it has one, until the block ends.

    A failed write is skipped. It affects neither the next write nor the block.
    """
    if form.write_every_seconds is None or target is None:
        yield
        return
    ended = asyncio.Event()

    def refresh() -> None:
        place = workbook.free_target(target, is_as_written)
        with journal.results(batch_id) as found:
            complete = _with_commands(form, journal.location, found.summary)
            _remember(workbook.write(found, place, complete, beside=False), batch_id)

    writer = asyncio.create_task(_write_until(ended, refresh, form.write_every_seconds))
    try:
        yield
    finally:
        ended.set()
        await writer  # else its older workbook could replace the final one


async def _write_until(ended: asyncio.Event, refresh: Callable[[], None], seconds: float) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
            return
        # The file is open in Excel, the disk is full, the journal is locked: if the problem
        # persists, the final write reports it. A refresh must not decide how a run ends.
        with suppress(Exception):
            await asyncio.to_thread(refresh)
