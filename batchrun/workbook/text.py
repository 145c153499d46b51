"""Results as CSV for Excel and as JSON Lines."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from batchrun.workbook.layout import layout_of

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import JSON, BatchResults, Cell

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(results: BatchResults, path: Path) -> None:
    """The columns of the Results sheet; UTF-8 with BOM, which Excel needs to see.

    Text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV
    injection).
    """
    layout = layout_of(results)
    with path.open("w", encoding="utf-8-sig", errors="surrogatepass", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_escaped(name) for name in layout.header])
        writer.writerows([_field(value) for value in layout.values(row)] for row in results.rows)


def write_json_lines(results: BatchResults, path: Path) -> None:
    """One object a row, the result whole as the service sent it."""
    keys: list[str] = []
    for position, name in enumerate(results.header, 1):
        key = name if name.strip() else f"column {position}"
        keys.append(key if key not in keys else f"{key} ({position})")
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for row in results.rows:
            entry: dict[str, JSON] = {
                "line": row.row.line,
                "input": {key: _json(cell) for key, cell in zip(keys, row.row.cells, strict=True)},
                "outcome": row.outcome.value,
                "message": row.message,
                "company_id": row.company_id,
                "contact_id": row.contact_id,
                "execution_id": row.execution_id,
                "triggered_at": _json(row.triggered_at),
                "started_at": _json(row.started_at),
                "finished_at": _json(row.finished_at),
                "seconds": row.seconds,
                "result": row.result,
            }
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _json(cell: Cell) -> JSON:
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    return cell.total_seconds() if isinstance(cell, timedelta) else cell


def _field(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "TRUE" if cell else "FALSE"
        case str():
            return _escaped(cell)
        case datetime():
            return cell.isoformat(sep=" ")
        case _:
            return str(cell)


def _escaped(text: str) -> str:
    if not text.startswith(FORMULA_STARTS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
