"""The journal: what was committed is found again, and no step is taken twice."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from batchrun.errors import JournalError
from batchrun.journal import Journal
from batchrun.model import Outcome

from .batches import IDS, NOW, URL, accepted, completed, outcomes, plan_of, working_on

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.journal import BatchJobs


def test_a_batch_id_tells_the_day_and_the_list(journal: Journal) -> None:
    batch_id = journal.create(plan_of(*IDS), URL)
    assert batch_id.split("-", 1)[1].startswith("key-accounts-")


def test_every_row_has_one_outcome_and_the_counts_add_up(journal: Journal) -> None:
    batch_id = journal.create(plan_of(*IDS, IDS[0], "nonsense"), URL)
    summary = journal.summary(batch_id)
    assert summary.rows == 5
    assert summary.jobs == 3
    assert summary.counts[Outcome.PENDING] == 4
    assert summary.counts[Outcome.INVALID] == 1


def test_a_result_lands_on_every_row_of_its_job(journal: Journal) -> None:
    batch_id = journal.create(plan_of(IDS[0], IDS[1], IDS[0]), URL)

    async def finish_first(jobs: BatchJobs) -> None:
        job = jobs.pending()[0]
        assert await jobs.begin_trigger(job)
        await jobs.accept(job, accepted(0), NOW)
        await jobs.finish(job, completed(0, {"score": 3}), NOW)

    with working_on(journal, batch_id) as jobs:
        asyncio.run(finish_first(jobs))
    with journal.results(batch_id) as found:
        rows = list(found.rows)
        again = list(found.rows)
    assert rows == again
    assert [row.result for row in rows] == [{"score": 3}, None, {"score": 3}]
    assert [row.row.cells for row in rows] == [(IDS[0], 7), (IDS[1], 7), (IDS[0], 7)]
    assert rows[0].triggered_at == NOW


def test_a_job_that_was_being_sent_when_the_process_died_is_in_doubt(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with working_on(journal, batch_id) as jobs:
            asyncio.run(jobs.begin_trigger(jobs.pending()[1]))
    with Journal(location) as journal, journal.hold(batch_id):
        jobs = journal.jobs(batch_id, "key")
        assert asyncio.run(jobs.recover()) == 1
        assert outcomes(journal, batch_id) == [Outcome.PENDING, Outcome.IN_DOUBT, Outcome.PENDING]
        assert [job.number for job in jobs.pending()] == [0, 2]


def test_a_job_can_be_taken_for_triggering_only_once(journal: Journal) -> None:
    batch_id = journal.create(plan_of(*IDS), URL)

    async def take_twice(jobs: BatchJobs) -> list[bool]:
        job = jobs.pending()[0]
        return list(await asyncio.gather(jobs.begin_trigger(job), jobs.begin_trigger(job)))

    with working_on(journal, batch_id) as jobs:
        assert sorted(asyncio.run(take_twice(jobs))) == [False, True]


def test_requests_are_counted_for_the_batch_and_for_the_keys_day(journal: Journal) -> None:
    first = journal.create(plan_of(*IDS), URL)
    second = journal.create(plan_of(*IDS[:1]), URL)
    journal.create(plan_of(*IDS[1:]), URL)
    for batch_id in (first, second):
        with working_on(journal, batch_id) as jobs:
            jobs.count_request()
            asyncio.run(jobs.repoll_timed_out())  # committed later, so the count is on disk
    assert journal.ledger("key").reserve(0, 0, 0).requests_today == 2
    assert journal.ledger("another key").reserve(0, 0, 0).requests_today == 0
    assert {summary.requests for summary in journal.batches()} == {0, 1}


def test_a_timed_out_job_is_polled_on_by_the_next_process(journal: Journal) -> None:
    batch_id = journal.create(plan_of(*IDS), URL)

    async def time_out(jobs: BatchJobs) -> None:
        job = jobs.pending()[0]
        await jobs.begin_trigger(job)
        await jobs.accept(job, accepted(0), NOW)
        await jobs.time_out(job, "not finished after 30 minutes")

    with working_on(journal, batch_id) as jobs:
        asyncio.run(time_out(jobs))
        assert outcomes(journal, batch_id)[0] is Outcome.TIMED_OUT
        asyncio.run(jobs.repoll_timed_out())
    assert [job.execution_id for job in jobs.in_flight()] == ["exec_0"]


def test_a_batch_is_found_by_the_beginning_of_its_id(journal: Journal) -> None:
    batch_id = journal.create(plan_of(*IDS), URL)
    assert journal.resolve(batch_id[:-1]).batch_id == batch_id
    assert journal.resolve(None).batch_id == batch_id
    with pytest.raises(JournalError, match="batchrun batches"):
        journal.resolve("nothing")


def test_an_empty_journal_says_how_to_begin(journal: Journal) -> None:
    with pytest.raises(JournalError, match="batchrun run FILE"):
        journal.resolve(None)


def test_the_same_list_is_found_again_at_the_same_service_only(journal: Journal) -> None:
    plan = plan_of(*IDS)
    batch_id = journal.create(plan, URL)
    found = journal.find(plan.fingerprint(), URL)
    assert found is not None
    assert found.batch_id == batch_id
    assert journal.find(plan.fingerprint(), "https://elsewhere.example.com/v1") is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_nobody_else_can_read_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal(str(path)) as journal:
        journal.create(plan_of(*IDS), URL)
        modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir() if each.is_file()}
    assert modes == {0o600}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("kind", ["folder", "device", "list"])
def test_what_is_not_a_journal_is_refused_and_its_mode_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "accounts.csv"
    match kind:
        case "folder":
            path.mkdir()
        case "device":
            os.mkfifo(path)
        case _:
            path.write_text("Company ID\n", encoding="utf-8")
    path.chmod(0o755)
    with pytest.raises(JournalError, match=r"accounts\.csv"):
        Journal(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_journal_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(str(path)).close()
    path.chmod(0o644)
    with Journal(str(path)) as journal:
        journal.create(plan_of(*IDS), URL)
        modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir() if each.is_file()}
    assert modes == {0o600}


def test_a_journal_that_is_opened_to_be_read_is_not_written(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    with Journal(path), closing(sqlite3.connect(path)) as observer:
        version = observer.execute("PRAGMA data_version").fetchone()
        with Journal(path) as journal:
            journal.batches()
        assert observer.execute("PRAGMA data_version").fetchone() == version


def test_a_commit_survives_a_power_loss(tmp_path: Path) -> None:
    """The settings SQLite's own guarantee of durability rests on."""
    with Journal(str(tmp_path / "journal.db")) as journal, journal._engine.connect() as opened:
        assert opened.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert opened.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_a_journal_of_a_newer_batchrun_is_refused_with_words(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    connection.close()
    with pytest.raises(JournalError, match="newer batchrun"):
        Journal(str(path))


def test_a_file_that_is_no_journal_is_refused_with_words(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("this is not a database, but long enough to look at " * 20, encoding="utf-8")
    with pytest.raises(JournalError, match="not a journal of batchrun"):
        Journal(str(path))


def test_the_status_of_a_long_list_reads_no_more_than_that_of_a_short_one(tmp_path: Path) -> None:
    steps = dict.fromkeys((30, 1_000), 0)  # of SQLite's virtual machine
    for number in steps:
        with Journal(str(tmp_path / f"{number}.db")) as journal:
            ids = (f"a1b2c3d4-e5f6-7890-abcd-{each:012x}" for each in range(number))
            batch_id = journal.create(plan_of(*ids), URL)

            def step(number: int = number) -> None:
                steps[number] += 1

            def count(connection: sqlite3.Connection, *_: object, step: object = step) -> None:
                connection.set_progress_handler(step, 1)  # type: ignore[arg-type]

            event.listen(journal._engine, "checkout", count)
            assert journal.undecided(batch_id) == []
            assert journal.summary(batch_id).rows == number
            assert journal.remaining(batch_id).to_trigger == number
    assert 0 < steps[1_000] < 2 * steps[30]
