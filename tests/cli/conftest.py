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
class Beginning:
    """What a fixture prepares once for all tests that start from it.

    Journals contain absolute paths and the service's address, so both are the same for each test.
    """

    place: Path
    copy: Path  # a copy of the place as prepared
    port: int  # the port of the sandbox

    def restore(self) -> None:
        """Empty the place and restore the prepared files."""
        shutil.rmtree(self.place, ignore_errors=True)
        if self.copy.exists():
            shutil.copytree(self.copy, self.place)

    def keep(self) -> None:
        """Copy the prepared files."""
        shutil.copytree(self.place, self.copy)


@pytest.fixture(scope="session")
def beginnings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Beginning]:
    """What fixtures prepare once, by the names of these fixtures."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("results", "desk")}
    return {
        name: Beginning(folder / "place", folder / "copy", free_port())
        for name, folder in folders.items()
    }


@pytest.fixture
def beginning(request: pytest.FixtureRequest, beginnings: dict[str, Beginning]) -> Beginning | None:
    """What this test starts from, if another test may have prepared it."""
    return next((beginnings[name] for name in beginnings if name in request.fixturenames), None)


@pytest.fixture
def place(beginning: Beginning | None, tmp_path: Path) -> Path:
    """The folder of everything that the command reads and writes."""
    if beginning is None:
        return tmp_path
    beginning.restore()
    return beginning.place


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
    monkeypatch.setattr("batchrun.sandbox.server.PRACTICE_SPEED", SPEED)
    monkeypatch.setattr("batchrun.sandbox.server.PRACTICE_FAIL", 0.0)  # IDs are random
    folder = place / "desk"
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    return CommandLine(folder, monkeypatch, capsys)


@pytest.fixture
def sandbox(
    request: pytest.FixtureRequest, beginning: Beginning | None, batchrun: CommandLine
) -> Iterator[str]:
    """A sandbox without a quota that the command talks to; its base URL."""
    quick = SandboxSettings(rate_per_minute=None)
    port = 0 if beginning is None else beginning.port
    if "results" in request.fixturenames and beginning and not beginning.copy.exists():
        with running(quick, speed=SPEED, port=port) as url:  # the test gets a new one
            batchrun.connect(url, speed=SPEED)
            finished = str(write_accounts(batchrun.folder))
            batchrun("run", finished, "-w", "Account Research", "--yes")
        beginning.keep()
    with running(quick, speed=SPEED, port=port) as url:
        batchrun.connect(url, speed=SPEED)
        yield url


@pytest.fixture
def accounts(batchrun: CommandLine) -> Path:
    """A small list: two companies, one of them twice, and a damaged id."""
    return write_accounts(batchrun.folder)


def write_accounts(folder: Path) -> Path:
    path = folder / "accounts.csv"
    rows = [
        f"{ACME},Acme,00123",
        f"{BETA},Beta,=1+1",
        f"{ACME.upper()},Acme,",
        "12345678901,Gamma,",
    ]
    path.write_text("\n".join(["Company ID,Name,Code", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def results(batchrun: CommandLine, sandbox: str, accounts: Path) -> Path:
    """The workbook of the list's finished batch. The sandbox has seen no request yet."""
    return batchrun.folder / "accounts.results.xlsx"
