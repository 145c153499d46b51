"""Numbers and times in words, and values as a notebook shows them. Pure."""

from __future__ import annotations

import difflib
import re
import unicodedata
from abc import ABC, abstractmethod
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


Kind = TypeVar("Kind", bound=str)
Shown = TypeVar("Shown")

OFFERED = 3
"""How many close matches are offered at most."""


def duration(seconds: float) -> str:
    """A time in the two units that matter, such as ``3 h 20 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"


def plural(number: int, noun: str, several: str = "") -> str:
    """A counted noun, such as ``1 row`` or ``12,000 rows``."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def as_displayed(value: Shown, code: str) -> Shown | str:
    """A value as a spreadsheet displays it in a format that keeps leading zeros.

    Args:
        value: A cell.
        code: A format of zeros and separators, such as ``00000`` or ``000-00-0000``; ``""`` for
            any other.
    """
    if not code or isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return value
    places = code.count("0")
    digits = str(value).zfill(places)
    rest = iter(digits[len(digits) - places :])
    placed = "".join(next(rest) if character == "0" else character for character in code)
    first = code.index("0")
    return placed[:first] + digits[: len(digits) - places] + placed[first:]


def counted(counts: Mapping[Kind, int]) -> str:
    """What there is of each kind, such as ``38 completed, 2 failed``; what there is none of not."""
    return ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number) or "none"


def visible(text: str, kept: str = "\n\t") -> str:
    """A text as a terminal may show it: spelled out is what moves its cursor or turns its letters.

    Args:
        text: What may come from a file, a file's name or the service.
        kept: Control characters that stay; none for what has to be on one line.
    """
    if text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode() if each not in kept and _is_control(each) else each
        for each in text
    )


def _is_control(character: str) -> bool:
    # Cf would be too many: emoji are joined by such characters
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _DIRECTIONS


_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""They let a name read backwards (Unicode Standard Annex 9)."""


def meant(typed: str, known: Iterable[str]) -> str:
    """What was probably meant, as the beginning of a hint; ``""`` where nothing is like it."""
    close = difflib.get_close_matches(typed.strip().lower(), known, OFFERED)
    return f"Did you mean {' or '.join(close)}? " if close else ""


def html_table(title: str, lines: Iterable[tuple[str, str]]) -> str:
    """A small table for a notebook; whatever it is given is text and never markup."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in lines
        if text
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


HIDDEN = "***"

# Two letters at least: C://lists/journal.db is a path.
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+://)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_SECRETS_OF_QUERY = re.compile(r"(?P<kept>[?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


class KeepsSecrets(ABC):
    """Whatever holds a key, so that a failure's file can leave it out."""

    __slots__ = ()

    @abstractmethod
    def secrets(self) -> Iterator[str]:
        """The keys it holds."""


def without_password(address: str) -> str:
    """An address as it may be shown; what is none stays as it is.

    A password may hold any character, written as it must not be: all before the last @ is taken for
    user and password.
    """
    found = _URL.fullmatch(address)
    return address if found is None else found["scheme"] + _without_password(found["rest"])


def without_user(address: str) -> str:
    """A proxy's address as it may be shown: its user's name may be a token."""
    found = _URL.fullmatch(address)
    scheme, rest = ("", address) if found is None else (found["scheme"], found["rest"])
    user, at, host = rest.rpartition("@")
    del user
    return f"{scheme}{HIDDEN}@{host}" if at else address


def _without_password(rest: str) -> str:
    rest = _SECRETS_OF_QUERY.sub(rf"\g<kept>{HIDDEN}", rest)
    head, question, query = rest.partition("?")
    if "@" not in head:  # it may be the password that holds the question mark
        head, question, query = rest, "", ""
    who, at, host = head.rpartition("@")
    user, colon, _ = who.partition(":")
    return f"{user}:{HIDDEN}@{host}{question}{query}" if at and colon else rest


SPENT = "The quota is spent for now."

_OPENS = f"{SPENT} It opens again at "  # a note that ends in the service's words begins otherwise
_MINUTE = "%Y-%m-%d %H:%M"
_ZONE = " UTC."


def spent_until(moment: datetime) -> str:
    """The note of a batch that waits for its quota.

    Args:
        moment: When it opens; UTC.
    """
    return f"{_OPENS}{moment:{_MINUTE}}{_ZONE}"


def opens_at(note: str) -> datetime | None:
    """When the quota opens that a batch waits for, by its note; ``None`` where it says nothing."""
    told = note.removeprefix(_OPENS).removesuffix(_ZONE)
    if f"{_OPENS}{told}{_ZONE}" != note:
        return None
    try:
        return datetime.strptime(f"{told}+0000", f"{_MINUTE}%z")
    except ValueError:
        return None
