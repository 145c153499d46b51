"""Build a `Table` from numbered rows: find the header, set aside report rows, collect notices."""

from __future__ import annotations

import gc
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource, is_stored
from batchrun.tables.frames import (
    RowCollector,
    blank_rows_notice,
    check_header,
    is_blank,
    row_of,
    without_rows,
)
from batchrun.tables.ids import DamagedId, IdKind, ParsedId, ValidId, parse_id
from batchrun.tables.reports import (
    SAMPLE_ROWS,
    HeaderPosition,
    Merged,
    find_header,
    find_header_in_doubt,
    find_odd_cells,
    find_report_rows,
    find_second_header,
    header_doubt,
    holds_id,
    is_filled,
    is_like_id,
    is_like_value,
    join_header,
    set_aside_notice,
)
from batchrun.tables.roles import is_known_name, roles_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from batchrun.tables.frames import Cells, Corrector, Lines

Block = tuple["Sequence[int]", "list[list[Cell]]"]
"""Line numbers and the rows."""

FEWER = "fewer fields than the header; the missing ones were taken as empty"
MORE = "more fields than the header; they are kept in columns without a name"
SHOWN_NAMES = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """What a reader knows about its rows.

    Attributes:
        fill_value: Value for the missing cells of a short row.
        header_row: Line of the header if the user gave it, else ``None``.
        no_header: Whether the user said that there is no header.
        merged: Merged ranges; the value is in the first cell of each.
        first_column: Column number (from 1) of each row's first cell.
        correct: Corrects the values of a column, block by block; ``None`` if they are correct.
        formats: Column number → the number format of the column, such as ``00000``.
    """

    fill_value: Cell
    header_row: int | None = None
    no_header: bool = False
    merged: Sequence[Merged] = ()
    first_column: int = 1
    correct: Corrector | None = None
    formats: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Header:
    """The header found among the first rows.

    Attributes:
        names: The column names.
        line: Line of the header's last row; ``None`` if the list has no header.
        end: Position of the first row below the header.
        report: Whether there are lines above the header.
        notices: Notices about the header.
        doubt: The notice that another line may be the header, else ``""``.
    """

    names: list[str]
    line: int | None
    end: int
    report: bool
    notices: list[str]
    doubt: str = ""


def build_table(blocks: Iterator[Block], source: TableSource, layout: Layout) -> Table:
    """Build a table from rows.

    Args:
        blocks: All rows of the file, including blank ones.
        source: Where they come from; its notices come first in the table's notices.
        layout: What is known about the rows.

    Raises:
        InputError: There is no header or no row below it, the header seems to hold data, or there
            is a second table.
    """
    with _no_garbage_collection():
        lines, rows = _beginning(blocks, layout.header_row)
        head = _read_head(lines, rows, source, layout)
        names = head.names
        collector = RowCollector(source.name, len(names), layout.fill_value, layout.correct)
        collector.add_block(lines[head.end :], rows[head.end :])
        for numbers, block in blocks:
            collector.add_block(numbers, block)
        del rows
        cells, found_lines = collector.cells(), collector.lines()
        if layout.correct is not None:
            cells = _without_empty_columns(names, cells)
        _fill_merged_names(names, head, layout)
        check_header(source, tuple(names), head.line or 1, cells.shape[1])
        after_blank = collector.after_blank
        odd = find_odd_cells(cells)
        report = head.report or _has_wide_cells(layout, head)
        report_rows = find_report_rows(names, cells, after_blank, odd, report=report)
        dropped = report_rows.positions
        notices = [*source.notices, *head.notices, *report_rows.notices(found_lines, cells)]
        doubt = head.doubt
        second = find_second_header(names, cells, after_blank, dropped, odd)
        if second is not None and _is_header_in_doubt(head, cells, second[0]):
            doubt = head.doubt or header_doubt(head.line, int(found_lines[second[1]]))
            notices += [] if head.doubt else [doubt]
        elif second is not None:
            start, at = second
            rest = range(start, cells.shape[1])
            if layout.header_row is None:
                raise _second_header(head, row_of(cells, at), int(found_lines[at]), source)
            ids = sum(holds_id(row_of(cells, row)) for row in rest)
            notices.append(
                f"Line {found_lines[start]} begins another table: {len(rest):,} lines from there on"
                f" are not read, {ids:,} of them hold IDs"
            )
            dropped |= set(rest)
        doubtful = find_header_in_doubt(names, cells, dropped, odd) if second is None else None
        if doubtful is not None:
            notices.append(_second_header_notice(cells, found_lines, doubtful))
        notices += _fill_merged(cells, found_lines, layout, names, dropped)
        kept_lines = found_lines
        if dropped:
            keep = [at for at in range(cells.shape[1]) if at not in dropped]
            cells, kept_lines = without_rows(cells, dropped), found_lines[keep]
            check_header(source, tuple(names), head.line or 1, len(kept_lines))
        dropped_lines = {int(found_lines[at]) for at in dropped}
        notices += collector.short.notice(FEWER, dropped_lines)
        notices += collector.long.notice(MORE, dropped_lines)
        notices += blank_rows_notice(collector.blank_rows)
        names += [""] * (len(cells) - len(names))
        table_source = replace(
            source,
            notices=tuple(notices),
            header_line=head.line,
            formats=_column_formats(layout, len(names)),
        )
        misaligned = _misaligned(cells, kept_lines, names, collector, layout.merged)
        return Table(
            table_source,
            tuple(names),
            cells,
            kept_lines,
            misaligned,
            header_doubts=(doubt,) if doubt else (),
        )


def _misaligned(
    cells: Cells,
    lines: Lines,
    names: Sequence[str],
    collector: RowCollector,
    merged: Sequence[Merged],
) -> frozenset[int]:
    """Return the lines of rows whose IDs may not stand under their names."""
    short, long = collector.short.lines, collector.long.lines
    found = _among_others(cells, lines, {*short, *long})
    found |= _beside_their_names(cells, lines, names, collector.trimmed, short)
    found |= _shifted_by_merge(cells, lines, merged, set(long))
    return frozenset(found.intersection(lines.tolist())) if found else frozenset()


def _among_others(cells: Cells, lines: Lines, ragged: set[int]) -> set[int]:
    """Return the lines of ragged rows with an ID in a column that mostly holds no IDs.

    Args:
        cells: The cells, shape (columns, rows).
        lines: The line number of each row.
        ragged: Lines of the rows that are wider or narrower than the header.
    """
    if not ragged:
        return set()
    places = [at for at, line in enumerate(lines.tolist()) if line in ragged]
    step = len(lines) // SAMPLE_ROWS + 1
    found: set[int] = set()
    for column in cells:
        ids = [at for at in places if is_like_id(column[at])]
        if ids and sum(map(is_like_id, column[::step])) * 2 <= len(column[::step]):
            found |= {int(lines[at]) for at in ids}
    return found


def _beside_their_names(
    cells: Cells, lines: Lines, names: Sequence[str], trimmed: Sequence[int], short: Sequence[int]
) -> set[int]:
    """Return the lines of rows that are not as wide as the header, with IDs not under their names.

    If most rows are wider, the names may stand one column too far left, as R writes them, or every
    row has a delimiter that belongs to its text.

    Args:
        cells: The cells, shape (columns, rows).
        lines: The line number of each row.
        names: The column names.
        trimmed: Lines of the rows that had only blank fields beyond the header.
        short: Lines of the rows that are shorter than the header.
    """
    named = [at for at, name in enumerate(names) if roles_named(name)]
    width = max((at for at, name in enumerate(names, start=1) if name.strip()), default=0)
    beyond = [cells[at] for at in range(width, len(cells))]
    wide = {at for column in beyond for at, cell in enumerate(column) if is_filled(cell)}
    found = {
        at
        for at in wide
        if any(is_like_id(column[at]) for column in beyond)
        and not all(is_like_id(cells[column][at]) for column in named)
    }
    if uneven := [*trimmed, *short]:
        wide |= set(np.flatnonzero(np.isin(lines, uneven)).tolist())
    narrow = len(short) * 2 >= len(lines)
    if (
        named
        and len(wide) * 2 >= len(lines)
        and _are_shifted(cells, names, named, sorted(wide), narrow=narrow)
    ):
        found = wide
    return {int(lines[at]) for at in found}


_NAMES_IDS = re.compile(r"(?i:(?<![a-z])ids?\b|uuid|guid|\bkey\b|\bref)|[a-z]I[dD]s?\b")
"""Column names under which IDs of other things may stand."""


def _are_shifted(
    cells: Cells, names: Sequence[str], named: Sequence[int], wide: Sequence[int], *, narrow: bool
) -> bool:
    """Whether a column with the name of IDs holds none in the wide rows, but other columns do.

    Either a column without such a name holds the IDs, or there is text where they should be: to
    their left, or anywhere if the rows are narrower than the header. The IDs of a CRM are not text.
    """
    sample = wide[:: len(wide) // SAMPLE_ROWS + 1]
    parsed = [[parse_id(column[at]) for at in sample] for column in cells]
    ids = [sum(isinstance(each, ValidId) for each in column) for column in parsed]
    enough = max(ids) / 10
    lacking = [at for at in named if ids[at] <= enough]
    stray = any(ids[at] > enough and not _NAMES_IDS.search(name) for at, name in enumerate(names))
    holders = [at for at in named if ids[at] > enough]
    text = any(
        _texts(parsed[at]) * 2 >= len(sample) and (narrow or at < max(holders, default=-1))
        for at in lacking
    )
    return bool(enough and lacking) and (stray or text)


def _texts(parsed: Sequence[ParsedId]) -> int:
    return sum(isinstance(each, DamagedId) and each.kind is IdKind.OTHER for each in parsed)


def _shifted_by_merge(
    cells: Cells, lines: Lines, merged: Sequence[Merged], long: set[int]
) -> set[int]:
    """Return the lines of rows that merged cells have shifted.

    They are covered by a merged cell, and are too wide or hold an ID among a column's other values.
    """
    if not merged:
        return set()
    last = int(lines[-1])
    covered, from_above = np.zeros((2, last + 1), dtype=np.bool_)
    for top, _, bottom, _ in merged:
        covered[top : bottom + 1] = True
        from_above[top + 1 : bottom + 1] = True
    places = np.flatnonzero(covered[lines]).tolist()
    step = len(lines) // SAMPLE_ROWS + 1
    found = {line for line in long if line <= last and from_above[line]}
    for column in cells:
        filled = list(filter(is_filled, column[::step]))
        if sum(map(is_like_id, filled)) * 2 <= len(filled):
            found |= {int(lines[at]) for at in places if is_like_id(column[at])}
    return found


def _read_head(
    lines: list[int], rows: list[list[Cell]], source: TableSource, layout: Layout
) -> _Header:
    filled = [at for at, row in enumerate(rows) if not is_blank(row)]
    if not filled:
        raise InputError(f"{source.name} holds nothing but blank lines.", "Export it again.")
    if layout.no_header:
        if layout.header_row is not None:
            raise InputError(
                "A list without a header has no line for it.",
                Advice("", "Give --no-header or --header-row, not both.", no_header=""),
            )
        names = [f"Column {number + 1}" for number in range(max(map(len, rows)))]
        said = "Read without a header: the columns are named by their numbers"
        return _Header(names, None, 0, report=False, notices=[said])
    header = _place_header(lines, rows, filled, source, layout)
    spots = filled[header.index - header.depth + 1 : header.index + 1]
    line, header_rows = lines[spots[-1]], [rows[at] for at in spots]
    _refuse_ids_in_header(header_rows, source.place(line), line, layout.header_row is None)
    names = header_names(
        [lines[at] for at in spots], header_rows, layout.merged, layout.first_column
    )
    above = [(lines[filled[index]], rows[filled[index]]) for index in header.preamble]
    notices = _header_notices(header, line, above, guessed=layout.header_row is None)
    return _Header(names, line, spots[-1] + 1, bool(above), notices, header.doubt)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause garbage collection: it would scan millions of new lists again and again for nothing."""
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
    """Read enough rows to find the header."""
    lines: list[int] = []
    rows: list[list[Cell]] = []
    filled = 0
    for block_lines, block in blocks:
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
) -> HeaderPosition:
    """Find the header among the filled rows, or take the line that the user gave."""
    if layout.header_row is None:
        sample = filled[:SAMPLE_ROWS]
        sample_lines, sample_rows = [lines[at] for at in sample], [rows[at] for at in sample]
        return find_header(sample_lines, sample_rows, layout.merged)
    index = next((index for index, at in enumerate(filled) if lines[at] == layout.header_row), None)
    if index is None:
        raise InputError(
            f"{source.place(layout.header_row)} can't be the header: it is blank or no row"
            " begins there.",
            Advice(
                "", "Give --header-row the number of the line with the column names.", header_row=""
            ),
        )
    return HeaderPosition(index, preamble=tuple(range(index)))


def _refuse_ids_in_header(
    rows: Sequence[Sequence[Cell]], place: str, line: int, guessed: bool
) -> None:
    """Refuse a header that holds an ID or another value: it may be the first row of the list."""
    for row in rows:
        for number, cell in enumerate(row, start=1):
            what = f"(column {number}: {str(cell).strip():.60})"
            if guessed and is_like_value(cell):
                raise InputError(
                    f"{place} holds a value {what}, so it may not be a header.",
                    Advice(
                        "",
                        "If the list has no column names, add --no-header. If they are in another"
                        f" line, give its number to --header-row; --header-row {line} takes this"
                        " one.",
                        no_header="",
                        header_row=str(line),
                    ),
                )
            if is_like_id(cell):
                raise InputError(
                    f"{place} holds an ID {what}, so it is not a header.",
                    Advice(
                        "",
                        "If the list has no column names, add --no-header and name the column:"
                        f" --company-column {number} or --contact-column {number}. If they are in"
                        " another line, give its number to --header-row.",
                        no_header="",
                        company_column=str(number),
                        contact_column=str(number),
                        header_row="",
                    ),
                )


def header_names(
    lines: Sequence[int],
    rows: Sequence[Sequence[Cell]],
    merged: Sequence[Merged] = (),
    first_column: int = 1,
) -> list[str]:
    """Return the column names of a header of one or more rows."""
    cells = join_header(lines, rows, merged, first_column) if len(rows) > 1 else rows[0]
    return [header_text(cell) for cell in cells]


def header_text(cell: Cell) -> str:
    """Return a cell as text, as Excel shows it."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer():
            return str(int(cell))
        case _:
            return str(cell)


def _first_text(row: Sequence[Cell]) -> str:
    return next((header_text(cell) for cell in row if cell is not None and cell != ""), "")


def _without_empty_columns(names: list[str], cells: Cells) -> Cells:
    """Drop trailing columns that have no name and no values."""
    while names and len(cells) == len(names) and not names[-1] and is_blank(cells[-1]):
        names.pop()
        if is_stored(cells):
            cells.drop_last_column()
        else:
            cells = cells[:-1]
    return cells


def _header_notices(
    header: HeaderPosition,
    line: int,
    above: Sequence[tuple[int, Sequence[Cell]]],
    *,
    guessed: bool,
) -> list[str]:
    """Return notices about the header and the lines above it."""
    notices = [header.doubt] if header.doubt else []
    if header.depth > 1:
        notices.append(
            Advice(
                f"The header has {header.depth} lines ({line - header.depth + 1}-{line}); the names"
                " in them were joined",
                "; --header-row chooses one line",
                header_row="",
            )
        )
    if above:
        texts = [(number, _first_text(row)) for number, row in above]
        said = set_aside_notice("line above the header", texts)
        if with_ids := sum(holds_id(row) for _, row in above):
            hold = "1 holds an ID" if with_ids == 1 else f"{with_ids:,} hold IDs"
            said += f"; of them {hold} and are not read"
        if guessed:
            said = Advice(
                f"{said}; line {line} was taken as the header",
                ", --header-row chooses another",
                header_row="",
            )
        notices.append(said)
    return notices


def _fill_merged_names(names: list[str], head: _Header, layout: Layout) -> None:
    """Copy a name that is merged across columns to each of those columns."""
    for top, left, bottom, right in layout.merged:
        start = left - layout.first_column
        if top == bottom == head.line and 0 <= start < len(names):
            for column in range(start + 1, min(right - layout.first_column + 1, len(names))):
                if not names[column].strip():
                    names[column] = names[start]


def _has_wide_cells(layout: Layout, head: _Header) -> bool:
    """Whether a cell is merged across all columns below the header, as reports have for groups."""
    width = max(2, len(head.names))
    return any(
        top > (head.line or 0) and right - left + 1 >= width
        for top, left, _, right in layout.merged
    )


def _is_header_in_doubt(head: _Header, cells: Cells, second: int) -> bool:
    """Whether a second header may be the real one: no ID, and no name of an ID column, above it."""
    if head.line is None or any(map(is_known_name, head.names)):
        return False
    return not any(holds_id(row_of(cells, row)) for row in range(second))


def _second_header_notice(cells: Cells, lines: Lines, at: int) -> str:
    names = _named([header_text(cell) for cell in row_of(cells, at) if is_filled(cell)])
    line = int(lines[at])
    return Advice(
        f"Line {line} may be a second header ({names}): if it is, put the rows below it into a file"
        " of their own",
        f", or read only those with --header-row {line}",
        header_row=str(line),
    )


def _second_header(
    head: _Header, row: Iterable[Cell], line: int, source: TableSource
) -> InputError:
    """Return the error for a second table in the file when it is unclear which one is meant."""
    second = _named([header_text(cell) for cell in row if is_filled(cell)])
    if head.line is None:
        return InputError(
            f"{source.place(line)} looks like a header ({second}), but you said that the list has"
            " none.",
            Advice(
                "",
                f"Leave --no-header out, or name the line with --header-row {line}.",
                header_row=str(line),
            ),
        )
    first = _named([name for name in head.names if name.strip()])
    if holds_id(row):
        return InputError(
            f"{source.place(line)} holds the name of an ID column ({second}) beside rows of the"
            f" list that begins in line {head.line} ({first}): there may be two lists side by"
            " side.",
            "Put each list into a file or a sheet of its own.",
        )
    return InputError(
        f"{source.place(line)} looks like a second header ({second}) below the one in line"
        f" {head.line} ({first}): the rows below it would be sent with the wrong IDs.",
        Advice(
            "Put each table into a file of its own",
            f", or read one of them: --header-row {head.line} for the rows above line {line},"
            f" --header-row {line} for those below it.",
            header_row=f"{head.line} or {line}",
        ),
    )


def _named(names: Sequence[str]) -> str:
    more = ", …" if len(names) > SHOWN_NAMES else ""
    return ", ".join(f"{name:.30}" for name in names[:SHOWN_NAMES]) + more


def _fill_merged(
    cells: Cells, lines: Lines, layout: Layout, names: Sequence[str], dropped: set[int]
) -> list[str]:
    """Copy the value of vertically merged cells to each row they cover; return notices.

    Rows that are otherwise blank are not part of the list. A covered cell with its own value
    keeps it.
    """
    ranges = [each for each in layout.merged if each[2] > each[0]]
    if not ranges:
        return []
    position = {line: at for at, line in enumerate(lines.tolist()) if at not in dropped}
    filled: Counter[int] = Counter()
    kept = 0
    for top, left, bottom, _ in ranges:
        column = left - layout.first_column
        start = position.get(top)
        if start is None or not 0 <= column < len(cells):
            continue
        value = cells[column][start]
        for line in range(top + 1, min(bottom, int(lines[-1])) + 1):
            at = position.get(line)
            if at is None or not is_filled(value):
                continue
            if is_filled(cells[column][at]):
                kept += cells[column][at] != value
            else:
                if is_stored(cells):
                    cells.set(column, at, value)
                else:
                    cells[column, at] = value
                filled[column] += 1
    notices = []
    if filled:
        columns = ", ".join(
            f"{names[column] if column < len(names) and names[column] else f'column {column + 1}'}"
            f" {count:,}"
            for column, count in filled.items()
        )
        are = "1 cell was" if filled.total() == 1 else f"{filled.total():,} cells were"
        notices.append(f"{are} filled from the merged cells above them ({columns})")
    if kept:
        hold = "1 merged cell holds" if kept == 1 else f"{kept:,} merged cells hold"
        notices.append(f"{hold} a value of their own, which was kept")
    return notices


def _column_formats(layout: Layout, width: int) -> tuple[tuple[int, str], ...]:
    placed = {number - layout.first_column: code for number, code in layout.formats.items()}
    return tuple(sorted((at, code) for at, code in placed.items() if 0 <= at < width))
