"""A batch's jobs as the engine works on them; each step is on disk when its call returns."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy import Engine, func, select

from batchrun.errors import JournalWriteError, TakenOverError, UsageError
from batchrun.events import Event, happened
from batchrun.journal.encoding import encode_result, encode_time
from batchrun.journal.holder import SURE_SECONDS, require_hold
from batchrun.journal.job import Job
from batchrun.journal.rescue import RescueFiles, Step
from batchrun.journal.schema import ENDED, JobState, attempts, jobs
from batchrun.journal.steps import Steps
from batchrun.journal.sweeps import Sweeps
from batchrun.model import Execution, ExecutionStatus, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Executable

    from batchrun.journal.writer import JournalWriter

_LOG = logging.getLogger(__name__)

_EVENTS = {
    JobState.PENDING: Event.JOB_RETURNED,
    JobState.IN_FLIGHT: Event.JOB_ACCEPTED,
    JobState.COMPLETED: Event.JOB_COMPLETED,
    JobState.FAILED: Event.JOB_FAILED,
    JobState.REJECTED: Event.JOB_REJECTED,
    JobState.TIMED_OUT: Event.JOB_TIMED_OUT,
    JobState.IN_DOUBT: Event.JOB_IN_DOUBT,
}
"""What is logged of a job's steps, each when it is on disk."""

# Until its answer is known. Another process that has taken the batch over meanwhile may have
# called it in doubt; who holds the answer knows better.
_UNANSWERED = (JobState.SENDING, JobState.IN_DOUBT)
JOBS_AT_ONCE = 500
"""Jobs named in one statement; SQLite takes no more than some thousand."""

_ACCEPTED = (JobState.IN_FLIGHT, JobState.TIMED_OUT)


class BatchJobs:
    """The jobs of one batch, for the one process that works on it.

    Args:
        engine: The database, for reading.
        writer: The database's writer.
        batch_id: Which batch.
        key_hash: Under which name requests are counted for the day.
        holder: Under which name this process holds the batch.
        rescue: Where steps go that can't be committed.
    """

    def __init__(
        self,
        engine: Engine,
        writer: JournalWriter,
        batch_id: str,
        key_hash: str,
        *,
        holder: str,
        rescue: RescueFiles,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._batch_id = batch_id
        self._holder = holder
        self._steps = Steps(engine, batch_id, key_hash, holder)
        self._sweeps = Sweeps(batch_id, holder)
        self._rescue = rescue

    @property
    def batch_id(self) -> str:
        """Which batch they are of."""
        return self._batch_id

    # reading

    def pending(self, after: int = -1, limit: int = 500) -> list[Job]:
        """The next jobs to trigger, in input order, from the job number after ``after`` on."""
        return self._read(JobState.PENDING, after, limit)

    def in_flight(self) -> list[Job]:
        """The jobs that were accepted and whose end is not known."""
        return self._read(JobState.IN_FLIGHT)

    def pending_of(self, numbers: Sequence[int]) -> list[Job]:
        """Those of some jobs that are to be triggered, `JOBS_AT_ONCE` numbers at most."""
        return self._read(JobState.PENDING, which=jobs.c.number.in_(numbers))

    def pending_numbers(self) -> frozenset[int]:
        """The numbers of all jobs left to trigger."""
        query = select(jobs.c.number).where(
            jobs.c.batch_id == self._batch_id, jobs.c.state == JobState.PENDING
        )
        with self._engine.connect() as connection:
            return frozenset(connection.scalars(query))

    def count_pending(self) -> int:
        """How many jobs are left to trigger."""
        query = (
            select(func.count())
            .select_from(jobs)
            .where(jobs.c.batch_id == self._batch_id, jobs.c.state == JobState.PENDING)
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def _read(
        self,
        state: JobState,
        after: int = -1,
        limit: int | None = None,
        which: ColumnElement[bool] | None = None,
    ) -> list[Job]:
        retried = (
            select(func.count())
            .select_from(attempts)
            .where(attempts.c.batch_id == jobs.c.batch_id, attempts.c.number == jobs.c.number)
            .scalar_subquery()
        )
        query = (
            select(
                *(jobs.c.number, jobs.c.body, jobs.c.rows, jobs.c.execution_id),
                *(jobs.c.triggered_at, retried),
            )
            .where(jobs.c.batch_id == self._batch_id, jobs.c.state == state)
            .where(jobs.c.number > after if which is None else which)
            .order_by(jobs.c.number)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Job(*found) for found in connection.execute(query)]

    # what a new process finds

    async def recover(self) -> int:
        """Take over where another process stopped.

        What a rescue file kept is taken in. A job that was being sent is in doubt.

        Returns:
            How many jobs are newly in doubt.
        """
        steps = [self._steps.move(step) for step in self._rescue.steps()]
        if steps:
            await self._writer.commit(*steps)
            self._rescue.discard()
        return await self._move_all(
            {JobState.SENDING},
            JobState.IN_DOUBT,
            message="batchrun was stopped while the trigger was on its way; "
            "it may have been accepted",
        )

    async def poll_on(self) -> int:
        """Poll on what timed out.

        Returns:
            How many jobs.
        """
        return await self._move_all({JobState.TIMED_OUT}, JobState.IN_FLIGHT, message="")

    # what the user decides

    async def drop_doubts(self) -> int:
        """Leave what is in doubt as it is, for good.

        Returns:
            How many jobs.
        """
        return await self._move_all(
            {JobState.IN_DOUBT},
            JobState.DROPPED,
            message="it may have been accepted; by your word it is not sent again",
        )

    async def retry(self, outcomes: Collection[Outcome]) -> int:
        """Make ended jobs pending again; what had become of them is kept beside.

        Returns:
            How many jobs.
        """
        states = {state for state in JobState if state.outcome in outcomes}
        return await self._send_again(jobs.c.state.in_(states - {JobState.SENDING}))

    async def retry_doubts(self) -> int:
        """Make the jobs pending again that are in doubt and not dropped.

        Returns:
            How many jobs.
        """
        return await self._send_again(jobs.c.state == JobState.IN_DOUBT)

    async def again(self, seen: Mapping[int, int]) -> int:
        """Make these jobs pending again, those of them that have ended, as `retry` does.

        Args:
            seen: Number of a job → how often it had been sent again when the user decided.

        Returns:
            How many jobs.

        Raises:
            UsageError: One of them was sent again since; nothing is changed.
        """
        if not seen:
            return 0
        query = (
            select(attempts.c.number, func.count().label("times"))
            .where(attempts.c.batch_id == self._batch_id)
            .group_by(attempts.c.number)
        )
        with self._engine.connect() as connection:
            now = {found.number: found.times for found in connection.execute(query)}
        if any(now.get(number, 0) != times for number, times in seen.items()):
            raise UsageError(
                "Marked rows were sent again elsewhere since the workbook was looked at.",
                "Nothing was triggered here. Give the workbook again to see what is left to send.",
            )
        ordered, changed = sorted(seen), 0
        for first in range(0, len(ordered), JOBS_AT_ONCE):
            some = jobs.c.number.in_(ordered[first : first + JOBS_AT_ONCE])
            changed += await self._send_again(some & jobs.c.state.in_(ENDED))
        return changed

    async def _send_again(self, which: ColumnElement[bool]) -> int:
        return await self._sweep(*self._sweeps.send_again(which))

    # one job's way

    async def intend(self, job: Job) -> bool:
        """Commit the intent to trigger; the request is counted with it.

        Returns:
            Whether the job is ours to send: ``False`` when it is no longer pending.

        Raises:
            TakenOverError: Another process has taken the batch over; nothing may be sent.
        """
        intent, asked_at = self._steps.intend(job.number), time.time()
        if await self._writer.commit_changes(intent, *self._steps.count(), of=job.number) != 1:
            require_hold(self._engine, self._batch_id, self._holder)
            return False
        if time.time() - asked_at > SURE_SECONDS:
            try:
                require_hold(self._engine, self._batch_id, self._holder)
            except TakenOverError:
                await self.release(job, "")  # whoever has it now need not be in doubt
                raise
        self._tell(Event.JOB_SENDING, job)
        return True

    async def release(self, job: Job, message: str) -> None:
        """The trigger surely wasn't accepted: the job is pending again."""
        await self._move(job, _UNANSWERED, JobState.PENDING, message=message)

    async def reject(self, job: Job, message: str) -> None:
        """The service said no; nothing ran."""
        await self._move(job, _UNANSWERED, JobState.REJECTED, message=message)

    async def doubt(self, job: Job, message: str) -> None:
        """The trigger may have been accepted; nobody but the user can settle it."""
        await self._move(job, _UNANSWERED, JobState.IN_DOUBT, message=message)

    async def accept(self, job: Job, execution: Execution, now: datetime) -> None:
        """The service accepted the trigger under an execution id."""
        await self._move(
            job,
            _UNANSWERED,
            JobState.IN_FLIGHT,
            execution_id=execution.id,
            triggered_at=encode_time(execution.created_at or now),
            message="",
        )

    def count_request(self) -> None:
        """Count a request that is no trigger; it may leave meanwhile.

        What the request's answer changes is committed later than the count, or with it.
        """
        self._writer.note(*self._steps.count())

    async def finish(self, job: Job, execution: Execution, now: datetime) -> None:
        """The execution ended; its result is kept as the service sent it."""
        completed = execution.status is ExecutionStatus.COMPLETED
        await self._move(
            job,
            _ACCEPTED,
            JobState.COMPLETED if completed else JobState.FAILED,
            of_execution=job.execution_id or execution.id,
            started_at=encode_time(execution.started_at),
            finished_at=encode_time(execution.completed_at or now),
            message=_closing_words(execution),
            result=None if execution.result is None else encode_result(execution.result),
        )

    async def time_out(self, job: Job, message: str) -> None:
        """Patience is over; the execution id is kept and `resume` polls on."""
        await self._move(
            job, _ACCEPTED, JobState.TIMED_OUT, of_execution=job.execution_id, message=message
        )

    async def worked(self, note: str, seconds: float, quota_seconds: float) -> None:
        """Keep how a run or resume ended.

        Args:
            note: Why the batch stands where it stands.
            seconds: How long it was worked on.
            quota_seconds: How much of that it only waited for the quota.

        Raises:
            TakenOverError: Another process has taken the batch over, and its words count.
        """
        await self._sweep(self._sweeps.worked(note, seconds, quota_seconds))

    # statements

    async def _move(
        self,
        job: Job,
        old: tuple[JobState, ...],
        new: JobState,
        *,
        of_execution: str | None = None,
        **values: object,
    ) -> None:
        """Take one step of a job; nothing where it isn't in one of the old states.

        The lease is no condition: what a paid execution brought counts, whoever heard of it. But
        an answer about one execution settles no other that was triggered since.

        Raises:
            JournalWriteError: It can't be committed; it is in a rescue file, and the error says
                where.
        """
        # Only the sending that this answers is settled by it, not one by another process since.
        retried = job.retried if old is _UNANSWERED else None
        step = Step(job.number, old, new, values, retried, of_execution)
        try:
            await self._writer.commit_changes(self._steps.move(step), of=job.number)
        except JournalWriteError as error:
            raise self._kept(job, step, error) from error
        execution = values.get("execution_id") or job.execution_id
        self._tell(_EVENTS[new], job, execution=execution, seconds=_seconds(values))

    def _tell(self, event: Event, job: Job, **facts: object) -> None:
        level = logging.WARNING if event is Event.JOB_IN_DOUBT else logging.INFO
        happened(_LOG, event, level, batch=self._batch_id, job=job.number, **facts)

    async def _move_all(self, old: Collection[JobState], new: JobState, *, message: str) -> int:
        """Take a step of all jobs in some states; how many there were."""
        return await self._sweep(self._sweeps.move_all(old, new, message))

    async def _sweep(self, *statements: Executable) -> int:
        """Commit what only the holder may; how many jobs the first statement changed.

        Raises:
            TakenOverError: Another process has taken the batch over; nothing was changed.
        """
        changed = await self._writer.commit(*statements)
        if not changed:
            require_hold(self._engine, self._batch_id, self._holder)
        return changed

    def _kept(self, job: Job, step: Step, error: JournalWriteError) -> JournalWriteError:
        """Put a step where it isn't lost; the error that says where."""
        path = self._rescue.keep(step)
        if path is not None:
            what = f"What was in hand is kept in {path}, and the next resume takes it in."
        else:
            known = step.values.get("execution_id") or job.execution_id
            what = f"No folder takes a rescue file; note the execution: {known or 'none yet'}."
        return JournalWriteError(f"{error.marked_what} {what}", error.marked_hint)


def _seconds(values: Mapping[str, object]) -> float | None:
    """How long an execution ran; ``None`` where it hasn't ended, or nobody knows."""
    started, finished = values.get("started_at"), values.get("finished_at")
    if not isinstance(started, float) or not isinstance(finished, float):
        return None
    return round(finished - started, 3)


def _closing_words(execution: Execution) -> str:
    """What a row of an ended execution says: nothing where all is as it should be."""
    if execution.status is not ExecutionStatus.COMPLETED:
        return execution.message or "the service gave no reason"
    nothing = execution.result is None or execution.result in ("", {}, [])
    return "completed, but the service sent no result" if nothing else ""
