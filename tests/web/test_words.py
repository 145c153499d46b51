"""The page speaks of its own controls, never of the command line's options and commands."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import batchrun
from batchrun.advice import Action, Advice, reworded
from batchrun.tables.ids import EXAMPLE_ID
from batchrun.web.words import CONTROLS, advice_words, controls_of, plain, reason_words

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(batchrun.__file__).parent
NEVER_ON_THE_PAGE = {"cli", "web", "doctor.py", "installation.py", "frames.py", "aio.py"}
NOT_SHOWN = {
    "batch/cluster.py": "the page starts no workers",
    "settings/loading.py": "a notice for a terminal",
    "settings/files.py": "the page saves no options",
    "workbook/reasons.py": "the workbook's commands; the page takes the words without them",
    "workbook/table_sheets.py": "the workbook's description of its columns",
}
FOR_A_TERMINAL = {
    ("batch/export.py", "--journal 7"),
    ("engine/session.py", "BATCHRUN_SPEED other than 1 is for a sandbox on this machine."),
    ("model.py", "They can't be sent. Correct the list, and run it with --reuse 30d."),
    ("model.py", "Send them with: batchrun resume"),
    ("tables/workbooks.py", "batchrun status"),  # a column's title
    ("model.py", "Their results are there; run --again runs and pays for everything again."),
}
"""Texts of commands that the page does not have."""
COMMAND_LINE = re.compile(
    r"(?<![\w-])--[a-z]|\bbatchrun (?:run|check|resume|retry|export|status|batches|login|logout"
    r"|workflows|forget|demo|sandbox)\b|\bBATCHRUN_[A-Z]|batchrun\.toml"
)


def text_of(node: ast.AST) -> str:
    """The text of a literal, with a number in each gap."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(each.value) if isinstance(each, ast.Constant) else "7" for each in node.values
        )
    return str(node.value) if isinstance(node, ast.Constant) else ""


def advice_in(tree: ast.Module) -> list[ast.Call]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Advice"]


def for_every_reader(tree: ast.Module) -> Iterator[str]:
    """The texts in a module that are neither docstrings nor for a terminal."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    left_out = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, documented)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for call in advice_in(tree):
        left_out |= {id(each) for part in call.args[1:] for each in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) not in left_out:
            yield text_of(node)
            left_out |= {id(each) for each in ast.walk(node) if isinstance(node, ast.JoinedStr)}


@functools.cache
def modules() -> list[tuple[str, ast.Module]]:
    return [
        (name.as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
        if not NEVER_ON_THE_PAGE & set((name := path.relative_to(PACKAGE)).parts)
        and name.as_posix() not in NOT_SHOWN
    ]


def test_only_the_terminal_s_part_of_advice_names_options_commands_and_variables() -> None:
    found = {
        (name, text)
        for name, tree in modules()
        for text in for_every_reader(tree)
        if " " in text and COMMAND_LINE.search(text)
    }
    assert found == FOR_A_TERMINAL


def test_one_made_up_id_is_the_example_everywhere() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".html", ".js"}]
    ids = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
    assert {one for path in files for one in ids.findall(path.read_text(encoding="utf-8"))} == {
        EXAMPLE_ID
    }


def test_each_parameter_that_advice_names_has_a_control() -> None:
    named = {
        keyword.arg
        for _, tree in modules()
        for call in advice_in(tree)
        for keyword in call.keywords
        if keyword.arg is not None
    }
    assert len(named) > 5
    assert named <= set(CONTROLS)


@pytest.mark.parametrize(
    ("advice", "shown"),
    [
        (Advice("Try again."), "Try again."),
        (Advice("", "Add --sheet Data.", sheet="Data"), "under “Sheet”, such as Data."),
        (Advice("Unlock it", ", or: batchrun login", Action.LOG_IN), "Unlock it. Save your key"),
        (Advice("", "List them with: batchrun batches"), ""),
    ],
)
def test_the_page_words_options_and_actions_as_its_controls(advice: Advice, shown: str) -> None:
    assert shown in advice_words(advice)
    assert not COMMAND_LINE.search(advice_words(advice))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10 of the first 29 jobs failed", "10 of the first 29 rows failed"),
        ("read as Windows-1252 (cp1252)", "read as Western European (Windows)"),
        ("The header has 2 lines (4-5)", "The column names have 2 lines (4-5)"),
        ("2 tables with the same header", "2 tables with the same line of column names"),
        ('"my header" is the header row', '"my header" is the line of column names'),
        ("Batch 1129-a-7f3a ended; this batch is over", "Run 1129-a-7f3a ended; this run is over"),
    ],
)
def test_messages_use_the_page_s_words(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        '"5 jobs.csv" can\'t be read',
        "“the batch” can't be read",
        "'12 jobs in a row.csv' can't be read",
        "5 jobs.csv: no row can be sent",
        "5 jobs in a row.xlsx is a web page (HTML), not what its name says",
        "Batch 2024-05 export.csv: line 3 has too many cells",
        "Batch 2024-05-abcd.csv is empty",
        "this batch.csv: not UUIDs.csv",
        "The service at https://api.example failed: 12 jobs in a row, the batch is not a PG:AI ID.",
        "The service refuses the key: it is not a PG:AI ID of the batch.",
    ],
)
def test_names_and_the_service_s_words_are_not_changed(text: str) -> None:
    assert plain(text) == text
    assert advice_words(f"{text}.").startswith(text)


def test_the_service_s_reason_is_not_changed_in_a_message_about_many_rows() -> None:
    reason = "ended without a result, 3 of them: 12 jobs failed, as this batch has a PG:AI ID"
    for what in ("5 {}s in a row", "3 of the first 12 {}s", "1 {} in a row"):
        assert plain(f"{what.format('job')} {reason}") == f"{what.format('row')} {reason}"


def test_a_name_does_not_keep_the_rest_of_a_message_from_being_reworded() -> None:
    said = plain(
        '5 jobs.csv: only some cells of column UUIDs are PG:AI IDs, in batch 1129-a-b-7f3a "a"'
    )
    assert said == (
        '5 jobs.csv: only some cells of column UUIDs are PG:AI IDs, in run 1129-a-b-7f3a "a"'
    )


def test_a_reason_names_no_technical_term() -> None:
    reason = "company ID is not a PG:AI ID: 31 letters and digits"
    assert reason_words(reason) == ("Company ID is not a PG:AI ID: 31 letters and digits")


@pytest.mark.parametrize("action", Action)
def test_each_action_has_words(action: Action) -> None:
    assert advice_words(Advice("", "", action))


def test_advice_keeps_its_meaning_when_text_is_added_or_changed() -> None:
    advice = "First. " + Advice("Take it out", ", or add --sheet 2", Action.RESUME, sheet="2") + "."
    shouted = reworded(advice, str.upper)
    assert shouted == "FIRST. TAKE IT OUT, OR ADD --SHEET 2."
    assert advice_words(shouted).startswith("FIRST. TAKE IT OUT.")
    assert [control.id for control in controls_of(shouted)] == ["sheet"]
