"""What is new since an earlier batch of the same workflow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from batchrun.model import BatchResults, EarlierResults, Outcome, Row
from batchrun.workbook.changes import Comparison
from batchrun.workbook.layout import layout_of
from tests.workbook.batches import batch, company, row, sheet, sheet_names, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchrun.model import JSON, Cell

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


def test_row_numbers_on_every_sheet_are_those_of_results_and_link_there(written: Write) -> None:
    """In a list with lines above its header, a row's line in the list is another number."""
    results = compared()
    rows = [
        replace(each, row=Row(each.row.line + 7, (each.row.cells[0], None)))
        for each in results.rows
    ]

    opened = openpyxl.load_workbook(written(replace(results, rows=rows)))

    for name in ("Needs attention", "Changes", "News"):
        assert opened[name]["A1"].value == "Row in Results"
        for line in range(2, opened[name].max_row + 1):
            cell = opened[name].cell(line, 1)
            assert cell.hyperlink is not None
            assert cell.hyperlink.location == f"'Results'!A{cell.value}"
    named = [
        (cell.value, cell.hyperlink.location)
        for column in ("A", "F")
        for cell in opened["Overview"][column]
        if str(cell.value).startswith("row ")
    ]
    assert len(named) == 5
    assert all(location == f"'Results'!A{name[4:]}" for name, location in named)


def test_each_change_has_its_row_its_field_before_and_now(written: Write) -> None:
    path = written(compared())

    found = [
        (each["Row in Results"], each["Account Name"], each["Field"], each["Before"], each["Now"])
        for each in table(path, "Changes")
    ]
    assert found == [
        (5, "Firm 3", "Score", "new: no earlier result for this ID", 2),
        (2, "Firm 0", "Score", 4, 5),
        (2, "Firm 0", "News", "", "added: B"),
        (4, "Firm 2", "City", "", "Osaka"),
    ]
    columns = {each["Name"]: each["What it is"] for each in table(path, "Columns")}
    assert "differs in every row, so Changes leaves it out" in columns["Report ID"]
    opened = openpyxl.load_workbook(path)
    [first] = [cell for cell in opened["Overview"]["A"] if cell.value == "changed"]
    assert first.hyperlink is not None
    assert first.hyperlink.location == "'Changes'!A3"
    link = opened["Changes"]["A3"].hyperlink
    assert link is not None
    assert link.location == "'Results'!A2"
    assert {each["Earlier result"] for each in table(path, "Changes")} == {"", MONTH_AGO.date()}


def test_a_reused_result_is_never_new_and_hides_no_field_that_always_differs() -> None:
    """Its row may lack an ID that the rows of other batches are compared by."""
    reused = "result of 2026-10-24 reused from batch 1024-accounts-0000; nothing was sent"
    rows = [row(at, {"city": "Bern", "report": f"r{at}"}) for at in range(9)]
    rows[:5] = [replace(each, message=reused) for each in rows[:5]]
    before: list[JSON] = [None, *(each.result for each in rows[1:5])]
    before += [{"report": "q"} for _ in range(4)]
    earlier = EarlierResults(("1",), MONTH_AGO, [(result, MONTH_AGO) for result in before])
    results = replace(batch(rows), earlier=earlier)

    found = Comparison(results, layout_of(results))

    assert found.marks_counted == {"same": 5, "changed": 4}
    assert {change.field for change in found.changes()} == {"City"}


def test_results_says_which_rows_are_new_changed_or_the_same(written: Write) -> None:
    path = written(compared())

    assert [each["changed"] for each in table(path)] == ["changed", "same", "changed", "new", ""]
    overview = [line[:2] for line in sheet(path, "Overview")]
    assert ["new", 1] in overview
    assert ["changed", 2] in overview


def test_the_overview_counts_the_fields_that_it_does_not_name(written: Write) -> None:
    fields = ("city", "industry", "size", "stage", "country")
    old: JSON = dict.fromkeys(fields, "A")
    now = [row(0, dict.fromkeys(fields, "B")), *(row(number, old) for number in range(1, 4))]
    earlier = EarlierResults(("1",), MONTH_AGO, [(old, MONTH_AGO)] * 4)
    results = replace(batch(now), earlier=earlier)

    first = [line[0] for line in sheet(written(results), "Overview")]

    assert first[first.index("changed") + 4] == "and 2 other fields"


def test_the_overview_names_the_rows_whose_main_number_rose_and_fell_most(written: Write) -> None:
    """Each once, although the list has the largest rise twice."""
    before: list[JSON] = [{"fit": 50} for _ in range(12)]
    scores = [90, 90, 50, 51, 52, 53, 54, 46, 47, 48, 49, 10]
    rows = [row(number, {"fit": score}) for number, score in enumerate(scores)]
    rows[1] = replace(rows[1], row=replace(rows[1].row, cells=rows[0].row.cells))
    earlier = EarlierResults(("1",), MONTH_AGO, [(result, MONTH_AGO) for result in before])

    path = written(replace(batch(rows), earlier=earlier))

    lines = [line[5:8] for line in sheet(path, "Overview")]
    first = lines.index(["Fit: rose or fell most", "Before", "Now"])
    assert lines[first + 1 : first + 7] == [
        ["Firm 0", 50, 90], ["Firm 6", 50, 54], ["Firm 5", 50, 53],
        ["Firm 8", 50, 47], ["Firm 7", 50, 46], ["Firm 11", 50, 10],
    ]  # fmt: skip
    assert lines[first + 7][0] == "and 5 other rows"


def test_the_column_changed_is_folded_if_it_says_the_same_everywhere(written: Write) -> None:
    rows = [row(number, {"fit": number}) for number in range(3)]
    earlier = EarlierResults(("1",), MONTH_AGO, [({"fit": 9}, MONTH_AGO)] * 3)

    path = written(replace(batch(rows), earlier=earlier))

    at = sheet(path)[0].index("changed")
    results = openpyxl.load_workbook(path)["Results"]
    assert results.column_dimensions[get_column_letter(at + 1)].hidden


def test_without_any_change_the_overview_says_so_and_there_is_no_sheet_of_changes(
    written: Write,
) -> None:
    earlier = EarlierResults(("1024-accounts-0000",), MONTH_AGO, [({"a": 1}, MONTH_AGO)])

    path = written(replace(batch([row(0, {"a": 1})]), earlier=earlier))

    assert "Changes" not in sheet_names(path)
    assert ["Nothing changed in 1 row."] in [line[:1] for line in sheet(path, "Overview")]


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


def changes_of(before: list[JSON], now: list[JSON]) -> list[tuple[str, Cell, Cell]]:
    rows = [row(number, result) for number, result in enumerate(now)]
    earlier = EarlierResults(("1",), MONTH_AGO, [(result, MONTH_AGO) for result in before])
    results = replace(batch(rows), earlier=earlier)
    comparison = Comparison(results, layout_of(results))
    found = [(change.field, change.before, change.now) for change in comparison.changes()]
    assert ("changed" in comparison.marks()) == bool(found)
    return found


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("Acme Corp", "ACME corp"),
        ("two\r\nlines", "two\nlines "),
        (5, 5.0),
        (5.0, "5"),
        (True, "true"),
        ("", None),
        ([], None),
        (["SAP", "AWS"], ["aws", "SAP"]),
        ([{"title": "A"}, {"title": "B"}], [{"title": "B"}, {"title": "A"}]),
    ],
)
def test_another_spelling_or_order_is_no_news(before: JSON, now: JSON) -> None:
    assert changes_of([{"x": before, "y": 1}], [{"x": now, "y": 1}]) == []


@pytest.mark.parametrize("rows", [3, 20])
def test_a_field_that_no_row_had_before_is_news(rows: int) -> None:
    now: list[JSON] = [{"city": "Bern", "funding": f"Series {at}"} for at in range(rows)]

    found = changes_of([{"city": "Bern"}] * rows, now)

    assert found == [("Funding", None, f"Series {at}") for at in range(rows)]


def test_a_field_that_changed_in_each_of_the_few_rows_that_have_it_is_news() -> None:
    now: list[JSON] = [{"city": "Bern", "parent": f"New {at}" * (at < 4)} for at in range(20)]
    before: list[JSON] = [{"city": "Bern", "parent": f"Old {at}" * (at < 4)} for at in range(20)]

    assert changes_of(before, now) == [("Parent", f"Old {at}", f"New {at}") for at in range(4)]


def test_a_category_that_changed_in_every_row_is_news() -> None:
    now: list[JSON] = [{"stage": stage} for stage in ("Aware", "Ready", "Ready", "Aware")]

    assert [now for _, _, now in changes_of([{"stage": "Unknown"}] * 4, now)] == [
        "Aware", "Ready", "Ready", "Aware",
    ]  # fmt: skip


def test_a_new_title_of_a_person_is_news() -> None:
    before: JSON = {"contacts": [{"title": "Head of RevOps", "name": "Sam Lee"}]}
    now: JSON = {"contacts": [{"title": "Chief Revenue Officer", "name": "Sam Lee"}]}

    assert changes_of([before], [now]) == [
        (
            "Contacts",
            "removed: Sam Lee, Head of RevOps",
            "added: Sam Lee, Chief Revenue Officer",
        )
    ]


@pytest.mark.parametrize(
    ("before", "now", "removed", "added"),
    [
        (["SAP", "AWS"], ["aws", "Azure", "GCP"], "removed: SAP", "added: Azure\nGCP"),
        (["A", "B"], ["B"], "removed: A", None),
        (["A", "A"], ["A"], "removed: A", None),
        (None, ["A", "B"], None, "added: A\nB"),
    ],
)
def test_of_a_list_only_what_was_removed_and_added_is_shown(
    before: JSON, now: JSON, removed: Cell, added: Cell
) -> None:
    rows: list[JSON] = [{"x": ["A", "B"], "y": 1}]

    found = changes_of([{"x": before, "y": 1}, *rows], [{"x": now, "y": 1}, *rows])

    assert found == [("X", removed, added)]


@pytest.mark.parametrize(
    "odd",
    [10**400, -(10**400), True, "9", 1e308, None],
    ids=["large", "negative", "yes", "text", "infinite in Excel", "none"],
)
def test_a_change_between_odd_values_has_its_row(written: Write, odd: JSON) -> None:
    rows = [row(at, {"fit": value}) for at, value in enumerate((odd, 1.5, 2.5, 0.5))]
    earlier = EarlierResults(("1",), MONTH_AGO, [({"fit": 0.5}, MONTH_AGO)] * 4)

    found = table(written(replace(batch(rows), earlier=earlier)), "Changes")

    assert sorted(each["Row in Results"] for each in found) == [2, 3, 4]


def test_changes_begin_with_the_largest_change_of_the_main_number(written: Write) -> None:
    """Each row's owner is named, and a number's difference has its sign."""
    cells = [(company(at), f"Firm {at}", "Dana") for at in range(4)]
    now: list[JSON] = [
        {"size": 7, "fit": 50, "open": True},
        {"size": 8, "fit": 52, "open": False},
        {"size": 7, "fit": 20, "open": True},
        {"size": 7, "fit": 60, "open": True},
    ]
    rows = [row(at, result, cells=cells[at]) for at, result in enumerate(now)]
    before: JSON = {"size": 7, "fit": 50, "open": True}
    earlier = EarlierResults(("1",), MONTH_AGO, [(before, MONTH_AGO)] * 4)
    results = batch(rows, ("Company ID", "Account Name", "Account Owner"))

    path = written(replace(results, earlier=earlier))

    found = table(path, "Changes")
    assert [
        (each["Account Name"], each["Account Owner"], each["Field"], each["Difference"])
        for each in found
    ] == [
        ("Firm 2", "Dana", "Fit", -30),
        ("Firm 3", "Dana", "Fit", 10),
        ("Firm 1", "Dana", "Size", 1),
        ("Firm 1", "Dana", "Fit", 2),
        ("Firm 1", "Dana", "Open", ""),
    ]
    changes = openpyxl.load_workbook(path)["Changes"]
    assert changes["G2"].number_format == "+#,##0;-#,##0"
