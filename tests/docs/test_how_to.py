"""Every command of the tutorial and the how-to is run, section by section, as it stands there."""

from __future__ import annotations

import io
import shutil
import sys
from typing import TYPE_CHECKING

import openpyxl
import pandas as pd
import pytest

from batchrun.errors import ExitCode
from tests.cli.test_deciding import Terminal
from tests.docs.pages import DOCS, SAMPLES, Page, Section

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine
    from tests.cli.conftest import Beginning

ROWS, BEGUN = 6, 4
AS_IT_SHOULD = {ExitCode.COMPLETED, ExitCode.INCOMPLETE, ExitCode.PAUSED}
NEVER_ENDS = {"sandbox", "web"}


def sections(name: str) -> list[object]:
    page = Page(DOCS / name)
    return [
        pytest.param(section, id=f"{name}:{title}")
        for title, section in page.sections().items()
        if section.commands
    ]


@pytest.fixture
def desk(
    batchrun: CommandLine,
    sandbox_with_failures: str,
    beginnings: dict[str, Beginning],
    monkeypatch: pytest.MonkeyPatch,
) -> CommandLine:
    """The lists that the pages speak of, a batch that has begun, and somebody who says yes."""
    beginning = beginnings["desk"]
    if not beginning.copy.exists():
        prepare(batchrun, monkeypatch)
        beginning.keep()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n" * 20))
    return batchrun


def prepare(batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SAMPLES, batchrun.folder / "sample_data")
    rows = pd.read_excel(SAMPLES / "hubspot_contacts.xlsx", dtype=str, engine="calamine")
    few = rows[["Record ID", "Company ID", "Email"]].head(ROWS).assign(Industry="cloud")
    for name in ("accounts", "accounts-corrected", "november", "december"):
        few.assign(Month=name).to_excel(batchrun.folder / f"{name}.xlsx", index=False)
    batchrun("run", "accounts.xlsx", "-w", "Account Research", "--yes", "--limit", str(BEGUN))
    mark_a_row(batchrun.folder / "accounts.results.xlsx")
    keep_a_key("north", batchrun, monkeypatch)


def keep_a_key(profile: str, batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `login` does at a terminal, where the key is typed unseen."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("sandbox\n"))
    assert batchrun("login", "--profile", profile).exit_code == ExitCode.COMPLETED


def mark_a_row(workbook: Path) -> None:
    book = openpyxl.load_workbook(workbook)
    sheet = book["Results"]
    column = next(cell.column for cell in sheet[1] if cell.value == "run again")
    sheet.cell(2, column).value = "x"
    book.save(workbook)


@pytest.mark.parametrize("section", [*sections("how-to.md"), *sections("tutorial.md")])
def test_the_commands_of_a_section_do_their_work(section: Section, desk: CommandLine) -> None:
    if section.configuration:
        path = desk.folder / "batchrun.toml"
        path.write_text(section.configuration, encoding="utf-8")
    for words in section.commands:
        if words[0] not in NEVER_ENDS:
            ended = desk(*words)
            assert ended.exit_code in AS_IT_SHOULD, f"batchrun {' '.join(words)}\n{ended.stderr}"
