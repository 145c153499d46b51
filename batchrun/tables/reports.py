"""Recognize the parts of a report export that are not rows of the list, and second headers.

A row is set aside only if its text identifies it (as a total, a group or a footer) and it holds no
ID or other data. A row that only looks like part of the report stays in the list, with a notice.
"""

from __future__ import annotations

import operator
import re
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from batchrun.tables.cells import (
    LABEL_CHARACTERS,
    holds_id,
    is_filled,
    is_id,
    is_label,
    is_label_row,
    shown_text,
)
from batchrun.tables.ids import DamagedId, IdKind, find_id, parse_id
from batchrun.tables.roles import is_known_name, normalise, plural_of, roles_named
from batchrun.tables.sheets import BLOCK_ROWS
from batchrun.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from batchrun.model import Cell
    from batchrun.tables.frames import Cells, Lines
    from batchrun.tables.store import StoredColumn

FOOTER_ROWS = 15
SHOWN_TEXTS = 3
SHOWN_CHARACTERS = 50

_NUMERIC = re.compile(r"[(+-]?\s*+([A-Z]{3}|[$€£¥])?[\d.,'\s]++(%|[A-Z]{3}|[$€£¥])?\)?")
_SHORT = r"(?=(?s:.{0,1000})\Z)"
"""Longer texts are not totals or groups, and the patterns below would be slow on them."""

_TOTAL = re.compile(
    _SHORT
    + r"((grand\s+|sub[\s-]*|report\s+|overall\s+)?totals?(\s+(records?|rows?|count|amount)\b.*+)?"
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
"""A cell of a line of dashes, as some programs print below a header."""


IdColumn: TypeAlias = "tuple[npt.NDArray[np.object_] | StoredColumn, list[int]]"
"""A column that holds IDs, and the positions of its cells that don't look like a UUID."""


class Body:
    """All that stands below the header, while its rows are told from the rest.

    Rows are told by their positions, not by their lines.
    """

    def __init__(
        self, names: list[str], columns: Cells, lines: Lines, after_blank: set[int]
    ) -> None:
        self.names, self.columns, self.lines = names, columns, lines
        self.after_blank = after_blank
        self.aside: set[int] = set()  # the rows that are not rows of the list
        self.id_columns = _id_columns(columns)
        odd = [set(places) for _, places in self.id_columns]
        left = sorted(set.intersection(*odd)) if odd else []
        # The rows without an ID; none if the list has no ID columns
        self.without_ids = [at for at in left if not holds_id(self.filled(at))]
        self._without_ids = frozenset(self.without_ids)

    def __len__(self) -> int:
        return len(self.lines)

    def row(self, at: int) -> list[Cell]:
        """Return the cells of a row."""
        return [column[at] for column in self.columns]

    def filled(self, at: int) -> list[Cell]:
        """Return the filled cells of a row."""
        return list(filter(is_filled, self.row(at)))

    def holding_ids(self, rows: Iterable[int], aside: Collection[int]) -> set[int]:
        """Return the columns that hold IDs in the first of some rows that are not set aside."""
        near = set(islice((at for at in rows if at not in aside), NEARBY_ROWS)) - self._without_ids
        return {
            number
            for number, column in enumerate(self.columns)
            if any(is_id(column[at]) for at in near)
        }


def _id_columns(columns: Cells) -> list[IdColumn]:
    """Find the columns that hold IDs in a sample of rows, and their cells that may not be IDs."""
    count = len(columns[0])
    sample = sorted({*range(min(count, 60)), *range(0, count, count // 200 + 1),
                     *range(max(count - 60, 0), count)})  # fmt: skip
    return [
        (column, _unlike_uuids(column))
        for column in columns
        if any(is_id(column[at]) for at in sample)
    ]


def _unlike_uuids(column: Iterable[Cell]) -> list[int]:
    """Return the positions of the cells that don't look like a UUID.

    Checks length and hyphens instead of parsing each cell, which would be slow: nearly all UUIDs
    are 36 characters long. Blocks in which all cells look like one are checked as one text.
    """
    places: list[int] = []
    cells, first = iter(column), 0
    while block := list(islice(cells, BLOCK_ROWS)):
        texts = [cell for cell in block if isinstance(cell, str) and len(cell) == 36]
        text = "".join(texts)
        if len(texts) < len(block) or text[8::36].strip("-") or "-" in text[::36]:
            places += [
                at
                for at, cell in enumerate(block, start=first)
                if not (isinstance(cell, str) and len(cell) == 36 and cell[8] == "-" != cell[0])
            ]
        first += len(block)
    return places


def set_aside_report_rows(body: Body, *, report: bool) -> list[str]:
    """Set aside the rows that belong to the report, not to the list.

    Totals and groups are searched only if the file is clearly a report: it has lines above the
    header (``report``), a footer, or a total in its last rows.

    Returns:
        Notices about these rows, and about rows that only look like part of the report.
    """
    repeated = _repeated(body)
    footers = _footers(body)
    found: dict[str, list[int]] = {"group": [], "total": [], "doubtful": []}
    kinds = {
        "repeated header": repeated,
        "title above a repeated header": _titles(body, repeated),
        "group row": found["group"],
        "subtotal or total": found["total"],
        "footer line": footers,
        "line of dashes": _rows_of_texts(body, _RULE.fullmatch),
        "row of unticked boxes": _rows_of_texts(body, _UNTICKED.__contains__),
    }
    named = set().union(*kinds.values())
    end = len(body) - len(footers)
    marked = any(_kind(body.filled(at)) == "total" for at in range(max(0, end - 3), end))
    if report or marked or footers:
        for at, cells in enumerate(islice(zip(*body.columns, strict=True), end)):
            if kind := _kind(list(filter(is_filled, cells))):
                found[kind].append(at)
    body.aside.update(*kinds.values())
    said = [
        set_aside_notice(
            kind, [(int(body.lines[at]), shown_text(body.filled(at)[0])) for at in positions]
        )
        for kind, positions in kinds.items()
        if positions
    ]
    if doubtful := [at for at in found["doubtful"] if at not in named]:
        where = places([int(body.lines[at]) for at in doubtful])
        rows = plural(len(doubtful), "row looks", "rows look")
        said.append(f"{rows} like part of the report, but may be data: kept ({where})")
    return said


def set_aside_notice(kind: str, found: Sequence[tuple[int, str]]) -> str:
    """Return a notice about lines set aside: how many, where, and the first few texts."""
    several = "subtotals and totals" if kind == "subtotal or total" else plural_of(kind)
    counted = plural(len(found), kind, several)
    shown = (one_line(text, SHOWN_CHARACTERS) for _, text in found[:SHOWN_TEXTS])
    texts = "; ".join(dict.fromkeys(shown))
    more = "; …" if len(found) > SHOWN_TEXTS else ""
    where = places([line for line, _ in found])
    return f"{counted} set aside ({where}: {texts}{more})"


def places(lines: Sequence[int]) -> str:
    """Return the numbers of some lines, in ascending order, in words."""
    if len(lines) == 1:
        return f"line {lines[0]}"
    if lines[-1] - lines[0] == len(lines) - 1:
        return f"lines {lines[0]}-{lines[-1]}"
    shown = ", ".join(map(str, lines[:5]))
    return f"lines {shown}{', …' if len(lines) > 5 else ''}"


def _rows_of_texts(body: Body, is_such: Callable[[str], object]) -> list[int]:
    """Return the rows without IDs whose filled cells, at least one, all match as text."""
    return [
        at
        for at in body.without_ids
        if (row := body.filled(at)) and all(is_such(_folded(each)) for each in row)
    ]


def _folded(cell: Cell) -> str:
    """Return a text or truth value as lowercase text; ``""`` for other values."""
    return str(cell).strip().casefold() if isinstance(cell, str | bool) else ""


_UNTICKED = frozenset({
    "false", "falsch", "faux", "falso", "onwaar", "falskt", "fałsz", "ложь", "☐",
})  # fmt: skip
"""Unticked boxes as spreadsheets export them in several languages."""


def _titles(body: Body, repeated: Sequence[int]) -> list[int]:
    """Return the rows with a single label directly above repeated headers."""
    found, without_ids = [], set(body.without_ids)
    for at in repeated:
        above = at - 1
        while above in without_ids and len(row := body.filled(above)) == 1 and is_label(row[0]):
            found.append(above)
            above -= 1
    return sorted(found)


def _kind(filled: list[Cell]) -> str:
    """Classify a row by its filled cells: ``total``, ``group``, ``doubtful``, ``""`` for data."""
    first = filled[0] if filled else None
    cells = [cell.strip() for cell in filled if isinstance(cell, str)]
    texts = [text for text in cells if not _NUMERIC.fullmatch(text)]
    named = any(map(_TOTAL.fullmatch, texts)) or (
        len(texts) == 1 < len(filled) and _TOTAL_WITH_NUMBERS.fullmatch(texts[0]) is not None
    )
    if (not named and len(filled) > 1) or any(map(find_id, filled)):
        return ""
    if named:
        known = all(_TOTAL.fullmatch(each) or _TOTAL_WITH_NUMBERS.fullmatch(each) for each in texts)
        return "total" if len(texts) == 1 or known else "doubtful"
    if isinstance(first, str) and _GROUP.fullmatch(first.strip()):
        return "group"
    return "doubtful" if isinstance(first, str) else ""


def _footers(body: Body) -> list[int]:
    """Find the footer: rows at the end with one cell each, at least one with a footer's text."""
    start = named = count = len(body)
    for at in reversed(range(max(0, count - FOOTER_ROWS), count)):
        row = body.filled(at)
        text = row[0] if len(row) == 1 else None
        if not isinstance(text, str) or find_id(text):
            break
        if _TOTAL.fullmatch(text.strip()) or _GROUP.fullmatch(text.strip()):
            break
        if _FOOTER.fullmatch(text.strip()):
            named = start = at
        elif at in body.after_blank and named < count and len(body.columns) > 1:
            start = at
    return list(range(start, count)) if start else []


def _repeated(body: Body) -> list[int]:
    """Find rows that repeat the header, as reports do on each page."""
    names = [normalise(name) for name in body.names]
    if sum(map(bool, names)) < 2 and not any(map(is_known_name, body.names)):
        return []
    names += [""] * (len(body.columns) - len(names))
    return [
        at
        for at in body.without_ids
        if all(map(operator.eq, map(_normalised, body.row(at)), names))
    ]


def _normalised(cell: Cell) -> str | None:
    if not is_filled(cell):
        return ""
    return normalise(cell) if isinstance(cell, str) and len(cell) <= LABEL_CHARACTERS else None


def find_second_header(body: Body) -> tuple[int, int] | None:
    """Find the header of a second table in the file.

    The header of a table below the list holds only labels, and has a label above each column with
    IDs. In addition, one sign of a header is required, such as the name of an ID column, a name
    from the list's own header, a blank row before it, or IDs in other columns below it than above
    it. `_is_second` has all of them. A table beside the list needs only the name of an ID column
    above IDs.

    Returns:
        The position where the table starts, which may be its title, and the position of its
        header; ``None`` if there is no second table.
    """
    aside = body.aside | _descriptions(body)
    names = {normalise(name) for name in body.names} - {""}
    candidates = [at for at in body.without_ids if at not in aside]
    first = next((at for at in candidates if _is_second(body, at, names, aside)), None)
    beside = _named_beside(body, aside)
    if beside is not None and (first is None or beside < first):
        return beside, beside
    if first is None:
        return None
    # the first row may be a title, followed by the header
    run = [first]
    for at in candidates[candidates.index(first) + 1 :]:
        if at != run[-1] + 1 or not is_label_row(body.row(at)):
            break
        run.append(at)
    return first, max(run, key=lambda at: len(body.filled(at)))


def _descriptions(body: Body) -> set[int]:
    """Find the rows below the header that describe its columns, such as their types or labels.

    They stand above the first ID, and what they call an ID column has the same role in the header.
    """
    first = next(
        (at for at, row in enumerate(body.without_ids) if at != row), len(body.without_ids)
    )
    below = body.holding_ids(range(first, len(body)), frozenset())
    named = {column: body.names[column] for column in below if column < len(body.names)}
    if not any(map(is_known_name, named.values())):
        return set()
    roles = {column: roles_named(named.get(column)) for column in below}
    return {
        at
        for at in range(first)
        if at not in body.after_blank
        and all(roles_named(body.columns[column][at]) <= roles[column] for column in below)
    }


def _named_beside(body: Body, aside: set[int]) -> int | None:
    """Find the header of a second list beside the first one.

    It is the first row with the name of an ID column above IDs; its other cells don't matter.
    """
    found = [
        at
        for column, places in body.id_columns
        for at in places
        if isinstance(cell := column[at], str)
        and "id" in cell.lower()
        and at not in aside
        and is_known_name(cell)
        and any(map(is_id, column[at + 1 : at + 1 + NEARBY_ROWS]))
    ]
    return min(found, default=None)


def _is_second(body: Body, at: int, names: set[str], aside: set[int]) -> bool:
    labels = body.row(at)
    if not any(map(is_label, labels)):
        return False
    below = body.holding_ids(range(at + 1, len(body)), aside)
    if any(is_known_name(labels[column]) for column in below):
        return True
    if not below or not is_label_row(labels):
        return False
    if not all(_may_name_ids(labels[column]) for column in below):
        return False
    above = body.holding_ids(range(at - 1, -1, -1), aside)
    return (
        any(_normalised(cell) in names for cell in labels if is_filled(cell))
        or _names_columns(labels)
        or any(_NAMES_IDS.search(str(labels[column])) for column in below)
        or _contrasts_with_rows(body, at, aside)
        or at in body.after_blank
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


def find_header_in_doubt(body: Body) -> int | None:
    """Find a row that may be a second header: labels in all named columns, between rows with IDs.

    It may instead be a row with a word in place of its ID, so it only leads to a notice. Returns
    ``None`` if there is no such row, or more than one.
    """
    named = [at for at, name in enumerate(body.names) if name.strip()]
    found = []
    for at in body.without_ids:
        labels = body.row(at)
        whole = len(named) > 1 and all(is_filled(labels[column]) for column in named)
        if at in body.aside or not whole or not is_label_row(labels):
            continue
        below = body.holding_ids(range(at + 1, len(body)), body.aside)
        above = body.holding_ids(range(at - 1, -1, -1), body.aside)
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


def _contrasts_with_rows(body: Body, at: int, aside: set[int]) -> bool:
    """Whether a row has a label in a column that otherwise holds numbers or dates nearby."""
    near = [*range(max(at - NEARBY_ROWS, 0), at), *range(at + 1, at + 1 + NEARBY_ROWS)]
    near = [row for row in near if row < len(body) and row not in aside]
    for column in body.columns:
        around = [column[row] for row in near]
        filled = [cell for cell in around if is_filled(cell) and not is_id(cell)]
        others = [cell for cell in filled if not is_label(cell)]
        if is_filled(column[at]) and len(others) > 1 and len(others) * 4 > len(filled) * 3:
            return True
    return False


NEARBY_ROWS = 20
"""Number of rows above and below a row to check for what its columns hold."""


def _may_name_ids(cell: Cell) -> bool:
    if not (is_filled(cell) and is_label(cell)):
        return False
    parsed = parse_id(cell)
    return isinstance(parsed, DamagedId) and parsed.kind is IdKind.OTHER
