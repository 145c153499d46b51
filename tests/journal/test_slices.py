"""Slices: each job is in the hands of one worker, and a dead one's go to the others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import update

from batchrun import load_settings, status
from batchrun.errors import HeldError, TakenOverError
from batchrun.journal import Journal
from batchrun.journal.lease import SILENCE_SECONDS
from batchrun.journal.schema import leases, meta, slices
from batchrun.journal.slices import slice_size
from batchrun.model import Outcome
from tests.preloaded import Popen
from tests.waiting import wait_until

from .batches import NOW, URL, accepted, claim_all, outcomes, plan_of, working_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.journal import BatchJobs

COMPANIES = [f"a1b2c3d4-e5f6-7890-abcd-ef12345679{number:02}" for number in range(6)]

WORK = """
import asyncio, sys
from batchrun.journal import Journal
with Journal(sys.argv[1]) as journal:
    jobs = journal.jobs(sys.argv[2], "key", leads=False)
    claimed = jobs.slices.claim(closed=jobs.leads)
    assert asyncio.run(jobs.begin_trigger(jobs.pending(within=claimed)[0]))
    print(claimed.first, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_worker(location: str, batch_id: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that has claimed a slice, the first job of it, and is sending its first job."""
    with Popen(
        [sys.executable, "-c", WORK, location, batch_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


@contextmanager
def open_batch(journal: Journal, size: int = 2, jobs: int = 6) -> Iterator[str]:
    """A batch that is held and open to workers, in slices of some jobs."""
    batch_id = journal.create(plan_of(*COMPANIES[:jobs]), URL, key="key")
    with journal.hold(batch_id):
        journal.slices(batch_id).cut(size, alone=False)
        yield batch_id


def numbers(jobs: BatchJobs) -> list[int]:
    """The jobs of the slice that is claimed next; none if no slice is free."""
    claimed = jobs.slices.claim(closed=jobs.leads)
    return [] if claimed is None else [job.number for job in jobs.pending(within=claimed)]


def test_each_job_is_in_the_slice_of_one_worker(location: str) -> None:
    with Journal(location) as one, Journal(location) as other, open_batch(one) as batch_id:
        first = one.jobs(batch_id, "key")
        second = other.jobs(batch_id, "key", leads=False)
        claimed = [numbers(first), numbers(second), numbers(second), numbers(first)]
    assert claimed == [[0, 1], [2, 3], [4, 5], []]


def test_workers_that_claim_at_the_same_moment_get_different_slices(location: str) -> None:
    with Journal(location) as one, Journal(location) as other, open_batch(one, 1) as batch_id:
        workers = [each.jobs(batch_id, "key") for each in (one, other)]
        with ThreadPoolExecutor(2) as pool:
            found = [number for each in pool.map(numbers, workers * 3) for number in each]
    assert sorted(found) == list(range(6))


def test_only_the_holder_of_its_slice_triggers_a_job(location: str) -> None:
    with Journal(location) as one, Journal(location) as other, open_batch(one) as batch_id:
        holder, stranger = one.jobs(batch_id, "key"), other.jobs(batch_id, "key", leads=False)
        claimed = holder.slices.claim(closed=holder.leads)
        first, second = holder.pending(within=claimed)
        assert not asyncio.run(stranger.begin_trigger(first))
        assert asyncio.run(holder.begin_trigger(first))
        one.slices(batch_id).release()
        assert not asyncio.run(holder.begin_trigger(second))


def test_a_dead_workers_slice_goes_to_another_and_only_what_it_was_sending_is_in_doubt(
    location: str,
) -> None:
    with Journal(location) as journal, open_batch(journal) as batch_id:
        jobs = journal.jobs(batch_id, "key")
        with another_worker(location, batch_id) as (living, kept):
            with another_worker(location, batch_id) as (process, first):
                process.kill()
            claimed = jobs.slices.claim(closed=jobs.leads)
            assert claimed is not None
            assert (kept, first, claimed.first) == (0, 2, 2)
            assert [job.number for job in jobs.pending(within=claimed)] == [3]
            doubtful = outcomes(journal, batch_id)[2]
            sending = journal.undecided(batch_id)
            assert living.poll() is None
    assert doubtful is Outcome.IN_DOUBT
    assert [row.row.line for row in sending] == [4]  # its third row


def test_a_silent_workers_slice_goes_to_another_and_it_triggers_nothing_more(
    location: str,
) -> None:
    with Journal(location) as one, Journal(location) as slept, open_batch(one, 6) as batch_id:
        theirs = slept.jobs(batch_id, "key", leads=False)
        claimed = theirs.slices.claim(closed=theirs.leads)
        first, second, *_ = theirs.pending(within=claimed)
        assert asyncio.run(theirs.begin_trigger(first))
        _silence(one)
        assert numbers(one.jobs(batch_id, "key")) == [1, 2, 3, 4, 5]
        assert not asyncio.run(theirs.begin_trigger(second))
        asyncio.run(theirs.accept(first, accepted(0), NOW))  # the answer was under way
        assert outcomes(one, batch_id)[0] is Outcome.PENDING


def test_who_takes_the_batch_over_leaves_living_workers_their_slices(location: str) -> None:
    with (
        Journal(location) as one,
        Journal(location) as other,
        open_batch(one) as batch_id,
        another_worker(location, batch_id) as (_, first),
    ):
        one._writer.submit(update(leases).values(holder=other._lock.token)).result()
        jobs = other.jobs(batch_id, "key")
        assert asyncio.run(jobs.recover()) == 0
        with pytest.raises(HeldError, match="Workers are still working"):
            jobs.slices.cut(3, alone=True)
        jobs.slices.cut(3, alone=False)
        assert jobs.slices.others_work()
        assert [first, numbers(jobs), numbers(jobs)] == [0, [2, 3, 4], [5]]
        with pytest.raises(TakenOverError):
            one.slices(batch_id).cut(3, alone=False)


def test_a_batch_that_workers_work_on_is_not_forgotten(location: str) -> None:
    """Though the process that began it is dead."""
    with Journal(location) as one, Journal(location) as other:
        with open_batch(one) as batch_id:
            numbers(other.jobs(batch_id, "key", leads=False))
        with pytest.raises(HeldError, match="still working"):
            one.forget(batch_id)
        other.slices(batch_id).release()
        one.forget(batch_id)
        assert one.batches() == []


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_an_hour_off_takes_no_living_ones_slice(
    location: str, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(location) as right, Journal(location) as wrong, open_batch(right) as batch_id:
        assert numbers(right.jobs(batch_id, "key")) == [0, 1]
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 3_600 * hours)
        worker = wrong.jobs(batch_id, "key", leads=False)
        assert numbers(worker) == [2, 3]
        worker.slices.beat()
        assert worker.slices.state().workers == 2
        assert right.slices(batch_id).others_work()


def test_status_says_that_workers_are_at_work_though_the_first_process_is_gone(
    location: str,
) -> None:
    settings = load_settings(journal=location)
    with Journal(location) as one, Journal(location) as other:
        with open_batch(one) as batch_id:
            worker = other.jobs(batch_id, "key", leads=False)
            numbers(worker)
        assert status(batch_id, settings=settings).working
        worker.slices.release()
        assert not status(batch_id, settings=settings).working


def test_a_closed_batch_is_only_for_the_process_that_holds_it(location: str) -> None:
    with Journal(location) as one, Journal(location) as other, open_batch(one) as batch_id:
        worker = other.jobs(batch_id, "key", leads=False)
        assert one.open_batches() == [batch_id]
        assert worker.slices.state().closed is None
        one.slices(batch_id).close("10 jobs in a row failed")
        assert worker.slices.state().closed == "10 jobs in a row failed"
        assert one.open_batches() == []
        assert numbers(worker) == []
        assert numbers(one.jobs(batch_id, "key")) == [0, 1]
        one._writer.submit(update(leases).values(holder=other._lock.token)).result()
        assert numbers(one.jobs(batch_id, "key")) == []


@pytest.mark.parametrize(
    ("why", "sent", "confirmed"), [("", 0, True), ("10 failed", 1, False), ("10 failed", 2, True)]
)
def test_the_rest_of_a_batch_that_failures_stop_waits_for_a_person(
    location: str, why: str, sent: int, confirmed: bool
) -> None:
    with Journal(location) as journal, open_batch(journal, jobs=2) as batch_id:
        journal.keep(batch_id, "unconfirmed", 0)
        worker = journal.jobs(batch_id, "key")
        for job in worker.pending(within=worker.slices.claim(closed=worker.leads))[:sent]:
            assert asyncio.run(worker.begin_trigger(job))
        worker.slices.close(why)  # the process may die right after it
        assert journal.summary(batch_id).confirmed is confirmed


def test_a_batch_nobody_works_on_has_no_slices_and_keeps_its_requests(location: str) -> None:
    with Journal(location) as journal, open_batch(journal) as batch_id:
        jobs = journal.jobs(batch_id, "key")
        claimed = jobs.slices.claim(closed=jobs.leads)
        for job in jobs.pending(within=claimed):
            assert asyncio.run(jobs.begin_trigger(job))
            asyncio.run(jobs.release(job, ""))
        assert journal.summary(batch_id).requests == 2
        jobs.slices.remove()
        assert journal.summary(batch_id).requests == 2
        assert jobs.slices.state().closed == ""
        assert journal.ledger("key").reserve(0, 0, 0).requests_today == 2


def test_workers_that_share_a_key_are_counted(location: str) -> None:
    with (
        Journal(location) as one,
        Journal(location) as other,
        open_batch(one) as batch_id,
        open_batch(other, jobs=5) as another,
    ):
        mine, theirs = one.jobs(batch_id, "key"), other.jobs(another, "key")
        assert mine.slices.state().workers == 1
        numbers(mine)
        numbers(theirs)
        assert mine.slices.state().workers == theirs.slices.state().workers == 2
        _silence(one)
        assert mine.slices.state().workers == 1


def test_a_worker_stops_when_a_newer_batchrun_has_migrated_the_journal(location: str) -> None:
    with Journal(location) as journal, open_batch(journal) as batch_id:
        newer = update(meta).where(meta.c.name == "schema_version").values(value="99")
        journal._writer.submit(newer).result()
        with pytest.raises(TakenOverError, match="newer batchrun"):
            journal.slices(batch_id).state()


@pytest.mark.parametrize(
    ("jobs", "rate", "size"),
    [
        (5, 60, 20),
        (400, 600, 25),
        (1_000_000, 60, 300),
        (1_000_000, 600, 1_000),
        (1_000_000, float("inf"), 1_000),
    ],
)
def test_a_slice_is_ten_minutes_of_quota_at_most_a_thousand_jobs(
    jobs: int, rate: float, size: int
) -> None:
    assert slice_size(jobs, rate) == size


def test_the_same_execution_id_at_two_services_is_two_executions(location: str) -> None:
    with Journal(location) as journal:
        for url in (URL, "https://other.example.com/v1"):
            batch_id = journal.create(plan_of(COMPANIES[0]), url)
            with working_on(journal, batch_id) as jobs:
                [job] = jobs.pending()
                assert asyncio.run(jobs.begin_trigger(job))
                assert asyncio.run(jobs.accept(job, accepted(0), NOW)) == ""


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
def test_of_two_processes_that_get_one_execution_id_at_once_the_second_is_in_doubt(
    location: str,
) -> None:
    with Journal(location) as one, Journal(location) as other, ThreadPoolExecutor(2) as pool:
        batches = []
        for journal, company in ((one, COMPANIES[0]), (other, COMPANIES[1])):
            batch_id = journal.create(plan_of(company), URL)
            batches.append((journal, batch_id))

        def accept(journal: Journal, batch_id: str) -> str:
            jobs = journal.jobs(batch_id, "key")
            [job] = jobs.pending()
            assert asyncio.run(jobs.begin_trigger(job))
            arrived.append(batch_id)
            return asyncio.run(jobs.accept(job, accepted(0), NOW))

        arrived: list[str] = []
        for journal, batch_id in batches:
            journal._lock.acquire()
            held = journal.hold(batch_id)
            held.__enter__()
            claim_all(journal.jobs(batch_id, "key"))
        with psycopg.connect(location) as blocking:
            blocking.execute("SELECT pg_advisory_xact_lock(hashtextextended('exec_0', 0))")
            doubts = [pool.submit(accept, *each) for each in batches]
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
            with psycopg.connect(location, autocommit=True) as watching:
                wait_until(lambda: watching.execute(waiting).fetchone() == (2,))
        assert sorted(bool(each.result()) for each in doubts) == [False, True]


def _silence(journal: Journal) -> None:
    """All workers have been silent for more than a minute."""
    beat_at = slices.c.beat_at - SILENCE_SECONDS - 1
    journal._writer.submit(update(slices).values(beat_at=beat_at)).result()
