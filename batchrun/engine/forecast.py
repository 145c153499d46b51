"""The forecast: when has an execution probably ended, so that a poll is worth its request?

Pure policy, given the time. The engine knows only the `Forecast` interface.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from batchrun.model import Execution

FIRST_POLL_SECONDS = 20.0
GROWTH = 1.5
LONGEST_INTERVAL_SECONDS = 120.0


@dataclass(frozen=True, slots=True, order=True)
class DuePoll:
    """A poll of a job's execution, worth its request from ``at`` on (seconds of the clock)."""

    at: float
    job: int


class Forecast(Protocol):
    """What the engine asks, and what it tells; executions go by their job's number."""

    @property
    def requests_per_job(self) -> float:
        """Requests a job is expected to take, its trigger included."""

    @property
    def seconds_per_execution(self) -> float:
        """How long an execution is expected to take from trigger to end, in seconds."""

    def triggered(self, job: int, now: float) -> None:
        """A job's execution began to be watched."""

    def next_poll(self) -> DuePoll | None:
        """The poll due first; ``None`` when nothing is watched but what is being polled."""

    def take_poll(self) -> DuePoll:
        """The poll due first is sent now: one of the calls below must follow."""

    def put_back(self, poll: DuePoll) -> None:
        """The poll was turned away unanswered: it is due as before."""

    def still_running(self, job: int, execution: Execution | None, now: float) -> None:
        """The poll told of an execution that has not ended, or (``None``) nothing usable."""

    def ended(self, job: int, execution: Execution, now: float) -> None:
        """The execution ended; it is watched no more."""

    def dropped(self, job: int) -> None:
        """The execution isn't watched any more, though its end is not known."""


class TimedForecast:
    """Polls on a timer: first after 20 s, then each time half as long again."""

    requests_per_job = 3.4
    """One trigger and, at 45 s median (lognormal, sigma 0.35), 2.4 polls at 20, 50, 95 … s."""
    seconds_per_execution = 60.0

    def __init__(self) -> None:
        self._intervals: dict[int, float] = {}
        self._due: list[DuePoll] = []

    def triggered(self, job: int, now: float) -> None:
        """See `Forecast`."""
        self._plan(job, FIRST_POLL_SECONDS, now)

    def next_poll(self) -> DuePoll | None:
        """See `Forecast`."""
        return self._due[0] if self._due else None

    def take_poll(self) -> DuePoll:
        """See `Forecast`."""
        return heapq.heappop(self._due)

    def put_back(self, poll: DuePoll) -> None:
        """See `Forecast`."""
        heapq.heappush(self._due, poll)

    def still_running(self, job: int, execution: Execution | None, now: float) -> None:
        """See `Forecast`."""
        del execution
        self._plan(job, min(self._intervals[job] * GROWTH, LONGEST_INTERVAL_SECONDS), now)

    def ended(self, job: int, execution: Execution, now: float) -> None:
        """See `Forecast`."""
        del execution, now
        self.dropped(job)

    def dropped(self, job: int) -> None:
        """See `Forecast`."""
        del self._intervals[job]

    def _plan(self, job: int, interval: float, now: float) -> None:
        self._intervals[job] = interval
        heapq.heappush(self._due, DuePoll(now + interval, job))
