"""How long a list takes to load, and at what memory, beside the library alone.

Run it with `python -m benchmarks.loading` (`--rows 10000` for one size).

Prints, for CSV and XLSX of 12 columns, the best wall and CPU time of some runs and the peak
memory of a process of its own and of those it starts: of batchrun's `load`, and of pandas' C parser
with text columns (CSV) or of calamine's rows (XLSX). The files are the same in every run.
"""

from __future__ import annotations

import argparse
import csv
import platform
import random
import subprocess
import sys
import tempfile
import uuid
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (10_000, 100_000, 1_000_000)
MAX_XLSX = 500_000
HEADER = [
    "Company ID", "Contact ID", "Name", "Email", "City", "Postal Code", "Amount", "Count", "Since",
    "Flag", "Note", "Status",
]  # fmt: skip

MEASURE = """
import resource, sys, time
{imports}
started, worked = time.perf_counter(), time.process_time()
{work}
seconds, cpu = time.perf_counter() - started, time.process_time() - worked
children = resource.getrusage(resource.RUSAGE_CHILDREN)  # a workbook is read by another process
cpu += children.ru_utime + children.ru_stime
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + children.ru_maxrss
print(seconds, cpu, peak * 1024 if sys.platform != "darwin" else peak)
"""
OURS = ("import pandas\nfrom batchrun.tables.files import load", "table = load(sys.argv[1])")
PANDAS = (
    "import pandas",
    "table = pandas.read_csv(sys.argv[1], engine='c', dtype=object, keep_default_na=False)",
)
CALAMINE = (
    "from python_calamine import CalamineWorkbook",
    "rows = CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_index(0).to_python()",
)


def rows(count: int) -> Iterator[list[Any]]:
    """An invented list: texts that repeat and texts that don't, numbers, dates, booleans."""
    chance = random.Random(1123)
    begin = datetime.fromisoformat("2026-01-01T00:00")
    for number in range(count):
        yield [
            str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            f"Company {number} GmbH", f"contact{number}@example.com", "Stuttgart",
            f"{number % 99_999:05}", number * 1.5, number, begin + timedelta(minutes=number),
            number % 2 == 0, "Some longer description of the account, with a comma", "Open",
        ]  # fmt: skip


def make_csv(path: Path, count: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(chain([HEADER], rows(count)))


def make_xlsx(path: Path, count: int) -> None:
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("List")
    for row in chain([HEADER], rows(count)):
        sheet.append(row)
    workbook.save(path)


Figures = tuple[float, float, float]


def measure(works: list[tuple[str, str]], path: Path, runs: int) -> list[Figures]:
    """Best wall and CPU seconds and peak MB of a number of processes, one after the other.

    They take turns, so that other work on the machine is no advantage to one of them.
    """
    found = [(float("inf"), float("inf"), 0.0)] * len(works)
    for _ in range(runs):
        for at, (imports, work) in enumerate(works):
            program = MEASURE.format(imports=imports, work=work)
            command = [sys.executable, "-c", program, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, cpu, size = map(float, done.stdout.split())
            best, least, peak = found[at]
            found[at] = min(best, seconds), min(least, cpu), max(peak, size / 1024**2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, best of {given.runs}, 12 columns")
    print("| file | rows | batchrun | CPU | alone | CPU | ratio | of CPU | peak | peak alone |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in given.rows:
            for kind, make, alone in (("CSV", make_csv, PANDAS), ("XLSX", make_xlsx, CALAMINE)):
                size = min(count, MAX_XLSX) if kind == "XLSX" else count
                path = Path(folder) / f"list.{kind.lower()}"
                make(path, size)
                ours, others = measure([OURS, alone], path, given.runs)
                (seconds, cpu, peak), (other, other_cpu, other_peak) = ours, others
                print(
                    f"| {kind} | {size:,} | {seconds:.2f} s | {cpu:.2f} s | {other:.2f} s |"
                    f" {other_cpu:.2f} s | {seconds / other:.2f} | {cpu / other_cpu:.2f} |"
                    f" {peak:,.0f} MB | {other_peak:,.0f} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
