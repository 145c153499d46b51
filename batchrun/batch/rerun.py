"""Run again from Excel: the rows that somebody has marked in a workbook batchrun wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.batch.history import existing_journal, is_missing
from batchrun.errors import InputError, JournalError
from batchrun.model import Role
from batchrun.settings import Settings, load_settings
from batchrun.settings.location import shown
from batchrun.tables.ids import ValidId, parse_id
from batchrun.workbook.marks import MENDED, marked_rows, signature_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.journal import Journal
    from batchrun.journal.results import SentJob
    from batchrun.model import BatchSummary
    from batchrun.workbook.marks import Marked, Signature


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a marked workbook asks for.

    Attributes:
        summary: The batch it is of.
        rows: How many of its rows are marked and have not been sent again yet.
        already: How many marked rows were sent since the workbook was written, or wait to be.
        jobs: The jobs to be sent again, and how often each was before; none when all marked rows
            were sent since the workbook was written, or wait to be.
        output: Where the new workbook goes: beside this one, which stays as it is.
        workbook: This one.
        waiting: How many of the marked rows were made ready to be sent and wait for `resume`.
    """

    summary: BatchSummary
    rows: int
    already: int
    jobs: Mapping[int, int]
    output: Path
    workbook: Path
    waiting: int = 0

    @staticmethod
    def batch_of(workbook: Path | str) -> str | None:
        """Id of the batch whose results a workbook holds; ``None`` for any other file."""
        path = Path(workbook)
        signature = signature_of(path) if path.suffix.lower() == ".xlsx" else None
        return None if signature is None else signature.batch_id

    @classmethod
    def read(cls, workbook: Path | str, *, settings: Settings | None = None) -> Rerun | None:
        """What a workbook asks for; ``None`` when batchrun has not written it.

        Args:
            workbook: A workbook that batchrun wrote, marked in its column "run again".
            settings: Which journal; ``None`` reads it from the environment.

        Raises:
            JournalError: The journal does not know its batch.
            InputError: No row is marked, or it is not certain which job a marked row is.
        """
        path, location = Path(workbook), (settings or load_settings()).journal
        signature = signature_of(path)
        if signature is None:
            return None
        if is_missing(location):
            raise _unknown(path, signature, location)
        with existing_journal(location) as journal:
            try:
                summary = journal.resolve(signature.batch_id)
            except JournalError as error:
                raise _unknown(path, signature, location) from error
            return _find(path, signature, summary, journal)


def _unknown(path: Path, signature: Signature, location: str) -> JournalError:
    return JournalError(
        f"{path.name} holds the results of batch {signature.batch_id}, which the journal "
        f"{shown(location)} does not know.",
        "Name its journal with --journal, or run the list itself.",
    )


def _find(path: Path, signature: Signature, summary: BatchSummary, journal: Journal) -> Rerun:
    marked = list(marked_rows(path))
    if not marked:
        raise InputError(
            f"{path.name} holds the results of batch {summary.batch_id}, and no row of it is "
            'marked in the column "run again".',
            "Write anything there for the rows to be sent and paid for again, and save it.",
        )
    with journal.results(summary.batch_id) as found:
        roles = found.roles
    sent = journal.sent(summary.batch_id)
    found_jobs = []
    for row in marked:
        try:
            found_jobs.append(_job(row, sent.get(_ids(row, roles), ()), signature))
        except _UnclearError as error:
            where = f"{path.name}, sheet {row.sheet}, line {row.line} is marked, but"
            raise InputError(
                f"{where} {error.why}.", error.hint.format(batch=summary.batch_id)
            ) from None
    due = [job for job, is_due in found_jobs if is_due]
    done = [job for job, is_due in found_jobs if not is_due]
    waiting = sum(not job.ended and job.execution_id is None for job in done)
    again = {job.number: job.retried for job in due}
    return Rerun(
        summary, len(due), len(done), again, _beside(path, summary.batch_id), path, waiting
    )


class _UnclearError(Exception):
    """A marked row that is not sent; why, and what to do."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why, hint)
        self.why, self.hint = why, hint


def _ids(row: Marked, roles: Mapping[Role, int]) -> tuple[str | None, str | None]:
    ids: dict[Role, str] = {}
    for role, column in roles.items():
        match parse_id(row.cells[column] if column < len(row.cells) else None):
            case ValidId(value):
                ids[role] = value
            case _:
                pass
    return ids.get(Role.COMPANY), ids.get(Role.CONTACT)


def _job(row: Marked, jobs: tuple[SentJob, ...], signature: Signature) -> tuple[SentJob, bool]:
    """A row's job, and whether it is due: not when it was sent since, nothing is paid twice.

    A row is known by its execution, and only where it had none by its IDs.
    """
    if not jobs:
        raise _UnclearError(
            "its IDs are not among those that were sent",
            f"Mend it in the list and {MENDED}: what the others have brought in the last 30 "
            "days is taken over, not paid for again.",
        )
    if row.execution_id is None:
        return _job_by_ids(jobs, signature)
    for job in jobs:
        if row.execution_id in job.replaced:
            return job, False
        if row.execution_id == job.execution_id:
            return _ended(job), True
    raise _UnclearError(
        f"the batch knows no execution {row.execution_id} of its IDs",
        "Mark it in the workbook as batchrun wrote it: batchrun export {batch} -o OUT.xlsx",
    )


def _job_by_ids(jobs: tuple[SentJob, ...], signature: Signature) -> tuple[SentJob, bool]:
    if len(jobs) > 1:
        raise _UnclearError(
            f"it has no execution id, and {len(jobs)} jobs have its IDs",
            "Send all failed and rejected rows again with: batchrun retry {batch}",
        )
    (job,) = jobs
    if job.execution_id is not None:  # it got one after the workbook was written
        return job, False
    if job.retried_at is not None and (signature.as_of is None or job.retried_at > signature.as_of):
        return job, False
    return _ended(job), True


def _ended(job: SentJob) -> SentJob:
    if not job.ended:
        waits = "has not ended yet" if job.execution_id is not None else "has not been sent yet"
        raise _UnclearError(f"it {waits}", "Go on with: batchrun resume {batch}")
    return job


def _beside(path: Path, batch_id: str) -> Path:
    """The name for the new results: the next free number, or one of this batch without marks."""
    numbered = re.fullmatch(r"(.+) \((\d{1,4})\)", path.stem)  # the new one of a new one, too
    stem, last = (path.stem, 1) if numbered is None else (numbered[1], int(numbered[2]))
    for number in count(last + 1):
        target = path.with_name(f"{stem} ({number}).xlsx")
        if not target.exists() or _is_unmarked(target, batch_id):
            return target
    raise AssertionError("count() does not end")


def _is_unmarked(path: Path, batch_id: str) -> bool:
    signature = signature_of(path)
    if signature is None or signature.batch_id != batch_id:
        return False
    return next(iter(marked_rows(path)), None) is None
