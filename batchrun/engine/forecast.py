"""The forecast: when has an execution probably ended, and is worth a poll?

Pure policy: it takes the time and sends nothing. Three rules:

1. *While run times are unknown, send scouts.* One execution at a time is polled early, each at a
   higher age than the last one that was still running. All others wait for what it finds.
2. *Once run times are known, poll once.* An execution is polled when most of its kind have ended.
3. *At the end, don't hurry.* The user waits for the whole batch, not for a single row. So once all
   jobs are triggered, polls come as late as possible, while still leaving a request for each one
   before the last execution ends.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batchrun.engine.run_times import MAX_RUN_SECONDS, RunTimes
from batchrun.model import Execution, ExecutionStatus

if TYPE_CHECKING:
    from datetime import datetime


SCOUT_SECONDS = (4.0, 20.0, MAX_RUN_SECONDS / 2, MAX_RUN_SECONDS * 4 / 5)
"""Ages of the first scouts, in seconds. Cached answers take 4 s. At 20 s a short batch may have
ended and only need polls. The other ages divide up the rest of the documented two minutes."""
SCOUT_GROWTH = 1.2
"""Each later scout is a fifth older than the last one that was still running. Finer steps cost more
in requests than they save in time."""
MANY_REQUESTS = 500
"""In a batch with this many requests, an extra scout hardly matters, so all scouts grow by
`SCOUT_GROWTH`. The same holds if the quota allows as many requests before the second scout."""
FIRST_SHARE = 0.96
"""An execution is first polled when this share of its kind has ended."""
NEXT_SHARE = 0.85
"""It is polled again when this share has ended of those that ran as long."""
LAST_SHARE = 0.7
"""The last few still running are polled when this share has ended, because the whole batch waits
for them. The same holds for the first execution of a batch whose workflow is known."""
LAST_FEW = 8
IN_FLIGHT_SHARE = 0.97
"""Enough executions are in flight to use every request until this share of the oldest has ended."""
QUEUE_AHEAD = 3.0
"""On a service that queues, this many run times' worth of executions are in flight, so its
queue never runs empty."""
ENOUGH = 30
"""Number of known run times that is enough to predict the end of a batch."""
SAMPLE = 64
"""Number of executions from which to predict the pace of a queue, and the end of a batch."""
MIN_INTERVAL_SECONDS = 2.0
"""Minimum time between two polls of one execution. A start within this time is immediate."""
PLAUSIBLE_RUN_SECONDS = 86_400.0
"""A run time above a day means that a timestamp is wrong."""


@dataclass(frozen=True, slots=True, order=True)
class _Start:
    number: int
    at: float
    waited: bool


class Queue:
    """Predicts when queued executions start. They are numbered from 0 in the order triggered."""

    def __init__(self) -> None:
        self._starts: list[_Start] = []
        self._not_before: tuple[int, float] | None = None
        self._at_once = 0
        self._seen_pace: float | None = None

    def started(self, number: int, triggered_at: float, at: float) -> None:
        """Record when an execution started."""
        waited = at - triggered_at > MIN_INTERVAL_SECONDS
        if not (waited or self.waits):
            self._at_once = max(self._at_once, number + 1)
        insort(self._starts, _Start(number, at, waited))
        if len(self._starts) > SAMPLE:
            del self._starts[0]
        self._seen_pace = self._pace_of_starts()
        if self._not_before is not None and number >= self._not_before[0]:
            self._not_before = None

    def still_queued(self, number: int, now: float) -> None:
        """Record that an execution had not started yet."""
        self._not_before = (number, now)

    @property
    def waits(self) -> bool:
        """Whether the latest execution known to have started had to wait, or one still waits."""
        return self._not_before is not None or bool(self._starts and self._starts[-1].waited)

    def pace(self, mean_run_seconds: float) -> float:
        """Starts per second while executions queue."""
        if self._seen_pace is not None:
            return self._seen_pace
        return max(self._at_once, 1) / max(mean_run_seconds, 0.1)

    def _pace_of_starts(self) -> float | None:
        """Starts per second of those that waited; ``None`` if there are too few."""
        waited = [start for start in self._starts if start.waited]
        if len(waited) < 2:
            return None
        numbers = waited[-1].number - waited[0].number
        seconds = waited[-1].at - waited[0].at
        return numbers / seconds if numbers >= max(4, self._at_once) and seconds > 0 else None

    def start(self, number: int, triggered_at: float, mean_run_seconds: float) -> float:
        """When an execution started, or probably will."""
        if not self.waits:
            return triggered_at
        pace = self.pace(mean_run_seconds)
        at = triggered_at
        place = bisect_left(self._starts, number, key=lambda start: start.number) - 1
        if place >= 0:
            known = self._starts[place]
            at = max(at, known.at + (number - known.number) / pace)
        if self._not_before is not None:
            queued, moment = self._not_before
            at = max(at, moment + max(number - queued, 0.5) / pace)
        return at


@dataclass(frozen=True, slots=True, order=True)
class DuePoll:
    """A poll of a job's execution, worth its request from ``at`` on."""

    at: float  # in seconds of the engine's clock
    job: int  # number of the job
    # Whether it is sent ahead of triggers, to learn how long executions take
    scout: bool = field(default=False, compare=False)


@dataclass(slots=True)
class _Timing:
    """What is known about when an execution started."""

    number: int
    triggered_at: float
    created_at: datetime | None
    started_at: float | None = None
    seen_running: float = 0.0  # its age in seconds when it was last seen running
    unusable: int = 0  # unusable answers in a row

    @property
    def shortest_interval(self) -> float:
        """Minimum seconds until its next poll; each unusable answer in a row doubles it."""
        doublings = min(self.unusable, 10)  # reaches the maximum, without overflow
        return min(MIN_INTERVAL_SECONDS * 2.0**doublings, MAX_RUN_SECONDS)


class Forecast:
    """Predicts from earlier executions when one has probably ended, and polls it then.

    Executions not polled yet are ordered by their start (`Queue`), because the one that started
    first is the likeliest to have ended. An execution seen running gets its own time for the next
    poll, from the run times (`RunTimes`) of those that ran as long, at first in earlier batches.
    """

    def __init__(self, run_times: RunTimes | None = None) -> None:
        self._run_times = run_times or RunTimes()
        self._queue = Queue()
        self._triggered = 0
        self._ended = 0
        self._timings: dict[int, _Timing] = {}
        self._fresh: list[tuple[int, int]] = []  # heap of (number, job), not polled yet
        self._again: list[DuePoll] = []  # heap, seen running
        self._again_for = (0, False)
        self._ends = -math.inf
        self._ends_for = (-1, -1)
        self._idle_from = math.inf
        self._scout: int | None = None
        self._scout_at = SCOUT_SECONDS[0]
        self._many = False
        if self._run_times.known:
            self._scout_at = self._run_times.quantile(LAST_SHARE)

    def in_flight_wanted(self, requests_per_second: float) -> float:
        """Number of executions in flight that keeps every request of the quota busy to the end.

        Infinite while run times are unknown, because slow executions need many in flight.
        """
        pace = requests_per_second
        if self._queue.waits:
            pace = min(pace, QUEUE_AHEAD * self._queue.pace(self._run_times.mean))
        elif not self._run_times.explained:
            return math.inf
        stay = max(self.seconds_per_execution, MIN_INTERVAL_SECONDS)
        return max(pace * stay, 1.0)

    @property
    def seconds_per_execution(self) -> float:
        """How long the slower executions take, in seconds."""
        return self._run_times.quantile(IN_FLIGHT_SHARE)

    def triggered(self, job: int, created_at: datetime | None, now: float) -> None:
        """Record when an execution was accepted: by the service's clock, and by the engine's."""
        self._timings[job] = _Timing(self._triggered, now, created_at)
        heapq.heappush(self._fresh, (self._triggered, job))
        self._triggered += 1

    def next_poll(
        self, requests_per_second: float, now: float, *, jobs_left: int
    ) -> DuePoll | None:
        """Return the next poll; ``None`` if no execution is left that isn't being polled."""
        self._idle_from = now + jobs_left / requests_per_second
        requests = max(self._triggered + jobs_left, SCOUT_SECONDS[1] * requests_per_second)
        self._many = requests >= MANY_REQUESTS
        known = self._run_times.known >= ENOUGH and self._run_times.explained
        ending = not jobs_left and not self._queue.waits
        fresh = self._next_fresh()
        again = self._next_again(last=ending and known)
        if ending:
            # Polls that start now, without a gap, finish just when the last execution ends.
            latest = self._ends_at(now) - len(self._timings) / requests_per_second
            if latest > now:
                again = _not_before(latest, again)
                fresh = _not_before(latest, fresh) if known else self._next_to_learn()
        due = [fresh, again, self._next_scout()]
        return min((poll for poll in due if poll is not None), default=None)

    def take_poll(self, poll: DuePoll) -> None:
        """Mark a poll as being sent; one of the next four methods must follow."""
        if poll.scout:
            self._scout = poll.job
        if self._fresh and poll.job == self._fresh[0][1]:
            heapq.heappop(self._fresh)
        else:
            self._again = [other for other in self._again if other.job != poll.job]
            heapq.heapify(self._again)

    def put_back(self, poll: DuePoll) -> None:
        """Make a poll that got no answer due again, as before."""
        timing = self._timings[poll.job]
        self._answered(poll.job)
        if timing.seen_running:
            heapq.heappush(self._again, poll)
        else:
            heapq.heappush(self._fresh, (timing.number, poll.job))

    def still_running(self, job: int, execution: Execution | None, now: float) -> None:
        """Record a poll whose execution hasn't ended, or that got no usable answer (``None``)."""
        timing = self._timings[job]
        self._answered(job)
        if execution is not None and execution.status is ExecutionStatus.QUEUED:
            self._queue.still_queued(timing.number, now)
            heapq.heappush(self._fresh, (timing.number, job))
            return
        if execution is not None and execution.started_at is not None:
            self._learn_start(timing, execution.started_at)
        start = self._start(timing)
        timing.seen_running = max(now - start, 0.1)
        timing.unusable = timing.unusable + 1 if execution is None else 0
        if execution is not None and execution.status is ExecutionStatus.RUNNING:
            self._run_times.seen_running(job, timing.seen_running)
        self._scout_at = max(self._scout_at, self._next_scout_age(timing.seen_running, start))
        heapq.heappush(self._again, DuePoll(max(self._due_again(timing), now), job))

    def ended(self, job: int, execution: Execution, now: float) -> None:
        """Record that the execution ended."""
        timing = self._timings.pop(job)
        self._answered(job)
        self._ended += 1
        if execution.started_at is not None:
            self._learn_start(timing, execution.started_at)
        seconds = _run_seconds(execution)
        if seconds is None:
            seconds = now - self._start(timing)
            # Without timestamps only the time of the poll is known. Taking a late poll for the end
            # would make the next poll later still.
            if self._run_times.known and seconds >= self._run_times.mean:
                self._run_times.dropped(job)
                return
        self._run_times.ended(job, seconds)

    def dropped(self, job: int) -> None:
        """Stop watching an execution, although it may still run."""
        del self._timings[job]
        self._answered(job)
        self._run_times.dropped(job)

    def _answered(self, job: int) -> None:
        if job == self._scout:
            self._scout = None

    # next polls

    def _next_fresh(self) -> DuePoll | None:
        """The poll of the execution that started first, among those not polled yet."""
        if not self._fresh:
            return None
        after = self._run_times.quantile(FIRST_SHARE)
        if not self._run_times.explained and after > self._run_times.longest_ended:
            return None  # leave it to the scouts
        _, job = self._fresh[0]
        return DuePoll(self._start(self._timings[job]) + after, job)

    def _next_again(self, *, last: bool) -> DuePoll | None:
        """The next poll among the executions seen running."""
        if not self._again or not self._run_times.explained:
            return None
        asked_for = (self._run_times.version, last and len(self._again) <= LAST_FEW)
        if self._again_for != asked_for:
            self._again_for = asked_for
            self._again = [
                DuePoll(self._due_again(self._timings[poll.job]), poll.job) for poll in self._again
            ]
            heapq.heapify(self._again)
        return self._again[0]

    def _due_again(self, timing: _Timing) -> float:
        """When to poll an execution again that was seen running."""
        ran = timing.seen_running
        share = LAST_SHARE if self._again_for[1] else NEXT_SHARE
        after = self._run_times.quantile(share, beyond=ran)
        return self._start(timing) + max(after, ran + timing.shortest_interval)

    def _next_to_learn(self) -> DuePoll | None:
        """A poll at the age at which the last polled execution had ended; it risks little."""
        if not self._fresh or not self._run_times.known:
            return None
        _, job = self._fresh[0]
        return DuePoll(self._start(self._timings[job]) + self._scout_at, job)

    def _next_scout(self) -> DuePoll | None:
        """A poll to learn how long executions take; one at a time, until that is known."""
        if self._scout is not None or (self._ended and self._run_times.explained):
            return None
        if self._fresh:
            job = self._fresh[0][1]
        elif self._again:  # poll each once before any twice, because one may be stuck
            job = min(self._again, key=lambda poll: self._timings[poll.job].seen_running).job
        else:
            return None
        timing = self._timings[job]
        after = max(self._scout_at, timing.seen_running + timing.shortest_interval)
        return DuePoll(self._start(timing) + after, job, scout=True)

    def _next_scout_age(self, seconds: float, started_at: float) -> float:
        """The age of the next scout, if one was still running at this age."""
        if not self._many and not self._run_times.explained:
            short = started_at + SCOUT_SECONDS[1] >= self._idle_from
            for age in SCOUT_SECONDS[1 if short else 2 :]:
                if age > seconds:
                    return age
        return seconds * SCOUT_GROWTH

    # times

    def _ends_at(self, now: float) -> float:
        """When the last watched execution probably ends, once all jobs are triggered."""
        known = (self._run_times.version, len(self._again))
        if self._ends_for != known:
            self._ends_for = known
            self._ends = max([poll.at for poll in self._again], default=now)
            step = len(self._fresh) // SAMPLE + 1  # a sample is enough
            starts = [self._start(self._timings[job]) for _, job in self._fresh[::step]]
            if starts:
                left = min(1.0, LAST_SHARE * len(self._fresh)) / step  # the last one
                self._ends = max(self._ends, self._run_times.when_left(left, starts))
        return self._ends

    def _start(self, timing: _Timing) -> float:
        if timing.started_at is not None:
            return timing.started_at
        return self._queue.start(timing.number, timing.triggered_at, self._run_times.mean)

    def _learn_start(self, timing: _Timing, started_at: datetime) -> None:
        """Learn an execution's start; compare only the service's times, as its clock may be off."""
        waited = 0.0
        if timing.created_at is not None:
            waited = max((started_at - timing.created_at).total_seconds(), 0.0)
        if timing.started_at is None and waited < PLAUSIBLE_RUN_SECONDS:
            timing.started_at = timing.triggered_at + waited
            self._queue.started(timing.number, timing.triggered_at, timing.started_at)


def _not_before(at: float, poll: DuePoll | None) -> DuePoll | None:
    return None if poll is None else replace(poll, at=max(poll.at, at))


def _run_seconds(execution: Execution) -> float | None:
    """How long an execution ran by its own timestamps; ``None`` if they are missing or invalid."""
    if execution.started_at is None or execution.completed_at is None:
        return None
    seconds = (execution.completed_at - execution.started_at).total_seconds()
    return seconds if 0 <= seconds < PLAUSIBLE_RUN_SECONDS and math.isfinite(seconds) else None
