"""No pattern takes more than a moment over 100 kB that were made to keep it busy.

A pattern with quadratic behaviour takes minutes over these, so the generous timeout tells.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import batchrun
from batchrun.cli.output import wrapped
from batchrun.errors import InputError
from batchrun.service.parsing import explain
from batchrun.tables import load, parse_id
from batchrun.text import masked, without_password
from batchrun.workbook.text import escaped

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 100_000
PIECES = (
    " ", "\n", "- ", "=", ";", '"', "'", "1 ", "1,", "a.", "a@", "(1", "/ ", "a://", "<!--",
    "<!---->", "<title>", "<a ", "</", "<![CDATA[", "&#1", "password='", "total :", "batchrun ",
)  # fmt: skip
BEGINNINGS = ("", "-", '="', "a@", "total records ", "Name (1", "<!--")

pytestmark = pytest.mark.timeout(120)


def patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Every pattern that a module of the package keeps under a name, those in tuples too."""
    found = []
    for module in pkgutil.walk_packages(batchrun.__path__, "batchrun."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            values = value if isinstance(value, tuple) else (value,)
            for each in values:
                inside = each if isinstance(each, tuple) else (each,)
                found += [(f"{module.name}.{name}", one) for one in inside if _is_pattern(one)]
    return list(dict.fromkeys(found))


def _is_pattern(value: object) -> bool:
    return isinstance(value, re.Pattern) and isinstance(value.pattern, str)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_matching_a_hostile_text_ends(beginning: str) -> None:
    for _, pattern in patterns():
        for piece in PIECES:
            text = beginning + piece * (LENGTH // len(piece)) + "\n!"
            pattern.fullmatch(text)


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


def test_total_rows_are_recognised_in_a_list_of_hostile_cells(tmp_path: Path) -> None:
    cells = [f"-{' ' * LENGTH}x", f"total records{':' * LENGTH}\nx", f"Name {'(1 ' * 30_000}"]
    rows = "".join(f'"{cell}",1\n' for cell in cells)
    file = tmp_path / "list.csv"
    file.write_text(f"Name,Amount\n{rows}Total,3\n", encoding="utf-8")
    assert len(load(file)) == len(cells)
