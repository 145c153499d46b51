"""Two batches at once on one key keep one quota together."""

from __future__ import annotations

import csv
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from batchrun.sandbox import SandboxSettings, running
from tests.acceptance.sandbox_process import SandboxProcess, batchrun

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 45
SPEED = 10.0


def write_list(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Company ID"])
        writer.writerows([str(uuid.uuid4())] for _ in range(ROWS))


def test_two_processes_on_one_key_overrun_no_window_and_both_finish(tmp_path: Path) -> None:
    """The service says nothing of its quota, so that only the ledger can keep it.

    It takes a few more than the 60 a minute that are sent: a busy machine sends some late.
    """
    settings = SandboxSettings(rate_per_minute=66, silent_quota=True)
    with running(settings, SPEED) as url:
        sandbox = SandboxProcess(url, SPEED)
        env = sandbox.environment(tmp_path)
        for name in ("one", "two"):
            write_list(tmp_path / f"{name}.csv")

        def run(name: str) -> int:
            line = ("run", f"{name}.csv", "-w", "Account Research", "--yes")
            return batchrun(*line, env=env, cwd=tmp_path).returncode

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(run, ["one", "two"])) == [0, 0]
        report = sandbox.report()
    assert report["refused"] == 0
    assert report["triggers_accepted"] == 2 * ROWS
    assert report["lists"] == 2
