"""No output follows a link to a file that does not exist: it would be made elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

RUN = ("run", "accounts.csv", "-w", "account research", "--yes")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links of POSIX")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("out.xlsx", (*RUN, "-o", "out.xlsx")),
        ("out.csv", (*RUN, "-o", "out.csv")),
        ("log.jsonl", (*RUN, "--log-file", "log.jsonl")),
        ("batchrun.toml", (*RUN, "--save-options")),
        ("journal.db", (*RUN, "--journal", "journal.db")),
        ("batchrun-demo.csv", ("demo",)),
    ],
)
@pytest.mark.usefixtures("sandbox", "accounts")
def test_a_dangling_link_is_not_followed(
    batchrun: CommandLine, tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (batchrun.folder / name).symlink_to(elsewhere)
    ended = batchrun(*command)
    assert ended.exit_code == ExitCode.UNUSABLE
    assert not elsewhere.exists()
    assert "link" in ended.stderr


def test_the_demo_overwrites_no_file_that_a_link_leads_to(
    batchrun: CommandLine, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (batchrun.folder / "batchrun-demo.csv").symlink_to(mine)
    assert batchrun("demo").exit_code == ExitCode.UNUSABLE
    assert mine.read_text() == "mine"
