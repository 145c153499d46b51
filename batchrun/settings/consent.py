"""What a person has agreed to on this machine, remembered in the user's configuration folder.

A folder may hold files from a stranger, so three things need a person once: sending a key to an
address that is not the service's, going on with a batch that was begun with a key this machine has
never used, and writing outside the folders in use because a journal says so.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchrun.errors import UsageError
from batchrun.settings.files import configuration_folder
from batchrun.settings.location import is_loopback, service_of
from batchrun.settings.private_file import PrivateFile

if TYPE_CHECKING:
    from batchrun.settings.model import Settings

FILE_NAME = "agreed.json"
KNOWN_HOSTS = frozenset({"api.pipelinegeneration.ai", "api.getpg.ai"})
"""Hosts of the service."""

MOST_REMEMBERED = 1_000
"""Of each kind; the oldest go first."""


class Consent(StrEnum):
    """What somebody can agree to."""

    ADDRESS = "addresses"
    KEY = "keys"  # the journal's salted hash of a key
    OUTPUT = "outputs"


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """Something that a person must agree to once, because a journal may be a stranger's.

    Attributes:
        kind: What it is about.
        value: What is remembered when they agree.
        what: What is unknown on this machine.
        question: What to ask them.
    """

    kind: Consent
    value: str
    what: str
    question: str


_agreed_now: set[tuple[Consent, str]] = set()
"""What was agreed to in this process, where the file may not be writable."""


def has_agreed(kind: Consent, value: str) -> bool:
    """Whether a person has agreed to this on this machine."""
    if (kind, value) in _agreed_now:
        return True
    try:
        return value in _read(_file().read()).get(kind, [])
    except (OSError, ValueError):  # as if it were not there
        return False


def agree(kind: Consent, value: str) -> None:
    """Remember that a person has agreed to this; where it can't be written, ask again next time."""
    if has_agreed(kind, value):
        return
    _agreed_now.add((kind, value))

    def added(text: str) -> str:
        found = _read(text)
        found[kind] = [*found.get(kind, []), value][-MOST_REMEMBERED:]
        return json.dumps(found, indent=2)

    with suppress(OSError, ValueError, UsageError):
        _file().change(added)


def _file() -> PrivateFile:
    return PrivateFile(configuration_folder() / FILE_NAME)


def _read(text: str) -> dict[str, list[str]]:
    try:
        found = json.loads(text or "{}")
        return {kind: list(found.get(kind, [])) for kind in Consent}
    except (ValueError, TypeError, AttributeError, RecursionError):  # nothing was agreed to
        return {}


def is_known_service(base_url: str) -> bool:
    """Whether an address is the service's own, encrypted."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" and parts.hostname in KNOWN_HOSTS and parts.port in {None, 443}


def needs_consent(base_url: str) -> bool:
    """Whether a person has to agree before a key goes to an address.

    Not to the service's own, nor to a sandbox on this machine, nor to one agreed to before.
    """
    known = is_known_service(base_url) or is_loopback(base_url)
    return not known and not has_agreed(Consent.ADDRESS, service_of(base_url))


def require_consent(settings: Settings, base_url: str) -> None:
    """Refuse to send a key to an address that nobody has named or agreed to.

    Raises:
        UsageError: It comes from a file such as a journal, and nobody has agreed to it.
    """
    if settings.stated_service != service_of(base_url) and needs_consent(base_url):
        raise UsageError(
            f"{punycode(base_url)} is not an address of PG:AI, and nobody has agreed to it on this "
            "machine. Nothing was sent there.",
            "If you trust it, name it with --base-url or BATCHRUN_BASE_URL.",
        )


def punycode(base_url: str) -> str:
    """An address with its host in ASCII: letters that only look alike can be told apart."""
    parts = urlsplit(service_of(base_url))
    host = parts.hostname or ""
    try:
        ascii_host = host.encode("idna").decode()
    except UnicodeError:
        ascii_host = host.encode("ascii", "backslashreplace").decode()
    return parts._replace(netloc=parts.netloc.replace(host, ascii_host)).geturl()
