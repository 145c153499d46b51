"""What Excel can hold: "Excel specifications and limits" on support.microsoft.com."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much fits; a test may give smaller ones.

    Attributes:
        rows: Rows of a sheet, its header included.
        columns: Columns of a sheet.
        text: UTF-16 code units in a cell.
        links: Hyperlinks on a sheet.
        link_text: Characters of a link's address.
        details: Sheets for lists of objects; a batchrun bound, not Excel's.
    """

    rows: int = 1_048_576
    columns: int = 16_384
    text: int = 32_767
    links: int = 65_530
    link_text: int = 2_079
    details: int = 40


EXCEL = Limits()

EXACT_DIGITS = 15
"""Digits of a number that Excel shows; a longer integer is kept as text."""

SMALLEST_NUMBER, LARGEST_NUMBER = 2.2251e-308, 9.99999999999999e307
"""The numbers Excel has, but for their sign and 0; others are kept as text."""

SHEET_NAME = 31
"""UTF-16 code units in a sheet's name."""
