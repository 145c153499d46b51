"""Load: the bytes of a list become a `Table`, and its columns get their roles.

::

    files.py           path → Table
    ├── formats.py         what the bytes are
    ├── text.py            CSV and its kin, with encoding.py
    ├── html.py            HTML that is named .xls
    └── workbooks.py       XLSX by xlsx.py; other workbooks by isolated.py; sheets.py chooses
        build.py           rows → Table, with frames.py; reports.py knows what is no row
    roles.py           which column is which; ids.py reads a cell
    choices.py         the user's choices, kept for the next export
"""

from batchrun.tables.choices import Choices, read_choices, save_choices
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
    swap_notice,
    unused_notices,
)

__all__ = [
    "Ask",
    "Choices",
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
    "read_choices",
    "save_choices",
    "swap_notice",
    "unused_notices",
]
