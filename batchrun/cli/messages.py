"""Format plans, batches and times as text. Pure."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import typer

from batchrun.advice import IN_TEXT_EDITOR, REUSE_AGE, run_corrected
from batchrun.cli.notifications import notice
from batchrun.cli.output import (
    LABEL,
    OutputMode,
    UnbrokenLine,
    cut,
    print_exact,
    print_lines,
    repeats_options,
    wrapped,
)
from batchrun.cli.signals import exit_codes
from batchrun.estimate import credit_amounts, credits_spent, price_of, rest_words, spent_words
from batchrun.model import BatchSummary, Outcome
from batchrun.text import as_displayed, columns_of, duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from batchrun.batch.history import BatchStatus
    from batchrun.batch.report import Report
    from batchrun.errors import ExitCode
    from batchrun.estimate import Estimate
    from batchrun.journal.journal import Journal
    from batchrun.list_rows import RowNumbers
    from batchrun.model import ResultRow, Workflow
    from batchrun.plan import Plan
    from batchrun.service.answers import Credits
    from batchrun.settings.model import Settings
    from batchrun.web.lists import Lists
    from batchrun.workbook import Form, UnknownColumn

    PilotResult: TypeAlias = tuple[str, ResultRow, list[tuple[str, str]]]

PILOT_JOBS = 5
REASONS_SHOWN = 5
LINES_NAMED = 5
IMPORTED_SHOWN = 100
ROWS_SHOWN = 5
LINES_PER_FIELD = 4
NAME_WIDTH = 18
COLUMNS_NAMED = 5
EXAMPLE_WIDTH = 40
BATCHES_SHOWN = 3


def age_words(passed: timedelta) -> str:
    """Return a time in its largest unit, such as ``3 h``."""
    number, unit = duration(max(passed.total_seconds(), 0)).split()[:2]
    return f"{number} {unit}"


def counts(summary: BatchSummary, running_rows: int = 0) -> str:
    """Return a batch's outcomes on one line, without those that don't occur.

    ``running_rows`` is how many of the pending rows have been sent; 0 if that is unknown.
    """
    parts = outcome_counts(summary.counts)
    for outcome, number, what in (
        (Outcome.PENDING, running_rows, "running"),
        (Outcome.COMPLETED, summary.reused, "reused"),
    ):
        if number:
            every = summary.counts[outcome]
            words = ", all" if number == every else f" including {number:,}"
            parts[parts.index(f"{every:,} {outcome}")] += f"{words} {what}"
    duplicates = summary.rows - summary.counts[Outcome.INVALID] - summary.jobs
    shared = f"; {plural(summary.jobs, 'job')} and {plural(duplicates, 'duplicate')}"
    shared = shared if duplicates > 0 and not summary.reused else ""
    return f"{summary.rows:,} ({', '.join(parts) or 'none'}){shared}"


def outcome_counts(counts: Mapping[Outcome, int], but: Collection[Outcome] = ()) -> list[str]:
    """Return the outcomes that occur, except those in ``but``, in the words of the plan."""
    return [f"{counts[one]:,} {one.words}" for one in Outcome if counts.get(one) and one not in but]


def batch_lines(batch: BatchStatus, limit: int | None, *, named: bool, asks: bool) -> list[str]:
    """Return the list, the workflow, the rows and the jobs of a batch that continues.

    A batch that the user has not ``named`` is the newest. If it ``asks``, rows in doubt come last.
    """
    summary, left = batch.summary, batch.left
    now = left.to_trigger if limit is None else min(limit, left.to_trigger)
    doubts = f"In doubt:  {plural(len(batch.in_doubt), 'row')}: decide after the others"
    return [
        UnbrokenLine(f"List:      {summary.source.name}{'' if named else ', the newest batch'}"),
        *(_changed_lines(summary) if now else []),
        f"Workflow:  {summary.workflow.name} ({summary.workflow.id})",
        f"Rows:      {counts(summary, left.running_rows)}",
        *([jobs_line(left.to_trigger, now)] if now else []),
        *([doubts] if asks and now and batch.in_doubt else []),
    ]


def _changed_lines(summary: BatchSummary) -> list[str]:
    """Return that the list's file has changed since the batch began, and how to run it as it is."""
    path, began = summary.source.path, summary.created_at
    if path is None:
        return []
    try:
        changed = Path(path).stat().st_mtime > began.timestamp()
    except (OSError, ValueError):
        return ["           The file is gone: its rows are sent as they were."]
    since = f"{began.astimezone():%Y-%m-%d %H:%M}"
    lines = [
        f"           The file has changed since {since}: its rows are sent as they were then.",
        UnbrokenLine(f"           To run it as it is now: {run_corrected(path, summary)}"),
    ]
    return lines if changed else []


def jobs_line(left: int, now: int, sent_before: str = "") -> str:
    """Return how many jobs are left to trigger, and how many of them now."""
    part = f", now {now:,} of them (--limit)" if now < left else ""
    return f"Jobs:      {left:,} to trigger{part}{sent_before}"


def resumes_line(batch: BatchStatus) -> str:
    """Return which batch of the list goes on, and its rows."""
    rows = counts(batch.summary, batch.left.running_rows)
    return f"Resumes:   batch {batch.summary.batch_id} of this list; rows: {rows}"


def counts_in_short(summary: BatchSummary) -> str:
    """Return a batch's outcomes for a table: completed rows of all rows, then the others."""
    completed = f"{summary.counts[Outcome.COMPLETED]:,}/{summary.rows:,}"
    return ", ".join([completed, *outcome_counts(summary.counts, {Outcome.COMPLETED})])


def effort_lines(report: Report, *, speed: float = 1.0) -> list[str]:
    """Return the requests and time of a command, its estimate, and those of the whole batch.

    Times are real time, in a sandbox too.
    """
    from batchrun import Ending

    summary, estimate = report.summary, report.estimate
    if not report.requests and not estimate.requests:
        return []  # there was nothing to do
    quota = f", {duration(report.quota_seconds / speed)} of it waiting for the quota"
    now = (
        f"Requests:  {report.requests:,} (estimated {estimate.requests:,}) "
        f"in {duration(report.seconds / speed)} (estimated {duration(estimate.seconds / speed)})"
        f"{'' if report.ending is Ending.UNREACHABLE else quota}"
    )
    if report.requests == summary.requests:
        return [now]
    worked = duration(summary.worked_seconds / speed)
    return [now, f"In all:    {plural(summary.requests, 'request')} in {worked}"]


def cost_lines_of(summary: BatchSummary, journal: Journal, settings: Settings) -> list[str]:
    """Return what a batch has cost so far, at the price last measured; none if it is unknown."""
    price = prices(settings.journal, summary.base_url).price(summary.workflow.id)
    if price is None:
        return []
    jobs = journal.accepted(summary.batch_id)
    cost = credit_amounts({name: each * jobs for name, each in price.items()})
    return [f"Cost:      about {cost} ({credit_amounts(price, bare=True)} a job)"] if jobs else []


def plan_lines(
    plan: Plan,
    now: int | None = None,
    left: int | None = None,
    *,
    costs: Sequence[str] = (),
    details: bool = False,
) -> list[str]:
    """Return a plan for `check` and `run`: how the list was read, then what a run costs.

    The facts for the decision come last, to be on the screen with the question. ``now`` is how many
    jobs would be triggered now, of those that are ``left``; ``None`` for all.
    """
    left = plan.to_trigger if left is None else left
    now = left if now is None else now
    source = plan.table.source
    sheet = f", sheet {source.sheet}" if source.sheet else ""
    header = f", header in line {source.header_line}" if source.header_line else ""
    lines = [
        UnbrokenLine(f"List:      {source.name}{sheet}{header}"),
        *(f"           {notice}" for notice in source.notices),
        f"Columns:   {plan.columns_line()}",
        *(f"           {line}" for line in plan.id_lines()),
        *_below("Sends:", parameter_lines(plan)),
    ]
    if details and plan.first_body is not None:
        lines.append(f"First:     {plan.first_body}")
    lines += _below("Not sent:", invalid_lines(plan, details=details))
    lines += [
        f"Workflow:  {plan.workflow.name} ({plan.workflow.id})",
        f"Rows:      {plan.rows_words(left)}",
    ]
    lines += [f"           {line}" for line in duplicate_lines(plan, details=details)]
    before = ""
    if sent := plan.to_trigger - left:
        before = f"; {sent:,} of the batch's {plan.to_trigger:,} were sent before"
    lines.append(jobs_line(left, now, before))
    lines += [f"           {hint}" for hint in plan.hints()]
    lines += [f"           {line}" for line in known_lines(plan)]
    return [*lines, *costs]


def _below(label: str, lines: Sequence[str]) -> list[str]:
    """Put a label before the first line, and indent the others to match."""
    labels = [label, *[""] * len(lines)]
    return [f"{name:{LABEL}}{line}" for name, line in zip(labels, lines, strict=False)]


def parameter_lines(plan: Plan) -> list[str]:
    """Return the values that each parameter sends: how many rows have one, and an example."""
    lines = []
    for name, column, values, lacking in plan.column_values():
        example = ""
        if values:
            code = dict(plan.table.source.formats).get(plan.parameters.columns[name], "")
            example = f", for example {one_line(str(as_displayed(values[0], code)), EXAMPLE_WIDTH)}"
        rows = f"{len(values):,} of {plural(len(values) + lacking, 'row')} that can be sent"
        others = " (the others are sent without it)" if lacking else ""
        lines.append(f"{name}: from {column}, {rows}{others}{example}")
    for name, value in plan.parameters.constant.items():
        if name not in plan.parameters.columns:
            text = json.dumps(value, ensure_ascii=False)
            lines.append(f"{name}: {one_line(text, EXAMPLE_WIDTH)}, every row")
    if lines:
        lines.append(
            "PG:AI doesn't list a workflow's parameters: ask your PG:AI administrator for the names"
        )
    return lines


def invalid_lines(plan: Plan, *, details: bool = False) -> list[str]:
    """Return why rows can't be sent: a line for each reason, or for each row."""
    from batchrun.list_rows import RowNumbers

    if not plan.invalid:
        return []
    at = RowNumbers.of_table(plan.table)
    if details:
        return [
            f"line {at.words(row.row.line)}: {row.reason}{row.shown and f': {row.shown}'}"
            for row in plan.invalid
        ]
    lines = []
    for reason, rows in plan.invalid_by_reason():
        numbers = ", ".join(at.words(row.row.line) for row in rows[:LINES_NAMED])
        more = ", …" if len(rows) > LINES_NAMED else ""
        example = ", such as " if len(rows) > 1 else ": "
        example = f"{example}{rows[0].shown}" if rows[0].shown else ""
        noun = "line" if len(rows) == 1 else "lines"
        lines.append(f"{plural(len(rows), 'row')}: {reason} ({noun} {numbers}{more}{example})")
    if len(lines) > REASONS_SHOWN:
        hidden = len(lines) - REASONS_SHOWN
        lines = [*lines[:REASONS_SHOWN], f"… and {plural(hidden, 'more reason')}"]
    return lines


def hides_invalid_rows(plan: Plan) -> bool:
    """Return whether `invalid_lines` leaves rows out without ``details``."""
    reasons = len(plan.invalid_by_reason())
    return len(plan.invalid) > reasons or reasons > REASONS_SHOWN


def duplicate_lines(plan: Plan, *, details: bool = False) -> list[str]:
    """Return the duplicates with a different name than the first row; if there are none, all."""
    from batchrun.list_rows import RowNumbers, duplicates, other_names

    if doubtful := other_names(plan):
        title, rows = _other_names_words(len(doubtful)), len(doubtful)
    elif plan.duplicates:
        shared = plural(plan.duplicates, "duplicate shares", "duplicates share")
        title, rows = f"{shared} the result of an earlier row:", plan.duplicates
    else:
        return []
    found = islice(doubtful or duplicates(plan), None if details else LINES_NAMED)
    lines = [title, *_other_names(found, RowNumbers.of_table(plan.table))]
    hidden = rows - len(lines) + 1
    more = [f"… and {hidden:,} more (to list them: check --details)"] if hidden else []
    return [*lines, *more]


def _other_names_words(rows: int) -> str:
    have = f"{plural(rows, 'row has', 'rows have')} a different name than an earlier row"
    return f"{have} with the same ID: is the ID right? If not, correct the list."


def _other_names(found: Iterable[tuple[int, str, int, str]], at: RowNumbers) -> list[str]:
    return [
        f"line {at.words(line)}, {name or 'no name'}: "
        f"same ID as line {at.words(first)}, {first_name or 'no name'}"
        for line, name, first, first_name in found
    ]


def import_lines(summary: BatchSummary, settings: Settings) -> list[str]:
    """Return what to know before results are imported into a CRM, which can't be undone."""
    from batchrun.batch.history import existing_journal, rows_in
    from batchrun.list_rows import RowNumbers, other_names_in

    left_out = summary.rows - summary.counts[Outcome.COMPLETED]
    lines = [f"Left out:  {plural(left_out, 'row')} not completed"] if left_out else []
    with existing_journal(settings.journal) as journal:
        with journal.results(summary.batch_id) as results:
            found = other_names_in(results)
        rows_of = partial(rows_in, journal, summary.batch_id)
        numbers = RowNumbers.of_batch(summary, rows_of) if found else None
    if numbers is not None:
        lines.append(f"Check:     {_other_names_words(len(found))}")
        more = _other_names(found[:IMPORTED_SHOWN], numbers)
        if (hidden := len(found) - len(more)) > 0:
            more.append(f"… and {hidden:,} more (see Needs attention in the workbook)")
        more.append("These lines are lines of your list. Find the record IDs there, and delete")
        more.append("the records with a wrong ID from the file before you import it.")
        lines += [f"           {each}" for each in more]
    return lines


def paid_before(plan: Plan) -> dict[int, datetime]:
    """Return the jobs that have a result of an earlier batch, and when those came."""
    return {
        number: job.finished_at
        for number, job in plan.known.items()
        if job.finished_at is not None and number not in plan.reused
    }


def question(plan: Plan, now: int, left: int, *, practice: bool) -> str:
    """Return the question before a run triggers ``now`` of the jobs that are ``left``."""
    words = f"Trigger {plural(now, 'job')} now?" if now else ""
    to_trigger = (number for number in range(len(plan.bodies)) if number not in plan.reused)
    if paid := len({*islice(to_trigger, now)} & paid_before(plan).keys()):  # none has been sent
        them = "it" if paid == 1 else "them"
        reuse = f"To reuse {them} instead, answer n and add --reuse {REUSE_AGE.days}d"
        late = "; you can't add it later" if now < left else ""
        have = "has" if paid == 1 else "have"
        known = f"{have} a result from an earlier batch"
        words = f"{paid_words(paid, now, known, practice=practice)} {reuse}{late}. {words}"
    return words


def paid_words(paid: int, jobs: int, known: str, *, practice: bool) -> str:
    """Return what is ``known`` of some of the jobs, and what sending them means."""
    them = "it" if paid == 1 else "them"
    again = f"send {them} again" if practice else f"pay for {them} again"
    return f"{paid:,} of {plural(jobs, 'job')} {known}, and you {again}."


def sent_elsewhere_words(
    sent: int, jobs: int, batch: BatchSummary, others: Iterable[str] = ()
) -> str:
    """Return that another batch has sent some of the jobs to send; ``others`` are such batches."""
    from batchrun.batch.history import sent_in_words
    from batchrun.settings.location import is_practice

    known = sent_in_words(sent, others)
    return paid_words(sent, jobs, known, practice=is_practice(batch.base_url))


def trigger_question(batch: BatchSummary, jobs: int, sent_elsewhere: str = "") -> str:
    """Return the question before jobs of a batch are sent."""
    question = f"Trigger {plural(jobs, 'job')} of {batch.source.name} now?"
    reuse = f"To pay once, answer n, then run the list with --reuse {REUSE_AGE.days}d."
    return f"{sent_elsewhere} {reuse} {question}" if sent_elsewhere else question


def known_lines(plan: Plan) -> list[str]:
    """Return what earlier batches know about the same jobs; reuse may save money."""
    lines = []
    if plan.reused:
        rows = plural(sum(row.job in plan.reused for row in plan.rows), "row")
        lines.append(f"{plural(len(plan.reused), 'result')} reused from earlier batches for {rows}")
    if ended := paid_before(plan):
        newest = max(ended.values())
        lines.append(
            f"{plural(len(ended), 'job has', 'jobs have')} a result from an earlier batch, "
            f"the newest from {newest:%Y-%m-%d}. To reuse those of the last "
            f"{REUSE_AGE.days} days for free, add --reuse {REUSE_AGE.days}d when you run the list: "
            "you can't add it later"
        )
    under_way = [job for job in plan.known.values() if job.outcome is not Outcome.COMPLETED]
    if under_way:
        batches = ", ".join(sorted({job.batch_id for job in under_way})[:BATCHES_SHOWN])
        lines.append(
            f"{plural(len(under_way), 'job is', 'jobs are')} under way or in doubt in another "
            f"batch ({batches}), and would be paid for twice. To pay once, finish that batch, then "
            f"run this list with --reuse {REUSE_AGE.days}d"
        )
    return lines


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON."""
    return {
        "list": plan.table.source.name,
        "sheet": plan.table.source.sheet,
        "notices": list(plan.table.source.notices),
        "workflow": {"id": plan.workflow.id, "name": plan.workflow.name},
        "columns": {role.value: plan.table.header[at] for role, at in plan.roles.items()},
        "ids": plan.id_lines(),
        "rows": len(plan.rows),
        "invalid": [{"line": row.row.line, "reason": row.reason} for row in plan.invalid],
        "duplicates": plan.duplicates,
        "jobs": len(plan.bodies),
        "reused": len(plan.reused),
        "to_trigger": plan.to_trigger,
        "known": known_lines(plan),
        "requests": plan.estimate.requests,
        "seconds": plan.estimate.seconds,
        "first_body": None if plan.first_body is None else json.loads(plan.first_body),
    }


def summary_json(summary: BatchSummary) -> dict[str, Any]:
    """Return a batch as JSON."""
    return {
        "batch": summary.batch_id,
        "list": summary.source.name,
        "list_path": summary.source.path,
        "workflow": {"id": summary.workflow.id, "name": summary.workflow.name},
        "created_at": summary.created_at.isoformat(),
        "updated_at": summary.updated_at.isoformat(),
        "rows": summary.rows,
        "reused": summary.reused,
        "outcomes": {outcome.value: summary.counts[outcome] for outcome in Outcome},
        "jobs": summary.jobs,
        "requests": summary.requests,
        "estimated_requests": summary.estimated_requests,
        "seconds": summary.worked_seconds,
        "estimated_seconds": summary.estimated_seconds,
        "quota_seconds": summary.quota_seconds,
        "unfinished": summary.unfinished,
        "output": summary.output,
        "note": summary.note,
    }


def clock_words(moment: datetime, now: datetime) -> str:
    """Return a moment in local time: ``14:20``, ``Thu 10:40``, ``3 Dec 10:40``."""
    local = moment.astimezone()
    days = (local.date() - now.astimezone().date()).days
    if not days:
        return f"{local:%H:%M}"
    return f"{local:%a %H:%M}" if 0 < days < 7 else f"{local.day} {local:%b %H:%M}"


def opens_words(moment: datetime, now: datetime) -> str:
    """Return when a spent quota opens, in local time."""
    return "now" if moment <= now else f"{clock_words(moment, now)} by your clock"


def clock_after(seconds: float, now: datetime, speed: float = 1.0) -> str:
    """Return the local time after some seconds of the service's time.

    A sandbox's time passes ``speed`` times as fast.
    """
    # Add in UTC, so that a change to or from summer time is taken into account.
    try:
        return clock_words(now.astimezone(UTC) + timedelta(seconds=seconds / speed), now)
    except (OverflowError, ValueError, OSError):  # beyond the calendar's last year
        return "a day far away"


def estimate_words(estimate: Estimate, now: datetime, speed: float = 1.0) -> str:
    """Return an estimate on one line."""
    rate = (
        "no rate limit"
        if math.isinf(estimate.requests_per_minute)
        else f"{plural(round(estimate.requests_per_minute), 'request')} a minute"
    )
    takes = duration(estimate.seconds / speed)
    words = f"about {plural(estimate.requests, 'request')}, {takes} at {rate}"
    if estimate.requests:
        words += f", done at {clock_after(estimate.seconds, now, speed)}"
    if speed != 1:
        words += f" (sandbox, {speed:g} times as fast)"
    if math.isfinite(estimate.daily_left):
        left = max(estimate.daily_left, 0)
        enough = "enough" if estimate.requests <= left else "not enough for today"
        words += f"; day quota {enough} ({left:,.0f} left)"
    return words


def cost_lines(
    estimate: Estimate,
    left: Credits | None,
    jobs: int,
    settings: Settings,
    workflow: Workflow,
    base_url: str,
    measure: str = "",
) -> list[str]:
    """Return what some jobs cost, in lines; none if there is nothing to request.

    ``measure`` is how to find out what a job costs, if that is not known.
    """
    if not estimate.requests:
        return []
    price, now = prices(settings.journal, base_url).price(workflow.id), datetime.now(UTC)
    lines = [f"Quota:     {estimate_words(estimate, now, settings.speed)}"]
    if words := pause_words(estimate, now, wait=settings.wait):
        lines.append(f"           {words}")
    if words := credits_words(left, jobs, price, practice=settings.speed != 1):
        lines.append(f"Credits:   {words}")
    if measure and price is None and jobs > PILOT_JOBS:
        label = "" if words else "Credits:"
        lines.append(f"{label:{LABEL}}to see what a job costs, {measure} first")
    return lines


def pilot_of(plan: Plan) -> str:
    """Return how to run the first jobs of a list."""
    reuse = f" --reuse {REUSE_AGE.days}d" if paid_before(plan) else ""
    return f"run with --limit {PILOT_JOBS}{reuse}"


def prices(journal: str, base_url: str) -> Lists:
    """Return where the price of a job at a service is kept, for the page, too."""
    from batchrun.web.lists import Lists, lists_folder

    return Lists(lists_folder(journal), base_url)


def pause_words(estimate: Estimate, now: datetime, *, wait: bool) -> str:
    """Return when a batch that exceeds today's quota continues; ``""`` if it fits."""
    if not estimate.midnights:
        return ""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    midnight = datetime.combine(tomorrow, time(), UTC)
    what = f"the day's quota is spent {plural(estimate.midnights, 'time')}; "
    opens = f"it resets at midnight UTC ({clock_words(midnight, now)} here)"
    how = "and is waited for" if wait else "and batchrun resume continues then (--wait waits)"
    return f"{what}{opens}, {how}"


def credits_words(
    credits_left: Credits | None,
    jobs: int,
    price: Mapping[str, float] | None = None,
    *,
    practice: bool = False,
) -> str:
    """Return the credits left, before some jobs are triggered; ``""`` if they are unknown.

    ``price`` is what a job cost when that was last measured.
    """
    if credits_left is None:
        return ""
    if credits_left.refused:
        return "not shown to this key (it lacks the scope org_settings:read)"
    if credits_left.remaining is None:
        return ""
    words = f"{credit_amounts(credits_left.remaining)} left{' (practice)' if practice else ''}"
    if jobs and price:
        cost = credit_amounts({name: each * jobs for name, each in price.items()})
        each_cost = f"{credit_amounts(price, bare=True)} a job last time"
        words += f"; about {cost} for {plural(jobs, 'job')} ({each_cost})"
    elif jobs:
        each = "the job" if jobs == 1 else f"each of the {jobs:,} jobs"
        words += f"; {each} costs credits"
    return words


# the first results


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
    """Return a pilot's results, their cost, and the estimated cost of the other jobs."""
    jobs = len(report.sent)
    counted = ", ".join(outcome_counts(Counter(row.outcome for row in rows)))
    lines = ["", *_results(shown, len(rows), width, mark)]
    lines.append(f"Pilot:     {plural(jobs, 'job')} for {plural(len(rows), 'row')}: {counted}")
    lines += practice_lines(report.summary)
    gone = credits_spent(before, report.credits)
    took = [f"{plural(report.requests, 'request')} ({report.requests / jobs:.1f} a job)"]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    if seconds:
        took.append(f"{duration(median(seconds) / speed)} a job")
    took.append(spent_words(gone, jobs))
    lines.append(f"It took:   {', '.join(filter(None, took))}")
    if report.rest is not None:
        rest = [
            f"{plural(report.to_trigger, 'job')}: about {plural(report.rest.requests, 'request')}",
            duration(report.rest.seconds / speed),
            f"done at {clock_after(report.rest.seconds, now, speed)}",
            rest_words(price_of(before, report.credits, jobs), report.to_trigger, report.credits),
        ]
        lines.append(f"The rest:  {', '.join(filter(None, rest))}")
    return lines


def practice_lines(batch: BatchSummary) -> list[str]:
    """Return that a batch's results are invented, if they are."""
    from batchrun.settings.location import is_practice

    practice = batch.practice or is_practice(batch.base_url)
    return ["Practice:  these results are invented."] if practice else []


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
            lines += field_lines(title, text, width, mark)
        lines.append("")
    hidden = rows - len(shown[:ROWS_SHOWN])
    if hidden > 0:
        lines += [f"… and {plural(hidden, 'more row')} in the workbook", ""]
    return lines


def field_lines(name: str, text: str, width: int, mark: str) -> list[str]:
    """Return a name and its text, wrapped beside it; a long text is cut after some lines."""
    label = "  " + one_line(name, NAME_WIDTH, mark)
    label += " " * (NAME_WIDTH + 4 - columns_of(label))
    room = max(width - len(label), 20)
    lines = [
        line
        for paragraph in text.split("\n")
        for words in wrapped(one_line(paragraph, room * LINES_PER_FIELD, mark), room, 0).split("\n")
        for line in cut(words, room)
    ]
    if len(lines) > LINES_PER_FIELD:
        last = one_line(lines[LINES_PER_FIELD - 1], room - 2, mark).removesuffix(mark)
        lines = [*lines[: LINES_PER_FIELD - 1], f"{last} {mark}"]
    return [(label if not at else " " * len(label)) + line for at, line in enumerate(lines)]


def columns_of_the_list(form: Form | None, header: Sequence[str]) -> list[str]:
    """Return a note, shown before the question, about names that are columns of the list.

    Only the list's columns are known now: the result fields are unknown until the first result.
    """
    asked = () if form is None else (*(form.columns or ()), *form.rename)
    return _of_the_list([name for name in dict.fromkeys(asked) if name in header])


def _of_the_list(own: Sequence[str]) -> list[str]:
    are = "is a column" if len(own) == 1 else "are columns"
    named = ", ".join(own[:COLUMNS_NAMED])
    note = f"{named} {are} of the list and always kept unchanged; "
    note += "--columns and --rename apply only to columns of the results"
    return [f"Note:      {note}"] if own else []


def unknown_to_results(found: Sequence[UnknownColumn]) -> list[str]:
    """Return notes about names in a form that no result has."""
    lines = _of_the_list([one.name for one in found if one.of_list])
    for one in [each for each in found if not each.of_list][:COLUMNS_NAMED]:
        meant = f" Did you mean {one.close}?" if one.close else ""
        lines.append(f"Note:      No result has {one.name}.{meant}")
    return lines


class BatchExit(typer.Exit):
    """Ends the command with the exit code of its batch."""

    def __init__(self, report: Report, *, stopped: bool) -> None:
        super().__init__(report.exit_code)
        self.ending = report.ending
        self.stopped = stopped


def end(report: Report, settings: Settings, mode: OutputMode, *, stopped: bool) -> NoReturn:
    """Print how a batch ended, and end the command. The last line is the workbook's path.

    Raises:
        BatchExit: Always.
    """

    def lines() -> Iterator[str]:
        yield ""
        yield from _lines(report, settings)
        if report.output is not None:
            yield UnbrokenLine(f"Workbook:  {report.output}")
            yield from more_files(report.output)

    output = None if report.output is None else str(report.output)
    print_ending(report.summary, report.exit_code, output, lines(), mode, report.resume_at)
    exit_codes.append(report.exit_code)
    raise BatchExit(report, stopped=stopped)


def print_ending(
    summary: BatchSummary,
    code: ExitCode,
    output: str | None,
    lines: Iterable[str],
    mode: OutputMode,
    resume_at: datetime | None = None,
) -> None:
    """Print how a command ended: as JSON, as the path of the results alone, or in lines."""
    if mode.as_json:
        opens = None if resume_at is None else resume_at.isoformat()
        ending = {"exit_code": int(code), "resume_at": opens}
        print_exact(json.dumps(summary_json(summary) | ending))
    elif not mode.quiet:
        print_lines(lines)
    elif output is not None:
        print_exact(output)


def more_files(written: Path) -> list[str]:
    """Return a line about the other files a workbook was split into; nothing if there are none."""
    from batchrun.workbook import other_parts

    parts = other_parts(written)
    if not parts:
        return []
    last = f" to {parts[-1].name}" if len(parts) > 1 else ""
    return [f"The rows are in {len(parts) + 1} files: also {parts[0].name}{last}."]


def _lines(report: Report, settings: Settings) -> list[str]:
    from batchrun import Ending
    from batchrun.batch.history import existing_journal, unknown_in

    summary = report.summary
    if report.ending is Ending.DETACHED:
        return [
            f"Batch:     {summary.batch_id} continues without this command",
            UnbrokenLine(f"Watch:     batchrun status {summary.batch_id} --watch"),
            UnbrokenLine(f"Stop:      batchrun stop {summary.batch_id}"),
        ]
    with existing_journal(settings.journal) as journal:
        left = journal.remaining(summary.batch_id)
        costs = cost_lines_of(summary, journal, settings)
        unknown = unknown_to_results(unknown_in(journal, summary.batch_id))
        attention = attention_lines(summary, journal, settings)
    lines = [
        f"Batch:     {summary.batch_id}",
        f"Rows:      {counts(summary, left.running_rows)}",
        *effort_lines(report, speed=settings.speed),
        *costs,
    ]
    if left.running:
        lines.append(running_line(left.running, working=False))
    if summary.note:
        lines.append(f"Note:      {summary.note}")
    lines += unknown
    if report.resume_at is not None:
        lines.append(f"Opens:     {opens_words(report.resume_at, datetime.now(UTC))}")
    if why := reason_for_number(report):
        lines.append(f"Note:      {why}")
    lines += [*next_lines(summary), *attention]
    if repeats_options("status"):
        lines.append(UnbrokenLine(f"Status:    batchrun status {summary.batch_id}"))
    return lines


def attention_lines(summary: BatchSummary, journal: Journal, settings: Settings) -> list[str]:
    """Return why rows of a batch need attention, and what to do.

    Rows without a result only count once the batch is finished.
    """
    from batchrun.list_rows import COMPARED_ROWS, other_names_in

    lines: list[str] = []
    if summary.rows <= COMPARED_ROWS:
        with journal.results(summary.batch_id) as results:
            if found := other_names_in(results):
                words = _other_names_words(len(found))
                lines.append(f"Check:     {words} See Needs attention in the workbook")
    return lines + reason_lines(summary, journal, settings)


def reason_lines(summary: BatchSummary, journal: Journal, settings: Settings) -> list[str]:
    """Return why rows of a finished batch have no result, and the command for each kind."""
    from batchrun.batch.history import rows_in
    from batchrun.model import RETRIED_BY_ITSELF
    from batchrun.web.lists import lists_folder
    from batchrun.workbook.reasons import Reasons, list_name, remedy

    file, path = list_name(summary), summary.source.path
    uploaded = path and Path(path).is_relative_to(lists_folder(settings.journal))
    if path and not uploaded and Path(file).absolute() != Path(path):
        file = path
    lines: list[str] = []
    for outcomes, step in (
        ({Outcome.IN_DOUBT}, f"Settle:    batchrun resume {summary.batch_id}"),
        (RETRIED_BY_ITSELF, f"Retry:     batchrun retry {summary.batch_id}"),
        ({Outcome.INVALID}, f"Correct:   change the list, then: {run_corrected(file, summary)}"),
    ):
        if summary.unfinished or not any(summary.counts[each] for each in outcomes):
            continue
        reasons = Reasons()
        page = rows_in(journal, summary.batch_id, outcomes, limit=_MAX_REASONED)
        for row in page.rows:
            if not row.dropped:
                reasons.see(row)
        least = "at least " if len(page.rows) == _MAX_REASONED else ""
        ranked = reasons.ranked()
        for each in ranked[:REASONS_SHOWN]:
            why = one_line(each.text, 300).removesuffix(".")
            what = remedy(each.first, page.roles, summary)
            lines.append(f"Reason:    {least}{plural(each.rows, 'row')}: {why}. {what}")
        if hidden := len(ranked[REASONS_SHOWN:]):
            lines.append(f"           … and {plural(hidden, 'more reason')}")
        if ranked:
            if Outcome.INVALID in outcomes and summary.source.format == "csv":
                lines[-1] += f" Change the list{IN_TEXT_EDITOR}."
            lines.append(UnbrokenLine(step))
    return lines


_MAX_REASONED = 1_000


def own_output(summary: BatchSummary) -> str | None:
    """Return the path of a batch's results; ``None`` if another batch has replaced them."""
    from batchrun import Rerun
    from batchrun.batch.export import is_as_written

    written = summary.output
    if written is None or is_as_written(Path(written), summary.batch_id):
        return written  # without reading it, which takes a process of its own
    return written if Rerun.batch_of(written) in {None, summary.batch_id} else None


def workbook_lines(summary: BatchSummary) -> list[str]:
    """Return where a batch's results are, or how to write them again."""
    if written := own_output(summary):
        return [UnbrokenLine(f"Workbook:  {written}")]
    if summary.output is None:
        return []
    export = f"batchrun export {summary.batch_id} -o OUT.xlsx"
    return [UnbrokenLine(f"Workbook:  replaced by a later batch. To write it again: {export}")]


def running_line(jobs: int, more: str = "", *, working: bool) -> str:
    """Return how many jobs of a batch are running at the service; ``more`` follows the number.

    If no process is ``working``, their rows count as pending although they are sent.
    """
    line = f"Running:   {plural(jobs, 'job')}{more}"
    return line if working else f"{line}; resuming fetches the results without paying again"


def next_lines(summary: BatchSummary) -> list[str]:
    """Return the command that continues a batch, if it is unfinished."""
    if not summary.unfinished:
        return []
    waits = [] if summary.confirmed else ["The rest:  waits until you resume it"]
    return [*waits, UnbrokenLine(f"Resume:    batchrun resume {summary.batch_id}")]


def unfinished_lines(unfinished: Sequence[BatchSummary]) -> list[str]:
    """Return how to continue the other batches of a journal that have work left."""
    are = plural(len(unfinished), "other batch is", "other batches are")
    how = "list them: batchrun batches"
    if len(unfinished) == 1:
        how = f"continue it: batchrun resume {unfinished[0].batch_id}"
    return [f"{are} unfinished. To {how}"] if unfinished else []


def reason_for_number(report: Report) -> str:
    """Return why the workbook has a number in its name; ``""`` if it has none, or had it before."""
    from batchrun import Rerun

    path = report.output
    if report.held_open is not None:
        degraded = path is not None and path.suffix != report.held_open.suffix
        why = "could not be laid out" if degraded else "is open in another program"
        return f"{report.held_open.name} {why}, so the results are in another file beside it."
    numbered = None if path is None else re.fullmatch(r"(.+) \(\d+\)", path.stem)
    if path is None or numbered is None:
        return ""
    usual, batch_id = path.with_stem(numbered[1]), report.summary.batch_id
    told_before = report.requests < report.summary.requests and Rerun.batch_of(usual) != batch_id
    return "" if told_before or not usual.exists() else kept_words(usual, path, batch_id)


def kept_words(usual: Path, written: Path, batch_id: str) -> str:
    """Return why a file was kept, and which new file has the results of a batch."""
    from batchrun import Rerun
    from batchrun.workbook import is_open

    other = Rerun.batch_of(usual)
    if is_open(usual):
        why = "is open in another program"
    elif other == batch_id:
        why = "has changed since batchrun wrote it"
    else:
        results = f"contains the results of another batch ({other})"
        why = "already existed" if other is None else results
    return f"{usual.name} {why}, so it was kept. These results are in {written.name}."


def notice_of(report: Report) -> dict[str, str]:
    """Return the notification for a batch that ended or paused."""
    summary = report.summary
    note = f"; {summary.note}" if summary.note else ""
    message = f"{summary.source.name}: rows {counts(summary)}{note}"
    return notice(summary.batch_id, report.exit_code, message, str(report.output or ""))
