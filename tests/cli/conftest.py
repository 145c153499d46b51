from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from batchrun.sandbox import SandboxSettings, running
from tests.cli.commands import CommandLine
from tests.postgres import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEED = 1000.0
ACME = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
BETA = "b1b2c3d4-e5f6-7890-abcd-ef1234567890"
GAMMA = "c1b2c3d4-e5f6-7890-abcd-ef1234567890"


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch that was run once, for all tests that begin after it (the fixture `results`).

    Its journal has absolute paths and the service's address: each test finds it in the same place.
    """

    place: Path
    copy: Path  # what the place held after the run
    port: int  # of the sandbox


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    return Finished(folder / "place", folder / "copy", free_port())


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of all that the command reads and writes."""
    if "results" not in request.fixturenames:
        return tmp_path
    finished: Finished = request.getfixturevalue("finished")
    shutil.rmtree(finished.place, ignore_errors=True)
    if finished.copy.exists():
        shutil.copytree(finished.copy, finished.place)
    return finished.place


@pytest.fixture
def batchrun(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """The command in an empty folder, with a journal of its own and no service."""
    for name in os.environ:
        if name.upper().startswith(("BATCHRUN_", "PGAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BATCHRUN_JOURNAL", str(place / "journal" / "journal.db"))
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "home"))
    monkeypatch.setattr("batchrun.cli.settings.SANDBOX_SPEED", SPEED)
    folder = place / "desk"
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    return CommandLine(folder, monkeypatch, capsys)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, batchrun: CommandLine) -> Iterator[str]:
    """A sandbox without a quota that the command talks to; its base URL."""
    port = 0
    if "results" in request.fixturenames:
        port = request.getfixturevalue("finished").port
    with running(SandboxSettings(rate_per_minute=None), speed=SPEED, port=port) as url:
        batchrun.connect(url, speed=SPEED)
        yield url


@pytest.fixture
def accounts(batchrun: CommandLine) -> Path:
    """A small list: two companies, one of them twice, and a damaged id."""
    path = batchrun.folder / "accounts.csv"
    rows = [
        f"{ACME},Acme,00123",
        f"{BETA},Beta,=1+1",
        f"{ACME.upper()},Acme,",
        "12345678901,Gamma,",
    ]
    path.write_text("\n".join(["Company ID,Name,Code", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def results(batchrun: CommandLine, sandbox: str, accounts: Path, finished: Finished) -> Path:
    """The workbook of the list's finished batch. The sandbox has seen no request yet."""
    if not finished.copy.exists():
        batchrun("run", str(accounts), "-w", "Account Research", "--yes")
        shutil.copytree(finished.place, finished.copy)
    return batchrun.folder / "accounts.results.xlsx"
