"""What a log shows: date and batch of each block, and why rows failed again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchrun.sandbox import SandboxSettings, running
from tests.cli.conftest import SPEED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine


def test_retry_says_why_rows_failed_again(batchrun: CommandLine, accounts: Path) -> None:
    failing = SandboxSettings(rate_per_minute=None, fail=1.0)
    with running(failing, SPEED) as url:
        batchrun.connect(url, speed=SPEED)
        batchrun("run", accounts.name, "-w", "Account Research", "--yes")
    with running(failing, SPEED, urlsplit(url).port or 0):  # one lets a job fail only once
        ended = batchrun("retry", "--yes")
    failed = ended.stdout.partition("Retry:")[0]
    reasons = [line for line in failed.splitlines() if line.startswith("Reason: ")]
    assert reasons
    assert all("row" in line and line.endswith(".") for line in reasons)
    assert any("usually temporary: a retry often helps." in line for line in reasons)
    assert ended.stdout.splitlines()[-1].startswith("Workbook: ")


def test_each_block_in_a_log_begins_with_the_date_and_what_is_run(
    batchrun: CommandLine, accounts: Path
) -> None:
    with running(SandboxSettings(rate_per_minute=None, fail=1.0), speed=SPEED) as url:
        batchrun.connect(url, speed=SPEED)
        blocks = [
            batchrun("run", accounts.name, "-w", "Account Research", "--yes", "--limit", "1"),
            batchrun("resume"),
            batchrun("retry", "--yes"),
            batchrun("resume", "--all"),
        ]
    found = [re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (.+)", each.stdout) for each in blocks]
    said = [found and found[1] for found in found]
    assert said[0] == "Run"
    assert all(each and each.startswith("Batch ") for each in said[1:3])
    assert said[3] == "resume --all"
    assert "\nNothing left to do in the journal" in blocks[3].stdout


def test_a_script_that_captures_the_path_gets_no_date(
    batchrun: CommandLine, accounts: Path, sandbox: str
) -> None:
    ended = batchrun("run", accounts.name, "-w", "Account Research", "--yes", "--quiet")
    assert ended.stdout.splitlines() == [str(accounts.with_name("accounts.results.xlsx"))]
    assert batchrun("retry", "--yes", "--json").stdout.startswith("{")
