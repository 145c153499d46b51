"""What Excel can't hold: said in the cell, whole in the file beside the workbook."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.workbook.cells import EXCEL, Fitter, Limits, sheet_name
from batchrun.workbook.form import Form
from batchrun.workbook.layout import MORE
from tests.workbook.batches import (
    HEADER,
    STATUS,
    batch,
    batch_of,
    company,
    row,
    sheet,
    sheet_names,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchrun.model import JSON, Cell

    Write = Callable[..., Path]


def fit(value: Cell) -> tuple[Cell, int]:
    """A value as a cell holds it, and whether it had to be shortened."""
    fitter = Fitter(EXCEL, "out.whole.jsonl")
    return fitter.fit(value), fitter.shortened


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("letter", ["x", "ü", "\N{PILE OF POO}"])
def test_a_text_is_cut_where_excel_counts_and_not_before(letter: str) -> None:
    most = 32_767 // units(letter)
    whole, shortened = fit(letter * most)
    assert (whole, shortened) == (letter * most, 0)

    cut, shortened = fit(letter * (most + 1))
    assert isinstance(cut, str)
    assert shortened == 1
    assert 32_766 <= units(cut) <= 32_767
    assert f"cut, {most + 1:,} characters; see out.whole.jsonl]" in cut


@pytest.mark.parametrize("sign", ["\x00", "\x07", "\x0b", "\x1f", "\ud83d", "\ufffe", "\uffff"])
def test_a_sign_no_workbook_can_hold_is_replaced_and_said(sign: str) -> None:
    text, shortened = fit(f"a{sign}b")

    assert text == (
        "a\N{REPLACEMENT CHARACTER}b … [not whole: control characters replaced; "
        "see out.whole.jsonl]"
    )
    assert shortened == 1


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (999_999_999_999_999, 999_999_999_999_999),
        (1_000_000_000_000_000, "1000000000000000"),
        (-(10**15), "-1000000000000000"),
        (10**400, "1" + "0" * 400),
        (0.1, 0.1),
        (1e300, 1e300),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (-0.0, -0.0),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (True, True),
        (date(1899, 12, 31), "1899-12-31"),
        (datetime(1600, 1, 1, 12), "1600-01-01 12:00:00"),
        (timedelta(hours=-1), "-1 day, 23:00:00"),
        ("\t", "\t"),
        (" a\t", " a\t"),
        ("", ""),
        ("\r", "_x000D_"),
        ("_x0007_", "_x005F_x0007_"),
    ],
)
def test_a_value_keeps_its_type_or_becomes_text_that_says_it_all(value: Cell, held: Cell) -> None:
    found, shortened = fit(value)

    assert (type(found), found) == (type(held), held)
    assert shortened == 0


def test_values_at_the_limits_are_read_back_as_they_are(written: Write) -> None:
    values: dict[str, JSON] = {
        "digits": 999_999_999_999_999,
        "long number": 1_000_000_000_000_001,
        "tiny": 2.3e-308,
        "huge": -9.9e307,
        "seventeen digits": 0.1 + 0.2,
        "text": "x" * 32_767,
        "no number": math.nan,
        "escape": "_x0041_ \r\n _x",
        "white": " \n\t ",
        "white and wide": " \N{NO-BREAK SPACE}",
    }

    found = table(written(batch_of(values), Form(rename={key: key for key in values})))[0]

    values |= {"long number": "1000000000000001", "no number": "nan"}
    assert {name: found[name] for name in values} == values


def test_results_beyond_the_last_column_are_together_in_one(written: Write) -> None:
    result: JSON = {f"key{number}": number for number in range(20)}
    limits = Limits(columns=len(HEADER) + len(STATUS) + 6)

    path = written(batch_of(result, {"later": 1}), limits=limits)

    head, first, second = sheet(path)
    assert len(head) == limits.columns
    assert head[-2:] == ["Key4", MORE]
    assert '"key5": 5' in first[-1]
    assert '"key19": 19' in first[-1]
    assert second[-1] == '{"later": 1}'


def test_more_links_than_excel_allows_stay_text(written: Write) -> None:
    sent: list[JSON] = [{"url": f"https://x.example/{number}"} for number in range(9)]
    results = batch_of(*sent)

    opened = openpyxl.load_workbook(written(results, limits=Limits(links=5)))["Results"]

    cells = [opened.cell(line, 11) for line in range(2, 11)]
    assert [cell.hyperlink is not None for cell in cells] == [True] * 5 + [False] * 4
    short = [f"x.example/{number}" for number in range(5)]
    assert [cell.value for cell in cells] == short + [
        f"https://x.example/{number}" for number in range(5, 9)
    ]


@pytest.mark.parametrize(
    "address",
    [
        "https://x.example/" + "a" * 2_100,
        "https://x.example/with space",
        'https://x.example/"quote"',
        "https://x.example/ü",
        "https://x.example/100%",
        "https://x.example/a#b#c",
        "https://x.example/[1]",
        "https://user:password@x.example/",
        "https://",
        "https://x.example:port/",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_what_would_break_or_harm_as_a_link_stays_text(written: Write, address: str) -> None:
    results = openpyxl.load_workbook(written(batch_of({"url": address})))["Results"]

    assert results["K2"].hyperlink is None
    assert results["K2"].value == address


def test_lists_without_number_do_not_become_sheets_without_number(written: Write) -> None:
    result: JSON = {f"list{number}": [{"x": number}] for number in range(9)}

    path = written(batch_of(result), limits=Limits(details=4))

    assert [name for name in sheet_names(path) if name.startswith("List")] == [
        "List0", "List1", "List2", "List3",
    ]  # fmt: skip
    found = table(path)[0]
    assert found["List3"] == 1
    assert found["List8"] == '[{"x": 8}]'


def test_a_long_key_is_a_head_that_excel_can_hold(written: Write) -> None:
    path = written(batch([row(0, {"k" * 40_000: 1}, cells=(company(0), "x"))]))

    assert sheet(path)[0][-1].endswith("see OUT.jsonl]")


@given(st.text(max_size=60), st.sets(st.text(max_size=10).map(str.casefold)))
def test_a_sheet_name_is_always_one_excel_takes(wanted: str, taken: set[str]) -> None:
    name = sheet_name(wanted, taken)

    assert 1 <= units(name) <= 31
    assert not set(name) & set("[]:*?/\\")
    assert not name.startswith("'")
    assert not name.endswith("'")
    assert name.casefold() not in taken | {"history"}
