"""Batches made by hand, as the journal would give them, and workbooks read back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import python_calamine as calamine

from batchrun.model import (
    BatchResults,
    BatchSummary,
    Cause,
    Outcome,
    ResultRow,
    Role,
    Row,
    TableSource,
    Workflow,
)
from batchrun.workbook.layout import AGAIN, STATUS_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from batchrun.model import JSON, Cell

BEGAN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HEADER = ("Company ID", "Account Name")
STATUS = (*STATUS_COLUMNS[:2], AGAIN, *STATUS_COLUMNS[2:])
"""What stands between the list and the results on the sheet Results."""


def company(number: int) -> str:
    """A company ID, the same for the same number."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def row(
    number: int,
    result: JSON = None,
    outcome: Outcome = Outcome.COMPLETED,
    *,
    cells: Sequence[Cell] | None = None,
    message: str = "",
    dropped: bool = False,
    cause: Cause | None = None,
) -> ResultRow:
    """The row of this number, counted from 0, as the journal would give it."""
    ran = outcome in {Outcome.COMPLETED, Outcome.FAILED}
    began = BEGAN + timedelta(seconds=number)
    return ResultRow(
        row=Row(
            number + 2, tuple(cells) if cells is not None else (company(number), f"Firm {number}")
        ),
        outcome=outcome,
        message=message,
        company_id=company(number),
        execution_id=f"exec_{number}" if ran else None,
        triggered_at=began if ran else None,
        started_at=began + timedelta(seconds=1) if ran else None,
        finished_at=began + timedelta(seconds=31 + number % 50) if ran else None,
        result=result,
        dropped=dropped,
        cause=cause,
        job=None if outcome is Outcome.INVALID else number,
    )


def batch(
    rows: Iterable[ResultRow], header: Sequence[str] = HEADER, **changes: Any
) -> BatchResults:
    """A batch of these rows."""
    held = list(rows)
    counted = Counter(each.outcome for each in held)
    summary: dict[str, Any] = {
        "batch_id": "1124-accounts-7f3a",
        "workflow": Workflow("wf_1", "Account Research"),
        "source": TableSource("accounts.csv", format="csv"),
        "parameters": {"depth": "comprehensive"},
        "created_at": BEGAN,
        "updated_at": BEGAN + timedelta(minutes=5),
        "counts": {outcome: counted[outcome] for outcome in Outcome},
        "jobs": len(held),
        "requests": 2 * len(held),
        "estimated_seconds": 300.0,
    }
    return BatchResults(BatchSummary(**summary | changes), tuple(header), held, {Role.COMPANY: 0})


def batch_of(*results: JSON) -> BatchResults:
    """A batch of completed rows with these results."""
    return batch(row(number, result) for number, result in enumerate(results))


def sheet(path: Path, name: str = "Results") -> list[list[Any]]:
    """A sheet's cells, as calamine reads them; it undoes Excel's own escapes as Excel does."""
    with calamine.CalamineWorkbook.from_path(str(path)) as workbook:
        return workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)


def table(path: Path, name: str = "Results") -> list[dict[str, Any]]:
    """A sheet's rows by the titles of its columns."""
    header, *rows = sheet(path, name)
    return [dict(zip(header, cells, strict=True)) for cells in rows]


def sheet_names(path: Path) -> list[str]:
    """The names of its sheets."""
    with calamine.CalamineWorkbook.from_path(str(path)) as workbook:
        return workbook.sheet_names
