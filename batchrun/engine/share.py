"""This process's share of a quota that several processes spend from.

The ledger in the journal gives out slots, spaced as the rate says. This process takes some, uses
each at its time, and forfeits those that it can't use in time.
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
"""Slots are taken for this much of the machine's time at once, so that a high rate doesn't wait for
the disk each time."""

MOST_SLOTS = 1_000

LATE_SECONDS = MARGIN_SECONDS
"""How late a slot may be used."""

SPACED_SECONDS = WINDOW_SECONDS + MARGIN_SECONDS + LATE_SECONDS
"""The slots of one minute's rate are spread over this time: it leaves room for late use, so no 60 s
window exceeds the rate, and the quota's own bound delays no slot."""


class QuotaShare:
    """Slots taken from the ledger, and the day's budget kept in step with it.

    Args:
        quota: The key's quota, as this process knows it.
        ledger: What all processes with this key share.
        clock: The engine's time.
        daily: Requests a day by the user's settings; ``None`` for no such limit.
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
        """Whether the ledger has to be asked before `delay` is known."""
        if math.isinf(self._quota.rate):
            return self._daily is not None and now - self._asked_at >= AHEAD_SECONDS
        kept = 1 if self._just_asked else 0  # asking must lead to a request, however long it took
        while len(self._slots) > kept and now - self._slots[0] > self._late:
            self._slots.popleft()
        self._just_asked = False
        return not self._slots

    async def ask(self) -> None:
        """Take the next slots, and learn what all processes have spent today.

        Raises:
            JournalError: The journal can't be read or written.
        """
        rate = self._quota.rate
        if math.isinf(rate):
            requests, spacing = 0, 0.0
        else:
            ahead = AHEAD_SECONDS * self._clock.speed
            requests = min(max(math.floor(rate / WINDOW_SECONDS * ahead), 1), MOST_SLOTS)
            spacing = SPACED_SECONDS / rate
        asked_at, shared_now = self._clock.now(), self._shared_now()
        taken = await asyncio.to_thread(self._ledger.reserve, requests, spacing, shared_now)
        if self._spare is None:
            self._spare = requests > 0 and taken.idle_seconds >= spacing
        # Before `now`: if this process is held up between the two, the day only seems too long.
        to_midnight = seconds_to_midnight(datetime.now(UTC)) * self._clock.speed
        now = self._clock.now()
        first = asked_at + taken.first_at - shared_now
        self._slots.extend(first + i * spacing for i in range(requests))
        # A ledger that answered late must not make every slot too late.
        self._late = LATE_SECONDS + (now - asked_at)
        self._asked_at, self._just_asked = now, True
        if self._daily is not None:
            self._quota.limit_today(self._daily, taken.requests_today, to_midnight, now)

    def delay(self, now: float) -> float:
        """Seconds until this process's next slot; 0 for now."""
        return max(self._slots[0] - now, 0.0) if self._slots else 0.0

    def use_spare(self) -> bool:
        """Whether the next slot may be used now, once, before its time.

        A slot that nobody used before this process began makes room for it in the last minute, so
        no 60 s window exceeds the rate.
        """
        spare, self._spare = bool(self._spare), False
        return spare

    def take(self) -> None:
        """Use the slot."""
        if self._slots:
            self._slots.popleft()

    async def hold(self, seconds: float) -> None:
        """The service has refused a request: give out no slot for a while.

        Raises:
            JournalError: The journal can't be written.
        """
        self._slots.clear()
        await asyncio.to_thread(self._ledger.hold, seconds, self._shared_now())

    async def count(self) -> None:
        """Count a request that belongs to no batch.

        Raises:
            JournalError: The journal can't be written.
        """
        await asyncio.to_thread(self._ledger.count)

    def _shared_now(self) -> float:
        """A clock that all processes share: this machine's, or that of the journal's server."""
        return (time.time() + self._ledger.clock_ahead) * self._clock.speed


def seconds_to_midnight(now: datetime) -> float:
    """Seconds until the next day begins, in UTC."""
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (tomorrow - now).total_seconds()
