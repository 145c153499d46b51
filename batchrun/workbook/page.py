"""A sheet that is not a table: blocks of facts side by side on one page."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from openpyxl.chart import BarChart, Reference
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.marker import DataPoint
from openpyxl.drawing.text import CharacterProperties
from openpyxl.utils import get_column_letter

from batchrun.text import one_line
from batchrun.workbook.rows import cell_xml
from batchrun.workbook.sheets import LETTERS_PER_WIDTH, print_on
from batchrun.workbook.styles import NUMBER_FORMATS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from batchrun.model import Cell
    from batchrun.workbook.sheets import Book

ROW_POINTS = 15.0
"""All rows have the same height, which keeps blocks side by side aligned."""
_TITLE_POINTS = 26.0
_POINTS_PER_CM = 72 / 2.54
CHART_COLOR = "1F5C8B"
CHART_CM, BARS_CM, BAR_CM = 9.2, 1.5, 0.52
"""The size of a chart: its width, its height without bars, and the height of a bar."""
_USUAL_FORMATS = {**NUMBER_FORMATS, "int": "#,##0", "float": "#,##0.00"}


def shorter(text: str, width: float) -> str:
    """Shorten a text to one line of this width."""
    return one_line(text, int(width * LETTERS_PER_WIDTH))


class Page:
    """A sheet whose cells are set in any order and written at the end."""

    def __init__(self, book: Book, name: str, widths: Sequence[float]) -> None:
        self.book = book
        self.sheet, self._rows = book.sheet(name)
        self.widths = widths
        self._cells: defaultdict[int, dict[int, tuple[Cell, int, str]]] = defaultdict(dict)
        for position, width in enumerate(widths, 1):
            self.sheet.column_dimensions[get_column_letter(position)].width = width
        self.sheet.sheet_view.showGridLines = False
        print_on(self.sheet, high=1)

    def put(self, row: int, column: int, value: Cell, style: int, location: str = "") -> None:
        """Set a cell, counted from 1; it may link to a place in the workbook."""
        self._cells[row][column] = (value, style, location)

    def title(self, text: str, *notes: str) -> int:
        """Write the page's title and notes; return the row where the blocks begin."""
        self.put(1, 1, text, self.book.styles.title())
        for row, note in enumerate(notes, 2):
            self.put(row, 1, note, self.book.styles.note())
        return 3 + len(notes)

    def bars(
        self,
        title: str,
        lines: tuple[int, int],
        column: int,
        block: Block,
        colors: Mapping[int, str] | None = None,
    ) -> None:
        """Add a bar chart of the numbers next to a column of names.

        Args:
            title: The chart's title.
            lines: The first and last row.
            column: The column of the names, counted from 1.
            block: The block at whose end the chart is.
            colors: Colors of single bars, by their position.
        """
        first, last = lines
        names = [str(self._cells[row][column][0]) for row in range(first, last + 1)]
        numbers = [self._cells[row][column + 1][0] for row in range(first, last + 1)]
        chart: Any = BarChart()
        chart.title, chart.legend = self.book.fitter.plain(title), None
        chart.title.overlay = False
        letters: Any = CharacterProperties(sz=1200, b=True, solidFill=CHART_COLOR)  # as in sections
        for paragraph in chart.title.tx.rich.p:
            paragraph.pPr.defRPr = paragraph.r[0].rPr = letters
        chart.width, chart.height = CHART_CM, BARS_CM + BAR_CM * (last - first + 1)
        chart.type = "bar"
        chart.add_data(Reference(self.sheet, min_col=column + 1, min_row=first, max_row=last))
        chart.set_categories(Reference(self.sheet, min_col=column, min_row=first, max_row=last))
        chart.gapWidth = 40
        chart.series[0].graphicalProperties.solidFill = CHART_COLOR
        for position, color in (colors or {}).items():
            point: Any = DataPoint(idx=position)
            point.graphicalProperties.solidFill = color
            chart.series[0].dPt.append(point)
        others = dict.fromkeys(
            ("showSerName", "showCatName", "showLegendKey", "showPercent"), False
        )
        chart.dataLabels = DataLabelList(showVal=True, **others)
        # openpyxl leaves this unset, which newer versions of Excel read as "no axis".
        chart.x_axis.delete, chart.y_axis.delete = False, True
        chart.y_axis.majorGridlines = None
        chart.x_axis.scaling.orientation = "maxMin"  # the first name on top
        chart.y_axis.crosses = "max"
        self.sheet.add_chart(chart, f"{get_column_letter(block.column)}{block.below}")
        block.row = block.below + math.ceil(chart.height * _POINTS_PER_CM / ROW_POINTS)
        counts = ", ".join(f"{name}: {number}" for name, number in zip(names, numbers, strict=True))
        self.book.alternatives.append(self.book.fitter.plain(f"Bar chart. {title}: {counts}"))

    def write(self) -> None:
        """Write all cells."""
        for row in range(1, max(self._cells, default=0) + 1):
            cells = []
            for column, (value, style, location) in sorted(self._cells[row].items()):
                place = f"{get_column_letter(column)}{row}"
                cells.append(cell_xml(place, style, self.book.fitter.fit(value)))
                if location:
                    self._rows.link(place, location=location)
            self._rows.add(cells, _TITLE_POINTS if row == 1 else ROW_POINTS)


class Block:
    """A column of sections on a page, one below the other, with an empty row between them.

    Attributes:
        row: The next row.
    """

    def __init__(self, page: Page, column: int, row: int) -> None:
        self.page, self.column, self.row, self._top = page, column, row, row

    @property
    def below(self) -> int:
        """The row where the next section begins."""
        return self.row + (self.row > self._top)

    def section(self, *titles: str, wide: int = 0, left: Collection[int] = ()) -> None:
        """Write the header of a section.

        Args:
            titles: The headers of its columns.
            wide: The fewest columns that it spans.
            left: Positions of headers over texts, which are left-aligned; the first always is.
        """
        self.row = self.below
        for position in range(max(len(titles), wide)):
            text = titles[position] or None if position < len(titles) else None
            is_left = position in left
            style = self.page.book.styles.section(
                right=position > 0 and not is_left, indent=is_left
            )
            self.page.put(self.row, self.column + position, text, style)
        self.row += 1

    def fact(
        self,
        name: Cell,
        *values: Cell,
        formats: Sequence[str] = (),
        location: str = "",
        indent: int = 0,
    ) -> None:
        """Write a line of a section, with its name on one line.

        The name extends over the leading values that are ``None``.
        """
        page, styles = self.page, self.page.book.styles
        style = styles.fact(left=True, indent=indent, link=bool(location))
        free = next((at for at, value in enumerate(values) if value is not None), len(values))
        width = sum(page.widths[self.column - 1 : self.column + free])
        text = shorter(name, width) if isinstance(name, str) else name
        page.put(self.row, self.column, text, style, location)
        for position, value in enumerate(values):
            if value is not None:
                code = formats[position] or "General" if position < len(formats) else None
                code = code or _USUAL_FORMATS.get(type(value).__name__, "General")
                page.put(self.row, self.column + 1 + position, value, styles.fact(code))
        self.row += 1
