"""Read Parquet files, in the child process of isolated.py like workbooks."""

from __future__ import annotations

import importlib.util
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.installation import install_hint
from batchrun.model import Cell, Table, TableSource
from batchrun.tables.formats import Format
from batchrun.tables.frames import RowCollector, check_header
from batchrun.tables.isolated import open_book
from batchrun.tables.sheets import (
    BLOCK_ROWS,
    Sheet,
    SheetRows,
    WorkbookReader,
    numbered,
    refuse_far,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchrun.tables.options import LoadLimits, LoadOptions


def read_parquet(raw: bytes, file: Path, options: LoadOptions) -> Table:
    """Read a Parquet file; the column names count as line 1.

    Raises:
        InputError: The file is damaged or has no rows, or pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            f"{file.name} is a Parquet file, and the library that reads it is not installed.",
            install_hint("parquet"),
        )
    with open_book(raw, file.name, options.limits) as book:
        blocks = book.read(book.sheets[0]).blocks
        lines, rows = next(blocks)
        names = tuple(str(name) for name in rows[0])
        collector = RowCollector(file.name, len(names), None)
        collector.add_block((lines[1:], rows[1:]))
        for block in blocks:
            collector.add_block(block)
    source = TableSource(
        file.name,
        str(file.absolute()),
        Format.PARQUET.value,
        header_line=1,
        notices=tuple(collector.notices()),
    )
    check_header(source, names, 1, len(collector))
    return Table(source, names, collector.cells(), collector.lines())


class ParquetReader(WorkbookReader):
    """Reads a Parquet file as a workbook with one sheet."""

    format = Format.PARQUET

    def __init__(self, raw: bytes, name: str, limits: LoadLimits) -> None:
        import pyarrow
        from pyarrow import parquet

        self._name = name
        pyarrow.set_memory_pool(pyarrow.system_memory_pool())
        try:
            self._file = parquet.ParquetFile(pyarrow.BufferReader(raw))
            self._names = [str(each) for each in self._file.schema_arrow.names]
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise _damaged(name) from error
        rows = self._file.metadata.num_rows
        if len(self._names) * rows > limits.cells:
            refuse_far(name, "", rows, len(self._names), limits)
        self.sheets = [Sheet("")]

    def filled(self, sheet: Sheet) -> bool:
        """Whether the file has any rows."""
        del sheet
        return bool(self._file.metadata.num_rows)

    def read(self, sheet: Sheet) -> SheetRows:
        """Read the rows; the first one holds the column names."""
        del sheet
        return SheetRows(numbered(self._rows()))

    def _rows(self) -> Iterator[list[Cell]]:
        import pyarrow

        yield list(self._names)
        try:
            for batch in self._file.iter_batches(BLOCK_ROWS, use_threads=False):
                columns = [_cells(column) for column in batch.columns]
                yield from map(list, zip(*columns, strict=True))
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            raise _damaged(self._name) from error


def _damaged(name: str) -> InputError:
    what = f"{name} is a Parquet file that can't be read: it is damaged."
    return InputError(what, "Export it again.")


def _cells(column: Any) -> list[Cell]:
    import pyarrow

    if pyarrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    if pyarrow.types.is_duration(column.type) and column.type.unit == "ns":
        column = column.cast(pyarrow.duration("us"), safe=False)
    if column.type == pyarrow.binary(16):  # UUIDs; a few of them are valid UTF-8 too
        return [value and value.hex() for value in column.to_pylist()]
    return [_cell(each) for each in column.to_pylist()]


def _cell(value: object) -> Cell:  # noqa: PLR0911 - one for each type
    match value:
        case float() if value != value:  # noqa: PLR0124 - NaN means a missing value
            return None
        case None | str() | bool() | int() | float() | datetime() | date() | time() | timedelta():
            return value
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value.hex()
        case Decimal() if value == value.to_integral_value() and value.as_tuple().exponent == 0:
            return int(value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)
