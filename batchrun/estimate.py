"""What a batch, or the rest of one, costs in requests, time and credits. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.service.answers import Credits

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
    """What an estimate is based on."""

    requests_per_minute: float  # math.inf for no limit
    seconds_per_execution: float  # how long the slower executions take
    daily: int | None = None  # requests per day; None if no limit is known
    daily_left: float = math.inf  # requests left today
    seconds_to_next_day: float = DAY_SECONDS  # until the day's quota is available again

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


def price_of(before: Credits | None, after: Credits | None, jobs: int) -> dict[str, float] | None:
    """Return what a job costs in credits, by name, after some jobs; ``None`` if unknown."""
    spent = credits_spent(before, after) if jobs > 0 else None
    return {name: number / jobs for name, number in spent.items()} if spent else None


def credits_spent(before: Credits | None, after: Credits | None) -> dict[str, float] | None:
    """Return the credits spent, by name; ``None`` if that is unknown.

    Credits that others spent in the meantime are included. Credits bought in the meantime are not
    taken into account.
    """
    if before is None or after is None or before.remaining is None or after.remaining is None:
        return None
    both = before.remaining.keys() & after.remaining.keys()
    gone = {name: before.remaining[name] - after.remaining[name] for name in sorted(both)}
    return {name: number for name, number in gone.items() if number > 0}


def spent_words(gone: Mapping[str, float] | None, jobs: int) -> str:
    """Return what jobs cost in credits; ``""`` if that is unknown."""
    if gone is None or not jobs:
        return ""
    if not gone:
        return "no credits"
    each = {name: number / jobs for name, number in gone.items()}
    return f"{credit_amounts(gone)} ({credit_amounts(each, bare=True)} a job)"


def rest_words(price: Mapping[str, float] | None, rest: int, after: Credits | None) -> str:
    """Return what the remaining jobs cost, and the credits left; ``""`` if that is unknown.

    ``price`` is what a job costs.
    """
    if not price or after is None or after.remaining is None:
        return ""
    wanted = {name: each * rest for name, each in price.items()}
    left = {name: after.remaining.get(name, 0.0) for name in wanted}
    before = credit_amounts(left, bare=True)
    if any(wanted[name] > left[name] for name in wanted):
        return f"about {credit_amounts(wanted)}, and only {before} left"
    return f"about {credit_amounts(wanted)} of the {before} left"


def credit_amounts(
    amounts: Mapping[str, float], *, bare: bool = False, unit: str = "credit"
) -> str:
    """Return credits with their names; a single kind of credits needs no name."""
    if len(amounts) == 1:
        number = next(iter(amounts.values()))
        if bare:
            return _amount(number)
        return f"{_amount(number)} {unit if number == 1 else f'{unit}s'}"
    named = (f"{name} {_amount(number)}" for name, number in amounts.items())
    return ", ".join(named) + ("" if bare else f" {unit}s")


def _amount(number: float) -> str:
    return f"{number:,.2f}".rstrip("0").rstrip(".")
