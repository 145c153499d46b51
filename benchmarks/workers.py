"""Several workers on one batch: are rows doubled or lost when they die, and what do they bring?

    python -m benchmarks.workers                  all of it
    python -m benchmarks.workers --kills 20       20 batches whose workers are killed and suspended
    python -m benchmarks.workers --kills 20 --local   the same for --workers 3 and a file journal
    python -m benchmarks.workers --journal        what the journal alone takes, by processes
    python -m benchmarks.workers --quota          whether 1, 2 and 4 keep and use 600 a minute
    python -m benchmarks.workers --speed          rows a second with one worker and with two
    python -m benchmarks.workers --dask           what a Dask cluster adds

Real processes of the command line, the sandbox, and a PostgreSQL server on loopback. Prints a
table; exits 1 if a row was triggered twice or lost, or more than 64 rows per kill are in doubt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
import psycopg

import batchrun
from batchrun.estimate import EstimateRates
from batchrun.journal import Journal
from batchrun.journal.slices import slice_size
from batchrun.model import Execution, ExecutionStatus, Outcome, Role, Workflow
from batchrun.plan import Parameters, make_plan
from batchrun.sandbox import SandboxSettings, running
from batchrun.tables.frames import from_frame
from benchmarks.service import fast_service
from benchmarks.throughput import run as one_process
from tests.postgres import running_server
from tests.preloaded import import_everything

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client

    from tests.postgres import PostgresServer

KEY = "sandbox"
NO_SERVICE = "https://api.example.com/v1"
COMMAND = (sys.executable, "-m", "batchrun")
MAX_IN_DOUBT = 64
ROWS = 300
SPEED = 10.0
RATE = 600
RATE_SPEED = 6.0
ACTIONS = 4
RESUMES = 10


def write_list(path: Path, rows: int) -> None:
    """A list of companies."""
    path.write_text("\n".join(["Company ID", *(str(uuid.uuid4()) for _ in range(rows))]), "utf-8")


@dataclass(frozen=True, slots=True)
class Speed:
    """Rows a second, and milliseconds of CPU that the workers and the server spend on a row."""

    rows: float
    cpu: float
    server: float = 0.0

    def __str__(self) -> str:
        server = f", {self.server:.2f} ms in PostgreSQL" if self.server else ""
        return f"{self.rows:,.0f} rows/s, {self.cpu:.2f} ms of CPU a row{server}"


class Machines:
    """Processes on one journal, each on a machine (a home) of its own."""

    def __init__(self, folder: Path, url: str, journal: str, speed: float) -> None:
        self._folder = folder
        self._env = {
            **{name: value for name, value in os.environ.items() if name[:8] != "BATCHRUN"},
            "PGAI_API_KEY": KEY,
            "BATCHRUN_BASE_URL": url,
            "BATCHRUN_SPEED": str(speed),
            "BATCHRUN_JOURNAL": journal,
        }
        self._number = 0

    def start(self, *arguments: str, output: bool = False) -> subprocess.Popen[bytes]:
        """Start a command on a new machine; its output can be read if wanted."""
        self._number += 1
        home = self._folder / f"machine-{self._number}"
        home.mkdir()
        env = self._env | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data")}
        nothing = subprocess.DEVNULL
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=env,
            cwd=home,
            stdin=nothing,
            stdout=subprocess.PIPE if output else nothing,
            stderr=nothing,
        )


def kills(server: PostgresServer, seed: int) -> dict[str, Any]:
    """One batch whose workers are killed and suspended at random; how it ended."""
    chance, journal = random.Random(seed), server.new_database()
    killed = 0
    settings = SandboxSettings(rate_per_minute=RATE)
    with tempfile.TemporaryDirectory() as name, running(settings, SPEED) as url:
        folder = Path(name)
        write_list(folder / "list.csv", ROWS)
        machines = Machines(folder, url, journal, SPEED)
        run = ("run", str(folder / "list.csv"), "-w", "Account Research", "--yes")
        living = [machines.start(*run)]
        while report(url)["triggers_accepted"] == 0:
            time.sleep(0.1)
        living += [machines.start("work", "--until-done") for _ in range(2)]
        asleep: list[subprocess.Popen[bytes]] = []
        for _ in range(ACTIONS):
            time.sleep(chance.uniform(0.5, 3.0))
            victim = chance.choice(living)
            if chance.random() < 0.6:
                victim.kill()
                victim.wait()
                living.remove(victim)
                living.append(machines.start("work", "--until-done"))
                killed += 1
            elif victim.poll() is None:
                victim.send_signal(signal.SIGSTOP)
                asleep.append(victim)
                living.remove(victim)
                living.append(machines.start("work", "--until-done"))
            silence(journal)
        time.sleep(chance.uniform(0.5, 3.0))
        for each in asleep:
            each.send_signal(signal.SIGCONT)
        for each in living + asleep:
            each.wait()
        for _ in range(RESUMES):
            silence(journal)
            if machines.start("resume", "-o", str(folder / "out.xlsx")).wait() in {0, 3}:
                break
        return {**verdict(url, journal), "kills": killed, "suspended": len(asleep)}


def local_kills(seed: int) -> dict[str, Any]:
    """One batch with a journal in a file, whose local processes are killed at random."""
    chance, killed = random.Random(seed), 0
    settings = SandboxSettings(rate_per_minute=RATE)
    with tempfile.TemporaryDirectory() as name, running(settings, SPEED) as url:
        folder = Path(name)
        write_list(folder / "list.csv", ROWS)
        journal = str(folder / "journal.db")
        machines = Machines(folder, url, journal, SPEED)
        run = ("run", str(folder / "list.csv"), "-w", "Account Research", "--yes")
        started = [machines.start(*run, "--workers", "3")]
        while report(url)["triggers_accepted"] == 0:
            time.sleep(0.1)
        for _ in range(ACTIONS):
            time.sleep(chance.uniform(0.3, 2.0))
            first = started[-1]
            victim = chance.choice([first.pid, *children(first.pid)])
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            killed += 1
            if victim == first.pid:
                first.wait()
                started.append(machines.start("work", "--until-done"))
        for each in started:
            each.wait()
        for _ in range(RESUMES):
            if machines.start("resume", "-o", str(folder / "out.xlsx")).wait() in {0, 3}:
                break
            time.sleep(1)
        return {**verdict(url, journal), "kills": killed, "suspended": 0}


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(each) for each in listed.stdout.split()]


def server_seconds(server: PostgresServer) -> float:
    """Seconds of CPU of all processes of a PostgreSQL server, including those that have ended."""
    first = int((server.folder / "data" / "postmaster.pid").read_text("ascii").split()[0])
    ticks = 0
    for pid in (first, *children(first)):
        with suppress(FileNotFoundError):  # it has just ended
            stat = Path(f"/proc/{pid}/stat").read_text("ascii")
            # utime, stime, cutime, and cstime of proc(5)
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def verdict(url: str, journal: str) -> dict[str, int]:
    """What the journal says, against what the sandbox has counted."""
    [batch] = batchrun.batches(settings=batchrun.load_settings(journal=journal))
    seen = report(url)
    completed, doubtful = batch.counts[Outcome.COMPLETED], batch.counts[Outcome.IN_DOUBT]
    unknown = max(seen["triggers_accepted"] - completed - doubtful, 0)
    return {
        "doubled": len(seen["triggered_more_than_once"]),
        "lost": ROWS - completed - doubtful + unknown,
        "in doubt": doubtful,
    }


def report(url: str) -> dict[str, Any]:
    """What the sandbox has counted."""
    asked = httpx.get(f"{url.removesuffix('/v1')}/sandbox/report", trust_env=False, timeout=60)
    found: dict[str, Any] = asked.json()
    return found


def silence(journal: str) -> None:
    """Who holds something has been silent for two minutes; who lives beats again."""
    with suppress(psycopg.Error), psycopg.connect(journal) as connection:
        for table in (b"leases", b"slices"):
            connection.execute(b"UPDATE " + table + b" SET beat_at = beat_at - 120")


def settle(location: str, batch_id: str, _: str) -> None:
    """Take jobs of a batch all the way through the journal, without a service."""
    now = pd.Timestamp.now("UTC").to_pydatetime()

    async def work() -> None:
        with Journal(location) as journal:
            jobs = journal.jobs(batch_id, KEY, leads=False)

            async def one(job: Any) -> None:
                name = f"exec-{job.number}"
                await jobs.begin_trigger(job)
                await jobs.accept(job, Execution(name, ExecutionStatus.QUEUED, now), now)
                jobs.count_request(job)
                ended = Execution(name, ExecutionStatus.COMPLETED, now, now, now, result={"a": 1})
                await jobs.finish(job, ended, now)

            while (claimed := await asyncio.to_thread(jobs.slices.claim, closed=False)) is not None:
                pending = jobs.pending(limit=1_000, within=claimed)
                for at in range(0, len(pending), 50):
                    await asyncio.gather(*map(one, pending[at : at + 50]))

    asyncio.run(work())


def work(location: str, batch_id: str, url: str) -> None:
    """Work on a batch until it is done, as `batchrun work BATCH --until-done` does."""
    settings = batchrun.load_settings(
        api_key=KEY, base_url=url, journal=location, rate="unlimited", drain_seconds=0
    )
    batchrun.work(batch_id, settings=settings, until_done=True)


def worker(name: str, *arguments: str) -> None:
    """What a worker process runs once it is told to; prints the seconds of CPU that this took."""
    import_everything()  # what is measured is the work, not the start
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    {"settle": settle, "work": work}[name](*arguments)
    print(time.process_time() - began, flush=True)


@contextmanager
def open_batch(location: str, rows: int, url: str) -> Iterator[tuple[Journal, str]]:
    """A batch that any worker of its key may work on, until the block ends; its journal and ID."""
    frame = pd.DataFrame({"Company ID": [str(uuid.uuid4()) for _ in range(rows)]})
    table, rates = from_frame(frame, "list.csv"), EstimateRates(60, 45)
    workflow, roles = Workflow("wf_account_research", "Research"), {Role.COMPANY: 0}
    plan = make_plan(table, workflow, roles, Parameters(), rates)
    with Journal(location) as journal:
        batch_id = journal.create(plan, url, key=KEY)
        slices = journal.slices(batch_id)
        with journal.hold(batch_id):
            slices.cut(slice_size(rows, math.inf), alone=False)
            yield journal, batch_id
            slices.remove()


def seconds_until_done(journal: Journal, batch_id: str, rows: int) -> float:
    """Wait until workers have completed all rows; how long that took."""
    began = time.perf_counter()
    while journal.summary(batch_id).counts[Outcome.COMPLETED] < rows:
        time.sleep(0.05)
    return time.perf_counter() - began


def measured(
    server: PostgresServer, name: str, processes: int, rows: int, url: str = NO_SERVICE
) -> Speed:
    """Let processes work on one batch, and measure them from their first claim to the last row."""
    location = server.new_database()
    code = f"import sys; from benchmarks.workers import worker; worker({name!r}, *sys.argv[1:])"
    with open_batch(location, rows, url) as (journal, batch_id):
        started = [
            subprocess.Popen(
                [sys.executable, "-c", code, location, batch_id, url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        for each in started:
            assert each.stdout is not None
            each.stdout.readline()
        before = server_seconds(server)
        for each in started:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        seconds = seconds_until_done(journal, batch_id, rows)
    cpu = sum(float(each.communicate()[0]) for each in started)
    of_server = server_seconds(server) - before
    return Speed(rows / seconds, 1_000 * cpu / rows, 1_000 * of_server / rows)


@contextmanager
def dask_cluster(url: str) -> Iterator[Client]:
    """A scheduler and a worker of Dask, as processes; a client of them."""
    from distributed import Client

    env = os.environ | {"PGAI_API_KEY": KEY, "BATCHRUN_BASE_URL": url}
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/scheduler.json"
        dask = (sys.executable, "-m")
        commands = (
            (*dask, "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"),
            (*dask, "distributed.cli.dask_worker", "--no-nanny", "--no-dashboard"),
        )
        nothing = subprocess.DEVNULL
        started = [
            subprocess.Popen(
                [*command, "--scheduler-file", file],
                env=env,
                cwd=folder,
                stdout=nothing,
                stderr=nothing,
            )
            for command in commands
        ]
        try:
            while not Path(file).exists():
                time.sleep(0.1)
            with Client(scheduler_file=file, timeout=60) as client:
                client.wait_for_workers(1)
                yield client
        finally:
            for each in started:
                each.terminate()
                each.wait()


def with_dask(location: str, rows: int) -> tuple[Speed, float]:
    """One worker in a Dask cluster, and milliseconds of CPU of the scheduler a row."""
    from batchrun.batch.cluster import work_on

    def spent(client: Client) -> tuple[float, float]:
        [of_worker] = client.run(time.process_time).values()
        return of_worker, client.run_on_scheduler(time.process_time)

    shared = {"journal": location, "rate": math.inf}
    with (
        fast_service() as url,
        dask_cluster(url) as client,
        open_batch(location, rows, url) as (journal, batch_id),
    ):
        client.run(import_everything)
        before = spent(client)
        task = client.submit(work_on, batch_id, shared)
        seconds = seconds_until_done(journal, batch_id, rows)
        worker_cpu, scheduler_cpu = (
            1_000 * (now - then) / rows for now, then in zip(spent(client), before, strict=True)
        )
        journal.slices(batch_id).remove()  # so that the task ends
        task.result()
    return Speed(rows / seconds, worker_cpu), scheduler_cpu


def quota_kept(server: PostgresServer, workers: int, rows: int) -> dict[str, float]:
    """What workers make of a quota of 600 requests a minute, of which the service says nothing."""
    settings = SandboxSettings(rate_per_minute=RATE, silent_quota=True)
    with tempfile.TemporaryDirectory() as name, running(settings, RATE_SPEED) as url:
        folder = Path(name)
        write_list(folder / "list.csv", rows)
        machines = Machines(folder, url, server.new_database(), RATE_SPEED)
        run = ("run", str(folder / "list.csv"), "-w", "Account Research", "--yes")
        more = ("--workers", str(workers), "--rate", str(RATE), "--json")
        process = machines.start(*run, *more, output=True)
        ended = json.loads(process.communicate()[0])
        seen = report(url)
    return {
        "refused": seen["refused"],
        "requests per row": seen["requests"] / rows,
        "share of the rate used": seen["requests"] / (ended["seconds"] / 60 * RATE),
    }


def speeds(server: PostgresServer, rows: int) -> None:
    """Print what one process, one worker and two workers take without a quota."""
    with fast_service() as url:
        with tempfile.TemporaryDirectory() as folder:
            seconds, cpu = one_process(url, rows, Path(folder))
        alone = Speed(rows / seconds, 1_000 * cpu / rows)
        print(f"no quota, one process, journal in a file: {alone}", flush=True)
        one, two = (measured(server, "work", each, rows, url) for each in (1, 2))
    print(f"no quota, 1 worker, PostgreSQL:           {one}", flush=True)
    print(f"no quota, 2 workers, PostgreSQL:          {two}")
    print(
        f"2 workers do {two.rows / one.rows:.2f} times as many rows a second as 1, "
        f"for {one.cpu / alone.cpu:.2f} times the CPU of one process",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=0, metavar="BATCHES")
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--quota", action="store_true")
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--rows", type=int, default=4_000)
    options = parser.parse_args(arguments)
    kinds = (options.kills, options.journal, options.speed, options.quota, options.dask)
    everything = not any(kinds)
    wrong = 0
    with running_server() as server:
        for number in range(options.kills or (20 if everything else 0)):
            seed = options.seed + number
            ended = local_kills(seed) if options.local else kills(server, seed)
            print(json.dumps({"seed": seed, **ended}), flush=True)
            in_doubt = ended["in doubt"] > MAX_IN_DOUBT * (ended["kills"] + ended["suspended"])
            wrong += bool(ended["doubled"] or ended["lost"] or in_doubt)
        if options.quota or everything:
            for workers in (1, 2, 4):
                kept = quota_kept(server, workers, min(options.rows, 2_000))
                print(json.dumps({"workers": workers, **kept}), flush=True)
        if options.journal or everything:
            for processes in (1, 2, 4):
                found = measured(server, "settle", processes, options.rows)
                print(f"journal alone, {processes} processes: {found}", flush=True)
        if options.speed or everything:
            speeds(server, options.rows)
        if options.dask or everything:
            found, scheduler = with_dask(server.new_database(), options.rows)
            print(f"1 worker on a Dask cluster: {found}; the scheduler: {scheduler:.3f} ms a row")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
