"""Results as an Excel workbook: Results, Needs attention, details, Summary, Columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from openpyxl.utils import get_column_letter

from batchrun.model import Outcome, Role
from batchrun.text import plural
from batchrun.workbook.cells import EXCEL, Fitter, Limits, as_text
from batchrun.workbook.columns import name_of, shown
from batchrun.workbook.flatten import as_json, dotted
from batchrun.workbook.layout import MORE, STATUS_COLUMNS, Shape, layout_of
from batchrun.workbook.marks import AGAIN, MENDED, SHEET, Signature, sign
from batchrun.workbook.sheets import Book, TableColumn, TableSheets, column_for
from batchrun.workbook.source import ListFormats
from batchrun.workbook.styles import ColumnKind
from batchrun.workbook.summary import SummarySheet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from batchrun.model import JSON, BatchResults, Cell, ResultRow
    from batchrun.workbook.columns import ColumnSurvey
    from batchrun.workbook.flatten import Flat
    from batchrun.workbook.layout import DetailTable, Layout, ResultColumn


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
    columns = [
        TableColumn("column", 9, ColumnKind.LIST),
        TableColumn("name", 34, ColumnKind.LIST),
        TableColumn("comes from", 16, ColumnKind.STATUS),
        TableColumn("what it is", 44, ColumnKind.STATUS),
        TableColumn("type", 22, ColumnKind.RESULT),
        TableColumn("filled", 10, ColumnKind.RESULT),
        TableColumn("filled share", 10, ColumnKind.RESULT, formats={"float": "0%"}),
        TableColumn("example", 52, ColumnKind.RESULT),
    ]
    return TableSheets(book, COLUMNS_TITLE, columns, len(layout.header) + 1, frozen=2)


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
    columns = [
        TableColumn("line", 9, ColumnKind.LIST),
        *([TableColumn("name", 34, ColumnKind.LIST)] if names else []),
        *(
            TableColumn(f"{role.name.lower()} id", 38, ColumnKind.LIST, wrap=False)
            for role in results.roles
        ),
        TableColumn("outcome", 13, ColumnKind.STATUS),
        TableColumn("reason", 52, ColumnKind.STATUS),
        TableColumn("what to do", 60, ColumnKind.STATUS),
    ]
    outcome = len(columns) - 3
    return TableSheets(
        book, ATTENTION_TITLE, columns, max(rows, 1), frozen=2 if names else 1, outcome=outcome
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
        raw_text: Whether texts in Markdown keep their markup.
    """

    def __init__(self, book: Book, layout: Layout, *, raw_text: bool = False) -> None:
        self._layout = layout
        self._sheets: dict[int, TableSheets] = {}
        for table in layout.tables:
            for each in table.with_all_below():
                self._sheets[id(each)] = TableSheets(
                    book,
                    each.title,
                    _detail_columns(each, raw_text=raw_text),
                    each.lines,
                    frozen=3 if each.named else 2,
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


def _detail_columns(table: DetailTable, *, raw_text: bool) -> list[TableColumn]:
    columns = [TableColumn(title, 9, ColumnKind.LIST) for title in table.leading[:2]]
    columns += [TableColumn(title, 16, ColumnKind.LIST, wrap=False) for title in table.leading[2:]]
    if table.named:
        columns[2] = TableColumn(table.leading[2], 34, ColumnKind.LIST)
    return [
        *columns,
        *(
            column_for(each.title, each.survey, ColumnKind.RESULT, markdown=not raw_text)
            for each in table.columns
        ),
    ]


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
    raw_text = shape is not None and shape.raw_text
    fitter = Fitter(limits, whole_name)
    with Book(limits, fitter) as book:
        formats = ListFormats()
        with book.optional("the list's own formats"):
            formats = ListFormats.decoded(results.list_formats)
        with book.optional("the document's properties"):
            _describe(book, results)
        rows = _results_sheets(book, results, layout, formats, raw_text=raw_text)
        attention = attention_sheets(book, results, layout.names)
        details = DetailSheets(book, layout, raw_text=raw_text)
        summary = SummarySheet(book)
        guide = guide_sheets(book, layout)
        _write_rows(book, rows, details, results, layout, formats)
        with book.optional("the sheet Needs attention"):
            write_attention(attention, results, layout.names, rows)
        with book.optional("the sheet Columns"):
            write_guide(guide, layout, results)
        with book.optional("the sheet Summary"):
            summary.write(results.summary, layout)
        summary.write_left_out()
        book.save(path)
    return fitter.shortened + layout.incomplete


def write_list(
    results: BatchResults, path: Path, outcomes: Collection[Outcome], limits: Limits = EXCEL
) -> None:
    """Write the list's own columns of the rows with these outcomes, each cell as it was, and why.

    Args:
        results: The batch.
        path: Where to.
        outcomes: Which rows.
        limits: What a sheet can hold.
    """
    layout = layout_of(results, Shape(columns=()), limits)
    fitter = Fitter(limits, "")
    formats = ListFormats.decoded(results.list_formats)
    columns = [
        *_list_columns(results, layout, formats),
        TableColumn(STATUS_COLUMNS[1], 52, ColumnKind.STATUS),
    ]
    rows = sum(results.summary.counts[outcome] for outcome in outcomes)
    with Book(limits, fitter) as book:
        sheets = TableSheets(
            book,
            results.summary.source.sheet or "List",
            columns,
            rows,
            frozen=_frozen(layout, columns),
        )
        for row, codes in zip(results.rows, formats.of_rows(), strict=False):
            if row.outcome in outcomes:
                reason = row.message or row.outcome.value
                cells = [*layout.own_cells(row.row.cells), reason]
                sheets.append(cells, formats=codes[: layout.own])
        book.save(path)


def write_plain_excel(results: BatchResults, path: Path, why: str) -> None:
    """Write a workbook of text alone, for results that `write_excel` can't write.

    Args:
        results: What to write.
        path: Where to.
        why: What is said of it on its first line.
    """
    fitter = Fitter(EXCEL, "")
    room = EXCEL.columns - len(STATUS_COLUMNS)
    with Book(EXCEL, fitter) as book:
        with book.optional("the document's properties"):
            _describe(book, results)
        header = (*results.header[:room], *STATUS_COLUMNS[:3], "result (JSON)")
        columns = [TableColumn(title, 26, wrap=False) for title in header]
        sheets = TableSheets(book, SHEET, columns, results.summary.rows)
        for row in results.rows:
            cells = [None if cell is None else as_text(cell) for cell in row.row.cells[:room]]
            status = [row.outcome.value, row.message or None, row.execution_id]
            result = None if row.result is None else as_json(row.result)
            sheets.append([*cells, *status, result])
        TableSheets(book, "About this file", [TableColumn(why, 100)], 1)
        book.save(path)


def _describe(book: Book, results: BatchResults) -> None:
    properties = book.workbook.properties
    properties.creator = "batchrun"
    title = f"{results.summary.workflow.name}: {results.summary.source.name}"
    properties.title = book.fitter.plain(title)
    sign(book.workbook, Signature(results.summary.batch_id, results.summary.updated_at))
    properties.created = results.summary.created_at.replace(tzinfo=None)
    properties.modified = results.summary.updated_at.replace(tzinfo=None)


def _results_sheets(
    book: Book, results: BatchResults, layout: Layout, formats: ListFormats, *, raw_text: bool
) -> TableSheets:
    columns = _list_columns(results, layout, formats)
    columns += [
        TableColumn(
            title,
            width,
            ColumnKind.STATUS,
            wrap=title == "batchrun message",
            group=title in STATUS_COLUMNS[_TECHNICAL],
            formats={"float": "0.0"},
        )
        for title, width in zip(STATUS_COLUMNS, _STATUS_WIDTHS, strict=True)
    ]
    columns.insert(_again_at(layout), TableColumn(AGAIN, 11, ColumnKind.INPUT))
    columns += [
        column_for(each.title, each.survey, ColumnKind.RESULT, markdown=not raw_text)
        for each in layout.results
    ]
    if layout.overflow:
        columns.append(TableColumn(MORE, 52))
    return TableSheets(
        book,
        SHEET,
        columns,
        results.summary.rows,
        frozen=_frozen(layout, columns),
        outcome=len(layout.original),
    )


def _list_columns(results: BatchResults, layout: Layout, formats: ListFormats) -> list[TableColumn]:
    """The list's own columns: as wide as in the list's workbook, else as their content needs."""
    columns = []
    for position, (title, survey) in enumerate(
        zip(layout.original, layout.original_surveys, strict=True)
    ):
        width = formats.widths.get(position)
        if width is not None or position in results.roles.values():
            columns.append(TableColumn(title, width or 16, ColumnKind.LIST, wrap=False))
        else:
            columns.append(column_for(title, survey, ColumnKind.LIST))
    return columns


def _frozen(layout: Layout, columns: list[TableColumn]) -> int:
    """Columns that stay in sight: up to the one that names a row, unless that takes the screen."""
    upto = max(layout.names, default=-1) + 1
    return upto if sum(column.width for column in columns[:upto]) <= 70 else 0


def _write_rows(  # noqa: PLR0917  # all of one kind each
    book: Book,
    rows: TableSheets,
    details: DetailSheets,
    results: BatchResults,
    layout: Layout,
    formats: ListFormats,
) -> None:
    first_result = len(layout.original) + len(STATUS_COLUMNS) + 1
    again = _again_at(layout)
    for number, (row, codes) in enumerate(zip(results.rows, formats.of_rows(), strict=False)):
        lists: dict[int, str] = {}
        try:
            flat = layout.flat(row.result)
            with book.optional(f"details of line {row.row.line}"):
                lists = details.add(row, flat, rows.place(number)) if flat.items else {}
            values = layout.values(row, flat)
        except OSError:
            raise
        except Exception as error:
            book.leave_out(f"the result of line {row.row.line} in columns", error)
            values = layout.plain_values(row)
        inside = {first_result + position: place for position, place in lists.items()}
        values.insert(again, None)
        rows.append(values, inside, codes[: layout.own])


def _again_at(layout: Layout) -> int:
    """Where the column "run again" is: beside what became of the row, and why."""
    return len(layout.original) + 2
