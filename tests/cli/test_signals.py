"""Signals while a batch runs, also those of other systems."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from batchrun import workbook
from batchrun.batch.control import Control
from batchrun.cli.signals import Stopper
from batchrun.errors import ExitCode, StoppedError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

BATCH = "1124-accounts-7f3a"


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX signal stands for Windows' own")
def test_ctrl_break_and_a_closed_window_stop_gently_and_then_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Windows tells both by SIGBREAK; it knows neither SIGHUP nor SIGUSR1."""
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    monkeypatch.delattr(signal, "SIGHUP")
    said: list[str] = []
    control = Control()
    stopper = Stopper(control, said.append, drain_seconds=2)

    async def work() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        control.attach(BATCH, lambda: loop.call_soon_threadsafe(stopped.set))
        os.kill(os.getpid(), signal.SIGUSR1)
        await stopped.wait()  # the handler woke the loop, which waited for nothing else
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.Event().wait()

    with stopper.listening(), pytest.raises(StoppedError) as ended:
        stopper.run(work())
    assert ended.value.exit_code == ExitCode.PAUSED
    [stopping] = said
    assert "are collected for up to 2 s;" in stopping
    assert f"paying for no other row again: batchrun resume {BATCH}" in str(ended.value)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX's")
def test_ctrl_c_during_printing_still_prints_its_message() -> None:
    said: list[str] = []
    printing = [RuntimeError("reentrant call")]
    control = Control()

    def say(text: str) -> None:
        if printing:
            raise printing.pop()
        said.append(text)

    async def work() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        control.attach(BATCH, lambda: loop.call_soon_threadsafe(stopped.set))
        os.kill(os.getpid(), signal.SIGINT)
        await stopped.wait()

    stopper = Stopper(control, say)
    with stopper.listening():
        stopper.run(work())
    assert [text.partition(":")[0] for text in said] == ["Stopping"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX's")
@pytest.mark.parametrize(
    ("command", "times", "name"),
    [
        ("run", 1, "SIGINT"),
        ("run", 2, "SIGTERM"),
        ("resume", 2, "SIGINT"),
        ("resume", 1, "SIGTERM"),
    ],
)
def test_a_signal_while_the_workbook_is_written_changes_no_ending(
    batchrun: CommandLine, sandbox: str, accounts: Path, *, command: str, times: int, name: str
) -> None:
    words: tuple[str, ...] = ("run", accounts.name, "-w", "Account Research", "--yes")
    if command == "resume":
        assert batchrun(*words, "--limit", "1").exit_code == ExitCode.PAUSED
        words = ("resume",)
    write, sent = workbook.write, []

    def signalled(*arguments: object, **options: object) -> object:
        for _ in range(times):
            os.kill(os.getpid(), getattr(signal, name))
            sent.append(name)
        return write(*arguments, **options)  # type: ignore[arg-type]  # as they were given

    batchrun.monkeypatch.setattr(workbook, "write", signalled)
    ended = batchrun(*words)
    assert len(sent) == times
    assert ended.exit_code == ExitCode.INCOMPLETE  # the list has a damaged id
    assert "accounts.results.xlsx" in ended.stdout
    assert "Stopped" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert (batchrun.folder / "accounts.results.xlsx").exists()
