"""What a list is said to hold reads as a person would say it, be it of one or of several."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.tables.files import load
from batchrun.tables.frames import RowCollector
from batchrun.tables.ids import IdKind
from batchrun.tables.options import LoadOptions
from batchrun.tables.reports import set_aside_notice
from batchrun.tables.roles import Contents
from tests.corpus.cases import A
from tests.corpus.parts import INLINE, pack, rows, xlsx_parts
from tests.tables.files import Rows, load_bytes

if TYPE_CHECKING:
    from pathlib import Path

KINDS = (
    "repeated header",
    "group row",
    "subtotal or total",
    "footer line",
    "line above the header",
)
NOUNS = "row|cell|formula|column|line|subtotal|header"
MISMATCHED = re.compile(
    rf"\b1 (?:\w+ )?(?:{NOUNS})s\b"
    r"|\b1 \w+ (?:\w+ )?(?:are|have|were|look|hold)\b"
    r"|\b(?:[2-9]|\d\d+) [\w ]+ (?:is|has|was|looks|holds|counts)\b"
)


def sheet(times: int) -> bytes:
    """A workbook with this many of each trait."""
    body = [
        *[[A, 't="e"|<v>#N/A</v>']] * times, *[[A, "|<f>1+1</f>"]] * times, *[[A, "x"]] * times,
    ]  # fmt: skip
    text = rows(["Company ID", "Value"], *body, [A, f"{INLINE}|<is><t>last</t></is>"])
    for row in range(2 + 2 * times, 2 + 3 * times):
        text = text.replace(f'<row r="{row}"', f'<row r="{row}" hidden="1"')
    columns = f'<cols><col min="1" max="{times}" hidden="1"/></cols>'
    return pack(xlsx_parts(columns + text))


@pytest.mark.parametrize("options", [{}, {"visible_only": True}], ids=str)
@pytest.mark.parametrize("times", [1, 2, 1_000])
def test_traits_of_a_workbook_are_counted_in_words(
    tmp_path: Path, times: int, options: dict[str, Any]
) -> None:
    file = tmp_path / "a.xlsx"
    file.write_bytes(sheet(times))
    notices = load(file, LoadOptions(**options)).source.notices
    assert len(notices) == 4
    for notice in notices:
        assert notice.startswith(f"{times:,} ")
        assert not MISMATCHED.search(notice.replace(",", "")), notice


def test_one_formula_counts_and_several_count(tmp_path: Path) -> None:
    said = {
        times: next(
            notice
            for notice in load_bytes(tmp_path, sheet(times), "a.xlsx").source.notices
            if "formula" in notice
        )
        for times in (1, 2)
    }
    assert said[1].startswith("1 formula has no stored value and counts as empty (first: B3);")
    assert said[2].startswith("2 formulas have no stored value and count as empty (first: B4);")


@pytest.mark.parametrize("times", [1, 2, 1_000])
def test_rows_of_a_report_are_counted_in_words(times: int) -> None:
    lines = list(range(5, 5 + 2 * times, 2))
    collector = RowCollector("list.csv", 2, "")
    rows: Rows = [["x"], [""], ["x", "y", "z"]]
    collector.add_block((range(2, 2 + 3 * times), [list(row) for row in rows * times]))
    said = [set_aside_notice(kind, [(line, "text") for line in lines]) for kind in KINDS]
    for notice in [*said, *collector.notices()]:
        assert notice.startswith(f"{times:,} ")
        assert not MISMATCHED.search(notice.replace(",", "")), notice


@pytest.mark.parametrize("kind", IdKind)
def test_what_a_column_holds_is_counted_in_words(kind: IdKind) -> None:
    one = Contents(0, "a", 1, {kind: 1}, 1, ()).words
    several = Contents(0, "a", 2, {kind: 2}, 2, ()).words
    assert one == f"1 PG:AI ID, 1 {kind.value}, 1 empty"
    assert several.startswith("2 PG:AI IDs, 2 ")
    assert f"2 {kind.value}," not in several


@pytest.mark.parametrize(
    "wrong",
    ["1 rows are hidden", "1 row are hidden", "2 row is hidden", "1 formula have no value",
     "12 rows has more", "1 blank rows were skipped"],
)  # fmt: skip
def test_the_test_knows_a_mismatch(wrong: str) -> None:
    assert MISMATCHED.search(wrong)


ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202egpj\x9b1m"


def test_a_name_can_not_write_to_the_terminal(tmp_path: Path) -> None:
    content = f"Company ID,Na\x1b[2Jme\n{A},x,more\nTotal \x1b[2J,\n"
    name = f"list{ESCAPES}.csv"
    table = load_bytes(tmp_path, content, name)
    assert table.source.name == r"list\x1b]0;owned\x07\x1b[2J\u202egpj\x9b1m.csv"
    assert table.source.path == str(tmp_path / name)  # where it can be found again
    assert table.header[1] == "Na\x1b[2Jme"
    for notice in table.source.notices:
        assert notice.isprintable(), notice


@pytest.mark.parametrize("title", ["Report: 12 accounts skipped", "Export: 3 rows set aside"])
@pytest.mark.parametrize("name", ["accounts", "2026 accounts (2)"])
def test_what_was_set_aside_is_counted_whatever_texts_are_in_it(
    tmp_path: Path, name: str, title: str
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / f"{name}.csv").write_text(f"{title}\nCompany ID,City\n{A},Oslo\n")
    for path in (tmp_path / "lists", tmp_path / "lists" / f"{name}.csv"):
        assert load(path).source.set_aside == ["1 line above the header (line 1)"]
