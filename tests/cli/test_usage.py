"""What is typed wrongly: the same two lines as any error, with what was probably meant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from openpyxl import Workbook

from batchrun.errors import ExitCode
from tests.cli.test_bad_input import assert_refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("rnu x", ["rnu", "run", "See: batchrun --help"]),
        ("xyzzy", ["xyzzy", "See: batchrun --help"]),
        ("run a --shet y", ["--shet", "--sheet", "See: batchrun run --help"]),
        ("run a --limt 5", ["No such option: --limt. Did you mean --limit?"]),
        ("run -z", ["-z", "See: batchrun run --help"]),
        ("run", ["FILE", "See: batchrun run --help"]),
        ("check nowhere.csv", ["There is no file nowhere.csv."]),
        ("check .", ["No workflow given.", 'such as -w "Account Research"', "batchrun workflows"]),
        ("export", ["--output", "See: batchrun export --help"]),
        ("run a --limit", ["--limit", "See: batchrun run --help"]),
        ("run a --limit x", ["--limit", "it must be a whole number.", "See: batchrun run --help"]),
        ("run a --limit 1.5", ["--limit", "it must be a whole number."]),
        ("run a --limit=0", ["--limit", "it must be at least 1.", "See: batchrun run --help"]),
        ("web --port 70000", ["--port", "it must be at most 65535."]),
        ("sandbox --fail x", ["--fail", "it must be a number."]),
        ("sandbox --fail 2", ["--fail", "1", "See: batchrun sandbox --help"]),
        ("run a --json=1", ["--json", "See: batchrun run --help"]),
        ("run a b", ["(b)", "See: batchrun run --help"]),
        ("resume --in-doubt rety", ["--in-doubt", "rety", "'retry'"]),
        ("retry --outcome faild", ["There is no outcome faild.", "Did you mean failed?"]),
    ],
)
def test_a_mistyped_command_points_to_the_help(
    batchrun: CommandLine, typed: str, names: list[str]
) -> None:
    ended = batchrun(*typed.split())
    assert_refused(ended, ExitCode.UNUSABLE, *names)
    assert ended.stdout == ""
    assert "Input should" not in ended.stderr  # a library's words


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (("run", ""), "run"),
        (("check", "list.csv", "-w", ""), "-w"),
        (("run", "list.csv", "--output="), "--output"),
        (("check", "list.csv", "--company-column", "", "-w", "x"), "--company-column"),
        (("status", "", "--sandbox"), "status"),
    ],
)
def test_an_empty_argument_is_refused_and_not_a_folder_or_a_default(
    batchrun: CommandLine, typed: tuple[str, ...], name: str
) -> None:
    assert_refused(
        batchrun(*typed), ExitCode.UNUSABLE, f"The argument after {name} is empty.", "leave it out"
    )


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--param", ("focus=price", "focus=people")),
        ("--param-column", ("focus=Focus", "focus=City")),
        ("--rename", ("outputs.score=Score", "outputs.score=Rank")),
    ],
)
def test_an_option_with_two_values_for_one_name_is_refused(
    batchrun: CommandLine, accounts: Path, option: str, values: tuple[str, str]
) -> None:
    given = [word for value in values for word in (option, value)]
    ended = batchrun("run", str(accounts), "-w", "Account Research", "--yes", *given)
    name = values[0].partition("=")[0]
    assert_refused(ended, ExitCode.UNUSABLE, f"{option} is given twice for {name}.")


def test_the_version_has_the_usual_short_option(batchrun: CommandLine) -> None:
    assert batchrun("-V").stdout == batchrun("--version").stdout


@pytest.mark.parametrize(
    ("option", "variables", "way"),
    [
        ((), {}, "batchrun login, then batchrun workflows"),
        ((), {"PGAI_API_KEY": "sk-0123456789abcdef"}, "To list them: batchrun workflows"),
        (("--sandbox",), {}, "To list them: batchrun workflows --sandbox"),
    ],
    ids=["without a key", "with a key", "in the sandbox"],
)
def test_the_way_to_the_workflows_works_without_a_key(
    batchrun: CommandLine,
    accounts: Path,
    option: tuple[str, ...],
    variables: dict[str, str],
    way: str,
) -> None:
    for name, value in variables.items():
        batchrun.monkeypatch.setenv(name, value)
    assert f"{way}\n" in batchrun("run", str(accounts), *option).stderr


def test_an_option_of_another_command_is_not_taken_for_a_misspelling(
    batchrun: CommandLine,
) -> None:
    ended = batchrun("check", "a.csv", "--quiet")
    assert_refused(ended, ExitCode.UNUSABLE, "No such option: --quiet.", "an option of run")
    assert "--quoting" not in ended.stderr


def test_a_mistyped_crm_or_reader_gets_the_known_ones(batchrun: CommandLine) -> None:
    ended = batchrun("export", "-o", "x.csv", "--crm", "hubsot")
    assert_refused(ended, ExitCode.UNUSABLE, "'hubsot' is not one of 'salesforce', 'hubspot'")
    ended = batchrun("export", "-o", "x.xlsx", "--for", "poeple")
    assert_refused(ended, ExitCode.UNUSABLE, "'poeple' is not one of 'operators', 'people'")


@pytest.mark.usefixtures("results")
def test_a_mistyped_batch_gets_a_suggestion(batchrun: CommandLine) -> None:
    [batch] = json.loads(batchrun("batches", "--json").stdout)
    name = batch["batch"]
    ended = batchrun("status", name.replace("accounts", "acounts"))
    assert_refused(ended, ExitCode.UNUSABLE, f"Did you mean {name}?")


@pytest.mark.usefixtures("sandbox")
def test_a_mistyped_sheet_gets_a_suggestion(batchrun: CommandLine) -> None:
    book = Workbook()
    book.create_sheet("Accounts")
    book.save(batchrun.folder / "list.xlsx")
    ended = batchrun("check", "list.xlsx", "-w", "Account Research", "--sheet", "Acounts")
    assert_refused(ended, ExitCode.UNUSABLE, "Acounts", "Did you mean Accounts")


@pytest.mark.parametrize(
    "typed",
    ["status --json", "run nowhere.csv -w x --yes --json", "run --json", "workflows --jsn --json"],
)
def test_an_error_with_json_is_one_document(batchrun: CommandLine, typed: str) -> None:
    ended = batchrun(*typed.split())
    error = json.loads(ended.stdout)["error"]
    assert error["exit_code"] == ended.exit_code
    assert ended.stderr == f"Error: {error['what']}\n{error['hint']}\n"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("status --limit 5", "It is an option of run, resume. See: batchrun status --help"),
        ("resume --dry-run", "It is an option of run. See: batchrun resume --help"),
        (
            "check my list.csv",
            "and a pattern for several files, in quotes",
        ),
        (
            "run a.csv b.csv",
            "and a pattern for several files, in quotes",
        ),
    ],
)
def test_a_usage_error_says_what_may_have_been_meant(
    batchrun: CommandLine, typed: str, hint: str
) -> None:
    assert hint in batchrun(*typed.split()).stderr
