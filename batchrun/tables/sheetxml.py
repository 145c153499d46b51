"""What calamine does not tell of an XLSX sheet, read from the sheet's own XML.

calamine gives the values, fast. It keeps silent about hidden rows, takes an error cell and a
formula that was never calculated for empty, drops a text of nothing but spaces, and lays out the
whole rectangle between the first cell and the last, however far apart they are. This module looks
for exactly these traits, by searching bytes: most blocks of most sheets hold none of them, which
a glance (glance.py) tells in a fraction of the time that calamine takes.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from batchrun.tables.extent import LAST_COLUMN, Extent, column_number
from batchrun.tables.glance import Glance
from batchrun.tables.tags import ASIDE, ATTRIBUTES, OPENING, PREFIX, whole_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROW = re.compile(OPENING + rb"row(?=[\s/>])" + ATTRIBUTES + rb">")
_TAG = re.compile(OPENING + rb"(row|c)(?=[\s/>])" + ATTRIBUTES + rb">")
_CELL_END = re.compile(rb"</" + PREFIX + rb"c\s*>")
_COLUMN = re.compile(OPENING + rb"col(?=[\s/>])" + ATTRIBUTES + rb">")
_SHEET_DATA = re.compile(OPENING + rb"sheetData[\s/>]")
_VALUE = re.compile(OPENING + rb"v(?:\s[^<>]*)?>([^<]+)<")
_TEXT = re.compile(OPENING + rb"t(?:\s[^<>]*)?(?<!/)>([^<]*)<")
_FORMULA = re.compile(OPENING + rb"f[\s/>]")
_BLANK_TEXT = re.compile(rb"<t>[ \t\r\n]+</")
_ODD_BLANK_TEXT = re.compile(rb"<t\s(?![^<>]*preserve)[^<>]*>[ \t\r\n]+</")
_PREFIXED_BLANK_TEXT = re.compile(rb":t(?:\s[^<>]*)?>[ \t\r\n]+</")
_CALCULATED = re.compile(rb"<f(?:\s[^<>]*)?(?:/>|>[^<]*</f>)<v>[^<]")
_PREFIXED_FORMULA = re.compile(rb":f[\s/>]")
_MAY_BE_ERROR = re.compile(rb"t\s*=\s*[\"']e[\"']")
_ERROR_TYPE = re.compile(rb"\st\s*=\s*[\"']e[\"']")
_ATTRIBUTE = re.compile(rb"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_NUMBER = re.compile(rb"\sr\s*=\s*[\"'](\d+)[\"']")
_REFERENCE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]+)(\d+)[\"']")
_TRUE = {b"1", b"true"}


@dataclass(slots=True)
class SheetTraits:
    """What was found; rows and columns count from 1, as Excel shows them.

    Attributes:
        extent: How far its cells reach.
        errors: Error cells by (row, column), such as ``#N/A``.
        blank_texts: Cells of nothing but white space by (row, column).
        uncalculated: Cells with a formula whose value was never stored.
        hidden_rows: Rows that are hidden or filtered out.
        hidden_columns: Hidden columns.
        filtered: Whether a filter is set on the sheet.
        uncertain: Whether some of it can only be told by counting rows and cells from the first,
            comments left out.
    """

    extent: Extent = field(default_factory=Extent)
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    blank_texts: dict[tuple[int, int], str] = field(default_factory=dict)
    uncalculated: list[tuple[int, int]] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[int] = field(default_factory=list)
    filtered: bool = False
    uncertain: bool = False


def read_traits(chunks: Iterable[bytes], *, counting: bool = False) -> SheetTraits:
    """Look through a sheet's XML, given piece by piece.

    Args:
        chunks: The XML.
        counting: Count rows and cells that don't say where they are, for which each one is looked
            at; comments have to be left out before. The traits say when it has to be.
    """
    traits = SheetTraits()
    block = b""
    place = _Place(0) if counting else None
    for number, block in enumerate(whole_rows(chunks)):
        if number == 0:
            _read_columns(block, traits)
        glance = Glance(block)
        if glance.may_hold_asides() and ASIDE.search(block):
            traits.uncertain = True
        traits.extent.add(block, glance)
        if place is not None:
            _read_cells(block, traits, place)
            continue
        if glance.may_hold_name(b"en") and b"hidden" in block:
            _read_hidden_rows(block, traits)
        if (
            (glance.may_hold_type(b"e") and _MAY_BE_ERROR.search(block))
            or ((formulas := glance.count(b"<f")) and formulas != len(_CALCULATED.findall(block)))
            or (glance.count_prefixed(b"f") and _PREFIXED_FORMULA.search(block))
            or (glance.text_begins_blank() and _holds_blank_text(block, glance))
        ):
            _read_cells(block, traits, _Place())
    traits.filtered = b"utoFilter" in block  # it stands behind the rows
    return traits


def _holds_blank_text(block: bytes, glance: Glance) -> bool:
    if _BLANK_TEXT.search(block) or _ODD_BLANK_TEXT.search(block):
        return True
    return glance.count_prefixed(b"t") > 0 and _PREFIXED_BLANK_TEXT.search(block) is not None


def _attributes(text: bytes) -> dict[bytes, bytes]:
    return {name: double or single for name, double, single in _ATTRIBUTE.findall(text)}


def _read_columns(block: bytes, traits: SheetTraits) -> None:
    rows = _SHEET_DATA.search(block)
    for found in _COLUMN.finditer(block, 0, rows.start() if rows else 0):
        attributes = _attributes(found[1])
        if attributes.get(b"hidden") in _TRUE:
            first, last = int(attributes.get(b"min", b"0")), int(attributes.get(b"max", b"0"))
            traits.hidden_columns.extend(range(first, min(last, LAST_COLUMN) + 1))


@dataclass(slots=True)
class _Place:
    """Where a reader is; the row is ``None`` where no number has been seen yet."""

    row: int | None = None
    column: int = 0

    def next_row(self, attributes: bytes) -> int | None:
        number = _NUMBER.search(attributes)
        if number is not None:
            self.row = int(number[1])
        elif self.row is not None:
            self.row += 1
        self.column = 0
        return self.row

    def next_cell(self, attributes: bytes) -> tuple[int, int] | None:
        """Its row and column, as calamine counts."""
        reference = _REFERENCE.search(attributes)
        if reference is not None:
            self.column = column_number(reference[1])
            return int(reference[2]), self.column
        self.column += 1
        return None if self.row is None else (self.row, self.column)


def _read_hidden_rows(block: bytes, traits: SheetTraits) -> None:
    place = _Place()
    for found in _ROW.finditer(block):
        row = place.next_row(found[1])
        if b"hidden" in found[1]:
            _note_row(found[1], row, traits)


def _note_row(attributes: bytes, row: int | None, traits: SheetTraits) -> None:
    if _attributes(attributes).get(b"hidden") not in _TRUE:
        return
    if row is None:
        traits.uncertain = True
    else:
        traits.hidden_rows.add(row)


def _read_cells(block: bytes, traits: SheetTraits, place: _Place) -> None:
    """Note what is remarkable; each byte is looked at once."""
    for tag, following in pairwise(chain(_TAG.finditer(block), [None])):
        assert tag is not None
        name, attributes = tag.groups()
        if name == b"row":
            row = place.next_row(attributes)
            if b"hidden" in attributes:
                _note_row(attributes, row, traits)
            continue
        position = place.next_cell(attributes)
        if attributes.endswith(b"/"):
            continue
        until = following.start() if following else len(block)
        end = _CELL_END.search(block, tag.end(), until)
        content = block[tag.end() : end.start() if end else until]
        if not _note_cell(attributes, content, position, traits):
            traits.uncertain = True


def _note_cell(
    attributes: bytes, content: bytes, position: tuple[int, int] | None, traits: SheetTraits
) -> bool:
    """Note what calamine would keep silent about; whether it could be, its place being known."""
    error = _ERROR_TYPE.search(attributes)
    formula = (b"<f" in content or b":f" in content) and _FORMULA.search(content)
    value = _VALUE.search(content) if error or formula else None
    if formula and value is None:
        if error is None and _attributes(attributes).get(b"t") == b"str":
            return True
        if position is not None:
            traits.uncalculated.append(position)
    elif error and value is not None:
        if position is not None:
            traits.errors[position] = html.unescape(value[1].decode())
    elif not error and not formula and (text := b"".join(_TEXT.findall(content))):
        if text.strip():  # of a rich text, some run
            return True
        if position is not None:
            traits.blank_texts[position] = text.decode()
    else:
        return True
    return position is not None
