"""Results as an Excel workbook: Results, Needs attention, details, Summary, Columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.workbook.attention import attention_sheets, write_attention
from batchrun.workbook.cells import Fitter
from batchrun.workbook.details import DetailSheets
from batchrun.workbook.guide import guide_sheets, write_guide
from batchrun.workbook.layout import MORE, STATUS_COLUMNS, layout_of
from batchrun.workbook.limits import EXCEL, Limits
from batchrun.workbook.marks import AGAIN, SHEET, Signature, sign
from batchrun.workbook.sheets import Book, Look, TableSheets, look_of
from batchrun.workbook.source import SourceLook, source_looks
from batchrun.workbook.styles import Head
from batchrun.workbook.summary import SummarySheet

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import BatchResults
    from batchrun.workbook.layout import Layout, Shape

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
