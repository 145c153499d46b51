"""The schedule: what the next request is spent on. Pure policy, one decision per token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from batchrun.engine.forecast import DuePoll


@dataclass(frozen=True, slots=True)
class TriggerNext:
    """Trigger the next job."""


@dataclass(frozen=True, slots=True)
class PollNext:
    """Poll the execution that is due first."""

    poll: DuePoll


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing: for so many seconds, or until an answer arrives."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to send and nothing to wait for."""


@dataclass(frozen=True, slots=True)
class DaySpent:
    """What is left of today's quota isn't enough for a trigger and its poll."""


Step: TypeAlias = TriggerNext | PollNext | Wait | DaySpent | Done


def next_step(
    *,
    may_trigger: bool,
    in_flight: int,
    max_in_flight: float,
    outstanding: int,
    due: DuePoll | None,
    requests_left: float,
    now: float,
) -> Step:
    """Decide what the next token is spent on.

    A probe comes first: it tells how long executions take, and brings the first results. A trigger
    comes next, as long as fewer are in flight than wanted: what is in flight has more time to end,
    so that its poll is a sure one, and every token is busy to the end. A poll that is due comes
    then. Every execution in flight, and the new one, keep a request of today's quota for
    their poll.

    Args:
        may_trigger: Whether there is a job to trigger and nothing forbids it.
        in_flight: Executions accepted and not ended.
        max_in_flight: How many are wanted.
        outstanding: Requests on the wire.
        due: The poll due first, if any.
        requests_left: What is left of today's quota; infinite for no limit.
        now: Seconds of the engine's clock.
    """
    if due is not None and due.probe and due.at <= now:
        return PollNext(due)
    room = in_flight + outstanding < max_in_flight
    if may_trigger and room and requests_left >= in_flight + outstanding + 2:
        return TriggerNext()
    if due is not None:
        return PollNext(due) if due.at <= now else Wait(due.at - now)
    if outstanding:
        return Wait(math.inf)
    return DaySpent() if may_trigger else Done()
