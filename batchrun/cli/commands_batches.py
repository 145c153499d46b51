"""Commands for batches in the journal: `batches`, `status`, `export`, `retry`, `forget`."""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from batchrun.advice import run_corrected
from batchrun.cli import messages
from batchrun.cli.help import OUTPUT, THE_BATCH, add_command
from batchrun.cli.options import (
    AsJson,
    Batch,
    ColumnOptions,
    ForCrm,
    JournalAt,
    Output,
    ReportOptions,
    Sandbox,
    ServiceOptions,
    Yes,
    age,
    batch_argument,
    form_from,
    refuse_together,
    settings_of,
    with_option_groups,
)
from batchrun.cli.output import (
    UnbrokenLine,
    begin_log_block,
    is_screen,
    print_exact,
    print_lines,
    print_text,
    runnable_commands,
    table,
    usable_columns,
)
from batchrun.cli.prompts import (
    ask,
    beside_question,
    confirm_batch,
    confirmed,
)
from batchrun.cli.runner import confirm_jobs, continue_batch
from batchrun.cli.settings import (
    configuration_of,
    sandbox_for,
    sandbox_hint,
    settings_from,
)
from batchrun.errors import ExitCode, UsageError
from batchrun.model import InDoubt, Outcome
from batchrun.settings.location import is_practice
from batchrun.text import did_you_mean, duration, one_line, plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchrun import BatchStatus
    from batchrun.model import BatchSummary, Decide, ResultRow
    from batchrun.settings.model import Settings
    from batchrun.workbook import UnknownColumn


def add_batch_commands(app: typer.Typer) -> None:
    """Add the commands for batches."""
    add = partial(add_command, app, panel="Batches")
    add(
        list_batches,
        "batchrun batches",
        "batchrun batches --json  # for scripts",
        name="batches",
    )
    add(status, "batchrun status  # the newest batch", "batchrun status 1124-acc --watch")
    add(
        with_option_groups(export),
        "batchrun export -o results.csv",
        "batchrun export 1124-acc -o import.csv --crm hubspot",
        'batchrun export -o short.xlsx --columns "summary,outputs.*"',
    )
    add(
        with_option_groups(retry),
        "batchrun retry  # failed and rejected rows of the newest batch",
        "batchrun retry 1124-acc --outcome timed-out --yes",
    )
    add(forget, "batchrun forget 1124-acc", "batchrun forget --older-than 90d --yes")


def export(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write: .xlsx, .csv, .jsonl or .parquet.",
            rich_help_panel=OUTPUT,
        ),
    ],
    *,
    batch: Batch = None,
    columns: ColumnOptions,
    crm: ForCrm = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="OUTCOME,…",
            help="Write the list's own rows with these outcomes, and why, ready to correct and run "
            "again, such as failed,rejected. Rows that can't be sent are invalid.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    journal: JournalAt = None,
    sandbox: Sandbox = False,
) -> None:
    """Write a batch's results to a file, even while it runs."""
    from batchrun import export as export_batch
    from batchrun import status as status_of
    from batchrun import unknown_columns
    from batchrun.workbook import results_path

    if crm is not None and output.suffix.lower() != ".csv":
        raise UsageError(
            f"--crm writes a CSV file, and {output} is not one.", "End the output in .csv."
        )
    settings = settings_from(sandbox=sandbox, journal=journal)
    summary = status_of(batch, settings=settings).summary
    form = form_from(columns, crm=crm, defaults=configuration_of(summary).defaults)
    if only is not None:
        form = replace(form, only=frozenset(_outcome(word, OUTCOMES) for word in only.split(",")))
    unknown = unknown_columns(summary.batch_id, form, settings=settings)
    if columns.columns and not summary.unfinished:
        _refuse_misspelled(unknown)
    written = export_batch(summary.batch_id, output, settings, form)
    print_lines(messages.unknown_to_results(unknown), err=True)
    what, chosen = "Results", 0
    if form.only is not None:
        chosen = sum(summary.counts[each] for each in form.only)
        what = plural(chosen, "row")
    elif crm is not None:
        rows = plural(summary.counts[Outcome.COMPLETED], "row")
        what = f"{plural(_records_in(written), 'record')} for {rows}"
    print_text(f"{what} of batch {summary.batch_id}: {written}", whole=[str(written)])
    print_lines(messages.more_files(written))
    if chosen and form.only is not None and {*form.only} <= {Outcome.INVALID, Outcome.REJECTED}:
        again = run_corrected(str(written), summary)
        where = f"Its results go to {results_path(written).name}. To have all rows in one workbook,"
        whole = f"{where} correct them in {summary.source.name} and run that with --reuse 30d."
        print_lines([UnbrokenLine(f"Correct the rows in the file, then: {again}"), whole])
    if written.name != output.name:
        print_text(f"Note:      {messages.kept_words(output, written, summary.batch_id)}", err=True)
    print_lines(messages.practice_lines(summary))
    if crm is not None:
        print_lines(messages.import_lines(summary, settings))


def _records_in(written: Path) -> int:
    """Return how many records a CSV file has below its header."""
    with written.open(encoding="utf-8-sig", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _refuse_misspelled(unknown: Iterable[UnknownColumn]) -> None:
    """Refuse columns that no result has if they look like one: they would be empty."""
    for one in unknown:
        if one.close and not one.of_list:
            raise UsageError(f"No result has {one.name}.", f"Did you mean {one.close}?")


def status(
    batch: Batch = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Refresh every second until the batch stops.", rich_help_panel=OUTPUT
        ),
    ] = False,
    journal: JournalAt = None,
    sandbox: Sandbox = False,
    as_json: AsJson = False,
) -> None:
    """Show the progress of a batch."""
    from batchrun import status as status_of
    from batchrun import watch as looks_at

    refuse_together({"--watch": watch, "--json": as_json})
    settings = settings_from(sandbox=sandbox, journal=journal)
    if as_json:
        print_exact(json.dumps(_status_json(status_of(batch, settings=settings))))
    elif watch:
        show_live(lines_of(each, settings) for each in looks_at(batch, settings=settings))
    else:
        print_lines(lines_of(status_of(batch, settings=settings), settings))


def _status_json(status: BatchStatus) -> dict[str, Any]:
    holder = status.holder if status.working else None
    summary = replace(status.summary, output=messages.own_output(status.summary))
    return messages.summary_json(summary) | {
        "working": None if holder is None else holder.words(),
        "rescue_files": [str(path) for path in status.rescued],
    }


def lines_of(status: BatchStatus, settings: Settings) -> list[str]:
    """Return the state of a batch, in lines."""
    from batchrun.batch.history import existing_journal

    summary, left, holder = status.summary, status.left, status.holder
    now, runs = datetime.now(UTC), status.summary.unfinished and status.working
    with existing_journal(settings.journal) as journal:
        costs = [] if status.working else messages.cost_lines_of(summary, journal, settings)
        waits = runs or status.starts_soon
        attention = [] if waits else messages.attention_lines(summary, journal, settings)

    def ago(moment: datetime) -> str:
        return f"{duration(max((now - moment).total_seconds(), 0))} ago"

    lines = [
        f"Batch:     {summary.batch_id}, planned {ago(summary.created_at)}",
        UnbrokenLine(f"List:      {summary.source.name}"),
        f"Workflow:  {summary.workflow.name} ({summary.workflow.id})",
        f"Rows:      {messages.counts(summary, left.running_rows)}",
        *messages.practice_lines(summary),
        f"Requests:  {summary.requests:,}; last change {ago(summary.updated_at)}",
    ]
    lines += costs
    if left.oldest is not None:
        # A sandbox that is faster than the clock reports times in the future.
        oldest = "" if left.oldest > now else f", the oldest triggered {ago(left.oldest)}"
        lines.append(messages.running_line(left.running, oldest, working=status.working))
    if holder is not None and status.working:
        lines.append(f"Worked on: {holder.words()}; last heard of {ago(holder.beat_at)}")
    elif holder is not None:
        lines.append(
            f"Stopped:   {holder.words()}; last heard of {ago(holder.beat_at)}. "
            "Resuming is safe: nothing is sent twice"
        )
    lines += [
        f"Rescued:   results wait in {path}; batchrun resume takes them in"
        for path in status.rescued
    ]
    if summary.note:
        lines.append(f"Note:      {summary.note}")
    if status.opens_at is not None:
        lines.append(f"Opens:     {messages.opens_words(status.opens_at, now)}")
    lines += messages.workbook_lines(summary)
    if status.starts_soon:
        return [*lines, "Worked on: not yet; its worker processes are starting"]
    return lines if runs else [*lines, *messages.next_lines(summary), *attention]


def list_batches(
    journal: JournalAt = None, sandbox: Sandbox = False, as_json: AsJson = False
) -> None:
    """List all batches, newest first."""
    from batchrun import batches

    found = _with_own_outputs(batches(settings=settings_from(sandbox=sandbox, journal=journal)))
    if as_json:
        print_exact(json.dumps([messages.summary_json(summary) for summary in found]))
    elif found:
        print_lines(_listed(found))
    else:
        print_text("No batches yet. Start one with: batchrun run FILE -w WORKFLOW")
        if not sandbox and (elsewhere := sandbox_hint()):
            print_text(elsewhere)


def _with_own_outputs(found: Iterable[BatchSummary]) -> list[BatchSummary]:
    """Return batches, the newest first, without the paths that a newer one has written to."""
    own: dict[str | None, BatchSummary] = {}
    return [
        one if own.setdefault(one.output, one) is one else replace(one, output=None)
        for one in found
    ]


def _listed(found: Sequence[BatchSummary]) -> list[str]:
    """Return batches as a table on a terminal, else one complete line for each."""

    def workflow(one: BatchSummary) -> str:
        practice = " (practice)" if one.practice else ""
        sent = [f"{name}={one_line(str(value), 40)}" for name, value in one.parameters.items()]
        sent += [f"{name} from {column}" for name, column in one.parameter_columns.items()]
        return ", ".join([one.workflow.name + practice, *sent])

    now = datetime.now(UTC)
    if not is_screen(sys.stdout):
        return [
            f"{one.batch_id}  {workflow(one)}  rows: {messages.counts(one)}  "
            f"worked on {messages.age_words(now - one.updated_at)} ago  "
            f"list: {one.source.path or one.source.name}"
            + (f"  workbook: {one.output}" if one.output else "")
            for one in found
        ]
    header = ["batch", "age", "rows", "workflow", "list"]
    rows = [
        [
            one.batch_id,
            messages.age_words(now - one.created_at),
            messages.counts_in_short(one),
            workflow(one),
            one.source.name,
        ]
        for one in found
    ]
    width = usable_columns(sys.stdout)
    if width < _ROOM_FOR_LISTS:  # the batch's ID begins like the list's name
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows, width, whole={0, 1, 2}).split("\n")


_ROOM_FOR_LISTS = 100
ROWS_SHOWN = 10
AGAIN = ("failed", "rejected", "timed-out", "in-doubt")
OUTCOMES = tuple(outcome.value.replace(" ", "-") for outcome in Outcome)
"""Outcomes as the user types them."""

Outcomes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--outcome",
        metavar="OUTCOME",
        autocompletion=lambda: list(AGAIN),
        help="Rows to send again: failed, rejected, timed-out or in-doubt. Repeatable. "
        "Without it, failed and rejected.",
        rich_help_panel=THE_BATCH,
    ),
]


def retry(
    batch: Batch = None,
    outcome: Outcomes = None,
    output: Output = None,
    yes: Yes = False,
    *,
    service: ServiceOptions,
    reporting: ReportOptions,
) -> None:
    """Send failed rows again (you pay for them again)."""
    from batchrun import aio
    from batchrun import rows as rows_of
    from batchrun import status as status_of
    from batchrun.batch.history import jobs_of, sent_elsewhere, sent_in_words
    from batchrun.model import RETRIED_BY_ITSELF, retriable

    chosen = (
        retriable([_outcome(word, AGAIN) for word in outcome]) if outcome else RETRIED_BY_ITSELF
    )
    given = settings_of(service, reporting)
    settings = settings_from(**given)
    summary = status_of(batch, settings=settings).summary
    files = configuration_of(summary)
    settings = settings_from(configuration=files, **given)
    with sandbox_for(summary, settings, wanted=service.sandbox) as settings:
        if not reporting.for_scripts:
            begin_log_block(f"Batch {summary.batch_id}")
        sends = any(summary.counts[each] for each in chosen)
        confirm_batch(settings, summary, output, sends=sends)
        question, words, left = _retry_question(summary, chosen, settings), "", None
        rows = rows_of(summary.batch_id, chosen, settings=settings).rows
        jobs = jobs_of(rows)
        if paid := sent_elsewhere(jobs, summary, settings):
            words = f"{plural(paid, 'job')} {sent_in_words(paid)}."
        if not yes:
            question = f"{words} {question}".strip()
            left = confirm_jobs(summary, jobs, settings, reporting.mode(), question)
        elif words:
            print_text(f"Note:      {words}", err=True)
        continue_batch(
            partial(aio.retry, summary.batch_id, outcomes=chosen),
            settings,
            reporting.mode(),
            output=output,
            credits_left=left,
            decide=in_doubt_decision(InDoubt.HOLD, summary, settings),
            form=form_from(ColumnOptions(), defaults=files.defaults, source=summary.source.path),
        )


def forget(
    batch: Annotated[str | None, batch_argument()] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Delete all batches unused for longer than this, such as 90d.",
            rich_help_panel=THE_BATCH,
        ),
    ] = None,
    yes: Yes = False,
    journal: JournalAt = None,
    sandbox: Sandbox = False,
) -> None:
    """Delete a batch with its rows and results. Workbooks stay."""
    from batchrun import forget as forget_batches

    if (batch is None) == (older_than is None):
        raise UsageError(
            "Give a batch, or an age with --older-than.", "To list the batches: batchrun batches"
        )
    # --journal would win, and its batches were paid for
    refuse_together({"--sandbox": sandbox, "--journal": journal})
    settings = settings_from(sandbox=sandbox, journal=journal)
    gone = forget_batches(
        *([] if batch is None else [batch]),
        older_than=None if older_than is None else age(older_than, "--older-than"),
        confirm=lambda found: _confirm_forget(found, yes=yes),
        settings=settings,
    )
    if not gone:
        print_text(f"No batch is older than {older_than}.")
        return
    print_text(f"Forgotten: {plural(len(gone), 'batch', 'batches')}")


def _confirm_forget(found: Sequence[BatchSummary], *, yes: bool) -> bool:
    """Ask for confirmation; end the command if the answer is no."""
    err, batches = beside_question(yes=yes), plural(len(found), "batch", "batches")
    for one in found:
        what = f"{one.workflow.name}: {one.source.name}"
        line = f"{one.batch_id}  {what}  rows: {messages.counts(one)}"
        print_text(line, err=err, hanging=2)
    after = "Deleted batches can't be reused, exported or retried"
    paid = not all(is_practice(one.base_url) for one in found)
    after += ": if you run a list again, you pay for all its rows. " if paid else ". "
    print_text(f"{after}The workbooks stay.", err=err)
    if not confirmed(f"Delete {batches} for good?", yes=yes):
        raise typer.Exit(ExitCode.COMPLETED)
    return True


def in_doubt_decision(given: InDoubt | None, batch: BatchSummary, settings: Settings) -> Decide:
    """Return a function that decides as given; else it asks at a terminal, or changes nothing."""
    from batchrun.batch.history import jobs_of, sent_elsewhere, sent_in_words

    def decide(rows: Sequence[ResultRow]) -> InDoubt:
        if given in {InDoubt.RETRY, InDoubt.DROP}:
            return given
        asks = given is None and sys.stdin.isatty()
        _show_doubts(rows, batch, settings)
        if paid := sent_elsewhere(jobs_of(rows), batch, settings):
            words = f"{plural(paid, 'job')} {sent_in_words(paid)}."
            print_text(words, err=True)
        print_text(
            "Retry sends them, perhaps a second time; drop never sends them; hold leaves them in "
            "doubt.",
            err=True,
        )
        if not asks:
            how = "batchrun resume asks at a terminal, --in-doubt answers in a script."
            print_text(how, err=True)
        return _asked() if asks else InDoubt.HOLD

    return decide


def _show_doubts(rows: Sequence[ResultRow], batch: BatchSummary, settings: Settings) -> None:
    from batchrun import rows as rows_of_batch
    from batchrun.list_rows import RowNumbers
    from batchrun.workbook.columns import SAMPLED_ROWS
    from batchrun.workbook.readable import Names

    print_text(
        f"{plural(len(rows), 'row is', 'rows are')} in doubt: the trigger may or may not have been "
        "accepted, and only you can settle it.",
        err=True,
    )
    rows_of = partial(rows_of_batch, batch.batch_id, settings=settings)
    page, numbers = rows_of(limit=SAMPLED_ROWS), RowNumbers.of_batch(batch, rows_of)
    names = Names(page.header, page.roles, page.rows)
    by_message = defaultdict[str, list[str]](list)
    for row in rows[:ROWS_SHOWN]:
        ids = ", ".join(filter(None, (row.company_id, row.contact_id)))
        name = names.of_row(row)
        shown = f"{name} ({ids})" if name else ids
        by_message[row.message].append(f"  line {numbers.words(row.row.line)}: {shown}")
    for message, lines in by_message.items():
        print_lines([f"{message}:", *lines], err=True)
    if len(rows) > ROWS_SHOWN:
        print_text(f"  … and {len(rows) - ROWS_SHOWN:,} more", err=True)


def _asked() -> InDoubt:
    while True:
        word = ask(f"Now [{'/'.join(InDoubt)}]", default=InDoubt.HOLD.value).lower()
        if not word:  # Ctrl-D: stop without deciding
            raise KeyboardInterrupt
        if word in set(InDoubt):
            return InDoubt(word)


def _retry_question(summary: BatchSummary, outcomes: frozenset[Outcome], settings: Settings) -> str:
    """Return the question before a retry.

    Raises:
        UsageError: There is no row to send again.
    """
    from batchrun.batch.history import existing_journal

    found = {outcome: summary.counts[outcome] for outcome in sorted(outcomes)}
    if not any(found.values()):
        words = " or ".join(found)
        with existing_journal(settings.journal) as journal:
            steps = messages.next_lines(summary) or messages.reason_lines(
                summary, journal, settings
            )
        commands = [step for step in steps if isinstance(step, UnbrokenLine)]
        raise UsageError(
            f"Batch {summary.batch_id} has no row that is {words}.",
            " ".join(f"Its rows: {messages.counts(summary)}. {''.join(commands[:1])}".split()),
        )
    shown = " and ".join(_rows_that_are(word, number) for word, number in found.items() if number)
    them = "it" if sum(found.values()) == 1 else "them"
    pay = "" if is_practice(summary.base_url) else f", and pay for {them} again"
    return f"Send {shown} of {summary.source.name} (batch {summary.batch_id}) again{pay}?"


def _rows_that_are(outcome: Outcome, number: int) -> str:
    if outcome in {Outcome.TIMED_OUT, Outcome.IN_DOUBT}:
        return f"{plural(number, 'row')} {outcome}"
    return plural(number, f"{outcome} row")


def _outcome(word: str, known: Sequence[str]) -> Outcome:
    """Parse an outcome; ``known`` are those that an error names."""
    try:
        return Outcome(word.strip().lower().replace("-", " "))
    except ValueError:
        raise UsageError(
            f"There is no outcome {word}.",
            f"{did_you_mean(word, known)}Use {', '.join(known)}.",
        ) from None


def show_live(looks: Iterable[Sequence[str]]) -> None:
    """Show the states of a batch until the last one, or until Ctrl-C.

    Without a terminal, a state is printed only if it has changed.

    Args:
        looks: The lines of each state.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    shown: Sequence[str] = ()
    with suppress(KeyboardInterrupt):  # the user stops watching; the batch continues
        if not is_screen(sys.stdout):
            for lines in looks:
                if lines != shown:
                    print_lines([*([""] if shown else []), *lines])
                shown = lines
            return
        with Live(console=Console(highlight=False), auto_refresh=False, transient=True) as live:
            for shown in looks:
                text = visible(runnable_commands("\n".join(shown)))
                live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)
    print_lines(shown)  # whole: the screen cuts long lines
