"""A journal from a stranger: no statement of its own runs, and nothing in it fills the memory."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine

from batchrun.errors import ExitCode, UsageError
from batchrun.journal import schema
from batchrun.settings.model import Settings
from batchrun.web.lists import Lists
from batchrun.web.server import serve
from tests.cli.conftest import accounts, batchrun, beginning, beginnings, place, sandbox
from tests.cli.test_bad_input import assert_refused, triggers_accepted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

__all__ = ["accounts", "batchrun", "beginning", "beginnings", "place", "sandbox"]

RUN = ("run", "accounts.csv", "-w", "account research", "--yes")
STATEMENTS = {
    "a trigger that sends completed jobs again": (
        """CREATE TRIGGER again AFTER UPDATE OF state ON jobs WHEN NEW.state = 'completed'
        BEGIN UPDATE jobs SET state = 'pending' WHERE number = NEW.number; END""",
    ),
    "a trigger that erases results": (
        "CREATE TRIGGER erase AFTER INSERT ON spending BEGIN DELETE FROM jobs; END",
    ),
    "batchrun's own trigger with another body": (
        "DROP TRIGGER jobs_counted",
        """CREATE TRIGGER jobs_counted AFTER UPDATE OF state ON jobs
        BEGIN UPDATE jobs SET state = 'pending'; END""",
    ),
    "a view in place of a table": (
        "ALTER TABLE turns RENAME TO others",
        "CREATE VIEW turns AS SELECT * FROM others",
    ),
    "a virtual table": (
        "DROP TABLE turns",
        "CREATE VIRTUAL TABLE turns USING fts5(key_hash, next_at)",
    ),
}


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "journal" / "journal.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize("kind", STATEMENTS)
def test_a_journal_with_statements_of_its_own_is_refused(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path, kind: str
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    change(tmp_path, *STATEMENTS[kind])
    for command in (("resume",), ("resume", "--all"), ("status",), ("batches",), RUN):
        assert_refused(batchrun(*command), ExitCode.UNUSABLE, "that batchrun did not write")
    assert triggers_accepted(sandbox) == 1


@pytest.mark.parametrize("missing", ["TABLE rows DROP COLUMN reason", "TABLE slices RENAME TO x"])
def test_a_journal_without_a_table_or_column_is_one_plain_error(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path, missing: str
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    change(tmp_path, f"ALTER {missing}")
    ended = batchrun(*RUN, "--again")
    assert ended.exit_code in {ExitCode.UNUSABLE, ExitCode.PAUSED}
    assert "damaged" in ended.stderr
    assert triggers_accepted(sandbox) == 1


def test_a_table_that_batchrun_does_not_know_does_no_harm(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    change(tmp_path, "CREATE TABLE notes (text)", "CREATE INDEX noted ON notes (text)")
    assert batchrun("resume").exit_code == ExitCode.INCOMPLETE


VALUES: dict[str, tuple[object, ...]] = {
    "batches.created_at": (-1e300, 1e300, "soon", b"x"),
    "batches.workflow": (
        "[" * 5_000,
        "{}",
        "null",
        "no JSON",
        b"x",
        '{"id": [], "name": 1, "x": 2}',
        '{"id": "wf", "name": 1}',
        '{"id": 1, "name": ["x"]}',
    ),
    "batches.source": (
        "[]",
        '{"name": 1}',
        "no JSON",
        '{"name": 1, "notices": 2, "x": 3}',
        '{"name": 1, "notices": []}',
        '{"name": "x", "notices": [], "path": 5}',
        '{"name": "x", "notices": [7], "sheet": [], "links": {}}',
    ),
    "batches.header": ('{"a": 1}', "no JSON", "[1, {}]", "[]"),
    "batches.roles": (
        "[]",
        "no JSON",
        '{"owner_id": 0}',
        '{"company_id": 99}',
        '{"company_id": []}',
    ),
    "batches.form": ("[]", "no JSON", '{"x": 1}', '{"rename": 5}', '{"audience": "x"}', b"x"),
    "batches.parameters": ("[]", "[[]]", '"ab"', "no JSON"),
    "batches.parameter_columns": ("[]", '{"a": 1}', '{"a": []}', "no JSON"),
    "batches.requests": ("many", -1, b"x"),
    "batches.invalid": ("many", b"x"),
    "batches.estimated_seconds": ("many", b"x"),
    "batches.worked_seconds": ("many", b"x"),
    **dict.fromkeys(
        ("batches.output", "batches.target", "batches.note", "batches.base_url", "batches.profile"),
        (b"x",),
    ),
    "counts.state": ("bogus",),
    "counts.rows": ("many", b"x"),
    "jobs.cause": ("bogus", b"x"),
    "jobs.body": ("[]", "no JSON", b"x"),
    "rows.cells": (b"no JSON", "text"),
    "meta.value": ("many", b"x", "9" * 5_000, "²"),
}


def test_a_value_that_batchrun_did_not_write_is_one_plain_error(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    journal, as_run = tmp_path / "journal", tmp_path / "as-run"
    shutil.copytree(journal, as_run)
    faults = []
    for column, values in VALUES.items():
        table, _, name = column.partition(".")
        where = "WHERE name = 'schema_version'" if table == "meta" else ""
        change = f"UPDATE OR IGNORE {table} SET {name} = ? {where}"
        shutil.rmtree(journal)
        shutil.copytree(as_run, journal)
        with closing(sqlite3.connect(journal / "journal.db", isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys = OFF")
            [(before,)] = database.execute(f"SELECT {name} FROM {table} {where} LIMIT 1")
            for value in values:
                database.execute(change, [value])
                for command in (("status",), ("batches",), ("resume",), ("export", "-o", "x.csv")):
                    ended = batchrun(*command)
                    if ended.exit_code == ExitCode.UNEXPECTED or "Traceback" in ended.stderr:
                        faults.append((column, value, command, ended.stderr))
                if table != "counts":
                    database.execute(change, [before])
    assert faults == []
    assert triggers_accepted(sandbox) <= 1 + len(VALUES)


def test_a_journal_that_batchrun_wrote_holds_nothing_foreign(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    batchrun(*RUN, "--limit", "1")
    batchrun("resume")
    batchrun("retry", "--outcome", "rejected", "--yes")
    engine = create_engine(f"sqlite:///{tmp_path / 'journal' / 'journal.db'}")
    with engine.connect() as connection:
        assert schema.foreign_column(connection) == ""


def test_a_few_bytes_of_a_result_do_not_become_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MAX_RESULT_BYTES", 10_000)
    assert schema.decode_result(zlib.compress(b'"' + b"x" * 9_000 + b'"')) == "x" * 9_000
    for stored in (zlib.compress(b"x" * 10_000_000), b"no zlib", b""):
        assert "not read" in str(schema.decode_result(stored))


def test_a_price_beside_a_journal_is_a_number_or_unknown(tmp_path: Path) -> None:
    lists = Lists(tmp_path / "journal.lists")
    lists.folder.mkdir()
    large = f'{{"a": 1{"0" * 400}}}'  # no float is as large
    for price in ('{"a": "x"}', '{"a": NaN}', '{"a": Infinity}', '{"a": -1}', large, "[1]", "3"):
        text = f'{{"wf": {price}, "\\ud800": {{}}}}'  # half a character, which is not UTF-8
        (lists.folder / "prices.json").write_text(text, encoding="utf-8")
        assert lists.price("wf") is None
    lists.remember_price("wf", {"a": 2.5})
    assert lists.price("wf") == {"a": 2.5}


@pytest.mark.skipif(sys.platform == "win32", reason="there are none there")
def test_a_pipe_beside_a_journal_is_not_waited_for(tmp_path: Path) -> None:
    lists = Lists(tmp_path / "journal.lists")
    lists.folder.mkdir()
    os.mkfifo(lists.folder / "prices.json")
    assert lists.price("wf") is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_nothing_is_written_or_deleted_where_a_link_beside_a_journal_leads(tmp_path: Path) -> None:
    precious = tmp_path / "elsewhere" / "0123456789ab"
    precious.mkdir(parents=True)
    (tmp_path / "journal.lists").symlink_to("elsewhere")
    Lists(tmp_path / "journal.lists").remember_price("wf", {"a": 2.5})
    settings = Settings(api_key=SecretStr("key"), journal=str(tmp_path / "journal.db"))
    with pytest.raises(UsageError, match="is a link"):
        serve(settings, lambda: settings, sandbox_journal="", open_browser=False, say=pytest.fail)
    assert [*(tmp_path / "elsewhere").iterdir()] == [precious]
