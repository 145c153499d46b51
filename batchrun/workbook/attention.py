"""The sheet Needs attention: rows without a result, those with the same reason together."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from batchrun.model import Outcome, Role
from batchrun.workbook.columns import name_of
from batchrun.workbook.layout import AGAIN, Audience
from batchrun.workbook.marks import MENDED, SHEET
from batchrun.workbook.results_sheet import UUID_WIDTH
from batchrun.workbook.sheets import TableColumn, TableSheets
from batchrun.workbook.styles import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.model import BatchResults, Cell, ResultRow
    from batchrun.workbook.layout import Layout
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
MOST_GROUPED = 20_000
"""Rows that are held to be grouped by their reasons; beyond, they are grouped by outcome only."""


class AttentionSheet:
    """The sheet Needs attention.

    Args:
        book: The workbook.
        results: The batch.
        layout: Its columns.
        audience: For whom.
    """

    def __init__(
        self, book: Book, results: BatchResults, layout: Layout, audience: Audience
    ) -> None:
        self._results, self._layout, self._audience = results, layout, audience
        summary = results.summary
        columns = [
            TableColumn("line", 9, ColumnKind.LIST),
            *([TableColumn("name", 30, ColumnKind.LIST)] if layout.names else []),
            *([TableColumn("owner", 18, ColumnKind.LIST)] if layout.owner is not None else []),
            *(
                TableColumn(
                    f"{role.name.lower()} id",
                    UUID_WIDTH,
                    ColumnKind.LIST,
                    wrap=False,
                    folded=bool(layout.names),
                )
                for role in results.roles
            ),
            TableColumn("outcome", 13, ColumnKind.STATUS),
            TableColumn("reason", 42, ColumnKind.STATUS),
            TableColumn("what to do", 64, ColumnKind.STATUS),
        ]
        rows = summary.rows - summary.counts[Outcome.COMPLETED]
        frozen = 2 if layout.names else 1
        outcome = len(columns) - 3
        self._sheets = TableSheets(book, TITLE, columns, rows, frozen=frozen, outcome=outcome)

    @property
    def place(self) -> str:
        """Where it begins."""
        return self._sheets.place(0)

    def write(self, rows: TableSheets) -> None:
        """Write the rows, those in doubt first; the line number leads to the row in ``rows``."""
        before = None
        for number, row in self._rows():
            group = (row.outcome, row.message, row.dropped)
            advice = "" if group == before else self._advice(row)
            before = group
            ids = {Role.COMPANY: row.company_id, Role.CONTACT: row.contact_id}
            cells, layout = row.row.cells, self._layout
            values = [
                row.row.line,
                *([name_of(cells, layout.names)] if layout.names else []),
                *([cells[layout.owner]] if layout.owner is not None else []),
                *(ids[role] or _damaged(row, at) for role, at in self._results.roles.items()),
                row.outcome.value,
                row.message,
                advice,
            ]
            self._sheets.append(values, {0: rows.place(number)})

    def _rows(self) -> Iterator[tuple[int, ResultRow]]:
        """The rows with their numbers: by outcome, and in it the most frequent reason first."""
        counts = self._results.summary.counts
        if sum(counts[outcome] for outcome in ORDER) > MOST_GROUPED:
            for outcome in ORDER:
                if counts[outcome]:
                    found = enumerate(self._results.rows)
                    yield from ((number, row) for number, row in found if row.outcome is outcome)
            return
        frequency = dict(self._layout.reasons)
        place = {outcome: at for at, outcome in enumerate(ORDER)}
        open_rows = [
            (number, row)
            for number, row in enumerate(self._results.rows)
            if row.outcome is not Outcome.COMPLETED
        ]
        open_rows.sort(
            key=lambda each: (
                place[each[1].outcome],
                -frequency.get(each[1].message, 0),
                each[1].message,
                each[0],
            )
        )
        yield from open_rows

    def _advice(self, row: ResultRow) -> str:
        if self._audience is Audience.PEOPLE:
            return _ADVICE[row.outcome]
        return _command(row, self._results.summary.batch_id)


def _damaged(row: ResultRow, position: int) -> Cell:
    """What stands where an ID should be, of a row that could not be sent."""
    return row.row.cells[position] if row.outcome is Outcome.INVALID else None


_ADVICE = {
    Outcome.COMPLETED: "",
    Outcome.IN_DOUBT: (
        "It may have been researched and paid for. Ask whoever ran this list to look it up."
    ),
    Outcome.FAILED: "Read the reason. Whoever ran this list can have these rows tried again.",
    Outcome.REJECTED: "Read the reason. Whoever ran this list can have these rows tried again.",
    Outcome.TIMED_OUT: "Its result may still come. Ask whoever ran this list for a newer file.",
    Outcome.INVALID: "Correct these rows in the CRM or the list; they were not researched.",
    Outcome.PENDING: "Its result is not here yet. Ask whoever ran this list for a newer file.",
}


def _command(row: ResultRow, batch_id: str) -> str:
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
                "It may have been accepted and paid for: batchrun never sends it again by itself. "
                "Look in PG:AI, then decide: "
                f"batchrun resume {batch_id}"
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
                f"Correct these lines in the list and {MENDED}: results of the last 30 days are "
                "taken over, not paid for again. For a list of only such rows: "
                f"batchrun export {batch_id} --only invalid -o fix.xlsx"
            )
        case _:
            assert_never(row.outcome)
