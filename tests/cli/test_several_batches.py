"""`resume --all`: what stops one batch stops those it would stop as well, and no others."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.cli import runner
from batchrun.cli.progress import ProgressPrinter
from batchrun.errors import ExitCode
from batchrun.journal import Journal
from batchrun.model import Outcome
from batchrun.sandbox.model import SandboxService, SandboxSettings, Scope
from batchrun.sandbox.server import SandboxClock, create_app, running_app
from batchrun.settings.profiles import stored_profiles
from tests.cli.conftest import SPEED
from tests.cli.test_json import assert_described
from tests.engine.faults import Fault, faulty_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from functools import partial

    from batchrun.engine.progress import Progress
    from tests.cli.commands import CommandLine

SLOW, MORNING = 100.0, 1_795_514_400.0
"""The service's speed, and its start at 10:00 UTC, so that no day ends during a test."""
KEYS = {name: f"sk-workspace-{name}-000000" for name in ("north", "south")}


@pytest.fixture
def service(batchrun: CommandLine) -> Iterator[str]:
    """A service with two workspaces, each with 14 requests a day."""
    keys = {key: frozenset(Scope) for key in KEYS.values()}
    settings = SandboxSettings(rate_per_minute=600, daily=14, run_median_seconds=10, keys=keys)
    batchrun.monkeypatch.setenv("BATCHRUN_SPEED", str(SLOW))
    clock = SandboxClock(SLOW, MORNING)
    with running_app(create_app(SandboxService(settings, clock()), clock)) as url:
        yield url


def login(batchrun: CommandLine, profile: str, url: str, key: str = "sandbox") -> None:
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO(f"{key}\n"))
    options = ("--profile", profile, "--base-url", url, "--no-check", "--in-file")
    assert batchrun("login", *options).exit_code == ExitCode.COMPLETED
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO())


def begin(batchrun: CommandLine, profile: str, rows: int) -> str:
    """Begin a batch of a list of its own with one job; the batch's id."""
    path = batchrun.folder / f"{profile}-{uuid.uuid4().hex[:6]}.csv"
    ids = [str(uuid.uuid4()) for _ in range(rows)]
    path.write_text("\n".join(["Company ID", *ids]), encoding="utf-8")
    options = ("--yes", "--limit", "1", "--profile", profile, "--json")
    ended = batchrun("run", path.name, "-w", "Account Research", *options)
    assert ended.exit_code == ExitCode.PAUSED, ended.stderr
    batchrun.change_batches("unconfirmed = 0")
    return str(json.loads(ended.stdout)["batch"])


def completed(batchrun: CommandLine, batch_id: str) -> int:
    return int(json.loads(batchrun("status", batch_id, "--json").stdout)["outcomes"]["completed"])


def test_a_spent_quota_stops_the_batches_with_the_same_key(
    batchrun: CommandLine, service: str
) -> None:
    for profile, key in KEYS.items():
        login(batchrun, profile, service, key)
    long, behind = begin(batchrun, "north", 9), begin(batchrun, "north", 2)
    other = begin(batchrun, "south", 3)
    ended = batchrun("resume", "--all")
    assert ended.exit_code == ExitCode.PAUSED
    assert f"Not resumed now: {behind} (the same key as {long})" in ended.stderr
    assert completed(batchrun, long) < 9
    assert completed(batchrun, behind) == 1
    assert completed(batchrun, other) == 3


def test_a_refused_key_stops_the_batches_with_the_same_key(
    batchrun: CommandLine, service: str
) -> None:
    for profile, key in KEYS.items():
        login(batchrun, profile, service, key)
    first, behind = begin(batchrun, "north", 2), begin(batchrun, "north", 3)
    other = begin(batchrun, "south", 3)
    login(batchrun, "north", service, "sk-that-was-revoked-0000")
    ended = batchrun("resume", "--all")
    assert ended.exit_code == ExitCode.KEY_REFUSED
    assert f"Error: batch {first}: The service refuses the key" in ended.stderr
    assert f"Not resumed now: {behind} (the same key as {first})" in ended.stderr
    assert completed(batchrun, other) == 3


def test_a_service_out_of_reach_stops_its_batches_whatever_their_key(
    batchrun: CommandLine, service: str
) -> None:
    with faulty_sandbox() as (gone, _):
        for profile in ("east", "west"):
            login(batchrun, profile, gone)
        first, behind = begin(batchrun, "east", 2), begin(batchrun, "west", 2)
    login(batchrun, "south", service, KEYS["south"])
    other = begin(batchrun, "south", 3)
    ended = batchrun("resume", "--all")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert f"Not resumed now: {behind} (the same service as {first})" in ended.stderr
    assert "waiting for the quota" not in ended.stdout.partition(other)[0]
    assert completed(batchrun, other) == 3


def test_a_list_of_failures_stops_no_other_batch(batchrun: CommandLine) -> None:
    """A list that comes to nothing each night would keep all behind it from ever being sent."""
    batchrun.monkeypatch.setenv("BATCHRUN_SPEED", str(SPEED))
    with faulty_sandbox() as (url, sandbox):
        login(batchrun, "east", url)
        first, other = begin(batchrun, "east", 60), begin(batchrun, "east", 3)
        sandbox.meet(*[Fault(400, {"error": "company is archived"})] * 10)
        ended = batchrun("resume", "--all")
        assert ended.exit_code == ExitCode.INCOMPLETE
        assert "Not resumed now" not in ended.stderr
        assert completed(batchrun, first) < 50
        assert completed(batchrun, other) == 3


def test_a_profile_that_is_deleted_stops_its_own_batch_alone(
    batchrun: CommandLine, service: str
) -> None:
    for profile, key in KEYS.items():
        login(batchrun, profile, service, key)
    first, other = begin(batchrun, "north", 2), begin(batchrun, "south", 3)
    stored_profiles().drop("north")
    ended = batchrun("resume", "--all")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert f"Error: batch {first}: Batch {first} was started with profile north" in ended.stderr
    assert completed(batchrun, first) == 1
    assert completed(batchrun, other) == 3


def test_each_batch_has_its_line_of_json_however_it_ends(
    batchrun: CommandLine, service: str, tmp_path: Path
) -> None:
    for profile, key in KEYS.items():
        login(batchrun, profile, service, key)
    deleted, held = begin(batchrun, "north", 2), begin(batchrun, "south", 2)
    good = begin(batchrun, "south", 2)
    stored_profiles().drop("north")
    with Journal(str(tmp_path / "journal" / "journal.db")) as journal, journal.hold(held):
        ended = batchrun("resume", "--all", "--json")
    lines = ended.stdout.splitlines()
    documents = [
        assert_described(replace(ended, stdout=line), name)
        for line, name in zip(lines, ["batch_error", "batch_error", "run"], strict=True)
    ]
    assert [(one["batch"], one["exit_code"]) for one in documents] == [
        (deleted, ExitCode.UNUSABLE),
        (held, ExitCode.PAUSED),
        (good, ExitCode.COMPLETED),
    ]
    assert "was started with profile north" in documents[0]["error"]["what"]


def test_an_unexpected_error_in_one_batch_stops_no_other(
    batchrun: CommandLine, service: str, tmp_path: Path
) -> None:
    batchrun.monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    login(batchrun, "south", service, KEYS["south"])
    first, other = begin(batchrun, "south", 2), begin(batchrun, "south", 3)
    continue_batch = runner.continue_batch

    def broken(begin: partial[object], *how: Any, **more: Any) -> None:
        if begin.args == (first,):
            raise RecursionError("too deep")
        continue_batch(begin, *how, **more)  # type: ignore[arg-type]  # what it was given

    batchrun.monkeypatch.setattr("batchrun.cli.commands_run.continue_batch", broken)
    ended = batchrun("resume", "--all", "--debug")
    assert ended.exit_code == ExitCode.UNEXPECTED
    assert f"Error: batch {first}: batchrun failed unexpectedly (RecursionError" in ended.stderr
    assert "Traceback" not in ended.stderr
    [details] = re.findall("^Details:   (.*)$", ended.stderr, re.MULTILINE)
    assert "RecursionError: too deep" in Path(details).read_text(encoding="utf-8")
    assert completed(batchrun, other) == 3
    assert completed(batchrun, first) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX's")
@pytest.mark.parametrize("left_when_stopped", [8, 0])
def test_ctrl_c_stops_all_batches_even_at_the_end_of_one(
    batchrun: CommandLine, left_when_stopped: int
) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_SPEED", str(SPEED))
    batchrun.monkeypatch.setenv("BATCHRUN_DRAIN_SECONDS", "9000")
    show, interrupted = ProgressPrinter.show, list[int]()

    def interrupt(self: ProgressPrinter, progress: Progress) -> None:
        show(self, progress)
        left = progress.counts[Outcome.PENDING] - progress.in_flight
        if not interrupted and progress.in_flight and left <= left_when_stopped:
            interrupted.append(left)
            os.kill(os.getpid(), signal.SIGINT)

    with faulty_sandbox() as (url, _):
        for profile in ("east", "west"):
            login(batchrun, profile, url)
        first, other = begin(batchrun, "east", 9), begin(batchrun, "west", 3)
        batchrun.monkeypatch.setattr(ProgressPrinter, "show", interrupt)
        ended = batchrun("resume", "--all")
        assert interrupted
        assert ended.exit_code == ExitCode.PAUSED
        assert f"Not resumed now: {other}\n" in ended.stderr
        assert completed(batchrun, other) == 1
        if not left_when_stopped:
            assert completed(batchrun, first) == 9
