"""Locations: a journal's path or database URL, and the service's address.

SQLAlchemy is imported only to read a URL, never for a path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchrun.advice import Action, Advice
from batchrun.errors import JournalError, UsageError
from batchrun.text import HIDDEN, hide_secret, without_password

if TYPE_CHECKING:
    from pathlib import PurePath

    from sqlalchemy import URL


# At least two letters: C://lists/journal.db is a path.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_PATH = re.compile(r"[./\\~]|[a-z]:[/\\]", re.IGNORECASE)
_SETTING_OF_SERVER = re.compile(
    r"(?:^|[\s;,])(?:host|hostaddr|server|user|user ?id|uid|password|pwd|dbname|database|service)"
    r"\s{0,9}=",
    re.IGNORECASE,
)
_USER_AND_PASSWORD = re.compile(r"[^:]*:.*@", re.DOTALL)
_POSTGRESQL = frozenset({"postgresql", "postgres", "pgsql"})
_EXAMPLE = "Write it as postgresql://USER@HOST/DATABASE, or give the path of a file."
# https://developer.apple.com/documentation/fileprovider: ~/Library/CloudStorage/OneDrive-Personal
_SYNCHRONISED = {
    "onedrive": "OneDrive",
    "dropbox": "Dropbox",
    "googledrive": "Google Drive",
    "iclouddrive": "iCloud Drive",
    "com~apple~clouddocs": "iCloud Drive",
    "nextcloud": "Nextcloud",
}


def is_server(location: str) -> bool:
    """Return whether a journal is on a database server, or looks like it; else it is a file.

    Anything that may contain a password is not a file: a URL of any kind, connection settings such
    as ``host=db password=x``, and ``user:password@host``. `server_url` refuses what it can't read.
    """
    text = location.strip().strip("\"'")
    if _PATH.match(text):
        return False
    return bool(
        _SCHEME.match(text) or _SETTING_OF_SERVER.search(text) or _USER_AND_PASSWORD.match(text)
    )


def shown(location: str) -> str:
    """Return a journal's location in a form that is safe to show: without a password."""
    if not is_server(location):
        return location
    text = location.strip().strip("\"'")
    known = re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE)
    return without_password(text) if known else HIDDEN


def synchronised_by(path: PurePath) -> str | None:
    """Return the sync service that copies a path's folder, judged by the folder's name. Pure.

    The service may restore an older copy, or lock the file while SQLite needs it.
    """
    names = (part.lower().replace(" ", "").partition("-")[0] for part in path.parent.parts)
    return next((_SYNCHRONISED[name] for name in names if name in _SYNCHRONISED), None)


def server_url(location: str) -> URL:
    """Return the URL in SQLAlchemy's form.

    Raises:
        JournalError: The URL is for another kind of database, or can't be read.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    location = location.strip().strip("\"'")
    found = _SCHEME.match(location)
    scheme = found[1].lower().partition("+")[0] if found else ""
    if scheme in {"sqlite", "file"}:
        raise JournalError(f"The journal is given as a {scheme} URL.", "Give its path alone.")
    if not found or "://" not in location:
        raise JournalError("The journal is neither a path nor a URL batchrun knows.", _EXAMPLE)
    if scheme not in _POSTGRESQL:
        raise JournalError(f"batchrun keeps no journal in a database of {scheme}.", _EXAMPLE)
    location = f"postgresql{location[len(found[1]) :]}"
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):
        raise JournalError("The journal's URL can't be read.", _EXAMPLE) from None
    if url.host and "@" in url.host:  # part of the password would be shown as the host name
        raise JournalError(
            "The journal's URL can't be read: its password holds an @.",
            "Write it as %40; or leave the password to PGPASSWORD or ~/.pgpass.",
        )
    if not url.database:
        raise JournalError("The journal's URL names no database.", _EXAMPLE)
    if isinstance(url.password, str):
        hide_secret(url.password)
    return url.set(drivername="postgresql+psycopg")


DEFAULT_BASE_URL = "https://api.pipelinegeneration.ai/v1"
SANDBOX_JOURNALS = ("sandbox.db", "imitated.db")
"""File names of the sandbox's journals, beside the user's own journal."""

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
DEFAULT_PORTS = {"http": 80, "https": 443}

_BASE_URL_HINT = Advice(
    "",
    "Set BATCHRUN_BASE_URL to an address such as https://api.example.com/v1.",
    Action.CHECK_ADDRESS,
)


PRACTICE_PATH = "/practice/v1"
"""Path of the sandbox behind ``--sandbox`` and the page's practice mode. It listens on any free
port, but counts as the same service: its batches continue and its results are reused."""


def service_of(base_url: str) -> str:
    """Return one spelling for all base URLs of the same service.

    This is `_normalized`, but without the practice sandbox's port, which changes with each start.
    """
    normalized = _normalized(base_url)
    if is_practice(normalized):
        return urlsplit(normalized)._replace(netloc="127.0.0.1").geturl()
    return normalized


def is_practice(base_url: str) -> bool:
    """Return whether the address is the practice sandbox, of this or an earlier process."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        return False
    return parts.hostname in LOOPBACK_HOSTS and parts.path == PRACTICE_PATH


def _normalized(base_url: str) -> str:
    """Return a base URL without trailing slash and default port, scheme and host in lower case.

    An address that can't be read is returned unchanged.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return base_url
    if ":" in host:  # IPv6
        host = f"[{host}]"
    if port is not None and port != DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    return parts._replace(netloc=host, path=parts.path.rstrip("/")).geturl()


def checked_base_url(base_url: str) -> str:
    """Return the normalized base URL of a service.

    Raises:
        UsageError: It is not the address of a service, or the key would be sent unencrypted.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise UsageError("The base URL is not an address.", _BASE_URL_HINT) from None
    # The messages before this point never quote the URL: it may contain a password or a key.
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError("The base URL holds a user name, a password or a query.", _BASE_URL_HINT)
    unusable = not base_url.isprintable() or len(base_url.split()) != 1
    if parts.scheme not in {"http", "https"} or not host or unusable:
        raise UsageError("The base URL is not an http(s) address.", _BASE_URL_HINT)
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        raise UsageError(
            f"The base URL {parts.geturl()} is not encrypted: others could read the key.",
            "Use https; plain http is for a sandbox on this machine.",
        )
    return _normalized(base_url)


def is_loopback(base_url: str) -> bool:
    """Return whether the address is this machine."""
    return urlsplit(base_url).hostname in LOOPBACK_HOSTS
