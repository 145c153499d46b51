"""The quota: how soon the next request may be sent. Pure arithmetic that takes the time.

Triggers and polls share one quota. It keeps four bounds at once:

- never more requests than the rate in *any* 60 s window, so no fixed window of the service is
  exceeded, wherever it begins; requests are evenly spaced, except for a small burst;
- the X-RateLimit-Remaining requests left until X-RateLimit-Reset, because other users of the key
  spend from it too;
- a pause for all requests after a 429, and a lower rate after another one;
- a daily budget.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from batchrun.estimate import DAY_SECONDS, EstimateRates

if TYPE_CHECKING:
    from batchrun.service.parsing import QuotaReading

DEFAULT_RATE = 60
"""Requests per minute until settings or headers give a rate: the standard plan's."""

WINDOW_SECONDS = 60.0
MARGIN_SECONDS = 0.3
"""Requests take different times to arrive: two sent 60 s apart may arrive closer together."""

BURST_SECONDS = 2.0
"""After a lull, this many seconds' worth of requests may be sent at once."""

DAY_WINDOW_SECONDS = 120.0
"""A longer reset isn't that of a minute's window. The service doesn't document which window its
headers describe (sandbox/openapi.yaml)."""

FIRST_PAUSE_SECONDS = 5.0
MAX_PAUSE_SECONDS = 60.0

SLOWER = 0.8
"""A second 429 within `MEMORY_SECONDS` multiplies the rate by this factor; as long without one
raises it again."""
MEMORY_SECONDS = 600.0
SLOWEST = 0.25
"""Minimum rate, as a share of the full one: refusals below this have some other cause."""


class Quota:
    """One key's quota.

    Args:
        rate: Requests per minute from the user's settings. ``None`` and infinity both use the rate
            in the headers; until there is one, ``None`` means `DEFAULT_RATE`, infinity no limit.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._settings_rate = rate
        self._learned_rate: float | None = None
        self._slowed = 1.0
        self._daily_left = math.inf
        self._day_ends = math.inf
        self._day_limit = math.inf
        self._daily_limit_from_headers: int | None = None
        self._sent: deque[float] = deque()
        self._evenly_due_at = -math.inf  # when the next request is due if evenly spaced
        self._window_left: float = math.inf
        self._window_ends = -math.inf
        self._paused_until = -math.inf
        self._refusals = 0
        self._refused_at = -math.inf
        self._outstanding = 0

    @property
    def rate(self) -> float:
        """Requests per minute: from the settings, the headers, or 60; infinite for no limit.

        Lowered after repeated refusals.
        """
        rate = self._settings_rate
        if rate is None or math.isinf(rate):
            rate = self._learned_rate or rate or DEFAULT_RATE
        return rate if self._slowed == 1.0 else max(rate * self._slowed, 1.0)

    @property
    def daily(self) -> int | None:
        """Requests per day, from the user's limit or the headers; ``None`` if both are unknown."""
        limit = self._day_limit
        return int(limit) if math.isfinite(limit) else self._daily_limit_from_headers

    def left_today(self, now: float) -> float:
        """Requests left today; infinite without a limit."""
        self._begin_day(now)
        return self._daily_left

    def limit_today(self, limit: int, spent: int, seconds_left: float, now: float) -> None:
        """Set today's budget, what all processes have spent of it, and how long today lasts."""
        self._begin_day(now)
        self._day_limit = limit
        self._daily_left = min(limit - spent, self._daily_left)
        self._day_ends = min(now + seconds_left, self._day_ends)

    def seconds_to_next_day(self, now: float) -> float:
        """Seconds until the next day's budget begins; 24 hours if unknown."""
        self._begin_day(now)
        return self._day_ends - now if math.isfinite(self._day_ends) else DAY_SECONDS

    def rates(self, seconds_per_execution: float, now: float) -> EstimateRates:
        """Return what an estimate is based on, with how long the slower executions take."""
        return EstimateRates(
            requests_per_minute=self.rate,
            seconds_per_execution=seconds_per_execution,
            daily=self.daily,
            daily_left=self.left_today(now),
            seconds_to_next_day=self.seconds_to_next_day(now),
        )

    def window_left(self, now: float) -> float:
        """Requests left in the current window, as far as is known; infinite for no limit."""
        self._move_to(now)
        own = self.rate - len(self._sent)
        return max(min(own, self._window_left if now < self._window_ends else own), 0)

    def delay(self, now: float) -> float:
        """Seconds until the next request may be sent; 0 for immediately."""
        self._move_to(now)
        due = self._paused_until
        if self._daily_left < 1:
            due = max(due, now + self.seconds_to_next_day(now))
        rate = self.rate
        if math.isfinite(rate):
            spacing = WINDOW_SECONDS / rate
            due = max(due, self._evenly_due_at - max(BURST_SECONDS - spacing, 0.0))
            whole = max(math.floor(rate), 1)
            if len(self._sent) >= whole:
                due = max(due, self._sent[-whole] + WINDOW_SECONDS + MARGIN_SECONDS)
        if now < self._window_ends and self._window_left < 1:
            due = max(due, self._window_ends)
        return max(due - now, 0.0)

    def take(self, now: float) -> None:
        """Spend one request now; `answered` or `give_back` must follow."""
        self._move_to(now)
        self._sent.append(now)
        self._evenly_due_at = max(self._evenly_due_at, now) + WINDOW_SECONDS / self.rate
        self._daily_left -= 1
        self._window_left -= 1
        self._outstanding += 1

    def give_back(self, taken_at: float, now: float) -> None:
        """Return the slot of a request that was not sent after all."""
        self._move_to(now)
        self._outstanding -= 1
        self._daily_left += 1
        self._window_left += 1
        self._evenly_due_at -= WINDOW_SECONDS / self.rate
        with suppress(ValueError):  # sent longer ago than a window
            self._sent.remove(taken_at)

    def answered(self, reading: QuotaReading | None, now: float) -> None:
        """Learn from an answer's headers; ``None`` if there was no answer."""
        self._move_to(now)
        self._outstanding -= 1
        if reading is None or reading.limit is None:
            return
        reset = reading.reset_seconds
        if reset is not None and reset > DAY_WINDOW_SECONDS:
            self._daily_limit_from_headers = reading.limit
            if reading.remaining is not None:
                today = reading.remaining - self._outstanding
                self._daily_left = min(self._daily_left, today)
                self._day_ends = min(self._day_ends, now + min(reset, DAY_SECONDS))
            return
        if reading.limit == self._daily_limit_from_headers:
            return  # the day's window has under two minutes left, so it looks like a minute's
        self._learned_rate = max(reading.limit, 1)
        if reading.remaining is not None and reset is not None:
            # Use the last answer, not the lowest: `Date` has whole seconds, so a window that has
            # just begun looks like one about to end, or like a sliding one.
            self._window_left = reading.remaining - self._outstanding
            self._window_ends = now + reset

    def refused(self, reading: QuotaReading | None, now: float) -> None:
        """Pause all requests after a 429, or a 503 with Retry-After, until the window opens."""
        self._move_to(now)
        if now >= self._paused_until:  # concurrent requests refused together count once
            if now - self._refused_at < MEMORY_SECONDS:
                self._slow_down()
            self._refusals += 1
        self._refused_at = now
        guess = min(FIRST_PAUSE_SECONDS * 2 ** max(self._refusals - 1, 0), MAX_PAUSE_SECONDS)
        wait: float | None = None
        if reading is not None:
            wait = reading.retry_after_seconds
            if wait is None:
                wait = reading.reset_seconds
        # A reset that has passed (0 s) doesn't say when to retry, so use the guess.
        self.pause(min(wait or guess, DAY_SECONDS), now)

    def accepted(self, now: float) -> None:
        """Record an accepted request: earlier refusals no longer lengthen the next pause."""
        self._refusals = 0
        if self._slowed < 1.0 and now - self._refused_at > MEMORY_SECONDS:
            self._slowed = min(self._slowed / SLOWER, 1.0)
            self._refused_at = now

    def pause(self, seconds: float, now: float) -> None:
        """Send nothing for this many seconds."""
        self._paused_until = max(self._paused_until, now + seconds)

    def _slow_down(self) -> None:
        if math.isinf(self.rate):
            # The limit is unknown, but the last minute's requests exceeded it.
            self._learned_rate = max(float(len(self._sent)), 1.0)
        # If the settings say there is no limit, there is no full rate to keep a quarter of.
        slowest = 0.0 if self._settings_rate == math.inf else SLOWEST
        self._slowed = max(self._slowed * SLOWER, slowest)

    def _move_to(self, now: float) -> None:
        """Forget requests older than a window, and begin a new day."""
        self._begin_day(now)
        horizon = now - WINDOW_SECONDS - MARGIN_SECONDS
        while self._sent and self._sent[0] <= horizon:
            self._sent.popleft()

    def _begin_day(self, now: float) -> None:
        if now >= self._day_ends:
            self._daily_left, self._day_ends = self._day_limit, math.inf
