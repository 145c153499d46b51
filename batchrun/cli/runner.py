"""A batch in front of its user: confirmed, shown while it runs, stopped, and told how it ended."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from batchrun.cli.output import tell, tell_all
from batchrun.cli.prompts import agreed, beside_question, on_stderr
from batchrun.cli.signals import Stopper, exit_codes
from batchrun.errors import (
    BatchrunError,
    KeyRefusedError,
    NotConfirmedError,
    StoppedError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from batchrun.batch.control import Control
    from batchrun.batch.history import BatchStatus
    from batchrun.batch.report import Report
    from batchrun.batch.request import Request
    from batchrun.model import BatchSummary, Decide, InDoubt, ResultRow
    from batchrun.plan import Plan
    from batchrun.service import Credits
    from batchrun.settings import Settings
    from batchrun.workbook import Form

Ended = TypeVar("Ended")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command speaks to whoever started it.

    Attributes:
        as_json: One JSON document on standard output, the rest on standard error.
        quiet: No plan, no progress, and at the end nothing but the workbook's path.
        notify_command: What is run when the batch ends or pauses; ``None`` for nothing.
        sandbox: Whether the service is imitated by this command itself.
        journal: What --journal says; ``None`` for nothing.
    """

    as_json: bool = False
    quiet: bool = False
    notify_command: str | None = None
    sandbox: bool = False
    journal: str | None = None

    @property
    def shows_a_pilot(self) -> bool:
        """Whether somebody sees what a pilot brought, and can answer whether to go on."""
        return not self.as_json and not self.quiet and sys.stdin.isatty() and sys.stdout.isatty()


def go(
    request: Request,
    settings: Settings,
    output: Path | None,
    limit: int | None,
    form: Form | None,
    manner: Manner,
    *,
    yes: bool,
    again: bool = False,
) -> None:
    """Run a list on the screen, and end the command as it ends."""
    from batchrun import aio, status
    from batchrun.cli.consent import confirm_address, confirm_batch

    confirm_address(settings)
    asked = not yes and not manner.as_json and sys.stdin.isatty()
    before: list[Credits | None] = []

    with _attending(settings, manner) as attendance:

        def confirm(plan: Plan, earlier: BatchSummary | None) -> bool:
            before[:] = [plan.credits]
            with attendance.stopper.asking():
                left = None
                if earlier is not None:
                    left = status(earlier.batch_id, settings=settings)
                    confirm_batch(settings, earlier, output)
                if not _confirmed(plan, left, limit, form, settings, manner, yes=yes):
                    raise NotConfirmedError("Nothing was triggered.")
                return True

        def work(settings: Settings) -> Coroutine[Any, Any, Report]:
            shown = attendance.shown | {"output": output, "form": form, "settings": settings}
            control = attendance.control
            if control.batch_id is not None:  # never a second batch, not even with --again
                left = _allowed(limit, control)
                return aio.resume(control.batch_id, limit=left, **shown)
            return aio.run(
                request,
                limit=limit,
                again=again,
                confirm=confirm,
                with_credits=asked,
                **shown,
            )

        report = attendance.run(work)
        pilot = not yes and limit is not None and manner.shows_a_pilot
        if pilot and attendance.goes_on(report, *before):
            report = attendance.rest_of(report, output, form)
        attendance.ended = report


def go_on(
    begin: Callable[..., Coroutine[Any, Any, Report]],
    settings: Settings,
    manner: Manner,
    *,
    decide: Decide,
    output: Path | None,
    form: Form | None,
    limit: int | None = None,
    asks: bool = False,
) -> None:
    """Go on with a batch on the screen, and end the command as it ends.

    Args:
        begin: What of `batchrun.aio` goes on with it.
        settings: Key and so on.
        manner: How the command speaks.
        decide: Asked about the rows in doubt.
        output: Where the results go.
        form: How they are written.
        limit: Trigger at most so many jobs now.
        asks: Whether to ask, when those have ended, about the rest, if somebody sees it.
    """
    from batchrun import aio

    pilot = asks and limit is not None and manner.shows_a_pilot
    with _attending(settings, manner) as attendance:

        def decided(rows: Sequence[ResultRow]) -> InDoubt:
            with attendance.stopper.asking():
                return decide(rows)

        def work(settings: Settings) -> Coroutine[Any, Any, Report]:
            shown = attendance.shown | {"output": output, "form": form, "settings": settings}
            control = attendance.control
            if control.batch_id is None:
                limited = {} if limit is None else {"limit": limit}
                return begin(in_doubt=decided, **limited, **shown)
            # Whoever is here a second time has sent again already what was to be.
            left = _allowed(limit, control)
            return aio.resume(control.batch_id, limit=left, only=control.only, **shown)

        report = attendance.run(work)
        if pilot and attendance.goes_on(report):
            report = attendance.rest_of(report, output, form)
        attendance.ended = report


class _Attendance:
    """What a batch needs in front of its user, from the first question to the end.

    Attributes:
        control: Stops it.
        stopper: Turns Ctrl-C into stops.
        shown: What the library is given for all of this.
        where: The option by which a later command finds the journal; ``""`` for none.
        ended: How it ended, once it has.
    """

    def __init__(self, settings: Settings, manner: Manner) -> None:
        from batchrun.batch.control import Control
        from batchrun.cli.messages import journal_option
        from batchrun.cli.progress import ProgressPrinter

        self._settings = settings
        self.where = journal_option(settings, manner.journal, sandbox=manner.sandbox)
        self.printer = ProgressPrinter(speed=settings.speed)
        self.control = Control()
        self.stopper = Stopper(
            self.control,
            self.printer.say,
            self.printer.close,
            where=self.where,
        )
        on_progress = None if manner.quiet else self.printer.show
        self.shown: dict[str, Any] = {"on_progress": on_progress, "control": self.control}
        self.ended: Report | None = None

    def run(self, work: Callable[[Settings], Coroutine[Any, Any, Ended]]) -> Ended:
        """Do the work; where the service refuses the key, ask for another one on a terminal."""
        while True:
            try:
                return self.stopper.run(work(self._settings))
            except KeyRefusedError as error:
                if not sys.stdin.isatty():
                    raise
                self.printer.close()
                tell(f"{error.what}\nNothing is lost.", err=True)
                with self.stopper.asking():
                    key = _another_key()
                if not key:
                    raise
                self._settings = self._settings.with_typed_key(key)

    def rest_of(self, report: Report, output: Path | None, form: Form | None) -> Report:
        """Run what a pilot has left; the report of both."""
        from batchrun import aio
        from batchrun.cli.pilot import with_its_rest

        shown = self.shown | {"output": output, "form": form, "only": self.control.only}
        batch_id = report.summary.batch_id
        rest = self.run(lambda settings: aio.resume(batch_id, settings=settings, **shown))
        return with_its_rest(report, rest)

    def goes_on(self, report: Report, before: Credits | None = None) -> bool:
        """Show what a pilot brought and cost; whether the user wants the rest now."""
        from batchrun.cli.messages import unknown_to_results
        from batchrun.cli.output import mark_of, room_of
        from batchrun.cli.pilot import pilot_lines
        from batchrun.engine import Ending

        if report.ending is not Ending.LIMIT or not report.sent:
            return False
        self.printer.close()
        with self.stopper.asking():
            try:
                lines = unknown_to_results(report.summary.batch_id, None, self._settings)
                lines += pilot_lines(
                    report,
                    report.pilot(),
                    before,
                    room_of(sys.stdout),
                    _now(),
                    speed=self._settings.speed,
                    mark=mark_of(sys.stdout),
                )
                tell_all(lines)
                return agreed("Run the rest now?")
            except KeyboardInterrupt:
                return False


@contextmanager
def _attending(settings: Settings, manner: Manner) -> Iterator[_Attendance]:
    """Progress on the screen, Ctrl-C as the way to stop, the log, and the notice at the end."""
    from batchrun.cli.log_file import logging_to

    if manner.notify_command is not None:
        from batchrun.cli.notifications import words_of

        words_of(manner.notify_command)  # before anything is spent
    with logging_to(settings.log_file):
        attendance = _Attendance(settings, manner)
        with attendance.stopper.listening():
            with attendance.printer, _noticed(attendance, manner):
                yield attendance
            if attendance.ended is not None:
                _end(attendance.ended, settings, manner, attendance)


@contextmanager
def _noticed(attendance: _Attendance, manner: Manner) -> Iterator[None]:
    """When the block ends, run the user's command, if something had begun."""
    if manner.notify_command is None:
        yield
        return
    from batchrun.cli.messages import notice_of, notice_of_error
    from batchrun.cli.notifications import notify

    try:
        yield
    except BatchrunError as error:
        if attendance.control.batch_id is not None:
            attendance.printer.close()
            notice = notice_of_error(attendance.control.batch_id, error)
            at_once = isinstance(error, StoppedError)  # then nobody wants to wait for it
            notify(manner.notify_command, notice, wait=not at_once)
        raise
    if attendance.ended is not None:
        attendance.printer.close()
        notify(manner.notify_command, notice_of(attendance.ended))


def _end(report: Report, settings: Settings, manner: Manner, attendance: _Attendance) -> None:
    from batchrun.cli.messages import end

    try:
        end(
            report,
            settings,
            attendance.where,
            as_json=manner.as_json,
            quiet=manner.quiet,
            stopped=attendance.control.stopped,
        )
    except typer.Exit as ended:
        exit_codes.append(ended.exit_code)
        raise


def _another_key() -> str:
    """A key typed by the user, unseen; ``""`` for none."""
    question = "Another key (not shown; empty to stop)"
    try:
        typed: str = typer.prompt(
            question, hide_input=True, default="", show_default=False, err=on_stderr()
        )
    except typer.Abort:  # Ctrl-C or Ctrl-D
        return ""
    return typed.strip()


def _now() -> datetime:
    return datetime.now(UTC)


def _allowed(limit: int | None, control: Control) -> int | None:
    """What is left of ``--limit`` after what was triggered already."""
    return None if limit is None else max(limit - control.triggered, 0)


def _confirmed(
    plan: Plan,
    earlier: BatchStatus | None,
    limit: int | None,
    form: Form | None,
    settings: Settings,
    manner: Manner,
    *,
    yes: bool,
) -> bool:
    from batchrun.cli import messages
    from batchrun.text import plural

    to_trigger, running = plan.to_trigger, 0
    if earlier is not None:
        to_trigger, running = earlier.left.to_trigger, earlier.left.running
    now = to_trigger if limit is None else min(limit, to_trigger)
    lines = messages.plan_lines(
        plan,
        now,
        limited=now < to_trigger,
        costs=messages.plan_costs(
            plan, _now(), now, running, wait=settings.wait, speed=settings.speed
        ),
    )
    if earlier is not None:
        rows = messages.counts(earlier.summary, earlier.left.running_rows)
        lines.append(f"Resumes:   batch {earlier.summary.batch_id} of this list; rows: {rows}")
    lines = [*messages.columns_of_the_list(form, plan.table.header), *lines]
    unasked = yes or not now
    if not (yes and manner.quiet):
        tell_all(lines, err=manner.as_json or beside_question(yes=unasked))
    if unasked:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Can't ask for confirmation outside a terminal.", "Add --yes.")
    details = messages.invalid_lines(plan, details=True)
    hidden = messages.hides_invalid_rows(plan)
    return agreed(f"Trigger {plural(now, 'job')} now?", details if hidden else ())
