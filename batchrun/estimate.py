"""What a batch, or the rest of one, will cost in requests and time. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

REQUESTS_PER_JOB = 2.05
"""A trigger, a well-timed poll, and now and then a second poll (docs/benchmarks.md)."""

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a batch is expected to cost.

    Attributes:
        requests: HTTP requests of all kinds.
        seconds: Time from the first request to the last result, in seconds.
        requests_per_minute: The rate it is based on; infinite for no limit.
        daily: The daily limit it is based on; ``None`` if none is known.
        daily_left: Requests left today; infinite if no limit is known.
        midnights: How many times it waits for the next day's quota.
    """

    requests: int
    seconds: float
    requests_per_minute: float
    daily: int | None = None
    daily_left: float = math.inf
    midnights: int = 0


@dataclass(frozen=True, slots=True)
class EstimateRates:
    """What an estimate is based on.

    Attributes:
        requests_per_minute: The quota's rate; ``math.inf`` for none.
        seconds_per_execution: How long the slower executions take.
        daily: Requests per day; ``None`` if no limit is known.
        daily_left: Requests left today.
        seconds_to_next_day: Until the day's quota is available again.
    """

    requests_per_minute: float
    seconds_per_execution: float
    daily: int | None = None
    daily_left: float = math.inf
    seconds_to_next_day: float = DAY_SECONDS

    def of(self, jobs: int, in_flight: int = 0) -> Estimate:
        """Estimate a number of jobs to trigger, and of executions that are already running."""
        requests = math.ceil(jobs * REQUESTS_PER_JOB + in_flight * (REQUESTS_PER_JOB - 1))
        midnights, last_day = self._days(requests)
        seconds = last_day / self.requests_per_minute * 60
        if midnights:
            seconds += self.seconds_to_next_day + (midnights - 1) * DAY_SECONDS
        if requests:
            seconds += self.seconds_per_execution
        return Estimate(
            requests, seconds, self.requests_per_minute, self.daily, self.daily_left, midnights
        )

    def _days(self, requests: int) -> tuple[int, float]:
        """How many midnights pass until all are sent, and how many are sent on the last day."""
        left = max(self.daily_left, 0)
        if requests <= left:
            return 0, requests
        a_day = self.daily or max(left, 1)
        full_days, last = divmod(requests - left - 1, a_day)
        return int(full_days) + 1, last + 1
