"""Load a list from a file into a `Table`, and find its ID columns.

::

    files.py           path → Table: opens the file and calls its reader
    ├── formats.py         detects the file format from the bytes
    ├── text.py            CSV and other delimited text, with encoding.py
    ├── html.py            HTML tables, often named .xls
    └── workbooks.py       workbooks: which sheet; isolated.py runs their readers in a process:
        xlsx.py                XLSX and XLSM, with archive.py
        calamine.py            XLS, XLSB and ODS
        spreadsheetml.py       Excel 2003 XML; parquet.py
    build.py           numbered rows → Table, in these steps:
    ├── header.py          finds the header
    ├── frames.py          collects the rows below it in columns; store.py keeps large lists on disk
    └── reports.py         sets aside rows of a report, and finds a second header
    roles.py           finds the ID columns; ids.py parses a cell

The public names are loaded on first use: the process that reads a workbook needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun.tables.files import load
    from batchrun.tables.frames import from_frame
    from batchrun.tables.options import LoadLimits, LoadOptions
    from batchrun.tables.roles import (
        Ask,
        ColumnQuestion,
        Contents,
        candidate_contents,
        find_column,
        find_roles,
        role_notices,
    )

__all__ = [
    "Ask",
    "ColumnQuestion",
    "Contents",
    "LoadLimits",
    "LoadOptions",
    "candidate_contents",
    "find_column",
    "find_roles",
    "from_frame",
    "load",
    "role_notices",
]

_HOMES = {
    "load": "files", "from_frame": "frames", "LoadLimits": "options", "LoadOptions": "options",
}  # fmt: skip
"""The modules of the names that are not in roles.py."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"batchrun.tables.{_HOMES.get(name, 'roles')}")
    found = globals()[name] = getattr(home, name)
    return found
