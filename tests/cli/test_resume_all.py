"""A scheduler's nightly line: a quota of several days, cron's environment, two lines at once."""

from __future__ import annotations

import configparser
import json
import plistlib
import re
import runpy
import shlex
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from batchrun.engine.engine import UNREACHABLE_SECONDS
from batchrun.errors import ExitCode
from batchrun.journal import Journal
from batchrun.sandbox.model import SandboxService, SandboxSettings
from batchrun.sandbox.server import SandboxClock, create_app, running_app
from tests.acceptance.sandbox_process import batchrun as run_command
from tests.acceptance.sandbox_process import clean_environment, sandbox_process, started
from tests.cli.conftest import SPEED
from tests.engine.faults import Fault, faulty_sandbox
from tests.preloaded import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.commands import CommandLine

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "unattended.md").read_text(encoding="utf-8")
RUN = ("run", "list.csv", "-w", "Account Research", "--yes")
DAY_SECONDS = 86_400


def write_list(path: Path, rows: int) -> None:
    ids = [str(uuid.uuid4()) for _ in range(rows)]
    path.write_text("\n".join(["Company ID", *ids]), encoding="utf-8")


class Calendar:
    """The sandbox's days, which pass when a test says so."""

    def __init__(self, daily: int) -> None:
        self._skipped = 0.0
        ten = 1_795_514_400.0  # in the morning, UTC: the day is long enough for what is sent
        self._clock = SandboxClock(SPEED, ten, lambda: time.monotonic() + self._skipped)
        settings = SandboxSettings(rate_per_minute=600, daily=daily, run_median_seconds=10)
        self.service = SandboxService(settings, started_at=self._clock())
        self.app = create_app(self.service, self._clock)

    def next_day(self) -> None:
        """Let a day pass."""
        self._skipped += DAY_SECONDS / SPEED

    def report(self) -> dict[str, Any]:
        """What the service has seen."""
        return self.service.report(self._clock())


@pytest.fixture
def calendar(batchrun: CommandLine) -> Iterator[Calendar]:
    """A service with 32 requests a day."""
    calendar = Calendar(daily=32)
    with running_app(calendar.app) as url:
        batchrun.connect(url, speed=SPEED)
        yield calendar


def test_resume_all_continues_a_batch_over_three_days(
    batchrun: CommandLine, calendar: Calendar
) -> None:
    write_list(batchrun.folder / "list.csv", 36)  # 72 requests and some
    codes = [batchrun(*RUN).exit_code]
    for _ in range(2):
        calendar.next_day()
        night = batchrun("resume", "--all")
        codes.append(night.exit_code)
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Batch \S+\n", night.stdout)
    assert codes == [ExitCode.PAUSED, ExitCode.PAUSED, ExitCode.COMPLETED]
    calendar.next_day()
    idle = batchrun("resume", "--all")
    said = idle.stdout.splitlines()[1].split(" in the ")[0]  # after the date
    assert (idle.exit_code, said) == (0, "Nothing left to do")
    status = json.loads(batchrun("status", "--json").stdout)
    assert status["outcomes"]["completed"] == 36
    report = calendar.report()
    assert report["triggers_accepted"] == 36
    assert report["triggered_more_than_once"] == []


@pytest.mark.skipif(sys.platform == "win32", reason="cron")
def test_the_cron_line_works_in_crons_environment(tmp_path: Path) -> None:
    """As cron runs it: /bin/sh, four variables, the user's home."""
    [line] = re.findall(r"<!-- crontab -->\n```\n(.*)\n```", PAGE)
    command = line.split(" ", 5)[5]
    assert "%" not in command  # cron makes line breaks of them
    folder = tmp_path / "batchrun"
    folder.mkdir()
    program = tmp_path / ".local" / "bin" / "batchrun"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m batchrun "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    write_list(folder / "list.csv", 5)

    def cron() -> subprocess.CompletedProcess[str]:
        variables = ["SHELL=/bin/sh", f"HOME={tmp_path}", "LOGNAME=anna", "PATH=/usr/bin:/bin"]
        return subprocess.run(
            ["env", "-i", *variables, "/bin/sh", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    with sandbox_process("--rate", "0") as sandbox:
        own = tmp_path / ".config" / "batchrun" / "batchrun.toml"
        own.parent.mkdir(parents=True)
        own.write_text(
            f'base_url = "{sandbox.base_url}"\nspeed = {sandbox.speed}\n', encoding="utf-8"
        )
        assert "There is no journal at" in cron().stdout  # mailed: somebody is needed
        env = clean_environment() | {"HOME": str(tmp_path)}
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            env.pop(name)
        login = (*COMMAND, "login", "--in-file", "--base-url", sandbox.base_url)
        with started(*login, stdin=subprocess.PIPE, cwd=folder, env=env) as process:
            process.communicate("sandbox\n")
        assert process.returncode == 0
        assert run_command(*RUN, "--limit", "2", env=env, cwd=folder).returncode == 4
        assert "nobody has confirmed the rest (3 jobs)" in cron().stdout  # mailed
        run_command(*RUN, "--daily", "5", env=env, cwd=folder)
        nights = [cron() for _ in range(2)]
        assert [(each.returncode, each.stdout, each.stderr) for each in nights] == [(0, "", "")] * 2
        assert sandbox.report()["triggers_accepted"] == 5
    log = (folder / "nightly.log").read_text(encoding="utf-8")
    assert "5 completed" in log
    assert "Nothing left to do in the journal" in log
    assert (folder / "list.results.xlsx").exists()


def test_resume_all_skips_finished_batches(batchrun: CommandLine, sandbox: str) -> None:
    """Somebody may have written into the workbook."""
    write_list(batchrun.folder / "list.csv", 2)
    assert batchrun(*RUN).exit_code == ExitCode.COMPLETED
    workbook = batchrun.folder / "list.results.xlsx"
    workbook.write_bytes(b"notes")
    assert batchrun("resume", "--all").exit_code == ExitCode.COMPLETED
    assert workbook.read_bytes() == b"notes"


def test_resume_all_collects_what_was_sent_of_a_batch_that_nobody_has_confirmed(
    batchrun: CommandLine, sandbox: str
) -> None:
    write_list(batchrun.folder / "list.csv", 5)
    batchrun(*RUN, "--limit", "2")
    with closing(sqlite3.connect(batchrun.folder.parent / "journal" / "journal.db")) as journal:
        journal.execute(
            "UPDATE jobs SET state = 'in flight', result = NULL WHERE execution_id > ''"
        )
        journal.commit()  # as if it had been killed while it waited for the results
    ended = batchrun("resume", "--all")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "nobody has confirmed the rest (3 jobs)" in ended.stdout
    [found] = json.loads(batchrun("batches", "--json").stdout)
    assert (found["outcomes"]["completed"], found["outcomes"]["pending"]) == (2, 3)


def test_resume_all_skips_a_batch_of_another_process(
    batchrun: CommandLine, sandbox: str, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        write_list(batchrun.folder / "list.csv", 3)
        assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED, name
    batchrun.change_batches("unconfirmed = 0")
    with Journal(str(tmp_path / "journal" / "journal.db")) as journal:
        first, second = journal.unfinished()
        with journal.hold(first.batch_id):
            ended = batchrun("resume", "--all")
        assert ended.exit_code == ExitCode.PAUSED
        assert f"Left out: Another batchrun is working on batch {first.batch_id}" in ended.stderr
        assert [one.batch_id for one in journal.unfinished()] == [first.batch_id]
        assert not journal.summary(second.batch_id).unfinished
    assert batchrun("resume", "--all").exit_code == ExitCode.COMPLETED


def test_resume_all_goes_on_past_a_batch_whose_poll_never_reads(
    batchrun: CommandLine,
) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_PATIENCE_SECONDS", str(UNREACHABLE_SECONDS + 60))
    companies = [str(uuid.uuid4()) for _ in range(4)]
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        sandbox.fail_polls_of(companies[1], Fault(500, "<html>Error</html>"))
        for at in (0, 2):
            text = "\n".join(["Company ID", *companies[at : at + 2]])
            (batchrun.folder / "list.csv").write_text(text, encoding="utf-8")
            assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
        batchrun.change_batches("unconfirmed = 0")
        ended = batchrun("resume", "--all")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "Not resumed" not in ended.stderr
    found = json.loads(batchrun("batches", "--json").stdout)
    assert [each["outcomes"]["completed"] for each in found] == [2, 1]  # the newest first
    first = found[1]["outcomes"]
    assert first["timed out"] + first["failed"] == 1


def test_options_for_one_batch_are_refused_with_all(batchrun: CommandLine, sandbox: str) -> None:
    write_list(batchrun.folder / "list.csv", 2)
    batchrun(*RUN)
    ended = batchrun("resume", "--all", "-o", "out.xlsx", "--limit", "3")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "--output, --limit" in ended.stderr


def test_resume_all_without_a_journal_is_an_error(batchrun: CommandLine, sandbox: str) -> None:
    """A scheduler's environment may name another journal than the user's: it must be noticed."""
    ended = batchrun("resume", "--all")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "There is no journal at" in ended.stderr


def test_the_files_for_other_schedulers_are_well_formed_and_equivalent() -> None:
    [unit] = re.findall(r"<!-- systemd batchrun.service -->\n```ini\n(.*?)```", PAGE, re.DOTALL)
    [timer] = re.findall(r"<!-- systemd batchrun.timer -->\n```ini\n(.*?)```", PAGE, re.DOTALL)
    [plist] = re.findall(r"<!-- launchd -->\n```xml\n(.*?)```", PAGE, re.DOTALL)
    [task] = re.findall(r"<!-- task -->\n```xml\n(.*?)```", PAGE, re.DOTALL)
    systemd = configparser.ConfigParser(interpolation=None, strict=False)  # two [Unit]s
    systemd.read_string(unit)
    systemd.read_string(timer)
    assert systemd["Timer"]["Persistent"] == "true"
    agent = plistlib.loads(plist.encode())
    found = ElementTree.fromstring(task)
    arguments = found.findtext(".//{*}Arguments")
    assert arguments is not None
    windows = re.search(r'"(.*?) >>', arguments)
    assert windows is not None
    lines = [
        shlex.split(systemd["Service"]["ExecStart"]),
        agent["ProgramArguments"],
        windows[1].split(),
    ]
    known = runpy.run_path(str(DOCS / "make_reference.py"))["commands"]()
    for program, name, *options in lines:
        assert re.search(r"batchrun(\.exe)?$", program)
        assert name == "resume"
        known[name].make_context(name, list(options))
        assert options == ["--all"]
