"""A private copy of the batch that is being worked on, for the case that its journal is lost.

A cleaning job, a sync client or a restored backup may delete, truncate or replace a journal file
under a running batch. What was paid for until then is also in this copy: a temporary SQLite
database without a name, which nothing outside of this process can reach. From it come the workbook,
a journal of its own to continue with, and the rescue file that keeps an older copy of the lost
journal from triggering anything again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, delete, func, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from batchrun.journal.rescue import Step
from batchrun.journal.schema import (
    JobState,
    batches,
    bring_up_to_date,
    jobs,
    leases,
    metadata,
    slices,
)
from batchrun.journal.writer import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Executable

_DIALECT = sqlite.dialect(paramstyle="named")
_PROGRESS = (
    JobState.PENDING,
    JobState.SENDING,
    JobState.IN_DOUBT,
    JobState.IN_FLIGHT,
    JobState.TIMED_OUT,
)
"""States in the order in which a job goes through them; after the last one it has ended."""


class SafetyCopy:
    """A copy of one batch, kept up to date by `JournalWriter`.

    Args:
        path: The journal's file.
        batch_id: Which batch.

    Raises:
        SQLAlchemyError: There is no room for it.
        sqlite3.Error: The same.
    """

    def __init__(self, path: Path, batch_id: str) -> None:
        self.batch_id = batch_id
        self._busy = threading.RLock()
        self._usable = True
        self._sql: dict[Executable, tuple[str, dict[str, Any]]] = {}
        # An empty name is a temporary database on disk, erased when the connection is closed.
        self._raw = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: self._raw,
            poolclass=StaticPool,
            isolation_level="AUTOCOMMIT",
        )
        with self._engine.connect() as connection:
            bring_up_to_date(connection, "")
        self._copy(path, batch_id)

    def _copy(self, path: Path, batch_id: str) -> None:
        self._raw.execute("PRAGMA synchronous=OFF")
        self._raw.execute("ATTACH ? AS journal", (str(path),))
        self._raw.execute("BEGIN")
        self._raw.execute("DELETE FROM main.meta")
        for table in metadata.sorted_tables:
            names = ", ".join(column.name for column in table.columns)
            every = f"SELECT {names} FROM journal.{table.name}"  # noqa: S608
            into = f"INSERT INTO main.{table.name} ({names}) {every}"
            key = "id" if table is batches else "batch_id"
            if key in table.columns:
                self._raw.execute(f"{into} WHERE {key} = ?", (batch_id,))
            else:
                self._raw.execute(into)
        self._raw.execute("COMMIT")
        self._raw.execute("DETACH journal")

    def close(self) -> None:
        """Erase the copy."""
        with self._busy:
            self._usable = False
            self._engine.dispose()
            self._raw.close()

    def apply(self, statements: Iterable[Executable | Change]) -> None:
        """Repeat what was committed to the journal, or could not be and is known all the same."""
        with self._busy:
            if not self._usable:
                return
            try:
                for statement in statements:
                    self._apply(statement)
            except (sqlite3.Error, SQLAlchemyError):
                self._usable = False  # a full disk; the journal itself is what counts

    def _apply(self, statement: Executable | Change) -> None:
        if not isinstance(statement, Change):
            with self._engine.connect() as connection:
                connection.execute(statement)
            return
        if statement.statement not in self._sql:
            compiled: Any = statement.statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
            self._sql[statement.statement] = (str(compiled), dict(compiled.params))
        sql, values = self._sql[statement.statement]
        self._raw.execute(sql, values | dict(statement.values))

    @contextmanager
    def connection(self) -> Iterator[Connection | None]:
        """A connection that reads the copy; ``None`` if there is no copy any more."""
        with self._busy:
            if not self._usable:
                yield None
                return
            with self._engine.connect() as connection:
                yield connection

    def save(self, paths: Sequence[Path]) -> Path | None:
        """Save the copy as a journal of its own in the first place that takes it.

        Args:
            paths: Files that may be made; none is overwritten.
        """
        with self._busy, suppress(sqlite3.Error, SQLAlchemyError):
            if not self._usable:
                return None
            spent = select(func.coalesce(func.sum(slices.c.requests), 0)).scalar_subquery()
            self._apply(update(batches).values(requests=batches.c.requests + spent))
            self._apply(delete(slices))
            self._apply(delete(leases))
            for path in paths:
                with suppress(OSError, sqlite3.Error):
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
                    try:
                        self._raw.execute("VACUUM INTO ?", (str(path),))
                    except sqlite3.Error:
                        path.unlink()
                        raise
                    return path
        return None

    def steps(self) -> list[Step]:
        """The state of each job that was sent, as steps that never lead backwards."""
        with self.connection() as connection:
            if connection is None:
                return []
            query = select(jobs).where(
                jobs.c.batch_id == self.batch_id, jobs.c.state != JobState.PENDING
            )
            return [_step(found) for found in connection.execute(query)]


def _step(found: Any) -> Step:
    state = JobState(found.state)
    earlier = _PROGRESS[: _PROGRESS.index(state)] if state in _PROGRESS else _PROGRESS
    kept = ("execution_id", "triggered_at", "started_at", "finished_at", "message", "result")
    values = {name: getattr(found, name) for name in kept}
    if state is JobState.SENDING:
        state = JobState.IN_DOUBT
        values["message"] = "the journal was lost while the trigger was on its way"
    return Step(found.number, tuple(each for each in earlier if each is not state), state, values)
