"""The jobs left to trigger, read from the journal as they are needed."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun.journal import BatchJobs, Job

JOBS_AT_ONCE = 500


class Feed:
    """Hands out a batch's pending jobs in input order, each once unless it is put back.

    Args:
        jobs: The batch's jobs in the journal.
        limit: Hand out at most so many; ``None`` for all.
    """

    def __init__(self, jobs: BatchJobs, limit: int | None) -> None:
        self._jobs = jobs
        self._ready: deque[Job] = deque()
        self._last_read = -1
        self._read_all = False
        self._pending = jobs.count_pending()
        self._allowed = math.inf if limit is None else limit
        self._given: set[int] | None = None if limit is None else set()

    @property
    def left(self) -> int:
        """How many jobs are still to be handed out."""
        return int(min(self._pending, self._allowed))

    @property
    def given(self) -> tuple[int, ...]:
        """The numbers of the jobs handed out, where there is a limit: it bounds what is kept."""
        return tuple(sorted(self._given or ()))

    def has_pending(self) -> bool:
        """Whether a job is left at all, allowed or not."""
        if not self._ready and not self._read_all:
            self._ready.extend(self._jobs.pending(after=self._last_read, limit=JOBS_AT_ONCE))
            self._read_all = len(self._ready) < JOBS_AT_ONCE
            if self._ready:
                self._last_read = self._ready[-1].number
        return bool(self._ready)

    def may_give(self) -> bool:
        """Whether a job is left that may be handed out."""
        return self._allowed > 0 and self.has_pending()

    def give(self) -> Job:
        """The next job."""
        self._allowed -= 1
        self._pending -= 1
        job = self._ready.popleft()
        if self._given is not None:
            self._given.add(job.number)
        return job

    def put_back(self, job: Job) -> None:
        """A job that surely wasn't accepted is the next one again."""
        self._allowed += 1
        self._pending += 1
        if self._given is not None:
            self._given.discard(job.number)
        self._ready.appendleft(job)
