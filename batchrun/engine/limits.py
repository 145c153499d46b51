"""What bounds the engine, and why it stops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

UNREACHABLE_SECONDS = 900.0
"""A network outage of ten minutes is waited for."""


class Ending(StrEnum):
    """Why the engine stopped."""

    FINISHED = "finished"
    LIMIT = "limit"
    INTERRUPTED = "interrupted"
    QUOTA = "quota"
    UNREACHABLE = "unreachable"
    FAILURES = "failures"
    SELECTION_DONE = "selection done"
    """The selected jobs are done, and other jobs of the batch wait to be sent."""
    DETACHED = "detached"
    """Other workers go on with the batch, and this process has left it to them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the engine.

    Attributes:
        max_in_flight: Executions at once; infinite lets the forecast decide.
        max_requests_at_once: Requests at once; ``None`` for what the client carries.
        jobs: Jobs to trigger in this run; ``None`` for all.
        only: Numbers of the jobs that may be triggered; ``None`` for all that are pending.
        alone: No other worker may claim jobs of the batch.
        patience_seconds: How long one execution is polled before it is timed out.
        drain_seconds: How long an interrupted run still collects, in seconds.
        longest_pause_seconds: The longest wait for the quota before the batch pauses; infinite
            to wait for the next day.
        unreachable_seconds: How long the service may be unreachable before the batch pauses.
        stop_after_failures: Failures in a row, or among the first four times as many jobs, after
            which nothing more is triggered; 0 for no such limit.
    """

    max_in_flight: float = math.inf
    max_requests_at_once: int | None = None
    jobs: int | None = None
    only: Collection[int] | None = None
    alone: bool = True
    patience_seconds: float = 1800.0
    drain_seconds: float = 60.0
    longest_pause_seconds: float = 300.0
    unreachable_seconds: float = UNREACHABLE_SECONDS
    stop_after_failures: int = 10
