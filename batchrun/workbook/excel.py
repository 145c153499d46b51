"""Results as an Excel workbook.

Sheets, in this order: Overview, Results, Needs attention (if any row does), Changes (if there is
an earlier batch), one per list of objects, and, for operators, Columns and Run details. A failure
in one row, sheet, or chart leaves out only that part, with a note: the results are paid for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, islice, repeat
from typing import TYPE_CHECKING, Generic, TypeVar

from batchrun.model import Outcome
from batchrun.text import as_json
from batchrun.workbook.analysis import Analysis
from batchrun.workbook.cells import EXCEL, Limits, as_text, free_name
from batchrun.workbook.changes import SAME, Comparison
from batchrun.workbook.flatten import Flat
from batchrun.workbook.form import Form
from batchrun.workbook.layout import REASON, STATUS_COLUMNS, layout_of
from batchrun.workbook.marks import Signature, sign
from batchrun.workbook.overview import OverviewSheet, RunDetailsSheet
from batchrun.workbook.reasons import SHEET, Commands, RowsToShow
from batchrun.workbook.sheets import Book, TableColumn, TableSheets
from batchrun.workbook.source import ListFormats
from batchrun.workbook.styles import ColumnKind
from batchrun.workbook.table_sheets import (
    AttentionSheet,
    ChangesSheet,
    ColumnsSheet,
    DetailSheets,
    ResultsSheet,
    list_columns,
)
from batchrun.workbook.target import part_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from batchrun.model import BatchResults, BatchSummary
    from batchrun.workbook.layout import Layout

_Item = TypeVar("_Item")

MAX_ROWS = EXCEL.rows - 1
"""Rows of a list that fit on one sheet, below the header."""


@dataclass(slots=True)
class Content:
    """What all sheets of a workbook are made from."""

    results: BatchResults
    form: Form  # the audience, and whether texts in Markdown keep their markup
    layout: Layout  # the columns, and why rows have no result
    analysis: Analysis  # what the results say; complete when all rows of Results are written
    formats: ListFormats = field(default_factory=ListFormats)
    # The changes since an earlier batch; None if there is none
    comparison: Comparison | None = None
    # The sentence that says which part of the results this is; "" for all of them
    part: str = ""

    @property
    def commands(self) -> Commands:
        """How to continue the batch."""
        return self.form.commands or Commands()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One of the files that a workbook is split into."""

    path: Path
    first: int  # its first row, counted from 0
    results: BatchResults  # the results of its rows
    parts: Sequence[Part]  # all parts, in list order

    @property
    def end(self) -> int:
        """The row after its last one."""
        return self.first + self.results.summary.rows

    @property
    def words(self) -> str:
        """A sentence that says which rows the part has."""
        return (
            f"Part {self.parts.index(self) + 1} of {len(self.parts)}: rows {self.first + 1:,} to "
            f"{self.end:,} of {self.parts[-1].end:,}. The figures are of these rows."
        )


def part_paths(target: Path, rows: int, rows_per_file: int | None) -> tuple[Path, ...]:
    """Return the paths of a workbook's parts: the target, then files beside it."""
    number = max(1, -(-rows // min(rows_per_file or MAX_ROWS, MAX_ROWS)))
    return target, *(part_path(target, at) for at in range(2, number + 1))


def split(results: BatchResults, target: Path, rows_per_file: int | None) -> list[Part]:
    """Return the parts to split a workbook into; none if all rows fit into one file."""
    paths = part_paths(target, results.summary.rows, rows_per_file)
    most = min(rows_per_file or MAX_ROWS, MAX_ROWS)
    parts: list[Part] = []
    if len(paths) == 1:
        return parts
    counts = [dict.fromkeys(results.summary.counts, 0) for _ in paths]
    for number, row in enumerate(results.rows):
        counts[number // most][row.outcome] += 1
    earlier, formats = results.earlier, ListFormats.decoded(results.list_formats)
    for first, path, counted in zip(count(0, most), paths, counts, strict=False):
        end = first + most
        own = replace(
            results,
            summary=replace(results.summary, counts=counted),
            rows=_Slice(results.rows, first, end),
            earlier=earlier and replace(earlier, rows=_Slice(earlier.rows, first, end)),
            list_formats=formats.part(first, end).encoded(),
        )
        parts.append(Part(path, first, own, parts))
    return parts


class _Slice(Generic[_Item]):
    """A slice of an iterable that can be iterated repeatedly."""

    def __init__(self, items: Iterable[_Item], first: int, end: int) -> None:
        self._items, self._first, self._end = items, first, end

    def __iter__(self) -> Iterator[_Item]:
        return islice(iter(self._items), self._first, self._end)


def write_excel(
    results: BatchResults,
    path: Path,
    form: Form | None = None,
    *,
    whole_name: str = "OUT.jsonl",
    limits: Limits = EXCEL,
    part: Part | None = None,
) -> int:
    """Write the workbook; rows are streamed, so memory does not grow with their number.

    A shortened cell refers to the file ``whole_name`` for the full value. Returns the number of
    values that were shortened.
    """
    form = form or Form()
    results = replace(results, rows=RowsToShow(results, for_people=form.for_people))
    layout = layout_of(results, form, limits, arranged=True)
    content = Content(results, form, layout, Analysis(layout))
    practice = "Practice: invented results. " if layout.practice else ""
    footer = f"{practice}{results.summary.source.name}"
    with Book(footer, limits=limits, whole_name=whole_name) as book:
        with book.optional("the list's own formats"):
            content.formats = ListFormats.decoded(results.list_formats)
        with book.optional("the document's properties"):
            _describe(book, results)
        overview = OverviewSheet(book)
        if part is not None:
            content.part = part.words
            if part is part.parts[0]:
                with book.optional("the sheet Parts"):
                    write_parts(book, part.parts)
        if results.earlier is not None:
            with book.optional("the sheet Changes"):
                content.comparison = Comparison(results, layout, content.analysis.score)
        _write_sheets(book, content, overview)
        book.save(path)
    return book.fitter.shortened + layout.incomplete


def _write_sheets(book: Book, content: Content, overview: OverviewSheet) -> None:
    """Create the sheets in their order, then write them: some tell where rows are on others."""
    results, comparison = content.results, content.comparison
    operators = not content.form.for_people
    shown = ResultsSheet(book, content)
    attention = AttentionSheet(book, content) if content.layout.attention else None
    changes = None
    if comparison and results.earlier and comparison.marks_counted.keys() - {SAME}:
        changes = ChangesSheet(book, content, comparison, results.earlier)
    details = DetailSheets(book, content)
    columns = ColumnsSheet(book, content, shown) if operators else None
    run_details = RunDetailsSheet(book) if operators else None
    _write_rows(book, content, shown, details)
    for name, write in (
        ("Changes", partial(changes.write, shown.sheets) if changes else None),
        ("Needs attention", partial(attention.write, shown.sheets) if attention else None),
        ("Columns", partial(columns.write, results.summary.rows) if columns else None),
        ("Overview", partial(overview.write, content, shown.sheets, attention, changes)),
        ("Run details", partial(run_details.write, content) if run_details else None),
    ):
        if write is not None:
            with book.optional(f"the sheet {name}"):
                write()
    overview.close()


def _write_rows(book: Book, content: Content, shown: ResultsSheet, details: DetailSheets) -> None:
    """Write Results and the details, row by row, and count what the results say."""
    layout, comparison = content.layout, content.comparison
    marks = repeat(None) if comparison is None else comparison.marks()
    rows = zip(content.results.rows, content.formats.of_rows(), marks, strict=False)
    for number, (row, codes, mark) in enumerate(rows):
        flat, lists = Flat(), {}
        try:
            flat = layout.flat(row.result)
            values = layout.values(row, flat)
        except Exception as error:
            book.leave_out(f"the result of line {row.row.line} in columns", error)
            values = layout.plain_values(row)
        values[len(layout.original)] = row.outcome.words
        try:  # not `optional`, which would take its time in every row
            if flat.items:
                home = shown.sheets.row_of(number), shown.sheets.place(number)
                lists = details.add(row, flat, home)
            content.analysis.see(number, row, flat)
        except OSError:
            raise
        except Exception as error:
            book.leave_out(f"the details of line {row.row.line}", error)
        shown.append(values, lists, codes, mark)


def write_parts(book: Book, parts: Sequence[Part]) -> None:
    """Write the sheet Parts: which rows are in which file. All files are in one folder."""
    titles = ("First row", "Last row", "Rows", "With a result")
    columns = [
        TableColumn("File", 52, wrap=False),
        *(TableColumn(title, 14) for title in titles),
        TableColumn("Without a result", 16),
    ]
    sheets = TableSheets(book, "Parts", columns, len(parts))
    for part in parts:
        rows, completed = part.end - part.first, part.results.summary.counts[Outcome.COMPLETED]
        sheets.append([part.path.name, part.first + 1, part.end, rows, completed, rows - completed])


def _describe(book: Book, results: BatchResults) -> None:
    summary, plain = results.summary, book.fitter.plain
    properties = book.workbook.properties
    properties.title = plain(f"{summary.workflow.name}: {summary.source.name}")
    properties.subject = plain(f"Results of {summary.workflow.name} for {summary.rows:,} rows")
    _date(book, summary)
    sign(book.workbook, Signature(summary.batch_id, summary.updated_at))


def _date(book: Book, summary: BatchSummary) -> None:
    """Date a workbook as its batch: the same results give the same file at any time."""
    properties = book.workbook.properties
    properties.creator = "batchrun"
    properties.created = summary.created_at.replace(tzinfo=None)
    properties.modified = summary.updated_at.replace(tzinfo=None)


def write_list(results: BatchResults, path: Path, outcomes: Collection[Outcome]) -> None:
    """Write the list's own columns for rows with these outcomes, unchanged, plus the reason."""
    layout = layout_of(results, Form(columns=()), EXCEL)
    formats = ListFormats.decoded(results.list_formats)
    columns = [
        *list_columns(results, layout, formats),
        TableColumn(free_name(REASON, results.header), 52, ColumnKind.STATUS),
    ]
    rows = sum(results.summary.counts[outcome] for outcome in outcomes)
    with Book(results.summary.source.name) as book:
        _date(book, results.summary)
        sheets = TableSheets(book, results.summary.source.sheet or "List", columns, rows)
        for row, codes in zip(results.rows, formats.of_rows(), strict=False):
            if row.outcome in outcomes:
                reason = row.message or row.outcome.value
                cells = [*layout.own_cells(row.row.cells), reason]
                sheets.append(cells, formats=codes[: layout.own])
        book.save(path)


def write_plain_excel(results: BatchResults, path: Path, why: str) -> None:
    """Write a workbook of plain text, for results that `write_excel` can't write.

    Its last sheet says ``why``.
    """
    room = EXCEL.columns - len(STATUS_COLUMNS)
    with Book() as book:
        with book.optional("the document's properties"):
            _describe(book, results)
        header = (*results.header[:room], *STATUS_COLUMNS[:3], "result (JSON)")
        columns = [TableColumn(title, 26, wrap=False) for title in header]
        sheets = TableSheets(book, SHEET, columns, results.summary.rows)
        for row in results.rows:
            cells = [None if cell is None else as_text(cell) for cell in row.row.cells[:room]]
            status = [row.outcome.words, row.message or None, row.execution_id]
            result = None if row.result is None else as_json(row.result)
            sheets.append([*cells, *status, result])
        TableSheets(book, "About this file", [TableColumn(why, 100)], 1)
        book.save(path)
