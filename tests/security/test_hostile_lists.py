"""Lists that are built to take hours or all memory: they are read, or refused, like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.errors import InputError
from batchrun.model import Role, is_stored
from batchrun.tables import load
from batchrun.tables.roles import find_roles
from batchrun.tables.sheets import column_letters
from tests.corpus.parts import pack, xlsx_parts
from tests.tables.files import OTHER_UUID, UUID, cells, load_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import Table


def an_id(number: int) -> str:
    return f"{UUID[:24]}{number:012x}"


def in_csv(folder: Path, cell: str) -> Table:
    return load_bytes(folder, f"Company ID,Name\n{UUID},{cell}\n")


def in_workbook(folder: Path, sheet: str, *, visible_only: bool = False) -> Table:
    file = folder / "list.xlsx"
    file.write_bytes(pack(xlsx_parts(sheet)))
    return load(file, visible_only=visible_only)


@pytest.mark.parametrize(
    "cell",
    ["+a" * 300_000, "+" * 600_000, "a" + "\u0301\u0323" * 300_000, "\u0301\u0323" * 300_000],
    ids=["like UTF-7", "plus signs", "accents", "only accents"],
)
def test_a_cell_of_one_repeated_text_is_read_as_it_is(tmp_path: Path, cell: str) -> None:
    assert cells(in_csv(tmp_path, cell)) == [[UUID, cell]]
    table = load_bytes(tmp_path, f"Company ID,Name\n{UUID},x\n{cell},x\n", "other.csv")
    assert [row[0] for row in cells(table)] == [UUID, cell]
    table = load_bytes(tmp_path, f"Company ID,{cell}\n{UUID},x\n", "header.csv")
    assert find_roles(table) == {Role.COMPANY: 0}


def test_a_row_of_many_blank_fields_keeps_its_id(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, f"Company ID\tName\n{UUID}" + "\t" * 250_000, "list.tsv")
    assert cells(table) == [[UUID, ""]]


def test_rows_of_a_report_with_long_texts_stay_in_the_list(tmp_path: Path) -> None:
    text = f'"total records {":" * 980}\nx"'
    table = load_bytes(tmp_path, f"Company ID\n{UUID}\n" + f"{text}\n" * 2_000 + "Total\n")
    assert len(table) == 2_001


def test_names_that_repeat_from_a_far_column_on_are_two_lists(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(6_000)]
    header = ["Company ID", "first", *names, *names, "Contact ID"]
    row = [UUID, *["x"] * 12_001, OTHER_UUID]
    table = load_bytes(tmp_path, "\n".join(map(",".join, (header, row))))
    with pytest.raises(InputError, match="the column names repeat from column 6003 on"):
        find_roles(table)


def test_labels_between_ids_are_rows_of_the_list(tmp_path: Path) -> None:
    pairs = (f"{an_id(n)},the name of a company,x\nthe name of a group,x,x\n" for n in range(5_000))
    table = load_bytes(tmp_path, "Company ID,Name,Other\n" + "".join(pairs))
    assert len(table) == 10_000


def row_of(line: int, text: str, attributes: str = "") -> str:
    cell = f'<c r="A{line}" t="inlineStr"><is><t>{text}</t></is></c>'
    return f'<row r="{line}"{attributes}>{cell}</row>'


def test_merged_cells_that_lie_over_each_other_fill_their_rows_once(tmp_path: Path) -> None:
    listed = "".join(row_of(line, an_id(line)) for line in range(2, 2_000))
    merged = '<mergeCell ref="B1:XFD1"/><mergeCell ref="A2:A1048576"/>' * 50_000
    sheet = f"<sheetData>{row_of(1, 'Company ID')}{listed}</sheetData>"
    table = in_workbook(tmp_path, f"{sheet}<mergeCells>{merged}</mergeCells>")
    assert [row[0] for row in cells(table)] == [an_id(line) for line in range(2, 2_000)]
    kept = "1,997 merged cells hold a value of their own"
    assert any(kept in notice for notice in table.source.notices)


def test_merged_cells_over_hidden_rows_show_their_value_in_the_first_shown_row(
    tmp_path: Path,
) -> None:
    hidden = "".join(f'<row r="{line}" hidden="1"/>' for line in range(4, 100_000))
    listed = row_of(1, "Company ID") + row_of(2, UUID) + row_of(3, OTHER_UUID, ' hidden="1"')
    last = '<row r="100000"><c r="B100000"><v>1</v></c></row>'
    merged = "".join(
        f'<mergeCell ref="{column}{top}:{column}100000"/>'
        for column in "AB"
        for top in range(3, 20_000)
    )
    sheet = f"<sheetData>{listed}{hidden}{last}</sheetData><mergeCells>{merged}</mergeCells>"
    table = in_workbook(tmp_path, sheet, visible_only=True)
    assert [row[0] for row in cells(table)] == [UUID, OTHER_UUID]


def test_a_large_list_with_merged_cells_is_filled(tmp_path: Path) -> None:
    width, last = 160, 10_000
    listed = "".join(row_of(line, an_id(line)) for line in range(2, last + 1))
    names = "".join(
        f'<c r="{column_letters(at)}1" t="inlineStr"><is><t>Name {at}</t></is></c>'
        for at in range(2, width + 1)
    )
    first = row_of(1, "Company ID").replace("</row>", f"{names}</row>")
    value = '<c r="B2"><v>5</v></c></row>'
    sheet = first + listed.replace("</row>", value, 1)
    merged = f'<mergeCells><mergeCell ref="B2:B{last}"/></mergeCells>'
    table = in_workbook(tmp_path, f"<sheetData>{sheet}</sheetData>{merged}")
    assert is_stored(table.cells)
    assert list(table.cells[1]) == [5] * (last - 1)


def test_a_page_of_many_different_tables_reads_the_one_with_ids(tmp_path: Path) -> None:
    others = "".join(f"<table><tr><td>a{n}</table>" for n in range(20_000))
    listed = f"<table><tr><td>Company ID<tr><td>{UUID}</table>"
    table = load_bytes(tmp_path, f"<html><body>{others}{listed}", "list.html")
    assert cells(table) == [[UUID]]


def test_a_page_with_a_row_of_too_many_cells_is_refused(tmp_path: Path) -> None:
    page = f"<html><table><tr><td>Company ID<tr>{'<td colspan=1000>' * 60_000}</table>"
    with pytest.raises(InputError, match="has a table of more than 50,000,000 cells"):
        load_bytes(tmp_path, page, "list.html")
