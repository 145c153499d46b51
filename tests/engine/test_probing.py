"""At which age is an execution asked while run times are not known?"""

from __future__ import annotations

from itertools import pairwise

import pytest

from batchrun.engine.forecast import AskingAge

FEW, MANY = 100, 10_000
SCARCE, PLENTY = 1.0, 1_000.0  # requests a second


def asked(
    jobs: int, idle_from: float, still_running: int, requests_per_second: float = SCARCE
) -> list[float]:
    """Ages asked at while every execution still runs."""
    asking = AskingAge()
    asking.batch(jobs, idle_from, requests_per_second)
    ages = [asking.seconds]
    for _ in range(still_running):
        asking.running(asking.seconds, 0.0, one_kind=False)
        ages.append(asking.seconds)
    return ages


def test_a_small_batch_asks_where_cached_and_typical_answers_are_there() -> None:
    first, second, third, fourth = asked(FEW, idle_from=100.0, still_running=3)
    assert first <= 4
    assert second == pytest.approx(1.5 * 45, abs=6)
    assert third == pytest.approx(1.1 * 85, abs=6)
    assert third < fourth <= 120


def test_one_that_has_nothing_left_to_trigger_asks_sooner() -> None:
    assert asked(FEW, idle_from=10.0, still_running=1)[1] == 20


def test_in_a_large_batch_no_first_result_is_late() -> None:
    ages = asked(MANY, idle_from=1_000.0, still_running=12)
    steps = [later / sooner for sooner, later in pairwise(ages)]
    assert max(steps) < 1.5
    assert ages[-1] > 60


@pytest.mark.parametrize("jobs", [FEW, MANY])
def test_without_a_quota_nobody_waits_to_learn_that_answers_come_fast(jobs: int) -> None:
    ages = asked(jobs, 1_000.0, still_running=24, requests_per_second=PLENTY)
    assert ages[0] < 0.5
    assert max(later / sooner for sooner, later in pairwise(ages)) < 1.5
    assert ages[-1] > 60


def test_an_earlier_batch_knows_better_than_a_rich_quota() -> None:
    asking = AskingAge(40.0)
    asking.batch(FEW, idle_from=100.0, requests_per_second=PLENTY)
    assert asking.seconds == 40.0


def test_all_that_have_ended_at_an_age_are_asked_there() -> None:
    asking = AskingAge()
    asking.batch(FEW, idle_from=100.0, requests_per_second=SCARCE)
    for _ in range(50):
        asking.ended()
    assert asking.seconds <= 4


def test_the_more_had_ended_the_less_older_is_the_next_one() -> None:
    sure, unsure = AskingAge(), AskingAge()
    for _ in range(40):
        sure.ended()
    for asking in (sure, unsure):
        asking.running(80.0, 0.0, one_kind=True)
    assert 80 < sure.seconds < unsure.seconds <= 100
