"""The whole way without a quota: rows a second through the durable journal on one core.

    python -m benchmarks.throughput                 5,000 rows
    python -m benchmarks.throughput --profile       where the time goes

The sandbox answers at once, from a process on another core; the batch (load, plan, journal with
`synchronous=FULL`, HTTP, no workbook) has one core to itself.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

import batchrun
from batchrun.errors import ExitCode
from benchmarks.live import sandbox
from benchmarks.polling import bodies

SERVICE = ("--rate", "0", "--run-times", "none")


def run(url: str, rows: int, folder: Path) -> tuple[float, float]:
    """Run a batch; its time and its CPU time in seconds."""
    settings = batchrun.load_settings(
        api_key="sandbox", base_url=url, rate="unlimited", journal=str(folder / "journal.db")
    )
    frame = pd.DataFrame({"Company ID": [json.loads(body)["company_id"] for body in bodies(rows)]})
    started, busy = time.perf_counter(), time.process_time()
    report = batchrun.run(frame, "Account Research", settings=settings)
    ended = time.perf_counter() - started, time.process_time() - busy
    assert report.exit_code is ExitCode.COMPLETED
    return ended


def peak_megabytes() -> float:
    """The most memory this process has had, Python and all packages included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # macOS counts bytes, Linux KiB


def main() -> None:
    """Print rows a second, and the profile if wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:2])  # the sandbox inherits it
    with sandbox(*SERVICE) as url, tempfile.TemporaryDirectory() as folder:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[:1])
        profile = cProfile.Profile()
        if options.profile:
            profile.enable()
        seconds, cpu = run(url, options.rows, Path(folder))
        profile.disable()
    print(
        f"{options.rows:,} rows in {seconds:.1f} s: {options.rows / seconds:,.0f} rows a second; "
        f"{cpu:.1f} s of CPU: {options.rows / cpu:,.0f} rows a CPU second; "
        f"peak memory {peak_megabytes():,.0f} MB"
    )
    if options.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats("batchrun|httpx|sqlalchemy", 45)


if __name__ == "__main__":
    main()
