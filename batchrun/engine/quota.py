"""The quota: how soon the next request may leave. Pure arithmetic, given the time.

Triggers and polls take tokens from the same quota. It holds to three bounds at once:

- never more than the rate in *any* window (so no fixed window on the other side is overrun,
  wherever it begins), evenly spread but for a small burst;
- what X-RateLimit-Remaining says is left until X-RateLimit-Reset, for other users of the key
  spend from it too;
- a pause for everybody after a 429.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun.service.answers import QuotaReading

DEFAULT_RATE = 60
"""Requests a minute until settings or headers say otherwise: the standard plan (API.md)."""

WINDOW_SECONDS = 60.0
MARGIN_SECONDS = 0.6
"""Requests don't travel equally fast: those sent a window apart may arrive closer together."""

BURST_SECONDS = 2.0
"""As many requests as this time brings may leave at once after a lull."""

DAY_WINDOW_SECONDS = 120.0
"""A reset further away than this isn't the minute's: which window the headers describe is not
documented (API.md, Seen)."""

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0


class Quota:
    """One key's quota.

    Args:
        rate: Requests a minute by the user's settings; ``None`` learns it from the headers.
    """

    def __init__(self, rate: int | None = None) -> None:
        self._settings_rate = rate
        self._learned_rate: int | None = None
        self._daily_left = math.inf
        self._sent: deque[float] = deque()
        self._even = -math.inf  # when the next request is due at an even spread
        self._window_left = math.inf
        self._window_ends = -math.inf
        self._paused_until = -math.inf
        self._refusals = 0
        self._outstanding = 0

    @property
    def rate(self) -> int:
        """Requests a minute: the settings', else the headers', else 60."""
        return self._settings_rate or self._learned_rate or DEFAULT_RATE

    @property
    def daily_left(self) -> float:
        """Requests left today; infinite where nobody set a limit."""
        return self._daily_left

    def limit_today(self, requests: int) -> None:
        """Spend at most so many more requests today."""
        self._daily_left = min(self._daily_left, requests)

    def window_left(self, now: float) -> float:
        """Requests left in the running window, as far as is known."""
        self._forget(now)
        own = self.rate - len(self._sent)
        return max(min(own, self._window_left if now < self._window_ends else own), 0)

    def delay(self, now: float) -> float:
        """Seconds until the next request may leave; 0 for now, infinite when today's are spent."""
        if self._daily_left < 1:
            return math.inf
        self._forget(now)
        spacing = WINDOW_SECONDS / self.rate
        due = max(self._paused_until, self._even - max(BURST_SECONDS - spacing, 0.0))
        if len(self._sent) >= self.rate:
            due = max(due, self._sent[-self.rate] + WINDOW_SECONDS + MARGIN_SECONDS)
        if now < self._window_ends and self._window_left < 1:
            due = max(due, self._window_ends)
        return max(due - now, 0.0)

    def take(self, now: float) -> None:
        """Spend one request now; the answer's headers come back by `answered`."""
        self._forget(now)
        self._sent.append(now)
        self._even = max(self._even, now) + WINDOW_SECONDS / self.rate
        self._daily_left -= 1
        self._window_left -= 1
        self._outstanding += 1

    def answered(self, reading: QuotaReading | None, now: float) -> None:
        """Learn from an answer (or from none: the request surely or maybe never arrived)."""
        self._outstanding -= 1
        if reading is None or reading.limit is None:
            return
        reset = reading.reset_seconds
        if reset is not None and reset > DAY_WINDOW_SECONDS:
            if reading.remaining is not None:
                self._daily_left = min(self._daily_left, reading.remaining - self._outstanding)
            return
        self._learned_rate = max(reading.limit, 1)
        if reading.remaining is not None and reset is not None:
            left: float = reading.remaining - self._outstanding
            if now < self._window_ends:
                left = min(left, self._window_left)
            self._window_left, self._window_ends = left, now + reset

    def refused(self, reading: QuotaReading | None, now: float) -> None:
        """A 429 (or 503 with Retry-After): everybody waits until the window opens."""
        self._refusals += 1
        guess = min(FIRST_PAUSE_SECONDS * 2 ** (self._refusals - 1), LONGEST_PAUSE_SECONDS)
        told: float | None = None
        if reading is not None:
            told = reading.retry_after_seconds
            if told is None:
                told = reading.reset_seconds
        # A reset that has passed already says nothing about when to come back.
        self.pause(told or guess, now)

    def accepted(self) -> None:
        """The service took a request: earlier refusals are forgotten."""
        self._refusals = 0

    def pause(self, seconds: float, now: float) -> None:
        """Nobody sends anything for so many seconds."""
        self._paused_until = max(self._paused_until, now + seconds)

    def _forget(self, now: float) -> None:
        horizon = now - WINDOW_SECONDS - MARGIN_SECONDS
        while self._sent and self._sent[0] <= horizon:
            self._sent.popleft()
