"""What of a batch is still to be sent, and what runs: the two halves of "pending"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from batchrun.journal.encoding import decode_time
from batchrun.journal.schema import JobState, jobs

if TYPE_CHECKING:
    from datetime import datetime

    from batchrun.journal.journal import Journal


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a batch.

    Attributes:
        to_trigger: Jobs that have not been sent.
        running: Executions that are waited for.
        running_rows: Rows that wait for those.
        oldest: When the execution was triggered that has been waited for longest; aware, UTC.
    """

    to_trigger: int
    running: int
    running_rows: int
    oldest: datetime | None


def standing(journal: Journal, batch_id: str) -> Standing:
    """What is left of a batch now; reads only."""
    query = (
        select(jobs.c.state, func.count(), func.sum(jobs.c.rows), func.min(jobs.c.triggered_at))
        .where(jobs.c.batch_id == batch_id)
        .where(jobs.c.state.in_([JobState.PENDING, JobState.IN_FLIGHT]))
        .group_by(jobs.c.state)
    )
    with journal.connect() as connection:
        found = {JobState(state): rest for state, *rest in connection.execute(query)}
    to_trigger, *_ = found.get(JobState.PENDING, (0, 0, None))
    running, running_rows, oldest = found.get(JobState.IN_FLIGHT, (0, 0, None))
    return Standing(int(to_trigger), int(running), int(running_rows), decode_time(oldest))
