"""Read a batch's rows, each with its outcome and result."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, and_, bindparam, false, func, select

from batchrun.journal.schema import (
    ENDED,
    ROWS_AT_ONCE,
    JobState,
    attempts,
    batches,
    counts,
    decode_cells,
    decode_result,
    decode_time,
    jobs,
    rows,
)
from batchrun.model import JSON, Cause, Outcome, ResultRow, Role, Row

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime


FEW_ROWS = 10_000
"""Up to this many rows are found by their jobs' state and sorted; otherwise all are scanned."""

_JOB_OF_ROW = (jobs.c.batch_id == rows.c.batch_id) & (jobs.c.number == rows.c.job)


class StateCount(NamedTuple):
    """Number of jobs in a state, of their rows, and of those rows with a reused result."""

    jobs: int = 0
    rows: int = 0
    reused: int = 0


def read_counts(connection: Connection, batch_id: str) -> dict[JobState, StateCount]:
    """Return the number of jobs of a batch in each state."""
    answer = connection.execute(_COUNTS, {"batch": batch_id})
    found = {JobState(state): StateCount(*map(int, each)) for state, *each in answer}
    return {state: found.get(state, StateCount()) for state in JobState}


# SQLAlchemy takes longer to make these than to execute them.
_SUMS = (func.sum(each) for each in (counts.c.jobs, counts.c.rows, counts.c.reused))
_COUNTS = (
    select(counts.c.state, *_SUMS)
    .where(counts.c.batch_id == bindparam("batch"))
    .group_by(counts.c.state)
)


class ResultRows:
    """The rows of a batch in input order, read from the journal at each iteration.

    `Journal.results` says what the arguments select.
    """

    def __init__(
        self,
        connection: Connection,
        batch_id: str,
        *,
        of_jobs: Sequence[int] | None = None,
        states: Collection[JobState | None] | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> None:
        self._connection = connection
        which = [rows.c.batch_id == batch_id]
        of_few = of_jobs is not None
        if of_jobs is not None:
            which.append(rows.c.job.in_(of_jobs))
        if states is not None:
            counted = read_counts(connection, batch_id)
            number = sum(counted[state].rows for state in states if state is not None)
            of_few = None not in states and number <= FEW_ROWS
            chosen = jobs.alias() if of_few else jobs
            in_states = chosen.c.state.in_([state for state in states if state is not None])
            if of_few:
                # The subquery, and ordering by an expression, make SQLite start with the jobs.
                mine = select(chosen.c.number).where(chosen.c.batch_id == batch_id, in_states)
                which.append(rows.c.job.in_(mine))
            else:
                which.append(in_states | rows.c.job.is_(None) if None in states else in_states)
        self._query = (
            select(
                *(rows.c.line, rows.c.cells, rows.c.company_id, rows.c.contact_id),
                *(rows.c.reason, rows.c.job),
                *(jobs.c.state, jobs.c.message, jobs.c.cause, jobs.c.execution_id, jobs.c.result),
                *(jobs.c.triggered_at, jobs.c.started_at, jobs.c.finished_at),
            )
            .select_from(rows.join(jobs, _JOB_OF_ROW, isouter=not of_few))  # invalid: no job
            .where(*which)
            .order_by(rows.c.number + 0 if of_few else rows.c.number)
            .offset(offset)
            .limit(limit)
            .execution_options(yield_per=ROWS_AT_ONCE)
        )

    def __iter__(self) -> Iterator[ResultRow]:
        # Close it even if the iteration stops early, because a server keeps a cursor open for it.
        with self._connection.execute(self._query) as answer:
            for found in answer:
                state = None if found.state is None else JobState(found.state)
                yield ResultRow(
                    row=Row(found.line, decode_cells(found.cells)),
                    outcome=Outcome.INVALID if state is None else state.outcome,
                    message=found.reason if state is None else _message(state, found.message),
                    company_id=found.company_id,
                    contact_id=found.contact_id,
                    execution_id=found.execution_id,
                    triggered_at=decode_time(found.triggered_at),
                    started_at=decode_time(found.started_at),
                    finished_at=decode_time(found.finished_at),
                    result=decode_result(found.result),
                    dropped=state is JobState.DROPPED,
                    sending=state is JobState.SENDING,
                    cause=None if found.cause is None else Cause(found.cause),
                    job=found.job,
                )


def _message(state: JobState, kept: str) -> str:
    match state:
        case JobState.PENDING:
            return f"not sent yet: {kept}" if kept else "not sent yet"
        case JobState.SENDING:
            return "the trigger is on its way"
        case JobState.IN_FLIGHT:
            return "triggered; its result has not been collected yet"
        case _:
            return kept


class EarlierRows:
    """The newest result in earlier batches for each row of a batch, read at each iteration."""

    def __init__(
        self, connection: Connection, batch_id: str, earlier: Sequence[str], roles: Collection[Role]
    ) -> None:
        self._connection = connection
        ids = [rows.c[role.value] for role in roles]
        newest = (batches.c.created_at.desc(), rows.c.number)
        found = (
            select(
                *(rows.c.batch_id, rows.c.job, *ids),
                func.row_number().over(partition_by=ids, order_by=newest).label("place"),
            )
            .join_from(rows, batches, batches.c.id == rows.c.batch_id)
            .join(jobs, _JOB_OF_ROW)
            .where(rows.c.batch_id.in_(earlier), jobs.c.state == JobState.COMPLETED)
            .subquery()
        )
        same = [rows.c[role.value] == found.c[role.value] for role in roles]
        self._result = (jobs.c.batch_id == found.c.batch_id) & (jobs.c.number == found.c.job)
        self._found = found
        self._rows = rows.outerjoin(found, and_(found.c.place == 1, *same) if same else false())
        self._mine = rows.c.batch_id == batch_id

    def batches(self) -> list[str]:
        """Return the earlier batches that have the newest result of any row, newest first."""
        of = self._found.c.batch_id
        query = (
            select(batches.c.id)
            .where(batches.c.id.in_(select(of).select_from(self._rows).where(self._mine)))
            .order_by(batches.c.created_at.desc())
        )
        return list(self._connection.scalars(query))

    def __iter__(self) -> Iterator[tuple[JSON, datetime | None]]:
        query = (
            select(jobs.c.result, jobs.c.finished_at)
            .select_from(self._rows.outerjoin(jobs, self._result))
            .where(self._mine)
            .order_by(rows.c.number)
            .execution_options(yield_per=ROWS_AT_ONCE)
        )
        with self._connection.execute(query) as answer:
            for result, finished_at in answer:
                yield decode_result(result), decode_time(finished_at)


@dataclass(frozen=True, slots=True)
class SentJob:
    """A job's current state, and the executions that retries replaced."""

    number: int  # number of the job in the batch
    ended: bool  # whether the job has ended, so nothing of it is in flight
    # Its current execution; None if none was accepted since the last retry
    execution_id: str | None
    replaced: frozenset[str] = frozenset()  # the earlier executions, which retries replaced
    retried_at: datetime | None = None  # when it was last made pending again; aware, UTC
    retried: int = 0  # how many times it was made pending again


def read_sent(
    connection: Connection, batch_id: str
) -> dict[tuple[str | None, str | None], tuple[SentJob, ...]]:
    """Return the jobs of a batch by the (company, contact) IDs of their rows."""
    earlier: defaultdict[int, list[tuple[str | None, float]]] = defaultdict(list)
    query_earlier = (
        select(attempts.c.number, attempts.c.execution_id, attempts.c.retried_at)
        .where(attempts.c.batch_id == batch_id)
        .order_by(attempts.c.retried_at)
    )
    for number, *attempt in connection.execute(query_earlier):
        earlier[number].append(tuple(attempt))
    query = (
        select(
            *(rows.c.company_id, rows.c.contact_id),
            *(jobs.c.number, jobs.c.state, jobs.c.execution_id),
        )
        .join_from(rows, jobs, _JOB_OF_ROW)
        .where(rows.c.batch_id == batch_id)
        .distinct()  # several rows may share a job
    )
    found: dict[tuple[str | None, str | None], tuple[SentJob, ...]] = {}
    for company, contact, number, state, execution_id in connection.execute(query):
        mine = earlier.get(number, [])
        job = SentJob(
            number,
            state in ENDED,
            execution_id,
            frozenset(replaced for replaced, _ in mine if replaced is not None),
            decode_time(mine[-1][1]) if mine else None,
            len(mine),
        )
        found[company, contact] = (*found.get((company, contact), ()), job)
    return found
