"""How long the command line takes to start.

Run it with `python benchmarks/startup.py`.

Prints the median wall time and CPU time of `batchrun --help` over a number of runs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

RUNS = 21
COMMAND = [sys.executable, "-m", "batchrun", "--help"]


def main() -> None:
    walls, cpus = [], []
    for _ in range(RUNS):
        before, started = os.times(), time.perf_counter()
        subprocess.run(COMMAND, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - started)
        after = os.times()
        cpus.append(
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )
    print(
        f"batchrun --help: {statistics.median(walls):.3f} s, "
        f"{statistics.median(cpus):.3f} s of CPU (median of {RUNS})"
    )


if __name__ == "__main__":
    main()
