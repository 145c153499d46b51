"""Parse a cell of an ID column: a valid ID, a damaged ID, or an empty cell. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

from batchrun.text import one_line

if TYPE_CHECKING:
    from batchrun.model import Cell

SHOWN_CHARACTERS = 40
"""Maximum number of characters of a damaged value to show in messages."""

EXAMPLE_ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
UUID_DIGITS = 32
MIN_ID_CHARACTERS = UUID_DIGITS // 2
"""Minimum length of a cell with an ID, even if each of its characters stands for two digits."""


class IdKind(StrEnum):
    """The likely content of a cell that is not a UUID; the value is its name in the singular."""

    SALESFORCE = "Salesforce ID"
    HUBSPOT = "HubSpot number"
    SCIENTIFIC = "number that Excel shortened"
    NUMBER = "number"
    TRUNCATED = "incomplete PG:AI ID"
    MISTYPED = "mistyped PG:AI ID"
    FORMULA_ERROR = "formula error"
    EMAIL = "e-mail address"
    DOMAIN = "domain name"
    ADDRESS = "web address"
    PLACEHOLDER = "placeholder"
    SEVERAL = "cell with a PG:AI ID and something else"
    OTHER = "other value"


@dataclass(frozen=True, slots=True)
class ValidId:
    """A UUID in canonical form: lowercase, five groups, hyphens.

    With lenient parsing, it may also be a UUID with letters beyond f, exactly as in the cell.
    """

    value: str


@dataclass(frozen=True, slots=True)
class DamagedId:
    """A value that is not a UUID."""

    # What it seems to be and the likely cause, in plain words and without the value, so that cells
    # can be grouped by reason
    reason: str
    kind: IdKind = IdKind.OTHER  # what it seems to be
    shown: str = ""  # the value in quotes, on one line, and the position of the damage if known


@dataclass(frozen=True, slots=True)
class MissingId:
    """An empty cell."""


ParsedId: TypeAlias = ValidId | DamagedId | MissingId

_HEX = "[0-9a-f]"
_CANONICAL = re.compile(rf"(?![0-]+\Z){_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}")
_PLAIN = re.compile(rf"(?!0+\Z){_HEX}{{32}}")
_LIKE_CANONICAL = re.compile(r"[0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}")
_NOT_HEX = re.compile("[^0-9a-f-]")
_SPACE = re.compile(r"\s")
_ADDRESS = re.compile(r"[^\s=/]*+/\S*")
"""A web address, perhaps without its beginning; not a remark such as *merged on 3/4/2026*."""
_EMBEDDED = re.compile(rf"(?<![0-9a-z-])(?:{_CANONICAL.pattern}|{_PLAIN.pattern})(?![0-9a-z-])")

_SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0xFF0D], "-")
"""Characters that word processors and fonts use in place of a hyphen."""
_INVISIBLE = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u2060\u2066\u2068\u2069\ufeff"
)
_QUOTES = "\"'`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
_BLANKS = f"{_SPACES}{_INVISIBLE}"
_WITHOUT_BLANKS = dict.fromkeys(map(ord, _BLANKS))
_AROUND = f"{_BLANKS}{_QUOTES}{{}}()[]<>,;"
_TEXT_FORMULA = re.compile(rf"=[{_BLANKS}]*[{_QUOTES}].*[{_QUOTES}]", re.DOTALL)
"""A formula such as ``="…"``, which makes Excel keep a value as text; Word makes quotes curly."""

_PLACEHOLDERS = frozenset({
    ".", "?", "x", "n/a", "na", "n.a.", "n.a", "none", "null", "nil", "nan", "\\n", "undefined",
    "unknown", "tbd", "(blank)",
})  # fmt: skip

_CAUSES = tuple(
    (kind, re.compile(pattern), words)
    for kind, pattern, words in (
        (IdKind.FORMULA_ERROR, r"#[\w/]+[!?]?", "is the error of a broken formula, not a PG:AI ID"),
        (
            IdKind.EMAIL,
            r"[^@\s]++@(?=[^@\s]++\Z)[^@\s]+\.[^@\s]+",
            "is an e-mail address, not a PG:AI ID",
        ),
        (
            IdKind.SCIENTIFIC,
            r"[+-]?\d+([.,]\d+)?e[+-]?\d+",
            "is not a PG:AI ID: Excel turned this into a number",
        ),
        (IdKind.HUBSPOT, r"\d{9,12}", "looks like a HubSpot record number, not a PG:AI ID"),
        (IdKind.NUMBER, r"[+-]?\d+([.,]\d+)*", "is a number, not a PG:AI ID"),
        (
            IdKind.SALESFORCE,
            r"(00|a0)[a-z0-9]{13}",
            "looks like a Salesforce ID (15 characters), not a PG:AI ID",
        ),
        (
            IdKind.SALESFORCE,
            r"(00|a0)[a-z0-9]{16}",
            "looks like a Salesforce ID (18 characters), not a PG:AI ID",
        ),
        (IdKind.ADDRESS, r"(https?://|www\.)\S*", "is a web address without an ID in it"),
        (IdKind.DOMAIN, r"([a-z0-9-]+\.)+[a-z]{2,}", "is a domain name, not a PG:AI ID"),
    )
)
"""Kind, pattern for lowercase text, and reason to show; the first match wins."""

_LIKE_A_UUID = range(28, 45)
"""Lengths of texts that were probably meant to be a UUID."""


def parse_id(cell: Cell, *, lenient: bool = False) -> ParsedId:
    """Parse a cell of an ID column.

    Strips white space, zero-width characters, quotes, the equals sign of ``="…"``, braces and
    ``urn:uuid:`` around a UUID, converts it to lowercase, and adds missing hyphens. From a URL
    without white space that contains one UUID, takes the UUID.

    If ``lenient``, also accepts, unchanged, a value with the five groups of a UUID but with letters
    beyond f. The service's documentation shows such a contact ID.
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return MissingId()
    if not isinstance(cell, str):
        return _damaged_value(cell)
    found, bare, lowered = _find(cell, lenient=lenient)
    if found is not None:
        return ValidId(found)
    if not lowered:
        return MissingId()
    kind, words, where = _diagnosis(lowered)
    return DamagedId(words, kind, _shown(bare) + where)


def find_id(cell: Cell, *, lenient: bool = False) -> str | None:
    """Return the ID in a cell, as `parse_id` does; ``None`` if there is none, without a reason."""
    if not isinstance(cell, str) or len(cell) < MIN_ID_CHARACTERS:
        return None
    return _find(cell, lenient=lenient)[0]


def _find(text: str, *, lenient: bool) -> tuple[str | None, str, str]:
    """Return the ID in a text, if any, and the text as `_bare` does."""
    if _CANONICAL.fullmatch(lowered := text.lower()):
        return lowered, text, lowered
    bare, lowered = _bare(text)
    if _is_uuid(whole := lowered.translate(_WITHOUT_BLANKS)):
        return str(UUID(whole)), bare, lowered
    if lenient and _LIKE_CANONICAL.fullmatch(lowered):
        return bare[-len(lowered) :], bare, lowered
    found = _ids_inside(lowered) if _ADDRESS.fullmatch(lowered) else set()
    return found.pop() if len(found) == 1 else None, bare, lowered


def _bare(text: str) -> tuple[str, str]:
    """Return a text without what may stand around an ID, and the same in lowercase."""
    bare = normal_form("NFKC", text.strip(_AROUND))  # full-width digits, ligatures
    if bare.startswith("="):
        inside = bare[1:].strip(_AROUND)
        if _TEXT_FORMULA.fullmatch(text.strip(_BLANKS)) or _is_uuid(_lowered(inside)):
            bare = inside
    return bare, _lowered(bare)


def normal_form(form: Literal["NFKC", "NFKD"], text: str) -> str:
    """Return a Unicode normal form of a text.

    A long text is normalized piece by piece, because many accents in a row take quadratic time.
    """
    size = 200
    if len(text) <= size:
        return unicodedata.normalize(form, text)
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    return "".join(unicodedata.normalize(form, piece) for piece in pieces)


def _lowered(bare: str) -> str:
    return bare.lower().translate(_DASHES).removeprefix("urn:uuid:").strip(_AROUND)


def _is_uuid(lowered: str) -> bool:
    return bool(_CANONICAL.fullmatch(lowered) or _PLAIN.fullmatch(lowered))


def _ids_inside(lowered: str) -> set[str]:
    return {str(UUID(each)) for each in _EMBEDDED.findall(lowered)}


def _diagnosis(lowered: str) -> tuple[IdKind, str, str]:
    """Return the likely kind of a text, why it is not a UUID, and where it is damaged."""
    if ids := _ids_inside(lowered):
        inside = "several PG:AI IDs" if len(ids) > 1 else "a PG:AI ID and other text"
        return IdKind.SEVERAL, f"holds {inside}", ""
    if lowered in _PLACEHOLDERS or not lowered.strip("0-"):
        return IdKind.PLACEHOLDER, "is a placeholder for an empty cell", ""
    for kind, pattern, words in _CAUSES:
        if pattern.fullmatch(lowered):
            return kind, words, ""
    wrong = _NOT_HEX.search(lowered)
    if wrong is None:
        return _count_digits(len(lowered) - lowered.count("-"))
    if len(lowered) in _LIKE_A_UUID and not _SPACE.search(lowered):
        words = "is not a PG:AI ID: a character in it is not one of 0-9 and a-f"
        return IdKind.MISTYPED, words, f", {_named(wrong[0])} at position {wrong.start() + 1}"
    return IdKind.OTHER, "is not a PG:AI ID", ""


def _count_digits(digits: int) -> tuple[IdKind, str, str]:
    if digits == UUID_DIGITS:
        return IdKind.MISTYPED, "is not a PG:AI ID: its hyphens are in the wrong places", ""
    where = f", {digits} letters and digits"
    if digits < UUID_DIGITS:
        words = "is not a PG:AI ID: it has fewer than 32 letters and digits"
        return IdKind.TRUNCATED, words, where
    return IdKind.MISTYPED, "is not a PG:AI ID: it has more than 32 letters and digits", where


def _damaged_value(cell: bool | float | date | time | timedelta) -> DamagedId:
    if isinstance(cell, bool):
        return DamagedId("is a yes/no value, not a PG:AI ID", shown=str(cell).upper())
    if isinstance(cell, int | float):
        text = f"{cell:.15g}" if isinstance(cell, float) else str(cell)
        kind, words, _ = _diagnosis(text)
        return DamagedId(words, kind, _shown(text))
    noun = "date" if isinstance(cell, date) else "time"
    return DamagedId(f"is a {noun}, not a PG:AI ID", shown=_shown(str(cell)))


def _named(character: str) -> str:
    if character.isprintable() and character not in _INVISIBLE and character.isascii():
        return f"'{character}'"
    name = unicodedata.name(character, "control character").lower()
    return f"'{character}' ({name})" if character.isprintable() else name


def _shown(text: str) -> str:
    """Return a value in quotes, on one line, shortened for messages."""
    return f'"{one_line(text, SHOWN_CHARACTERS)}"'
