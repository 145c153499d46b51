"""A batch from end to end: load → plan → trigger → poll → write.

The only module that knows all stages. Each stage reads what the stage before put into the
journal, so `resume` is `run` with less left to do.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun import workbook
from batchrun.engine import Ending, Engine, Limits, Progress
from batchrun.errors import BatchrunError, ExitCode, UsageError
from batchrun.journal import Journal
from batchrun.model import BatchSummary, Outcome, TableSource, Workflow
from batchrun.request import Request, load_request
from batchrun.service import choose_workflow
from batchrun.session import Session, open_session
from batchrun.settings import Settings, load_settings
from batchrun.takeover import hold_doubts, retriable, take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import pandas as pd

    from batchrun.journal import BatchJobs
    from batchrun.plan import Plan
    from batchrun.takeover import Decide


@dataclass(frozen=True, slots=True)
class Report:
    """How a run or resume ended.

    Attributes:
        summary: The batch as it stands now.
        ending: Why the engine stopped.
        output: The workbook that was written; ``None`` when none was asked for.
        resume_at: When the quota opens again, where it is spent; aware, UTC.
    """

    summary: BatchSummary
    ending: Ending
    output: Path | None
    resume_at: datetime | None = None

    @property
    def exit_code(self) -> ExitCode:
        """How the command ends."""
        if self.summary.unfinished:
            finished = self.ending is Ending.FINISHED
            return ExitCode.INCOMPLETE if finished else ExitCode.PAUSED
        completed = self.summary.counts[Outcome.COMPLETED] == self.summary.rows
        return ExitCode.COMPLETED if completed else ExitCode.INCOMPLETE


class Control:
    """Stops a running batch from a signal handler, another thread or a callback."""

    def __init__(self) -> None:
        self._stop: Callable[[], object] | None = None
        self.stopped = False

    @property
    def working(self) -> bool:
        """Whether the batch is being worked on; before, nothing has been triggered."""
        return self._stop is not None

    def stop(self) -> None:
        """No more triggers; what is in flight is collected for a while, then the workbook."""
        self.stopped = True
        if self._stop is not None:
            self._stop()

    def attach(self, stop: Callable[[], object]) -> None:
        """Give it what to call; called by the batch when it begins to work."""
        self._stop = stop
        if self.stopped:
            stop()


@dataclass(frozen=True, slots=True)
class _Run:
    """One run or resume of a batch."""

    batch_id: str
    target: Path | None
    limit: int | None
    on_progress: Callable[[Progress], None]
    control: Control | None
    retry: Collection[Outcome] = ()
    decide: Decide = hold_doubts


def ignore_progress(progress: Progress) -> None:
    """What is told of progress when nobody asked."""
    del progress


def _always(plan: Plan, earlier: BatchSummary | None) -> bool:
    del plan, earlier
    return True


async def list_workflows(settings: Settings | None = None) -> list[Workflow]:
    """The workflows the key may see.

    Raises:
        BatchrunError: The key or the service can't be used.
    """
    async with open_session(settings or load_settings()) as session:
        return list(await session.workflows())


async def check(request: Request, settings: Settings | None = None) -> Plan:
    """Load and plan, and send no trigger.

    Raises:
        BatchrunError: The list, the workflow, the key or the service can't be used.
    """
    settings = settings or load_settings()
    loaded = load_request(request, settings)
    async with open_session(settings) as session:
        workflow = choose_workflow(await session.workflows(), request.workflow)
        return loaded.plan(workflow, session.rates(workflow.id))


async def run(
    request: Request,
    settings: Settings | None = None,
    *,
    output: Path | None = None,
    limit: int | None = None,
    again: bool = False,
    confirm: Callable[[Plan, BatchSummary | None], bool] = _always,
    on_progress: Callable[[Progress], None] = ignore_progress,
    control: Control | None = None,
) -> Report | None:
    """Run a workflow for each row of a list and write the workbook.

    Args:
        request: What to do.
        settings: Key, rate and so on; ``None`` reads them from the environment.
        output: Where the results go (.xlsx, .csv, .jsonl); ``None`` for
            ``NAME.results.xlsx`` beside the list, or for no file when the list is a DataFrame.
        limit: Trigger at most so many jobs now.
        again: Trigger everything anew although the same batch has finished before.
        confirm: Asked with the plan, and with the unfinished batch that would go on, before
            anything is spent.
        on_progress: Told of each step.
        control: Stops it early.

    Returns:
        The report, or ``None`` when ``confirm`` said no.

    Raises:
        BatchrunError: Something can't be used; what was triggered is in the journal.
    """
    settings = settings or load_settings()
    loaded = load_request(request, settings)
    source = _path(loaded.table.source)
    if output is not None:
        workbook.check_target(output, source)
    async with open_session(settings) as session:
        workflow = choose_workflow(await session.workflows(), request.workflow)
        plan = loaded.plan(workflow, session.rates(workflow.id))
        journal, base_url = session.journal, session.settings.base_url
        earlier = None if again else journal.find(plan.fingerprint(), base_url)
        if earlier is not None and not earlier.unfinished:
            raise UsageError(
                f"This list went through {workflow.name} already, as batch {earlier.batch_id}.",
                f"Its results: batchrun export {earlier.batch_id} -o OUT.xlsx. "
                "To trigger and pay for it all once more, add --again.",
            )
        target = output or _default_output(source, earlier)
        if target is not None:
            workbook.check_target(target, source)
        if not confirm(plan, earlier):
            return None
        batch_id = earlier.batch_id if earlier else journal.create(plan, base_url)
        return await _work(session, _Run(batch_id, target, limit, on_progress, control))


async def resume(
    batch_id: str | None = None,
    settings: Settings | None = None,
    *,
    output: Path | None = None,
    limit: int | None = None,
    retry: Collection[Outcome] = (),
    decide: Decide = hold_doubts,
    on_progress: Callable[[Progress], None] = ignore_progress,
    control: Control | None = None,
) -> Report:
    """Go on with a batch where it stopped, whatever stopped it.

    Args:
        batch_id: Which batch (the beginning of its id is enough); ``None`` for the newest.
        settings: As in `run`; the service's address is the batch's own unless given in so many
            words.
        output: Where the results go; ``None`` for where they went before.
        limit: Trigger at most so many jobs now.
        retry: Outcomes whose jobs are sent again first.
        decide: Asked about the rows that are in doubt, where there are any.
        on_progress: Told of each step.
        control: Stops it early.

    Raises:
        BatchrunError: As in `run`.
    """
    settings = settings or load_settings()
    with Journal(settings.journal) as journal:
        summary = journal.resolve(batch_id)
        if "base_url" not in settings.model_fields_set:
            base_url = journal.base_url(summary.batch_id)
            settings = settings.model_copy(update={"base_url": base_url})
    source = _path(summary.source)
    target = output or _default_output(source, summary)
    if target is not None:
        workbook.check_target(target, source)
    run_now = _Run(summary.batch_id, target, limit, on_progress, control, retriable(retry), decide)
    async with open_session(settings) as session:
        return await _work(session, run_now)


def export(batch_id: str | None, output: Path, settings: Settings | None = None) -> Path:
    """Write a batch's results as they stand; also while it runs.

    Args:
        batch_id: Which batch; ``None`` for the newest.
        output: Where to; its ending decides the format.
        settings: As in `run`.

    Returns:
        The path that was written.

    Raises:
        JournalError: There is no such batch.
        OutputError: It can't be written there.
    """
    settings = settings or load_settings()
    with Journal(settings.journal) as journal:
        summary = journal.resolve(batch_id)
        workbook.check_target(output, _path(summary.source))
        return _export(journal, summary.batch_id, output)


def results(batch_id: str | None = None, settings: Settings | None = None) -> pd.DataFrame:
    """A batch's results as a DataFrame: the columns of the Results sheet.

    Args:
        batch_id: Which batch; ``None`` for the newest.
        settings: As in `run`.

    Raises:
        JournalError: There is no such batch.
    """
    settings = settings or load_settings()
    with Journal(settings.journal) as journal:
        summary = journal.resolve(batch_id)
        with journal.results(summary.batch_id) as found:
            return workbook.to_frame(found)


# the stages


async def _work(session: Session, run_now: _Run) -> Report:
    """Trigger and poll what is left of a batch, then write its workbook."""
    settings, journal, batch_id = session.settings, session.journal, run_now.batch_id
    with journal.hold(batch_id):
        jobs = journal.jobs(batch_id, session.key)
        await take_over(journal, jobs, batch_id, run_now.retry, run_now.decide)
        before = journal.summary(batch_id)
        engine = Engine(
            session.client,
            jobs,
            before.counts,
            quota=session.quota,
            share=session.share,
            forecast=session.forecast(before.workflow.id),
            clock=session.clock,
            limits=_limits(settings, run_now.limit),
            on_progress=run_now.on_progress,
        )
        if run_now.control is not None:
            loop = asyncio.get_running_loop()
            run_now.control.attach(lambda: loop.call_soon_threadsafe(engine.stop))
        try:
            ending = await engine.work()
        except BatchrunError as error:
            with suppress(BatchrunError):  # what stopped it may stop this too, and is what counts
                await _keep(jobs, error.what, engine)
                _write(journal, run_now)
            raise
        resume_at = None
        if ending is Ending.QUOTA:
            resume_at = datetime.now(UTC) + timedelta(seconds=session.seconds_to_quota())
        await _keep(jobs, _note(ending, resume_at), engine)
        output = _write(journal, run_now)
        return Report(journal.summary(batch_id), ending, output, resume_at)


async def _keep(jobs: BatchJobs, note: str, engine: Engine) -> None:
    await jobs.worked(note, engine.effort.seconds, engine.effort.quota_seconds)


def _limits(settings: Settings, jobs: int | None) -> Limits:
    return Limits(
        max_in_flight=settings.max_in_flight or math.inf,
        jobs=jobs,
        patience_seconds=settings.patience_seconds,
        drain_seconds=settings.drain_seconds,
        longest_pause_seconds=math.inf if settings.wait else settings.longest_pause_seconds,
    )


def _note(ending: Ending, resume_at: datetime | None) -> str:
    if resume_at is None:
        return _NOTES[ending]
    return f"{_NOTES[ending]} It opens again at {resume_at:%Y-%m-%d %H:%M} UTC."


_NOTES = {
    Ending.FINISHED: "",
    Ending.LIMIT: "The jobs of --limit are done.",
    Ending.INTERRUPTED: "It was interrupted.",
    Ending.QUOTA: "The quota is spent for now.",
    Ending.UNREACHABLE: "The service could not be reached.",
}


def _write(journal: Journal, run_now: _Run) -> Path | None:
    if run_now.target is None:
        return None
    return _export(journal, run_now.batch_id, run_now.target)


def _export(journal: Journal, batch_id: str, target: Path) -> Path:
    with journal.results(batch_id) as found:
        written = workbook.write(found, target)
    journal.set_output(batch_id, str(written))
    return written


# where things are


def _path(source: TableSource) -> Path | None:
    return None if source.path is None else Path(source.path)


def _default_output(source: Path | None, earlier: BatchSummary | None) -> Path | None:
    """Where the workbook went before, else a free name beside the list."""
    if earlier is not None and earlier.output is not None:
        return Path(earlier.output)
    if source is None:
        return None
    for number in count(1):
        suffix = "" if number == 1 else f" ({number})"
        target = source.with_name(f"{source.stem}.results{suffix}.xlsx")
        if not target.exists():
            return target
    raise AssertionError("count() does not end")
