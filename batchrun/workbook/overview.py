"""The sheet Overview: what was asked, what came of it, what the results say. One page."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from batchrun.model import Outcome
from batchrun.text import plural
from batchrun.workbook.cells import reference
from batchrun.workbook.changes import CHANGED, NEW, SAME
from batchrun.workbook.page import Page
from batchrun.workbook.styles import CHART_COLORS, color_outcomes
from batchrun.workbook.titles import number_format

if TYPE_CHECKING:
    from batchrun.model import BatchResults, BatchSummary, EarlierResults
    from batchrun.workbook.analysis import Analysis, Counted
    from batchrun.workbook.changes import Comparison
    from batchrun.workbook.layout import Layout
    from batchrun.workbook.sheets import Book, TableSheets

TITLE = "Overview"
_WIDTHS = (44, 13, 13, 13, 3, 36, 11, 9, 3)
_LEFT, _RIGHT = 1, 6
_CHARTS = "J"
TOP_VALUES = 5
MOST_NUMBERS, MOST_CATEGORIES, MOST_LISTS = 6, 3, 2
MOST_COMPLETENESS = 12


class OverviewSheet:
    """The first sheet. It is made before the others and written after them.

    Args:
        book: The workbook.
    """

    def __init__(self, book: Book) -> None:
        self._page = Page(book, TITLE, _WIDTHS)

    def write(
        self,
        results: BatchResults,
        layout: Layout,
        analysis: Analysis,
        rows: TableSheets,
        comparison: Comparison | None = None,
    ) -> None:
        """Write all of it.

        Args:
            results: The batch.
            layout: Its columns.
            analysis: What the results say.
            rows: The sheet Results, to which the best rows lead.
            comparison: What has changed since an earlier batch.
        """
        page, summary = self._page, results.summary
        top = page.title(f"{summary.workflow.name}: {summary.source.name}", *_notes(summary))
        left = self._outcomes(summary, top)
        if comparison is not None and results.earlier is not None:
            left = self._changes(results.earlier, comparison, left)
        left = self._best(analysis, rows, left)
        left = self._numbers(analysis, left)
        self._attention(layout, left)
        right = self._values(analysis, top)
        self._completeness(layout, right)

    def close(self) -> None:
        """Write what there is, and which parts of the workbook could not be made."""
        left_out = self._page.book.left_out
        if left_out:
            row = self._page.section(50, _LEFT, "Could not be shown", wide=4)
            for part in list(left_out)[:10]:
                row = self._page.fact(row, _LEFT, part)
        self._page.write()

    def _outcomes(self, summary: BatchSummary, row: int) -> int:
        page = self._page
        row = first = page.section(row, _LEFT, "Rows", "rows", "share", wide=4)
        found = [(outcome, number) for outcome, number in summary.counts.items() if number]
        for outcome, number in found:
            share = number / summary.rows
            row = page.fact(row, _LEFT, outcome.value, number, share, formats=("#,##0", "0%"))
        if not found:
            return page.fact(row, _LEFT, "The list has no rows.") + 1
        colors = {at: CHART_COLORS[outcome] for at, (outcome, _) in enumerate(found)}
        with page.book.optional("the chart of outcomes"):
            color_outcomes(page.sheet, f"A{first}:A{row - 1}")
            page.bars("Rows by outcome", (first, row - 1), _LEFT, f"{_CHARTS}4", colors=colors)
        return row + 1

    def _changes(self, earlier: EarlierResults, comparison: Comparison, row: int) -> int:
        marks = Counter(comparison.marks())
        if not marks[NEW] + marks[CHANGED] + marks[SAME]:
            return row
        page = self._page
        title = f"Since {earlier.created_at:%Y-%m-%d}"
        row = page.section(row, _LEFT, title, "rows", wide=4)
        for mark in (NEW, CHANGED, SAME):
            row = page.fact(row, _LEFT, mark, marks[mark], formats=("#,##0",))
        return row + 1

    def _best(self, analysis: Analysis, rows: TableSheets, row: int) -> int:
        best, column = analysis.best(), analysis.score
        if not best or column is None:
            return row
        page, code = self._page, number_format(column.path, column.survey)
        row = page.section(row, _LEFT, f"Highest {column.title}", column.title, wide=4)
        for number, name, value in best:
            where = rows.place(number)
            row = page.fact(row, _LEFT, name, value, formats=(code,), location=where)
        return row + 1

    def _numbers(self, analysis: Analysis, row: int) -> int:
        numbers = [
            each for each in analysis.numbers if each.rows and each.quantile(0.5) is not None
        ]
        if not numbers:
            return row
        page = self._page
        row = page.section(row, _LEFT, "Numbers", "lowest", "median", "highest")
        for each in numbers[:MOST_NUMBERS]:
            code = number_format(each.column.path, each.column.survey)
            values = (each.lowest, each.quantile(0.5), each.highest)
            row = page.fact(row, _LEFT, each.column.title, *values, formats=(code,) * 3)
        return row + 1

    def _attention(self, layout: Layout, row: int) -> None:
        if not layout.reasons:
            return
        page, there = self._page, reference("Needs attention", 1)
        row = page.section(row, _LEFT, "Needs attention", "rows", wide=4)
        for reason, number in layout.reasons[:TOP_VALUES]:
            row = page.fact(row, _LEFT, reason, number, formats=("#,##0",), location=there)
        others = sum(number for _, number in layout.reasons[TOP_VALUES:])
        if others:
            page.fact(row, _LEFT, "other reasons", others, formats=("#,##0",), location=there)

    def _values(self, analysis: Analysis, row: int) -> int:
        page = self._page
        categories = [each for each in analysis.categories if each.is_category]
        for position, each in enumerate(categories[:MOST_CATEGORIES]):
            first = row + 1
            row = self._top(each, "rows", row)
            if not position:
                with page.book.optional("the chart of values"):
                    title = f"Rows by {each.column.title}"
                    page.bars(title, (first, row - 2), _RIGHT, f"{_CHARTS}18")
        for each in [each for each in analysis.lists if each.values and not each.full][:MOST_LISTS]:
            row = self._top(each, "rows", row)
        return row

    def _top(self, counted: Counted, unit: str, row: int) -> int:
        page = self._page
        row = page.section(row, _RIGHT, counted.column.title, unit, "share")
        for value, number in counted.top(TOP_VALUES):
            share = number / counted.rows
            row = page.fact(row, _RIGHT, value, number, share, formats=("#,##0", "0%"))
        return row + 1

    def _completeness(self, layout: Layout, row: int) -> None:
        columns = [column for column in layout.results if not column.aside]
        if not columns or not layout.filled:
            return
        page = self._page
        row = page.section(row, _RIGHT, "How complete the results are", "rows", "share")
        for column in columns[:MOST_COMPLETENESS]:
            filled = column.survey.filled
            share = filled / layout.filled
            row = page.fact(row, _RIGHT, column.title, filled, share, formats=("#,##0", "0%"))
        more = len(columns) - MOST_COMPLETENESS
        if more > 0:
            page.fact(row, _RIGHT, f"{plural(more, 'more column')}: see the sheet Columns")


def _notes(summary: BatchSummary) -> tuple[str, ...]:
    completed = summary.counts[Outcome.COMPLETED]
    day = f"{summary.created_at:%Y-%m-%d}"
    if completed == summary.rows:
        have = f"All {summary.rows:,} rows have" if completed != 1 else "The row has"
    else:
        have = (
            f"{completed:,} of {plural(summary.rows, 'row')} {'has' if completed == 1 else 'have'}"
        )
    asked = f"Run on {day}. {have} a result."
    if not summary.parameters:
        return (asked,)
    parameters = ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in summary.parameters.items()
    )
    return asked, f"With {parameters}"
