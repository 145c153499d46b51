"""With a `batchrun.toml`, `batchrun run accounts.csv` is all there is to type."""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from batchrun.settings.files import user_file
from tests.cli.conftest import ACME
from tests.cli.test_bad_input import assert_refused, triggers_accepted
from tests.cli.test_deciding import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

TOML = """
workflow = "Account Research"
company_column = "Company ID"
output = ".csv"
columns = ["outputs.*"]
rate = "unlimited"

[parameters]
depth = "comprehensive"

[parameter_columns]
code = "Code"

[rename]
"outputs.report_id" = "Report"
"""


@pytest.fixture
def configured(batchrun: CommandLine, sandbox: str, accounts: Path) -> str:
    (batchrun.folder / "batchrun.toml").write_text(TOML, encoding="utf-8")
    return sandbox


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file))


def test_options_from_the_file_need_not_be_typed(batchrun: CommandLine, configured: str) -> None:
    ended = batchrun("run", "accounts.csv", "--yes")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "batchrun.toml (" in ended.stderr  # what decides is said
    assert 'depth: "comprehensive", every row' in ended.stdout
    example = "(the others are sent without it), for example 00123"
    assert f"code: from Code, 2 of 3 rows that can be sent {example}" in " ".join(
        ended.stdout.split()
    )
    assert ", depth=comprehensive, code from Code  rows:" in batchrun("batches").stdout
    columns = header(batchrun.folder / "accounts.results.csv")
    assert "Report" in columns
    assert "summary" not in columns
    assert triggers_accepted(configured) == 3  # Code makes a body of its own of each row


def test_options_win_over_the_file(batchrun: CommandLine, configured: str) -> None:
    shown = batchrun(
        *("check", "accounts.csv", "-w", "Account Plan", "--param", "depth=brief"),
        *("--param-column", "code=Name", "--json"),
    )
    first = json.loads(shown.stdout)["first_body"]
    assert first["parameters"] == {"depth": "brief", "code": "Acme"}
    assert first["company_id"] == ACME
    batchrun("run", "accounts.csv", "--yes", "-o", "out.jsonl")
    assert (batchrun.folder / "out.jsonl").exists()


def test_resume_and_retry_and_export_keep_to_the_file(
    batchrun: CommandLine, configured: str
) -> None:
    batchrun("run", "accounts.csv", "--yes", "--limit", "1")
    batchrun("resume")
    batchrun("export", "-o", "out.csv")
    for name in ("accounts.results.csv", "out.csv"):
        assert "Report" in header(batchrun.folder / name)
    assert not (batchrun.folder / "accounts.results (2).csv").exists()


def test_a_file_that_is_there_is_not_overwritten(batchrun: CommandLine, configured: str) -> None:
    precious = batchrun.folder / "accounts.results.csv"
    precious.write_text("precious", encoding="utf-8")
    batchrun("run", "accounts.csv", "--yes")
    assert precious.read_text(encoding="utf-8") == "precious"
    assert "Report" in header(batchrun.folder / "accounts.results (2).csv")


def test_a_file_beside_the_list_cannot_redirect_the_key(
    batchrun: CommandLine, configured: str
) -> None:
    path = batchrun.folder / "batchrun.toml"
    path.write_text('base_url = "https://evil.example/v1"\n' + TOML, encoding="utf-8")
    ended = batchrun("run", "accounts.csv", "--yes")
    assert_refused(ended, ExitCode.UNUSABLE, "batchrun.toml", "base_url")
    assert triggers_accepted(configured) == 0


def test_options_are_saved_beside_the_list_and_used_by_the_next_run(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    path = batchrun.folder / "batchrun.toml"
    path.write_text('rate = 30\n[parameters]\nregion = "EMEA"\n', encoding="utf-8")
    typed = ("--param", "depth=2", "--param", 'tags=["a", {"b": true}]', "--param-column", "f=Name")
    form = ("--columns", "summary,outputs.*", "--rename", "summary=What we know")
    first = batchrun(
        "run",
        "accounts.csv",
        "-w",
        "account research",
        *typed,
        *form,
        "--save-options",
        "--dry-run",
        "--json",
    )
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {
        "rate": 30,
        "workflow": "account research",
        "columns": ["summary", "outputs.*"],
        "parameters": {"region": "EMEA", "depth": 2, "tags": ["a", {"b": True}]},
        "parameter_columns": {"f": "Name"},
        "rename": {"summary": "What we know"},
    }
    again = batchrun("check", "accounts.csv", "--json")
    assert json.loads(again.stdout)["first_body"] == json.loads(first.stdout)["first_body"]


def test_reuse_in_the_file_pays_only_for_new_rows_and_again_pays_for_all(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    run = ("run", "accounts.csv", "-w", "Account Research", "--yes")
    batchrun(*run, "--reuse", "30d", "--save-options")
    path = batchrun.folder / "batchrun.toml"
    assert tomllib.loads(path.read_text(encoding="utf-8"))["reuse"] == "30d"
    before = triggers_accepted(sandbox)
    with accounts.open("a", encoding="utf-8") as file:
        file.write("d1b2c3d4-e5f6-7890-abcd-ef1234567890,Delta,\n")
    batchrun("run", "accounts.csv", "--yes")
    assert triggers_accepted(sandbox) == before + 1
    batchrun("run", "accounts.csv", "--yes", "--again")
    assert triggers_accepted(sandbox) == before + 1 + 3
    path.write_text('workflow = "Account Research"\nreuse = "soon"\n', encoding="utf-8")
    ended = batchrun("check", "accounts.csv")
    assert_refused(ended, ExitCode.UNUSABLE, 'reuse = "soon" in batchrun.toml is not a duration')


def test_parameters_of_one_workflow_are_neither_sent_to_another_nor_kept_with_it(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    path = batchrun.folder / "batchrun.toml"
    path.write_text('workflow = "Account Plan"\n[parameters]\ndepth = 2\n', encoding="utf-8")
    other = ("-w", "Account Research", "--param", "tone=plain", "--save-options")
    checked = batchrun("check", "accounts.csv", *other, "--json")
    assert "depth" not in json.loads(checked.stdout)["first_body"]
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {
        "workflow": "Account Research",
        "parameters": {"tone": "plain"},
    }
    batchrun("check", "accounts.csv", "-w", "account research", "--save-options")
    assert tomllib.loads(path.read_text(encoding="utf-8"))["parameters"] == {"tone": "plain"}


def test_options_that_toml_has_no_form_for_are_not_saved(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(
        "check", "accounts.csv", "-w", "account research", "--param", "x=null", "--save-options"
    )
    assert_refused(ended, ExitCode.UNUSABLE, "null", "--save-options")
    assert not (batchrun.folder / "batchrun.toml").exists()


@pytest.mark.parametrize("refused", ["a key", "an answer", "an output"])
def test_options_of_a_command_that_is_refused_are_not_saved(
    batchrun: CommandLine, sandbox: str, accounts: Path, refused: str
) -> None:
    run = ["run", "accounts.csv", "-w", "account research", "--param", "x=1", "--save-options"]
    if refused == "a key":
        batchrun.connect(sandbox, key="a-key-that-is-wrong")
        run.append("--yes")
    elif refused == "an answer":
        batchrun.monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    else:
        run += ["--yes", "-o", "no-such-folder/out.xlsx"]
    ended = batchrun(*run)
    assert ("The options were not saved." in ended.stderr) is (refused == "an answer")
    assert triggers_accepted(sandbox) == 0
    assert not (batchrun.folder / "batchrun.toml").exists()


def test_a_missing_workflow_says_where_to_name_it(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    for command in ("check", "run"):
        ended = batchrun(command, "accounts.csv")
        assert_refused(ended, ExitCode.UNUSABLE, "No workflow given", "batchrun workflows")


def test_the_users_own_file_counts_in_every_folder(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text('workflow = "Account Research"\ndaily = 1\n', encoding="utf-8")
    ended = batchrun("run", "accounts.csv", "--yes")
    assert ended.exit_code == ExitCode.PAUSED  # one request a day: nothing left to trigger with
    assert triggers_accepted(sandbox) == 0


def test_an_unused_profile_gets_a_note(batchrun: CommandLine, configured: str) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text('profile = "emea"\n', encoding="utf-8")
    ended = batchrun("check", "accounts.csv")  # PGAI_API_KEY is set
    assert ended.exit_code == ExitCode.COMPLETED
    assert "profile emea of batchrun.toml is not used" in ended.stderr


def test_a_file_beside_a_list_does_not_choose_who_pays(
    batchrun: CommandLine, configured: str
) -> None:
    (batchrun.folder / "batchrun.toml").write_text('profile = "emea"\n' + TOML, encoding="utf-8")
    for command in (("check", "accounts.csv"), ("run", "accounts.csv", "--yes")):
        ended = batchrun(*command)
        assert_refused(ended, ExitCode.UNUSABLE, "profile is not taken from a file beside a list")
    assert triggers_accepted(configured) == 0


# what `batchrun` alone says


def test_without_a_command_and_key_it_names_login_and_demo(batchrun: CommandLine) -> None:
    ended = batchrun()
    assert ended.exit_code == ExitCode.COMPLETED
    for words in ("no API key yet", "batchrun login", "batchrun demo", "batchrun --help"):
        assert words in ended.stdout
    assert len(ended.stdout.splitlines()) <= 12


def test_without_a_command_it_names_the_next_steps(batchrun: CommandLine, configured: str) -> None:
    ended = batchrun()
    assert "PGAI_API_KEY" in ended.stdout
    assert "batchrun check" in ended.stdout
    assert "resume" not in ended.stdout
    batchrun("run", "accounts.csv", "--yes", "--limit", "1")
    assert "batchrun resume 1" in batchrun().stdout
    batchrun("resume")
    assert "resume" not in batchrun().stdout


def test_without_a_command_a_broken_journal_points_to_doctor(
    batchrun: CommandLine, sandbox: str, tmp_path: Path
) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal.db").write_text("no database at all", encoding="utf-8")
    ended = batchrun()
    assert ended.exit_code == ExitCode.COMPLETED
    assert "batchrun doctor" in ended.stdout


def test_an_invalid_time_in_a_file_names_the_file(batchrun: CommandLine, configured: str) -> None:
    (batchrun.folder / "batchrun.toml").write_text('write_every = "soon"\n' + TOML)
    ended = batchrun("run", "accounts.csv", "--yes")
    assert_refused(ended, ExitCode.UNUSABLE, "write_every =")
    assert triggers_accepted(configured) == 0
