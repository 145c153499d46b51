"""Errors for database failures, in words that a user can act on. Pure."""

from __future__ import annotations

import errno
import re
import sqlite3

from batchrun.advice import Action, Advice, choose_journal
from batchrun.errors import JournalError, JournalLostError, JournalWriteError

_ELSEWHERE = choose_journal("Name a journal elsewhere")
_NOTHING_LOST = Advice(
    "Nothing that was committed is lost. ",
    "If a batch was running, then run: batchrun resume",
    Action.RESUME,
)

# Primary result codes, https://www.sqlite.org/rescode.html: the low 8 bits of an extended code.
_SQLITE_WORDS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space. " + _NOTHING_LOST),
    sqlite3.SQLITE_READONLY: ("it is read-only", _ELSEWHERE),
    sqlite3.SQLITE_PERM: ("you may not open it", _ELSEWHERE),
    sqlite3.SQLITE_CANTOPEN: (
        "it, or a file beside it, can't be opened",
        "Its folder must be writable. " + _ELSEWHERE,
    ),
    sqlite3.SQLITE_BUSY: (
        "another program keeps it locked",
        "Close what has it open (a database viewer, a backup). " + _NOTHING_LOST,
    ),
    sqlite3.SQLITE_LOCKED: ("another program keeps it locked", _NOTHING_LOST),
    sqlite3.SQLITE_CORRUPT: (
        "it is damaged",
        "Keep it: `sqlite3 JOURNAL .recover` may save most of it. " + _ELSEWHERE,
    ),
    sqlite3.SQLITE_NOTADB: ("it is not a journal of batchrun", _ELSEWHERE),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "Check the disk. " + _NOTHING_LOST),
}
INSUFFICIENT_PRIVILEGE = "42501"
_SERVER_HINT = (
    "Is the server running, does this machine reach it, and are user, password and database right? "
    + _NOTHING_LOST
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_WORDS = {
    "25006": ("it is read-only (a standby?)", "Name the primary server's database."),
    INSUFFICIENT_PRIVILEGE: (
        "this user may not make or change its tables",
        "Give it a database or schema of its own, such as: CREATE DATABASE batchrun OWNER USER",
    ),
    "53100": ("the server's disk is full", "Free some space there. " + _NOTHING_LOST),
    "53300": ("the server has no connection left", _NOTHING_LOST),
    "57P01": ("the server is being stopped", _NOTHING_LOST),
    "57P02": ("the server has crashed", _NOTHING_LOST),
    "57P03": ("the server is starting or stopping", _NOTHING_LOST),
}
_ERRNO_WORDS = {
    errno.ENOSPC: _SQLITE_WORDS[sqlite3.SQLITE_FULL],
    errno.EDQUOT: ("your disk quota is used up", "Free some space. " + _NOTHING_LOST),
    errno.EROFS: ("its disk is read-only", _ELSEWHERE),
    errno.EACCES: ("you may not write there", _ELSEWHERE),
    errno.EPERM: ("you may not write there", _ELSEWHERE),
    errno.EISDIR: ("it is a folder", _ELSEWHERE),
    errno.ENOTDIR: ("its folder is a file", _ELSEWHERE),
    errno.EEXIST: ("its folder is a file", _ELSEWHERE),
}


def unusable(location: str, error: BaseException) -> JournalError:
    """The error for a journal that can't be opened or read."""
    words, hint = _words(error)
    return JournalError(f"The journal {location} can't be used: {words}.", hint)


def unwritable(location: str, error: BaseException) -> JournalWriteError:
    """The error for a journal that was opened, but now can't be written."""
    cause = error.__cause__ or error if isinstance(error, JournalError) else error
    if primary_code(cause) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return lost(location, "was damaged")
    words, hint = _words(cause)
    return JournalWriteError(f"The journal {location} can't be written: {words}.", hint)


def lost(location: str, what: str) -> JournalLostError:
    """The error for a journal whose file was lost or changed while a batch was running."""
    return JournalLostError(
        f"The journal {location} {what} while the batch was running. Nothing more was triggered.",
        "Exclude the journal's folder from cleaning and sync programs.",
    )


def primary_code(error: BaseException) -> int | None:
    """SQLite's primary result code; a journal that has lost a table or column is damaged."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_ERROR and re.match("no such|.* has no column", str(cause)):
        return sqlite3.SQLITE_CORRUPT
    return None if code is None else code & 0xFF


def _words(error: BaseException) -> tuple[str, str]:
    cause = getattr(error, "orig", None) or error
    code = primary_code(error)
    if code in _SQLITE_WORDS:
        return _SQLITE_WORDS[code]
    state = getattr(cause, "sqlstate", None)
    if state in _POSTGRESQL_WORDS:
        return _POSTGRESQL_WORDS[state]
    if type(cause).__module__.startswith("psycopg"):  # its message has a preamble and guesses
        first = str(cause).strip().partition("\n")[0].strip().rstrip(".")
        preamble = r"^(connection (failed|is bad): )?(connection to server .* failed: )?"
        return re.sub(preamble, "", first), _SERVER_HINT
    if isinstance(cause, OSError) and cause.errno in _ERRNO_WORDS:
        return _ERRNO_WORDS[cause.errno]
    text = " ".join(str(cause).split()).rstrip(".") or type(cause).__name__
    return text, _ELSEWHERE
