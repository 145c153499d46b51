"""The sheet Needs attention: each row not completed, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from batchrun.model import Outcome, Role
from batchrun.workbook.marks import AGAIN, MENDED, SHEET
from batchrun.workbook.names import name_of
from batchrun.workbook.sheets import Look, TableSheets
from batchrun.workbook.styles import Head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.model import BatchResults, ResultRow
    from batchrun.workbook.sheets import Book

TITLE = "Needs attention"
ORDER = (
    Outcome.IN_DOUBT,
    Outcome.FAILED,
    Outcome.REJECTED,
    Outcome.TIMED_OUT,
    Outcome.INVALID,
    Outcome.PENDING,
)


def attention_sheets(book: Book, results: BatchResults, names: Sequence[int]) -> TableSheets:
    """The empty sheet; its rows follow when it is known where each one's results are."""
    summary = results.summary
    rows = summary.rows - summary.counts[Outcome.COMPLETED]
    looks = [
        Look("line", 9, Head.LIST),
        *([Look("name", 34, Head.LIST)] if names else []),
        *(Look(f"{role.name.lower()} id", 38, Head.LIST, wrap=False) for role in results.roles),
        Look("outcome", 13, Head.STATUS),
        Look("reason", 52, Head.STATUS),
        Look("what to do", 60, Head.STATUS),
    ]
    outcome = len(looks) - 3
    return TableSheets(book, TITLE, looks, max(rows, 1), frozen=2 if names else 1, outcome=outcome)


def write_attention(
    sheets: TableSheets, results: BatchResults, names: Sequence[int], rows: TableSheets
) -> None:
    """Write the rows, those in doubt first; the line number leads to the row in ``rows``."""
    summary = results.summary
    if summary.counts[Outcome.COMPLETED] == summary.rows:
        sheets.append([None] * (1 if names else 0) + [None, "Nothing: every row is completed."])
        return
    for outcome in ORDER:
        if not summary.counts[outcome]:
            continue
        for number, row in enumerate(results.rows):
            if row.outcome is outcome:
                name = [name_of(row.row.cells, names)] if names else []
                ids = {Role.COMPANY: row.company_id, Role.CONTACT: row.contact_id}
                told = (ids[role] for role in results.roles)
                advice = _advice(row, summary.batch_id)
                values = [row.row.line, *name, *told, outcome.value, row.message, advice]
                sheets.append(values, {0: rows.place(number)})


def _advice(row: ResultRow, batch_id: str) -> str:
    marking = f'an x under "{AGAIN}" on {SHEET}, save, then: batchrun run THIS_FILE'
    match row.outcome:
        case Outcome.COMPLETED:
            return ""
        case Outcome.IN_DOUBT if row.dropped:
            return (
                "Nothing: it stays as it is. To send it after all, and perhaps pay twice: "
                f"{marking}"
            )
        case Outcome.IN_DOUBT:
            return (
                "It may have been accepted and paid for. Look in PG:AI, then decide with: "
                f"batchrun resume {batch_id} --in-doubt retry (or drop). "
                "batchrun never sends it again by itself."
            )
        case Outcome.FAILED | Outcome.REJECTED:
            return (
                "Read the reason. To send all failed and rejected rows again: "
                f"batchrun retry {batch_id}. To send this one: {marking}"
            )
        case Outcome.TIMED_OUT | Outcome.PENDING:
            return f"Run: batchrun resume {batch_id}"
        case Outcome.INVALID:
            return (
                f"Mend this line in the list and {MENDED}: what the others have brought in the "
                "last 30 days is taken over, not paid for again."
            )
        case _:
            assert_never(row.outcome)
