"""The sheet Summary: what ran, how it went, what it cost, how to go on."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from openpyxl.chart import BarChart, Reference
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.marker import DataPoint

from batchrun import __version__
from batchrun.model import Outcome
from batchrun.text import plural
from batchrun.workbook.layout import naive
from batchrun.workbook.marks import AGAIN, MENDED
from batchrun.workbook.rows import cell_xml
from batchrun.workbook.sheets import (
    LETTERS_PER_WIDTH,
    LINE_POINTS,
    MOST_LINES,
    lines_of,
    print_wide,
)
from batchrun.workbook.styles import CHART_COLORS, NUMBER_FORMATS, color_outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from openpyxl.worksheet.worksheet import Worksheet

    from batchrun.model import BatchSummary, Cell
    from batchrun.workbook.layout import Layout
    from batchrun.workbook.sheets import Book

TITLE = "Summary"
MOST_REASONS_SHOWN = 10
BINS = 12
_CHART_COLUMN = "E"
_NAME_WIDTH = 48
_SECTION_HEIGHT = 24.0


class SummarySheet:
    """The sheet Summary, written line by line.

    Args:
        book: The workbook.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        sheet, self._rows = book.sheet(TITLE)
        self._sheet = sheet
        for letter, width in zip("ABCD", (_NAME_WIDTH, 22, 10, 16), strict=True):
            sheet.column_dimensions[letter].width = width
        sheet.sheet_view.showGridLines = False
        print_wide(sheet)

    def write(self, summary: BatchSummary, layout: Layout) -> None:
        """Write it all."""
        color_outcomes(self._sheet, f"A5:A{4 + len(Outcome)}")
        styles = self._book.styles
        self._append([(f"{summary.workflow.name}: {summary.source.name}", styles.title())])
        self._append([(_verdict(summary), styles.note())])
        self._append([])
        self._outcomes(summary)
        self._reasons(layout)
        self._facts("How to go on", _next_steps(summary, layout.undecided))
        self._facts("Time", _times(summary, layout))
        self._facts("Requests", _requests(summary))
        self._facts("What ran", _settings(summary))
        self._histogram(layout)

    def write_left_out(self) -> None:
        """Say which parts of the workbook could not be made."""
        self._facts("Left out", ((part, "could not be made") for part in self._book.left_out))

    def _outcomes(self, summary: BatchSummary) -> None:
        self._section("Rows by outcome", "rows", "share")
        for outcome, number in summary.counts.items():
            share = number / summary.rows if summary.rows else 0.0
            self._fact(outcome.value, number, share)
        self._fact("all", summary.rows, None)
        chart = _bars("Rows by outcome", self._sheet, (5, 4 + len(Outcome)))
        for position, outcome in enumerate(Outcome):
            point: Any = DataPoint(idx=position)
            point.graphicalProperties.solidFill = CHART_COLORS[outcome]
            chart.series[0].dPt.append(point)
        chart.x_axis.scaling.orientation = "maxMin"  # the first outcome on top
        chart.y_axis.crosses = "max"
        chart.type = "bar"
        self._sheet.add_chart(chart, f"{_CHART_COLUMN}4")

    def _reasons(self, layout: Layout) -> None:
        if not layout.reasons:
            return
        self._section("Most frequent reasons", "rows")
        for reason, number in layout.reasons[:MOST_REASONS_SHOWN]:
            self._fact(reason, number)
        others = sum(number for _, number in layout.reasons[MOST_REASONS_SHOWN:])
        if others:
            self._fact("other reasons", others)

    def _histogram(self, layout: Layout) -> None:
        bins = histogram(layout.seconds)
        if not bins:
            return
        self._section("Seconds per execution", "executions")
        first = self._rows.count + 1
        for words, number in bins:
            self._fact(words, number)
        chart = _bars("Seconds per execution", self._sheet, (first, self._rows.count))
        chart.type, chart.gapWidth = "col", 10
        self._sheet.add_chart(chart, f"{_CHART_COLUMN}20")

    def _facts(self, title: str, facts: Iterable[tuple[str, Cell]]) -> None:
        told = [(name, value) for name, value in facts if value is not None]
        if told:
            self._section(title)
            for name, value in told:
                self._fact(name, value)

    def _section(self, *titles: str) -> None:
        if self._rows.count > 3:
            self._append([])
        style = self._book.styles.section()
        self._append([(title, style) for title in (*titles, None, None)[:3]], _SECTION_HEIGHT)

    def _fact(self, name: str, value: Cell, share: float | None = None) -> None:
        styles = self._book.styles
        number_format = NUMBER_FORMATS.get(type(value).__name__, "General")
        if isinstance(value, int):
            number_format = "#,##0"
        elif isinstance(value, float):
            number_format = "#,##0.00"
        told = [(name, styles.fact(wrap=True)), (value, styles.fact(number_format))]
        self._append([*told, (share, styles.fact("0%"))] if share is not None else told)

    def _append(self, cells: Sequence[tuple[Cell, int]], height: float | None = None) -> None:
        row = self._rows.count + 1
        name = cells[0][0] if cells else None
        if height is None and row > 3 and isinstance(name, str):
            lines = min(lines_of(name, int(_NAME_WIDTH * LETTERS_PER_WIDTH)), MOST_LINES)
            height = LINE_POINTS * lines if lines > 1 else None
        self._rows.add(
            (
                cell_xml(f"{letter}{row}", style, self._book.fitter.fit(value))
                for letter, (value, style) in zip("ABC", cells, strict=False)
            ),
            height,
        )


def histogram(counted: Sequence[tuple[float, int]]) -> list[tuple[str, int]]:
    """Bins of equal, round width, and how many values are in each.

    Args:
        counted: The values, ascending and not negative, and how many there are of each.
    """
    if not counted:
        return []
    highest = counted[-1][0]
    width = next(
        step
        for power in range(-2, 12)
        for step in (10**power, 2 * 10**power, 5 * 10**power)
        if step * BINS > highest
    )
    bins = [0] * (int(highest / width) + 1)
    for value, number in counted:
        bins[max(0, min(int(value / width), len(bins) - 1))] += number
    first = next(position for position, number in enumerate(bins) if number)
    return [
        (f"{position * width:g} to {(position + 1) * width:g}", number)
        for position, number in enumerate(bins)
        if position >= first
    ]


def quantile(counted: Sequence[tuple[float, int]], share: float) -> float | None:
    """The value that so much of all is not above; see `histogram` for the argument."""
    left = share * sum(number for _, number in counted)
    for value, number in counted:
        left -= number
        if left <= 0:
            return value
    return None


def _bars(title: str, sheet: Worksheet, lines: tuple[int, int]) -> Any:
    """A chart of column B over the names in column A."""
    chart: Any = BarChart()
    chart.title, chart.legend = title, None
    chart.width, chart.height = 18, 7.5
    first, last = lines
    chart.add_data(Reference(sheet, min_col=2, min_row=first, max_row=last))
    chart.set_categories(Reference(sheet, min_col=1, min_row=first, max_row=last))
    chart.gapWidth = 40
    chart.series[0].graphicalProperties.solidFill = "1F5C8B"
    chart.dataLabels = DataLabelList(
        showVal=True, showSerName=False, showCatName=False, showLegendKey=False, showPercent=False
    )
    # openpyxl leaves this open, which new versions of Excel take for "no axis"
    chart.x_axis.delete, chart.y_axis.delete = False, True
    chart.y_axis.majorGridlines = None
    return chart


def _verdict(summary: BatchSummary) -> str:
    completed = summary.counts[Outcome.COMPLETED]
    if completed == summary.rows:
        rows = "The row is" if summary.rows == 1 else f"All {summary.rows:,} rows are"
        return f"{rows} completed."
    attention = "the sheet Needs attention tells what became of the others."
    are = "is" if completed == 1 else "are"
    return f"{completed:,} of {plural(summary.rows, 'row')} {are} completed; {attention}"


def _next_steps(summary: BatchSummary, undecided: int) -> Iterable[tuple[str, Cell]]:
    counts, batch_id = summary.counts, summary.batch_id
    yield "note", summary.note or None
    if summary.unfinished:
        yield "go on with", f"batchrun resume {batch_id}"
    if counts[Outcome.FAILED] or counts[Outcome.REJECTED]:
        yield "send failed and rejected rows again with", f"batchrun retry {batch_id}"
    if undecided:
        yield "settle rows in doubt with", f"batchrun resume {batch_id}"
    if counts[Outcome.INVALID]:
        yield "mend invalid rows in the list, then", MENDED
    if summary.rows > counts[Outcome.INVALID] + counts[Outcome.PENDING]:
        yield f'send the rows you mark under "{AGAIN}" with', "batchrun run THIS_FILE"
    yield "write this anew with", f"batchrun export {batch_id} -o OUT.xlsx"


def _times(summary: BatchSummary, layout: Layout) -> Iterable[tuple[str, Cell]]:
    yield "created (UTC)", naive(summary.created_at)
    yield "last change (UTC)", naive(summary.updated_at)
    yield "estimated", _rounded(summary.estimated_seconds)
    yield "worked on", _rounded(summary.worked_seconds)
    if summary.worked_seconds:
        yield "of it waiting for the quota", timedelta(seconds=round(summary.quota_seconds))
    yield "seconds per execution, median", quantile(layout.seconds, 0.5)
    yield "seconds per execution, 90 % below", quantile(layout.seconds, 0.9)


def _rounded(seconds: float) -> timedelta | None:
    return timedelta(seconds=round(seconds)) if seconds else None


def _requests(summary: BatchSummary) -> Iterable[tuple[str, Cell]]:
    yield "estimated", summary.estimated_requests or None
    yield "spent", summary.requests
    yield "spent per row", summary.requests / summary.rows if summary.rows else None
    yield "rows with the result of an earlier batch", summary.reused or None
    yield "jobs (rows without their duplicates)", summary.jobs


def _settings(summary: BatchSummary) -> Iterable[tuple[str, Cell]]:
    yield "batch", summary.batch_id
    yield "workflow", f"{summary.workflow.name} ({summary.workflow.id})"
    yield "list", summary.source.name
    yield "sheet of the list", summary.source.sheet
    if summary.parameters:
        yield "parameters", json.dumps(dict(summary.parameters), ensure_ascii=False)
    yield "written by", f"batchrun {__version__}"
