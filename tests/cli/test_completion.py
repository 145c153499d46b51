"""Completion in every shell: commands, options, words and batches, without a network."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from batchrun.journal import Journal
from tests.journal.batches import IDS, URL, plan_of

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

SHELLS = ["bash", "zsh", "fish", "powershell"]


@pytest.fixture(autouse=True)
def called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as a part of pytest, however that was started."""
    monkeypatch.setattr(sys.modules["__main__"], "__package__", "", raising=False)


def asked(batchrun: CommandLine, shell: str, typed: str) -> str:
    """What a shell is answered when Tab is pressed after these words."""
    words = typed.split(" ")
    variables = {
        "_BATCHRUN_COMPLETE": f"complete_{shell}",
        "BATCHRUN_BASE_URL": "http://127.0.0.1:9/v1",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
    }
    with batchrun.monkeypatch.context() as patched:
        for name, value in variables.items():
            patched.setenv(name, value)
        ended = batchrun()
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_completed(batchrun: CommandLine, shell: str) -> None:
    offered = asked(batchrun, shell, "batchrun re")
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
def test_options_and_their_words_are_completed(
    batchrun: CommandLine, typed: str, wanted: str
) -> None:
    assert asked(batchrun, "bash", typed).split() == [wanted]


def test_batches_are_completed_from_the_journal(batchrun: CommandLine) -> None:
    assert asked(batchrun, "bash", "batchrun status ").strip() == ""
    with Journal(os.environ["BATCHRUN_JOURNAL"]) as journal:
        batch_id = journal.create(plan_of(IDS[0]), URL)
    assert asked(batchrun, "bash", f"batchrun status {batch_id[:6]}").split() == [batch_id]
    assert "Research, 1 row" in asked(batchrun, "zsh", "batchrun resume ")


@pytest.mark.parametrize("command", ["run", "check"])
def test_workflow_names_are_completed_from_the_journal(batchrun: CommandLine, command: str) -> None:
    assert asked(batchrun, "bash", f"batchrun {command} list.csv -w ").strip() == ""
    with Journal(os.environ["BATCHRUN_JOURNAL"]) as journal:
        workflow = journal.summary(journal.create(plan_of(IDS[0]), URL)).workflow
    for name in (workflow.name, workflow.id):
        typed = f"batchrun {command} list.csv -w {name[:2]}"
        assert asked(batchrun, "bash", typed).strip() == name
    assert workflow.name in asked(batchrun, "zsh", f"batchrun {command} list.csv --workflow ")
    assert asked(batchrun, "bash", f"batchrun {command} list.csv -w zz").strip() == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_for_a_shell_is_shown(batchrun: CommandLine, shell: str) -> None:
    batchrun.monkeypatch.setattr("shellingham.detect_shell", lambda *_: (shell, shell))
    shown = batchrun("--show-completion").stdout
    assert "_BATCHRUN_COMPLETE" in shown
    assert {"bash": "complete -o", "zsh": "#compdef", "fish": "--command batchrun"}.get(
        shell, "Register-ArgumentCompleter"
    ) in shown
