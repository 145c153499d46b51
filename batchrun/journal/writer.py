"""The journal's only writer: a thread that commits what has gathered in one transaction.

Many executions end at once and each commit costs an fsync; one commit for all that wait costs
the same one. Changes that are alike are executed together, for SQLAlchemy's part of a statement
costs more than SQLite's.
"""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import func, select

from batchrun.errors import JournalError, JournalLostError, JournalWriteError
from batchrun.journal.database import on_server, repeated_on_deadlock, writing
from batchrun.journal.errors import unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine, Executable

GROUP_SIZE = 256
GATHER_SECONDS = 0.005
"""Two groups begin no closer together. What a group costs hardly grows with it, so on a fast disk
many small ones would take the time that the requests need; after a lull nobody waits."""


@dataclass(frozen=True, slots=True)
class Change:
    """A statement that is made once, and its values for this time.

    Attributes:
        statement: With a bind parameter for each value; it changes at most one row.
        values: The parameters' values.
        lock: What no other process may change meanwhile, such as an execution ID.
    """

    statement: Executable
    values: Mapping[str, Any]
    lock: str | None = None


@dataclass(frozen=True, slots=True)
class _Write:
    statements: Sequence[Executable | Change]
    committed: Future[int] | asyncio.Future[int] | None
    of: Hashable = None


_Awaited: TypeAlias = "list[tuple[asyncio.Future[int], int | JournalWriteError]]"


def no_mirror(_: Iterable[Executable | Change]) -> None:
    """The mirror of a journal without a safety copy."""


class JournalWriter:
    """Commits statements in groups, in the order they were handed over.

    Args:
        engine: The database.
        location: What the journal is called in errors.
        check: Called before each commit; what it raises is everybody's answer.

    Attributes:
        mirror: Given what was committed.
    """

    def __init__(
        self, engine: Engine, location: str, check: Callable[[], None] = lambda: None
    ) -> None:
        self._engine = engine
        self._location = location
        self._check = check
        self.mirror: Callable[[Iterable[Executable | Change]], None] = no_mirror
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(self, *statements: Executable | Change) -> Future[int]:
        """Hand over statements that belong together.

        Returns:
            A future that is done when they are on disk; it holds how many rows the first one
            changed, or raises `JournalWriteError`.
        """
        committed: Future[int] = Future()
        self._hand_over(_Write(statements, committed))
        return committed

    async def commit(self, *statements: Executable | Change, of: Hashable = None) -> int:
        """As `submit`, awaited. Not cancelled by half: what was handed over is committed.

        Args:
            statements: What belongs together. If all are `Change`, they commute with those of
                others, and equal ones go together.
            of: What they are of, where changes of the same must keep their order; ``None`` for
                changes that commute with all.
        """
        committed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._hand_over(_Write(statements, committed, of))
        return await committed

    def note(self, *changes: Change) -> None:
        """Hand over changes that commute with all others and that nobody waits for.

        If they can't be committed no error is raised: what is handed over next can't be, either.
        """
        self._hand_over(_Write(changes, None))

    def _hand_over(self, write: _Write) -> None:
        with self._closing:  # nothing may be queued behind the end, where nobody would commit it
            if self._closed:
                raise JournalWriteError(
                    f"The journal {self._location} is closed.", "Go on with: batchrun resume"
                )
            self._queue.put(write)

    def close(self) -> None:
        """Commit what is left and end the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        began_at = -math.inf
        while (first := self._queue.get()) is not None:
            if (early := began_at + GATHER_SECONDS - time.monotonic()) > 0:
                time.sleep(early)
            began_at = time.monotonic()
            group = [first]
            while len(group) < GROUP_SIZE and not self._queue.empty():
                if (following := self._queue.get()) is None:
                    self._queue.put(None)  # nothing is behind the end
                    break
                group.append(following)
            self._commit(group)

    def _commit(self, group: list[_Write]) -> None:
        """Commit a group and tell each what came of it; nothing that is raised ends the thread."""
        try:
            self._check()
            changed = repeated_on_deadlock(lambda: self._execute(group))
        except JournalLostError as error:
            _tell([(write, error) for write in group])
        except Exception as error:
            # A statement the database can't take must not spoil those it was grouped with.
            # A fault of the database itself is everybody's.
            if len(group) > 1 and not isinstance(error, JournalError):
                for write in group:
                    self._commit([write])
                return
            failure = unwritable(self._location, error)
            failure.__cause__ = error
            _tell([(write, failure) for write in group])
        else:
            self.mirror(each for write in group for each in write.statements)
            _tell(list(zip(group, changed, strict=True)))

    def _execute(self, group: list[_Write]) -> list[int]:
        """How many rows the first statement of each write changed, when all are on disk."""
        if self._engine.dialect.supports_sane_multi_rowcount:
            with suppress(_UnclearCountError):
                return self._execute_runs(list(_runs(group)))
        return self._execute_runs([[write] for write in group])

    def _execute_runs(self, runs: list[list[_Write]]) -> list[int]:
        with writing(self._engine) as connection:
            if on_server(self._engine):
                _lock(connection, runs)
            return [count for run in runs for count in _execute_run(connection, run)]


def _lock(connection: Connection, runs: list[list[_Write]]) -> None:
    """Let no other process change what the changes lock, until the transaction ends."""
    changes = (each for run in runs for write in run for each in write.statements)
    locks = {each.lock for each in changes if isinstance(each, Change) and each.lock is not None}
    for lock in sorted(locks):  # in one order, or two processes would wait for each other
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(lock, 0))))


class _UnclearCountError(Exception):
    """Of statements executed together, not each changed a row: who can tell which?"""


def _runs(group: list[_Write]) -> Iterator[list[_Write]]:
    """Split a group where the order counts: what is in one run commutes."""
    run: list[_Write] = []
    of: set[Hashable] = set()
    for write in group:
        commutes = all(isinstance(each, Change) for each in write.statements)
        if run and (not commutes or write.of in of):
            yield run
            run, of = [], set()
        if not commutes:
            yield [write]
            continue
        run.append(write)
        if write.of is not None:
            of.add(write.of)
    if run:
        yield run


def _execute_run(connection: Connection, run: list[_Write]) -> list[int]:
    """Execute what commutes, equal statements together."""
    if len(run) == 1:
        counts = [_execute_one(connection, each) for each in run[0].statements]
        return counts[:1]
    firsts: dict[Executable, list[Mapping[str, Any]]] = {}
    others: dict[Executable, list[Mapping[str, Any]]] = {}
    for write in run:
        for place, change in enumerate(write.statements):
            assert isinstance(change, Change)
            kind = others if place else firsts
            kind.setdefault(change.statement, []).append(change.values)
    for statement, values in firsts.items():
        if connection.execute(statement, values).rowcount != len(values):
            raise _UnclearCountError
    for statement, values in others.items():
        connection.execute(statement, values)
    return [1] * len(run)


def _execute_one(connection: Connection, statement: Executable | Change) -> int:
    if isinstance(statement, Change):
        return connection.execute(statement.statement, statement.values).rowcount
    return connection.execute(statement).rowcount


def _tell(settled: list[tuple[_Write, int | JournalWriteError]]) -> None:
    """Tell those who wait, each loop once: waking one costs a system call."""
    loops: dict[asyncio.AbstractEventLoop, _Awaited] = {}
    for write, outcome in settled:
        if isinstance(write.committed, asyncio.Future):
            loops.setdefault(write.committed.get_loop(), []).append((write.committed, outcome))
        elif write.committed is not None:
            _settle(write.committed, outcome)
    for loop, awaited in loops.items():
        with suppress(RuntimeError):  # a loop that is closed waits for nothing
            loop.call_soon_threadsafe(_settle_all, awaited)


def _settle_all(awaited: _Awaited) -> None:
    for committed, outcome in awaited:
        if not committed.done():  # who was cancelled doesn't wait any more
            _settle(committed, outcome)


def _settle(committed: Future[int] | asyncio.Future[int], outcome: int | JournalWriteError) -> None:
    if isinstance(outcome, JournalWriteError):
        committed.set_exception(outcome)
    else:
        committed.set_result(outcome)
