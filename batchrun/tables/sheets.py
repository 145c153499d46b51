"""Sheets of a workbook: their rows, traits and number formats, and which sheet to read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from batchrun.errors import InputError
from batchrun.text import close_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from batchrun.model import Cell

BLOCK_ROWS = 1_000
"""Rows to collect before they are transposed to columns; few, so they fit into the CPU cache."""


LAST_ROW = 1_048_576
LAST_COLUMN = 16_384
"""The last row and column of an Excel sheet (Excel specifications and limits)."""


MAX_PATCHES = 200_000


@dataclass(slots=True)
class Traits:
    """Details of a sheet that calamine does not provide. Rows and columns count from 1.

    Attributes:
        errors: Error cells as (row, column, text); a text is for example ``#N/A``.
        uncalculated: Cells (row, column) with a formula but no stored value.
        hidden_rows: Rows that are hidden, filtered out or of height 0.
        hidden_columns: Hidden columns.
        filtered: Whether a filter is set on the sheet.
        negative: Cells (row, column) with a negative date or time, which no program can show.
        formats: (column, format) if all numbers of the column have the same format with leading
            zeros, such as ``00000``.
        mixed: (column, format) if only some numbers of the column have leading zeros.
        values: Values to use instead of those from calamine, as (row, column, value).
        filled: Number of filled cells that the sheet's XML holds; 0 if they were not counted.
        links: Addresses of links that hold an ID.
    """

    errors: list[tuple[int, int, str]] = field(default_factory=list)
    uncalculated: list[tuple[int, int]] = field(default_factory=list)
    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: list[int] = field(default_factory=list)
    filtered: bool = False
    negative: list[tuple[int, int]] = field(default_factory=list)
    formats: list[tuple[int, str]] = field(default_factory=list)
    mixed: list[tuple[int, str]] = field(default_factory=list)
    values: list[tuple[int, int, bool | float]] = field(default_factory=list)
    filled: int = 0
    links: list[str] = field(default_factory=list)

    def add_negative(self, row: int, column: int, days: float) -> None:
        """Record a negative date or time, in days."""
        if len(self.values) < MAX_PATCHES:
            self.negative.append((row, column))
            self.values.append((row, column, days))


class ZeroFormat(NamedTuple):
    """A number format with leading zeros.

    Attributes:
        code: The format, reduced by `leading_zeros` if possible.
        exact: Whether numbers can be written with it.
    """

    code: str
    exact: bool


class NumberFormats:
    """Collects the number formats of a sheet's columns.

    Args:
        traits: The sheet's traits, to which the formats are added.
        zeros: Style → its format, for styles with leading zeros.
        dates: Styles for dates and times.
    """

    def __init__(
        self, traits: Traits, zeros: Mapping[Any, ZeroFormat], dates: Collection[int] = ()
    ) -> None:
        self.dates = dates
        self._traits, self._zeros = traits, zeros
        self._found: dict[int, dict[ZeroFormat | None, None]] = {}

    def add(self, row: int, column: int, style: int | str, number: float) -> None:
        """Record a number and its style."""
        if style not in self.dates:
            self._found.setdefault(column, {})[self._zeros.get(style)] = None
        elif number < 0:
            self._traits.add_negative(row, column, number)

    def finish(self) -> None:
        """Add the columns' formats to the traits; call it after the last number."""
        for column, found in self._found.items():
            if shown := next(filter(None, found), None):
                kept = len(found) == 1 and shown.exact
                (self._traits.formats if kept else self._traits.mixed).append((column, shown.code))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A worksheet as listed in the workbook.

    Attributes:
        name: Its name.
        visible: Whether Excel shows its tab.
        part: Its part in the archive; ``""`` if not needed.
    """

    name: str
    visible: bool = True
    part: str = ""


@dataclass(frozen=True, slots=True)
class SheetBlocks:
    """The contents of a sheet.

    Attributes:
        notices: Notices about the sheet.
        first_column: Column number (A is 1) of the first cell of each row.
        blocks: The rows in blocks with their numbers, starting with row 1.
        merged: Merged ranges as (first row, first column, last row, last column), from 1.
        traits: Other details of the sheet; ``None`` if the format does not provide them.
    """

    notices: tuple[str, ...]
    first_column: int
    blocks: Iterator[tuple[list[int], list[list[Cell]]]]
    merged: Sequence[tuple[int, int, int, int]] = field(default=())
    traits: Traits | None = None


def choose_sheet(
    sheets: Sequence[Sheet], wanted: str | None, filled: Callable[[Sheet], bool], name: str
) -> tuple[Sheet, list[Sheet]]:
    """Choose the sheet to read: the requested one, or the first visible sheet that is not empty.

    Args:
        sheets: The worksheets, in order.
        wanted: Name of a sheet, or its number among the visible ones; ``None`` to choose one.
        filled: Returns whether a sheet holds anything.
        name: The workbook's name, for messages.

    Returns:
        The sheet, and the other visible sheets that are not empty (none for a requested sheet).

    Raises:
        InputError: There is no such sheet, or it is empty.
    """
    visible = [each for each in sheets if each.visible]
    hidden = [each for each in sheets if not each.visible]
    if wanted is not None:
        chosen = _named_sheet(wanted, visible, hidden, name)
        if not filled(chosen):
            raise InputError(
                f"{name}, sheet {chosen.name} is empty.",
                f"Name another sheet: {_listed([*visible, *hidden])}.",
            )
        return chosen, []
    with_cells = [each for each in visible if filled(each)]
    if not with_cells:
        hint = f"Name a hidden sheet: {_listed(hidden)}." if hidden else "Export the list again."
        raise InputError(f"{name} has no visible sheet that holds anything.", hint)
    return with_cells[0], with_cells[1:]


def _named_sheet(wanted: str, visible: list[Sheet], hidden: list[Sheet], name: str) -> Sheet:
    sheets = [*visible, *hidden]
    exact = {each.name: each for each in sheets}
    if wanted in exact:
        return exact[wanted]
    # in Excel, two sheet names can't differ only in case
    folded = {each.name.casefold(): each for each in sheets}
    if wanted.casefold() in folded:
        return folded[wanted.casefold()]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(visible):
        return visible[int(wanted) - 1]
    close = close_matches(wanted, [each.name for each in sheets], 1)
    suggestion = f" Did you mean {close[0]}?" if close else ""
    raise InputError(
        f"{name} has no sheet {wanted!r}.", f"Its sheets: {_listed(sheets)}.{suggestion}"
    )


SHOWN_SHEETS = 12


def _listed(sheets: Iterable[Sheet]) -> str:
    names = [each.name for each in sheets]
    more = f" and {len(names) - SHOWN_SHEETS:,} more" if len(names) > SHOWN_SHEETS else ""
    return ", ".join(names[:SHOWN_SHEETS]) + more


def column_letters(number: int) -> str:
    """Return the letters of a column, given its number from 1."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


HOLDS_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)


def links_notice(links: Sequence[str]) -> str:
    """Say that there are links with IDs, which are not read.

    Args:
        links: Their addresses.
    """
    if not links:
        return ""
    lead = (
        "1 link leads to an address with an ID"
        if len(links) == 1
        else (f"{len(links):,} links lead to addresses with IDs")
    )
    return (
        f"{lead} ({links[0]:.120}), but only what cells show is read: if these are IDs of PG:AI,"
        " put them into a column of their own."
    )


def shown_ranges(
    merged: Iterable[tuple[int, int, int, int]], hidden: Collection[int]
) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Yield each merged range without its hidden rows at the top.

    Args:
        merged: First row, first column, last row and last column of each range.
        hidden: The hidden rows.

    Yields:
        The row with the value, and the range; the value must be copied to the range's first row.
    """
    for top, left, bottom, right in merged:
        first = next((row for row in range(top, bottom + 1) if row not in hidden), None)
        if first is not None:
            yield top, (first, left, bottom, right)


_DATE_IDS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""Numbers of the built-in formats for dates and times (ECMA-376 18.8.30)."""


def style_kinds(
    styles: Iterable[int], codes: Mapping[int, str]
) -> tuple[dict[int, ZeroFormat], frozenset[int]]:
    """Find the cell styles with leading zeros and the styles for dates and times.

    Args:
        styles: Format number of each style.
        codes: Format number → format, for formats that are not built in.

    Returns:
        Style → its format with leading zeros; and the styles for dates and times.
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


def _is_date(code: str) -> bool:
    bare = re.sub(r"\\.|\"[^\"]*\"|\[(?!h|m|s)[^\]]*\]", "", code.split(";", maxsplit=1)[0].lower())
    return "general" not in bare and bool(re.search("[dmyhs]", bare))


_LITERAL = re.compile(r"\\(.)|\"([^\"]*)\"|[_*].")
_SPECIAL = re.compile(r"\[[^\]]*\]")
_CONDITION = re.compile(r"\[<=?\d{1,15}\]")
_UNCLEAR_ZEROS = re.compile(r"[#,?]*0,*0[^%E]*")
"""Zeros in front that `leading_zeros` can't reduce, such as ``0000.00`` and ``000,000``."""
_ZEROS = re.compile(r"(?:#+(?=0))?(?P<kept>[-/ ()+\0]*0[-/ ()+0\0]*)")


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
