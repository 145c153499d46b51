"""What a batch costs, in words: requests, time, the clock on the wall, credits."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from batchrun.cli.messages import (
    clock_after,
    clock_words,
    credits_words,
    estimate_words,
    pause_words,
)
from batchrun.estimate import EstimateRates, credits_spent, price_of, rest_words, spent_words
from batchrun.service.answers import Credits

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=BERLIN)  # a Tuesday
HOUR = 3600.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the zone is set as on POSIX")


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as here:
        here.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("hours", "shown"),
    [(2.25, "14:15"), (11.9, "23:54"), (12, "Wed 00:00"), (46, "Thu 10:00"), (240, "4 Dec 12:00")],
)
def test_a_moment_is_shown_as_the_clock_will_show_it(hours: float, shown: str) -> None:
    assert clock_after(hours * HOUR, NOON) == shown


def test_a_clock_that_is_changed_meanwhile_is_changed_in_the_answer() -> None:
    """On 25 October 2026 Berlin's clocks go back at three."""
    evening = datetime(2026, 10, 24, 22, 0, tzinfo=BERLIN)
    assert clock_after(12 * HOUR, evening) == "Sun 09:00"


def test_the_end_is_shown_in_the_users_time_zone() -> None:
    assert clock_words(datetime(2026, 11, 24, 15, 30, tzinfo=UTC), NOON) == "16:30"


def test_times_of_a_fast_sandbox_are_shown_in_real_time() -> None:
    assert clock_after(HOUR, NOON, speed=60) == "12:01"


def test_a_time_beyond_the_calendar_is_shown() -> None:
    assert clock_after(1e15, NOON) == "a day far away"


def test_an_estimate_knows_midnight() -> None:
    rates = EstimateRates(60, 45, daily=100, daily_left=50, seconds_to_next_day=13 * HOUR)
    estimate = rates.of(200)  # 410 requests: 50 today, 100 on each of three days, 60 on the last
    assert estimate.midnights == 4
    assert estimate.seconds == 13 * HOUR + 3 * 24 * HOUR + 60 + 45
    words = estimate_words(estimate, NOON)
    assert "about 410 requests, 3 d 13 h" in words
    assert "done at Sat 01:01" in words
    assert "not enough for today (50 left)" in words
    paused = pause_words(estimate, NOON, wait=False)
    assert "spent 4 times" in paused
    assert "midnight UTC (Wed 01:00 here)" in paused
    assert "batchrun resume" in paused
    assert "is waited for" in pause_words(estimate, NOON, wait=True)


def test_a_day_with_enough_quota_has_no_pause() -> None:
    estimate = EstimateRates(60, 45, daily_left=500).of(200)
    assert estimate.midnights == 0
    assert pause_words(estimate, NOON, wait=False) == ""
    assert "done at 12:07" in estimate_words(estimate, NOON)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (None, ""),
        (Credits(), ""),
        (
            Credits(refused=True),
            "not shown to this key (it lacks the scope org_settings:read)",
        ),
        (Credits({"research": 1240}), "1,240 credits left; each of the 95 jobs costs credits"),
        (Credits({"a": 1.5, "b": 2}), "a 1.5, b 2 credits left; each of the 95 jobs costs credits"),
    ],
)
def test_credits_are_shown_if_they_are_known(known: Credits | None, words: str) -> None:
    assert credits_words(known, 95) == words


def test_practice_credits_are_named_so() -> None:
    words = credits_words(Credits({"research": 9}), 2, practice=True)
    assert "9 credits left (practice);" in words


def test_a_single_job_is_in_the_singular() -> None:
    assert credits_words(Credits({"research": 1}), 1) == "1 credit left; the job costs credits"
    assert "at 1 request a minute" in estimate_words(EstimateRates(1, 60).of(1), NOON)


def test_a_measured_price_says_what_the_jobs_cost() -> None:
    left, price = Credits({"a": 90, "b": 8}), {"a": 1.5, "b": 0.25}
    assert credits_words(left, 4, price) == (
        "a 90, b 8 credits left; about a 6, b 1 credits for 4 jobs (a 1.5, b 0.25 a job last time)"
    )


def test_what_a_pilot_cost_and_the_rest_will() -> None:
    before, after = Credits({"research": 100, "email": 9}), Credits({"research": 92.5, "email": 9})
    gone = credits_spent(before, after)
    assert gone == {"research": 7.5}
    assert spent_words(gone, 5) == "7.5 credits (1.5 a job)"
    price = price_of(before, after, 5)
    assert rest_words(price, 40, after) == "about 60 credits of the 92.5 left"
    assert rest_words(price, 400, after) == "about 600 credits, and only 92.5 left"


@pytest.mark.parametrize("unknown", [None, Credits(), Credits(refused=True)])
def test_credits_that_cannot_be_read_are_not_made_up(unknown: Credits | None) -> None:
    gone = credits_spent(Credits({"research": 1}), unknown)
    assert gone is None
    assert spent_words(gone, 5) == ""
    assert price_of(Credits({"research": 1}), unknown, 5) is None
    assert rest_words({"research": 1}, 40, unknown) == ""


def test_credits_bought_meanwhile_are_not_taken_for_a_gain() -> None:
    gone = credits_spent(Credits({"research": 1}), Credits({"research": 100}))
    assert spent_words(gone, 5) == "no credits"
