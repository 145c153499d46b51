from __future__ import annotations

import itertools
import random
import zipfile
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import openpyxl

from batchrun.model import Outcome
from batchrun.tables.files import load
from batchrun.workbook.cells import Limits
from batchrun.workbook.sheets import LINE_POINTS, MAX_LINES
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

    from batchrun.model import JSON

    Write = Callable[..., Path]


def test_one_row_in_gives_one_row_out_in_order(written: Write) -> None:
    outcomes = itertools.cycle(Outcome)
    rows = [row(number, {"n": number}, next(outcomes)) for number in range(40)]

    found = table(written(batch(rows)))

    assert [each["Company ID"] for each in found] == [company(number) for number in range(40)]
    assert [each["batchrun status"] for each in found] == [each.outcome.words for each in rows]


def test_the_lists_own_cells_keep_value_type_and_place(written: Write) -> None:
    cells = (
        company(0), "00123", "1E5", "NULL", "123456789012345678", 5, 5.5, True, False, None,
        datetime(2026, 3, 4, 5, 6, 7), date(2026, 3, 4), time(5, 6, 7), "=A1", "#N/A", " padded ",
        "a\r\nb", "_x000D_",
    )  # fmt: skip
    header = ("Company ID", *(f"c{number}" for number in range(1, len(cells))))

    path = written(batch([row(0, cells=cells)], header))

    again = load(path)
    found = next(again.rows()).cells[: len(cells)]
    assert again.header[: len(header)] == header
    assert found == cells
    assert [type(each) for each in found] == [type(each) for each in cells]


def test_a_header_that_repeats_or_is_blank_stays_as_it_is(written: Write) -> None:
    header = ("Company ID", "Name", "Name", "", "batchrun status")
    path = written(batch([row(0, {"Name": 1}, cells=(company(0), "a", "b", "c", "d"))], header))

    assert sheet(path)[0] == [*header, *STATUS, "Name (2)"]


def test_the_status_stands_between_the_list_and_the_results(written: Write) -> None:
    found = table(written(batch([row(3, {"answer": 42})])))[0]

    assert list(found) == [*HEADER, *STATUS, "Answer"]
    assert found["execution id"] == "exec_3"
    assert found["triggered (UTC)"] == datetime(2026, 11, 24, 9, 0, 3)
    assert found["seconds"] == 33.0


def test_formula_like_text_stays_text_in_cells_and_heads(written: Write) -> None:
    payload = "=cmd|' /C calc'!A0"
    path = written(
        batch([row(0, {payload: payload}, cells=(company(0), payload))], ("id", payload))
    )

    for cells in openpyxl.load_workbook(path)["Results"].iter_rows():
        assert {cell.data_type for cell in cells if cell.value == payload} == {"s"}
    assert sheet(path)[1][1] == payload


def test_the_order_of_columns_is_that_of_the_rows_with_siblings_together(written: Write) -> None:
    path = written(
        batch_of(
            {"b": 1, "company": {"name": "x"}, "last": None},
            {"a": 2, "company": {"city": "y", "name": "z"}, "last": {"on": 1}},
        )
    )

    assert sheet(path)[0][len(HEADER) + len(STATUS) :] == [
        "B", "Company name", "Company city", "Last on", "A",
    ]  # fmt: skip


def test_the_same_results_give_the_same_workbook_byte_for_byte(written: Write) -> None:
    results: list[JSON] = [
        {
            "text": f"- **{number}** and more",
            "tags": ["x", "y"],
            "people": [{"name": str(number)}] * (number % 3),
            "n": number,
        }
        for number in range(30)
    ]
    shuffled = list(enumerate(results))
    random.Random(1).shuffle(shuffled)  # they completed in another order; the journal sorts
    again = [row(number, result) for number, result in sorted(shuffled, key=lambda each: each[0])]

    assert parts(written(batch_of(*results))) == parts(written(batch(again)))


def test_more_rows_than_a_sheet_holds_go_on_further_sheets(written: Write) -> None:
    rows = [row(number, {"people": [{"n": number}]}) for number in range(25)]
    path = written(batch(rows), limits=Limits(rows=11))

    names = [name for name in sheet_names(path) if name.startswith("Results")]
    assert names == ["Results", "Results (2)", "Results (3)"]
    found = [cells["Company ID"] for name in names for cells in table(path, name)]
    assert found == [company(number) for number in range(25)]
    link = openpyxl.load_workbook(path)["People (2)"]["A2"].hyperlink
    assert link is not None
    assert link.location == "'Results (2)'!A2"


def test_long_text_is_wrapped_in_a_row_of_sane_height(written: Write) -> None:
    opened = openpyxl.load_workbook(written(batch_of({"text": "word " * 5_000}, {"text": "word"})))
    results = opened["Results"]

    assert results["K2"].alignment.wrap_text
    assert results.row_dimensions[2].height == MAX_LINES * LINE_POINTS
    assert results.row_dimensions[3].height is None
    assert 40 < results.column_dimensions["K"].width <= 60


def test_the_head_is_frozen_and_can_be_filtered_and_colours_follow_the_outcome(
    written: Write,
) -> None:
    results = openpyxl.load_workbook(written(batch_of({"a": 1}, {"a": 2})))["Results"]

    assert results.freeze_panes == "C2"  # the row's name stays in sight too
    assert results.auto_filter.ref == "A1:K3"
    ranges = [str(each.sqref) for each in results.conditional_formatting]
    assert ranges == ["C2:C3", "A2:K3"]  # and every other row is shaded


def test_of_a_wide_list_the_name_and_the_owner_stay_in_sight(written: Write) -> None:
    header = ("Company ID", "Account Name", "Segment", "Account Owner", *map(str, range(20)))
    cells = (company(0), "Firm", "A", "Dana", *("some words of some length" for _ in range(20)))

    results = openpyxl.load_workbook(written(batch([row(0, {"a": 1}, cells=cells)], header)))

    columns = results["Results"].column_dimensions
    assert [columns[letter].hidden for letter in "ABCDE"] == [True, False, True, False, True]


def test_an_address_is_a_link_and_only_an_address(written: Write) -> None:
    path = written(batch_of({"a": "https://x.example/a?b=1#c", "b": "see https://x.example"}))
    results = openpyxl.load_workbook(path)["Results"]

    assert results["K2"].hyperlink is not None
    assert results["K2"].hyperlink.target == "https://x.example/a?b=1#c"
    assert results["L2"].hyperlink is None


def parts(path: Path) -> dict[str, bytes]:
    """All parts of a workbook but the one with the time of writing."""
    with zipfile.ZipFile(path) as archive:
        return {
            name: archive.read(name) for name in archive.namelist() if name != "docProps/core.xml"
        }


def test_each_printed_page_names_its_rows_however_far_right_the_name_is(written: Write) -> None:
    header = ("Company ID", "Notes", "Account Name")
    cells = (
        company(0),
        "some words of some length " * 3,
        "Firm " * 9,
    )
    texts: JSON = {"a": "word " * 20, "b": "word " * 20, "c": "word " * 20}

    path = written(batch([row(0, texts, cells=cells)], header))

    results = openpyxl.load_workbook(path)["Results"]
    assert results.freeze_panes == "D2"
    assert results.print_title_cols == "$C:$C"


def test_a_text_as_long_as_its_column_is_wide_has_room_for_a_second_line(written: Write) -> None:
    """The indent takes a part of the width: 45 letters don't fit a column of 38."""
    results = batch([row(0, {"insights": [{"title": "x"}]})])

    columns = openpyxl.load_workbook(written(results))["Columns"]

    [line] = [cell.row for cell in columns["D"] if str(cell.value).startswith("how many")]
    text = str(columns.cell(line, 4).value)
    columns_width = columns.column_dimensions["D"].width
    assert columns_width < len(text) < 1.2 * columns_width
    assert columns.row_dimensions[line].height == 2 * LINE_POINTS
