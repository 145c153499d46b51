"""Commands that work on a list: `check`, `run`, `resume`, `demo`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from batchrun.cli.again import is_given_back, run_marked
from batchrun.cli.attending import Manner, go, go_on
from batchrun.cli.deciding import Doubts, about_doubts
from batchrun.cli.forms import ColumnOptions, WriteEvery, form_from
from batchrun.cli.grouping import spread
from batchrun.cli.lists import (
    List,
    ListOptions,
    Workflow,
    WorkflowUnlessMarked,
    configuration_beside,
    configuration_of,
    request_from,
    tell_configuration,
    tell_whose_key,
)
from batchrun.cli.options import (
    AsJson,
    BaseUrl,
    Batch,
    Daily,
    JournalAt,
    Limit,
    LogFile,
    NotifyCommand,
    Output,
    ProfileName,
    Quiet,
    Rate,
    Reuse,
    StopAfterFailures,
    Wait,
    Yes,
    age,
    settings_from,
    settings_with_journal,
)
from batchrun.cli.playing import Sandbox, settings_or_sandbox
from batchrun.cli.telling import tell, tell_all, tell_as_it_is
from batchrun.cli.unattended import resume_all
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from batchrun.model import BatchSummary
    from batchrun.settings import Configuration, Settings

DEMO_WORKFLOW = "Account Research"

Again: TypeAlias = Annotated[
    bool, typer.Option("--again", help="Trigger it all anew although it was done before.")
]
All: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--all", help="All batches with something left to do, oldest first: for a nightly line."
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (check, run, resume, demo):
        app.command()(spread(command))


def check(
    file: List,
    *,
    workflow: Workflow = None,
    reading: ListOptions,
    reuse: Reuse = None,
    rate: Rate = None,
    daily: Daily = None,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    use_sandbox: Sandbox = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do and cost; nothing is triggered."""
    from batchrun import aio
    from batchrun.cli import wording
    from batchrun.cli.costs import plan_costs

    files = configuration_beside(file)
    request = request_from(file, workflow, reading, _reuse(reuse), files.defaults)
    given = {"profile": profile, "base_url": base_url, "rate": rate, "daily": daily}
    with settings_or_sandbox(use_sandbox, configuration=files, **given) as settings:
        tell_configuration(files, settings)
        plan = asyncio.run(aio.check(request, settings=settings, with_credits=not as_json))
    if as_json:
        tell_as_it_is(json.dumps(wording.plan_json(plan)))
    else:
        now = datetime.now(UTC)
        shown = plan_costs(plan, now, wait=settings.wait, speed=settings.speed)
        tell_all(wording.plan_lines(plan, costs=shown))


def run(
    file: List,
    *,
    workflow: WorkflowUnlessMarked = None,
    output: Output = None,
    reading: ListOptions,
    limit: Limit = None,
    rate: Rate = None,
    daily: Daily = None,
    wait: Wait = False,
    stop_after_failures: StopAfterFailures = None,
    yes: Yes = False,
    again: Again = False,
    reuse: Reuse = None,
    columns: ColumnOptions,
    write_every: WriteEvery = None,
    log_file: LogFile = None,
    notify_command: NotifyCommand = None,
    quiet: Quiet = False,
    use_sandbox: Sandbox = False,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow for each row of a list and write the workbook."""
    files = configuration_beside(file)
    form = form_from(columns, write_every=write_every, defaults=files.defaults, source=file)
    given = {
        "configuration": files,
        "profile": profile,
        "base_url": base_url,
        "rate": rate,
        "daily": daily,
        "wait": wait or None,
        "stop_after_failures": stop_after_failures,
        "journal": journal,
        "log_file": log_file,
    }
    manner = Manner(as_json, quiet, notify_command, use_sandbox, journal)
    if is_given_back(file):
        _refuse_for_results(file, reading.given() | {"--again": again, "--reuse": reuse})
        with settings_or_sandbox(use_sandbox, **given) as settings:
            tell_configuration(files, settings)
            run_marked(file, settings, workflow, output, limit, form, manner, yes=yes)
        return
    request = request_from(file, workflow, reading, _reuse(reuse), files.defaults)
    with settings_or_sandbox(use_sandbox, **given) as settings:
        tell_configuration(files, settings)
        go(request, settings, output, limit, form, manner, yes=yes, again=again)


def resume(
    batch: Batch = None,
    *,
    all_batches: All = False,
    output: Output = None,
    limit: Limit = None,
    in_doubt: Doubts = None,
    rate: Rate = None,
    daily: Daily = None,
    wait: Wait = False,
    stop_after_failures: StopAfterFailures = None,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    as_json: AsJson = False,
    columns: ColumnOptions,
    write_every: WriteEvery = None,
    log_file: LogFile = None,
    notify_command: NotifyCommand = None,
    quiet: Quiet = False,
) -> None:
    """Go on with a batch where it stopped, whatever stopped it."""
    given: dict[str, Any] = {
        "profile": profile,
        "base_url": base_url,
        "rate": rate,
        "daily": daily,
        "wait": wait or None,
        "stop_after_failures": stop_after_failures,
        "journal": journal,
        "log_file": log_file,
    }

    def configured(summary: BatchSummary) -> tuple[Configuration, Settings]:
        files = configuration_of(summary)
        return files, settings_from(configuration=files, **given)

    def go_on_with(summary: BatchSummary, at_hand: tuple[Configuration, Settings]) -> None:
        from batchrun import aio

        files, settings = at_hand
        form = form_from(
            columns,
            write_every=write_every,
            defaults=files.defaults,
            source=summary.source.path,
        )
        tell_configuration(files, settings)
        tell_whose_key(settings, summary)
        go_on(
            partial(aio.resume, summary.batch_id),
            settings,
            Manner(as_json, quiet, notify_command, journal=journal),
            output=output,
            limit=limit,
            decide=about_doubts(in_doubt),
            form=form,
            asks=True,
        )

    to_stderr = as_json or quiet
    settings = settings_with_journal(**given)
    if all_batches:
        for_one = {"BATCH": batch, "--output": output, "--limit": limit}
        resume_all(settings, for_one, configured, go_on_with, to_stderr=to_stderr)
    else:
        summary = _to_resume(batch, settings, to_stderr=to_stderr)
        go_on_with(summary, configured(summary))


def _refuse_for_results(file: Path, options: Mapping[str, object]) -> None:
    """Options that say how a list is read and sent do nothing where its batch is known."""
    useless = [name for name, value in options.items() if value]
    if useless:
        raise UsageError(
            f"{file.name} holds results of batchrun: only its marked rows are sent, as they were "
            f"sent before, and {', '.join(useless)} would do nothing.",
            "Leave it out; or run the list itself, where it counts.",
        )


def _to_resume(batch: str | None, settings: Settings, *, to_stderr: bool) -> BatchSummary:
    """The batch that is meant; said first where nothing of it is left to do."""
    from batchrun import status

    found = status(batch, settings=settings)
    if not found.something_to_do:
        tell("Nothing left to do.", err=to_stderr)
    return found.summary


def demo(journal: JournalAt = None) -> None:
    """Run an invented list against the sandbox: no key, no cost."""
    from batchrun.request import Request
    from batchrun.sandbox import write_demo_list

    source = Path("batchrun-demo.csv").resolve()
    try:
        write_demo_list(source)
    except OSError as error:
        raise UsageError(
            f"The demo's list can't be written: {error}.", "Go to a folder of your own first."
        ) from error
    with settings_or_sandbox(use_sandbox=True, journal=journal) as settings:
        manner = Manner(sandbox=True, journal=journal)
        go(Request(source, DEMO_WORKFLOW), settings, None, None, None, manner, yes=True)


def _reuse(text: str | None) -> timedelta | None:
    return None if text is None else age(text, "--reuse")
