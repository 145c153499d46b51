"""Every message of the program in one style: what and where, then what to do."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import batchrun
from batchrun import errors
from batchrun.errors import BatchrunError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(batchrun.__file__).parent
NAMES = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, BatchrunError)
}
WITHOUT_HINT = {
    "Nothing was triggered.",
    "Stopped.",
    "Stopped before anything was triggered.",
    "Stopped before anything was begun.",
}
"""Somebody has said no, or pressed Ctrl-C: they know what to do."""


def made() -> Iterator[tuple[str, ast.Call]]:
    """Each place where an error is made with its words, and where it is."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[_, *_]) if name in NAMES:
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node
                case _:
                    pass


def written(node: ast.expr) -> str:
    """A text as it is written, with ``{}`` for what is filled in; ``""`` for no text."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(written(part) or "{}" for part in parts)
        case _:
            return ""


MADE = list(made())


def test_errors_are_made_in_many_places() -> None:
    assert len(MADE) > 80


@pytest.mark.parametrize("call", [call for _, call in MADE], ids=[where for where, _ in MADE])
def test_an_error_says_what_and_what_to_do(call: ast.Call) -> None:
    what = written(call.args[0])
    if what:
        assert what.endswith((".", "{}")), what
        assert "!" not in what
        assert what[0].isupper() or what[0] in "{-" or what.startswith("batchrun"), what
        assert "\n" not in what
        assert "cannot" not in what  # the house writes can't
    if len(call.args) < 2:
        assert what in WITHOUT_HINT, f"{what!r} does not say what to do"
        return
    hint = written(call.args[1])
    if hint:
        ends_in_words_to_copy = any(sign in hint for sign in (": ", "batchrun ", "-o "))
        assert hint.endswith((".", "?", "{}")) or ends_in_words_to_copy, hint
        assert hint[0].isupper() or hint[0] in "{-", hint


OF_THE_COMMAND_LINE = ("cli/", "sandbox/")
"""Where nobody but somebody at a command line is spoken to."""
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
COMMAND = re.compile(r"(?:batchrun|pip) [a-z].*?(?=\. |$)")


def test_the_library_speaks_of_its_parameters_and_of_no_option() -> None:
    """An option stands only behind a command that takes it."""
    spoken = {
        where: " ".join(OPTION.findall(COMMAND.sub("", " ".join(map(written, call.args)))))
        for where, call in MADE
        if not where.startswith(OF_THE_COMMAND_LINE)
    }
    assert {where: options for where, options in spoken.items() if options} == {}


def test_every_exit_code_is_in_the_readme() -> None:
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    table = page[page.index("| exit code |") :]
    assert [code for code in ExitCode if f"\n| {code.value} |" not in table] == []


def test_every_error_is_in_the_tree_with_its_exit_code() -> None:
    tree = str(errors.__doc__)
    for name in NAMES - {"BatchrunError"}:
        line = next(line for line in tree.splitlines() if f" {name} " in line)
        assert f" {vars(errors)[name].exit_code.value} " in line
