"""Rows gathered into the DataFrame of a `Table`, and DataFrames taken as tables."""

from __future__ import annotations

import itertools
from array import array
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

BLOCK_ROWS = 10_000
"""Rows held as rows before they are turned into columns: many row lists cost much memory."""


class RowCollector:
    """Takes rows one by one and makes of them the frame of a `Table`.

    Args:
        width: Number of columns of the header; wider rows widen the frame.
        filler: What a cell is that a row does not have.

    Attributes:
        blank_rows: Blank rows between others; those at the end of a file are nobody's concern.
    """

    def __init__(self, width: int, filler: Cell) -> None:
        self.blank_rows = 0
        self._trailing_blank_rows = 0
        self._filler = filler
        self._lines = array("q")
        self._block: list[Sequence[Cell]] = []
        self._columns: list[list[Cell]] = [[] for _ in range(width)]

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def columns(self) -> list[list[Cell]]:
        """The columns so far; a reader may replace a column by another of the same length."""
        self._flush()
        return self._columns

    def add(self, line: int, cells: Sequence[Cell]) -> None:
        """Take a row that is not blank, with its line number."""
        self.blank_rows += self._trailing_blank_rows
        self._trailing_blank_rows = 0
        self._lines.append(line)
        self._block.append(cells)
        if len(self._block) == BLOCK_ROWS:
            self._flush()

    def skip_blank(self) -> None:
        """Leave out a blank row."""
        self._trailing_blank_rows += 1

    def frame(self) -> pd.DataFrame:
        """Everything collected; the collector is empty afterwards."""
        columns = self.columns
        columns.reverse()
        return _build_frame(self._lines, [columns.pop() for _ in range(len(columns))])

    def _flush(self) -> None:
        rows_before = len(self._lines) - len(self._block)
        block = list(itertools.zip_longest(*self._block, fillvalue=self._filler))
        for _ in range(len(block) - len(self._columns)):
            self._columns.append([self._filler] * rows_before)
        nothing = [self._filler] * len(self._block)
        for column, cells in itertools.zip_longest(self._columns, block, fillvalue=nothing):
            column.extend(cells)
        self._block.clear()


def blank_rows_notice(collector: RowCollector) -> list[str]:
    """Say how many blank rows were left out, if any."""
    match collector.blank_rows:
        case 0:
            return []
        case 1:
            return ["1 blank row was skipped"]
        case count:
            return [f"{count:,} blank rows were skipped"]


def check_header(source: TableSource, header: tuple[str, ...], line: int, rows: int) -> None:
    """Refuse what is no table.

    Raises:
        InputError: The header is white space only, or there is no row under it.
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
    """Take a DataFrame as a table.

    Missing values (``NaN``, ``NaT``, ``NA``) become ``None``, NumPy and pandas scalars their
    Python counterparts, and what is neither text, number, boolean nor date becomes its text. Rows
    are numbered from 2, as if the frame were saved with a header; its own index is not used.

    Raises:
        InputError: The frame has no column or no row.
    """
    source = TableSource(name)
    if frame.shape[1] == 0:
        raise InputError(f"{name} has no columns.", "Give a DataFrame with at least one ID column.")
    header = tuple(_column_name(label) for label in frame.columns)
    check_header(source, header, 1, len(frame))
    columns = [_plain_cells(frame.iloc[:, position]) for position in range(frame.shape[1])]
    return Table(source, header, _build_frame(range(2, len(frame) + 2), columns))


def _build_frame(lines: Sequence[int], columns: list[list[Cell]]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    cells = np.empty((len(columns), len(lines)), dtype=object)
    for position in range(len(columns)):
        cells[position, :] = columns[position]
        columns[position] = []  # one copy less while the next column is laid out
    index = pd.Index(np.array(lines, dtype="int64"))
    return pd.DataFrame(cells.T, index=index, dtype=object, copy=False)


def _column_name(label: Hashable) -> str:
    return " ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _plain_cells(column: pd.Series[Any]) -> list[Cell]:
    cells = column.astype(object)
    return [_plain_cell(cell) for cell in cells.where(column.notna(), None)]


def _plain_cell(cell: object) -> Cell:
    import numpy as np
    import pandas as pd

    match cell:
        case pd.Timestamp():
            return cell.to_pydatetime(warn=False)
        case pd.Timedelta():
            return cell.to_pytimedelta()
        case np.generic():
            return _plain_cell(cell.item())
        case None | str() | bool() | int() | float() | datetime() | date() | time() | timedelta():
            return cell
        case _:
            return str(cell)
