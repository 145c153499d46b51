"""Options and limits for reading a list."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrun.options import FileOptions


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Upper limits for a file.

    Attributes:
        file_bytes: Size of the file.
        unpacked_bytes: Total unpacked size of the parts of a workbook.
        ratio: Unpacked size of a part divided by its packed size; applies only to parts of more
            than ``RATIO_MATTERS_FROM`` bytes.
        cells: Cells in the used rectangle of a sheet, including blank ones.
        sheets: Sheets in a workbook.
        parts: Parts of a workbook (files inside its archive).
        field_characters: Characters in one field of a text file.
    """

    file_bytes: int = 2 * 1024**3
    unpacked_bytes: int = 4 * 1024**3
    ratio: int = 200
    cells: int = 50_000_000
    sheets: int = 500
    parts: int = 10_000
    field_characters: int = 10_000_000


RATIO_MATTERS_FROM = 16 * 1024**2
"""Smaller parts, in unpacked bytes, may have any ratio: blank rows compress very well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions(FileOptions):
    """How to read a file, and how large it may be.

    Attributes:
        limits: Upper limits for the file.
    """

    limits: LoadLimits = field(default_factory=LoadLimits)
