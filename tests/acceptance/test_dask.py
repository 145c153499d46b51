"""A Dask cluster that works on a batch: a worker or the scheduler dies, or the user leaves.

Real processes on loopback. Each worker of the cluster is a machine with a home of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.acceptance.barrier import FEW_AT_ONCE, sandbox_with_barrier
from tests.acceptance.sandbox_process import started
from tests.acceptance.test_workers import (
    ROWS,
    RUN,
    Machine,
    silence,
    wait_for_heartbeats,
    wait_for_workers,
)
from tests.postgres import PASSWORD
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.barrier import Barrier
    from tests.acceptance.sandbox_process import SandboxProcess
    from tests.postgres import PostgresServer

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
    pytest.mark.skipif(find_spec("distributed") is None, reason="needs Dask"),
]


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first line of a process's standard error that has a pattern."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"no line has {pattern}")


class DaskCluster:
    """A scheduler and workers, and a user's machine that shares their journal."""

    def __init__(self, folder: Path, sandbox: SandboxProcess, journal: str) -> None:
        self.folder, self.sandbox, self.journal = folder, sandbox, journal
        self.user = Machine(folder / "user", sandbox, journal)
        self._stack = ExitStack()
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.address = wait_for_line(self.scheduler, r"Scheduler at:\s+(tcp://\S+)")[1]
        self.options = ("--dask", self.address)

    def _start(self, kind: str, *options: str, **how: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        how = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE} | how
        return self._stack.enter_context(started(*command, *options, **how))

    def add_worker(self, name: str, **env: str) -> tuple[Machine, subprocess.Popen[str]]:
        """Add a worker of the cluster, on a machine of its own."""
        machine = Machine(self.folder / name, self.sandbox, self.journal)
        options = ("--no-nanny", "--nthreads", "1", "--local-directory", str(machine.folder))
        env = machine.env | FEW_AT_ONCE | env
        worker = self._start("worker", self.address, *options, env=env, cwd=machine.folder)
        wait_for_line(worker, "Registered to")
        return machine, worker

    def close(self) -> None:
        """Kill what is left."""
        self._stack.close()


@contextmanager
def dask_cluster(
    folder: Path, postgres: PostgresServer
) -> Iterator[tuple[DaskCluster, SandboxProcess, Barrier]]:
    """A cluster without workers, and a sandbox whose triggers can be held up."""
    with sandbox_with_barrier() as (sandbox, barrier):
        cluster = DaskCluster(folder, sandbox, postgres.new_journal())
        try:
            yield cluster, sandbox, barrier
        finally:
            barrier.lift()
            cluster.close()


def test_the_batch_ends_although_the_scheduler_dies(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with dask_cluster(tmp_path, postgres) as (cluster, sandbox, barrier):
        cluster.add_worker("one")
        barrier.hold_after(6)
        with cluster.user.start(*RUN, *cluster.options) as run:
            sandbox.wait_for_triggers(6, run)
            wait_for_workers(cluster.journal, 2)
            cluster.scheduler.kill()
            cluster.scheduler.wait()
            silence(cluster.journal, holder=False)
            barrier.lift()
            _, said = run.communicate()
            assert run.returncode in {0, 3}, said
        assert cluster.user.verdict(sandbox)["in doubt"] <= 64
    assert (cluster.user.folder / "list.results.xlsx").exists()


def test_a_detached_batch_needs_only_the_cluster_and_survives_a_worker(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with dask_cluster(tmp_path, postgres) as (cluster, sandbox, barrier):
        _, first_worker = cluster.add_worker("one")
        two, second_worker = cluster.add_worker("two")
        barrier.hold_after(6)
        detached = cluster.user(*RUN, *cluster.options, "--detach")
        assert detached.returncode == 0, detached.stderr
        assert "batchrun status" in detached.stdout
        sandbox.wait_for_triggers(6, second_worker)
        first_worker.kill()
        first_worker.wait()
        silence(cluster.journal)
        barrier.lift()
        wait_until_nobody_works(cluster.journal)
        assert cluster.user.verdict(sandbox)["in doubt"] <= 64
    assert (two.folder / "list.results.xlsx").exists()


def test_a_detached_batch_can_be_stopped_and_resumed(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with dask_cluster(tmp_path, postgres) as (cluster, sandbox, barrier):
        _, worker = cluster.add_worker("one")
        barrier.hold_after(6)
        assert cluster.user(*RUN, *cluster.options, "--detach").returncode == 0
        sandbox.wait_for_triggers(6, worker)
        stopped = cluster.user("stop")
        assert stopped.returncode == 0, stopped.stderr
        wait_for_heartbeats(cluster.journal)
        barrier.lift()
        wait_until_nobody_works(cluster.journal)
        assert 6 <= sandbox.report()["triggers_accepted"] < ROWS
        resumed = cluster.user("resume", *cluster.options)
        assert resumed.returncode == 0, resumed.stderr
        assert set(cluster.user.verdict(sandbox)) == {"completed"}


RECORDED_BATCHRUN = """
import socket
real = socket.socket.send
def send(self, data, *more):
    if self.family == socket.AF_INET and self.getpeername()[1] == {port}:
        with open({path!r}, "ab") as file:
            file.write(bytes(data))
    return real(self, data, *more)
socket.socket.send = send
from batchrun.cli import main
main()
"""


def test_the_scheduler_gets_no_key_and_no_password(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with dask_cluster(tmp_path, postgres) as (cluster, sandbox, _):
        record = tmp_path / "sent"
        port = cluster.address.rpartition(":")[2]
        code = RECORDED_BATCHRUN.format(port=port, path=str(record))
        cluster.add_worker("one")
        user, pipe = cluster.user, subprocess.PIPE
        files = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe}
        run = [sys.executable, "-c", code, *RUN, *cluster.options]
        with started(*run, env=user.env, cwd=user.folder, **files) as process:
            _, said = process.communicate()
        assert process.returncode == 0, said
        sent = record.read_bytes()
        assert b"batchrun-" in sent  # the tasks are in it
        assert cluster.user.env["PGAI_API_KEY"].encode() not in sent
        assert PASSWORD.encode() not in sent
        assert set(cluster.user.verdict(sandbox)) == {"completed"}


def test_a_cluster_that_cannot_work_on_the_batch_is_refused_with_words(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with dask_cluster(tmp_path, postgres) as (cluster, sandbox, _):
        empty = cluster.user(*RUN, *cluster.options)
        assert (empty.returncode, "has no workers" in empty.stderr) == (2, True), empty.stderr
        cluster.add_worker("good")
        old = tmp_path / "old" / "batchrun"
        old.mkdir(parents=True)
        (old / "__init__.py").touch()
        cluster.add_worker("older", PYTHONPATH=str(old.parent))
        older = cluster.user(*RUN, *cluster.options, "--detach")
        assert older.returncode == 2
        assert "1 of 2 workers of the Dask cluster can't work" in older.stderr
        assert "it has no batchrun, or an older one" in older.stderr
        assert "Traceback" not in older.stderr
        assert sandbox.report()["triggers_accepted"] == 0


def wait_until_nobody_works(journal: str) -> None:
    """Return once the batch has no slices and no holder."""
    with psycopg.connect(journal, autocommit=True) as watching:
        left = "SELECT (SELECT count(*) FROM slices) + (SELECT count(*) FROM leases)"
        wait_until(lambda: watching.execute(left).fetchone() == (0,))
