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

from sqlalchemy.exc import SQLAlchemyError

from batchrun.errors import JournalError

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
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(self, *statements: Executable) -> Future[int]:
        """Hand over statements that belong together.

        Returns:
            A future that is done when they are on disk; it holds how many rows the first one
            changed, or raises `JournalError`.
        """
        write = _Write(statements)
        self._queue.put(write)
        return write.committed

    async def commit(self, *statements: Executable) -> int:
        """As `submit`, awaited. Not cancelled by half: what was handed over is committed."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(*statements)))

    def close(self) -> None:
        """Commit what is left and end the thread."""
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
        try:
            with self._engine.begin() as connection:
                changed = [
                    [connection.execute(statement).rowcount for statement in write.statements]
                    for write in group
                ]
        except SQLAlchemyError as error:
            failure = JournalError(
                f"The journal could not be written: {getattr(error, 'orig', None) or error}.",
                "Free some space or check the disk, then run: batchrun resume",
            )
            for write in group:
                write.committed.set_exception(failure)
        else:
            for write, counts in zip(group, changed, strict=True):
                write.committed.set_result(counts[0])
