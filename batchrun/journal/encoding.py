"""How cells, results and times are kept in the journal: exactly, and small. Pure."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, assert_never

if TYPE_CHECKING:
    from batchrun.model import JSON, Cell

# Cells that JSON has no type for are kept as a one-entry object; no plain cell is an object.
_DATETIME, _DATE, _TIME, _SECONDS = "datetime", "date", "time", "seconds"


def encode_cells(cells: tuple[Cell, ...]) -> bytes:
    """Cells as bytes; ``decode_cells`` gives back equal values of equal types."""
    return json.dumps([_plain(cell) for cell in cells], ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def decode_cells(stored: bytes) -> tuple[Cell, ...]:
    """Read what ``encode_cells`` wrote."""
    return tuple(_cell(value) for value in json.loads(stored.decode("utf-8", "surrogatepass")))


def encode_result(result: JSON) -> bytes:
    """A result as compressed JSON, keys in the order the service sent them."""
    text = json.dumps(result, ensure_ascii=False)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), level=6)


def decode_result(stored: bytes | None) -> JSON:
    """Read what ``encode_result`` wrote; ``None`` where nothing was kept."""
    if stored is None:
        return None
    result: JSON = json.loads(zlib.decompress(stored).decode("utf-8", "surrogatepass"))
    return result


def encode_time(moment: datetime | None) -> float | None:
    """An aware moment as Unix seconds."""
    return None if moment is None else moment.timestamp()


def decode_time(seconds: float | None) -> datetime | None:
    """Unix seconds as an aware moment in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _plain(cell: Cell) -> JSON:
    match cell:
        case None | str() | bool() | int() | float():
            return cell
        case datetime():
            return {_DATETIME: cell.isoformat()}
        case date():
            return {_DATE: cell.isoformat()}
        case time():
            return {_TIME: cell.isoformat()}
        case timedelta():
            return {_SECONDS: [cell.days, cell.seconds, cell.microseconds]}
        case _:
            assert_never(cell)


def _cell(value: Any) -> Cell:
    match value:
        case {"datetime": text}:
            return datetime.fromisoformat(text)
        case {"date": text}:
            return date.fromisoformat(text)
        case {"time": text}:
            return time.fromisoformat(text)
        case {"seconds": [days, seconds, microseconds]}:
            return timedelta(days, seconds, microseconds)
        case None | str() | bool() | int() | float():
            return value
        case _:
            raise ValueError(f"not a cell of this journal: {value!r}")
