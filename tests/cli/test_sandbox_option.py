"""`--sandbox`: every command has it, and every command printed after it has it, too."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
import typer

from batchrun.cli import app
from batchrun.cli.output import name_commands, repeat_options, runnable_commands
from batchrun.errors import ExitCode
from batchrun.journal import Journal
from batchrun.text import quoted_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import CommandLine, Ended

COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
WITHOUT = {"config", "help", "login", "logout", "sandbox", "stop", "version", "work"}
RUN = ("run", "accounts.csv", "-w", "Account Research", "--sandbox", "--yes")


def printed_commands(ended: Ended) -> list[str]:
    text = ended.stdout + ended.stderr
    return re.findall(r"batchrun (?:run|resume|retry|status|batches|export|workflows)\b.*", text)


def test_every_command_that_uses_the_service_or_the_journal_has_the_option() -> None:
    options = {
        name: {each for p in one.params for each in p.opts} for name, one in COMMANDS.items()
    }
    assert {name for name, found in options.items() if "--sandbox" not in found} == WITHOUT


def test_workflows_and_doctor_show_the_sandbox_without_a_key(batchrun: CommandLine) -> None:
    listed = batchrun("workflows", "--sandbox")
    assert (listed.exit_code, "wf_account_research" in listed.stdout) == (ExitCode.COMPLETED, True)
    found = batchrun("doctor", "--sandbox")
    assert found.exit_code == ExitCode.COMPLETED
    assert "sandbox.db" in found.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("run", "accounts.csv"),
        ("check", "accounts.csv"),
        ("run", "accounts.csv", "-w", "Account Resarch"),
        ("check", "accounts.csv", "-w", "Account Resarch"),
        ("status",),
        ("resume", "1129-nothing"),
        ("retry",),
        ("export", "-o", "out.csv"),
        ("forget",),
        ("forget", "1129-nothing"),
        ("batches",),
    ],
)
def test_a_printed_command_has_the_option_before_the_first_run(
    batchrun: CommandLine, accounts: Path, words: tuple[str, ...]
) -> None:
    commands = printed_commands(batchrun(*words, "--sandbox"))
    assert all("--sandbox" in command for command in commands)


def test_a_printed_command_has_the_option_after_a_run(
    batchrun: CommandLine, accounts: Path
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    for words in (
        ("status",),
        ("status", "--watch"),
        ("retry",),
        ("retry", "--json"),
        ("resume", "--quiet"),
        ("retry",),
        ("resume", "1"),
    ):
        ended = batchrun(*words, "--sandbox")
        assert all("--sandbox" in command for command in printed_commands(ended)), words
    error = batchrun("status").stderr
    assert error.startswith("Error: You have only practice batches.\n")
    Journal(str(batchrun.folder / "empty.db")).close()
    assert "practice" not in batchrun("status", "--journal=empty.db").stderr  # could be a password
    assert "add --sandbox: batchrun status --sandbox\n" in error


@pytest.mark.parametrize("real", [False, True], ids=["only practice", "a real batch too"])
def test_a_practice_batch_is_found_with_the_same_command_and_the_option(
    batchrun: CommandLine, accounts: Path, sandbox: str, real: bool
) -> None:
    assert batchrun(*RUN).exit_code == ExitCode.INCOMPLETE
    practice = batchrun.folder / "practice.xlsx"
    (batchrun.folder / "accounts.results.xlsx").rename(practice)
    batch = json.loads(batchrun("status", "--sandbox", "--json").stdout)["batch"]
    if real:
        batchrun(*(word for word in RUN if word != "--sandbox"))
    for words in (
        ("run", "practice.xlsx", "--yes"),
        ("check", "practice.xlsx", "-w", "Account Research"),
        ("export", batch, "-o", "out 1.csv"),
        ("status", batch),
    ):
        ended = batchrun(*words)
        command = f"For practice batches, add --sandbox: {quoted_command('batchrun', *words)}"
        assert ended.exit_code == ExitCode.UNUSABLE
        assert f"{command} --sandbox\n" in ended.stderr
    if real:
        for words in (("status", "2"), ("export", "0000-none", "-o", "accounts.results.xlsx")):
            assert "add --sandbox" not in batchrun(*words).stderr


def test_a_workbook_that_nobody_has_changed_is_not_read_to_say_whose_it_is(
    batchrun: CommandLine, accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbook = batchrun(*RUN).stdout.splitlines()[-1]
    monkeypatch.setattr("batchrun.tables.files.open_book", None)
    assert workbook in batchrun("status", "--sandbox").stdout
    assert batchrun(*RUN).stdout.splitlines()[-1] == workbook


def test_the_same_list_continues_its_unfinished_practice_and_replaces_a_finished_one(
    batchrun: CommandLine, accounts: Path
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    assert "Resumes: " in batchrun(*RUN).stdout
    for _ in range(2):
        assert batchrun(*RUN, "--again").exit_code == ExitCode.INCOMPLETE  # one row is invalid
    assert [path.name for path in batchrun.folder.glob("*.xlsx")] == ["accounts.results.xlsx"]
    assert len(batchrun("batches", "--sandbox").stdout.splitlines()) == 3


def test_resuming_a_finished_batch_does_not_name_the_results_of_another(
    batchrun: CommandLine, accounts: Path
) -> None:
    for _ in range(2):
        batchrun(*RUN)
    later, first = (
        each["batch"] for each in json.loads(batchrun("batches", "--sandbox", "--json").stdout)
    )
    workbook, export = batchrun.folder / "accounts.results.xlsx", f"export {first} --sandbox"
    for command in ("resume", "status"):
        shown = batchrun(command, first, "--sandbox").stdout
        assert f"replaced by a later batch. To write it again: batchrun {export}" in shown
        assert f"Workbook:  {workbook}\n" not in shown
        assert f"Workbook:  {workbook}\n" in batchrun(command, later, "--sandbox").stdout
    assert batchrun("resume", first, "--sandbox", "--quiet").stdout == ""
    for _ in range(2):
        batchrun(*RUN, "-o", "results.csv")
    for output in (workbook, batchrun.folder / "results.csv"):
        assert batchrun("batches", "--sandbox").stdout.count(f"workbook: {output}") == 1
    assert json.loads(batchrun("status", first, "--sandbox", "--json").stdout)["output"] is None


@pytest.mark.parametrize("options", [(), ("--limit", "1")], ids=["finished", "first rows"])
def test_the_first_real_run_replaces_the_results_of_practice_and_not_the_other_way_round(
    batchrun: CommandLine, accounts: Path, sandbox: str, options: tuple[str, ...]
) -> None:
    batchrun(*RUN, *options)
    real = [word for word in RUN if word != "--sandbox"]
    ended = batchrun(*real)
    assert ended.stdout.rstrip().endswith("accounts.results.xlsx")
    assert "Note:      accounts.results.xlsx contains practice results" in ended.stderr
    ended = batchrun(*RUN, "--again")
    assert re.search(
        r"accounts\.results\.xlsx contains the results of another batch \(\S+\), so", ended.stdout
    )


def test_an_error_that_stops_the_command_is_printed_before_any_note(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun(*RUN)
    for address in ("https://api.getpg.ai/v1", "https://service.example.org/v1"):
        batchrun.monkeypatch.setenv("BATCHRUN_BASE_URL", address)
        for options in ((), ("--param", "x={y"), ("--limit", "1")):
            ended = batchrun(*(word for word in RUN if word != "--sandbox"), *options)
            assert "There is no API key" in ended.stderr
            for announced in ("is replaced", "replaces", "goes to", "go to", "is sent"):
                assert announced not in ended.stderr + ended.stdout


def test_a_real_run_does_not_go_where_practice_was_told_to_go(
    batchrun: CommandLine, accounts: Path, sandbox: str
) -> None:
    assert batchrun(*RUN, "-o", "practice.xlsx").exit_code == ExitCode.INCOMPLETE
    real = [word for word in RUN if word != "--sandbox"]
    assert batchrun(*real).stdout.rstrip().endswith("accounts.results.xlsx")


def test_a_practice_workbook_with_marked_rows_is_kept_and_its_rows_can_be_sent_again(
    batchrun: CommandLine, accounts: Path
) -> None:
    assert batchrun(*RUN).exit_code == ExitCode.INCOMPLETE
    marked = batchrun.folder / "accounts.results.xlsx"
    book = openpyxl.load_workbook(marked)
    sheet = book["Results"]
    [again] = [cell.column for cell in sheet[1] if cell.value == "run again"]
    sheet.cell(2, again).value = "x"
    book.save(marked)
    assert batchrun("run", "accounts.results.xlsx", "--sandbox", "--yes").exit_code == 3
    ended = batchrun(*RUN, "--again")
    assert re.search(
        r"accounts\.results\.xlsx contains the results of another batch \(\S+\), so", ended.stdout
    )


@pytest.fixture
def in_a_venv() -> Iterator[None]:
    name_commands(".venv/bin/batchrun", COMMANDS)
    repeat_options({"status": ["--sandbox", "--journal my.db"], "run": ["--sandbox"]})
    yield
    name_commands("batchrun", COMMANDS)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("See: batchrun status", "See: .venv/bin/batchrun status --sandbox --journal my.db"),
        (
            "batchrun status 1129-acc-f2. Then",
            ".venv/bin/batchrun status 1129-acc-f2 --sandbox --journal my.db. Then",
        ),
        ("or batchrun run FILE -w NAME", "or .venv/bin/batchrun run FILE --sandbox -w NAME"),
        ("batchrun run FILE --sandbox", ".venv/bin/batchrun run FILE --sandbox"),
        (
            "batchrun login or batchrun run",
            ".venv/bin/batchrun login or .venv/bin/batchrun run --sandbox",
        ),
        ("batchrun run: no such option", ".venv/bin/batchrun run: no such option"),
        ("See: batchrun run --help", "See: .venv/bin/batchrun run --help"),
        ("batchrun runs it", "batchrun runs it"),
        ('the column "batchrun status" is', 'the column "batchrun status" is'),
        ("only there: 'batchrun status', 'x'", "only there: 'batchrun status', 'x'"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("in_a_venv")
def test_a_printed_command_can_be_pasted(text: str, printed: str) -> None:
    assert runnable_commands(text) == printed


def test_hints_in_json_can_be_pasted_too(batchrun: CommandLine, accounts: Path) -> None:
    ended = batchrun("check", "accounts.csv", "-w", "Nothing", "--sandbox", "--json")
    assert "batchrun workflows --sandbox" in ended.stdout


@pytest.mark.parametrize(
    ("platform", "shown"),
    [
        (
            "linux",
            ["export BATCHRUN_BASE_URL=http://127.0.0.1:8020/v1\n  export PGAI_API_KEY=sandbox\n"],
        ),
        (
            "win32",
            [
                "$env:BATCHRUN_BASE_URL='http://127.0.0.1:8020/v1'; $env:PGAI_API_KEY='sandbox';",
                'set "BATCHRUN_BASE_URL=http://127.0.0.1:8020/v1" && set "PGAI_API_KEY=sandbox"',
            ],
        ),
    ],
)
def test_the_sandbox_prints_how_to_use_it_in_this_system_s_shells(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch, platform: str, shown: list[str]
) -> None:
    monkeypatch.setattr(
        "batchrun.sandbox.serve",
        lambda *_, on_ready, **__: on_ready("http://127.0.0.1:8020/v1"),
    )
    monkeypatch.setattr("sys.platform", platform)
    ended = batchrun("sandbox")
    for each in shown:
        assert each in ended.stdout
