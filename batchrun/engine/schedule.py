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


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing: for so many seconds, or until an answer arrives."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to send and nothing to wait for."""


Step: TypeAlias = TriggerNext | PollNext | Wait | Done


def next_step(
    *,
    may_trigger: bool,
    in_flight: int,
    max_in_flight: int,
    outstanding: int,
    due: DuePoll | None,
    requests_left: float,
    now: float,
) -> Step:
    """Decide what the next token is spent on.

    A poll that is due comes first: an execution that has probably ended is a result, and its
    place is free for the next trigger. A trigger comes next, as long as every execution in
    flight, and the new one, keep a request of today's quota for their poll.

    Args:
        may_trigger: Whether there is a job to trigger and nothing forbids it.
        in_flight: Executions accepted and not ended.
        max_in_flight: How many may be.
        outstanding: Requests on the wire.
        due: The poll due first, if any.
        requests_left: What is left of today's quota; infinite for no limit.
        now: Seconds of the engine's clock.
    """
    if due is not None and due.at <= now:
        return PollNext()
    room = in_flight + outstanding < max_in_flight
    if may_trigger and room and requests_left >= in_flight + outstanding + 2:
        return TriggerNext()
    if due is not None:
        return Wait(due.at - now)
    if outstanding:
        return Wait(math.inf)
    # A trigger that may not leave although nothing is in flight: today's quota is spent.
    return Wait(math.inf) if may_trigger else Done()
