"""Run times: how long executions take, learned from those that ended and those that had not yet.

Pure statistics. An execution seen running at 30 s says that it takes longer than 30 s (a censored
observation), which the product-limit estimator of Kaplan and Meier (1958) puts to use: executions
known to have ended, alone, would make the service look faster than it is. What few have lived to
show, the tail, is taken to be exponential beyond the longest that ended (peaks over a threshold,
Pickands 1975): that holds for one kind of execution and for several, where a curve through all of
them would not. Before anything is known, the prior: a log-normal curve.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from operator import mul
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PRIOR_MEDIAN_SECONDS = 45.0
PRIOR_SIGMA = 0.45
LONGEST_SECONDS = 120.0
"""An execution takes up to two minutes (API.md); the prior goes no further."""

REMEMBERED = 400
"""Observations kept: recent enough to follow a service whose speed drifts during the day."""

PRIOR_WEIGHT = 1.5
TAIL_PART = 3
TAIL_MOST = 16
"""The tail is made by the longest third of those that ended, at most so many: with more known, less
of the distribution is left to a guess."""
TAIL_EXCESS = 0.2
TAIL_EXCESS_WEIGHT = 1.0
"""How much longer than the tail's beginning they run on average, as a part of it, before that is
known; it counts as so many observations."""
CURVE_POINTS = 40
"""Curves are put down as so many points of equal weight."""

GROWTH_BEYOND = 1.15
"""Past two minutes and everything ever seen, the next guess is so many times later."""

STUCK = 3.0
"""An execution that runs so many times as long as any that ended, and longer than two minutes, is
of no kind: it hangs, and says nothing of the others."""

LEAST_GROWTH = 1.05
TIME_STEP_SECONDS = 0.1
SHORTEST_EXCESS_SECONDS = 0.05

EXPLAINED_SHARE = 0.85
"""Run times are known when those that ended explain so many; else there may be a second kind of
execution, much slower."""

_PLACES = [(i + 0.5) / CURVE_POINTS for i in range(CURVE_POINTS)]
_EXCESSES = [-math.log1p(-place) for place in _PLACES]
_PRIOR = NormalDist(math.log(PRIOR_MEDIAN_SECONDS), PRIOR_SIGMA)
_PRIOR_POINTS = [
    (min(math.exp(_PRIOR.inv_cdf(place)), LONGEST_SECONDS), PRIOR_WEIGHT / CURVE_POINTS)
    for place in _PLACES
]


@dataclass(frozen=True, slots=True)
class RunTime:
    """One observation: an execution ran so long, and had ended or (censored) had not.

    Attributes:
        seconds: From its start to its end, or to the moment it was seen running.
        ended: Whether that was its end.
    """

    seconds: float
    ended: bool = True


class RunTimes:
    """The distribution of run times.

    Args:
        observed: What is known from before, oldest first.
    """

    def __init__(self, observed: Iterable[RunTime] = ()) -> None:
        self._ended: deque[float] = deque(maxlen=REMEMBERED)
        self._running: dict[int, float] = {}
        self.version = 0
        """Rises when the answers below may have changed."""
        self._fitted_for = -1
        self._times: list[float] = []
        self._shares: list[float] = []
        self._quantiles: dict[float, float] = {}
        self._explained = 0.0
        self._mean = PRIOR_MEDIAN_SECONDS
        self._longest_ended = 0.0
        self._longest_seen = 0.0
        self._excess = PRIOR_MEDIAN_SECONDS * PRIOR_SIGMA
        self._unfitted = 0
        for one in observed:
            if one.ended:
                self._ended.append(max(one.seconds, 0.0))

    @property
    def known(self) -> int:
        """Executions whose run time is known."""
        return len(self._ended)

    @property
    def observed(self) -> Sequence[RunTime]:
        """What is worth remembering for the next batch, oldest first."""
        return [RunTime(seconds) for seconds in self._ended]

    @property
    def explained(self) -> float:
        """Share of the executions whose run time the known ones explain, 0 to 1.

        What is missing are executions that run longer than any that ended.
        """
        self._fit()
        return self._explained

    @property
    def mean(self) -> float:
        """The average run time in seconds."""
        self._fit()
        return self._mean

    def ended(self, job: int, seconds: float) -> None:
        """An execution ended after so many seconds."""
        self._running.pop(job, None)
        self._ended.append(max(seconds, 0.0))
        self._changed()

    def seen_running(self, job: int, seconds: float) -> None:
        """An execution was seen running after so many seconds."""
        if seconds > max(LONGEST_SECONDS, STUCK * max(self._ended, default=0.0)):
            self.dropped(job)
            return
        self._running[job] = max(seconds, self._running.get(job, 0.0))
        self._changed()

    def dropped(self, job: int) -> None:
        """An execution is watched no more."""
        if self._running.pop(job, None) is not None:
            self._changed()

    def quantile(self, share: float, beyond: float = -math.inf) -> float:
        """Seconds after which this share of the executions has ended.

        Args:
            share: 0 to 1.
            beyond: Only of those that had not ended after so many seconds.
        """
        self._fit()
        if beyond >= 0:
            return self._quantile(share, beyond)
        of_all = self._quantiles.get(share)  # asked for before each request
        if of_all is None:
            of_all = self._quantiles[share] = self._quantile(share, beyond)
        return of_all

    def _quantile(self, share: float, beyond: float) -> float:
        before = bisect_right(self._times, beyond)
        passed = self._shares[before - 1] if before else 0.0
        left = 1.0 - passed
        wanted = passed + share * left
        place = bisect_left(self._shares, wanted - 1e-9)
        if place < len(self._times):
            return max(self._times[place], beyond)
        known = self._shares[-1]
        # What is asked of all isn't put off by a few that hang.
        seen = self._longest_ended if beyond < 0 and self._ended else self._longest_seen
        tail = self._tail(max(seen, beyond), (wanted - known) / (1.0 - known))
        return max(tail, self._times[-1])

    def running(self, seconds: float) -> float:
        """Share of the executions that run longer than so many seconds."""
        self._fit()
        before = bisect_right(self._times, seconds)
        if before == len(self._times) and seconds >= self._latest(self._longest_seen):
            return 0.0
        return 1.0 - self._shares[before - 1] if before else 1.0

    def when_left(self, number: float, starts: Sequence[float]) -> float:
        """The moment when so many of the executions that started then still run, by expectation."""
        low, high = min(starts), max(starts) + self._latest(self._longest_seen)
        while high - low > TIME_STEP_SECONDS:
            middle = (low + high) / 2
            left = sum(self.running(middle - start) for start in starts)
            low, high = (low, middle) if left <= number else (middle, high)
        return high

    def _tail(self, seen: float, share: float) -> float:
        """After how long this share has ended of those that ran longer than any that ended."""
        if self._explained < EXPLAINED_SHARE:
            return self._latest(seen)
        after = seen - self._excess * math.log(max(1.0 - share, 1e-9))
        return min(max(after, seen * LEAST_GROWTH), self._latest(seen))

    @staticmethod
    def _latest(seen: float) -> float:
        return max(LONGEST_SECONDS, seen * GROWTH_BEYOND)

    def _changed(self) -> None:
        # A fit costs a sort; with many observations one more changes little.
        self._unfitted += 1
        if self._unfitted * 16 >= max(len(self._ended), len(self._running)):
            self._unfitted = 0
            self.version += 1

    def _fit(self) -> None:
        if self._fitted_for == self.version:
            return
        self._fitted_for = self.version
        self._quantiles.clear()
        ended, running = sorted(self._ended), sorted(self._running.values())
        self._longest_ended = max(ended[-1:], default=0.0)
        self._longest_seen = max(ended[-1:] + running[-1:], default=0.0)
        known = [(time, 1.0) for time in ended]
        _, shares = _product_limit(known, running)
        self._explained = shares[-1] if shares else 0.0
        body, tail = known, _PRIOR_POINTS
        if ended:
            body, tail = self._split(ended, running)
        self._times, self._shares = _product_limit(sorted(body + tail), running)
        steps = zip(self._shares, [0.0, *self._shares], strict=False)
        weights = [share - before for share, before in steps]
        self._mean = sum(map(mul, self._times, weights)) / self._shares[-1]

    def _split(
        self, ended: Sequence[float], running: Sequence[float]
    ) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Times and weights of what is known well, and of the tail."""
        few = min(max(len(ended) // TAIL_PART, 1), TAIL_MOST)
        least = ended[-few]
        # The mean of an exponential: time spent beyond its beginning, by those still running too,
        # for each that ended there. The one it begins with spent none.
        spent = sum(time - least for time in ended[-few:])
        spent += sum(time - least for time in running if time > least)
        guess = TAIL_EXCESS_WEIGHT * TAIL_EXCESS * least
        excess = (guess + spent) / (TAIL_EXCESS_WEIGHT + few - 1)
        self._excess = max(excess, SHORTEST_EXCESS_SECONDS)
        longest = max(LONGEST_SECONDS, self._longest_seen)
        tail = [(min(least + self._excess * one, longest), few / CURVE_POINTS) for one in _EXCESSES]
        return [(time, 1.0) for time in ended[: len(ended) - few + 1]], tail


def _product_limit(
    ended: Sequence[tuple[float, float]], running: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Share of executions that have ended by each time at which one did.

    Args:
        ended: Seconds and weight of each that ended, ascending.
        running: Seconds after which others had not ended, ascending.
    """
    at_risk = sum(weight for _, weight in ended) + len(running)
    times: list[float] = []
    shares: list[float] = []
    survival, seen_running = 1.0, 0
    for time, weight in ended:
        while seen_running < len(running) and running[seen_running] < time:
            seen_running += 1
            at_risk -= 1.0
        survival *= max(1.0 - weight / at_risk, 0.0)
        at_risk -= weight
        times.append(time)
        shares.append(1.0 - survival)
    return times, shares
