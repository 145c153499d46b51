"""The sheet Overview: what was asked, the outcomes, and what the results say. One page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from batchrun.model import Outcome
from batchrun.text import plural
from batchrun.workbook.changes import CHANGED, NEW, SAME
from batchrun.workbook.page import Page, shorter
from batchrun.workbook.reasons import message_for_people
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
_WIDTHS = (36, 12.5, 12.5, 12.5, 2, 33, 9, 9, 2, 33, 9, 9)
_LEFT, _MIDDLE, _RIGHT = 1, 6, 10
_OWNER, _OWNER_WIDTH = 3, sum(_WIDTHS[2:4])
_CHART_COLUMN = "J"
_CHART_CM = 9.2
_BARS_CM, _BAR_CM = 1.5, 0.52
_LARGE = 1e9
"""Numbers from here on are shown in millions."""
TOP_VALUES = 5
MAX_NUMBERS, MAX_CATEGORIES, MAX_LISTS = 6, 2, 2
MAX_CHANGED_FIELDS = 3
MAX_INCOMPLETE, MAX_REASONS = 10, 10


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
        for_people: bool = False,
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
            for_people: Whether reasons are said without technical terms.
        """
        page, summary = self._page, results.summary
        notes = filter(None, (*_notes(summary, whole=not part), part))
        top = page.title(f"{summary.workflow.name}: {summary.source.name}", *notes)
        top = self._best(analysis, layout, rows, top)
        left, right = self._outcomes(summary, top)
        if attention is not None:
            left = self._attention(layout, attention, left, for_people=for_people)
        if comparison is not None and results.earlier is not None and changes is not None:
            left = self._changes(results.earlier, comparison, changes, left)
        self._numbers(analysis, left)
        categories = [each for each in analysis.categories if each.is_category]
        lists = [each for each in analysis.lists if each.values and not each.full]
        middle, right = self._categories(categories[:MAX_CATEGORIES], top, right)
        right = self._completeness(layout, right)
        if comparison is not None:
            middle = self._largest(analysis, comparison, rows, middle)
        for each in lists[:MAX_LISTS]:
            if right < middle:
                right = self._top(each, right, _RIGHT)
            else:
                middle = self._top(each, middle)

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
        heads = "Status", "Rows", f"of {summary.rows:,}"
        row = first = page.section(row, _LEFT, *heads, wide=4)
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

    def _share(
        self, row: int, column: int, name: str, number: int, *, of: int, location: str = ""
    ) -> int:
        """Write a number of rows and their share of all; return the next row."""
        share = number / of
        code = "0.0%" if 0 < share < 0.01 or 0.99 < share < 1 else "0%"
        formats = ("#,##0", code)
        return self._page.fact(row, column, name, number, share, formats=formats, location=location)

    def _changes(
        self, earlier: EarlierResults, comparison: Comparison, changes: ChangesSheet, row: int
    ) -> int:
        """Write how many rows are new, changed, and the same, with links to the first of them."""
        page, marks, fields = self._page, comparison.marks_counted, comparison.fields
        if not marks:
            return row
        several = len(earlier.batch_ids) > 1
        title = "Since the last results" if several else f"Since {earlier.created_at:%Y-%m-%d}"
        row = page.section(row, _LEFT, title, "Rows", f"of {marks.total():,}", wide=4)
        for mark in (NEW, CHANGED, SAME):
            where = changes.place(mark) if mark is not SAME and marks[mark] else ""
            row = self._share(row, _LEFT, mark, marks[mark], of=marks.total(), location=where)
            if mark is CHANGED:
                for name, number in fields.most_common(MAX_CHANGED_FIELDS):
                    row = page.fact(row, _LEFT, name, number, formats=("#,##0",), indent=2)
                if (more := len(fields) - MAX_CHANGED_FIELDS) > 0:
                    name = f"and {plural(more, 'other field')}"
                    row = page.fact(row, _LEFT, name, None, location=where, indent=2)
        return row + 1

    def _largest(
        self, analysis: Analysis, comparison: Comparison, rows: TableSheets, row: int
    ) -> int:
        """Write the largest rises and falls of the main number."""
        if not comparison.largest or analysis.score is None:
            return row
        title = f"{analysis.score.title}: rose or fell most"
        row = self._page.section(row, _MIDDLE, title, "Before", "Now")
        code = number_format(analysis.score.path, analysis.score.survey)
        for change in comparison.largest:
            name, where = change.name or f"row {change.line}", rows.place(change.number)
            values = change.before, change.now
            row = self._page.fact(row, _MIDDLE, name, *values, formats=(code,) * 2, location=where)
        more = comparison.fields[analysis.score.title] - len(comparison.largest)
        return self._more(row, _MIDDLE, more, "row") + 1

    def _more(self, row: int, column: int, number: int, what: str) -> int:
        """Write how many more there are than a block shows, if any; return the next row."""
        if number <= 0:
            return row
        return self._page.fact(row, column, f"and {plural(number, f'other {what}')}")

    def _best(self, analysis: Analysis, layout: Layout, rows: TableSheets, row: int) -> int:
        """Write the best rows over the whole width, each with its owner and the reason."""
        best, column = analysis.best(), analysis.score
        if not best or column is None:
            return row
        page, code = self._page, number_format(column.path, column.survey)
        which = "Lowest" if analysis.ascending else "Highest"
        why = "" if analysis.why is None else analysis.why.title
        why_at = _OWNER if layout.owner is None else _MIDDLE
        heads = [f"{which} {column.title}", column.title, *("",) * (why_at - _OWNER), why]
        if layout.owner is not None:
            heads[_OWNER - 1] = layout.owner_title
        wide = len(_WIDTHS)
        row = page.section(row, _LEFT, *heads, wide=wide, left=range(2, wide))
        style = page.book.styles.fact(indent=1)
        for each in best:
            if layout.owner is not None:
                page.put(row, _OWNER, shorter(each.owner, _OWNER_WIDTH), style)
            page.put(row, why_at, shorter(each.why, sum(_WIDTHS[why_at - 1 :])), style)
            copies = analysis.copies[each.execution]
            name = f"{each.name} (in {copies} rows)" if copies > 1 else each.name
            where = rows.place(each.number)
            row = page.fact(row, _LEFT, name, each.value, formats=(code,), location=where)
        if more := analysis.tied():
            name = f"and {plural(more, 'other row')} with"
            row = page.fact(row, _LEFT, name, best[-1].value, formats=(code,))
        return row + 1

    def _numbers(self, analysis: Analysis, row: int) -> None:
        numbers = [
            each for each in analysis.numbers if each.rows and each.quantile(0.5) is not None
        ]
        if not numbers:
            return
        page = self._page
        row = page.section(row, _LEFT, "Numbers", "Lowest", "Median", "Highest")
        for each in numbers[:MAX_NUMBERS]:
            code = number_format(each.column.path, each.column.survey)
            values = (each.lowest, each.quantile(0.5), each.highest)
            formats = [_in_millions(code) if _is_large(value) else code for value in values]
            row = page.fact(row, _LEFT, each.column.title, *values, formats=formats)
        self._more(row, _LEFT, len(numbers) - MAX_NUMBERS, "number")

    def _attention(
        self, layout: Layout, attention: AttentionSheet, row: int, *, for_people: bool
    ) -> int:
        page, reasons, rows = self._page, layout.reasons.ranked(), ("", "", "#,##0")
        row = page.section(row, _LEFT, "Needs attention", "", "", "Rows")
        for reason in reasons[:MAX_REASONS]:
            there = attention.place(reason)
            text = message_for_people(reason.text) if for_people else reason.text
            values = (None, None, reason.rows)
            row = page.fact(row, _LEFT, text, *values, formats=rows, location=there)
        rest = reasons[MAX_REASONS:]
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
                    last = first + min(TOP_VALUES, len(each.values)) - 1
                    right += self._chart(title, (first, last), _MIDDLE, right)
        return row, right

    def _top(self, counted: Counted, row: int, column: int = _MIDDLE) -> int:
        found, title, of = counted.top(TOP_VALUES), counted.column.title, f"of {counted.rows:,}"
        is_list = counted.column.counts or counted.column.survey.items
        if is_list and any(shorter(name, _WIDTHS[column - 1]) != name for name, _ in found):
            row = self._page.section(row, column, title, "", of)  # a name takes two columns
            for name, number in found:
                row = self._page.fact(row, column, name, None, number, formats=("", "#,##0"))
        else:
            row = self._page.section(row, column, title, "Rows", of)
            for name, number in found:
                row = self._share(row, column, name, number, of=counted.rows)
        return self._more(row, column, len(counted.values) - TOP_VALUES, "value") + 1

    def _completeness(self, layout: Layout, row: int) -> int:
        columns = [column for column in layout.results if not column.aside]
        if not columns or not layout.filled:
            return row
        page = self._page
        row = page.section(row, _RIGHT, "Rows with a value", "Rows", f"of {layout.filled:,}")
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


def _notes(summary: BatchSummary, *, whole: bool) -> tuple[str, ...]:
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
    copies = summary.rows - summary.counts[Outcome.INVALID] - summary.jobs if whole else 0
    if copies > 0:
        asked += f" Rows that repeat another one and share its result: {copies:,}."
    if not summary.parameters:
        return (asked,)
    parameters = ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in summary.parameters.items()
    )
    return asked, f"With {parameters}"
