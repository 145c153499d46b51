"""Format the first results for a person to judge. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from batchrun.cli.messages import clock_after, rest_words, spent, spent_words
from batchrun.cli.output import wrapped
from batchrun.model import Outcome
from batchrun.text import columns_of, duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from batchrun.batch.report import Report
    from batchrun.model import ResultRow
    from batchrun.service import Credits

    PilotResult: TypeAlias = tuple[str, ResultRow, list[tuple[str, str]]]

ROWS_SHOWN = 5
LINES_PER_FIELD = 4
NAME_WIDTH = 18


def pilot_lines(
    report: Report,
    rows: Sequence[ResultRow],
    shown: Sequence[PilotResult],
    before: Credits | None,
    width: int,
    now: datetime,
    *,
    speed: float = 1.0,
    mark: str = "…",
) -> list[str]:
    """Return a pilot's results, their cost, and the estimated cost of the other jobs.

    Args:
        report: The report of the pilot.
        rows: Its rows.
        shown: Their results, one for each execution: name of the row, row, fields.
        before: The credits before the pilot.
        width: Columns of the terminal.
        now: The present moment, aware.
        speed: Simulated seconds per real second, for a sandbox.
        mark: The mark for shortened text.
    """
    jobs = len(report.sent)
    outcomes = Counter(row.outcome for row in rows)
    counted = ", ".join(f"{outcomes[one]:,} {one}" for one in Outcome if outcomes[one])
    lines = ["", *_results(shown, len(rows), width, mark)]
    lines.append(f"Pilot:     {plural(jobs, 'job')}; rows: {counted}")
    gone = spent(before, report.credits)
    cost = [f"{plural(report.requests, 'request')} ({report.requests / jobs:.1f} a job)"]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    if seconds:
        cost.append(f"{duration(median(seconds) / speed)} an execution")
    cost.append(spent_words(gone, jobs))
    lines.append(f"It cost:   {', '.join(filter(None, cost))}")
    if report.rest is not None:
        rest = [
            f"{plural(report.to_trigger, 'job')}: about {plural(report.rest.requests, 'request')}",
            duration(report.rest.seconds / speed),
            f"done at {clock_after(report.rest.seconds, now, speed)}",
            rest_words(gone, jobs, report.to_trigger, report.credits),
        ]
        lines.append(f"The rest:  {', '.join(filter(None, rest))}")
    return lines


def with_its_rest(pilot: Report, rest: Report) -> Report:
    """Combine the reports of a pilot and of its rest: the effort and cost of both."""
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


def _results(shown: Sequence[PilotResult], rows: int, width: int, mark: str) -> list[str]:
    """Return the first rows, each with its fields below it."""
    lines = []
    for name, row, fields in shown[:ROWS_SHOWN]:
        lines.append(one_line(f"{name}: {row.outcome}", width, mark))
        reason = [("Reason", row.message)] if row.message else []  # why it has no result
        for title, text in [*reason, *fields]:
            lines += _field(title, text, width, mark)
        lines.append("")
    hidden = rows - len(shown[:ROWS_SHOWN])
    if hidden > 0:
        lines += [f"… and {plural(hidden, 'more row')} in the workbook", ""]
    return lines


def _field(name: str, text: str, width: int, mark: str) -> list[str]:
    """Return a name and its text, wrapped beside it; a long text is cut after some lines."""
    label = "  " + one_line(name, NAME_WIDTH, mark)
    label += " " * (NAME_WIDTH + 4 - columns_of(label))
    room = max(width - len(label), 20)
    lines = [
        line
        for paragraph in text.split("\n")
        for line in wrapped(one_line(paragraph, room * LINES_PER_FIELD, mark), room, 0).split("\n")
    ]
    if len(lines) > LINES_PER_FIELD:
        last = one_line(lines[LINES_PER_FIELD - 1], room - 2, mark).removesuffix(mark)
        lines = [*lines[: LINES_PER_FIELD - 1], f"{last} {mark}"]
    return [(label if not at else " " * len(label)) + line for at, line in enumerate(lines)]
