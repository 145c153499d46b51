"""Which columns a results table has, and the values of a row in them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batchrun.workbook.flatten import flatten

if TYPE_CHECKING:
    from batchrun.model import BatchResults, Cell, ResultRow

STATUS_COLUMNS = (
    "batchrun status",
    "batchrun message",
    "execution id",
    "triggered (UTC)",
    "started (UTC)",
    "finished (UTC)",
    "seconds",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a results table.

    Attributes:
        original: The input's own header, untouched.
        names: Names of the result columns as ``flatten`` gives them, in order.
        titles: The same as they are shown: unlike any other column's.
    """

    original: tuple[str, ...]
    names: tuple[str, ...]
    titles: tuple[str, ...]

    @property
    def header(self) -> list[str]:
        """All columns."""
        return [*self.original, *STATUS_COLUMNS, *self.titles]

    def values(self, row: ResultRow) -> list[Cell]:
        """A row's values, one a column."""
        flat = flatten(row.result)
        return [
            *row.row.cells,
            row.outcome.value,
            row.message or None,
            row.execution_id,
            _naive(row.triggered_at),
            _naive(row.started_at),
            _naive(row.finished_at),
            row.seconds,
            *(flat.get(name) for name in self.names),
        ]


def layout_of(results: BatchResults) -> Layout:
    """The columns, result columns in the order in which the rows first show them."""
    names: dict[str, None] = {}
    for row in results.rows:
        names.update(dict.fromkeys(flatten(row.result)))
    taken = {*results.header, *STATUS_COLUMNS}
    titles = []
    for name in names:
        title, number = name, 2
        while title in taken:
            title, number = f"{name} ({number})", number + 1
        taken.add(title)
        titles.append(title)
    return Layout(results.header, tuple(names), tuple(titles))


def _naive(moment: datetime | None) -> datetime | None:
    """UTC without saying so: Excel has no time zones, the column's title tells it."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
