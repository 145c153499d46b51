"""Kill -9 at any moment: is a trigger ever sent twice, a row lost, a result on the wrong row?

    python -m benchmarks.crash                     200 random moments and each named point, thrice
    python -m benchmarks.crash --runs 10 --times 1 fewer of both
    python -m benchmarks.crash --postgres          the journals on a PostgreSQL server
    python -m benchmarks.crash --rows 1000000 --runs 2 --times 0 --speed 2000 --seconds 2500
                                                   a long list: faster, and without a rehearsal

Each run is a batch of its own against one sandbox: it is killed at a random moment, resumed,
perhaps killed again, and resumed until it is done. Then its journal is compared with what was
sent, and in the end all of them with what the sandbox counted. Prints the counts; exits 1 unless
none is doubled, lost or wrong. Needs fork (Linux, macOS).
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.acceptance.sandbox_process import SandboxProcess
    from tests.postgres import PostgresServer

SPEED = 200.0
ROWS = 40
AT_ONCE = 2
REHEARSALS = 2
"""Batches that are run first, to measure how long one takes."""
RESUMES = 50
"""A batch that is not done after this many resumes will never be."""

POINTS: dict[str, tuple[str, str, str]] = {
    "before the plan is kept": ("batchrun.journal.journal:Journal", "create", "before"),
    "batch named, nothing in it": ("batchrun.journal.creation:BatchMaker", "fill", "before"),
    "rows or jobs half kept": ("batchrun.journal.creation:BatchMaker", "_insert", "after"),
    "all kept, not complete": ("batchrun.journal.creation:BatchMaker", "complete", "before"),
    "plan kept": ("batchrun.journal.journal:Journal", "create", "after"),
    "batch held": ("batchrun.journal.jobs:BatchJobs", "recover", "before"),
    "before the intent": ("batchrun.journal.jobs:BatchJobs", "begin_trigger", "before"),
    "intent kept, not sent": ("batchrun.service.client:Client", "trigger", "before"),
    "sent, answer not read": (
        "batchrun.service.aiohttp_transport:AiohttpTransport",
        "send",
        "after",
    ),
    "answer read, not kept": ("batchrun.service.client:Client", "trigger", "after"),
    "before a commit": ("batchrun.journal.writer:JournalWriter", "_execute", "before"),
    "written, not committed": ("sqlalchemy.engine.base:RootTransaction", "commit", "before"),
    "committed, not reported": ("batchrun.journal.writer:JournalWriter", "_execute", "after"),
    "answer kept": ("batchrun.journal.jobs:BatchJobs", "accept", "after"),
    "poll answered, not kept": ("batchrun.service.client:Client", "poll", "after"),
    "result kept": ("batchrun.journal.jobs:BatchJobs", "finish", "after"),
    "workbook begun": ("batchrun.workbook", "_write", "before"),
    "workbook half written": ("batchrun.workbook.layout:Layout", "flat", "after"),
    "workbook written, not in place": ("batchrun.workbook.target", "_put", "before"),
    "workbook in place": ("batchrun.workbook.target", "_put", "after"),
    "all done, journal open": ("batchrun.journal.journal:Journal", "close", "before"),
}
"""Named points of the code: what has happened → module and class, function, before or after it."""

NOT_COUNTED = {"sent, answer not read": 1}
"""Passes that don't count: the first request asks for the list of workflows."""


@dataclass(frozen=True, slots=True)
class Kill:
    """When a process is killed: after some seconds, or when it passes a point for the nth time."""

    seconds: float | None = None
    point: str = ""
    passes: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one batch ended."""

    kills: int
    outcomes: Counter[str]
    wrong: int
    peak_megabytes: float


@dataclass(frozen=True, slots=True)
class Tried:
    """All batches: killed at random, killed at named points, and not killed."""

    at_random: list[Verdict]
    at_points: list[Verdict]
    unkilled: list[Verdict]

    def count(self, outcome: str) -> int:
        """Rows of an outcome, over all batches."""
        everything = self.at_random + self.at_points + self.unkilled
        return sum(verdict.outcomes[outcome] for verdict in everything)


def command(arguments: Sequence[str], folder: Path, env: dict[str, str], kill: Kill) -> None:
    """What a killed process runs: the real command line, in a fork that has imported it."""
    from batchrun.cli import main

    os.chdir(folder)
    os.environ.update(env)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if kill.point:
        inject(kill.point, kill.passes)
    sys.argv = ["batchrun", *arguments]
    main()


def inject(point: str, passes: int) -> None:
    """Let this process kill itself when it passes a point for the nth time."""
    place, name, side = POINTS[point]
    module, _, owner_name = place.partition(":")
    owner: Any = __import__(module, fromlist=["_"])
    owner = getattr(owner, owner_name) if owner_name else owner
    function: Callable[..., Any] = getattr(owner, name)
    seen = 0

    def die(when: str) -> None:
        nonlocal seen
        seen += when == side
        if when == side and seen == passes + NOT_COUNTED.get(point, 0):
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(function)
    def plain(*arguments: Any, **named: Any) -> Any:
        die("before")
        found = function(*arguments, **named)
        die("after")
        return found

    @functools.wraps(function)
    async def awaited(*arguments: Any, **named: Any) -> Any:
        die("before")
        found = await function(*arguments, **named)
        die("after")
        return found

    setattr(owner, name, awaited if asyncio.iscoroutinefunction(function) else plain)


class Workshop:
    """Runs batches against one sandbox, each in a folder of its own.

    Args:
        sandbox: The sandbox.
        folder: Where the batches' folders are made.
        seed: What the random moments are drawn from.
        rows: Rows of each batch.
        server: Where the journals are kept; ``None`` for a file in each batch's folder.
        seconds: How long a run takes that is not killed; 0: :meth:`rehearse` measures it.
    """

    def __init__(
        self,
        sandbox: SandboxProcess,
        folder: Path,
        seed: int,
        rows: int,
        server: PostgresServer | None = None,
        *,
        seconds: float = 0,
    ) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._seed = seed
        self._rows = rows
        self._server = server
        self.seconds = seconds

    def rehearse(self) -> list[Verdict]:
        """Measure how long a run takes that is not killed."""
        verdicts = []
        for number in range(REHEARSALS):  # the first one also warms up
            began = time.perf_counter()
            verdicts.append(self.batch(90_000 + number, Kill()))
            self.seconds = time.perf_counter() - began
        return verdicts

    def at_random(self, number: int) -> list[Verdict]:
        """A batch killed at a random moment of its run, the last of those that were tried.

        A run may be over before its moment comes; then another one is tried.
        """
        verdicts = []
        for attempt in range(100):
            drawn = random.Random(f"{self._seed} {number} {attempt}")
            moment = drawn.uniform(0, self.seconds)
            verdicts.append(self.batch(number * 100 + attempt, Kill(moment), drawn))
            if verdicts[-1].kills:
                return verdicts
        raise AssertionError("no kill ever met a living process")

    def at_point(self, number: int, point: str, passes: int) -> Verdict:
        """A batch killed when it passes a named point for the nth time."""
        return self.batch(80_000 + number, Kill(point=point, passes=passes))

    def batch(self, number: int, kill: Kill, drawn: random.Random | None = None) -> Verdict:
        """A batch from its first run to its end, killed as ``kill`` says, perhaps again later."""
        folder = self._folder / f"{number}"
        folder.mkdir()
        ids = [f"{number:08x}-e5f6-7890-abcd-{row:012x}" for row in range(self._rows)]
        (folder / "list.csv").write_text("\n".join(["Company ID", *ids]), encoding="utf-8")
        kills = 0
        for _ in range(RESUMES):
            code = self._command(folder, kill)
            kills += code == -signal.SIGKILL
            if code in {ExitCode.COMPLETED, ExitCode.INCOMPLETE}:
                return self._judge(folder, ids, kills)
            if code not in {-signal.SIGKILL, ExitCode.PAUSED}:
                output = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"exit code {code}:\n{output}")
            again = drawn is not None and drawn.random() < 0.5
            kill = Kill(drawn.uniform(0, self.seconds)) if drawn and again else Kill()
        raise AssertionError(f"not done after {RESUMES} resumes")

    def _command(self, folder: Path, kill: Kill) -> int:
        """Run or resume; the exit code, negative for a signal."""
        env = self._sandbox.environment(folder) | {
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "BATCHRUN_JOURNAL": self._journal(folder),
        }
        arguments = ["resume"] if self._has_batch(folder) else ["run", "list.csv"]
        if arguments[0] == "run":
            arguments += ["-w", "Account Research", "--yes"]
        forked = multiprocessing.get_context("fork")
        process = forked.Process(target=command, args=(arguments, folder, env, kill))
        process.start()
        if kill.seconds is not None:
            process.join(kill.seconds)
            process.kill()
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    def _journal(self, folder: Path) -> str:
        if self._server is None:
            return str(folder / "journal.db")
        url = folder / "journal.url"
        if not url.exists():
            url.write_text(self._server.new_database(), encoding="ascii")
        return url.read_text(encoding="ascii")

    def _has_batch(self, folder: Path) -> bool:
        from batchrun.journal import Journal

        if self._server is None and not (folder / "journal.db").exists():
            return False
        with Journal(self._journal(folder)) as journal:
            return bool(journal.batches())

    def _judge(self, folder: Path, ids: list[str], kills: int) -> Verdict:
        from batchrun.journal import Journal

        outcomes, wrong = Counter[str](), 0
        with Journal(self._journal(folder)) as journal:
            [summary] = journal.batches()
            with journal.results(summary.batch_id) as found:
                for row, sent in zip(found.rows, ids, strict=True):
                    outcomes[row.outcome.value] += 1
                    done = row.outcome == "completed"
                    wrong += done and row.result.get("company_id") != sent  # type: ignore[union-attr]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        return Verdict(kills, outcomes, wrong, peak)


def main(arguments: Sequence[str] | None = None) -> int:
    from tests.acceptance.sandbox_process import sandbox_process
    from tests.postgres import running_server
    from tests.preloaded import import_everything

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=200, help="kills at random moments")
    parser.add_argument("--times", type=int, default=3, help="kills at each named point")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of each batch")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--speed", type=float, default=SPEED, help="of the sandbox's clock")
    parser.add_argument("--seconds", type=float, default=0, help="a run takes; 0: measured")
    parser.add_argument("--postgres", action="store_true", help="journals on a server of its own")
    options = parser.parse_args(arguments)
    import_everything()  # before the forks: what is killed is the work, not the start
    began = time.perf_counter()
    points = [(point, passes) for point in POINTS for passes in range(1, options.times + 1)]
    with (
        tempfile.TemporaryDirectory() as folder,
        # One process alone starts sooner without a server that forks it.
        sandbox_process("--rate", "0", speed=options.speed, popen=subprocess.Popen) as sandbox,
        running_server() if options.postgres else nullcontext() as server,
        # Of single-threaded processes, which may fork.
        ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("fork")) as workers,
    ):
        workshop = Workshop(
            sandbox, Path(folder), options.seed, options.rows, server, seconds=options.seconds
        )
        unkilled = [] if options.seconds else workshop.rehearse()
        tries = list(workers.map(workshop.at_random, range(options.runs)))
        names, passes_of = [point for point, _ in points], [passes for _, passes in points]
        at_points = list(workers.map(workshop.at_point, count(), names, passes_of))
        report = sandbox.report()
    for (point, passes), verdict in zip(points, at_points, strict=True):
        doubt = verdict.outcomes["in doubt"]
        killed = "killed" if verdict.kills else "never passed so often"
        print(f"{point:32} pass {passes}: {killed}, {doubt} in doubt")
    at_random = [verdicts[-1] for verdicts in tries]
    unkilled += [verdict for verdicts in tries for verdict in verdicts[:-1]]
    tried = Tried(at_random, at_points, unkilled)
    return conclude(options, tried, report, time.perf_counter() - began)


def conclude(
    options: argparse.Namespace, tried: Tried, report: dict[str, Any], seconds: float
) -> int:
    """Print the counts; 0 when nothing was doubled, lost or mixed up."""
    at_random, at_points = tried.at_random, tried.at_points
    accepted, twice = report["triggers_accepted"], len(report["triggered_more_than_once"])
    completed, lost = tried.count("completed"), tried.count("pending")
    wrong = sum(verdict.wrong for verdict in at_random + at_points)
    unknown = max(0, accepted - completed - tried.count("in doubt"), completed - accepted)
    peak = max(verdict.peak_megabytes for verdict in [*at_random, *at_points, *tried.unkilled])
    doubts, rows = [verdict.outcomes["in doubt"] for verdict in at_random], options.rows
    print(
        f"{sum(verdict.kills for verdict in at_random)} kills at random moments of "
        f"{len(at_random)} batches, {sum(verdict.kills for verdict in at_points)} at "
        f"{len(POINTS)} named points; {rows} rows each; seed {options.seed}; {seconds:.0f} s\n"
        f"bodies accepted twice    {twice}\n"
        f"rows without an outcome  {lost}\n"
        f"results on a wrong row   {wrong}\n"
        f"triggers nobody knows of {unknown} of {accepted} accepted\n"
        f"rows in doubt            {sum(doubts)} of {len(doubts) * rows} after random kills, "
        f"at most {max(doubts, default=0)} in a batch\n"
        f"peak memory of a process {peak:,.0f} MB"
    )
    return int(bool(twice or lost or wrong or unknown))


if __name__ == "__main__":
    sys.exit(main())
