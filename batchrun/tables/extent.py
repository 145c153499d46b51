"""How far the cells of an XLSX sheet reach, before calamine lays out the rectangle they span.

calamine believes a cell's reference where it has one (``r="XFD1"``), and counts on from the last
cell and the last row where not. A glance is enough for sheets as programs write them; what is
written otherwise is bounded from above here, and only a sheet that seems too large is read tag by
tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.tables.tags import ASIDE, OPENING, prefixed_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchrun.tables.glance import Glance

LAST_ROW = 1_048_576
LAST_COLUMN = 16_384
"""Where an Excel sheet ends (Excel specifications and limits)."""

_ROW = re.compile(rb"<row(?=[\s/>])")
_PREFIXED_ROW = re.compile(rb":row(?=[\s/>])")
_PREFIXED_CELL = re.compile(rb":c[\s/>]")
_REFERENCE = re.compile(rb"r\s*=\s*[\"']([A-Za-z]*)(\d*)[\"']")
_ANY_TAG = re.compile(OPENING + rb"(?:row|c)(?=[\s/>])")
_TAG = re.compile(
    OPENING + rb"(row|c)((?:\s+[^\s=<>\"'/]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*+)\s*(/?)>"
)
_OWN_REFERENCE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]*)(\d*)[\"']")


@dataclass(slots=True)
class Extent:
    """What bounds the cells of the blocks seen so far.

    Attributes:
        last_row: No cell is below this row.
        last_column: No cell that names its column is right of it.
        widest: Most cells in a row that may count on from the one before.
    """

    last_row: int = 1
    last_column: int = 1
    widest: int = 0
    _counted_on: int = 0
    _aside: bool = False

    @property
    def columns(self) -> int:
        """A column that no cell is right of."""
        return self.last_column + self.widest

    def add(self, block: bytes, glance: Glance) -> None:
        """Take the next block, cut before a row where it can be."""
        last_row, last_column = glance.extent() or _any_extent(block)
        self.last_row = max(self.last_row, last_row) + glance.unnamed_rows()
        self.last_column = max(self.last_column, last_column)
        prefixed = glance.count_prefixed(b"c") and _PREFIXED_CELL.search(block)
        if prefixed or not glance.cells_named():
            self._count_on(block, glance)
        else:
            self._counted_on = 0

    def _count_on(self, block: bytes, glance: Glance) -> None:
        """Bound the cells that may have no reference; ends of prefixed ones count as well."""
        rows = [found.start() for found in _ROW.finditer(block)]
        prefixed_rows = (found.start() for found in _PREFIXED_ROW.finditer(block))
        rows += [at for colon in prefixed_rows if (at := prefixed_row(block, colon))]
        self._aside = self._aside or ASIDE.search(block) is not None
        bounds = [] if self._aside else sorted(rows)
        plain = glance.counts_between(b"<c", bounds)
        prefixed = glance.counts_between(b":c", bounds)
        counts = [each + other for each, other in zip(plain, prefixed, strict=True)]
        counts[0] += self._counted_on
        self._counted_on = counts[-1]
        self.widest = max(self.widest, *counts)


def _any_extent(block: bytes) -> tuple[int, int]:
    """The same as a glance tells, of references in any spelling."""
    references = _REFERENCE.findall(block)
    rows = {digits for _, digits in references}
    columns = {letters for letters, _ in references}
    return max(map(_number, rows), default=1), max(map(column_number, columns), default=1)


def filled_extent(blocks: Iterable[bytes]) -> tuple[int, int]:
    """The last row and column that hold more than a format; slower, and exact where it can be."""
    row = column = 0
    last_row = last_column = 1
    for block in blocks:
        tags = _TAG.findall(block)
        if len(tags) != len(_ANY_TAG.findall(block)) or ASIDE.search(block):
            return LAST_ROW, LAST_COLUMN
        for name, attributes, closed in tags:
            found = _OWN_REFERENCE.search(attributes)
            if name == b"row":
                row = _number(found[2]) if found else row + 1
                column = 0
                continue
            column = column_number(found[1]) if found else column + 1
            if not closed:
                last_row = max(last_row, _number(found[2]) if found else row)
                last_column = max(last_column, column)
    return last_row, last_column


def _number(digits: bytes) -> int:
    return int(digits or b"0")


def column_number(letters: bytes) -> int:
    """The number of a column, from 1: ``A`` and ``a`` are 1, ``AA`` 27; 0 for no letters."""
    number = 0
    for letter in letters:
        number = number * 26 + (letter & ~0x20) - 64
    return number


def column_letters(number: int) -> str:
    """The letters of a column, from its number from 1."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
