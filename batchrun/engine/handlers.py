"""Exchanges: one request on its way, and all that its answer changes.

What an answer means is a type (`service`). Here it becomes the job's next state in the journal,
committed before anything else is told, and what quota, forecast, reach and tally learn from it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, assert_never

from batchrun.errors import KeyRefusedError
from batchrun.model import Execution, ExecutionStatus, Outcome
from batchrun.service import (
    Accepted,
    Client,
    Doubtful,
    KeyRefused,
    NotSent,
    PollAnswer,
    Rejected,
    Throttled,
    Told,
    TriggerAnswer,
    Unclear,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from batchrun.engine.backoff import FailureWatch, Reach
    from batchrun.engine.clock import Clock
    from batchrun.engine.forecast import DuePoll, Forecast
    from batchrun.engine.progress import Tally
    from batchrun.engine.quota import Quota
    from batchrun.engine.share import QuotaShare
    from batchrun.journal import BatchJobs, Job
    from batchrun.service.answers import QuotaReading


Settling: TypeAlias = "Coroutine[None, None, None]"
"""What an answer changes: the request itself is over, and leaves room for the next one."""


class Exchanges:
    """Triggers and polls of one batch, each from its token to the last thing its answer changes.

    Args:
        client: The service.
        jobs: The batch's jobs in the journal.
        quota: Told of each answer.
        share: Told when the service refuses.
        forecast: Told of each execution.
        clock: The engine's time.
        patience_seconds: How long one execution is polled before it is timed out.
        feed: Gets back what surely wasn't accepted.
        tally: Told of each step.
        reach: Told whether the service answers.
        failures: Told what became of each job.
    """

    def __init__(
        self,
        client: Client,
        jobs: BatchJobs,
        *,
        quota: Quota,
        share: QuotaShare,
        forecast: Forecast,
        clock: Clock,
        patience_seconds: float,
        feed: Feed,
        tally: Tally,
        reach: Reach,
        failures: FailureWatch,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._quota = quota
        self._share = share
        self._forecast = forecast
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._feed = feed
        self._tally = tally
        self._reach = reach
        self._failures = failures
        self._watched: dict[int, tuple[Job, float]] = {}

    @property
    def in_flight(self) -> int:
        """How many executions are waited for."""
        return len(self._watched)

    def watch(self, job: Job, created_at: datetime | None, now: float) -> None:
        """Wait for an execution; one that another run triggered is as old as it says."""
        self._watched[job.number] = (job, now)
        age = 0.0
        if job.triggered_at is not None:
            age = max(datetime.now(UTC).timestamp() - job.triggered_at, 0.0)
        self._forecast.triggered(job.number, created_at, now - age)

    # triggers

    async def trigger(self, job: Job, taken_at: float) -> Settling | None:
        """Trigger a job for the token taken at that moment, unless it is no longer pending.

        Returns:
            What is to be awaited now that the answer is here; ``None`` where nothing was sent.
        """
        if not await self._jobs.intend(job):
            self._quota.give_back(taken_at, self._clock.now())
            return None
        answer = await self._client.trigger(job.request())
        now = self._clock.now()
        self._quota.answered(answer.quota, now)
        return self._settle_trigger(job, answer, now)

    async def _settle_trigger(self, job: Job, answer: TriggerAnswer, now: float) -> None:
        match answer:
            case Accepted(execution):
                self._reached(now)
                await self._jobs.accept(job, execution, datetime.now(UTC))
                self.watch(replace(job, execution_id=execution.id), execution.created_at, now)
                self._tally.report()
            case Rejected(_, reason):
                self._reached(now)
                await self._jobs.reject(job, reason)
                self._settled(job, Outcome.REJECTED, reason)
            case Doubtful(reason):
                self._back_off(now)
                await self._jobs.doubt(job, reason)
                self._settled(job, Outcome.IN_DOUBT, reason)
            case NotSent(reason):
                self._back_off(now)
                await self._return(job, reason)
            case Throttled(reason):
                await self._return(job, reason)
                await self._refused(answer.quota, now)
            case KeyRefused(_, reason):
                await self._jobs.release(job, reason)
                raise _key_refused(reason)
            case _:
                assert_never(answer)

    async def _return(self, job: Job, reason: str) -> None:
        """The job surely wasn't accepted: it is the next to be triggered again."""
        await self._jobs.release(job, reason)
        self._feed.put_back(job)
        self._tally.report(reason)

    # polls

    async def poll(self, poll: DuePoll) -> Settling:
        """Ask for one execution.

        Returns:
            What is to be awaited now that the answer is here.
        """
        job, _ = self._watched[poll.job]
        assert job.execution_id is not None
        self._jobs.count_request()
        answer = await self._client.poll(job.execution_id)
        now = self._clock.now()
        self._quota.answered(answer.quota, now)
        return self._settle_poll(job, poll, answer, now)

    async def _settle_poll(self, job: Job, poll: DuePoll, answer: PollAnswer, now: float) -> None:
        match answer:
            case Told(execution) if execution.ended:
                self._reached(now)
                await self._jobs.finish(job, execution, datetime.now(UTC))
                del self._watched[job.number]
                self._forecast.ended(job.number, execution, now)
                completed = execution.status is ExecutionStatus.COMPLETED
                outcome = Outcome.COMPLETED if completed else Outcome.FAILED
                self._settled(job, outcome, execution.message)
            case Told(execution):
                self._reached(now)
                await self._keep_polling(job, execution, execution.message, now)
            case Unknown(reason):
                self._reached(now)
                await self._keep_polling(job, None, reason, now)
            case Unclear(reason):
                if answer.heard:  # patience with this one execution decides, not the way's
                    self._reached(now)
                else:
                    self._back_off(now)
                await self._keep_polling(job, None, reason, now)
            case Throttled(reason):
                await self._refused(answer.quota, now)
                self._forecast.put_back(poll)
                self._tally.report(reason)
            case KeyRefused(_, reason):
                self._forecast.put_back(poll)
                raise _key_refused(reason)
            case _:
                assert_never(answer)

    async def _keep_polling(
        self, job: Job, execution: Execution | None, reason: str, now: float
    ) -> None:
        """Plan the next poll, unless patience is over."""
        _, since = self._watched[job.number]
        if now - since < self._patience_seconds:
            self._forecast.still_running(job.number, execution, now)
            self._tally.report(reason)
            return
        minutes = self._patience_seconds / 60
        told = f" ({reason})" if reason else ""
        await self._jobs.time_out(job, f"not finished after {minutes:.0f} minutes{told}")
        del self._watched[job.number]
        self._forecast.dropped(job.number)
        self._settled(job, Outcome.TIMED_OUT, "not finished in time")

    # what answers teach

    def _settled(self, job: Job, outcome: Outcome, reason: str) -> None:
        self._failures.settled(outcome, reason)
        stopped = self._failures.verdict
        self._tally.settled(job.rows, outcome, f"No more triggers: {stopped}" if stopped else "")

    def _reached(self, now: float) -> None:
        self._reach.answered()
        self._quota.accepted(now)

    def _back_off(self, now: float) -> None:
        """Leave the service alone for a while, with all requests: the way is bad for all."""
        self._quota.pause(self._reach.set_back(now), now)

    async def _refused(self, reading: QuotaReading | None, now: float) -> None:
        self._quota.refused(reading, now)
        await self._share.hold(self._quota.delay(now))


def _key_refused(reason: str) -> KeyRefusedError:
    return KeyRefusedError(
        f"The service refuses the key: {reason}.",
        "Nothing is lost. Keep one that may do this with batchrun login, or in PGAI_API_KEY where "
        "you use that; then run: batchrun resume",
    )


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
