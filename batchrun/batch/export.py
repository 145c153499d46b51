"""From the journal to a file: when a batch ends, when it is asked for, and while it runs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun import workbook
from batchrun.errors import (
    BatchrunError,
    ExitCode,
    JournalError,
    JournalLostError,
    JournalWriteError,
    OutputError,
    TakenOverError,
    UsageError,
)
from batchrun.events import Event, log_event
from batchrun.installation import program
from batchrun.settings.consent import Consent, agree
from batchrun.settings.location import SANDBOX_JOURNALS, is_loopback
from batchrun.settings.model import default_journal
from batchrun.text import quoted_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from batchrun.journal import Journal
    from batchrun.model import BatchResults, BatchSummary


_LOG = logging.getLogger(__name__)


def write_results(
    journal: Journal,
    batch_id: str,
    target: Path | None,
    form: workbook.Form,
    *,
    as_its_workbook: bool = True,
) -> Path | None:
    """Write a batch as it stands; as its workbook, it is written there again by `resume`.

    Returns:
        Where it went; ``None`` when no file is wanted.

    Raises:
        OutputError: It can't be written.
    """
    if target is None:
        return None
    with journal.results(batch_id, earlier=earlier_batches(journal, batch_id, form)) as found:
        written = _write(found, target, form, journal.location)
    if as_its_workbook:
        with suppress(JournalWriteError):  # the workbook is there, and its place is known
            journal.keep(batch_id, "output", str(written))
        agree(Consent.OUTPUT, str(written))
    return written


def earlier_batches(journal: Journal, batch_id: str, form: workbook.Form) -> list[str]:
    """The batches whose results a batch's are compared with, newest first.

    Raises:
        NoBatchError: There is no batch of the id that was given.
        UsageError: It is the batch itself, or one of another workflow.
    """
    match form.compare or "auto":
        case "off":
            return []
        case "auto":
            return journal.earlier_batches(batch_id)
        case given:
            earlier, mine = journal.resolve(given), journal.summary(batch_id)
    if earlier.batch_id == batch_id or earlier.workflow.id != mine.workflow.id:
        raise UsageError(
            f"Batch {batch_id} can't be compared with batch {earlier.batch_id}: "
            "that must be an earlier batch of the same workflow.",
            "To list the batches: batchrun batches",
        )
    return [earlier.batch_id]


def commands_for(location: str, summary: BatchSummary) -> workbook.Commands:
    """The commands that continue with a batch, as the user's shell understands them.

    Args:
        location: The journal, as it may be shown.
        summary: The batch.
    """
    name = Path(location).name
    if is_loopback(summary.base_url) and name in SANDBOX_JOURNALS:
        return workbook.Commands(program(), "--sandbox")
    if location == str(default_journal()):
        return workbook.Commands(program())
    return workbook.Commands(program(), f"--journal {quoted_command(location)}")


def write_despite(
    error: JournalWriteError,
    journal: Journal,
    batch_id: str,
    target: Path | None,
    form: workbook.Form,
) -> None:
    """Write what a batch has brought although its journal can't be written or is lost.

    The workbook comes from the safety copy, which has what the journal could not take. Of a journal
    that is lost, the copy is saved as another one. The error then says where both are.
    """
    if isinstance(error, JournalLostError):
        saved = journal.save_copy()
        if saved is not None:
            again = quoted_command("batchrun", "resume", batch_id, "--journal", str(saved))
            error.what += f" The batch is saved in {saved}."
            error.hint = f"Continue with: {again}\n{error.hint}"
    if target is None:
        return
    # What stopped the batch may stop this, too, and is what counts.
    with suppress(BatchrunError), journal.copied_results(batch_id) as found:
        if found is None:
            written = write_results(journal, batch_id, target, form)
        else:
            written = _write(found, target, form, journal.location)
        error.what += f" The results so far are in {written}."


def _write(found: BatchResults, target: Path, form: workbook.Form, location: str) -> Path:
    """Write results; where they can't be laid out, write them as JSON Lines beside the target."""
    try:
        commands = commands_for(location, found.summary)
        written = workbook.write(found, target, form, commands=commands)
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
    log_event(_LOG, Event.RESULTS_WRITTEN, batch=found.summary.batch_id, path=str(written))
    return written


def remembered_form(journal: Journal, batch_id: str, given: workbook.Form) -> workbook.Form:
    """How a batch's results are written: as said now, else as said when it was last worked on."""
    before = journal.form(batch_id)
    form = given.over(workbook.Form.recalled(before))
    kept = form.remembered()
    if kept != before:
        journal.keep(batch_id, "form", kept)
    return form


@contextmanager
def ending_as_paused(journal: Journal, batch_id: str) -> Iterator[None]:
    """While the block lasts, no error ends with the code that says nothing was triggered."""
    try:
        yield
    except TakenOverError:
        raise  # another process goes on with it, or has done so
    except (JournalError, OutputError) as error:
        error.exit_code = ExitCode.PAUSED
        with suppress(BatchrunError):  # a journal that can't be read has said so
            if not journal.summary(batch_id).unfinished:
                error.exit_code = ExitCode.INCOMPLETE
        if isinstance(error, OutputError):
            error.hint = (
                "The results are safe in the journal; write them elsewhere: "
                f"batchrun export {batch_id} -o OUT.xlsx"
            )
        raise


@asynccontextmanager
async def refreshed_workbook(
    journal: Journal, batch_id: str, target: Path | None, form: workbook.Form
) -> AsyncIterator[None]:
    """While the block lasts, write what there is as often as the form says, if it does.

    One that fails is left out: the next comes in its time, and the block ends as it would.
    """
    if form.write_every_seconds is None or target is None:
        yield
        return
    ended = asyncio.Event()

    def refresh() -> None:
        with journal.results(batch_id) as found:
            commands = commands_for(journal.location, found.summary)
            workbook.write(found, target, form, beside=False, commands=commands)

    writer = asyncio.create_task(_write_until(ended, refresh, form.write_every_seconds))
    try:
        yield
    finally:
        ended.set()
        await writer  # what it is writing now is older than what comes next


async def _write_until(ended: asyncio.Event, refresh: Callable[[], None], seconds: float) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
            return
        # Held open in Excel, a full disk, a locked journal: whatever stays so, the one at the end
        # meets it too and tells. No refresh may decide how a run ends.
        with suppress(Exception):
            await asyncio.to_thread(refresh)
