"""The engine: triggers a batch's jobs and polls their executions within one quota.

`next_step` chooses the next request, `quota` decides when it may be sent, `forecast` predicts when
an execution has ended, and `handlers` applies the answers.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from batchrun.engine.backoff import FailureWatch, KeyRefusals, RetryState
from batchrun.engine.forecast import DuePoll
from batchrun.engine.handlers import JobQueue, RequestHandlers
from batchrun.engine.progress import Counters, Progress
from batchrun.events import Event, log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

    from batchrun.engine.handlers import Followup
    from batchrun.engine.session import Session
    from batchrun.journal import BatchJobs
    from batchrun.journal.slices import BatchState
    from batchrun.model import BatchSummary


_LOG = logging.getLogger(__name__)


UNREACHABLE_SECONDS = 900.0
"""Long enough to wait out a network outage of ten minutes."""


class Ending(StrEnum):
    """Why the engine stopped."""

    FINISHED = "finished"
    LIMIT = "limit"
    INTERRUPTED = "interrupted"
    QUOTA = "quota"
    UNREACHABLE = "unreachable"
    FAILURES = "failures"
    SELECTION_DONE = "selection done"
    """The selected jobs are done; other jobs of the batch are still pending."""
    DETACHED = "detached"
    """This process has left; other workers continue the batch."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for some seconds, or until an answer arrives."""

    seconds: float


class Next(Enum):
    """What to do next, other than to poll or to wait."""

    TRIGGER = auto()
    CHECK_SERVICE = auto()
    """Request the workflows, to see whether the service answers at all."""
    DAY_SPENT = auto()
    """The rest of today's quota isn't enough for a trigger and its poll."""
    DONE = auto()
    """Nothing is left to send or to wait for."""


Step: TypeAlias = DuePoll | Wait | Next


def next_step(
    *,
    may_trigger: bool,
    in_flight: int,
    max_in_flight: float,
    outstanding: int,
    due: DuePoll | None,
    requests_left: float,
    now: float,
) -> Step:
    """Choose the next request.

    1. A scout that is due: it shows how long executions take, and returns the first results.
    2. A trigger, if fewer executions than wanted are in flight. More in flight means that each has
       longer to end before its poll, and that no slot is idle until the end.
    3. A poll that is due.

    Every execution in flight, and the new one, reserves a request of today's quota for its poll.
    ``outstanding`` requests are sent and not settled. ``due`` is the next poll.
    """
    if due is not None and due.scout and due.at <= now:
        return due
    room = in_flight + outstanding < max_in_flight
    if may_trigger and room and requests_left >= in_flight + outstanding + 2:
        return Next.TRIGGER
    if due is not None:
        return due if due.at <= now else Wait(due.at - now)
    if outstanding:
        return Wait(math.inf)
    return Next.DAY_SPENT if may_trigger else Next.DONE


MAX_PER_SECOND = 1_000.0
"""Maximum number of requests that one process sends per second, whatever the quota."""
REPORT_WAIT_AFTER_SECONDS = 10.0
"""Waits for the quota are reported from this length; shorter ones only space requests evenly."""
MAX_UNCOMMITTED_PER_CONNECTION = 1
"""Answers per connection that may still be uncommitted while other requests are sent."""
OTHERS_CHECK_SECONDS = 2.0
"""How often an idle worker checks whether others are still working, in seconds of real time."""
NAP_SECONDS = 30.0
"""The longest single wait, in seconds of real time, because the machine may sleep during it."""


class Engine:
    """Works on the jobs of one batch until none is left or something stops it.

    ``before`` is the batch as it is at the start. Calls ``on_progress`` after each committed step.
    Triggers at most ``limit`` jobs, and none but those with the numbers in ``only``. If it works
    ``alone``, no other worker may claim jobs of the batch.
    """

    def __init__(
        self,
        session: Session,
        jobs: BatchJobs,
        before: BatchSummary,
        on_progress: Callable[[Progress], None] | None,
        *,
        limit: int | None = None,
        only: Collection[int] | None = None,
        alone: bool = False,
    ) -> None:
        self._jobs = jobs
        self._quota = session.quota
        self._share = session.share
        self._forecast = session.forecast(before.workflow.id)
        self._clock = session.clock
        self._settings = session.settings
        self._alone = alone
        self._max_at_once = session.client.requests_at_once
        self._on_progress = on_progress
        self.counters = Counters(before.counts, self._report)  # what it has done so far
        self.queue = JobQueue(jobs, limit, only)
        self._outstanding = 0  # requests being sent, or whose answers are being applied
        self._unanswered = 0  # the part of these without an answer yet
        self._started_at = 0.0
        self._opens_at = -math.inf  # end of the current wait for the quota
        self._retries = RetryState(math.inf if self._settings.wait else UNREACHABLE_SECONDS)
        self._failures = FailureWatch(self._settings.stop_after_failures)
        self._handlers = RequestHandlers(
            session=session,
            jobs=jobs,
            forecast=self._forecast,
            queue=self.queue,
            counters=self.counters,
            retries=self._retries,
            failures=self._failures,
            key=KeyRefusals(proven=jobs.key_has_worked()),
        )
        self._workers = 1  # sharing the key's quota
        self._others_stopped = False
        self._stop_at: float | None = None
        self._ending: Ending | None = None
        self._failure: Exception | None = None
        self._wake = asyncio.Event()

    async def work(self) -> Ending:
        """Trigger and poll until everything is done or something stops it.

        Raises:
            KeyRefusedError: The service refuses the key; nothing is lost.
            TakenOverError: Another process has taken over the batch.
            JournalError: The journal can't be written.
        """
        self._started_at = self._clock.now()
        await self._claim()
        async with asyncio.TaskGroup() as group:
            while self._failure is None and self._ending is None:
                self._wake.clear()
                try:
                    await self._step(group)
                except Exception as error:  # raised below, once all answers have arrived
                    self._failure = error
        if self._failure is not None:
            raise self._failure
        assert self._ending is not None
        return self._ending

    def stop(self) -> None:
        """Trigger nothing more, and collect results for up to `Settings.drain_seconds`."""
        if self._stop_at is None:
            self._stop_at = self._clock.now() + self._settings.drain_seconds
            self._wake.set()

    def observe(self, state: BatchState) -> None:
        """Update from the batch's state, which includes other workers; called at each heartbeat."""
        self._workers = state.workers
        if self._alone:
            return
        self.queue.refresh(state.pending)
        self.counters.replace(state.counts)
        self._failures.observe(state.completed, state.failed)
        if state.closed:
            self._failures.verdict = self._failures.verdict or state.closed
        if self.stopped_because:
            self._wake.set()
        elif state.closed is not None:
            self.stop()

    def abort(self, error: Exception) -> None:
        """Send nothing more, and raise this error once all answers have arrived."""
        self._failure = self._failure or error
        self._wake.set()

    @property
    def stopped_because(self) -> str:
        """Why nothing more is triggered although jobs are left; ``""`` to continue."""
        return self._failures.verdict

    @property
    def seconds(self) -> float:
        """How long it has worked."""
        return self._clock.now() - self._started_at

    @property
    def _requests_per_second(self) -> float:
        return min(self._quota.rate / 60 / self._workers, MAX_PER_SECOND)

    @property
    def _busy(self) -> bool:
        """Whether the client or the journal can't take another request now."""
        if self._retries.failing:  # one at a time: each trigger may end in doubt
            return self._outstanding > 0
        most = self._max_at_once * (1 + MAX_UNCOMMITTED_PER_CONNECTION)
        return self._unanswered >= self._max_at_once or self._outstanding >= most

    @property
    def jobs_left(self) -> int:
        """Number of jobs this run will still trigger."""
        return 0 if self._stopping else self.queue.left

    async def _claim(self, *, again: bool = False) -> bool:
        """Claim the next slice and watch its executions; return whether there was a slice."""
        in_flight = await self.queue.claim(again=again)
        now = self._clock.now()
        for job in sorted(in_flight or (), key=lambda job: job.triggered_at or 0.0):
            at = job.triggered_at
            self._handlers.watch(job, None if at is None else datetime.fromtimestamp(at, UTC), now)
        return in_flight is not None

    async def _wait_for_others(self, now: float) -> bool:
        """Return whether slices are left, after this worker has finished its own.

        Claims a slice that another worker left when it died; otherwise waits a little for workers
        that are still active, and reports their progress.
        """
        if self._alone or self._stopping:
            return False
        if await self._claim(again=True):
            return True
        state = await asyncio.to_thread(self._jobs.slices.state)
        self.observe(state)
        if not state.others:
            return False
        await self._pause(OTHERS_CHECK_SECONDS * self._clock.speed, now)
        return True

    @property
    def _stopping(self) -> bool:
        """Whether nothing more is triggered."""
        return self._stop_at is not None or bool(self.stopped_because)

    async def _stop_others(self) -> None:
        """Tell the other workers to trigger nothing more.

        A worker that is stopped by the user stops only itself, unless it holds the batch.
        """
        if self._others_stopped or not self._stopping:
            return
        if self.stopped_because or (self._jobs.leads and not self._alone):
            self._others_stopped = True
            await asyncio.to_thread(self._jobs.slices.close, self.stopped_because)

    def _jobs_are_left(self) -> bool:
        if self._alone:
            return self.queue.has_pending()
        return self._jobs.count_pending() > 0

    def _ending_when_done(self) -> Ending:
        if not self._jobs_are_left():
            return Ending.SELECTION_DONE if self.queue.unselected_pending else Ending.FINISHED
        return Ending.FAILURES if self.stopped_because else Ending.LIMIT

    def _ending_now(self, now: float) -> Ending | None:
        """Why the work ends now; ``None`` if it continues."""
        if self._retries.given_up(now):
            return Ending.UNREACHABLE
        waits = bool(self._handlers.in_flight or self._outstanding)
        if self._stop_at is None or (now < self._stop_at and waits):
            return None
        return Ending.INTERRUPTED if waits or self._jobs_are_left() else self._ending_when_done()

    # one step

    async def _step(self, group: asyncio.TaskGroup) -> None:
        now = self._clock.now()
        self._ending = self._ending_now(now)
        if self._ending is not None:
            return
        await self._stop_others()
        if self._busy:
            await self._pause(math.inf, now)
        elif not self._stopping and self.queue.needs_slice:
            await self._claim()
        else:
            await self._do_next(group, self._clock.now())

    async def _do_next(self, group: asyncio.TaskGroup, now: float) -> None:
        step = self._decide(now)
        match step:
            case Next.DONE:
                self._handlers.require_key()
                if not await self._wait_for_others(now):
                    self._ending = self._ending_now(now) or self._ending_when_done()
            case Wait(seconds):
                if self._stop_at is None or self._outstanding or now + seconds <= self._stop_at:
                    await self._pause(seconds, now)
                else:  # no poll is due before the stop
                    self._ending = Ending.INTERRUPTED
            case Next.DAY_SPENT:
                await self._pause_for_quota(self._quota.seconds_to_next_day(now), now)
            case DuePoll() | Next.TRIGGER | Next.CHECK_SERVICE if self._share.must_ask(now):
                await self._share.ask()  # takes time: decide again afterwards
            case DuePoll() | Next.TRIGGER | Next.CHECK_SERVICE:
                delay = max(self._quota.delay(now), self._share.delay(now))
                if delay > 0:
                    await self._pause_for_quota(delay, now)
                else:
                    self._send(group, step, now)
            case _:
                assert_never(step)

    def _decide(self, now: float) -> Step:
        wanted = self._forecast.in_flight_wanted(self._requests_per_second)
        step = next_step(
            may_trigger=not self._stopping and self.queue.has_next(),
            in_flight=self._handlers.in_flight,
            max_in_flight=min(wanted, self._settings.max_in_flight or math.inf),
            outstanding=self._outstanding,
            due=self._forecast.next_poll(self._requests_per_second, now, jobs_left=self.jobs_left),
            requests_left=self._quota.left_today(now),
            now=now,
        )
        if isinstance(step, DuePoll) and self._handlers.must_check_service(step):
            return Next.CHECK_SERVICE
        return step

    async def _pause_for_quota(self, seconds: float, now: float) -> None:
        """Wait until a request may be sent, or end the run if that takes too long."""
        too_long = not self._settings.wait and seconds > self._settings.longest_pause_seconds
        if too_long and not self._outstanding:
            self._ending = Ending.QUOTA
            return
        if seconds >= REPORT_WAIT_AFTER_SECONDS:
            log_event(
                _LOG, Event.QUOTA_WAITING, batch=self._jobs.batch_id, seconds=round(seconds, 1)
            )
            self._opens_at = now + seconds
            self._report()
        await self._pause(seconds, now)
        self.counters.quota_seconds += self._clock.now() - now

    async def _pause(self, seconds: float, now: float) -> None:
        """Wait for an answer, for at most this long."""
        if self._stop_at is not None:
            seconds = min(seconds, self._stop_at - now)
        await self._clock.wait(self._wake, min(seconds, NAP_SECONDS * self._clock.speed))

    def _send(
        self,
        group: asyncio.TaskGroup,
        step: DuePoll | Literal[Next.TRIGGER, Next.CHECK_SERVICE],
        now: float,
    ) -> None:
        self._quota.take(now)
        self._share.take()
        self._outstanding += 1
        self._unanswered += 1
        self.counters.requests += 1
        match step:
            case DuePoll():
                self._forecast.take_poll(step)
                group.create_task(self._guarded(self._handlers.poll(step)))
            case Next.CHECK_SERVICE:
                group.create_task(self._guarded(self._handlers.check_service()))
            case Next.TRIGGER:
                group.create_task(self._guarded(self._handlers.trigger(self.queue.take(), now)))
            case _:
                assert_never(step)

    async def _guarded(self, request: Coroutine[None, None, Followup | None]) -> None:
        """Run a request and keep its error; `work` raises it after the other answers arrive."""
        try:
            try:
                followup = await request
            finally:
                self._unanswered -= 1
                self._wake.set()
            if followup is not None:
                await followup
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._outstanding -= 1
            self._wake.set()

    def _report(self, notice: str = "") -> None:
        if self._on_progress is None:
            return
        now = self._clock.now()
        rates = self._quota.rates(self._forecast.seconds_per_execution, now)
        progress = Progress(
            counts=dict(self.counters.counts),
            in_flight=self._handlers.in_flight,
            requests=self.counters.requests,
            requests_left_this_minute=self._quota.window_left(now),
            requests_left_today=self._quota.left_today(now),
            seconds_left=rates.of(self.jobs_left, self._handlers.in_flight).seconds,
            waiting_seconds=max(self._opens_at - now, 0.0),
            running_rows=self._handlers.running_rows,
            notice=notice,
            stopped_because=self.stopped_because,
        )
        self._on_progress(progress)
