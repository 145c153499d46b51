"""The detail sheets: the items of a list of objects, one a line, and the lists in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.model import Role
from batchrun.workbook.columns import name_of
from batchrun.workbook.results_sheet import UUID_WIDTH, result_column
from batchrun.workbook.sheets import TableColumn, TableSheets
from batchrun.workbook.styles import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchrun.model import JSON, Cell, ResultRow
    from batchrun.workbook.flatten import Flat
    from batchrun.workbook.layout import DetailTable, Layout
    from batchrun.workbook.sheets import Book


class DetailSheets:
    """The detail sheets of a workbook.

    Args:
        book: The workbook.
        layout: What lists there are.
        raw_text: Whether texts in Markdown keep their markup.
    """

    def __init__(self, book: Book, layout: Layout, *, raw_text: bool = False) -> None:
        self._layout = layout
        self._positions = {column.path: at for at, column in enumerate(layout.results)}
        self._sheets: dict[int, TableSheets] = {}
        for table in layout.tables:
            for each in table.with_all_below():
                columns = _columns(each, raw_text=raw_text)
                frozen = 3 if each.named else 2
                sheets = TableSheets(book, each.title, columns, each.lines, frozen=frozen)
                self._sheets[id(each)] = sheets

    def add(self, row: ResultRow, flat: Flat, place: str) -> dict[int, str]:
        """Write the items of a row.

        Args:
            row: The row.
            flat: Its result, flattened.
            place: Where the row is, for links back.

        Returns:
            Position of a result column that counts a list → place of the list's first item.
        """
        first: dict[int, str] = {}
        for table in self._layout.tables:
            items = flat.items.get(table.path)
            if items:
                first[self._positions[table.path]] = self._sheets[id(table)].next_place
                self._add_items(table, items, (row, place), "")
        return first

    def _add_items(
        self,
        table: DetailTable,
        items: Sequence[Mapping[str, JSON]],
        home: tuple[ResultRow, str],
        above: str,
    ) -> None:
        row, place = home
        name = [name_of(row.row.cells, self._layout.names)] if self._layout.names else []
        sheets = self._sheets[id(table)]
        for number, item in enumerate(items, 1):
            flat = self._layout.flat(dict(item))
            path = f"{above}{number}"
            inside = {0: place}
            for below in table.tables:
                if flat.items.get(below.path):
                    at = next(i for i, each in enumerate(table.columns) if each.path == below.path)
                    inside[len(table.leading) + at] = self._sheets[id(below)].next_place
            where: Cell = path if above else number
            ids = {Role.COMPANY: row.company_id, Role.CONTACT: row.contact_id}
            values = [row.row.line, where, *name, *(ids[role] for role in self._layout.roles)]
            sheets.append([*values, *(column.value(flat) for column in table.columns)], inside)
            for below in table.tables:
                self._add_items(below, flat.items.get(below.path, []), home, f"{path}.")


def _columns(table: DetailTable, *, raw_text: bool) -> list[TableColumn]:
    columns = [TableColumn(title, 9, ColumnKind.LIST) for title in table.leading[:2]]
    names = table.leading[2 : 2 + table.named]
    columns += [TableColumn(title, 34, ColumnKind.LIST) for title in names]
    columns += [
        TableColumn(title, UUID_WIDTH, ColumnKind.LIST, wrap=False, folded=table.named)
        for title in table.leading[2 + table.named :]
    ]
    return [*columns, *(result_column(each, raw=raw_text) for each in table.columns)]
