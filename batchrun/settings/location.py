"""What names a journal: the path of a SQLite file, or the URL of a PostgreSQL database. Pure.

SQLAlchemy is loaded when a URL is read, and never for a path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batchrun.errors import JournalError
from batchrun.masking import without_password

if TYPE_CHECKING:
    from pathlib import PurePath

    from sqlalchemy import URL

# Two letters at least: C://lists/journal.db is a path.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_POSTGRESQL = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_EXAMPLE = "Write it as postgresql://USER@HOST/DATABASE, or give the path of a file."
# https://developer.apple.com/documentation/fileprovider: ~/Library/CloudStorage/OneDrive-Personal
_SYNCHRONISED = {
    "onedrive": "OneDrive",
    "dropbox": "Dropbox",
    "google drive": "Google Drive",
    "googledrive": "Google Drive",
    "icloud drive": "iCloud Drive",
    "iclouddrive": "iCloud Drive",
    "com~apple~clouddocs": "iCloud Drive",
    "nextcloud": "Nextcloud",
}


def is_server(location: str) -> bool:
    """Whether a journal is a database of a server; else it is a file."""
    return _SCHEME.match(location) is not None


def shown(location: str) -> str:
    """A journal's name as it may be shown: without a password."""
    return without_password(location) if is_server(location) else location


def synchronised_by(path: PurePath) -> str | None:
    """Which service copies a path's folder to other machines, judged by its name. Pure.

    It may put back an older copy, or hold the file while SQLite wants it.
    """
    for part in path.parent.parts:
        for name, service in _SYNCHRONISED.items():
            if part.lower() == name or part.lower().startswith((f"{name} - ", f"{name}-")):
                return service
    return None


def server_url(location: str) -> URL:
    """The URL as SQLAlchemy connects by it.

    Raises:
        JournalError: It is of another kind of database, or can't be read.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    found = _SCHEME.match(location)
    scheme = found[1].lower() if found else ""
    if scheme not in _POSTGRESQL:
        raise JournalError(f"batchrun keeps no journal in a database of {scheme}.", _EXAMPLE)
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):
        raise JournalError("The journal's URL can't be read.", _EXAMPLE) from None
    if url.host and "@" in url.host:  # what stands before it would be shown as a host's name
        raise JournalError(
            "The journal's URL can't be read: its password holds an @.",
            "Write it as %40; or leave the password to PGPASSWORD or ~/.pgpass.",
        )
    if not url.database:
        raise JournalError("The journal's URL names no database.", _EXAMPLE)
    return url.set(drivername="postgresql+psycopg")
