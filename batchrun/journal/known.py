"""What earlier batches made of the same trigger bodies: to say so, and to reuse their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, func, select, update

from batchrun.errors import UsageError
from batchrun.journal.creation import batches_of
from batchrun.journal.encoding import decode_time
from batchrun.journal.schema import JobState, jobs
from batchrun.model import KnownJob, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchrun.plan import Plan

ROWS_AT_ONCE = 1_000

_SENT = tuple(
    state
    for state in JobState
    if state not in {JobState.PENDING, JobState.FAILED, JobState.REJECTED}
)
"""States of jobs that have a result, or may have one some day."""


def known_jobs(
    connection: Connection, bodies: Sequence[str], workflow_id: str, base_url: str
) -> dict[int, KnownJob]:
    """What became of trigger bodies in the journal's batches, by their positions.

    A completed job comes before one that is under way, and the one completed last before others.

    Args:
        connection: A connection that reads.
        bodies: The trigger bodies, as a plan spells them.
        workflow_id: Of which workflow.
        base_url: Of which service.
    """
    numbers = {body: number for number, body in enumerate(bodies)}
    found: dict[int, KnownJob] = {}
    for batch_id in batches_of(connection, workflow_id, base_url):
        query = (
            select(jobs.c.number, jobs.c.body, jobs.c.state, jobs.c.finished_at)
            .where(jobs.c.batch_id == batch_id, jobs.c.state.in_(_SENT))
            .execution_options(yield_per=ROWS_AT_ONCE)
        )
        for number, body, state, finished_at in connection.execute(query):
            mine = numbers.get(body)
            if mine is None:
                continue
            ended = decode_time(finished_at)
            job = KnownJob(batch_id, number, JobState(state).outcome, ended)
            if mine not in found or _worth(job) > _worth(found[mine]):
                found[mine] = job
    return found


def reuse_results(connection: Connection, batch_id: str, plan: Plan) -> None:
    """Give the jobs of a new batch the results that its plan takes from earlier ones.

    Args:
        connection: The connection in whose transaction the batch was created.
        batch_id: The new batch.
        plan: Its plan.

    Raises:
        UsageError: One of the results is not there any more.
    """
    if not plan.reused:
        return
    earlier = jobs.alias()
    taken = ("state", "execution_id", "triggered_at", "started_at", "finished_at", "result")
    statement = (
        update(jobs)
        .where(jobs.c.batch_id == batch_id, jobs.c.number == bindparam("mine"))
        .where(earlier.c.batch_id == bindparam("theirs"), earlier.c.number == bindparam("other"))
        .where(earlier.c.state == JobState.COMPLETED, earlier.c.body == jobs.c.body)
        .values({name: earlier.c[name] for name in taken})
        .values(reused_from=bindparam("theirs"), message=bindparam("words"))
    )
    connection.execute(statement, list(_takings(plan)))
    reused = connection.scalar(
        select(func.count()).where(jobs.c.batch_id == batch_id, jobs.c.reused_from.is_not(None))
    )
    if reused != len(plan.reused):
        raise UsageError(
            "Results that were to be reused have gone from the journal meanwhile.",
            "Nothing was triggered. Start it again to see what is left to send.",
        )


def _takings(plan: Plan) -> Iterator[Mapping[str, object]]:
    for number in sorted(plan.reused):
        job = plan.known[number]
        day = "" if job.finished_at is None else f" of {job.finished_at:%Y-%m-%d}"
        words = f"result{day} reused from batch {job.batch_id}; nothing was sent"
        yield {"mine": number, "theirs": job.batch_id, "other": job.number, "words": words}


def _worth(job: KnownJob) -> tuple[bool, float]:
    completed = job.outcome is Outcome.COMPLETED
    return completed, job.finished_at.timestamp() if job.finished_at else 0.0
