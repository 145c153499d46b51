"""Where questions go: a script may capture what a command says, and still be asked."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from batchrun.cli.prompts import confirm
from batchrun.errors import ExitCode
from tests.cli.conftest import SPEED
from tests.cli.test_again import RESULTS, mark
from tests.engine.faults import Fault, faulty_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import CommandLine, Ended

RUN = ("run", "accounts.csv", "-w", "account research")
BOTH_IN_DOUBT = [Fault(502, "<html>", accepted=True)] * 2


class Keyboard(io.StringIO):
    """A terminal at which somebody has typed already."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def doubtful(batchrun: CommandLine, accounts: Path) -> Iterator[None]:
    """A batch whose rows are in doubt."""
    with faulty_sandbox(triggers=BOTH_IN_DOUBT) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--yes")
        yield


def answered(batchrun: CommandLine, answer: str, *arguments: str) -> Ended:
    """A command whose standard output is captured, and whose question is answered."""
    batchrun.monkeypatch.setattr(sys, "stdin", Keyboard(answer))
    return batchrun(*arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_what_is_typed_before_a_question_is_not_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard, terminal = os.openpty()

    class Screen(io.StringIO):
        """A screen whose user answers no as soon as the question is shown."""

        def write(self, text: str) -> int:
            if "[y/N]" in text:
                os.write(keyboard, b"n\n")
            return super().write(text)

    os.write(keyboard, b"y\n")
    with os.fdopen(terminal) as stdin, os.fdopen(keyboard, "rb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stderr", Screen())
        assert not confirm("Trigger 60 jobs now?")


def test_a_quiet_run_writes_only_the_path_to_standard_output(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = answered(batchrun, "y\n", *RUN, "--quiet")
    assert ended.stdout == f"{batchrun.folder / RESULTS}\n"
    assert "2 to trigger" in ended.stderr  # what is agreed to stands beside the question
    assert "Trigger 2 jobs now? [y/N]: " in ended.stderr


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
@pytest.mark.parametrize("options", [(), ("--reuse", "30d")], ids=["jobs", "no jobs"])
def test_a_run_asks_before_it_replaces_a_workbook(
    batchrun: CommandLine, accounts: Path, options: tuple[str, ...], answer: str
) -> None:
    practice = (*RUN, "--sandbox")
    batchrun(*practice, "--yes")
    before = (batchrun.folder / RESULTS).read_bytes()
    ended = answered(batchrun, answer, *practice, *options)
    assert "? [y/N]: " in ended.stderr
    assert ((batchrun.folder / RESULTS).read_bytes() == before) is (answer == "n\n")


def test_an_answer_of_no_writes_nothing_to_standard_output(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = answered(batchrun, "n\n", *RUN, "--quiet")
    assert (ended.exit_code, ended.stdout) == (ExitCode.COMPLETED, "")
    assert "Nothing was triggered and no batch was started." in ended.stderr


def test_json_is_one_document_after_a_question(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = answered(batchrun, "y\n", *RUN, "--json")
    assert json.loads(ended.stdout)["rows"] == 4
    assert ended.stdout.startswith("{")


def test_the_question_about_marked_rows_goes_to_standard_error(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--yes")
    mark(batchrun.folder / RESULTS, 2)
    ended = answered(batchrun, "y\n", "run", RESULTS)
    assert "pay again)? [y/N]: " in ended.stderr
    assert "1 job to trigger again" in ended.stderr
    assert ended.stdout.startswith("\nBatch:")


def test_the_batches_to_forget_are_shown_with_the_question(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--yes")
    ended = answered(batchrun, "y\n", "forget", "--older-than", "0h")
    assert ended.stdout == "Forgotten: 1 batch\n"
    assert "Account Research: accounts.csv  rows: 4" in ended.stderr
    assert "for good? [y/N]: " in ended.stderr


@pytest.mark.usefixtures("doubtful")
def test_the_question_about_doubts_goes_to_standard_error(batchrun: CommandLine) -> None:
    settled = answered(batchrun, "drop\n", "resume")
    assert "Now [hold/retry/drop]" in settled.stderr
    assert settled.stdout.startswith("\nBatch:")


@pytest.mark.usefixtures("doubtful")
def test_the_question_of_retry_goes_to_standard_error(batchrun: CommandLine) -> None:
    again = answered(batchrun, "y\n", "retry", "--outcome", "in-doubt", "--quiet")
    said = " ".join(again.stderr.split())
    assert re.search(
        r"of accounts\.csv \(batch \S+\) again, and pay for them again\? \[y/N\]:", said
    )
    assert again.stdout == f"{batchrun.folder / RESULTS}\n"


def test_the_question_about_the_id_column_goes_to_standard_error(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    text = accounts.read_text(encoding="utf-8").replace("Company ID,", "Reference,")
    accounts.write_text(text, encoding="utf-8")
    ended = answered(batchrun, "c\ncompany\ny\n", *RUN, "--quiet")
    assert "Which one" not in ended.stderr  # there is only one
    assert "\n  Reference: 3 PG:AI IDs" in ended.stderr  # without a number to type
    assert "That is neither company nor contact. Type the whole word." in ended.stderr
    assert "Does it hold company or contact IDs?" in ended.stderr
    assert ended.stdout == f"{batchrun.folder / RESULTS}\n"


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_mistyped_workflow_is_noticed_before_the_question_about_the_id_column(
    batchrun: CommandLine, sandbox: str, accounts: Path, command: str
) -> None:
    text = accounts.read_text(encoding="utf-8").replace("Company ID,", "Reference,")
    accounts.write_text(text, encoding="utf-8")
    ended = answered(batchrun, "company\n", command, "accounts.csv", "-w", "Account Reserch")
    assert ended.stderr.startswith('Error: There is no workflow "Account Reserch".')


def test_where_standard_error_goes_to_a_file_the_question_is_on_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Keyboard()
    monkeypatch.setattr(sys, "stdin", Keyboard("y\n"))
    monkeypatch.setattr(sys, "stdout", screen)
    assert confirm("Delete it?")
    assert screen.getvalue() == "Delete it? [y/N]: "
    assert capsys.readouterr().err == ""
