"""The distribution of run times, learned from executions that ended and that still run."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.engine.run_times import RunTimes

SECONDS = st.floats(0, 1e6)


def known(seconds: list[float]) -> RunTimes:
    return RunTimes(seconds)


def test_before_anything_is_known_executions_may_take_two_minutes() -> None:
    assert RunTimes().quantile(0.95) == 120
    assert RunTimes().mean == pytest.approx(60)
    assert not RunTimes().explained


def test_with_many_known_the_quantiles_are_theirs() -> None:
    draw = Random(7)
    seconds = [draw.uniform(5, 120) for _ in range(400)]
    times = known(seconds)
    assert times.quantile(0.5) == pytest.approx(sorted(seconds)[200], abs=4)
    assert times.mean == pytest.approx(sum(seconds) / 400, rel=0.05)
    assert times.explained


def test_executions_seen_running_may_be_slower_than_all_that_ended() -> None:
    """Cached answers end at once; those that still run are of another kind."""
    times = RunTimes()
    for job in range(4):
        times.ended(job, 4.0)
    for job in range(4, 10):
        times.seen_running(job, 20.0)
    assert not times.explained
    assert times.quantile(0.95) > 60


def test_beyond_a_time_only_slower_executions_count() -> None:
    times = known([4.0] * 40 + [85.0] * 60)
    assert times.quantile(0.3) == pytest.approx(4, abs=1)
    assert times.quantile(0.3, beyond=10) == pytest.approx(85, abs=3)


def test_the_tail_is_that_of_the_slower_kind_alone() -> None:
    """A curve through cached answers and real ones would put the last far beyond both."""
    times = known([4.0] * 8 + [80.0, 82.0, 85.0, 85.0, 86.0, 87.0, 88.0, 90.0])
    assert times.quantile(0.97) > 89
    assert times.quantile(0.98) < 110


def test_the_moment_when_a_number_still_runs_is_predicted() -> None:
    times = known([float(seconds) for seconds in range(1, 101)])
    assert times.when_left(50, [0.0] * 100) == pytest.approx(50, abs=2)
    assert times.when_left(50, [200.0] * 100) == pytest.approx(250, abs=2)


def test_a_service_that_grows_slower_during_the_day_is_followed() -> None:
    times = known([10.0] * 400)
    for job in range(400):
        times.ended(job, 60.0)
    assert times.quantile(0.5) == pytest.approx(60, abs=1)


@given(ended=st.lists(SECONDS, max_size=40), running=st.lists(SECONDS, max_size=40))
def test_a_larger_share_never_ends_earlier(ended: list[float], running: list[float]) -> None:
    times = known(ended)
    for job, seconds in enumerate(running):
        times.seen_running(job, seconds)
    for beyond in (-1.0, 5.0, 500.0):
        quantiles = [times.quantile(share, beyond) for share in (0.1, 0.5, 0.9, 0.99)]
        assert quantiles == sorted(quantiles)
        assert quantiles[0] >= beyond
    assert times.mean >= 0


def test_a_few_stuck_executions_do_not_delay_the_others() -> None:
    times = known([40.0 + one % 10 for one in range(60)])
    before = times.quantile(0.96)
    for job, seconds in enumerate((900.0, 1_700.0, 86_400.0)):
        times.seen_running(job, 60.0)
        times.seen_running(job, seconds)
    assert times.quantile(0.96) < before * 1.5
