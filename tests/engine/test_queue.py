"""When triggered executions start, on a service that runs only some at once."""

from __future__ import annotations

import pytest

from batchrun.engine.forecast import Queue


def test_where_nobody_waited_an_execution_starts_when_it_is_triggered() -> None:
    queue = Queue()
    queue.started(0, 0.0, 0.2)
    assert queue.start(5, 30.0, mean_run_seconds=45) == 30.0
    assert not queue.waits


def test_behind_a_start_that_waited_the_others_start_in_order() -> None:
    """Ten slots and runs of 50 s: one starts every five seconds."""
    queue = Queue()
    for number in range(10):
        queue.started(number, float(number), float(number))
    queue.started(10, 10.0, 50.0)
    assert queue.waits
    assert queue.start(14, 14.0, mean_run_seconds=50) == pytest.approx(70)


def test_the_pace_is_that_of_the_known_starts() -> None:
    queue = Queue()
    for number in range(20):
        queue.started(number, 0.0, 100.0 + 2 * number)
    assert queue.start(29, 0.0, mean_run_seconds=1_000) == pytest.approx(158)


def test_an_execution_seen_queued_starts_later_and_so_do_those_behind_it() -> None:
    queue = Queue()
    queue.started(0, 0.0, 0.0)
    queue.still_queued(3, 200.0)
    assert queue.start(3, 3.0, mean_run_seconds=10) > 200
    assert queue.start(9, 9.0, mean_run_seconds=10) > queue.start(3, 3.0, mean_run_seconds=10)


def test_when_nobody_waits_any_more_the_queue_is_over() -> None:
    queue = Queue()
    queue.still_queued(3, 20.0)
    queue.started(3, 3.0, 25.0)
    queue.started(4, 60.0, 60.1)
    assert queue.start(5, 61.0, mean_run_seconds=45) == 61.0
