"""Read workbooks (XLSX, XLSM, XLS, XLSB, ODS); each cell keeps its stored value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource
from batchrun.tables.build import build_table
from batchrun.tables.cells import holds_id
from batchrun.tables.formats import Format
from batchrun.tables.isolated import open_book
from batchrun.tables.reports import places
from batchrun.tables.roles import is_known_name, mostly_ids, read_contents
from batchrun.tables.sheets import (
    LAST_COLUMN,
    cell_name,
    column_letters,
    distinct,
    duration_of,
    links_notice,
    visible_rows,
)
from batchrun.text import close_matches, listed, plural, quoted_command, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from batchrun.tables.isolated import Book
    from batchrun.tables.options import LoadOptions
    from batchrun.tables.sheets import Sheet, Traits

OURS = "batchrun batch"
"""Custom property of the workbooks that batchrun writes; their results are on the sheet Results."""
OUR_STATUS = "batchrun status"
"""The status column in results that batchrun writes."""

EXACT_INTEGERS = 2**53
"""Excel stores numbers as doubles, which are exact for integers below this."""


def read_workbook(raw: bytes, file: Path, options: LoadOptions) -> Table:
    """Read a sheet of a workbook.

    Raises:
        InputError: The workbook is damaged, has no such sheet, or the sheet holds no table.
    """
    with open_book(raw, file.name, options.limits) as book:
        wanted = options.sheet
        if wanted is None and OURS in book.properties:
            wanted = next((each.name for each in book.sheets if each.name == "Results"), None)
        sheet, others = _choose_sheet(book.sheets, wanted, book.filled, file.name)
        hidden = [each for each in book.sheets if not each.visible and wanted is None]
        if not others and not hidden:
            return _read_sheet(book, sheet, file, options)
        seen = [_look(book, each, file, options) for each in (sheet, *others[:MAX_COMPARED])]
        if not any(each.ids for each in seen):
            filled = [each for each in hidden if book.filled(each)]
            looked = [_look(book, each, file, options) for each in filled[:MAX_COMPARED]]
            seen += [each for each in looked if each.ids]
        unseen = [each.name for each in others[MAX_COMPARED:]]
        return _choose_by_ids(seen, unseen, file.name)


SHOWN_NAMES = 4
MAX_COMPARED = 12
"""Maximum number of other sheets to check for IDs."""


@dataclass(frozen=True, slots=True)
class _SheetSummary:
    """A sheet that was read to compare it with others."""

    name: str
    table: Table | InputError  # its table, or the error if it can't be read
    ids: int  # number of rows with an ID
    words: str  # a description of its contents, for messages
    # Whether a column with IDs has a known name; true if the sheet can't be read
    named: bool = True
    hidden: bool = False  # whether Excel hides it


def _look(book: Book, sheet: Sheet, file: Path, options: LoadOptions) -> _SheetSummary:
    try:
        table = _read_sheet(book, sheet, file, options)
    except InputError as error:
        blocks = list(book.read(sheet).blocks)
        ids = sum(holds_id(row) for _, rows in blocks for row in rows)
        held = f"{plural(ids, 'row')} with IDs" if ids else "no IDs"
        return _SheetSummary(sheet.name, error, ids, f"{sheet.name} ({held})")
    found = [
        read_contents(table, column)
        for column in range(len(table.header))
        if mostly_ids(table, column)
    ]
    if found:
        held = "; ".join(f"{each.name}: {each.words}" for each in found)
    else:
        names = [name for name in table.header if name.strip()][:SHOWN_NAMES]
        held = f"no IDs, {plural(len(table), 'row')}: {', '.join(names)}"
    ids = max((each.uuids for each in found), default=0)
    named = any(is_known_name(each.name) for each in found)
    return _SheetSummary(sheet.name, table, ids, f"{sheet.name} ({held})", named, not sheet.visible)


def _choose_by_ids(seen: list[_SheetSummary], unseen: list[str], name: str) -> Table:
    """Return the table of the first sheet if it holds IDs, else of the only sheet that does.

    If no sheet holds IDs, return the table of the first one.

    Raises:
        InputError: Only other sheets hold IDs, and there are several; or the sheet can't be read.
    """
    first, *others = seen
    with_ids = [each for each in others if each.ids]
    if first.ids and not first.named and any(each.named for each in with_ids):
        first = replace(first, ids=0)  # a cover sheet that mentions an ID
        with_ids = [each for each in with_ids if each.named]
    contents = ", ".join([*(each.words for each in others), *unseen])
    if not first.ids and len(with_ids) > 1:
        raise InputError(
            f"{name}: the first sheet, {first.name}, holds no IDs; several others do: {contents}.",
            _other_sheet("Choose the one to read, such as ", with_ids[0].name, "."),
        )
    chosen = first
    said = f"Sheet {first.name} was read; not read, though not empty: "
    if not with_ids:
        said = Advice(said + ", ".join([*(each.name for each in others), *unseen]), sheet="")
    elif first.ids:
        said += contents + _other_sheet("; ", with_ids[0].name, " reads another")
    else:
        [chosen] = with_ids
        rest = ", ".join([*(each.words for each in seen if each.name != chosen.name), *unseen])
        sheet = f"{'Hidden sheet' if chosen.hidden else 'Sheet'} {chosen.name}"
        said = f"{sheet} was read, the only one with an ID column; not read: {rest}"
        said += Advice("", "; --sheet reads another", sheet="")
    if isinstance(chosen.table, InputError):
        hint = chosen.table.hint
        if with_ids:
            other = _other_sheet(": ", with_ids[0].name, " reads one")
            hint += " Other sheets hold IDs too" + other + "."
        raise InputError(chosen.table.what, hint)
    source = chosen.table.source
    notices = (said, *source.notices) if others else source.notices
    return replace(chosen.table, source=replace(source, notices=notices))


def _choose_sheet(
    sheets: Sequence[Sheet], wanted: str | None, filled: Callable[[Sheet], bool], name: str
) -> tuple[Sheet, list[Sheet]]:
    """Choose the sheet to read: the requested one, or the first visible sheet that is not empty.

    ``wanted`` is its name, or its number among the visible ones; ``None`` to choose one.

    Returns:
        The sheet, and the other visible sheets that are not empty (none for a requested sheet).
    """
    visible = [each for each in sheets if each.visible]
    hidden = [each.name for each in sheets if not each.visible]
    if wanted is None:
        with_cells = [each for each in visible if filled(each)]
        if not with_cells:
            others = listed(hidden, SHOWN_SHEETS)
            hint = f"Name a hidden sheet: {others}." if hidden else "Export the list again."
            raise InputError(f"{name} has no visible sheet that holds anything.", hint)
        return with_cells[0], with_cells[1:]
    # in Excel, two sheet names can't differ only in case
    named = {each.name.casefold(): each for each in sheets} | {each.name: each for each in sheets}
    chosen = named.get(wanted) or named.get(wanted.casefold())
    if chosen is None and (number := whole_number(wanted)) and number <= len(visible):
        chosen = visible[number - 1]
    names = [*(each.name for each in visible), *hidden]
    if chosen is None:
        close = close_matches(wanted, names, 1)
        suggestion = f" Did you mean {close[0]}?" if close else ""
        hint = f"Its sheets: {listed(names, SHOWN_SHEETS)}.{suggestion}"
        raise InputError(f"{name} has no sheet {wanted!r}.", hint)
    if not filled(chosen):
        hint = f"Name another sheet: {listed(names, SHOWN_SHEETS)}."
        raise InputError(f"{name}, sheet {chosen.name} is empty.", hint)
    return chosen, []


SHOWN_SHEETS = 12


def _read_sheet(book: Book, sheet: Sheet, file: Path, options: LoadOptions) -> Table:
    grid = book.read(sheet, _exact_ods_column if book.format is Format.ODS else _exact_column)
    if options.visible_only:
        grid = visible_rows(grid)
    notices = _trait_notices(grid.traits, options.visible_only)
    if options.visible_only and grid.traits.unknown:
        what = f"An .{book.format.value} file does not tell which rows are hidden"
        notices.append(f"{what}; all are read")
    source = TableSource(
        name=file.name,
        path=str(file.absolute()),
        format=book.format.value,
        sheet=sheet.name,
        first_column=grid.first_column,
        formats=tuple(sorted((at - grid.first_column, code) for at, code in grid.traits.formats)),
        notices=tuple(notices),
        links=links_notice(grid.traits.links),
    )
    return build_table(grid.blocks, source, options, grid.merged)


def _other_sheet(before: str, name: str, after: str) -> Advice:
    return Advice("", f"{before}--sheet {quoted_command(name)}{after}", sheet=name)


def _trait_notices(traits: Traits, visible_only: bool) -> list[str]:
    notices: list[str] = []
    if traits.linked:
        notices.append("Links to other files were not followed; the values stored here were read")
    if hidden_rows := sorted(set(traits.hidden_rows)):
        rows, where = plural(len(hidden_rows), "row is", "rows are"), places(hidden_rows)
        notices.append(
            f"{rows} hidden and left out ({where})"
            if visible_only
            else Advice(
                f"{rows} hidden and read too ({where})",
                "; --visible-only leaves such rows out",
                visible_only="",
            )
        )
    if hidden := distinct(traits.hidden_columns, LAST_COLUMN):
        letters = ", ".join(map(column_letters, hidden[:8]))
        columns = plural(len(hidden), "column is", "columns are")
        notices.append(f"{columns} hidden and read too ({letters})")
    if traits.errors:
        row, column, text = traits.errors[0]
        cells = plural(len(traits.errors), "cell holds", "cells hold")
        first = f"{text} in {cell_name(row, column)}"
        notices.append(f"{cells} an error instead of a value (first: {first})")
    if traits.uncalculated:
        formulas = plural(
            len(traits.uncalculated),
            "formula has no stored value and counts",
            "formulas have no stored value and count",
        )
        first = cell_name(*traits.uncalculated[0])
        notices.append(
            f"{formulas} as empty (first: {first});"
            " open the file in Excel and save it to have values stored"
        )
    if traits.negative:
        cells = plural(len(traits.negative), "cell holds", "cells hold")
        first = cell_name(*traits.negative[0])
        notices.append(f"{cells} a negative date or time (first: {first}); the number was kept")
    notices += [
        f"Column {column_letters(column)} shows numbers with leading zeros ({code}) in a way that"
        " parameters can't carry: they have no leading zeros there"
        for column, code in traits.mixed
    ]
    return notices


def _exact_column(column: Sequence[Cell]) -> Sequence[Cell]:
    """Restore what calamine's types lose: integers are floats, and empty cells are empty text."""
    kinds = set(map(type, column))
    if kinds != {float}:
        return list(map(_exact_cell, column)) if float in kinds or "" in column else column
    import numpy as np

    numbers = np.array(column, dtype=float)
    integral = (np.trunc(numbers) == numbers) & (np.abs(numbers) < EXACT_INTEGERS)
    cells = np.array(column, dtype=object)
    cells[integral] = numbers[integral].astype(np.int64)
    return cast("Sequence[Cell]", cells)


def _exact_cell(cell: Cell) -> Cell:
    if cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT_INTEGERS:
        return int(cell)
    return cell


def _exact_ods_column(column: Sequence[Cell]) -> Sequence[Cell]:
    """Do the same for ODS, and convert durations, which calamine returns as ISO 8601 text."""
    cells = list(_exact_column(column))
    for at, cell in enumerate(cells):
        if isinstance(cell, str) and (duration := duration_of(cell)) is not None:
            cells[at] = duration
    return cells
