"""The jobs left to trigger, read from the journal as they are needed."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from batchrun.journal import BatchJobs, Job

JOBS_AT_ONCE = 500


class Feed:
    """Hands out a batch's pending jobs in input order, each once unless it is put back.

    Args:
        jobs: The batch's jobs in the journal.
        limit: Hand out at most so many; ``None`` for all.
        only: Numbers of the pending jobs that may be handed out; ``None`` for all of them.
    """

    def __init__(
        self, jobs: BatchJobs, limit: int | None, only: Collection[int] | None = None
    ) -> None:
        self._jobs = jobs
        self._ready: deque[Job] = deque()
        self._last_read = -1
        self._read_all = False
        self._only = None if only is None else deque(sorted(only))
        self._pending = jobs.count_pending() if only is None else len(only)
        self._allowed = math.inf if limit is None else limit
        self._given: set[int] | None = None if limit is None else set()

    @property
    def left(self) -> int:
        """How many jobs are still to be handed out."""
        return int(min(self._pending, self._allowed))

    @property
    def waiting(self) -> int:
        """How many of the jobs that may be handed out are left, were there no limit."""
        return self._pending

    @property
    def others_wait(self) -> bool:
        """Whether jobs are left that may not be handed out, once all others have been."""
        return self._only is not None and self._jobs.count_pending() > 0

    @property
    def given(self) -> tuple[int, ...]:
        """The numbers of the jobs handed out, where there is a limit: it bounds what is kept."""
        return tuple(sorted(self._given or ()))

    def has_pending(self) -> bool:
        """Whether a job is left at all, allowed or not."""
        while not self._ready and not self._read_all:
            self._ready.extend(self._next_ones())
        return bool(self._ready)

    def _next_ones(self) -> list[Job]:
        if self._only is not None:
            some = [self._only.popleft() for _ in range(min(len(self._only), JOBS_AT_ONCE))]
            self._read_all = not self._only
            return self._jobs.pending_of(some)
        found = self._jobs.pending(after=self._last_read, limit=JOBS_AT_ONCE)
        self._read_all = len(found) < JOBS_AT_ONCE
        if found:
            self._last_read = found[-1].number
        return found

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
