"""Load: the bytes of a list become a `Table`, and its columns get their roles."""

from batchrun.tables.files import load
from batchrun.tables.frames import from_frame
from batchrun.tables.ids import DamagedId, MissingId, ParsedId, ValidId, parse_id
from batchrun.tables.roles import find_column, find_roles

__all__ = [
    "DamagedId",
    "MissingId",
    "ParsedId",
    "ValidId",
    "find_column",
    "find_roles",
    "from_frame",
    "load",
    "parse_id",
]
