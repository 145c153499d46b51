"""The sheets that are tables: Results and those that go with it.

A person who opens Results sees without scrolling who the row is, its status, and the beginning of
the main result. The list's columns come first, in their order. If they take too much space, those
that don't say who the row is are collapsed, and one click on [+] shows them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from openpyxl.utils import get_column_letter

from batchrun.model import Outcome, Role
from batchrun.tables.ids import DamagedId, parse_id
from batchrun.text import one_line, plural
from batchrun.workbook.cells import is_number
from batchrun.workbook.changes import COLUMN, MAX_SORTED, NEW
from batchrun.workbook.columns import ColumnSurvey, type_name
from batchrun.workbook.flatten import dotted
from batchrun.workbook.form import Crm
from batchrun.workbook.layout import AGAIN, MORE, STATUS, UNWANTED, ResultColumn
from batchrun.workbook.markdown import without_markup
from batchrun.workbook.reasons import ORDER, SHEET, Reason, Step, advice, needs_attention
from batchrun.workbook.sheets import NARROWEST, TableColumn, TableSheets, column_for, head_width
from batchrun.workbook.styles import ColumnKind
from batchrun.workbook.text import record_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from batchrun.model import BatchResults, Cell, EarlierResults, ResultRow
    from batchrun.workbook.changes import Comparison
    from batchrun.workbook.excel import Content
    from batchrun.workbook.flatten import Flat, Path
    from batchrun.workbook.layout import DetailTable, Layout
    from batchrun.workbook.sheets import Book
    from batchrun.workbook.source import ListFormats, RowFormats

_Each = TypeVar("_Each")

SCREEN_PIXELS = 1_840
"""Pixels left for columns on a screen 1920 pixels wide, at 100 % zoom."""
MAX_FROZEN_PIXELS = 800
UUID_WIDTH = 39.0
MAX_NAME_WIDTH = 42.0
SAMPLE_ROWS = 200
"""Rows to look for the CRM's IDs in."""
_TEXT_WIDTH = 52.0
EXAMPLE_LENGTH = 80


class ResultsSheet:
    """The sheet Results: the list, the status of each row, and the results."""

    def __init__(self, book: Book, content: Content) -> None:
        results, layout, form = content.results, content.layout, content.form
        comparison = content.comparison
        own = list_columns(results, layout, content.formats)
        found = [result_column(each, raw=form.raw_text) for each in layout.results]
        found += [TableColumn(MORE, _TEXT_WIDTH)] * layout.overflow
        alike = comparison is None or len(comparison.marks_counted) < 2
        columns = [  # in the order of a row's values
            *own,
            *_status_columns(layout),
            *found,
            TableColumn(COLUMN, 12, ColumnKind.STATUS, folded=alike),
            TableColumn(AGAIN, 11, ColumnKind.INPUT),
        ]
        self._own, first = layout.own, len(own)
        status = range(first, first + len(STATUS))
        self._found = range(status.stop, status.stop + len(found))
        changed, again = range(len(columns))[-2:]
        change = [changed] * (comparison is not None)
        results_shown = [*self._found]
        if form.for_people:
            for at, column in zip(self._found, layout.results, strict=False):
                if column.aside in UNWANTED:
                    results_shown.remove(at)
            rows_without = results.summary.rows - results.summary.counts[Outcome.COMPLETED]
            beside = [*status[: 1 + (layout.attention > rows_without)], *change]
        else:
            beside = [*status[:2], *change, again, *status[2:]]
        self._order = [*range(first), *beside, *results_shown]
        self._places = {at: place for place, at in enumerate(self._order)}
        main = [columns[at] for at in (*beside, *results_shown[:1])]
        columns[:first] = _folded(own, layout, main)
        origins: dict[int, ColumnSurvey | ResultColumn] = dict(enumerate(layout.original_surveys))
        origins |= zip(self._found, layout.results, strict=False)
        # each column, and the list's or the results' column that it shows, if it shows one
        self.columns = [(columns[at], origins.get(at)) for at in self._order]
        self.sheets = TableSheets(
            book,
            SHEET,
            [column for column, _ in self.columns],
            results.summary.rows,
            frozen=max(_who(layout), default=-1) + 1,
            outcome=first,
        )

    def append(
        self,
        values: Sequence[Cell],
        lists: Mapping[int, str],
        formats: RowFormats,
        mark: str | None = None,
    ) -> None:
        """Add a row: the layout's values, and the mark that says whether it is new or changed.

        ``lists`` has the result columns that count a list, with the place of its first item.
        """
        every = [*values, mark, None]
        inside = {
            self._places[at]: place
            for position, place in lists.items()
            if (at := self._found.start + position) in self._places
        }
        ordered = [every[at] for at in self._order]
        self.sheets.append(ordered, inside, formats[: self._own])


def result_column(column: ResultColumn, *, raw: bool) -> TableColumn:
    """Return how a result column is shown."""
    return column_for(
        column.head,
        column.survey,
        ColumnKind.RESULT,
        result=not raw,
        folded=bool(column.aside),
        number_format=column.number_format,
    )


def list_columns(results: BatchResults, layout: Layout, formats: ListFormats) -> list[TableColumn]:
    """Return the list's own columns, as wide as in its workbook, or else as their content needs."""
    columns = []
    titles = zip(layout.original, layout.original_surveys, strict=True)
    for position, (title, survey) in enumerate(titles):
        column = column_for(title, survey, ColumnKind.LIST)
        width = formats.widths.get(position)
        if width is not None:
            column = replace(column, width=max(width, head_width(title)), wrap=False)
        elif position in results.roles.values():
            column = replace(column, width=UUID_WIDTH, wrap=False)
        columns.append(column)
    return columns


def _status_columns(layout: Layout) -> list[TableColumn]:
    """Return batchrun's columns."""
    shown, kind = 1 + bool(layout.messages), ColumnKind.STATUS
    columns = [TableColumn(each.title, each.width, kind, number_format="0.0") for each in STATUS]
    return [replace(each, wrap=at == 1, folded=at >= shown) for at, each in enumerate(columns)]


def _who(layout: Layout) -> Sequence[int]:
    """Return the positions of the list's columns that say who a row is."""
    return layout.names or [at for at in layout.roles.values() if at < len(layout.original)]


def _folded(
    own: list[TableColumn], layout: Layout, beside: Sequence[TableColumn]
) -> list[TableColumn]:
    """Return the list's columns; collapse some if the main columns don't fit the screen."""
    who = set(_who(layout))
    shown = {*who, layout.owner}
    technical = set(layout.roles.values()) - who
    own = [replace(each, folded=at in technical) for at, each in enumerate(own)]
    frozen = own[: max(who, default=-1) + 1]
    if _pixels([*own, *beside]) <= SCREEN_PIXELS and _pixels(frozen) <= MAX_FROZEN_PIXELS:
        return own
    return [replace(each, folded=at not in shown) for at, each in enumerate(own)]


def _pixels(columns: Sequence[TableColumn]) -> float:
    return sum(7 * column.width + 5 for column in columns if not column.folded)


RESULTS_ROW, LIST_LINE = "Row in Results", "Line in the list"
"""The titles of a row's numbers; the second is shown only where it differs."""


class AttentionSheet:
    """The sheet Needs attention: rows without a result or with that of another, and what to do."""

    def __init__(self, book: Book, content: Content) -> None:
        results, layout = content.results, content.layout
        self._results, self._layout = results, layout
        self._commands = commands = None if content.form.for_people else content.commands
        self._with_values = any(
            reason.varies or reason.outcome in {Outcome.INVALID, Outcome.COMPLETED}
            for reason in layout.reasons.ranked()
        )
        self._places: dict[int, str] = {}
        sample, ids = [*islice(results.rows, SAMPLE_ROWS)], results.roles.values()
        found = (record_column(layout.original, sample, crm, ids) for crm in Crm)
        self._records = [at for at in found if at is not None][:1]
        who, why = ColumnKind.LIST, ColumnKind.STATUS
        columns = [
            TableColumn(RESULTS_ROW, 9, who),
            *[TableColumn(LIST_LINE, 9, who)] * layout.lines_differ,
            *_name_and_owner_columns(layout),
            *(TableColumn(layout.original[at], 23, who, wrap=False) for at in self._records),
            *_id_columns((f"{role.name.capitalize()} ID" for role in results.roles), layout),
            TableColumn("Status", 12, why),
            TableColumn("Reason", 36, why),
            *[TableColumn("Value", 24, why)] * self._with_values,
            TableColumn("What to do", 66 if commands is None else 92, why),
        ]
        outcome = [column.title for column in columns].index("Status")
        frozen = 1 + layout.lines_differ + bool(layout.names)
        self._sheets = TableSheets(
            book, "Needs attention", columns, layout.attention, frozen=frozen, outcome=outcome
        )

    def place(self, reason: Reason) -> str:
        """Return the place of the first row with this kind of reason."""
        return self._places.get(id(reason), self._sheets.place(0))

    def write(self, rows: TableSheets) -> None:
        """Write the rows, those in doubt first; the row number links to the row in ``rows``.

        For operators, only the first row with a reason has all the commands.
        """
        layout, roles, summary = self._layout, self._results.roles, self._results.summary
        for number, row in self._rows():
            reason = layout.reasons.of(row)
            what = advice(row, roles, summary, self._commands)
            if id(reason) in self._places:
                what = "\n".join(what.split("\n")[:2])
            self._places.setdefault(id(reason), self._sheets.next_place)
            shared = row.outcome is Outcome.COMPLETED
            text = row.message or row.outcome.value if reason is None or shared else reason.text
            value = ", ".join(filter(None, _ids(row, roles))) if shared else _damaged(row, roles)
            if reason is not None and not value:
                value = reason.value_in(row.message)
            values = [
                rows.row_of(number),
                *[row.row.line] * layout.lines_differ,
                *_name_and_owner(layout, layout.name_of(row), layout.owner_of(row)),
                *(row.row.cells[at] for at in self._records),
                *_ids(row, roles),
                row.outcome.words,
                text,
                *[value] * self._with_values,
                what,
            ]
            self._sheets.append(values, {0: rows.place(number)})

    def _rows(self) -> Iterator[tuple[int, ResultRow]]:
        """Yield the rows, numbered: by outcome, reason (the most frequent first), and owner.

        Too many rows to sort in memory are in the order of the list within each outcome.
        """
        if self._layout.attention > MAX_SORTED:
            for outcome in ORDER:
                if self._results.summary.counts[outcome]:
                    yield from (each for each in self._found() if each[1].outcome is outcome)
            return
        reasons = self._layout.reasons
        rank = {id(reason): at for at, reason in enumerate(reasons.ranked())}

        def urgency(each: tuple[int, ResultRow]) -> tuple[int, int, str]:
            row, owner = each[1], self._layout.owner_of(each[1])
            reason = rank.get(id(reasons.of(row)), len(rank))
            return ORDER.index(row.outcome), reason, str(owner or "")

        yield from sorted(self._found(), key=urgency)

    def _found(self) -> Iterator[tuple[int, ResultRow]]:
        rows = enumerate(self._results.rows)
        return ((number, row) for number, row in rows if needs_attention(row))


def _damaged(row: ResultRow, roles: Mapping[Role, int]) -> str:
    """Return the damaged IDs of a row that could not be sent."""
    if row.outcome is not Outcome.INVALID:
        return ""
    parsed = (parse_id(row.row.cells[at]) for at in roles.values())
    return ", ".join(each.shown for each in parsed if isinstance(each, DamagedId))


class DetailSheets:
    """The sheets with the items of the lists of objects, one sheet per list."""

    def __init__(self, book: Book, content: Content) -> None:
        self._layout = layout = content.layout
        self._sheets: dict[int, TableSheets] = {}
        self._positions: dict[int, int] = {}  # the cells that link to the first item of a list
        named, raw = bool(layout.names), content.form.raw_text
        leading = [
            *(TableColumn(title, 9, ColumnKind.LIST) for title in layout.leading[:2]),
            *[_name_column(layout)] * named,
            *_id_columns(layout.leading[2 + named :], layout),
        ]

        def create(tables: Iterable[DetailTable], above: Sequence[Path]) -> None:
            for each in tables:
                columns = [*leading, *(result_column(column, raw=raw) for column in each.columns)]
                sheets = TableSheets(book, each.title, columns, each.lines, frozen=2 + named)
                self._sheets[id(each)], self._positions[id(each)] = sheets, above.index(each.path)
                create(
                    each.tables, [*[()] * len(leading), *(column.path for column in each.columns)]
                )

        create(layout.tables, [column.path for column in layout.results])

    def add(self, row: ResultRow, flat: Flat, home: tuple[int, str]) -> dict[int, str]:
        """Write the items of the lists of a row, with its number and place on Results.

        Returns the positions of the columns that count a list, with the place of its first item.
        """
        layout, (row_number, place) = self._layout, home
        first = self._first_places(layout.tables, flat)
        who = [*[layout.name_of(row)] * bool(layout.names), *_ids(row, layout.roles)]
        for table, number, item in layout.items(layout.tables, flat):
            values = (column.value(item) for column in table.columns)
            line = [row_number, number if "." in number else int(number), *who, *values]
            inside = {0: place, **self._first_places(table.tables, item)}
            self._sheets[id(table)].append(line, inside)
        return first

    def _first_places(self, tables: Iterable[DetailTable], flat: Flat) -> dict[int, str]:
        return {
            self._positions[id(table)]: self._sheets[id(table)].next_place
            for table in tables
            if flat.items.get(table.path)
        }


class ChangesSheet:
    """The sheet Changes: what is new or different since an earlier batch."""

    def __init__(
        self, book: Book, content: Content, comparison: Comparison, earlier: EarlierResults
    ) -> None:
        self._comparison, self._layout = comparison, content.layout
        self._practice = content.layout.practice
        layout, several = content.layout, len(earlier.batch_ids) > 1
        columns = [
            TableColumn(RESULTS_ROW, 9, ColumnKind.LIST),
            *_name_and_owner_columns(layout),
            TableColumn("Field", 24),
            TableColumn("Before", 40, result=True),
            TableColumn("Now", 40, result=True),
            TableColumn("Difference", 15),
            TableColumn("Earlier result", 16, ColumnKind.STATUS, folded=not several),
        ]
        rows = comparison.marks_counted[NEW] + comparison.fields.total()
        frozen = 2 if layout.names else 1
        self._formats = {column.path: column.number_format for column in layout.results}
        self._sheets = TableSheets(book, "Changes", columns, rows, frozen=frozen)

    def place(self, mark: str) -> str:
        """Return the place of the first row that is new, or of the first change."""
        return self._sheets.place(0 if mark is NEW else self._comparison.marks_counted[NEW])

    def write(self, rows: TableSheets) -> None:
        """Write new rows, then changes; the row number links to the row in ``rows``."""
        layout = self._layout
        for change in chain(self._comparison.changes(NEW), self._comparison.changes()):
            who = _name_and_owner(layout, change.name, change.owner)
            day = None
            if change.earlier_at is not None and not self._practice:
                day = change.earlier_at.astimezone(UTC).date()
            values = [change.before, change.now, change.difference]
            code = self._formats.get(change.path, "")
            signed = f"+{code};-{code}" if code else ""
            codes = [
                each if is_number(value) else ""
                for value, each in zip(values, (code, code, signed), strict=True)
            ]
            line = [rows.row_of(change.number), *who, change.field, *values, day]
            formats = (*[""] * (2 + len(who)), *codes)
            self._sheets.append(line, {0: rows.place(change.number)}, formats)


_MEANINGS = {
    COLUMN: ("text", "whether the result is new, changed or the same since the earlier batch"),
} | {
    each.title: (f"{type_name(each.kind)}{' (UTC)' * (each.kind is datetime)}", each.meaning)
    for each in STATUS
}
"""The type and the meaning of batchrun's own columns."""


class ColumnsSheet:
    """The sheet Columns, for operators: what each column of Results is."""

    def __init__(self, book: Book, content: Content, shown: ResultsSheet) -> None:
        self._layout, self._shown = content.layout, shown
        again = f"type x here, save, then: {content.commands(Step.RUN_MARKED)}"
        self._meanings = {**_MEANINGS, AGAIN: ("anything", again)}
        self._volatile = content.comparison.volatile if content.comparison else ()
        result = ColumnKind.RESULT
        columns = [
            TableColumn("Column", 9, ColumnKind.LIST),
            TableColumn("Name", 25, ColumnKind.LIST),
            TableColumn("Comes from", 13, ColumnKind.STATUS),
            TableColumn("What it is", 38, ColumnKind.STATUS),
            TableColumn("Key path", 32, ColumnKind.STATUS),
            TableColumn("Type", 15, result),
            TableColumn("Filled cells", 9, result),
            TableColumn("Of rows", 9, result),
            TableColumn("Filled share", 9, result, number_format="0%"),
            TableColumn("Example", 21, result, wrap=False, result=True, left=True),
        ]
        self._sheets = TableSheets(book, "Columns", columns, len(shown.columns), frozen=2)

    def write(self, rows: int) -> None:
        """Write one line per column of a list with this number of rows."""
        for position, (column, origin) in enumerate(self._shown.columns, 1):
            path, code, filled = None, "", []
            if isinstance(origin, ResultColumn):
                source, what, path = "the results", self._meaning(origin), dotted(origin.path)
                kind, code = origin.type_name, origin.number_format
                filled = _filled(origin.survey, origin.filled, self._layout.filled, readable=True)
            elif origin is not None:
                source, what, kind = "your list", "unchanged", origin.type_name
                filled = _filled(origin, origin.filled, rows)
            elif column.title == MORE:
                source, kind = "the results", "text"
                what = "results that have no column, because Excel has no more"
            else:
                source, (kind, what) = "batchrun", self._meanings[column.title]
            line: list[Cell] = [get_column_letter(position), column.title or "(blank)"]
            line += [source, what, path, kind, *filled]
            formats = (*[""] * (len(line) - 1), code) if is_number(line[-1]) else ()
            self._sheets.append(line, None, formats)

    def _meaning(self, column: ResultColumn) -> str:
        notes, layout = [], self._layout
        if column.counts:
            sheet = next((each.title for each in layout.tables if each.path == column.path), "")
            notes.append(f"how many; each is a row of the sheet {sheet}")
        if column.aside:
            notes.append(f"{column.aside}; folded away at the end")
        elif empty := layout.filled - column.filled:
            notes.append(f"empty in {plural(empty, 'result')}")
        if column.path in self._volatile:
            notes.append("differs in every row, so Changes leaves it out")
        return "; ".join(notes) or "a value of the result"


def _filled(survey: ColumnSurvey, filled: int, rows: int, *, readable: bool = False) -> list[Cell]:
    """Return how many of the rows have a value, out of how many, the share, and an example."""
    example = survey.example
    if example is not None and not isinstance(example, (bool, int, float)):
        text = without_markup(str(example)) if readable else str(example)
        example = one_line(text, EXAMPLE_LENGTH, length=len)
    return [filled, rows, filled / rows if rows else None, example]


def _name_and_owner_columns(layout: Layout) -> list[TableColumn]:
    """Return the columns that say who a row is and who looks after it, if the list says so."""
    owner = TableColumn(layout.owner_title, 18, ColumnKind.LIST)
    return _name_and_owner(layout, _name_column(layout), owner)


def _name_column(layout: Layout) -> TableColumn:
    """Return the column of the rows' names, on one line unless they are very long."""
    content = sum(layout.original_surveys[at].width + 1 for at in layout.names)
    width = min(max(content + 3, head_width(layout.name_title), NARROWEST), MAX_NAME_WIDTH)
    return TableColumn(layout.name_title, width, ColumnKind.LIST)


def _name_and_owner(layout: Layout, name: _Each, owner: _Each) -> list[_Each]:
    """Return those of the two that the list has."""
    return [*[name] * bool(layout.names), *[owner] * (layout.owner is not None)]


def _id_columns(titles: Iterable[str], layout: Layout) -> list[TableColumn]:
    """Return columns of IDs, collapsed if rows have names."""
    who, folded = ColumnKind.LIST, bool(layout.names)
    return [TableColumn(title, UUID_WIDTH, who, wrap=False, folded=folded) for title in titles]


def _ids(row: ResultRow, roles: Iterable[Role]) -> Iterator[str | None]:
    """Yield a row's IDs, one per ID column of the list."""
    return (row.company_id if role is Role.COMPANY else row.contact_id for role in roles)
