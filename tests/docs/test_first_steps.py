"""The README's commands work when they are typed in order in an empty home."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from batchrun.sandbox import running
from batchrun.sandbox.server import PRACTICE_FAIL
from tests.cli.test_deciding import Terminal
from tests.docs.pages import DOCS, ROOT, SAMPLES, Page
from tests.docs.test_how_to import AS_IT_SHOULD, NEVER_ENDS

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

README = Page(ROOT / "README.md")


@pytest.fixture
def clone(batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A clone in an empty home: the sample lists, no key, no batch, and a user who answers yes."""
    shutil.copytree(SAMPLES, batchrun.folder / "sample_data")
    monkeypatch.setattr(sys, "stdin", Terminal("y\n" * 20))
    monkeypatch.setattr("batchrun.sandbox.server.PRACTICE_FAIL", PRACTICE_FAIL)
    return batchrun


def test_the_commands_of_the_readme_work_in_their_order(
    clone: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [words for words in README.commands() if words[0] not in NEVER_ENDS]
    login = commands.index(["login"])
    for words in commands[:login]:
        ended = clone(*words)
        assert ended.exit_code in AS_IT_SHOULD, f"batchrun {' '.join(words)}\n{ended.stderr}"
    with running() as url:
        monkeypatch.setattr("typer.prompt", lambda *_, **__: "sandbox")
        monkeypatch.setenv("BATCHRUN_BASE_URL", url)
        for words in commands[login:]:
            ended = clone(*words)
            assert ended.exit_code == ExitCode.COMPLETED, ended.stderr


@pytest.mark.parametrize("page", [README, Page(DOCS / "tutorial.md")], ids=lambda page: page.name)
def test_commands_on_the_first_pages_use_only_lists_that_exist(page: Page) -> None:
    lists = [
        word
        for words in page.commands()
        for word in words
        if re.search(r"\.(csv|xlsx)$", word) and not {"-o", "--output"} & set(words)
    ]
    assert [name for name in lists if not (ROOT / name.replace("\\", "/")).exists()] == []
