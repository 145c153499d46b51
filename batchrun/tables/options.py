"""How a user wants a list to be read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Bounds a file is held to before it is read.

    Attributes:
        file_bytes: Size of the file itself.
        unpacked_bytes: Size of all parts of a workbook together, unpacked.
        ratio: Unpacked size of a part over its packed size; only parts of more than
            ``RATIO_MATTERS_FROM`` bytes are held to it.
        cells: Cells of the rectangle that holds everything on a sheet, blank ones included.
        sheets: Sheets of a workbook.
        parts: Parts of a workbook (files inside its archive).
        field_characters: Characters of one field of a text file.
    """

    file_bytes: int = 2 * 1024**3
    unpacked_bytes: int = 4 * 1024**3
    ratio: int = 200
    cells: int = 50_000_000
    sheets: int = 500
    parts: int = 10_000
    field_characters: int = 10_000_000


RATIO_MATTERS_FROM = 16 * 1024**2
"""Bytes of a part below which its ratio does no harm; blank rows pack very well."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a user may say of a list.

    Attributes:
        sheet: Sheet of a workbook, by name or by its number among the visible sheets (``"1"``
            is the first); ``None`` for the first visible sheet that holds anything.
        header_row: Line of the column names; ``None`` to find it.
        no_header: Whether the list has no column names.
        visible_only: Leave out rows that are hidden or filtered out.
        encoding: How the characters of a text file are encoded, such as ``cp1251``; ``None`` to
            find it.
        delimiter: What is between the fields of a text file: a character, or ``comma``,
            ``semicolon``, ``tab`` or ``bar``; ``None`` to find it.
        quoting: ``"literal"`` where quotes in a text file are text like any other; ``None`` for
            quotes around fields.
        limits: How large the list may be.
    """

    sheet: str | None = None
    header_row: int | None = None
    no_header: bool = False
    visible_only: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    limits: LoadLimits = field(default_factory=LoadLimits)
