"""Convert values to what a cell can show, and mark those it can't show in full. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain, count
from typing import TYPE_CHECKING

from batchrun.text import visible

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from typing_extensions import TypeIs

    from batchrun.model import Cell
    from batchrun.workbook.markdown import RichText, Run


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an Excel sheet; tests use smaller ones."""

    rows: int = 1_048_576  # rows of a sheet, including the header
    columns: int = 16_384
    text: int = 32_767  # UTF-16 code units in a cell
    links: int = 65_530  # hyperlinks on a sheet
    link_text: int = 2_079  # characters in a link's address
    details: int = 40  # sheets for lists of objects; batchrun's own limit, not Excel's


EXCEL = Limits()
UNLIMITED = Limits(columns=10**9)
"""The limits of a file that is not a workbook."""

EXACT_DIGITS = 15
"""Digits that Excel shows of a number; a longer integer is kept as text."""

SMALLEST_NUMBER, LARGEST_NUMBER = 2.2251e-308, 9.99999999999999e307
"""The range of Excel's numbers, apart from sign and 0; others are kept as text."""

SHEET_NAME = 31
"""UTF-16 code units in a sheet's name."""


_INVALID_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 can't represent (section 2.2)."""

_ESCAPED = re.compile("\r|_(?=x[0-9A-Fa-f]{4}_)")
"""Text that Excel would unescape: ECMA-376 part 1, 22.9.2.19 ST_Xstring."""

_PART = r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(?::[0-9]{1,4})?"
    rf"(?:[/?]{_PART})?(?:#{_PART})?"
)
"""A web page's URI as in RFC 3986: Excel reports a workbook with an invalid link as damaged."""

_NOT_IN_SHEET_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_EXCELS_FIRST_YEAR = 1900
_LONGEST = timedelta(days=2_958_465)
"""The longest duration: Excel's last day, 9999-12-31, as a number."""


class Fitter:
    """Converts values to what Excel can store, and counts those it had to shorten.

    Shortened values name the file ``whole_name``, which has every value in full.
    """

    def __init__(self, limits: Limits, whole_name: str) -> None:
        self.shortened = 0  # number of values that were shortened
        self._limits = limits
        self._whole_name = visible(whole_name, kept="")  # a cell can't contain control characters

    def fit(self, value: Cell) -> Cell:
        """Return a value Excel can store: the same one, or text, marked if it was shortened.

        Texts are escaped the way Excel does it.
        """
        fits = True
        match value:
            case str():
                return self.text(value)
            case bool() | None:
                pass
            case int():
                fits = abs(value) < 10**EXACT_DIGITS
            case float():
                fits = value == 0 or SMALLEST_NUMBER <= abs(value) <= LARGEST_NUMBER
            case datetime():
                fits = value.year >= _EXCELS_FIRST_YEAR and value.tzinfo is None
            case date():
                fits = value.year >= _EXCELS_FIRST_YEAR
            case time():
                fits = value.tzinfo is None
            case timedelta():  # Excel shows ##### for any other duration
                fits = timedelta(0) <= value <= _LONGEST
        return value if fits else as_text(value)

    def runs(self, rich: RichText) -> Sequence[Run] | str:
        """Return a text's runs as a cell stores them, or one plain text if no run has a style."""
        text = rich.text
        styled = any(run.style for run in rich.runs)
        if not styled or self._is_too_long(text) or _INVALID_XML.search(text):
            return self.text(text)
        if "_x" not in text and "\r" not in text:
            return rich.runs
        return [run._replace(text=_ESCAPED.sub(_escape, run.text)) for run in rich.runs]

    def plain(self, text: str) -> str:
        """Return a text that XML can represent, for use outside cells."""
        return _INVALID_XML.sub("\N{REPLACEMENT CHARACTER}", text)

    def text(self, text: str) -> str:
        """Return a text as a cell stores it."""
        if text.isascii() and text.isprintable() and len(text) < self._limits.text:
            return _ESCAPED.sub(_escape, text) if "_x" in text else text
        marks = []
        if _INVALID_XML.search(text):
            text = self.plain(text)
            marks.append("control characters replaced")
        if self._is_too_long(text):
            marks.append(f"cut, {len(text):,} characters")
        if marks:
            self.shortened += 1
            mark = f" … [not whole: {', '.join(marks)}; see {self._whole_name}]"
            text = _first_units(text, self._limits.text - len(mark)) + mark
        return _ESCAPED.sub(_escape, text)

    def _is_too_long(self, text: str) -> bool:
        most = 2 * self._limits.text  # bytes in UTF-16
        return 4 * len(text) > most and len(text.encode("utf-16-le", "surrogatepass")) > most


def as_text(value: Cell) -> str:
    """Return any value as text."""
    try:
        return str(value)
    except ValueError:  # an integer of more than 4,300 digits
        return f"{value:#x}"


def _escape(found: re.Match[str]) -> str:
    return f"_x{ord(found[0]):04X}_"


def _first_units(text: str, most: int) -> str:
    """Return the first UTF-16 code units, which is what Excel counts; no half character."""
    return text.encode("utf-16-le")[: most * 2].decode("utf-16-le", "ignore")


def sheet_name(wanted: str, taken: Container[str]) -> str:
    """Return a valid, unique sheet name; ``taken`` has the existing names, case-folded."""
    name = _NOT_IN_SHEET_NAMES.sub("_", wanted).strip().strip("'").strip()
    name = name or "list"
    if name.casefold() == "history":  # Excel reserves this name
        name = f"{name} _"
    names = (_first_units(name, SHEET_NAME - len(suffix)) + suffix for suffix in numbered(""))
    return next(each for each in names if each.casefold() not in taken and not each.endswith("'"))


def unique_titles(header: Sequence[str]) -> list[str]:
    """Return unique column titles, none of them blank."""
    titles: dict[str, None] = {}
    for position, name in enumerate(header, 1):
        titles[free_name(name if name.strip() else f"column {position}", titles)] = None
    return list(titles)


def numbered(name: str) -> Iterator[str]:
    """Yield a name, then the name with numbers appended, without end."""
    return chain([name], (f"{name} ({number})" for number in count(2)))


def free_name(wanted: str, taken: Container[str]) -> str:
    """Return a name, with a number appended if it is taken."""
    return next(name for name in numbered(wanted) if name not in taken)


def is_number(value: Cell) -> TypeIs[int | float]:
    """Whether a value is a number; Python's booleans are numbers, too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_address(text: str) -> bool:
    """Whether the whole text is the address of a web page."""
    return _ADDRESS.fullmatch(text) is not None
