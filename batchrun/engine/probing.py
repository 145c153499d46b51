"""Probing: how old is the execution that is asked next, while run times are not known?

Pure. An execution that had ended tells its run time for a request that was to be spent anyway; one
that still runs costs a request, and tells only that it takes longer.
"""

from __future__ import annotations

import math

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
