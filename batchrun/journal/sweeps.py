"""Statements about many jobs of a batch, or the batch itself, for the process that holds it alone.

Whoever slept through a takeover changes nothing any more: what it has found or its user has
decided is about a batch that has gone on since.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import insert, literal, select, update

from batchrun.journal.holder import held_by
from batchrun.journal.schema import JobState, attempts, batches, jobs

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Executable

_KEPT = (
    *(jobs.c.state, jobs.c.execution_id, jobs.c.triggered_at, jobs.c.message),
    jobs.c.result,
)
_EMPTIED = ("execution_id", "triggered_at", "started_at", "finished_at", "result", "reused_from")


class Sweeps:
    """The statements for one batch and one holder; each changes nothing once another has it.

    Args:
        batch_id: Which batch.
        holder: Under which name it is held.
    """

    def __init__(self, batch_id: str, holder: str) -> None:
        self._batch_id = batch_id
        self._held = held_by(batch_id, holder)

    def move_all(self, old: Collection[JobState], new: JobState, message: str) -> Executable:
        """Take a step of all jobs in some states."""
        return (
            update(jobs)
            .where(jobs.c.batch_id == self._batch_id, jobs.c.state.in_(old), self._held)
            .values(state=new, message=message)
        )

    def send_again(self, which: ColumnElement[bool]) -> tuple[Executable, Executable]:
        """Make jobs pending again, and keep beside what had become of them."""
        chosen = (jobs.c.batch_id == self._batch_id) & which & self._held
        names = ["batch_id", "number", "retried_at", *(column.name for column in _KEPT)]
        before = select(jobs.c.batch_id, jobs.c.number, literal(time.time()), *_KEPT)
        return (
            insert(attempts).from_select(names, before.where(chosen)),
            update(jobs)
            .where(chosen)
            .values(state=JobState.PENDING, message="", **dict.fromkeys(_EMPTIED)),
        )

    def worked(self, note: str, seconds: float, quota_seconds: float) -> Executable:
        """Keep how a run or resume ended."""
        return (
            update(batches)
            .where(batches.c.id == self._batch_id, self._held)
            .values(
                note=note,
                worked_seconds=batches.c.worked_seconds + seconds,
                quota_seconds=batches.c.quota_seconds + quota_seconds,
            )
        )
