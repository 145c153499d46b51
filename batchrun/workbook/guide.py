"""The sheet Columns: what each column of Results is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openpyxl.utils import get_column_letter

from batchrun.words import plural
from batchrun.workbook.columns import shown
from batchrun.workbook.flatten import dotted
from batchrun.workbook.layout import MORE, STATUS_COLUMNS
from batchrun.workbook.marks import AGAIN
from batchrun.workbook.sheets import Look, TableSheets
from batchrun.workbook.styles import Head

if TYPE_CHECKING:
    from batchrun.model import BatchResults, Cell
    from batchrun.workbook.columns import ColumnSurvey
    from batchrun.workbook.layout import Layout, ResultColumn
    from batchrun.workbook.sheets import Book

TITLE = "Columns"
_STATUS_WORDS = {
    "batchrun status": ("text", "what became of the row; see the sheet Summary"),
    "batchrun message": (
        "text",
        "why, for a row that is not completed; where a result was reused, from where",
    ),
    AGAIN: ("anything", "write something here, save, and: batchrun run THIS_FILE"),
    "execution id": ("text", "the execution in PG:AI"),
    "triggered (UTC)": ("date and time (UTC)", "when PG:AI accepted it"),
    "started (UTC)": ("date and time (UTC)", "when it began to run"),
    "finished (UTC)": ("date and time (UTC)", "when it ended"),
    "seconds": ("number", "how long it ran"),
}


def guide_sheets(book: Book, layout: Layout) -> TableSheets:
    """The empty sheet."""
    looks = [
        Look("column", 9, Head.LIST),
        Look("name", 34, Head.LIST),
        Look("comes from", 16, Head.STATUS),
        Look("what it is", 44, Head.STATUS),
        Look("type", 22, Head.RESULT),
        Look("filled", 10, Head.RESULT),
        Look("filled share", 10, Head.RESULT, formats={"float": "0%"}),
        Look("example", 52, Head.RESULT),
    ]
    return TableSheets(book, TITLE, looks, len(layout.header) + 1, frozen=2)


def write_guide(sheets: TableSheets, layout: Layout, results: BatchResults) -> None:
    """Write a line for each column."""
    rows = results.summary.rows
    lines: list[tuple[str, str, str, ColumnSurvey | None, str]] = []
    for title, survey in zip(layout.original, layout.original_surveys, strict=True):
        lines.append((title, "your list", "unchanged", survey, ""))
    for title in (*STATUS_COLUMNS[:2], AGAIN, *STATUS_COLUMNS[2:]):
        kind, words = _STATUS_WORDS[title]
        lines.append((title, "batchrun", words, None, kind))
    lines += [
        (column.title, "the results", _words(column), column.survey, "")
        for column in layout.results
    ]
    if layout.overflow:
        words = "results that have no column, because Excel has no more"
        lines.append((MORE, "the results", words, None, "text"))
    for position, (title, source, words, seen, kind) in enumerate(lines, 1):
        counted: list[Cell] = [kind, None, None, None]
        if seen is not None:
            share = seen.filled / rows if rows else None
            counted = [
                seen.type_name(turned=source == "the results"),
                seen.filled,
                share,
                shown(seen.example),
            ]
        sheets.append([get_column_letter(position), title or "(blank)", source, words, *counted])


def _words(column: ResultColumn) -> str:
    path = " → ".join(key if key.strip() else repr(key) for key in column.path)
    if column.counts:
        return f"{path}: how many; each is a line of the sheet {dotted(column.path)}"
    if column.survey.nulls:
        return f"{path}; sent empty (null) {plural(column.survey.nulls, 'time')}"
    return path
