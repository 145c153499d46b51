"""The command line uses what every program may use: nothing of the package that is not public."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import batchrun
from batchrun import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC = {
    "batchrun",
    "batchrun.aio",
    "batchrun.errors",
    "batchrun.events",
    "batchrun.model",
    "batchrun.sandbox",
}
"""docs/python.md names them."""
SHARED = {
    "batchrun.advice",
    "batchrun.batch.control",
    "batchrun.batch.export",
    "batchrun.batch.pipeline",
    "batchrun.batch.recover",
    "batchrun.batch.history",
    "batchrun.engine.session",
    "batchrun.cli.errors",
    "batchrun.doctor",
    "batchrun.estimate",
    "batchrun.installation",
    "batchrun.list_rows",
    "batchrun.login",
    "batchrun.options",
    "batchrun.settings",
    "batchrun.tables.files",
    "batchrun.text",
    "batchrun.workbook",
    "batchrun.web",
}
"""What the command line shares with the library and nobody else needs: settings as they are
written, stored keys, which files are missing or replaced, which lists run again, what was paid,
workers, signals, questions about strangers' files, what the doctor finds, costs and numbers as
words, failures as files, the page."""

MODULES = sorted(Path(str(cli.__file__)).parent.glob("*.py"))


def private_names(path: Path) -> Iterator[str]:
    """The names a module imports from the package that are not public."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    module.body = [node for node in module.body if not is_for_types(node)]
    for node in ast.walk(module):
        match node:
            case ast.ImportFrom(module=str(home), names=names) if home.startswith("batchrun"):
                if home != "batchrun" and (home in PUBLIC or is_shared(home)):
                    continue
                if home == "batchrun.cli" or home.startswith("batchrun.cli."):
                    continue
                yield from (each.name for each in names if not is_public(home, each.name))
            case ast.Import(names=names):
                yield from (
                    each.name
                    for each in names
                    if each.name.startswith("batchrun.") and each.name not in PUBLIC | SHARED
                )
            case _:
                pass


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def is_shared(home: str) -> bool:
    """Whether a module, or the package it is in, is shared."""
    return home in SHARED or home.rpartition(".")[0] in SHARED


def is_public(home: str, name: str) -> bool:
    """Whether it is, wherever it lives, what `batchrun` itself offers under that name."""
    if name not in {*batchrun.__all__, "__version__"}:
        return False
    return getattr(import_module(home), name) is getattr(batchrun, name)


def test_modules_import_only_public_names() -> None:
    private = {path.stem: set(private_names(path)) for path in MODULES}
    assert {name: names for name, names in private.items() if names} == {}
