"""Bad input: one or two lines that say what, where and what to do; nothing is triggered."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from batchrun.errors import ExitCode
from tests.acceptance.sandbox_process import SandboxProcess
from tests.cli.conftest import ACME, BETA, SPEED
from tests.service.calls import unused_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine, Ended

MAX_ERROR_LINES = 2


def reported(base_url: str) -> dict[str, Any]:
    """What the sandbox counted."""
    return SandboxProcess(base_url, SPEED).report()


def triggers_accepted(base_url: str) -> int:
    return int(reported(base_url)["triggers_accepted"])


def assert_refused(ended: Ended, code: ExitCode, *words: str) -> None:
    notices = ("A request failed",)  # may stand before the error
    lines = [line for line in ended.stderr.strip().splitlines() if not line.startswith(notices)]
    assert ended.exit_code == code, ended
    assert lines[0].startswith("Error: ")
    assert len(lines) <= MAX_ERROR_LINES
    for word in words:
        assert word in ended.stderr


def run(batchrun: CommandLine, *arguments: str) -> Ended:
    return batchrun("run", *arguments, "-w", "Account Research", "--yes")


def test_a_missing_file_is_named(batchrun: CommandLine, sandbox: str) -> None:
    assert_refused(run(batchrun, "nowhere.csv"), ExitCode.UNUSABLE, "nowhere.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", ["list.csv", "empty"], id="an empty file"),
        pytest.param("\n\n\n", ["list.csv"], id="no header"),
        pytest.param("Company ID,Name\n", ["list.csv", "row"], id="a header without rows"),
        pytest.param(
            "Name,City\nAcme,Berlin\n", ["Name", "City", "--company-column"], id="no ID column"
        ),
        pytest.param(
            f"Company ID,Company UUID\n{ACME},{BETA}\n",
            ["Company ID", "Company UUID", "--company-column"],
            id="two candidate columns",
        ),
    ],
)
def test_an_unusable_list_is_refused_with_the_reason(
    batchrun: CommandLine, sandbox: str, content: str, words: list[str]
) -> None:
    (batchrun.folder / "list.csv").write_text(content, encoding="utf-8")
    assert_refused(run(batchrun, "list.csv"), ExitCode.UNUSABLE, *words)
    assert triggers_accepted(sandbox) == 0


def test_an_unknown_column_gets_a_close_match(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = run(batchrun, "accounts.csv", "--company-column", "Compny ID")
    assert_refused(ended, ExitCode.UNUSABLE, "Compny ID", "Company ID")
    ended = run(batchrun, "accounts.csv", "--param-column", "focus=Cod")
    assert_refused(ended, ExitCode.UNUSABLE, "Cod", "--param-column")


def test_an_unknown_workflow_gets_a_close_match(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun("run", "accounts.csv", "-w", "Acount Reserch", "--yes")
    assert_refused(ended, ExitCode.UNUSABLE, "Acount Reserch", "Account Research")


def test_an_inactive_workflow_is_refused(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun("run", "accounts.csv", "-w", "legacy scoring", "--yes")
    assert_refused(ended, ExitCode.UNUSABLE, "Legacy Scoring", "inactive")


def test_without_a_key_the_variable_is_named(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.monkeypatch.delenv("PGAI_API_KEY")
    assert_refused(run(batchrun, "accounts.csv"), ExitCode.UNUSABLE, "PGAI_API_KEY")


def test_a_wrong_key_has_its_own_exit_code(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.connect(sandbox, key="wr0ng-k3y")
    ended = run(batchrun, "accounts.csv")
    assert_refused(ended, ExitCode.KEY_REFUSED, "PGAI_API_KEY")
    assert "wr0ng-k3y" not in ended.stdout + ended.stderr


def test_a_key_without_the_scope_to_list_gets_its_name(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.connect(sandbox, key="sandbox-execute")
    assert_refused(run(batchrun, "accounts.csv"), ExitCode.KEY_REFUSED, "workflows:read")


def test_a_key_without_the_scope_to_trigger_stops_the_batch_with_nothing_lost(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.connect(sandbox, key="sandbox-read")
    ended = run(batchrun, "accounts.csv")
    assert_refused(ended, ExitCode.KEY_REFUSED, "workflows:execute", "batchrun resume")
    status = json.loads(batchrun("status", "--json").stdout)
    assert status["outcomes"]["pending"] == 3
    assert triggers_accepted(sandbox) == 0

    batchrun.connect(sandbox)
    assert batchrun("resume").exit_code == ExitCode.INCOMPLETE
    status = json.loads(batchrun("status", "--json").stdout)
    assert status["outcomes"]["completed"] == 3


def test_an_unreachable_service_is_reported(batchrun: CommandLine, accounts: Path) -> None:
    with unused_port() as port:
        batchrun.connect(f"http://127.0.0.1:{port}/v1")
        assert_refused(run(batchrun, "accounts.csv"), ExitCode.PAUSED, "can't be reached")


def test_plain_http_to_another_host_is_refused(batchrun: CommandLine, accounts: Path) -> None:
    batchrun.monkeypatch.setenv("PGAI_API_KEY", "k")
    ended = run(batchrun, "accounts.csv", "--base-url", "http://api.example.com/v1")
    assert_refused(ended, ExitCode.UNUSABLE, "https")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        pytest.param("missing/out.xlsx", ["missing"], id="a missing folder"),
        pytest.param("out.pdf", [".xlsx", ".csv", ".jsonl"], id="an unknown ending"),
        pytest.param("accounts.csv", ["itself"], id="the list itself"),
        pytest.param("folder.xlsx", ["folder"], id="a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_spent(
    batchrun: CommandLine, sandbox: str, accounts: Path, output: str, words: list[str]
) -> None:
    (batchrun.folder / "folder.xlsx").mkdir()
    ended = run(batchrun, "accounts.csv", "-o", output)
    assert_refused(ended, ExitCode.UNUSABLE, *words)
    assert triggers_accepted(sandbox) == 0


def test_a_read_only_output_is_refused_before_anything_is_spent(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    (batchrun.folder / "out.xlsx").touch(mode=0o400)
    ended = run(batchrun, "accounts.csv", "-o", "out.xlsx")
    assert_refused(ended, ExitCode.UNUSABLE, "out.xlsx", "read-only")
    assert triggers_accepted(sandbox) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--param", "depth"], ["depth", "--param depth=comprehensive"]),
        (
            ["--param-column", "Focus"],
            ["Focus needs a parameter's name and a column's", "--param-column focus=Focus"],
        ),
        (["--params", "nowhere.json"], ["nowhere.json"]),
        (["--rate", "fast"], ["fast", "--rate 120"]),
    ],
)
def test_an_option_that_cannot_be_used_shows_how_to_write_it(
    batchrun: CommandLine, sandbox: str, accounts: Path, arguments: list[str], words: list[str]
) -> None:
    assert_refused(run(batchrun, "accounts.csv", *arguments), ExitCode.UNUSABLE, *words)


def test_without_a_terminal_nothing_is_spent_unless_yes_is_given(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun("run", "accounts.csv", "-w", "Account Research")
    assert_refused(ended, ExitCode.UNUSABLE, "--yes")
    assert triggers_accepted(sandbox) == 0


def test_an_unexpected_error_shows_no_traceback(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.monkeypatch.setattr("batchrun.batch.request.load", lambda *_, **__: 1 / 0)
    ended = run(batchrun, "accounts.csv")
    assert_refused(ended, ExitCode.UNEXPECTED, "ZeroDivisionError")
    assert "Traceback" not in ended.stderr


def test_a_journal_in_a_synchronised_folder_gets_a_note(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    (tmp_path / "OneDrive - Example").mkdir()
    journal = str(tmp_path / "OneDrive - Example" / "journal.db")
    ended = run(batchrun, "accounts.csv", "--journal", journal)
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "a folder of OneDrive" in ended.stderr
    assert "OneDrive" not in run(batchrun, "accounts.csv").stderr


ESCAPES = "\x1b]0;owned\x07\x1b[2J"


@pytest.mark.skipif(sys.platform == "win32", reason="its file names hold no such characters")
def test_control_characters_in_a_file_name_are_not_sent_to_the_terminal(
    batchrun: CommandLine, sandbox: str
) -> None:
    list_path = batchrun.folder / f"a{ESCAPES}.csv"
    list_path.write_text(f"Company ID,Na{ESCAPES[-4:]}me\n{ACME},x\n", encoding="utf-8")
    shown = r"a\x1b]0;owned\x07\x1b[2J.csv"
    for command in (
        ("check", list_path.name, "-w", "Account Research"),
        ("run", list_path.name, "-w", "Account Research", "--yes"),
        ("batches",),
        ("status",),
        ("check", f"{list_path.name}.not", "-w", "Account Research"),
        ("check", list_path.name, "-w", f"No{ESCAPES}"),
        ("check", list_path.name, "-w", "Account Research", "--company-column", f"x{ESCAPES}"),
    ):
        ended = batchrun(*command)
        assert "\x1b" not in ended.stdout + ended.stderr, command
        assert "\x07" not in ended.stdout + ended.stderr, command
    assert shown in batchrun("check", list_path.name, "-w", "Account Research").stdout
    workbook = openpyxl.load_workbook(list_path.with_name(f"a{ESCAPES}.results.xlsx"))
    cells = [cell.value for row in workbook["Overview"].iter_rows() for cell in row]
    assert any(shown in str(cell) for cell in cells)


def test_a_missing_file_is_named_on_one_line(batchrun: CommandLine, sandbox: str) -> None:
    batchrun.monkeypatch.setattr("batchrun.cli.output.is_screen", lambda _: True)
    batchrun.monkeypatch.setenv("COLUMNS", "30")
    name = "lists of mine/my customers of 2026/customers (a) and more.xlsx"
    assert f"{name}." in batchrun("run", name, "-w", "x").stderr


@pytest.mark.parametrize("named_in", ["batchrun.toml", "the list's own name"])
def test_a_name_that_is_too_long_for_the_results_is_one_plain_error(
    batchrun: CommandLine, sandbox: str, accounts: Path, named_in: str
) -> None:
    name = "accounts.csv"
    if named_in == "batchrun.toml":
        output = f"{'a' * 300}.csv"
        (batchrun.folder / "batchrun.toml").write_text(f'output = "{output}"\n', encoding="utf-8")
    else:
        name = f"{'a' * 248}.csv"
        accounts.rename(batchrun.folder / name)
    ended = batchrun("run", name, "-w", "Account Research", "--yes")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "too long" in ended.stderr
    assert triggers_accepted(sandbox) == 0
