"""Find the header: which of the first rows holds the column names, and what they are."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.tables.cells import (
    holds_id,
    is_blank,
    is_filled,
    is_id,
    is_label,
    is_label_row,
    is_like_id,
    is_like_value,
    shown_text,
)
from batchrun.tables.reports import set_aside_notice
from batchrun.tables.roles import is_known_name
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchrun.model import Cell, TableSource
    from batchrun.options import FileOptions
    from batchrun.tables.sheets import Merged

SAMPLE_ROWS = 60
"""Number of non-blank rows, from the top, to search for the header."""

DEEPEST_HEADER = 5


@dataclass(frozen=True, slots=True)
class HeaderPosition:
    """The position of the header."""

    index: int  # position of the header's last row among the given rows
    depth: int = 1  # number of header rows; 1 unless merged cells join several
    doubt: str = ""  # notice if another row might be the header, else ""


@dataclass(frozen=True, slots=True)
class Header:
    """The header found among the first rows."""

    names: list[str]
    line: int | None  # line of the header's last row; None if the list has no header
    end: int  # position of the first row below the header
    report: bool  # whether there are lines above the header
    notices: list[str]
    doubt: str = ""  # the notice that another line may be the header, else ""


def read_header(
    lines: list[int],
    rows: list[list[Cell]],
    source: TableSource,
    options: FileOptions,
    merged: Sequence[Merged],
) -> Header:
    """Find the header among the first rows of a file, or take the line that the user gave.

    Raises:
        InputError: All rows are blank, or the header holds an ID or another value of a row.
    """
    filled = [at for at, row in enumerate(rows) if not is_blank(row)]
    if not filled:
        raise InputError(f"{source.name} holds nothing but blank lines.", "Export it again.")
    if options.no_header:
        if options.header_row is not None:
            raise InputError(
                "A list without a header has no line for it.",
                Advice("", "Give --no-header or --header-row, not both.", no_header=""),
            )
        names = [f"Column {number + 1}" for number in range(max(map(len, rows)))]
        said = "Read without a header: the columns are named by their numbers"
        return Header(names, None, 0, report=False, notices=[said])
    lines_filled, rows_filled = [lines[at] for at in filled], [rows[at] for at in filled]
    if options.header_row is None:
        sample = slice(SAMPLE_ROWS)
        header = find_header(lines_filled[sample], rows_filled[sample], merged)
    elif options.header_row in lines_filled:
        header = HeaderPosition(lines_filled.index(options.header_row))
    else:
        raise InputError(
            f"{source.place(options.header_row)} can't be the header: it is blank or no row"
            " begins there.",
            Advice(
                "", "Give --header-row the number of the line with the column names.", header_row=""
            ),
        )
    first, end = header.index - header.depth + 1, header.index + 1
    line, guessed = lines_filled[header.index], options.header_row is None
    _refuse_ids_in_header(rows_filled[first:end], source.place(line), line, guessed)
    names = header_names(lines_filled[first:end], rows_filled[first:end], merged)
    above = list(zip(lines_filled[:first], rows_filled[:first], strict=True))
    notices = _header_notices(header, line, above, guessed=guessed)
    return Header(names, line, filled[header.index] + 1, bool(above), notices, header.doubt)


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
    lines: Sequence[int], rows: Sequence[Sequence[Cell]], merged: Sequence[Merged]
) -> list[str]:
    """Return the column names; those of a header of several rows are joined with ``/``."""
    if len(rows) == 1:
        return [shown_text(cell) for cell in rows[0]]
    width = max(map(len, rows))
    spread = [[*row, *([None] * (width - len(row)))] for row in rows]
    for top, start, _, right in merged:
        end = min(right + 1, width)
        if top in lines and 0 <= start < end:
            row = spread[lines.index(top)]
            row[start:end] = [row[start]] * (end - start)
    return [
        " / ".join(dict.fromkeys(str(cell).strip() for cell in column if is_filled(cell)))
        for column in zip(*spread, strict=True)
    ]


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
        texts = [(number, shown_text(next(filter(is_filled, row), None))) for number, row in above]
        said = set_aside_notice("line above the header", texts)
        if with_ids := sum(holds_id(row) for _, row in above):
            hold = plural(with_ids, "holds an ID", "hold IDs")
            said += f"; of them {hold} and are not read"
        if guessed:
            said = Advice(
                f"{said}; line {line} was taken as the header",
                ", --header-row chooses another",
                header_row="",
            )
        notices.append(said)
    return notices


def fill_merged_names(names: list[str], line: int | None, merged: Sequence[Merged]) -> None:
    """Copy a name that is merged across columns to each of those columns."""
    for top, left, bottom, right in merged:
        if top == bottom == line and 0 <= left < len(names):
            covered = slice(left, right + 1)
            names[covered] = [name if name.strip() else names[left] for name in names[covered]]


def find_header(
    lines: Sequence[int], rows: Sequence[Sequence[Cell]], merged: Sequence[Merged]
) -> HeaderPosition:
    """Find the header among the first non-blank rows.

    The header is the first row, unless a later row looks more like one: it names an ID column
    above IDs; or it is wider than all rows above it and holds only labels, and the rows above are
    so narrow that they can only be a report's title and filters.
    """
    fills = [sum(map(is_filled, row)) for row in rows]
    index, doubt = 0, ""
    later, is_certain = _later_header(rows, fills)
    is_below_titles = max(fills[:later], default=0) <= max(2, fills[later] // 2)
    if later and (is_certain or (is_below_titles and is_label_row(rows[later]))):
        index = later
    elif later:
        doubt = header_doubt(lines[0], lines[later])
    first, last = _header_extent(lines, rows, index, merged)
    if first <= later <= last:
        doubt = ""
    return HeaderPosition(last, last - first + 1, doubt)


def header_doubt(taken: int | None, other: int) -> str:
    """Return the notice that another line may be the header."""
    return Advice(
        f"Line {taken} was taken as the header, though line {other} may be it",
        f": --header-row {other} says so",
        header_row=str(other),
    )


def _later_header(rows: Sequence[Sequence[Cell]], fills: Sequence[int]) -> tuple[int, bool]:
    """Find the first row, apart from the very first, that looks like a header.

    Returns:
        Its position (0 if there is none), and whether it is certain. It is certain if it names a
        column of IDs and no row above it holds an ID. Otherwise it is wider than all rows above,
        and most of its cells are labels.
    """
    if any(is_known_name(cell) for cell in rows[0]):
        return 0, False
    narrow_first = fills[0] < 0.6 * statistics.median(fills[1:31] or [0])
    first_ids = next((at for at, row in enumerate(rows) if holds_id(row)), len(rows))
    for index in range(1, first_ids):
        below_it = rows[index + 1 : index + 31]
        if any(
            is_known_name(name) and _mostly(is_id, column, below_it)
            for column, name in enumerate(rows[index])
        ):
            return index, True
    likely = []
    for index in range(1, first_ids):
        below = fills[index + 1 : index + 31]
        if fills[index] < 2 or fills[index] <= max(fills[:index]) or not below:
            continue
        if fills[index] < 0.6 * statistics.median(below):
            continue
        if sum(map(is_label, rows[index])) * 2 <= fills[index]:
            continue
        known = any(is_known_name(cell) for cell in rows[index])
        if known or (narrow_first and _contrasts(rows[index], rows[index + 1 : index + 31])):
            likely.append(index)
    return next((at for at in likely if is_label_row(rows[at])), min(likely, default=0)), False


def _mostly(is_such: Callable[[Cell], bool], column: int, rows: Sequence[Sequence[Cell]]) -> bool:
    """Whether most filled cells of a column, at least one, match a condition."""
    cells = [row[column] for row in rows if column < len(row) and is_filled(row[column])]
    return sum(map(is_such, cells)) * 2 > len(cells)


def _contrasts(header: Sequence[Cell], below: Sequence[Sequence[Cell]]) -> bool:
    """Whether some column has a label in the header and mostly numbers, dates or IDs below it.

    A row with two filled cells may be a label and its value above the real header. It counts only
    if there are mostly IDs below one of them, and no name of an ID column anywhere below.
    """
    pair = sum(map(is_filled, header)) == 2
    if pair and any(is_known_name(cell) for row in below for cell in row):
        return False
    of_a_list = is_id if pair else (lambda cell: not is_label(cell))
    return any(
        is_filled(name) and _mostly(of_a_list, column, below) for column, name in enumerate(header)
    )


def _header_extent(
    lines: Sequence[int], rows: Sequence[Sequence[Cell]], index: int, merged: Sequence[Merged]
) -> tuple[int, int]:
    """Return the positions of the first and last row of a header that merged cells may extend.

    A name merged vertically joins the rows it covers. Names merged horizontally join their row to
    the row below. Rows with anything but labels and years are not part of a header; then the
    merged cells are a note or a picture beside the list.
    """
    first = last = index
    line = lines[index]
    ties = [
        (top, bottom)
        for top, left, bottom, right in merged
        if left == right and top <= line <= bottom and bottom > top
    ]
    if ties:
        top, bottom = min(top for top, _ in ties), max(bottom for _, bottom in ties)
        tied = [at for at, each in enumerate(lines) if top <= each <= bottom]
        if len(tied) <= DEEPEST_HEADER and all(all(map(_may_be_name, rows[at])) for at in tied):
            first, last = tied[0], tied[-1]
    above = first - 1
    if above >= 0 and lines[above] == lines[first] - 1:
        groups = {
            left
            for top, left, bottom, right in merged
            if top == bottom == lines[above] and right > left
        }
        row = rows[above]
        others = [cell for at, cell in enumerate(row) if at not in groups or not _is_year(cell)]
        if groups and sum(map(is_filled, row)) > 1 and is_label_row(others):
            first = above
    return first, last


def _may_be_name(cell: Cell) -> bool:
    """Whether a cell is empty, or may be a column's name or a date above columns."""
    return not is_filled(cell) or is_label(cell) or isinstance(cell, date) or _is_year(cell)


_YEAR = re.compile(r"\s*(19|20)\d\d\s*")


def _is_year(cell: Cell) -> bool:
    return _YEAR.fullmatch(str(cell)) is not None
