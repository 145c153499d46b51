"""The sheet Changes: row, field, before, now, and the date of the earlier result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.workbook.layout import naive
from batchrun.workbook.sheets import TableColumn, TableSheets
from batchrun.workbook.styles import ColumnKind
from batchrun.workbook.titles import number_format

if TYPE_CHECKING:
    from batchrun.model import Cell
    from batchrun.workbook.changes import Comparison
    from batchrun.workbook.layout import Layout
    from batchrun.workbook.sheets import Book

TITLE = "Changes"


class ChangesSheet:
    """The sheet Changes.

    Args:
        book: The workbook.
        layout: The columns of Results.
        comparison: What has changed.
    """

    def __init__(self, book: Book, layout: Layout, comparison: Comparison) -> None:
        self._comparison, self._named = comparison, bool(layout.names)
        self._titles = {column.path: column.title for column in layout.results}
        columns = [
            TableColumn("line", 9, ColumnKind.LIST),
            *([TableColumn("name", 34, ColumnKind.LIST)] if self._named else []),
            TableColumn("field", 26, ColumnKind.RESULT),
            TableColumn("before", 42, ColumnKind.RESULT, result=True, left=True),
            TableColumn("now", 42, ColumnKind.RESULT, result=True, left=True),
            TableColumn(
                "earlier result (UTC)", 16, ColumnKind.STATUS, formats={"datetime": "yyyy-mm-dd"}
            ),
        ]
        rows = sum(1 for _ in comparison.changes()) + bool(comparison.volatile)
        frozen = 2 if self._named else 1
        self._formats = {
            column.path: number_format(column.path, column.survey) for column in layout.results
        }
        self._sheets = TableSheets(book, TITLE, columns, max(rows, 1), frozen=frozen)

    @property
    def place(self) -> str:
        """Where it begins."""
        return self._sheets.place(0)

    def write(self, rows: TableSheets) -> None:
        """Write the changes; the line number leads to the row in ``rows``."""
        found = False
        for change in self._comparison.changes():
            found = True
            name = [change.name] if self._named else []
            values = [change.field, change.before, change.now, naive(change.earlier_at)]
            code = self._formats[change.path]
            formats = (*[""] * (2 + self._named), *(_code(each, code) for each in values[1:3]))
            line = [change.line, *name, *values]
            self._sheets.append(line, {0: rows.place(change.number)}, formats)
        blank = [None] * (1 + self._named)
        if self._comparison.volatile:
            left_out = ", ".join(self._titles[path] for path in self._comparison.volatile)
            self._sheets.append([*blank, "left out", f"differs in every row: {left_out}"])
        elif not found:
            self._sheets.append([*blank, "nothing has changed"])


def _code(value: Cell, code: str) -> str:
    """The number format of a value in a column of values of all kinds."""
    return code if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
