"""A batch in front of its user: confirmed, shown while it runs, stopped, and told how it ended."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from batchrun.cli.stopping import Stopper, tell
from batchrun.errors import ExitCode, KeyRefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from batchrun.batch import Report
    from batchrun.cli.progress import ProgressPrinter
    from batchrun.control import Control
    from batchrun.journal import Standing
    from batchrun.model import BatchSummary, InDoubt, ResultRow
    from batchrun.plan import Plan
    from batchrun.request import Request
    from batchrun.settings import Settings
    from batchrun.takeover import Decide
    from batchrun.workbook import Form

Ended = TypeVar("Ended")


def go(
    request: Request,
    settings: Settings,
    output: Path | None,
    limit: int | None,
    form: Form | None,
    *,
    yes: bool,
    again: bool = False,
    sandbox: bool = False,
    as_json: bool = False,
) -> None:
    """Run a list on the screen, and end the command as it ends."""
    from batchrun import batch

    with _showing() as (printer, control, stopper):

        def confirm(plan: Plan, earlier: BatchSummary | None) -> bool:
            with stopper.asking():
                left = None if earlier is None else _left(earlier, settings)
                return _confirmed(plan, earlier, left, limit, yes=yes, to_stderr=as_json)

        def work(settings: Settings) -> Coroutine[Any, Any, Report | None]:
            shown: dict[str, Any] = {
                "output": output,
                "on_progress": printer.show,
                "control": control,
                "form": form,
            }
            if control.batch_id is not None:  # never a second batch, not even with --again
                left = _allowed(limit, control)
                return batch.resume(control.batch_id, settings, limit=left, **shown)
            return batch.run(request, settings, limit=limit, again=again, confirm=confirm, **shown)

        report = _with_a_key(settings, work, stopper)
    if report is None:
        typer.echo("Nothing was triggered.", err=as_json)
        raise typer.Exit(ExitCode.COMPLETED)
    _end(report, settings, as_json, sandbox=sandbox)


def _with_a_key(
    settings: Settings, work: Callable[[Settings], Coroutine[Any, Any, Ended]], stopper: Stopper
) -> Ended:
    """Do the work; where the service refuses the key, ask for another one on a terminal."""
    while True:
        try:
            return stopper.run(work(settings))
        except KeyRefusedError as error:
            if not sys.stdin.isatty():
                raise
            tell(f"{error.what}\nNothing is lost.", err=True)
            with stopper.asking():
                key = _another_key()
            if not key:
                raise
            settings = settings.with_typed_key(key)


def _another_key() -> str:
    """A key typed by the user, unseen; ``""`` for none."""
    question = "Another key (not shown; empty to stop)"
    try:
        typed: str = typer.prompt(
            question, hide_input=True, default="", show_default=False, err=True
        )
    except typer.Abort:  # Ctrl-C or Ctrl-D
        return ""
    return typed.strip()


def go_on(
    batch: str | None, settings: Settings, *, decide: Decide, as_json: bool, **how: Any
) -> None:
    """Go on with a batch on the screen, and end the command as it ends."""
    from batchrun.batch import resume as resume_batch
    from batchrun.takeover import hold_doubts

    with _showing() as (printer, control, stopper):

        def decided(rows: Sequence[ResultRow]) -> InDoubt:
            with stopper.asking():
                return decide(rows)

        def work(settings: Settings) -> Coroutine[Any, Any, Report]:
            shown: dict[str, Any] = {"on_progress": printer.show, "control": control}
            if control.batch_id is None:
                return resume_batch(batch, settings, decide=decided, **shown, **how)
            # Whoever is here a second time has sent again already what was to be.
            now = {"retry": (), "again": None, "limit": _allowed(how.get("limit"), control)}
            return resume_batch(
                control.batch_id, settings, decide=hold_doubts, **shown, **(how | now)
            )

        report = _with_a_key(settings, work, stopper)
    _end(report, settings, as_json)


def _allowed(limit: int | None, control: Control) -> int | None:
    """What is left of ``--limit`` after what was triggered already."""
    return None if limit is None else max(limit - control.triggered, 0)


def _left(batch: BatchSummary, settings: Settings) -> Standing:
    from batchrun.journal import Journal, standing

    with Journal(settings.journal) as journal:
        return standing(journal, batch.batch_id)


def _confirmed(
    plan: Plan,
    earlier: BatchSummary | None,
    left: Standing | None,
    limit: int | None,
    *,
    yes: bool,
    to_stderr: bool,
) -> bool:
    from batchrun.cli import wording

    to_trigger, running = plan.to_trigger, 0
    if left is not None:
        to_trigger, running = left.to_trigger, left.running
    now = to_trigger if limit is None else min(limit, to_trigger)
    lines = wording.plan_lines(plan, now, running, limited=now < to_trigger)
    if earlier is not None:
        rows = wording.counts(earlier, 0 if left is None else left.running_rows)
        lines.append(f"Going on:  batch {earlier.batch_id} of this list; rows: {rows}")
    typer.echo("\n".join(lines), err=to_stderr)
    if yes or not now:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nobody is here to confirm the run.", "Add --yes to run it unasked.")
    try:
        return typer.confirm(f"Trigger {wording.plural(now, 'job')} now?", err=to_stderr)
    except typer.Abort:  # Ctrl-C or Ctrl-D
        return False


@contextmanager
def _showing() -> Iterator[tuple[ProgressPrinter, Control, Stopper]]:
    """Progress on the screen, and Ctrl-C as the way to stop."""
    from batchrun.cli.progress import ProgressPrinter
    from batchrun.control import Control

    control = Control()
    with ProgressPrinter() as printer:
        stopper = Stopper(control, printer.say)
        with stopper.listening():
            yield printer, control, stopper


def _end(report: Report, settings: Settings, as_json: bool, *, sandbox: bool = False) -> None:
    from batchrun.cli import wording
    from batchrun.model import Outcome

    summary = report.summary
    if as_json:
        exit_code = int(report.exit_code)
        resume_at = None if report.resume_at is None else report.resume_at.isoformat()
        ending = {"exit_code": exit_code, "resume_at": resume_at}
        tell(json.dumps(wording.summary_json(summary) | ending))
        raise typer.Exit(exit_code)
    tell(f"\nBatch:     {summary.batch_id}")
    running = _left(summary, settings).running_rows if summary.unfinished else 0
    tell(f"Rows:      {wording.counts(summary, running)}")
    tell(f"Requests:  {wording.effort(summary)}")
    if summary.note:
        tell(f"Note:      {summary.note}")
    if sandbox and summary.unfinished:
        tell("Go on:     its sandbox is gone now; run the list anew")
    elif summary.unfinished:
        tell(f"Go on:     batchrun resume {summary.batch_id}")
    elif summary.counts[Outcome.IN_DOUBT]:
        tell(f"Settle:    batchrun resume {summary.batch_id} --in-doubt retry|drop")
    if report.output is not None:
        tell(f"Workbook:  {report.output}")
    raise typer.Exit(report.exit_code)
