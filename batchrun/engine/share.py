"""This process's share of a quota that several processes spend from.

The ledger in the journal gives out turns, a little apart as the rate says; this process takes some,
uses each at its moment, and forfeits what it can't use in time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from batchrun.engine.quota import MARGIN_SECONDS, WINDOW_SECONDS

if TYPE_CHECKING:
    from batchrun.engine.clock import Clock
    from batchrun.engine.quota import Quota
    from batchrun.journal import QuotaLedger

AHEAD_SECONDS = 0.5
"""Turns are taken for so many seconds of the machine's clock at once, so that a high rate doesn't
wait for the disk each time."""

MOST_TURNS = 1_000

LATE_SECONDS = MARGIN_SECONDS
"""A turn may be used so late."""

SPACED_SECONDS = WINDOW_SECONDS + MARGIN_SECONDS + LATE_SECONDS
"""As many turns as the rate fall into so long: those of a window fit, however late each is, and
the quota's own bound never makes a turn later than it was."""


class QuotaShare:
    """Turns taken from the ledger, and the day's budget kept in step with it.

    Args:
        quota: The key's quota, as far as this process knows it.
        ledger: What all processes with this key share.
        clock: The engine's time.
        daily: Requests a day, ``None`` for no limit of our own.
    """

    def __init__(
        self, quota: Quota, ledger: QuotaLedger, clock: Clock, daily: int | None = None
    ) -> None:
        self._quota = quota
        self._ledger = ledger
        self._clock = clock
        self._daily = daily
        self._turns: deque[float] = deque()
        self._asked_at = -math.inf
        self._just_asked = False
        self._late = LATE_SECONDS

    def must_ask(self, now: float) -> bool:
        """Whether the ledger has to be asked before `delay` can tell."""
        if math.isinf(self._quota.rate):
            return self._daily is not None and now - self._asked_at >= AHEAD_SECONDS
        kept = 1 if self._just_asked else 0  # asking must lead to a request, however long it took
        while len(self._turns) > kept and now - self._turns[0] > self._late:
            self._turns.popleft()
        self._just_asked = False
        return not self._turns

    async def ask(self) -> None:
        """Take the next turns, and learn what all processes have spent today.

        Raises:
            JournalError: The journal can't be read or written.
        """
        rate = self._quota.rate
        if math.isinf(rate):
            requests, spacing = 0, 0.0
        else:
            ahead = AHEAD_SECONDS * self._clock.speed
            requests = min(max(math.floor(rate / WINDOW_SECONDS * ahead), 1), MOST_TURNS)
            spacing = SPACED_SECONDS / rate
        asked_at, shared_now = self._clock.now(), self._shared_now()
        taken = await asyncio.to_thread(self._ledger.take_turns, requests, spacing, shared_now)
        # Before `now`: should this process be held up between the two, the day seems too long.
        to_midnight = seconds_to_midnight(datetime.now(UTC)) * self._clock.speed
        now = self._clock.now()
        first = asked_at + taken.first_at - shared_now
        self._turns.extend(first + i * spacing for i in range(requests))
        # A ledger that answered late must not make every turn come too late.
        self._late = LATE_SECONDS + (now - asked_at)
        self._asked_at, self._just_asked = now, True
        if self._daily is not None:
            self._quota.limit_today(self._daily, taken.requests_today, to_midnight, now)

    def delay(self, now: float) -> float:
        """Seconds until this process's turn; 0 for now."""
        return max(self._turns[0] - now, 0.0) if self._turns else 0.0

    def take(self) -> None:
        """Use the turn."""
        if self._turns:
            self._turns.popleft()

    async def hold(self, seconds: float) -> None:
        """The service has refused a request: nobody's turn for a while.

        Raises:
            JournalError: The journal can't be written.
        """
        self._turns.clear()
        await asyncio.to_thread(self._ledger.hold, seconds, self._shared_now())

    async def count(self) -> None:
        """Count a request that belongs to no batch.

        Raises:
            JournalError: The journal can't be written.
        """
        await asyncio.to_thread(self._ledger.count)

    def _shared_now(self) -> float:
        """A clock that all processes read alike: this machine's, or the journal's server's."""
        return (time.time() + self._ledger.clock_ahead) * self._clock.speed


def seconds_to_midnight(now: datetime) -> float:
    """Seconds until the next day begins, in UTC."""
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (tomorrow - now).total_seconds()
