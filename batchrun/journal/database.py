"""Open the journal's database: the right file mode, the right durability, the right schema."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from batchrun.errors import JournalError, parameter
from batchrun.journal import places, server
from batchrun.journal.faults import unusable
from batchrun.journal.migrations import bring_up_to_date
from batchrun.settings.location import is_server, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.01

_WRITING = {"preserve_rowcount": True}
"""Options of a connection that writes: how many rows an INSERT made is known, too."""

_WRITING_TO_A_FILE = {"batchrun_writes": True}
"""It takes its turn before it reads."""


def open_database(location: str) -> Engine:
    """Open the journal, creating it when there is none.

    Whatever goes wrong with it later, too, is raised as a `JournalError`.

    Args:
        location: Path of a SQLite file, or a database URL.

    Raises:
        JournalError: It can't be opened, is not a journal, or is from a newer batchrun.
    """
    engine = server.connect_to_server(location) if is_server(location) else _file(location)

    def in_words(context: ExceptionContext) -> JournalError | None:
        error = context.original_exception
        return unusable(shown(location), error) if _is_databases_own(engine, error) else None

    event.listen(engine, "handle_error", in_words, retval=True)
    try:
        with writing(engine) as connection:
            if on_server(engine):
                server.wait_for_turn(connection)
            bring_up_to_date(connection, shown(location))
    except sqlite3.Error as error:
        engine.dispose()
        raise unusable(location, error) from error
    except JournalError:
        engine.dispose()
        raise
    return engine


def on_server(engine: Engine) -> bool:
    """Whether the database is a server's, which several machines may share."""
    return engine.dialect.name != "sqlite"


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection that writes, in one transaction: committed at the end of the block."""
    options = _WRITING | (server.WRITING if on_server(engine) else _WRITING_TO_A_FILE)
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def clock_ahead(engine: Engine) -> float:
    """Seconds that the clock all processes share is ahead of this machine's."""
    if not on_server(engine):
        return 0.0
    with engine.connect() as connection:
        return server.seconds_ahead(connection)


def compact(engine: Engine) -> None:
    """Give back what deleted rows took, so that they are in no file of the journal any more.

    Raises:
        JournalError: Another process has the journal open at this moment.
    """
    if on_server(engine):
        return  # the server's own housekeeping does it
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        blocked = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.close()
    except sqlite3.Error as error:
        raise unusable(str(engine.url.database), error) from error
    finally:
        connection.close()
    if blocked:
        raise JournalError(
            "The batch is forgotten, but another program reads the journal: traces stay in its "
            "log until it has ended.",
            "Run batchrun forget once more then.",
        )


def _file(location: str) -> Engine:
    path = Path(location).expanduser()
    try:
        places.prepare(path)
        engine = create_engine(URL.create("sqlite", database=str(path)))
    except (SQLAlchemyError, OSError) as error:
        raise unusable(location, error) from error
    event.listen(engine, "connect", _make_durable)
    event.listen(engine, "begin", _begin)
    return engine


def _make_durable(connection: Any, _record: Any) -> None:
    """WAL with a full fsync at each commit: what was committed survives a power loss."""
    # The driver would begin a transaction only at the first write; see _begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={round(BUSY_SECONDS * 1000)}")
    mode = _keep_a_log(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    # macOS: fsync alone leaves data in the drive's own cache.
    cursor.execute("PRAGMA fullfsync=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
    if mode not in {"wal", "memory"}:
        raise JournalError(
            "The journal's disk can't keep a write-ahead log (a network drive?).",
            f"Name one on a disk of this machine with {parameter('journal')} or BATCHRUN_JOURNAL.",
        )


def _keep_a_log(cursor: sqlite3.Cursor) -> str:
    """Switch to a write-ahead log; the mode that the database is in then.

    Where several make a new journal at once, SQLite itself does not wait for its turn here.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return str(cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not locked or time.monotonic() > until:
                raise
        time.sleep(LOOK_AGAIN_SECONDS)


def _is_databases_own(engine: Engine, error: BaseException) -> bool:
    """Whether it is the database that fails, not a statement it was given."""
    driver: Any = engine.dialect.loaded_dbapi
    if on_server(engine) and server.refuses(error):
        return True
    of_statements = (
        driver.InterfaceError,
        driver.ProgrammingError,
        driver.DataError,
        driver.IntegrityError,
    )
    nonsense = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return isinstance(error, driver.Error) and not (nonsense or isinstance(error, of_statements))


def _begin(connection: Connection) -> None:
    """Begin in so many words, so that a reader sees one state of the journal until it ends.

    A writer waits for its turn here: once it has read, SQLite can't let it wait any more.
    """
    writes = connection.get_execution_options().get("batchrun_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
