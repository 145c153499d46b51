"""The pilot: what the first few jobs brought and cost, and the question about the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from batchrun.cli import costs
from batchrun.cli.terminal import columns_of, cut, table
from batchrun.model import Outcome
from batchrun.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from batchrun.model import ResultRow
    from batchrun.report import Report
    from batchrun.service import Credits

ROWS_SHOWN = 10
COLUMNS_SHOWN = 6
COLUMN_WIDTH = 18
LEADING = 20
"""What line and outcome take; as many columns are shown as have room beside them."""
COLUMNS_NAMED = 12
JOBS_READ = 500
LABEL = " " * 11


@dataclass(frozen=True, slots=True)
class Pilot:
    """What came of the first jobs of a batch.

    Attributes:
        report: How their run ended.
        rows: The rows of those jobs.
        titles: The result columns they brought.
        values: Their results, a cell a column, one line a row.
        to_trigger: How many jobs are left.
        before: The credits before them.
    """

    report: Report
    rows: Sequence[ResultRow]
    titles: Sequence[str]
    values: Sequence[Sequence[str]]
    to_trigger: int
    before: Credits | None = None


def read_pilot(report: Report, before: Credits | None) -> Pilot:
    """Read from the journal what came of the jobs sent; of many, what came of the first.

    Raises:
        JournalError: The journal can't be read.
    """
    found = report.pilot(JOBS_READ)
    values = [["" if cell is None else str(cell) for cell in cells] for cells in found.values]
    return Pilot(report, found.rows, found.titles, values, report.to_trigger, before)


def with_its_rest(pilot: Report, rest: Report) -> Report:
    """The report of a command that ran a pilot and then its rest: what both took and cost."""
    estimate = replace(
        rest.estimate,
        requests=pilot.estimate.requests + rest.estimate.requests,
        seconds=pilot.estimate.seconds + rest.estimate.seconds,
    )
    return replace(
        rest,
        estimate=estimate,
        requests=pilot.requests + rest.requests,
        seconds=pilot.seconds + rest.seconds,
        quota_seconds=pilot.quota_seconds + rest.quota_seconds,
    )


def pilot_lines(
    pilot: Pilot, width: int, now: datetime, *, speed: float = 1.0, mark: str = "…"
) -> list[str]:
    """A pilot as it is shown before the question.

    Args:
        pilot: The pilot.
        width: Columns of the terminal.
        now: The present moment, aware.
        speed: As in `costs.clock_after`.
        mark: What shows that a text was cut.
    """
    jobs = len(pilot.report.sent)
    outcomes = Counter(row.outcome for row in pilot.rows)
    counted = ", ".join(f"{outcomes[one]:,} {one}" for one in Outcome if outcomes[one])
    lines = ["", f"Pilot:     {plural(jobs, 'job')}; rows: {counted}"]
    lines += _shown(pilot, width, mark)
    if pilot.titles:
        lines += _wrapped("Columns:", _named(pilot.titles), width, mark)
    gone = costs.spent(pilot.before, pilot.report.credits)
    cost = [
        f"{plural(pilot.report.requests, 'request')} ({pilot.report.requests / jobs:.1f} a job)"
    ]
    seconds = [row.seconds for row in pilot.rows if row.seconds is not None]
    if seconds:
        cost.append(f"{duration(median(seconds))} an execution")
    cost.append(costs.spent_words(gone, jobs))
    lines += _wrapped("It cost:", [part for part in cost if part], width, mark)
    return [*lines, *_rest_lines(pilot, width, now, speed=speed, mark=mark)]


def _rest_lines(pilot: Pilot, width: int, now: datetime, *, speed: float, mark: str) -> list[str]:
    rest = pilot.report.rest
    if rest is None:
        return []
    words = [
        f"{plural(pilot.to_trigger, 'job')}: about {plural(rest.requests, 'request')}",
        duration(rest.seconds),
        f"done at {costs.clock_after(rest.seconds, now, speed)}",
        costs.rest_words(
            costs.spent(pilot.before, pilot.report.credits),
            len(pilot.report.sent),
            pilot.to_trigger,
            pilot.report.credits,
        ),
    ]
    return _wrapped("The rest:", [part for part in words if part], width, mark)


def _shown(pilot: Pilot, width: int, mark: str) -> list[str]:
    """The first rows, their outcomes and the first columns of their results."""
    rows = pilot.rows[:ROWS_SHOWN]
    columns = _telling(pilot)[: max(min((width - LEADING) // COLUMN_WIDTH, COLUMNS_SHOWN), 1)]
    # Where nothing has come, the reason is what a person wants to see.
    reasons = any(row.message for row in rows)
    header = ["line", "outcome", *(["why"] if reasons else [])]
    header += [pilot.titles[at] for at in columns]
    cells = [
        [
            f"{row.row.line:,}",
            row.outcome.value,
            *([row.message] if reasons else []),
            *(values[at] for at in columns),
        ]
        for row, values in zip(rows, pilot.values, strict=False)
    ]
    indent = "  "
    shown, _ = table(header, cells, width - len(indent), mark, whole={0, 1})
    lines = [indent + line for line in shown]
    if len(pilot.rows) > ROWS_SHOWN:
        lines.append(f"{indent}and {len(pilot.rows) - ROWS_SHOWN:,} more")
    return lines


def _telling(pilot: Pilot) -> list[int]:
    """Positions of the columns that hold something the list does not."""
    ids = [{"", row.company_id, row.contact_id} for row in pilot.rows]
    return [
        at
        for at in range(len(pilot.titles))
        if any(line[at] not in known for line, known in zip(pilot.values, ids, strict=True))
    ]


def _named(titles: Sequence[str]) -> list[str]:
    more = len(titles) - COLUMNS_NAMED
    return [*titles[:COLUMNS_NAMED], *([f"and {more:,} more"] if more > 0 else [])]


def _wrapped(label: str, parts: Sequence[str], width: int, mark: str) -> list[str]:
    """Parts with commas between them, on as many lines as they need; one too long is cut."""
    lines = [label.ljust(len(LABEL))]
    for at, part in enumerate(parts):
        comma = "," if at < len(parts) - 1 else ""
        fresh = lines[-1].endswith(" ")
        piece = cut(part, max(width - len(LABEL) - 1, 10), mark) + comma
        if fresh or columns_of(lines[-1]) + 1 + columns_of(piece) <= width:
            lines[-1] += piece if fresh else f" {piece}"
        else:
            lines.append(LABEL + piece)
    return lines
