"""A list that was a workbook looks in the results as it looked before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun import tables
from batchrun.model import BatchResults, Outcome, ResultRow
from tests.workbook.batches import batch, company, sheet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., Path]

FORMATS = {
    "A": "@",
    "B": "dd/mm/yyyy",
    "C": '#,##0.00 "€"',
    "D": "0%",
    "E": "hh:mm",
    "F": "General",
    "G": "yyyy-mm-dd hh:mm",
}
CELLS = (company(0), date(2026, 3, 4), 1234.5, 0.25, time(9, 30), 7, datetime(2026, 3, 4, 5, 6))


def listed(path: Path, *, first_row: int = 1, first_column: int = 1) -> BatchResults:
    """A workbook as a list, loaded as batchrun loads it, all rows completed."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = "Export of today"
    for position, (letter, code) in enumerate(FORMATS.items(), first_column):
        page.cell(first_row, position, f"Column {letter}")
        for line in (1, 2):
            cell = page.cell(first_row + line, position, CELLS[position - first_column])
            cell.number_format = code
    for letter, width in (("A", 11.5), ("B", 33.0)):
        page.column_dimensions[letter].width = width
    book.save(path)
    return again(path)


def again(path: Path) -> BatchResults:
    table = tables.load(path)
    results = batch([ResultRow(each, Outcome.COMPLETED) for each in table.rows()], table.header)
    return replace(results, summary=replace(results.summary, source=table.source))


def test_widths_and_formats_of_the_list_are_carried_over(tmp_path: Path, written: Write) -> None:
    opened = openpyxl.load_workbook(written(listed(tmp_path / "list.xlsx")))["Results"]

    assert opened.column_dimensions["A"].width == 11.5
    assert opened.column_dimensions["B"].width == 33.0
    assert opened.column_dimensions["C"].width != 11.5
    found = {letter: opened[f"{letter}3"].number_format for letter in FORMATS}
    assert found == FORMATS | {"A": "General"}  # a text looks the same either way


def test_a_list_that_begins_further_in_is_found(tmp_path: Path, written: Write) -> None:
    path = written(listed(tmp_path / "list.xlsx", first_column=3))
    opened = openpyxl.load_workbook(path)["Results"]

    head = sheet(path)[0]
    assert opened.cell(2, head.index("Column B") + 1).number_format == "dd/mm/yyyy"
    assert opened.cell(2, head.index("Column D") + 1).number_format == "0%"


def test_a_list_that_is_gone_or_broken_looks_as_usual(tmp_path: Path, written: Write) -> None:
    source = tmp_path / "list.xlsx"
    results = listed(source)
    source.write_bytes(b"PK\x03\x04 not any more")
    assert openpyxl.load_workbook(written(results))["Results"]["B2"].number_format == "yyyy-mm-dd"

    source.unlink()
    assert openpyxl.load_workbook(written(results))["Results"]["B2"].number_format == "yyyy-mm-dd"


@pytest.mark.parametrize("rounds", [2])
def test_results_of_results_look_the_same(tmp_path: Path, written: Write, rounds: int) -> None:
    path = written(listed(tmp_path / "list.xlsx"))
    for _ in range(rounds):
        path = written(again(path))

    opened = openpyxl.load_workbook(path)["Results"]
    assert opened["C2"].number_format == '#,##0.00 "€"'
    assert opened["C2"].value == 1234.5
    assert opened["B2"].value == datetime(2026, 3, 4)
