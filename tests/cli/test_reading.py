"""Options that say how a list is read, and the question on a terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.cli.prompts import ask_for_column
from batchrun.errors import ExitCode
from batchrun.model import Role
from batchrun.tables.roles import ColumnQuestion, Contents
from batchrun.text import quoted_command
from tests.cli.conftest import ACME, BETA

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine


def check(batchrun: CommandLine, *arguments: str) -> dict[str, Any]:
    ended = batchrun("check", "list.csv", "-w", "Account Research", "--json", *arguments)
    assert ended.exit_code == ExitCode.COMPLETED, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_choice_of_columns_is_kept_for_the_next_export(
    batchrun: CommandLine, sandbox: str
) -> None:
    path = batchrun.folder / "list.csv"
    path.write_text(f"My list\n\nRef,Focus\n{ACME},growth\n", encoding="utf-8")
    chosen = ["--header-row", "3", "--company-column", "Ref", "--param-column", "focus=Focus"]
    first = check(batchrun, *chosen, "--save-options")
    path.write_text(f"My next list\n\nRef,Focus\n{BETA},cost\n", encoding="utf-8")
    again = check(batchrun)
    assert first["columns"] == again["columns"] == {"company_id": "Ref"}
    assert again["first_body"]["company_id"] == BETA
    assert again["first_body"]["parameters"] == {"focus": "cost"}


def test_lenient_ids_are_sent_as_written(batchrun: CommandLine, sandbox: str) -> None:
    shown = "f8g9h0i1-j2k3-4567-lmno-pq1234567890"
    path = batchrun.folder / "list.csv"
    path.write_text(f"Contact ID,Name\n{shown},Anna\n", encoding="utf-8")
    assert check(batchrun)["jobs"] == 0
    assert check(batchrun, "--lenient-ids")["first_body"]["contact_id"] == shown


@pytest.mark.parametrize(
    ("answers", "chosen", "said"),
    [
        (["9", "2", "company"], (Role.COMPANY, 1), "That is not one of 1, 2."),
        (["1", "both", "contact"], (Role.CONTACT, 0), "That is neither company nor contact."),
        (
            ["pg id", "con"],
            (Role.CONTACT, 1),
            f"this question, add --contact-column {quoted_command('PG ID')}",
        ),
        (["PG ID", "c", "Com"], (Role.COMPANY, 1), "That is neither company nor contact."),
        (["1", "company"], (Role.COMPANY, 0), "this question, add --company-column 1"),
        (["1", ""], None, ""),
        ([""], None, ""),
    ],
)
def test_the_question_is_asked_until_it_is_answered(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[str],
    chosen: tuple[Role, int] | None,
    said: str,
) -> None:
    left = iter(answers)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(left))
    columns = (Contents(0, "(column 1)", 2, {}, 0, ("a",)), Contents(1, "PG ID", 2, {}, 0, ("b",)))
    question = ColumnQuestion("Which", tuple(Role), columns, ("Line 4 may be the header",))
    assert ask_for_column(question) == chosen
    assert list(left) == []
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.startswith("Line 4 may be the header.\nWhich:")


def test_without_a_terminal_nothing_is_asked(
    batchrun: CommandLine, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    path = batchrun.folder / "list.csv"
    path.write_text(f"Ref,Name\n{ACME},x\n", encoding="utf-8")
    ended = batchrun("check", "list.csv", "-w", "Account Research")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert f"Ref (column 1: 1 PG:AI ID, such as {ACME})" in ended.stderr
