"""A journal on a PostgreSQL server keeps the promises of one in a file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import update

from batchrun.errors import ExitCode, JournalError, JournalWriteError
from batchrun.journal import Journal, database
from batchrun.journal.errors import unusable, unwritable
from batchrun.journal.schema import batches
from batchrun.model import JSON, Outcome
from tests.postgres import PASSWORD, USER
from tests.preloaded import Popen

from .batches import IDS, NOW, URL, accepted, completed, outcomes, plan_of, working_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchrun.journal import BatchJobs
    from tests.postgres import PostgresServer

pytestmark = pytest.mark.parametrize("location", ["postgresql"], indirect=True)

MANY = [f"a1b2c3d4-e5f6-7890-abcd-ef1234567{number:03}" for number in range(200)]


@pytest.fixture
def stoppable(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which runs again afterwards whatever the test did."""
    try:
        yield postgres
    finally:
        postgres.ensure_running()


def test_of_two_connections_that_want_a_job_one_gets_it(location: str) -> None:
    """What decides is the database: either believes that it holds the batch."""
    with Journal(location) as one, Journal(location) as other, ThreadPoolExecutor(2) as pool:
        batch_id = one.create(plan_of(*MANY), URL)
        other._lock.token = one._lock.token

        def take_all(journal: Journal) -> list[bool]:
            jobs = journal.jobs(batch_id, "key")

            async def at_once() -> list[bool]:
                return list(await asyncio.gather(*map(jobs.begin_trigger, jobs.pending())))

            return asyncio.run(at_once())

        with working_on(one, batch_id):
            first, second = pool.map(take_all, [one, other])
        assert sum(first) + sum(second) == len(MANY)
        assert not any(a and b for a, b in zip(first, second, strict=False))
        # Each attempt was counted, though both counted the same rows at the same time.
        assert one.summary(batch_id).requests == len(first) + len(second)
        assert one.ledger("key").reserve(0, 0, 0).requests_today == len(first) + len(second)


TAKE_TURNS = """
import sys
from batchrun.journal import Journal
with Journal(sys.argv[1]) as journal:
    ledger = journal.ledger("key")
    for _ in range(100):
        print(ledger.reserve(1, 1.0, 1_790_000_000.0).first_at)
"""


def test_two_processes_never_get_the_same_turn(location: str) -> None:
    processes = [
        Popen([sys.executable, "-c", TAKE_TURNS, location], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    turns = sorted(float(line) for each in processes for line in each.communicate()[0].split())
    assert turns == pytest.approx([1_790_000_000.0 + number for number in range(200)])


def test_a_reader_sees_the_journal_of_one_moment(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with working_on(journal, batch_id) as jobs, journal.results(batch_id) as found:
            before = [row.outcome for row in found.rows]
            asyncio.run(_finish_all(jobs))
            assert [row.outcome for row in found.rows] == before == [Outcome.PENDING] * 3
        assert outcomes(journal, batch_id) == [Outcome.COMPLETED] * 3


def test_a_result_of_a_megabyte_comes_back_as_it_was_sent(location: str) -> None:
    text = "".join(chr(32 + (number * 7919) % 50_000) for number in range(400_000))
    result: JSON = {"text": text, "nul": "\0", "half": "\ud800"}
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(IDS[0]), URL)
        with working_on(journal, batch_id) as jobs:
            asyncio.run(_finish_all(jobs, result))
        with journal.results(batch_id) as found:
            assert [row.result for row in found.rows] == [result]


def test_a_commit_is_on_the_servers_disk_whatever_the_role_prefers(location: str) -> None:
    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute(f'ALTER ROLE "{USER}" SET synchronous_commit = off'.encode())
    try:
        with Journal(location) as journal, journal._engine.connect() as connection_of_ours:
            setting = connection_of_ours.exec_driver_sql("SHOW synchronous_commit").scalar()
            assert setting == "on"
    finally:
        with psycopg.connect(location, autocommit=True) as connection:
            connection.execute(f'ALTER ROLE "{USER}" RESET synchronous_commit'.encode())


def test_what_is_in_hand_when_the_server_stops_is_rescued_and_taken_in_later(
    location: str, stoppable: PostgresServer, tmp_path: Path
) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        jobs = journal.jobs(batch_id, "key")
        with working_on(journal, batch_id):
            first, second, third = jobs.pending()
            asyncio.run(jobs.begin_trigger(first))
            asyncio.run(jobs.accept(first, accepted(0), NOW))
            asyncio.run(jobs.begin_trigger(second))
            stoppable.stop()
            for step in (
                jobs.finish(first, completed(0, {"score": 3}), NOW),
                jobs.accept(second, accepted(1), NOW),
            ):
                with pytest.raises(JournalWriteError) as told:
                    asyncio.run(step)
                assert told.value.exit_code is ExitCode.PAUSED
                assert PASSWORD not in str(told.value)
                assert "batchrun resume" in told.value.hint
            with pytest.raises(JournalWriteError):  # so it is not sent
                asyncio.run(jobs.begin_trigger(third))
            [kept] = journal.rescued(batch_id)
            assert kept.is_relative_to(tmp_path)
            assert PASSWORD not in kept.read_text(encoding="utf-8")
            stoppable.start()
            # The same process goes on too: dead connections are replaced.
            assert asyncio.run(jobs.recover()) == 0
            assert outcomes(journal, batch_id) == [
                *(Outcome.COMPLETED, Outcome.PENDING, Outcome.PENDING),
            ]
            assert [job.execution_id for job in jobs.in_flight()] == ["exec_1"]
            assert asyncio.run(jobs.begin_trigger(third))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ((PASSWORD, "wrong"), "password authentication failed"),
        ((f"{USER}:", "nobody:"), 'failed for user "nobody"'),
        (("127.0.0.1:", "127.0.0.1:1"), "can't be used"),
        (("/t", "/no_such_database_"), "does not exist"),
    ],
)
def test_a_server_that_cannot_be_used_is_said_so_without_the_password(
    location: str, spoil: tuple[str, str], words: str
) -> None:
    location = location.replace(*spoil)
    with pytest.raises(JournalError) as refused:
        Journal(location)
    assert words in refused.value.what
    assert "\n" not in refused.value.what
    assert "Is the server running" in refused.value.hint
    assert spoil[1] == "wrong" or PASSWORD not in str(refused.value)


def test_a_user_who_may_make_no_tables_is_told_so(location: str) -> None:
    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute(b"DROP ROLE IF EXISTS guest")
        connection.execute(b"CREATE ROLE guest LOGIN PASSWORD 'guest'")
    with pytest.raises(JournalError, match="may not make or change its tables"):
        Journal(location.replace(f"{USER}:{PASSWORD}", "guest:guest"))


def test_a_schema_of_its_own_lies_beside_another_programs_tables(location: str) -> None:
    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE photos (name TEXT)")
        connection.execute(b"CREATE SCHEMA ours")
    with Journal(f"{location}?options=-csearch_path%3Dours") as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
    with psycopg.connect(location) as connection:
        found = connection.execute(b"SELECT id FROM ours.batches").fetchall()
    assert found == [(batch_id,)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (psycopg.errors.DiskFull(), "the server's disk is full"),
        (psycopg.errors.TooManyConnections(), "no connection left"),
        (psycopg.errors.ReadOnlySqlTransaction(), "read-only"),
        (psycopg.errors.AdminShutdown(), "being stopped"),
        (psycopg.OperationalError("the connection is lost\nmore"), "the connection is lost."),
    ],
)
def test_what_the_server_says_is_put_into_words(
    location: str, error: Exception, words: str
) -> None:
    assert words in unusable("postgresql://host/batchrun", error).what
    assert unwritable("postgresql://host/batchrun", error).exit_code is ExitCode.PAUSED


def test_without_the_extra_it_is_said_how_to_install_it(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(JournalError, match=r"\[postgres\]"):
        Journal(location)


async def _finish_all(jobs: BatchJobs, result: JSON = None) -> None:
    for job in jobs.pending():
        assert await jobs.begin_trigger(job)
        await jobs.accept(job, accepted(job.number), NOW)
        await jobs.finish(job, completed(job.number, result), NOW)


def test_a_process_that_is_suspended_in_a_transaction_does_not_hold_up_the_others(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        monkeypatch.setattr(database, "SUSPENDED_SECONDS", 0.05)
        note = update(batches).where(batches.c.id == batch_id)

        def be_suspended() -> None:
            with database.writing(journal._engine) as suspended:
                suspended.execute(note.values(note="ours"))
                with psycopg.connect(location) as other:
                    other.execute("UPDATE batches SET note = 'theirs'")

        with pytest.raises(JournalError):
            be_suspended()
        assert journal.summary(batch_id).note == "theirs"
