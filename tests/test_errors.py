"""Errors: each has a message, a hint and a documented exit code."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import batchrun
from batchrun import errors
from batchrun.errors import BatchrunError, UsageError

PACKAGE = Path(batchrun.__file__).parent
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, BatchrunError)
]
WITHOUT_HINT = {"NotConfirmedError", "StoppedError", "BatchExit"}
"""The user answered no or pressed Ctrl-C: they know what to do."""


def test_an_error_is_its_message_and_its_hint() -> None:
    error = UsageError("There is no such file.", "Check its name.")
    assert str(error) == "There is no such file.\nCheck its name."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(UsageError("Stopped.")) == "Stopped."


def test_every_error_in_the_code_is_made_with_a_hint() -> None:
    names = {kind.__name__ for kind in KINDS} - WITHOUT_HINT
    missing = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
        and len(node.args) == 1
        and not isinstance(node.args[0], ast.Starred)
    ]
    assert missing == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not BatchrunError])
def test_every_error_is_in_the_tree_with_its_exit_code(kind: type[BatchrunError]) -> None:
    tree = str(errors.__doc__)
    line = next(line for line in tree.splitlines() if f" {kind.__name__} " in line)
    assert f" {kind.exit_code.value} " in line
