"""Run a batch in the terminal: confirm it, show its progress, stop it, report its end."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from batchrun.cli import messages
from batchrun.cli.notifications import notice, notify, words_of
from batchrun.cli.output import OutputMode, mark_of, print_lines, print_text, usable_columns
from batchrun.cli.prompts import (
    ask,
    beside_question,
    confirm,
    confirm_address,
    confirm_batch,
    confirmed,
)
from batchrun.cli.signals import Stopper
from batchrun.errors import (
    BatchrunError,
    KeyRefusedError,
    NotConfirmedError,
    StoppedError,
    UsageError,
)
from batchrun.estimate import price_of
from batchrun.settings.location import is_practice

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
    from pathlib import Path

    from batchrun.batch.history import BatchStatus
    from batchrun.batch.report import Report
    from batchrun.batch.request import Request
    from batchrun.engine.session import Rest
    from batchrun.model import BatchSummary, Decide, InDoubt, ResultRow
    from batchrun.plan import Plan
    from batchrun.service.answers import Credits
    from batchrun.settings.model import Settings
    from batchrun.workbook import Form


def run_list(
    request: Request,
    settings: Settings,
    output: Path | None,
    limit: int | None,
    form: Form | None,
    mode: OutputMode,
    *,
    yes: bool,
    again: bool = False,
    detach: bool = False,
    replaced: Path | None = None,
    on_confirmed: Callable[[], None] | None = None,
) -> None:
    """Run a list in the terminal, and end the command with the batch's exit code.

    Without ``output``, the results go to ``replaced``, the workbook of a practice run, if given.
    ``on_confirmed`` is called when the service has accepted the key and the user has agreed.
    """
    from batchrun import aio, status

    output = output or replaced
    confirm_address(settings)
    asked = not yes and not mode.as_json and sys.stdin.isatty()

    with _open_display(settings, mode, output, form) as display:

        def confirm(plan: Plan, earlier: BatchSummary | None) -> bool:
            display.credits = plan.credits
            with display.stopper.asking():
                left = None
                if earlier is not None and earlier.unfinished:
                    left = status(earlier.batch_id, settings=settings)
                    confirm_batch(settings, earlier, output)
                if replaced is not None:
                    note = f"{replaced.name} contains practice results, which this run replaces"
                    print_text(f"Note:      {note}", err=True)
                if not _confirmed(plan, left, limit, output, form, settings, mode, yes=yes):
                    no_batch = "" if left else " and no batch was started"
                    unsaved = "" if on_confirmed is None else " The options were not saved."
                    raise NotConfirmedError(f"Nothing was triggered{no_batch}.{unsaved}")
                if on_confirmed is not None:
                    on_confirmed()
                return True

        def begin(**shown: Any) -> Coroutine[Any, Any, Report]:
            shown |= {"limit": limit, "again": again, "detach": detach, "with_credits": asked}
            return aio.run(request, confirm=confirm, **shown)

        display.run(begin, limit, asks=not yes)


def continue_batch(
    begin: Callable[..., Coroutine[Any, Any, Report]],
    settings: Settings,
    mode: OutputMode,
    *,
    decide: Decide,
    output: Path | None,
    form: Form | None,
    limit: int | None = None,
    credits_left: Credits | None = None,
    asks: bool = False,
    asks_first: bool = False,
) -> None:
    """Continue a batch in the terminal, and end the command with the batch's exit code.

    It may ask after a pilot, and first, before jobs are sent that nobody has confirmed.
    ``credits_left`` is from an earlier question.
    """
    with _open_display(settings, mode, output, form) as display:
        display.credits = credits_left

        def decided(rows: Sequence[ResultRow]) -> InDoubt:
            with display.stopper.asking():
                return decide(rows)

        def confirm(rest: Rest) -> bool:
            with display.stopper.asking():
                display.credits = rest.credits
                confirm_rest(rest, settings, mode)
                return True

        def begin_asking(**shown: Any) -> Coroutine[Any, Any, Report]:
            shown |= {} if limit is None else {"limit": limit}
            shown |= {"confirm": confirm} if asks_first else {}
            return begin(in_doubt=decided, **shown)

        display.run(begin_asking, limit, asks=asks)


class _BatchDisplay:
    """The terminal display of one batch, from the first question to the end."""

    def __init__(
        self, settings: Settings, mode: OutputMode, output: Path | None, form: Form | None
    ) -> None:
        from batchrun.batch.control import Control
        from batchrun.cli.progress import ProgressPrinter

        self._settings, self._mode = settings, mode
        self.printer = ProgressPrinter(speed=settings.speed)
        self.control = Control()
        self.stopper = Stopper(
            self.control,
            self.printer.say,
            self.printer.close,
            settings.drain_seconds / settings.speed,
        )
        on_progress = None if mode.quiet else self.printer.show
        self._shown: dict[str, Any] = {"on_progress": on_progress, "control": self.control}
        self._shown |= {"output": output, "form": form}
        self.credits: Credits | None = None  # those before the first job, once known
        self.ended: Report | None = None

    def run(
        self, begin: Callable[..., Coroutine[Any, Any, Report]], limit: int | None, *, asks: bool
    ) -> None:
        """Run a batch to its end. After a pilot, ask whether to run the rest, if it ``asks``."""
        report = self._measured(self._run(begin, limit))
        pilot = asks and limit is not None and self._mode.shows_a_pilot
        if pilot and self._confirm_rest(report):
            rest = self._measured(self._run(begin, None))
            report = messages.with_its_rest(report, rest)
        self.ended = report

    def _measured(self, report: Report) -> Report:
        """Add the credits left after a pilot, and keep what a job cost.

        Without a pilot, that is done at the end, if nothing is known of the price. It costs a
        request itself, and does not matter if it fails.
        """
        from batchrun.batch.history import existing_journal
        from batchrun.engine.engine import Ending
        from batchrun.engine.session import cost_of

        batch, pilot = report.summary, report.ending is Ending.LIMIT
        prices = messages.prices(self._settings.journal, batch.base_url)
        ended = report.ending is Ending.FINISHED and prices.price(batch.workflow.id) is None
        if self.credits is None or not self.control.triggered or not (pilot or ended):
            return report
        with self.stopper.asking(), suppress(BatchrunError, OSError, KeyboardInterrupt):
            if report.credits is None:
                left = asyncio.run(cost_of(batch, 0, self._settings)).credits
                report = replace(report, credits=left)
            with existing_journal(self._settings.journal) as journal:
                accepted = journal.accepted(batch.batch_id)
            jobs = min(self.control.triggered, accepted)  # rejected ones cost nothing
            if price := price_of(self.credits, report.credits, jobs):
                prices.remember_price(batch.workflow.id, price)
        return report

    def _run(self, begin: Callable[..., Coroutine[Any, Any, Report]], limit: int | None) -> Report:
        """Begin a batch or continue it. If the key is refused, ask for another at a terminal."""
        from batchrun import aio

        while True:
            shown = self._shown | {"settings": self._settings}
            try:
                if self.control.batch_id is None:
                    return self.stopper.run(begin(**shown))
                # The rest of a pilot, or a new key: rows to send again are already pending or sent.
                left = None if limit is None else max(limit - self.control.triggered, 0)
                only, batch_id = self.control.only, self.control.batch_id
                return self.stopper.run(aio.resume(batch_id, limit=left, only=only, **shown))
            except KeyRefusedError as error:
                if not sys.stdin.isatty():
                    raise
                self.printer.close()
                begun = self.control.batch_id is not None
                rest = "Nothing is lost." if begun else "Nothing was triggered."
                print_text(f"{error.what}\n{rest}", err=True)
                key = ""
                with self.stopper.asking(), suppress(KeyboardInterrupt):
                    key = ask("Key for this run only (not shown; empty to stop)", hidden=True)
                if not key:
                    raise
                self._settings = self._settings.with_typed_key(key)
                self.credits = None  # this key may be another organization's

    def _confirm_rest(self, report: Report) -> bool:
        """Show the results and cost of a pilot; return whether to run the rest now."""
        from batchrun.batch.history import existing_journal, rows_in, sent_elsewhere, unknown_in
        from batchrun.engine.engine import Ending
        from batchrun.list_rows import RowNumbers
        from batchrun.workbook.columns import SAMPLED_ROWS
        from batchrun.workbook.readable import Names, pilot_results

        if report.ending is not Ending.LIMIT or not report.sent:
            return False
        self.printer.close()
        batch = report.summary
        sent = sent_elsewhere(report.to_trigger, batch, self._settings)
        with self.stopper.asking():
            try:
                pilot = report.pilot().rows
                with existing_journal(self._settings.journal) as journal:
                    lines = messages.unknown_to_results(unknown_in(journal, batch.batch_id))
                    rows_of = partial(rows_in, journal, batch.batch_id)
                    page, numbers = rows_of(limit=SAMPLED_ROWS), RowNumbers.of_batch(batch, rows_of)
                names = Names(page.header, page.roles, page.rows)
                lines += messages.pilot_lines(
                    report,
                    pilot,
                    pilot_results(pilot, page.header, names, numbers.words, briefly=True),
                    self.credits,
                    usable_columns(sys.stdout),
                    datetime.now(UTC),
                    speed=self._settings.speed,
                    mark=mark_of(sys.stdout),
                )
                print_lines(lines)
                agreed = confirm("Run the rest now?")
            except KeyboardInterrupt:
                return False
        if agreed:
            _require_as_shown(batch, report.to_trigger, sent, self._settings)
        return agreed


@contextmanager
def _open_display(
    settings: Settings, mode: OutputMode, output: Path | None, form: Form | None
) -> Iterator[_BatchDisplay]:
    """Set up progress, Ctrl-C, the log file, and the notification at the end."""
    from batchrun.cli.log_file import logging_to

    if mode.notify_command is not None:
        words_of(mode.notify_command)  # fail before any credits are spent
    with logging_to(settings.log_file):
        display = _BatchDisplay(settings, mode, output, form)
        with display.stopper.listening():
            with display.printer, _noticed(display, mode):
                yield display
            if display.ended is not None:
                messages.end(display.ended, settings, mode, stopped=display.control.stopped)


@contextmanager
def _noticed(display: _BatchDisplay, mode: OutputMode) -> Iterator[None]:
    """Run the user's command when the block ends, if a batch had started."""
    if mode.notify_command is None:
        yield
        return
    try:
        yield
    except BatchrunError as error:
        if display.control.batch_id is not None:
            display.printer.close()
            batch_id = display.control.batch_id
            said = notice(batch_id, error.exit_code, f"batch {batch_id}: {error.what}")
            at_once = isinstance(error, StoppedError)  # the user doesn't want to wait
            notify(mode.notify_command, said, wait=not at_once)
        raise
    if display.ended is not None:
        display.printer.close()
        notify(mode.notify_command, messages.notice_of(display.ended))


def _confirmed(
    plan: Plan,
    earlier: BatchStatus | None,
    limit: int | None,
    output: Path | None,
    form: Form | None,
    settings: Settings,
    mode: OutputMode,
    *,
    yes: bool,
) -> bool:
    from batchrun.batch.export import is_as_written
    from batchrun.batch.history import known_elsewhere, sent_elsewhere
    from batchrun.settings.credentials import address_of

    to_trigger, running = plan.to_trigger, 0
    if earlier is not None:
        to_trigger, running = earlier.left.to_trigger, earlier.left.running
    now = to_trigger if limit is None else min(limit, to_trigger)
    if earlier is not None:
        sent = sent_elsewhere(now, earlier.summary, settings)
    else:
        sent = 0 if yes else known_elsewhere(plan, settings)
    estimate = plan.rates.of(now, running)
    measure = "" if yes else messages.pilot_of(plan)
    costs = messages.cost_lines(
        estimate, plan.credits, now, settings, plan.workflow, address_of(settings), measure
    )
    lines = messages.plan_lines(plan, now, to_trigger, costs=costs)
    if earlier is not None:
        lines.append(messages.resumes_line(earlier))
        if sent:
            lines.append(f"           {messages.sent_elsewhere_words(sent, now, earlier.summary)}")
    lines = [*messages.columns_of_the_list(form, plan.table.header), *lines]
    question = messages.question(plan, now, to_trigger, practice=is_practice(settings.base_url))
    if not now and earlier is None and output and output.exists() and is_as_written(output):
        question = f"Replace {output.name}?"
    unasked = yes or not (now or sys.stdin.isatty()) or not question
    if not (yes and mode.quiet):
        print_lines(lines, err=mode.as_json or beside_question(yes=unasked))
    hidden = messages.hides_invalid_rows(plan)
    details = messages.invalid_lines(plan, details=True) if hidden else ()
    if not confirmed(question, details, yes=unasked):
        return False
    if earlier is not None and not unasked:
        _require_as_shown(earlier.summary, now, sent, settings)
    elif not unasked and known_elsewhere(plan, settings) > sent:
        name = plan.table.source.name
        raise _changed(f"Another batch has sent some of the jobs of {name} meanwhile.")
    return True


def confirm_jobs(
    summary: BatchSummary,
    jobs: Collection[int],
    settings: Settings,
    mode: OutputMode,
    question: str = "",
) -> Credits | None:
    """Show what it costs to send jobs of a batch, and ask. Return the credits left, if known.

    Raises:
        NotConfirmedError: The answer is no.
        UsageError: There is no terminal, or the batch has changed since the question.
    """
    from batchrun.engine.session import cost_of

    if not sys.stdin.isatty():
        confirmed(question, yes=False)
    rest = asyncio.run(cost_of(summary, jobs, settings))
    confirm_rest(rest, settings, mode, question, jobs)
    return rest.credits


def confirm_rest(
    rest: Rest,
    settings: Settings,
    mode: OutputMode,
    question: str = "",
    chosen: Collection[int] | None = None,
) -> None:
    """Show what it costs to send jobs of a batch, and ask.

    ``chosen`` are their numbers; ``None`` for the jobs to trigger next.

    Raises:
        NotConfirmedError: The answer is no.
        UsageError: The batch has changed since the question.
    """
    jobs, batch = rest.to_trigger, rest.summary
    measure = "" if question else f"resume with --limit {messages.PILOT_JOBS}"
    costs = messages.cost_lines(
        rest.estimate, rest.credits, jobs, settings, batch.workflow, batch.base_url, measure
    )
    print_lines(costs, err=mode.as_json or beside_question(yes=False))
    if not question:
        sent = rest.elsewhere
        words = messages.sent_elsewhere_words(sent, jobs, batch) if sent else ""
        question = messages.trigger_question(batch, jobs, words)
    if not confirm(question):
        raise NotConfirmedError("Nothing was triggered.")
    _require_as_shown(batch, jobs if chosen is None else chosen, rest.elsewhere, settings)


def _require_as_shown(
    batch: BatchSummary, jobs: Collection[int] | int, elsewhere: int, settings: Settings
) -> None:
    """Raise `UsageError` if a batch has changed since a question, or another has sent its jobs."""
    from batchrun import status
    from batchrun.batch.history import sent_elsewhere

    now = status(batch.batch_id, settings=settings).summary
    if now.updated_at != batch.updated_at:
        raise _changed(f"Batch {batch.batch_id} has changed since the question.")
    if sent_elsewhere(jobs, batch, settings) > elsewhere:
        raise _changed(f"Another batch has sent some of the jobs of {batch.source.name} meanwhile.")


def _changed(what: str) -> UsageError:
    """Return the error for an answer to a question whose figures are no longer right."""
    return UsageError(f"{what} Nothing was triggered.", "Repeat the command to see what is left.")
