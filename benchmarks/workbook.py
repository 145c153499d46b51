"""How long a workbook takes to write, and how much memory.

Run it with ``python -m benchmarks.workbook`` (time against openpyxl alone, 100,000 rows of 20
columns) or ``python -m benchmarks.workbook --memory 10000 100000 1000000`` (peak memory, each size
in a process of its own; the largest takes minutes).

The rows are made in memory (no journal), so that only the writing is measured. Half of the 20
columns come from results, among them a report in Markdown, and a list of objects that has a sheet
of its own when ``--details`` is given. openpyxl gets the same cells ready, the report as its own
rich text; batchrun makes them from the results. ``--plain`` leaves the Markdown out of both.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from openpyxl import Workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from batchrun.model import (
    BatchResults,
    BatchSummary,
    Outcome,
    ResultRow,
    Role,
    Row,
    TableSource,
    Workflow,
)
from batchrun.workbook.excel import write_excel
from batchrun.workbook.layout import layout_of
from batchrun.workbook.markdown import rich_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchrun.model import JSON

BEGAN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HEADER = ("Company ID", "Account Name", "City", "Postal Code")
RUNS = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that are made when they are asked for: 20 columns with the seven of the status."""

    count: int
    details: bool
    markdown: bool = True

    def __iter__(self) -> Iterator[ResultRow]:
        for number in range(self.count):
            company = f"{number:08x}-0000-4000-8000-000000000000"
            began = BEGAN + timedelta(seconds=number % 86_400)
            result: dict[str, JSON] = {
                "summary": (
                    f"## Account Research\n\nBased in **Zürich**. What matters for {number}:\n\n"
                    "- **New VP of Sales** (72)\n- Opened a second plant; hiring for operations\n\n"
                    f"See the [report](https://reports.example/rpt_{number:08x})."
                ),
                "outputs": {
                    "report_id": f"rpt_{number:08x}",
                    "report_url": f"https://reports.example/rpt_{number:08x}",
                    "insights_count": number % 7,
                    "fit_score": number % 100 / 100,
                    "researched_on": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}",
                },
                "company": {"industry": "Logistics", "employees": number % 20_000},
                "technologies": ["Salesforce", "Snowflake"],
            }
            if not self.markdown:
                result["summary"] = f"Based in Zürich.\nWhat matters now for {number}: growth."
            if self.details:
                result["insights"] = [{"title": "New VP of Sales", "score": number % 100}] * 2
            yield ResultRow(
                Row(number + 2, (company, f"Firm {number}", "Zürich", f"{number % 99999:05}")),
                Outcome.COMPLETED,
                company_id=company,
                execution_id=f"exec_{number:08x}",
                triggered_at=began,
                started_at=began,
                finished_at=began + timedelta(seconds=20 + number % 90),
                result=result,
            )


def results_of(rows: int, *, details: bool, markdown: bool = True) -> BatchResults:
    """A batch of this many rows."""
    counts = dict.fromkeys(Outcome, 0) | {Outcome.COMPLETED: rows}
    summary = BatchSummary(
        batch_id="1124-benchmark-0000",
        workflow=Workflow("wf_1", "Account Research"),
        source=TableSource("accounts.csv"),
        parameters={},
        created_at=BEGAN,
        updated_at=BEGAN,
        counts=counts,
        jobs=rows,
        requests=2 * rows,
        estimated_seconds=60.0,
    )
    return BatchResults(summary, HEADER, Rows(rows, details, markdown), {Role.COMPANY: 0})


def openpyxl_alone(cells: list[list[object]], path: Path) -> None:
    """The same cells, ready as they are, through openpyxl's write-only mode."""
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("Results")
    for row in cells:
        sheet.append(row)
    workbook.save(path)


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def as_openpyxl_has_it(value: object) -> object:
    """A value as openpyxl's user would give it: Markdown as rich text."""
    rich = rich_text(value) if isinstance(value, str) else None
    if rich is None:
        return value
    return CellRichText(
        [
            TextBlock(InlineFont(b="bold" in run.style, i="italic" in run.style), run.text)
            if run.style
            else run.text
            for run in rich.runs
        ]
    )


def measure_time(rows: int, *, details: bool, markdown: bool) -> None:
    results = results_of(rows, details=details, markdown=markdown)
    layout = layout_of(results)
    cells: list[list[object]] = [[*layout.header]]
    cells += [[as_openpyxl_has_it(value) for value in layout.values(row)] for row in results.rows]
    made = cpu_seconds(lambda: [None for _ in results.rows])
    ours, alone = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.xlsx"
        for _ in range(RUNS):
            alone.append(cpu_seconds(lambda: openpyxl_alone(cells, path)))
            ours.append(cpu_seconds(lambda: write_excel(results, path)) - 2 * made)
    ratio = statistics.median(ours) / statistics.median(alone)
    print(f"{rows:,} rows of {len(layout.header)} columns, CPU seconds, median of {RUNS}")
    print(f"openpyxl write-only alone, Results only:  {statistics.median(alone):6.2f} s")
    print(f"batchrun, the whole workbook:             {statistics.median(ours):6.2f} s")
    print(f"ratio:                                    {ratio:6.2f}")


def measure_memory(sizes: list[int], *, details: bool) -> None:
    for size in sizes:
        command = [sys.executable, __file__, "--once", str(size), *["--details"][: int(details)]]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"{size:>9,} rows: {ended.stdout.strip()}")


def write_once(rows: int, *, details: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.xlsx"
        started = time.perf_counter()
        write_excel(results_of(rows, details=details), path)
        seconds, size = time.perf_counter() - started, path.stat().st_size / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak {peak:,.0f} MiB, {seconds:,.1f} s, file of {size:,.1f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--memory", type=int, nargs="+", metavar="ROWS")
    parser.add_argument("--once", type=int, metavar="ROWS", help=argparse.SUPPRESS)
    parser.add_argument("--details", action="store_true")
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    if given.once:
        write_once(given.once, details=given.details)
    elif given.memory:
        measure_memory(given.memory, details=given.details)
    else:
        measure_time(given.rows, details=given.details, markdown=not given.plain)


if __name__ == "__main__":
    main()
