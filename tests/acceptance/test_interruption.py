"""Stopped from outside: Ctrl-C once and twice, SIGTERM, a closed terminal, a machine that slept."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from tests.acceptance.barrier import AT_ONCE, FEW_AT_ONCE, sandbox_with_barrier
from tests.acceptance.sandbox_process import SandboxProcess, batchrun, started, status_of
from tests.acceptance.verdict import WORKFLOW, assert_nothing_lost_or_doubled, write_list
from tests.preloaded import COMMAND
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.barrier import Barrier

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

ROWS = 16
TRIGGERS = 8
RUN = ["run", "accounts.csv", "-w", WORKFLOW, "--yes"]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[SandboxProcess, Barrier]]:
    """A sandbox that takes some triggers and holds up the next until the barrier is lifted."""
    write_list(tmp_path / "accounts.csv", ROWS)
    with sandbox_with_barrier() as (sandbox, barrier):
        barrier.hold_after(TRIGGERS)
        yield sandbox, barrier


@pytest.fixture
def sandbox(held: tuple[SandboxProcess, Barrier]) -> SandboxProcess:
    """The same, with nothing held up."""
    sandbox, barrier = held
    barrier.lift()
    return sandbox


def environment(sandbox: SandboxProcess, folder: Path) -> dict[str, str]:
    """Of a run with few triggers on the wire, which collects all that is in flight."""
    return sandbox.environment(folder) | FEW_AT_ONCE | {"BATCHRUN_DRAIN_SECONDS": "100000"}


@contextmanager
def running(
    sandbox: SandboxProcess, folder: Path, *before: str, options: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A run in the middle of its work."""
    with started(
        *before,
        *COMMAND,
        *RUN,
        *options,
        env=environment(sandbox, folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        sandbox.wait_for_triggers(TRIGGERS, process)
        yield process


def read_until(stream: object, words: str) -> str:
    """Read lines until one holds these words."""
    for line in stream:  # type: ignore[attr-defined]  # an open text stream
        if words in line:
            return str(line)
    raise AssertionError(f"the stream ended without {words!r}")


def resume_to_the_end(sandbox: SandboxProcess, folder: Path) -> int:
    """Resume, hold the whole against the sandbox; how many rows are in doubt."""
    env = sandbox.environment(folder)
    resumed = batchrun("resume", env=env, cwd=folder)
    assert resumed.returncode in {ExitCode.COMPLETED, ExitCode.INCOMPLETE}, resumed.stderr
    return assert_nothing_lost_or_doubled(sandbox, env, folder, ROWS)["in doubt"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_one_signal_stops_gently_with_the_workbook_written(
    held: tuple[SandboxProcess, Barrier], tmp_path: Path, name: str
) -> None:
    sandbox, barrier = held
    with running(sandbox, tmp_path) as process:
        process.send_signal(getattr(signal, name))
        if name == "SIGHUP":
            process.send_signal(signal.SIGHUP)  # a shell and the kernel both send it
        read_until(process.stderr, "Stopping: nothing more is sent")
        barrier.lift()
        stdout, stderr = process.communicate()
    assert process.returncode == ExitCode.PAUSED, stderr
    assert "batchrun resume" in stdout
    assert "It was interrupted" in stdout
    assert (tmp_path / "accounts.results.xlsx").exists()
    stopped = status_of(sandbox.environment(tmp_path), tmp_path)
    assert stopped["outcomes"]["in doubt"] == 0
    accepted = sandbox.report()["triggers_accepted"]
    assert TRIGGERS <= accepted <= TRIGGERS + AT_ONCE
    assert stopped["outcomes"]["completed"] == accepted
    assert resume_to_the_end(sandbox, tmp_path) == 0


def test_a_run_under_nohup_outlives_its_terminal(
    held: tuple[SandboxProcess, Barrier], tmp_path: Path
) -> None:
    sandbox, barrier = held
    with running(sandbox, tmp_path, "nohup") as process:
        process.send_signal(signal.SIGHUP)
        barrier.lift()
        _, stderr = process.communicate()
    assert process.returncode == ExitCode.COMPLETED, stderr
    assert sandbox.report()["triggers_accepted"] == ROWS


def test_a_second_ctrl_c_stops_at_once_and_nothing_is_lost(
    held: tuple[SandboxProcess, Barrier], tmp_path: Path
) -> None:
    sandbox, barrier = held
    log, told = tmp_path / "events.jsonl", tmp_path / "told"
    os.mkfifo(told)
    tell = shlex.join(["sh", "-c", f'echo "$BATCHRUN_OUTCOME" > {told}'])
    options = ("--log-file", str(log), "--notify-command", tell)
    with running(sandbox, tmp_path, options=options) as process:
        process.send_signal(signal.SIGINT)
        read_until(process.stderr, "Stopping")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()  # though nobody has read what the command tells
    assert process.returncode == ExitCode.PAUSED
    assert "paying for no other row again: batchrun resume" in " ".join(stderr.split())
    assert "Traceback" not in stderr
    assert told.read_text(encoding="utf-8") == "paused\n"
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    [last] = [event for event in events if event["event"].startswith("batch.aborted")]
    assert last["error"] == "StoppedError"
    barrier.lift()
    assert resume_to_the_end(sandbox, tmp_path) <= AT_ONCE


def test_nine_signals_in_a_row_show_no_traceback(
    held: tuple[SandboxProcess, Barrier], tmp_path: Path
) -> None:
    sandbox, barrier = held
    with running(sandbox, tmp_path) as process:
        for _ in range(9):
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        stdout, stderr = process.communicate()
    assert process.returncode == ExitCode.PAUSED, stderr
    assert "Traceback" not in stdout + stderr
    assert "batchrun resume" in stdout + stderr
    barrier.lift()
    assert resume_to_the_end(sandbox, tmp_path) <= AT_ONCE


def test_ctrl_c_after_the_work_is_done_changes_nothing(
    held: tuple[SandboxProcess, Barrier], tmp_path: Path
) -> None:
    sandbox, barrier = held
    told, go_on = tmp_path / "told", tmp_path / "go_on"
    os.mkfifo(told)
    os.mkfifo(go_on)
    command = shlex.join(["sh", "-c", f"trap '' INT; echo done > {told}; cat {go_on}"])
    with running(sandbox, tmp_path, options=("--notify-command", command)) as process:
        barrier.lift()
        assert told.read_text(encoding="utf-8") == "done\n"
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        go_on.write_text("", encoding="utf-8")
        stdout, stderr = process.communicate()
    assert process.returncode == ExitCode.COMPLETED, stderr
    assert "accounts.results.xlsx" in stdout
    assert "Stopped" not in stdout + stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(
    sandbox: SandboxProcess, tmp_path: Path, closed: str
) -> None:
    command = f"{shlex.join([*COMMAND, *RUN])} {closed}"
    ended = subprocess.run(
        ["sh", "-c", command],
        env=sandbox.environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == ExitCode.COMPLETED, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert sandbox.report()["triggers_accepted"] == ROWS
    assert (tmp_path / "accounts.results.xlsx").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("full", ["stdout", "stderr"])
def test_output_that_nobody_takes_does_no_harm(
    sandbox: SandboxProcess, tmp_path: Path, full: str
) -> None:
    env, pipes = (
        sandbox.environment(tmp_path),
        {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
    )
    with Path("/dev/full").open("w") as taken:
        files = pipes | {full: taken}
        with started(*COMMAND, *RUN, env=env, cwd=tmp_path, **files) as process:
            stdout, stderr = process.communicate()
    assert "Traceback" not in f"{stdout}{stderr}"
    assert sandbox.report()["triggers_accepted"] == ROWS
    assert (tmp_path / "accounts.results.xlsx").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["config"]])
def test_output_on_a_full_disk_is_one_plain_error(tmp_path: Path, words: list[str]) -> None:
    env, pipe = os.environ | {"HOME": str(tmp_path)}, subprocess.PIPE
    with (
        Path("/dev/full").open("w") as full,
        started(*COMMAND, *words, env=env, cwd=tmp_path, stdout=full, stderr=pipe) as process,
    ):
        _, stderr = process.communicate()
    assert stderr.count("The output can't be written: No space left on device.") == 1
    assert "unexpectedly" not in stderr


def test_a_terminal_that_is_closed_stops_gently(
    held: tuple[SandboxProcess, Barrier], tmp_path: Path
) -> None:
    import pty

    sandbox, barrier = held
    ours, its = pty.openpty()
    with started(
        *COMMAND,
        *RUN,
        env=environment(sandbox, tmp_path),
        cwd=tmp_path,
        start_new_session=True,
        stdin=its,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        sandbox.wait_for_triggers(TRIGGERS, process)
        os.close(ours)
        barrier.lift()
        process.wait()
    assert process.returncode == ExitCode.PAUSED
    assert (tmp_path / "accounts.results.xlsx").exists()
    assert resume_to_the_end(sandbox, tmp_path) == 0


def test_ctrl_c_before_anything_began_promises_nothing(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = sandbox.environment(tmp_path)
        env["BATCHRUN_BASE_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with started(
            *COMMAND,
            *RUN,
            env=env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            asked, _ = silent.accept()  # the list of workflows is asked for, and never told
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate()
            asked.close()
    assert process.returncode == ExitCode.INTERRUPTED
    assert stderr == "Stopped before anything was triggered.\n"
    assert "resume" not in stdout


def test_ctrl_c_at_the_question_triggers_nothing(sandbox: SandboxProcess, tmp_path: Path) -> None:
    import pty

    ours, its = pty.openpty()
    with started(
        *COMMAND,
        *RUN[:-1],
        env=sandbox.environment(tmp_path),
        cwd=tmp_path,
        stdin=its,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        read_terminal_until(ours, b"[y/N]: ")
        process.send_signal(signal.SIGINT)
        os.write(ours, b"\n")  # as CTRL_C of tests.acceptance.terminal
        read_terminal_until(ours, b"Stopped before anything was triggered.")
        process.wait()
    os.close(ours)
    assert process.returncode == ExitCode.INTERRUPTED
    assert sandbox.report()["triggers_accepted"] == 0


@pytest.mark.parametrize("answer", ["sandbox", ""], ids=["another key", "none"])
def test_a_key_refused_in_the_middle_is_asked_for_again(
    sandbox: SandboxProcess, tmp_path: Path, answer: str
) -> None:
    import pty

    ours, its = pty.openpty()
    # This key may list workflows, but not trigger them.
    env = sandbox.environment(tmp_path) | {"PGAI_API_KEY": "sandbox-read"}
    with started(
        *COMMAND,
        *RUN,
        "--again",
        env=env,
        cwd=tmp_path,
        start_new_session=True,
        stdin=its,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        seen = read_terminal_until(ours, b"to stop): ")  # the last blank: now it listens
        os.write(ours, f"{answer}\n".encode())
        seen += read_terminal_until(ours, b"Workbook:" if answer else b"Error:")
        process.wait()
    os.close(ours)
    assert b"workflows:execute" in seen
    env["PGAI_API_KEY"] = "sandbox"
    if answer:
        assert process.returncode == ExitCode.COMPLETED
        assert assert_nothing_lost_or_doubled(sandbox, env, tmp_path, ROWS)["completed"] == ROWS
        assert len(json.loads(batchrun("batches", "--json", env=env, cwd=tmp_path).stdout)) == 1
    else:
        assert process.returncode == ExitCode.KEY_REFUSED
        assert sandbox.report()["triggers_accepted"] == 0


def read_terminal_until(terminal: int, words: bytes) -> bytes:
    """What is shown on a terminal until these words are."""
    seen = b""
    while words not in seen:
        seen += os.read(terminal, 1000)
    return seen


def test_a_machine_that_slept_goes_on(held: tuple[SandboxProcess, Barrier], tmp_path: Path) -> None:
    """Stopped and continued: to the process a closed laptop is the same."""
    sandbox, barrier = held
    with running(sandbox, tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        barrier.lift()
        wait_until(
            lambda: not any(sandbox.report()["executions"][s] for s in ("queued", "running"))
        )
        process.send_signal(signal.SIGCONT)
        _, stderr = process.communicate()
    assert process.returncode == ExitCode.COMPLETED, stderr
    outcomes = assert_nothing_lost_or_doubled(
        sandbox, sandbox.environment(tmp_path), tmp_path, ROWS
    )
    assert outcomes == Counter(completed=ROWS)
