"""Rescue files and a private copy of the batch, so paid results survive the journal's loss.

A full disk or a damaged journal must not cost a result or, worse, the ID of an execution that
nobody could find again. A step that can't be committed is appended to a rescue file beside the
journal, or if that fails, in another folder of the user. The next process that works on the batch
commits it to the journal.

A cleaning job, a sync client, or a restored backup may delete, truncate, or replace a journal file
while a batch runs. Everything paid for until then is also in the copy, a temporary SQLite database
without a name that no other process can reach. It provides the workbook, a new journal to continue
with, and a rescue file that keeps an older copy of the lost journal from triggering jobs again.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import stat
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path
from sqlalchemy import Connection, Executable, create_engine, delete, func, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from batchrun.journal.schema import (
    JobState,
    batches,
    bring_up_to_date,
    cause_in,
    jobs,
    leases,
    metadata,
    slices,
)
from batchrun.journal.writer import Change, Count
from batchrun.model import Cause
from batchrun.settings.location import is_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from batchrun.journal.writer import Statement

_BYTES = "base64"
_NO_STEP = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors from parsing a line that batchrun did not write."""
_COLUMNS: Mapping[str, Any] = {
    "execution_id": str | None,
    **dict.fromkeys(("triggered_at", "started_at", "finished_at"), int | float | None),
    "message": str,
    "cause": str | None,
    "result": bytes | None,
}
"""The columns that a step may set, with their types."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one job: to a new state, from one of several, with new values."""

    job: int
    old: tuple[JobState, ...]  # the states that it may be in before
    new: JobState  # the state that it is in afterwards
    values: Mapping[str, Any] = field(default_factory=dict)  # new values of other columns
    # If the step is the answer to a trigger, how many times the job had been retried when that was
    # sent; otherwise None
    retried: int | None = None
    # If the step is the end of an execution, its ID; otherwise None
    execution_id: str | None = None


def folders(location: str) -> list[Path]:
    """The folders for rescue files, best first."""
    own = user_data_path("batchrun", appauthor=False)
    beside = own if is_server(location) else Path(location).expanduser().resolve().parent
    places = [beside, own]
    with suppress(RuntimeError):  # a user in a container may have no home
        places.append(Path.home())
    return list(dict.fromkeys([*places, Path(tempfile.gettempdir())]))


class RescueFiles:
    """The rescue files of one batch."""

    def __init__(self, places: Iterable[Path], batch_id: str) -> None:
        self._places = list(places)
        self._batch_id = batch_id
        self._candidates = [folder / f"batchrun-{batch_id}.rescue.jsonl" for folder in self._places]

    def journals(self) -> list[Path]:
        """The paths at which to save a journal with only this batch, best first."""
        names = [f"batchrun-{self._batch_id}.rescue{each}.db" for each in ("", " (2)", " (3)")]
        return [folder / name for folder in self._places for name in names]

    def keep(self, *steps: Step) -> Path | None:
        """Append steps to a file and sync it to disk; return its path, ``None`` if none works."""
        kept = [json.dumps(asdict(step), default=_plain) for step in steps]
        lines = "".join(f"{line}\n" for line in kept).encode("ascii")
        for path in self._candidates:
            with suppress(OSError):
                _append(path, lines)
                return path
        return None

    def found(self) -> list[Path]:
        """Return the rescue files that exist and belong to this user."""
        return [path for path in self._candidates if _is_own_file(path)]

    def steps(self) -> Iterator[Step]:
        """Yield the steps in the files; skip lines that are incomplete or not batchrun's."""
        for path in self.found():
            for line in path.read_bytes().splitlines():
                with suppress(*_NO_STEP):
                    yield _from_json(json.loads(line))

    def discard(self) -> None:
        """Delete the files, after their steps were committed to the journal."""
        for path in self.found():
            path.unlink(missing_ok=True)


def _append(path: Path, lines: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # In a shared folder, nobody else may redirect this by a link. Windows would alter line ends.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o600)
    try:
        if not _is_own_file(path):
            raise PermissionError(path)
        length = os.fstat(handle).st_size
        try:
            written = os.write(handle, lines)
            os.fsync(handle)
        except OSError:
            written = 0
        if written < len(lines):
            os.ftruncate(handle, length)
            if length == 0:
                path.unlink(missing_ok=True)
            raise OSError("no space for all lines")
    finally:
        os.close(handle)


def _is_own_file(path: Path) -> bool:
    """Whether it is a plain file of this user; another user must not decide a job's outcome."""
    with suppress(OSError):
        found = path.lstat()  # of a link, not of what it points to
        owner_fits = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        return stat.S_ISREG(found.st_mode) and owner_fits
    return False


def _plain(value: bytes) -> dict[str, str]:
    """Encode bytes, for which JSON has no type."""
    return {_BYTES: base64.b64encode(value).decode()}


def _from_json(kept: Any) -> Step:
    values = {
        name: base64.b64decode(value[_BYTES]) if isinstance(value, dict) else value
        for name, value in kept["values"].items()
    }
    old = tuple(JobState(state) for state in kept["old"])
    fit = all(isinstance(value, _COLUMNS[name]) for name, value in values.items())
    if not (old and fit and values.get("cause") in {None, *Cause}):
        raise ValueError("not a step that batchrun kept")
    # Files of earlier versions have none of these.
    cause = cause_in(kept["new"], str(values.get("message", "")))
    if cause is not None:
        values.setdefault("cause", cause)
    retried, execution_id = kept.get("retried"), kept.get("execution_id")
    if not isinstance(retried, int | None) or not isinstance(execution_id, str | None):
        raise TypeError("not a step that batchrun kept")
    return Step(int(kept["job"]), old, JobState(kept["new"]), values, retried, execution_id)


_DIALECT = sqlite.dialect(paramstyle="named")
_PROGRESS = (
    JobState.PENDING,
    JobState.SENDING,
    JobState.IN_DOUBT,
    JobState.IN_FLIGHT,
    JobState.TIMED_OUT,
)
"""States in the order in which a job passes through them; after the last one it has ended."""


class SafetyCopy:
    """A copy of one batch, kept up to date by `JournalWriter`; an error if there is no space.

    It is whole unless other processes work on the batch, too.
    """

    def __init__(self, path: Path, batch_id: str, *, is_whole: bool) -> None:
        self.batch_id, self.is_whole = batch_id, is_whole
        self._busy = threading.RLock()
        self._usable = True
        self._sql: dict[Executable, tuple[str, dict[str, Any]]] = {}
        # An empty name means a temporary database on disk, deleted when the connection is closed.
        self._raw = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: self._raw,
            poolclass=StaticPool,
            isolation_level="AUTOCOMMIT",
        )
        with self._engine.connect() as connection:
            bring_up_to_date(connection, "")
        self._raw.execute("PRAGMA synchronous=OFF")
        self._raw.execute("ATTACH ? AS journal", (str(path),))
        self._raw.execute("BEGIN")
        self._raw.execute("DELETE FROM main.meta")
        for table in metadata.sorted_tables:
            names = ", ".join(column.name for column in table.columns)
            every = f"SELECT {names} FROM journal.{table.name}"  # noqa: S608
            into = f"INSERT INTO main.{table.name} ({names}) {every}"
            key = "id" if table is batches else "batch_id"
            which = f" WHERE {key} = :batch_id" if key in table.columns else ""
            self._raw.execute(into + which, {"batch_id": batch_id})
        self._raw.execute("COMMIT")
        self._raw.execute("DETACH journal")

    def close(self) -> None:
        """Delete the copy."""
        with self._busy:
            self._usable = False
            self._engine.dispose()
            self._raw.close()

    def apply(self, statements: Iterable[Statement]) -> None:
        """Apply statements that were committed to the journal, or steps that could not be."""
        with self._busy:
            if not self._usable:
                return
            try:
                for statement in statements:
                    self._apply(statement)
            except (sqlite3.Error, SQLAlchemyError):
                self._usable = False  # the disk is full; the journal itself matters more

    def _apply(self, statement: Statement) -> None:
        if isinstance(statement, Count):
            statement = statement.times(1)
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
        """Yield a connection that reads the copy; ``None`` if the copy is no longer usable."""
        with self._busy:
            if not self._usable:
                yield None
                return
            with self._engine.connect() as connection:
                yield connection

    def save(self, paths: Sequence[Path]) -> Path | None:
        """Save the copy as a journal at the first path that works and has no file; return it."""
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
        """Return the state of each job that was sent, as steps that never lead backwards."""
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
    values = {name: getattr(found, name) for name in _COLUMNS}
    if state is JobState.SENDING:
        state = JobState.IN_DOUBT
        values["message"] = "the journal was lost while the trigger was on its way"
    return Step(found.number, tuple(each for each in earlier if each is not state), state, values)
