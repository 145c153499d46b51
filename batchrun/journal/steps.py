"""The statements of a job's way, each made once: making one costs more than executing it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import Executable, bindparam, func, or_, select, update

from batchrun.journal.holder import held_by
from batchrun.journal.ledger import counted
from batchrun.journal.schema import JobState, attempts, batches, jobs
from batchrun.journal.writer import Change

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from batchrun.journal.rescue import Step

# Parameters of conditions; those of values have the columns' names.
_BATCH, _JOB, _HOLDER, _NOW, _RETRIED = "of_batch", "of_job", "of_holder", "now", "times"
_EXECUTION = "of_execution"


class Steps:
    """The changes that one batch's jobs go through.

    Args:
        engine: The database.
        batch_id: Which batch.
        key_hash: Under which name requests are counted for the day.
        holder: Under which name this process holds the batch.
    """

    def __init__(self, engine: Engine, batch_id: str, key_hash: str, holder: str) -> None:
        self._batch_id = batch_id
        self._key_hash = key_hash
        self._holder = holder
        self._counted = counted(engine)

    def intend(self, job: int) -> Change:
        """From pending to sending, as long as this process holds the batch."""
        return Change(_INTEND, {_BATCH: self._batch_id, _HOLDER: self._holder, _JOB: job})

    def move(self, step: Step) -> Change:
        """From one of some states to another; nothing where the job is in none of them.

        Nor where the step is of a sending or an execution, and the job has been made pending once
        more since.
        """
        of_sending, of_execution = step.retried is not None, step.execution_id is not None
        statement = _move(
            step.old, frozenset(step.values), of_sending=of_sending, of_execution=of_execution
        )
        named = {_BATCH: self._batch_id, _JOB: step.job, "state": step.new}
        if of_sending:
            named[_RETRIED] = step.retried
        if of_execution:
            named[_EXECUTION] = step.execution_id
        return Change(statement, named | dict(step.values))

    def count(self) -> tuple[Change, Change]:
        """Count one request for the batch and for the key's day."""
        now = time.time()
        today = datetime.fromtimestamp(now, UTC).date().isoformat()
        return (
            Change(_COUNT, {_BATCH: self._batch_id, _NOW: now}),
            Change(self._counted, {"key_hash": self._key_hash, "day": today, "requests": 1}),
        )


@lru_cache(maxsize=64)
def _move(
    old: tuple[JobState, ...], columns: frozenset[str], *, of_sending: bool, of_execution: bool
) -> Executable:
    statement = (
        update(jobs)
        .where(jobs.c.batch_id == bindparam(_BATCH), jobs.c.number == bindparam(_JOB))
        # An IN of a list is written out anew for each execution, and not for many at once.
        .where(or_(*(jobs.c.state == state for state in old)))
        .values({name: bindparam(name) for name in sorted({"state", *columns})})
    )
    if of_sending:
        statement = statement.where(bindparam(_RETRIED) == _TIMES_RETRIED)
    if of_execution:
        statement = statement.where(jobs.c.execution_id == bindparam(_EXECUTION))
    return statement


_TIMES_RETRIED = (
    select(func.count())
    .select_from(attempts)
    .where(attempts.c.batch_id == bindparam(_BATCH), attempts.c.number == bindparam(_JOB))
    .scalar_subquery()
)
_INTEND = (
    update(jobs)
    .where(jobs.c.batch_id == bindparam(_BATCH), jobs.c.number == bindparam(_JOB))
    .where(jobs.c.state == JobState.PENDING)
    .where(held_by(bindparam(_BATCH), bindparam(_HOLDER)))
    .values(state=JobState.SENDING, message="")
)
_COUNT = (
    update(batches)
    .where(batches.c.id == bindparam(_BATCH))
    .values(requests=batches.c.requests + 1, updated_at=bindparam(_NOW))
)
