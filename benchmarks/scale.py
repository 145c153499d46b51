"""Big lists on one machine: memory and CPU of reading, planning, creating and looking.

    python -m benchmarks.scale                   a million rows of 12 columns
    python -m benchmarks.scale --rows 200000     fewer

Each stage is measured in one process, in CPU seconds, since other programs don't change those. The
peak memory is that of the whole process until the end of the stage. Prints a table.
"""

from __future__ import annotations

import argparse
import csv
import resource
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

COLUMNS = 12
URL = "https://api.example.com/v1"


def write_list(path: Path, rows: int) -> None:
    """A CRM export with an id, and eleven columns of what such lists hold."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Company ID", *(f"Column {number}" for number in range(1, COLUMNS))])
        for number in range(rows):
            company = uuid.UUID(int=0xA1B2C3D4_0000_4000_8000_000000000000 + number)
            rest = ["Berlin", "EUR", f"{number % 977}", f"Account {number}", "yes", ""]
            writer.writerow([company, *rest, f"owner{number % 50}@example.com", *rest[:4]])


class Stages:
    """Measures one stage after the other and keeps a line for each."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float, float, float]] = []

    def measure(self, name: str, work: Callable[[], T]) -> T:
        """Do the work and note what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        seconds = time.process_time() - cpu
        self.lines.append((name, seconds, time.perf_counter() - wall, peak))
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    from batchrun import status
    from batchrun.estimate import EstimateRates
    from batchrun.journal import Journal
    from batchrun.model import Workflow
    from batchrun.plan import Parameters, Plan, make_plan
    from batchrun.settings import load_settings
    from batchrun.tables import find_roles, load

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    stages = Stages()
    with tempfile.TemporaryDirectory() as folder:
        path, location = Path(folder) / "list.csv", str(Path(folder) / "journal.db")
        write_list(path, options.rows)
        settings = load_settings(journal=location)
        table = stages.measure("load", lambda: load(path))
        roles = stages.measure("find the columns", lambda: find_roles(table))

        def plan_it() -> Plan:
            rates = EstimateRates(60, 45)
            return make_plan(table, Workflow("wf_1", "Research"), roles, Parameters(), rates)

        plan = stages.measure("plan", plan_it)
        stages.measure("fingerprint", plan.fingerprint)
        with Journal(location) as journal:
            batch_id = stages.measure("create", lambda: journal.create(plan, URL))
            stages.measure("status", lambda: status(batch_id, settings=settings))
            with journal.connect() as connection:
                connection.exec_driver_sql(
                    "UPDATE jobs SET state = 'in doubt' WHERE number % 10000 = 0"
                )
                connection.commit()
            stages.measure("status, 100 in doubt", lambda: status(batch_id, settings=settings))
        size = Path(location).stat().st_size / 1024**2
    print(f"{options.rows:,} rows of {COLUMNS} columns; journal {size:,.0f} MB")
    print(f"{'stage':22}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}")
    for name, cpu, wall, peak in stages.lines:
        print(f"{name:22}{cpu:9.2f}{wall:9.2f}{peak:9.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
