"""The examples of the README and of docs/ are run, one after the other, against the sandbox."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import shutil
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

import batchrun
from batchrun.sandbox import SandboxSettings, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "```python\n" in page.read_text(encoding="utf-8")
]
SPEED = 300.0
LISTS = ("accounts.xlsx", "accounts.csv")
"""Names that the pages give to a reader's own lists."""


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of one's own, and a sandbox."""
    for name in os.environ:
        if name.startswith(("BATCHRUN_", "PGAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    for name in LISTS:
        shutil.copy(ROOT / "sample_data" / "hubspot_contacts.xlsx", tmp_path / name)
    monkeypatch.setenv("BATCHRUN_JOURNAL", str(tmp_path / "journal.db"))
    with running(SandboxSettings(rate_per_minute=None), speed=SPEED) as url:
        monkeypatch.setenv("BATCHRUN_BASE_URL", url)
        monkeypatch.setenv("BATCHRUN_SPEED", str(SPEED))
        monkeypatch.setenv("PGAI_API_KEY", "sandbox")
        yield


def examples(page: Path) -> list[tuple[int, str]]:
    """A page's Python, each block with the line it begins on."""
    blocks = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [
        (block.map[0] + 1, block.content)
        for block in blocks
        if block.type == "fence" and block.info == "python" and block.map is not None
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, source in examples(page):
        text = "\n" * line + source  # so that a failure names the page's own line
        code = compile(text, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        ended = FunctionType(code, names)()
        if inspect.isawaitable(ended):
            asyncio.run(_awaited(ended))
    said = capsys.readouterr().out
    as_before = (ROOT / "sample_data" / "hubspot_contacts.xlsx").read_bytes()
    assert [name for name in LISTS if Path(name).read_bytes() != as_before] == []
    if page.name == "python.md":
        for words in ("<Progress 3 of 3 rows (3 completed), 0 running>", "There is no file"):
            assert words in said


async def _awaited(ended: Any) -> None:
    await ended


def test_every_public_name_is_on_the_page() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    types = {"Client", "ColumnQuestion", "Credits", "Crm", "Ending", "Estimate", "InDoubt", "Rerun"}
    shown = types | {"Settings"}  # by their use
    assert [name for name in batchrun.__all__ if name not in page and name not in shown] == []
