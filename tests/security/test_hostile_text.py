"""No pattern takes more than a moment over 50 kB that were made to keep it busy.

A pattern with quadratic behaviour takes a minute over these, so the generous timeout tells.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import operator
import pkgutil
import re
from collections import deque
from contextlib import suppress
from functools import reduce
from typing import TYPE_CHECKING

import pytest

import batchrun
from batchrun.cli.output import wrapped
from batchrun.errors import InputError
from batchrun.service.parsing import explain
from batchrun.tables.files import load
from batchrun.tables.ids import parse_id
from batchrun.text import masked, without_password
from batchrun.workbook.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    Used = tuple[str, re.Pattern[str] | re.Pattern[bytes], str]

LENGTH = 50_000
PIECES = (
    " ", "\n", "- ", "=", ";", '"', "'", "1 ", "1,", "a.", "a@", "(1", "/ ", "a://", "<!--",
    "<!---->", "<title>", "<a ", "</", "<![CDATA[", "&#1", "password='", "total :", "batchrun ",
)  # fmt: skip
BEGINNINGS = ("", "-", '="', "a@", "total records ", "Name (1", "<!--")
SEARCHED = ("", "<!--")
"""A search begins at each place anyway, so a beginning matters only to a pattern that has it."""

pytestmark = pytest.mark.timeout(120)


METHODS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")


@pytest.fixture(scope="module")
def patterns_as_used() -> list[Used]:
    """Every pattern of the package, with each method that its source calls on it.

    The pattern has a name in a module, is inside a tuple or dictionary there, or is written where
    it is used, as in ``re.sub("…", …)``.
    """
    names = (each.name for each in pkgutil.walk_packages(batchrun.__path__, "batchrun."))
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    found = {(pattern, how): name for each in modules for name, pattern, how in _used_in(each)}
    return [(name, pattern, how) for (pattern, how), name in found.items()]


def _used_in(module: ModuleType) -> Iterator[Used]:
    tree = ast.parse(inspect.getsource(module))
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    of_inside = set()
    for node in ast.walk(tree):  # `pattern.search` is no call if a function is given it
        if not (isinstance(node, ast.Attribute) and node.attr in METHODS):
            continue
        if not isinstance(node.value, ast.Name) or node.value.id == "re":
            continue
        named = vars(module).get(node.value.id)
        if isinstance(named, re.Pattern):
            yield f"{module.__name__}.{node.value.id}", named, node.attr
        elif node.attr != "split":  # of a text
            of_inside.add(node.attr)
    for name, value in vars(module).items():
        values = value.values() if isinstance(value, dict) else value
        if isinstance(value, (tuple, dict)) and not name.startswith("__"):
            flat = [one for each in values for one in (each if isinstance(each, tuple) else [each])]
            for pattern in (one for one in flat if isinstance(one, re.Pattern)):
                assert of_inside, f"{module.__name__}.{name}: how is it used?"
                yield from ((f"{module.__name__}.{name}", pattern, how) for how in of_inside)
    for call in calls:
        function = call.func
        if (
            isinstance(function, ast.Attribute)
            and function.attr in METHODS
            and ast.unparse(function.value) == "re"
            and isinstance(call.args[0], ast.Constant)
        ):
            rest = [*call.args[1:], *(each.value for each in call.keywords)]
            told = [each.attr for one in rest for each in ast.walk(one) if hasattr(each, "attr")]
            flags = [getattr(re, each) for each in told if each.isupper()]  # such as IGNORECASE
            pattern = re.compile(str(call.args[0].value), reduce(operator.or_, flags, 0))
            yield f"{module.__name__}:{call.lineno}", pattern, function.attr


def test_the_patterns_of_the_package_are_found(patterns_as_used: list[Used]) -> None:
    found = {(name.partition(":")[0], how) for name, _, how in patterns_as_used}
    assert {
        ("batchrun.workbook.reasons._VALUE", "findall"),
        ("batchrun.text._PLACES_OF_SECRETS", "sub"),
        ("batchrun.plan._OBJECTS", "search"),
        ("batchrun.settings.location", "match"),
    } <= found


@pytest.mark.timeout(15, func_only=True)
@pytest.mark.parametrize("piece", PIECES)
def test_matching_a_hostile_text_ends(piece: str, patterns_as_used: list[Used]) -> None:
    for beginning in BEGINNINGS:
        text = beginning + piece * (LENGTH // len(piece)) + "\n!"
        for _, pattern, how in patterns_as_used:
            searches = how not in {"match", "fullmatch"}
            if searches and not (beginning in SEARCHED and beginning in str(pattern.pattern)):
                continue
            given: str | bytes = text if isinstance(pattern.pattern, str) else text.encode()
            if how in {"sub", "subn"}:
                given_back = getattr(pattern, how)(given[:0], given)
            else:
                given_back = getattr(pattern, how)(given)
            if how == "finditer":
                deque(given_back, maxlen=0)


@pytest.mark.parametrize("piece", PIECES)
def test_functions_that_search_a_foreign_text_end(piece: str) -> None:
    for beginning in ("", "-"):
        text = beginning + piece * (LENGTH // len(piece)) + "\n!"
        masked(text, [])
        escaped(text)
        parse_id(text, lenient=True)
        explain(500, text.encode())
        wrapped(text, 80)
        without_password(text)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("beginning", ["Company ID,Name\n1,-", "<table><tr><td>"])
def test_a_list_of_hostile_text_is_read_or_refused(
    beginning: str, piece: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(beginning + piece * (LENGTH // len(piece)) + "x", encoding="utf-8")
    with suppress(InputError):
        load(file)


def test_a_list_with_hostile_titles_is_read(tmp_path: Path) -> None:
    titles = ",".join(f"{number}{' ' * LENGTH}x" for number in range(5))
    file = tmp_path / "list.csv"
    file.write_text(f"Company ID,{titles}\n1,2,3,4,5,6\n", encoding="utf-8")
    assert len(load(file)) == 1


def test_total_rows_are_recognised_in_a_list_of_hostile_cells(tmp_path: Path) -> None:
    cells = [f"-{' ' * LENGTH}x", f"total records{':' * LENGTH}\nx", f"Name {'(1 ' * 30_000}"]
    rows = "".join(f'"{cell}",1\n' for cell in cells)
    file = tmp_path / "list.csv"
    file.write_text(f"Name,Amount\n{rows}Total,3\n", encoding="utf-8")
    assert len(load(file)) == len(cells)
