"""Options and limits for reading a list."""

from __future__ import annotations

from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to read a list.

    Attributes:
        sheet: Sheet of a workbook, by name or by its number among the visible sheets (``"1"``
            is the first), or the number of a table in an HTML page. ``None`` for the first visible
            sheet that is not empty, unless it holds no IDs and exactly one other sheet does.
        header_row: Line of the column names; ``None`` to detect it.
        no_header: Whether the list has no column names.
        visible_only: Whether to skip rows that are hidden or filtered out.
        encoding: Encoding of a text file, such as ``cp1251``; ``None`` to detect it.
        delimiter: Field separator of a text file: a character, or ``comma``, ``semicolon``,
            ``tab`` or ``bar``; ``None`` to detect it.
        quoting: ``"literal"`` if quotes in a text file are ordinary characters; ``None`` if they
            enclose fields.
        limits: Upper limits for the file.
    """

    sheet: str | None = None
    header_row: int | None = None
    no_header: bool = False
    visible_only: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    limits: LoadLimits = field(default_factory=LoadLimits)
