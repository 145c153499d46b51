"""The sandbox and the command line as processes, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.preloaded import COMMAND, Popen
from tests.waiting import BETWEEN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A running `batchrun sandbox`."""

    base_url: str
    speed: float

    def report(self) -> dict[str, Any]:
        """What the sandbox itself counted."""
        root = self.base_url.removesuffix("/v1")
        # Asked every few milliseconds: an HTTP client of its own would take most of the time.
        with NO_PROXY.open(f"{root}/sandbox/report", timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def wait_for_triggers(self, number: int, process: subprocess.Popen[str]) -> None:
        """Return once this many triggers were accepted; the process must not have ended by then."""
        while self.report()["triggers_accepted"] < number:
            with suppress(subprocess.TimeoutExpired):
                process.wait(BETWEEN_SECONDS)
                raise AssertionError("the run ended too early")

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables for a command line that talks to this sandbox with a journal of its own."""
        return clean_environment() | {
            "PGAI_API_KEY": "sandbox",
            "BATCHRUN_BASE_URL": self.base_url,
            "BATCHRUN_SPEED": str(self.speed),
            "BATCHRUN_JOURNAL": str(folder / "journal.db"),
            "XDG_STATE_HOME": str(folder / "state"),
        }


def clean_environment() -> dict[str, str]:
    """This process's environment without anything batchrun reads."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BATCHRUN_", "PGAI_"))
    }


@contextmanager
def started(*command: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process; it doesn't outlive the block, else a test that fails would wait for it."""
    with Popen(command, text=True, **how) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def sandbox_process(
    *options: str, speed: float = 200.0, popen: type[subprocess.Popen[str]] = Popen
) -> Iterator[SandboxProcess]:
    """Start `batchrun sandbox` on a free port and stop it afterwards."""
    command = [*COMMAND, "sandbox", "--port", "0", "--speed", str(speed), *options]
    with popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+/v1", process.stdout.readline())
            assert url is not None
            yield SandboxProcess(url[0], speed)
        finally:
            process.terminate()
            process.wait()


def batchrun(*arguments: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(*COMMAND, *arguments, env=env, cwd=cwd, **quiet) as process:
        stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def status_of(env: dict[str, str], cwd: Path) -> dict[str, Any]:
    """What `batchrun status --json` says."""
    found: dict[str, Any] = json.loads(batchrun("status", "--json", env=env, cwd=cwd).stdout)
    return found
