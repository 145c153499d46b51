"""The last sheet, Run details: how the batch ran, what it used, and how to continue."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from batchrun import __version__
from batchrun.model import Outcome
from batchrun.workbook.analysis import quantile
from batchrun.workbook.layout import AGAIN, utc_without_zone
from batchrun.workbook.page import Page
from batchrun.workbook.reasons import RERUN_HINT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchrun.model import BatchSummary, Cell
    from batchrun.workbook.layout import Layout
    from batchrun.workbook.reasons import Commands
    from batchrun.workbook.sheets import Book

TITLE = "Run details"


class RunDetailsSheet:
    """The sheet Run details.

    Args:
        book: The workbook.
    """

    def __init__(self, book: Book) -> None:
        self._page = Page(book, TITLE, (48, 44))
        self._row = 1

    def write(self, summary: BatchSummary, layout: Layout, commands: Commands) -> None:
        """Write the whole sheet."""
        self._row = self._page.title(TITLE)
        self._facts("Next steps", _next_steps(summary, layout.undecided, commands))
        self._facts("What ran", _settings(summary))
        self._facts("Time", _times(summary, layout))
        self._facts("Requests", _requests(summary))

    def close(self) -> None:
        """Write the cells, and list the parts of the workbook that could not be made."""
        left_out = [(part, "could not be shown") for part in self._page.book.left_out]
        self._facts("Left out", left_out[:100])
        self._page.write()

    def _facts(self, title: str, facts: Iterable[tuple[str, Cell]]) -> None:
        filled = [(name, value) for name, value in facts if value is not None]
        if not filled:
            return
        self._row = self._page.section(self._row, 1, title, wide=2)
        for name, value in filled:
            code = {int: "#,##0", float: "#,##0.00"}.get(type(value), "")
            self._row = self._page.fact(self._row, 1, name, value, formats=(code,))
        self._row += 1


def _next_steps(
    summary: BatchSummary, undecided: int, call: Commands
) -> Iterable[tuple[str, Cell]]:
    counts, batch_id = summary.counts, summary.batch_id
    yield "note", summary.note or None
    if summary.unfinished:
        yield "continue with", call(f"resume {batch_id}")
    if counts[Outcome.FAILED] or counts[Outcome.REJECTED]:
        yield "send failed and rejected rows again with", call(f"retry {batch_id}")
    if undecided:
        yield "settle rows in doubt with", call(f"resume {batch_id}")
    if counts[Outcome.INVALID]:
        yield "correct invalid rows in the list, then", f"{RERUN_HINT} {call.options}".strip()
    if summary.rows > counts[Outcome.INVALID] + counts[Outcome.PENDING]:
        yield f'send the rows you mark under "{AGAIN}" with', call("run THIS_FILE")
    yield "write this file again with", call(f"export {batch_id} -o OUT.xlsx")


def _times(summary: BatchSummary, layout: Layout) -> Iterable[tuple[str, Cell]]:
    yield "created (UTC)", utc_without_zone(summary.created_at)
    yield "last change (UTC)", utc_without_zone(summary.updated_at)
    yield "estimated", _rounded(summary.estimated_seconds)
    yield "took", _rounded(summary.worked_seconds)
    if summary.worked_seconds:
        yield (
            "part of it spent waiting for the quota",
            timedelta(seconds=round(summary.quota_seconds)),
        )
    yield "seconds per execution, median", quantile(layout.seconds, 0.5)
    yield "seconds per execution, 90th percentile", quantile(layout.seconds, 0.9)


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
