"""The forecast: when has an execution probably ended, so that a poll is worth its request?

Pure policy, given the time. The engine knows only the `Forecast` interface.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from batchrun.engine.run_times import EXPLAINED_SHARE, RunTimes
from batchrun.model import ExecutionStatus

if TYPE_CHECKING:
    from datetime import datetime

    from batchrun.model import Execution


EARLY_SECONDS = 4.0
"""The first one is asked at this age: cached answers come that fast."""
EARLY_REQUESTS = 200
"""Or as soon as the quota gives so many: where it is plenty, or there is none, the one that comes
too early costs nothing."""
EXPECTED_SECONDS = (64.0, 96.0)
"""The next at these: not later than one and a half times the 45 s of the faster workflows (API.md,
Seen), so that the first result isn't late; and when the 85 s of the slower ones are surely over."""
IDLE_SECONDS = 20.0
"""Or at this one, if all is triggered by then: the batch may only be waiting to be told."""

MANY_JOBS = 500
MANY_GROWTH = 1.3
"""In so large a batch a poll too early is hardly noticed: ages are tried in steps so small that no
first result comes late."""

GROWTH = 0.25
GROWTH_EXPONENT = 0.4
"""After one that still ran the next is asked when a quarter older, and when less older the more had
ended at that age: the longest isn't far then."""


class AskingAge:
    """The age at which the next execution is asked; it only rises.

    All that have ended at an age are asked there; one that has not ended raises it.

    Args:
        seconds: The first one; ``None`` where nothing tells of it.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = EARLY_SECONDS if seconds is None else seconds
        """That age."""
        self._guessed = seconds is None
        self._ended_there = 0
        self._many = False
        self._idle_from = 0.0

    def batch(self, jobs: int, idle_from: float, requests_per_second: float) -> None:
        """How large the batch is, when it has nothing left to trigger, and what the quota gives."""
        soon = EARLY_REQUESTS / requests_per_second
        self._many = jobs >= MANY_JOBS or soon < EARLY_SECONDS
        self._idle_from = idle_from
        if self._guessed:
            self.seconds = min(self.seconds, soon)

    def ended(self) -> None:
        """One that was asked had ended."""
        self._ended_there += 1

    def running(self, seconds: float, started_at: float, *, one_kind: bool) -> None:
        """One that was asked still ran.

        Args:
            seconds: At this age.
            started_at: When it had started.
            one_kind: Whether those that ended explain how long the others take.
        """
        self._guessed = False
        self.seconds = max(self.seconds, self._next(seconds, started_at, one_kind=one_kind))
        self._ended_there = 0

    def _next(self, seconds: float, started_at: float, *, one_kind: bool) -> float:
        if not one_kind and self._many:
            return seconds * MANY_GROWTH
        if not one_kind and seconds < EXPECTED_SECONDS[-1]:
            idle = started_at + IDLE_SECONDS >= self._idle_from
            ages = (IDLE_SECONDS, *EXPECTED_SECONDS) if idle else EXPECTED_SECONDS
            return next(age for age in ages if age > seconds)
        return seconds * (1 + GROWTH / math.pow(1 + self._ended_there, GROWTH_EXPONENT))


WAITED_SECONDS = 1.5
"""An execution that waited less than this for its start did not queue."""

REMEMBERED = 64
"""Known starts that make the pace."""


@dataclass(frozen=True, slots=True, order=True)
class _Start:
    turn: int
    at: float
    waited: bool


class Queue:
    """Known starts by turn (0 is the first execution triggered), and the next ones foretold."""

    def __init__(self) -> None:
        self._starts: list[_Start] = []
        self._not_before: tuple[int, float] | None = None
        self._at_once = 0
        self._seen_pace: float | None = None

    def started(self, turn: int, triggered_at: float, at: float) -> None:
        """An execution is known to have started then."""
        waited = at - triggered_at > WAITED_SECONDS
        if not waited:
            self._at_once = max(self._at_once, turn + 1) if not self.waits else self._at_once
        insort(self._starts, _Start(turn, at, waited))
        if len(self._starts) > REMEMBERED:
            del self._starts[0]
        self._seen_pace = self._pace_of_starts()
        if self._not_before is not None and turn >= self._not_before[0]:
            self._not_before = None

    def still_queued(self, turn: int, now: float) -> None:
        """An execution had not started yet."""
        self._not_before = (turn, now)

    @property
    def waits(self) -> bool:
        """Whether the execution last known to have started had to wait, or one still does."""
        return self._not_before is not None or bool(self._starts and self._starts[-1].waited)

    def pace(self, mean_run_seconds: float) -> float:
        """Starts a second, while executions queue."""
        if self._seen_pace is not None:
            return self._seen_pace
        return max(self._at_once, 1) / max(mean_run_seconds, 0.1)

    def _pace_of_starts(self) -> float | None:
        """Starts a second by those that waited; ``None`` where they are too few to tell."""
        waited = [start for start in self._starts if start.waited]
        if len(waited) < 2:
            return None
        turns = waited[-1].turn - waited[0].turn
        seconds = waited[-1].at - waited[0].at
        return turns / seconds if turns >= max(4, self._at_once) and seconds > 0 else None

    def start(self, turn: int, triggered_at: float, mean_run_seconds: float) -> float:
        """When an execution probably starts, or did."""
        if not self.waits:
            return triggered_at
        pace = self.pace(mean_run_seconds)
        at = triggered_at
        place = bisect_left(self._starts, turn, key=lambda start: start.turn) - 1
        if place >= 0:
            known = self._starts[place]
            at = max(at, known.at + (turn - known.turn) / pace)
        if self._not_before is not None:
            queued, moment = self._not_before
            at = max(at, moment + max(turn - queued, 0.5) / pace)
        return at


FIRST_SHARE = 0.96
"""The first poll of an execution comes when so many of its kind have ended."""
EAGER_SHARE = 0.92
"""The same while more executions wait to be polled than there is time for: a request not spent
now is lost, so a less sure poll is better than none."""
KNOWN_EAGER_SHARE = 0.97
"""The same on a service that an earlier batch told of: there is nothing to be learned from it."""
EAGER_BACKLOG = 0.5
"""That is when polling all takes at least this part of the time until the last one is due."""
NEXT_SHARE = 0.85
"""The next ones when so many of those have ended that ran as long."""

STILL_RUNNING = 1.5
"""The end of a batch is foretold for the moment when so many of its executions still run, by
expectation: until then its last polls may wait."""
KNOWN_STILL_RUNNING = 0.9
"""The same on a service that an earlier batch told of, whose slowest are known."""
LAST_RUNNING = 0.7
LAST_SHARE = 0.5
LAST_FEW = 8
LAST_GROWTH = 1.08
"""Those seen running near the end are asked when so many of them all still run, by expectation, a
single one when it has ended as likely as not; but soon, for the whole batch waits for them."""
IN_FLIGHT_SHARE = 0.97
"""Executions in flight keep every token busy until so many of the last ones have ended."""

FIRST_RESULT_SHARE = 0.7
"""Where an earlier batch tells how long they take, the first result is asked for when so many of
its kind have ended."""

QUEUE_AHEAD = 3.0
"""On a service that queues, as many executions are in flight as it starts in so many run times."""
LEAST_IN_FLIGHT = 4
SHORTEST_STAY_SECONDS = 0.2
"""An execution is in flight for so long though it ends at once: its answers are on their way, and
the journal keeps them. It counts only where there is no quota."""
ENOUGH = 30
"""So many known run times foretell the end of a batch; until then polls go on that are likely to
be sure, for each that is tells one more."""
ENDS_SAMPLE = 64

SHORTEST_INTERVAL_SECONDS = 2.0
LONGEST_RUN_SECONDS = 86_400.0
"""A run time above a day is a broken timestamp."""


@dataclass(frozen=True, slots=True, order=True)
class DuePoll:
    """A poll of a job's execution, worth its request from ``at`` on (seconds of the clock).

    Attributes:
        at: When.
        job: Whose.
        probe: Whether it is sent to learn how long executions take, ahead of triggers.
    """

    at: float
    job: int
    probe: bool = field(default=False, compare=False)


class Forecast(Protocol):
    """What the engine asks, and what it tells; executions go by their job's number."""

    def in_flight_wanted(self, requests_per_second: float) -> float:
        """How many executions in flight keep every request of the quota busy to the end."""

    @property
    def seconds_per_execution(self) -> float:
        """How long the slower executions take, in seconds."""

    def triggered(self, job: int, created_at: datetime | None, now: float) -> None:
        """A job's execution began to be watched.

        Args:
            job: The job.
            created_at: When the service says it accepted it.
            now: The same moment on the engine's clock, in seconds.
        """

    def next_poll(
        self, requests_per_second: float, now: float, *, jobs_left: int
    ) -> DuePoll | None:
        """The poll due first; ``None`` when nothing is watched but what is being polled.

        Args:
            requests_per_second: What the quota gives.
            now: Seconds of the engine's clock.
            jobs_left: Jobs still to be triggered.
        """

    def take_poll(self, poll: DuePoll) -> None:
        """The poll given by `next_poll` is sent now: one of the calls below must follow."""

    def put_back(self, poll: DuePoll) -> None:
        """The poll was turned away unanswered: it is due as before."""

    def still_running(self, job: int, execution: Execution | None, now: float) -> None:
        """The poll told of an execution that has not ended, or (``None``) nothing usable."""

    def ended(self, job: int, execution: Execution, now: float) -> None:
        """The execution ended; it is watched no more."""

    def dropped(self, job: int) -> None:
        """The execution isn't watched any more, though its end is not known."""


@dataclass(slots=True)
class _Watched:
    turn: int
    triggered_at: float
    created_at: datetime | None
    started_at: float | None = None
    seen_running: float = 0.0  # seconds it had run when it was last seen running


class LearnedForecast:
    """Polls when an execution has probably ended, by what earlier ones said.

    Executions not polled yet wait in the order in which they start (`Queue`), since the one that
    started first is the likeliest to have ended. An execution seen running gets a moment of its
    own, by the run times (`RunTimes`) of those that ran as long. When all is triggered, the end of
    the batch is foretold, and polls come as late as that allows: the later, the surer.

    Args:
        run_times: What is known of the workflow from earlier batches.
    """

    def __init__(self, run_times: RunTimes | None = None) -> None:
        self._run_times = run_times or RunTimes()
        self._queue = Queue()
        self._turns = 0
        self._ended = 0
        self._last_triggered_at = -math.inf
        self._watched: dict[int, _Watched] = {}
        self._fresh: list[tuple[int, int]] = []  # heap of (turn, job)
        self._again: list[DuePoll] = []  # heap
        self._again_for = (0, 0)
        self._ends_for = (-1, -1)
        self._ends = -math.inf
        self._seen_running = 0
        known = self._run_times.known
        told = known >= ENOUGH
        self._eager_share = KNOWN_EAGER_SHARE if told else EAGER_SHARE
        self._last_ones = KNOWN_STILL_RUNNING if told else STILL_RUNNING
        self._asking = AskingAge(self._run_times.quantile(FIRST_RESULT_SHARE) if known else None)
        self._probed: int | None = None

    @property
    def run_times(self) -> RunTimes:
        """What has been learned."""
        return self._run_times

    def in_flight_wanted(self, requests_per_second: float) -> float:
        """See `Forecast`."""
        longest = self._run_times.quantile(IN_FLIGHT_SHARE)
        pace = requests_per_second
        if self._queue.waits:
            pace = min(pace, QUEUE_AHEAD * self._queue.pace(self._run_times.mean))
        return max(pace * max(longest, SHORTEST_STAY_SECONDS), LEAST_IN_FLIGHT)

    @property
    def seconds_per_execution(self) -> float:
        """See `Forecast`."""
        return self._run_times.quantile(IN_FLIGHT_SHARE)

    def triggered(self, job: int, created_at: datetime | None, now: float) -> None:
        """See `Forecast`."""
        self._watched[job] = _Watched(self._turns, now, created_at)
        heapq.heappush(self._fresh, (self._turns, job))
        self._turns += 1
        self._last_triggered_at = now

    def next_poll(
        self, requests_per_second: float, now: float, *, jobs_left: int
    ) -> DuePoll | None:
        """See `Forecast`."""
        idle_from = now + jobs_left / requests_per_second
        self._asking.batch(self._turns + jobs_left, idle_from, requests_per_second)
        if not jobs_left and not self._queue.waits:
            return self._next_at_the_end(requests_per_second, now)
        share = self._eager_share if self._backlogged(requests_per_second, now) else FIRST_SHARE
        due = [self._next_fresh(share), self._next_again(last=False), self._probe()]
        return min((poll for poll in due if poll is not None), default=None)

    def _next_at_the_end(self, requests_per_second: float, now: float) -> DuePoll | None:
        """The poll due first when all is triggered."""
        knows = self._run_times.known >= ENOUGH and self._explained
        again = self._next_again(last=knows)
        # Polled from this moment on, without a pause, all are polled when the batch ends.
        latest = self._ends_at(now) - len(self._watched) / requests_per_second
        fresh = self._next_fresh(self._eager_share)
        if latest > now:
            again = _not_before(latest, again)
            if knows:
                fresh = _not_before(latest, fresh)
            elif self._run_times.known:
                fresh = self._next_to_learn()
        due = [fresh, again, self._probe()]
        return min((poll for poll in due if poll is not None), default=None)

    def take_poll(self, poll: DuePoll) -> None:
        """See `Forecast`."""
        if poll.probe:
            self._probed = poll.job
        if self._fresh and poll.job == self._fresh[0][1]:
            heapq.heappop(self._fresh)
        elif self._again[0].job == poll.job:
            heapq.heappop(self._again)
        else:
            self._again = [other for other in self._again if other.job != poll.job]
            heapq.heapify(self._again)

    def put_back(self, poll: DuePoll) -> None:
        """See `Forecast`."""
        watched = self._watched[poll.job]
        self._answered(poll.job)
        if watched.seen_running:
            heapq.heappush(self._again, poll)
        else:
            heapq.heappush(self._fresh, (watched.turn, poll.job))

    def still_running(self, job: int, execution: Execution | None, now: float) -> None:
        """See `Forecast`."""
        watched = self._watched[job]
        self._answered(job)
        if execution is not None and execution.status is ExecutionStatus.QUEUED:
            self._queue.still_queued(watched.turn, now)
            heapq.heappush(self._fresh, (watched.turn, job))
            return
        if execution is not None and execution.started_at is not None:
            self._learn_start(watched, execution.started_at)
        start = self._start(watched)
        if execution is not None and execution.status is ExecutionStatus.RUNNING:
            self._run_times.seen_running(job, now - start)
        watched.seen_running = max(now - start, 0.1)
        self._seen_running += 1
        self._asking.running(watched.seen_running, start, one_kind=self._explained)
        heapq.heappush(self._again, DuePoll(max(self._due_again(watched), now), job))

    def ended(self, job: int, execution: Execution, now: float) -> None:
        """See `Forecast`."""
        watched = self._watched.pop(job)
        self._answered(job)
        self._ended += 1
        self._asking.ended()
        if execution.started_at is not None:
            self._learn_start(watched, execution.started_at)
        seconds = _run_seconds(execution)
        if seconds is not None:
            self._run_times.ended(job, seconds)
        elif not self._run_times.known or now - self._start(watched) < self._run_times.mean:
            # Without timestamps a late poll says little, and taken for the end it would make the
            # next one later still.
            self._run_times.ended(job, now - self._start(watched))
        else:
            self._run_times.dropped(job)

    def dropped(self, job: int) -> None:
        """See `Forecast`."""
        del self._watched[job]
        self._answered(job)
        self._run_times.dropped(job)

    def _answered(self, job: int) -> None:
        if job == self._probed:
            self._probed = None

    # when

    def _backlogged(self, requests_per_second: float, now: float) -> bool:
        if not self._fresh:
            return False
        last_due = self._last_triggered_at + self._run_times.quantile(FIRST_SHARE)
        if self._queue.waits:
            last_due += len(self._watched) / self._queue.pace(self._run_times.mean)
        return len(self._watched) / requests_per_second >= EAGER_BACKLOG * (last_due - now)

    def _next_fresh(self, share: float) -> DuePoll | None:
        if not self._fresh:
            return None
        _, job = self._fresh[0]
        start = self._start(self._watched[job])
        return DuePoll(start + self._run_times.quantile(share), job)

    def _next_again(self, *, last: bool) -> DuePoll | None:
        few = min(len(self._again), LAST_FEW) if last else 0
        if self._again and self._again_for != (self._run_times.version, few):
            self._again_for = (self._run_times.version, few)
            self._again = [
                DuePoll(self._due_again(self._watched[poll.job]), poll.job) for poll in self._again
            ]
            heapq.heapify(self._again)
        return self._again[0] if self._again else None

    def _next_to_learn(self) -> DuePoll | None:
        """One is asked at the age at which the last one asked had ended: little is lost if not."""
        if not self._fresh:
            return None
        _, job = self._fresh[0]
        return DuePoll(self._start(self._watched[job]) + self._asking.seconds, job)

    @property
    def _explained(self) -> bool:
        """Whether those that ended are no other kind than those that run."""
        return self._run_times.explained >= EXPLAINED_SHARE

    def _probe(self) -> DuePoll | None:
        """The execution that is best asked to learn how long they take: the one started first.

        One at a time, until a result is there and run times are known.
        """
        nobody = not self._fresh and not self._again
        if nobody or self._probed is not None or (self._ended and self._explained):
            return None
        job = (
            self._fresh[0][1]
            if self._fresh
            else min(self._again, key=lambda poll: self._start(self._watched[poll.job])).job
        )
        watched, after = self._watched[job], self._asking.seconds
        if self._explained:
            after = self._run_times.quantile(FIRST_RESULT_SHARE, beyond=watched.seen_running)
        return DuePoll(self._start(watched) + after, job, probe=True)

    def _ends_at(self, now: float) -> float:
        """When the last of the executions watched has probably ended; all are triggered."""
        known = (self._run_times.version, self._seen_running)
        if self._ends_for != known:
            self._ends_for = known
            # A sample will do; a heap is in no order that starts would depend on.
            step = len(self._fresh) // ENDS_SAMPLE + 1
            starts = [self._start(self._watched[job]) for _, job in self._fresh[::step]]
            self._ends = max([poll.at for poll in self._again], default=now)
            if starts:
                wanted = min(self._last_ones, LAST_SHARE * len(self._fresh)) / step
                self._ends = max(self._ends, self._run_times.when_left(wanted, starts))
        return self._ends

    def _due_again(self, watched: _Watched) -> float:
        """When an execution that was seen running is worth another poll."""
        ran, few = watched.seen_running, self._again_for[1]
        share = max(LAST_SHARE, 1 - LAST_RUNNING / few) if few else NEXT_SHARE
        after = self._run_times.quantile(share, beyond=ran)
        if few:
            after = min(after, ran * LAST_GROWTH)
        return self._start(watched) + max(after, ran + SHORTEST_INTERVAL_SECONDS)

    def _start(self, watched: _Watched) -> float:
        if watched.started_at is not None:
            return watched.started_at
        return self._queue.start(watched.turn, watched.triggered_at, self._run_times.mean)

    def _learn_start(self, watched: _Watched, started_at: datetime) -> None:
        """Both moments are the service's own, so its clock may be wrong."""
        waited = 0.0
        if watched.created_at is not None:
            waited = max((started_at - watched.created_at).total_seconds(), 0.0)
        if watched.started_at is None and waited < LONGEST_RUN_SECONDS:
            watched.started_at = watched.triggered_at + waited
            self._queue.started(watched.turn, watched.triggered_at, watched.started_at)


def _not_before(at: float, poll: DuePoll | None) -> DuePoll | None:
    return None if poll is None else replace(poll, at=max(poll.at, at))


def _run_seconds(execution: Execution) -> float | None:
    """How long an execution ran by its own timestamps; ``None`` when they can't be true."""
    if execution.started_at is None or execution.completed_at is None:
        return None
    seconds = (execution.completed_at - execution.started_at).total_seconds()
    return seconds if 0 <= seconds < LONGEST_RUN_SECONDS and math.isfinite(seconds) else None
