"""A table on as many sheets as its rows need, streamed: memory does not grow with the rows."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Self

from openpyxl import Workbook
from openpyxl.utils import get_column_letter

from batchrun.events import Event, log_event
from batchrun.workbook.cells import as_text, is_address, reference, sheet_name
from batchrun.workbook.columns import ColumnSurvey, Moments
from batchrun.workbook.markdown import rich_text
from batchrun.workbook.rows import SheetRows, cell_xml, rich_xml, save, text_xml, usual_number
from batchrun.workbook.styles import (
    NUMBER_FORMATS,
    ColumnKind,
    Styles,
    color_bands,
    color_outcomes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from openpyxl.worksheet.worksheet import Worksheet

    from batchrun.model import Cell
    from batchrun.workbook.cells import Fitter, Limits
    from batchrun.workbook.markdown import Run
    from batchrun.workbook.source import RowFormats

_LOG = logging.getLogger(__name__)

WIDEST, WIDEST_UNSPACED, NARROWEST = 52.0, 38.0, 9.0
"""Of a column: a UUID, which has 36 characters and can't be broken, fits the second."""
LETTERS_PER_WIDTH = 1.2
"""A column's width is counted in digits; letters in running text are narrower."""
WRAPPED_LETTERS_PER_WIDTH = 1.1
"""The same where a text takes several lines, which break between words."""

LINE_POINTS = 15.0
MOST_LINES = 3
"""Lines of text a row is high at most: the rest is in the cell, and a click on it shows it all."""

BUTTON_WIDTH = 3.0
"""What the filter's button takes of a head."""

PAGE_WIDTH = 180.0
"""Characters that fit across a page of A4 or Letter, landscape, in letters of at least 8 points."""
MARGIN_INCHES = 0.4

MOST_KNOWN, MOST_KNOWN_LETTERS = 500, 100
"""Texts of a column that are kept ready, and how long they may be."""

MOST_FOOTER = 200
"""Characters of a footer: Excel takes 255, its codes included."""

MOST_ADDRESS = 40
"""Characters of an address that are shown of a link; it leads to all of it."""

_HEAD_POINTS = 2 * LINE_POINTS + 8
"""Two lines, and some air: the first row is not to look as if it hung from the head."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """How a column of a table is shown.

    Attributes:
        title: Its head.
        width: In characters of the default font.
        kind: Whose it is.
        wrap: Whether its texts are broken into lines.
        folded: Whether it is folded away; one click shows it.
        formats: Number formats by the name of the value's type, where they are not the usual ones.
        result: Whether its texts are results, which are shown as people read them: Markdown without
            markup, addresses short.
        lines: How many lines of its text a row shows at most.
        left: Whether its numbers stand on the left, too.
    """

    title: str
    width: float
    kind: ColumnKind = ColumnKind.RESULT
    wrap: bool = True
    folded: bool = False
    formats: Mapping[str, str] = field(default_factory=dict)
    result: bool = False
    lines: int = MOST_LINES
    left: bool = False


def column_for(title: str, survey: ColumnSurvey, kind: ColumnKind, **more: Any) -> TableColumn:
    """A column as its content needs it: as wide as necessary, within reason."""
    head = head_width(title)
    if survey.spaced or survey.width <= WIDEST_UNSPACED - 2:
        moments = survey.moments if kind is ColumnKind.RESULT else None
        content = survey.width
        if moments is not None:
            content = len("2026-11-24" if moments is Moments.DATE else "2026-11-24 10:00:00")
        width = max(min(content + 3, WIDEST), head, NARROWEST)
        return TableColumn(title, width, kind, **more)
    return TableColumn(title, max(WIDEST_UNSPACED, head), kind, wrap=False, **more)


def head_width(title: str) -> float:
    """How wide a column needs to be for its title: two lines, broken between words only."""
    longest_word = max(map(len, title.split()), default=0)
    half = -(-len(title) // 2)
    return min(max(half, longest_word) * 1.15 + BUTTON_WIDTH, WIDEST)


class Book:
    """The workbook that is being written; a context that owns its temporary files.

    Args:
        limits: What fits.
        fitter: Makes values fit.
        footer: What each printed page says at its foot, beside its number.

    Attributes:
        left_out: Parts that could not be made, in plain words.
        alternatives: The text of each chart for those who can't see it, in their order.
    """

    def __init__(self, limits: Limits, fitter: Fitter, footer: str = "") -> None:
        self.workbook = Workbook(write_only=True)
        self.styles = Styles(self.workbook)
        self.limits = limits
        self.fitter = fitter
        self.left_out: dict[str, None] = {}
        self.alternatives: list[str] = []
        self._footer = fitter.plain(footer).replace("&", "&&")[:MOST_FOOTER]
        self._rows: dict[str, SheetRows] = {}
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._files.close()

    def sheet(self, wanted: str) -> tuple[Worksheet, SheetRows]:
        """A new sheet after the others, under a name Excel allows, and its rows."""
        name = sheet_name(wanted, {title.casefold() for title in self._rows})
        self._rows[name] = SheetRows(self._files)
        sheet = self.workbook.create_sheet(name)
        sheet.oddFooter.left.text = self._footer
        sheet.oddFooter.right.text = "Page &P of &N"
        return sheet, self._rows[name]

    @contextmanager
    def optional(self, part: str) -> Iterator[None]:
        """Leave a part out when it can't be made: results that are paid for don't depend on it.

        What the disk says is no such case, and goes on.

        Args:
            part: What it is, in plain words.
        """
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            self.leave_out(part, error)

    def leave_out(self, part: str, error: Exception) -> None:
        """Note a part that could not be made."""
        self.left_out[part] = None
        kind = type(error).__name__  # its words may be the service's
        log_event(_LOG, Event.WORKBOOK_SIMPLIFIED, part=part, error=kind)

    def save(self, path: Path) -> None:
        """Put it together."""
        save(self.workbook, self._rows, path, self.alternatives)


class CellStyles(dict[tuple[str, str], int]):
    """The styles of a column's cells by a value's type and number format, each made when needed.

    The types ``link`` and ``number link`` are those of a value that leads somewhere. The format
    ``""`` stands for the column's usual one.
    """

    def __init__(self, column: TableColumn, styles: Styles) -> None:
        super().__init__()
        self._column, self._styles = column, styles

    def __missing__(self, key: tuple[str, str]) -> int:
        kind, code = key
        match kind:
            case "link" | "str":
                code = code or "General"
                style = self._styles.text(code, wrap=self._column.wrap, link=kind == "link")
            case "number link":
                style = self._styles.number(code or "General", link=True)
            case _:
                usual = NUMBER_FORMATS.get(kind, "General")
                code = code or self._column.formats.get(kind, usual)
                left = self._column.left
                style = self._styles.text(code, wrap=False) if left else self._styles.number(code)
        self[key] = style
        return style


@dataclass(frozen=True, slots=True)
class _Column:
    """A column whose cells are being written.

    Attributes:
        letter: Its letter.
        styles: The styles of its cells.
        letters: How many letters fit on a line.
        wrap: Its width and the most lines of its texts; ``None`` where they stay on one line.
        result: Whether its texts are results.
        known: Some of its texts, which may occur again: the cell after its place, and its lines.
    """

    letter: str
    styles: CellStyles
    letters: int
    wrap: tuple[float, int] | None
    result: bool
    known: dict[str, tuple[str, int]] = field(default_factory=dict)


class TableSheets:
    """A table with a head on each of as many sheets as its rows need.

    Args:
        book: The workbook.
        name: What its sheets are called.
        columns: Its columns.
        rows: How many rows will be appended.
        frozen: Columns that stay when one scrolls to the right.
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
        self._columns = [
            _Column(
                get_column_letter(position),
                CellStyles(column, book.styles),
                int(column.width * LETTERS_PER_WIDTH),
                (column.width, column.lines) if column.wrap and not column.folded else None,
                column.result,
            )
            for position, column in enumerate(columns, 1)
        ]
        self._names: list[str] = []
        self._sheets: list[SheetRows] = []
        for first in range(0, max(rows, 1), self._room):
            sheet, sheet_rows = book.sheet(name)
            with book.optional(f"the layout of the sheet {sheet.title}"):
                _dress(sheet, columns, min(self._room, rows - first), frozen, outcome)
            self._names.append(sheet.title)
            self._sheets.append(sheet_rows)
            self._add_head(sheet_rows, columns, book.styles)
        self._appended = 0

    def place(self, number: int) -> str:
        """Where the row is that is appended as this number, counted from 0."""
        sheet, row = divmod(number, self._room)
        return reference(self._names[sheet], row + 2)

    def row_of(self, number: int) -> int:
        """In which row of its sheet that is."""
        return number % self._room + 2

    @property
    def next_place(self) -> str:
        """Where the next row goes."""
        return self.place(min(self._appended, self._room * len(self._sheets) - 1))

    def append(
        self,
        values: Sequence[Cell],
        inside: Mapping[int, str] | None = None,
        formats: RowFormats = (),
    ) -> None:
        """Add a row.

        Args:
            values: One value a column.
            inside: Column position → the place in this workbook it leads to.
            formats: Number formats of the first columns, where they are not the usual ones.
        """
        rows = self._sheets[self._appended // self._room]
        try:
            cells, lines = self._cells(rows, values, inside, formats)
        except OSError:
            raise
        except Exception as error:  # one odd value: the row is written as plain text
            self._book.leave_out(f"formats of line {rows.count + 1}", error)
            cells, lines = self._plain_cells(rows, values), 1
        rows.add(cells, LINE_POINTS * lines if lines > 1 else None)
        self._appended += 1

    def _cells(
        self,
        rows: SheetRows,
        values: Sequence[Cell],
        inside: Mapping[int, str] | None,
        formats: RowFormats,
    ) -> tuple[list[str], int]:
        """The cells of a row, and how many lines of text it needs.

        This is the inner loop of the whole workbook.
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
                cells.append(self._linked(rows, place, column, (value, code), inside[position]))
            elif isinstance(value, str):
                if not value:
                    continue
                known = column.known.get(value) if not code else None
                if known is None:
                    known = self._text(rows, place, column, value, code)
                cells.append(f'<c r="{place}{known[0]}')
                lines = max(lines, known[1])
            else:
                number = usual_number(value)
                fitted = value if number else self._fitter.fit(value)
                style = column.styles[type(fitted).__name__, code]
                if number:
                    cells.append(f'<c r="{place}" s="{style}"><v>{number}</v></c>')
                else:
                    cells.append(cell_xml(place, style, fitted))
        return cells, lines

    def _linked(
        self,
        rows: SheetRows,
        place: str,
        column: _Column,
        content: tuple[Cell, str],
        location: str,
    ) -> str:
        """A cell of a value and its format that leads to a place in the workbook."""
        fitted = self._fitter.fit(content[0])
        key = type(fitted).__name__
        if self._link(rows, place, location=location):
            key = "link" if key == "str" else "number link"
        return cell_xml(place, column.styles[key, content[1]], fitted)

    def _text(
        self, rows: SheetRows, place: str, column: _Column, value: str, code: str
    ) -> tuple[str, int]:
        """A text's cell after its place, and how many lines it needs."""
        rich = rich_text(value) if column.result else None
        content: Sequence[Run] | str
        if rich is None:
            content = shown = self._fitter.text(value)
            link = value if value.startswith("http") else ""
        else:
            content, shown, link = self._fitter.runs(rich), rich.text, rich.link
        key, lines = "str", 1
        if link:
            key = self._link_address(rows, place, link)
        if rich is None and key == "link":
            content = short_address(shown) if column.result else shown
        elif column.wrap is not None and (len(shown) > column.letters or "\n" in shown):
            lines = lines_of(shown, *column.wrap)
        text = text_xml(content) if isinstance(content, str) else rich_xml(content)
        found = f'" s="{column.styles[key, code]}" t="inlineStr">{text}</c>', lines
        if not link and not code and len(column.known) < MOST_KNOWN:
            column.known[value if len(value) < MOST_KNOWN_LETTERS else ""] = found
        return found

    def _plain_cells(self, rows: SheetRows, values: Sequence[Cell]) -> list[str]:
        row = rows.count + 1
        cells = []
        for column, value in zip(self._columns, values, strict=False):
            if value is None or value == "":
                continue
            text = self._fitter.text(as_text(value))
            cells.append(cell_xml(f"{column.letter}{row}", column.styles["str", ""], text))
        return cells

    def _add_head(self, rows: SheetRows, columns: Sequence[TableColumn], styles: Styles) -> None:
        rows.add(
            (
                cell_xml(
                    f"{place.letter}1", styles.head(column.kind), self._fitter.text(column.title)
                )
                for place, column in zip(self._columns, columns, strict=True)
            ),
            _HEAD_POINTS,
        )

    def _link_address(self, rows: SheetRows, place: str, text: str) -> str:
        """Let a text that is an address lead there; the name of its style."""
        address = len(text) <= self._limits.link_text and is_address(text)
        return "link" if address and self._link(rows, place, target=text) else "str"

    def _link(self, rows: SheetRows, place: str, *, target: str = "", location: str = "") -> bool:
        """Let a cell lead somewhere, as long as Excel takes more links."""
        if rows.links >= self._limits.links:
            return False
        rows.link(place, target=target, location=location)
        return True


def short_address(address: str) -> str:
    """An address as a browser shows it: without what all have in common, and not too long."""
    short = address.partition("://")[2].removeprefix("www.").rstrip("/")
    return short if len(short) <= MOST_ADDRESS else f"{short[: MOST_ADDRESS - 1]}…"


def lines_of(text: str, width: float, most: int = MOST_LINES) -> int:
    """Lines a text takes in a column, roughly, and no more than there may be."""
    whole = int(width * LETTERS_PER_WIDTH)
    if len(text) <= whole and "\n" not in text:
        return 1
    wrapped = int(width * WRAPPED_LETTERS_PER_WIDTH)
    parts = text[: whole * most + most].split("\n")
    return min(sum(1 if len(part) <= whole else -(-len(part) // wrapped) for part in parts), most)


def print_on(sheet: Worksheet, *, wide: int = 1, high: int = 0) -> None:
    """Let a sheet print on landscape pages.

    Args:
        sheet: The sheet.
        wide: How many pages its columns take.
        high: How many pages its rows take; 0 for as many as they need.
    """
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = wide, high
    sheet.page_setup.pageOrder = "overThenDown"
    sheet.sheet_properties.pageSetUpPr.fitToPage = True  # type: ignore[union-attr]  # always there
    margins = sheet.page_margins
    margins.left = margins.right = margins.top = MARGIN_INCHES
    margins.bottom, margins.header, margins.footer = 1.5 * MARGIN_INCHES, 0.0, 0.7 * MARGIN_INCHES


def pages_across(widths: Sequence[float], repeated: float) -> int:
    """How many pages columns take side by side; none is broken, the first repeat on each page."""
    pages, room = 1, PAGE_WIDTH - repeated
    for width in widths:
        if width > room:
            pages, room = pages + 1, PAGE_WIDTH - repeated
        room -= width
    return pages


def _dress(
    sheet: Worksheet,
    columns: Sequence[TableColumn],
    rows: int,
    frozen: int,
    outcome: int | None,
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
    first = sum(widths[:frozen])
    repeated = first if sum(widths) > PAGE_WIDTH and first <= PAGE_WIDTH / 2 else 0.0
    print_on(sheet, wide=pages_across(widths[frozen:] if repeated else widths, repeated))
    sheet.print_title_rows = "1:1"
    if repeated:
        sheet.print_title_cols = f"A:{get_column_letter(frozen)}"
