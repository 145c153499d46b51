"""Rerun rows from Excel: the rows that the user marked in a workbook written by batchrun."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.advice import Action, Advice, reworded, run_corrected
from batchrun.batch.history import existing_journal, is_missing
from batchrun.errors import InputError, JournalError
from batchrun.model import BatchSummary, Role
from batchrun.settings.loading import load_settings
from batchrun.settings.location import shown
from batchrun.tables.cells import is_filled
from batchrun.tables.ids import ValidId, parse_id
from batchrun.workbook.columns import name_of, row_names
from batchrun.workbook.layout import AGAIN
from batchrun.workbook.marks import EXECUTION, is_mark, read_results, signature_of
from batchrun.workbook.target import numbered_beside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from batchrun.journal import Journal
    from batchrun.journal.results import SentJob
    from batchrun.settings.model import Settings
    from batchrun.workbook.marks import MarkedRow, ResultsFile, ResultsSheet

    Ids = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Rerun:
    """The rerun that a marked workbook asks for.

    Attributes:
        summary: The batch of the workbook.
        rows: Number of marked rows to send again.
        lines: The sheet, line, and name of each, in the order of the workbook.
        rows_sent: Number of marked rows that were sent again after the workbook was written.
        rows_waiting: Number of marked rows that wait for `resume` to send them.
        jobs: Numbers of the jobs to send again, and how often each was sent before; empty if there
            are no rows to send.
        output: The path of the new workbook, beside this one; this one is kept.
        workbook: The marked workbook.
    """

    summary: BatchSummary
    rows: int
    lines: tuple[tuple[str, int, str], ...]
    rows_sent: int
    rows_waiting: int
    jobs: Mapping[int, int]
    output: Path
    workbook: Path

    @staticmethod
    def batch_of(workbook: Path | str) -> str | None:
        """Return the ID of the batch whose results a workbook holds; ``None`` for other files."""
        signature = signature_of(Path(workbook))
        return None if signature is None else signature.batch_id

    @staticmethod
    def holds_results(file: Path | str) -> bool:
        """Return whether a file holds batchrun results, even if another program has saved it."""
        return read_results(Path(file)) is not None

    @classmethod
    def read(cls, workbook: Path | str, *, settings: Settings | None = None) -> Rerun | None:
        """Read which jobs a workbook asks for; ``None`` if batchrun didn't write it.

        Args:
            workbook: A workbook that batchrun wrote, marked in its column "run again".
            settings: Settings with the journal to use; ``None`` reads them from the environment.

        Raises:
            JournalError: The workbook's batch is not in the journal.
            InputError: No row is marked, or the job of a marked row is unclear.
        """
        path, location = Path(workbook), (settings or load_settings()).journal
        results = read_results(path)
        if results is None:
            return None
        if is_missing(location):
            raise _unknown(path, results, location)
        with existing_journal(location) as journal:
            summary = _batch(path, results, journal, location)
            return _find(path, results, summary, journal)


def _batch(path: Path, results: ResultsFile, journal: Journal, location: str) -> BatchSummary:
    """Return the batch of these results: by its ID in the file, else by their execution IDs."""
    if results.signature is not None:
        batches = {results.signature.batch_id}
    else:
        batches = journal.batches_with(
            {each for sheet in results.sheets for each in sheet.executions}
        )
    if len(batches) > 1:
        raise InputError(
            f"{path.name} holds results of {len(batches)} batches: {', '.join(sorted(batches))}.",
            Advice("Mark the rows in the workbook of each", ": batchrun export BATCH -o OUT.xlsx"),
        )
    try:
        if not batches:
            raise _unknown(path, results, location)
        return journal.resolve(batches.pop())
    except JournalError as error:
        raise _unknown(path, results, location) from error


def _unknown(path: Path, results: ResultsFile, location: str) -> JournalError:
    signature = results.signature
    if signature is None and all(sheet.execution is None for sheet in results.sheets):
        return JournalError(
            f'{path.name} holds results of batchrun, but its column "{EXECUTION}" is missing, so it'
            " is not known which rows were sent.",
            Advice(
                "Mark rows in the workbook as batchrun writes it",
                ": batchrun export BATCH -o OUT.xlsx",
            )
            + ". To send all rows as a new list, delete batchrun's columns.",
        )
    batch = "of a batch" if signature is None else f"of batch {signature.batch_id}"
    return JournalError(
        f"{path.name} holds the results {batch}, which the journal {shown(location)} does not"
        " know.",
        Advice(
            "",
            "If the batch is in another journal, add --journal. If it was deleted, run the list"
            " itself; you pay for all its rows.",
            Action.RUN_LIST,
        ),
    )


def _find(path: Path, results: ResultsFile, summary: BatchSummary, journal: Journal) -> Rerun:
    with journal.results(summary.batch_id) as found:
        header, roles = found.header, found.roles
        first = (row.row.cells for row in found.rows)
        titles = [header[at] for at in row_names(header, roles, first)]
        own: Counter[str] = Counter()
        if AGAIN in header:
            at = header.index(AGAIN)
            cells = (row.row.cells[at] for row in found.rows)
            own.update(str(cell).strip() for cell in cells if is_filled(cell))
    columns = [(sheet, sheet.again(header, own)) for sheet in results.sheets]
    if all(again is None for _, again in columns):
        raise InputError(
            f'{path.name} holds the results of batch {summary.batch_id}, but no column "{AGAIN}".',
            Advice(
                "Mark rows in the workbook as batchrun writes it",
                f": batchrun export {summary.batch_id} -o OUT.xlsx",
            ),
        )
    marked = [
        (sheet, row)
        for sheet, again in columns
        for row in sheet.marked
        if again is not None and again < len(row.cells) and is_mark(row.cells[again])
    ]
    if not marked:
        raise InputError(
            f"{path.name} holds the results of {summary.source.name}, run "
            f"{summary.created_at.astimezone():%Y-%m-%d %H:%M}, and no row of it is "
            'marked in the column "run again".',
            "Type x there for the rows to be sent and paid for again, and save it.",
        )
    sent = journal.sent(summary.batch_id)
    as_of = None if results.signature is None else results.signature.as_of
    found_jobs = []
    for sheet, row in marked:
        try:
            found_jobs.append(_job(sheet, row, _ids(sheet, row, header, roles), sent, as_of))
        except InputError as error:
            where = f"{path.name}, sheet {sheet.name}, line {row.line} is marked, but"
            raise InputError(
                f"{where} {error.what}.",
                reworded(error.hint, partial(_filled, row=row, summary=summary)),
            ) from None
    due = [job for job, is_due in found_jobs if is_due]
    done = [job for job, is_due in found_jobs if not is_due]
    waiting = sum(not job.ended and job.execution_id is None for job in done)
    again_jobs = {job.number: job.retried for job in due}
    output = _beside(path, summary.batch_id)
    sent_again = len(done) - waiting
    lines = []
    for (sheet, row), (_, is_due) in zip(marked, found_jobs, strict=True):
        if is_due:
            places = [at for title in titles for at in sheet.columns(title)[:1]]
            lines.append((sheet.name, row.line, name_of(row.cells, places) or ""))
    return Rerun(summary, len(due), tuple(lines), sent_again, waiting, again_jobs, output, path)


_MARK_IT = Advice(
    "Mark it in the workbook as batchrun wrote it", ": batchrun export {batch} -o OUT.xlsx"
)
_NOT_SENT = Advice(
    "To send the other marked rows, remove the mark in line {line}. To send this one, "
    "correct it in your list, not in this workbook",
    ", then: {run}",
)


def _filled(hint: str, row: MarkedRow, summary: BatchSummary) -> str:
    """Return a hint for a marked row of a batch."""
    run = run_corrected(summary.source.path or "FILE", summary)
    return hint.format(batch=summary.batch_id, line=row.line, run=run)


def _execution(sheet: ResultsSheet, row: MarkedRow) -> str | None:
    at = sheet.execution
    return None if at is None or at >= len(row.cells) else str(row.cells[at] or "").strip() or None


def _ids(
    sheet: ResultsSheet, row: MarkedRow, header: Sequence[str], roles: Mapping[Role, int]
) -> Ids | None:
    """Return the IDs of a row; ``None`` if the sheet lacks one of the list's ID columns."""
    ids: dict[Role, str] = {}
    for role, column in roles.items():
        places = [at for at, name in enumerate(sheet.header) if name == header[column]]
        if not places:
            return None
        at = column if column in places else places[0]
        parsed = parse_id(row.cells[at] if at < len(row.cells) else None)
        if isinstance(parsed, ValidId):
            ids[role] = parsed.value
    return ids.get(Role.COMPANY), ids.get(Role.CONTACT)


def _job(
    sheet: ResultsSheet,
    row: MarkedRow,
    ids: Ids | None,
    sent: Mapping[Ids, tuple[SentJob, ...]],
    as_of: datetime | None,
) -> tuple[SentJob, bool]:
    """Return a row's job and whether to send it: not if it was sent since, to avoid paying twice.

    A row is identified by its execution ID, or by its IDs if it has none.
    """
    if ids is not None and ids not in sent:
        raise InputError("its IDs were not sent (see its Status)", _NOT_SENT)
    execution = _execution(sheet, row)
    if execution is None:
        job = _only_job(ids, sent)
        # Without the column, only the time of the workbook says whether it was sent since.
        triggered_since = sheet.execution is not None and job.execution_id is not None
        sent_at = job.retried_at
        if triggered_since or (sent_at is not None and (as_of is None or sent_at > as_of)):
            return job, False
        return _ended(job), True
    jobs = sent[ids] if ids is not None else tuple(job for each in sent.values() for job in each)
    for job in jobs:
        if execution in job.replaced:
            return job, False
        if execution == job.execution_id:
            return _ended(job), True
    raise InputError(f"the batch has no execution {execution} with its IDs", _MARK_IT)


def _only_job(ids: Ids | None, sent: Mapping[Ids, tuple[SentJob, ...]]) -> SentJob:
    if ids is None:
        raise InputError("it has neither an execution id nor all ID columns of the list", _MARK_IT)
    jobs = sent[ids]
    if len(jobs) > 1:
        raise InputError(
            f"it has no execution id, and {len(jobs)} jobs have its IDs",
            Advice(
                "",
                "Send all failed and rejected rows again with: batchrun retry {batch}",
                Action.RETRY,
            ),
        )
    return jobs[0]


def _ended(job: SentJob) -> SentJob:
    if not job.ended:
        waits = "has not ended yet" if job.execution_id is not None else "has not been sent yet"
        raise InputError(
            f"it {waits}", Advice("", "Resume with: batchrun resume {batch}", Action.RESUME)
        )
    return job


def _beside(path: Path, batch_id: str) -> Path:
    """Return the path for the new results: the next number that is free or can be overwritten.

    A workbook of this batch without marks can be overwritten.
    """
    whole = re.sub(r"\.part\d{1,4}\Z", "", path.stem)  # the new workbook has all parts' rows
    beside = numbered_beside(path.with_name(f"{whole}.xlsx"))
    return next(each for each in beside if not each.exists() or _is_unmarked(each, batch_id))


def _is_unmarked(path: Path, batch_id: str) -> bool:
    results = read_results(path)
    if results is None or results.signature is None or results.signature.batch_id != batch_id:
        return False
    return not any(sheet.marked for sheet in results.sheets)
