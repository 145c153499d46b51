"""A batch's jobs as the engine works on them; each step is on disk when its call returns."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Engine, Executable, func, select, update

from batchrun.journal.encoding import encode_result, encode_time
from batchrun.journal.ledger import counted
from batchrun.journal.schema import JobState, batches, jobs
from batchrun.model import JSON, Execution, ExecutionStatus

if TYPE_CHECKING:
    from datetime import datetime

    from batchrun.journal.writer import JournalWriter


@dataclass(frozen=True, slots=True)
class Job:
    """One distinct trigger body.

    Attributes:
        number: Its number in the batch.
        body: The trigger body as JSON text.
        rows: How many rows of the input share it.
        execution_id: The service's id once it is accepted.
        triggered_at: When it was accepted, in Unix seconds.
    """

    number: int
    body: str
    rows: int
    execution_id: str | None = None
    triggered_at: float | None = None

    def request(self) -> dict[str, JSON]:
        """The trigger body as values."""
        body: dict[str, JSON] = json.loads(self.body)
        return body


class BatchJobs:
    """The jobs of one batch, for the one process that works on it.

    Args:
        engine: The database, for reading.
        writer: The database's writer.
        batch_id: Which batch.
        key_hash: Under which name requests are counted for the day.
    """

    def __init__(self, engine: Engine, writer: JournalWriter, batch_id: str, key_hash: str) -> None:
        self._engine = engine
        self._writer = writer
        self._batch_id = batch_id
        self._key_hash = key_hash

    # reading

    def pending(self, after: int = -1, limit: int = 500) -> list[Job]:
        """The next jobs to trigger, in input order, from the job number after ``after`` on."""
        return self._read(JobState.PENDING, after, limit)

    def in_flight(self) -> list[Job]:
        """The jobs that were accepted and whose end is not known."""
        return self._read(JobState.IN_FLIGHT)

    def count_pending(self) -> int:
        """How many jobs are left to trigger."""
        query = (
            select(func.count())
            .select_from(jobs)
            .where(jobs.c.batch_id == self._batch_id, jobs.c.state == JobState.PENDING)
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def _read(self, state: JobState, after: int = -1, limit: int | None = None) -> list[Job]:
        query = (
            select(
                jobs.c.number, jobs.c.body, jobs.c.rows, jobs.c.execution_id, jobs.c.triggered_at
            )
            .where(jobs.c.batch_id == self._batch_id, jobs.c.state == state)
            .where(jobs.c.number > after)
            .order_by(jobs.c.number)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Job(*found) for found in connection.execute(query)]

    # what a new process finds

    async def recover(self) -> int:
        """Take over where another process stopped.

        A job that was being sent is in doubt; one that timed out is polled on.

        Returns:
            How many jobs are newly in doubt.
        """
        doubtful = await self._move(
            None,
            JobState.SENDING,
            JobState.IN_DOUBT,
            message="batchrun was stopped while the trigger was on its way; "
            "it may have been accepted",
        )
        await self._move(None, JobState.TIMED_OUT, JobState.IN_FLIGHT, message="")
        return doubtful

    # one job's way

    async def intend(self, job: Job) -> bool:
        """Commit the intent to trigger; the request is counted with it.

        Returns:
            Whether the job is ours to send: ``False`` when it is no longer pending.
        """
        statement = self._change(job, JobState.PENDING, JobState.SENDING, message="")
        return await self._writer.commit(statement, *self._count()) == 1

    async def release(self, job: Job, message: str) -> None:
        """The trigger surely wasn't accepted: the job is pending again."""
        await self._move(job, JobState.SENDING, JobState.PENDING, message=message)

    async def reject(self, job: Job, message: str) -> None:
        """The service said no; nothing ran."""
        await self._move(job, JobState.SENDING, JobState.REJECTED, message=message)

    async def doubt(self, job: Job, message: str) -> None:
        """The trigger may have been accepted; nobody but the user can settle it."""
        await self._move(job, JobState.SENDING, JobState.IN_DOUBT, message=message)

    async def accept(self, job: Job, execution: Execution, now: datetime) -> None:
        """The service accepted the trigger under an execution id."""
        await self._move(
            job,
            JobState.SENDING,
            JobState.IN_FLIGHT,
            execution_id=execution.id,
            triggered_at=encode_time(execution.created_at or now),
            message="",
        )

    async def count_request(self) -> None:
        """Count a request that is no trigger, before it is sent."""
        await self._writer.commit(*self._count())

    async def finish(self, job: Job, execution: Execution, now: datetime) -> None:
        """The execution ended; its result is kept as the service sent it."""
        completed = execution.status is ExecutionStatus.COMPLETED
        await self._move(
            job,
            JobState.IN_FLIGHT,
            JobState.COMPLETED if completed else JobState.FAILED,
            started_at=encode_time(execution.started_at),
            finished_at=encode_time(execution.completed_at or now),
            message="" if completed else execution.message or "the service gave no reason",
            result=None if execution.result is None else encode_result(execution.result),
        )

    async def time_out(self, job: Job, message: str) -> None:
        """Patience is over; the execution id is kept and `resume` polls on."""
        await self._move(job, JobState.IN_FLIGHT, JobState.TIMED_OUT, message=message)

    async def worked(self, note: str, seconds: float, quota_seconds: float) -> None:
        """Keep how a run or resume ended.

        Args:
            note: Why the batch stands where it stands.
            seconds: How long it was worked on.
            quota_seconds: How much of that it only waited for the quota.
        """
        await self._writer.commit(
            update(batches)
            .where(batches.c.id == self._batch_id)
            .values(
                note=note,
                worked_seconds=batches.c.worked_seconds + seconds,
                quota_seconds=batches.c.quota_seconds + quota_seconds,
            )
        )

    # statements

    async def _move(self, job: Job | None, old: JobState, new: JobState, **values: object) -> int:
        return await self._writer.commit(self._change(job, old, new, **values))

    def _change(
        self, job: Job | None, old: JobState, new: JobState, **values: object
    ) -> Executable:
        """One step of a job (or of all jobs in a state); nothing where it isn't in ``old``."""
        statement = update(jobs).where(jobs.c.batch_id == self._batch_id, jobs.c.state == old)
        if job is not None:
            statement = statement.where(jobs.c.number == job.number)
        return statement.values(state=new, **values)

    def _count(self) -> tuple[Executable, Executable]:
        """Count one request for the batch and for the key's day."""
        now = time.time()
        return (
            update(batches)
            .where(batches.c.id == self._batch_id)
            .values(requests=batches.c.requests + 1, updated_at=now),
            counted(self._engine, self._key_hash),
        )
