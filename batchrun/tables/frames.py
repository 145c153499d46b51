"""Collect rows into the columns of a `Table`, and convert DataFrames to tables."""

from __future__ import annotations

from array import array
from datetime import date, time, timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource
from batchrun.tables.cells import is_blank
from batchrun.tables.roles import is_known_name
from batchrun.tables.sheets import BLOCK_ROWS, LAST_COLUMN, ColumnBlock
from batchrun.tables.store import StoredCells
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt
    import pandas as pd

    from batchrun.tables.sheets import Block

Cells: TypeAlias = "npt.NDArray[np.object_] | StoredCells"
"""Cells as an array of shape (columns, rows), in memory or on disk."""

Lines: TypeAlias = "npt.NDArray[np.int64]"
"""The line number of each row."""

MAX_HELD_CELLS = 1_500_000
"""Maximum number of cells to keep in memory (about 100 MB); larger lists are stored on disk."""
MAX_HELD_BYTES = 2**27
"""The same for the text of a workbook, which can repeat a long text in each cell."""
MAX_MISSING_CELLS = 50_000_000
"""Maximum number of cells that are missing because a few rows are much wider than the others."""


MORE = "more fields than the header; they are kept in columns without a name"


class RowCollector:
    """Collects rows block by block and transposes them to columns.

    Each block is copied to its place while its cells are in the CPU cache: accessing millions of
    cells again at the end takes longer than reading them. The header has ``width`` columns;
    wider rows add more. ``fill_value`` stands for the missing cells of a short row.
    """

    def __init__(self, name: str, width: int, fill_value: Cell) -> None:
        self._name = name
        self.after_blank: set[int] = set()  # positions of rows that follow a blank row
        self.blank_rows = 0  # number of blank rows between other rows; those at the end don't count
        self.short: list[int] = []  # lines of the rows with fewer fields than the header
        self.long: list[int] = []  # lines of the rows with more fields than the header
        # Lines of the rows with only blank fields beyond the header, which are dropped
        self.trimmed = array("q")
        self._trailing_blank_rows = 0
        self._width = self._widest = width
        self._fill_value = fill_value
        self._lines = array("q")
        self._held = np.empty((width, 0), dtype=object)
        self._stored: StoredCells | None = None
        self._given = self._bytes = 0

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self) -> Lines:
        """Return the line number of each row."""
        return np.array(self._lines, dtype=np.int64)

    def add_block(self, block: Block) -> None:
        """Add rows with their line numbers; blank rows are counted but not added."""
        columns: Sequence[Sequence[Cell]]
        if isinstance(block, ColumnBlock):
            self._bytes += block.size
        if (
            isinstance(block, ColumnBlock)
            and len(block.columns) == self._width
            and any(map(all, block.columns))  # so no row is blank
        ):
            lines, columns = block.lines, block.columns
        else:
            lines, rows = block
            if set(map(len, rows)) != {self._width} or not all(map(any, rows)):
                self._add_uneven(lines, rows)
                return
            columns = list(zip(*rows, strict=True))
        self._end_blank(len(self))
        self._refuse_uneven(len(lines) * self._width, len(lines))
        self._store(lines, columns)

    def cells(self) -> Cells:
        """Return all cells, shape (columns, rows)."""
        return self._held[:, : len(self)] if self._stored is None else self._stored

    def notices(self, besides: Collection[int] = ()) -> list[str]:
        """Return notices about blank rows, and about rows that are not as wide as the header.

        Rows in the lines ``besides`` don't count.
        """
        said = []
        fewer = "fewer fields than the header; the missing ones were read as empty"
        for lines, what in ((self.short, fewer), (self.long, MORE)):
            if left := [line for line in lines if line not in besides]:
                rows = plural(len(left), "row has", "rows have")
                said.append(f"{rows} {what} (first: line {left[0]})")
        if self.blank_rows:
            said.append(f"{plural(self.blank_rows, 'blank row was', 'blank rows were')} skipped")
        return said

    def _store(self, lines: Sequence[int], columns: Sequence[Sequence[Cell]]) -> None:
        first, end = len(self), len(self) + len(lines)
        width = max(len(columns), len(self._held))
        held = self._bytes <= MAX_HELD_BYTES and end * width <= MAX_HELD_CELLS
        if self._stored is None and not held:
            self._stored = StoredCells(self._name, self._fill_value, width)
            for start in range(0, first, BLOCK_ROWS):
                part = self._held[:, start : min(start + BLOCK_ROWS, first)]
                self._stored.append(part.tolist())
        if self._stored is not None:
            self._stored.append(columns)
        else:
            if width > len(self._held) or end > self._held.shape[1]:
                # first what is needed, then at once all that may be held
                larger = np.empty((width, MAX_HELD_CELLS // width if first else end), dtype=object)
                larger[:, :first] = self._fill_value
                larger[: len(self._held), :first] = self._held[:, :first]
                self._held = larger
            for position, cells in enumerate(columns):
                self._held[position, first:end] = cells
            self._held[len(columns) :, first:end] = self._fill_value
        self._lines.extend(lines)

    def _add_uneven(self, lines: Sequence[int], rows: list[list[Cell]]) -> None:
        """Add rows some of which are blank, or not as wide as the header."""
        kept_lines: list[int] = []
        kept: list[list[Cell]] = []
        for line, row in zip(lines, rows, strict=True):
            if is_blank(row):
                self._trailing_blank_rows += 1
                continue
            self._end_blank(len(self) + len(kept))
            if len(row) < self._width:
                self.short.append(line)
            elif len(row) > self._width:
                if is_blank(row[self._width :]):
                    del row[self._width :]  # only trailing delimiters
                    self.trimmed.append(line)
                else:
                    self.long.append(line)
            kept_lines.append(line)
            kept.append(row)
        self._widest = max([self._widest, *map(len, kept)])
        self._refuse_uneven(sum(map(len, kept)), len(kept))
        if kept:
            self._store(kept_lines, list(zip_longest(*kept, fillvalue=self._fill_value)))

    def _refuse_uneven(self, given: int, rows: int) -> None:
        """Refuse rows that no list has: too wide, or a few much wider than all the others."""
        self._given += given
        if self._widest > LAST_COLUMN:
            raise InputError(
                f"{self._name}: a row has {self._widest:,} fields; a list can have"
                f" {LAST_COLUMN:,} columns, like an Excel sheet.",
                "Export only the columns that you need.",
            )
        missing = (len(self) + rows) * self._widest - self._given
        if missing > max(MAX_MISSING_CELLS, 10 * self._given):
            raise InputError(
                f"{self._name}: the widest row has {self._widest:,} fields, most others far fewer;"
                f" {missing:,} cells would be missing.",
                "Export it again, with as many fields in each row as in the header.",
            )

    def _end_blank(self, position: int) -> None:
        """Count the blank rows above the row at a position, if there are any."""
        if self._trailing_blank_rows:
            self.blank_rows += self._trailing_blank_rows
            self._trailing_blank_rows = 0
            self.after_blank.add(position)


def check_header(source: TableSource, header: tuple[str, ...], line: int, rows: int) -> None:
    """Check that a table has a header and rows.

    Raises:
        InputError: All column names are blank, or there is no row below them.
    """
    if not any(name.strip() for name in header):
        raise InputError(
            f"{source.place(line)}: the column names are missing, the header row is blank.",
            "Put a name above each column.",
        )
    if not rows:
        raise InputError(
            f"{source.place(line)}: there is a header row but no row under it.",
            "Check that the list was exported with its rows.",
        )


def from_frame(frame: pd.DataFrame, name: str = "DataFrame") -> Table:
    """Convert a DataFrame to a table.

    Missing values (``NaN``, ``NaT``, ``NA``) become ``None``. NumPy and pandas scalars become
    Python values. Anything but text, numbers, booleans, dates and times is converted to text. Rows
    are numbered from 2, as if the frame were saved with a header. An index counts only if it is
    named like an ID; then it is the first column.

    Raises:
        InputError: The frame has no column or no row.
    """
    source = TableSource(name)
    if frame.shape[1] == 0:
        raise InputError(f"{name} has no columns.", "Give a DataFrame with at least one ID column.")
    if any(map(is_known_name, frame.index.names)):
        frame = frame.reset_index(allow_duplicates=True)
    header = tuple(
        " / ".join(filter(None, map(str, label))) if isinstance(label, tuple) else str(label)
        for label in frame.columns
    )
    check_header(source, header, 1, len(frame))
    cells = np.empty((frame.shape[1], len(frame)), dtype=object)
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        found = column.astype(object).where(column.notna(), None)
        cells[position, :] = list(map(_plain_cell, found))
    return Table(source, header, cells, np.arange(2, len(frame) + 2, dtype=np.int64))


def _plain_cell(cell: object) -> Cell:
    import pandas as pd

    value = cell.item() if isinstance(cell, np.generic) else cell
    try:
        if isinstance(cell, np.datetime64 | np.timedelta64) and isinstance(value, int):
            # nanoseconds, or a value out of Python's range
            value = pd.Timestamp(cell) if isinstance(cell, np.datetime64) else pd.Timedelta(cell)
        if isinstance(value, pd.Timestamp):
            return value.to_pydatetime(warn=False)
        if isinstance(value, pd.Timedelta):
            return value.to_pytimedelta()
    except (ValueError, OverflowError):  # a duration in years or months, or beyond the year 9999
        return str(cell if isinstance(value, int) else value)
    plain = str | bool | int | float | date | time | timedelta | None
    return value if isinstance(value, plain) else str(value)
