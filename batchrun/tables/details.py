"""What calamine doesn't give of XLS, XLSB and ODS: hidden rows, merged cells, formats and more.

What can't be found is left as calamine gives it.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

from batchrun.tables.archive import canonical
from batchrun.tables.binary import read_xls, read_xlsb
from batchrun.tables.formats import Format
from batchrun.tables.sheets import MOST_PATCHES, Traits

if TYPE_CHECKING:
    from batchrun.tables.reports import Merged

_UNREADABLE = (
    *(OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError, MemoryError),
    *(IndexError, StopIteration, struct.error),
    *(zipfile.BadZipFile, zlib.error, ParseError, DefusedXmlException),
)
_CHUNK_BYTES = 2**20
MOST_HIDDEN = 65_536
"""Hidden rows that one element of an ODS sheet may stand for; more are blank."""
_MOST_BYTES = 2**28
"""Unpacked size of an ODS sheet up to which it is looked through a second time."""


def read_details(raw: bytes, file_format: Format, sheet: str) -> tuple[Traits | None, list[Merged]]:
    """Look for the traits of a sheet of a workbook that was read, and its merged ranges.

    Args:
        raw: The whole file.
        file_format: What it is.
        sheet: The sheet's name.
    """
    try:
        if file_format is Format.XLS:
            return read_xls(raw, sheet)
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            archive.NameToInfo = {canonical(each.filename): each for each in archive.filelist}
            if file_format is Format.XLSB:
                return read_xlsb(archive, sheet)
            return _read_ods(archive, sheet)
    except _UNREADABLE:
        return None, []


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


def _read_ods(archive: zipfile.ZipFile, sheet: str) -> tuple[Traits | None, list[Merged]]:
    if archive.getinfo("content.xml").file_size > _MOST_BYTES:
        return None, []
    reader = _OdsReader()
    inside = False
    if not _has_details(archive):
        return reader.traits, []
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
    reader.settle()
    return reader.traits, reader.merged


class _OdsReader:
    """Takes the cells of a sheet one after the other."""

    def __init__(self) -> None:
        self.traits = Traits()
        self.merged: list[Merged] = []
        self._shown: dict[int, set[str]] = {}
        """How the numbers of a column are displayed; ``""`` for other than whole ones."""
        self._row = self._column = 1
        self._values: list[tuple[int, bool | float]] = []

    def add_cell(self, element: Any, *, covered: bool) -> None:
        repeated = _count(element, "number-columns-repeated")
        if not covered:
            self._note(element, repeated)
        self._column += repeated

    def end_row(self, repeated: int, visibility: str) -> None:
        if visibility in {"collapse", "filter"}:
            self.traits.hidden_rows.extend(range(self._row, self._row + min(repeated, MOST_HIDDEN)))
            self.traits.filtered = self.traits.filtered or visibility == "filter"
        left = MOST_PATCHES - len(self.traits.values)
        for row in range(self._row, self._row + repeated)[: left // max(len(self._values), 1)]:
            for column, value in self._values:
                if isinstance(value, bool):
                    self.traits.values.append((row, column, value))
                else:
                    self.traits.add_negative(row, column, value)
            if not self._values:
                break
        self._row += repeated
        self._column = 1
        self._values = []

    def settle(self) -> None:
        for column, codes in self._shown.items():
            [width, *others] = {len(code) for code in codes}
            if not others and width > 1 and any(code.startswith("0") for code in codes):
                self.traits.formats.append((column, "0" * width))

    def _note(self, element: Any, repeated: int) -> None:
        row, column = self._row, self._column
        rows, columns = (_count(element, f"number-{each}-spanned") for each in ("rows", "columns"))
        if rows > 1 or columns > 1:
            self.merged.append((row, column, row + rows - 1, column + columns - 1))
        kind = _attribute(element, "value-type")
        here = range(column, column + min(repeated, 1_000))
        if kind == "boolean":
            value = _attribute(element, "boolean-value") == "true"
            self._values += [(number, value) for number in here]
        elif kind == "time" and (
            found := _NEGATIVE.fullmatch(_attribute(element, "time-value") or "")
        ):
            hours, minutes, seconds = (float(each.replace(",", ".")) for each in found.groups())
            days = -(hours + minutes / 60 + seconds / 3600) / 24
            self._values += [(number, days) for number in here]
        elif kind == "float":
            shown = "".join(element.itertext())
            value_text = _attribute(element, "value") or ""
            whole = shown.isdecimal() and value_text.isdecimal()
            exact = whole and shown.lstrip("0") == value_text.lstrip("0")
            self._shown.setdefault(column, set()).add(shown if exact else "")


def _has_details(archive: zipfile.ZipFile) -> bool:
    before = b""
    with archive.open("content.xml") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            block = before + chunk
            if any(mark in block for mark in _ODS_MARKS) or _SHOWN_ZERO.search(block):
                return True
            before = block[-_OVERLAP:]
    return False


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2]


def _attribute(element: Any, name: str) -> str | None:
    return next((value for key, value in element.attrib.items() if _local(key) == name), None)


def _count(element: Any, name: str) -> int:
    text = _attribute(element, name) or "1"
    return int(text) if text.isdecimal() and len(text) < 8 else 1
