"""Run times: how long executions take, learned from those that ended and those still running.

Pure statistics. An execution seen running at 30 s takes longer than 30 s: a censored observation,
which the product-limit estimator (Kaplan and Meier 1958, https://doi.org/10.2307/2281868) takes
into account. Counting only ended executions would make the service look faster than it is. The
tail, which few executions reach, is assumed to be exponential (peaks over a threshold, Pickands
1975, https://doi.org/10.1214/aos/1176343003), which fits one kind of execution as well as several.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_RUN_SECONDS = 120.0
"""An execution takes up to two minutes (sandbox/openapi.yaml). Until anything is known, run times
are assumed to be uniform up to this."""

REMEMBERED = 400
"""Number of run times kept: few enough to follow a service whose speed drifts during the day."""

TAIL_EXCESS = 0.2
"""Prior mean excess of executions in the tail, as a share of the run time at which the tail begins.
It counts as one observation."""

GROWTH_BEYOND = 1.15
"""Factor to the next guess, once the two minutes and the longest run time seen have passed."""

STUCK = 3.0
"""An execution that has run for over two minutes, and this many times as long as any that ended, is
stuck and says nothing about the others."""

EXPLAINED_SHARE = 0.85
"""Run times are known once the ended executions explain this share of all; otherwise there may be a
second, much slower kind."""

_CURVE_POINTS = 40
_PLACES = [(i + 0.5) / _CURVE_POINTS for i in range(_CURVE_POINTS)]


class RunTimes:
    """The distribution of run times; starts with earlier batches' (in seconds, oldest first)."""

    def __init__(self, observed: Iterable[float] = ()) -> None:
        self._ended = deque((max(seconds, 0.0) for seconds in observed), maxlen=REMEMBERED)
        self._running: dict[int, float] = {}
        self.version = 0  # increases when the answers of this object may have changed
        self._unfitted = 0
        self._times: list[float] = []
        self._shares: list[float] = []
        self._quantiles: dict[float, float] = {}
        self._explained = 0.0
        self._longest_seen = 0.0
        self._excess = 0.0
        self.longest_ended = 0.0  # the longest known run time, in seconds; 0 if none is known
        self.mean = 0.0  # of the run times, in seconds
        self._fit()

    @property
    def known(self) -> int:
        """Number of known run times."""
        return len(self._ended)

    @property
    def explained(self) -> bool:
        """Whether the ended executions explain how long nearly all others take."""
        return self._explained >= EXPLAINED_SHARE

    def ended(self, job: int, seconds: float) -> None:
        """Record that an execution ended after this time."""
        self._running.pop(job, None)
        self._ended.append(max(seconds, 0.0))
        self._changed()

    def seen_running(self, job: int, seconds: float) -> None:
        """Record that an execution was seen running after this time."""
        if seconds > max(MAX_RUN_SECONDS, STUCK * max(self._ended, default=0.0)):
            self.dropped(job)
            return
        self._running[job] = max(seconds, self._running.get(job, 0.0))
        self._changed()

    def dropped(self, job: int) -> None:
        """Forget an execution that is no longer watched."""
        if self._running.pop(job, None) is not None:
            self._changed()

    def quantile(self, share: float, beyond: float = -math.inf) -> float:
        """Seconds after which this share of the executions has ended.

        Counts only those that had not ended after ``beyond`` seconds.
        """
        if beyond >= 0:
            return self._quantile(share, beyond)
        if share not in self._quantiles:  # cached, because it is needed before each request
            self._quantiles[share] = self._quantile(share, beyond)
        return self._quantiles[share]

    def _quantile(self, share: float, beyond: float) -> float:
        before = bisect_right(self._times, beyond)
        passed = self._shares[before - 1] if before else 0.0
        wanted = passed + share * (1.0 - passed)
        # A few stuck executions don't delay the expected end of all others.
        seen = self.longest_ended if beyond < 0 and self._ended else self._longest_seen
        latest = self._latest(max(seen, beyond))
        if self._explained < min(wanted, EXPLAINED_SHARE):
            return latest
        place = bisect_left(self._shares, wanted - 1e-9)
        if place < len(self._times):
            return max(min(self._times[place], latest), beyond)
        left = (1.0 - wanted) / (1.0 - self._shares[-1])
        tail = max(seen, beyond) - self._excess * math.log(max(left, 1e-9))
        return max(min(tail, latest), self._times[-1])

    @staticmethod
    def _latest(seen: float) -> float:
        return max(MAX_RUN_SECONDS, seen * GROWTH_BEYOND)

    def when_left(self, number: float, starts: Sequence[float]) -> float:
        """When this many of the executions with these starts are expected to still be running."""
        low, high = min(starts), max(starts) + self._latest(self._longest_seen)
        while high - low > 0.1:
            middle = (low + high) / 2
            left = sum(self._still_running(middle - start) for start in starts)
            low, high = (low, middle) if left <= number else (middle, high)
        return high

    def _still_running(self, seconds: float) -> float:
        """Share of the executions that take longer than this."""
        before = bisect_right(self._times, seconds)
        if before == len(self._times) and seconds >= self._latest(self._longest_seen):
            return 0.0
        return 1.0 - self._shares[before - 1] if before else 1.0

    def _changed(self) -> None:
        # A fit requires a sort; with many observations, one more changes little.
        self._unfitted += 1
        if self._unfitted * 16 >= max(len(self._ended), len(self._running)):
            self._unfitted = 0
            self.version += 1
            self._fit()

    def _fit(self) -> None:
        self._quantiles.clear()
        ended, running = sorted(self._ended), sorted(self._running.values())
        self.longest_ended = ended[-1] if ended else 0.0
        self._longest_seen = max(ended[-1:] + running[-1:], default=0.0)
        self._explained = 0.0
        body: list[tuple[float, float]] = []
        tail = [(MAX_RUN_SECONDS * place, 1.0 / _CURVE_POINTS) for place in _PLACES]
        if ended:
            known = [(time, 1.0) for time in ended]
            self._explained = _product_limit(known, running)[1][-1]
            few = math.isqrt(len(ended))
            body, tail = known[: 1 - few or None], self._exponential_tail(ended, running, few)
        self._times, self._shares = _product_limit(sorted(body + tail), running)
        steps = zip(self._times, self._shares, [0.0, *self._shares], strict=False)
        total = sum(time * (share - before) for time, share, before in steps)
        self.mean = total / self._shares[-1]

    def _exponential_tail(
        self, ended: Sequence[float], running: Sequence[float], few: int
    ) -> list[tuple[float, float]]:
        """Return times and weights of the tail, fitted to the ``few`` longest run times.

        The mean of an exponential distribution is the total time spent beyond the tail's start,
        including by executions still running, divided by the number that ended there. The one that
        ended at the start spent none, so `TAIL_EXCESS` stands in for it.
        """
        begin = ended[-few]
        spent = TAIL_EXCESS * begin + sum(time - begin for time in ended[-few:])
        spent += sum(time - begin for time in running if time > begin)
        self._excess = spent / few
        longest = max(MAX_RUN_SECONDS, self._longest_seen)
        return [
            (min(begin - self._excess * math.log1p(-place), longest), few / _CURVE_POINTS)
            for place in _PLACES
        ]


def _product_limit(
    ended: Sequence[tuple[float, float]], running: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return the times at which executions ended, and the share that had ended by each.

    Args:
        ended: Seconds and weight of each one that ended, ascending.
        running: Seconds at which each of the others was last seen running, ascending.
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
