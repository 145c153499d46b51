"""Commands that carry out a user's decision: `retry`, `forget`; and the question about doubts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from batchrun.cli.asking import agreed, beside_question, off_stdout, on_stderr
from batchrun.cli.attending import Manner, go_on
from batchrun.cli.completing import batch_ids
from batchrun.cli.forms import ColumnOptions, form_from
from batchrun.cli.lists import configuration_of, tell_whose_key
from batchrun.cli.options import (
    AsJson,
    BaseUrl,
    Batch,
    JournalAt,
    LogFile,
    NotifyCommand,
    Output,
    PlayJournal,
    ProfileName,
    Quiet,
    Yes,
    age,
    settings_from,
    settings_with_journal,
)
from batchrun.cli.telling import tell
from batchrun.errors import ExitCode, NotConfirmedError, UsageError
from batchrun.model import InDoubt, Outcome
from batchrun.words import meant

if TYPE_CHECKING:
    from batchrun.model import BatchSummary, Decide, ResultRow

ROWS_SHOWN = 10
AGAIN = ("failed", "rejected", "timed-out", "in-doubt")
"""Outcomes as they are typed."""

Doubts: TypeAlias = Annotated[
    InDoubt | None,
    typer.Option(
        "--in-doubt",
        help="What to do with triggers that may have been accepted: hold them, retry them (and "
        "perhaps pay twice), or drop them. Asked on a terminal, else hold.",
    ),
]
Outcomes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--outcome",
        metavar="OUTCOME",
        autocompletion=lambda: list(AGAIN),
        help="What to send again: failed, rejected, timed-out, in-doubt. Repeatable. "
        "Without it, failed and rejected.",
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(retry)
    app.command()(forget)


def retry(
    batch: Batch = None,
    outcome: Outcomes = None,
    output: Output = None,
    yes: Yes = False,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    log_file: LogFile = None,
    notify_command: NotifyCommand = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Send rows again that ended without a result, and pay again."""
    from batchrun import aio
    from batchrun import status as status_of
    from batchrun.model import RETRIED_BY_ITSELF, retriable

    chosen = retriable([_outcome(word) for word in outcome]) if outcome else RETRIED_BY_ITSELF
    given: dict[str, Any] = {
        "profile": profile,
        "base_url": base_url,
        "journal": journal,
        "log_file": log_file,
    }
    summary = status_of(batch, settings=settings_with_journal(**given)).summary
    files = configuration_of(summary)
    settings = settings_from(configuration=files, **given)
    tell_whose_key(settings, summary)
    _confirm_retry(summary, chosen, yes=yes)
    go_on(
        partial(aio.retry, summary.batch_id, outcomes=chosen),
        settings,
        Manner(as_json, quiet, notify_command, journal=journal),
        output=output,
        decide=about_doubts(InDoubt.HOLD),
        form=form_from(ColumnOptions(), defaults=files.defaults, source=summary.source.path),
    )


def forget(
    batch: Annotated[
        str | None,
        typer.Argument(help="Id of the batch, or its beginning.", autocompletion=batch_ids),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="All batches not worked on for so long, such as 90d."),
    ] = None,
    yes: Yes = False,
    journal: JournalAt = None,
    sandbox: PlayJournal = False,
) -> None:
    """Erase a batch, its rows and its results; workbooks stay."""
    from batchrun import forget as forget_batches
    from batchrun.words import plural

    if (batch is None) == (older_than is None):
        raise UsageError(
            "Name a batch, or an age with --older-than.", "List the batches with: batchrun batches"
        )
    settings = settings_with_journal(sandbox=sandbox, journal=journal)
    gone = forget_batches(
        *([] if batch is None else [batch]),
        older_than=None if older_than is None else age(older_than, "--older-than"),
        confirm=lambda found: _agreed_to_erase(found, yes=yes),
        settings=settings,
    )
    if not gone:
        tell(f"No batch is older than {older_than}.")
        return
    tell(f"Forgotten: {plural(len(gone), 'batch', 'batches')}")


def _agreed_to_erase(found: Sequence[BatchSummary], *, yes: bool) -> bool:
    """Ask, and end the command where the answer is no: nothing is wrong then."""
    from batchrun.cli.wording import counts
    from batchrun.words import plural

    for one in found:
        told = f"{one.batch_id}  {one.workflow.name}  rows: {counts(one)}"
        tell(told, err=beside_question(yes=yes), hanging=2)
    if not _agreed(f"Erase {plural(len(found), 'batch', 'batches')} for good?", yes=yes):
        raise typer.Exit(ExitCode.COMPLETED)
    return True


def about_doubts(given: InDoubt | None) -> Decide:
    """Decide as told; if nothing was, ask on a terminal and else change nothing."""

    def decide(rows: Sequence[ResultRow]) -> InDoubt:
        if given in {InDoubt.RETRY, InDoubt.DROP}:
            return given
        _show_doubts(rows)
        if given is not None or not sys.stdin.isatty():
            return InDoubt.HOLD
        return _asked()

    return decide


def _show_doubts(rows: Sequence[ResultRow]) -> None:
    from batchrun.words import plural

    are = "is" if len(rows) == 1 else "are"
    tell(
        f"{plural(len(rows), 'row')} {are} in doubt: the trigger may or may not have been "
        "accepted, and only you can settle it.",
        err=True,
    )
    for row in rows[:ROWS_SHOWN]:
        ids = ", ".join(filter(None, (row.company_id, row.contact_id)))
        tell(f"  line {row.row.line}: {ids}: {row.message}", err=True)
    if len(rows) > ROWS_SHOWN:
        tell(f"  … and {len(rows) - ROWS_SHOWN:,} more", err=True)
    tell(
        "Settle it with: batchrun resume --in-doubt retry (sends them, perhaps a second time) "
        "or --in-doubt drop (never sends them)",
        err=True,
    )


def _asked() -> InDoubt:
    choices = "/".join(InDoubt)
    while True:
        try:
            with off_stdout():
                word = typer.prompt(f"Now [{choices}]", default=InDoubt.HOLD.value, err=on_stderr())
        except typer.Abort:  # Ctrl-C or Ctrl-D: not now, and nothing else either
            raise KeyboardInterrupt from None
        if word.strip().lower() in set(InDoubt):
            return InDoubt(word.strip().lower())


def _confirm_retry(summary: BatchSummary, outcomes: frozenset[Outcome], *, yes: bool) -> None:
    found = {outcome: summary.counts[outcome] for outcome in sorted(outcomes)}
    if not any(found.values()):
        words = " or ".join(found)
        raise UsageError(
            f"Batch {summary.batch_id} has no row that is {words}.",
            f"See where it stands with: batchrun status {summary.batch_id}",
        )
    shown = " and ".join(_rows_that_are(word, number) for word, number in found.items() if number)
    them = "it" if sum(found.values()) == 1 else "them"
    question = f"Send {shown} of batch {summary.batch_id} again, and pay for {them} again?"
    if not _agreed(question, yes=yes):
        raise NotConfirmedError("Nothing was triggered.")


def _rows_that_are(outcome: Outcome, number: int) -> str:
    from batchrun.words import plural

    if outcome in {Outcome.TIMED_OUT, Outcome.IN_DOUBT}:
        return f"{plural(number, 'row')} {outcome}"
    return plural(number, f"{outcome} row")


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nobody is here to confirm it.", "Add --yes to do it unasked.")
    return agreed(question)


def _outcome(word: str) -> Outcome:
    try:
        return Outcome(word.strip().lower().replace("-", " "))
    except ValueError:
        raise UsageError(
            f"There is no outcome {word}.",
            f"{meant(word, AGAIN)}Outcomes that can be sent again: {', '.join(AGAIN)}.",
        ) from None
