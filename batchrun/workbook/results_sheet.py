"""The sheet Results: the list, what became of each row, and its result in columns.

A person who opens it sees, without scrolling, who the row is, its status and the beginning of the
main result. The list's columns keep their order and come first; where they leave no room, those
that don't say who the row is are folded away, and one click on [+] shows them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchrun.workbook.changes import COLUMN
from batchrun.workbook.layout import AGAIN, MORE, STATUS_COLUMNS, Audience
from batchrun.workbook.reasons import SHEET
from batchrun.workbook.sheets import TableColumn, TableSheets, column_for, head_width
from batchrun.workbook.styles import ColumnKind
from batchrun.workbook.titles import number_format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchrun.model import BatchResults, Cell
    from batchrun.workbook.layout import Layout, ResultColumn, Shape
    from batchrun.workbook.sheets import Book
    from batchrun.workbook.source import ListFormats, RowFormats

SCREEN_PIXELS = 1_840
"""What a screen of 1920 pixels has left for columns at 100 %."""
MOST_FROZEN_PIXELS = 800
UUID_WIDTH = 39.0
_STATUS_WIDTHS = (13, 34, UUID_WIDTH, 20, 20, 20, 11)
_TEXT_WIDTH = 52.0


class ResultsSheet:
    """The sheet Results.

    Args:
        book: The workbook.
        results: The batch.
        layout: Its columns.
        shape: For whom, and whether texts in Markdown keep their markup.
        formats: How the list's cells are shown.
        compared: Whether a column says which rows have changed.
    """

    def __init__(
        self,
        book: Book,
        results: BatchResults,
        layout: Layout,
        shape: Shape,
        formats: ListFormats,
        *,
        compared: bool = False,
    ) -> None:
        self._layout, self._compared = layout, compared
        self._for_people = shape.audience is Audience.PEOPLE
        own = list_columns(results, layout, formats)
        status = _status_columns(layout)
        found = [result_column(each, raw=shape.raw_text) for each in layout.results]
        if layout.overflow:
            found.append(TableColumn(MORE, _TEXT_WIDTH))
        again = TableColumn(AGAIN, 11, ColumnKind.INPUT)
        if self._for_people:
            shown, hidden = status[:2], [status[2], replace(again, folded=True)]
        else:
            shown, hidden = [*status[:2], again, *status[2:]], []
        if compared:
            shown.insert(2, TableColumn(COLUMN, 12, ColumnKind.STATUS))
        own = _folded(own, layout, [*shown, *found[:1]])
        self._first_result = len(own) + len(shown)
        self.columns = [*own, *shown, *found, *hidden]
        self.sheets = TableSheets(
            book,
            SHEET,
            self.columns,
            results.summary.rows,
            frozen=max(_who(layout), default=-1) + 1,
            outcome=len(own),
        )

    def append(
        self,
        values: Sequence[Cell],
        lists: Mapping[int, str],
        formats: RowFormats,
        mark: str | None = None,
    ) -> None:
        """Add a row.

        Args:
            values: As the layout gives them.
            lists: Position of a result column → the place of the items it counts.
            formats: Number formats of the list's cells.
            mark: Whether it is new, changed or the same.
        """
        own = len(self._layout.original)
        beside = [mark] if self._compared else []
        ordered = list(values)
        if self._for_people:
            technical = ordered[own + 2 : own + len(STATUS_COLUMNS)]
            ordered[own + 2 : own + len(STATUS_COLUMNS)] = beside
            ordered.append(technical[0])  # the execution's ID
        else:
            ordered[own + 2 : own + 2] = [*beside, None]
        inside = None
        if lists:
            inside = {self._first_result + position: place for position, place in lists.items()}
        self.sheets.append(ordered, inside, formats[: self._layout.own] if formats else ())


def result_column(column: ResultColumn, *, raw: bool) -> TableColumn:
    """How a column of results is shown."""
    code = number_format(column.path, column.survey)
    return column_for(
        column.head,
        column.survey,
        ColumnKind.RESULT,
        result=not raw,
        folded=bool(column.aside),
        formats={"int": code, "float": code},
    )


def list_columns(results: BatchResults, layout: Layout, formats: ListFormats) -> list[TableColumn]:
    """The list's own columns: as wide as in the list's workbook, else as their content needs."""
    columns = []
    for position, (title, survey) in enumerate(
        zip(layout.original, layout.original_surveys, strict=True)
    ):
        width = formats.widths.get(position)
        if width is not None:
            width = max(width, head_width(title))
            columns.append(TableColumn(title, width, ColumnKind.LIST, wrap=False))
        elif position in results.roles.values():
            columns.append(TableColumn(title, UUID_WIDTH, ColumnKind.LIST, wrap=False))
        else:
            columns.append(column_for(title, survey, ColumnKind.LIST))
    return columns


def _status_columns(layout: Layout) -> list[TableColumn]:
    return [
        TableColumn(
            title,
            width,
            ColumnKind.STATUS,
            wrap=title == STATUS_COLUMNS[1],
            folded=position > 1 or (position == 1 and not layout.messages),
            formats={"float": "0.0"},
        )
        for position, (title, width) in enumerate(zip(STATUS_COLUMNS, _STATUS_WIDTHS, strict=True))
    ]


def _who(layout: Layout) -> Sequence[int]:
    """Positions of the list's columns that say who a row is."""
    return layout.names or [at for at in layout.roles.values() if at < len(layout.original)]


def _folded(
    own: list[TableColumn], layout: Layout, beside: Sequence[TableColumn]
) -> list[TableColumn]:
    """The list's columns, those folded away that leave no room for what is to be seen first."""
    who = set(_who(layout))
    technical = set(layout.roles.values()) - who
    own = [replace(each, folded=at in technical) for at, each in enumerate(own)]
    frozen = own[: max(who, default=-1) + 1]
    if _pixels([*own, *beside]) <= SCREEN_PIXELS and _pixels(frozen) <= MOST_FROZEN_PIXELS:
        return own
    return [replace(each, folded=at not in who) for at, each in enumerate(own)]


def _pixels(columns: Sequence[TableColumn]) -> float:
    return sum(7 * column.width + 5 for column in columns if not column.folded)
