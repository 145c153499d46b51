"""`retry` says why rows have failed again; the workbook's path stays the last line of output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.sandbox import SandboxSettings, running
from tests.cli.conftest import SPEED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine


def test_retry_says_why_rows_failed_again(batchrun: CommandLine, accounts: Path) -> None:
    with running(SandboxSettings(rate_per_minute=None, fail=1.0), speed=SPEED) as url:
        batchrun.connect(url, speed=SPEED)
        batchrun("run", accounts.name, "-w", "Account Research", "--yes")
        ended = batchrun("retry", "--yes")
    reasons = [line for line in ended.stderr.splitlines() if line.startswith("Again: ")]
    assert reasons
    assert all("row" in line and line.endswith(".") for line in reasons)
    assert ended.stdout.splitlines()[-1].startswith("Workbook: ")
