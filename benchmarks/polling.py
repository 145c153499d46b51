"""Requests per row and makespan of the real quota, forecast and schedule, in virtual time.

    python -m benchmarks.polling                  every cell; under a minute
    python -m benchmarks.polling --rows 1000      one size only
    python -m benchmarks.polling --seeds 20       mean and worst of this many batches a cell
    python -m benchmarks.polling --random 100     services drawn at random, which nobody tuned for
    python -m benchmarks.polling --plot FILE.png  requests over time, beside a 5-second poller

Each cell is a batch against the sandbox's model (its quota, its queue, its run times), without a
socket or a clock: an answer takes no time. It prints requests per row, how long the batch took
against an oracle that knows every end and spends one request whenever the rate allows, when the
first result was there against the median run time, and how often the service said 429.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from batchrun.engine.engine import Next, Wait, next_step
from batchrun.engine.forecast import DuePoll, Forecast
from batchrun.engine.quota import Quota
from batchrun.engine.run_times import RunTimes
from batchrun.model import Execution, ExecutionStatus
from batchrun.sandbox.model import RunTimeKind, SandboxService, SandboxSettings
from batchrun.service.parsing import read_quota

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchrun.engine.engine import Step

START = 1_790_000_007.0  # somewhere inside a minute
RATES = (60, 120, 600)
SIZES = (100, 1_000, 10_000)
KINDS = (RunTimeKind.LOGNORMAL, RunTimeKind.BIMODAL, RunTimeKind.UNIFORM, RunTimeKind.SHORT)
SLOTS = (None, 10)
POLICIES = ("batchrun", "batchrun, second batch", "every 5 s", "every 30 s", "back-off")
GOALS = (2.05, 1.05)  # requests per row, makespan ÷ oracle's
GOALS_WITH_A_QUEUE = (2.4, 1.10)


@dataclass(frozen=True)
class RandomService:
    """Run times drawn at random: a mixture of kinds of executions whose speed may change.

    Attributes:
        kinds: Of each kind its weight, its shape and its scale in seconds.
        drift: By what factor run times have changed at the end of the batch.
        jump_at: Part of the batch after which they change at once; ``None`` where they drift.
    """

    kinds: tuple[tuple[float, str, float], ...]
    drift: float
    jump_at: float | None

    @classmethod
    def drawn(cls, random: Random) -> RandomService:
        """Draw a service."""
        kinds = tuple(
            (
                random.uniform(0.1, 1.0),
                random.choice(("constant", "uniform", "log-normal", "exponential", "Weibull")),
                math.exp(random.uniform(math.log(0.5), math.log(600.0))),
            )
            for _ in range(random.randint(1, 3))
        )
        drift = random.choice((1.0, 1.0, math.exp(random.uniform(-0.7, 0.7))))
        return cls(kinds, drift, random.choice((None, random.uniform(0.2, 0.8))))

    def run_seconds(self, random: Random, part: float) -> float:
        """One run time.

        Args:
            random: Where chance comes from.
            part: Part of the batch that was triggered before, 0 to 1.
        """
        weights = [weight for weight, _, _ in self.kinds]
        ((_, shape, scale),) = random.choices(self.kinds, weights)
        match shape:
            case "constant":
                seconds = scale * random.gauss(1.0, 0.02)
            case "uniform":
                seconds = scale * random.uniform(0.1, 1.9)
            case "log-normal":
                seconds = scale * random.lognormvariate(0.0, 0.5)
            case "exponential":
                seconds = scale * random.expovariate(1.0)
            case _:
                seconds = scale * random.weibullvariate(1.0, 1.8)
        changed = part if self.jump_at is None else float(part >= self.jump_at)
        return min(max(seconds * math.pow(self.drift, changed), 0.5), 600.0)


@dataclass(frozen=True)
class Cell:
    """One batch to simulate."""

    rate: int
    rows: int
    kind: RunTimeKind
    slots: int | None
    policy: str = "batchrun"
    seed: int = 0
    service: RandomService | None = None


@dataclass(frozen=True)
class Outcome:
    """What a simulated batch took; seconds of virtual time."""

    cell: Cell
    sent: tuple[float, ...]
    makespan: float
    first_result: float
    refused: int
    oracle: float
    median: float

    @property
    def per_row(self) -> float:
        """Requests per row."""
        return len(self.sent) / self.cell.rows

    @property
    def against_oracle(self) -> float:
        """Makespan ÷ the oracle's."""
        return self.makespan / self.oracle


class IntervalForecast(Forecast):
    """A poller that knows nothing: fixed intervals, or growing ones."""

    def __init__(self, seconds: float, growth: float = 1.0, longest: float = 60.0) -> None:
        self._first, self._growth, self._longest = seconds, growth, longest
        self._intervals: dict[int, float] = {}
        self._due: list[DuePoll] = []

    def in_flight_wanted(self, requests_per_second: float) -> float:
        """Such a poller triggers as fast as it may."""
        del requests_per_second
        return float("inf")

    @property
    def seconds_per_execution(self) -> float:
        """See `Forecast`."""
        return self._first

    def triggered(self, job: int, created_at: datetime | None, now: float) -> None:
        """See `Forecast`."""
        del created_at
        self._intervals[job] = self._first
        heapq.heappush(self._due, DuePoll(now + self._first, job, scout=True))

    def next_poll(
        self, requests_per_second: float, now: float, *, jobs_left: int
    ) -> DuePoll | None:
        """See `Forecast`."""
        del requests_per_second, now, jobs_left
        return self._due[0] if self._due else None

    def take_poll(self, poll: DuePoll) -> None:
        """See `Forecast`."""
        assert heapq.heappop(self._due) == poll

    def put_back(self, poll: DuePoll) -> None:
        """See `Forecast`."""
        heapq.heappush(self._due, poll)

    def still_running(self, job: int, execution: Execution | None, now: float) -> None:
        """See `Forecast`."""
        del execution
        interval = min(self._intervals[job] * self._growth, self._longest)
        self._intervals[job] = interval
        heapq.heappush(self._due, DuePoll(now + interval, job, scout=True))

    def ended(self, job: int, execution: Execution, now: float) -> None:
        """See `Forecast`."""

    def dropped(self, job: int) -> None:
        """See `Forecast`."""


def forecast_of(policy: str, kind: RunTimeKind, seed: int) -> Forecast:
    """The forecast that a policy uses."""
    match policy:
        case "batchrun":
            return Forecast()
        case "batchrun, second batch":
            first = Simulation(Cell(120, 300, kind, None, seed=seed + 1), Forecast())
            first.run()
            return Forecast(RunTimes(first.run_seconds))
        case "every 5 s":
            return IntervalForecast(5)
        case "every 30 s":
            return IntervalForecast(30)
        case "back-off":
            return IntervalForecast(5, growth=2)
        case _:
            raise ValueError(policy)


def bodies(rows: int) -> Iterator[bytes]:
    """Trigger bodies that differ."""
    for number in range(rows):
        company = str(UUID(int=number + (1 << 100)))
        body = {"workflow_id": "wf_account_research", "company_id": company}
        yield json.dumps(body).encode()


def moment(text: str | None) -> datetime | None:
    """A timestamp of the model."""
    return None if text is None else datetime.fromisoformat(text)


def new_service(cell: Cell) -> SandboxService:
    """The service of a cell, without a day's quota."""
    settings = SandboxSettings(
        rate_per_minute=cell.rate,
        daily=None,
        slots=cell.slots,
        run_times=cell.kind,
        seed=cell.seed,
        results=False,
    )
    if cell.service is None:
        return SandboxService(settings, START)
    drawn, triggered = cell.service, itertools.count()

    def run_seconds(random: Random) -> float:
        return drawn.run_seconds(random, next(triggered) / cell.rows)

    return SandboxService(settings, START, draw_run_seconds=run_seconds)


class Simulation:
    """One batch in virtual time; an answer takes none.

    Args:
        cell: What is simulated.
        forecast: The policy.
    """

    def __init__(self, cell: Cell, forecast: Forecast) -> None:
        self.service = new_service(cell)
        self.quota = Quota()
        self.forecast = forecast
        self.now = START
        self.sent: list[float] = []
        self.first_result = 0.0
        self.run_seconds: list[float] = []
        self.refused = 0
        self._bodies = bodies(cell.rows)
        self._upcoming = next(self._bodies, None)
        self._jobs_left = cell.rows
        self._ids: dict[int, str] = {}
        self._in_flight = 0

    def run(self) -> None:
        """Work until all is done."""
        while True:
            step = self._decide()
            match step:
                case Next.DONE:
                    return
                case Wait(seconds):
                    self.now += max(seconds, 1e-6)
                case Next.DAY_SPENT:
                    raise AssertionError("there is no day's quota here")
                case DuePoll() | Next.TRIGGER:
                    delay = self.quota.delay(self.now)
                    if delay > 0:
                        self.now += delay
                    else:
                        self._send(step)

    def _decide(self) -> Step:
        rate = self.quota.rate / 60
        return next_step(
            may_trigger=self._upcoming is not None,
            in_flight=self._in_flight,
            max_in_flight=self.forecast.in_flight_wanted(rate),
            outstanding=0,
            due=self.forecast.next_poll(rate, self.now, jobs_left=self._jobs_left),
            requests_left=self.quota.left_today(self.now),
            now=self.now,
        )

    def _send(self, step: DuePoll | Literal[Next.TRIGGER]) -> None:
        self.quota.take(self.now)
        self.sent.append(self.now)
        if step is Next.TRIGGER:
            assert self._upcoming is not None
            answer = self.service.trigger("sandbox", self._upcoming, self.now)
        else:
            self.forecast.take_poll(step)
            answer = self.service.execution("sandbox", self._ids[step.job], self.now)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        reading = read_quota(headers, self.now)
        self.quota.answered(reading, self.now)
        if answer.status == 429:
            self.refused += 1
            self.quota.refused(reading, self.now)
            if isinstance(step, DuePoll):
                self.forecast.put_back(step)
            return
        self.quota.accepted(self.now)
        if step is Next.TRIGGER:
            self._accepted(answer.body)
        else:
            self._told(step.job, answer.body)

    def _accepted(self, told: Any) -> None:
        number = len(self._ids)
        self._ids[number] = told["execution_id"]
        self._in_flight += 1
        self._jobs_left -= 1
        self.forecast.triggered(number, moment(told["created_at"]), self.now)
        self._upcoming = next(self._bodies, None)

    def _told(self, job: int, told: Any) -> None:
        execution = Execution(
            told["execution_id"],
            ExecutionStatus(told["status"]),
            started_at=moment(told["started_at"]),
            completed_at=moment(told["completed_at"]),
        )
        if execution.ended:
            self._in_flight -= 1
            self.first_result = self.first_result or self.now
            if execution.started_at and execution.completed_at:
                ran = execution.completed_at - execution.started_at
                self.run_seconds.append(ran.total_seconds())
            self.forecast.ended(job, execution, self.now)
        else:
            self.forecast.still_running(job, execution, self.now)


def drawn(cell: Cell) -> tuple[list[float], list[float]]:
    """When each execution ends if all are triggered first, and how long it runs; seconds."""
    free = replace(cell, rate=10**9)
    service, spacing, now = new_service(free), 60 / cell.rate, START
    ends = []
    runs = []
    for body in bodies(cell.rows):
        answer: Any = service.trigger("sandbox", body, now).body
        far: Any = service.execution("sandbox", answer["execution_id"], now + 1e8).body
        started, ended = (datetime.fromisoformat(far[it]) for it in ("started_at", "completed_at"))
        ends.append(ended.timestamp() - START)
        runs.append((ended - started).total_seconds())
        now += spacing
    return ends, runs


def oracle(cell: Cell) -> tuple[float, float]:
    """The makespan of one that knows every end, and the median run time; seconds."""
    ends, runs = drawn(cell)
    spacing = 60 / cell.rate
    now = last = cell.rows * spacing
    for end in sorted(ends):
        last = max(now, end)
        now = last + spacing
    return last, statistics.median(runs)


def measure(cell: Cell) -> Outcome:
    """Simulate a cell and its oracle."""
    simulation = Simulation(cell, forecast_of(cell.policy, cell.kind, cell.seed))
    simulation.run()
    best, median = oracle(cell)
    return Outcome(
        cell,
        tuple(at - START for at in simulation.sent),
        simulation.now - START,
        simulation.first_result - START,
        simulation.refused,
        best,
        median,
    )


def cells_of(sizes: Sequence[int], policies: Sequence[str], seed: int) -> list[Cell]:
    """What to simulate.

    Ours in every cell, ours as a second batch in the short ones, the others at the standard plan.
    """
    cells = []
    for policy in policies:
        rates: Sequence[int] = RATES
        match policy:
            case "batchrun":
                its_sizes = list(sizes)
            case "batchrun, second batch":
                its_sizes = [rows for rows in sizes if rows <= 1_000]
            case _:
                its_sizes, rates = [1_000], RATES[:1]
        spread = itertools.product(SLOTS, KINDS, its_sizes, rates)
        cells += [Cell(rate, rows, kind, slots, policy, seed) for slots, kind, rows, rate in spread]
    return cells


def line(outcomes: Sequence[Outcome]) -> str:
    """A cell's outcomes as a line of the table: means, and of several the worst.

    ``<--`` where a mean misses a figure of the design.
    """
    cell = outcomes[0].cell
    figures = [
        [outcome.per_row for outcome in outcomes],
        [outcome.against_oracle for outcome in outcomes],
        [outcome.first_result / outcome.median for outcome in outcomes],
    ]
    per_row, makespan, first = (statistics.mean(figure) for figure in figures)
    goals = GOALS if cell.slots is None else GOALS_WITH_A_QUEUE
    missed = per_row > goals[0] or makespan > goals[1]
    worst = ""
    if len(outcomes) > 1:
        worst = "   worst {:.3f} {:.3f} {:5.2f}".format(*map(max, figures))
    return (
        f"{cell.policy:22} {cell.slots or '-':>5} {cell.kind:9} {cell.rows:6,} {cell.rate:4}  "
        f"{per_row:6.3f} {makespan:6.3f} {first:6.2f} "
        f"{sum(outcome.refused for outcome in outcomes):4}{worst}"
        f"{'  <--' if missed and cell.policy.startswith('batchrun') else ''}"
    )


def plot(path: str, seed: int) -> None:
    """Draw requests over time of batchrun and of a 5-second poller."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 5.2), sharex=True)
    for axes, policy, colour in ((above, "batchrun", "#2f6f4f"), (below, "every 5 s", "#b3552e")):
        outcome = measure(Cell(60, 300, RunTimeKind.LOGNORMAL, None, policy, seed))
        minutes = [at / 60 for at in outcome.sent]
        axes.hist(minutes, bins=range(int(max(minutes)) + 2), color=colour, rwidth=0.9)
        axes.set_title(
            f"{policy}: {len(minutes):,} requests, {outcome.per_row:.2f} a row, "
            f"{outcome.makespan / 60:.0f} minutes",
            loc="left",
        )
        axes.set_ylabel("requests a minute")
        axes.spines[["top", "right"]].set_visible(False)
    below.set_xlabel("minutes (300 rows, median run 45 s, 60 requests a minute)")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def random_cells(number: int) -> list[Cell]:
    """Batches of 1,000 rows on services drawn at random, at two rates each."""
    cells = []
    for seed in range(number):
        random = Random(f"service {seed}")
        service = RandomService.drawn(random)
        slots = random.choice((None, None, round(math.exp(random.uniform(1.5, 5.5)))))
        cells += [
            Cell(rate, 1_000, RunTimeKind.LOGNORMAL, slots, seed=seed, service=service)
            for rate in (60, 600)
        ]
    return cells


def print_random(number: int) -> None:
    """Print means and worst of services drawn at random, and the worst five."""
    with ProcessPoolExecutor(2) as pool:
        outcomes = list(pool.map(measure, random_cells(number)))
    for name, figure in (("requests ÷ row", "per_row"), ("makespan ÷ oracle", "against_oracle")):
        worst = sorted(outcomes, key=lambda outcome: -getattr(outcome, figure))
        mean = statistics.mean(getattr(outcome, figure) for outcome in outcomes)
        print(f"{name}: mean {mean:.3f}, worst {getattr(worst[0], figure):.3f}")
        for outcome in worst[:5]:
            print(
                f"  {outcome.per_row:.3f} {outcome.against_oracle:.3f}  {outcome.cell.rate} a "
                f"minute, slots {outcome.cell.slots}: {outcome.cell.service}"
            )
    print(f"429s: {sum(outcome.refused for outcome in outcomes)}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, action="append", help="only this many; repeatable")
    parser.add_argument("--policy", action="append", help="only this one; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, from --seed on")
    parser.add_argument("--plot", metavar="FILE.png", help="draw requests over time instead")
    parser.add_argument("--random", type=int, metavar="N", help="N services drawn at random")
    options = parser.parse_args()
    if options.random:
        print_random(options.random)
        return
    if options.plot:
        plot(options.plot, options.seed)
        return
    started = time.perf_counter()
    sizes, policies = options.rows or SIZES, options.policy or POLICIES
    cells = cells_of(sizes, policies, options.seed)
    seeds = range(options.seed, options.seed + options.seeds)
    batches = [replace(cell, seed=seed) for cell in cells for seed in seeds]
    with ProcessPoolExecutor(2) as pool:
        largest_first = sorted(batches, key=lambda cell: -cell.rows * (cell.policy == POLICIES[0]))
        measured = dict(zip(largest_first, pool.map(measure, largest_first), strict=True))
    print("policy                 slots run times   rows rate  requests  makespan  first  429s")
    print("                                                     ÷ row   ÷ oracle ÷ median")
    for cell in cells:
        print(line([measured[replace(cell, seed=seed)] for seed in seeds]))
    print(f"{len(batches)} batches simulated in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
