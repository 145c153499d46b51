"""Big lists on one machine: memory and CPU of reading, planning, creating and looking.

    python -m benchmarks.scale                         a million rows of 12 columns, CSV
    python -m benchmarks.scale --format parquet        the same as Parquet
    python -m benchmarks.scale --rows 10000000 --check no batch is created
    python -m benchmarks.scale --rows 100000 --kills 20
        a process is killed at random moments while it creates the batch; what is left?

Each stage is measured in one process, in CPU seconds, since other programs change those least. The
peak memory is that of the whole process until the end of the stage. Prints a table. `--kills` exits
with 1 if anybody sees half a batch, or rows of one are left behind. Needs fork (Linux, macOS).
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import uuid
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchrun.plan import Plan

T = TypeVar("T")

COLUMNS = 12
URL = "https://api.example.com/v1"
HEADER = ["Company ID", *(f"Column {number}" for number in range(1, COLUMNS))]
LOOKS = 20
LOOK_SECONDS = 0.05
"""Goal of what status, `--watch` and the page ask."""
PEAK_MEGABYTES = 500
"""Goal, whatever the number of rows."""


def list_rows(number: int) -> Iterator[list[str]]:
    """A CRM export with an id, and eleven columns of what such lists hold."""
    for row in range(number):
        company = str(uuid.UUID(int=0xA1B2C3D4_0000_4000_8000_000000000000 + row))
        rest = ["Berlin", "EUR", f"{row % 977}", f"Account {row}", "yes", ""]
        yield [company, *rest, f"owner{row % 50}@example.com", *rest[:4]]


def write_list(path: Path, number: int) -> None:
    """Write the list as its ending says."""
    rows = list_rows(number)
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows(rows)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in HEADER])
    with pq.ParquetWriter(path, schema) as parquet:
        while some := list(islice(rows, 50_000)):
            columns = [pa.array(cells) for cells in zip(*some, strict=True)]
            parquet.write_table(pa.table(columns, schema=schema))


class Stages:
    """Measures one stage after the other and keeps a line for each."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float, float, float]] = []

    def measure(self, name: str, work: Callable[[], T], times: int = 1) -> T:
        """Do the work and note what it took, each time on average."""
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            found = work()
        seconds, waited = time.process_time() - cpu, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.lines.append((name, seconds / times, waited / times, peak))
        return found


def planned(path: Path, stages: Stages) -> Plan:
    """What `check` does without the service."""
    from batchrun.estimate import EstimateRates
    from batchrun.model import Workflow
    from batchrun.plan import Parameters, make_plan
    from batchrun.tables.files import load
    from batchrun.tables.roles import find_roles

    table = stages.measure("load", lambda: load(path))
    roles = stages.measure("find the columns", lambda: find_roles(table))
    workflow, rates = Workflow("wf_1", "Research"), EstimateRates(60, 45)
    return stages.measure("plan", lambda: make_plan(table, workflow, roles, Parameters(), rates))


def measured(path: Path, location: str, *, create: bool) -> None:
    """Measure everything, and print it."""
    from batchrun import status
    from batchrun.journal import Journal
    from batchrun.settings.loading import load_settings

    stages = Stages()
    plan = planned(path, stages)
    if create:
        stages.measure("fingerprint", plan.fingerprint)
        settings = load_settings(journal=location)
        with Journal(location) as journal:
            batch_id = stages.measure("create", lambda: journal.create(plan, URL))
            stages.measure("status", lambda: status(batch_id, settings=settings), LOOKS)
            stages.measure("summary, as the page", lambda: journal.summary(batch_id), LOOKS)
            with journal._engine.connect() as connection:
                connection.exec_driver_sql(
                    "UPDATE jobs SET state = 'in doubt' WHERE number % 10000 = 0"
                )
                connection.commit()
            in_doubt = "status, 1 in 10,000 in doubt"
            stages.measure(in_doubt, lambda: status(batch_id, settings=settings), LOOKS)
        size = Path(location).stat().st_size / 1024**2
        print(f"journal {size:,.0f} MB")
    print(f"{len(plan.table):,} rows of {COLUMNS} columns, {path.suffix[1:]}")
    check = stages.lines[:3]
    total = (
        "check: the three together",
        sum(line[1] for line in check),
        sum(line[2] for line in check),
    )
    stages.lines.insert(3, (*total, check[-1][3]))
    million = len(plan.table) / 1_000_000
    goals = {total[0]: 20 * million, "create": 30 * million}
    print(f"{'stage':30}{'CPU s':>9}{'goal':>9}{'wall s':>9}{'peak MB':>9}{'goal':>9}")
    for name, cpu, wall, peak in stages.lines:
        goal = goals.get(name, LOOK_SECONDS if name.startswith(("status", "summary")) else None)
        shown = "" if goal is None else f"{goal:g}"
        print(f"{name:30}{cpu:9.3f}{shown:>9}{wall:9.3f}{peak:9.0f}{PEAK_MEGABYTES:9}")


def create_once(path: Path, location: str) -> None:
    """What is killed: a process that plans a list and creates its batch."""
    from batchrun.journal import Journal

    plan = planned(path, Stages())
    plan.fingerprint()
    with Journal(location) as journal:
        Path(f"{location}.begun").touch()
        journal.create(plan, URL)


def killed(path: Path, location: str, rows: int, kills: int, seed: int) -> int:
    """Kill processes while they create a batch; 1 if more or less is left than whole batches."""
    from sqlalchemy import func, select

    from batchrun.journal import Journal, schema

    drawn, seconds, met, halves = random.Random(seed), 0.0, 0, 0
    fork = multiprocessing.get_context("fork")
    begun = Path(f"{location}.begun")
    while met < kills or seconds == 0.0:
        begun.unlink(missing_ok=True)
        process = fork.Process(target=create_once, args=(path, location))
        process.start()
        while not begun.exists():
            process.join(0.05)
        began = time.perf_counter()
        process.join(drawn.uniform(0, seconds) if seconds else None)
        met += process.is_alive()
        process.kill()
        process.join()
        seconds = seconds or time.perf_counter() - began
        with Journal(location) as journal:
            halves += sum(batch.rows != rows for batch in journal.batches())
            if batches := [batch.batch_id for batch in journal.batches()]:
                journal.forget(*batches)
    create_once(path, location)
    with Journal(location) as journal, journal._engine.connect() as connection:
        left = [
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in (schema.batches, schema.rows, schema.jobs)
        ]
    print(
        f"{met} kills while {rows:,} rows are created ({seconds:.1f} s); seed {seed}\n"
        f"half batches that anybody saw        {halves}\n"
        f"batches, rows and jobs after one more {left}"
    )
    return int(bool(halves) or left != [1, rows, rows])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--check", action="store_true", help="read and plan only")
    parser.add_argument("--kills", type=int, default=0, help="kills while a batch is created")
    parser.add_argument("--seed", type=int, default=os.getpid())
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path, location = Path(folder) / f"list.{options.format}", str(Path(folder) / "journal.db")
        # In a process of its own, which takes its memory with it.
        writer = multiprocessing.Process(target=write_list, args=(path, options.rows))
        writer.start()
        writer.join()
        if options.kills:
            return killed(path, location, options.rows, options.kills, options.seed)
        measured(path, location, create=not options.check)
    return 0


if __name__ == "__main__":
    sys.exit(main())
