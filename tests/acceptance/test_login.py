"""`batchrun login` in a terminal: the key is typed unseen, and found only where it is kept."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrun.sandbox.model import SandboxSettings, Scope
from batchrun.sandbox.server import running
from tests.acceptance.sandbox_process import SandboxProcess, batchrun, started
from tests.acceptance.test_secrets import KEY, SHAPES, contents
from tests.preloaded import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

pexpect = pytest.importorskip("pexpect", reason="there are no pseudo-terminals here")

SPEED = 200.0


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running(SandboxSettings(keys={KEY: frozenset(Scope)}), SPEED) as url:
        yield SandboxProcess(url, SPEED)


def environment(sandbox: SandboxProcess, folder: Path) -> dict[str, str]:
    """A user's, who has no key in it."""
    found = sandbox.environment(folder) | {"XDG_CONFIG_HOME": str(folder / "home"), "TERM": "dumb"}
    del found["PGAI_API_KEY"]
    return found


def holding(folder: Path) -> list[str]:
    """The files below a folder that hold the key, in any shape."""
    return [name for name, content in contents(folder) for shape in SHAPES if shape in content]


def test_the_key_is_typed_unseen_and_kept_in_one_place_until_logout(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    env = environment(sandbox, tmp_path)
    child = pexpect.spawn(
        sys.executable,
        ["-m", "batchrun", "login"],
        env=env,
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=60,
    )
    child.expect(r"not shown\)")
    arguments = Path(f"/proc/{child.pid}/cmdline")
    if sys.platform == "linux":
        assert KEY.encode() not in arguments.read_bytes()
    child.sendline(KEY)
    child.expect(pexpect.EOF)
    child.close()
    said = str(child.before)
    assert child.exitstatus == 0, said
    assert f"…{KEY[-4:]}" in said

    kept = tmp_path / "home" / "batchrun" / "profiles.json"
    assert holding(tmp_path) == [str(kept)]
    if os.name == "posix":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    for arguments_ in (["workflows"], ["config"], ["config", "--json"], ["doctor"], ["logout"], []):
        ended = batchrun(*arguments_, env=env, cwd=tmp_path)
        assert ended.returncode == 0, ended
        said += ended.stdout + ended.stderr
    assert KEY not in said
    assert holding(tmp_path) == []


def test_nothing_typed_keeps_nothing(tmp_path: Path, sandbox: SandboxProcess) -> None:
    env = environment(sandbox, tmp_path)
    # Enter, Ctrl-C (with Enter, as CTRL_C of tests.acceptance.terminal), Ctrl-D
    for leave, code in (("\r", 2), ("\x03\r", 130), ("\x04", 2)):
        child = pexpect.spawn(
            sys.executable, ["-m", "batchrun", "login"], env=env, cwd=str(tmp_path), timeout=60
        )
        child.expect(r"not shown\)")
        child.send(leave)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
    assert not (tmp_path / "home").exists()


def test_a_key_that_is_piped_in_is_not_told(tmp_path: Path, sandbox: SandboxProcess) -> None:
    env = environment(sandbox, tmp_path)
    for key, code in ((KEY, 0), (f"{KEY}-wrong", 5), (f"{KEY} and more", 5)):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with started(*COMMAND, "login", env=env, cwd=tmp_path, **pipes) as process:
            stdout, stderr = process.communicate(f"{key}\n")
        assert process.returncode == code
        assert KEY not in stdout + stderr


@pytest.mark.parametrize("debug", [{}, {"BATCHRUN_DEBUG": "1"}], ids=["plain", "debug"])
def test_a_defect_while_a_key_is_kept_shows_no_key(
    tmp_path: Path, sandbox: SandboxProcess, debug: dict[str, str]
) -> None:
    script = (
        "import sys, batchrun.settings.profiles as profiles\n"
        "def broken(self, changed): raise RuntimeError('a defect')\n"
        "profiles.Profiles._change = broken\n"
        "from batchrun.cli import main\n"
        "sys.argv = ['batchrun', 'login']\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(sandbox, tmp_path) | debug,
        cwd=tmp_path,
        input=f"{KEY}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "a defect" in ended.stderr
    assert KEY not in ended.stdout + ended.stderr
    assert holding(tmp_path) == []
