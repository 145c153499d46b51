"""A table on as many sheets as its rows need, streamed: memory does not grow with the rows."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from openpyxl import Workbook
from openpyxl.utils import get_column_letter

from batchrun.workbook.cells import is_address, reference, sheet_name
from batchrun.workbook.rows import SheetRows, cell_xml, save
from batchrun.workbook.styles import NUMBER_FORMATS, Head, Styles, color_outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from openpyxl.worksheet.worksheet import Worksheet

    from batchrun.model import Cell
    from batchrun.workbook.cells import Fitter, Limits
    from batchrun.workbook.columns import ColumnSurvey

WIDEST, WIDEST_UNSPACED, NARROWEST = 52.0, 26.0, 9.0
LETTERS_PER_WIDTH = 1.1
"""A column's width is counted in digits; letters in running text are narrower."""

LINE_POINTS = 15.0
MOST_LINES = 6
"""Lines of text a row is high at most; the rest is in the cell, and shows when it is clicked.

Six of Excel's lines are as high as eight of LibreOffice's, so that neither cuts one in half.
"""

_HEAD_POINTS = 2 * LINE_POINTS + 8
"""Two lines, and some air: the first row is not to look as if it hung from the head."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a column looks.

    Attributes:
        title: Its head.
        width: In characters of the default font.
        head: Whose it is.
        wrap: Whether its texts are broken into lines.
        group: Whether it belongs to the columns that one click folds away.
        formats: Number formats by the name of the value's type, where they are not the usual ones.
    """

    title: str
    width: float
    head: Head = Head.RESULT
    wrap: bool = True
    group: bool = False
    formats: Mapping[str, str] = field(default_factory=dict)


def look_of(title: str, survey: ColumnSurvey, head: Head, **more: Any) -> Look:
    """How a column looks, by what is in it: as wide as it needs to be, within reason."""
    # Heads are two lines high, break between words, and have the filter's button in their corner.
    longest_word = max(map(len, title.split()), default=0)
    head_width = min(max(-(-len(title) // 2), longest_word) + 5, WIDEST_UNSPACED)
    if survey.spaced or survey.width <= WIDEST_UNSPACED:
        moment = head is Head.RESULT and survey.moments is not None
        content = len("2026-11-24 10:00:00") if moment else survey.width
        return Look(title, max(min(content + 3, WIDEST), head_width, NARROWEST), head, **more)
    return Look(title, max(WIDEST_UNSPACED, head_width), head, wrap=False, **more)


class Book:
    """The workbook that is being written; a context that owns its temporary files.

    Args:
        limits: What fits.
        fitter: Makes values fit.
    """

    def __init__(self, limits: Limits, fitter: Fitter) -> None:
        self.workbook = Workbook(write_only=True)
        self.styles = Styles(self.workbook)
        self.limits = limits
        self.fitter = fitter
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
        return self.workbook.create_sheet(name), self._rows[name]

    def save(self, path: Path) -> None:
        """Put it together."""
        save(self.workbook, self._rows, path)


class ColumnStyles(dict[str, int]):
    """The styles of a column's cells by the name of a value's type, each made when needed.

    ``link`` and ``number link`` are those of a value that leads somewhere.
    """

    def __init__(self, look: Look, styles: Styles) -> None:
        super().__init__()
        self._look, self._styles = look, styles

    def __missing__(self, key: str) -> int:
        match key:
            case "link" | "str":
                style = self._styles.text(wrap=self._look.wrap, link=key == "link")
            case "number link":
                style = self._styles.number("General", link=True)
            case _:
                usual = NUMBER_FORMATS.get(key, "General")
                style = self._styles.number(self._look.formats.get(key, usual))
        self[key] = style
        return style


class TableSheets:
    """A table with a head on each of as many sheets as its rows need.

    Args:
        book: The workbook.
        name: What its sheets are called.
        looks: Its columns.
        rows: How many rows will be appended.
        frozen: Columns that stay when one scrolls to the right.
        outcome: Position of the column that names an outcome, if there is one.
    """

    def __init__(
        self,
        book: Book,
        name: str,
        looks: Sequence[Look],
        rows: int,
        *,
        frozen: int = 0,
        outcome: int | None = None,
    ) -> None:
        self._fitter, self._limits = book.fitter, book.limits
        self._room = book.limits.rows - 1
        self._columns = [
            (
                get_column_letter(position),
                ColumnStyles(look, book.styles),
                int(look.width * LETTERS_PER_WIDTH) if look.wrap else None,
            )
            for position, look in enumerate(looks, 1)
        ]
        self._names: list[str] = []
        self._sheets: list[SheetRows] = []
        for first in range(0, max(rows, 1), self._room):
            sheet, sheet_rows = book.sheet(name)
            _dress(sheet, looks, min(self._room, rows - first), frozen, outcome)
            self._names.append(sheet.title)
            self._sheets.append(sheet_rows)
            self._add_head(sheet_rows, looks, book.styles)
        self._appended = 0

    def place(self, number: int) -> str:
        """Where the row is that is appended as this number, counted from 0."""
        sheet, row = divmod(number, self._room)
        return reference(self._names[sheet], row + 2)

    @property
    def next_place(self) -> str:
        """Where the next row goes."""
        return self.place(min(self._appended, self._room * len(self._sheets) - 1))

    def append(self, values: Sequence[Cell], inside: Mapping[int, str] | None = None) -> None:
        """Add a row.

        Args:
            values: One value a column.
            inside: Column position → the place in this workbook it leads to.
        """
        rows = self._sheets[self._appended // self._room]
        row = rows.count + 1
        lines = 1
        cells: list[str] = []
        for position, value in enumerate(values):
            if value is None or value == "":
                continue
            letter, styles, width = self._columns[position]
            fitted = self._fitter.fit(value)
            key = type(fitted).__name__
            if inside and position in inside:
                if self._link(rows, f"{letter}{row}", location=inside[position]):
                    key = "link" if key == "str" else "number link"
            elif type(fitted) is str:
                if width is not None and lines < MOST_LINES:
                    lines = max(lines, lines_of(fitted, width))
                if fitted.startswith("http"):
                    key = self._link_address(rows, f"{letter}{row}", str(value))
            cells.append(cell_xml(f"{letter}{row}", styles[key], fitted))
        rows.add(cells, LINE_POINTS * min(lines, MOST_LINES) if lines > 1 else None)
        self._appended += 1

    def _add_head(self, rows: SheetRows, looks: Sequence[Look], styles: Styles) -> None:
        rows.add(
            (
                cell_xml(f"{column[0]}1", styles.head(look.head), self._fitter.text(look.title))
                for column, look in zip(self._columns, looks, strict=True)
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


def lines_of(text: str, width: int) -> int:
    """Lines a text takes in a column, roughly; counted no further than needed."""
    if len(text) <= width and "\n" not in text:
        return 1
    parts = text[: width * MOST_LINES].split("\n")
    return sum(-(-len(part) // width) or 1 for part in parts)


def print_wide(sheet: Worksheet) -> None:
    """Let a sheet print on landscape pages, all its columns beside each other."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0  # as many pages as it is long
    sheet.sheet_properties.pageSetUpPr.fitToPage = True  # type: ignore[union-attr]  # always there


def _dress(
    sheet: Worksheet, looks: Sequence[Look], rows: int, frozen: int, outcome: int | None
) -> None:
    sheet.freeze_panes = f"{get_column_letter(frozen + 1)}2"
    for position, look in enumerate(looks, 1):
        dimension = sheet.column_dimensions[get_column_letter(position)]
        dimension.width = look.width
        if look.group:
            dimension.outlineLevel = 1
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(looks))}{rows + 1}"
    if outcome is not None:
        letter = get_column_letter(outcome + 1)
        color_outcomes(sheet, f"{letter}2:{letter}{max(rows, 1) + 1}")
    print_wide(sheet)
    sheet.print_title_rows = "1:1"
