"""`batchrun work`: help with the batches of other processes."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from batchrun import batches, forget, status, stop, watch
from batchrun.batch import pipeline
from batchrun.cli.output import print_text
from batchrun.engine.engine import Engine
from batchrun.engine.session import open_session
from batchrun.errors import ExitCode, JournalError
from batchrun.journal import Journal
from batchrun.model import Outcome
from batchrun.sandbox import SandboxSettings, running
from batchrun.settings.loading import load_settings
from tests.acceptance.verdict import write_list
from tests.cli.conftest import SPEED
from tests.engine.faults import FaultySandbox, faulty_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchrun.batch.pipeline import RunOptions
    from batchrun.batch.report import Report
    from batchrun.engine.progress import Progress
    from batchrun.engine.session import Session
    from tests.cli.commands import CommandLine
    from tests.postgres import PostgresServer

pytestmark = pytest.mark.usefixtures("sandbox")
RUN = ("run", "accounts.csv", "-w", "Account Research", "--yes")


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX's")
def test_a_worker_says_that_a_batch_has_ended_and_waits_for_the_next(
    batchrun: CommandLine, accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.batch.pipeline.start_process", lambda *_, **__: None)
    batchrun(*RUN, "--detach")

    def stop_when_idle(text: str, **how: Any) -> None:
        print_text(text, **how)
        if "Waiting for the next batch." in text:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("batchrun.cli.commands_run.print_text", stop_when_idle)
    ended = batchrun("work")

    *_, finished, waiting, stopping = ended.stderr.splitlines()
    assert f"on {accounts.name}, 4 rows (3 completed, 1 can't be sent)" in finished
    assert waiting == "Waiting for the next batch."
    assert stopping == "Stopping."  # no rows are running


@pytest.mark.usefixtures("accounts")
def test_the_progress_of_a_worker_ends_at_what_all_workers_did(batchrun: CommandLine) -> None:
    batchrun(*RUN)
    seen: list[Progress] = []

    async def help_too_late() -> None:
        settings = load_settings()
        async with open_session(settings) as session:
            batch = session.journal.resolve(None)
            counts = {**batch.counts, Outcome.PENDING: 3, Outcome.COMPLETED: 0}
            jobs = session.journal.jobs(batch.batch_id, session.key, leads=False)
            before = replace(batch, counts=counts)
            await Engine(session, jobs, before, seen.append).work()

    asyncio.run(help_too_late())
    assert seen[-1].done == seen[-1].total == 4
    assert seen[-1].seconds_left == 0


def test_failures_end_a_worker_with_the_exit_code_of_a_run(
    batchrun: CommandLine, accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_list(accounts, 300)
    monkeypatch.setattr("batchrun.batch.pipeline.start_process", lambda *_, **__: None)
    monkeypatch.setenv("BATCHRUN_STOP_AFTER_FAILURES", "2")
    failing = SandboxSettings(fail=1.0)
    with running(failing, SPEED) as url:
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--detach")
        worked = batchrun("work", "--until-done", "--quiet")
    with running(failing, SPEED) as url:
        batchrun.connect(url, speed=SPEED)
        ran = batchrun(*RUN, "--again")
    assert "Nothing more was triggered" in ran.stdout
    assert worked.exit_code == ran.exit_code == ExitCode.INCOMPLETE


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, batchrun: CommandLine) -> Iterator[FaultySandbox]:
    """A service, a journal on this machine or on a server, and nobody who works detached."""
    batchrun.monkeypatch.setattr("batchrun.batch.pipeline.start_process", lambda *_, **__: None)
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        if request.param == "sqlite":
            yield sandbox
            return
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.journal(has_tables=True) as location:
            batchrun.monkeypatch.setenv("BATCHRUN_JOURNAL", location)
            yield sandbox


def detached(batchrun: CommandLine, name: str, *companies: str) -> str:
    """Leave a list to workers; the ID of its batch."""
    (batchrun.folder / name).write_text("\n".join(["Company ID", *companies]))
    batchrun("run", name, *RUN[2:], "--detach")
    return batches(settings=load_settings())[0].batch_id


def left(batch_id: str) -> int:
    """The jobs of a batch that were not sent."""
    return status(batch_id, settings=load_settings()).left.to_trigger


@pytest.mark.parametrize("what", [stop, forget])
def test_a_worker_leaves_alone_a_batch_that_was_stopped_while_it_worked_on_another(
    batchrun: CommandLine, service: FaultySandbox, what: Callable[..., object]
) -> None:
    first, second = (
        detached(batchrun, f"{name}.csv", str(uuid4()), str(uuid4())) for name in ("one", "two")
    )
    work = pipeline._work

    async def work_and_stop_the_other(
        session: Session, batch_id: str, options: RunOptions
    ) -> Report:
        report = await work(session, batch_id, options)
        if batch_id == first:
            await asyncio.to_thread(what, second, settings=load_settings())
        return report

    batchrun.monkeypatch.setattr(pipeline, "_work", work_and_stop_the_other)
    ended = batchrun("work", "--until-done", "--quiet")
    assert len(service.bodies()) == 2
    assert "Error" not in ended.stderr
    if what is stop:
        assert left(second) == 2
        assert batchrun("resume", second).exit_code == ExitCode.COMPLETED


def test_a_worker_sends_no_job_that_another_batch_has_sent_since(
    batchrun: CommandLine, service: FaultySandbox
) -> None:
    mine = [str(uuid4()) for _ in range(3)]
    stopped = detached(batchrun, "long.csv", *mine)
    (batchrun.folder / "short.csv").write_text(f"Company ID\n{mine[1]}")
    batchrun("run", "short.csv", *RUN[2:])
    worked, other = batchrun("work", "--until-done"), batches(settings=load_settings())[0].batch_id
    assert worked.exit_code == ExitCode.PAUSED
    said = " ".join(worked.stdout.split())
    assert (
        f"the rest waits. 1 job was already sent, or is about to be, in another batch ({other})."
        in said
    )
    assert f"Resume: batchrun resume {stopped}" in said
    assert len(service.bodies()) == len(set(service.bodies())) == 3
    assert left(stopped) == 1
    night = batchrun("resume", "--all")
    assert "1 of 1 job was already sent, or is about to be, in another batch" in " ".join(
        night.stdout.split()
    )
    assert len(service.bodies()) == 3


def test_a_worker_sends_what_somebody_agreed_to_send_again(
    batchrun: CommandLine, service: FaultySandbox
) -> None:
    company = str(uuid4())
    stopped = detached(batchrun, "long.csv", company, str(uuid4()))
    stop(stopped, settings=load_settings())
    (batchrun.folder / "short.csv").write_text(f"Company ID\n{company}")
    batchrun("run", "short.csv", *RUN[2:])
    batchrun("resume", stopped, "--detach", "--yes")
    assert batchrun("work", "--until-done", "--quiet").exit_code == ExitCode.COMPLETED
    assert len(service.bodies()) == 3


def test_a_worker_leaves_a_practice_batch_alone_with_a_real_key(
    batchrun: CommandLine, service: FaultySandbox
) -> None:
    practice = detached(batchrun, "list.csv", str(uuid4()))
    batchrun.monkeypatch.setenv("PGAI_API_KEY", "pg_real_key")
    assert batchrun("work", "--until-done", "--quiet").exit_code == ExitCode.COMPLETED
    assert left(practice) == 1
    assert not service.bodies()


@pytest.mark.parametrize(
    "how", [["resume", "--all"], ["resume", "BATCH"], ["work", "--until-done"]]
)
def test_a_clock_that_was_ahead_does_not_hide_what_another_batch_has_sent_since(
    batchrun: CommandLine, service: FaultySandbox, how: list[str]
) -> None:
    mine = [str(uuid4()) for _ in range(3)]
    left_behind = detached(batchrun, "long.csv", *mine)
    with Journal(load_settings().journal) as journal, journal._engine.begin() as connection:
        ahead = "UPDATE batches SET created_at = created_at + 3600, updated_at = updated_at + 3600"
        connection.exec_driver_sql(ahead)
    if how[0] == "resume":
        stop(left_behind, settings=load_settings())
    (batchrun.folder / "short.csv").write_text(f"Company ID\n{mine[1]}")
    batchrun("run", "short.csv", *RUN[2:])
    assert batches(settings=load_settings())[0].source.name == "short.csv"
    batchrun(*(left_behind if each == "BATCH" else each for each in how))
    assert len(service.bodies()) == len(set(service.bodies()))


def test_a_worker_goes_on_when_a_batch_is_forgotten_that_it_has_worked_on(
    batchrun: CommandLine, service: FaultySandbox
) -> None:
    first, second = (detached(batchrun, f"{name}.csv", str(uuid4())) for name in ("one", "two"))
    work = pipeline._work

    async def work_and_forget(session: Session, batch_id: str, options: RunOptions) -> Report:
        if batch_id == second:
            await asyncio.to_thread(forget, first, settings=load_settings())
        return await work(session, batch_id, options)

    batchrun.monkeypatch.setattr(pipeline, "_work", work_and_forget)
    ended = batchrun("work", "--until-done", "--quiet")
    assert ended.exit_code == ExitCode.COMPLETED
    assert f"Batch {second}" in ended.stderr
    assert len(service.bodies()) == 2


def test_a_batch_that_is_deleted_while_it_is_watched_or_read_is_named(
    batchrun: CommandLine, service: FaultySandbox
) -> None:
    gone, settings = detached(batchrun, "list.csv", str(uuid4())), load_settings()
    looks = watch(interval_seconds=0, settings=settings)
    assert next(looks).starts_soon
    with Journal(settings.journal) as journal:
        forget(gone, settings=settings)
        for read in (
            lambda: next(looks),
            lambda: journal.results(gone).__enter__(),
            lambda: journal.earlier_batches(gone),
        ):
            with pytest.raises(JournalError, match=f"Batch {gone} has been deleted from the"):
                read()
