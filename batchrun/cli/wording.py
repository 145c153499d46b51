"""How plans, batches and times are put into words. Pure: values in, text out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batchrun.cli.spelling import spelled
from batchrun.cli.telling import Whole
from batchrun.model import BatchSummary, Outcome
from batchrun.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from batchrun.plan import Plan
    from batchrun.report import Report

REASONS_SHOWN = 10
BATCHES_SHOWN = 3


def age_words(passed: timedelta) -> str:
    """A time in the one unit that matters, such as ``3 h``."""
    number, unit = duration(max(passed.total_seconds(), 0)).split()[:2]
    return f"{number} {unit}"


def counts(summary: BatchSummary, running_rows: int = 0) -> str:
    """A batch's outcomes in one line; those that don't occur are left out.

    Args:
        summary: The batch.
        running_rows: How many of the pending rows have been sent, where that is known.
    """
    parts = [f"{number:,} {outcome}" for outcome, number in summary.counts.items() if number]
    if running_rows:
        pending = f"{summary.counts[Outcome.PENDING]:,} {Outcome.PENDING}"
        parts[parts.index(pending)] += f" ({running_rows:,} of them running)"
    if summary.reused:
        completed = f"{summary.counts[Outcome.COMPLETED]:,} {Outcome.COMPLETED}"
        parts[parts.index(completed)] += f" ({summary.reused:,} of them reused)"
    return f"{summary.rows:,} ({', '.join(parts) or 'none'})"


def counts_in_short(summary: BatchSummary) -> str:
    """The same for a table: how many of the rows are completed, and what the others are."""
    others = [
        f"{number:,} {outcome}"
        for outcome, number in summary.counts.items()
        if number and outcome is not Outcome.COMPLETED
    ]
    return ", ".join([f"{summary.counts[Outcome.COMPLETED]:,}/{summary.rows:,}", *others])


def effort_lines(report: Report, running: int = 0) -> list[str]:
    """What a command took beside what was estimated of what it was let to do, and the batch.

    Args:
        report: How it ended.
        running: Rows whose execution hasn't ended; while there are any, their polls are still to
            come, and nothing is told of requests a row.
    """
    summary, estimate = report.summary, report.estimate
    unsent = summary.counts[Outcome.PENDING] + summary.counts[Outcome.INVALID] + summary.reused
    triggered = summary.rows - unsent
    per_row = ""
    if triggered > 0 and not running:
        per_row = f", {summary.requests / triggered:.2f} a row"
    is_all = report.requests == summary.requests
    now = (
        f"Requests:  {report.requests:,}{per_row if is_all else ''} "
        f"(estimated {estimate.requests:,}) in {duration(report.seconds)} "
        f"(estimated {duration(estimate.seconds)}), "
        f"{duration(report.quota_seconds)} of it waiting for the quota"
    )
    if is_all:
        return [now]
    worked = duration(summary.worked_seconds)
    return [now, f"In all:    {plural(summary.requests, 'request')}{per_row}, in {worked}"]


def plan_lines(
    plan: Plan,
    now: int | None = None,
    *,
    limited: bool = False,
    costs: Sequence[str] = (),
) -> list[str]:
    """A plan as `check` and `run` show it.

    Args:
        plan: The plan.
        now: How many of its jobs would be triggered now; ``None`` for all.
        limited: Whether it is --limit that leaves some of them for later.
        costs: What they cost, a line each.
    """
    now = plan.to_trigger if now is None else now
    source, invalid = plan.table.source, plan.invalid
    sheet = f", sheet {source.sheet}" if source.sheet else ""
    columns = [
        f"{role.name.lower()} id from column {plan.table.header[at] or at + 1!r}"
        for role, at in plan.roles.items()
    ]
    lines = [
        Whole(f"List:      {source.name}{sheet}"),
        *(f"           {spelled(notice)}" for notice in source.marked_notices),
        f"Workflow:  {plan.workflow.name} ({plan.workflow.id})",
        f"Columns:   {', '.join(columns)}",
        *(f"           {line}" for line in plan.id_lines()),
        f"Rows:      {len(plan.rows):,}, of them {len(invalid):,} invalid",
    ]
    lines += [f"           line {row.row.line}: {row.reason}" for row in invalid[:REASONS_SHOWN]]
    if len(invalid) > REASONS_SHOWN:
        lines.append(f"           … and {len(invalid) - REASONS_SHOWN:,} more")
    folded = plural(plan.duplicates, "duplicate row") + " folded in"
    part = ""
    if now < plan.to_trigger:
        part = f", now {now:,} of them ({'--limit' if limited else 'the others were sent before'})"
    lines.append(f"Jobs:      {plan.to_trigger:,} to trigger{part}, {folded}")
    lines += [f"           {line}" for line in known_lines(plan)]
    lines += costs
    if plan.first_body is not None:
        lines.append(f"First:     {plan.first_body}")
    return lines


def known_lines(plan: Plan) -> list[str]:
    """What earlier batches made of the same jobs, where that may save money."""
    lines = []
    if plan.reused:
        lines.append(f"{plural(len(plan.reused), 'result')} reused from earlier batches")
    ended = [
        job.finished_at
        for number, job in plan.known.items()
        if job.finished_at is not None and number not in plan.reused
    ]
    if ended:
        have = "has" if len(ended) == 1 else "have"
        lines.append(
            f"{len(ended):,} of them {have} a result from an earlier batch, the newest of "
            f"{max(ended):%Y-%m-%d}: --reuse 30d takes those of the last 30 days unpaid"
        )
    under_way = [job for job in plan.known.values() if job.outcome is not Outcome.COMPLETED]
    if under_way:
        are = "is" if len(under_way) == 1 else "are"
        batches = ", ".join(sorted({job.batch_id for job in under_way})[:BATCHES_SHOWN])
        lines.append(
            f"{len(under_way):,} of them {are} under way or in doubt in another batch ({batches}), "
            "and would be paid for twice"
        )
    return lines


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan for machines."""
    return {
        "list": plan.table.source.name,
        "sheet": plan.table.source.sheet,
        "notices": [spelled(notice) for notice in plan.table.source.marked_notices],
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
    """A batch for machines."""
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
