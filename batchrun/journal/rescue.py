"""What was paid for isn't lost with the journal: rescue files, and a private copy of the batch.

A full disk or a damaged journal must not cost a result, or worse the id of an execution that
nobody could find again. A step that can't be committed is appended to a file beside the journal,
or where that fails, in another folder of the user; the next process that works on the batch
takes it into the journal.

A cleaning job, a sync client or a restored backup may delete, truncate or replace a journal file
under a running batch. What was paid for until then is also in a copy: a temporary SQLite database
without a name, which nothing outside of this process can reach. From it come the workbook, a
journal of its own to continue with, and the rescue file that keeps an older copy of the lost
journal from triggering anything again.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path
from sqlalchemy import create_engine, delete, func, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

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
from batchrun.settings.location import is_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Executable

_BYTES = "base64"
_NO_STEP = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a line raises that batchrun did not write."""
_COLUMNS: Mapping[str, tuple[type, ...]] = {
    "execution_id": (str,),
    "triggered_at": (int, float),
    "started_at": (int, float),
    "finished_at": (int, float),
    "message": (str,),
    "result": (bytes,),
}
"""The columns that a step may set, and their types; all but the message may be empty."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one job: from one of these states to another, with further columns' values.

    Attributes:
        job: The job's number.
        old: The states it may be in before.
        new: The state it is in then.
        values: Further columns' values.
        retried: How often the job had been sent again when it was sent, if it is the answer to
            that; ``None`` for any other step.
        execution_id: Of which execution it is the end; ``None`` for any other step.
    """

    job: int
    old: tuple[JobState, ...]
    new: JobState
    values: Mapping[str, Any] = field(default_factory=dict)
    retried: int | None = None
    execution_id: str | None = None


def folders(location: str) -> list[Path]:
    """Where a rescue file may be, the best place first."""
    own = user_data_path("batchrun", appauthor=False)
    beside = own if is_server(location) else Path(location).expanduser().parent
    places = [beside, own]
    with suppress(RuntimeError):  # a container's user without a home
        places.append(Path.home())
    return list(dict.fromkeys([*places, Path(tempfile.gettempdir())]))


class RescueFiles:
    """The rescue files of one batch.

    Args:
        places: Folders to try, the best first.
        batch_id: Which batch.
    """

    def __init__(self, places: Iterable[Path], batch_id: str) -> None:
        self._places = list(places)
        self._batch_id = batch_id
        self._candidates = [folder / f"batchrun-{batch_id}.rescue.jsonl" for folder in self._places]

    def journals(self) -> list[Path]:
        """Where a journal of the batch's own may be saved, the best place first."""
        names = [f"batchrun-{self._batch_id}.rescue{each}.db" for each in ("", " (2)", " (3)")]
        return [folder / name for folder in self._places for name in names]

    def keep(self, *steps: Step) -> Path | None:
        """Append steps and sync them to disk; ``None`` where no folder takes them."""
        kept = [json.dumps(asdict(step), default=_plain) for step in steps]
        lines = "".join(f"{line}\n" for line in kept).encode("ascii")
        for path in self._candidates:
            try:
                _append(path, lines)
            except OSError:
                continue
            return path
        return None

    def found(self) -> list[Path]:
        """The rescue files that there are, and that are this user's own."""
        return [path for path in self._candidates if _is_own_file(path)]

    def steps(self) -> Iterator[Step]:
        """What was kept; a line that broke off is no step."""
        for path in self.found():
            for line in path.read_bytes().splitlines():
                try:
                    yield _from_json(json.loads(line))
                except _NO_STEP:
                    continue

    def discard(self) -> None:
        """Erase the files, once their steps are in the journal."""
        for path in self.found():
            path.unlink(missing_ok=True)


def _append(path: Path, lines: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # In a folder for everybody, nobody else decides where this goes; Windows alters line ends.
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
    """Whether it is a plain file of this user: another's must not tell us what became of a job."""
    try:
        found = path.lstat()
    except OSError:
        return False
    owner_fits = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return path.is_file() and not path.is_symlink() and owner_fits


def _plain(value: bytes) -> dict[str, str]:
    """What JSON has no type for."""
    return {_BYTES: base64.b64encode(value).decode()}


def _fits(name: str, value: object) -> bool:
    return isinstance(value, _COLUMNS[name]) or (value is None and name != "message")


def _from_json(kept: Any) -> Step:
    values = {
        name: base64.b64decode(value[_BYTES]) if isinstance(value, dict) else value
        for name, value in kept["values"].items()
    }
    old = tuple(JobState(state) for state in kept["old"])
    if not old or not all(_fits(name, value) for name, value in values.items()):
        raise ValueError("not a step that batchrun kept")
    # Files of earlier versions tell neither.
    retried, execution_id = kept.get("retried"), kept.get("execution_id")
    return Step(
        int(kept["job"]),
        old,
        JobState(kept["new"]),
        values,
        None if retried is None else int(retried),
        None if execution_id is None else str(execution_id),
    )


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
    values = {name: getattr(found, name) for name in _COLUMNS}
    if state is JobState.SENDING:
        state = JobState.IN_DOUBT
        values["message"] = "the journal was lost while the trigger was on its way"
    return Step(found.number, tuple(each for each in earlier if each is not state), state, values)
