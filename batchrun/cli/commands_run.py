"""Commands that run batches: `web`, `demo`, `check`, `run`, `resume`, `work`, `stop`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

from batchrun.cli import messages
from batchrun.cli.commands_batches import in_doubt_decision
from batchrun.cli.help import SPENDING, THE_BATCH, THE_LIST, add_command
from batchrun.cli.options import (
    Again,
    AsJson,
    Batch,
    ColumnOptions,
    Daily,
    Doubts,
    JournalAt,
    Limit,
    List,
    ListOptions,
    LogFile,
    Output,
    PaceOptions,
    ProfileName,
    Quiet,
    Rate,
    ReportOptions,
    Reuse,
    Sandbox,
    SaveOptions,
    ServiceOptions,
    Workflow,
    WriteEvery,
    Yes,
    batch_argument,
    form_from,
    refuse_together,
    request_from,
    save_typed_options,
    settings_of,
    with_option_groups,
)
from batchrun.cli.output import (
    OutputMode,
    UnbrokenLine,
    begin_log_block,
    print_exact,
    print_lines,
    print_text,
)
from batchrun.cli.prompts import (
    agreed_to,
    beside_question,
    confirm_address,
    confirm_batch,
)
from batchrun.cli.resume_all import resume_all
from batchrun.cli.runner import confirm_jobs, continue_batch, run_list
from batchrun.cli.settings import (
    configuration_of,
    print_configuration,
    replaceable_results,
    sandbox_for,
    sandbox_journal,
    settings_from,
    settings_or_sandbox,
)
from batchrun.errors import ExitCode, UsageError
from batchrun.model import InDoubt
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Collection

    from batchrun import BatchStatus, Request
    from batchrun.batch.rerun import Rerun
    from batchrun.model import BatchSummary
    from batchrun.settings.files import Configuration
    from batchrun.settings.model import Settings
    from batchrun.workbook import Form


def run_marked(
    marked: Rerun,
    settings: Settings,
    output: Path | None,
    limit: int | None,
    form: Form,
    mode: OutputMode,
    *,
    yes: bool,
) -> None:
    """Send the marked rows again; all other rows keep their results."""
    from batchrun import aio

    to_stderr = mode.as_json or mode.quiet
    for words in _already_words(marked):
        print_text(words, err=to_stderr)
    if not marked.jobs:
        counts = f"Rows:      {messages.counts(marked.summary)}"
        first = ["Nothing was triggered.", f"Batch:     {marked.summary.batch_id}", counts]
        _end_unchanged(marked.summary, mode, [*first, *messages.next_lines(marked.summary)])
    confirm_batch(settings, marked.summary, output or marked.output)
    print_text(_marked_words(marked), err=to_stderr or beside_question(yes=yes))
    left = None
    if not yes:
        now = sorted(marked.jobs)[:limit]
        them = "it" if len(now) == 1 else "them"
        question = f"Send {them} again (you pay again)?"
        left = confirm_jobs(marked.summary, now, settings, mode, question)
    continue_batch(
        partial(aio.run_marked, marked),
        settings,
        mode,
        output=output,
        limit=limit,
        credits_left=left,
        decide=in_doubt_decision(InDoubt.HOLD, marked.summary, settings),
        form=form,
        asks=not yes,
    )


def _show_marked(marked: Rerun, *, as_json: bool) -> None:
    """Show which marked rows a run would send."""
    if as_json:
        shown = {"batch": marked.summary.batch_id, "rows": marked.rows, "jobs": len(marked.jobs)}
        print_exact(json.dumps(shown))
        return
    print_lines([*_already_words(marked), _marked_words(marked)])


def _marked_words(marked: Rerun) -> str:
    return (
        f"Marked:    {plural(marked.rows, 'row')} of batch {marked.summary.batch_id}, "
        f"{plural(len(marked.jobs), 'job')} to trigger again with {marked.summary.workflow.name}"
    )


def _already_words(marked: Rerun) -> Iterator[str]:
    """Yield why marked rows are not sent now."""
    if marked.rows_sent:
        were = plural(marked.rows_sent, "marked row was", "marked rows were")
        yield f"{were} sent since the workbook was written."
    if marked.rows_waiting:
        wait = plural(marked.rows_waiting, "marked row waits", "marked rows wait")
        yield f"{wait} to be sent already; batchrun resume sends them."


def _end_unchanged(summary: BatchSummary, mode: OutputMode, lines: Iterable[str]) -> NoReturn:
    """End without triggering anything, with the exit code of the batch. Workbook lines follow."""
    lines = [*lines, *messages.workbook_lines(summary)]
    own = replace(summary, output=messages.own_output(summary))
    messages.print_ending(own, own.exit_code, own.output, lines, mode)
    raise typer.Exit(summary.exit_code)


DEMO_WORKFLOW = "Account Research"

All: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Resume every unfinished batch, oldest first. For schedulers.",
        rich_help_panel=THE_BATCH,
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", help="Show the plan, as check does.", rich_help_panel=SPENDING),
]


def add_run_commands(app: typer.Typer) -> None:
    """Add the commands that run batches."""
    add = partial(add_command, app, panel="Run a list")
    add(web, "batchrun web", "batchrun web --sandbox  # practice without a key")
    add(demo, "batchrun demo  # writes batchrun-demo.results.xlsx in this folder")
    add(
        with_option_groups(check),
        'batchrun check accounts.xlsx -w "Account Research"',
        'batchrun check contacts.csv -w "Contact Research" --sandbox  # no key needed',
        'cat accounts.csv | batchrun check - -w "Account Research" --json',
    )
    add(
        with_option_groups(run),
        'batchrun run accounts.xlsx -w "Account Research" --limit 5  # try five rows first',
        'batchrun run accounts.xlsx -w "Account Research" --param focus=AI',
        "batchrun run accounts.results.xlsx  # send rows marked under 'run again'",
    )
    add(
        with_option_groups(resume),
        "batchrun resume  # the newest batch",
        "batchrun resume 1124-acc --limit 100 --wait",
        "batchrun resume --all --quiet  # a line for a scheduler",
    )


def add_worker_commands(app: typer.Typer) -> None:
    """Add the commands for batches on several machines."""
    add = partial(add_command, app, panel="Several machines")
    add(
        work,
        "batchrun work  # every open batch of your key, until you stop it",
        "batchrun work 1124-acc --until-done",
    )
    add(stop, "batchrun stop 1124-acc  # on all machines")


def check(
    file: List,
    *,
    workflow: Workflow = None,
    reading: ListOptions,
    reuse: Reuse = None,
    rate: Rate = None,
    daily: Daily = None,
    service: ServiceOptions,
    details: Annotated[
        bool,
        typer.Option(
            "--details",
            help="List every row that can't be sent, and show the first request.",
            rich_help_panel=THE_LIST,
        ),
    ] = False,
    save_options: SaveOptions = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do. Nothing is triggered.

    A job is one execution of the workflow, which you pay for. Rows that would send the same data
    share one job. FILE can be - for standard input.
    """
    from batchrun import Rerun
    from batchrun.settings.files import find_configuration

    if save_options and str(file) == "-":
        raise UsageError("--save-options needs a list in a file.", "Leave it out.")
    given = settings_of(service) | {"rate": rate, "daily": daily}
    with _from_stdin(file) as path:
        files = find_configuration(path)
        given["configuration"] = files
        if Rerun.holds_results(path):
            useless = reading.given() | {
                "--reuse": reuse,
                "--details": details,
                "--save-options": save_options,
            }
            marked = _read_marked(path, settings_from(**given), files, workflow, useless)
            _show_marked(marked, as_json=as_json)
            return
        entries = reading.entries(workflow)
        request = request_from(path, files.defaults.merged_with(entries, saved=save_options), reuse)
        with settings_or_sandbox(**given) as settings:
            print_configuration(files, settings)
            _show_plan(request, settings, as_json=as_json, details=details)
        if save_options:
            entries |= {"reuse": reuse} if reuse else {}
            save_typed_options(path, {"workflow": request.workflow, **entries})


@contextmanager
def _from_stdin(file: Path) -> Iterator[Path]:
    """Yield the path of the list; ``-`` is standard input, copied to a temporary file."""
    if str(file) != "-":
        yield file
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin"
        copy.write_bytes(sys.stdin.buffer.read())
        yield copy


def _show_plan(
    request: Request,
    settings: Settings,
    *,
    as_json: bool,
    details: bool = False,
    again: bool = False,
) -> None:
    from batchrun import aio, status
    from batchrun.batch.pipeline import refuses_again, ways_on
    from batchrun.settings.credentials import address_of

    confirm_address(settings)
    plan = asyncio.run(aio.check(request, settings=settings, with_credits=not as_json))
    earlier = None if again else plan.earlier
    refused = earlier if earlier and refuses_again(earlier, request) else None
    if as_json:
        known = refused and refused.batch_id
        print_exact(json.dumps(messages.plan_json(plan) | {"already_run_as": known}))
    else:
        measure = "" if refused else messages.pilot_of(plan)
        open_one = None
        if earlier is not None and earlier.unfinished and refused is None:
            open_one = status(earlier.batch_id, settings=settings)
        left = None if open_one is None else open_one.left
        jobs, running = (left.to_trigger, left.running) if left else (plan.to_trigger, 0)
        estimate, at = plan.rates.of(jobs, running), address_of(settings)
        costs = messages.cost_lines(
            estimate, plan.credits, jobs, settings, plan.workflow, at, measure
        )
        print_lines(messages.plan_lines(plan, left=jobs, costs=costs, details=details))
        if open_one is not None:
            print_text(messages.resumes_line(open_one))
        if messages.hides_invalid_rows(plan) and not details:
            print_text("To list every row that can't be sent, add --details.")
        if refused is not None:
            print_text(f"This list went through already, as batch {refused.batch_id}.")
            print_text(ways_on(refused))


def run(
    file: List,
    *,
    workflow: Workflow = None,
    output: Output = None,
    reading: ListOptions,
    limit: Limit = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    reuse: Reuse = None,
    again: Again = False,
    pace: PaceOptions,
    columns: ColumnOptions,
    write_every: WriteEvery = None,
    save_options: SaveOptions = False,
    service: ServiceOptions,
    reporting: ReportOptions,
) -> None:
    """Run a workflow for every row of a list and write a workbook.

    Shows the plan and asks before anything is spent. A job is one execution of the workflow, which
    you pay for.
    """
    from batchrun import Rerun
    from batchrun.settings.files import find_configuration

    files = find_configuration(file)
    form = form_from(columns, write_every=write_every, defaults=files.defaults, source=file)
    given = settings_of(pace, service, reporting) | {"configuration": files}
    mode = reporting.mode()
    _check_detached(pace, service, reporting)
    if str(file) == "-":
        raise UsageError(
            "A run can't read its list from standard input.",
            'Save the list in a file first. To look at it: batchrun check - -w "WORKFLOW"',
        )
    if Rerun.holds_results(file):
        useless = {"--again": again, "--reuse": reuse, "--detach": pace.detach}
        settings = settings_from(**given)
        marked = _read_marked(file, settings, files, workflow, reading.given() | useless)
        if dry_run:
            _show_marked(marked, as_json=reporting.as_json)
            return
        with sandbox_for(marked.summary, settings, wanted=service.sandbox) as settings:
            run_marked(marked, settings, output, limit, form, mode, yes=yes)
        return
    entries = reading.entries(workflow)
    defaults = files.defaults.merged_with(entries, saved=save_options)
    request = request_from(file, defaults, reuse, again=again)
    if not reporting.for_scripts and not dry_run:
        begin_log_block("Run")
    with settings_or_sandbox(**given) as settings:
        print_configuration(files, settings)
        replaced = None
        if output is None and form.usual is None:
            replaced = replaceable_results(settings, file, sandbox=service.sandbox)
        others: dict[str, object] = {"write_every": write_every, "reuse": reuse}
        others |= {"wait": pace.wait, "daily": pace.daily}
        entries |= columns.entries() | {name: each for name, each in others.items() if each}
        save = partial(save_typed_options, file, {"workflow": request.workflow, **entries})
        if dry_run:
            _show_plan(request, settings, as_json=reporting.as_json, again=again)
            if save_options:
                save()
            return
        run_list(
            request,
            settings,
            output,
            limit,
            form,
            mode,
            yes=yes,
            again=again,
            detach=pace.detach,
            replaced=replaced,
            on_confirmed=save if save_options else None,
        )


def resume(
    batch: Batch = None,
    *,
    all_batches: All = False,
    output: Output = None,
    limit: Limit = None,
    yes: Yes = False,
    in_doubt: Doubts = None,
    pace: PaceOptions,
    columns: ColumnOptions,
    write_every: WriteEvery = None,
    service: ServiceOptions,
    reporting: ReportOptions,
) -> None:
    """Pick up a batch where it left off.

    At a terminal, it asks before it sends rows of a batch that you have not named, rows left by
    --limit or by a stop after failures, and rows that another batch has sent since. --all
    leaves the last two unsent.
    """
    given = settings_of(pace, service, reporting)
    mode = reporting.mode()
    _check_detached(pace, service, reporting)
    typed = {"--all": all_batches, "BATCH": batch, "--output": output, "--limit": limit}
    typed |= {"--yes": yes, "--detach": pace.detach}
    refuse_together(typed, "With --all, every batch continues.")

    def configured(summary: BatchSummary) -> tuple[Configuration, Settings]:
        files = configuration_of(summary)
        return files, settings_from(configuration=files, **given)

    def resume_batch(
        before: BatchStatus,
        found: tuple[Configuration, Settings],
        *,
        only: Collection[int] | None = None,
    ) -> None:
        """Continue a batch; send ``only`` these jobs, and none in doubt, unless it is ``None``."""
        from batchrun import aio
        from batchrun.batch.history import jobs_to_send

        summary, (files, settings) = before.summary, found
        form = form_from(
            columns, write_every=write_every, defaults=files.defaults, source=summary.source.path
        )
        print_configuration(files, settings)
        asks = not (yes or all_batches or mode.as_json) and sys.stdin.isatty()
        left, named = None, batch is not None or all_batches
        # Of a batch that nobody has confirmed, a decision about rows in doubt sends only those.
        waits = asks and not summary.confirmed and in_doubt not in {None, InDoubt.HOLD}
        to_send = (
            jobs_to_send(before, 0 if waits else limit, in_doubt, settings) if only is None else {}
        )
        jobs, others = len(to_send), list(filter(None, to_send.values()))
        words = messages.sent_elsewhere_words(len(others), jobs, summary, others) if others else ""
        if not reporting.for_scripts:
            print_lines(
                messages.batch_lines(before, limit, named=named, asks=asks and in_doubt is None),
                err=beside_question(yes=not asks),
            )
        with sandbox_for(summary, settings, wanted=service.sandbox) as settings:
            confirm_batch(settings, summary, output)
            if asks and jobs and (others or not (named or waits)) and (waits or summary.confirmed):
                left = confirm_jobs(
                    summary,
                    to_send,
                    settings,
                    mode,
                    messages.trigger_question(summary, jobs, words) if in_doubt else "",
                )
            collects = before.left.running > 0 and not mode.as_json
            with agreed_to("" if asks else words, yes=yes, collects=collects) as agreed:
                continue_batch(
                    partial(
                        aio.resume,
                        summary.batch_id,
                        only=() if waits or not agreed else only,
                        detach=pace.detach,
                    ),
                    settings,
                    mode,
                    output=output,
                    limit=limit,
                    credits_left=left,
                    decide=in_doubt_decision(
                        in_doubt
                        if in_doubt is not InDoubt.RETRY or (agreed and only is None)
                        else InDoubt.HOLD,
                        summary,
                        settings,
                    ),
                    form=form,
                    asks=asks,
                    asks_first=asks,
                )

    to_stderr = reporting.for_scripts
    settings = settings_from(**given)
    if all_batches:
        resume_all(settings, configured, resume_batch, in_doubt, to_stderr=to_stderr)
        return
    from batchrun.batch.history import batches, existing_journal, status

    found = status(batch, settings=settings)
    written = found.summary.output
    rewrites = output is not None or columns != ColumnOptions()  # a new path or layout
    if not found.something_to_do:
        others = messages.unfinished_lines(batches(unfinished=True, settings=settings))
        if not rewrites and written and Path(written).exists():
            with existing_journal(settings.journal) as journal:
                missing = messages.attention_lines(found.summary, journal, settings)
            _end_unchanged(
                found.summary,
                mode,
                [
                    UnbrokenLine(f"Nothing left to do for {found.summary.source.name}."),
                    *missing,
                    *others,
                ],
            )
        print_lines(["Nothing left to do.", *others], err=to_stderr)
    if not to_stderr:
        begin_log_block(f"Batch {found.summary.batch_id}")
    resume_batch(found, configured(found.summary))


def _check_detached(pace: PaceOptions, service: ServiceOptions, reporting: ReportOptions) -> None:
    """Refuse --detach with options that need this process."""
    options = {
        "--detach": pace.detach,
        "--sandbox": service.sandbox,
        "--notify": reporting.notify,
        "--notify-command": reporting.notify_command,
    }
    refuse_together(options, "This command ends before the batch does.")


def _read_marked(
    file: Path,
    settings: Settings,
    configuration: Configuration,
    workflow: str | None,
    options: Mapping[str, object],
) -> Rerun:
    """Read which rows of a results workbook are marked.

    Raises:
        UsageError: There are ``options`` that a marked workbook ignores, or another workflow.
        InputError: No row is marked, or the job of a marked row is unclear.
    """
    from batchrun import Rerun

    useless = [name for name, value in options.items() if value]
    if useless:
        raise UsageError(
            f"{file.name} holds results of batchrun: only its marked rows are sent, as they were "
            f"sent before, and {', '.join(useless)} would do nothing.",
            "Leave it out; or run the list itself, where it counts.",
        )
    print_configuration(configuration, settings)
    marked = Rerun.read(file, settings=settings)
    assert marked is not None  # `holds_results` has checked it
    known = marked.summary.workflow
    if workflow and workflow.casefold() not in {known.id.casefold(), known.name.casefold()}:
        raise UsageError(
            f"The workbook holds results of {known.name}, not of {workflow}.",
            "Leave -w out to run its marked rows again, or run the list itself.",
        )
    return marked


def demo(
    journal: JournalAt = None,
    use_sandbox: Annotated[bool, typer.Option("--sandbox", hidden=True)] = True,
) -> None:
    """Try batchrun with a made-up list: no key, no cost."""
    from batchrun.batch.request import Request
    from batchrun.sandbox import write_demo_list

    del use_sandbox  # always true; the parameter exists so that printed commands get --sandbox

    source = Path("batchrun-demo.csv").absolute()
    if source.is_symlink():
        raise UsageError(f"{source} is a link.", "Remove it, or go to a folder of your own first.")
    try:
        write_demo_list(source)
    except OSError as error:
        raise UsageError(
            f"The demo's list can't be written: {error.strerror}.",
            "Go to a folder of your own first.",
        ) from error
    with settings_or_sandbox(sandbox=True, journal=journal) as settings:
        replaced = replaceable_results(settings, source, sandbox=True)
        request, mode = Request(source, DEMO_WORKFLOW), OutputMode()
        run_list(request, settings, None, None, None, mode, yes=True, again=True, replaced=replaced)


def work(
    batch: Annotated[str | None, batch_argument("Without it, every open batch.")] = None,
    *,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="End when no batch is open any more.")
    ] = False,
    profile: ProfileName = None,
    journal: JournalAt = None,
    log_file: LogFile = None,
    quiet: Quiet = False,
) -> None:
    """Help with batches that other processes have begun in the same journal.

    On any machine that shares a PostgreSQL journal. If the process that began a batch is gone, this
    one finishes it and writes the workbook.
    """
    from batchrun.batch.control import Control
    from batchrun.batch.pipeline import work as work_on
    from batchrun.cli.progress import ProgressPrinter
    from batchrun.cli.signals import Stopper

    settings = settings_from(profile=profile, journal=journal, log_file=log_file)
    printer, control = ProgressPrinter(speed=settings.speed), Control()
    stopper = Stopper(control, printer.say, printer.close, settings.drain_seconds)
    if not quiet:
        print_text("Working on open batches. Press Ctrl-C to stop.", err=True)

    def ended(summary: BatchSummary) -> None:
        printer.close()
        if not quiet and not until_done:
            what = "it to be resumed" if batch else "the next batch"
            print_text(f"Batch {summary.words}\nWaiting for {what}.", err=True)

    working = work_on(
        batch,
        settings,
        until_done=until_done,
        on_progress=None if quiet else printer.show,
        control=control,
        on_end=ended,
    )
    with stopper.listening():
        worked = stopper.run(working)
    printer.close()
    for each in worked:
        print_text(f"Batch {each.words}", err=quiet)
        waits = [f"Note:      {each.note}", *messages.next_lines(each)] if each.note else []
        print_lines(waits, err=quiet)
    codes = [
        # Workers get only confirmed batches: one that waits for a person was stopped by failures.
        ExitCode.INCOMPLETE if each.unfinished and not each.confirmed else each.exit_code
        for each in worked
    ]
    raise typer.Exit(max(codes, default=ExitCode.COMPLETED))


def stop(batch: Batch = None, *, journal: JournalAt = None) -> None:
    """Stop the workers of a batch on all machines; `resume` continues it.

    They trigger nothing more within 5 seconds, and collect what is running for a minute.
    """
    from batchrun.batch.control import stop as stop_workers

    stopped = stop_workers(batch, settings=settings_from(journal=journal))
    print_text(f"The workers of batch {stopped.batch_id} stop within 5 seconds.")


def web(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port to listen on. [default: 8484, or a free one]"),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open no browser.")
    ] = False,
    sandbox: Sandbox = False,
    journal: JournalAt = None,
) -> None:
    """Open batchrun in your browser: drop a list, try five rows, get the workbook.

    Only this computer can reach it. Ctrl-C stops it.
    """
    from batchrun.settings.credentials import given_key, profile_of
    from batchrun.web.server import serve

    def load() -> Settings:
        return settings_from(journal=journal)

    settings = load()
    if not sandbox and (given_key(settings) or profile_of(settings) is not None):
        confirm_address(settings)
    serve(
        settings,
        load,
        sandbox_journal=journal if sandbox and journal else sandbox_journal(settings),
        sandbox=sandbox,
        port=port,
        open_browser=not no_browser,
        say=print_text,
    )
