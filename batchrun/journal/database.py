"""Open the journal's database, with the right file mode, durability, and schema."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, func, select
from sqlalchemy.exc import SQLAlchemyError

from batchrun.advice import Advice, choose_journal
from batchrun.errors import JournalError, JournalLostError
from batchrun.installation import install_hint
from batchrun.journal.errors import INSUFFICIENT_PRIVILEGE, lost, primary_code, unusable
from batchrun.journal.schema import bring_up_to_date
from batchrun.settings.location import is_server, server_url, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


T = TypeVar("T")

_CONNECTING = {
    "application_name": "batchrun",
    "connect_timeout": 10,
    # Give up after 30 s on a server that vanished (unplugged cable, laptop that moved).
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_SCHEMA_LOCK_ID = 0x62617463  # "batc": advisory lock for making or migrating the tables


def connect_to_server(location: str) -> Engine:
    """Return an engine for a server's database; nothing is connected yet.

    Raises:
        JournalError: The URL can't be used, or the extra `postgres` is not installed.
    """
    url = server_url(location)
    given = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            connect_args=given,
            hide_parameters=True,
            isolation_level="REPEATABLE READ",
            pool_pre_ping=True,  # firewalls and sleeping laptops drop connections silently
            pool_size=2,
        )
    except ImportError:
        what = "A journal on a PostgreSQL server needs psycopg."
        raise JournalError(what, install_hint("postgres")) from None
    event.listen(engine, "connect", partial(_make_server_durable, shown(location)))
    return engine


def _make_server_durable(name: str, connection: Any, _record: Any) -> None:
    """Make commits survive a power loss of the server, whatever the role's own setting."""
    import psycopg

    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        connection.commit()
    except psycopg.Error as error:
        raise unusable(name, error) from error


# SQLite's write-ahead log needs working locks, and memory shared by all processes that have the
# file open: https://www.sqlite.org/wal.html#noshm, https://www.sqlite.org/howtocorrupt.html
_NETWORK_FILESYSTEMS = frozenset(
    {
        *("afs", "afpfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "smb3", "smbfs", "webdav"),
        *("fuse.davfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
_MAC_MOUNT = re.compile(r".+ on (/.*) \((\w+)[,)].*")
_MOUNTS = Path("/proc/self/mounts")
_WINDOWS_REMOTE_DRIVE = 4  # DRIVE_REMOTE of GetDriveTypeW


def _prepare(path: Path) -> None:
    """Create the journal's folder and file, never readable by others, even for a moment."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise JournalError(
            f"The journal's path {str(path)!a} is not UTF-8, which SQLite needs.",
            choose_journal("Name another"),
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    filesystem = network_filesystem(path.parent.resolve())
    if filesystem is not None:
        raise JournalError(
            f"The journal {path} would be on a network drive ({filesystem}), where SQLite can "
            "lose what is committed.",
            choose_journal("Name one on a disk of this machine"),
        )
    if path.is_symlink() and not path.exists():
        raise JournalError(
            f"The journal {path} is a link to a file that does not exist.",
            "Connect the disk it is on. " + choose_journal("Name another"),
        )
    if path.exists() and not path.is_file():
        raise JournalError(
            f"The journal {path} is a {'folder' if path.is_dir() else 'device'}, not a file.",
            choose_journal("Name a file"),
        )
    # SQLite names the log after the path: with two names, neither process sees what the other
    # commits (https://www.sqlite.org/howtocorrupt.html, "Multiple links to the same file").
    if path.exists() and path.stat().st_nlink > 1:
        raise JournalError(
            f"The journal {path} has a second name (a hard link): used by both names, it would be "
            "damaged, and rows could be sent twice.",
            "Delete the other name, or copy the journal to a new file. "
            + choose_journal("Name another"),
        )
    # Never open an existing file: closing it would drop the locks that SQLite has on it in this
    # process (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def network_filesystem(folder: Path) -> str | None:
    """The name of the network file system that a folder is on; ``None`` for a local disk."""
    if sys.platform == "win32":
        import ctypes

        remote = ctypes.windll.kernel32.GetDriveTypeW(folder.anchor) == _WINDOWS_REMOTE_DRIVE
        return "network share" if remote else None
    try:
        if sys.platform == "darwin":
            listed = subprocess.run(["/sbin/mount"], capture_output=True, timeout=5, check=False)
            mounts = os.fsdecode(listed.stdout)
        else:
            mounts = os.fsdecode(_MOUNTS.read_bytes())
    except (OSError, subprocess.SubprocessError):
        return None  # this system has no such list
    return network_mount(mounts, folder)


def network_mount(mounts: str, folder: Path) -> str | None:
    """Like `network_filesystem`, from the mounts listed by Linux or printed by macOS. Pure."""
    deepest, found = -1, ""
    for line in mounts.splitlines():
        on_mac = _MAC_MOUNT.fullmatch(line)
        fields = on_mac.groups() if on_mac else line.split()[1:3]
        if len(fields) < 2:
            continue
        point = Path(fields[0].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, found = len(point.parts), fields[1]
    return found if found in _NETWORK_FILESYSTEMS else None


_LOG_MAGICS = (bytes.fromhex("377f0682"), bytes.fromhex("377f0683"))
"""How a log that was written begins: https://www.sqlite.org/fileformat2.html#walformat"""
_LOG_LOST = "lost its log (the file ending in -wal)"
_HAS_SCHEMA = "SELECT 'ok' FROM meta WHERE name = 'schema_version'"


class JournalFile:
    """Detects that the journal's file is no longer the one that was opened.

    SQLite continues to write to a file that was deleted or replaced, and everything is lost when
    the process ends. The files stay open, so no other file can get their inodes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = path.stat()
        self._size = self._opened.st_size
        self._log = path.with_name(f"{path.name}-wal")
        self._opened_log: os.stat_result | None = None
        self._log_was_written = False

    def check(self) -> None:
        """Raise `JournalLostError` if the file or its log is missing, replaced, or incomplete."""
        try:
            found = self.path.stat()
        except OSError:
            raise self._lost("was deleted or moved") from None
        if not os.path.samestat(found, self._opened):
            raise self._lost("was replaced by another file")
        if found.st_size < self._size and not self._is_whole():
            raise self._lost("was truncated or overwritten")
        self._size = found.st_size
        try:
            log = self._log.stat()
        except OSError:
            if self._opened_log is None:
                return
            raise self._lost(_LOG_LOST) from None
        self._opened_log = self._opened_log or log
        if not os.path.samestat(log, self._opened_log):
            raise self._lost(_LOG_LOST)
        try:
            with self._log.open("rb") as file:
                magic = file.read(len(_LOG_MAGICS[0]))
        except OSError:
            return  # too many files are open; the next check may succeed
        # After a truncation, SQLite continues at its old position and leaves zeros before it. Only
        # an empty log may be as SQLite left it, after it copied all of it into the file.
        if magic not in _LOG_MAGICS and (magic or (self._log_was_written and not self._is_whole())):
            raise self._lost(_LOG_LOST)
        self._log_was_written = bool(magic)

    def check_content(self) -> None:
        """Also raise `JournalLostError` if a new connection finds no journal in the file."""
        self.check()
        if not self._finds(_HAS_SCHEMA):
            raise self._lost("was truncated or overwritten")

    def _is_whole(self) -> bool:
        """Whether a file or log that has become smaller was only compacted by another process."""
        return self._finds(_HAS_SCHEMA) and self._finds("PRAGMA quick_check(1)")

    def _finds(self, query: str) -> bool:
        """Whether a new connection answers a query with ``ok``, or can't because of a lock."""
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
                return bool(connection.execute(query).fetchone() == ("ok",))
        except sqlite3.Error as error:
            return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY

    def _lost(self, what: str) -> JournalLostError:
        return lost(str(self.path), what)


_INCREMENTAL = 2
PAGES_AT_ONCE = 2_000

SUSPENDED_SECONDS = 60.0

DEADLOCK = "40P01"
DEADLOCK_TRIES = 5

BUSY_SECONDS = 30.0
BUSY_RETRY_SECONDS = 0.01

_WRITES = "batchrun_writes"
"""Option of a connection to a file: its transactions take the write lock before they read."""


def open_database(location: str) -> Engine:
    """Open the journal, creating it if there is none.

    Later errors of the database are raised as `JournalError`, too.

    Raises:
        JournalError: It can't be opened, is not a journal, or is from a newer batchrun.
    """
    engine = connect_to_server(location) if is_server(location) else _file(location)

    def in_words(context: ExceptionContext) -> JournalError | None:
        error = context.original_exception
        return unusable(shown(location), error) if _is_databases_own(engine, error) else None

    event.listen(engine, "handle_error", in_words, retval=True)
    try:
        with writing(engine) as connection:
            if on_server(engine):  # so no other process makes or migrates tables meanwhile
                connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK_ID)))
            bring_up_to_date(connection, shown(location))
        if not on_server(engine):  # only now: a file that is not a journal must stay unchanged
            for ending in ("", "-wal", "-shm"):  # others may not read it
                file = Path(f"{engine.url.database}{ending}")
                if os.name == "posix" and file.exists() and file.stat().st_mode & 0o077:
                    file.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        engine.dispose()
        raise unusable(location, error) from error
    except JournalError:
        engine.dispose()
        raise
    return engine


def on_server(engine: Engine) -> bool:
    """Whether the database is on a server, which several machines may share."""
    return engine.dialect.name != "sqlite"


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection for writing, in one transaction that is committed at the end.

    If the process is suspended in the middle of it, the server ends the transaction. Otherwise all
    other processes would wait for its locks.
    """
    own = {"isolation_level": "READ COMMITTED"} if on_server(engine) else {_WRITES: True}
    options = {"preserve_rowcount": True} | own  # also gives the row count of an INSERT
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if on_server(engine):
            milliseconds = round(SUSPENDED_SECONDS * 1_000)
            setting = f"idle_in_transaction_session_timeout = {milliseconds}"
            connection.exec_driver_sql(f"SET LOCAL {setting}")
        yield connection


def repeated_on_deadlock(work: Callable[[], T]) -> T:
    """Run a transaction, and repeat it if the server rolled it back because of a deadlock."""
    for _ in range(DEADLOCK_TRIES - 1):
        try:
            return work()
        except JournalError as error:
            if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
                raise
    return work()


def clock_ahead(engine: Engine) -> float:
    """Seconds by which the clock that all processes share is ahead of this machine's."""
    if not on_server(engine):
        return 0.0
    with engine.connect() as connection:
        asked_at = time.time()
        server_time = connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
        return float(server_time or asked_at) - (asked_at + time.time()) / 2


def compact(engine: Engine) -> None:
    """Free the space of deleted rows, so no trace of them is left in the journal's files.

    Their content was overwritten when they were deleted (`secure_delete`); free pages are left. If
    these are more than half of the file, the rest is copied. Otherwise they are moved to the end
    and cut off, a few at a time, so others can write in between.

    Raises:
        JournalError: Another process has the journal open now.
    """
    if on_server(engine):
        return  # the server does this itself
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        free, pages, mode = (
            cursor.execute(f"PRAGMA {each}").fetchone()[0]
            for each in ("freelist_count", "page_count", "auto_vacuum")
        )
        # An earlier batchrun's journal did not overwrite what it deleted.
        if mode != _INCREMENTAL or free > pages / 2:
            cursor.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
            cursor.execute("VACUUM")
        while cursor.execute("PRAGMA freelist_count").fetchone()[0]:
            cursor.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        blocked = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.close()
    except sqlite3.Error as error:
        raise unusable(str(engine.url.database), error) from error
    finally:
        connection.close()
    if blocked:
        raise JournalError(
            "The batch is forgotten, but another program reads the journal: traces stay in its "
            "log until that program has ended.",
            Advice("Close that program", ", then: batchrun batches"),
        )


def _file(location: str) -> Engine:
    path = Path(location).expanduser()
    try:
        _prepare(path)
        url = URL.create("sqlite", database=str(path))
        engine = create_engine(url, hide_parameters=True)  # an error must not quote a row
    except (SQLAlchemyError, OSError) as error:
        raise unusable(location, error) from error
    event.listen(engine, "connect", _make_durable)
    event.listen(engine, "begin", _begin)
    return engine


def _make_durable(connection: Any, _record: Any) -> None:
    """Use WAL with a full fsync at each commit, so commits survive a power loss."""
    # By default the driver begins a transaction only at the first write; see _begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=0")
    if _when_free(cursor, "PRAGMA page_count") == (0,):  # else SQLite writes it each time
        _when_free(cursor, f"PRAGMA auto_vacuum={_INCREMENTAL}")
    (mode,) = _when_free(cursor, "PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA busy_timeout={round(BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    # On macOS, fsync alone leaves data in the drive's cache.
    cursor.execute("PRAGMA fullfsync=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA trusted_schema=OFF")  # the file may come from a stranger
    cursor.close()
    if mode not in {"wal", "memory"}:
        raise JournalError(
            "The journal's disk can't keep a write-ahead log (a network drive?).",
            choose_journal("Name one on a disk of this machine"),
        )


def _when_free(cursor: sqlite3.Cursor, pragma: str) -> Any:
    """Execute a pragma that changes the file, and return its row, if any.

    Retries while the file is locked: if several processes create a journal at once, SQLite itself
    does not always wait here.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return cursor.execute(pragma).fetchone()
        except sqlite3.OperationalError as error:
            locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not locked or time.monotonic() > until:
                raise
        time.sleep(BUSY_RETRY_SECONDS)


def _is_databases_own(engine: Engine, error: BaseException) -> bool:
    """Whether the database itself failed, and not a statement that it was given."""
    driver: Any = engine.dialect.loaded_dbapi
    if on_server(engine) and getattr(error, "sqlstate", None) == INSUFFICIENT_PRIVILEGE:
        return True  # the driver reports it as an error in the statement
    names = ("InterfaceError", "ProgrammingError", "DataError", "IntegrityError")
    of_statements = tuple(getattr(driver, name) for name in names)
    nonsense = primary_code(error) == sqlite3.SQLITE_ERROR
    return isinstance(error, driver.Error) and not (nonsense or isinstance(error, of_statements))


def _begin(connection: Connection) -> None:
    """Send BEGIN explicitly, so a reader sees one state of the journal until it ends.

    A writer waits for the write lock here: once it has read, SQLite can't let it wait any more.
    """
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
