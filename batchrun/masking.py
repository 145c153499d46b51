"""What nobody may see: passwords in addresses, and who has keys at hand. Pure."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
