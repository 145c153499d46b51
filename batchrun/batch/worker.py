"""One worker on the slices of a batch, and starting more worker processes on this machine."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from batchrun.batch.control import from_any_thread
from batchrun.errors import JournalError
from batchrun.journal.lease import HEARTBEAT_SECONDS, heartbeat
from batchrun.settings.model import KEY_VARIABLE, Settings, variable_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchrun.batch.cluster import Cluster
    from batchrun.engine.engine import Engine
    from batchrun.engine.session import Session
    from batchrun.journal import BatchJobs

END_CHECK_SECONDS = 0.5
END_SECONDS = 30.0
"""How long worker processes may take to exit when nothing is left to do."""
_OWN = ("api_key", "profile", "log_file", "workers", "dask", "rate")
"""Settings that a worker process does not inherit as they are."""


@asynccontextmanager
async def working(jobs: BatchJobs, engine: Engine) -> AsyncIterator[None]:
    """Keep this worker's slices during the block, and tell the engine what other workers do.

    Afterwards its slices are free. If this worker holds the batch, the other workers stop too.
    """
    slices = jobs.slices
    observe, abort = from_any_thread(engine.observe), from_any_thread(engine.abort)

    def beat() -> None:
        slices.beat()
        observe(slices.state())

    engine.observe(slices.state())
    try:
        with heartbeat(beat, abort):
            yield
    finally:
        with suppress(JournalError):  # a slice also becomes free after a minute without heartbeat
            if jobs.leads:
                slices.close("")
        with suppress(JournalError):
            slices.release()


async def wait_for_other_workers(jobs: BatchJobs, drain_seconds: float) -> None:
    """Wait until the other workers have stopped, so that the workbook has their last results.

    A stopped worker still collects results for ``drain_seconds`` of the machine's clock.
    """
    until = time.monotonic() + drain_seconds + 2 * HEARTBEAT_SECONDS
    while time.monotonic() < until:
        if not await asyncio.to_thread(jobs.slices.others_work):
            return
        await asyncio.sleep(END_CHECK_SECONDS)


@asynccontextmanager
async def other_workers(
    session: Session, batch_id: str, processes: int, cluster: Cluster | None
) -> AsyncIterator[None]:
    """Let other processes on this machine, and a cluster, work on a batch until the block ends.

    If this process dies, they finish the batch and write its workbook.
    """
    if cluster is not None:
        await asyncio.to_thread(cluster.start, session, batch_id)
    started = [start_process(session, batch_id, detached=False) for _ in range(processes)]
    try:
        yield
    finally:
        await asyncio.shield(asyncio.to_thread(_end, started))


def start_process(session: Session, batch_id: str, *, detached: bool) -> subprocess.Popen[bytes]:
    """Start a worker process on this machine; if ``detached``, it outlives the terminal.

    The session's key and settings go into its environment.
    """
    # -P: never import a `batchrun` package from the current folder.
    program = [sys.executable, "-P", "-m", "batchrun"]
    command = [*program, "work", "--until-done", "--quiet", "--", batch_id]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603  # our own interpreter
        command,
        env=_environment(session),
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        start_new_session=detached,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) if detached else 0,
    )


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until processes have ended; stop those that take too long."""
    until = time.monotonic() + END_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(until - time.monotonic(), 0))
            continue
        process.terminate()
        process.wait()


def _environment(session: Session) -> dict[str, str]:
    """Return the environment of a worker process: this process's settings, key and address."""
    settings = session.settings
    env = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in {variable_of(each).upper() for each in Settings.model_fields}
    }
    values = {name: getattr(settings, name) for name in Settings.model_fields if name not in _OWN}
    env |= {variable_of(name): str(value) for name, value in values.items() if value is not None}
    if settings.rate is not None:
        rate = "unlimited" if math.isinf(settings.rate) else str(settings.rate)
        env[variable_of("rate")] = rate
    return env | {KEY_VARIABLE: session.key}
