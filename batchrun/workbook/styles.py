"""The workbook's look: colors, fonts, and formats, each defined once."""

from __future__ import annotations

from enum import Enum
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from openpyxl.cell import WriteOnlyCell
from openpyxl.formatting import rule
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.cell_range import CellRange

from batchrun.model import Outcome
from batchrun.workbook.reasons import SAME_ID_AS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

COLORS: Mapping[Outcome, tuple[str, str, str]] = {
    Outcome.COMPLETED: ("C6EFCE", "006100", "009E73"),
    Outcome.FAILED: ("FFC7CE", "9C0006", "D55E00"),
    Outcome.REJECTED: ("FFC7CE", "9C0006", "CC79A7"),
    Outcome.INVALID: ("FFEB9C", "7F6000", "E69F00"),
    Outcome.TIMED_OUT: ("FFEB9C", "7F6000", "F0E442"),
    Outcome.IN_DOUBT: ("F8CBAD", "833C0B", "56B4E9"),
    Outcome.PENDING: ("DDEBF7", "1F4E78", "999999"),
}
"""Of each outcome, the fill and the font of cells, and the bar in a chart.

The first two are Excel's own pairs for good, bad, and neutral. The bars' colors are for color-blind
readers: Okabe and Ito, https://jfly.uni-koeln.de/color/.
"""

BAND = "F3F6FA"
"""The fill of every other row of a table."""

NUMBER_FORMATS: Mapping[str, str] = {
    "datetime": "yyyy-mm-dd hh:mm:ss",
    "date": "yyyy-mm-dd",
    "time": "hh:mm:ss",
    "timedelta": "[h]:mm:ss",
    "bool": '"TRUE";"TRUE";"FALSE"',  # Excel's default words; LibreOffice would show 1 and 0
}
"""Default number format by the name of the value's type."""


class ColumnKind(Enum):
    """The kind of column (``INPUT``: for the user to fill in); the value is its header color."""

    LIST = "44546A"
    STATUS = "2E7D6B"
    RESULT = "1F5C8B"
    INPUT = "7F6000"


FONT = "Calibri"


def _font(size: int = 11, **more: Any) -> Font:
    return Font(name=FONT, size=size, family=2, **more)  # 2: sans serif


_PLAIN = _font()
_LINK = _font(color="0563C1", underline="single")
_HEAD = _font(bold=True, color="FFFFFF")
_WRAPPED = Alignment(horizontal="left", vertical="top", wrap_text=True, indent=1)
_ON_ONE_LINE = Alignment(horizontal="left", vertical="top", indent=1)
_RIGHT = Alignment(horizontal="right", vertical="top")
_RIGHT_INDENTED = Alignment(horizontal="right", vertical="top", indent=1)
_HEADING = Alignment(horizontal="left", vertical="center", wrap_text=True, indent=1)


class Styles:
    """Returns the numbers of cell styles; openpyxl keeps each style of a workbook once."""

    def __init__(self, workbook: Workbook) -> None:
        # what openpyxl needs of a sheet to register a cell's styles
        self._sheet: Any = SimpleNamespace(parent=workbook)
        # To register a style takes a fifth of the time of a small workbook.
        for name in ("text", "number", "head", "title", "section", "note", "fact"):
            setattr(self, name, cache(getattr(self, name)))

    def text(self, number_format: str = "General", *, wrap: bool = True, link: bool = False) -> int:
        """Return the style of text in a table, indented from the number to its left."""
        align = _WRAPPED if wrap else _ON_ONE_LINE
        return self._number(_LINK if link else _PLAIN, align, number_format)

    def number(self, number_format: str, *, own: bool = False, link: bool = False) -> int:
        """Return the style of a number, date, or boolean in a table.

        It is indented from the next column, except in the list's own columns: their widths are the
        list's, and it might no longer fit.
        """
        align = _RIGHT if own else _RIGHT_INDENTED
        return self._number(_LINK if link else _PLAIN, align, number_format)

    def head(self, kind: ColumnKind) -> int:
        """Return the style of a column's header."""
        return self._number(_HEAD, _HEADING, fill=PatternFill("solid", fgColor=kind.value))

    def title(self) -> int:
        """Return the style of the title of a sheet that is not a table."""
        return self._number(_font(16, bold=True, color="1F3864"), Alignment())

    def section(self, *, right: bool = False, indent: int = 0) -> int:
        """Return the style of the header over a group of facts."""
        line = Border(bottom=Side(style="medium", color="1F5C8B"))
        font = _font(12, bold=True, color="1F5C8B")
        align = Alignment(horizontal="right" if right else "left", vertical="center", indent=indent)
        return self._number(font, align, border=line)

    def note(self) -> int:
        """Return the style of a note."""
        return self._number(_font(italic=True, color="595959"), Alignment())

    def fact(
        self,
        number_format: str = "General",
        *,
        left: bool = False,
        indent: int = 0,
        link: bool = False,
    ) -> int:
        """Return the style of a fact's name, on the left, or of its value, right if a number."""
        side = "left" if left or indent else None
        align = Alignment(horizontal=side, vertical="center", indent=indent)
        return self._number(_LINK if link else _PLAIN, align, number_format)

    def _number(
        self, font: Font, align: Alignment, number_format: str = "General", **more: Any
    ) -> int:
        cell: Any = WriteOnlyCell(self._sheet)
        cell.font, cell.alignment, cell.number_format = font, align, number_format
        for name, value in more.items():
            setattr(cell, name, value)
        return int(cell.style_id)


_FormulaRule: Any = rule.FormulaRule  # untyped in its stubs


def color_bands(sheet: Worksheet, cells: str) -> None:
    """Shade every other row; the pattern stays when the rows are sorted."""
    fill = PatternFill("solid", bgColor=BAND)
    sheet.conditional_formatting.add(cells, _FormulaRule(["MOD(ROW(),2)=1"], fill=fill))


def color_outcomes(sheet: Worksheet, cells: str) -> None:
    """Color cells by the outcome they name, also after somebody changes one.

    If the cell beside it says that the result may be another company's, the color is a warning.
    """
    place = CellRange(cells)
    beside = f"{get_column_letter(place.min_col + 1)}{place.min_row}"
    shared = f'LEFT({beside},{len(SAME_ID_AS)})="{SAME_ID_AS}"'
    color_rule: Any = rule.CellIsRule
    for outcome in (None, *COLORS):
        fill, color, _ = COLORS[outcome or Outcome.INVALID]
        colors = {"fill": PatternFill("solid", bgColor=fill), "font": Font(color=color)}
        found = (
            _FormulaRule([shared], **colors)
            if outcome is None
            else color_rule("equal", [f'"{outcome.words}"'], **colors)
        )
        sheet.conditional_formatting.add(cells, found)
