"""Stream a table to as many sheets as its rows need: memory does not grow with the rows."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Self

from openpyxl import Workbook
from openpyxl.utils import get_column_letter, quote_sheetname

from batchrun.events import Event, log_event
from batchrun.workbook.cells import EXCEL, Fitter, Limits, as_text, is_address, sheet_name
from batchrun.workbook.columns import ColumnSurvey, TemporalKind
from batchrun.workbook.markdown import rich_text
from batchrun.workbook.rows import SheetRows, cell_xml, rich_xml, save, text_xml, usual_number
from batchrun.workbook.styles import NUMBER_FORMATS, ColumnKind, Styles, color_bands, color_outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from openpyxl.worksheet.worksheet import Worksheet

    from batchrun.model import Cell
    from batchrun.workbook.markdown import Run
    from batchrun.workbook.source import RowFormats

_LOG = logging.getLogger(__name__)

WIDEST, WIDEST_UNSPACED, NARROWEST = 52.0, 38.0, 9.0
"""Column widths: a UUID, 36 characters that can't be broken, fits the second."""
LETTERS_PER_WIDTH = 1.2
"""Letters per unit of column width: the unit is a digit, and letters in text are narrower."""
WRAPPED_LETTERS_PER_WIDTH = 1.1
"""The same for text that may wrap: it breaks between words, and names have many capitals."""

INDENT = 2.0
"""Width of the indent and the margins of a cell with text."""

LINE_POINTS = 15.0
MAX_LINES = 9
"""Maximum lines of text in a row's height: a click on the cell shows the rest.

A typical summary is shown in full. No line of a longer text is cut in half: 9 lines in Excel are as
high as 10 in LibreOffice.
"""

BUTTON_WIDTH = 3.0
"""Width of the filter button in a header."""

PAGE_WIDTH = 180.0
"""Characters across a landscape page of A4 or Letter, in letters of at least 8 points."""
MARGIN_INCHES = 0.4

MAX_KNOWN, MAX_KNOWN_LETTERS = 500, 100
"""Texts to cache per column, and the most letters of each."""

MAX_FOOTER_CHARACTERS = 200
"""Characters of a footer: Excel allows 255, including its codes."""

MAX_ADDRESS = 40
"""Characters to show of a link's address; the link itself is complete."""

_HEAD_POINTS = 2 * LINE_POINTS + 8
"""Two lines and some space, which separates the first row from the header."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """How a column of a table is shown."""

    title: str
    width: float  # its width in characters of the default font
    kind: ColumnKind = ColumnKind.RESULT  # the kind of column, which determines the header's color
    wrap: bool = True  # whether its texts wrap
    folded: bool = False  # whether it is collapsed; one click shows it
    number_format: str = ""  # the format of its numbers, if it is not the default
    # Whether its texts are results, which are shown readably: Markdown without markup, short
    # addresses
    result: bool = False
    left: bool = False  # whether to align its numbers left, too


def column_for(title: str, survey: ColumnSurvey, kind: ColumnKind, **more: Any) -> TableColumn:
    """Return a column as wide as its content needs, within limits."""
    head = head_width(title)
    if not survey.spaced and survey.width > WIDEST_UNSPACED - 2:
        return TableColumn(title, max(WIDEST_UNSPACED, head), kind, wrap=False, **more)
    moments = survey.moments if kind is ColumnKind.RESULT else None
    widths = {None: survey.width, TemporalKind.DATE: len("2026-11-24")}
    content = widths.get(moments, len("2026-11-24 10:00:00"))
    return TableColumn(title, max(min(content + 3, WIDEST), head, NARROWEST), kind, **more)


def head_width(title: str) -> float:
    """Return the width that a title needs on two lines, broken only between words."""
    longest_word = max(map(len, title.split()), default=0)
    half = -(-len(title) // 2)
    return min(max(half, longest_word) * 1.15 + BUTTON_WIDTH, WIDEST)


class Book:
    """The workbook being written; a context manager that owns its temporary files.

    Args:
        footer: The text at the foot of each printed page, next to the page number.
        whole_name: The file that shortened cells refer to.
    """

    def __init__(self, footer: str = "", *, limits: Limits = EXCEL, whole_name: str = "") -> None:
        self.workbook = Workbook(write_only=True)
        self.styles = Styles(self.workbook)
        self.limits = limits
        self.fitter = Fitter(limits, whole_name)
        self.left_out: dict[str, None] = {}  # parts that could not be made, in plain words
        self.alternatives: list[str] = []  # the alternative text of each chart, in order
        self._footer = self.fitter.plain(footer).replace("&", "&&")[:MAX_FOOTER_CHARACTERS]
        self._rows: dict[str, SheetRows] = {}
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._files.close()

    def sheet(self, wanted: str) -> tuple[Worksheet, SheetRows]:
        """Add a sheet at the end, under a valid name; return it and its rows."""
        name = sheet_name(wanted, {title.casefold() for title in self._rows})
        self._rows[name] = SheetRows(name, self._files)
        sheet = self.workbook.create_sheet(name)
        sheet.oddFooter.left.text = self._footer
        sheet.oddFooter.center.text = "&A"  # the sheet's name
        sheet.oddFooter.right.text = "Page &P of &N"
        return sheet, self._rows[name]

    @contextmanager
    def optional(self, part: str) -> Iterator[None]:
        """Leave a part out if it fails: paid results must not depend on it.

        Disk errors (``OSError``) are raised all the same.
        """
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            self.leave_out(part, error)

    def leave_out(self, part: str, error: Exception) -> None:
        """Record a part that could not be made."""
        self.left_out[part] = None
        kind = type(error).__name__  # the message may quote the service's answer
        log_event(_LOG, Event.WORKBOOK_SIMPLIFIED, part=part, error=kind)

    def save(self, path: Path) -> None:
        """Write the workbook to a file."""
        save(self.workbook, self._rows, path, self.alternatives)


class _Column(dict[tuple[str, str], int]):
    """A column whose cells are being written: their styles by value type and number format.

    The types ``link`` and ``number link`` are for values with a link. The format ``""`` stands for
    the column's default.

    Attributes:
        letter: Its letter on the sheet.
        letters: Number of letters on a line; 0 if its texts don't wrap.
        result: Whether its texts are results.
        known: A cache of short texts that may occur again: the cell's XML after its reference, and
            its number of lines.
    """

    __slots__ = ("_column", "_styles", "known", "letter", "letters", "result")

    def __init__(self, position: int, column: TableColumn, styles: Styles) -> None:
        super().__init__()
        self._column, self._styles = column, styles
        self.letter, self.result = get_column_letter(position), column.result
        wraps = column.wrap and not column.folded
        self.letters = int((column.width - INDENT) * WRAPPED_LETTERS_PER_WIDTH) if wraps else 0
        self.known: dict[str, tuple[str, int]] = {}

    def __missing__(self, key: tuple[str, str]) -> int:
        kind, code = key
        if kind in {"link", "str"}:
            link = kind == "link"
            style = self._styles.text(code or "General", wrap=self._column.wrap, link=link)
        elif kind == "number link":
            style = self._styles.number(code or "General", link=True)
        else:
            own_code = self._column.number_format if kind in {"int", "float"} else ""
            usual = own_code or NUMBER_FORMATS.get(kind, "General")
            if self._column.left:
                style = self._styles.text(code or usual, wrap=False)
            else:
                own = self._column.kind is ColumnKind.LIST
                style = self._styles.number(code or usual, own=own)
        self[key] = style
        return style


class TableSheets:
    """A table on as many sheets as its rows need, each with a header.

    Args:
        rows: Number of rows that will be appended.
        frozen: Number of columns that stay visible when scrolling to the right.
        outcome: Position of the column that names an outcome, if there is one.
    """

    def __init__(
        self,
        book: Book,
        name: str,
        columns: Sequence[TableColumn],
        rows: int,
        *,
        frozen: int = 0,
        outcome: int | None = None,
    ) -> None:
        self._book, self._fitter, self._limits = book, book.fitter, book.limits
        self._room = book.limits.rows - 1
        self._columns = [_Column(at, column, book.styles) for at, column in enumerate(columns, 1)]
        self._sheets: list[SheetRows] = []
        for first in range(0, max(rows, 1), self._room):
            sheet, sheet_rows = book.sheet(name)
            with book.optional(f"the layout of the sheet {sheet.title}"):
                _format_sheet(sheet, columns, min(self._room, rows - first), frozen, outcome)
            self._sheets.append(sheet_rows)
            head = (
                cell_xml(
                    f"{place.letter}1",
                    book.styles.head(column.kind),
                    book.fitter.text(column.title),
                )
                for place, column in zip(self._columns, columns, strict=True)
            )
            sheet_rows.add(head, _HEAD_POINTS)
        self._appended = 0

    def place(self, number: int) -> str:
        """Return the place of a row, by its number in appended order, counted from 0."""
        sheet, row = divmod(number, self._room)
        return f"{quote_sheetname(self._sheets[sheet].name)}!A{row + 2}"

    def row_of(self, number: int) -> int:
        """Return the row's number on its sheet."""
        return number % self._room + 2

    @property
    def next_place(self) -> str:
        """The place of the next row."""
        return self.place(self._appended)

    def append(
        self,
        values: Sequence[Cell],
        inside: Mapping[int, str] | None = None,
        formats: RowFormats = (),
    ) -> None:
        """Add a row of one value per column.

        ``inside`` has the column positions of cells that link to a place in this workbook.
        ``formats`` are those of the first columns; ``""`` stands for the default.
        """
        rows = self._sheets[self._appended // self._room]
        try:
            cells, lines = self._cells(rows, values, inside or {}, formats)
        except OSError:
            raise
        except Exception as error:  # an odd value: write the row as plain text
            self._book.leave_out(f"formats of line {rows.count + 1}", error)
            cells, lines = [], 1
            for column, value in zip(self._columns, values, strict=False):
                if value is not None and value != "":
                    place, text = f"{column.letter}{rows.count + 1}", as_text(value)
                    cells.append(cell_xml(place, column["str", ""], self._fitter.text(text)))
        rows.add(cells, LINE_POINTS * lines if lines > 1 else None)
        self._appended += 1

    def _cells(
        self,
        rows: SheetRows,
        values: Sequence[Cell],
        inside: Mapping[int, str],
        formats: RowFormats,
    ) -> tuple[list[str], int]:
        """Return the cells of a row, and the number of text lines it needs.

        This is the innermost loop when writing a workbook.
        """
        row, lines, position = rows.count + 1, 1, -1
        cells: list[str] = []
        for column, value, code in zip(
            self._columns, values, chain(formats, repeat("")), strict=False
        ):
            position += 1
            if value is None:
                continue
            place = f"{column.letter}{row}"
            if inside and position in inside:
                fitted = self._fitter.fit(value)
                kind = type(fitted).__name__
                if self._link(rows, place, location=inside[position]):
                    kind = "link" if kind == "str" else "number link"
                cells.append(cell_xml(place, column[kind, code], fitted))
            elif isinstance(value, str):
                if not value:
                    continue
                known = column.known.get(value) if not code else None
                if known is None:
                    known = self._text(rows, place, column, value, code)
                cells.append(f'<c r="{place}{known[0]}')
                lines = max(lines, known[1])
            elif number := usual_number(value):
                style = column[type(value).__name__, code]
                cells.append(f'<c r="{place}" s="{style}"><v>{number}</v></c>')
            else:
                fitted = self._fitter.fit(value)
                cells.append(cell_xml(place, column[type(fitted).__name__, code], fitted))
        return cells, lines

    def _text(
        self, rows: SheetRows, place: str, column: _Column, value: str, code: str
    ) -> tuple[str, int]:
        """Return a text cell's XML after its reference, and the number of lines it needs."""
        rich = rich_text(value) if column.result else None
        content: Sequence[Run] | str
        if rich is None:
            content = shown = self._fitter.text(value)
            link = value if value.startswith("http") else ""
        else:
            content, shown, link = self._fitter.runs(rich), rich.text, rich.link
        key, lines = "str", 1
        is_link = bool(link) and len(link) <= self._limits.link_text and is_address(link)
        if is_link and self._link(rows, place, target=link):
            key = "link"
        if rich is None and key == "link":
            content = short_address(shown) if column.result else shown
        elif column.letters and (len(shown) > column.letters or "\n" in shown):
            lines = lines_of(shown, column.letters)
        text = text_xml(content) if isinstance(content, str) else rich_xml(content)
        found = f'" s="{column[key, code]}" t="inlineStr">{text}</c>', lines
        if not link and not code and len(column.known) < MAX_KNOWN:
            column.known[value if len(value) < MAX_KNOWN_LETTERS else ""] = found
        return found

    def _link(self, rows: SheetRows, place: str, *, target: str = "", location: str = "") -> bool:
        """Link a cell, unless the sheet has as many links as Excel allows."""
        if rows.links >= self._limits.links:
            return False
        rows.link(place, target=target, location=location)
        return True


def short_address(address: str) -> str:
    """Shorten an address as browsers do, and to `MAX_ADDRESS` characters."""
    short = address.partition("://")[2].removeprefix("www.").rstrip("/")
    return short if len(short) <= MAX_ADDRESS else f"{short[: MAX_ADDRESS - 1]}…"


def lines_of(text: str, letters: int) -> int:
    """Return roughly how many lines of this length a text takes, at most `MAX_LINES`."""
    parts = text[: (letters + 1) * MAX_LINES].split("\n")
    return min(sum(max(1, -(-len(part) // letters)) for part in parts), MAX_LINES)


def print_on(sheet: Worksheet, *, wide: int = 1, high: int = 0) -> None:
    """Print a sheet on landscape pages: ``wide`` across, ``high`` down (0: as many as needed)."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = wide, high
    sheet.page_setup.pageOrder = "overThenDown"
    sheet.sheet_properties.pageSetUpPr.fitToPage = True  # type: ignore[union-attr]  # always set
    margins = sheet.page_margins
    margins.left = margins.right = margins.top = MARGIN_INCHES
    margins.bottom, margins.header, margins.footer = 1.5 * MARGIN_INCHES, 0.0, 0.7 * MARGIN_INCHES


def pages_across(widths: Sequence[float], repeated: float) -> int:
    """Return how many pages columns take side by side, unsplit, with ``repeated`` on each page."""
    pages, room = 1, PAGE_WIDTH - repeated
    for width in widths:
        if width > room:
            pages, room = pages + 1, PAGE_WIDTH - repeated
        room -= width
    return pages


def _format_sheet(
    sheet: Worksheet, columns: Sequence[TableColumn], rows: int, frozen: int, outcome: int | None
) -> None:
    sheet.freeze_panes = f"{get_column_letter(frozen + 1)}2"
    for position, column in enumerate(columns, 1):
        dimension = sheet.column_dimensions[get_column_letter(position)]
        dimension.width = column.width
        if column.folded:
            dimension.outlineLevel, dimension.hidden = 1, True
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{rows + 1}"
    if outcome is not None:
        letter = get_column_letter(outcome + 1)
        color_outcomes(sheet, f"{letter}2:{letter}{max(rows, 1) + 1}")
    color_bands(sheet, f"A2:{get_column_letter(len(columns))}{max(rows, 1) + 1}")
    widths = [0.0 if column.folded else column.width for column in columns]
    first = frozen  # the first of the columns to print on each page: the last frozen ones
    while sum(widths) > PAGE_WIDTH and first and sum(widths[first - 1 : frozen]) <= PAGE_WIDTH / 2:
        first -= 1
    repeated, others = widths[first:frozen], [*widths[:first], *widths[frozen:]]
    print_on(sheet, wide=pages_across(others, sum(repeated)))
    sheet.print_title_rows = "1:1"
    if repeated:
        sheet.print_title_cols = f"{get_column_letter(first + 1)}:{get_column_letter(frozen)}"
