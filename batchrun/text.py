"""Text for people: numbers, durations, shortened and masked text, shell quoting. Pure."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import unicodedata
from html import escape
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from batchrun.model import JSON


Kind = TypeVar("Kind", bound=str)
Shown = TypeVar("Shown")

OFFERED = 3
"""How many close matches are suggested at most."""


def duration(seconds: float) -> str:
    """A duration in its two largest units, such as ``3 h 20 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"


def plural(number: int, noun: str, several: str = "") -> str:
    """A counted noun, such as ``1 row`` or ``12,000 rows``."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


_CONDITION = re.compile(r"\[<(?P<equal>=?)(?P<limit>\d{1,15})\](?P<small>[^;]*);(?P<large>.*)")


def as_displayed(value: Shown, code: str) -> Shown | str:
    """A value as a spreadsheet displays it with a number format that keeps leading zeros.

    Args:
        value: A cell.
        code: A format of zeros and separators, such as ``00000`` or ``000-00-0000``, or two of them
            with a condition, such as ``[<=99999]00000;00000-0000``; ``""`` for any other.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return value
    if found := _CONDITION.fullmatch(code):
        limit = int(found["limit"]) + bool(found["equal"])
        code = found["small" if value < limit else "large"]
    if not (places := code.count("0")):
        return value
    digits = str(value).zfill(places)
    rest = iter(digits[len(digits) - places :])
    placed = "".join(next(rest) if character == "0" else character for character in code)
    first = code.index("0")
    return placed[:first] + digits[: len(digits) - places] + placed[first:]


CANT_BE_SENT = "can't be sent"
"""How texts for people describe a row whose outcome is "invalid"."""


def counted(counts: Mapping[Kind, int]) -> str:
    """Counts as text without the zeros, such as ``38 completed, 2 failed``."""
    return ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number) or "none"


def columns_of(text: str) -> int:
    """How many terminal columns a text takes: two per wide character, none per combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def one_line(
    text: str, most: int, mark: str = "…", length: Callable[[str], int] = columns_of
) -> str:
    """A text on one line of at most ``most`` columns; the mark shows that it was shortened."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(text.split())
    if length(line) <= most and len(line) <= 4 * most:  # a column can have many accents
        return line
    line = line[:most]  # only combining characters take less than a column
    while line and length(line) > most - len(mark):
        line = line[:-1]
    return line + mark


def visible(text: str, kept: str = "\n\t") -> str:
    """A text that is safe in a terminal: control characters are escaped, except those in ``kept``.

    For text that may come from a file, a file name or the service.
    """
    if text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode() if each not in kept and _is_control(each) else each
        for each in text
    )


def _is_control(character: str) -> bool:
    # not all of Cf: emoji are joined by such characters
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _DIRECTIONS


_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""They reverse the reading direction (Unicode Standard Annex 9)."""


def close_matches(typed: str, known: Iterable[str], most: int = OFFERED) -> list[str]:
    """The known names most similar to what was typed, ignoring case, best first."""
    by_letters = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(typed.strip().casefold(), by_letters, most)
    return [by_letters[each] for each in found]


def listed(names: Sequence[str], most: int, between: str = ", ", total: int = 0) -> str:
    """The first names as text, and how many others there are: ``a, b and 3 more``.

    ``total`` counts the names if only the first are given.
    """
    shown = names[:most]
    left = max(total, len(names)) - len(shown)
    return between.join(shown) + (f"{between.rstrip(', ')} and {left:,} more" if left else "")


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """The start of a hint, such as ``Did you mean run? ``; ``""`` if nothing is similar."""
    close = close_matches(typed, known)
    return f"Did you mean {' or '.join(close)}? " if close else ""


def strict_json(
    text: str, object_of: Callable[[list[tuple[str, JSON]]], JSON] | None = None
) -> JSON:
    """Parse JSON without NaN and Infinity, which the standard doesn't have.

    ``object_of`` makes an object from its members, such as `unique_members`.

    Raises:
        ValueError: It is not JSON, or is nested too deeply.
    """

    def finite(number: str) -> float:
        if not math.isfinite(parsed := float(number)):
            raise ValueError(f"it holds {number}")
        return parsed

    try:
        parsed: JSON = json.loads(
            text, parse_constant=finite, parse_float=finite, object_pairs_hook=object_of
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return parsed


def unique_members(members: list[tuple[str, JSON]]) -> dict[str, JSON]:
    """Return the members of a JSON object.

    Raises:
        ValueError: Two have the same name; a dict would keep only the last.
    """
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name occurs twice in an object")
    return found


def whole_number(typed: str) -> int | None:
    """Parse a whole number from 1 to 999,999,999; ``None`` for any other text."""
    return int(typed) or None if re.fullmatch("[0-9]{1,9}", typed) else None


def json_or_text(typed: str) -> JSON:
    """Parse a parameter's value as it was typed: as JSON, or else as text."""
    try:
        return strict_json(typed)
    except ValueError:
        return typed


def as_json(value: JSON) -> str:
    """Return JSON text for people: only the escapes that JSON requires."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        return "".join(_nested_json(value))


class _Written(str):
    """Text that is JSON already."""

    __slots__ = ()


def _nested_json(value: JSON) -> Iterator[str]:
    """Yield JSON for a value that Python's encoder rejects, such as a deeply nested one."""
    waiting: list[JSON] = [value]
    while waiting:
        match waiting.pop():
            case _Written() as text:
                yield text
            case dict() as entries:
                inner: list[JSON] = [_Written("{")]
                for key, entry in entries.items():
                    inner += [_Written(f"{', ' * (len(inner) > 1)}{as_json(key)}: "), entry]
                waiting += reversed([*inner, _Written("}")])
            case list() as items:
                inner = [_Written("[")]
                for item in items:
                    inner += [_Written(", " * (len(inner) > 1)), item]
                waiting += reversed([*inner, _Written("]")])
            case other:
                yield json.dumps(other, ensure_ascii=False, default=repr)


def html_table(title: str, lines: Iterable[tuple[str, str]]) -> str:
    """A small table for a notebook. All text is escaped."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in lines
        if text
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


HIDDEN = "***"
MASK = "[masked]"
MIN_SECRET_CHARACTERS = 8
"""A shorter word is not a key, and masking it would garble any text."""

_secrets: set[str] = set()


def hide_secret(secret: str) -> None:
    """Make `masked` hide this from now on; called wherever a key enters the program."""
    if len(secret) >= MIN_SECRET_CHARACTERS:
        _secrets.add(secret)


def holds_secret(text: str) -> bool:
    """Whether a text contains a key that was read or typed."""
    return any(secret in text for secret in _secrets)


_SECRET_NAMES = re.compile(r"key|token|secret|passw", re.IGNORECASE)
_PLACES_OF_SECRETS = (
    re.compile(  # up to the last @ of a line
        r"(?P<kept>\b[a-z][a-z0-9+.-]{0,30}://)[^\r\n]{1,2000}@", re.IGNORECASE
    ),
    re.compile(
        r"(?P<kept>\b(?:x-api-key|api[-_]?key|(?:proxy-)?authorization|(?:set-)?cookie)"
        r"[\"']?\s{0,9}[,:=]\s{0,9})[^\r\n]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<kept>[?&](?:ssl)?password=)[^&\r\n]*", re.IGNORECASE),
    re.compile(
        r"(?P<kept>\b(?:ssl)?password[\"']?\s{0,9}[=:]\s{0,9})"
        r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^&\s]+)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<kept>\b(?:bearer|basic)\s{1,9})[^\s'\",;]+", re.IGNORECASE),
    re.compile(r"(?P<kept>\bheader values?\b:?\s{0,9})[^\r\n]+", re.IGNORECASE),
)


def spellings(secret: str) -> set[str]:
    """How logs, JSON and addresses may spell a secret."""
    escaped = json.dumps(secret)[1:-1]
    return {secret, escaped, escaped.replace("/", "\\/"), repr(secret)[1:-1], quote(secret, "")}


def masked(text: str, more: Iterable[str] = ()) -> str:
    """A text without secrets, and without anything that stands where secrets usually do.

    This is the only place that masks. It hides every key that was read or typed, the values of
    environment variables whose names suggest a secret, and ``more``, in any spelling that logs use.
    """
    named = (value for name, value in os.environ.items() if _SECRET_NAMES.search(name))
    secrets = {each for each in (*_secrets, *named, *more) if len(each) >= MIN_SECRET_CHARACTERS}
    found = {spelling for secret in secrets for spelling in spellings(secret)}
    for spelling in sorted(found, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    for place in _PLACES_OF_SECRETS:
        text = place.sub(rf"\g<kept>{MASK}", text)
    return text


# Two letters at least: C://lists/journal.db is a path.
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+://)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_SECRETS_OF_QUERY = re.compile(r"(?P<kept>[?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def without_password(address: str) -> str:
    """A URL without its password; other text is returned as it is.

    A password may contain any character, even one that should be escaped, so everything before the
    last @ counts as user and password.
    """
    found = _URL.fullmatch(address)
    if found is None:
        return address
    rest = _SECRETS_OF_QUERY.sub(rf"\g<kept>{HIDDEN}", found["rest"])
    head, question, query = rest.partition("?")
    if "@" not in head:  # the question mark may be part of the password
        head, question, query = rest, "", ""
    who, at, host = head.rpartition("@")
    user, colon, _ = who.partition(":")
    shown = f"{user}:{HIDDEN}@{host}{question}{query}" if at and colon else rest
    return found["scheme"] + shown


def without_user(address: str) -> str:
    """A proxy's address without its user name, which may be a token."""
    found = _URL.fullmatch(address)
    scheme, rest = ("", address) if found is None else (found["scheme"], found["rest"])
    _, at, host = rest.rpartition("@")
    return f"{scheme}{HIDDEN}@{host}" if at else address


_SAFE_IN_ANY_SHELL = re.compile(r"[A-Za-z0-9_./:\\+-]+(?:=[A-Za-z0-9_./:\\+-]*)?")
_EXPANDED_IN_QUOTES = re.compile(r"[$`%!\"\x00-\x1f\u201c-\u201e]")
"""What cmd or PowerShell expand inside double quotes; PowerShell accepts typographic quotes."""


def quoted_command(*words: str) -> str:
    """A command that is safe to paste into a shell.

    Quoted for bash and zsh, on Windows for both PowerShell and cmd. No quoting is safe in both of
    those for a word with ``$``, `` ` ``, ``%``, ``!`` or a quote: ``VALUE`` replaces it.
    """
    return " ".join(map(_quoted_for_windows if os.name == "nt" else _quoted_for_posix, words))


def _quoted_for_posix(word: str) -> str:
    if _SAFE_IN_ANY_SHELL.fullmatch(word) and "\\" not in word:
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _quoted_for_windows(word: str) -> str:
    if _SAFE_IN_ANY_SHELL.fullmatch(word):
        return word
    if _EXPANDED_IN_QUOTES.search(word):
        return "VALUE"
    trailing = len(word) - len(word.rstrip("\\"))
    return f'"{word}{chr(92) * trailing}"'  # else the last one would escape the quote
