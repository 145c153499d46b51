"""Slices: ranges of a batch's jobs, each held by one worker at a time.

The process that holds the batch (`lease`) cuts it into slices. Workers claim them one by one; a
single process is the only worker. Only the holder of a slice may trigger its jobs (`jobs`). If a
worker dies, other workers take over its slices. The worker that claims one puts the triggers in
doubt that were being sent there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, exists, func, insert, or_, select, update

from batchrun.advice import watch_with
from batchrun.errors import HeldError, JournalError, TakenOverError
from batchrun.installation import update_hint
from batchrun.journal.database import repeated_on_deadlock, writing
from batchrun.journal.lease import SILENCE_SECONDS, ProcessLock, shared_now, taken_over
from batchrun.journal.results import read_counts
from batchrun.journal.schema import (
    OPEN,
    ROWS_AT_ONCE,
    SCHEMA_IN_USE,
    SCHEMA_VERSION,
    JobState,
    batches,
    jobs,
    leases,
    slices,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import ColumnElement, Engine, Executable, Exists, FromClause

    from batchrun.journal.writer import JournalWriter


MAX_JOBS = 1_000
MIN_JOBS = 20
SLICE_MINUTES = 10
"""How long the quota lasts for one slice, in minutes, at two requests per job."""
SLICES_PER_BATCH = 16
"""A batch has at least this many slices if each has `MIN_JOBS`, so workers can share it."""
_CANDIDATE = slices.alias("candidate")
_FAILED = (JobState.FAILED, JobState.REJECTED, JobState.TIMED_OUT)

LEFT_BEHIND = "batchrun was stopped while the trigger was being sent; it may have been accepted"


class Slice(NamedTuple):
    """A range of jobs that one worker holds, by the numbers of its first and last job."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class BatchState:
    """The state of a batch, which each worker reads at each heartbeat."""

    closed: str | None  # why nothing more is triggered ("": the user stopped it); None if open
    workers: int  # number of live workers of the same key, including this one
    others: bool  # whether other workers have jobs of this batch
    counts: dict[JobState, int]  # rows by the state of their jobs
    pending: int  # number of jobs left to trigger
    completed: int  # number of jobs with a result
    failed: int  # number of jobs that ended without a result and are not in doubt


def slice_size(number: int, requests_per_minute: float) -> int:
    """Return the number of jobs in a slice of a batch with this many jobs, at the key's rate."""
    by_quota = min(requests_per_minute * SLICE_MINUTES / 2, MAX_JOBS)
    return math.ceil(max(min(number / SLICES_PER_BATCH, by_quota), MIN_JOBS))


class Slices:
    """The slices of one batch, for one worker, which holds them under the token of its lock.

    Methods for the batch's holder raise `TakenOverError` if another process has taken it over.
    """

    def __init__(
        self, engine: Engine, writer: JournalWriter, lock: ProcessLock, batch_id: str
    ) -> None:
        self.engine, self.writer, self._lock = engine, writer, lock
        self.batch_id, self.token = batch_id, lock.token
        self._own = slices.c.batch_id == batch_id
        self._mine = self._own & (slices.c.holder == lock.token)

    # for the process that holds the batch

    def recover(self) -> int:
        """Free dead workers' slices, and put `sending` jobs in doubt that no live worker holds.

        Return how many jobs are newly in doubt.
        """
        dead = self._own & slices.c.holder.in_(self._dead())
        held = slices.c.holder.is_not(None) & jobs.c.number.between(slices.c.first, slices.c.last)
        return self._execute(
            update(slices).where(dead).values(holder=None),
            _doubt(self.batch_id, ~exists().where(self._own, held)),
        )

    def cut(self, size: int, *, alone: bool) -> None:
        """Cut the jobs into slices, except those that live workers hold.

        If this worker is ``alone``, no other may claim them.

        Raises:
            HeldError: Other workers are working, although ``alone`` is set.
        """
        kept = self._held_by_others()
        if kept and alone:
            raise HeldError(
                f"Workers are still working on batch {self.batch_id}, and this command would be "
                "the only one to send its rows.",
                watch_with(self.batch_id),
            )
        with self.engine.connect() as connection:
            last = connection.scalar(
                select(func.max(jobs.c.number)).where(jobs.c.batch_id == self.batch_id)
            )
        number = 0 if last is None else last + 1
        new = [
            {"batch_id": self.batch_id, "closed": "" if alone else None, **each._asdict()}
            for each in _gaps(kept, number, number if alone else size)
        ]
        chunks = (new[at : at + ROWS_AT_ONCE] for at in range(0, len(new), ROWS_AT_ONCE))
        self._execute(
            *self._removed(),
            update(slices).where(self._own).values(closed=None),
            *(insert(slices).values(chunk) for chunk in chunks),
        )

    def remove(self) -> None:
        """Remove the slices that no other live worker holds, and keep their count of requests."""
        self._execute(*self._removed())

    def _removed(self) -> tuple[Executable, Executable]:
        gone = self._own & or_(
            slices.c.holder.is_(None), slices.c.holder.in_([self.token, *self._dead()])
        )
        spent = select(func.coalesce(func.sum(slices.c.requests), 0)).where(gone).scalar_subquery()
        return (
            update(batches)
            .where(batches.c.id == self.batch_id)
            .values(requests=batches.c.requests + spent),
            delete(slices).where(gone),
        )

    def _execute(self, *statements: Executable) -> int:
        """Execute statements that only the batch's holder may; return the last one's row count."""
        mine = (leases.c.batch_id == self.batch_id) & (leases.c.holder == self.token)

        def execute() -> list[int]:
            with writing(self.engine) as connection:
                if connection.scalar(select(leases.c.pid).where(mine).with_for_update()) is None:
                    return []
                return [connection.execute(each).rowcount for each in statements]

        changed = repeated_on_deadlock(execute)
        if not changed:
            raise taken_over(self.engine, self.batch_id)
        self.writer.mirror(statements)
        return changed[-1]

    # for each worker

    def close(self, why: str) -> None:
        """Let no worker claim another slice, and make the active ones stop triggering.

        ``why`` names the failures, if any: then a person must confirm the rest.
        """
        mine = self._own & slices.c.closed.is_(None)
        statements = [update(slices).where(mine).values(closed=why)]
        if why:
            rest = exists().where(jobs.c.batch_id == batches.c.id, jobs.c.state == JobState.PENDING)
            of_batch = update(batches).where(batches.c.id == self.batch_id, rest)
            statements.append(of_batch.values(unconfirmed=1))
        self.writer.submit(*statements).result()

    def claim(self, *, closed: bool) -> Slice | None:
        """Claim the first free slice with something left to do; ``None`` if there is none.

        Jobs that a dead worker was sending there are put in doubt. Only the batch's holder may
        claim ``closed`` slices, too.
        """
        self._lock.acquire()
        other = _CANDIDATE
        free = or_(other.c.holder.is_(None), other.c.holder.in_(self._dead()))
        candidate = (
            select(other.c.first)
            .where(other.c.batch_id == self.batch_id, free, _has_open_job(other))
            .order_by(other.c.first)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        is_open = other.c.closed.is_(None)
        leads = exists().where(leases.c.batch_id == self.batch_id, leases.c.holder == self.token)
        candidate = candidate.where(or_(is_open, leads) if closed else is_open)
        taken = (
            update(slices)
            .where(self._own)
            .where(slices.c.first == candidate.scalar_subquery())
            .values(holder=self.token, beat_at=shared_now(self.engine))
            .returning(slices.c.first, slices.c.last)
        )

        def claim() -> Slice | None:
            with writing(self.engine) as connection:
                found = connection.execute(taken).one_or_none()
                if found is not None:
                    connection.execute(_doubt(self.batch_id, jobs.c.number.between(*found)))
                return None if found is None else Slice(*found)

        claimed = repeated_on_deadlock(claim)
        if claimed is not None:
            this_one = self._own & (slices.c.first == claimed.first)
            doubted = _doubt(self.batch_id, jobs.c.number.between(*claimed))
            self.writer.mirror([update(slices).where(this_one).values(holder=self.token), doubted])
        return claimed

    def release(self) -> None:
        """Release all slices of this worker."""
        try:
            self.writer.submit(update(slices).where(self._mine).values(holder=None)).result()
        except JournalError:
            self._lock.keeps_file = True
            raise

    def beat(self) -> None:
        """Record a heartbeat of this worker."""
        beat = update(slices).where(self._mine).values(beat_at=shared_now(self.engine))
        self.writer.submit(beat).result()

    def holds(self, first: int) -> bool:
        """Whether this worker holds the slice that starts with this job."""
        mine = select(slices.c.first).where(self._mine, slices.c.first == first)
        with self.engine.connect() as connection:
            return connection.scalar(mine) is not None

    def state(self) -> BatchState:
        """Return the batch's state; raise `TakenOverError` if a newer batchrun has migrated it."""
        with self.engine.connect() as connection, connection.begin():
            schema = connection.scalar(SCHEMA_IN_USE)
            if schema != str(SCHEMA_VERSION):
                raise TakenOverError(
                    f"A newer batchrun has migrated the journal (schema {schema}); nothing more "
                    "was triggered here.",
                    update_hint(),
                )
            others = exists().where(self._own, slices.c.holder != self.token, _has_open_job(slices))
            closed = select(func.max(slices.c.closed), func.count()).where(self._own)
            why, number = connection.execute(closed).one()
            key_hash = select(batches.c.key_hash).where(batches.c.id == self.batch_id)
            workers = (
                select(func.count(slices.c.holder.distinct()))
                .join(batches, batches.c.id == slices.c.batch_id)
                .where(slices.c.holder != self.token)
                .where(slices.c.beat_at > shared_now(self.engine) - SILENCE_SECONDS)
                .where(batches.c.key_hash == key_hash.scalar_subquery())
            )
            found = read_counts(connection, self.batch_id)
            return BatchState(
                closed=why if number else "",
                workers=1 + connection.execute(workers).scalar_one(),
                others=bool(connection.scalar(select(others))),
                counts={state: each.rows for state, each in found.items()},
                pending=found[JobState.PENDING].jobs,
                completed=found[JobState.COMPLETED].jobs,
                failed=sum(found[state].jobs for state in _FAILED),
            )

    def _dead(self) -> list[str]:
        """Return the dead workers that still hold slices of the batch."""
        now = shared_now(self.engine)
        query = (
            select(slices.c.holder, now - func.max(slices.c.beat_at))
            .where(self._own, slices.c.holder != self.token)
            .group_by(slices.c.holder)
        )
        with self.engine.connect() as connection:
            found = connection.execute(query).all()
        return [
            token
            for token, silent in found
            if silent > SILENCE_SECONDS or not self._lock.is_alive(token, silent)
        ]

    def others_work(self) -> bool:
        """Whether other live workers have something left to do."""
        return bool(self._held_by_others(_has_open_job(slices)))

    def _held_by_others(self, *which: ColumnElement[bool]) -> list[Slice]:
        """Return the slices that other live workers hold."""
        query = select(slices.c.first, slices.c.last).where(
            self._own,
            slices.c.holder.is_not(None),
            slices.c.holder.not_in([self.token, *self._dead()]),
            *which,
        )
        with self.engine.connect() as connection:
            return [Slice(*found) for found in connection.execute(query)]


def _has_open_job(of: FromClause) -> Exists:
    return exists().where(
        jobs.c.batch_id == of.c.batch_id,
        jobs.c.state.in_(OPEN),
        jobs.c.number.between(of.c.first, of.c.last),
    )


def _doubt(batch_id: str, which: ColumnElement[bool]) -> Executable:
    return (
        update(jobs)
        .where(jobs.c.batch_id == batch_id, jobs.c.state == JobState.SENDING, which)
        .values(state=JobState.IN_DOUBT, message=LEFT_BEHIND, cause=None)
    )


def _gaps(kept: Iterable[Slice], number: int, size: int) -> Iterator[Slice]:
    """Yield slices of at most ``size`` jobs that cover ``range(number)`` except ``kept``."""
    first = 0
    for each in [*sorted(kept), Slice(number, number)]:
        for at in range(first, each.first, max(size, 1)):
            yield Slice(at, min(at + size, each.first) - 1)
        first = each.last + 1
