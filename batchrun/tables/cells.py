"""Blocks of cells as bytes, for the pipe between the process that reads a workbook and ours.

A data format, on purpose: whatever a hostile workbook makes of the process that reads it, what
comes out of the pipe is cells and nothing that runs.
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
LARGEST_FRAME_BYTES = 2 * 1024**3
_MOMENTS = {each.__name__: each for each in (datetime, date, time)}


class FrameError(Exception):
    """The pipe ended, or holds what the other side never writes."""


def write_frame(stream: IO[bytes], head: object, *parts: bytes) -> None:
    """Write a head in JSON and some binary parts."""
    packed = json.dumps([head, [len(part) for part in parts]]).encode()
    stream.write(_LENGTH.pack(len(packed)))
    stream.write(packed)
    for part in parts:
        stream.write(part)


def read_frame(stream: IO[bytes]) -> tuple[Any, list[bytes]]:
    """Read what `write_frame` wrote.

    Raises:
        FrameError: There is no whole frame.
    """
    try:
        head, sizes = json.loads(_read(stream, _LENGTH.unpack(_read(stream, _LENGTH.size))[0]))
        return head, [_read(stream, int(size)) for size in sizes]
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError from error


def _read(stream: IO[bytes], size: int) -> bytes:
    if not 0 <= size <= LARGEST_FRAME_BYTES:
        raise FrameError
    found = stream.read(size)
    if len(found) < size:
        raise FrameError
    return found


def pack_rows(rows: Sequence[Sequence[Cell]]) -> tuple[list[str], list[bytes]]:
    """The columns of equally long rows: how each is packed, and its bytes."""
    packed = [pack_column(column) for column in zip(*rows, strict=True)]
    return [kind for kind, _ in packed], [content for _, content in packed]


def unpack_rows(kinds: Sequence[str], columns: Sequence[bytes], count: int) -> list[list[Cell]]:
    """What `pack_rows` was given.

    Raises:
        FrameError: The columns are not all of this length.
    """
    try:
        cells = [unpack_column(kind, each) for kind, each in zip(kinds, columns, strict=True)]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise FrameError from error
    if any(len(column) != count for column in cells):
        raise FrameError
    return list(map(list, zip(*cells, strict=True))) if cells else [[] for _ in range(count)]


def pack_column(column: Sequence[Any]) -> tuple[str, bytes]:
    """A column's cells: how they are packed, and their bytes."""
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
    """What `pack_column` was given."""
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
