"""What the user decides: send again, never send, forget."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from batchrun.errors import JournalError, UsageError
from batchrun.journal import Journal
from batchrun.journal.schema import attempts
from batchrun.model import Cause, Execution, ExecutionStatus, Outcome

from .batches import IDS, NOW, URL, accepted, claim_all, completed, outcomes, plan_of, working_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchrun.journal import BatchJobs

FAILED, DOUBTFUL, FINE = range(3)


@pytest.fixture
def batch_id(journal: Journal) -> str:
    """A batch of which one job failed, one is in doubt and one is completed."""

    async def work(batch_jobs: BatchJobs) -> None:
        for job in batch_jobs.pending():
            assert await batch_jobs.begin_trigger(job)
            if job.number == DOUBTFUL:
                await batch_jobs.doubt(job, "no answer")
                continue
            await batch_jobs.accept(job, accepted(job.number), NOW)
            done = completed(job.number, {"score": 3})
            if job.number == FAILED:
                done = Execution("exec_0", ExecutionStatus.FAILED, message="no such company")
                done = replace(done, cause=Cause.UNKNOWN_RECORD)
            await batch_jobs.finish(job, done, NOW)

    batch_id = journal.create(plan_of(*IDS), URL)
    with working_on(journal, batch_id) as batch_jobs:
        asyncio.run(work(batch_jobs))
    return batch_id


@pytest.fixture
def jobs(journal: Journal, batch_id: str) -> Iterator[BatchJobs]:
    """The jobs of that batch, which is held."""
    with working_on(journal, batch_id) as batch_jobs:
        yield batch_jobs


def causes(journal: Journal, batch_id: str) -> list[Cause | None]:
    with journal.results(batch_id) as found:
        return [row.cause for row in found.rows]


def test_the_cause_of_a_failure_is_kept_until_the_job_is_sent_again(
    journal: Journal, batch_id: str, jobs: BatchJobs
) -> None:
    assert causes(journal, batch_id) == [Cause.UNKNOWN_RECORD, None, None]
    asyncio.run(jobs.retry({Outcome.FAILED}))
    assert causes(journal, batch_id) == [None, None, None]
    claim_all(jobs)
    [job] = jobs.pending()
    assert asyncio.run(jobs.begin_trigger(job))
    asyncio.run(jobs.release(job, "HTTP 403: no", Cause.NO_ACCESS))
    assert causes(journal, batch_id) == [Cause.NO_ACCESS, None, None]
    asyncio.run(jobs.begin_trigger(job))
    assert causes(journal, batch_id) == [None, None, None]
    asyncio.run(jobs.reject(job, "HTTP 422: no", Cause.BAD_VALUES))
    assert causes(journal, batch_id) == [Cause.BAD_VALUES, None, None]


def test_retried_jobs_are_pending_and_what_had_become_of_them_is_kept(
    journal: Journal, jobs: BatchJobs
) -> None:
    assert asyncio.run(jobs.retry({Outcome.FAILED})) == 1
    [summary] = journal.batches()
    assert outcomes(journal, summary.batch_id) == [
        Outcome.PENDING,
        Outcome.IN_DOUBT,
        Outcome.COMPLETED,
    ]
    [job] = jobs.pending()
    assert (job.number, job.execution_id) == (FAILED, None)
    with journal._engine.connect() as connection:
        [kept] = connection.execute(select(attempts)).all()
    assert (kept.number, kept.state, kept.execution_id) == (FAILED, "failed", "exec_0")
    assert kept.message == "no such company"


def test_a_job_that_was_sent_again_since_the_user_decided_is_not_sent_once_more(
    journal: Journal, jobs: BatchJobs
) -> None:
    assert asyncio.run(jobs.retry({Outcome.FAILED})) == 1
    with pytest.raises(UsageError, match="sent again elsewhere"):
        asyncio.run(jobs.again({FAILED: 0, FINE: 0}))
    assert [job.number for job in jobs.pending()] == [FAILED]
    assert asyncio.run(jobs.again({FINE: 0})) == 1


def test_dropped_doubts_stay_in_doubt_and_are_not_asked_about_again(
    journal: Journal, jobs: BatchJobs
) -> None:
    [summary] = journal.batches()
    [row] = journal.undecided(summary.batch_id)
    assert row.company_id == IDS[DOUBTFUL]
    assert asyncio.run(jobs.drop_doubts()) == 1
    assert journal.undecided(summary.batch_id) == []
    assert outcomes(journal, summary.batch_id)[DOUBTFUL] is Outcome.IN_DOUBT
    with journal.results(summary.batch_id) as found:
        assert [row.dropped for row in found.rows] == [False, True, False]
    # Nor are they sent when others in doubt are; but the user may still change their mind.
    assert asyncio.run(jobs.retry_doubts()) == 0
    assert asyncio.run(jobs.retry({Outcome.IN_DOUBT})) == 1
    assert [job.number for job in jobs.pending()] == [DOUBTFUL]


@pytest.mark.parametrize("location", ["sqlite"], indirect=True)
def test_a_forgotten_batch_is_in_no_file_of_the_journal(
    journal: Journal, batch_id: str, tmp_path: Path
) -> None:
    kept = journal.create(plan_of(IDS[0]), URL)
    assert _files_with(tmp_path, IDS[FINE]) != []
    journal.forget(batch_id)
    assert _files_with(tmp_path, IDS[FINE]) == []
    assert _files_with(tmp_path, batch_id) == []
    assert [summary.batch_id for summary in journal.batches()] == [kept]


def test_a_batch_that_is_being_worked_on_is_not_forgotten(location: str) -> None:
    with Journal(location) as journal, Journal(location) as other:
        batch_id = journal.create(plan_of(*IDS), URL)
        with other.hold(batch_id), pytest.raises(JournalError, match="working on batch"):
            journal.forget(batch_id)
        assert outcomes(journal, batch_id) == [Outcome.PENDING] * 3


def test_the_journal_is_compacted_once_however_many_batches_are_forgotten(
    journal: Journal, batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.create(plan_of(IDS[0]), URL)
    compacted: list[object] = []
    monkeypatch.setattr("batchrun.journal.journal.compact", compacted.append)
    journal.forget(*(summary.batch_id for summary in journal.batches()))
    assert journal.batches() == []
    assert len(compacted) == 1


def _files_with(folder: Path, text: str) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if text in path.name or (path.is_file() and text.encode() in path.read_bytes())
    ]
