"""Commands about the journal's batches: `batches`, `status`, `export`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchrun.cli.forms import (
    Columns,
    CsvPlain,
    FlatDepth,
    ForCrm,
    LayoutFile,
    Rename,
    form_from,
)
from batchrun.cli.lists import configuration_of
from batchrun.cli.options import (
    AsJson,
    Batch,
    JournalAt,
    journal_path,
    settings_from,
    settings_with_journal,
)
from batchrun.errors import UsageError
from batchrun.model import Outcome

if TYPE_CHECKING:
    from batchrun.model import BatchSummary
    from batchrun.settings import Settings


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(export)
    app.command()(status)
    app.command("batches")(list_batches)


def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to: .xlsx, .csv, .jsonl, .parquet.")
    ],
    batch: Batch = None,
    columns: Columns = None,
    rename: Rename = None,
    flat_depth: FlatDepth = None,
    layout: LayoutFile = None,
    csv_plain: CsvPlain = False,
    crm: ForCrm = None,
    journal: JournalAt = None,
) -> None:
    """Write a batch's results as they stand, also while it runs."""
    from batchrun.batch import export as export_batch
    from batchrun.journal import Journal

    if crm is not None and output.suffix.lower() != ".csv":
        raise UsageError(f"--crm writes a CSV, and {output} is none.", "End the output in .csv.")
    settings = settings_with_journal(journal=journal)
    with Journal(settings.journal) as opened:
        summary = opened.resolve(batch)
    form = form_from(
        columns,
        rename,
        flat_depth,
        layout,
        csv_plain=csv_plain,
        crm=crm,
        defaults=configuration_of(summary).defaults,
    )
    written = export_batch(summary.batch_id, output, settings, form)
    typer.echo(f"Results of batch {summary.batch_id}: {written}")
    if crm is not None:
        _tell_left_out(summary)


def _tell_left_out(summary: BatchSummary) -> None:
    from batchrun.cli.wording import plural

    left_out = summary.rows - summary.counts[Outcome.COMPLETED]
    if left_out:
        typer.echo(f"Left out: {plural(left_out, 'row')} not completed")


def status(batch: Batch = None, journal: JournalAt = None, as_json: AsJson = False) -> None:
    """Show where a batch stands."""
    from batchrun.cli.wording import counts, duration, plural, summary_json
    from batchrun.journal import Journal, standing

    with Journal(settings_with_journal(journal=journal).journal) as opened:
        summary = opened.resolve(batch)
        holder = opened.holder(summary.batch_id)
        rescued = opened.rescued(summary.batch_id)
        left = standing(opened, summary.batch_id)
    now = datetime.now(UTC)
    if as_json:
        more = {
            "working": None if holder is None or holder.silent(now) else holder.words(),
            "rescue_files": [str(path) for path in rescued],
        }
        typer.echo(json.dumps(summary_json(summary) | more))
        return

    def ago(moment: datetime) -> str:
        # A sandbox that is faster than the clock tells of times that are still to come.
        return f"{duration(max((now - moment).total_seconds(), 0))} ago"

    typer.echo(f"Batch:     {summary.batch_id}, planned {ago(summary.created_at)}")
    typer.echo(f"List:      {summary.source.name}")
    typer.echo(f"Workflow:  {summary.workflow.name} ({summary.workflow.id})")
    typer.echo(f"Rows:      {counts(summary, left.running_rows)}")
    typer.echo(f"Requests:  {summary.requests:,}, the last {ago(summary.updated_at)}")
    if left.oldest is not None:
        executions = plural(left.running, "execution")
        typer.echo(f"Running:   {executions}, the oldest triggered {ago(left.oldest)}")
    if holder is not None:
        typer.echo(f"Worked on: {holder.words()}; last heard of {ago(holder.beat_at)}")
    for path in rescued:
        typer.echo(f"Rescued:   results wait in {path}; batchrun resume takes them in")
    if summary.note:
        typer.echo(f"Note:      {summary.note}")
    if summary.output:
        typer.echo(f"Workbook:  {summary.output}")
    if summary.unfinished:
        typer.echo(f"Go on:     batchrun resume {summary.batch_id}")
    elif summary.counts[Outcome.IN_DOUBT]:
        typer.echo(f"Settle:    batchrun resume {summary.batch_id} --in-doubt retry|drop")


def list_batches(journal: JournalAt = None, as_json: AsJson = False) -> None:
    """List all batches, newest first."""
    from batchrun.cli.wording import counts, summary_json
    from batchrun.journal import Journal

    found: list[BatchSummary] = []
    if not _never_used(settings_from(journal=journal)):
        with Journal(settings_with_journal(journal=journal).journal) as opened:
            found = opened.batches()
    if as_json:
        typer.echo(json.dumps([summary_json(summary) for summary in found]))
        return
    for summary in found:
        typer.echo(f"{summary.batch_id}  {summary.workflow.name}  rows: {counts(summary)}")
    if not found:
        typer.echo("No batches yet. Start one with: batchrun run FILE -w WORKFLOW")


def _never_used(settings: Settings) -> bool:
    """Whether nothing has been run here yet: no journal was named, and its place is empty."""
    path = journal_path(settings)
    named = "journal" in settings.model_fields_set
    return not named and path is not None and not path.exists()
