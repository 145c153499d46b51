"""A list that was a workbook looks in the results as it looked before."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun.errors import InputError
from batchrun.model import BatchResults, Outcome, ResultRow
from batchrun.tables.files import load
from batchrun.workbook import list_formats
from tests.corpus.parts import pack, rows, xlsx_parts
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
    table = load(path)
    results = batch([ResultRow(each, Outcome.COMPLETED) for each in table.rows()], table.header)
    summary = replace(results.summary, source=table.source)
    return replace(results, summary=summary, list_formats=list_formats(table))


def test_widths_and_formats_of_the_list_are_carried_over(tmp_path: Path, written: Write) -> None:
    opened = openpyxl.load_workbook(written(listed(tmp_path / "list.xlsx")))["Results"]

    assert opened.column_dimensions["A"].width == 11.5
    assert opened.column_dimensions["B"].width == 33.0
    assert opened.column_dimensions["C"].width != 11.5
    found = {letter: opened[f"{letter}3"].number_format for letter in FORMATS}
    assert found == FORMATS


def test_a_list_that_begins_further_in_is_found(tmp_path: Path, written: Write) -> None:
    path = written(listed(tmp_path / "list.xlsx", first_column=3))
    opened = openpyxl.load_workbook(path)["Results"]

    head = sheet(path)[0]
    assert opened.cell(2, head.index("Column B") + 1).number_format == "dd/mm/yyyy"
    assert opened.cell(2, head.index("Column D") + 1).number_format == "0%"


@pytest.mark.parametrize(
    ("row", "value"),
    [(9, "Confidential Information - Do Not Distribute"), (4, "Total"), (9, "Total"), (2, "=1+1")],
    ids=["footer", "total", "total below a blank row", "formula without a value"],
)
def test_a_cell_left_of_the_list_does_not_shift_its_formats(
    tmp_path: Path, written: Write, row: int, value: str
) -> None:
    file = tmp_path / "report.xlsx"
    listed(file, first_column=2)
    book = openpyxl.load_workbook(file)
    book.worksheets[0].cell(row, 1, value)
    book.save(file)
    results = again(file)
    letters = dict(zip(results.header, "ABCDEFGH", strict=False))
    page = openpyxl.load_workbook(written(results))["Results"]
    found = {name: page[f"{letter}2"].number_format for name, letter in letters.items() if name}
    assert found == {f"Column {letter}": code for letter, code in FORMATS.items()}


def test_the_formats_are_those_of_the_list_as_it_was_run(tmp_path: Path, written: Write) -> None:
    source = tmp_path / "list.xlsx"
    results = listed(source)
    source.write_bytes(b"PK\x03\x04 not any more")
    assert openpyxl.load_workbook(written(results))["Results"]["B2"].number_format == "dd/mm/yyyy"

    source.unlink()
    assert openpyxl.load_workbook(written(results))["Results"]["B2"].number_format == "dd/mm/yyyy"


@pytest.mark.parametrize("damage", [b"PK\x03\x04 not any more", None])
def test_a_list_that_is_gone_or_broken_has_the_usual_formats(
    tmp_path: Path, written: Write, damage: bytes | None
) -> None:
    source = tmp_path / "list.xlsx"
    listed(source)
    table = load(source)
    source.unlink()
    if damage is not None:
        source.write_bytes(damage)

    assert list_formats(table) is None


def test_each_cell_keeps_its_own_format(tmp_path: Path, written: Write) -> None:
    source = tmp_path / "list.xlsx"
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.append(["Account Name", "Deal", "Margin"])
    codes = ['"€" #,##0', '"$"#,##0', "General", "0%", "dd.mm.yyyy", "@", "0.00E+00"]
    for line, code in enumerate(codes, 2):
        page.cell(line, 1, f"Firm {line}")
        page.cell(line, 2, 3000).number_format = code
        page.cell(line, 3, 12).number_format = codes[(line - 1) % len(codes)]
    book.save(source)
    listed_cells = openpyxl.load_workbook(source).worksheets[0]

    found = openpyxl.load_workbook(written(again(source)))["Results"]

    for line in range(2, len(codes) + 2):
        for column in ("B", "C"):
            kept = listed_cells[f"{column}{line}"]
            assert found[f"{column}{line}"].value == kept.value
            assert found[f"{column}{line}"].number_format == kept.number_format


def test_a_row_of_merged_cells_shows_their_value_as_the_first_row_does(
    tmp_path: Path, written: Write
) -> None:
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="15"/><xf numFmtId="9"/></cellXfs>'
    page = rows(
        ["Company ID", "Since", "Margin"],
        [company(0), 's="1"|<v>45000</v>', 's="2"|<v>0.25</v>'],
        [company(1), 's="1"|', 's="2"|'],
        [company(2), 's="1"|', 's="1"|<v>45000</v>'],
    )
    merged = '<mergeCells><mergeCell ref="B2:B4"/><mergeCell ref="C2:C3"/></mergeCells>'
    (tmp_path / "list.xlsx").write_bytes(pack(xlsx_parts(page + merged, styles=styles)))

    opened = openpyxl.load_workbook(written(again(tmp_path / "list.xlsx")))["Results"]

    assert [opened[f"B{row}"].number_format for row in (2, 3, 4)] == ["d-mmm-yy"] * 3
    assert [opened[f"C{row}"].number_format for row in (2, 3, 4)] == ["0%", "0%", "d-mmm-yy"]


ALL_COLUMNS = b'<col min="1" max="16384" hidden="1" width="9"/>'
STYLES = rb"<cellXfs.*</cellXfs>"


@pytest.mark.parametrize(
    ("part", "before", "after"),
    [
        ("xl/worksheets/sheet1.xml", b' s="1"', b' s="9"'),
        ("xl/worksheets/sheet1.xml", b' s="1"', b' s="-1"'),
        ("xl/worksheets/sheet1.xml", b' s="1"', b' s="99999999999999999999"'),
        ("xl/worksheets/sheet1.xml", b' s="1"', b' s="x"'),
        ("xl/worksheets/sheet1.xml", b"<cols>", b"<cols>" + ALL_COLUMNS * 2_000),
        ("xl/styles.xml", b"dd/mm/yyyy", b"d" * 3_000),
        ("xl/styles.xml", b'numFmtId="164"', b'numFmtId="4294967295"'),
        ("xl/styles.xml", STYLES, b""),
    ],
)  # fmt: skip
def test_a_list_whose_styles_are_odd_costs_no_more_than_the_formats(
    tmp_path: Path, written: Write, part: str, before: bytes, after: bytes
) -> None:
    listed(tmp_path / "whole.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "whole.xlsx") as whole,
        zipfile.ZipFile(tmp_path / "odd.xlsx", "w") as odd,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            if name == part:
                content = re.sub(before, lambda _: after, content, flags=re.DOTALL)
            odd.writestr(name, content)
    try:
        results = again(tmp_path / "odd.xlsx")
    except InputError:
        return  # refused before anything is paid for

    assert [cells[0] for cells in sheet(written(results))[1:]] == [company(0)] * 2


@pytest.mark.parametrize("rounds", [2])
def test_results_of_results_look_the_same(tmp_path: Path, written: Write, rounds: int) -> None:
    path = written(listed(tmp_path / "list.xlsx"))
    for _ in range(rounds):
        path = written(again(path))

    opened = openpyxl.load_workbook(path)["Results"]
    assert opened["C2"].number_format == '#,##0.00 "€"'
    assert opened["C2"].value == 1234.5
    assert opened["B2"].value == datetime(2026, 3, 4)
