"""What every reader of workbooks returns: the rows of a sheet, its traits and number formats."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from batchrun.errors import InputError
from batchrun.text import plural, whole_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from batchrun.model import Cell
    from batchrun.tables.formats import Format
    from batchrun.tables.options import LoadLimits

BLOCK_ROWS = 1_000
"""Rows to collect before they are transposed to columns; few, so they fit into the CPU cache."""

LAST_ROW = 1_048_576
LAST_COLUMN = 16_384
"""The last row and column of an Excel sheet (Excel specifications and limits)."""
FIRST_NUMBER_AFTER_9999 = 2_958_466
"""The day after the last one that Excel can show; longer durations can't be shown either."""
MAX_STYLES = 100_000


@dataclass(slots=True)
class Traits:
    """Details of a sheet that calamine does not provide. Rows and columns count from 1."""

    # Error cells as (row, column, text); a text is for example `#N/A`
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    # Cells (row, column) with a formula but no stored value
    uncalculated: list[tuple[int, int]] = field(default_factory=list)
    # Rows that are hidden, filtered out or of height 0
    hidden_rows: list[int] = field(default_factory=list)
    # Ranges (first, last) of hidden columns; they can overlap
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    # Cells (row, column) with a negative date or time, which no program can show
    negative: list[tuple[int, int]] = field(default_factory=list)
    # (column, format) if all numbers of the column have the same format with leading zeros, such as
    # `00000`
    formats: list[tuple[int, str]] = field(default_factory=list)
    # (column, format) if only some numbers of the column have leading zeros
    mixed: list[tuple[int, str]] = field(default_factory=list)
    filled: int = 0  # number of filled cells that the sheet's XML holds; 0 if they were not counted
    links: list[str] = field(default_factory=list)  # addresses of links that hold an ID
    linked: bool = False  # whether the workbook has links to other files
    unknown: bool = False  # whether these details can't be read from the file


@dataclass(slots=True)
class SheetDetails:
    """What a reader finds in a sheet beside the values. Rows and columns count from 1."""

    traits: Traits = field(default_factory=Traits)
    merged: list[Merged] = field(default_factory=list)
    # Values to use instead of those from calamine, as (row, column, value)
    patches: list[tuple[int, int, bool | float | str]] = field(default_factory=list)
    repeated: tuple[int, int] | None = None  # row and column of a cell that is there twice
    _seen: dict[int, int] = field(default_factory=dict)
    """Row → its filled columns, as bits."""

    def add_cell(self, row: int, column: int) -> None:
        """Record a filled cell."""
        columns = self._seen.get(row, 0)
        if column <= LAST_COLUMN:
            if columns >> column & 1:
                self.repeated = self.repeated or (row, column)
            self._seen[row] = columns | 1 << column

    def refuse_repeated(self, name: str, sheet: str) -> None:
        """Refuse a sheet that holds a cell twice: one of the two would get lost."""
        if self.repeated:
            raise InputError(
                f"{name}, sheet {sheet}, line {self.repeated[0]}: cell"
                f" {cell_name(*self.repeated)} is there twice, and only one of the two can be"
                " read.",
                "Export the list again. If that doesn't help, export it as CSV.",
            )


def without_overlaps(merged: Iterable[Merged]) -> list[Merged]:
    """Return merged ranges without those that begin inside another one, as no program makes them.

    They would be filled again and again. A range whose corners are swapped is put in order.
    """
    kept: list[Merged] = []
    last_rows: dict[int, int] = {}
    last_columns: dict[int, int] = {}
    for top, left, bottom, right in sorted(
        (*map(min, each[:2], each[2:]), *map(max, each[:2], each[2:])) for each in merged
    ):
        if top > last_rows.get(left, 0) and left > last_columns.get(top, 0):
            last_rows[left], last_columns[top] = bottom, right
            kept.append((top, left, bottom, right))
    return kept


def distinct(ranges: Iterable[tuple[int, int]], most: int) -> list[int]:
    """Return the numbers from 1 to ``most`` in ranges (first, last), each once and in order."""
    numbers: list[int] = []
    end = 0
    for first, last in sorted(ranges):
        numbers += range(max(first, end + 1), min(last, most) + 1)
        end = max(last, end)
    return numbers


class ZeroFormat(NamedTuple):
    """A number format with leading zeros."""

    code: str  # the format, reduced by `leading_zeros` if possible
    exact: bool  # whether numbers can be written with it


class NumberFormats:
    """Collects the number formats of a sheet's columns, and adds them to the sheet's traits.

    `style_kinds` returns the styles: ``zeros`` and ``dates``.
    """

    def __init__(
        self, traits: Traits, zeros: Mapping[Any, ZeroFormat], dates: Collection[int] = ()
    ) -> None:
        self.dates = dates
        self._traits, self._zeros = traits, zeros
        self._found: dict[int, dict[ZeroFormat | None, None]] = {}

    def add(self, row: int, column: int, style: int | str, number: float) -> bool:
        """Record a number and its style; return whether it would be a date that can't be shown."""
        if style not in self.dates:
            self._found.setdefault(column, {})[self._zeros.get(style)] = None
            return False
        if number < 0:
            self._traits.negative.append((row, column))
        return not 0 <= number < FIRST_NUMBER_AFTER_9999

    def finish(self) -> None:
        """Add the columns' formats to the traits; call it after the last number."""
        for column, found in self._found.items():
            if shown := next(filter(None, found), None):
                kept = len(found) == 1 and shown.exact
                (self._traits.formats if kept else self._traits.mixed).append((column, shown.code))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A worksheet as listed in the workbook."""

    name: str
    visible: bool = True  # whether Excel shows its tab
    part: str = ""  # its part in the archive; "" if not needed


Merged = tuple[int, int, int, int]
"""A merged range: first row, first column, last row, last column; rows count from 1.

Columns count from 1 in a reader, and from 0 at the rows' first cell everywhere else."""


@dataclass(frozen=True, slots=True)
class ColumnBlock:
    """A block of rows of equal length, as columns; can be unpacked like other blocks."""

    lines: Sequence[int]
    columns: Sequence[Sequence[Cell]]
    size: int  # their size in bytes as they were sent by the child process

    def __iter__(self) -> Iterator[Any]:
        """Yield the line numbers and the rows."""
        yield self.lines
        yield list(map(list, zip(*self.columns, strict=True))) or [[] for _ in self.lines]


Block: TypeAlias = "tuple[Sequence[int], list[list[Cell]]] | ColumnBlock"
"""Line numbers and the rows."""


@dataclass(frozen=True, slots=True)
class SheetRows:
    """The contents of a sheet."""

    blocks: Iterator[Block]  # the rows in blocks with their numbers, starting with row 1
    first_column: int = 1  # column number (A is 1) of the first cell of each row
    merged: Sequence[Merged] = ()  # merged ranges; the value is in the first cell of each
    traits: Traits = field(default_factory=Traits)


class WorkbookReader(Protocol):
    """The base of all workbook readers, which run in the process that isolated.py starts."""

    format: Format
    sheets: list[Sheet]

    def properties(self) -> dict[str, str]:
        """Return the custom properties; ``{}`` for formats that batchrun does not write."""
        return {}

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet holds anything."""

    def read(self, sheet: Sheet) -> SheetRows:
        """Read a sheet."""


def numbered(rows: Iterable[list[Cell]]) -> Iterator[Block]:
    """Yield rows in blocks with their numbers, from 1."""
    left, line = iter(rows), 1
    while block := list(islice(left, BLOCK_ROWS)):
        yield range(line, line + len(block)), block
        line += len(block)


def refuse_far(name: str, sheet: str, last_row: int, last_column: int, limits: LoadLimits) -> None:
    """Refuse a sheet whose cells span too large a rectangle.

    Raises:
        InputError: The rectangle is larger than the limits or than an Excel sheet.
    """
    too_far = last_row > LAST_ROW or last_column > LAST_COLUMN
    if not too_far and last_row * last_column <= limits.cells:
        return
    corner = cell_name(last_row, last_column)
    count = f"{last_row * last_column:,} cells, more than {limits.cells:,}"
    how_far = "further than an Excel sheet does" if too_far else count
    raise InputError(
        f"{name} was not opened: the cells of sheet {sheet} reach to {corner:.20}, {how_far}.",
        "" if too_far else "Delete the cells far from the list.",
    )


@lru_cache(LAST_COLUMN)
def column_letters(number: int) -> str:
    """Return the letters of a column, given its number from 1."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def cell_name(row: int, column: int) -> str:
    """Return the name of a cell, such as ``B3``."""
    return f"{column_letters(column)}{row}"


def local_name(element: Any) -> str:
    """Return the name of an XML element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def attribute(element: Any, name: str) -> str:
    """Return an attribute of an XML element, in any namespace; ``""`` if it is not there."""
    found = (text for key, text in element.attrib.items() if key.rpartition("}")[2] == name)
    return next(found, "")


def count_of(element: Any, name: str, least: int = 0) -> int:
    """Return an attribute of an XML element as a number; ``least`` if it is not there."""
    return whole_number(attribute(element, name)) or least


_DURATION = re.compile(r"PT(\d{1,9})H(\d{1,2})M(\d{1,2}(?:[.,]\d+)?)S")


def duration_of(text: str) -> timedelta | None:
    """Return a duration as ODS files hold it, in the format of ISO 8601; ``None`` if it is none."""
    if (found := _DURATION.fullmatch(text)) is None:
        return None
    hours, minutes, seconds = (float(each.replace(",", ".")) for each in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


HOLDS_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)


def links_notice(links: Sequence[str]) -> str:
    """Say that there are links to addresses with IDs, which are not read."""
    if not links:
        return ""
    one, many = "link leads to an address with an ID", "links lead to addresses with IDs"
    lead = plural(len(links), one, many)
    return (
        f"{lead} ({links[0]:.120}), but only what cells show is read: if these are IDs of PG:AI,"
        " put them into a column of their own."
    )


def visible_rows(sheet: SheetRows) -> SheetRows:
    """Leave out hidden rows; a merged range keeps its value if its first rows are hidden."""
    hidden = frozenset(sheet.traits.hidden_rows)
    merged: list[Merged] = []
    shown: dict[int, int] = {}
    for row in sorted(hidden, reverse=True):
        shown[row] = shown.get(row + 1, row + 1)
    moved: dict[int, list[tuple[int, int]]] = {}
    """Hidden row → rows and positions of the cells to copy from it."""
    for top, left, bottom, right in sheet.merged:
        first = shown.get(top, top)
        if first <= bottom:
            merged.append((first, left, bottom, right))
            if first > top:
                moved.setdefault(top, []).append((first, left))

    def shown_blocks() -> Iterator[Block]:
        values: dict[int, list[tuple[int, Cell]]] = {}
        for lines, rows in sheet.blocks:
            kept: tuple[list[int], list[list[Cell]]] = [], []
            for line, row in zip(lines, rows, strict=True):
                for at, value in values.pop(line, ()):
                    row[at] = value
                for first, at in moved.get(line, ()):
                    if 0 <= at < len(row):
                        values.setdefault(first, []).append((at, row[at]))
                if line not in hidden:
                    kept[0].append(line)
                    kept[1].append(row)
            yield kept

    return replace(sheet, blocks=shown_blocks() if hidden else sheet.blocks, merged=merged)


_DATE_IDS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""Numbers of the built-in formats for dates and times (ECMA-376 18.8.30)."""


def style_kinds(
    styles: Iterable[int], codes: Mapping[int, str]
) -> tuple[dict[int, ZeroFormat], frozenset[int]]:
    """Return each style with leading zeros and its format, and the styles for dates and times.

    ``styles`` has the number of each style's format; ``codes``, the formats that are not built in.
    """
    zeros: dict[int, ZeroFormat] = {}
    dates = set()
    for style, number in enumerate(styles):
        code = codes.get(number, "")
        if zero := zero_format(code):
            zeros[style] = zero
        elif number in _DATE_IDS or _is_date(code):
            dates.add(style)
    return zeros, frozenset(dates)


@cache
def _is_date(code: str) -> bool:
    first = code.split(";", maxsplit=1)[0].lower()
    bare = re.sub(r"\\.|\"[^\"]*\"|\[(?!h|m|s)[^\[\]]*\]", "", first)
    return "general" not in bare and bool(re.search("[dmyhs]", bare))


_LITERAL = re.compile(r"\\(.)|\"([^\"]*)\"|[_*].")
_SPECIAL = re.compile(r"\[[^\[\]]*\]")
_CONDITION = re.compile(r"\[<=?\d{1,15}\]")
_UNCLEAR_ZEROS = re.compile(r"[#,?]*0,*0[^%E]*")
"""Zeros in front that `leading_zeros` can't reduce, such as ``0000.00`` and ``000,000``."""
_ZEROS = re.compile(r"(?:#+(?=0))?(?P<kept>[-/ ()+\0]*0[-/ ()+0\0]*)")


@cache  # many styles may have the same format
def zero_format(code: str) -> ZeroFormat | None:
    """Return the format if it shows leading zeros."""
    if exact := leading_zeros(code):
        return ZeroFormat(exact, exact=True)
    first = _SPECIAL.sub("", code.split(";", maxsplit=1)[0])
    unclear = _UNCLEAR_ZEROS.fullmatch(first) and not _is_date(code)
    return ZeroFormat(code, exact=False) if unclear else None


def leading_zeros(code: str) -> str:
    """Reduce a number format with leading zeros to its zeros, separators and fixed texts.

    A format for small numbers and one for all others, such as ``[<=99999]00000;00000-0000``, keep
    their condition. Returns ``""`` for any other format.
    """
    first, *others = code.split(";")
    if condition := _CONDITION.match(first):
        both = [leading_zeros(each) for each in (first[condition.end() :], *others[:1])]
        return f"{condition[0]}{';'.join(both)}" if len(both) == 2 and all(both) else ""
    if "[<" in first or "[>" in first or "[=" in first:
        return ""
    bare = _SPECIAL.sub("", first)
    literals = ["".join(filter(None, found)) for found in _LITERAL.findall(bare)]
    shape = _ZEROS.fullmatch(_LITERAL.sub("\0", bare))
    if shape is None or shape["kept"].count("0") < 2 or any("0" in each for each in literals):
        return ""
    rest = iter(literals)
    return re.sub("\0", lambda _: next(rest), shape["kept"])
