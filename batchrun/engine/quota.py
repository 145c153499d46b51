"""The quota: how soon the next request may leave. Pure arithmetic, given the time.

Triggers and polls take tokens from the same quota. It holds to four bounds at once:

- never more than the rate in *any* window (so no fixed window on the other side is overrun,
  wherever it begins), evenly spread but for a small burst;
- what X-RateLimit-Remaining says is left until X-RateLimit-Reset, for other users of the key
  spend from it too;
- a pause for everybody after a 429, and a lower rate when it happens again;
- a day's budget.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun.service.answers import QuotaReading

DEFAULT_RATE = 60
"""Requests a minute until settings or headers say otherwise: the standard plan (API.md)."""

WINDOW_SECONDS = 60.0
MARGIN_SECONDS = 0.3
"""Requests don't travel equally fast: those sent a window apart may arrive closer together."""

BURST_SECONDS = 2.0
"""As many requests as this time brings may leave at once after a lull."""

DAY_SECONDS = 86_400.0
DAY_WINDOW_SECONDS = 120.0
"""A reset further away than this isn't the minute's: which window the headers describe is not
documented (API.md, Seen)."""

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0

SLOWER = 0.8
"""A second 429 within `MEMORY_SECONDS` makes the rate so much lower; so much time without one
makes it as much higher again."""
MEMORY_SECONDS = 600.0
SLOWEST = 0.25
"""A service that refuses a quarter of its own quota refuses for another reason than the rate."""


class Quota:
    """One key's quota.

    Args:
        rate: Requests a minute by the user's settings; ``None`` learns it from the headers,
            infinite learns it from them and knows no limit until they say one.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._settings_rate = rate
        self._learned_rate: float | None = None
        self._slowed = 1.0
        self._daily_left = math.inf
        self._day_ends = math.inf
        self._day_limit = math.inf
        self._days_figure: int | None = None
        self._sent: deque[float] = deque()
        self._even = -math.inf  # when the next request is due at an even spread
        self._window_left: float = math.inf
        self._window_ends = -math.inf
        self._paused_until = -math.inf
        self._refusals = 0
        self._refused_at = -math.inf
        self._outstanding = 0
        self._now = -math.inf

    @property
    def rate(self) -> float:
        """Requests a minute: the settings', else the headers', else 60; infinite for no limit."""
        told = self._settings_rate
        if told is None or math.isinf(told):
            told = self._learned_rate or told or DEFAULT_RATE
        return told if self._slowed == 1.0 else max(told * self._slowed, 1.0)

    @property
    def daily(self) -> int | None:
        """Requests a day: the user's limit, else the headers'; ``None`` where nobody said one."""
        return int(self._day_limit) if math.isfinite(self._day_limit) else self._days_figure

    def left_today(self, now: float) -> float:
        """Requests left today; infinite where nobody set a limit."""
        self._turn_day(now)
        return self._daily_left

    def limit_today(self, limit: int, spent: int, seconds_left: float, now: float) -> None:
        """Hold to a day's budget.

        Args:
            limit: Requests a day.
            spent: How many of them were spent today, by whoever shares the budget.
            seconds_left: Until the next day begins.
            now: Seconds of the engine's clock.
        """
        self._turn_day(now)
        self._day_limit = limit
        self._daily_left = min(limit - spent, self._daily_left)
        self._day_ends = min(now + seconds_left, self._day_ends)

    def seconds_to_next_day(self, now: float) -> float:
        """Until the day's budget begins anew; 24 hours where nobody said when."""
        self._turn_day(now)
        return self._day_ends - now if math.isfinite(self._day_ends) else DAY_SECONDS

    def window_left(self, now: float) -> float:
        """Requests left in the running window, as far as is known."""
        self._move_to(now)
        own = self.rate - len(self._sent)
        return max(min(own, self._window_left if now < self._window_ends else own), 0)

    def delay(self, now: float) -> float:
        """Seconds until the next request may leave; 0 for now."""
        self._move_to(now)
        due = self._paused_until
        if self._daily_left < 1:
            due = max(due, now + self.seconds_to_next_day(now))
        rate = self.rate
        if math.isfinite(rate):
            spacing = WINDOW_SECONDS / rate
            due = max(due, self._even - max(BURST_SECONDS - spacing, 0.0))
            whole = max(math.floor(rate), 1)
            if len(self._sent) >= whole:
                due = max(due, self._sent[-whole] + WINDOW_SECONDS + MARGIN_SECONDS)
        if now < self._window_ends and self._window_left < 1:
            due = max(due, self._window_ends)
        return max(due - now, 0.0)

    def take(self, now: float) -> None:
        """Spend one request now; the answer's headers come back by `answered`."""
        self._move_to(now)
        self._sent.append(now)
        self._even = max(self._even, now) + WINDOW_SECONDS / self.rate
        self._daily_left -= 1
        self._window_left -= 1
        self._outstanding += 1

    def give_back(self, taken_at: float, now: float) -> None:
        """A request that was taken has not been sent after all: its token is free again."""
        self._move_to(now)
        self._outstanding -= 1
        self._daily_left += 1
        self._window_left += 1
        self._even -= WINDOW_SECONDS / self.rate
        place = bisect_left(self._sent, taken_at)
        if place < len(self._sent) and self._sent[place] == taken_at:
            del self._sent[place]

    def answered(self, reading: QuotaReading | None, now: float) -> None:
        """Learn from an answer (or from none: the request surely or maybe never arrived)."""
        self._move_to(now)
        self._outstanding -= 1
        if reading is None or reading.limit is None:
            return
        reset = reading.reset_seconds
        if reset is not None and reset > DAY_WINDOW_SECONDS:
            self._days_figure = reading.limit
            if reading.remaining is not None:
                today = reading.remaining - self._outstanding
                self._daily_left = min(self._daily_left, today)
                self._day_ends = min(self._day_ends, now + min(reset, DAY_SECONDS))
            return
        if reading.limit == self._days_figure:
            return  # the day's last two minutes: its window ends as soon as a minute's
        self._learned_rate = max(reading.limit, 1)
        if reading.remaining is not None and reset is not None:
            # The last answer speaks, not the least: `Date` has whole seconds, so a window that
            # has just begun can't be told from one that is about to end, nor from a sliding one.
            self._window_left = reading.remaining - self._outstanding
            self._window_ends = now + reset

    def refused(self, reading: QuotaReading | None, now: float) -> None:
        """A 429 (or 503 with Retry-After): everybody waits until the window opens."""
        self._move_to(now)
        if now >= self._paused_until:  # those on the wire are refused together, and count once
            if now - self._refused_at < MEMORY_SECONDS:
                self._slow_down()
            self._refusals += 1
        self._refused_at = now
        guess = min(FIRST_PAUSE_SECONDS * 2 ** max(self._refusals - 1, 0), LONGEST_PAUSE_SECONDS)
        told: float | None = None
        if reading is not None:
            told = reading.retry_after_seconds
            if told is None:
                told = reading.reset_seconds
        # A reset that has passed already says nothing about when to come back.
        self.pause(min(told or guess, DAY_SECONDS), now)

    def accepted(self, now: float) -> None:
        """The service took a request: earlier refusals don't lengthen the next pause."""
        self._refusals = 0
        if self._slowed < 1.0 and now - self._refused_at > MEMORY_SECONDS:
            self._slowed = min(self._slowed / SLOWER, 1.0)
            self._refused_at = now

    def pause(self, seconds: float, now: float) -> None:
        """Nobody sends anything for so many seconds."""
        self._paused_until = max(self._paused_until, now + seconds)

    def _slow_down(self) -> None:
        if math.isinf(self.rate):
            # Nobody said how much is too much, but so many in a minute were.
            self._learned_rate = max(float(len(self._sent)), 1.0)
        # Who asked for no limit has no figure to keep a quarter of.
        slowest = 0.0 if self._settings_rate == math.inf else SLOWEST
        self._slowed = max(self._slowed * SLOWER, slowest)

    def _move_to(self, now: float) -> None:
        """Forget what a window ago was sent; begin a new day; bear a clock that went back."""
        if now < self._now:
            self._shift(now - self._now)
        self._now = now
        self._turn_day(now)
        horizon = now - WINDOW_SECONDS - MARGIN_SECONDS
        while self._sent and self._sent[0] <= horizon:
            self._sent.popleft()

    def _turn_day(self, now: float) -> None:
        if now >= self._day_ends:
            self._daily_left, self._day_ends = self._day_limit, math.inf

    def _shift(self, seconds: float) -> None:
        self._sent = deque(at + seconds for at in self._sent)
        self._even += seconds
        self._window_ends += seconds
        self._paused_until += seconds
        self._refused_at += seconds
        self._day_ends += seconds
