"""What has been sent for the rows of a batch, now and before: to find marked rows again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from batchrun.journal.encoding import decode_time
from batchrun.journal.schema import ENDED, attempts, jobs, rows

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class SentJob:
    """A job as it stands, and what was replaced when it was sent again.

    Attributes:
        number: Its number in the batch.
        ended: Whether nothing of it is under way.
        execution_id: Its last execution; ``None`` where none was ever accepted since.
        replaced: The executions that were replaced by sending it again.
        retried_at: When it was last made ready to be sent again; aware, UTC.
        retried: How often that was.
    """

    number: int
    ended: bool
    execution_id: str | None
    replaced: frozenset[str] = frozenset()
    retried_at: datetime | None = None
    retried: int = 0


def read_sent(
    connection: Connection, batch_id: str
) -> dict[tuple[str | None, str | None], tuple[SentJob, ...]]:
    """The jobs of a batch by the IDs of their rows: company, contact."""
    replaced: dict[int, set[str]] = {}
    retried_at: dict[int, datetime | None] = {}
    times: Counter[int] = Counter()
    earlier = (
        select(attempts.c.number, attempts.c.execution_id, attempts.c.retried_at)
        .where(attempts.c.batch_id == batch_id)
        .order_by(attempts.c.retried_at)
    )
    for number, execution_id, at in connection.execute(earlier):
        retried_at[number] = decode_time(at)
        times[number] += 1
        if execution_id is not None:
            replaced.setdefault(number, set()).add(execution_id)
    query = (
        select(
            *(rows.c.company_id, rows.c.contact_id),
            *(jobs.c.number, jobs.c.state, jobs.c.execution_id),
        )
        .join_from(rows, jobs, (jobs.c.batch_id == rows.c.batch_id) & (jobs.c.number == rows.c.job))
        .where(rows.c.batch_id == batch_id)
        .distinct()  # rows may share a job
    )
    found: dict[tuple[str | None, str | None], tuple[SentJob, ...]] = {}
    for company, contact, number, state, execution_id in connection.execute(query):
        job = SentJob(
            number,
            state in ENDED,
            execution_id,
            frozenset(replaced.get(number, ())),
            retried_at.get(number),
            times[number],
        )
        found[company, contact] = (*found.get((company, contact), ()), job)
    return found
