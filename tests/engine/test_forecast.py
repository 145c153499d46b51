"""The forecast: which poll is worth its request, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from batchrun.engine import LearnedForecast, RunTime, RunTimes
from batchrun.model import Execution, ExecutionStatus

RATE = 1.0  # requests a second
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def execution(status: ExecutionStatus, start: float, end: float | None = None) -> Execution:
    """An execution with the service's own timestamps, in seconds after noon."""
    finish = None if end is None else NOON + timedelta(seconds=end)
    return Execution("exec_1", status, NOON, NOON + timedelta(seconds=start), finish)


def running(start: float) -> Execution:
    return execution(ExecutionStatus.RUNNING, start)


def completed(start: float, end: float) -> Execution:
    return execution(ExecutionStatus.COMPLETED, start, end)


def wise(seconds: float = 40.0) -> LearnedForecast:
    """A forecast that knows from an earlier batch how long executions take."""
    forecast = LearnedForecast(RunTimes([RunTime(seconds)] * 200))
    forecast.triggered(1_000, NOON, -seconds)
    poll = forecast.next_poll(RATE, 0.0)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.ended(1_000, completed(-seconds, 0), 0.0)
    return forecast


def test_while_nothing_is_known_one_execution_is_probed_and_not_all() -> None:
    forecast = LearnedForecast()
    for job in range(10):
        forecast.triggered(job, NOON, float(job))
    first = forecast.next_poll(RATE, 10.0)
    assert first is not None
    assert first.probe
    assert first.at < 5
    forecast.take_poll(first)
    forecast.still_running(first.job, running(0), 10.0)
    second = forecast.next_poll(RATE, 10.0)
    assert second is not None
    assert second.at >= 20


def test_an_execution_is_polled_when_its_kind_has_ended() -> None:
    forecast = wise(40.0)
    forecast.triggered(1, NOON, 100.0)
    poll = forecast.next_poll(RATE, 100.0)
    assert poll is not None
    assert poll.at == pytest.approx(140, abs=5)


def test_one_that_was_seen_running_is_polled_again_later() -> None:
    forecast = wise(40.0)
    forecast.triggered(1, NOON, 100.0)
    poll = forecast.next_poll(RATE, 141.0)
    assert poll is not None
    forecast.take_poll(poll)
    assert forecast.next_poll(RATE, 141.0) is None
    forecast.still_running(1, running(0), 141.0)
    again = forecast.next_poll(RATE, 141.0)
    assert again is not None
    assert again.at > 142


def test_a_poll_that_was_turned_away_is_due_as_before() -> None:
    forecast = wise()
    forecast.triggered(1, NOON, 100.0)
    poll = forecast.next_poll(RATE, 150.0)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.put_back(poll)
    assert forecast.next_poll(RATE, 150.0) == poll


def test_a_queued_answer_puts_off_all_that_were_triggered_behind_it() -> None:
    forecast = wise(40.0)
    for job in range(5):
        forecast.triggered(job, NOON, float(job))
    poll = forecast.next_poll(RATE, 45.0)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.still_running(poll.job, Execution("exec_1", ExecutionStatus.QUEUED), 45.0)
    later = forecast.next_poll(RATE, 45.0)
    assert later is not None
    assert later.at > 45 + 30


def test_an_execution_that_ended_or_was_dropped_is_watched_no_more() -> None:
    forecast = wise()
    forecast.triggered(1, NOON, 0.0)
    forecast.triggered(2, NOON, 1.0)
    poll = forecast.next_poll(RATE, 50.0)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.ended(1, completed(0, 40), 50.0)
    poll = forecast.next_poll(RATE, 50.0)
    assert poll is not None
    forecast.take_poll(poll)
    forecast.dropped(2)
    assert forecast.next_poll(RATE, 50.0) is None


def test_as_many_are_in_flight_as_keep_every_request_busy() -> None:
    assert wise(40.0).in_flight_wanted(1.0) == pytest.approx(40, abs=4)
    assert wise(40.0).in_flight_wanted(10.0) == pytest.approx(400, abs=40)


def test_timestamps_that_cannot_be_true_do_no_harm() -> None:
    """A service whose clock jumps back says that executions end before they start."""
    forecast = wise(40.0)
    for job in range(300):
        forecast.triggered(job, NOON, float(job))
        poll = forecast.next_poll(RATE, job + 400.0)
        assert poll is not None
        forecast.take_poll(poll)
        forecast.ended(poll.job, completed(0, -1e9), job + 41.0)
    assert forecast.seconds_per_execution == pytest.approx(40, abs=5)


def test_without_timestamps_what_is_seen_is_learned() -> None:
    forecast = LearnedForecast()
    for job in range(100):
        forecast.triggered(job, None, 0.0)
    for job in range(100):
        poll = forecast.next_poll(RATE, 10.0)
        assert poll is not None
        forecast.take_poll(poll)
        forecast.ended(poll.job, Execution("exec_1", ExecutionStatus.COMPLETED), 10.0)
        assert job < 100
    assert forecast.seconds_per_execution < 60
