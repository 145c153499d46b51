"""The sheet Overview: what was asked, the outcomes, and what the results say. One page."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from batchrun.model import Outcome
from batchrun.text import plural
from batchrun.workbook.changes import CHANGED, NEW, SAME
from batchrun.workbook.page import Page, shorter
from batchrun.workbook.styles import CHART_COLORS, color_outcomes
from batchrun.workbook.titles import number_format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchrun.model import BatchResults, BatchSummary, EarlierResults
    from batchrun.workbook.analysis import Analysis, Counted
    from batchrun.workbook.changes import Comparison
    from batchrun.workbook.layout import Layout
    from batchrun.workbook.sheets import Book, TableSheets
    from batchrun.workbook.table_sheets import AttentionSheet, ChangesSheet

TITLE = "Overview"
_WIDTHS = (40, 12.5, 12.5, 12.5, 2, 32, 8, 8, 2, 40, 8, 8)
_LEFT, _MIDDLE, _RIGHT = 1, 6, 10
_WHY = 3
_WHY_WIDTH = sum(_WIDTHS[_WHY - 1 : _RIGHT - 2])
_CHART_COLUMN = "J"
_CHART_CM = 8.6
_BARS_CM, _BAR_CM = 1.6, 0.62
_LARGE = 1e9
"""Numbers from here on are shown in millions."""
TOP_VALUES = 5
MAX_NUMBERS, MAX_CATEGORIES, MAX_LISTS = 6, 3, 2
MAX_CHANGED_FIELDS = 3
MAX_INCOMPLETE = 10


class OverviewSheet:
    """The first sheet. It is created before the others and written after them.

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
        *,
        comparison: Comparison | None = None,
        attention: AttentionSheet | None = None,
        changes: ChangesSheet | None = None,
        part: str = "",
    ) -> None:
        """Write the whole sheet.

        Args:
            results: The batch.
            layout: Its columns.
            analysis: What the results say.
            rows: The sheet Results, which the best rows link to.
            comparison: The changes since an earlier batch.
            attention: The sheet of rows without a result.
            changes: The sheet with the changes.
            part: The sentence that says which part of the results this is; ``""`` for all of them.
        """
        page, summary = self._page, results.summary
        notes = filter(None, (*_notes(summary), part))
        top = page.title(f"{summary.workflow.name}: {summary.source.name}", *notes)
        left, right = self._outcomes(summary, top)
        if attention is not None:
            left = self._attention(layout, attention, left)
        if comparison is not None and results.earlier is not None:
            left = self._changes(results.earlier, comparison, changes, left)
        categories = [each for each in analysis.categories if each.is_category]
        lists = [each for each in analysis.lists if each.values and not each.full][:MAX_LISTS]
        middle, right = self._categories(categories[:MAX_CATEGORIES], top, right)
        below = max(left, middle)
        last = self._best(analysis, rows, below)
        right = self._completeness(layout, max(right, below))
        self._numbers(analysis, last)
        places = ((last, _MIDDLE), (max(right, last), _RIGHT))
        for each, (row, column) in zip(lists, places, strict=False):
            self._top(each, row, column)

    def close(self) -> None:
        """Write the cells, and list the parts of the workbook that could not be made."""
        left_out = self._page.book.left_out
        if left_out:
            row = self._page.section(60, _LEFT, "Could not be shown", wide=4)
            for part in list(left_out)[:10]:
                row = self._page.fact(row, _LEFT, part)
        self._page.write()

    def _outcomes(self, summary: BatchSummary, row: int) -> tuple[int, int]:
        """Write the rows by outcome; return the next row below them, and below their chart."""
        page, top = self._page, row
        row = first = page.section(row, _LEFT, "Status", "rows", "share", wide=4)
        found = [(outcome, number) for outcome, number in summary.counts.items() if number]
        for outcome, number in found:
            row = self._share(row, _LEFT, outcome.value, number, of=summary.rows)
        if not found:
            return page.fact(row, _LEFT, "The list has no rows.") + 1, top
        colors = {at: CHART_COLORS[outcome] for at, (outcome, _) in enumerate(found)}
        chart = 0
        with page.book.optional("the chart of outcomes"):
            color_outcomes(page.sheet, f"A{first}:A{row - 1}")
            if len(found) > 1:
                chart = self._chart("Rows by status", (first, row - 1), _LEFT, top, colors)
        return row + 1, top + chart

    def _chart(
        self,
        title: str,
        lines: tuple[int, int],
        column: int,
        top: int,
        colors: Mapping[int, str] | None = None,
    ) -> int:
        """Add a chart on the right; return how many rows it covers."""
        size = _CHART_CM, _BARS_CM + _BAR_CM * (lines[1] - lines[0] + 1)
        place = f"{_CHART_COLUMN}{top}"
        return self._page.bars(title, lines, column, place, colors=colors, size=size) + 1

    def _share(self, row: int, column: int, name: str, number: int, *, of: int) -> int:
        """Write a number of rows and their share of all; return the next row."""
        share = number / of
        code = "0.0%" if 0 < share < 0.01 or 0.99 < share < 1 else "0%"
        return self._page.fact(row, column, name, number, share, formats=("#,##0", code))

    def _changes(
        self,
        earlier: EarlierResults,
        comparison: Comparison,
        changes: ChangesSheet | None,
        row: int,
    ) -> int:
        marks = Counter(comparison.marks())
        if not marks[NEW] + marks[CHANGED] + marks[SAME]:
            return row
        page, there = self._page, "" if changes is None else changes.place
        several = len(earlier.batch_ids) > 1
        title = "Since the last results" if several else f"Since {earlier.created_at:%Y-%m-%d}"
        row = page.section(row, _LEFT, title, "rows", wide=4)
        for mark in (NEW, CHANGED, SAME):
            where = there if mark is CHANGED and marks[CHANGED] else ""
            row = page.fact(row, _LEFT, mark, marks[mark], formats=("#,##0",), location=where)
            if mark is CHANGED:
                fields = Counter(change.field for change in comparison.changes())
                for field, number in fields.most_common(MAX_CHANGED_FIELDS):
                    row = page.fact(row, _LEFT, field, number, formats=("#,##0",), indent=2)
                if (more := len(fields) - MAX_CHANGED_FIELDS) > 0:
                    name = f"and {plural(more, 'other field')}"
                    row = page.fact(row, _LEFT, name, None, location=there, indent=2)
        return row + 1

    def _best(self, analysis: Analysis, rows: TableSheets, row: int) -> int:
        best, column = analysis.best(), analysis.score
        if not best or column is None:
            return row
        page, code = self._page, number_format(column.path, column.survey)
        which = "Lowest" if analysis.ascending else "Highest"
        why = "" if analysis.why is None else analysis.why.title
        heads = (f"{which} {column.title}", column.title, why)
        wide = _RIGHT - 2
        row = page.section(row, _LEFT, *heads, wide=wide, left=range(2, wide))
        style = page.book.styles.fact(indent=1)
        for each in best:
            where = rows.place(each.number)
            page.put(row, _WHY, shorter(each.why, _WHY_WIDTH), style)
            row = page.fact(row, _LEFT, each.name, each.value, formats=(code,), location=where)
        return row + 1

    def _numbers(self, analysis: Analysis, row: int) -> None:
        numbers = [
            each for each in analysis.numbers if each.rows and each.quantile(0.5) is not None
        ]
        if not numbers:
            return
        page = self._page
        row = page.section(row, _LEFT, "Numbers", "lowest", "median", "highest")
        for each in numbers[:MAX_NUMBERS]:
            code = number_format(each.column.path, each.column.survey)
            values = (each.lowest, each.quantile(0.5), each.highest)
            formats = [_in_millions(code) if _is_large(value) else code for value in values]
            row = page.fact(row, _LEFT, each.column.title, *values, formats=formats)

    def _attention(self, layout: Layout, attention: AttentionSheet, row: int) -> int:
        page, reasons, rows = self._page, layout.reasons.ranked(), ("", "", "#,##0")
        row = page.section(row, _LEFT, "Needs attention", "", "", "rows")
        for reason in reasons[:TOP_VALUES]:
            there = attention.place(reason)
            row = page.fact(
                row, _LEFT, reason.text, None, None, reason.rows, formats=rows, location=there
            )
        rest = reasons[TOP_VALUES:]
        others = sum(reason.rows for reason in rest) + layout.reasons.others
        if others:
            there = attention.place(rest[0]) if rest else ""
            values = (None, None, others)
            row = page.fact(row, _LEFT, "other reasons", *values, formats=rows, location=there)
        return row + 1

    def _categories(self, categories: Sequence[Counted], row: int, right: int) -> tuple[int, int]:
        """Write the columns of few values, the first with a chart; return the next rows."""
        page = self._page
        for position, each in enumerate(categories):
            first = row + 1
            row = self._top(each, row)
            if not position:
                with page.book.optional("the chart of values"):
                    title = f"Rows by {each.column.title}"
                    right += self._chart(title, (first, row - 2), _MIDDLE, right)
        return row, right

    def _top(self, counted: Counted, row: int, column: int = _MIDDLE) -> int:
        row = self._page.section(row, column, counted.column.title, "rows", "share")
        for value, number in counted.top(TOP_VALUES):
            row = self._share(row, column, value, number, of=counted.rows)
        return row + 1

    def _completeness(self, layout: Layout, row: int) -> int:
        columns = [column for column in layout.results if not column.aside]
        if not columns or not layout.filled:
            return row
        page = self._page
        row = page.section(row, _RIGHT, "How complete the results are", "rows", "share")
        gaps = [column for column in columns if column.survey.filled < layout.filled]
        gaps.sort(key=lambda column: column.survey.filled)
        for column in gaps[:MAX_INCOMPLETE]:
            row = self._share(row, _RIGHT, column.title, column.survey.filled, of=layout.filled)
        if more := gaps[MAX_INCOMPLETE:]:
            least = more[0].survey.filled
            name = f"{plural(len(more), 'other column')}, at least"
            row = self._share(row, _RIGHT, name, least, of=layout.filled)
        if whole := len(columns) - len(gaps):
            name = plural(whole, "other column") if gaps else "every column"
            row = self._share(row, _RIGHT, name, layout.filled, of=layout.filled)
        return row + 1


def _is_large(value: float | None) -> bool:
    return value is not None and abs(value) >= _LARGE


def _in_millions(code: str) -> str:
    """Return a number format in millions, for numbers too wide for a column."""
    return re.sub(r"(#,##0|(?<!#)0)(\.0+)?", '#,##0,,"M"', code, count=1)


def _notes(summary: BatchSummary) -> tuple[str, ...]:
    completed = summary.counts[Outcome.COMPLETED]
    day = f"{summary.created_at:%Y-%m-%d}"
    if completed == summary.rows:
        have = f"All {summary.rows:,} rows have" if completed != 1 else "The row has"
    else:
        have = (
            f"{completed:,} of {plural(summary.rows, 'row')} {'has' if completed == 1 else 'have'}"
        )
    open_rows = summary.rows - completed
    attention = f", {open_rows:,} {'needs' if open_rows == 1 else 'need'} attention"
    asked = f"Run on {day}. {have} a result{attention if open_rows else ''}."
    if not summary.parameters:
        return (asked,)
    parameters = ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in summary.parameters.items()
    )
    return asked, f"With {parameters}"
