"""Options and limits for reading a list."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrun.options import FileOptions


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Upper limits for a file."""

    file_bytes: int = 2 * 1024**3  # size of the file
    unpacked_bytes: int = 4 * 1024**3  # total unpacked size of the parts of a workbook
    # Unpacked size of a part divided by its packed size, if it is above `RATIO_MATTERS_FROM` bytes
    ratio: int = 200
    cells: int = 50_000_000  # cells in the used rectangle of a sheet, including blank ones
    sheets: int = 500  # sheets in a workbook
    parts: int = 10_000  # parts of a workbook (files inside its archive)
    field_characters: int = 10_000_000  # characters in one field of a text file


RATIO_MATTERS_FROM = 16 * 1024**2
"""Smaller parts, in unpacked bytes, may have any ratio: blank rows compress very well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions(FileOptions):
    """How to read a file, and how large it may be."""

    limits: LoadLimits = field(default_factory=LoadLimits)
