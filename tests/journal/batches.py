"""Plans, executions and questions that the journal's tests share."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from batchrun.estimate import EstimateRates
from batchrun.model import (
    JSON,
    Execution,
    ExecutionStatus,
    Outcome,
    Role,
    Workflow,
)
from batchrun.plan import Parameters, Plan, make_plan
from batchrun.tables.frames import from_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.journal import BatchJobs, Journal

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
IDS = [f"a1b2c3d4-e5f6-7890-abcd-ef12345678{number:02}" for number in range(3)]
URL = "https://api.example.com/v1"


def plan_of(*ids: str) -> Plan:
    table = from_frame(pd.DataFrame({"Company ID": ids, "Seats": 7}), "Key Accounts.csv")
    rates = EstimateRates(60, 45)
    return make_plan(table, Workflow("wf_1", "Research"), {Role.COMPANY: 0}, Parameters(), rates)


@contextmanager
def working_on(journal: Journal, batch_id: str, key: str = "key") -> Iterator[BatchJobs]:
    """A batch's jobs, held until the block ends, with all of them claimed."""
    with journal.hold(batch_id):
        jobs = journal.jobs(batch_id, key)
        claim_all(jobs)
        yield jobs
        jobs.slices.release()


def claim_all(jobs: BatchJobs) -> None:
    """Claim all jobs of a batch that is held."""
    jobs.slices.cut(1_000, alone=True)
    jobs.slices.claim(closed=True)


def accepted(job: int) -> Execution:
    return Execution(f"exec_{job}", ExecutionStatus.QUEUED, created_at=NOW)


def completed(job: int, result: JSON) -> Execution:
    return Execution(f"exec_{job}", ExecutionStatus.COMPLETED, NOW, NOW, NOW, result=result)


def outcomes(journal: Journal, batch_id: str) -> list[Outcome]:
    with journal.results(batch_id) as found:
        return [row.outcome for row in found.rows]
