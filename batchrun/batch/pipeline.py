"""Run a batch from end to end: load → plan → trigger → poll → write.

This is the only module that knows all stages. Each stage reads from the journal what the previous
stage wrote there, so `resume` is `run` with less left to do. `work` does the same for batches that
other processes started, on any machine that shares their journal.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from batchrun import workbook
from batchrun.advice import Action, Advice, resume_with
from batchrun.batch.control import Control, from_any_thread
from batchrun.batch.export import (
    is_as_written,
    refreshed_workbook,
    remembered_form,
    write_after_journal_error,
    write_results,
)
from batchrun.batch.history import existing_journal, sent_in_words
from batchrun.batch.recover import (
    key_replaced_by,
    prepare_batch,
    require_consent,
    require_key,
    require_same_key,
    require_same_service,
)
from batchrun.batch.report import Report
from batchrun.batch.request import Request, load_request
from batchrun.batch.worker import (
    other_workers,
    start_process,
    wait_for_other_workers,
    working,
)
from batchrun.engine.engine import Ending, Engine
from batchrun.engine.session import Rest, Session, open_session
from batchrun.errors import (
    BatchrunError,
    ExitCode,
    HeldError,
    JournalError,
    JournalWriteError,
    NotConfirmedError,
    OutputError,
    StoppedError,
    TakenOverError,
    UsageError,
)
from batchrun.events import Event, log_event
from batchrun.journal import BatchJobs, Journal
from batchrun.journal.slices import slice_size
from batchrun.model import RETRIED_BY_ITSELF, InDoubt, Outcome, retriable
from batchrun.service.client import choose_workflow
from batchrun.settings.consent import Consent, agree, has_agreed
from batchrun.settings.credentials import for_batch, profile_replaced_by
from batchrun.settings.loading import load_settings
from batchrun.settings.location import is_practice
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
    from datetime import datetime

    import pandas as pd

    from batchrun.batch.cluster import Cluster
    from batchrun.engine.progress import Progress
    from batchrun.model import BatchSummary, Decide, TableSource
    from batchrun.plan import Plan
    from batchrun.settings.model import Settings

_LOG = logging.getLogger(__name__)


def note_of(ending: Ending, resume_at: datetime | None, stopped_because: str) -> str:
    """Return why a batch ended, in sentences; ``""`` if it is finished."""
    if ending is Ending.FAILURES:
        return f"{NOTES[ending]} {stopped_because.rstrip('.')}."
    if resume_at is None:
        return NOTES[ending]
    return f"{NOTES[ending]} It opens again at {resume_at:%Y-%m-%d %H:%M} UTC."


OPEN_CHECK_SECONDS = 1.0
"""How often a worker with nothing to do checks for open batches."""

NOTES = {
    Ending.FINISHED: "",
    Ending.LIMIT: "Only the first rows were run, as asked.",
    Ending.INTERRUPTED: "It was interrupted.",
    Ending.QUOTA: "The quota is spent for now.",
    Ending.UNREACHABLE: "The service could not be reached.",
    Ending.FAILURES: "Nothing more was triggered:",
    Ending.DETACHED: "",
    Ending.SELECTION_DONE: "What was to be sent is done; the rest waits.",
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options that `run` and `resume` share.

    Those without a description are parameters of `batchrun.aio.resume`. Jobs that were never sent
    keep waiting if ``retry`` or ``again`` is given.
    """

    output: Path | None = None
    limit: int | None = None
    on_progress: Callable[[Progress], None] | None = None
    control: Control = field(default_factory=Control)
    form: workbook.Form = field(default_factory=workbook.Form)
    decide: str | Decide = InDoubt.HOLD  # what to do about rows in doubt
    only: Collection[int] | None = None
    retry: Collection[Outcome] = ()  # send all jobs with one of these outcomes again
    # Send jobs with these numbers again, unless sent more often than the value says
    again: Mapping[int, int] = field(default_factory=dict)
    trusted: bool = False
    agreed: bool = False  # whether the user has agreed to send also what is left after `limit`
    frame: pd.DataFrame | None = None  # the list, if it is a DataFrame
    # Since when somebody has agreed to a batch that other workers are or may be working on
    joined: datetime | None = None
    cluster: Cluster | None = None  # provides additional workers
    detach: bool = False


def refuses_again(earlier: BatchSummary, request: Request) -> bool:
    """Return whether `run` refuses a list because it has already been through.

    Practice is free, so the same command works twice. With ``reuse``, only rows without a recent
    result are paid for; but rows in doubt could be sent twice.
    """
    if earlier.unfinished or is_practice(earlier.base_url):
        return False
    return request.reuse is None or bool(earlier.counts[Outcome.IN_DOUBT])


def ways_on(earlier: BatchSummary) -> Advice:
    """Return what to do with a list that `run` refuses: the cheapest first."""
    batch, counts = earlier.batch_id, earlier.counts
    ways = Advice("", f"Its results: batchrun export {batch} -o OUT.xlsx. ", Action.RUN_AGAIN)
    if failed := sum(counts[each] for each in RETRIED_BY_ITSELF):
        rows = plural(failed, "failed or rejected row")
        ways += Advice("", f"To send its {rows} again: batchrun retry {batch}. ")
    if doubts := counts[Outcome.IN_DOUBT]:
        rows = plural(doubts, "row")
        ways += Advice("", f"To settle its {rows} in doubt: batchrun resume {batch}. ")
    else:
        ways += Advice("", "To pay only for rows without a recent result, add --reuse 30d. ")
    return ways + Advice("", "To pay for all again, add --again.")


async def run(
    request: Request,
    settings: Settings,
    options: RunOptions,
    *,
    again: bool,
    confirm: Callable[[Plan, BatchSummary | None], bool] | None,
    with_credits: bool,
) -> Report:
    """Run a workflow for each row of a list and write the workbook; see `batchrun.aio.run`."""
    if again and request.reuse is not None:
        raise UsageError(
            "Running everything again and reusing earlier results can't be combined.",
            Advice("Choose one", ": --again or --reuse", reuse=""),
        )
    loaded = load_request(request, settings)
    source = _path(loaded.table.source)
    if options.output is not None:
        workbook.check_target(options.output, source)
    async with open_session(settings) as session:
        workflow = choose_workflow(await session.workflows(), request.workflow)
        plan = loaded.plan(workflow, session.rates(workflow.id))
        plan.require_jobs()
        journal, base_url = session.journal, session.settings.base_url
        newest = journal.find(plan.fingerprint(), base_url)
        earlier = None if again else newest
        if earlier is not None and not earlier.unfinished and not refuses_again(earlier, request):
            earlier = None
        if newest is None or not again:
            plan = session.with_known_results(plan, request.reuse, earlier)
        if earlier is not None and not earlier.unfinished:
            raise UsageError(
                f"This list went through {workflow.name} already, as batch {earlier.batch_id} "
                f"({earlier.source.name}, {earlier.created_at.astimezone():%Y-%m-%d}).",
                ways_on(earlier),
            )
        if earlier is not None:
            require_same_key(earlier, session.profile)
            _log_replaced_key(session, earlier)
        target = _checked_target(options, source, earlier)
        if with_credits and plan.to_trigger:
            plan = replace(plan, credits=await session.credits())
        if confirm is not None and not confirm(plan, None if again else newest):
            raise NotConfirmedError("The run was not confirmed.", "Nothing was triggered.")
        if earlier is not None:
            require_consent(journal, earlier, session.key, options.output)
        known = newest.batch_id if newest else None  # the user has not seen any later batch
        batch_id = earlier.batch_id if earlier else _create_batch(session, plan, known)
        frame = None if isinstance(request.source, (str, Path)) else request.source
        agreed = not with_credits and earlier is not None and earlier.confirmed
        options = replace(options, output=target, frame=frame, agreed=agreed)
        report = await _work(session, batch_id, options)
        if with_credits and report.ending is Ending.LIMIT:
            report = replace(report, credits=await session.credits())
        return report


def _create_batch(session: Session, plan: Plan, known: str | None) -> str:
    """Create a batch and return its ID; ``known`` is the newest earlier one of the list."""
    return session.journal.create(
        plan,
        session.settings.base_url,
        known=known,
        profile=session.profile,
        key=session.key,
        list_formats=workbook.list_formats(plan.table),
    )


async def resume(
    batch_id: str | None,
    settings: Settings | None,
    options: RunOptions,
    confirm: Callable[[Rest], bool] | None = None,
) -> Report:
    """Continue a batch, or send jobs of it again; see `batchrun.aio.resume`."""
    settings = settings or load_settings()
    with existing_journal(settings.journal) as journal:
        summary = journal.resolve(batch_id)
        if "base_url" in settings.model_fields_set:
            require_same_service(summary.batch_id, summary.base_url, settings.base_url)
        settings = for_batch(settings, summary)
        options = replace(options, retry=retriable(options.retry))
        target = _checked_target(options, _path(summary.source), summary)
        async with open_session(settings, journal) as session:
            require_consent(journal, summary, session.key, options.output, trusted=options.trusted)
            _log_replaced_key(session, summary, profile_replaced_by(settings, summary))
            if confirm is not None and options.only is None and not summary.confirmed:
                await _confirm_rest(session, summary, options.limit, confirm)
            agreed = confirm is None and summary.confirmed
            options = replace(options, output=target, agreed=agreed)
            return await _work(session, summary.batch_id, options)


async def _confirm_rest(
    session: Session, batch: BatchSummary, limit: int | None, confirm: Callable[[Rest], bool]
) -> None:
    """Ask before jobs are triggered that nobody has confirmed."""
    left = session.journal.remaining(batch.batch_id).to_trigger
    left = left if limit is None else min(limit, left)
    if left and not confirm(await session.rest(batch, left)):
        raise NotConfirmedError("The rest was not confirmed.", "Nothing was triggered.")


async def work(
    batch_id: str | None,
    settings: Settings | None,
    *,
    until_done: bool,
    on_progress: Callable[[Progress], None] | None,
    control: Control | None,
    on_end: Callable[[BatchSummary], None] | None = None,
) -> list[BatchSummary]:
    """Work on the open batches of the key, or on one batch; see `batchrun.aio.work`.

    If another process holds a batch, this one claims slices of it. If no process holds it, this one
    does: it also writes the workbook and records how the batch ended.

    ``on_end`` is called with each batch that is no longer open.
    """
    settings = (settings or load_settings()).model_copy(update={"wait": True, "workers": 1})
    control = control or Control()
    worked, open_ids = set[str](), set[str]()
    with Journal(settings.journal) as journal:
        if batch_id is not None:
            batch_id = journal.resolve(batch_id).batch_id
            worked.add(batch_id)
        while not control.stopped:
            batches = _open(journal, batch_id, settings)
            were_open, open_ids = open_ids, {each.batch_id for each in batches}
            if on_end is not None:
                for ended in _still_known(journal, were_open - open_ids):
                    on_end(ended)
            for summary in batches:
                if summary.batch_id not in journal.open_batches():
                    continue  # it ended while this process worked on another
                # A batch that was left to workers has no holder before the first of them.
                is_new = journal.holder(summary.batch_id) is None
                options = RunOptions(
                    output=_workers_target(summary),
                    on_progress=on_progress,
                    control=control,
                    joined=summary.updated_at if is_new else summary.created_at,
                )
                async with open_session(for_batch(settings, summary), journal) as session:
                    try:
                        await _work(session, summary.batch_id, options)
                    except HeldError:
                        await _help(session, summary, on_progress, control)
                control.report = None  # else Ctrl-C would be ignored: the work goes on
                worked.add(summary.batch_id)
            if until_done and not batches:
                break
            await asyncio.sleep(OPEN_CHECK_SECONDS)
        return _still_known(journal, worked)


def _still_known(journal: Journal, batch_ids: Collection[str]) -> list[BatchSummary]:
    """Return those of some batches that nobody has forgotten, oldest first."""
    found = journal.batches() if batch_ids else []
    return [each for each in reversed(found) if each.batch_id in batch_ids]


async def _help(
    session: Session,
    summary: BatchSummary,
    on_progress: Callable[[Progress], None] | None,
    control: Control,
) -> None:
    """Work on slices of a batch that another process holds."""
    journal, batch_id = session.journal, summary.batch_id
    with control.detached_at_end(), journal.safety_copy(batch_id, alone=False):
        jobs = journal.jobs(batch_id, session.key, leads=False)
        engine = Engine(session, jobs, summary, on_progress)
        control.attach(batch_id, from_any_thread(engine.stop))
        async with working(jobs, engine):
            await engine.work()


def _open(journal: Journal, batch_id: str | None, settings: Settings) -> list[BatchSummary]:
    """Return the open batches that this worker may work on.

    Raises:
        UsageError: The given batch belongs to another key, or nobody has agreed to its address.
    """
    found = []
    for each in journal.open_batches():
        if batch_id in {None, each}:
            summary = journal.summary(each)
            try:
                require_key(journal, summary, for_batch(settings, summary))
            except UsageError:
                if batch_id is not None:
                    raise
                continue
            found.append(summary)
    return found


# Stages


async def _work(session: Session, batch_id: str, options: RunOptions) -> Report:
    """Trigger and poll what is left of a batch, then write its workbook to ``options.output``."""
    if options.detach:
        return await _leave_to_workers(session, batch_id, options)
    settings, journal, target = session.settings, session.journal, options.output
    with (
        journal.hold(batch_id) as lost,
        options.control.detached_at_end(),
        journal.safety_copy(batch_id, alone=not (options.joined or settings.workers > 1)),
    ):
        form = remembered_form(journal, batch_id, options.form)
        jobs = journal.jobs(batch_id, session.key)
        before, only, alone = await _prepared(session, jobs, options)
        engine = Engine(
            session, jobs, before, options.on_progress, limit=options.limit, only=only, alone=alone
        )
        spent, estimate = engine.counters, session.estimate(before, engine.jobs_left)
        abort = from_any_thread(engine.abort)
        lost.add_done_callback(lambda done: abort(done.result()))
        options.control.attach(batch_id, from_any_thread(engine.stop), only)
        log_event(
            _LOG,
            Event.BATCH_STARTED,
            batch=batch_id,
            workflow=before.workflow.id,
            rows=before.rows,
            jobs=before.jobs,
            limit=options.limit,
        )
        with _ending(journal, jobs):
            try:
                with options.control.counting(jobs):
                    processes = 0 if alone else settings.workers - 1
                    cluster = None if alone else options.cluster
                    async with (
                        _effort_kept(jobs, engine),
                        refreshed_workbook(journal, batch_id, target, form),
                        other_workers(session, batch_id, processes, cluster),
                        working(jobs, engine),
                    ):
                        ending = await engine.work()
                    if not alone:
                        await wait_for_other_workers(
                            jobs, settings.drain_seconds / session.clock.speed
                        )
                seconds = engine.seconds
                resume_at = session.quota_opens_at() if ending is Ending.QUOTA else None
                unfinished = journal.summary(batch_id).unfinished
                note = note_of(ending, resume_at, engine.stopped_because) if unfinished else ""
                if note and ending is Ending.SELECTION_DONE:
                    note += _held_back_words(journal, before, jobs, options)
                await jobs.record_ending(note, seconds, spent.quota_seconds, resume_at)
            except BatchrunError as raised:
                # A failed statement may be the first sign that the journal is lost.
                error = journal.fault(raised) if isinstance(raised, JournalError) else raised
                kind = type(error).__name__  # its message may quote the service
                log_event(_LOG, Event.BATCH_ABORTED, logging.ERROR, batch=batch_id, error=kind)
                if isinstance(error, JournalWriteError):
                    write_after_journal_error(error, journal, batch_id, target, form)
                    raise error from raised.__cause__
                # The cause of this error may make the next steps fail too; report the first error.
                # If the batch was taken over, nothing is recorded: the new holder does that.
                with suppress(BatchrunError):
                    await jobs.record_ending(error.what, engine.seconds, spent.quota_seconds)
                    if target is not None:
                        write_results(journal, batch_id, target, form)
                raise
            output = None if target is None else write_results(journal, batch_id, target, form)
            # After a limit, only the jobs that this run was allowed to trigger are left.
            to_trigger = engine.queue.waiting if ending is Ending.LIMIT else jobs.count_pending()
            summary = journal.summary(batch_id)
            log_event(
                _LOG,
                Event.BATCH_ENDED,
                batch=batch_id,
                ending=ending.value,
                outcomes={outcome.value: number for outcome, number in summary.counts.items()},
                requests=spent.requests,
                seconds=round(seconds, 1),
                quota_seconds=round(spent.quota_seconds, 1),
            )
            report = Report(
                summary,
                ending,
                output,
                resume_at,
                rest=session.estimate(summary, to_trigger) if summary.unfinished else None,
                to_trigger=to_trigger,
                estimate=estimate,
                requests=max(spent.requests, summary.requests - before.requests),
                seconds=seconds,
                quota_seconds=spent.quota_seconds,
                sent=engine.queue.taken,
                journal=settings.journal,
                source=options.frame,
                held_open=target if output != target else None,
            )
            options.control.report = report
            return report


def _held_back_words(
    journal: Journal, batch: BatchSummary, jobs: BatchJobs, options: RunOptions
) -> str:
    """Return how many of the jobs that wait another batch has sent since; ``""`` for none."""
    since, waiting = options.joined or batch.created_at, not options.joined
    others = journal.sent_elsewhere(batch, jobs.count_pending(), since, waiting=waiting).values()
    sent = len([each for each in others if each])
    return f" {plural(sent, 'job')} {sent_in_words(sent, others)}." if sent else ""


def _log_replaced_key(session: Session, batch: BatchSummary, other: str = "") -> None:
    """Log if a batch continues with another key than the one that started it."""
    if other := other or key_replaced_by(session.journal, batch, session.key, session.profile):
        facts = {"batch": batch.batch_id, "profile": batch.profile, "key": other}
        log_event(_LOG, Event.KEY_REPLACED, logging.WARNING, **facts)


@contextmanager
def _ending(journal: Journal, jobs: BatchJobs) -> Iterator[None]:
    """Remove the slices when the block ends, and log if a second Ctrl-C ended it.

    Errors get the exit code of a batch that exists, because jobs may have been sent.
    """
    try:
        yield
    except TakenOverError:
        raise  # another process continues or has continued the batch
    except (JournalError, OutputError) as error:
        error.exit_code = ExitCode.PAUSED
        with suppress(BatchrunError):  # an unreadable journal is already the error to report
            if not journal.summary(jobs.batch_id).unfinished:
                error.exit_code = ExitCode.INCOMPLETE
        if isinstance(error, OutputError):
            error.hint = Advice(
                "The results are safe in the journal",
                f"; write them elsewhere: batchrun export {jobs.batch_id} -o OUT.xlsx",
                Action.DOWNLOAD,
            )
        raise
    except (asyncio.CancelledError, KeyboardInterrupt):  # no other code runs after that
        kind = StoppedError.__name__
        log_event(_LOG, Event.BATCH_ABORTED, logging.WARNING, batch=jobs.batch_id, error=kind)
        raise
    finally:
        with suppress(JournalError):  # if the batch was taken over or lost, they aren't ours
            jobs.slices.remove()


@asynccontextmanager
async def _effort_kept(jobs: BatchJobs, engine: Engine) -> AsyncIterator[None]:
    """Record the time spent if a second Ctrl-C stops the block."""
    try:
        yield
    except asyncio.CancelledError:
        with suppress(BatchrunError):
            await jobs.record_ending("", engine.seconds, engine.counters.quota_seconds)
        raise


async def _prepared(
    session: Session, jobs: BatchJobs, options: RunOptions
) -> tuple[BatchSummary, Collection[int] | None, bool]:
    """Prepare a batch so that workers can claim its slices.

    Records where the workbook goes, and how much is confirmed, and clears the last run's note. If
    another machine continues the batch, the first two stay as they were, and so do the slices:
    somebody may stop the batch at any moment. Jobs that another batch has sent since then wait.

    Returns:
        The batch after that, the jobs that may be triggered (``None`` for all), and whether no
        other worker may join.

    Raises:
        HeldError: Another machine would continue a batch that is no longer open.
    """
    journal, batch_id = session.journal, jobs.batch_id
    if options.joined and batch_id not in journal.open_batches():
        raise HeldError(f"Batch {batch_id} is not open to workers.", resume_with(batch_id))
    agree(Consent.KEY, journal.key_hash(session.key))
    only = await prepare_batch(journal, jobs, options)
    before = journal.summary(batch_id)
    if options.joined and not jobs.slices.others_work():
        pending, since = jobs.count_pending(), options.joined
        sent = journal.sent_elsewhere(before, pending, since, waiting=False)
        if any(sent.values()):
            only = frozenset(job for job, elsewhere in sent.items() if not elsewhere)
    target, limit = options.output, options.limit
    if target is not None:
        agree(Consent.OUTPUT, str(target))  # another worker on this machine may have to write it
        if before.target != str(target) and not options.joined:
            journal.keep(batch_id, "target", str(target))
    if before.note:
        await jobs.record_ending("", 0.0, 0.0)
    if only is None or limit is not None:  # else the others wait as they did before
        confirmed = options.agreed or limit is None or limit >= jobs.count_pending()
        if confirmed != before.confirmed and not options.joined:
            journal.keep(batch_id, "unconfirmed", int(not confirmed))
    # Others may join only if the user has confirmed the batch as a whole. If the journal is a file,
    # only this process starts them.
    several = options.joined or options.detach or session.settings.workers > 1
    alone = limit is not None or only is not None or not (several or journal.is_shared)
    if options.cluster is not None and not alone:
        await asyncio.to_thread(options.cluster.check, session, batch_id)
    if alone or not options.joined:
        jobs.slices.cut(slice_size(before.jobs, session.quota.rate), alone=alone)
    return before, only, alone


async def _leave_to_workers(session: Session, batch_id: str, options: RunOptions) -> Report:
    """Start workers that outlive this process; one of them will hold the batch."""
    journal = session.journal
    with journal.hold(batch_id):
        remembered_form(journal, batch_id, options.form)
        jobs = journal.jobs(batch_id, session.key)
        before, _, _ = await _prepared(session, jobs, options)
        try:
            if options.cluster is not None:
                await asyncio.to_thread(options.cluster.start, session, batch_id)
            else:
                for _ in range(session.settings.workers):
                    start_process(session, batch_id, detached=True)
        except BaseException:
            jobs.slices.remove()
            raise
        await jobs.record_ending("", 0.0, 0.0)  # when somebody agreed to it
        to_trigger = jobs.count_pending()
        estimate = session.estimate(before, to_trigger)
        left = Report(before, Ending.DETACHED, None, to_trigger=to_trigger, estimate=estimate)
        return replace(left, journal=session.settings.journal, source=options.frame)


# Paths


def _checked_target(
    options: RunOptions, source: Path | None, batch: BatchSummary | None
) -> Path | None:
    """Return the workbook path of a batch, or of a new batch. Checks that it can be written."""
    before = None if batch is None else batch.target or batch.output
    target = options.output or workbook.usual_target(source, before, options.form.usual)
    if target is not None:
        workbook.check_target(target, source)
        target = workbook.free_target(target, is_as_written)
    return target


def _path(source: TableSource) -> Path | None:
    return None if source.path is None else Path(source.path)


def _workers_target(summary: BatchSummary) -> Path | None:
    """Return where this worker writes a batch's workbook, if it has to.

    That is the batch's own path if this machine has written there, else the current folder.
    """
    target = summary.target
    if target is None:
        return None
    if has_agreed(Consent.OUTPUT, target) and Path(target).parent.is_dir():
        return Path(target)
    return Path.cwd() / PureWindowsPath(target).name
