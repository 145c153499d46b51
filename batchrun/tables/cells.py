"""Serialize blocks of cells, for the pipe from the process that reads a workbook.

The format holds only data, never code (unlike pickle). Even if a malicious workbook takes over the
reading process, this process receives only cells.
"""

from __future__ import annotations

import json
import struct
from array import array
from datetime import date, datetime, time, timedelta
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.model import Cell

_LENGTH = struct.Struct("<Q")
MAX_FRAME_BYTES = 2 * 1024**3
_MOMENTS = {each.__name__: each for each in (datetime, date, time)}


class FrameError(Exception):
    """The pipe was closed or holds invalid data."""


def write_frame(stream: IO[bytes], head: object, *parts: bytes) -> None:
    """Write a frame: a JSON head and binary parts."""
    packed = json.dumps([head, [len(part) for part in parts]]).encode()
    stream.write(_LENGTH.pack(len(packed)))
    stream.write(packed)
    for part in parts:
        stream.write(part)


def read_frame(stream: IO[bytes]) -> tuple[Any, list[bytes]]:
    """Read a frame that `write_frame` wrote.

    Raises:
        FrameError: The frame is incomplete or invalid.
    """
    try:
        head, sizes = json.loads(_read(stream, _LENGTH.unpack(_read(stream, _LENGTH.size))[0]))
        return head, [_read(stream, int(size)) for size in sizes]
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError from error


def _read(stream: IO[bytes], size: int) -> bytes:
    if not 0 <= size <= MAX_FRAME_BYTES:
        raise FrameError
    found = stream.read(size)
    if len(found) < size:
        raise FrameError
    return found


def pack_rows(rows: Sequence[Sequence[Cell]]) -> tuple[list[str], list[bytes]]:
    """Pack rows of equal length by column; return the packing kind and the bytes of each column."""
    packed = [pack_column(column) for column in zip(*rows, strict=True)]
    return [kind for kind, _ in packed], [content for _, content in packed]


def unpack_rows(kinds: Sequence[str], columns: Sequence[bytes], count: int) -> list[list[Cell]]:
    """Unpack the result of `pack_rows`.

    Raises:
        FrameError: A column is invalid or does not have ``count`` cells.
    """
    try:
        cells = [unpack_column(kind, each) for kind, each in zip(kinds, columns, strict=True)]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise FrameError from error
    if any(len(column) != count for column in cells):
        raise FrameError
    return list(map(list, zip(*cells, strict=True))) if cells else [[] for _ in range(count)]


def pack_column(column: Sequence[Any]) -> tuple[str, bytes]:
    """Pack a column; return the packing kind and the bytes."""
    kinds = set(map(type, column))
    if kinds == {str}:
        joined = "\0".join(column)
        if joined.count("\0") == len(column) - 1:
            return "text", joined.encode("utf-8", "surrogatepass")
    if kinds == {float}:
        return "float", array("d", column).tobytes()
    if kinds == {bool}:
        return "bool", bytes(column)
    if kinds <= {datetime, date}:
        return "moment", "\0".join([cell.isoformat() for cell in column]).encode()
    return "mixed", json.dumps([_plain(cell) for cell in column]).encode()


def unpack_column(kind: str, content: bytes) -> Sequence[Cell]:
    """Unpack the result of `pack_column`."""
    match kind:
        case "text":
            return content.decode("utf-8", "surrogatepass").split("\0")
        case "float":
            return array("d", content)
        case "bool":
            return list(map(bool, content))
        case "moment":
            return [
                date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
                for text in content.decode().split("\0")
            ]
        case _:
            return [_cell(each) for each in json.loads(content)]


def _plain(cell: Cell) -> object:
    match cell:
        case timedelta():
            return ["timedelta", cell.days, cell.seconds, cell.microseconds]
        case datetime() | date() | time():
            return [type(cell).__name__, cell.isoformat()]
        case _:
            return cell


def _cell(plain: Any) -> Cell:
    match plain:
        case ["timedelta", int(days), int(seconds), int(microseconds)]:
            return timedelta(days, seconds, microseconds)
        case [str(kind), str(text)]:
            return _MOMENTS[kind].fromisoformat(text)
        case None | str() | bool() | int() | float():
            return plain
        case _:
            raise FrameError
