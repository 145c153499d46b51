"""What the first jobs of a batch brought, as a person looks at it before the rest is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.history import existing_journal
from batchrun.journal import Standing, standing
from batchrun.workbook.form import Form
from batchrun.workbook.layout import layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.model import Cell, ResultRow


@dataclass(frozen=True, slots=True)
class Pilot:
    """What came of the first jobs of a batch.

    Attributes:
        rows: The rows of those jobs.
        titles: The result columns of their workbook.
        values: Their results, a cell a column, one line a row.
        left: What is left of the batch.
    """

    rows: tuple[ResultRow, ...]
    titles: tuple[str, ...]
    values: tuple[tuple[Cell, ...], ...]
    left: Standing


def read_pilot(location: str, batch_id: str, jobs: Sequence[int]) -> Pilot:
    """What came of these jobs, from the journal at a location.

    Raises:
        JournalError: The journal can't be read.
    """
    with existing_journal(location) as journal:
        left = standing(journal, batch_id)
        form = Form.recalled(journal.form(batch_id)).with_layout()
        with journal.results(batch_id, of_jobs=jobs) as found:
            rows = tuple(found.rows)
            layout = layout_of(found, form.shape)
    flattened = (layout.flat(row.result) for row in rows)
    values = tuple(tuple(column.value(flat) for column in layout.results) for flat in flattened)
    return Pilot(rows, tuple(column.title for column in layout.results), values, left)
