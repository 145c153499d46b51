"""Detail sheets: the items of the lists of objects, one a line, linked to their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.model import Role
from batchrun.workbook.names import name_of
from batchrun.workbook.sheets import Look, TableSheets, look_of
from batchrun.workbook.styles import Head

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
    """

    def __init__(self, book: Book, layout: Layout) -> None:
        self._layout = layout
        self._sheets: dict[int, TableSheets] = {}
        for table in layout.tables:
            for each in table.with_all_below():
                self._sheets[id(each)] = TableSheets(
                    book, each.title, _looks(each), each.lines, frozen=3 if each.named else 2
                )

    def add(self, row: ResultRow, flat: Flat, place: str) -> dict[int, str]:
        """Write the items of a row.

        Args:
            row: The row.
            flat: Its result, flattened.
            place: Where the row is, for links back.

        Returns:
            Position of a result column that counts a list → place of the list's first item.
        """
        positions = {column.path: at for at, column in enumerate(self._layout.results)}
        first: dict[int, str] = {}
        for table in self._layout.tables:
            items = flat.items.get(table.path)
            if items:
                first[positions[table.path]] = self._sheets[id(table)].next_place
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


def _looks(table: DetailTable) -> list[Look]:
    looks = [Look(title, 9, Head.LIST) for title in table.leading[:2]]
    looks += [Look(title, 16, Head.LIST, wrap=False) for title in table.leading[2:]]
    if table.named:
        looks[2] = Look(table.leading[2], 34, Head.LIST)
    return [*looks, *(look_of(each.title, each.survey, Head.RESULT) for each in table.columns)]
