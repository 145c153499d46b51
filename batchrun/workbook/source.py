"""Read the column widths and number formats of the list's cells, if the list is a workbook.

They are read once, when a batch starts, and stored with it, since the file may change or disappear
later. calamine doesn't give formats and openpyxl would load the whole workbook, so the sheet is
read as a stream of XML. If a format can't be found, the default is used: no results depend on it.
"""

from __future__ import annotations

import json
import logging
import posixpath
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError, fromstring
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils import column_index_from_string

from batchrun.events import Event, log_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchrun.model import Table

_LOG = logging.getLogger(__name__)

_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}"

MAX_FORMATS = 200
"""Number formats to keep: Excel allows between 200 and 250 in a workbook."""

MAX_FORMAT_CHARACTERS = 255
"""Excel's limit for a number format."""

WIDEST = 255.0
_LAST_COLUMN = 16_384
_MAX_PART_BYTES = 2**26
"""The largest sheet list or style part to read, in bytes."""
_MAX_SHEET_BYTES = 2**33
_CHUNK_BYTES = 2**18

RowFormats: TypeAlias = "tuple[str, ...]"
"""The number format of each of a row's cells, as far as known; ``""`` for the default."""


@dataclass(frozen=True, slots=True)
class ListFormats:
    """The formatting of the list's cells.

    Attributes:
        widths: Column position → width, if it is not the default.
        rows: Runs of rows with the same formats: the formats, and the number of rows.
    """

    widths: Mapping[int, float] = field(default_factory=dict)
    rows: Sequence[tuple[RowFormats, int]] = ()

    def of_rows(self) -> Iterator[RowFormats]:
        """Yield the formats of each row, in order, without end."""
        runs = chain.from_iterable(repeat(formats, count) for formats, count in self.rows)
        return chain(runs, repeat(()))

    def part(self, first: int, count: int) -> ListFormats:
        """Return the formats of ``count`` rows from ``first`` on."""
        rows: list[tuple[RowFormats, int]] = []
        at, end = 0, first + count
        for formats, several in self.rows:
            found = min(at + several, end) - max(at, first)
            if found > 0:
                rows.append((formats, found))
            at += several
        return ListFormats(self.widths, rows)

    def encoded(self) -> bytes | None:
        """Encode the formats for `decoded`; ``None`` if all are defaults."""
        if not self.widths and not any(formats for formats, _ in self.rows):
            return None
        kinds = list(dict.fromkeys(formats for formats, _ in self.rows))
        numbers = {formats: number for number, formats in enumerate(kinds)}
        kept = {
            "widths": self.widths,
            "kinds": kinds,
            "rows": [(numbers[formats], count) for formats, count in self.rows],
        }
        return zlib.compress(json.dumps(kept).encode())

    @classmethod
    def decoded(cls, kept: bytes | None) -> ListFormats:
        """Decode what `encoded` returned; the defaults if nothing was stored."""
        if not kept:
            return cls()
        found = json.loads(zlib.decompress(kept))
        kinds = [tuple(formats) for formats in found["kinds"]]
        return cls(
            {int(position): width for position, width in found["widths"].items()},
            [(kinds[number], count) for number, count in found["rows"]],
        )


def list_formats(table: Table) -> bytes | None:
    """Return the formats of a list's cells, to store with its batch; ``None`` if there are none."""
    source = table.source
    if source.path is None or source.sheet is None:
        return None
    try:
        with zipfile.ZipFile(Path(source.path)) as archive:
            codes = _style_formats(archive)
            with archive.open(_sheet_part(archive, source.sheet)) as sheet:
                found = _read_sheet(sheet, codes, table)
        return found.encoded()
    except (
        *(OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError),
        *(zipfile.BadZipFile, zlib.error, ParseError, DefusedXmlException),
    ) as error:  # moved, changed, or damaged since it was loaded
        log_event(_LOG, Event.WORKBOOK_SIMPLIFIED, part="list formats", error=type(error).__name__)
        return None


def _sheet_part(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return the path of the part that holds a sheet; raise ``KeyError`` if there is none."""
    book = fromstring(_part(archive, "xl/workbook.xml"))
    ids = {
        each.get("name"): each.get(f"{_RELATION}id") or each.get(f"{_STRICT_RELATION}id")
        for each in book.iter()
        if _local(each.tag) == "sheet"
    }
    relations = fromstring(_part(archive, "xl/_rels/workbook.xml.rels"))
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    return posixpath.normpath(posixpath.join("/xl", targets[ids[sheet]])).removeprefix("/")


def _style_formats(archive: zipfile.ZipFile) -> list[str]:
    """Return the number format of each cell style; ``""`` if it is unknown or can't be kept."""
    styles = fromstring(_part(archive, "xl/styles.xml"))
    known = dict(BUILTIN_FORMATS) | {0: ""}
    numbers: list[int] = []
    for each in styles.iter():
        match _local(each.tag):
            case "numFmt":
                code = each.get("formatCode", "")
                fits = 0 < len(code) <= MAX_FORMAT_CHARACTERS and code.isprintable()
                known[_number(each.get("numFmtId"))] = code if fits else ""
            case "cellXfs":
                numbers = [_number(style.get("numFmtId")) for style in each]
            case _:
                pass
    kept: dict[str, None] = {}
    for number in numbers:
        if len(kept) < MAX_FORMATS:
            kept[known.get(number, "")] = None
    return [code if (code := known.get(number, "")) in kept else "" for number in numbers]


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as part:
        content = part.read(_MAX_PART_BYTES + 1)
    if len(content) > _MAX_PART_BYTES:
        raise ValueError(f"{name} is too large")
    return content


def _read_sheet(sheet: IO[bytes], codes: list[str], table: Table) -> ListFormats:
    reader = _SheetReader(codes, [int(line) for line in table.lines], len(table.header))
    parser = DefusedXMLParser(target=reader, forbid_dtd=True)
    left = _MAX_SHEET_BYTES
    while (chunk := sheet.read(_CHUNK_BYTES)) and left > 0 and not reader.done:
        parser.feed(chunk)
        left -= len(chunk)
    return reader.formats()


class _SheetReader:
    """Collects formats from a sheet's elements, which it receives in the order of the file.

    Args:
        codes: The number format of each cell style.
        lines: The line numbers of the list's rows, ascending.
        columns: Number of columns in the list.
    """

    def __init__(self, codes: list[str], lines: list[int], columns: int) -> None:
        self.done = not lines
        self._codes = codes
        self._lines = lines
        self._columns = columns
        self._widths: dict[int, float] = {}
        self._first_column: int | None = None
        self._row = 0
        self._column = 0
        self._code = ""
        self._cells: dict[int, str] = {}
        self._next = 0
        self._runs: list[list[object]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        match _local(tag):
            case "c":
                self._start_cell(attributes)
            case "v" | "is":  # the cell has a value
                if self._first_column is None or self._column < self._first_column:
                    self._first_column = self._column
                if self._code:
                    self._cells[self._column] = self._code
            case "row":
                self._row = _number(attributes.get("r")) or self._row + 1
                self._column = 0
                self._cells = {}
            case "col":
                self._see_width(attributes)
            case _:
                pass

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        if self._cells and _local(tag) == "row":
            lines, at = self._lines, self._next
            while at < len(lines) and lines[at] < self._row:
                self._add({})
                at += 1
            if at < len(lines) and lines[at] == self._row:
                self._add(self._cells)
                at += 1
            self._next = at
            self.done = at >= len(lines)

    def formats(self) -> ListFormats:
        """Return the formats found, by positions in the list."""
        first = self._first_column or 1
        widths = {
            column - first: width
            for column, width in self._widths.items()
            if first <= column < first + self._columns
        }
        rows: list[tuple[RowFormats, int]] = []
        for cells, count in self._runs:
            assert isinstance(cells, dict)
            assert isinstance(count, int)
            last = max(cells, default=0)
            codes = tuple(cells.get(column, "") for column in range(first, last + 1))
            rows.append((codes[: self._columns], count))
        return ListFormats(widths, rows)

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        letters = re.match(r"[A-Za-z]{1,3}(?=\d)", attributes.get("r", ""))
        self._column = column_index_from_string(letters[0]) if letters else self._column + 1
        style = _number(attributes.get("s"))
        self._code = self._codes[style] if style < len(self._codes) else ""

    def _see_width(self, attributes: Mapping[str, str]) -> None:
        try:
            width = float(attributes.get("width", ""))
        except ValueError:
            return
        if 0 < width <= WIDEST:
            first, last = _number(attributes.get("min")), _number(attributes.get("max"))
            for column in range(max(first, 1), min(last, _LAST_COLUMN) + 1):
                if column in self._widths:  # set before: keeps a file cheap that repeats ranges
                    break
                self._widths[column] = width

    def _add(self, cells: dict[int, str]) -> None:
        if self._runs and self._runs[-1][0] == cells:
            count = self._runs[-1][1]
            assert isinstance(count, int)
            self._runs[-1][1] = count + 1
        else:
            self._runs.append([cells, 1])


def _local(tag: str) -> str:
    """Return an element's name without its namespace, which differs in strict workbooks."""
    return tag.rpartition("}")[2]


def _number(text: str | None) -> int:
    """Parse an integer as XML writes it; 0 for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
