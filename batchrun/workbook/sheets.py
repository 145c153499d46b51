"""A table on as many sheets as its rows need, streamed: memory does not grow with the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openpyxl import Workbook
from openpyxl.cell.cell import Cell as ExcelCell
from openpyxl.cell.rich_text import CellRichText
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.xml.constants import XML_NS
from openpyxl.xml.functions import Element, SubElement

from batchrun.workbook.cells import reference, sheet_name
from batchrun.workbook.styles import NUMBER_FORMATS, Head, Styles, color_outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openpyxl.worksheet.worksheet import Worksheet

    from batchrun.model import Cell
    from batchrun.workbook.cells import Fitter
    from batchrun.workbook.columns import ColumnSurvey
    from batchrun.workbook.limits import Limits

WIDEST, WIDEST_UNSPACED, NARROWEST = 52.0, 26.0, 9.0
LETTERS_PER_WIDTH = 1.1
"""A column's width is counted in digits; letters in running text are narrower."""

MOST_LINES = 5
"""Lines of text a row is high at most; the rest is in the cell, and shows when it is clicked."""

LINE_POINTS = 15
ROW_HEIGHTS = {
    lines: {"ht": str(lines * LINE_POINTS), "customHeight": "1"}
    for lines in range(2, MOST_LINES + 1)
}
_KINDS = {
    "str": "s",
    "link": "s",
    "number link": "n",
    "bool": "b",
    "int": "n",
    "float": "n",
    "datetime": "d",
    "date": "d",
    "time": "d",
    "timedelta": "d",
}
"""How openpyxl calls the types of cells, by the key of `ColumnCells`."""


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
        content = survey.width if survey.moments is None else len("2026-11-24 10:00:00")
        return Look(title, max(min(content + 3, WIDEST), head_width, NARROWEST), head, **more)
    return Look(title, max(WIDEST_UNSPACED, head_width), head, wrap=False, **more)


class Book:
    """The workbook that is being written.

    Args:
        limits: What fits.
        fitter: Makes values fit.
    """

    def __init__(self, limits: Limits, fitter: Fitter) -> None:
        self.workbook = Workbook(write_only=True)
        self.limits = limits
        self.fitter = fitter
        self._names: set[str] = set()
        self._styles: Styles | None = None

    @property
    def styles(self) -> Styles:
        """Its styles; there has to be a sheet."""
        assert self._styles is not None
        return self._styles

    def sheet(self, wanted: str) -> Worksheet:
        """A new sheet after the others, under a name Excel allows."""
        name = sheet_name(wanted, self._names)
        self._names.add(name.casefold())
        sheet: Worksheet = self.workbook.create_sheet(name)
        if self._styles is None:
            self._styles = Styles(sheet)
        return sheet


class _White(CellRichText):
    """Text that is white space only: openpyxl would write it so that XML readers drop it."""

    def to_tree(self) -> Element:
        """The text as XML that says that white space counts."""
        inline = Element("is")
        SubElement(inline, "t", {f"{{{XML_NS}}}space": "preserve"}).text = str(self)
        return inline


class PreparedCell(ExcelCell):
    """A cell that is used for one row after another: its style is numbered and kept.

    openpyxl writes a cell as soon as its row is appended, so one for each column and type is
    enough, and finding its style anew for each row (half of the writing time) is not needed.
    """

    __slots__ = ("_letter", "_style_number")

    def __init__(self, sheet: Worksheet, column: int, kind: str, style_number: int) -> None:
        super().__init__(sheet, row=1, column=column)
        self.data_type = kind
        self._letter = get_column_letter(column)
        self._style_number = style_number

    def __repr__(self) -> str:
        return "PreparedCell"  # openpyxl spells each cell it meets into an error it then ignores

    @property
    def has_style(self) -> bool:
        """Whether it has one: always."""
        return True

    @property
    def style_id(self) -> int:
        """The style's number in the workbook."""
        return self._style_number

    @property
    def coordinate(self) -> str:
        """Such as ``B7``."""
        return f"{self._letter}{self.row}"

    def holding(self, value: Cell, link: Hyperlink | None = None) -> PreparedCell:
        """Itself with this value, which has to fit and to be of its kind."""
        # openpyxl would write 16 digits of a number; every double is told apart by repr's 17.
        held: Any = repr(value) if type(value) is float else value
        self._value = _White(held) if type(value) is str and not value.strip() else held
        self._hyperlink = link
        return self


class ColumnCells(dict[str, PreparedCell]):
    """The prepared cells of a column, each made when it is first needed.

    The key is the name of a value's type; ``link`` and ``number link`` are values that lead
    somewhere.
    """

    def __init__(self, sheet: Worksheet, column: int, look: Look, styles: Styles) -> None:
        super().__init__()
        self._sheet, self._column, self._look, self._styles = sheet, column, look, styles

    def __missing__(self, key: str) -> PreparedCell:
        wrap, styles = self._look.wrap, self._styles
        match key:
            case "link" | "str":
                style = styles.text(wrap=wrap, link=key == "link")
            case "number link":
                style = styles.number("General", link=True)
            case _:
                usual = NUMBER_FORMATS.get(key, "General")
                style = styles.number(self._look.formats.get(key, usual))
        cell = PreparedCell(self._sheet, self._column, _KINDS[key], style)
        self[key] = cell
        return cell


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
        self._book = book
        self._looks = looks
        self._widths = [
            int(look.width * LETTERS_PER_WIDTH) if look.wrap else None for look in looks
        ]
        self._room = book.limits.rows - 1
        counts = [min(self._room, rows - first) for first in range(0, rows, self._room)] or [0]
        self._sheets = [book.sheet(name) for _ in counts]
        for sheet, count in zip(self._sheets, counts, strict=True):
            _dress(sheet, looks, count, frozen, outcome)
        self._appended = 0
        self._links = 0
        self._cells: list[ColumnCells] = []

    def place(self, number: int) -> str:
        """Where the row is that is appended as this number, counted from 0."""
        sheet, row = divmod(number, self._room)
        return reference(str(self._sheets[sheet].title), row + 2)

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
        number, row = divmod(self._appended, self._room)
        sheet: Any = self._sheets[number]
        if row == 0:
            self._begin(sheet)
        lines = 1
        cells: list[PreparedCell | None] = []
        for position, value in enumerate(values):
            if value is None or value == "":
                cells.append(None)
                continue
            fitted = self._book.fitter.fit(value)
            if type(fitted) is str:
                width = self._widths[position]
                if width is not None and lines < MOST_LINES:
                    lines = max(lines, lines_of(fitted, width))
                link = self._link_text(fitted)
            else:
                link = None
            if inside and position in inside:
                link = self._link(location=inside[position])
            prepared = self._cells[position]
            if link is None:
                cells.append(prepared[type(fitted).__name__].holding(fitted))
            else:
                kind = "link" if type(fitted) is str else "number link"
                cells.append(prepared[kind].holding(fitted, link))
        if lines > 1:
            sheet.row_dimensions[row + 2] = ROW_HEIGHTS[min(lines, MOST_LINES)]
        sheet.append(cells)
        sheet.row_dimensions.pop(row + 2, None)  # it is written: nothing may grow with the rows
        self._appended += 1

    def close(self) -> None:
        """Give a table without rows its head."""
        if not self._appended:
            self._begin(self._sheets[0])

    def _begin(self, sheet: Any) -> None:
        styles = self._book.styles
        self._links = 0
        self._cells = [
            ColumnCells(sheet, at, look, styles) for at, look in enumerate(self._looks, 1)
        ]
        sheet.row_dimensions[1] = ROW_HEIGHTS[2]
        text = self._book.fitter.text
        sheet.append(
            [
                PreparedCell(sheet, at, "s", styles.head(look.head)).holding(text(look.title))
                for at, look in enumerate(self._looks, 1)
            ]
        )
        sheet.row_dimensions.pop(1)

    def _link_text(self, text: str) -> Hyperlink | None:
        if not text.startswith(("https://", "http://")) or len(text) > self._book.limits.link_text:
            return None
        # Excel repairs a workbook whose link has a space or a control character in it.
        return self._link(target=text) if text.isascii() and _is_address(text) else None

    def _link(self, **where: str) -> Hyperlink | None:
        if self._links >= self._book.limits.links:
            return None
        self._links += 1
        return Hyperlink(ref="", **where)


def _is_address(text: str) -> bool:
    return text.isprintable() and not any(mark in text for mark in ' "<>\\^`{|}')


def lines_of(text: str, width: int) -> int:
    """Lines a text takes in a column, roughly; counted no further than needed."""
    if len(text) <= width and "\n" not in text:
        return 1
    parts = text[: width * MOST_LINES].split("\n")
    return sum(-(-len(part) // width) or 1 for part in parts)


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
    sheet.page_setup.orientation = "landscape"
    sheet.print_title_rows = "1:1"
