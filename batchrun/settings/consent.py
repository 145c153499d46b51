"""Consents that a person has given on this machine, stored in the user's configuration folder.

A folder may contain files from a stranger, so three things need a person's consent once: sending a
key to an address that is not the service's, continuing a batch that was started with a key this
machine has never used, and writing outside the folders in use because a journal says so.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchrun.advice import Action, Advice
from batchrun.errors import UsageError
from batchrun.settings.files import configuration_folder
from batchrun.settings.location import is_loopback, service_of
from batchrun.settings.private_file import PrivateFile

if TYPE_CHECKING:
    from batchrun.settings.model import Settings

FILE_NAME = "agreed.json"
KNOWN_HOSTS = frozenset({"api.pipelinegeneration.ai", "api.getpg.ai"})
"""The hosts of the service."""

MAX_REMEMBERED = 1_000
"""The most consents of each kind to remember; the oldest are dropped first."""


class Consent(StrEnum):
    """A kind of consent."""

    ADDRESS = "addresses"
    KEY = "keys"  # the journal's salted hash of a key
    OUTPUT = "outputs"
    REPLACE = "written files"  # by batchrun, each with its batch, size and time


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """Something a person must agree to once, because a journal may come from a stranger."""

    kind: Consent
    value: str  # to remember if they agree
    what: str  # the fact that is new to this machine, as a sentence
    question: str


_agreed_now: set[tuple[Consent, str]] = set()
"""Consents given in this process: the file may not be writable."""


def has_agreed(kind: Consent, value: str) -> bool:
    """Return whether a person has agreed to this on this machine."""
    found: dict[str, list[str]] = {}
    with suppress(OSError, ValueError):  # treat an unreadable file as missing
        found = _read(PrivateFile(configuration_folder() / FILE_NAME).read())
    return (kind, value) in _agreed_now or value in found.get(kind, [])


def agree(kind: Consent, value: str) -> None:
    """Remember that a person has agreed to this; if the file can't be written, ask again later."""
    if has_agreed(kind, value):
        return
    _agreed_now.add((kind, value))

    def added(text: str) -> str:
        found = _read(text)
        found[kind] = [*found.get(kind, []), value][-MAX_REMEMBERED:]
        return json.dumps(found, indent=2)

    with suppress(OSError, ValueError, UsageError):
        PrivateFile(configuration_folder() / FILE_NAME).change(added)


def _read(text: str) -> dict[str, list[str]]:
    try:
        found = json.loads(text or "{}")
        return {kind: list(found.get(kind, [])) for kind in Consent}
    except (ValueError, TypeError, AttributeError, RecursionError):  # treat as no consents
        return {}


def is_known_service(base_url: str) -> bool:
    """Return whether an address is the service's own, encrypted."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" and parts.hostname in KNOWN_HOSTS and parts.port in {None, 443}


def needs_consent(base_url: str) -> bool:
    """Return whether a person must agree before a key is sent to an address.

    The service, a sandbox on this machine and addresses agreed to before need no consent.
    """
    known = is_known_service(base_url) or is_loopback(base_url)
    return not known and not has_agreed(Consent.ADDRESS, service_of(base_url))


def require_agreed_address(settings: Settings, base_url: str) -> None:
    """Refuse to send a key to an address that nobody has named or agreed to.

    Raises:
        UsageError: The address comes from a file such as a journal, and nobody has agreed to it.
    """
    if settings.named_service != service_of(base_url) and needs_consent(base_url):
        raise UsageError(
            f"{punycode(base_url)} is not an address of PG:AI, and nobody has agreed to it on this "
            "machine. Nothing was sent there.",
            Advice(
                "",
                "If you trust it, name it with --base-url or BATCHRUN_BASE_URL.",
                Action.CHECK_ADDRESS,
            ),
        )


def punycode(base_url: str) -> str:
    """Return an address with its host in ASCII, to expose letters that only look alike."""
    parts = urlsplit(service_of(base_url))
    host = parts.hostname or ""
    try:
        ascii_host = host.encode("idna").decode()
    except UnicodeError:
        ascii_host = host.encode("ascii", "backslashreplace").decode()
    return parts._replace(netloc=parts.netloc.replace(host, ascii_host)).geturl()
