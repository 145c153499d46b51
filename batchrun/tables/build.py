"""From numbered rows to a `Table`: header, blank rows, what belongs to the report, what is said."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource
from batchrun.tables.frames import (
    NO_ROOM,
    Room,
    RowCollector,
    blank_rows_notice,
    check_header,
    is_blank,
    rows_of,
)
from batchrun.tables.reports import (
    SAMPLE_ROWS,
    Header,
    Merged,
    find_aside,
    find_header,
    join_header,
    set_aside_notice,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchrun.tables.frames import Cells, Columns, Exact

Block = tuple["Sequence[int]", "list[list[Cell]] | Columns"]
"""Line numbers, and a list of rows or a tuple of columns."""

FEWER = "fewer fields than the header; the missing ones were taken as empty"
MORE = "more fields than the header; they are kept in columns without a name"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a reader knows of its rows.

    Attributes:
        filler: What a cell is that a row does not have.
        header_row: Line of the header if the user says so, else ``None``.
        merged: Merged ranges.
        first_column: Number of the column of each row's first cell.
        exact: Puts a column's cells right, block by block; ``None`` where they are.
        room: What memory is set aside for.
    """

    filler: Cell
    header_row: int | None = None
    merged: Sequence[Merged] = ()
    first_column: int = 1
    exact: Exact | None = None
    room: Room = NO_ROOM


def gather(blocks: Iterator[Block], source: TableSource, layout: Layout) -> Table:
    """Make a table of rows.

    Args:
        blocks: All rows of the file, blank ones included.
        source: Where they come from; its notices stay in front.
        layout: How they lie.

    Raises:
        InputError: There is no header, or no row under it.
    """
    with _no_garbage_collection():
        lines, rows = _beginning(blocks, layout.header_row)
        filled = [at for at, row in enumerate(rows) if not is_blank(row)]
        if not filled:
            raise InputError(f"{source.name} holds nothing but blank lines.", "Export it again.")
        header, top = _place_header(lines, rows, filled, source, layout)
        names = _names(lines, rows, filled, header, layout)
        collector = RowCollector(len(names), layout.filler, layout.room, layout.exact)
        end = filled[header.index] + 1
        collector.add_block(lines[end:], rows[end:])
        for numbers, block in blocks:
            if isinstance(block, list):
                collector.add_block(numbers, block)
            else:
                collector.add_columns(numbers, block)
        del rows
        cells, found_lines = collector.cells(), collector.lines()
        if layout.exact is not None:
            cells = _without_empty_columns(names, cells)
        header_line = lines[filled[header.index]]
        check_header(source, tuple(names), header_line, cells.shape[1])
        notices = [*source.notices, *_header_notices(header, top)]
        aside = find_aside(names, cells, collector.after_blank, report=bool(header.preamble))
        notices += aside.notices(found_lines, cells)
        kept_lines = found_lines
        if aside.positions:
            keep = [at for at in range(cells.shape[1]) if at not in aside.positions]
            cells, kept_lines = cells[:, keep], found_lines[keep]
            check_header(source, tuple(names), header_line, len(kept_lines))
        dropped = {int(found_lines[at]) for at in aside.positions}
        notices += collector.short.notice(FEWER, dropped)
        notices += collector.long.notice(MORE, dropped)
        notices += blank_rows_notice(collector.blank_rows)
        names += [""] * (len(cells) - len(names))
        table_source = replace(source, notices=tuple(notices))
        return Table(table_source, tuple(names), cells, kept_lines)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of young lists make the collector run all the time, and none of them is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _beginning(
    blocks: Iterator[Block], header_row: int | None
) -> tuple[list[int], list[list[Cell]]]:
    """The first rows, as many as it takes to find the header."""
    lines: list[int] = []
    rows: list[list[Cell]] = []
    filled = 0
    for block_lines, found in blocks:
        block: list[list[Cell]] = found if isinstance(found, list) else rows_of(found)
        lines.extend(block_lines)
        rows.extend(block)
        filled += sum(not is_blank(row) for row in block)
        if filled > SAMPLE_ROWS and (header_row is None or lines[-1] >= header_row):
            break
    return lines, rows


def _place_header(
    lines: list[int],
    rows: list[list[Cell]],
    filled: list[int],
    source: TableSource,
    layout: Layout,
) -> tuple[Header, list[tuple[int, str]]]:
    """The header among the filled rows, and the lines above it with their text."""
    if layout.header_row is None:
        sample = filled[:SAMPLE_ROWS]
        sample_lines, sample_rows = [lines[at] for at in sample], [rows[at] for at in sample]
        header = find_header(sample_lines, sample_rows, layout.merged)
    else:
        index = next(
            (index for index, at in enumerate(filled) if lines[at] == layout.header_row), None
        )
        if index is None:
            raise InputError(
                f"{source.place(layout.header_row)} can't be the header: it is blank or no row"
                " begins there.",
                "Give --header-row the number of the line with the column names.",
            )
        header = Header(index, preamble=tuple(range(index)))
    top = [(lines[filled[index]], _first_text(rows[filled[index]])) for index in header.preamble]
    return header, top


def _first_text(row: Sequence[Cell]) -> str:
    return next((str(cell) for cell in row if cell is not None and cell != ""), "")


def _names(
    lines: list[int],
    rows: list[list[Cell]],
    filled: list[int],
    header: Header,
    layout: Layout,
) -> list[str]:
    spots = filled[header.index - header.depth + 1 : header.index + 1]
    cells: Sequence[Cell] = rows[spots[-1]]
    if header.depth > 1:
        header_rows = [rows[at] for at in spots]
        cells = join_header(
            [lines[at] for at in spots], header_rows, layout.merged, layout.first_column
        )
    return [header_text(cell) for cell in cells]


def header_text(cell: Cell) -> str:
    """A header cell as text, as Excel shows it."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer():
            return str(int(cell))
        case _:
            return str(cell)


def _without_empty_columns(names: list[str], cells: Cells) -> Cells:
    """Leave out columns at the end that have neither a name nor a cell."""
    while names and len(cells) == len(names) and not names[-1] and is_blank(cells[-1]):
        names.pop()
        cells = cells[:-1]
    return cells


def _header_notices(header: Header, top: list[tuple[int, str]]) -> list[str]:
    notices = [header.doubt] if header.doubt else []
    if top:
        notices.append(set_aside_notice("line above the header", top))
    return notices
