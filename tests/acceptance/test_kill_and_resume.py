"""The whole way with real processes: killed in the middle, resumed, nothing lost or doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from batchrun.sandbox import SandboxSettings, running
from tests.acceptance.barrier import FEW_AT_ONCE, SPEED, sandbox_with_barrier
from tests.acceptance.sandbox_process import SandboxProcess, batchrun, started, status_of
from tests.acceptance.verdict import assert_nothing_lost_or_doubled, write_list
from tests.preloaded import COMMAND

SAMPLE = Path(__file__).parents[2] / "sample_data" / "hubspot_contacts.xlsx"
WORKFLOW = "Contact Research"


def cells(path: Path, columns: int, name: str | None = None) -> list[tuple[Any, ...]]:
    """The first columns of a sheet, of the first one by default: value and type of each cell."""
    workbook = openpyxl.load_workbook(path)
    sheet = workbook[name] if name else workbook.worksheets[0]
    return [
        tuple((cell.value, type(cell.value)) for cell in row[:columns]) for row in sheet.iter_rows()
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_run_is_resumed_without_a_second_trigger(tmp_path: Path) -> None:
    accounts = Path(shutil.copy(SAMPLE, tmp_path / "contacts.xlsx"))
    with sandbox_with_barrier() as (sandbox, barrier):
        barrier.hold_after(10)
        env = sandbox.environment(tmp_path)
        arguments = ["run", str(accounts), "-w", WORKFLOW, "--yes"]
        with started(
            *COMMAND,
            *arguments,
            env=env | FEW_AT_ONCE,
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        ) as process:
            sandbox.wait_for_triggers(10, process)
            process.kill()
        barrier.lift()
        assert process.returncode == -signal.SIGKILL
        killed = status_of(env, tmp_path)
        assert killed["unfinished"]

        resumed = batchrun("resume", env=env, cwd=tmp_path)
        report = sandbox.report()

    assert resumed.stderr == "" or "Error" not in resumed.stderr
    finished = status_of(env, tmp_path)
    doubt = finished["outcomes"]["in doubt"]
    assert report["triggered_more_than_once"] == []
    assert finished["outcomes"]["pending"] == 0
    assert finished["rows"] == sum(finished["outcomes"].values())
    assert resumed.returncode == (3 if doubt or finished["outcomes"]["invalid"] else 0)

    output = tmp_path / "contacts.results.xlsx"
    width = len(cells(accounts, 100)[0])
    assert cells(output, width, "Results") == cells(accounts, width)


@pytest.mark.skipif(os.name != "posix", reason="Windows protects mapped files")
def test_truncated_shared_memory_of_the_journal_costs_no_row(tmp_path: Path) -> None:
    """SQLite maps the file ending in -shm: the system may kill the process, as kill -9 would."""
    write_list(tmp_path / "accounts.csv", 60)
    with sandbox_with_barrier() as (sandbox, barrier):
        barrier.hold_after(20)
        env = sandbox.environment(tmp_path) | FEW_AT_ONCE
        run = [*COMMAND, "run", "accounts.csv", "-w", "Account Research", "--yes"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with started(*run, env=env, cwd=tmp_path, **quiet) as process:
            sandbox.wait_for_triggers(20, process)
            os.truncate(tmp_path / "journal.db-shm", 0)
            barrier.lift()
            process.wait()
        resumed = batchrun("resume", env=env, cwd=tmp_path)
        assert "Traceback" not in resumed.stderr
        assert_nothing_lost_or_doubled(sandbox, env, tmp_path, rows=60)


def test_each_row_gets_its_own_result(tmp_path: Path) -> None:
    accounts = Path(shutil.copy(SAMPLE, tmp_path / "contacts.xlsx"))
    with running(SandboxSettings(rate_per_minute=None), SPEED) as url:
        env = SandboxProcess(url, SPEED).environment(tmp_path)
        ran = batchrun("run", str(accounts), "-w", WORKFLOW, "--yes", env=env, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
    sheet = openpyxl.load_workbook(tmp_path / "contacts.results.xlsx")["Results"]
    header = [cell.value for cell in sheet[1]]
    sent, told = header.index("Contact ID"), header.index("Contact ID (2)")
    for row in sheet.iter_rows(min_row=2, values_only=True):
        assert str(row[told]) == str(row[sent]).lower()
