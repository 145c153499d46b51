"""Recognize the parts of a report export that are not rows of the list, and find the header.

A row is set aside only if its text identifies it (as a total, a group or a footer) and it holds no
ID or other data. A row that only looks like part of the report stays in the list, with a notice.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from batchrun.advice import Advice
from batchrun.tables.ids import DamagedId, IdKind, ValidId, parse_id
from batchrun.tables.roles import is_known_name, normalise, roles_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from batchrun.model import Cell
    from batchrun.tables.frames import Cells, Lines
    from batchrun.tables.store import StoredColumn

Merged = tuple[int, int, int, int]
"""A merged range: first row, first column, last row, last column; numbers from 1."""

NonUuidCells: TypeAlias = "tuple[npt.NDArray[np.object_] | StoredColumn, list[int]]"
"""A column that holds IDs, and the positions of its cells that don't look like a UUID."""

SAMPLE_ROWS = 60
"""Number of non-blank rows, from the top, to search for the header."""

FOOTER_ROWS = 15
DEEPEST_HEADER = 5
LABEL_CHARACTERS = 120
SHOWN_TEXTS = 3
SHOWN_CHARACTERS = 50

_NOT_A_LABEL = re.compile(
    r"[+-]?[\d.,\s]+%?"  # a number
    r"|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b.*"  # a date
    r"|[^@\s]++@(?=[^@\s]++\Z)[^@\s]+\.[^@\s]+"  # an e-mail address
    r"|(https?://|www\.).*"
)
_NUMERIC = re.compile(r"[(+-]?\s*+([A-Z]{3}|[$€£¥])?[\d.,'\s]++(%|[A-Z]{3}|[$€£¥])?\)?")
_SHORT = r"(?=(?s:.{0,1000})\Z)"
"""Longer texts are not totals or groups, and the patterns below would be slow on them."""

_TOTAL = re.compile(
    _SHORT
    + r"((grand\s+|sub[\s-]*|report\s+|overall\s+)?totals?(\s+(records?|rows?|count|amount)\b.*)?"
    r"|gesamt(summe|ergebnis)?|zwischensumme|summe|teilergebnis|sous[\s-]total|total\s+g[eé]n[eé]ral"
    r"|total\s+general|subtotale?|totale?)(\s*[:(\u2013-].*)?",
    re.IGNORECASE,
)
_TOTAL_WITH_NUMBERS = re.compile(
    _SHORT + r"(sum|count|record count|avg|average|anzahl|durchschnitt|moyenne|suma|ergebnis"
    r"|totaal|celkem|toplam|summa|razem|итого|合計|集計|汇总|总计)(\s*[:(].*)?",
    re.IGNORECASE,
)
_GROUP = re.compile(
    _SHORT
    + r".*\S\s*\(\d[\d.,\s]*(records?|items?|rows?|datensätze|enregistrements?|registros?)?\)",
    re.IGNORECASE,
)
_FOOTER = re.compile(
    r"(copyright\b|©|\(c\)).*\d{4}.*|.*\ball rights reserved\b.*"
    r"|confidential(\W*|\s*[-:|\u2013\u2014].*)|confidential information\b.*"
    r"|.*\bdo not distribute\b.*|.*\bconfidential and proprietary\b.*"
    r"|(generated|exported|created|printed) (by|on|from)\b.*|report (generated|run|created)\b.*"
    r"|applied filters\b.*|\W*end of (file|report|list|data)\W*|(records?|rows?)\s*:\s*[\d.,]+"
    r"|page \d+( of \d+)?|\(?\d[\d.,]* (rows?|records?)\b.{0,40}"
    r"|vertraulich\W*|.*\balle rechte vorbehalten\b.*|erstellt (von|am)\b.*"
    r"|confidentiel\W*|.*\btous droits réservés\b.*",
    re.IGNORECASE | re.DOTALL,
)


_RULE = re.compile(r"[-=+_|: ]{3,}")
_CUT_OFF_ID = re.compile(r"(?=.*\d)[0-9a-f]{8}-?[0-9a-f-]{8,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HeaderPosition:
    """The position of the header.

    Attributes:
        index: Position of the header's last row among the given rows.
        depth: Number of header rows; 1 unless merged cells join several.
        preamble: Positions of the report's rows above the header.
        doubt: Notice if another row might be the header, else ``""``.
    """

    index: int
    depth: int = 1
    preamble: tuple[int, ...] = ()
    doubt: str = ""


def is_filled(cell: Cell) -> bool:
    """Whether a cell holds anything visible."""
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))


def find_header(
    lines: Sequence[int], rows: Sequence[Sequence[Cell]], merged: Sequence[Merged] = ()
) -> HeaderPosition:
    """Find the header among the first non-blank rows.

    The header is the first row, unless a later row looks more like one: it names an ID column
    above IDs; or it is wider than all rows above it and holds only labels, and the rows above are
    so narrow that they can only be a report's title and filters.

    Args:
        lines: Line number of each row.
        rows: The first non-blank rows of the file.
        merged: Merged ranges of the sheet.
    """
    fills = [sum(map(is_filled, row)) for row in rows]
    index, doubt = 0, ""
    later, is_certain = _later_header(rows, fills)
    if later and (is_certain or max(fills[:later]) <= max(2, fills[later] // 2)):
        index = later
    elif later:
        doubt = header_doubt(lines[0], lines[later])
    first, last = _header_extent(lines, rows, index, merged)
    if first <= later <= last:
        doubt = ""
    return HeaderPosition(last, last - first + 1, tuple(range(first)), doubt)


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
        column of IDs and no row above it holds an ID. Otherwise it is wider than all rows above.
    """
    if any(is_known_name(cell) for cell in rows[0]):
        return 0, False
    narrow_first = fills[0] < 0.6 * statistics.median(fills[1:31] or [0])
    first_ids = next((at for at, row in enumerate(rows) if holds_id(row)), len(rows))
    for index in range(1, first_ids):
        if _names_ids_below(rows[index], rows[index + 1 : index + 31]):
            return index, True
    for index in range(1, first_ids):
        below = fills[index + 1 : index + 31]
        if fills[index] < 2 or fills[index] <= max(fills[:index]) or not below:
            continue
        if fills[index] < 0.6 * statistics.median(below):
            continue
        if not all(_is_label(cell) for cell in rows[index] if is_filled(cell)):
            continue
        known = any(is_known_name(cell) for cell in rows[index])
        if known or (narrow_first and _contrasts(rows[index], rows[index + 1 : index + 31])):
            return index, False
    return 0, False


def _names_ids_below(header: Sequence[Cell], below: Sequence[Sequence[Cell]]) -> bool:
    """Whether a row has the name of an ID column above a column of IDs.

    Args:
        header: The row.
        below: Some rows below it.
    """
    for column, name in enumerate(header):
        if is_known_name(name):
            cells = [row[column] for row in below if column < len(row) and is_filled(row[column])]
            if sum(map(_is_id, cells)) * 2 > len(cells):
                return True
    return False


def _contrasts(header: Sequence[Cell], below: Sequence[Sequence[Cell]]) -> bool:
    """Whether some column has a label in the header and mostly numbers, dates or IDs below it.

    A row with two filled cells may be a label and its value above the real header. It counts only
    if there are mostly IDs below one of them, and no name of an ID column anywhere below.
    """
    pair = sum(map(is_filled, header)) == 2
    if pair and any(is_known_name(cell) for row in below for cell in row):
        return False
    of_a_list = _is_id if pair else _is_no_label
    for column, name in enumerate(header):
        cells = [row[column] for row in below if column < len(row) and is_filled(row[column])]
        if is_filled(name) and sum(map(of_a_list, cells)) * 2 > len(cells):
            return True
    return False


def _is_no_label(cell: Cell) -> bool:
    return not _is_label(cell)


def _is_id(cell: Cell) -> bool:
    return isinstance(parse_id(cell, lenient=True), ValidId)


def holds_id(row: Iterable[Cell]) -> bool:
    """Whether a row contains an ID."""
    return any(map(_is_id, row))


MIN_CUT_OFF_CHARACTERS = 16
"""Minimum length of a cut-off ID; most cells are shorter, and need not be parsed."""


def is_like_id(cell: Cell) -> bool:
    """Whether a cell holds an ID, complete or cut off."""
    if not isinstance(cell, str) or len(cell) < MIN_CUT_OFF_CHARACTERS:
        return False
    return _is_id(cell) or bool(_CUT_OFF_ID.fullmatch(cell.strip()))


def is_like_value(cell: Cell) -> bool:
    """Whether a cell can't be a column name: a CRM's ID, an email address or a web address."""
    parsed = parse_id(cell)
    kinds = {IdKind.SALESFORCE, IdKind.EMAIL, IdKind.ADDRESS}
    return isinstance(parsed, DamagedId) and parsed.kind in kinds


def _is_label_row(row: Iterable[Cell]) -> bool:
    return all(map(_is_label, filter(is_filled, row)))


def _is_label(cell: Cell) -> bool:
    if not isinstance(cell, str) or len(cell) > LABEL_CHARACTERS:
        return False
    text = cell.strip()
    if not any(map(str.isalpha, text)) or _NOT_A_LABEL.fullmatch(text):
        return False
    return not _is_id(text)


def _header_extent(
    lines: Sequence[int], rows: Sequence[Sequence[Cell]], index: int, merged: Sequence[Merged]
) -> tuple[int, int]:
    """Return the positions of the first and last row of a header that merged cells may extend.

    A name merged vertically joins the rows it covers. Names merged horizontally join their row to
    the row below. Rows with anything but labels are not part of a header; then the merged cells
    are a note or a picture beside the list.
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
        if len(tied) <= DEEPEST_HEADER and all(_is_label_row(rows[at]) for at in tied):
            first, last = tied[0], tied[-1]
    above = first - 1
    if above >= 0 and lines[above] == lines[first] - 1:
        sideways = any(
            top == bottom == lines[above] and right > left for top, left, bottom, right in merged
        )
        names = sum(map(is_filled, rows[above]))
        if sideways and names > 1 and _is_label_row(rows[above]):
            first = above
    return first, last


def join_header(
    lines: Sequence[int],
    rows: Sequence[Sequence[Cell]],
    merged: Sequence[Merged],
    first_column: int,
) -> list[Cell]:
    """Join the names above each column with ``/``, for a header of several rows."""
    width = max(map(len, rows))
    spread = [[*row, *([None] * (width - len(row)))] for row in rows]
    for top, left, _, right in merged:
        start, end = left - first_column, min(right - first_column + 1, width)
        if top in lines and right > left and 0 <= start < end:
            row = spread[lines.index(top)]
            row[start:end] = [row[start]] * (end - start)
    names: list[Cell] = []
    for column in zip(*spread, strict=True):
        parts = dict.fromkeys(str(cell).strip() for cell in column if is_filled(cell))
        names.append(" / ".join(parts))
    return names


@dataclass(slots=True)
class ReportRows:
    """Positions of the rows to set aside, by kind, and of doubtful rows, which stay in the list."""

    kinds: dict[str, list[int]]
    doubtful: list[int] = field(default_factory=list)

    @property
    def positions(self) -> set[int]:
        """Positions of all rows to set aside."""
        return {at for positions in self.kinds.values() for at in positions}

    def notices(self, lines: Lines, columns: Cells) -> list[str]:
        """Return notices about the rows set aside and the doubtful rows."""
        said = [
            set_aside_notice(kind, [(int(lines[at]), _first_text(columns, at)) for at in positions])
            for kind, positions in self.kinds.items()
            if positions
        ]
        if self.doubtful:
            places = _places([int(lines[at]) for at in self.doubtful])
            rows = "1 row looks" if len(self.doubtful) == 1 else f"{len(self.doubtful):,} rows look"
            said.append(f"{rows} like part of the report, but this is in doubt: kept ({places})")
        return said


def set_aside_notice(kind: str, found: Sequence[tuple[int, str]]) -> str:
    """Return a notice about lines set aside: how many, where, and the first few texts."""
    plural = kind if len(found) == 1 else _plural(kind)
    texts = "; ".join(dict.fromkeys(_shown(text) for _, text in found[:SHOWN_TEXTS]))
    more = "; …" if len(found) > SHOWN_TEXTS else ""
    places = _places([line for line, _ in found])
    return f"{len(found):,} {plural} set aside ({places}: {texts}{more})"


def _plural(kind: str) -> str:
    if kind == "subtotal or total":
        return "subtotals and totals"
    noun, *rest = kind.split(" ", 1)
    return " ".join([f"{noun}s", *rest]) if noun in {"line", "row", "title"} else f"{kind}s"


def _places(lines: Sequence[int]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    if lines[-1] - lines[0] == len(lines) - 1:
        return f"lines {lines[0]}-{lines[-1]}"
    shown = ", ".join(map(str, lines[:5]))
    return f"lines {shown}{', …' if len(lines) > 5 else ''}"


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def _first_text(columns: Cells, at: int) -> str:
    cell = next((column[at] for column in columns if is_filled(column[at])), "")
    return str(cell).upper() if isinstance(cell, bool) else str(cell)


def find_report_rows(
    header: Sequence[str],
    columns: Cells,
    after_blank: set[int],
    odd: Sequence[NonUuidCells],
    *,
    report: bool,
) -> ReportRows:
    """Find the rows that belong to the report, not to the list.

    Totals and groups are searched only if the file is clearly a report: it has lines above the
    header, a footer, or a total in its last rows.

    Args:
        header: The column names.
        columns: The cells, column by column.
        after_blank: Positions of rows that follow a blank row.
        odd: The result of `find_odd_cells`.
        report: Whether there were lines above the header.
    """
    without_ids = _rows_without_ids(columns, odd)
    repeated = _repeated(header, columns, without_ids)
    footers = _footers(columns, after_blank)
    groups: list[int] = []
    totals: list[int] = []
    aside = ReportRows({
        "repeated header": repeated,
        "title above a repeated header": _titles(columns, repeated, set(without_ids)),
        "group row": groups,
        "subtotal or total": totals,
        "footer line": footers,
        "line of dashes": [at for at in without_ids if _all(_is_rule, columns, at)],
        "row of unticked boxes": [at for at in without_ids if _all(_is_unticked, columns, at)],
    })  # fmt: skip
    end = len(columns[0]) - len(footers)
    marked = any(_kind(_row(columns, at)) == "total" for at in range(max(0, end - 3), end))
    if not (report or marked or footers):
        return aside
    named = aside.positions
    for at, cells in enumerate(islice(zip(*columns, strict=True), end)):
        match _kind([cell for cell in cells if is_filled(cell)]):
            case "total":
                totals.append(at)
            case "group":
                groups.append(at)
            case "doubtful" if at not in named:
                aside.doubtful.append(at)
    return aside


def _all(is_such: Callable[[Cell], bool], columns: Cells, at: int) -> bool:
    """Whether all filled cells of a row, at least one, match a condition."""
    filled = _row(columns, at)
    return bool(filled) and all(map(is_such, filled))


def _is_unticked(cell: Cell) -> bool:
    return cell is False or (isinstance(cell, str) and cell.strip().casefold() in _UNTICKED)


_UNTICKED = frozenset({
    "false", "falsch", "faux", "falso", "onwaar", "falskt", "fałsz", "ложь", "☐",
})  # fmt: skip
"""Unticked boxes as spreadsheets export them in several languages."""


def _is_rule(cell: Cell) -> bool:
    """Whether a cell is part of a line of dashes, as some programs print below a header."""
    return isinstance(cell, str) and _RULE.fullmatch(cell.strip()) is not None


def _titles(columns: Cells, repeated: Sequence[int], without_ids: set[int]) -> list[int]:
    """Return the rows with a single label directly above repeated headers."""
    found = []
    for at in repeated:
        above = at - 1
        while above in without_ids and len(row := _row(columns, above)) == 1 and _is_label(row[0]):
            found.append(above)
            above -= 1
    return sorted(found)


def _row(columns: Cells, at: int) -> list[Cell]:
    return [cell for column in columns if is_filled(cell := column[at])]


def _kind(filled: list[Cell]) -> str:
    """Classify a row by its filled cells: ``total``, ``group``, ``doubtful``, ``""`` for data."""
    first = filled[0] if filled else None
    texts = [cell for cell in filled if isinstance(cell, str) and not _is_number(cell)]
    named = any(_TOTAL.fullmatch(text.strip()) for text in texts)
    with_numbers = len(texts) == 1 and len(filled) > 1
    named = named or (with_numbers and bool(_TOTAL_WITH_NUMBERS.fullmatch(texts[0].strip())))
    if not named and len(filled) > 1:
        return ""
    if any(isinstance(parse_id(cell), ValidId) for cell in filled):
        return ""
    if named:
        others = [
            text
            for text in map(str.strip, texts)
            if not (_TOTAL.fullmatch(text) or _TOTAL_WITH_NUMBERS.fullmatch(text))
        ]
        return "total" if len(texts) == 1 or not others else "doubtful"
    if isinstance(first, str) and _GROUP.fullmatch(first.strip()):
        return "group"
    return "doubtful" if isinstance(first, str) else ""


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, str):
        return bool(_NUMERIC.fullmatch(cell.strip()))
    return isinstance(cell, (int, float, date, time, timedelta))


def _footers(columns: Cells, after_blank: set[int]) -> list[int]:
    """Find the footer: rows at the end with one cell each, at least one with a footer's text."""
    count = len(columns[0])
    start, named = count, count
    for at in reversed(range(max(0, count - FOOTER_ROWS), count)):
        row = _row(columns, at)
        text = row[0] if len(row) == 1 else None
        if not isinstance(text, str) or isinstance(parse_id(text), ValidId):
            break
        if _TOTAL.fullmatch(text.strip()) or _GROUP.fullmatch(text.strip()):
            break
        if _FOOTER.fullmatch(text.strip()):
            named = start = at
        elif at in after_blank and named < count and len(columns) > 1:
            start = at
    if len(columns) == 1 and start not in after_blank:
        return []  # with a single column, every row has one cell
    return list(range(start, count)) if start else []


def find_odd_cells(columns: Cells) -> list[NonUuidCells]:
    """Find the columns that hold IDs in a sample of the rows, and their cells that may not be IDs.

    Checks length and hyphens instead of parsing each cell, which would be slow: nearly all UUIDs
    are 36 characters long.
    """
    count = len(columns[0])
    sample = sorted({*range(min(count, 60)), *range(0, count, count // 200 + 1),
                     *range(max(count - 60, 0), count)})  # fmt: skip
    holders = [column for column in columns if any(_is_id(column[at]) for at in sample)]
    return [
        (
            column,
            [
                at
                for at, cell in enumerate(column)
                if not (
                    isinstance(cell, str) and len(cell) == UUID_LENGTH and cell[8] == "-" != cell[0]
                )
            ],
        )
        for column in holders
    ]


def _rows_without_ids(columns: Cells, odd: Sequence[NonUuidCells]) -> list[int]:
    """Return the rows without an ID; none if the list has no ID columns."""
    if not odd:
        return []
    left = set(odd[0][1]).intersection(*(places for _, places in odd[1:]))
    return [at for at in sorted(left) if not holds_id(_row(columns, at))]


UUID_LENGTH = 36


def _repeated(header: Sequence[str], columns: Cells, without_ids: Sequence[int]) -> list[int]:
    """Find rows that repeat the header, as reports do on each page."""
    names = [normalise(name) for name in header]
    if sum(map(bool, names)) < 2 and not any(map(is_known_name, header)):
        return []
    names += [""] * (len(columns) - len(names))
    return [
        at
        for at in without_ids
        if all(_normalised(column[at]) == name for name, column in zip(names, columns, strict=True))
    ]


def _normalised(cell: Cell) -> str | None:
    if not is_filled(cell):
        return ""
    return normalise(cell) if isinstance(cell, str) and len(cell) <= LABEL_CHARACTERS else None


def find_second_header(
    header: Sequence[str],
    columns: Cells,
    after_blank: set[int],
    aside: set[int],
    odd: Sequence[NonUuidCells],
) -> tuple[int, int] | None:
    """Find the header of a second table in the file.

    The header of a table below the list holds only labels, and has a label above each column with
    IDs. In addition, one sign of a header is required, such as the name of an ID column, a name
    from the list's own header, a blank row before it, or IDs in other columns below it than above
    it. `_is_second` has all of them. A table beside the list needs only the name of an ID column
    above IDs.

    Args:
        header: The column names.
        columns: The cells, column by column.
        after_blank: Positions of rows that follow a blank row.
        aside: Positions of rows that were set aside.
        odd: The result of `find_odd_cells`.

    Returns:
        The position where the table starts, which may be its title, and the position of its
        header; ``None`` if there is no second table.
    """
    names = {normalise(name) for name in header} - {""}
    without_ids = _rows_without_ids(columns, odd)
    aside = aside | _descriptions(header, columns, without_ids, after_blank)
    without_ids = [at for at in without_ids if at not in aside]
    first = next(
        (at for at in without_ids if _is_second(at, names, columns, after_blank, aside)), None
    )
    beside = _named_beside(odd, aside)
    if beside is not None and (first is None or beside < first):
        return beside, beside
    if first is None:
        return None
    # the first row may be a title, followed by the header
    run = [first]
    for at in without_ids[without_ids.index(first) + 1 :]:
        if at != run[-1] + 1 or not _is_label_row(column[at] for column in columns):
            break
        run.append(at)
    return first, max(run, key=lambda at: len(_row(columns, at)))


def _descriptions(
    header: Sequence[str], columns: Cells, without_ids: Sequence[int], after_blank: set[int]
) -> set[int]:
    """Find the rows below the header that describe its columns, such as their types or labels.

    They stand above the first ID, and what they call an ID column has the same role in the header.
    """
    first = next((at for at, row in enumerate(without_ids) if at != row), len(without_ids))
    below = _id_columns(columns, range(first, len(columns[0])), set())
    if not any(is_known_name(header[column]) for column in below if column < len(header)):
        return set()
    roles = {column: roles_named(header[column]) for column in below if column < len(header)}
    return {
        at
        for at in range(first)
        if at not in after_blank
        and all(roles_named(columns[column][at]) <= roles.get(column, set()) for column in below)
    }


def _named_beside(odd: Sequence[NonUuidCells], aside: set[int]) -> int | None:
    """Find the header of a second list beside the first one.

    It is the first row with the name of an ID column above IDs; its other cells don't matter.
    """
    found = [
        at
        for column, places in odd
        for at in places
        if isinstance(cell := column[at], str)
        and "id" in cell.lower()
        and at not in aside
        and is_known_name(cell)
        and any(map(_is_id, column[at + 1 : at + 1 + NEARBY_ROWS]))
    ]
    return min(found, default=None)


def _is_second(
    at: int,
    names: set[str],
    columns: Cells,
    after_blank: set[int],
    aside: set[int],
) -> bool:
    labels = [column[at] for column in columns]
    if not any(map(_is_label, labels)):
        return False
    below = _id_columns(columns, range(at + 1, len(columns[0])), aside)
    if any(is_known_name(labels[column]) for column in below):
        return True
    if not below or not _is_label_row(labels):
        return False
    if not all(_may_name_ids(labels[column]) for column in below):
        return False
    above = _id_columns(columns, range(at - 1, -1, -1), aside)
    return (
        any(_normalised(cell) in names for cell in labels if is_filled(cell))
        or _names_columns(labels)
        or any(_NAMES_IDS.search(str(labels[column])) for column in below)
        or _contrasts_with_rows(at, columns, aside)
        or at in after_blank
        or bool(below - above)
    )


def _names_columns(cells: Iterable[Cell]) -> bool:
    """Whether at least two cells, and half of the filled ones, are common column names."""
    filled = [cell for cell in cells if is_filled(cell)]
    words = sum(_normalised(cell) in _COLUMN_WORDS for cell in filled)
    return words > 1 and words * 2 >= len(filled)


_COLUMN_WORDS = frozenset({
    "account", "account name", "address", "amount", "anrede", "ansprechpartner", "betrag",
    "bezeichnung", "branche", "city", "client", "company", "company name", "contact",
    "contact name", "country", "created", "customer", "date", "datum", "description", "domain",
    "e mail", "email", "employees", "firma", "firmenname", "first name", "full name", "industry",
    "job title", "kontakt", "kunde", "land", "last name", "lead", "mail", "mobile", "nachname",
    "name", "nom", "nombre", "note", "notes", "ort", "organisation", "organization", "owner",
    "person", "phone", "plz", "postal code", "prenom", "region", "role", "source", "stadt",
    "stage", "state", "status", "strasse", "street", "surname", "telefon", "telephone", "title",
    "type", "unternehmen", "url", "vorname", "website", "ville", "zip",
})  # fmt: skip
"""Common column names of exported lists, normalized; cells rarely hold just one of these words."""


def find_header_in_doubt(
    header: Sequence[str], columns: Cells, aside: set[int], odd: Sequence[NonUuidCells]
) -> int | None:
    """Find a row that may be a second header: labels in all named columns, between rows with IDs.

    It may instead be a row with a word in place of its ID, so it only leads to a notice. Returns
    ``None`` if there is no such row, or more than one.
    """
    named = [at for at, name in enumerate(header) if name.strip()]
    found = []
    for at in _rows_without_ids(columns, odd):
        labels = [column[at] for column in columns]
        whole = len(named) > 1 and all(is_filled(labels[column]) for column in named)
        if at in aside or not whole or not _is_label_row(labels):
            continue
        below = _id_columns(columns, range(at + 1, len(columns[0])), aside)
        above = _id_columns(columns, range(at - 1, -1, -1), aside)
        if below and above and all(_may_name_ids(labels[column]) for column in below):
            found.append(at)
        if len(found) > 1:
            return None
    return found[0] if found else None


_NAMES_IDS = re.compile(
    r"(\b|_)(id|ids|uuid|guid|key|ref|reference|code|nr|no|number)\b"
    r"|schl(ü|ue?)ssel|kennung|nummer|identifi|clave|código|numéro|référence",
    re.IGNORECASE,
)


def _contrasts_with_rows(at: int, columns: Cells, aside: set[int]) -> bool:
    """Whether a row has a label in a column that otherwise holds numbers or dates nearby."""
    near = [*range(max(at - NEARBY_ROWS, 0), at), *range(at + 1, at + 1 + NEARBY_ROWS)]
    for column in columns:
        around = [column[row] for row in near if row < len(column) and row not in aside]
        filled = [cell for cell in around if is_filled(cell) and not _is_id(cell)]
        others = [cell for cell in filled if not _is_label(cell)]
        if is_filled(column[at]) and len(others) > 1 and len(others) * 4 > len(filled) * 3:
            return True
    return False


NEARBY_ROWS = 20
"""Number of rows above and below a row to check for what its columns hold."""


def _id_columns(columns: Cells, rows: Iterable[int], aside: set[int]) -> set[int]:
    near = list(islice((at for at in rows if at not in aside), NEARBY_ROWS))
    return {
        number for number, column in enumerate(columns) if any(_is_id(column[at]) for at in near)
    }


def _may_name_ids(cell: Cell) -> bool:
    if not (is_filled(cell) and _is_label(cell)):
        return False
    parsed = parse_id(cell)
    return isinstance(parsed, DamagedId) and parsed.kind is IdKind.OTHER
