"""Read XLS, XLSB and ODS with calamine, and what calamine leaves out.

It does not report hidden rows, error cells, most merged cells and number formats. If such a detail
can't be read from the file here, calamine's result is used as it is.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import olefile
import python_calamine as calamine
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

from batchrun.errors import InputError
from batchrun.tables.archive import part_name
from batchrun.tables.formats import SAVE_AS, Format, protected
from batchrun.tables.sheets import (
    HOLDS_ID,
    LAST_ROW,
    MAX_STYLES,
    NumberFormats,
    Sheet,
    SheetDetails,
    SheetRows,
    Traits,
    WorkbookReader,
    attribute,
    count_of,
    duration_of,
    local_name,
    numbered,
    refuse_far,
    style_kinds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.tables.archive import Archive
    from batchrun.tables.options import LoadLimits
    from batchrun.tables.sheets import Block


class CalamineReader(WorkbookReader):
    """Reads XLS, XLSB and ODS with calamine."""

    def __init__(
        self,
        raw: bytes,
        name: str,
        file_format: Format,
        limits: LoadLimits,
        archive: Archive | None = None,
    ) -> None:
        if archive is None:  # of an encrypted XLS, calamine only reports an unknown format
            records: list[int] = []
            with suppress(*_UNREADABLE):
                records = [kind for kind, _ in _xls_records(_xls_stream(raw), 0)]
            if FILE_PASS in records:
                raise protected(name)
        self.format = file_format
        self._raw, self._name, self._limits, self._archive = raw, name, limits, archive
        if archive is not None and file_format is Format.ODS:
            archive.require_well_formed("content.xml")
        book = opened(io.BytesIO(raw), name)
        read = book.get_sheet_by_name
        self.sheets = [
            Sheet(each.name, each.visible == calamine.SheetVisibleEnum.Visible)
            for each in book.sheets_metadata
            if each.typ == calamine.SheetTypeEnum.WorkSheet
        ]
        # kept, because each is first asked for to see whether it is filled
        self._sheet = lru_cache(1)(lambda sheet: called(read, sheet.name, name))

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet holds anything."""
        return self._sheet(sheet).end is not None

    def read(self, sheet: Sheet) -> SheetRows:
        """Read a sheet."""
        content = content_of(self._sheet(sheet), self._name, sheet, self._limits)
        try:
            details: SheetDetails
            if self._archive is None:
                details = _read_xls(self._raw, sheet.name)
            elif self.format is Format.XLSB:
                details = _read_xlsb(self._archive, sheet.name)
            else:
                details = _read_ods(self._archive, sheet.name)
        except _UNREADABLE:
            return replace(content, traits=Traits(unknown=True))
        details.refuse_repeated(self._name, sheet.name)
        blocks = _patched(content.blocks, details.patches, content.first_column)
        merged = content.merged or details.merged
        return replace(content, blocks=blocks, traits=details.traits, merged=merged)


def _patched(
    blocks: Iterator[Block], patches: list[tuple[int, int, bool | float | str]], first_column: int
) -> Iterator[Block]:
    """Yield the rows with the values of the patches."""
    by_row: dict[int, list[tuple[int, bool | float | str]]] = {}
    for row, column, value in patches:
        by_row.setdefault(row, []).append((column - first_column, value))
    for lines, rows in blocks:
        for number in by_row.keys() & set(lines):
            cells = rows[number - lines[0]]
            for at, value in by_row[number]:
                if 0 <= at < len(cells):
                    cells[at] = value
        yield lines, rows


def opened(source: Any, name: str) -> Any:
    """Open a workbook with calamine, from a path or from bytes."""
    return called(calamine.load_workbook, source, name)


def called(read: Any, argument: Any, name: str) -> Any:
    """Call calamine and replace its errors, which users would not understand."""
    try:
        return read(argument)
    except calamine.PasswordError as error:
        raise protected(name) from error
    except (calamine.CalamineError, OSError) as error:
        raise UnreadableError(name) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # calamine's own bug; no Exception
            raise
        raise UnreadableError(name) from error


def content_of(found: Any, name: str, sheet: Sheet, limits: LoadLimits) -> SheetRows:
    """Return the contents of a sheet that calamine has read; refuse it if empty or too large."""
    if found.start is None:
        raise InputError(f"{name}, sheet {sheet.name}: every cell is empty.", "Name another sheet.")
    refuse_far(name, sheet.name, found.total_height, found.width, limits)
    merged = [
        (top + 1, left + 1, bottom + 1, right + 1)
        for (top, left), (bottom, right) in found.merged_cell_ranges or ()
    ]
    return SheetRows(numbered(found.iter_rows()), found.start[1] + 1, merged)


class UnreadableError(InputError):
    """The workbook has parts that are not valid XML or contradict each other."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is a workbook that can't be read: it is damaged.", SAVE_AS)


_UNREADABLE = (
    *(OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError, MemoryError),
    *(IndexError, StopIteration, struct.error),
    *(zipfile.BadZipFile, zlib.error, ParseError, DefusedXmlException, InputError),
)
MAX_PATCHES = 200_000
"""Maximum number of values to patch in an ODS sheet."""
MAX_HIDDEN = 65_536
"""Maximum number of hidden rows to record for one repeated ODS row; longer repeats are blank."""
_MAX_BYTES = 2**28
"""Maximum unpacked size of an ODS file's content in bytes; details of larger ones are not read."""


_CALC_TYPE = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
_ODS_DETAILS = re.compile(
    rb"-spanned=|value-type=\"(boolean|error)\"|<text:(a|tab|line-break)\b|time-value=\"-"
    rb"|visibility=\"(collapse|filter)\"|office:value=\"[^\"]*\"[^<>]*><text:p>0\d"
)


def _read_ods(archive: Archive, sheet: str) -> _OdsSheet:
    if archive.size("content.xml") > _MAX_BYTES:
        raise ValueError(sheet)
    found = _OdsSheet()
    if not archive.any_block("content.xml", _ODS_DETAILS.search):
        return found
    inside = False
    with archive.open("content.xml") as stream:
        for event, element in iterparse(stream, ("start", "end")):
            name = local_name(element)
            if event == "start":
                inside = attribute(element, "name") == sheet if name == "table" else inside
                continue
            if name == "table" and inside:
                break
            if inside and name in {"table-cell", "covered-table-cell"}:
                repeated = count_of(element, "number-columns-repeated", 1)
                if name == "table-cell":
                    found.take_cell(element, repeated)
                found.column += repeated
                element.clear()  # nested cells would be searched again and again
            elif name == "table-row":
                if inside:
                    found.end_row(element)
                element.clear()
    found.finish()
    return found


class _OdsSheet(SheetDetails):
    """Collects the details of a sheet, cell by cell."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[int, set[str]] = {}
        """Column → its numbers as displayed; ``""`` for any that is not a plain whole number."""
        self._row = self.column = 1
        self._values: list[tuple[int, bool | float | str, str]] = []

    def end_row(self, element: Any) -> None:
        repeated = count_of(element, "number-rows-repeated", 1)
        visibility = attribute(element, "visibility")
        if visibility in {"collapse", "filter"}:
            end = min(self._row + min(repeated, MAX_HIDDEN), LAST_ROW + 1)
            self.traits.hidden_rows.extend(range(self._row, end))
        left = MAX_PATCHES - len(self.patches)
        patched_rows = left // len(self._values) if self._values else 0
        for row in range(self._row, self._row + repeated)[:patched_rows]:
            for column, value, kind in self._values:
                self.patches.append((row, column, value))
                if kind == "error":
                    self.traits.errors.append((row, column, str(value)))
                elif kind == "time":
                    self.traits.negative.append((row, column))
        self._row += repeated
        self.column = 1
        self._values = []

    def finish(self) -> None:
        for column, codes in self._shown.items():
            [width, *others] = {len(code) for code in codes}
            if not others and width > 1 and any(code.startswith("0") for code in codes):
                self.traits.formats.append((column, "0" * width))

    def take_cell(self, element: Any, repeated: int) -> None:
        row, column = self._row, self.column
        rows = count_of(element, "number-rows-spanned", 1)
        columns = count_of(element, "number-columns-spanned", 1)
        if rows > 1 or columns > 1:
            self.merged.append((row, column, row + rows - 1, column + columns - 1))
        addresses = (attribute(each, "href") for each in element.iterfind(".//{*}a"))
        self.traits.links += filter(HOLDS_ID.search, addresses)
        kind = attribute(element, "value-type")
        here = range(column, column + min(repeated, 1_000))
        value: bool | float | str | None = None
        if element.get(_CALC_TYPE) == "error":
            kind, value = "error", "".join(element.itertext()).strip()
        elif kind == "boolean":
            value = attribute(element, "boolean-value") == "true"
        elif kind == "time" and (time := attribute(element, "time-value")).startswith("-"):
            if (duration := duration_of(time[1:])) is not None:
                value = -duration / timedelta(days=1)
        elif kind == "float":
            shown = "".join(element.itertext())
            value_text = attribute(element, "value")
            whole = shown.isdecimal() and value_text.isdecimal()
            exact = whole and shown.lstrip("0") == value_text.lstrip("0")
            self._shown.setdefault(column, set()).add(shown if exact else "")
        elif kind == "string" and not attribute(element, "string-value"):
            value = _text_with_breaks(element)
        if value is not None:
            self._values += [(number, value, kind) for number in here]


def _text_with_breaks(cell: Any) -> str | None:
    """Return a cell's text if it has tabs or line breaks in a paragraph: calamine drops them."""
    marks = [(each, name) for each in cell.iter() if (name := local_name(each)) in _MARKS]
    if all(name == "s" for _, name in marks):
        return None
    for each, name in marks:
        each.text = _MARKS[name] * min(count_of(each, "c", 1), MAX_SPACES)
    return "\n".join("".join(each.itertext()) for each in cell.iterfind("{*}p"))


_MARKS = {"s": " ", "tab": "\t", "line-break": "\n"}
MAX_SPACES = 1_000


# XLS and XLSB. Records follow [MS-XLS] 2.4 and [MS-XLSB] 2.4; unknown ones are skipped.

FILE_PASS = 0x2F
ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?",
          0x24: "#NUM!", 0x2A: "#N/A"}  # fmt: skip

_Record = tuple[int, bytes]


class _RecordSheet(SheetDetails):
    """Collects the details of a sheet from its records, which count rows and columns from 0."""

    def __init__(self, styles: list[int], formats: dict[int, str]) -> None:
        super().__init__()
        self.numbers = NumberFormats(self.traits, *style_kinds(styles, formats))

    def add_number(self, row: int, column: int, style: int, value: bytes) -> None:
        """Record a number; ``value`` is a double (8 bytes) or an RkNumber (4 bytes)."""
        number = _number(value) if style in self.numbers.dates else 0.0
        if self.numbers.add(row + 1, column + 1, style, number):
            self.patches.append((row + 1, column + 1, number))

    def add_error(self, row: int, column: int, code: int) -> None:
        """Record an error cell."""
        found = row + 1, column + 1, ERRORS.get(code, "#ERROR!")
        self.traits.errors.append(found)
        self.patches.append(found)


def _xls_stream(raw: bytes) -> bytes:
    """Return the records of an XLS file.

    Raises:
        StopIteration: The compound file holds no workbook.
        OSError, ValueError, IndexError: It is damaged.
    """
    with olefile.OleFileIO(io.BytesIO(raw)) as compound:
        name = next(each for each in ("Workbook", "Book") if compound.exists(each))
        return bytes(compound.openstream(name).read())


def _read_xls(raw: bytes, sheet: str) -> _RecordSheet:
    """Read the records of a sheet of an XLS file."""
    stream = _xls_stream(raw)
    formats: dict[int, str] = {}
    styles: list[int] = []
    starts: dict[str, int] = {}
    for kind, content in _xls_records(stream, 0):
        match kind:
            case 0x041E:
                formats[_u16(content, 0)] = _xls_text(content[2:], wide_length=True)
            case 0x00E0 if len(styles) < MAX_STYLES:
                styles.append(_u16(content, 2))
            case 0x0085:
                starts[_xls_text(content[6:], wide_length=False)] = int.from_bytes(
                    content[:4], "little"
                )
    found = _RecordSheet(styles, formats)
    for kind, content in _xls_records(stream, starts[sheet]):
        _take_xls(found, kind, content)
    found.numbers.finish()
    return found


_XLS_CELLS = {0x0006, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E}
"""Records of a filled cell: FORMULA, RSTRING, LABELSST, NUMBER, LABEL, BOOLERR and RK."""


def _take_xls(found: _RecordSheet, kind: int, content: bytes) -> None:
    if kind in _XLS_CELLS:
        found.add_cell(_u16(content, 0) + 1, _u16(content, 2) + 1)
    match kind:
        case 0x0208 if content[12] & 0x20:
            found.traits.hidden_rows.append(_u16(content, 0) + 1)
        case 0x007D if content[8] & 1:
            found.traits.hidden_columns.append((_u16(content, 0) + 1, _u16(content, 2) + 1))
        case 0x0203 | 0x027E:
            _add_xls_number(found, content)
        case 0x00BD:
            row, first = struct.unpack_from("<HH", content)
            for column, at in enumerate(range(4, len(content) - 6, 6), start=first):
                found.add_cell(row + 1, column + 1)
                found.add_number(row, column, _u16(content, at), content[at + 2 : at + 6])
        case 0x0006:
            if content[12:14] != b"\xff\xff":
                _add_xls_number(found, content)
            elif content[6] == 2:
                found.add_error(_u16(content, 0), _u16(content, 2), content[8])
        case 0x0205 if content[7]:
            found.add_error(_u16(content, 0), _u16(content, 2), content[6])


def _add_xls_number(found: _RecordSheet, content: bytes) -> None:
    row, column, style = struct.unpack_from("<HHH", content)
    found.add_number(row, column, style, content[6:14])


def _xls_records(stream: bytes, at: int) -> Iterator[_Record]:
    """Yield the records from a position to the end of the substream."""
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


def _read_xlsb(archive: Archive, sheet: str) -> _RecordSheet:
    """Read the records of a sheet of an XLSB file."""
    links = {}
    for kind, content in _xlsb_records(archive.read("xl/workbook.bin")):
        if kind == 156:
            link, end = _xlsb_text(content, 8)
            links[_xlsb_text(content, end)[0]] = link
    relations = archive.relations("xl/workbook.bin")
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    part = part_name("xl", targets[links[sheet]])
    found = _RecordSheet(*_xlsb_styles(archive))
    row = 0
    for kind, content in _xlsb_records(archive.read(part)):
        if kind == 0:
            row = struct.unpack_from("<I", content)[0]
        _take_xlsb(found, row, kind, content)
    found.numbers.finish()
    return found


_XLSB_CELLS = {*range(2, 12), 62}
"""Records of a filled cell: BrtCellRk to BrtFmlaError, and BrtCellRString."""


def _take_xlsb(found: _RecordSheet, row: int, kind: int, content: bytes) -> None:
    if kind in _XLSB_CELLS:
        found.add_cell(row + 1, struct.unpack_from("<I", content)[0] + 1)
    match kind:
        case 0 if content[11] & 0x10:
            found.traits.hidden_rows.append(row + 1)
        case 60 if content[16] & 1:
            first, last = struct.unpack_from("<II", content)
            found.traits.hidden_columns.append((first + 1, last + 1))
        case 2 | 5 | 9:
            column, style = struct.unpack_from("<II", content)
            value = content[8:12] if kind == 2 else content[8:16]
            found.add_number(row, column, style & 0xFFFFFF, value)
        case 3 | 11:
            found.add_error(row, struct.unpack_from("<I", content)[0], content[8])
        case 176:
            top, bottom, left, right = struct.unpack_from("<IIII", content)
            found.merged.append((top + 1, left + 1, bottom + 1, right + 1))


def _xlsb_styles(archive: Archive) -> tuple[list[int], dict[int, str]]:
    if "xl/styles.bin" not in archive.parts:
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
            case 47 if inside and len(styles) < MAX_STYLES:
                styles.append(_u16(content, 2))
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
    """Return a text and the position after it; the length 0xFFFFFFFF means no text."""
    length = struct.unpack_from("<I", content, at)[0]
    if length == 0xFFFFFFFF:
        return "", at + 4
    end = at + 4 + 2 * length
    return content[at + 4 : end].decode("utf-16-le", "replace"), end


def _u16(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "little")


def _number(content: bytes) -> float:
    """Decode a double, or an RkNumber ([MS-XLS] 2.5.218): an integer or double, maybe times 100."""
    if len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    code = struct.unpack("<i", content)[0]
    number = code >> 2 if code & 2 else struct.unpack("<d", struct.pack("<ii", 0, code & ~3))[0]
    return float(number / 100 if code & 1 else number)
