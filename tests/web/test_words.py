"""The page speaks of its own controls, never of the command line's options and commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import batchrun
from batchrun.errors import BatchrunError
from batchrun.web.words import controls_named, hint_on_page, in_page_words

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(batchrun.__file__).parent
NEVER_ON_THE_PAGE = {"cli", "web", "doctor.py", "installation.py", "frames.py"}
COMMAND_LINE = re.compile(
    r"(?<![\w-])--[a-z]|\bbatchrun (?:run|check|resume|retry|export|status|batches|login|logout"
    r"|workflows|forget|demo|sandbox)\b|\bBATCHRUN_[A-Z]|batchrun\.toml"
)


def texts(tree: ast.Module) -> Iterator[str]:
    """The texts in a module that are not docstrings, with a value in each gap."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, documented)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    parts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(each) for each in ast.walk(node) if each is not node}
            yield "".join(
                str(each.value) if isinstance(each, ast.Constant) else "7" for each in node.values
            )
        elif isinstance(node, ast.Constant) and id(node) not in docstrings | parts:
            yield str(node.value)


def messages() -> list[str]:
    """Every text of the library that speaks of the command line."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if not NEVER_ON_THE_PAGE & set(path.relative_to(PACKAGE).parts):
            found |= set(texts(ast.parse(path.read_text(encoding="utf-8"))))
    return sorted(each for each in found if COMMAND_LINE.search(each) and " " in each)


def test_advice_on_the_page_names_no_option_command_or_variable() -> None:
    shown = {message: hint_on_page(BatchrunError("", message)) for message in messages()}
    assert len(shown) > 60
    assert {message for message, hint in shown.items() if COMMAND_LINE.search(hint)} == set()


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("Choose the one to read, such as --sheet Data.", "such as “Sheet: Data”."),
        ("Choose the one to read, such as --sheet 'Q4 plan'.", "such as “Sheet: Q4 plan”."),
        ("To trigger it once more, add --again.", "choose “Run everything again”."),
        ("Resume with: batchrun resume 1129-list-7f3a", "Resume with “Continue”"),
        ("Save yours with: batchrun login", "Save yours under “Settings”"),
        ("Check the base URL (BATCHRUN_BASE_URL).", "Check the base URL."),
        ("Try again. Or add --no-such-option.", "Try again."),
        ("Name its journal with --journal, or run the list itself.", "Drop the list itself"),
    ],
)
def test_an_option_or_command_is_its_control_on_the_page(hint: str, shown: str) -> None:
    assert shown in hint_on_page(BatchrunError("", hint))


def test_what_looks_like_no_option_of_ours_stays_in_a_message() -> None:
    assert in_page_words("Line 3: --unknown --sheets") == "Line 3: --unknown --sheets"


def test_a_notice_leads_to_its_controls() -> None:
    notice = "read as Windows-1252, a guess; --encoding settles it, --sheet 2 reads another"
    assert [control.id for control in controls_named([notice, notice])] == ["encoding", "sheet"]
