"""`batchrun run RESULTS.xlsx`: send the rows again that somebody has marked in Excel."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from batchrun.cli.asking import agreed, beside_question
from batchrun.cli.attending import Manner, go_on
from batchrun.cli.deciding import about_doubts
from batchrun.cli.lists import tell_whose_key
from batchrun.cli.telling import Whole, tell, tell_as_it_is
from batchrun.errors import ExitCode, NotConfirmedError, UsageError
from batchrun.model import InDoubt, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.model import BatchSummary
    from batchrun.rerun import Rerun
    from batchrun.settings import Settings
    from batchrun.workbook import Form


def is_given_back(file: Path) -> bool:
    """Whether batchrun wrote this file, and is given it back."""
    from batchrun import Rerun

    return Rerun.batch_of(file) is not None


def run_marked(
    file: Path,
    settings: Settings,
    workflow: str | None,
    output: Path | None,
    limit: int | None,
    form: Form,
    manner: Manner,
    *,
    yes: bool,
) -> None:
    """Send the marked rows again; all others stay as they are."""
    from batchrun import Rerun, aio

    marked = Rerun.read(file, settings=settings)
    assert marked is not None  # the caller has looked
    _same_workflow(marked, workflow)
    to_stderr = manner.as_json or manner.quiet
    for words in _already_words(marked):
        tell(words, err=to_stderr)
    if not marked.jobs:
        _end_as_it_stands(marked.summary, settings, manner)
    tell_whose_key(settings, marked.summary)
    if not _agreed(marked, yes=yes, to_stderr=to_stderr):
        raise NotConfirmedError("Nothing was triggered.")
    go_on(
        partial(aio.run_marked, marked),
        settings,
        manner,
        output=output,
        limit=limit,
        decide=about_doubts(InDoubt.HOLD),
        form=form,
        asks=not yes,
    )


def _already_words(marked: Rerun) -> Iterator[str]:
    """What has become of marked rows that are not sent now."""
    from batchrun.words import plural

    sent = marked.already - marked.waiting
    if sent:
        were = plural(sent, "marked row was", "marked rows were")
        yield f"{were} sent since the workbook was written."
    if marked.waiting:
        wait = plural(marked.waiting, "marked row waits", "marked rows wait")
        yield f"{wait} to be sent already; batchrun resume goes on."


def _end_as_it_stands(summary: BatchSummary, settings: Settings, manner: Manner) -> NoReturn:
    """End without triggering anything, with the exit code of the batch."""
    from batchrun.cli import wording

    if summary.unfinished:
        code = ExitCode.PAUSED
    elif summary.counts[Outcome.COMPLETED] == summary.rows:
        code = ExitCode.COMPLETED
    else:
        code = ExitCode.INCOMPLETE
    if manner.as_json:
        ending = {"exit_code": int(code), "resume_at": None}
        tell_as_it_is(json.dumps(wording.summary_json(summary) | ending))
        raise typer.Exit(code)
    if manner.quiet:
        if summary.output is not None:
            tell_as_it_is(summary.output)
        raise typer.Exit(code)
    tell("Nothing was triggered.")
    tell(f"Batch:     {summary.batch_id}")
    tell(f"Rows:      {wording.counts(summary)}")
    if summary.unfinished:
        from batchrun.cli.closing import named_journal

        where = named_journal(settings, manner.journal, sandbox=manner.sandbox)
        tell(Whole(f"Go on:     batchrun resume {summary.batch_id}{where}"))
    if summary.output is not None:
        tell(Whole(f"Workbook:  {summary.output}"))
    raise typer.Exit(code)


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
    from batchrun.words import plural

    summary = marked.summary
    tell(
        f"Going on:  batch {summary.batch_id}; {plural(marked.rows, 'marked row')}, "
        f"{plural(len(marked.jobs), 'job')} to trigger again with {summary.workflow.name}",
        err=to_stderr or beside_question(yes=yes),
    )
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nobody is here to confirm the run.", "Add --yes to run it unasked.")
    return agreed("Trigger them, and pay again?")
