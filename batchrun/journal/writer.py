"""The journal's only writer: a thread that commits all waiting changes in one transaction.

Many executions end at the same time, and each commit costs an fsync. One commit for all waiting
changes costs no more than one for a single change. Equal statements are executed together, because
SQLAlchemy's overhead per statement exceeds SQLite's own cost.
"""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection, Engine, Executable, text

from batchrun.advice import Action, Advice
from batchrun.errors import JournalError, JournalLostError, JournalWriteError
from batchrun.journal.database import on_server, repeated_on_deadlock, writing
from batchrun.journal.errors import unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    Statement: TypeAlias = "Executable | Change | Count"

GROUP_SIZE = 256
GATHER_SECONDS = 0.01
"""Minimum seconds between the starts of two groups. The cost of a group hardly grows with its size,
so on a fast disk many small ones would take time away from requests. After a lull nobody waits."""


@dataclass(frozen=True, slots=True)
class Change:
    """A reusable statement, and its values for this change."""

    statement: Executable  # has a bind parameter for each value, and changes at most one row
    values: Mapping[str, Any]
    # A value, such as an execution ID, that other processes may not change meanwhile
    lock: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """One more request of a counter. Those of a group are added up, so each costs no statement."""

    statement: Executable  # adds the parameter `requests` to a counter
    # Names and values of the other parameters, which say which counter
    of: tuple[tuple[str, str | int], ...]

    def times(self, requests: int) -> Change:
        """Return the change that counts several requests."""
        return Change(self.statement, {**dict(self.of), "requests": requests})


_AnyFuture: TypeAlias = "Future[int] | asyncio.Future[int]"
_Settled: TypeAlias = "list[tuple[_AnyFuture, int | JournalWriteError]]"


@dataclass(frozen=True, slots=True)
class _Write:
    statements: Sequence[Statement]
    committed: _AnyFuture | None
    of: Hashable = None


def no_mirror(_: Iterable[Statement]) -> None:
    """Do nothing: the mirror if there is no safety copy."""


class JournalWriter:
    """Commits statements in groups, in the order in which they were submitted.

    If ``check``, which is called before each commit, raises, every write of the group fails.
    """

    def __init__(
        self, engine: Engine, location: str, check: Callable[[], None] = lambda: None
    ) -> None:
        self._engine = engine
        self._location = location
        self._check = check
        self.mirror: Callable[[Iterable[Statement]], None] = no_mirror  # gets what was committed
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def submit(self, *statements: Statement) -> Future[int]:
        """Submit statements that belong together.

        Returns:
            A future that is done when they are on disk. It returns how many rows the first one
            changed, or raises `JournalWriteError`.
        """
        committed: Future[int] = Future()
        self._hand_over(_Write(statements, committed))
        return committed

    async def commit(self, *statements: Statement, of: Hashable = None) -> int:
        """Like `submit`, awaited. Cancelling it does not undo the commit.

        Args:
            statements: Statements that belong together. One `Change` and any `Count` may be
                reordered with those of other writes, and equal statements are executed together.
            of: Key within which changes must keep their order; ``None`` if any order is fine.
        """
        committed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._hand_over(_Write(statements, committed, of))
        return await committed

    def note(self, *changes: Change | Count) -> None:
        """Submit changes that may be reordered, without waiting for them.

        If they can't be committed, no error is raised, because the next submitted ones fail too.
        """
        self._hand_over(_Write(changes, None))

    def _hand_over(self, write: _Write) -> None:
        with self._closing:  # nothing may be queued after the end, or it is never committed
            if self._closed:
                raise JournalWriteError(
                    f"The journal {self._location} is closed.",
                    Advice("", "Resume with: batchrun resume", Action.RESUME),
                )
            if self._thread.ident is None:  # most commands only read
                self._thread.start()
            self._queue.put(write)

    def close(self) -> None:
        """Commit what is queued, and end the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if self._thread.ident is not None:
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
                    self._queue.put(None)  # the end marker is always last
                    break
                group.append(following)
            self._commit(group)

    def _commit(self, group: list[_Write]) -> None:
        """Commit a group and report each write's outcome; no exception ends the thread."""
        try:
            self._check()
            changed = repeated_on_deadlock(lambda: self._execute(group))
        except JournalLostError as error:
            _tell([(write, error) for write in group])
        except Exception as error:
            # If one statement is invalid, the others of the group must not fail with it.
            # But if the database itself fails, all of them do.
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
        """Return how many rows the first statement of each write changed, after the commit."""
        if self._engine.dialect.supports_sane_multi_rowcount:
            with suppress(_UnclearCountError):
                return self._execute_runs(group, list(_runs(group)))
        return self._execute_runs(group, [[write] for write in group])

    def _execute_runs(self, group: list[_Write], runs: list[list[_Write]]) -> list[int]:
        with writing(self._engine) as connection:
            if on_server(self._engine):
                changes = (each for write in group for each in write.statements)
                locks = {each.lock for each in changes if isinstance(each, Change) and each.lock}
                if locks:  # always in the same order, to avoid deadlocks
                    connection.execute(_LOCK, {"locks": sorted(locks)})
            return [count for run in runs for count in _execute_run(connection, run)]


_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(lock, 0)) "
    "FROM unnest(CAST(:locks AS text[])) AS lock"
)


class _UnclearCountError(Exception):
    """Some of the statements executed together changed no row, and it is unknown which."""


def _runs(group: list[_Write]) -> Iterator[list[_Write]]:
    """Split a group into runs of writes that may be reordered within the run."""
    run: list[_Write] = []
    of: set[Hashable] = set()
    for write in group:
        first, *others = write.statements
        commutes = isinstance(first, Change | Count) and all(isinstance(e, Count) for e in others)
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
    """Execute writes that may be reordered, with equal statements together."""
    if len(run) == 1:
        counts = [_execute_one(connection, each) for each in run[0].statements]
        return counts[:1]
    changes: defaultdict[Executable, list[Mapping[str, Any]]] = defaultdict(list)
    counted: Counter[Count] = Counter()
    for each in (each for write in run for each in write.statements):
        if isinstance(each, Change):
            changes[each.statement].append(each.values)
        elif isinstance(each, Count):
            counted[each] += 1
    for statement, values in changes.items():
        if connection.execute(statement, values).rowcount != len(values):
            raise _UnclearCountError
    for count, requests in counted.items():
        _execute_one(connection, count.times(requests))
    return [1] * len(run)


def _execute_one(connection: Connection, statement: Statement) -> int:
    if isinstance(statement, Count):
        statement = statement.times(1)
    if isinstance(statement, Change):
        return connection.execute(statement.statement, statement.values).rowcount
    return connection.execute(statement).rowcount


def _tell(settled: list[tuple[_Write, int | JournalWriteError]]) -> None:
    """Report the outcomes, waking each event loop only once, because that costs a system call."""
    loops: defaultdict[asyncio.AbstractEventLoop, _Settled] = defaultdict(list)
    for write, outcome in settled:
        if isinstance(write.committed, asyncio.Future):
            loops[write.committed.get_loop()].append((write.committed, outcome))
        elif write.committed is not None:
            _settle([(write.committed, outcome)])
    for loop, awaited in loops.items():
        with suppress(RuntimeError):  # a closed loop waits for nothing
            loop.call_soon_threadsafe(_settle, awaited)


def _settle(settled: _Settled) -> None:
    for committed, outcome in settled:
        if committed.done():  # a cancelled caller no longer waits
            continue
        if isinstance(outcome, JournalWriteError):
            committed.set_exception(outcome)
        else:
            committed.set_result(outcome)
