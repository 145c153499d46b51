"""The sheet Columns: what each column of Results is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openpyxl.utils import get_column_letter

from batchrun.text import plural
from batchrun.workbook.changes import COLUMN
from batchrun.workbook.columns import shown
from batchrun.workbook.flatten import dotted
from batchrun.workbook.layout import AGAIN, MORE, STATUS_COLUMNS, Audience
from batchrun.workbook.sheets import TableColumn, TableSheets
from batchrun.workbook.styles import ColumnKind
from batchrun.workbook.titles import number_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.model import Cell
    from batchrun.workbook.layout import Layout, ResultColumn
    from batchrun.workbook.sheets import Book

TITLE = "Columns"
_STATUS = {
    STATUS_COLUMNS[0]: ("text", "what became of the row"),
    STATUS_COLUMNS[1]: (
        "text",
        "why, for a row that is not completed; where a result was reused, from where",
    ),
    COLUMN: ("text", "whether the result is new, changed or the same since the earlier batch"),
    AGAIN: ("anything", "write something here, save, and: batchrun run THIS_FILE"),
    "execution id": ("text", "the execution in PG:AI"),
    "triggered (UTC)": ("date and time (UTC)", "when PG:AI accepted it"),
    "started (UTC)": ("date and time (UTC)", "when it began to run"),
    "finished (UTC)": ("date and time (UTC)", "when it ended"),
    "seconds": ("number", "how long it ran"),
}

_TECHNICAL = {AGAIN, "execution id"}
"""Columns that a workbook for people hides; rows are found by them when it is given back."""


class ColumnsSheet:
    """The sheet Columns.

    Args:
        book: The workbook.
        layout: The columns.
        shown: The columns of Results, in their order.
        audience: For whom.
    """

    def __init__(
        self, book: Book, layout: Layout, shown: Sequence[TableColumn], audience: Audience
    ) -> None:
        self._layout, self._shown = layout, shown
        self._with_paths = audience is Audience.OPERATORS
        result = ColumnKind.RESULT
        columns = [
            TableColumn("column", 9, ColumnKind.LIST),
            TableColumn("name", 28, ColumnKind.LIST),
            TableColumn("comes from", 13, ColumnKind.STATUS),
            TableColumn("what it is", 32, ColumnKind.STATUS),
            *([TableColumn("key path", 28, ColumnKind.STATUS)] if self._with_paths else []),
            TableColumn("type", 15, result),
            TableColumn("filled", 9, result),
            TableColumn("filled share", 9, result, formats={"float": "0%"}),
            TableColumn("example", 36, result, wrap=False, result=True, left=True),
        ]
        self._sheets = TableSheets(book, TITLE, columns, len(shown), frozen=2)

    def write(self, rows: int) -> None:
        """Write a line for each column.

        Args:
            rows: How many rows there are.
        """
        layout = self._layout
        own = list(zip(layout.original, layout.original_surveys, strict=True))
        by_title = {column.head: column for column in layout.results}
        for position, column in enumerate(self._shown, 1):
            if not self._with_paths and column.title in _TECHNICAL and position > len(own):
                continue
            letter, survey, kind, path, code = get_column_letter(position), None, "", None, ""
            if position <= len(own):
                survey, source, what = own[position - 1][1], "your list", "unchanged"
                kind = survey.type_name(turned=False)
            elif column.title in _STATUS and column.kind is not ColumnKind.RESULT:
                kind, what = _STATUS[column.title]
                source = "batchrun"
            elif (found := by_title.get(column.title)) is not None:
                survey, source, what = found.survey, "the results", _what(found, layout)
                kind, path = survey.type_name(turned=True), dotted(found.path)
                code = number_format(found.path, survey)
            else:
                source, kind = "the results", "text"
                what = "results that have no column, because Excel has no more"
                assert column.title == MORE
            line: list[Cell] = [letter, column.title or "(blank)", source, what]
            line += [*([path] if self._with_paths else []), kind]
            example = None if survey is None else shown(survey.example)
            if survey is not None:
                line += [survey.filled, survey.filled / rows if rows else None, example]
            is_number = isinstance(example, (int, float)) and not isinstance(example, bool)
            self._sheets.append(line, None, ("",) * (len(line) - 1) + (code,) if is_number else ())


def _what(column: ResultColumn, layout: Layout) -> str:
    notes = []
    if column.counts:
        sheet = next((each.title for each in layout.tables if each.path == column.path), "")
        notes.append(f"how many; each is a line of the sheet {sheet}")
    if column.aside:
        notes.append(f"{column.aside}; folded away at the end")
    elif column.survey.nulls and not column.counts:
        notes.append(f"empty in {plural(column.survey.nulls, 'result')}")
    return "; ".join(notes) or "a value of the result"
