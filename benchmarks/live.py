"""The polling benchmark over real HTTP: the sandbox and the command line as two processes.

    python -m benchmarks.live                       600 rows, 60 times as fast as life
    python -m benchmarks.live --run-times bimodal --slots 10

Prints what the sandbox counted beside what the simulation of `polling.py` predicts for the same
bodies and run times.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from batchrun.sandbox import RunTimeKind
from benchmarks.polling import START, Cell, Simulation, bodies, forecast_of, oracle

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "batchrun"]


@contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """Start a sandbox process; its base URL."""
    command = [*COMMAND, "sandbox", "--port", "0", "--daily", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+/v1", process.stdout.readline())
            assert url is not None
            yield url[0]
        finally:
            process.terminate()


def write_list(path: Path, rows: int) -> None:
    """A list whose rows make the bodies of the simulation."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Company ID"])
        writer.writerows([json.loads(body)["company_id"]] for body in bodies(rows))


def run_live(url: str, rows: int, speed: float, *options: str) -> dict[str, Any]:
    """Run a list through the command line; what `--json` says at the end."""
    with tempfile.TemporaryDirectory() as folder:
        write_list(Path(folder) / "list.csv", rows)
        environment = os.environ | {
            "PGAI_API_KEY": "sandbox",
            "BATCHRUN_BASE_URL": url,
            "BATCHRUN_SPEED": str(speed),
            "BATCHRUN_JOURNAL": str(Path(folder) / "journal.db"),
        }
        command = [*COMMAND, "run", "list.csv", "-w", "Account Research", "--yes", "--json"]
        ended = subprocess.run(
            [*command, *options],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        summary: dict[str, Any] = json.loads(ended.stdout)
        return summary


def main() -> None:
    """Print both, and how far they are apart."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--rate", type=int, default=60)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--slots", type=int, default=0)
    parser.add_argument("--run-times", type=RunTimeKind, default=RunTimeKind.LOGNORMAL)
    given = parser.parse_args()
    cell = Cell(given.rate, given.rows, given.run_times, given.slots or None)
    simulation = Simulation(cell, forecast_of("batchrun", cell.kind, cell.seed))
    simulation.run()
    options = {"--rate": given.rate, "--slots": given.slots, "--run-times": given.run_times}
    options["--speed"] = given.speed
    with sandbox(*(str(part) for option in options.items() for part in option)) as url:
        summary = run_live(url, given.rows, given.speed)
        report = httpx.get(f"{url.removesuffix('/v1')}/sandbox/report", trust_env=False).json()
    requests = report["requests"] - report["lists"]
    expected, best = len(simulation.sent), oracle(cell)[0]
    print(f"{given.rows} rows, {cell.kind}, {cell.slots or 'no'} slots, {cell.rate} a minute")
    print(f"requests  live {requests:6,}  simulated {expected:6,}  {requests / expected - 1:+.1%}")
    print(f"a row     live {requests / given.rows:6.3f}  simulated {expected / given.rows:6.3f}")
    live, simulated = summary["seconds"] / best, (simulation.now - START) / best
    print(f"÷ oracle  live {live:6.3f}  simulated {simulated:6.3f}  {live / simulated - 1:+.1%}")
    print(f"429s      live {report['refused']:6}  simulated {simulation.refused:6}")
    print(f"triggered more than once: {len(report['triggered_more_than_once'])}")


if __name__ == "__main__":
    main()
