"""A journal of any earlier version is brought to this one with nothing lost."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text

from batchrun.errors import JournalError
from batchrun.journal import Journal, schema
from batchrun.journal.schema import _TRIGGERS, SCHEMA_VERSION, metadata
from batchrun.model import Cause, Outcome
from batchrun.settings.location import is_server, server_url
from tests.preloaded import Popen

from .batches import IDS, URL, outcomes, plan_of

SCHEMAS = Path(__file__).parent / "schemas"
"""A journal of each version as SQL: two rows of one completed job, one row being sent, one
pending, one invalid. Made with that version's own code by ``sqlite3.Connection.iterdump``."""
VERSIONS = range(1, SCHEMA_VERSION)


@pytest.fixture
def has_tables() -> bool:
    return False


def journal_of_version(version: int, location: str) -> str:
    script = (SCHEMAS / f"version_{version}.sql").read_text(encoding="utf-8")
    if "://" not in location:
        with closing(sqlite3.connect(location)) as connection:
            connection.executescript(script)
        return location
    with psycopg.connect(location, autocommit=True) as server:
        server.execute(in_postgresql(script).encode())
    return location


def in_postgresql(script: str) -> str:
    """The same in PostgreSQL's words, what is referred to first."""
    script = re.sub(r"\bX'([0-9A-F]*)'", r"'\\x\1'", script.replace(" BLOB", " BYTEA"))
    script, has_trigger = re.subn(r"CREATE TRIGGER .*?\bEND;\n", "", script, flags=re.DOTALL)
    begin, *statements, commit = script.strip().split(";\n")
    statements.sort(
        key=lambda each: (each.startswith("INSERT"), not re.search(r'\A[A-Z ]*"?batches\b', each))
    )
    statements.sort(key=lambda each: each.startswith("CREATE INDEX"))
    trigger = _TRIGGERS["postgresql"] if has_trigger else ()
    return ";\n".join([begin, *statements, *trigger, commit])


def tables_of(location: str) -> list[str]:
    engine = create_engine(server_url(location) if is_server(location) else f"sqlite:///{location}")
    try:
        return sorted(inspect(engine).get_table_names())
    finally:
        engine.dispose()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_journal_of_an_earlier_version_goes_on_with_the_tables_of_a_new_one(
    version: int, location: str
) -> None:
    journal_of_version(version, location)
    with Journal(location) as journal:
        with journal._engine.connect() as connection:
            found = inspect(connection)
            columns = {
                table: {column["name"] for column in found.get_columns(table)}
                for table in found.get_table_names()
            }
            stored = connection.exec_driver_sql(
                "SELECT value FROM meta WHERE name = 'schema_version'"
            ).scalar()
        assert stored == str(SCHEMA_VERSION)
        tables = metadata.sorted_tables
        assert columns == {table.name: set(table.columns.keys()) for table in tables}
        [summary] = journal.batches()
        jobs = journal.jobs(summary.batch_id, "key")
        with journal.hold(summary.batch_id):
            assert asyncio.run(jobs.recover()) == 1
            assert asyncio.run(jobs.retry({Outcome.IN_DOUBT})) == 1
            assert [job.number for job in jobs.pending()] == [1, 2]
        assert outcomes(journal, summary.batch_id) == [
            Outcome.COMPLETED,
            Outcome.PENDING,
            Outcome.PENDING,
            Outcome.COMPLETED,
            Outcome.INVALID,
        ]
        with journal.results(summary.batch_id) as results:
            assert next(iter(results.rows)).result == {"score": 3}
        new = journal.create(plan_of(*IDS), URL)
        assert set(outcomes(journal, new)) == {Outcome.PENDING}


@pytest.mark.parametrize(
    ("state", "message", "cause"),
    [
        ("failed", "The step timed out.", Cause.TEMPORARY),
        ("failed", "HTTP 404: gone", None),
        ("rejected", "HTTP 422: depth is odd", Cause.BAD_VALUES),
        ("rejected", "HTTP 402: no credits", Cause.NO_CREDITS),
        ("pending", "HTTP 403: missing scope", Cause.NO_ACCESS),
        ("pending", "", None),
    ],
)
def test_journals_that_have_causes_only_in_their_messages_get_them_as_data(
    location: str, state: str, message: str, cause: Cause | None
) -> None:
    journal_of_version(12, location)
    engine = create_engine(server_url(location) if is_server(location) else f"sqlite:///{location}")
    with engine.begin() as connection:
        change = text("UPDATE jobs SET state = :state, message = :message WHERE number = 2")
        connection.execute(change, {"state": state, "message": message})
    engine.dispose()
    with Journal(location) as journal:
        [summary] = journal.batches()
        with journal.results(summary.batch_id) as found:
            assert [row.cause for row in found.rows] == [None, None, cause, None, None]


def test_causes_are_filled_in_by_chunks(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server ends a transaction in which it receives no statement for a minute."""
    journal_of_version(12, location)
    engine = create_engine(server_url(location) if is_server(location) else f"sqlite:///{location}")
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET state = 'failed', message = 'timed out ' || number")
        )
        number = connection.execute(text("SELECT count(*) FROM jobs")).scalar_one()
    engine.dispose()
    monkeypatch.setattr(schema, "ROWS_AT_ONCE", 1)
    sent = []

    def note(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with Journal(location) as journal, journal._engine.connect() as connection:
            causes = connection.execute(text("SELECT cause FROM jobs")).scalars().all()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert causes == [Cause.TEMPORARY] * number
    assert len([each for each in sent if each.startswith("UPDATE jobs SET cause")]) == number > 1


def test_a_migration_that_fails_in_the_middle_leaves_the_journal_as_it_was(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_of_version(1, location)

    def abort(*_: object, **__: object) -> None:
        raise JournalError("the power failed")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "count_jobs", abort)
        with pytest.raises(JournalError, match="power"):
            Journal(location)
    assert "leases" not in tables_of(location)
    Journal(location).close()
    assert "leases" in tables_of(location)


def test_a_database_of_something_else_is_left_alone(location: str) -> None:
    engine = create_engine(server_url(location) if is_server(location) else f"sqlite:///{location}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE photos (name TEXT)")
    engine.dispose()
    with pytest.raises(JournalError, match="not a journal"):
        Journal(location)
    assert tables_of(location) == ["photos"]


def test_many_processes_may_open_a_new_journal_at_once(location: str) -> None:
    script = "import sys; from batchrun.journal import Journal; Journal(sys.argv[1]).batches()"
    command = [sys.executable, "-c", script, location]
    processes = [Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
