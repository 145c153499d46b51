"""The forecast: which poll is worth its request, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from batchrun.engine.forecast import Forecast
from batchrun.engine.run_times import RunTimes
from batchrun.model import Execution, ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 1.0  # requests a second
SOME = 100  # jobs still to be triggered
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def execution(status: ExecutionStatus, start: float, end: float | None = None) -> Execution:
    """An execution with the service's own timestamps, in seconds after noon."""
    finish = None if end is None else NOON + timedelta(seconds=end)
    return Execution("exec_1", status, NOON, NOON + timedelta(seconds=start), finish)


def running(start: float) -> Execution:
    return execution(ExecutionStatus.RUNNING, start)


def completed(start: float, end: float) -> Execution:
    return execution(ExecutionStatus.COMPLETED, start, end)


def wise(seconds: float = 40.0) -> Forecast:
    """A forecast that knows from an earlier batch how long executions take."""
    forecast = Forecast(RunTimes([seconds] * 200))
    forecast.triggered(1_000, NOON, -seconds)
    poll = forecast.next_poll(RATE, 0.0, jobs_left=SOME)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.ended(1_000, completed(-seconds, 0), 0.0)
    return forecast


def test_while_run_times_are_unknown_one_execution_is_polled_early_and_not_all() -> None:
    forecast = Forecast()
    for job in range(10):
        forecast.triggered(job, NOON, float(job))
    first = forecast.next_poll(RATE, 10.0, jobs_left=SOME)
    assert first is not None
    assert first.scout
    assert first.at < 5
    forecast.take_poll(first)
    forecast.still_running(first.job, running(0), 10.0)
    second = forecast.next_poll(RATE, 10.0, jobs_left=SOME)
    assert second is not None
    assert second.at >= 20


def test_an_execution_is_polled_when_its_kind_has_ended() -> None:
    forecast = wise(40.0)
    forecast.triggered(1, NOON, 100.0)
    poll = forecast.next_poll(RATE, 100.0, jobs_left=SOME)
    assert poll is not None
    assert poll.at == pytest.approx(140, abs=5)


def test_an_execution_seen_running_is_polled_again_later() -> None:
    forecast = wise(40.0)
    forecast.triggered(1, NOON, 100.0)
    poll = forecast.next_poll(RATE, 141.0, jobs_left=SOME)
    assert poll is not None
    forecast.take_poll(poll)
    assert forecast.next_poll(RATE, 141.0, jobs_left=SOME) is None
    forecast.still_running(1, running(0), 141.0)
    again = forecast.next_poll(RATE, 141.0, jobs_left=SOME)
    assert again is not None
    assert again.at > 142


def test_a_poll_put_back_is_due_as_before() -> None:
    forecast = wise()
    forecast.triggered(1, NOON, 100.0)
    poll = forecast.next_poll(RATE, 150.0, jobs_left=SOME)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.put_back(poll)
    assert forecast.next_poll(RATE, 150.0, jobs_left=SOME) == poll


def test_a_queued_answer_delays_all_triggered_after_it() -> None:
    forecast = wise(40.0)
    for job in range(5):
        forecast.triggered(job, NOON, float(job))
    poll = forecast.next_poll(RATE, 45.0, jobs_left=SOME)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.still_running(poll.job, Execution("exec_1", ExecutionStatus.QUEUED), 45.0)
    later = forecast.next_poll(RATE, 45.0, jobs_left=SOME)
    assert later is not None
    assert later.at > 45 + 30


def test_an_execution_that_ended_or_was_dropped_is_not_polled_again() -> None:
    forecast = wise()
    forecast.triggered(1, NOON, 0.0)
    forecast.triggered(2, NOON, 1.0)
    poll = forecast.next_poll(RATE, 50.0, jobs_left=SOME)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.ended(1, completed(0, 40), 50.0)
    poll = forecast.next_poll(RATE, 50.0, jobs_left=SOME)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.dropped(2)
    assert forecast.next_poll(RATE, 50.0, jobs_left=SOME) is None


def test_executions_in_flight_keep_every_request_busy() -> None:
    assert wise(40.0).in_flight_wanted(1.0) == pytest.approx(40, abs=4)
    assert wise(40.0).in_flight_wanted(10.0) == pytest.approx(400, abs=40)


def test_without_a_quota_fast_executions_still_keep_requests_busy() -> None:
    forecast = wise(0.01)
    assert forecast.in_flight_wanted(1_000.0) > 100
    assert forecast.in_flight_wanted(1.0) < 10


def test_impossible_timestamps_are_ignored() -> None:
    """A service whose clock jumps back says that executions end before they start."""
    forecast = wise(40.0)
    for job in range(300):
        forecast.triggered(job, NOON, float(job))
        poll = forecast.next_poll(RATE, job + 400.0, jobs_left=SOME)
        assert poll is not None
        forecast.take_poll(poll)
        forecast.ended(poll.job, completed(0, -1e9), job + 41.0)
    assert forecast.seconds_per_execution == pytest.approx(40, abs=5)


def test_run_times_are_learned_without_timestamps_too() -> None:
    forecast = Forecast()
    for job in range(100):
        forecast.triggered(job, None, 0.0)
    for job in range(100):
        poll = forecast.next_poll(RATE, 10.0, jobs_left=SOME)
        assert poll is not None
        forecast.take_poll(poll)
        forecast.ended(poll.job, Execution("exec_1", ExecutionStatus.COMPLETED), 10.0)
        assert job < 100
    assert forecast.seconds_per_execution < 60


FAST = 1_000.0  # requests a second


def all_triggered(forecast: Forecast, count: int) -> None:
    """Trigger this many at noon."""
    for job in range(count):
        forecast.triggered(job, NOON, job / FAST)


def spread() -> Forecast:
    """A forecast that knows run times from 5 to 105 seconds."""
    return Forecast(RunTimes(5 + one / 3 for one in range(300)))


def first_due(forecast: Forecast, requests_per_second: float, jobs_left: int) -> float:
    """When the next poll is due, after a first result at 90 s."""
    all_triggered(forecast, 400)
    poll = forecast.next_poll(FAST, 90.0, jobs_left=SOME)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.ended(poll.job, completed(0, 89), 90.0)
    poll = forecast.next_poll(requests_per_second, 90.0, jobs_left=jobs_left)
    assert poll is not None
    return poll.at


def test_when_all_is_triggered_polls_come_as_late_as_the_end_allows() -> None:
    assert first_due(spread(), FAST, jobs_left=0) > first_due(spread(), FAST, jobs_left=SOME) + 2
    assert first_due(spread(), FAST, jobs_left=0) < 112


def test_with_too_little_time_for_all_polls_none_is_delayed() -> None:
    assert first_due(spread(), FAST / 100, jobs_left=0) < first_due(spread(), FAST, jobs_left=0) - 5


def test_one_straggler_lets_the_other_polls_wait() -> None:
    """The batch can't end before it, so a later poll costs nothing."""
    forecast, now = spread(), 106.0
    all_triggered(forecast, 40)
    for job in range(5):
        poll = forecast.next_poll(FAST, now, jobs_left=0)
        assert poll is not None
        assert poll.at <= now
        forecast.take_poll(poll)
        if job < 4:
            forecast.ended(poll.job, completed(0, 60), now)
        else:
            forecast.still_running(poll.job, running(0), now)
    following = forecast.next_poll(FAST, now, jobs_left=0)
    assert following is not None
    assert following.at > now + 1


def test_run_times_from_a_small_earlier_batch_are_used() -> None:
    forecast = Forecast(RunTimes(40.0 + one for one in range(8)))
    all_triggered(forecast, 40)
    poll = forecast.next_poll(FAST, 1.0, jobs_left=0)
    assert poll is not None
    assert poll.at > 40
    forecast.take_poll(poll)
    forecast.ended(poll.job, completed(0, 41), poll.at)
    poll = forecast.next_poll(FAST, poll.at, jobs_left=0)
    assert poll is not None
    assert poll.at > 40


def test_an_execution_seen_running_is_not_polled_twice_before_the_end_is_near() -> None:
    forecast = Forecast()
    for job in range(20):
        forecast.triggered(job, NOON, job / 10)
    for age in (4.0, 20.0, 60.0):
        scout = forecast.next_poll(10.0, age + 2, jobs_left=0)
        assert scout is not None
        forecast.take_poll(scout)
        forecast.still_running(scout.job, running(scout.job / 10), age + 2)
    following = forecast.next_poll(10.0, 63.0, jobs_left=0)
    assert following is not None
    assert following.at >= 95


def test_one_scout_at_a_time() -> None:
    forecast = Forecast()
    for job in range(3):
        forecast.triggered(job, NOON, 0.0)
    scout = forecast.next_poll(RATE, 4.0, jobs_left=SOME)
    assert scout is not None
    assert scout.scout
    forecast.take_poll(scout)
    meanwhile = forecast.next_poll(RATE, 4.0, jobs_left=SOME)
    assert meanwhile is None or not meanwhile.scout
    forecast.put_back(scout)
    assert forecast.next_poll(RATE, 4.0, jobs_left=SOME) == scout


@pytest.mark.parametrize("service", [lambda _: 30.0, lambda job: 4.0 if job % 5 < 2 else 85.0])
def test_a_whole_batch_needs_little_more_than_two_requests_per_row(
    service: Callable[[int], float],
) -> None:
    """A whole batch of 100 against the forecast alone, ten requests a second."""
    forecast, now, requests = Forecast(), 10.0, 100
    ends = {job: job / 10 + service(job) for job in range(100)}
    for job in range(100):
        forecast.triggered(job, NOON, job / 10)
    while ends:
        poll = forecast.next_poll(10 * RATE, now, jobs_left=0)
        assert poll is not None
        now = max(now, poll.at) + 0.1
        forecast.take_poll(poll)
        requests += 1
        start = poll.job / 10
        if ends[poll.job] <= now:
            forecast.ended(poll.job, completed(start, ends.pop(poll.job)), now)
        else:
            forecast.still_running(poll.job, running(0), now)
    assert requests <= 208
    assert now < 130


def scouts(jobs: int, requests_per_second: float, *, idle: bool = False) -> list[float]:
    """Ages at which executions are polled while every one still runs."""
    forecast, ages = Forecast(), []
    jobs_left = 0 if idle else jobs - 20
    for job in range(20):
        forecast.triggered(job, NOON, 0.0)
    for _ in range(16):
        poll = forecast.next_poll(requests_per_second, 0.0, jobs_left=jobs_left)
        assert poll is not None
        assert poll.scout
        ages.append(poll.at)
        forecast.take_poll(poll)
        forecast.still_running(poll.job, running(0), poll.at)
    return ages


def test_scouts_of_a_small_batch_come_at_four_ages_within_two_minutes() -> None:
    assert scouts(100, RATE)[:3] == [4.0, 60.0, 96.0]
    assert scouts(20, RATE, idle=True)[:4] == [4.0, 20.0, 60.0, 96.0]


@pytest.mark.parametrize(("jobs", "requests_per_second"), [(10_000, RATE), (100, FAST)])
def test_where_a_poll_is_cheap_no_first_result_comes_late(
    jobs: int, requests_per_second: float
) -> None:
    ages = scouts(jobs, requests_per_second)
    assert max(later / sooner for sooner, later in pairwise(ages)) <= 1.3
    assert ages[-1] > 60


def test_an_execution_that_hangs_is_not_the_only_scout() -> None:
    forecast = Forecast()
    for job in range(3):
        forecast.triggered(job, NOON, 0.0)
    polled = []
    for _ in range(6):
        poll = forecast.next_poll(RATE, 0.0, jobs_left=SOME)
        assert poll is not None
        polled.append(poll.job)
        forecast.take_poll(poll)
        forecast.still_running(poll.job, running(0), poll.at)
    assert sorted(polled) == [0, 0, 1, 1, 2, 2]


def test_executions_longer_than_any_that_ended_wait_for_a_scout() -> None:
    """Of 100, a third takes six minutes: one at a time is polled until the first of them ended."""
    forecast, requests, now = Forecast(), 100, 10.0
    ends = {job: 369.0 if job % 3 == 0 else 4.0 for job in range(100)}
    for job in range(100):
        forecast.triggered(job, NOON, 0.0)
    while ends:
        poll = forecast.next_poll(10 * RATE, now, jobs_left=0)
        assert poll is not None
        now = max(now, poll.at) + 0.1
        forecast.take_poll(poll)
        requests += 1
        if ends[poll.job] <= now:
            forecast.ended(poll.job, completed(0, ends.pop(poll.job)), now)
        else:
            forecast.still_running(poll.job, running(0), now)
    assert requests <= 225
    assert now < 369 * 1.3
