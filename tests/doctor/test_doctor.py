"""`batchrun doctor`: what it finds, how it ends, and what it never shows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import stat
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from batchrun.doctor import examine_proxies, examine_terminal
from batchrun.errors import ExitCode
from batchrun.journal import Journal
from batchrun.journal.schema import SCHEMA_VERSION
from batchrun.login import log_in
from batchrun.sandbox.model import SandboxSettings, Scope
from batchrun.sandbox.server import running
from batchrun.settings.files import user_file
from batchrun.settings.profiles import stored_profiles
from tests.docs.pages import ROOT
from tests.postgres import PASSWORD
from tests.service.misbehaving import ScriptedServer, answering, untrusted_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.commands import CommandLine
    from tests.postgres import PostgresServer

KEY = "sk-5up3r-s3cr3t-k3y-0123456789"
LISTED = [{"id": "wf_1", "name": "One", "status": "active"}]


@pytest.fixture
def service(batchrun: CommandLine) -> Iterator[str]:
    with running(SandboxSettings(keys={KEY: frozenset(Scope)}), speed=1) as url:
        batchrun.connect(url, KEY, speed=1)
        yield url


def doctor(batchrun: CommandLine, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """How it ends, and its findings by name."""
    ended = batchrun("doctor", "--json", *arguments)
    document = json.loads(ended.stdout)
    assert document["exit_code"] == ended.exit_code
    assert KEY not in ended.stdout + ended.stderr
    return ended.exit_code, {one["name"]: one for one in document["findings"]}


def test_where_all_is_well_it_says_so_and_spends_one_request(
    batchrun: CommandLine, service: str
) -> None:
    code, found = doctor(batchrun)
    assert code == ExitCode.COMPLETED
    assert {one["verdict"] for one in found.values()} == {"ok"}
    assert "…6789 (PGAI_API_KEY)" in found["Key"]["text"]
    assert "can list workflows (workflows:read): 4 workflows" in found["Scopes"]["text"]
    assert "only a run shows whether it may run them" in found["Scopes"]["text"]
    assert "59 of 60" in found["Quota"]["text"]
    assert "none yet" in found["Journal"]["text"]
    assert not journal_path().exists()  # none is made by looking
    report = httpx.get(service.removesuffix("/v1") + "/sandbox/report", trust_env=False).json()
    assert report["triggers_accepted"] == 0


def test_for_people_each_line_begins_with_how_it_is(batchrun: CommandLine, service: str) -> None:
    shown = batchrun("doctor").stdout
    lines = shown.split("\n\n")[0].splitlines()
    assert all(line.startswith(("ok ", "warning ", "fault ", "    ")) for line in lines)
    assert "Faults: 0" in shown


def test_without_a_key_it_says_how_to_get_one_and_checks_the_network(
    batchrun: CommandLine, service: str
) -> None:
    batchrun.monkeypatch.delenv("PGAI_API_KEY")
    code, found = doctor(batchrun)
    assert found["Network"]["verdict"] == "ok"
    assert "Service" not in found  # nothing was sent
    assert code == ExitCode.UNUSABLE
    assert found["Key"]["verdict"] == "fault"
    assert "batchrun login" in found["Key"]["advice"]
    assert found["Journal"]["verdict"] == "ok"  # it looks at the rest all the same


def test_without_a_key_an_unreachable_service_does_not_look_like_a_pause(
    batchrun: CommandLine,
) -> None:
    batchrun.connect("http://127.0.0.1:1/v1", "", speed=1)
    batchrun.monkeypatch.delenv("PGAI_API_KEY")
    code, found = doctor(batchrun)
    assert found["Network"]["verdict"] == found["Key"]["verdict"] == "fault"
    assert code == ExitCode.UNUSABLE


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({KEY: frozenset({Scope.EXECUTE})}, "can't list workflows"),
        ({}, "does not know the key"),
    ],
    ids=["403", "401"],
)
def test_a_refused_key_ends_as_refused(
    batchrun: CommandLine, keys: dict[str, frozenset[Scope]], words: str
) -> None:
    with running(SandboxSettings(keys=keys), speed=1) as url:
        batchrun.connect(url, KEY, speed=1)
        code, found = doctor(batchrun)
    assert code == ExitCode.KEY_REFUSED
    assert words in found["Scopes"]["text"]
    assert found["Service"]["verdict"] == "ok"


def test_a_service_out_of_reach_is_told_from_the_key(batchrun: CommandLine) -> None:
    batchrun.connect("http://127.0.0.1:9/v1", KEY, speed=1)
    code, found = doctor(batchrun)
    assert code == ExitCode.PAUSED
    assert "connection was refused" in found["Network"]["text"]
    assert "Scopes" not in found


def test_doctor_advises_about_a_service_out_of_reach_as_the_other_commands_do(
    batchrun: CommandLine,
) -> None:
    for url in (
        "http://127.0.0.1:9/v1",
        "http://localhost:9/v1",
        "https://no-such-host.invalid/v1",
    ):
        batchrun.connect(url, KEY, speed=1)
        _, found = doctor(batchrun)
        assert found["Network"]["advice"] in batchrun("workflows").stderr
        if "no-such" not in url:
            assert "This is the practice sandbox." in found["Network"]["advice"]


def test_a_name_that_is_not_found_is_told(batchrun: CommandLine) -> None:
    batchrun.connect("https://no-such-host.invalid/v1", KEY, speed=1)
    code, found = doctor(batchrun)
    assert code == ExitCode.PAUSED
    assert "can't be found" in found["Network"]["text"]


def test_a_certificate_that_is_not_trusted_is_told(batchrun: CommandLine) -> None:
    with untrusted_server() as (url, seen):
        batchrun.connect(url, KEY, speed=1)
        code, found = doctor(batchrun)
    assert code == ExitCode.PAUSED
    assert "not trusted" in found["Network"]["text"]
    assert seen == []


@pytest.mark.parametrize(("hours", "verdict"), [(2, "warning"), (-2, "warning"), (0, "ok")])
def test_a_clock_that_is_off_is_a_warning(batchrun: CommandLine, hours: int, verdict: str) -> None:
    dated = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    with ScriptedServer(answering("200 OK", LISTED, [("Date", dated)])) as server:
        batchrun.connect(server.url, KEY, speed=1)
        code, found = doctor(batchrun)
    assert code == ExitCode.COMPLETED  # a warning is no fault
    assert found["Clock"]["verdict"] == verdict
    if hours:
        assert ("behind" if hours > 0 else "ahead") in found["Clock"]["text"]


def test_what_is_not_the_service_is_a_fault(batchrun: CommandLine) -> None:
    with ScriptedServer(answering("200 OK", b"<html>Log in to the hotel")) as server:
        batchrun.connect(server.url, KEY, speed=1)
        code, found = doctor(batchrun)
    assert code == ExitCode.PAUSED
    assert found["Service"]["verdict"] == "fault"


def test_a_stored_key_for_another_address_is_a_fault(batchrun: CommandLine, service: str) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_PROFILE", "nix")
    code, found = doctor(batchrun)
    assert code == ExitCode.UNUSABLE
    assert "no profile nix" in found["Key"]["text"]


def test_a_setting_that_can_not_be_used_is_a_finding(batchrun: CommandLine, service: str) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_DAILY", "many")
    code, found = doctor(batchrun)
    assert code == ExitCode.UNUSABLE
    assert "BATCHRUN_DAILY" in found["Settings"]["text"]


def test_a_file_that_can_not_be_used_is_a_finding(batchrun: CommandLine, service: str) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text("worklfow = 1", encoding="utf-8")
    _, found = doctor(batchrun)
    assert "worklfow" in found["Settings"]["text"]


# the journal


def journal_path() -> Path:
    return Path(os.environ["BATCHRUN_JOURNAL"])


def test_a_journal_is_told_with_its_version_and_left_as_it_is(
    batchrun: CommandLine, service: str
) -> None:
    Journal(str(journal_path())).close()
    before = journal_path().stat().st_mtime_ns
    _, found = doctor(batchrun)
    assert f"the record of 0 batches, schema {SCHEMA_VERSION}, whole" in found["Journal"]["text"]
    assert "GB free" in found["Journal"]["text"]
    assert journal_path().stat().st_mtime_ns == before


def test_a_journal_that_other_users_can_replace_is_a_warning(
    batchrun: CommandLine, service: str
) -> None:
    Journal(str(journal_path())).close()
    journal_path().parent.chmod(0o777)
    code, found = doctor(batchrun)
    assert code == ExitCode.COMPLETED
    assert found["Journal"]["verdict"] == "warning"
    assert "can replace files" in found["Journal"]["text"]


def test_a_journal_of_a_newer_batchrun_is_a_fault(batchrun: CommandLine, service: str) -> None:
    Journal(str(journal_path())).close()
    with closing(sqlite3.connect(journal_path())) as database:
        database.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
        database.commit()
    code, found = doctor(batchrun)
    assert code == ExitCode.UNUSABLE
    assert "newer batchrun" in found["Journal"]["text"]


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_journal_is_a_fault(batchrun: CommandLine, service: str, content: bytes) -> None:
    journal_path().parent.mkdir(parents=True)
    journal_path().write_bytes(content)
    code, found = doctor(batchrun)
    assert code == ExitCode.UNUSABLE
    assert "damaged" in found["Journal"]["text"]
    assert found["Service"]["verdict"] == "ok"


def test_pages_that_are_overwritten_are_noticed(batchrun: CommandLine, service: str) -> None:
    Journal(str(journal_path())).close()
    content = bytearray(journal_path().read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xaa" * 4096
    journal_path().write_bytes(content)
    _, found = doctor(batchrun)
    assert "damaged" in found["Journal"]["text"]


def test_another_database_is_no_journal(batchrun: CommandLine, service: str) -> None:
    journal_path().parent.mkdir(parents=True)
    with closing(sqlite3.connect(journal_path())) as database:
        database.execute("CREATE TABLE holidays (day TEXT)")
    _, found = doctor(batchrun)
    assert "not a journal" in found["Journal"]["text"]


def test_a_database_server_is_told_without_its_password(
    batchrun: CommandLine, service: str
) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_JOURNAL", "postgresql://me:hunter2@127.0.0.1:9/x")
    ended = batchrun("doctor")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "hunter2" not in ended.stdout


def on_server(batchrun: CommandLine, postgres: PostgresServer) -> str:
    """An empty database that the command is told to keep its journal in."""
    url = postgres.new_database()
    batchrun.monkeypatch.setenv("BATCHRUN_JOURNAL", url)
    return url


def tables_of(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return [name for (name,) in connection.execute(query)]


def test_looking_makes_no_tables_on_a_server(
    batchrun: CommandLine, service: str, postgres: PostgresServer
) -> None:
    url = on_server(batchrun, postgres)
    code, found = doctor(batchrun)
    assert code == ExitCode.COMPLETED
    assert "none yet" in found["Journal"]["text"]
    assert PASSWORD not in found["Journal"]["text"]
    assert tables_of(url) == []


def test_looking_migrates_no_tables_on_a_server(
    batchrun: CommandLine, service: str, postgres: PostgresServer
) -> None:
    url = on_server(batchrun, postgres)
    Journal(url).close()
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE batches DROP COLUMN form")
        connection.execute("UPDATE meta SET value = '4' WHERE name = 'schema_version'")
    _, found = doctor(batchrun)
    assert found["Journal"]["verdict"] == "ok"
    assert "the record of 0 batches, schema 4" in found["Journal"]["text"]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT value FROM meta").fetchone() == ("4",)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("CREATE TABLE photos (name TEXT)", "not a journal"),
        ("CREATE TABLE meta (name TEXT); CREATE TABLE batches (id TEXT)", "is damaged|can't be"),
        ("DROP SCHEMA public", "can't create tables"),
    ],
)
def test_a_database_that_is_no_journal_is_a_fault(
    batchrun: CommandLine, service: str, postgres: PostgresServer, spoil: str, words: str
) -> None:
    url = on_server(batchrun, postgres)
    with psycopg.connect(url) as connection:
        connection.execute(spoil.encode())
    code, found = doctor(batchrun)
    assert code == ExitCode.UNUSABLE
    assert re.search(words, found["Journal"]["text"])
    assert "Traceback" not in found["Journal"]["text"]


# this machine


def test_each_extra_is_told(batchrun: CommandLine, service: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    _, found = doctor(batchrun)
    for extra in project["optional-dependencies"].keys() - {"test", "dev"}:
        assert extra in found["Extras"]["text"]


def test_a_file_with_keys_that_others_can_read_is_a_fault(
    batchrun: CommandLine, service: str
) -> None:
    asyncio.run(log_in(KEY, service, "default"))
    stored_profiles().path.chmod(0o644)
    code, found = doctor(batchrun)
    assert code == ExitCode.UNUSABLE
    assert "chmod 600" in found["Files"]["advice"]
    assert (
        stat.S_IMODE(stored_profiles().path.stat().st_mode) == 0o644
    )  # it looks, it mends nothing


def test_a_proxys_password_is_not_shown() -> None:
    said = {"https_proxy": "http://me:hunter2@proxy:8080", "ALL_PROXY": "me:hunter2@proxy:1"}
    text = examine_proxies(said).text
    assert "hunter2" not in text
    assert "https_proxy=http://***@proxy:8080" in text


def test_a_certificate_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    found = examine_proxies({"SSL_CERT_FILE": str(tmp_path / "gone.pem")})
    assert found.verdict == "fault"
    assert "SSL_CERT_FILE" in found.advice


@pytest.mark.parametrize(
    ("encoding", "columns", "verdict"),
    [
        ("utf-8", 100, "ok"),
        ("cp1252", 100, "warning"),
        ("utf-8", 30, "warning"),
        ("UTF-8", None, "ok"),
    ],
)
def test_a_terminal_is_told_as_it_is(encoding: str, columns: int | None, verdict: str) -> None:
    assert examine_terminal(encoding, columns, answers=True).verdict == verdict
