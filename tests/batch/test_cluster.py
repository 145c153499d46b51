"""What a Dask cluster is refused for, and what its workers are told."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import batchrun
from batchrun.batch.cluster import _shared, problem_of_worker
from batchrun.errors import UsageError
from batchrun.journal import Journal
from batchrun.journal.schema import SCHEMA_VERSION
from batchrun.sandbox import SandboxSettings, running
from tests.journal.batches import IDS, URL, plan_of
from tests.postgres import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import PostgresServer

KEY = "key-of-the-batch-1234"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect a client that could not connect: in the start of another, both would wait forever."""
    yield
    gc.collect()


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"PGAI_API_KEY": KEY}, ""),
        ({}, "There is no API key."),
        ({"PGAI_API_KEY": "another-key-5678"}, "was started with another key"),
        ({"PGAI_API_KEY": KEY, "BATCHRUN_BASE_URL": ""}, "is not an address of PG:AI"),
        ({"PGAI_API_KEY": KEY, "BATCHRUN_JOURNAL": "postgresql://127.0.0.1:1/x"}, "can't be used"),
        ({"PGAI_API_KEY": KEY, "BATCHRUN_JOURNAL": "elsewhere.db"}, "elsewhere.db"),
    ],
)
def test_a_worker_says_why_it_cannot_work_on_a_batch(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres: PostgresServer,
    environment: dict[str, str],
    problem: str,
) -> None:
    journal = postgres.new_journal()
    with Journal(journal) as opened:
        batch_id = opened.create(plan_of(*IDS), URL, key=KEY)
    monkeypatch.chdir(tmp_path)
    for name, value in ({"BATCHRUN_BASE_URL": URL} | environment).items():
        monkeypatch.setenv(name, value)
    said = problem_of_worker(batch_id, {"journal": journal}, SCHEMA_VERSION)
    assert (problem in said) if problem else said == ""


def test_a_worker_with_another_schema_does_not_touch_the_journal() -> None:
    said = problem_of_worker("x", {"journal": "postgresql://127.0.0.1:1/x"}, SCHEMA_VERSION + 1)
    assert said == "it has another version of batchrun."


def test_what_the_workers_are_told_holds_no_secret() -> None:
    journal = "postgresql://anna:s%40fe@db:1/x?password=s%40fe&sslpassword=s%40fe&sslmode=require"
    shared = _shared(batchrun.load_settings(api_key=KEY, journal=journal))
    assert shared["journal"] == "postgresql://anna@db:1/x?sslmode=require"
    assert KEY not in str(shared)


def refused(**settings: Any) -> UsageError:
    """The error of a run with a cluster."""
    frame = pd.DataFrame({"Company ID": IDS})
    with pytest.raises(UsageError) as raised:
        batchrun.run(frame, "Research", settings=batchrun.load_settings(api_key=KEY, **settings))
    return raised.value


def test_a_journal_in_a_file_is_refused(tmp_path: Path) -> None:
    error = refused(dask="tcp://127.0.0.1:1", journal=str(tmp_path / "journal.db"))
    assert "can't reach the journal" in error.what
    assert "postgresql://" in error.hint


def test_without_distributed_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    error = refused(dask="tcp://127.0.0.1:1", journal="postgresql://127.0.0.1:1/x")
    assert "[dask]" in error.hint


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1"])
def test_a_scheduler_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("batchrun.batch.cluster.CONNECT_SECONDS", 0.5)
    error = refused(dask=address, journal="postgresql://127.0.0.1:1/x")
    assert address in error.what
    assert "can't be reached" in error.what


def test_detach_and_limit_cannot_be_combined(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be combined"):
        batchrun.run(pd.DataFrame({"Company ID": IDS}), "Research", limit=1, detach=True)


@contextmanager
def running_loop() -> Iterator[Any]:
    """A loop of Tornado in a thread, for Dask: its own must have started after 10 seconds."""
    from tornado.ioloop import IOLoop

    started, ended = threading.Event(), asyncio.Event()
    loops: list[Any] = []

    async def run() -> None:
        loops.append(IOLoop.current())
        started.set()
        await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    started.wait()
    try:
        yield loops[0]
    finally:
        loops[0].add_callback(ended.set)
        thread.join()


def test_a_batch_runs_with_a_client_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("PGAI_API_KEY", "sandbox")
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"Company ID": IDS})
    with (
        running(SandboxSettings(rate_per_minute=None), 100.0) as url,
        running_loop() as loop,
        distributed.LocalCluster(
            n_workers=1,
            processes=False,
            dashboard_address=":0",  # without an address it takes port 8787, which may be in use
            loop=loop,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        settings = batchrun.load_settings(base_url=url, speed=100.0, journal=postgres.new_journal())
        report = batchrun.run(frame, "Account Research", workers=client, settings=settings)
    assert report.summary.counts[batchrun.Outcome.COMPLETED] == len(IDS)
