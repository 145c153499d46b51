"""Run again from Excel: the rows that somebody has marked in a workbook batchrun wrote."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from batchrun.errors import InputError, JournalError
from batchrun.model import Role
from batchrun.tables.ids import ValidId, parse_id
from batchrun.workbook.marks import Marked, batch_of_workbook, marked_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchrun.journal import Journal
    from batchrun.model import BatchSummary


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a marked workbook asks for.

    Attributes:
        summary: The batch it is of.
        rows: How many of its rows are marked.
        jobs: The jobs of those rows, all to be sent again.
        output: Where the new workbook goes: beside this one, which stays as it is.
    """

    summary: BatchSummary
    rows: int
    jobs: frozenset[int]
    output: Path


def find_rerun(path: Path, journal: Journal) -> Rerun | None:
    """What a workbook asks for; ``None`` when batchrun has not written it.

    Raises:
        JournalError: The journal does not know its batch.
        InputError: No row is marked, or a marked row is not one of the batch.
    """
    batch_id = batch_of_workbook(path)
    if batch_id is None:
        return None
    try:
        summary = journal.resolve(batch_id)
    except JournalError as error:
        raise JournalError(
            f"{path.name} holds the results of batch {batch_id}, which the journal "
            f"{journal.location} does not know.",
            "Name its journal with --journal, or run the list itself.",
        ) from error
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
    jobs = frozenset(job for row in marked for job in _jobs(row, roles, sent, path))
    return Rerun(summary, len(marked), jobs, _beside(path))


def _jobs(
    row: Marked,
    roles: Mapping[Role, int],
    sent: Mapping[tuple[str | None, ...], frozenset[int]],
    path: Path,
) -> frozenset[int]:
    """The jobs of a row: by its execution, else by its IDs."""
    ids: dict[Role, str] = {}
    for role, column in roles.items():
        match parse_id(row.cells[column] if column < len(row.cells) else None):
            case ValidId(value):
                ids[role] = value
            case _:
                pass
    pair = (ids.get(Role.COMPANY), ids.get(Role.CONTACT))
    jobs = sent.get((*pair, row.execution_id)) or sent.get(pair)
    if not jobs:
        raise InputError(
            f"{path.name}, sheet {row.sheet}, line {row.line} is marked, but its IDs are not "
            "among those that were sent.",
            "Mend the list itself and run that; only what has not been sent yet is sent then.",
        )
    return jobs


def _beside(path: Path) -> Path:
    stem = path.stem
    for number in count(2):
        free = path.with_name(f"{stem} ({number}).xlsx")
        if not free.exists():
            return free
    raise AssertionError("count() does not end")
