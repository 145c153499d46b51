"""The sheets of a workbook and which of them is the list; what a sheet holds, as rows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.text import close_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from batchrun.model import Cell

BLOCK_ROWS = 1_000
"""Rows held as rows before they are turned into columns: few, so that they stay in the cache."""


LAST_ROW = 1_048_576
LAST_COLUMN = 16_384
"""Where an Excel sheet ends (Excel specifications and limits)."""


MOST_PATCHES = 200_000


@dataclass(slots=True)
class Traits:
    """What calamine does not tell of a sheet; rows and columns count from 1, as Excel shows them.

    Attributes:
        errors: Error cells as (row, column, text), such as ``#N/A``.
        uncalculated: Cells with a formula whose value was never stored.
        hidden_rows: Rows that are hidden, filtered out or of height 0.
        hidden_columns: Hidden columns.
        filtered: Whether a filter is set on the sheet.
        negative: Cells with a negative date or time, which no program can show.
        formats: Columns and the format in which all their numbers are shown, such as ``00000``.
        mixed: Columns of which only some numbers are shown with leading zeros, and how.
        values: Values that calamine gives as others, as (row, column, value).
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

    def add_negative(self, row: int, column: int, days: float) -> None:
        """Take a negative date or time."""
        if len(self.values) < MOST_PATCHES:
            self.negative.append((row, column))
            self.values.append((row, column, days))


class NumberFormats:
    """Takes the numbers of a sheet, and tells how they are shown.

    Args:
        traits: Of the sheet.
        zeros: Styles with leading zeros, and how they show them.
        dates: Styles of dates and times.
    """

    def __init__(
        self, traits: Traits, zeros: Mapping[Any, str], dates: Collection[int] = ()
    ) -> None:
        self.dates = dates
        self._traits, self._zeros = traits, zeros
        self._found: dict[int, Counter[str]] = {}

    def add(self, row: int, column: int, style: int | str, number: float) -> None:
        """Take a number."""
        if style not in self.dates:
            self._found.setdefault(column, Counter())[self._zeros.get(style, "")] += 1
        elif number < 0:
            self._traits.add_negative(row, column, number)

    def settle(self) -> None:
        """Note the formats of the columns, once all numbers are there."""
        for column, found in self._found.items():
            code = next(filter(None, found), "")
            if code:
                (self._traits.mixed if len(found) > 1 else self._traits.formats).append(
                    (column, code)
                )


@dataclass(frozen=True, slots=True)
class Sheet:
    """A worksheet as the workbook lists it.

    Attributes:
        name: Its name.
        visible: Whether Excel shows its tab.
        part: Where it is in the archive; ``""`` where that does not matter.
    """

    name: str
    visible: bool = True
    part: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """What a sheet holds.

    Attributes:
        notices: What is to be said of it.
        first_column: Number of the column (A is 1) that the first cell of each row is from.
        blocks: The rows from row 1 on, in blocks, with their numbers.
        merged: Merged ranges as (first row, first column, last row, last column), from 1.
        traits: What else is known of it; ``None`` for a format that does not tell.
    """

    notices: tuple[str, ...]
    first_column: int
    blocks: Iterator[tuple[list[int], list[list[Cell]]]]
    merged: Sequence[tuple[int, int, int, int]] = field(default=())
    traits: Traits | None = None


def choose_sheet(
    sheets: Sequence[Sheet], wanted: str | None, filled: Callable[[Sheet], bool], name: str
) -> tuple[Sheet, list[Sheet]]:
    """The sheet to read by its place, and the visible sheets besides that hold something.

    Args:
        sheets: The worksheets, in their order.
        wanted: Name or number among the visible ones; ``None`` for the first that holds anything.
        filled: Whether a sheet holds anything.
        name: The workbook's name, for messages.

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
    # Excel allows no two names that differ in case only
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
    """The letters of a column, from its number from 1."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


_DATE_IDS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""Built-in formats of dates and times (ECMA-376 18.8.30)."""


def style_kinds(
    styles: Iterable[int], codes: Mapping[int, str]
) -> tuple[dict[int, str], frozenset[int]]:
    """The cell styles with leading zeros and their formats, and those of dates and times.

    Args:
        styles: Number of the format of each style.
        codes: The formats that are not built in, by their numbers.
    """
    zeros: dict[int, str] = {}
    dates = set()
    for style, number in enumerate(styles):
        code = codes.get(number, "")
        if zero := leading_zeros(code):
            zeros[style] = zero
        elif number in _DATE_IDS or _is_date(code):
            dates.add(style)
    return zeros, frozenset(dates)


def _is_date(code: str) -> bool:
    bare = re.sub(r"\\.|\"[^\"]*\"|\[(?!h|m|s)[^\]]*\]", "", code.split(";", maxsplit=1)[0].lower())
    return "general" not in bare and bool(re.search("[dmyhs]", bare))


_LITERAL = re.compile(r"\\(.)|\"([^\"]*)\"|[_*].")
_SPECIAL = re.compile(r"\[[^\]]*\]")
_ZEROS = re.compile(r"(?:#+(?=0))?(?P<kept>[-/ ()+\0]*0[-/ ()+0\0]*)")


def leading_zeros(code: str) -> str:
    """The zeros, separators and fixed texts of a number format that shows leading zeros.

    ``""`` for any other format.
    """
    first = code.split(";", maxsplit=1)[0]
    if "[<" in first or "[>" in first or "[=" in first:
        return ""
    bare = _SPECIAL.sub("", first)
    literals = ["".join(filter(None, found)) for found in _LITERAL.findall(bare)]
    shape = _ZEROS.fullmatch(_LITERAL.sub("\0", bare))
    if shape is None or shape["kept"].count("0") < 2 or any("0" in each for each in literals):
        return ""
    rest = iter(literals)
    return re.sub("\0", lambda _: next(rest), shape["kept"])
