"""Load: the bytes of a list become a `Table`, and its columns get their roles.

::

    files.py           path → Table
    ├── formats.py         what the bytes are
    ├── text.py            CSV and its kin, with encoding.py
    ├── html.py            HTML that is named .xls
    └── workbooks.py       workbooks, by way of isolated.py, which starts a process for
        books.py               XLSX (xlsx.py, archive.py), XLS, XLSB, ODS, spreadsheetml.py
        build.py           rows → Table, with frames.py; reports.py knows what is no row
    roles.py           which column is which; ids.py reads a cell

The public names are loaded when they are first used: the process that reads a workbook needs few.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun.tables.files import load
    from batchrun.tables.frames import from_frame
    from batchrun.tables.ids import DamagedId, MissingId, ParsedId, ValidId, parse_id
    from batchrun.tables.options import LoadLimits, LoadOptions
    from batchrun.tables.roles import (
        Ask,
        ColumnQuestion,
        Contents,
        candidate_contents,
        find_column,
        find_roles,
        role_notices,
        swap_notice,
    )

__all__ = [
    "Ask",
    "ColumnQuestion",
    "Contents",
    "DamagedId",
    "LoadLimits",
    "LoadOptions",
    "MissingId",
    "ParsedId",
    "ValidId",
    "candidate_contents",
    "find_column",
    "find_roles",
    "from_frame",
    "load",
    "parse_id",
    "role_notices",
    "swap_notice",
]

_HOMES = {
    "files": {"load"},
    "frames": {"from_frame"},
    "ids": {"DamagedId", "MissingId", "ParsedId", "ValidId", "parse_id"},
    "options": {"LoadLimits", "LoadOptions"},
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "roles")
    found = globals()[name] = getattr(import_module(f"batchrun.tables.{home}"), name)
    return found
