"""How long the command line takes to start, and to check a list of 1,000 rows.

    python -m benchmarks.start_up

Prints the median wall time and CPU time over a number of runs, against a sandbox on this machine.
Wanted are at most 0.25 s of CPU for `--help` and 1.0 s for `check`, with the packages' bytecode in
its place, as pip leaves it (`PYTHONDONTWRITEBYTECODE` not set).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.live import COMMAND, sandbox, write_list

RUNS = 11
ROWS = 1_000


def measure(name: str, *arguments: str, folder: Path, environment: dict[str, str]) -> None:
    """Print the medians of one command."""
    walls, cpus = [], []
    for _ in range(RUNS):
        before, started = os.times(), time.perf_counter()
        subprocess.run(
            [*COMMAND, *arguments],
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        walls.append(time.perf_counter() - started)
        after = os.times()
        user = after.children_user - before.children_user
        cpus.append(user + after.children_system - before.children_system)
    print(
        f"{name}: {statistics.median(walls):.2f} s, {statistics.median(cpus):.2f} s of CPU "
        f"(median of {RUNS}; least {min(cpus):.2f} s of CPU)"
    )


def main() -> None:
    with sandbox() as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_list(folder / "list.csv", ROWS)
        environment = os.environ | {
            "PGAI_API_KEY": "sandbox",
            "BATCHRUN_BASE_URL": url,
            "BATCHRUN_JOURNAL": str(folder / "journal.db"),
        }
        measure("batchrun --help", "--help", folder=folder, environment=environment)
        check = ("check", "list.csv", "-w", "Account Research")
        measure(f"batchrun check, {ROWS:,} rows", *check, folder=folder, environment=environment)


if __name__ == "__main__":
    main()
