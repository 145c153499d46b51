"""Store the cells of a large list in a temporary file instead of in memory.

The file is deleted when the process ends. Columns are packed as in the pipe from the process that
reads a workbook. The packing holds only data, never code (unlike pickle).
"""

from __future__ import annotations

import json
import tempfile
import weakref
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate, chain
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, overload

from batchrun.errors import InputError
from batchrun.model import cell_of, plain_cell

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from batchrun.model import Cell

CACHED_BLOCKS = 3
"""Unpacked blocks to keep in memory, for reading cell by cell."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of rows in the file."""

    first: int
    rows: int
    kinds: tuple[str, ...]  # packing kind of each column
    # Offset of each packed column in the file, in bytes, and of what follows the last
    starts: tuple[int, ...]


class StoredCells:
    """Cells on disk, used like an array of shape (columns, rows).

    The arguments are those of `RowCollector`.
    """

    def __init__(self, name: str, fill_value: Cell, width: int) -> None:
        self.width, self.rows_count = width, 0
        self._name, self._fill_value = name, fill_value
        self._file = tempfile.TemporaryFile(prefix="batchrun-")  # noqa: SIM115 - closed by the finalizer
        weakref.finalize(self, self._file.close)
        self._size = 0
        self._lock = Lock()
        self._blocks: list[_Block] = []
        self._patches: dict[tuple[int, int], dict[int, Cell]] = {}
        self._cache: dict[tuple[int, int], list[Cell]] = {}

    def __len__(self) -> int:
        return self.width

    def __iter__(self) -> Iterator[StoredColumn]:
        return (StoredColumn(self, column) for column in range(self.width))

    def __getitem__(self, column: int) -> StoredColumn:
        """Return a column."""
        return StoredColumn(self, range(self.width)[column])

    def append(self, columns: Sequence[Sequence[Cell]]) -> None:
        """Add rows, given as columns.

        Raises:
            InputError: The disk for temporary files is full.
        """
        packed = [pack_column(column) for column in columns]
        content = b"".join(part for _, part in packed)
        try:
            with self._lock:
                self._file.seek(self._size)
                self._file.write(content)
        except OSError as error:
            raise self._unusable(error) from error
        kinds, sizes = tuple(kind for kind, _ in packed), (len(part) for _, part in packed)
        starts = tuple(accumulate(sizes, initial=self._size))
        rows = len(columns[0])
        self._blocks.append(_Block(self.rows_count, rows, kinds, starts))
        self._size += len(content)
        self.rows_count += rows
        self.width = max(self.width, len(columns))

    def __setitem__(self, place: tuple[int, int], value: Cell) -> None:
        """Change the value of the cell in a column and a row."""
        column, row = place
        block = self._block_of(row)
        at = row - self._blocks[block].first
        self._patches.setdefault((block, column), {})[at] = value
        if (cells := self._cache.get((block, column))) is not None:
            cells[at] = value

    def cell(self, column: int, row: int) -> Cell:
        """Return a cell."""
        block = self._block_of(row)
        key = block, column
        if (cells := self._cache.get(key)) is None:
            if len(self._cache) >= CACHED_BLOCKS * self.width:
                self._cache = {}
            cells = self._cache[key] = list(self._cells(block, column))
        return cells[row - self._blocks[block].first]

    def column_cells(self, column: int) -> Iterator[Cell]:
        """Iterate over the cells of a column."""
        blocks = range(len(self._blocks))
        return chain.from_iterable(self._cells(block, column) for block in blocks)

    def rows(self) -> Iterator[tuple[Cell, ...]]:
        """Iterate over all rows."""
        for block in range(len(self._blocks)):
            columns = [self._cells(block, column) for column in range(self.width)]
            yield from zip(*columns, strict=True)

    def without(self, dropped: Collection[int]) -> StoredCells:
        """Return a copy without some rows, in a new file."""
        kept = StoredCells(self._name, self._fill_value, self.width)
        left = frozenset(dropped)
        for number, block in enumerate(self._blocks):
            columns = [self._cells(number, column) for column in range(self.width)]
            places = [at for at in range(block.rows) if block.first + at not in left]
            if places:
                kept.append([[cells[at] for at in places] for cells in columns])
        return kept

    def _block_of(self, row: int) -> int:
        return bisect_right(self._blocks, row, key=attrgetter("first")) - 1

    def _cells(self, number: int, column: int) -> Sequence[Cell]:
        block = self._blocks[number]
        if column >= len(block.kinds):
            cells: Sequence[Cell] = [self._fill_value] * block.rows
        else:
            try:
                with self._lock:
                    self._file.seek(block.starts[column])
                    content = self._file.read(block.starts[column + 1] - block.starts[column])
                cells = unpack_column(block.kinds[column], content)
            except (OSError, PackingError, ValueError) as error:
                raise self._unusable(error) from error
        if patches := self._patches.get((number, column)):
            cells = list(cells)
            for at, value in patches.items():
                cells[at] = value
        return cells

    def _unusable(self, error: Exception) -> InputError:
        reason = getattr(error, "strerror", None) or error
        return InputError(
            f"{self._name} is too large for memory, and the temporary file for it can't be used:"
            f" {reason}.",
            "Make room on the disk that holds temporary files.",
        )


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of `StoredCells`."""

    cells: StoredCells
    column: int

    def __len__(self) -> int:
        return self.cells.rows_count

    def __iter__(self) -> Iterator[Cell]:
        return self.cells.column_cells(self.column)

    @overload
    def __getitem__(self, row: int) -> Cell: ...
    @overload
    def __getitem__(self, row: slice) -> list[Cell]: ...
    def __getitem__(self, row: int | slice) -> Cell | list[Cell]:
        """Return one cell, or several for a slice."""
        places = range(len(self))[row]
        if isinstance(places, int):
            return self.cells.cell(self.column, places)
        return [self.cells.cell(self.column, place) for place in places]


class PackingError(Exception):
    """The pipe is closed, or packed cells are damaged."""


def pack_column(column: Sequence[Any]) -> tuple[str, bytes]:
    """Pack a column; return the packing kind and the bytes."""
    kinds = set(map(type, column))
    if kinds == {str}:
        joined = "\0".join(column)
        if joined.count("\0") == len(column) - 1:
            return "text", joined.encode("utf-8", "surrogatepass")
    if kinds == {float}:
        return "float", array("d", column).tobytes()
    if kinds <= {datetime, date}:
        return "moment", "\0".join([cell.isoformat() for cell in column]).encode()
    return "mixed", json.dumps(list(column), default=plain_cell).encode()


def unpack_column(kind: str, content: bytes) -> Sequence[Cell]:
    """Unpack the result of `pack_column`."""
    match kind:
        case "text":
            return content.decode("utf-8", "surrogatepass").split("\0")
        case "float":
            return array("d", content)
        case "moment":
            return [
                date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
                for text in content.decode().split("\0")
            ]
        case _:
            return list(map(cell_of, json.loads(content)))
