"""The key is in no file, no output and no traceback, whatever goes wrong on the way."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.sandbox.model import SandboxSettings, Scope
from tests.acceptance.barrier import FEW_AT_ONCE, sandbox_with_barrier
from tests.acceptance.sandbox_process import SandboxProcess, batchrun, started
from tests.acceptance.verdict import WORKFLOW, write_list
from tests.preloaded import COMMAND
from tests.sandbox.faults import Faults
from tests.service.misbehaving import ScriptedServer, answering

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-5up3r-s3cr3t-k3y-0123456789"
SHAPES = [KEY.encode(), base64.b64encode(KEY.encode()), KEY.encode("utf-16-le"), KEY[::-1].encode()]


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and every file inside a workbook."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        yield str(path), path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path}/{name}", archive.read(name)


def assert_nowhere(folder: Path, *said: str) -> None:
    found = list(contents(folder))
    assert len(found) > 10  # a workbook alone holds as many
    assert [name for name, content in found for shape in SHAPES if shape in content] == []
    assert KEY not in "".join(said)


def test_a_full_run_with_faults_a_kill_and_every_export_leaves_no_key(tmp_path: Path) -> None:
    write_list(tmp_path / "accounts.csv", 60)
    faults = Faults(reset=0.1, error=0.1, throttle=0.1, garbage=0.1)
    settings = SandboxSettings(rate_per_minute=None, fail=0.1, keys={KEY: frozenset(Scope)})
    (tmp_path / "home").mkdir()
    said = ""
    with sandbox_with_barrier(settings, faults) as (sandbox, barrier):
        barrier.hold_after(30)
        env = sandbox.environment(tmp_path) | {"PGAI_API_KEY": KEY, "BATCHRUN_DEBUG": "1"}
        env |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)} | FEW_AT_ONCE
        run = [*COMMAND, "run", "accounts.csv", "-w", WORKFLOW, "--yes"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(run, env=env, cwd=tmp_path, text=True, **pipes) as process:
            sandbox.wait_for_triggers(10, process)
            if sys.platform == "linux":  # what others on the machine can see
                shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
                assert b"accounts.csv" in shown
                assert KEY.encode() not in shown
            process.kill()
            said += process.communicate()[0]
        barrier.lift()
        for arguments in (
            ["resume", "--in-doubt", "hold"],
            ["status"],
            ["status", "--json"],
            ["export", "-o", "out.csv"],
            ["export", "-o", "out.jsonl"],
            ["export", "-o", "out.xlsx"],
        ):
            ended = batchrun(*arguments, env=env, cwd=tmp_path)
            said += ended.stdout + ended.stderr
    assert process.returncode == -signal.SIGKILL
    assert_nowhere(tmp_path, said)


@pytest.mark.parametrize(
    "answer",
    [
        answering("500 Internal Server Error", {"error": f"Key {KEY} broke me"}),
        answering("401 Unauthorized", {"error": {"message": f"{KEY} is not known"}}),
        answering("200 OK", f"<html><title>{KEY}</title>".encode()),
        answering("302 Found", b"", [("Location", f"https://else.example/?key={KEY}")]),
    ],
    ids=["500", "401", "no JSON", "redirect"],
)
def test_a_traceback_asked_for_shows_no_key(tmp_path: Path, answer: object) -> None:
    write_list(tmp_path / "accounts.csv", 3)
    with ScriptedServer(answer) as server:  # type: ignore[arg-type]  # a behaviour
        env = SandboxProcess(server.url, 1).environment(tmp_path)
        env |= {"PGAI_API_KEY": KEY, "BATCHRUN_DEBUG": "1"}
        arguments = ["run", "accounts.csv", "-w", WORKFLOW, "--yes"]
        ended = batchrun(*arguments, env=env, cwd=tmp_path)
    assert ended.returncode != 0
    assert 'File "' in details(tmp_path)
    assert KEY not in ended.stdout + ended.stderr + details(tmp_path)


def details(folder: Path) -> str:
    """What `--debug` has written, for this user alone."""
    [file] = (folder / "state").rglob("batchrun-*.txt")
    assert file.stat().st_mode & 0o777 == 0o600
    return file.read_text(encoding="utf-8")


def test_an_unexpected_error_shows_no_values_of_variables(tmp_path: Path) -> None:
    script = (
        "import batchrun.batch.pipeline, batchrun.service.client as client, sys\n"
        "def broken(self, *_, **__): raise RuntimeError('a defect')\n"
        "client.Client._exchange = broken\n"
        "from batchrun.cli import main\n"
        "sys.argv = ['batchrun', 'workflows']\n"
        "main()\n"
    )
    env = SandboxProcess("http://127.0.0.1:9/v1", 1).environment(tmp_path)
    env |= {"PGAI_API_KEY": KEY}
    for debug in ({}, {"BATCHRUN_DEBUG": "1"}):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-c", script]
        with started(*command, env=env | debug, cwd=tmp_path, **pipes) as process:
            stdout, stderr = process.communicate()
        assert "a defect" in stderr
        assert "Traceback" not in stderr
        assert KEY not in stdout + stderr
    assert "in broken" in details(tmp_path)
    assert KEY not in details(tmp_path)
