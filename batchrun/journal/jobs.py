"""A batch's jobs, as the engine works on them; each step is on disk when its call returns."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, exists, func, insert, literal, or_, select, update

from batchrun.errors import JournalWriteError, UsageError
from batchrun.events import Event, log_event
from batchrun.journal.lease import LEASE_RECHECK_SECONDS, held_by, ordered_now, require_hold
from batchrun.journal.ledger import counted, today
from batchrun.journal.rescue import RescueFiles, Step
from batchrun.journal.results import read_counts
from batchrun.journal.schema import (
    ENDED,
    JobState,
    attempts,
    batches,
    clean_text,
    encode_result,
    encode_time,
    jobs,
    slices,
)
from batchrun.journal.writer import Change, Count
from batchrun.model import JSON, Cause, Execution, ExecutionStatus, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Executable

    from batchrun.journal.slices import Slice, Slices


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One distinct trigger body."""

    number: int  # number of the job in the batch
    body: str  # the trigger body, as JSON text
    rows: int  # number of input rows that share it
    execution_id: str | None = None  # the service's ID, once it is accepted
    triggered_at: float | None = None  # when it was accepted, in Unix seconds
    retried: int = 0  # how many times it has been made ready to send again
    slice: int = 0  # first job of the slice that it was read from

    def request(self) -> dict[str, JSON]:
        """Return the trigger body, parsed."""
        body: dict[str, JSON] = json.loads(self.body)
        return body


# Parameters of conditions. Parameters of values have the names of their columns.
_BATCH, _JOB, _SLICE, _HOLDER, _RETRIED = "of_batch", "of_job", "of_slice", "of_holder", "times"
_EXECUTION = "of_execution"
_SPELLINGS = tuple(f"spelling_{at}" for at in range(7))


@lru_cache(maxsize=64)
def _move(old: tuple[JobState, ...], names: frozenset[str]) -> Executable:
    """Return the statement of a step with these parameters: its conditions, and columns it sets."""
    statement = (
        update(jobs)
        .where(jobs.c.batch_id == bindparam(_BATCH), jobs.c.number == bindparam(_JOB))
        # Not IN: SQLAlchemy expands an IN list at each execution, which rules out executemany.
        .where(or_(*(jobs.c.state == state for state in old)))
        .values({name: bindparam(name) for name in sorted(names & set(jobs.c.keys()))})
    )
    if _RETRIED in names:
        statement = statement.where(bindparam(_RETRIED) == _TIMES_RETRIED)
    if _EXECUTION in names:
        statement = statement.where(jobs.c.execution_id == bindparam(_EXECUTION))
    if _SPELLINGS[0] in names:
        statement = statement.where(~_HELD_BY_ANOTHER)
    return statement


_OTHERS, _BATCHES = jobs.alias("others"), batches.alias("their_batches")
_SERVICE = select(batches.c.base_url).where(batches.c.id == bindparam(_BATCH)).scalar_subquery()
_HELD_BY_ANOTHER = or_(
    *(
        exists().where(
            # Explicit parameters, for executemany.
            table.c.execution_id.in_([bindparam(name) for name in _SPELLINGS]),
            or_(table.c.batch_id != bindparam(_BATCH), table.c.number != bindparam(_JOB)),
            # Not a join: PostgreSQL would read all jobs of the batch to find this one.
            select(_BATCHES.c.base_url).where(_BATCHES.c.id == table.c.batch_id).scalar_subquery()
            == _SERVICE,
        )
        for table in (_OTHERS, attempts)
    )
)
"""Whether the execution belongs to another job at the same service, now or before a retry. Its
result is then not this job's, whatever the service answered."""


_TIMES_RETRIED = (
    select(func.count())
    .select_from(attempts)
    .where(attempts.c.batch_id == jobs.c.batch_id, attempts.c.number == jobs.c.number)
    .scalar_subquery()
)
_SLICE_HELD = (
    select(slices.c.first)
    .where(slices.c.batch_id == bindparam(_BATCH), slices.c.first == bindparam(_SLICE))
    .where(slices.c.holder == bindparam(_HOLDER))
    .where(bindparam(_JOB).between(slices.c.first, slices.c.last))
    .with_for_update(read=True)  # no other worker takes it until the transaction ends
    .exists()
)
_INTEND = (
    update(jobs)
    .where(jobs.c.batch_id == bindparam(_BATCH), jobs.c.number == bindparam(_JOB))
    .where(jobs.c.state == JobState.PENDING, _SLICE_HELD)
    .values(state=JobState.SENDING, message="", cause=None)
)
_COUNT = (
    update(slices)
    .where(slices.c.batch_id == bindparam(_BATCH), slices.c.first == bindparam(_SLICE))
    .values(requests=slices.c.requests + bindparam("requests"))
)


_KEPT = ("state", "execution_id", "triggered_at", "message", "result")
_EMPTIED = (
    *("cause", "execution_id", "triggered_at", "started_at", "finished_at", "result"),
    "reused_from",
)


_EVENTS = {
    JobState.PENDING: Event.JOB_REQUEUED,
    JobState.IN_FLIGHT: Event.JOB_ACCEPTED,
    JobState.COMPLETED: Event.JOB_COMPLETED,
    JobState.FAILED: Event.JOB_FAILED,
    JobState.REJECTED: Event.JOB_REJECTED,
    JobState.TIMED_OUT: Event.JOB_TIMED_OUT,
    JobState.IN_DOUBT: Event.JOB_IN_DOUBT,
}
"""The event that is logged once a job's step is on disk."""

# States of a job whose trigger has no answer yet. A process that took over the slice may have put
# it in doubt meanwhile; the process that has the answer knows better.
_UNANSWERED = (JobState.SENDING, JobState.IN_DOUBT)
JOBS_AT_ONCE = 500
"""Maximum number of jobs named in one statement; SQLite accepts only a few thousand."""

_ACCEPTED = (JobState.IN_FLIGHT, JobState.TIMED_OUT)


class BatchJobs:
    """The jobs of one batch, for one worker.

    Methods for the batch's holder raise `TakenOverError` if another process has taken it over.

    Args:
        slices: The batch's slices, as this process sees them.
        key_hash: Hash of the key, under which the day's requests are counted.
        rescue: Files for steps that can't be committed.
        leads: Whether this process holds the batch. If so, it may claim slices closed to others.
    """

    def __init__(
        self, slices: Slices, key_hash: str, rescue: RescueFiles, *, leads: bool = True
    ) -> None:
        self.slices, self.leads, self.batch_id = slices, leads, slices.batch_id
        self._engine, self._writer, self._holder = slices.engine, slices.writer, slices.token
        self._key_hash, self._rescue = key_hash, rescue
        self._held = held_by(slices.batch_id, slices.token)
        self._counted = counted(slices.engine)
        self._counted_in = 0

    # reading

    def pending(
        self, after: int = -1, limit: int = JOBS_AT_ONCE, within: Slice | None = None
    ) -> list[Job]:
        """Return up to ``limit`` jobs to trigger with numbers above ``after``, in input order."""
        return self._read(JobState.PENDING, within, after, limit)

    def in_flight(self, within: Slice | None = None) -> list[Job]:
        """Return the jobs that were accepted and whose end is unknown."""
        return self._read(JobState.IN_FLIGHT, within)

    def pending_numbers(self) -> frozenset[int]:
        """Return the numbers of all jobs left to trigger."""
        mine = select(jobs.c.number).where(jobs.c.batch_id == self.batch_id)
        with self._engine.connect() as connection:
            return frozenset(connection.scalars(mine.where(jobs.c.state == JobState.PENDING)))

    def count_pending(self) -> int:
        """Return the number of jobs left to trigger."""
        with self._engine.connect() as connection:
            return read_counts(connection, self.batch_id)[JobState.PENDING].jobs

    def key_has_worked(self) -> bool:
        """Whether a job of this batch was triggered and polled to its end with this key."""
        query = select(jobs.c.number).where(
            jobs.c.batch_id == self.batch_id,
            or_(jobs.c.state == JobState.COMPLETED, jobs.c.state == JobState.FAILED),
            jobs.c.reused_from.is_(None),
            select(batches.c.key_hash).where(batches.c.id == self.batch_id).scalar_subquery()
            == self._key_hash,
        )
        with self._engine.connect() as connection:
            return connection.scalar(query.limit(1)) is not None

    def _read(
        self,
        state: JobState,
        within: Slice | None,
        after: int = -1,
        limit: int | None = None,
    ) -> list[Job]:
        names = ("number", "body", "rows", "execution_id", "triggered_at")
        query = (
            select(*(jobs.c[name] for name in names), _TIMES_RETRIED.label("retried"))
            .where(jobs.c.batch_id == self.batch_id, jobs.c.state == state)
            .where(jobs.c.number > after)
            .order_by(jobs.c.number)
            .limit(limit)
        )
        if within is not None:
            query = query.where(jobs.c.number.between(within.first, within.last))
        first = 0 if within is None else within.first
        with self._engine.connect() as connection:
            return [Job(**found._mapping, slice=first) for found in connection.execute(query)]

    # decisions, only for the process that holds the batch

    async def recover(self) -> int:
        """Commit the steps in rescue files, and put jobs in doubt that dead workers were sending.

        Return how many jobs are newly in doubt.
        """
        steps = [self._change(step) for step in self._rescue.steps()]
        if steps:
            await self._writer.commit(*steps)
            self._rescue.discard()
        return await asyncio.to_thread(self.slices.recover)

    async def repoll_timed_out(self) -> int:
        """Make timed-out jobs in flight again, to poll them; return how many."""
        return await self._move_all(JobState.TIMED_OUT, JobState.IN_FLIGHT, "")

    async def drop_doubts(self) -> int:
        """Leave all jobs in doubt as they are, for good; return how many."""
        return await self._move_all(
            JobState.IN_DOUBT,
            JobState.DROPPED,
            "it may have been accepted; you decided not to send it again",
        )

    async def retry(self, outcomes: Collection[Outcome]) -> int:
        """Make ended jobs pending again, and keep their earlier outcome; return how many."""
        states = {state for state in JobState if state.outcome in outcomes}
        return await self._send_again(jobs.c.state.in_(states - {JobState.SENDING}))

    async def retry_doubts(self) -> int:
        """Make jobs pending again that are in doubt and not dropped; return how many."""
        return await self._send_again(jobs.c.state == JobState.IN_DOUBT)

    async def again(self, seen: Mapping[int, int]) -> int:
        """Make those of these jobs pending again that have ended, as `retry` does; return how many.

        ``seen`` has the jobs, and how many times each had been retried when the user decided.

        Raises:
            UsageError: One of them has been sent again since; nothing is changed.
        """
        if not seen:
            return 0
        mine = select(attempts.c.number).where(attempts.c.batch_id == self.batch_id)
        with self._engine.connect() as connection:
            now = Counter(connection.scalars(mine))
        if any(now[number] != times for number, times in seen.items()):
            raise UsageError(
                "Marked rows were sent again elsewhere since the workbook was read.",
                "Nothing was triggered here. Give the workbook again to see what is left to send.",
            )
        ordered, changed = sorted(seen), 0
        for first in range(0, len(ordered), JOBS_AT_ONCE):
            some = jobs.c.number.in_(ordered[first : first + JOBS_AT_ONCE])
            changed += await self._send_again(some & jobs.c.state.in_(ENDED))
        return changed

    async def _send_again(self, which: ColumnElement[bool]) -> int:
        chosen = (jobs.c.batch_id == self.batch_id) & which & self._held
        kept = [jobs.c[name] for name in _KEPT]
        now = ordered_now(self._engine)  # a workbook from before must have an earlier time
        before = select(jobs.c.batch_id, jobs.c.number, literal(now), *kept).where(chosen)
        pending = {"state": JobState.PENDING, "message": ""} | dict.fromkeys(_EMPTIED)
        return await self._change_many(
            insert(attempts).from_select(["batch_id", "number", "retried_at", *_KEPT], before),
            update(jobs).where(chosen).values(pending),
            update(batches).where(batches.c.id == self.batch_id, self._held).values(updated_at=now),
        )

    # steps of one job

    async def begin_trigger(self, job: Job) -> bool:
        """Commit the intent to trigger a job, and count the request.

        Returns:
            Whether this worker may send the job: ``False`` if it is no longer pending, or another
            worker has its slice.

        Raises:
            TakenOverError: Another process has taken over the batch that this one held.
            JournalLostError: The journal was replaced.
        """
        named = {_BATCH: self.batch_id, _JOB: job.number, _SLICE: job.slice}
        intent, asked_at = Change(_INTEND, named | {_HOLDER: self._holder}), time.time()
        changes = (intent, *self._one_request(job.slice))
        self._counted_in = job.slice
        if await self._writer.commit(*changes, of=job.number) != 1:
            self._holds(job.slice)
            return False
        if time.time() - asked_at > LEASE_RECHECK_SECONDS and not self.slices.holds(job.slice):
            await self.release(job, "")  # so the slice's new holder doesn't find it in doubt
            self._holds(job.slice)
            return False
        self._tell(Event.JOB_SENDING, job)
        return True

    def _holds(self, of_slice: int) -> bool:
        """Whether this worker holds a slice; an error if it no longer holds the batch it held."""
        if self.slices.holds(of_slice):
            return True
        if self.leads:
            require_hold(self._engine, self.batch_id, self._holder)
        return False

    async def release(self, job: Job, message: str, cause: Cause | None = None) -> None:
        """Make a job pending again whose trigger was certainly not accepted."""
        await self._move(job, _UNANSWERED, JobState.PENDING, message, cause)

    async def reject(self, job: Job, message: str, cause: Cause | None = None) -> None:
        """Record that the service refused the trigger; nothing ran."""
        await self._move(job, _UNANSWERED, JobState.REJECTED, message, cause)

    async def doubt(self, job: Job, message: str) -> None:
        """Record that the trigger may have been accepted; only the user can decide."""
        await self._move(job, _UNANSWERED, JobState.IN_DOUBT, message)

    async def accept(self, job: Job, execution: Execution, now: datetime) -> str:
        """Record that the service accepted the trigger, and the execution's ID.

        Returns:
            ``""``, or why the job is in doubt: another job in the journal has that execution.
        """
        accepted = await self._move(
            job,
            _UNANSWERED,
            JobState.IN_FLIGHT,
            execution_id=execution.id,
            triggered_at=encode_time(execution.created_at or now),
        )
        reason = f"the service answered with the execution of another row ({execution.id})"
        # If the job is no longer unanswered, another process has settled it.
        doubtful = not accepted and await self._move(job, _UNANSWERED, JobState.IN_DOUBT, reason)
        return reason if doubtful else ""

    def count_request(self, job: Job | None = None) -> None:
        """Count a request that is not a trigger; it may be sent before the count is committed.

        The count is committed before, or together with, the changes from the request's answer.
        ``job`` is the one that was polled, if any.
        """
        self._writer.note(*self._one_request(self._counted_in if job is None else job.slice))

    def _one_request(self, of_slice: int) -> tuple[Count, Count]:
        """Return what counts one request, for a slice and for the key's day."""
        spent = (("key_hash", self._key_hash), ("day", today()), ("worker", self._holder))
        return (
            Count(_COUNT, ((_BATCH, self.batch_id), (_SLICE, of_slice))),
            Count(self._counted, spent),
        )

    async def finish(self, job: Job, execution: Execution, now: datetime) -> None:
        """Record that the execution ended; its result is kept as the service sent it."""
        completed = execution.status is ExecutionStatus.COMPLETED
        await self._move(
            job,
            _ACCEPTED,
            JobState.COMPLETED if completed else JobState.FAILED,
            _closing_words(execution),
            execution.cause,
            of_execution=job.execution_id or execution.id,
            started_at=encode_time(execution.started_at),
            finished_at=encode_time(execution.completed_at or now),
            result=None if execution.result is None else encode_result(execution.result),
        )

    async def time_out(self, job: Job, message: str) -> None:
        """Record that it took too long; the execution ID is kept, so `resume` can poll it again."""
        await self._move(job, _ACCEPTED, JobState.TIMED_OUT, message, of_execution=job.execution_id)

    async def record_ending(
        self,
        note: str,
        seconds: float,
        quota_seconds: float,
        resume_at: datetime | None = None,
    ) -> None:
        """Record why a run or resume ended, in words for the user, and how long it took.

        ``quota_seconds`` of that time were spent waiting for the quota, which opens again at
        ``resume_at``.
        """
        await self._change_many(
            update(batches)
            .where(batches.c.id == self.batch_id, self._held)
            .values(
                note=clean_text(note),
                updated_at=ordered_now(self._engine),
                resume_at=encode_time(resume_at),
                worked_seconds=batches.c.worked_seconds + seconds,
                quota_seconds=batches.c.quota_seconds + quota_seconds,
            )
        )

    # statements

    async def _move(
        self,
        job: Job,
        old: tuple[JobState, ...],
        new: JobState,
        message: str = "",
        cause: Cause | None = None,
        *,
        of_execution: str | None = None,
        **values: Any,
    ) -> bool:
        """Commit one step of a job, if the job is in one of the old states; return whether it was.

        The lease is not a condition: a paid result counts, whichever process received it. But the
        answer about one execution must not settle a later execution of the same job.

        Raises:
            JournalWriteError: It can't be committed. The step is in a rescue file, which the error
                names.
        """
        # An answer settles only the trigger it belongs to, not a later one by another process.
        retried = job.retried if old is _UNANSWERED else None
        cleaned = {
            name: clean_text(value) if isinstance(value, str) else value
            for name, value in (values | {"message": message, "cause": cause}).items()
        }
        step = Step(job.number, old, new, cleaned, retried, of_execution)
        try:
            moved = await self._writer.commit(self._change(step), of=job.number)
        except JournalWriteError as error:
            path = self._rescue.keep(step)
            self._writer.mirror([self._change(step)])
            known = values.get("execution_id") or job.execution_id or "none yet"
            kept = f"Unsaved results are in {path}. The next resume imports them."
            lost = f"No rescue file could be written. Note the execution ID: {known}."
            what = f"{error.what} {lost if path is None else kept}"
            raise type(error)(what, error.hint) from error
        if not moved:
            return False
        execution = values.get("execution_id") or job.execution_id
        started, finished = values.get("started_at"), values.get("finished_at")
        seconds = None if started is None or finished is None else round(finished - started, 3)
        self._tell(_EVENTS[new], job, execution=execution, seconds=seconds)
        return True

    def _change(self, step: Step) -> Change:
        """Return the change for a step; it has no effect if the job is in none of the old states.

        A step for a trigger or an execution also has no effect if the job was retried since.
        """
        named = {_BATCH: self.batch_id, _JOB: step.job, "state": step.new} | dict(step.values)
        if step.retried is not None:
            named[_RETRIED] = step.retried
        if step.execution_id is not None:
            named[_EXECUTION] = step.execution_id
        lock = None
        if (execution := step.values.get("execution_id")) is not None:
            spellings = _spellings(execution)
            named |= dict(zip(_SPELLINGS, spellings, strict=True))
            lock = spellings[1]
        return Change(_move(step.old, frozenset(named)), named, lock)

    def _tell(self, event: Event, job: Job, **facts: object) -> None:
        level = logging.WARNING if event is Event.JOB_IN_DOUBT else logging.INFO
        log_event(_LOG, event, level, batch=self.batch_id, job=job.number, **facts)

    async def _move_all(self, old: JobState, new: JobState, message: str) -> int:
        """Move all jobs from one state to another; return how many."""
        chosen = (jobs.c.batch_id == self.batch_id) & (jobs.c.state == old) & self._held
        return await self._change_many(
            update(jobs).where(chosen).values(state=new, message=message)
        )

    async def _change_many(self, *statements: Executable) -> int:
        """Commit statements that only the holder may; return how many rows the first one changed.

        Raises:
            TakenOverError: Another process has taken over the batch; nothing was changed.
        """
        changed = await self._writer.commit(*statements)
        if not changed:
            require_hold(self._engine, self.batch_id, self._holder)
        return changed


def _spellings(execution_id: str) -> tuple[str, ...]:
    """Return an execution ID as sent, and if it is a UUID, in the other ways to write it."""
    try:
        same = UUID(execution_id)
    except ValueError:
        return (execution_id,) * len(_SPELLINGS)
    lower, digits = str(same), same.hex
    return (execution_id, lower, lower.upper(), digits, digits.upper(), f"{{{lower}}}", same.urn)


def _closing_words(execution: Execution) -> str:
    """The message for an ended execution; ``""`` if it completed with a result."""
    if execution.status is not ExecutionStatus.COMPLETED:
        return execution.message or "the service gave no reason"
    nothing = execution.result is None or execution.result in ("", {}, [])
    return "completed, but the service sent no result" if nothing else ""
