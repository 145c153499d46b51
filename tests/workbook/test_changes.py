"""What is new since an earlier batch of the same workflow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import openpyxl

from batchrun.model import BatchResults, EarlierResults, Outcome
from batchrun.workbook.changes import Comparison
from batchrun.workbook.layout import layout_of
from tests.workbook.batches import batch, row, sheet, sheet_names, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchrun.model import JSON

    Write = Callable[..., Path]

MONTH_AGO = datetime(2026, 10, 24, 9, 0, tzinfo=UTC)
NOW: list[JSON] = [
    {"report_id": "r1", "score": 5, "city": "Zürich", "news": [{"title": "A"}, {"title": "B"}]},
    {"report_id": "r2", "score": 7, "city": "Austin", "news": []},
    {"report_id": "r3", "score": 1, "city": "Osaka"},
    {"report_id": "r4", "score": 2, "city": "Bern"},
    None,
]
BEFORE: list[JSON] = [
    {"report_id": "q1", "score": 4, "city": "Zürich", "news": [{"title": "A"}]},
    {"report_id": "q2", "score": 7, "city": "Austin", "news": []},
    {"report_id": "q3", "score": 1, "city": None},
    None,
    {"report_id": "q5", "score": 2},
]


def compared() -> BatchResults:
    rows = [
        row(number, result, Outcome.COMPLETED if result else Outcome.FAILED)
        for number, result in enumerate(NOW)
    ]
    earlier = [(result, MONTH_AGO if result else None) for result in BEFORE]
    return replace(batch(rows), earlier=EarlierResults(("1024-accounts-0000",), MONTH_AGO, earlier))


def test_each_change_has_its_row_its_field_before_and_now(written: Write) -> None:
    path = written(compared())

    found = [
        (each["line"], each["name"], each["field"], each["before"], each["now"])
        for each in table(path, "Changes")
    ]
    assert found[:3] == [
        (2, "Firm 0", "Score", 4, 5),
        (2, "Firm 0", "News", "A", "A\nB"),
        (4, "Firm 2", "City", "", "Osaka"),
    ]
    assert "Report ID" in found[3][3]
    link = openpyxl.load_workbook(path)["Changes"]["A2"].hyperlink
    assert link is not None
    assert link.location == "'Results'!A2"


def test_results_says_which_rows_are_new_changed_or_the_same(written: Write) -> None:
    path = written(compared())

    assert [each["changed"] for each in table(path)] == ["changed", "same", "changed", "new", ""]
    overview = [line[:2] for line in sheet(path, "Overview")]
    assert ["new", 1] in overview
    assert ["changed", 2] in overview


def test_without_an_earlier_batch_there_is_nothing_of_it(written: Write) -> None:
    path = written(batch([row(0, {"a": 1})]))

    assert "Changes" not in sheet_names(path)
    assert "changed" not in sheet(path)[0]


def test_fields_that_differ_in_every_row_are_left_out() -> None:
    results = compared()

    comparison = Comparison(results, layout_of(results))

    assert comparison.volatile == (("report_id",),)
    assert {change.path for change in comparison.changes()} == {("score",), ("news",), ("city",)}


def test_a_score_that_differs_in_every_row_is_news() -> None:
    now: list[JSON] = [{"fit": at, "token": f"t{at}", "at": f"2026-11-2{at}"} for at in range(4)]
    before: list[JSON] = [{"fit": at + 9, "token": "x", "at": "2026-10-01"} for at in range(4)]
    rows = [row(number, result) for number, result in enumerate(now)]
    earlier = EarlierResults(("1",), MONTH_AGO, [(result, MONTH_AGO) for result in before])
    results = replace(batch(rows), earlier=earlier)

    comparison = Comparison(results, layout_of(results))

    assert set(comparison.volatile) == {("token",), ("at",)}
    assert [change.field for change in comparison.changes()] == ["Fit"] * 4
