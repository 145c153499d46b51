from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from batchrun.sandbox import SandboxSettings, running
from tests.cli.commands import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEED = 1000.0
ACME = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
BETA = "b1b2c3d4-e5f6-7890-abcd-ef1234567890"
GAMMA = "c1b2c3d4-e5f6-7890-abcd-ef1234567890"


@pytest.fixture
def batchrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """The command in an empty folder, with a journal of its own and no service."""
    for name in os.environ:
        if name.upper().startswith(("BATCHRUN_", "PGAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BATCHRUN_JOURNAL", str(tmp_path / "journal" / "journal.db"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("batchrun.cli.settings.SANDBOX_SPEED", SPEED)
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return CommandLine(folder, monkeypatch, capsys)


@pytest.fixture
def sandbox(batchrun: CommandLine) -> Iterator[str]:
    """A sandbox without a quota that the command talks to; its base URL."""
    with running(SandboxSettings(rate_per_minute=None), speed=SPEED) as url:
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
