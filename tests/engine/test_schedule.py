"""The schedule: what the next request is spent on."""

from __future__ import annotations

import math
from typing import Any

import pytest

from batchrun.engine.engine import Next, Step, Wait, next_step
from batchrun.engine.forecast import DuePoll

IDLE: dict[str, Any] = {
    "may_trigger": True,
    "in_flight": 0,
    "max_in_flight": 60,
    "outstanding": 0,
    "due": None,
    "requests_left": math.inf,
    "now": 100.0,
}


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        pytest.param({}, Next.TRIGGER, id="a job waits"),
        pytest.param(
            {"due": DuePoll(99.0, 1), "in_flight": 1},
            Next.TRIGGER,
            id="a trigger comes before a poll",
        ),
        pytest.param(
            {"due": DuePoll(99.0, 1, scout=True), "in_flight": 1},
            DuePoll(99.0, 1, scout=True),
            id="a probe comes before a trigger",
        ),
        pytest.param(
            {"due": DuePoll(99.0, 1), "in_flight": 60},
            DuePoll(99.0, 1),
            id="a poll is due and enough is in flight",
        ),
        pytest.param(
            {"due": DuePoll(130.0, 1), "in_flight": 60}, Wait(30.0), id="enough is in flight"
        ),
        pytest.param(
            {"may_trigger": False, "due": DuePoll(130.0, 1), "in_flight": 1},
            Wait(30.0),
            id="all is triggered",
        ),
        pytest.param({"may_trigger": False}, Next.DONE, id="all has ended"),
        pytest.param(
            {"may_trigger": False, "outstanding": 1}, Wait(math.inf), id="an answer is awaited"
        ),
        pytest.param(
            {"requests_left": 3, "in_flight": 2, "due": DuePoll(130.0, 1)},
            Wait(30.0),
            id="today's last requests are kept for polls",
        ),
        pytest.param({"requests_left": 1}, Next.DAY_SPENT, id="no trigger without its poll"),
    ],
)
def test_the_next_request_is_spent_on(situation: dict[str, Any], step: Step) -> None:
    assert next_step(**IDLE | situation) == step
