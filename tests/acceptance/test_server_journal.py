"""One journal for several machines: the command line with a journal on a PostgreSQL server.

A machine is a home of its own here: file locks and rescue files lie in it.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from batchrun.sandbox import SandboxSettings, running
from tests.acceptance.barrier import FEW_AT_ONCE, sandbox_with_barrier
from tests.acceptance.sandbox_process import SandboxProcess, batchrun, started
from tests.postgres import PASSWORD
from tests.preloaded import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.postgres import PostgresServer

ROWS = 30
RUN = ("run", "list.csv", "-w", "Account Research", "--yes")


class Machine:
    """A machine with a list, a home, and the journal that all share."""

    def __init__(self, folder: Path, sandbox: SandboxProcess, journal: str) -> None:
        folder.mkdir()
        ids = [str(uuid.uuid4()) for _ in range(ROWS)]
        (folder / "list.csv").write_text("\n".join(["Company ID", *ids]), encoding="utf-8")
        self._folder = folder
        self._env = sandbox.environment(folder) | {
            "BATCHRUN_JOURNAL": journal,
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "BATCHRUN_DEBUG": "1",
        }

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; the password is in nothing it says."""
        ended = batchrun(*arguments, env=self._env, cwd=self._folder)
        assert PASSWORD not in ended.stdout + ended.stderr
        return ended

    def start(self, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a command that has few triggers on the wire, and leave it running."""
        return started(
            *COMMAND,
            *arguments,
            env=self._env | FEW_AT_ONCE,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def outcomes(self, batch_id: str = "") -> Counter[str]:
        """What `export` says of each row."""
        assert self("export", *filter(None, [batch_id]), "-o", "out.jsonl").returncode == 0
        lines = (self._folder / "out.jsonl").read_text(encoding="utf-8").splitlines()
        return Counter(json.loads(line)["outcome"] for line in lines)

    def files_with_the_password(self) -> list[Path]:
        """Files of the machine in which the password stands."""
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        return [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.fixture
def journal(postgres: PostgresServer) -> Iterator[str]:
    """An empty database on the server, which runs again afterwards."""
    yield postgres.new_journal()
    postgres.ensure_running()


def test_two_machines_on_one_key_overrun_no_window_and_what_is_forgotten_is_gone(
    tmp_path: Path, journal: str
) -> None:
    """The service says nothing of its quota, so that only the shared ledger can keep it.

    It takes a few more than the 60 a minute that are sent: a busy machine sends some late.
    """
    settings = SandboxSettings(rate_per_minute=66, silent_quota=True)
    with running(settings, 10.0) as url:
        sandbox = SandboxProcess(url, 10.0)
        machines = [Machine(tmp_path / name, sandbox, journal) for name in ("one", "two")]
        with ThreadPoolExecutor(2) as pool:
            ended = list(pool.map(lambda machine: machine(*RUN), machines))
        assert [each.returncode for each in ended] == [0, 0], ended
        report = sandbox.report()
        assert report["refused"] == 0
        assert report["triggers_accepted"] == 2 * ROWS
        listed = json.loads(machines[0]("batches", "--json").stdout)
        assert [batch["outcomes"]["completed"] for batch in listed] == [ROWS, ROWS]
        assert machines[0]("forget", "--older-than", "0d", "--yes").returncode == 0
    with psycopg.connect(journal) as connection:
        for table in (b"batches", b"rows", b"jobs", b"leases", b"attempts"):
            assert connection.execute(b"SELECT count(*) FROM " + table).fetchone() == (0,)
    assert list((tmp_path / "one" / "data").rglob("*.holder")) == []
    assert not any(machine.files_with_the_password() for machine in machines)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_again_and_again_nothing_is_triggered_twice_or_lost(
    tmp_path: Path, journal: str
) -> None:
    with sandbox_with_barrier() as (sandbox, barrier):
        machine, other = (Machine(tmp_path / name, sandbox, journal) for name in ("one", "two"))
        command: tuple[str, ...] = RUN
        for number in (1, 6, 6):
            accepted = sandbox.report()["triggers_accepted"]
            barrier.hold_after(number)
            with machine.start(*command) as process:
                sandbox.wait_for_triggers(accepted + number, process)
                process.kill()
            barrier.lift()
            command = ("resume",)
        held = other("resume")
        assert held.returncode == 2
        assert "Another batchrun is working on batch" in held.stderr
        # A process that died here is known to be dead at once; elsewhere after a minute's silence.
        ended = machine("resume")
        assert ended.returncode in {0, 3}, ended
        report, outcomes = sandbox.report(), machine.outcomes()
    assert report["triggered_more_than_once"] == []
    assert outcomes.total() == ROWS
    assert set(outcomes) <= {"completed", "in doubt"}
    assert report["triggers_accepted"] <= ROWS


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_machine_that_slept_through_a_takeover_sends_nothing_more(
    tmp_path: Path, journal: str
) -> None:
    """The process that took over has ended when it wakes."""
    with sandbox_with_barrier() as (sandbox, barrier):
        slept, other = (Machine(tmp_path / name, sandbox, journal) for name in ("one", "two"))
        barrier.hold_after(4)
        with slept.start(*RUN) as process:
            sandbox.wait_for_triggers(4, process)
            fall_asleep(process, journal)
            barrier.lift()
            with psycopg.connect(journal) as connection:
                for table in (b"leases", b"slices"):
                    connection.execute(b"UPDATE " + table + b" SET beat_at = beat_at - 120")
            taken = other("resume", "--limit", "4")
            assert taken.returncode == 4, taken
            accepted, doubts = sandbox.report()["triggers_accepted"], other.outcomes()["in doubt"]
            process.send_signal(signal.SIGCONT)
            _, said = process.communicate()
        assert process.returncode == 4
        assert "was taken over by another batchrun, which has ended" in said
        assert "Resume with: batchrun resume" in said
        # What it was about to send when it fell asleep is in doubt, and may have left since.
        assert sandbox.report()["triggers_accepted"] <= accepted + doubts < ROWS
        ended = other("resume")
        assert ended.returncode in {0, 3}, ended
        report, outcomes = sandbox.report(), other.outcomes()
    assert report["triggered_more_than_once"] == []
    assert outcomes.total() == ROWS
    assert set(outcomes) <= {"completed", "in doubt"}


def fall_asleep(process: subprocess.Popen[str], journal: str) -> None:
    """Stop a process at a moment when it holds no lock in the journal: nobody else could go on."""
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    process.send_signal(signal.SIGSTOP)
    with psycopg.connect(journal, autocommit=True) as watching:
        while watching.execute(busy).fetchone() != (0,):
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGSTOP)


def test_a_server_that_is_stopped_in_the_middle_pauses_the_batch(
    tmp_path: Path, journal: str, postgres: PostgresServer
) -> None:
    with sandbox_with_barrier() as (sandbox, barrier):
        machine = Machine(tmp_path / "one", sandbox, journal)
        barrier.hold_after(5)
        with machine.start(*RUN) as process:
            sandbox.wait_for_triggers(5, process)
            postgres.stop()
            barrier.lift()
            _, said = process.communicate()
        assert process.returncode == 4, said
        # The writer may notice it first, or the reader.
        assert re.search("The journal .* can't be (written|used)", said), said
        assert "Traceback" not in said
        assert PASSWORD not in said
        refused = machine("status")
        assert refused.returncode == 2
        assert "Connection refused" in refused.stderr
        postgres.start()
        ended = machine("resume")
        assert ended.returncode in {0, 3}, ended
        report, outcomes = sandbox.report(), machine.outcomes()
    assert report["triggered_more_than_once"] == []
    assert outcomes.total() == ROWS
    assert set(outcomes) <= {"completed", "in doubt"}
    assert not machine.files_with_the_password()


def test_the_password_may_stand_where_postgresql_looks_for_it(
    tmp_path: Path, journal: str, postgres: PostgresServer
) -> None:
    """Not in an argument or variable of batchrun's: in ~/.pgpass."""
    with running() as url:
        sandbox = SandboxProcess(url, 1.0)
        machine = Machine(tmp_path / "one", sandbox, journal.replace(f":{PASSWORD}", ""))
        assert machine("batches").returncode == 2
        pgpass = tmp_path / "one" / ".pgpass"
        pgpass.write_text(f"127.0.0.1:{postgres.port}:*:*:{PASSWORD}\n", encoding="ascii")
        pgpass.chmod(0o600)
        assert machine("batches").returncode == 0
