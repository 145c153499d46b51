"""This process's share of a quota that several processes use.

The ledger in the journal hands out slots, spaced according to the rate. This process takes some,
uses each at its time, and forfeits any that it can't use in time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from batchrun.engine.quota import MARGIN_SECONDS, WINDOW_SECONDS, Quota

if TYPE_CHECKING:
    from batchrun.engine.clock import Clock
    from batchrun.journal import QuotaLedger

AHEAD_SECONDS = 0.5
"""Slots are taken for this many seconds of real time at once, so a high rate doesn't wait for
the disk at every request."""

MAX_SLOTS = 1_000

LATE_SECONDS = MARGIN_SECONDS
"""How late a slot may be used, in seconds."""

SPACED_SECONDS = WINDOW_SECONDS + MARGIN_SECONDS + LATE_SECONDS
"""The slots of one minute's rate are spread over this time. That leaves room for late use:
no 60 s window exceeds the rate, and the quota's own bound never delays a slot."""


class QuotaShare:
    """Slots taken from the ledger, and the day's budget, kept in sync with it.

    Methods that wait raise `JournalError` if the journal can't be read or written.

    ``daily`` is the number of requests per day in the user's settings.
    """

    def __init__(
        self, quota: Quota, ledger: QuotaLedger, clock: Clock, daily: int | None = None
    ) -> None:
        self._quota = quota
        self._ledger = ledger
        self._clock = clock
        self._daily = daily
        self._slots: deque[float] = deque()
        self._asked_at = -math.inf
        self._just_asked = False
        self._late = LATE_SECONDS
        self._spare: bool | None = None

    def must_ask(self, now: float) -> bool:
        """Whether to call `ask` before `delay`."""
        if math.isinf(self._quota.rate):
            return self._daily is not None and now - self._asked_at >= AHEAD_SECONDS
        kept = 1 if self._just_asked else 0  # each `ask` must lead to a request, however slow
        while len(self._slots) > kept and now - self._slots[0] > self._late:
            self._slots.popleft()
        self._just_asked = False
        return not self._slots

    async def ask(self) -> None:
        """Take the next slots, and read how many requests all processes have spent today."""
        rate = self._quota.rate
        if math.isinf(rate):
            requests, spacing = 0, 0.0
        else:
            ahead = AHEAD_SECONDS * self._clock.speed
            requests = min(max(math.floor(rate / WINDOW_SECONDS * ahead), 1), MAX_SLOTS)
            spacing = SPACED_SECONDS / rate
        asked_at, shared_now = self._clock.now(), self._shared_now()
        taken = await asyncio.to_thread(self._ledger.reserve, requests, spacing, shared_now)
        if self._spare is None:
            self._spare = requests > 0 and taken.idle_seconds >= spacing
        # Read before `now`: a delay between the two then only makes the day seem too long.
        to_midnight = seconds_to_midnight(datetime.now(UTC)) * self._clock.speed
        now = self._clock.now()
        first = asked_at + taken.first_at - shared_now
        self._slots.extend(first + i * spacing for i in range(requests))
        # If the ledger was slow, its slots must not all count as too late.
        self._late = LATE_SECONDS + (now - asked_at)
        self._asked_at, self._just_asked = now, True
        if self._daily is not None:
            self._quota.limit_today(self._daily, taken.requests_today, to_midnight, now)

    def delay(self, now: float) -> float:
        """Seconds until this process's next slot; 0 for immediately."""
        return max(self._slots[0] - now, 0.0) if self._slots else 0.0

    def use_spare(self) -> bool:
        """Return whether the next slot may be used before its time; true at most once.

        If a slot went unused just before this process started, the last minute has room for one
        more request, and no 60 s window exceeds the rate.
        """
        spare, self._spare = bool(self._spare), False
        return spare

    def take(self) -> None:
        """Use the next slot."""
        if self._slots:
            self._slots.popleft()

    async def hold(self, seconds: float) -> None:
        """Make the ledger hand out no slots for a while, after the service refused a request."""
        self._slots.clear()
        await asyncio.to_thread(self._ledger.hold, seconds, self._shared_now())

    async def count(self) -> None:
        """Count a request that belongs to no batch."""
        await asyncio.to_thread(self._ledger.count)

    def _shared_now(self) -> float:
        """The clock that all processes share: this machine's, or the journal server's."""
        return (time.time() + self._ledger.clock_ahead) * self._clock.speed


def seconds_to_midnight(now: datetime) -> float:
    """Seconds until the next day (UTC) begins."""
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (tomorrow - now).total_seconds()
