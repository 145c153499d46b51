"""The engine's limits, and the reasons why it stops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

UNREACHABLE_SECONDS = 900.0
"""Long enough to wait out a network outage of ten minutes."""


class Ending(StrEnum):
    """Why the engine stopped."""

    FINISHED = "finished"
    LIMIT = "limit"
    INTERRUPTED = "interrupted"
    QUOTA = "quota"
    UNREACHABLE = "unreachable"
    FAILURES = "failures"
    SELECTION_DONE = "selection done"
    """The selected jobs are done; other jobs of the batch are still pending."""
    DETACHED = "detached"
    """This process has left; other workers continue the batch."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The engine's limits.

    Attributes:
        max_in_flight: Maximum number of executions in flight; infinite lets the forecast decide.
        max_requests_at_once: Maximum number of concurrent requests; ``None`` for the client's
            maximum.
        jobs: Number of jobs to trigger in this run; ``None`` for all.
        only: Numbers of the jobs that may be triggered; ``None`` for all pending jobs.
        alone: Whether no other worker may claim jobs of the batch.
        patience_seconds: How long to poll one execution before it times out.
        drain_seconds: How long an interrupted run continues to collect results.
        longest_pause_seconds: The longest wait for the quota before the batch pauses; infinite
            to wait even for the next day.
        unreachable_seconds: How long the service may be unreachable before the batch pauses.
        stop_after_failures: Trigger nothing more after this many failures in a row, or among the
            first four times as many jobs; 0 for no limit.
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
