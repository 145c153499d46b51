"""What a cell seems to be: filled, a label, an ID, a value. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from batchrun.tables.ids import MIN_ID_CHARACTERS, DamagedId, IdKind, find_id, parse_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchrun.model import Cell

LABEL_CHARACTERS = 120

_NOT_A_LABEL = re.compile(
    r"[+-]?[\d.,\s]+%?"  # a number
    r"|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b.*"  # a date
    r"|[^@\s]++@(?=[^@\s]++\Z)[^@\s]+\.[^@\s]+"  # an e-mail address
    r"|(https?://|www\.).*"
)
_SIGNS = frozenset({"#", "##", "№", "%", "€", "$", "£", "¥", "+/-", "±"})
_CUT_OFF_ID = re.compile(r"(?=.*\d)[0-9a-f]{8}-?[0-9a-f-]{8,}", re.IGNORECASE)


def is_filled(cell: Cell) -> bool:
    """Whether a cell holds anything visible."""
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))


def is_blank(row: Iterable[Cell]) -> bool:
    """Whether all cells are empty; 0 and FALSE are values."""
    return all(cell is None or cell == "" for cell in row)


def is_id(cell: Cell) -> bool:
    """Whether a cell holds an ID, perhaps with letters beyond f."""
    is_long = isinstance(cell, str) and len(cell) > LABEL_CHARACTERS  # not to be kept in memory
    return find_id(cell, lenient=True) is not None if is_long else _is_id(cell)


@lru_cache(maxsize=10_000)  # rows are compared with their neighbors to find headers
def _is_id(cell: Cell) -> bool:
    return find_id(cell, lenient=True) is not None


def holds_id(row: Iterable[Cell]) -> bool:
    """Whether a row contains an ID."""
    return any(map(is_id, row))


def is_like_id(cell: Cell) -> bool:
    """Whether a cell holds an ID, complete or cut off."""
    if not isinstance(cell, str) or len(cell) < MIN_ID_CHARACTERS:
        return False
    return is_id(cell) or bool(_CUT_OFF_ID.fullmatch(cell.strip()))


def is_like_value(cell: Cell) -> bool:
    """Whether a cell can't be a column name: a CRM's ID, an email address or a web address."""
    parsed = parse_id(cell)
    kinds = {IdKind.SALESFORCE, IdKind.EMAIL, IdKind.ADDRESS}
    return isinstance(parsed, DamagedId) and parsed.kind in kinds


def is_label_row(row: Iterable[Cell]) -> bool:
    """Whether all filled cells of a row could be column names."""
    return all(map(is_label, filter(is_filled, row)))


def is_label(cell: Cell) -> bool:
    """Whether a cell could be a column name: a short text, no number, date, address or ID.

    A sign such as # may be one, too.
    """
    return isinstance(cell, str) and len(cell) <= LABEL_CHARACTERS and _is_label(cell)


@lru_cache(maxsize=10_000)
def _is_label(cell: str) -> bool:
    text = cell.strip()
    if text in _SIGNS:
        return True
    if not any(map(str.isalpha, text)) or _NOT_A_LABEL.fullmatch(text):
        return False
    return not is_id(text)


def shown_text(cell: Cell) -> str:
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
