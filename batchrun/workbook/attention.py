"""The sheet Needs attention: rows without a result, those with the same kind of reason together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.model import Outcome, Role
from batchrun.tables.ids import DamagedId, parse_id
from batchrun.workbook.columns import name_of
from batchrun.workbook.layout import Audience
from batchrun.workbook.reasons import Commands, Reason, advice
from batchrun.workbook.results_sheet import UUID_WIDTH
from batchrun.workbook.sheets import TableColumn, TableSheets
from batchrun.workbook.styles import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
SHEET_ROW = "row in Results"
"""The title of a column that says where a row is, if that is not its line in the list."""
MOST_LINES_OF_ADVICE = 8
MOST_GROUPED = 20_000
"""Rows that are sorted by their reasons in memory; with more, they are sorted by outcome only."""


class AttentionSheet:
    """The sheet Needs attention.

    Args:
        book: The workbook.
        results: The batch.
        layout: Its columns.
        audience: For whom.
        commands: How this batch is continued.
    """

    def __init__(
        self,
        book: Book,
        results: BatchResults,
        layout: Layout,
        audience: Audience,
        commands: Commands,
    ) -> None:
        self._results, self._layout = results, layout
        self._commands = None if audience is Audience.PEOPLE else commands
        self._with_values = any(
            reason.varies or reason.outcome is Outcome.INVALID for reason in layout.reasons.ranked()
        )
        self._places: dict[int, str] = {}
        summary, who, why = results.summary, ColumnKind.LIST, ColumnKind.STATUS
        columns = [
            TableColumn("line", 9, who),
            *([TableColumn(SHEET_ROW, 9, who)] if layout.lines_differ else []),
            *([TableColumn("name", 30, who)] if layout.names else []),
            *([TableColumn("owner", 18, who)] if layout.owner is not None else []),
            *(
                TableColumn(
                    f"{role.name.lower()} id",
                    UUID_WIDTH,
                    who,
                    wrap=False,
                    folded=bool(layout.names),
                )
                for role in results.roles
            ),
            TableColumn("outcome", 13, why),
            TableColumn("reason", 46, why),
            *([TableColumn("value", UUID_WIDTH, why, wrap=False)] if self._with_values else []),
            TableColumn("what to do", 72, why, lines=MOST_LINES_OF_ADVICE),
        ]
        outcome = [column.title for column in columns].index("outcome")
        rows = summary.rows - summary.counts[Outcome.COMPLETED]
        frozen = 1 + layout.lines_differ + bool(layout.names)
        self._sheets = TableSheets(book, TITLE, columns, rows, frozen=frozen, outcome=outcome)

    def place(self, reason: Reason) -> str:
        """Where the rows with this kind of reason begin."""
        return self._places.get(id(reason), self._sheets.place(0))

    def write(self, rows: TableSheets) -> None:
        """Write the rows, those in doubt first; the line number leads to the row in ``rows``."""
        explained: set[int] = set()
        layout, roles = self._layout, self._results.roles
        for number, row in self._rows():
            reason = layout.reasons.of(row)
            what = ""
            if id(reason) not in explained:
                explained.add(id(reason))
                self._places[id(reason)] = self._sheets.next_place
                what = advice(row, roles, self._results.summary, self._commands)
            ids = {Role.COMPANY: row.company_id, Role.CONTACT: row.contact_id}
            cells = row.row.cells
            text = row.message or row.outcome.value if reason is None else reason.text
            value = _damaged(row, roles)
            if reason is not None and not value:
                value = reason.value_in(row.message)
            values: list[Cell] = [
                row.row.line,
                *([rows.row_of(number)] if layout.lines_differ else []),
                *([name_of(cells, layout.names)] if layout.names else []),
                *([cells[layout.owner]] if layout.owner is not None else []),
                *(ids[role] for role in roles),
                row.outcome.value,
                text,
                *([value] if self._with_values else []),
                what,
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
        reasons = self._layout.reasons
        rank = {id(reason): at for at, reason in enumerate(reasons.ranked())}
        place = {outcome: at for at, outcome in enumerate(ORDER)}
        open_rows = [
            (number, row)
            for number, row in enumerate(self._results.rows)
            if row.outcome is not Outcome.COMPLETED
        ]
        open_rows.sort(
            key=lambda each: (
                place[each[1].outcome],
                rank.get(id(reasons.of(each[1])), len(rank)),
                each[0],
            )
        )
        yield from open_rows


def _damaged(row: ResultRow, roles: Mapping[Role, int]) -> str:
    """What stands where an ID should be, of a row that could not be sent."""
    if row.outcome is not Outcome.INVALID:
        return ""
    parsed = (parse_id(row.row.cells[at]) for at in roles.values())
    return ", ".join(each.shown for each in parsed if isinstance(each, DamagedId))
