"""XLS and XLSB: hidden rows, error cells, merged cells and number formats, from their records.

calamine gives the values of both formats and little else. Records follow [MS-XLS] 2.4 and
[MS-XLSB] 2.4; those that aren't needed are skipped by their length.
"""

from __future__ import annotations

import io
import posixpath
import re
import struct
from collections import Counter
from typing import TYPE_CHECKING

from batchrun.tables.sheets import Traits, style_kinds

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

    from batchrun.tables.reports import Merged

ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?",
          0x24: "#NUM!", 0x2A: "#N/A"}  # fmt: skip
MOST_STYLES = 100_000

_Record = tuple[int, bytes]


class BinarySheet:
    """What the records of a sheet tell; rows and columns count from 1.

    Attributes:
        traits: Hidden rows and columns, error cells.
        merged: Merged ranges.
        codes: Column → how many of its numbers have which format; ``""`` for one without zeros.
        negative: Negative dates and times by their places.
    """

    def __init__(self, styles: list[int], formats: dict[int, str]) -> None:
        self.traits = Traits()
        self.merged: list[Merged] = []
        self.codes: dict[int, Counter[str]] = {}
        self.negative: dict[tuple[int, int], float] = {}
        self._zeros, self._dates = style_kinds(styles, formats)

    def add_number(self, row: int, column: int, style: int, value: bytes) -> None:
        """Count a number by its format; ``value`` is a double, or the four bytes of an RkNumber."""
        if style not in self._dates:
            self.codes.setdefault(column + 1, Counter())[self._zeros.get(style, "")] += 1
        elif (number := _number(value)) < 0:
            self.negative[row + 1, column + 1] = number

    def add_error(self, row: int, column: int, code: int) -> None:
        """Note an error cell."""
        self.traits.errors[row + 1, column + 1] = ERRORS.get(code, "#ERROR!")

    def hide_columns(self, first: int, last: int) -> None:
        """Note hidden columns."""
        self.traits.hidden_columns.extend(range(first + 1, min(last, 16_383) + 2))


def read_xls(raw: bytes, sheet: str) -> BinarySheet:
    """Read the records of a sheet of an XLS file.

    Raises:
        ValueError: There is no such sheet, or a record is damaged.
    """
    import olefile

    with olefile.OleFileIO(io.BytesIO(raw)) as compound:
        name = next(each for each in ("Workbook", "Book") if compound.exists(each))
        stream = compound.openstream(name).read()
    formats: dict[int, str] = {}
    styles: list[int] = []
    start = None
    for kind, content in _xls_records(stream, 0):
        match kind:
            case 0x041E:
                formats[_u16(content, 0)] = _xls_text(content[2:], wide_length=True)
            case 0x00E0 if len(styles) < MOST_STYLES:
                styles.append(_u16(content, 2))
            case 0x0085 if _xls_text(content[6:], wide_length=False) == sheet:
                start = struct.unpack_from("<I", content)[0]
            case _:
                pass
    if start is None:
        raise ValueError(sheet)
    found = BinarySheet(styles, formats)
    for kind, content in _xls_records(stream, start):
        _take_xls(found, kind, content)
    return found


def _take_xls(found: BinarySheet, kind: int, content: bytes) -> None:
    match kind:
        case 0x0208 if content[12] & 0x20:
            found.traits.hidden_rows.add(_u16(content, 0) + 1)
        case 0x007D if content[8] & 1:
            found.hide_columns(_u16(content, 0), _u16(content, 2))
        case 0x009D:
            found.traits.filtered = True
        case 0x0203 | 0x027E:
            _add_xls_number(found, content)
        case 0x00BD:
            row, first = struct.unpack_from("<HH", content)
            for column, at in enumerate(range(4, len(content) - 6, 6), start=first):
                found.add_number(row, column, _u16(content, at), content[at + 2 : at + 6])
        case 0x0006:
            if content[12:14] != b"\xff\xff":
                _add_xls_number(found, content)
            elif content[6] == 2:
                found.add_error(_u16(content, 0), _u16(content, 2), content[8])
        case 0x0205 if content[7]:
            found.add_error(_u16(content, 0), _u16(content, 2), content[6])
        case _:
            pass


def _add_xls_number(found: BinarySheet, content: bytes) -> None:
    row, column, style = struct.unpack_from("<HHH", content)
    found.add_number(row, column, style, content[6:14])


def _xls_records(stream: bytes, at: int) -> Iterator[_Record]:
    """The records from a place to the end of the substream."""
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + size]
        if kind == 0x000A:
            return
        at += 4 + size


def _xls_text(content: bytes, *, wide_length: bool) -> str:
    size = 2 if wide_length else 1
    length = int.from_bytes(content[:size], "little")
    encoding, width = ("utf-16-le", 2) if content[size] & 1 else ("latin-1", 1)
    return content[size + 1 : size + 1 + length * width].decode(encoding, "replace")


def read_xlsb(archive: zipfile.ZipFile, sheet: str) -> BinarySheet:
    """Read the records of a sheet of an XLSB file.

    Raises:
        ValueError: There is no such sheet, or a record is damaged.
        KeyError: A part is not there.
    """
    relation = None
    for kind, content in _xlsb_records(archive.read("xl/workbook.bin")):
        if kind == 156:
            link, end = _xlsb_text(content, 8)
            if _xlsb_text(content, end)[0] == sheet:
                relation = link
    relations = archive.read("xl/_rels/workbook.bin.rels").decode("utf-8", "replace")
    targets = {}
    for tag in re.findall(r"<Relationship\b[^>]*>", relations):
        attributes = {key.lower(): value for key, value in _ATTRIBUTE.findall(tag)}
        targets[attributes.get("id")] = attributes.get("target", "")
    if relation not in targets:
        raise ValueError(sheet)
    part = posixpath.normpath(posixpath.join("/xl", targets[relation])).removeprefix("/").lower()
    found = BinarySheet(*_xlsb_styles(archive))
    row = 0
    for kind, content in _xlsb_records(archive.read(part)):
        if kind == 0:
            row = struct.unpack_from("<I", content)[0]
        _take_xlsb(found, row, kind, content)
    return found


_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']")


def _take_xlsb(found: BinarySheet, row: int, kind: int, content: bytes) -> None:
    match kind:
        case 0 if content[11] & 0x10:
            found.traits.hidden_rows.add(row + 1)
        case 60 if content[16] & 1:
            found.hide_columns(*struct.unpack_from("<II", content))
        case 161:
            found.traits.filtered = True
        case 2 | 5 | 9:
            column, style = struct.unpack_from("<II", content)
            found.add_number(
                row, column, style & 0xFFFFFF, content[8:12] if kind == 2 else content[8:16]
            )
        case 3 | 11:
            found.add_error(row, struct.unpack_from("<I", content)[0], content[8])
        case 176:
            top, bottom, left, right = struct.unpack_from("<IIII", content)
            found.merged.append((top + 1, left + 1, bottom + 1, right + 1))
        case _:
            pass


def _xlsb_styles(archive: zipfile.ZipFile) -> tuple[list[int], dict[int, str]]:
    if "xl/styles.bin" not in archive.NameToInfo:
        return [], {}
    formats: dict[int, str] = {}
    styles: list[int] = []
    inside = False
    for kind, content in _xlsb_records(archive.read("xl/styles.bin")):
        match kind:
            case 44:
                formats[_u16(content, 0)] = _xlsb_text(content, 2)[0]
            case 617 | 618:
                inside = kind == 617
            case 47 if inside and len(styles) < MOST_STYLES:
                styles.append(_u16(content, 2))
            case _:
                pass
    return styles, formats


def _xlsb_records(part: bytes) -> Iterator[_Record]:
    at = 0
    while at < len(part):
        kind = part[at]
        at += 1
        if kind & 0x80:
            kind = kind & 0x7F | part[at] << 7
            at += 1
        size = shift = 0
        while True:
            byte = part[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80 or shift > 21:
                break
        yield kind, part[at : at + size]
        at += size


def _xlsb_text(content: bytes, at: int) -> tuple[str, int]:
    """A text and where it ends; a length of all ones is no text."""
    length = struct.unpack_from("<I", content, at)[0]
    if length == 0xFFFFFFFF:
        return "", at + 4
    end = at + 4 + 2 * length
    return content[at + 4 : end].decode("utf-16-le", "replace"), end


def _u16(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "little")


def _number(content: bytes) -> float:
    """A double, or an RkNumber ([MS-XLS] 2.5.218), which may be a whole number or hundredths."""
    if len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    code = struct.unpack("<i", content)[0]
    number = code >> 2 if code & 2 else struct.unpack("<d", struct.pack("<ii", 0, code & ~3))[0]
    return float(number / 100 if code & 1 else number)
