"""What calamine doesn't give of a sheet: numbers shown with leading zeros, and more of ODS.

Only a workbook that may have such cells is looked through a second time. What can't be found
is left as calamine gives it.
"""

from __future__ import annotations

import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring, iterparse

from batchrun.tables.archive import canonical
from batchrun.tables.binary import BinarySheet, read_xls, read_xlsb
from batchrun.tables.formats import Format
from batchrun.tables.sheets import Traits, column_letters, style_kinds
from batchrun.tables.xlsx import column_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from batchrun.model import Cell
    from batchrun.tables.reports import Merged

_UNREADABLE = (
    *(OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError),
    *(IndexError, StopIteration, struct.error),
    *(zipfile.BadZipFile, zlib.error, ParseError, DefusedXmlException),
)
_CHUNK_BYTES = 2**20
MOST_PATCHES = 200_000
MOST_HIDDEN = 65_536
"""Hidden rows that one element of an ODS sheet may stand for; more are blank."""
_MOST_BYTES = {Format.XLSX: 2**30, Format.ODS: 2**28}
"""Unpacked size of the sheet up to which it is looked through a second time."""
_MOST_OTHER_BYTES = 2**26


@dataclass(slots=True)
class SheetDetails:
    """What was found; rows and columns count from 1.

    Attributes:
        merged: Merged ranges of an ODS sheet.
        formats: Column → the format in which all its numbers are shown, such as ``00000``.
        values: Values by row, as (column, value), that calamine gives as others.
        negative: Cells with a negative date or time, which no program can show.
        mixed: Columns of which only some numbers are shown with leading zeros, and how.
        traits: What else is known of a sheet that is no XLSX.
    """

    merged: list[Merged] = field(default_factory=list)
    formats: dict[int, str] = field(default_factory=dict)
    values: dict[int, list[tuple[int, Cell]]] = field(default_factory=dict)
    negative: list[tuple[int, int]] = field(default_factory=list)
    mixed: dict[int, str] = field(default_factory=dict)
    traits: Traits | None = None

    def add_formats(self, codes: Mapping[int, Counter[str]]) -> None:
        """Take how often the numbers of each column have a format of leading zeros, or none."""
        for column, found in codes.items():
            code = next(filter(None, found), "")
            if len(found) > 1 and code:
                self.mixed[column] = code
            elif code:
                self.formats[column] = code

    def add_negative(self, row: int, column: int, days: float) -> None:
        """Take a negative date or time."""
        if len(self.negative) < MOST_PATCHES:
            self.negative.append((row, column))
            self.values.setdefault(row, []).append((column, days))

    def notices(self) -> list[str]:
        """What to say of the cells."""
        said = []
        if self.negative:
            row, column = self.negative[0]
            count = len(self.negative)
            hold = "1 cell holds" if count == 1 else f"{count:,} cells hold"
            place = f"{column_letters(column)}{row}"
            said.append(f"{hold} a negative date or time (first: {place}); the number was kept")
        said += [
            f"Column {column_letters(column)} shows some of its numbers with leading zeros"
            f" ({code}) and others in another way: parameters carry all of them without"
            for column, code in self.mixed.items()
        ]
        return said


def read_details(
    raw: bytes, file_format: Format, sheet: str, *, negative: bool = True
) -> SheetDetails:
    """Look for the details of a sheet of a workbook that was read.

    Args:
        raw: The whole file.
        file_format: What it is.
        sheet: The sheet's name.
        negative: Whether a value of an XLSX sheet may be a negative number.
    """
    try:
        if file_format is Format.XLS:
            return _binary_details(read_xls(raw, sheet))
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            archive.NameToInfo = {canonical(each.filename): each for each in archive.filelist}
            match file_format:
                case Format.XLSX:
                    return _xlsx_details(archive, sheet, negative=negative)
                case Format.ODS:
                    return _ods_details(archive, sheet)
                case Format.XLSB:
                    return _binary_details(read_xlsb(archive, sheet))
                case _:
                    return SheetDetails()
    except _UNREADABLE:
        return SheetDetails()


def _binary_details(found: BinarySheet) -> SheetDetails:
    details = SheetDetails(merged=found.merged, traits=found.traits)
    details.add_formats(found.codes)
    for place, days in found.negative.items():
        details.add_negative(*place, days)
    return details


_PLACE = re.compile(r"([A-Za-z]{1,3})(\d{1,7})")


def _xlsx_details(archive: zipfile.ZipFile, sheet: str, *, negative: bool) -> SheetDetails:
    zeros, dates = _style_kinds(archive)
    details = SheetDetails()
    if not zeros and not (dates and negative):
        return details
    codes: dict[int, Counter[str]] = {}
    part = _sheet_part(archive, sheet)
    if archive.getinfo(part).file_size > _MOST_BYTES[Format.XLSX]:
        return details
    for element in _elements(archive, part, "c"):
        place = _PLACE.fullmatch(element.get("r", ""))
        value = next((each.text for each in element if _local(each.tag) == "v"), None)
        if place is None or value is None or element.get("t", "n") != "n":
            continue
        row, column = int(place[2]), column_number(place[1])
        style = int(element.get("s", "0"))
        if style not in dates:
            codes.setdefault(column, Counter())[zeros.get(style, "")] += 1
        elif float(value) < 0:
            details.add_negative(row, column, float(value))
    details.add_formats(codes)
    return details


def _style_kinds(archive: zipfile.ZipFile) -> tuple[dict[int, str], frozenset[int]]:
    if "xl/styles.xml" not in archive.NameToInfo:
        return {}, frozenset()
    codes: dict[int, str] = {}
    styles: list[int] = []
    for each in fromstring(_part(archive, "xl/styles.xml")).iter():
        match _local(each.tag):
            case "numFmt":
                codes[int(each.get("numFmtId", "0"))] = each.get("formatCode", "")
            case "cellXfs":
                styles = [int(style.get("numFmtId", "0")) for style in each]
            case _:
                pass
    return style_kinds(styles, codes)


def _sheet_part(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part that holds a sheet; ``KeyError`` when there is none."""
    book = fromstring(_part(archive, "xl/workbook.xml"))
    ids = {
        each.get("name"): next(
            (value for key, value in each.attrib.items() if key.endswith("}id")), ""
        )
        for each in book.iter()
        if _local(each.tag) == "sheet"
    }
    relations = fromstring(_part(archive, "xl/_rels/workbook.xml.rels"))
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    return posixpath.normpath(posixpath.join("/xl", targets[ids[sheet]])).removeprefix("/").lower()


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small part; ``ValueError`` when it is large."""
    if archive.getinfo(name).file_size > _MOST_OTHER_BYTES:
        raise ValueError(name)
    return archive.read(name)


def _elements(archive: zipfile.ZipFile, part: str, wanted: str) -> Iterator[Any]:
    """The elements of this name; each row is forgotten once it was read."""
    with archive.open(part) as stream:
        for _, element in iterparse(stream):
            name = _local(element.tag)
            if name == wanted:
                yield element
            elif name == "row":
                element.clear()


def _holds(archive: zipfile.ZipFile, part: str, found: Callable[[bytes], object]) -> bool:
    """Whether something is found in a part, a piece at a time."""
    before = b""
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            block = before + chunk
            if found(block):
                return True
            before = block[-_OVERLAP:]
    return False


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2]


_ODS_MARKS = (
    b"-spanned=",
    b'value-type="boolean"',
    b'time-value="-',
    b'visibility="collapse"',
    b'visibility="filter"',
)
_NEGATIVE = re.compile(r"-PT(\d{1,9})H(\d{1,2})M(\d{1,2}(?:[.,]\d+)?)S")
_SHOWN_ZERO = re.compile(rb"office:value=\"[^\"]*\"[^<>]*><text:p>0\d")
_OVERLAP = 1_000


def _ods_details(archive: zipfile.ZipFile, sheet: str) -> SheetDetails:
    if archive.getinfo("content.xml").file_size > _MOST_BYTES[Format.ODS]:
        return SheetDetails()
    if not _holds(archive, "content.xml", _has_details):
        return SheetDetails(traits=Traits())
    reader = _OdsReader()
    inside = False
    with archive.open("content.xml") as stream:
        for event, element in iterparse(stream, ("start", "end")):
            name = _local(element.tag)
            if event == "start":
                inside = _attribute(element, "name") == sheet if name == "table" else inside
                continue
            if name == "table" and inside:
                break
            if inside and name in {"table-cell", "covered-table-cell"}:
                reader.add_cell(element, covered=name != "table-cell")
            elif name == "table-row":
                if inside:
                    repeated = _count(element, "number-rows-repeated")
                    reader.end_row(repeated, _attribute(element, "visibility") or "")
                element.clear()
    return reader.details()


class _OdsReader:
    """Takes the cells of a sheet one after the other."""

    def __init__(self) -> None:
        self._traits = Traits()
        self._details = SheetDetails(traits=self._traits)
        self._shown: dict[int, Counter[str]] = {}
        """How the numbers of a column are displayed; ``""`` for other than whole ones."""
        self._row = self._column = 1
        self._patches = 0

    def add_cell(self, element: Any, *, covered: bool) -> None:
        repeated = _count(element, "number-columns-repeated")
        if not covered:
            self._note(element, repeated)
        self._column += repeated

    def end_row(self, repeated: int, visibility: str) -> None:
        if visibility in {"collapse", "filter"}:
            last = self._row + min(repeated, MOST_HIDDEN)
            self._traits.hidden_rows.update(range(self._row, last))
            self._traits.filtered = self._traits.filtered or visibility == "filter"
        values = self._details.values.get(self._row, [])
        more = min(repeated - 1, (MOST_PATCHES - self._patches) // len(values)) if values else 0
        for row in range(self._row + 1, self._row + 1 + more):
            self._details.values[row] = list(values)
        self._patches += more * len(values)
        self._row += repeated
        self._column = 1

    def details(self) -> SheetDetails:
        for column, codes in self._shown.items():
            [width, *others] = {len(code) for code in codes}
            if not others and width > 1 and any(code.startswith("0") for code in codes):
                self._details.formats[column] = "0" * width
        return self._details

    def _note(self, element: Any, repeated: int) -> None:
        row, column = self._row, self._column
        rows, columns = (_count(element, f"number-{each}-spanned") for each in ("rows", "columns"))
        if rows > 1 or columns > 1:
            self._details.merged.append((row, column, row + rows - 1, column + columns - 1))
        kind = _attribute(element, "value-type")
        if kind == "boolean":
            value = _attribute(element, "boolean-value") == "true"
            for number in range(column, column + min(repeated, 1_000)):
                self._details.values.setdefault(row, []).append((number, value))
        elif kind == "time" and (
            found := _NEGATIVE.fullmatch(_attribute(element, "time-value") or "")
        ):
            hours, minutes, seconds = (float(each.replace(",", ".")) for each in found.groups())
            days = -(hours + minutes / 60 + seconds / 3600) / 24
            for number in range(column, column + min(repeated, 1_000)):
                self._details.add_negative(row, number, days)
        elif kind == "float":
            shown = "".join(element.itertext())
            value_text = _attribute(element, "value") or ""
            whole = shown.isdecimal() and value_text.isdecimal()
            exact = whole and shown.lstrip("0") == value_text.lstrip("0")
            self._shown.setdefault(column, Counter())[shown if exact else ""] += 1


def _has_details(block: bytes) -> bool:
    return any(mark in block for mark in _ODS_MARKS) or bool(_SHOWN_ZERO.search(block))


def _attribute(element: Any, name: str) -> str | None:
    return next((value for key, value in element.attrib.items() if _local(key) == name), None)


def _count(element: Any, name: str) -> int:
    text = _attribute(element, name) or "1"
    return int(text) if text.isdecimal() and len(text) < 8 else 1
