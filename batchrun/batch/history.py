"""Read, export and delete the batches in the journal.

Nothing here uses the service, and reading never creates a journal.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun import workbook
from batchrun.advice import Action, Advice
from batchrun.arguments import checked_arguments
from batchrun.batch.export import is_as_written, write_results
from batchrun.batch.recover import needed_consents
from batchrun.errors import NoBatchError, NotConfirmedError, UsageError
from batchrun.journal import Holder, Journal, Remaining
from batchrun.journal.schema import JobState
from batchrun.model import BatchSummary, InDoubt, Outcome, ResultRow, Role, counted_outcomes
from batchrun.notebook import TableList
from batchrun.settings.credentials import address_of, find_credentials, for_batch
from batchrun.settings.loading import load_settings
from batchrun.settings.location import is_server
from batchrun.text import html_table, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from batchrun.plan import Plan
    from batchrun.settings.consent import ConsentRequest
    from batchrun.settings.model import Settings


BATCHES_NAMED = 3
MIN_PREFIX = 4
"""The minimum number of characters of a batch ID that `forget` accepts."""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The state of a batch.

    Attributes:
        summary: The batch as a whole.
        left: The jobs still to send, and the executions that are running.
        holder: The process that works on the batch, or that died while working on it; ``None`` if
            there is none.
        in_doubt: The rows in doubt that the user has not decided about, in input order.
        rescued: Files with results that the journal could not store; ``resume`` imports them.
        workers: Whether live workers have claimed some of its jobs.
        working: Whether a process works on the batch now.
        starts_soon: Whether it was left to workers, and none has begun.
    """

    summary: BatchSummary
    left: Remaining
    holder: Holder | None
    in_doubt: tuple[ResultRow, ...]
    rescued: tuple[Path, ...]
    workers: bool = False
    working: bool = False
    starts_soon: bool = False

    @property
    def something_to_do(self) -> bool:
        """Whether `resume` has work to do or needs a decision."""
        return bool(self.summary.unfinished or self.in_doubt or self.rescued)

    @property
    def to_confirm(self) -> int:
        """How many jobs wait until somebody agrees to send them, such as those after a pilot."""
        return 0 if self.summary.confirmed else self.left.to_trigger

    @property
    def opens_at(self) -> datetime | None:
        """When the quota opens again; ``None`` if the quota isn't spent or a process is working."""
        return None if self.working else self.summary.resume_at

    def needed_consents(self, settings: Settings, output: Path | None) -> list[ConsentRequest]:
        """Return what a person must agree to before the batch continues.

        The journal may have come from somebody else.

        Args:
            settings: Settings with the journal and the key.
            output: The results file that the user gave; ``None`` for the one in the journal.

        Raises:
            UsageError: There is no key, or none that may continue the batch.
            JournalError: The journal can't be read.
        """
        key = find_credentials(for_batch(settings, self.summary)).key
        with existing_journal(settings.journal) as journal:
            return list(needed_consents(journal, self.summary, key, output))

    def __repr__(self) -> str:
        return f"<BatchStatus {self.summary.words}; {self._worked_on}>"

    def _repr_html_(self) -> str:
        left = [
            ("To trigger", plural(self.left.to_trigger, "job")),
            ("Running", plural(self.left.running, "job")),
            ("Worked on", self._worked_on),
        ]
        return html_table(f"Batch {self.summary.batch_id}", [*self.summary.lines(), *left])

    @property
    def _worked_on(self) -> str:
        if not self.working:
            return "by nobody now"
        return f"by {self.holder.words()}" if self.holder else "by workers"


@checked_arguments()
def batches(*, unfinished: bool = False, settings: Settings | None = None) -> list[BatchSummary]:
    """Return all batches of the journal, newest first; an empty list if there is no journal yet.

    Args:
        unfinished: Only batches that `resume` can continue. A batch with nothing left but rows in
            doubt is not included: those rows wait for your decision.
        settings: Settings with the journal to use; ``None`` reads them from the environment.

    Raises:
        JournalError: The journal given in the settings does not exist, or can't be read.
    """
    settings = settings or load_settings()
    if "journal" not in settings.model_fields_set and is_missing(settings.journal):
        return []
    with existing_journal(settings.journal) as journal:
        found = journal.unfinished()[::-1] if unfinished else journal.batches()
    return TableList(
        found,
        {
            "Batch": lambda each: each.batch_id,
            "List": lambda each: each.source.name,
            "Workflow": lambda each: each.workflow.name,
            "Rows": lambda each: f"{each.rows:,} ({counted_outcomes(each.counts)})",
        },
    )


@checked_arguments()
def status(batch_id: str | None = None, *, settings: Settings | None = None) -> BatchStatus:
    """Return the state of a batch, even while it runs.

    Args:
        batch_id: The batch ID or its first characters; ``None`` for the newest batch.
        settings: As in `batches`.

    Raises:
        JournalError: There is no such batch, or no journal.
    """
    with existing_journal((settings or load_settings()).journal) as journal:
        return _status(journal, journal.resolve(batch_id))


@checked_arguments()
def watch(
    batch_id: str | None = None,
    *,
    interval_seconds: float = 1.0,
    settings: Settings | None = None,
) -> Iterator[BatchStatus]:
    """Yield the state of a batch repeatedly, until no process works on it.

    Args:
        batch_id: The batch; ``None`` for the one that is the newest now.
        interval_seconds: How long to wait between two states, in seconds.
        settings: As in `batches`.

    Yields:
        The state of the batch: the first at once, the last when the batch has stopped.

    Raises:
        JournalError: There is no such batch, or no journal.
    """
    with existing_journal((settings or load_settings()).journal) as journal:
        found = _status(journal, journal.resolve(batch_id))
        yield found
        while found.working or found.starts_soon:
            time.sleep(interval_seconds)
            found = _status(journal, journal.summary(found.summary.batch_id))
            yield found


def _status(journal: Journal, summary: BatchSummary) -> BatchStatus:
    batch_id = summary.batch_id
    holder, workers = journal.holder(batch_id), journal.slices(batch_id).others_work()
    return BatchStatus(
        summary,
        journal.remaining(batch_id),
        holder,
        tuple(journal.undecided(batch_id)),
        tuple(journal.rescued(batch_id)),
        workers,
        workers or (holder is not None and journal.is_alive(holder)),
        starts_soon=holder is None and not workers and batch_id in journal.open_batches(),
    )


def sent_elsewhere(chosen: Collection[int] | int, batch: BatchSummary, settings: Settings) -> int:
    """Return how many of a batch's jobs without a result another batch has paid for.

    ``chosen`` are their numbers, or how many of the jobs to trigger next.
    """
    if not chosen:
        return 0
    with existing_journal(settings.journal) as journal:
        return sum(map(bool, journal.sent_elsewhere(batch, chosen).values()))


def jobs_of(rows: Iterable[ResultRow]) -> set[int]:
    """Return the numbers of the jobs of some rows."""
    return {row.job for row in rows if row.job is not None}


def known_elsewhere(plan: Plan, settings: Settings) -> int:
    """Return how many jobs of a list other batches have paid for."""
    with existing_journal(settings.journal) as journal:
        return len(journal.known_jobs(plan, address_of(settings)))


def jobs_to_send(
    before: BatchStatus, limit: int | None, in_doubt: InDoubt | None, settings: Settings
) -> dict[int, str]:
    """Return the jobs that `resume` would send, and which other batch has sent each since."""
    summary, pending = before.summary, before.left.to_trigger
    doubts = jobs_of(before.in_doubt) if in_doubt is InDoubt.RETRY else set()
    pending = pending if limit is None else min(limit, pending)
    with existing_journal(settings.journal) as journal:
        sent = partial(journal.sent_elsewhere, summary, since=summary.created_at)
        return (sent(pending) if pending else {}) | (sent(doubts) if doubts else {})


def sent_in_words(sent: int, batch_ids: Iterable[str] = ()) -> str:
    """Return that jobs were sent in other batches, as a predicate that names the first of them."""
    named = sorted({*batch_ids} - {""})
    more = ", …" if len(named) > BATCHES_NAMED else ""
    names = f" ({', '.join(named[:BATCHES_NAMED])}{more})" if named else ""
    was, will_be = ("was", "is") if sent == 1 else ("were", "are")
    return f"{was} already sent, or {will_be} about to be, in another batch{names}"


def requests_today(settings: Settings) -> int:
    """Return the requests sent with the key since midnight UTC by all users of this journal."""
    with existing_journal(settings.journal) as journal:
        return journal.ledger(find_credentials(settings).key).spent_today()


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page of a batch's rows.

    Attributes:
        header: The list's column names.
        roles: The column index of each kind of ID.
        rows: The rows, in input order.
    """

    header: tuple[str, ...]
    roles: Mapping[Role, int]
    rows: tuple[ResultRow, ...]


@checked_arguments()
def rows(
    batch_id: str,
    outcomes: Collection[Outcome] | None = None,
    *,
    offset: int = 0,
    limit: int | None = None,
    settings: Settings | None = None,
) -> RowPage:
    """Return some rows of a batch, even while it runs. Suits long lists too.

    Args:
        batch_id: The complete batch ID.
        outcomes: Only rows with these outcomes; ``None`` for all.
        offset: How many of those rows to skip.
        limit: The maximum number of rows; ``None`` for all.
        settings: As in `batches`.

    Raises:
        JournalError: There is no such batch, or no journal.
    """
    with existing_journal((settings or load_settings()).journal) as journal:
        return rows_in(journal, batch_id, outcomes, offset=offset, limit=limit)


def rows_in(
    journal: Journal,
    batch_id: str,
    outcomes: Collection[Outcome] | None = None,
    *,
    offset: int = 0,
    limit: int | None = None,
) -> RowPage:
    """Return what `rows` returns, from an open journal."""
    states: list[JobState | None] | None = None
    if outcomes is not None:
        states = [state for state in JobState if state.outcome in outcomes]
        states += [None] if Outcome.INVALID in outcomes else []
    with journal.results(batch_id, states=states, offset=offset, limit=limit) as found:
        return RowPage(found.header, found.roles, tuple(found.rows))


@checked_arguments()
def results(
    batch_id: str | None = None,
    settings: Settings | None = None,
    *,
    form: workbook.Form | None = None,
    source: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return a batch's results as a DataFrame: the columns of the Results sheet, a row per row.

    Args:
        batch_id: The batch; ``None`` for the newest.
        settings: As in `batches`.
        form: Which result columns; ``None`` for all.
        source: The DataFrame that the batch was run with; its columns, dtypes and index are kept.
            Without it, columns have dtype object and cells keep their original values.

    Raises:
        JournalError: There is no such batch, or no journal.
        InputError: The batch was run with another DataFrame.
    """
    location = (settings or load_settings()).journal
    return read_frame(location, batch_id, form=form, source=source)


def read_frame(
    location: str,
    batch_id: str | None,
    *,
    form: workbook.Form | None = None,
    source: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return what `results` returns, from the journal at a location."""
    with existing_journal(location) as journal:
        summary = journal.resolve(batch_id)
        with journal.results(summary.batch_id) as found:
            return workbook.to_frame(found, form, source)


@checked_arguments()
def export(
    batch_id: str | None,
    output: Path | str,
    settings: Settings | None = None,
    form: workbook.Form | None = None,
) -> Path:
    """Write a batch's current results, even while it runs.

    Args:
        batch_id: The batch; ``None`` for the newest.
        output: The file to write: .xlsx, .csv, .jsonl or .parquet. A file that isn't from this
            batch, or was changed since, is kept: the results go beside it.
        settings: As in `batches`.
        form: How to lay out the results; ``None`` for the default. If it leaves ``rows_per_file``
            or ``compare`` open, the values of the batch's own run apply.

    Returns:
        The path that was written.

    Raises:
        JournalError: There is no such batch, or no journal.
        OutputError: The file can't be written.
    """
    output = Path(output)
    form = form or workbook.Form()
    with existing_journal((settings or load_settings()).journal) as journal:
        summary = journal.resolve(batch_id)
        source = summary.source.path
        workbook.check_target(output, None if source is None else Path(source))
        as_run = workbook.Form.recalled(journal.form(summary.batch_id))
        form = replace(
            form,
            rows_per_file=form.rows_per_file or as_run.rows_per_file,
            compare=form.compare or as_run.compare,
        )
        may_replace = partial(is_as_written, batch_id=summary.batch_id)
        output = workbook.free_target(output, may_replace)
        return write_results(journal, summary.batch_id, output, form, as_its_workbook=False)


@checked_arguments()
def unknown_columns(
    batch_id: str | None = None,
    form: workbook.Form | None = None,
    *,
    settings: Settings | None = None,
) -> tuple[workbook.UnknownColumn, ...]:
    """Return the columns that a form names but no result of a batch has: they stay empty.

    Args:
        batch_id: The batch; ``None`` for the newest.
        form: The form; ``None`` for the one of the batch's own workbook.
        settings: As in `batches`.

    Returns:
        The unknown columns, each with suggestions; none while the batch has no results.

    Raises:
        JournalError: There is no such batch, or no journal.
    """
    with existing_journal((settings or load_settings()).journal) as journal:
        return unknown_in(journal, journal.resolve(batch_id).batch_id, form)


def unknown_in(
    journal: Journal, batch_id: str, form: workbook.Form | None = None
) -> tuple[workbook.UnknownColumn, ...]:
    """Return what `unknown_columns` returns, from an open journal."""
    wanted = form or workbook.Form.recalled(journal.form(batch_id))
    with journal.results(batch_id) as found:
        return workbook.unknown_columns(found, wanted)


@checked_arguments()
def forget(
    *batch_ids: str,
    older_than: timedelta | None = None,
    confirm: Callable[[Sequence[BatchSummary]], bool] | None = None,
    settings: Settings | None = None,
) -> list[BatchSummary]:
    """Delete batches from the journal, with their rows and results.

    Workbooks are kept. A later `run` of the same list doesn't know about the deleted batch and
    triggers everything again.

    Args:
        batch_ids: The batch IDs or their first characters.
        older_than: Also delete all batches that were last worked on longer ago than this.
        confirm: Called with the batches before they are deleted, if there are any.
        settings: As in `batches`.

    Returns:
        The deleted batches.

    Raises:
        JournalError: There is no such batch, or another process works on one.
        UsageError: Neither a batch nor an age is given.
        NotConfirmedError: ``confirm`` returned false; nothing was deleted.
    """
    if not batch_ids and older_than is None:
        raise UsageError("No batch to forget is named.", "Name its id, or an age.")
    with existing_journal((settings or load_settings()).journal) as journal:
        chosen = {batch.batch_id: batch for batch in map(journal.resolve, batch_ids)}
        for given in batch_ids:
            if len(given.strip()) < MIN_PREFIX and given not in chosen:
                raise UsageError(
                    f"{given} is too short to say which batch to delete.",
                    Advice(
                        f"Give at least {MIN_PREFIX} characters", "; to list them: batchrun batches"
                    ),
                )
        if older_than is not None:
            before = datetime.now(UTC) - older_than
            old = [batch for batch in journal.batches() if batch.updated_at < before]
            chosen |= {batch.batch_id: batch for batch in old}
        found = list(chosen.values())
        if found and confirm is not None and not confirm(found):
            raise NotConfirmedError("It was not confirmed.", "Nothing was deleted.")
        journal.forget(*chosen)
        return found


@contextmanager
def existing_journal(location: str) -> Iterator[Journal]:
    """Open the journal at a path or URL. It must exist already: reading never creates one.

    Raises:
        JournalError: There is no journal.
    """
    if is_missing(location):
        raise NoBatchError(
            f"There is no journal at {Path(location).expanduser()}.",
            Advice(
                "",
                "It keeps your batches; the first batchrun run creates it. To use another one, add "
                "--journal or set BATCHRUN_JOURNAL.",
                Action.CHOOSE_JOURNAL,
            ),
        )
    with Journal(location) as journal:
        yield journal


def is_missing(location: str) -> bool:
    """Return whether the journal is a file that does not exist. A server is not checked."""
    return not is_server(location) and not Path(location).expanduser().exists()
