"""Build a `Table` from numbered rows: find the header, set aside report rows, collect notices."""

from __future__ import annotations

import gc
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource, is_stored
from batchrun.tables.cells import holds_id, is_blank, is_filled, is_like_id, shown_text
from batchrun.tables.frames import RowCollector, check_header
from batchrun.tables.header import (
    SAMPLE_ROWS,
    Header,
    fill_merged_names,
    header_doubt,
    read_header,
)
from batchrun.tables.ids import DamagedId, IdKind, ValidId, parse_id
from batchrun.tables.reports import (
    Body,
    find_header_in_doubt,
    find_second_header,
    set_aside_report_rows,
)
from batchrun.tables.roles import is_known_name, roles_named
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from batchrun.options import FileOptions
    from batchrun.tables.sheets import Block, Merged

SHOWN_NAMES = 4


def build_table(
    blocks: Iterator[Block],
    source: TableSource,
    options: FileOptions,
    merged: Sequence[Merged] = (),
) -> Table:
    """Build a table from all rows of a file, including blank ones.

    The notices of the ``source`` come first in the table's notices.

    Raises:
        InputError: There is no header or no row below it, the header seems to hold data, or there
            is a second table.
    """
    collects = gc.isenabled()
    gc.disable()  # it would scan millions of new lists again and again for nothing
    try:
        lines, rows = _beginning(blocks, options.header_row)
        head = read_header(lines, rows, source, options, merged)
        names = head.names
        collector = RowCollector(source.name, len(names), "" if source.sheet is None else None)
        collector.add_block((lines[head.end :], rows[head.end :]))
        for block in blocks:
            collector.add_block(block)
        del rows
        cells = collector.cells()
        while (
            source.sheet is not None
            and len(cells) == len(names)
            and not names[-1]
            and is_blank(cells[-1])
        ):  # a trailing column of a sheet without a name and values, only with a format
            names.pop()
            if is_stored(cells):
                cells.width -= 1
            else:
                cells = cells[:-1]
        fill_merged_names(names, head.line, merged)
        check_header(source, tuple(names), head.line or 1, len(collector))
        body = Body(names, cells, collector.lines(), collector.after_blank)
        notices = [*source.notices, *head.notices]
        width = max(2, len(names))
        groups = any(  # reports have cells that are merged across all columns for groups
            top > (head.line or 0) and right - left + 1 >= width for top, left, _, right in merged
        )
        notices += set_aside_report_rows(body, report=head.report or groups)
        said, doubt = _settle_second_header(
            body, head, source, given=options.header_row is not None
        )
        notices += [*said, *_fill_merged(body, merged)]
        aside = sorted(body.aside)
        lines_aside = frozenset(body.lines[aside].tolist())
        cells, kept_lines = body.columns, body.lines
        if aside:
            cells = cells.without(aside) if is_stored(cells) else np.delete(cells, aside, axis=1)
            kept_lines = np.delete(kept_lines, aside)
            check_header(source, tuple(names), head.line or 1, len(kept_lines))
        notices += collector.notices(lines_aside)
        names += [""] * (len(cells) - len(names))
        source = replace(source, notices=tuple(notices), header_line=head.line)
        doubts = (doubt,) if doubt else ()
        table = Table(source, tuple(names), cells, kept_lines, header_doubts=doubts)
        return replace(table, misaligned=_misaligned(table, collector, merged))
    finally:
        if collects:
            gc.enable()


def _settle_second_header(
    body: Body, head: Header, source: TableSource, *, given: bool
) -> tuple[list[str], str]:
    """Look for a second header, and set a second table aside if the user gave the header's line.

    Returns:
        Notices, and the notice that another line may be the header (``""`` if there is no doubt).

    Raises:
        InputError: There is a second table, and the user did not say which one to read.
    """
    second = find_second_header(body)
    if second is None:
        doubtful = find_header_in_doubt(body)
        if doubtful is None:
            return [], head.doubt
        names = _named(list(map(shown_text, body.filled(doubtful))))
        line = int(body.lines[doubtful])
        notice = Advice(
            f"Line {line} may be a second header ({names}): if it is, put the rows below it into a"
            " file of their own",
            f", or read only those with --header-row {line}",
            header_row=str(line),
        )
        return [notice], head.doubt
    start, at = second
    line = int(body.lines[at])
    named = head.line is None or any(map(is_known_name, head.names))
    if not named and not any(holds_id(body.row(at)) for at in range(start)):
        doubt = header_doubt(head.line, line)  # the second header may be the real one
        return ([], head.doubt) if head.doubt else ([doubt], doubt)
    if not given:
        raise _second_header(head, body.row(at), line, source)
    rest = range(start, len(body))
    ids = sum(holds_id(body.row(row)) for row in rest)
    body.aside |= set(rest)
    another = (
        f"Line {body.lines[start]} begins another table: {len(rest):,} lines from there on"
        f" are not read, {ids:,} of them hold IDs"
    )
    return [another], head.doubt


def _misaligned(table: Table, collector: RowCollector, merged: Sequence[Merged]) -> frozenset[int]:
    """Return the lines of rows whose IDs may not stand under their names."""
    found = _with_stray_ids(table, _places(table, [*collector.short, *collector.long]))
    found |= _beside_their_names(table, collector.trimmed, collector.short)
    found |= _shifted_by_merge(table, merged, collector.long)
    return frozenset(found.intersection(table.lines.tolist())) if found else frozenset()


def _places(table: Table, lines: Sequence[int]) -> list[int]:
    """Return the positions of the rows on these lines."""
    return np.flatnonzero(np.isin(table.lines, lines)).tolist() if lines else []


def _with_stray_ids(
    table: Table, places: Sequence[int], counts: Callable[[Cell], bool] | None = None
) -> set[int]:
    """Return the lines of those rows with an ID in a column that mostly holds no IDs.

    Of such a column, only the cells count for which ``counts`` is true; by default, all do.
    """
    step = len(table.lines) // SAMPLE_ROWS + 1
    found: set[int] = set()
    for column in table.cells:
        if ids := [at for at in places if is_like_id(column[at])]:
            sample = [cell for cell in column[::step] if counts is None or counts(cell)]
            if sum(map(is_like_id, sample)) * 2 <= len(sample):
                found |= {int(table.lines[at]) for at in ids}
    return found


def _beside_their_names(table: Table, trimmed: Sequence[int], short: Sequence[int]) -> set[int]:
    """Return the lines of rows that are not as wide as the header, with IDs not under their names.

    If most rows are wider, the names may stand one column too far left, as R writes them, or every
    row has a delimiter that belongs to its text. `RowCollector` found the ``trimmed`` and the
    ``short`` rows.
    """
    named = [at for at, name in enumerate(table.header) if roles_named(name)]
    width = max((at for at, name in enumerate(table.header, start=1) if name.strip()), default=0)
    beyond = [table.cells[at] for at in range(width, len(table.cells))]
    wide = {at for column in beyond for at, cell in enumerate(column) if is_filled(cell)}
    found = {
        at
        for at in wide
        if any(is_like_id(column[at]) for column in beyond)
        and not all(is_like_id(table.cells[column][at]) for column in named)
    }
    wide.update(_places(table, [*trimmed, *short]))
    narrow = len(short) * 2 >= len(table.lines)
    if (
        named
        and len(wide) * 2 >= len(table.lines)
        and _are_shifted(table, named, sorted(wide), narrow=narrow)
    ):
        found = wide
    return {int(table.lines[at]) for at in found}


_NAMES_IDS = re.compile(r"(?i:(?<![a-z])ids?\b|uuid|guid|\bkey\b|\bref)|[a-z]I[dD]s?\b")
"""Column names under which IDs of other things may stand."""


def _are_shifted(table: Table, named: Sequence[int], wide: Sequence[int], *, narrow: bool) -> bool:
    """Whether a column with the name of IDs holds none in the wide rows, but other columns do.

    Either a column without such a name holds the IDs, or there is text where they should be: to
    their left, or anywhere if the rows are narrower than the header. The IDs of a CRM are not text.
    """
    sample = wide[:: len(wide) // SAMPLE_ROWS + 1]
    parsed = [[parse_id(column[at]) for at in sample] for column in table.cells]
    ids = [sum(isinstance(each, ValidId) for each in column) for column in parsed]
    enough = max(ids) / 10
    lacking = [at for at in named if ids[at] <= enough]
    stray = any(
        ids[at] > enough and not _NAMES_IDS.search(name) for at, name in enumerate(table.header)
    )
    holders = [at for at in named if ids[at] > enough]
    texts = [
        sum(isinstance(each, DamagedId) and each.kind is IdKind.OTHER for each in column)
        for column in parsed
    ]
    text = any(
        texts[at] * 2 >= len(sample) and (narrow or at < max(holders, default=-1)) for at in lacking
    )
    return bool(enough and lacking) and (stray or text)


def _shifted_by_merge(table: Table, merged: Sequence[Merged], long: Sequence[int]) -> set[int]:
    """Return the lines of rows that merged cells have shifted.

    They are covered by a merged cell, and are too wide or hold an ID among a column's other values.
    """
    if not merged:
        return set()
    last = int(table.lines[-1])
    covered, from_above = np.zeros((2, last + 1), dtype=np.bool_)
    for top, _, bottom, _ in merged:
        covered[top : bottom + 1] = True
        from_above[top + 1 : bottom + 1] = True
    places = np.flatnonzero(covered[table.lines]).tolist()
    found = {line for line in long if line <= last and from_above[line]}
    return found | _with_stray_ids(table, places, is_filled)


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


def _second_header(head: Header, row: Iterable[Cell], line: int, source: TableSource) -> InputError:
    """Return the error for a second table in the file when it is unclear which one is meant."""
    second = _named([shown_text(cell) for cell in row if is_filled(cell)])
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


def _fill_merged(body: Body, merged: Sequence[Merged]) -> list[str]:
    """Copy the value of vertically merged cells to each row they cover; return notices.

    Rows that are otherwise blank are not part of the list. A covered cell with its own value
    keeps it.
    """
    cells, names = body.columns, body.names
    lines = body.lines.tolist() if merged else []  # not for nothing in a list of millions of rows
    filled: Counter[int] = Counter()
    kept = 0
    for top, column, bottom, _ in merged:
        if top == bottom:
            continue
        start, end = bisect_left(lines, top), bisect_right(lines, bottom)
        if start == end or lines[start] != top or start in body.aside:
            continue
        if not 0 <= column < len(cells) or not is_filled(value := cells[column][start]):
            continue
        for at in range(start + 1, end):
            if at in body.aside:
                continue
            if is_filled(cells[column][at]):
                kept += cells[column][at] != value
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
        are = plural(filled.total(), "cell was", "cells were")
        notices.append(f"{are} filled from the merged cells above them ({columns})")
    if kept:
        hold = plural(
            kept, "merged cell holds a value of its", "merged cells hold a value of their"
        )
        notices.append(f"{hold} own, which was kept")
    return notices
