"""A CSV that goes back into the CRM: record ID and result columns, nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batchrun.errors import OutputError
from batchrun.model import Outcome
from batchrun.workbook.form import Crm
from batchrun.workbook.layout import layout_of
from batchrun.workbook.text import write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchrun.model import BatchResults, Cell
    from batchrun.workbook.layout import Layout, Shape

_RECORD_IDS = {
    Crm.SALESFORCE: re.compile(r"[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?"),
    Crm.HUBSPOT: re.compile(r"\d{4,15}"),
}
"""What a record's ID looks like: 15 characters and perhaps 3 that check them; a number."""

_NAMES = {Crm.SALESFORCE: "Salesforce", Crm.HUBSPOT: "HubSpot"}

_TITLES = {
    Crm.SALESFORCE: re.compile(r"(?:.*\b)?(?:id|record id|case safe id)", re.IGNORECASE),
    Crm.HUBSPOT: re.compile(r"record id.*|hs_object_id|.*\bid", re.IGNORECASE),
}


def write_crm(results: BatchResults, path: Path, shape: Shape | None, crm: Crm) -> None:
    """Write completed rows for the CRM's import, each record once.

    The values are as they are, without apostrophes: what an import reads is data. Dates and times
    are ISO 8601, times with the zone.

    Raises:
        OutputError: The list has no column with the CRM's record IDs.
    """
    layout = layout_of(results, shape)
    record = _record_column(results, layout, crm)
    header = [layout.original[record], *(column.title for column in layout.results)]
    write_table(path, header, _rows(results, layout, record), plain=True)


def _rows(results: BatchResults, layout: Layout, record: int) -> Iterator[Sequence[Cell]]:
    seen: set[Cell] = set()
    for row in results.rows:
        name = row.row.cells[record]
        if row.outcome is not Outcome.COMPLETED or name in seen or name in {None, ""}:
            continue
        seen.add(name)  # an import refuses a file that names a record twice
        flat = layout.flat(row.result)
        yield [name, *(_importable(column.value(flat)) for column in layout.results)]


def _importable(value: Cell) -> Cell:
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value


def _record_column(results: BatchResults, layout: Layout, crm: Crm) -> int:
    """The column that holds the CRM's own IDs: by its title and by what is in it."""
    pattern = _RECORD_IDS[crm]
    hits = [0] * len(layout.original)
    for row in results.rows:
        for position, cell in enumerate(row.row.cells):
            if cell is not None and pattern.fullmatch(str(cell)):
                hits[position] += 1
    titled = [
        position
        for position, title in enumerate(layout.original)
        if _TITLES[crm].fullmatch(title.strip()) and hits[position] * 2 > results.summary.rows
    ]
    if not titled:
        raise OutputError(
            f"The list has no column with the record IDs of {_NAMES[crm]}.",
            "Export it from the CRM with the record's ID, and run that list.",
        )
    return max(titled, key=lambda position: hits[position])
