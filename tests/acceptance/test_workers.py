"""Several workers on one batch, with real processes: killed, suspended, stopped, refused.

A machine is a home of its own here: file locks and rescue files lie in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest

from batchrun.sandbox import SandboxSettings, running
from tests.acceptance.barrier import FEW_AT_ONCE, sandbox_with_barrier
from tests.acceptance.sandbox_process import SandboxProcess, batchrun, started
from tests.acceptance.test_server_journal import fall_asleep
from tests.acceptance.verdict import assert_nothing_lost_or_doubled, write_list
from tests.preloaded import COMMAND
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections import Counter
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.postgres import PostgresServer

ROWS = 60
RUN = ("run", "list.csv", "-w", "Account Research", "--yes")
WORK = ("work", "--until-done")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL or SIGSTOP")


class Machine:
    """A machine with a home and a list, and the journal that all share."""

    def __init__(self, folder: Path, sandbox: SandboxProcess, journal: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.list = write_list(folder / "list.csv", ROWS)
        self.env = sandbox.environment(folder) | {
            "BATCHRUN_JOURNAL": journal,
            "BATCHRUN_DRAIN_SECONDS": "1000",
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return batchrun(*arguments, env=self.env, cwd=self.folder)

    def start(self, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a command that has few triggers in flight, and leave it running."""
        return started(
            *(*COMMAND, *arguments),
            env=self.env | FEW_AT_ONCE,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def verdict(self, sandbox: SandboxProcess) -> Counter[str]:
        """Nothing is lost or doubled; the rows by outcome."""
        return assert_nothing_lost_or_doubled(sandbox, self.env, self.folder, ROWS)


def wait_for_workers(journal: str, number: int) -> None:
    """Return once this many workers have a slice."""
    query = "SELECT count(DISTINCT holder) FROM slices"
    with psycopg.connect(journal, autocommit=True) as watching:
        wait_until(lambda: watching.execute(query).fetchone() == (number,))


def wait_for_heartbeats(journal: str) -> None:
    """Return once every worker has sent two heartbeats: it has read what is new."""
    beats = "SELECT coalesce(min(beat_at), %s) FROM slices WHERE holder IS NOT NULL"
    with psycopg.connect(journal, autocommit=True) as watching:
        now = watching.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
        assert now is not None
        enough = float(now[0]) + 8
        wait_until(lambda: (watching.execute(beats, [enough]).fetchone() or (0,))[0] >= enough)


def silence(journal: str, *, holder: bool = True) -> None:
    """Let all workers, or all but the holder, be silent for two minutes; the living beat again."""
    with psycopg.connect(journal) as connection:
        if holder:
            connection.execute("UPDATE leases SET beat_at = beat_at - 120")
        connection.execute("UPDATE slices SET beat_at = beat_at - 120")


@pytest.mark.parametrize(
    ("victim", "fault"), [("the first process", "suspended"), ("the worker", "killed")]
)
def test_the_others_go_on_when_one_dies_or_sleeps(
    tmp_path: Path, postgres: PostgresServer, victim: str, fault: str
) -> None:
    journal = postgres.new_journal()
    with sandbox_with_barrier() as (sandbox, barrier):
        first, second = (Machine(tmp_path / name, sandbox, journal) for name in ("one", "two"))
        barrier.hold_after(6)
        with first.start(*RUN) as run, ExitStack() as stack:
            sandbox.wait_for_triggers(6, run)
            work = stack.enter_context(second.start(*WORK))
            wait_for_workers(journal, 2)
            hit, left = (run, work) if victim == "the first process" else (work, run)
            if fault == "killed":
                hit.kill()
                hit.wait()
            else:
                fall_asleep(hit, journal)
            silence(journal)
            barrier.lift()
            _, said = left.communicate()
            assert left.returncode in {0, 3}, said
            hit.send_signal(signal.SIGCONT)
            hit.communicate()
        # What a suspended process was about to send may have been accepted since.
        assert second("resume", "-o", "again.xlsx").returncode in {0, 3}
        outcomes = second.verdict(sandbox)
        assert outcomes["in doubt"] <= 64
    home = second if victim == "the first process" else first
    assert (home.folder / "list.results.xlsx").exists()


def test_local_workers_finish_a_batch_whose_first_process_was_killed(tmp_path: Path) -> None:
    with sandbox_with_barrier() as (sandbox, barrier):
        machine = Machine(tmp_path / "one", sandbox, str(tmp_path / "one" / "journal.db"))
        barrier.hold_after(10)
        with machine.start(*RUN, "--workers", "3") as run:
            sandbox.wait_for_triggers(10, run)
            children = _children(run.pid)
            run.kill()
            run.wait()
        os.kill(children[0], signal.SIGKILL)
        barrier.lift()
        assert machine("work", "--until-done").returncode in {0, 3}
        wait_until(lambda: not any(map(_lives, children)))
        outcomes = machine.verdict(sandbox)
    assert outcomes["in doubt"] <= 2 * 64
    assert (machine.folder / "list.results.xlsx").exists()


def test_ctrl_c_stops_the_workers_on_other_machines_too(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    journal = postgres.new_journal()
    with sandbox_with_barrier() as (sandbox, barrier):
        first, second = (Machine(tmp_path / name, sandbox, journal) for name in ("one", "two"))
        barrier.hold_after(6)
        with first.start(*RUN) as run, ExitStack() as stack:
            sandbox.wait_for_triggers(6, run)
            work = stack.enter_context(second.start(*WORK))
            wait_for_workers(journal, 2)
            run.send_signal(signal.SIGINT)
            with psycopg.connect(journal, autocommit=True) as watching:
                open_slices = "SELECT count(*) FROM slices WHERE closed IS NULL"
                wait_until(lambda: watching.execute(open_slices).fetchone() == (0,))
            wait_for_heartbeats(journal)
            barrier.lift()
            _, said = run.communicate()
            assert run.returncode == 4, said
            work.communicate()
            assert work.returncode == 4
        assert sandbox.report()["triggers_accepted"] < ROWS
        assert first("resume").returncode in {0, 3}
        first.verdict(sandbox)


def test_a_worker_with_another_key_is_refused_with_words(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    journal = postgres.new_journal()
    with sandbox_with_barrier() as (sandbox, barrier):
        first, second = (Machine(tmp_path / name, sandbox, journal) for name in ("one", "two"))
        second.env["PGAI_API_KEY"] = "another-key"
        barrier.hold_after(2)
        with first.start(*RUN) as run:
            sandbox.wait_for_triggers(2, run)
            batch = json.loads(first("batches", "--json").stdout)[0]["batch"]
            refused = second("work", batch, "--until-done")
            assert refused.returncode == 2
            assert "was started with another key" in refused.stderr
            assert second("work", "--until-done").returncode == 0  # none of its key is open
            barrier.lift()
            run.communicate()
        assert set(first.verdict(sandbox)) == {"completed"}


def test_workers_on_one_key_overrun_no_window(tmp_path: Path, postgres: PostgresServer) -> None:
    """The service says nothing of its quota, so that only the shared ledger can keep it."""
    journal = postgres.new_journal()
    settings = SandboxSettings(rate_per_minute=66, silent_quota=True)
    with running(settings, 10.0) as url:
        sandbox = SandboxProcess(url, 10.0)
        first, second = (Machine(tmp_path / name, sandbox, journal) for name in ("one", "two"))
        with first.start(*RUN) as run:
            sandbox.wait_for_triggers(1, run)
            worked = second(*WORK)
            _, said = run.communicate()
        assert (run.returncode, worked.returncode) == (0, 0), said
        report = sandbox.report()
        assert report["refused"] == 0
        assert report["requests"] <= 2.1 * ROWS + 2
        assert set(first.verdict(sandbox)) == {"completed"}


def test_rows_that_were_not_confirmed_are_not_open_to_workers(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    journal = postgres.new_journal()
    with sandbox_with_barrier() as (sandbox, barrier):
        first, second = (Machine(tmp_path / name, sandbox, journal) for name in ("one", "two"))
        barrier.hold_after(2)
        with first.start(*RUN, "--limit", "8") as run:
            sandbox.wait_for_triggers(2, run)
            run.kill()
        silence(journal)
        barrier.lift()
        assert second(*WORK).returncode == 0
        assert sandbox.report()["triggers_accepted"] <= 2 + 4


def _children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    while len(found) < 2:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
        )
        found = [int(each) for each in listed.stdout.split()]
    return found


def _lives(pid: int) -> bool:
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()[:1] not in {"", "Z"}
