"""Completion in every shell: commands, options, words and batches, without a network."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.sandbox_process import clean_environment
from tests.journal.batches import IDS, URL, plan_of

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = ["bash", "zsh", "fish", "powershell"]


def asked(shell: str, typed: str, folder: Path) -> str:
    """What a shell is answered when Tab is pressed after these words."""
    words = typed.split(" ")
    variables = {
        "_BATCHRUN_COMPLETE": f"complete_{shell}",
        "BATCHRUN_JOURNAL": str(folder / "journal.db"),
        "BATCHRUN_BASE_URL": "http://127.0.0.1:9/v1",
        "HOME": str(folder),
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
    }
    script = "import sys; sys.argv = ['batchrun']; from batchrun.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=clean_environment() | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_completed(shell: str, tmp_path: Path) -> None:
    offered = asked(shell, "batchrun re", tmp_path)
    assert "resume" in offered
    assert "retry" in offered
    assert "export" not in offered


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("batchrun run --lim", "--limit"),
        ("batchrun resume --in-doubt d", "drop"),
        ("batchrun retry --outcome ti", "timed-out"),
        ("batchrun export --crm h", "hubspot"),
        ("batchrun sandbox --run-times b", "bimodal"),
    ],
)
def test_options_and_their_words_are_completed(typed: str, wanted: str, tmp_path: Path) -> None:
    assert asked("bash", typed, tmp_path).split() == [wanted]


def test_batches_are_completed_from_the_journal(tmp_path: Path) -> None:
    from batchrun.journal import Journal

    assert asked("bash", "batchrun status ", tmp_path).strip() == ""
    with Journal(str(tmp_path / "journal.db")) as journal:
        batch_id = journal.create(plan_of(IDS[0]), URL)
    assert asked("bash", f"batchrun status {batch_id[:6]}", tmp_path).split() == [batch_id]
    assert "Research, 1 row" in asked("zsh", "batchrun resume ", tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_for_a_shell_is_shown(shell: str) -> None:
    script = (
        f"import shellingham, sys; shellingham.detect_shell = lambda *_: ({shell!r}, {shell!r});"
        "sys.argv = ['batchrun', '--show-completion']; from batchrun.cli import main; main()"
    )
    shown = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert "_BATCHRUN_COMPLETE" in shown
