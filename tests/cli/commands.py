"""The command line, called in this process as a user would call it."""

from __future__ import annotations

import functools
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import typer

from batchrun.cli import main

if TYPE_CHECKING:
    from pathlib import Path


COMMAND_OF = functools.cache(typer.main.get_command)
"""A process makes its one command from our functions once."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A folder of one's own, an environment without anybody's settings, and the command."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Ended:
        self.monkeypatch.setattr(sys, "argv", ["batchrun", *arguments])
        self.monkeypatch.setattr("typer.main.get_command", COMMAND_OF)
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    def connect(self, base_url: str, key: str = "sandbox", speed: float = 300.0) -> None:
        """Talk to this service from now on."""
        self.monkeypatch.setenv("BATCHRUN_BASE_URL", base_url)
        self.monkeypatch.setenv("BATCHRUN_SPEED", str(speed))
        self.monkeypatch.setenv("PGAI_API_KEY", key)

    def change_batches(self, change: str) -> None:
        """Change all batches in the journal; the change is SQL, such as ``unconfirmed = 0``."""
        with closing(sqlite3.connect(self.folder.parent / "journal" / "journal.db")) as journal:
            journal.execute(f"UPDATE batches SET {change}")
            journal.commit()
