"""A command loads what it needs: for whatever else it loads, everybody waits each time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from batchrun.settings.loading import load_settings
from tests.cli.conftest import ACME

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.settings.files import Configuration
    from batchrun.settings.model import Settings
    from tests.cli.commands import CommandLine

PROGRAM = """
import atexit, sys
from batchrun.cli import main

atexit.register(lambda: print(*sys.modules, file=sys.stderr))
main()
"""
TO_WRITE = {"openpyxl", "batchrun.workbook.excel", "pyarrow"}
TO_READ_LONG_LISTS = {"pandas"}
TO_USE_A_SERVER = {"sqlalchemy.dialects.postgresql", "psycopg"}
TO_TALK_LONG = {"aiohttp"}


@pytest.fixture
def thousand_rows(batchrun: CommandLine) -> Path:
    """A list as a CRM exports it, with much beside the ids."""
    path = batchrun.folder / "accounts.csv"
    rows = [f"{ACME},Company {number},{'a note ' * 30},{number}" for number in range(1_000)]
    path.write_text("\n".join(["Company ID,Name,Note,Seats", *rows]) + "\n", encoding="utf-8")
    return path


def loaded(exit_code: ExitCode, *arguments: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == exit_code, ended.stderr
    return set(ended.stderr.splitlines()[-1].split())


def test_help_loads_little() -> None:
    heavy = {"pandas", "numpy", "openpyxl", "httpx", "sqlalchemy", "pydantic"}
    assert heavy & loaded(ExitCode.COMPLETED, "--help") == set()


def test_a_question_loads_no_journal() -> None:
    script = (
        "import sys; from batchrun.cli.signals import interruptible\n"
        "with interruptible(): print(*sys.modules)"
    )
    modules = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    assert {"numpy", "sqlalchemy", "httpx"} & {*modules} == set()


def test_check_loads_nothing_but_what_a_plan_takes(
    batchrun: CommandLine, sandbox: str, thousand_rows: Path
) -> None:
    modules = loaded(ExitCode.COMPLETED, "check", "accounts.csv", "-w", "account research")
    assert "batchrun.plan" in modules
    unneeded = TO_WRITE | TO_READ_LONG_LISTS | TO_USE_A_SERVER | TO_TALK_LONG
    assert modules & unneeded == set()


def test_run_asks_before_it_loads_what_writes_a_workbook(
    batchrun: CommandLine, sandbox: str, thousand_rows: Path
) -> None:
    modules = loaded(ExitCode.UNUSABLE, "run", "accounts.csv", "-w", "account research")
    assert "batchrun.plan" in modules
    assert modules & (TO_WRITE | TO_READ_LONG_LISTS | TO_USE_A_SERVER) == set()


def test_a_run_reads_its_settings_once(batchrun: CommandLine, sandbox: str, accounts: Path) -> None:
    found: list[Settings] = []

    def counted(configuration: Configuration | None = None, **given: object) -> Settings:
        found.append(load_settings(configuration, **given))
        return found[-1]

    batchrun.monkeypatch.setattr("batchrun.settings.loading.load_settings", counted)
    ended = batchrun("run", "accounts.csv", "-w", "account research", "--yes")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert len(found) == 1


def test_reading_the_journal_loads_no_http_client(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun("run", "accounts.csv", "-w", "account research", "--yes", "--limit", "1")
    modules = loaded(ExitCode.COMPLETED, "batches")
    assert "batchrun.journal" in modules
    unneeded = TO_WRITE | TO_READ_LONG_LISTS | TO_USE_A_SERVER | {"httpx", "aiohttp"}
    assert modules & unneeded == set()
