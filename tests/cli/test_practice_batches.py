"""Practice batches in the user's own journal are marked, and no trouble for a scheduler."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from batchrun.journal import Journal
from batchrun.sandbox import SandboxSettings, running
from batchrun.sandbox.model import Scope
from batchrun.sandbox.server import PRACTICE_FAIL
from tests.cli.conftest import SPEED
from tests.cli.test_several_batches import login
from tests.docs.pages import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

RUN = ("run", "accounts.csv", "-w", "Account Research", "--yes", "--limit", "1")
VARIABLES = ("BATCHRUN_BASE_URL", "BATCHRUN_SPEED", "PGAI_API_KEY")


@pytest.mark.usefixtures("sandbox")
def test_practice_batches_are_marked(batchrun: CommandLine, accounts: Path) -> None:
    batchrun(*RUN)
    assert "Account Research (practice)" in batchrun("batches").stdout
    assert "Practice:  these results are invented." in batchrun("status").stdout


@pytest.mark.usefixtures("sandbox")
def test_listing_practice_batches_waits_for_no_writer(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun(*RUN)
    place = os.environ["BATCHRUN_JOURNAL"]
    with Journal(place) as journal, closing(sqlite3.connect(place)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        [summary] = journal.batches()
        assert summary.practice


@pytest.mark.usefixtures("sandbox")
def test_resume_all_leaves_practice_alone_when_practicing_is_over(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun(*RUN)
    for name in VARIABLES:
        batchrun.monkeypatch.delenv(name)
    night = batchrun("resume", "--all")
    assert night.exit_code == ExitCode.COMPLETED
    assert "it ran in the sandbox at http://127.0.0.1:" in night.stdout
    assert "batchrun forget" not in night.stdout
    assert "To continue it: batchrun resume 1" in " ".join(night.stdout.split())


@pytest.mark.usefixtures("sandbox")
def test_resume_all_continues_practice_while_practicing(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun(*RUN)
    batchrun.change_batches("unconfirmed = 0")
    assert batchrun("resume", "--all").exit_code == ExitCode.INCOMPLETE  # a damaged ID
    assert "3 completed" in batchrun("status").stdout


def test_a_service_with_a_profile_of_its_own_is_no_practice(
    batchrun: CommandLine, accounts: Path
) -> None:
    """It may be a tunnel to the service."""
    batchrun.monkeypatch.setenv("BATCHRUN_SPEED", str(SPEED))
    with running(SandboxSettings(rate_per_minute=None), speed=SPEED) as url:
        login(batchrun, "north", url)
        batchrun(*RUN, "--profile", "north")
        batchrun.change_batches("unconfirmed = 0")
        assert "practice" not in batchrun("batches").stdout
        assert batchrun("resume", "--all").exit_code == ExitCode.INCOMPLETE


def test_a_gateway_on_this_machine_that_takes_a_real_key_is_no_practice(
    batchrun: CommandLine, accounts: Path
) -> None:
    real = SandboxSettings(rate_per_minute=None, keys={"pgai-4711": frozenset(Scope)})
    with running(real, speed=SPEED) as url:
        batchrun.connect(url, "pgai-4711")
        batchrun(*RUN)
    batchrun.change_batches("unconfirmed = 0")
    assert "ractice" not in batchrun("batches").stdout + batchrun("status").stdout
    batchrun.monkeypatch.delenv("BATCHRUN_BASE_URL")
    night = batchrun("resume", "--all")  # nothing listens at the gateway's address any more
    assert night.exit_code == ExitCode.INCOMPLETE
    assert "Not resumed: batch" not in night.stdout


def test_batches_of_sandbox_need_no_mark(batchrun: CommandLine, accounts: Path) -> None:
    batchrun(*RUN, "--sandbox")
    assert "(practice)" not in batchrun("batches", "--sandbox").stdout


def test_a_sample_contact_fails_in_practice_so_that_there_is_something_to_retry(
    batchrun: CommandLine,
) -> None:
    batchrun.monkeypatch.setattr("batchrun.sandbox.server.PRACTICE_FAIL", PRACTICE_FAIL)
    for name in ("hubspot_contacts.xlsx", "salesforce_accounts.csv"):
        shutil.copy(SAMPLES / name, batchrun.folder)
    run = ("run", "hubspot_contacts.xlsx", "-w", "Contact Research", "--sandbox", "--yes")
    assert "(5 completed, 35 pending)" in batchrun(*run, "--limit", "5").stdout
    ended = batchrun("resume", "--sandbox", "--yes")
    assert "(39 completed, 1 failed)" in ended.stdout
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "40 (40 completed)" in batchrun("retry", "--sandbox", "--yes").stdout
    run = ("run", "salesforce_accounts.csv", "-w", "Account Research", "--sandbox", "--yes")
    assert batchrun(*run).exit_code == ExitCode.COMPLETED  # the README's first command
