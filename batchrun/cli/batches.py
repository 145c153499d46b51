"""Commands about the journal's batches: `batches`, `status`, `export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batchrun.cli.columns import unknown_to_results
from batchrun.cli.forms import ColumnOptions, ForCrm, form_from
from batchrun.cli.grouping import spread
from batchrun.cli.lists import configuration_of
from batchrun.cli.options import (
    AsJson,
    Batch,
    JournalAt,
    PlayJournal,
    sandbox_words,
    settings_to_look,
    settings_with_journal,
)
from batchrun.cli.stopping import SANDBOX_GONE
from batchrun.cli.telling import Whole, tell, tell_all, tell_as_it_is
from batchrun.errors import UsageError
from batchrun.model import Outcome

if TYPE_CHECKING:
    from batchrun import BatchStatus
    from batchrun.model import BatchSummary


LEAST = 14
"""What a name in the table of batches may be cut to."""


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(spread(export))
    app.command()(status)
    app.command("batches")(list_batches)


def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to: .xlsx, .csv, .jsonl, .parquet.")
    ],
    *,
    batch: Batch = None,
    columns: ColumnOptions,
    crm: ForCrm = None,
    journal: JournalAt = None,
    sandbox: PlayJournal = False,
) -> None:
    """Write a batch's results as they stand, also while it runs."""
    from batchrun import export as export_batch
    from batchrun import status as status_of

    if crm is not None and output.suffix.lower() != ".csv":
        raise UsageError(f"--crm writes a CSV, and {output} is none.", "End the output in .csv.")
    settings = settings_with_journal(sandbox=sandbox, journal=journal)
    summary = status_of(batch, settings=settings).summary
    form = form_from(columns, crm=crm, defaults=configuration_of(summary).defaults)
    written = export_batch(summary.batch_id, output, settings, form)
    tell_all(unknown_to_results(summary.batch_id, form, settings), err=True)
    tell(f"Results of batch {summary.batch_id}: {written}", whole=[str(written)])
    if crm is not None:
        _tell_left_out(summary)


def _tell_left_out(summary: BatchSummary) -> None:
    from batchrun.words import plural

    left_out = summary.rows - summary.counts[Outcome.COMPLETED]
    if left_out:
        tell(f"Left out: {plural(left_out, 'row')} not completed")


def status(
    batch: Batch = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again each second until the batch stands still.")
    ] = False,
    journal: JournalAt = None,
    sandbox: PlayJournal = False,
    as_json: AsJson = False,
) -> None:
    """Show where a batch stands."""
    from batchrun import status as status_of
    from batchrun import watch as looks_at
    from batchrun.cli.closing import named_journal

    if watch and as_json:
        raise UsageError("--watch and --json exclude each other.", "Give one.")
    settings = settings_with_journal(sandbox=sandbox, journal=journal)
    where = named_journal(settings, journal, sandbox=sandbox)
    if as_json:
        tell_as_it_is(json.dumps(_status_json(status_of(batch, settings=settings))))
    elif watch:
        from batchrun.cli.watching import watch as watch_it

        watch_it(_lines_of(each, where) for each in looks_at(batch, settings=settings))
    else:
        tell_all(_lines_of(status_of(batch, settings=settings), where))


def _status_json(stands: BatchStatus) -> dict[str, Any]:
    from batchrun.cli.wording import summary_json

    holder = stands.holder if stands.working else None
    return summary_json(stands.summary) | {
        "working": None if holder is None else holder.words(),
        "rescue_files": [str(path) for path in stands.rescued],
    }


def _lines_of(stands: BatchStatus, where: str) -> list[str]:
    """Where a batch stands, in lines; and by which option `resume` finds it."""
    from batchrun.cli.closing import IN_SANDBOX
    from batchrun.cli.costs import opens_words
    from batchrun.cli.wording import counts
    from batchrun.words import duration, plural

    summary, left, holder = stands.summary, stands.left, stands.holder
    now = datetime.now(UTC)

    def ago(moment: datetime) -> str:
        # A sandbox that is faster than the clock tells of times that are still to come.
        return f"{duration(max((now - moment).total_seconds(), 0))} ago"

    lines = [
        f"Batch:     {summary.batch_id}, planned {ago(summary.created_at)}",
        Whole(f"List:      {summary.source.name}"),
        f"Workflow:  {summary.workflow.name} ({summary.workflow.id})",
        f"Rows:      {counts(summary, left.running_rows)}",
        f"Requests:  {summary.requests:,}, the last {ago(summary.updated_at)}",
    ]
    if left.oldest is not None:
        executions = plural(left.running, "execution")
        lines.append(f"Running:   {executions}, the oldest triggered {ago(left.oldest)}")
    if holder is not None:
        lines.append(f"Worked on: {holder.words()}; last heard of {ago(holder.beat_at)}")
    lines += [
        f"Rescued:   results wait in {path}; batchrun resume takes them in"
        for path in stands.rescued
    ]
    if summary.note:
        lines.append(f"Note:      {summary.note}")
    if stands.opens_at is not None:
        lines.append(f"Opens:     {opens_words(stands.opens_at, now)}")
    if summary.output:
        lines.append(Whole(f"Workbook:  {summary.output}"))
    played = where == IN_SANDBOX
    if summary.unfinished and not stands.working:
        resume = Whole(f"Go on:     batchrun resume {summary.batch_id}{where}")
        lines.append(f"Go on:     {SANDBOX_GONE}" if played else resume)
    elif summary.counts[Outcome.IN_DOUBT] and not summary.unfinished and not played:
        lines.append(
            Whole(f"Settle:    batchrun resume {summary.batch_id} --in-doubt retry|drop{where}")
        )
    return lines


def list_batches(
    journal: JournalAt = None, sandbox: PlayJournal = False, as_json: AsJson = False
) -> None:
    """List all batches, newest first."""
    from batchrun import batches
    from batchrun.cli.wording import summary_json

    found = batches(settings=settings_to_look(sandbox=sandbox, journal=journal))
    if as_json:
        tell_as_it_is(json.dumps([summary_json(summary) for summary in found]))
    elif found:
        tell_all(_listed(found))
    else:
        tell("No batches yet. Start one with: batchrun run FILE -w WORKFLOW")
        if not sandbox and (elsewhere := sandbox_words()):
            tell(elsewhere)


def _listed(found: Sequence[BatchSummary]) -> list[str]:
    """Batches as a table on a terminal, else a line each with all of it."""
    from batchrun.cli.terminal import is_screen, mark_of, room_of, table
    from batchrun.cli.wording import age_words, counts, counts_in_short

    now = datetime.now(UTC)
    if not is_screen(sys.stdout):
        return [
            f"{one.batch_id}  {one.workflow.name}  rows: {counts(one)}  "
            f"worked on {age_words(now - one.updated_at)} ago  "
            f"list: {one.source.path or one.source.name}"
            + (f"  workbook: {one.output}" if one.output else "")
            for one in found
        ]
    header = ["batch", "age", "rows", "workflow", "list", "workbook"]
    rows = [
        [
            one.batch_id,
            age_words(now - one.updated_at),
            counts_in_short(one),
            one.workflow.name,
            one.source.name,
            one.output or "",
        ]
        for one in found
    ]
    workbook = header.index("workbook")
    names = [len(Path(one.output).name) + 1 for one in found if one.output]
    lines, left_out = table(
        header,
        rows,
        room_of(sys.stdout),
        mark_of(sys.stdout),
        whole={0, 1, 2},
        paths={workbook},
        least={3: LEAST, 4: LEAST, workbook: max(names, default=0)},  # the name of each is whole
    )
    if left_out:
        lines += [
            "",
            f"Left out for want of room: {', '.join(left_out)}. See: batchrun status BATCH",
        ]
    return lines
