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
from typing import TYPE_CHECKING

from batchrun.tables.extent import LAST_COLUMN, Extent, column_number
from batchrun.tables.glance import Glance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_ROW_BYTES = 32 * 1024**2

_ROW = re.compile(rb"<(?:\w+:)?row\b([^<>]*)>")
_CELL = re.compile(rb"<(?:\w+:)?c\b([^<>]*[^<>/]|)>")
_CELL_END = re.compile(rb"</(?:\w+:)?c>")
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^<>]*>([^<]+)<")
_TEXT = re.compile(rb"<(?:\w+:)?t>([^<]*)<")
_REFERENCE = re.compile(rb'\sr\s*=\s*"([A-Za-z]+)(\d+)"')
_BLANK_TEXT = re.compile(rb"<t>[ \t\r\n]+</t>")
_CALCULATED = re.compile(rb"<f(?:\s[^<>]*)?(?:/>|>[^<]*</f>)<v>[^<]")
_PREFIXED_FORMULA = re.compile(rb":f[\s/>]")
_COLUMN = re.compile(rb"<(?:\w+:)?col\b([^<>]*)>")
_ATTRIBUTE = re.compile(rb'([\w:]+)\s*=\s*"([^"]*)"')
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
    """

    extent: Extent = field(default_factory=Extent)
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    blank_texts: dict[tuple[int, int], str] = field(default_factory=dict)
    uncalculated: list[tuple[int, int]] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[int] = field(default_factory=list)
    filtered: bool = False


def read_traits(chunks: Iterable[bytes]) -> SheetTraits:
    """Look through a sheet's XML, given piece by piece."""
    traits = SheetTraits()
    block = b""
    for number, block in enumerate(whole_rows(chunks)):
        if number == 0:
            _read_columns(block, traits)
        glance = Glance(block)
        traits.extent.add(block, glance)
        if glance.may_hold_name(b"en") and b"hidden=" in block:
            _read_hidden_rows(block, traits)
        if (
            (glance.may_hold_type(b"e") and b't="e"' in block)
            or ((formulas := glance.count(b"<f")) and formulas != len(_CALCULATED.findall(block)))
            or (glance.count_prefixed(b"f") and _PREFIXED_FORMULA.search(block))
            or (glance.text_begins_blank() and _BLANK_TEXT.search(block))
        ):
            _read_cells(block, traits)
    traits.filtered = b"utoFilter" in block  # it stands behind the rows
    return traits


def whole_rows(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut between rows, so that no cell is torn apart; a row of absurd size is cut between tags.

    Raises:
        ValueError: A tag or a text is of absurd size.
    """
    pending: list[bytes] = []
    held = 0
    for chunk in chunks:
        cut = chunk.rfind(b"<row")
        if cut <= 0:
            cut = chunk.rfind(b"<", 0, max(chunk.rfind(b":row"), 0))
        if cut <= 0:
            cut = chunk.rfind(b"<") if held > LONGEST_ROW_BYTES else -1
        if cut < 0:
            if held > 2 * LONGEST_ROW_BYTES:
                raise ValueError("no tag in so many bytes")
            held += len(chunk)
            pending.append(chunk)
            continue
        yield b"".join((*pending, chunk[:cut]))
        pending, held = [chunk[cut:]], len(chunk) - cut
    yield b"".join(pending)


def _attributes(text: bytes) -> dict[bytes, bytes]:
    return dict(_ATTRIBUTE.findall(text))


def _read_columns(block: bytes, traits: SheetTraits) -> None:
    end = block.find(b"sheetData")
    for found in _COLUMN.finditer(block, 0, max(end, 0)):
        attributes = _attributes(found[1])
        if attributes.get(b"hidden") in _TRUE:
            first, last = int(attributes.get(b"min", b"0")), int(attributes.get(b"max", b"0"))
            traits.hidden_columns.extend(range(first, min(last, LAST_COLUMN) + 1))


def _read_hidden_rows(block: bytes, traits: SheetTraits) -> None:
    for found in _ROW.finditer(block):
        if b"hidden" in found[1]:
            attributes = _attributes(found[1])
            if attributes.get(b"hidden") in _TRUE and b"r" in attributes:
                traits.hidden_rows.add(int(attributes[b"r"]))


def _cells(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Attributes and content of the cells that have one; each byte is looked at once."""
    tag = _CELL.search(block)
    while tag is not None:
        following = _CELL.search(block, tag.end())
        until = following.start() if following else len(block)
        end = _CELL_END.search(block, tag.end(), until)
        yield tag[1], block[tag.end() : end.start() if end else until]
        tag = following


def _read_cells(block: bytes, traits: SheetTraits) -> None:
    for attributes, content in _cells(block):
        if not (
            b't="e' in attributes
            or b"<f" in content
            or b":f" in content
            or _BLANK_TEXT.search(content)
        ):
            continue
        kind = _attributes(attributes).get(b"t")
        value = _VALUE.search(content)
        text = _TEXT.search(content)
        blank = text is not None and text[1] and not text[1].strip()
        formula = b"<f" in content or b":f" in content
        if kind != b"e" and not blank and not (formula and value is None):
            continue
        position = _position(attributes)
        if position is None:
            continue
        if kind == b"e":
            traits.errors[position] = html.unescape(value[1].decode()) if value else "#N/A"
        elif blank and text is not None and not formula:
            traits.blank_texts[position] = text[1].decode()
        elif formula and kind != b"str":
            traits.uncalculated.append(position)


def _position(attributes: bytes) -> tuple[int, int] | None:
    found = _REFERENCE.search(attributes)
    return (int(found[2]), column_number(found[1])) if found else None
