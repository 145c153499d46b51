"""The timed forecast behind the forecast's interface."""

from __future__ import annotations

from batchrun.engine import TimedForecast
from batchrun.engine.forecast import DuePoll
from batchrun.model import Execution, ExecutionStatus

RUNNING = Execution("exec_1", ExecutionStatus.RUNNING)
COMPLETED = Execution("exec_1", ExecutionStatus.COMPLETED)


def test_polls_come_later_and_later() -> None:
    forecast, now, intervals = TimedForecast(), 0.0, []
    forecast.triggered(7, now)
    for _ in range(7):
        poll = forecast.take_poll()
        assert poll.job == 7
        intervals.append(poll.at - now)
        now = poll.at
        forecast.still_running(7, RUNNING, now)
    assert intervals == [20.0, 30.0, 45.0, 67.5, 101.25, 120.0, 120.0]


def test_an_execution_that_is_being_polled_is_not_due_twice() -> None:
    forecast = TimedForecast()
    forecast.triggered(1, 0.0)
    forecast.take_poll()
    assert forecast.next_poll() is None


def test_a_poll_that_was_turned_away_is_due_as_before() -> None:
    forecast = TimedForecast()
    forecast.triggered(1, 0.0)
    forecast.put_back(forecast.take_poll())
    assert forecast.next_poll() == DuePoll(20.0, 1)


def test_an_execution_that_ended_is_watched_no_more() -> None:
    forecast = TimedForecast()
    forecast.triggered(1, 0.0)
    forecast.triggered(2, 5.0)
    forecast.take_poll()
    forecast.ended(1, COMPLETED, 21.0)
    assert forecast.next_poll() == DuePoll(25.0, 2)
