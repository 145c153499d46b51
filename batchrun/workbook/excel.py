"""Results as an Excel workbook: Results, Needs attention, details, Summary, Columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from openpyxl.utils import get_column_letter

from batchrun.model import Outcome, Role
from batchrun.text import plural
from batchrun.workbook.cells import EXCEL, Fitter, Limits
from batchrun.workbook.columns import name_of, shown
from batchrun.workbook.flatten import dotted
from batchrun.workbook.layout import MORE, STATUS_COLUMNS, layout_of
from batchrun.workbook.marks import AGAIN, MENDED, SHEET, Signature, sign
from batchrun.workbook.sheets import Book, Look, TableSheets, look_of
from batchrun.workbook.source import SourceLook, source_looks
from batchrun.workbook.styles import Head
from batchrun.workbook.summary import SummarySheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchrun.model import JSON, BatchResults, Cell, ResultRow
    from batchrun.workbook.columns import ColumnSurvey
    from batchrun.workbook.flatten import Flat
    from batchrun.workbook.layout import DetailTable, Layout, ResultColumn, Shape


COLUMNS_TITLE = "Columns"
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
    return TableSheets(book, COLUMNS_TITLE, looks, len(layout.header) + 1, frozen=2)


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


ATTENTION_TITLE = "Needs attention"
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
    return TableSheets(
        book, ATTENTION_TITLE, looks, max(rows, 1), frozen=2 if names else 1, outcome=outcome
    )


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


class DetailSheets:
    """The detail sheets of a workbook.

    Args:
        book: The workbook.
        layout: What lists there are.
    """

    def __init__(self, book: Book, layout: Layout) -> None:
        self._layout = layout
        self._sheets: dict[int, TableSheets] = {}
        for table in layout.tables:
            for each in table.with_all_below():
                self._sheets[id(each)] = TableSheets(
                    book, each.title, _looks(each), each.lines, frozen=3 if each.named else 2
                )

    def add(self, row: ResultRow, flat: Flat, place: str) -> dict[int, str]:
        """Write the items of a row.

        Args:
            row: The row.
            flat: Its result, flattened.
            place: Where the row is, for links back.

        Returns:
            Position of a result column that counts a list → place of the list's first item.
        """
        positions = {column.path: at for at, column in enumerate(self._layout.results)}
        first: dict[int, str] = {}
        for table in self._layout.tables:
            items = flat.items.get(table.path)
            if items:
                first[positions[table.path]] = self._sheets[id(table)].next_place
                self._add_items(table, items, (row, place), "")
        return first

    def _add_items(
        self,
        table: DetailTable,
        items: Sequence[Mapping[str, JSON]],
        home: tuple[ResultRow, str],
        above: str,
    ) -> None:
        row, place = home
        name = [name_of(row.row.cells, self._layout.names)] if self._layout.names else []
        sheets = self._sheets[id(table)]
        for number, item in enumerate(items, 1):
            flat = self._layout.flat(dict(item))
            path = f"{above}{number}"
            inside = {0: place}
            for below in table.tables:
                if flat.items.get(below.path):
                    at = next(i for i, each in enumerate(table.columns) if each.path == below.path)
                    inside[len(table.leading) + at] = self._sheets[id(below)].next_place
            where: Cell = path if above else number
            ids = {Role.COMPANY: row.company_id, Role.CONTACT: row.contact_id}
            values = [row.row.line, where, *name, *(ids[role] for role in self._layout.roles)]
            sheets.append([*values, *(column.value(flat) for column in table.columns)], inside)
            for below in table.tables:
                self._add_items(below, flat.items.get(below.path, []), home, f"{path}.")


def _looks(table: DetailTable) -> list[Look]:
    looks = [Look(title, 9, Head.LIST) for title in table.leading[:2]]
    looks += [Look(title, 16, Head.LIST, wrap=False) for title in table.leading[2:]]
    if table.named:
        looks[2] = Look(table.leading[2], 34, Head.LIST)
    return [*looks, *(look_of(each.title, each.survey, Head.RESULT) for each in table.columns)]


_STATUS_WIDTHS = (13, 30, 24, 20, 20, 20, 11)
_TECHNICAL = slice(2, 6)
"""The status columns that one click folds away: execution id and times."""


def write_excel(
    results: BatchResults,
    path: Path,
    shape: Shape | None = None,
    *,
    whole_name: str = "OUT.jsonl",
    limits: Limits = EXCEL,
) -> int:
    """Write the workbook; its rows are streamed, so that memory does not grow with them.

    Args:
        results: What to write.
        path: Where to.
        shape: Which result columns, in which order, under which names.
        whole_name: What a cell that can't hold its value says where the whole value is.
        limits: What a sheet can hold.

    Returns:
        How many values are not whole in it.
    """
    layout = layout_of(results, shape, limits)
    fitter = Fitter(limits, whole_name)
    with Book(limits, fitter) as book:
        _describe(book, results)
        rows = _results_sheets(book, results, layout)
        attention = attention_sheets(book, results, layout.names)
        details = DetailSheets(book, layout)
        summary = SummarySheet(book)
        guide = guide_sheets(book, layout)
        _write_rows(rows, details, results, layout)
        write_attention(attention, results, layout.names, rows)
        summary.write(results.summary, layout)
        write_guide(guide, layout, results)
        book.save(path)
    return fitter.shortened + layout.overflow


def _describe(book: Book, results: BatchResults) -> None:
    properties = book.workbook.properties
    properties.creator = "batchrun"
    properties.title = f"{results.summary.workflow.name}: {results.summary.source.name}"
    sign(book.workbook, Signature(results.summary.batch_id, results.summary.updated_at))
    properties.created = results.summary.created_at.replace(tzinfo=None)


def _results_sheets(book: Book, results: BatchResults, layout: Layout) -> TableSheets:
    looks = _list_looks(results, layout)
    looks += [
        Look(
            title,
            width,
            Head.STATUS,
            wrap=title == "batchrun message",
            group=title in STATUS_COLUMNS[_TECHNICAL],
            formats={"float": "0.0"},
        )
        for title, width in zip(STATUS_COLUMNS, _STATUS_WIDTHS, strict=True)
    ]
    looks.insert(_again_at(layout), Look(AGAIN, 11, Head.ASKED))
    looks += [look_of(each.title, each.survey, Head.RESULT) for each in layout.results]
    if layout.overflow:
        looks.append(Look(MORE, 52))
    return TableSheets(
        book,
        SHEET,
        looks,
        results.summary.rows,
        frozen=_frozen(layout, looks),
        outcome=len(layout.original),
    )


def _list_looks(results: BatchResults, layout: Layout) -> list[Look]:
    """The list's own columns: as they were in a workbook, else as their content asks for."""
    before = source_looks(results)
    looks = []
    for position, (title, survey) in enumerate(
        zip(layout.original, layout.original_surveys, strict=True)
    ):
        was = before.get(position, SourceLook())
        if was.width is not None:
            look = Look(title, was.width, Head.LIST, wrap=False, formats=was.formats)
        elif position in results.roles.values():
            look = Look(title, 16, Head.LIST, wrap=False, formats=was.formats)
        else:
            look = look_of(title, survey, Head.LIST, formats=was.formats)
        looks.append(look)
    return looks


def _frozen(layout: Layout, looks: list[Look]) -> int:
    """Columns that stay in sight: up to the one that names a row, unless that takes the screen."""
    upto = max(layout.names, default=-1) + 1
    return upto if sum(look.width for look in looks[:upto]) <= 70 else 0


def _write_rows(
    rows: TableSheets, details: DetailSheets, results: BatchResults, layout: Layout
) -> None:
    first_result = len(layout.original) + len(STATUS_COLUMNS) + 1
    again = _again_at(layout)
    for number, row in enumerate(results.rows):
        flat = layout.flat(row.result)
        lists = details.add(row, flat, rows.place(number)) if flat.items else {}
        inside = {first_result + position: place for position, place in lists.items()}
        values = layout.values(row, flat)
        values.insert(again, None)
        rows.append(values, inside)


def _again_at(layout: Layout) -> int:
    """Where the column "run again" is: beside what became of the row, and why."""
    return len(layout.original) + 2
