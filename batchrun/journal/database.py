"""Open the journal's database: the right file mode, the right durability, the right schema."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from batchrun.errors import JournalError
from batchrun.journal.schema import SCHEMA_VERSION, meta, metadata

BUSY_SECONDS = 30


def open_database(location: str) -> Engine:
    """Open the journal, creating it when there is none.

    Args:
        location: Path of a SQLite file, or a database URL.

    Raises:
        JournalError: It can't be opened, is not a journal, or is from a newer batchrun.
    """
    try:
        engine = create_engine(_url(location))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _make_durable)
            event.listen(engine, "begin", _begin)
        metadata.create_all(engine)
        version = _schema_version(engine)
    except (SQLAlchemyError, ArgumentError, ImportError, OSError, sqlite3.Error) as error:
        raise JournalError(
            f"The journal {location} can't be opened: {getattr(error, 'orig', None) or error}.",
            "Name another with --journal or BATCHRUN_JOURNAL.",
        ) from error
    if version > SCHEMA_VERSION:
        engine.dispose()
        raise JournalError(
            f"The journal {location} was written by a newer batchrun (schema {version}).",
            "Update batchrun: pip install --upgrade batchrun",
        )
    return engine


def _url(location: str) -> URL:
    if "://" in location:
        return make_url(location)
    path = Path(location).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made here, so that it is never readable by others, not even for a moment.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    return URL.create("sqlite", database=str(path))


def _make_durable(connection: Any, _record: Any) -> None:
    """WAL with a full fsync at each commit: what was committed survives a power loss."""
    # The driver would begin a transaction only at the first write; see _begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin in so many words, so that a reader sees one state of the journal until it ends."""
    connection.exec_driver_sql("BEGIN")


def _schema_version(engine: Engine) -> int:
    with engine.begin() as connection:
        found = connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
        if found is None:
            connection.execute(
                insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION))
            )
            return SCHEMA_VERSION
        return int(found)
