"""Read the column widths and number formats of the list's cells, if the list is a workbook.

They are read once, when a batch starts, and stored with it, since the file may change or disappear
later. calamine doesn't give formats and openpyxl would load the whole workbook, so the sheet is
read as a stream of XML. If a format can't be found, the default is used: no results depend on it.
"""

from __future__ import annotations

import json
import logging
import re
import zlib
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from openpyxl.styles.numbers import BUILTIN_FORMATS

from batchrun.errors import InputError
from batchrun.events import Event, log_event
from batchrun.tables.archive import Archive
from batchrun.tables.options import LoadLimits
from batchrun.tables.xlsx import column_number, find_parts
from batchrun.text import whole_number
from batchrun.workbook.cells import EXCEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchrun.model import Table
    from batchrun.tables.xlsx import Parts

_LOG = logging.getLogger(__name__)

MAX_FORMATS = 200
"""Number formats to keep: Excel allows between 200 and 250 in a workbook."""

MAX_FORMAT_CHARACTERS = 255
"""Excel's limit for a number format."""

WIDEST = 255.0

RowFormats: TypeAlias = "tuple[str, ...]"
"""The number format of each of a row's cells, as far as known; ``""`` for the default."""


@dataclass(frozen=True, slots=True)
class ListFormats:
    """The formatting of the list's cells."""

    # Column position → width, if it is not the default
    widths: Mapping[int, float] = field(default_factory=dict)
    # Runs of rows with the same formats: the formats, and the number of rows
    rows: Sequence[tuple[RowFormats, int]] = ()

    def of_rows(self) -> Iterator[RowFormats]:
        """Yield the formats of each row, in order, without end."""
        runs = chain.from_iterable(repeat(formats, count) for formats, count in self.rows)
        return chain(runs, repeat(()))

    def part(self, first: int, end: int) -> ListFormats:
        """Return the formats of the rows from ``first`` up to ``end``."""
        rows: list[tuple[RowFormats, int]] = []
        at = 0
        for formats, count in self.rows:
            if (found := min(at + count, end) - max(at, first)) > 0:
                rows.append((formats, found))
            at += count
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
        archive = Archive(Path(source.path).read_bytes(), source.name, LoadLimits())
        archive.refuse_declarations()
        parts = find_parts(archive)
        part = next(each.part for each in parts.sheets if each.name == source.sheet)
        reader = _SheetReader(_style_formats(parts), table)
        for tag, attributes in archive.elements(part, {"row", "c", "col"}):
            reader.see(tag, attributes)
            if reader.done:
                break
        return reader.formats().encoded()
    except (InputError, OSError, KeyError, StopIteration) as error:
        # moved, changed, or damaged since it was loaded
        log_event(_LOG, Event.WORKBOOK_SIMPLIFIED, part="list formats", error=type(error).__name__)
        return None


def _style_formats(parts: Parts) -> list[str]:
    """Return the number format of each cell style; ``""`` if it is unknown or can't be kept."""
    known = dict(BUILTIN_FORMATS) | {0: ""}
    known |= {
        number: code if len(code) <= MAX_FORMAT_CHARACTERS and code.isprintable() else ""
        for number, code in parts.codes.items()
    }
    codes = [known.get(number, "") for number in parts.styles]
    kept = set(islice(dict.fromkeys(codes), MAX_FORMATS))
    return [code if code in kept else "" for code in codes]


class _SheetReader:
    """Collects formats from a sheet's elements, which it receives in the order of the file."""

    def __init__(self, codes: Sequence[str], table: Table) -> None:
        self._codes = codes
        self._lines: list[int] = table.lines.tolist()
        self._columns = len(table.header)
        self._widths: dict[int, float] = {}
        self._first_column = table.source.first_column
        self._row = self._column = 0
        self._cells: dict[int, str] = {}
        self._rows: list[tuple[dict[int, str], int]] = []
        self._next = 0

    @property
    def done(self) -> bool:
        """Whether all rows of the list were seen."""
        return self._next >= len(self._lines)

    def see(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take an element."""
        match tag:
            case "c":
                letters = re.match(r"[A-Za-z]{1,3}(?=\d)", attributes.get("r", ""))
                self._column = column_number(letters[0]) if letters else self._column + 1
                style = whole_number(attributes.get("s", "")) or 0
                code = self._codes[style] if style < len(self._codes) else ""
                if code and 0 <= self._column - self._first_column < self._columns:
                    self._cells[self._column] = code  # if empty, it may be covered by a merged cell
            case "row":
                self._end_row()
                self._row = whole_number(attributes.get("r", "")) or self._row + 1
                self._column = 0
            case "col":
                self._see_width(attributes)

    def formats(self) -> ListFormats:
        """Return the formats found, by positions in the list."""
        self._end_row()
        first = self._first_column
        widths = {
            column - first: width
            for column, width in self._widths.items()
            if first <= column < first + self._columns
        }
        rows: list[tuple[RowFormats, int]] = []
        for cells, count in self._rows:
            last = max(cells, default=0)
            rows.append((tuple(cells.get(each, "") for each in range(first, last + 1)), count))
        return ListFormats(widths, rows)

    def _end_row(self) -> None:
        """Add the formats of the rows up to this one, if it has any."""
        while self._cells and not self.done and self._lines[self._next] <= self._row:
            cells = self._cells if self._lines[self._next] == self._row else {}
            as_before = self._rows and self._rows[-1][0] == cells
            count = self._rows.pop()[1] if as_before else 0
            self._rows.append((cells, count + 1))
            self._next += 1
        self._cells = {}

    def _see_width(self, attributes: Mapping[str, str]) -> None:
        try:
            width = float(attributes.get("width", ""))
        except ValueError:
            return
        if 0 < width <= WIDEST:
            first = whole_number(attributes.get("min", "")) or 1
            last = whole_number(attributes.get("max", "")) or 0
            for column in range(first, min(last, EXCEL.columns) + 1):
                if column in self._widths:  # set before: keeps a file cheap that repeats ranges
                    break
                self._widths[column] = width
