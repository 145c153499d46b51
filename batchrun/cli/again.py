"""`batchrun run RESULTS.xlsx`: send the rows again that somebody has marked in Excel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from batchrun.cli.attending import go_on
from batchrun.cli.deciding import about_doubts
from batchrun.errors import ExitCode, UsageError
from batchrun.model import InDoubt

if TYPE_CHECKING:
    from batchrun.rerun import Rerun
    from batchrun.settings import Settings
    from batchrun.workbook import Form


def is_given_back(file: Path) -> bool:
    """Whether batchrun wrote this file, and is given it back."""
    if file.suffix.lower() != ".xlsx":
        return False
    from batchrun.workbook.marks import batch_of_workbook

    return batch_of_workbook(file) is not None


def run_marked(
    file: Path,
    settings: Settings,
    workflow: str | None,
    output: Path | None,
    limit: int | None,
    form: Form,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Send the marked rows again; all others stay as they are."""
    from batchrun.journal import Journal
    from batchrun.rerun import find_rerun

    with Journal(settings.journal) as journal:
        marked = find_rerun(file, journal)
    assert marked is not None  # the caller has looked
    _same_workflow(marked, workflow)
    if not _agreed(marked, yes=yes, to_stderr=as_json):
        typer.echo("Nothing was triggered.", err=as_json)
        raise typer.Exit(ExitCode.COMPLETED)
    go_on(
        marked.summary.batch_id,
        settings,
        output=output or marked.output,
        limit=limit,
        again=marked.jobs,
        decide=about_doubts(InDoubt.HOLD),
        form=form,
        as_json=as_json,
    )


def _same_workflow(marked: Rerun, workflow: str | None) -> None:
    known = marked.summary.workflow
    if workflow is not None and workflow.casefold() not in {
        known.id.casefold(),
        known.name.casefold(),
    }:
        raise UsageError(
            f"The workbook holds results of {known.name}, not of {workflow}.",
            "Leave -w out to run its marked rows again, or run the list itself.",
        )


def _agreed(marked: Rerun, *, yes: bool, to_stderr: bool) -> bool:
    from batchrun.cli.wording import plural

    summary = marked.summary
    typer.echo(
        f"Going on:  batch {summary.batch_id}; {plural(marked.rows, 'marked row')}, "
        f"{plural(len(marked.jobs), 'job')} to trigger again with {summary.workflow.name}",
        err=to_stderr,
    )
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nobody is here to confirm the run.", "Add --yes to run it unasked.")
    return typer.confirm("Trigger them, and pay again?", err=to_stderr)
