"""Sends requests, and applies each answer to the job, the quota, and the forecast.

The answer's type (see `service`) decides the job's next state. That state is committed to the
journal before anything else happens.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, assert_never

from batchrun.advice import Action, Advice
from batchrun.engine.run_times import MAX_RUN_SECONDS
from batchrun.errors import KeyRefusedError
from batchrun.model import Cause, Execution, ExecutionStatus, Outcome
from batchrun.service.answers import (
    Accepted,
    Doubtful,
    KeyRefused,
    NotSent,
    PollAnswer,
    Polled,
    Probe,
    Rejected,
    Throttled,
    TriggerAnswer,
    Unclear,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from batchrun.engine.backoff import FailureWatch, KeyRefusals, RetryState
    from batchrun.engine.forecast import DuePoll, Forecast
    from batchrun.engine.progress import Counters
    from batchrun.engine.session import Session
    from batchrun.journal import BatchJobs, Job
    from batchrun.journal.slices import Slice
    from batchrun.service.parsing import QuotaReading


Followup: TypeAlias = "Coroutine[None, None, None]"
"""Applies an answer. The request itself is over, so the next one may be sent meanwhile."""

UNCHANGED_POLLS = 5
"""An execution has ended if this many polls in a row return the same unknown status, and the time
that an execution may take has passed."""


@dataclass(slots=True)
class _Watched:
    """An execution being watched."""

    job: Job
    since: float  # in seconds of the engine's clock
    word: str = ""  # the last poll's message about an unknown status
    same: int = 0  # number of polls in a row with that message
    # Count of usable answers to all requests when polls of this execution began to fail; None
    # while they succeed
    unread_at: int | None = None


@dataclass(slots=True, kw_only=True)
class RequestHandlers:
    """Sends a batch's triggers and polls, and applies the answers.

    Each answer updates the quota, the forecast, the counters, and what is known of the service
    (``retries``), of the key, and of failures. Jobs that were certainly not accepted go back to the
    queue.
    """

    session: Session
    jobs: BatchJobs
    forecast: Forecast
    queue: JobQueue
    counters: Counters
    retries: RetryState
    failures: FailureWatch
    key: KeyRefusals
    running_rows: int = 0  # number of rows that share the executions being watched
    _watched: dict[int, _Watched] = field(default_factory=dict)
    _set_aside: list[tuple[Job, str]] = field(default_factory=list)
    _sound_answers: int = 0

    @property
    def in_flight(self) -> int:
        """Number of executions being watched."""
        return len(self._watched)

    def watch(self, job: Job, created_at: datetime | None, now: float) -> None:
        """Start watching an execution; its age includes the time since an earlier run's trigger."""
        self._watched[job.number] = _Watched(job, now)
        self.running_rows += job.rows
        age = 0.0
        if job.triggered_at is not None:
            age = max(datetime.now(UTC).timestamp() - job.triggered_at, 0.0)
        self.forecast.triggered(job.number, created_at, now - age)

    # triggers

    async def trigger(self, job: Job, taken_at: float) -> Followup | None:
        """Trigger a job in the slot taken at ``taken_at``, unless it is no longer pending.

        Returns:
            The follow-up to await after the answer; ``None`` if nothing was sent.
        """
        if not await self.jobs.begin_trigger(job):
            self.session.quota.give_back(taken_at, self.session.clock.now())
            return None
        answer = await self.session.client.trigger(job.request())
        now = self.session.clock.now()
        self.session.quota.answered(answer.quota, now)
        return self._settle_trigger(job, answer, now)

    async def _settle_trigger(self, job: Job, answer: TriggerAnswer, now: float) -> None:
        match answer:
            case Accepted(execution):
                self._answered(now)
                self._key_accepted()
                if doubt := await self.jobs.accept(job, execution, datetime.now(UTC)):
                    self._settled(job, Outcome.IN_DOUBT, doubt)
                    return
                self.watch(replace(job, execution_id=execution.id), execution.created_at, now)
                self.counters.report("")
            case Rejected(_, reason):
                self._answered(now)
                await self.jobs.reject(job, reason, answer.cause)
                self._settled(job, Outcome.REJECTED, reason)
            case Doubtful(reason):
                self._back_off(now)
                await self.jobs.doubt(job, reason)
                self._settled(job, Outcome.IN_DOUBT, reason)
            case NotSent(reason):
                self._back_off(now)
                await self._return(job, reason)
            case Throttled(reason):
                await self._return(job, reason)
                await self._refused(answer.quota, now)
            case KeyRefused(403, reason):
                await self._forbidden(job, reason)
            case KeyRefused(_, reason):
                await self.jobs.release(job, reason, Cause.NO_ACCESS)
                raise key_refused(reason)
            case _:
                assert_never(answer)

    async def _return(self, job: Job, reason: str) -> None:
        """Put back a job that was certainly not accepted; it is triggered next."""
        await self.jobs.release(job, reason)
        self.queue.put_back(job)
        self.counters.report(reason)

    async def _forbidden(self, job: Job, reason: str) -> None:
        """Handle a 403 for a trigger, which may be due to the row or to the key.

        If a trigger was accepted before, it is due to the row, unless several in a row are refused.
        Otherwise the row is set aside until another trigger shows whether the key is good.
        """
        if self.key.proven:
            await self.jobs.reject(job, reason, Cause.NO_ACCESS)
            self._settled(job, Outcome.REJECTED, reason)
        else:
            await self.jobs.release(job, reason, Cause.NO_ACCESS)
            self._set_aside.append((job, reason))
            if self.key.proven:  # another trigger succeeded while the journal was written
                self._key_accepted()
            self.counters.report(reason)
        if self.key.forbidden():
            raise key_refused(reason)

    def _key_accepted(self) -> None:
        self.key.accepted()
        for job, _ in self._set_aside:
            self.queue.put_back(job)
        self._set_aside.clear()

    def require_key(self) -> None:
        """Raise `KeyRefusedError` if, by the end, no trigger has shown that the key is valid."""
        if self._set_aside:
            raise key_refused(self._set_aside[0][1])

    # polls

    async def poll(self, poll: DuePoll) -> Followup:
        """Poll one execution; return the follow-up to await after the answer."""
        watched = self._watched[poll.job]
        assert watched.job.execution_id is not None
        self.jobs.count_request(watched.job)
        sent_at = self.session.clock.now()
        answer = await self.session.client.poll(watched.job.execution_id, watched.job.request())
        now = self.session.clock.now()
        self.session.quota.answered(answer.quota, now)
        return self._settle_poll(watched, poll, answer, sent_at, now)

    async def _settle_poll(
        self, watched: _Watched, poll: DuePoll, answer: PollAnswer, sent_at: float, now: float
    ) -> None:
        job = watched.job
        match answer:
            case Polled(execution):
                self._answered(now)
                self.key.polled()
                watched.unread_at = None
                execution = _ended_if_unchanged(watched, execution, now)
                if not execution.ended:
                    await self._keep_polling(watched, execution, execution.message, now)
                    return
                await self.jobs.finish(job, execution, datetime.now(UTC))
                del self._watched[job.number]
                self.running_rows -= job.rows
                self.forecast.ended(job.number, execution, now)
                completed = execution.status is ExecutionStatus.COMPLETED
                outcome = Outcome.COMPLETED if completed else Outcome.FAILED
                self._settled(job, outcome, execution.message)
            case Unknown(reason):
                self._answered(now)
                await self._keep_polling(watched, None, reason, now)
            case Unclear(reason):
                if answer.from_service:
                    self._answered(now)
                elif not self._only_this_one(watched):
                    self._back_off(now)
                await self._keep_polling(watched, None, reason, now)
            case Throttled(reason):
                await self._refused(answer.quota, now)
                self.forecast.put_back(poll)
                self.counters.report(reason)
            case KeyRefused(_, reason):
                if not self.key.tolerates(job.number, sent_at, now):
                    raise key_refused(reason)
                await self._keep_polling(watched, None, reason, now)
            case _:
                assert_never(answer)

    def _only_this_one(self, watched: _Watched) -> bool:
        """Whether other requests got usable answers after polls of this execution began to fail.

        If so, the service can be reached, so this execution is polled until its patience ends.
        """
        if watched.unread_at is None:
            watched.unread_at = self._sound_answers
        return self._sound_answers > watched.unread_at

    def must_check_service(self, poll: DuePoll) -> bool:
        """Whether to check if the service is down, or only this execution can't be read.

        That is unknown if no request has had a usable answer since polls of it began to fail.
        """
        return self._watched[poll.job].unread_at == self._sound_answers

    async def check_service(self) -> Followup:
        """Request the workflows, only to see whether the service answers."""
        self.jobs.count_request()
        answer = await self.session.client.probe()
        now = self.session.clock.now()
        self.session.quota.answered(answer.quota, now)
        return self._settle_check(answer, now)

    async def _settle_check(self, answer: Probe, now: float) -> None:
        if answer.status == 429:
            await self._refused(answer.quota, now)
        elif answer.reason:
            self._back_off(now)
        else:
            self._answered(now)

    async def _keep_polling(
        self, watched: _Watched, execution: Execution | None, reason: str, now: float
    ) -> None:
        """Schedule the next poll, or time the job out if its patience has ended."""
        job = watched.job
        if now - watched.since < self.session.settings.patience_seconds:
            self.forecast.still_running(job.number, execution, now)
            self.counters.report(reason)
            return
        minutes = self.session.settings.patience_seconds / 60
        why = f" ({reason})" if reason else ""
        await self.jobs.time_out(job, f"not finished after {minutes:.0f} minutes{why}")
        del self._watched[job.number]
        self.running_rows -= job.rows
        self.forecast.dropped(job.number)
        self._settled(job, Outcome.TIMED_OUT, "not finished in time")

    # updates from answers

    def _settled(self, job: Job, outcome: Outcome, reason: str) -> None:
        self.failures.settled(outcome, reason)
        self.counters.settled(job.rows, outcome)

    def _answered(self, now: float) -> None:
        self._sound_answers += 1
        self.retries.answered()
        self.key.answered()
        self.session.quota.accepted(now)

    def _back_off(self, now: float) -> None:
        """Pause all requests for a while, because the last one got no usable answer."""
        self.session.quota.pause(self.retries.failed(now), now)

    async def _refused(self, reading: QuotaReading | None, now: float) -> None:
        self.session.quota.refused(reading, now)
        await self.session.share.hold(self.session.quota.delay(now))


def _ended_if_unchanged(watched: _Watched, execution: Execution, now: float) -> Execution:
    """Return the execution, as failed if an unknown status hasn't changed for several polls.

    It must not count as completed, because that is unknown. Its result, if any, is kept.
    """
    if execution.status is not ExecutionStatus.UNKNOWN:
        watched.word, watched.same = "", 0
        return execution
    watched.same = watched.same + 1 if execution.message == watched.word else 1
    watched.word = execution.message
    if watched.same < UNCHANGED_POLLS or now - watched.since < MAX_RUN_SECONDS:
        return execution
    message = f"{execution.message}, unchanged in {watched.same} polls"
    return replace(execution, status=ExecutionStatus.FAILED, message=message)


def key_refused(reason: str) -> KeyRefusedError:
    """The error that ends a batch if the service refuses the key."""
    return KeyRefusedError(
        f"The service refuses the key: {reason}.",
        Advice(
            "Nothing is lost. ",
            "Save a key with the scope workflows:execute with batchrun login, or set it in "
            "PGAI_API_KEY; then run: batchrun resume",
            Action.LOG_IN,
            Action.RESUME,
        ),
    )


class JobQueue:
    """The pending jobs of the slices that this worker claims; each is taken once unless put back.

    At most ``limit`` are taken, and none but those with the numbers in ``only``; ``None`` for all.
    """

    def __init__(
        self, jobs: BatchJobs, limit: int | None, only: Collection[int] | None = None
    ) -> None:
        self._jobs = jobs
        self._ready: deque[Job] = deque()
        self._slice: Slice | None = None  # the slice from which jobs are still read
        self._last_read = -1
        self._exhausted = False
        self._only = None if only is None else frozenset(only)
        self._last = math.inf if only is None else max(only, default=-1)
        # Number of selected jobs left, ignoring the limit
        self.waiting = jobs.count_pending() if only is None else len(only)
        self._allowed = math.inf if limit is None else limit
        self._taken: set[int] | None = None if limit is None else set()

    @property
    def left(self) -> int:
        """Number of jobs that this worker or another will still take."""
        return int(min(self.waiting, self._allowed))

    @property
    def unselected_pending(self) -> bool:
        """Whether unselected jobs are pending; ask only after all selected ones are taken."""
        return self._only is not None and self._jobs.count_pending() > 0

    @property
    def taken(self) -> tuple[int, ...]:
        """Numbers of the jobs taken; recorded only if there is a limit, which bounds them."""
        return tuple(sorted(self._taken or ()))

    def refresh(self, pending: int) -> None:
        """Update from the number of jobs pending in the batch, some of which others took."""
        self.waiting = max(pending, len(self._ready))
        self._exhausted = self._exhausted and self.waiting == len(self._ready)

    @property
    def needs_slice(self) -> bool:
        """Whether the next slice must be claimed before another job can be taken."""
        return not self._exhausted and not self.has_pending()

    async def claim(self, *, again: bool = False) -> list[Job] | None:
        """Claim the next slice and return its jobs in flight; ``None`` if no slice is left.

        If it is idle, a worker also claims slices ``again`` that it has had before.
        """
        slices = self._jobs.slices
        if again:
            await asyncio.to_thread(slices.release)
        self._slice = await asyncio.to_thread(slices.claim, closed=self._jobs.leads)
        self._last_read = -1
        self._exhausted = self._slice is None
        return None if self._slice is None else self._jobs.in_flight(self._slice)

    def has_pending(self) -> bool:
        """Whether a selected job is left in the claimed slices, ignoring the limit."""
        while not self._ready and self._slice is not None:
            found = self._jobs.pending(self._last_read, within=self._slice)
            self._last_read = found[-1].number if found else self._slice.last
            if self._last_read >= min(self._slice.last, self._last):
                self._slice = None
            chosen = self._only
            self._ready.extend(job for job in found if chosen is None or job.number in chosen)
        return bool(self._ready)

    def has_next(self) -> bool:
        """Whether another job may be taken."""
        return self._allowed > 0 and self.has_pending()

    def take(self) -> Job:
        """Take the next job."""
        self._allowed -= 1
        self.waiting -= 1
        job = self._ready.popleft()
        if self._taken is not None:
            self._taken.add(job.number)
        return job

    def put_back(self, job: Job) -> None:
        """Return a job that was certainly not accepted; it is taken next."""
        self._allowed += 1
        self.waiting += 1
        if self._taken is not None:
            self._taken.discard(job.number)
        self._ready.appendleft(job)
