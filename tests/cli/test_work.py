"""`batchrun work`: help with the batches of other processes."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.cli.output import print_text
from batchrun.engine.engine import Engine
from batchrun.engine.session import open_session
from batchrun.errors import ExitCode
from batchrun.model import Outcome
from batchrun.sandbox import SandboxSettings, running
from batchrun.settings.loading import load_settings
from tests.acceptance.verdict import write_list
from tests.cli.conftest import SPEED

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.engine.progress import Progress
    from tests.cli.commands import CommandLine

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
