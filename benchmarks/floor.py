"""What a policy can reach that knows how run times are spread, but no single end.

    python -m benchmarks.floor                100 rows, 60, 120 and 600 requests a minute

It triggers everything, predicts when a given number of executions still run, and polls as late as
that moment allows, the likeliest to have ended first. A poll too early updates the prediction.
It polls the very batches of `benchmarks.polling` with the same seeds.
Each column is another expectation: fewer still running means fewer requests and a later end. No
request is spent on learning or on a first result, so a policy that must do both stays above.
"""

from __future__ import annotations

import argparse
import math
import statistics
from bisect import bisect_right
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from random import Random
from typing import TYPE_CHECKING

from batchrun.sandbox import RunTimeKind, SandboxSettings
from benchmarks.polling import Cell, drawn, oracle

if TYPE_CHECKING:
    from collections.abc import Sequence

RATES = (60, 120, 600)
KINDS = (RunTimeKind.LOGNORMAL, RunTimeKind.BIMODAL, RunTimeKind.UNIFORM)
STILL_RUNNING = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
LAST_SHARE = 0.5
SAMPLE = 20_000
SECONDS_AFTER = 200.0


@cache
def known(kind: RunTimeKind) -> Sequence[float]:
    """Run times enough to know their distribution, ascending."""
    random, settings = Random(1), SandboxSettings(run_times=kind)
    return sorted(settings.draw_run_seconds(random) for _ in range(SAMPLE))


def running(kind: RunTimeKind, seconds: float, beyond: float) -> float:
    """Share that still runs after ``seconds``, of those that ran longer than ``beyond``."""
    runs = known(kind)
    left, had = (SAMPLE - bisect_right(runs, at) for at in (seconds, beyond))
    return 1.0 if seconds <= beyond else left / max(had, 1)


class Informed:
    """A batch polled by one who knows the distribution."""

    def __init__(self, kind: RunTimeKind, rate: int, ends: Sequence[float]) -> None:
        self._kind, self._spacing = kind, 60 / rate
        self._ends = dict(enumerate(ends))
        self._seen: dict[int, float] = {}
        self._now = len(ends) * self._spacing
        self.early = 0

    def run(self, still_running: float) -> float:
        """Poll until all have ended; when the last answer came."""
        last = self._now
        end = self._predicted(still_running)
        while self._ends:
            self._now = max(self._now, end - (len(self._ends) - 1) * self._spacing)
            job = min(self._ends, key=lambda job: (self._running(job, self._now), job))
            last = self._now
            self._now += self._spacing
            if self._ends[job] <= last:
                del self._ends[job]
                continue
            self.early += 1
            self._seen[job] = last - job * self._spacing
            end = self._predicted(still_running)
        return last

    def _running(self, job: int, at: float) -> float:
        return running(self._kind, at - job * self._spacing, self._seen.get(job, 0.0))

    def _predicted(self, still_running: float) -> float:
        wanted = min(still_running, LAST_SHARE * len(self._ends))
        low, high = self._now, self._now + SECONDS_AFTER
        while high - low > 0.05:
            middle = (low + high) / 2
            left = math.fsum(self._running(job, middle) for job in self._ends)
            low, high = (low, middle) if left <= wanted else (middle, high)
        return high


def measure(batch: tuple[Cell, float]) -> tuple[float, float]:
    """Requests a row and makespan ÷ the oracle's."""
    cell, still_running = batch
    ends, _ = drawn(cell)
    best, _ = oracle(cell)
    informed = Informed(cell.kind, cell.rate, ends)
    last = informed.run(still_running)
    return 2 + informed.early / cell.rows, last / best


def means(figures: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The mean of the first and of the second of each."""
    first, second = (statistics.mean(column) for column in zip(*figures, strict=True))
    return first, second


def main() -> None:
    """Print requests a row and makespan ÷ the oracle's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds, from --seed on")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.seeds)
    with ProcessPoolExecutor(2) as pool:
        print("still running " + "".join(f"{one:>14}" for one in STILL_RUNNING))
        for kind, rate in product(KINDS, RATES):
            cells = [Cell(rate, options.rows, kind, None, seed=seed) for seed in seeds]
            batches = list(product(cells, STILL_RUNNING))
            reached = dict(zip(batches, pool.map(measure, batches), strict=True))
            print(
                f"{kind:9} {rate:4} "
                + "".join(
                    "   {:.3f} {:.3f}".format(*means([reached[cell, one] for cell in cells]))
                    for one in STILL_RUNNING
                )
            )


if __name__ == "__main__":
    main()
