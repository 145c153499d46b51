"""The journal's only writer: a thread that commits what has gathered in one transaction.

Many executions end at once and each commit costs an fsync; one commit for all that wait costs
the same one.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchrun.errors import JournalError, JournalWriteError
from batchrun.journal.database import WRITING
from batchrun.journal.faults import unwritable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine, Executable

GROUP_SIZE = 256


@dataclass(frozen=True, slots=True)
class _Write:
    statements: Sequence[Executable]
    committed: Future[int] = field(default_factory=Future)


class JournalWriter:
    """Commits statements in groups, in the order they were handed over.

    Args:
        engine: The database.
        location: What the journal is called in errors.
    """

    def __init__(self, engine: Engine, location: str) -> None:
        self._engine = engine
        self._location = location
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(self, *statements: Executable) -> Future[int]:
        """Hand over statements that belong together.

        Returns:
            A future that is done when they are on disk; it holds how many rows the first one
            changed, or raises `JournalWriteError`.
        """
        write = _Write(statements)
        with self._closing:  # nothing may be queued behind the end, where nobody would commit it
            if self._closed:
                raise JournalWriteError(f"The journal {self._location} is closed.")
            self._queue.put(write)
        return write.committed

    async def commit(self, *statements: Executable) -> int:
        """As `submit`, awaited. Not cancelled by half: what was handed over is committed."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(*statements)))

    def close(self) -> None:
        """Commit what is left and end the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = [first], False
            while len(group) < GROUP_SIZE:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    last = True
                    break
                group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[_Write]) -> None:
        """Commit a group and tell each what came of it; nothing that is raised ends the thread."""
        try:
            changed = self._execute(group)
        except Exception as error:
            # A statement the database can't take must not spoil those it was grouped with.
            # A fault of the database itself is everybody's.
            if len(group) > 1 and not isinstance(error, JournalError):
                for write in group:
                    self._commit([write])
                return
            failure = unwritable(self._location, error)
            failure.__cause__ = error
            for write in group:
                write.committed.set_exception(failure)
        else:
            for write, counts in zip(group, changed, strict=True):
                write.committed.set_result(counts[0])

    def _execute(self, group: list[_Write]) -> list[list[int]]:
        with (
            self._engine.connect().execution_options(**WRITING) as connection,
            connection.begin(),
        ):
            return [
                [connection.execute(statement).rowcount for statement in write.statements]
                for write in group
            ]
