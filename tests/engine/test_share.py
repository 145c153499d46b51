"""This process's share of the quota: turns used at their moment, forfeited when they pass."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from batchrun.engine import share
from batchrun.engine.clock import Clock
from batchrun.engine.quota import Quota
from batchrun.engine.share import QuotaShare, seconds_to_midnight
from batchrun.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path


class StillClock(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1_000.0

    def now(self) -> float:
        return self.seconds


def share_of(journal: Journal, quota: Quota, clock: Clock, daily: int | None = None) -> QuotaShare:
    return QuotaShare(quota, journal.ledger("key"), clock, daily)


def test_two_processes_take_turns(tmp_path: Path) -> None:
    clock = StillClock()
    with Journal(str(tmp_path / "journal.db")) as journal:
        one, other = (share_of(journal, Quota(6), clock) for _ in range(2))
        asyncio.run(one.ask())
        asyncio.run(other.ask())
    assert one.delay(clock.now()) == 0
    assert other.delay(clock.now()) == pytest.approx(10.1, abs=0.5)


def test_a_turn_that_was_missed_is_forfeited(tmp_path: Path) -> None:
    clock = StillClock()
    with Journal(str(tmp_path / "journal.db")) as journal:
        share = share_of(journal, Quota(60), clock)
        assert share.must_ask(clock.now())
        asyncio.run(share.ask())
        assert not share.must_ask(clock.now())
        clock.seconds += 5
        assert share.must_ask(clock.now())


def test_a_high_rate_takes_several_turns_at_once(tmp_path: Path) -> None:
    clock = StillClock()
    with Journal(str(tmp_path / "journal.db")) as journal:
        ours = share_of(journal, Quota(6_000), clock)
        asyncio.run(ours.ask())
        for _ in range(round(6_000 / 60 * share.AHEAD_SECONDS)):
            assert not ours.must_ask(clock.now())
            ours.take()
        assert ours.must_ask(clock.now())


def test_the_days_budget_is_what_all_processes_have_left(tmp_path: Path) -> None:
    clock, quota = StillClock(), Quota()
    with Journal(str(tmp_path / "journal.db")) as journal:
        for _ in range(7):
            journal.ledger("key").count()
        asyncio.run(share_of(journal, quota, clock, daily=10).ask())
    assert quota.left_today(clock.now()) == 3
    assert 0 < quota.seconds_to_next_day(clock.now()) <= 86_400


def test_without_a_rate_nobody_waits_for_a_turn(tmp_path: Path) -> None:
    clock = StillClock()
    with Journal(str(tmp_path / "journal.db")) as journal:
        share = share_of(journal, Quota(math.inf), clock)
        assert not share.must_ask(clock.now())
        assert share.delay(clock.now()) == 0


def test_the_day_ends_at_midnight_utc() -> None:
    assert seconds_to_midnight(datetime(2026, 11, 24, 23, 59, 30, tzinfo=UTC)) == 30
    assert seconds_to_midnight(datetime(2026, 12, 31, tzinfo=UTC)) == 86_400
