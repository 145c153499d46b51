"""LibreOffice without its window: does it open the workbooks, and what does it find in them."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchrun.model import BatchResults
    from batchrun.workbook.cells import Limits
    from batchrun.workbook.form import Form

# comma, quote, UTF-8, first line, …, not as shown but as held, …, every sheet a file of its own:
# "Filter Options for the CSV Filter" in the LibreOffice help
ALL_SHEETS = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
TIMEOUT_SECONDS = 500
REQUIRED = "BATCHRUN_TESTS_NEED_OFFICE"


class Held(NamedTuple):
    """What a workbook was written from, and whether it is to be printed too."""

    results: BatchResults
    shape: Form
    limits: Limits
    printed: bool


@dataclass(slots=True)
class Shelf:
    """The workbooks the tests have written.

    Attributes:
        folder: Where they are.
        held: What is in each that LibreOffice opens.
    """

    folder: Path
    held: dict[Path, Held] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _first: dict[str, str] = field(default_factory=dict)

    def place(self, held: Held, test: pytest.Function) -> Path:
        """A place for one more; of a test's variants, LibreOffice opens those of the first."""
        path = self.folder / f"book{next(self._numbers)}.xlsx"
        if self._first.setdefault(test.originalname, test.name) == test.name:
            self.held[path] = held
        return path


def soffice() -> str:
    """The program, or a skip that says what is missing; in CI that is a failure."""
    found = shutil.which("soffice")
    if found is None:
        message = "LibreOffice (soffice) is not installed"
        if os.environ.get(REQUIRED):
            pytest.fail(message)
        pytest.skip(message)
    return found


def convert(workbooks: list[Path], form: str, folder: Path) -> None:
    """Convert workbooks, all in one go."""
    folder.mkdir()
    profile = (folder / "profile").as_uri()
    command = [soffice(), f"-env:UserInstallation={profile}", "--headless", "--convert-to", form]
    subprocess.run(
        [*command, "--outdir", folder, *workbooks],
        check=True,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
    )


def csv_cells(path: Path) -> list[list[str]]:
    """The cells of a CSV that LibreOffice has written."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))
