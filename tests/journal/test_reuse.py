"""What earlier batches made of the same jobs, and that nothing of it is paid for twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import UsageError
from batchrun.model import Outcome

from .batches import IDS, NOW, URL, accepted, completed, outcomes, plan_of, working_on

if TYPE_CHECKING:
    from batchrun.journal import Journal
    from batchrun.plan import Plan

MONTH = timedelta(days=30)


def run_all(journal: Journal, plan: Plan, days_ago: int = 0, score: int = 1) -> str:
    """A batch that completes whatever it has to send."""
    batch_id = journal.create(plan, URL)
    jobs, then = journal.jobs(batch_id, "key"), NOW - timedelta(days=days_ago)

    async def work() -> None:
        for job in jobs.pending():
            assert await jobs.begin_trigger(job)
            await jobs.accept(job, accepted(job.number), then)
            ended = replace(completed(job.number, {"score": score}), completed_at=then)
            await jobs.finish(job, ended, then)

    with working_on(journal, batch_id):
        asyncio.run(work())
    return batch_id


def with_known_results(journal: Journal, plan: Plan, reuse: timedelta | None) -> Plan:
    return plan.with_known_results(journal.known_jobs(plan, URL), NOW, reuse)


def test_a_longer_list_reuses_what_is_known_and_sends_the_rest(journal: Journal) -> None:
    earlier = run_all(journal, plan_of(*IDS[:2]), days_ago=3)

    plan = with_known_results(journal, plan_of(*IDS), MONTH)

    assert (plan.to_trigger, plan.first_body) == (1, plan.bodies[2])
    batch_id = journal.create(plan, URL)
    assert [job.number for job in journal.jobs(batch_id, "key").pending()] == [2]
    assert journal.summary(batch_id).reused == 2
    with journal.results(batch_id) as found:
        first, *_, last = found.rows
    assert first.result == {"score": 1}
    assert first.execution_id == "exec_0"
    assert first.message == f"result of 2026-11-21 reused from batch {earlier}; nothing was sent"
    assert last.outcome is Outcome.PENDING


def test_without_being_told_so_nothing_is_reused(journal: Journal) -> None:
    run_all(journal, plan_of(*IDS[:2]))
    plan = with_known_results(journal, plan_of(*IDS), None)
    assert len(plan.known) == 2
    assert plan.to_trigger == 3
    assert outcomes(journal, journal.create(plan, URL)) == [Outcome.PENDING] * 3


def test_a_result_that_is_too_old_is_sent_again(journal: Journal) -> None:
    run_all(journal, plan_of(IDS[0]), days_ago=31)
    assert with_known_results(journal, plan_of(*IDS), MONTH).to_trigger == 3


def test_the_newest_result_is_the_one_that_is_reused(journal: Journal) -> None:
    run_all(journal, plan_of(IDS[0], IDS[1]), days_ago=1, score=2)
    run_all(journal, plan_of(IDS[0]), days_ago=9, score=1)
    batch_id = journal.create(with_known_results(journal, plan_of(*IDS), MONTH), URL)
    with journal.results(batch_id) as found:
        assert next(iter(found.rows)).result == {"score": 2}


def test_what_runs_or_is_in_doubt_elsewhere_is_known_and_not_reused(journal: Journal) -> None:
    batch_id = journal.create(plan_of(*IDS[:2]), URL)
    jobs = journal.jobs(batch_id, "key")

    async def leave_under_way() -> None:
        first, second = jobs.pending()
        assert await jobs.begin_trigger(first)
        await jobs.accept(first, accepted(0), NOW)
        assert await jobs.begin_trigger(second)
        await jobs.doubt(second, "no answer came")

    with working_on(journal, batch_id):
        asyncio.run(leave_under_way())
    plan = with_known_results(journal, plan_of(*IDS), MONTH)
    assert {job.outcome for job in plan.known.values()} == {Outcome.PENDING, Outcome.IN_DOUBT}
    assert plan.reused == frozenset()


def test_results_of_another_service_are_not_known(journal: Journal) -> None:
    run_all(journal, plan_of(IDS[0]))
    assert journal.known_jobs(plan_of(*IDS), "https://elsewhere.example.com/v1") == {}


def test_a_result_forgotten_meanwhile_is_not_sent_unasked(journal: Journal) -> None:
    earlier = run_all(journal, plan_of(*IDS[:2]))
    plan = with_known_results(journal, plan_of(*IDS), MONTH)
    journal.forget(earlier)
    with pytest.raises(UsageError, match="deleted from the journal"):
        journal.create(plan, URL)
    assert journal.batches() == []


def test_a_reused_result_stays_when_its_first_batch_is_forgotten(journal: Journal) -> None:
    earlier = run_all(journal, plan_of(*IDS[:2]))
    batch_id = journal.create(with_known_results(journal, plan_of(*IDS), MONTH), URL)
    journal.forget(earlier)
    assert outcomes(journal, batch_id)[:2] == [Outcome.COMPLETED] * 2


def test_a_reused_row_that_is_sent_again_is_its_own_from_then_on(journal: Journal) -> None:
    run_all(journal, plan_of(*IDS[:2]))
    batch_id = journal.create(with_known_results(journal, plan_of(*IDS), MONTH), URL)
    jobs = journal.jobs(batch_id, "key")
    with working_on(journal, batch_id):
        assert asyncio.run(jobs.again({0: 0})) == 1
    assert journal.summary(batch_id).reused == 1
    assert [job.number for job in jobs.pending()] == [0, 2]


def test_reused_run_times_teach_the_forecast_nothing_twice(journal: Journal) -> None:
    run_all(journal, plan_of(*IDS[:2]))
    journal.create(with_known_results(journal, plan_of(*IDS), MONTH), URL)
    assert len(journal.run_seconds("wf_1", URL, limit=10)) == 2
