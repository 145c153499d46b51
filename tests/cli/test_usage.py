"""What is typed wrongly: the same two lines as any error, with what was probably meant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batchrun.cli.errors import usage_error
from batchrun.cli.options import ColumnOptions, form_from
from batchrun.errors import ExitCode, UsageError
from tests.cli.test_bad_input import assert_refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        ("rnu x", "batchrun has no command rnu.", "Did you mean run?"),
        ("xyzzy", "batchrun has no command xyzzy.", "See: batchrun --help"),
        ("run a --shet y", "batchrun run has no option --shet.", "Did you mean --sheet"),
        ("run -z", "batchrun run has no option -z.", "See: batchrun run --help"),
        ("run", "batchrun run needs FILE.", "See: batchrun run --help"),
        ("check a", "No workflow is named.", "batchrun workflows"),
        ("export", "batchrun export needs the option --output.", "batchrun export --help"),
        ("run a --limit", "batchrun run needs a value after --limit.", "batchrun run --help"),
        ("run a --limit x", "takes no --limit x.", "Write --limit with a whole number."),
        ("run a --limit=0", "takes no --limit 0.", "a number of at least 1."),
        ("sandbox --fail 2", "takes no --fail 2.", "a number of at most 1."),
        ("run a --json=1", "batchrun run takes no value for --json.", "--json alone"),
        ("run a b", "does not know what to do with b.", "goes in quotes"),
        ("resume --in-doubt rety", "takes no --in-doubt rety.", "Did you mean retry?"),
        ("retry --outcome faild", "There is no outcome faild.", "Did you mean failed?"),
    ],
)
def test_what_was_meant_is_offered(batchrun: CommandLine, typed: str, what: str, hint: str) -> None:
    ended = batchrun(*typed.split())
    assert_refused(ended, ExitCode.UNUSABLE, what, hint)
    assert ended.stdout == ""


def test_a_crm_that_is_nearly_named_is_offered() -> None:
    with pytest.raises(UsageError, match="hubsot is not known") as refused:
        form_from(ColumnOptions(), crm="hubsot")
    assert refused.value.hint.startswith("Did you mean hubspot?")


def test_words_of_the_parser_that_are_new_are_passed_on() -> None:
    error = usage_error("Something nobody has heard of", "batchrun run")
    assert error.what == "Something nobody has heard of."
    assert error.hint == "See: batchrun run --help"


@pytest.mark.usefixtures("sandbox")
def test_a_batch_that_is_nearly_named_is_offered(batchrun: CommandLine, accounts: Path) -> None:
    batchrun("run", str(accounts), "-w", "Account Research", "--yes")
    [batch] = json.loads(batchrun("batches", "--json").stdout)
    name = batch["batch"]
    ended = batchrun("status", name.replace("accounts", "acounts"))
    assert_refused(ended, ExitCode.UNUSABLE, f"Did you mean {name}?")


@pytest.mark.usefixtures("sandbox")
def test_a_sheet_that_is_nearly_named_is_offered(batchrun: CommandLine, accounts: Path) -> None:
    batchrun("run", str(accounts), "-w", "Account Research", "--yes")
    ended = batchrun(
        "check", "accounts.results.xlsx", "-w", "Account Research", "--sheet", "Reslts"
    )
    assert_refused(ended, ExitCode.UNUSABLE, "Reslts", "Results")


@pytest.mark.parametrize(
    "typed",
    ["status --json", "run nowhere.csv -w x --yes --json", "run --json", "workflows --jsn --json"],
)
def test_an_error_is_one_document_too(batchrun: CommandLine, typed: str) -> None:
    ended = batchrun(*typed.split())
    error = json.loads(ended.stdout)["error"]
    assert error["exit_code"] == ended.exit_code
    assert ended.stderr == f"Error: {error['what']}\n{error['hint']}\n"
