"""Results as an Excel workbook: Results, Needs attention, Summary."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_never

from batchrun import __version__
from batchrun.model import Outcome
from batchrun.workbook.layout import layout_of

if TYPE_CHECKING:
    from pathlib import Path

    from openpyxl.worksheet.worksheet import Worksheet

    from batchrun.model import BatchResults, Cell
    from batchrun.workbook.layout import Layout

LONGEST_TEXT = 32_767  # characters in a cell: Excel's specifications and limits
MOST_DIGITS = 15
WIDEST = 60
COLORS = {
    Outcome.COMPLETED: "C6EFCE",
    Outcome.FAILED: "FFC7CE",
    Outcome.REJECTED: "FFC7CE",
    Outcome.INVALID: "FFEB9C",
    Outcome.TIMED_OUT: "FFEB9C",
    Outcome.IN_DOUBT: "F4B084",
    Outcome.PENDING: "DDEBF7",
}
ATTENTION_ORDER = (
    Outcome.IN_DOUBT,
    Outcome.FAILED,
    Outcome.REJECTED,
    Outcome.TIMED_OUT,
    Outcome.INVALID,
    Outcome.PENDING,
)


def write_excel(results: BatchResults, path: Path) -> None:
    """Write the workbook in openpyxl's write-only mode, so that memory stays flat."""
    from openpyxl import Workbook

    workbook = Workbook(write_only=True)
    workbook.properties.created = results.summary.created_at.replace(tzinfo=None)
    _results(workbook.create_sheet("Results"), results, layout_of(results))
    _attention(workbook.create_sheet("Needs attention"), results)
    _summary(workbook.create_sheet("Summary"), results)
    workbook.save(path)


def _results(sheet: Worksheet, results: BatchResults, layout: Layout) -> None:
    from openpyxl.formatting import rule
    from openpyxl.styles import PatternFill
    from openpyxl.utils import get_column_letter

    header = layout.header
    rows = results.summary.rows
    color_rule: Any = rule.CellIsRule  # untyped in its stubs
    status = get_column_letter(len(layout.original) + 1)
    last = get_column_letter(len(header))
    _start(sheet, [max(10, min(len(name) + 3, WIDEST)) for name in header])
    sheet.auto_filter.ref = f"A1:{last}{rows + 1}"
    for outcome, color in COLORS.items():
        fill = PatternFill("solid", bgColor=color)
        sheet.conditional_formatting.add(
            f"{status}2:{status}{rows + 1}",
            color_rule(operator="equal", formula=[f'"{outcome.value}"'], fill=fill),
        )
    _head(sheet, header)
    for row in results.rows:
        sheet.append([_cell(sheet, value) for value in layout.values(row)])


def _attention(sheet: Worksheet, results: BatchResults) -> None:
    _start(sheet, [8, 40, 40, 12, 60, 70])
    _head(sheet, ["line", "company id", "contact id", "outcome", "reason", "what to do"])
    if results.summary.counts[Outcome.COMPLETED] == results.summary.rows:
        sheet.append([_cell(sheet, "Every row is completed.")])
        return
    for outcome in ATTENTION_ORDER:
        if not results.summary.counts[outcome]:
            continue
        advice = _advice(outcome, results.summary.batch_id)
        for row in results.rows:
            if row.outcome is outcome:
                told = (row.row.line, row.company_id, row.contact_id)
                values = (*told, outcome.value, row.message, advice)
                sheet.append([_cell(sheet, value) for value in values])


def _summary(sheet: Worksheet, results: BatchResults) -> None:
    from openpyxl.chart import BarChart, Reference

    summary = results.summary
    _start(sheet, [28, 60])
    _head(sheet, ["What", "Value"])
    facts: list[tuple[str, Cell]] = [
        (outcome.value, number) for outcome, number in summary.counts.items()
    ]
    seconds = sorted(row.seconds for row in results.rows if row.seconds is not None)
    requests_per_row = summary.requests / summary.rows if summary.rows else None
    facts += [
        ("rows", summary.rows),
        ("jobs", summary.jobs),
        ("batch", summary.batch_id),
        ("workflow", f"{summary.workflow.name} ({summary.workflow.id})"),
        ("list", summary.source.name),
        ("sheet", summary.source.sheet),
        ("created (UTC)", summary.created_at.astimezone(UTC).replace(tzinfo=None)),
        ("updated (UTC)", summary.updated_at.astimezone(UTC).replace(tzinfo=None)),
        ("requests", summary.requests),
        ("requests per row", requests_per_row),
        ("estimated time", timedelta(seconds=round(summary.estimated_seconds))),
        ("actual time", summary.updated_at - summary.created_at),
        ("seconds per execution, median", _quantile(seconds, 0.5)),
        ("seconds per execution, p90", _quantile(seconds, 0.9)),
        ("parameters", json.dumps(dict(summary.parameters), ensure_ascii=False)),
        ("note", summary.note or None),
        ("go on with", f"batchrun resume {summary.batch_id}" if summary.unfinished else None),
        ("batchrun", __version__),
    ]
    for name, value in facts:
        sheet.append([_cell(sheet, name), _cell(sheet, value)])
    chart = BarChart()
    chart.type, chart.title, chart.legend = "bar", "Rows by outcome", None
    last = len(Outcome) + 1
    chart.add_data(Reference(sheet, min_col=2, min_row=2, max_row=last))
    chart.set_categories(Reference(sheet, min_col=1, min_row=2, max_row=last))
    sheet.add_chart(chart, "D2")


def _advice(outcome: Outcome, batch_id: str) -> str:
    match outcome:
        case Outcome.COMPLETED:
            return ""
        case Outcome.IN_DOUBT:
            return (
                "It may have been accepted and paid for. Look in PG:AI, then decide; "
                "batchrun never sends it again by itself."
            )
        case Outcome.FAILED | Outcome.REJECTED:
            return "Read the reason; once it is mended, run a list of these rows."
        case Outcome.TIMED_OUT | Outcome.PENDING:
            return f"Run: batchrun resume {batch_id}"
        case Outcome.INVALID:
            return "Mend this line of the list and run it again; completed rows stay as they are."
        case _:
            assert_never(outcome)


def _start(sheet: Worksheet, widths: list[int]) -> None:
    from openpyxl.utils import get_column_letter

    sheet.freeze_panes = "A2"
    for position, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(position)].width = width


def _head(sheet: Worksheet, names: list[str]) -> None:
    from openpyxl.styles import Font

    cells = [_cell(sheet, name) for name in names]
    for cell in cells:
        cell.font = Font(bold=True)
    sheet.append(cells)


def _cell(sheet: Worksheet, value: Any) -> Any:
    """A cell that shows the value and is never a formula."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.replace(tzinfo=None)
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**MOST_DIGITS:
        value = str(value)
    if not isinstance(value, str):
        return WriteOnlyCell(sheet, value)
    text = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value)
    if len(text) > LONGEST_TEXT:
        mark = f"… [cut: {len(text):,} characters; whole with: batchrun export -o OUT.jsonl]"
        text = text[: LONGEST_TEXT - len(mark)] + mark
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    return cell


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None
