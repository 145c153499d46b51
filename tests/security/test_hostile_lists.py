"""Lists that are built to take hours or all memory: they are read, or refused, like any other."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import InputError
from batchrun.model import Role, is_stored
from batchrun.tables import frames
from batchrun.tables.files import load
from batchrun.tables.roles import find_roles
from batchrun.tables.sheets import column_letters
from tests.corpus.cases import FILES
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


@pytest.mark.parametrize("text", [f"&#{'1' * 5_000};", "<![", "<![unknown[", "&#0;", "&#99999999;"])
def test_a_page_with_damaged_markup_is_read(tmp_path: Path, text: str) -> None:
    page = f"<html><table><tr><td>Company ID<td>Name<tr><td>{UUID}<td>{text}</table>"
    assert [row[0] for row in cells(load_bytes(tmp_path, page, "list.html"))] == [UUID]


@pytest.mark.parametrize(
    "content",
    [
        f"Company ID{',x' * 20_000}\n{UUID}\n",
        f"Company ID\n{UUID}{',x' * 20_000}\n",
        f"<html><table><tr><td>Company ID<tr><td>{UUID}{'<td>x' * 20_000}</table>",
    ],
    ids=["header", "row", "page"],
)
def test_a_list_with_more_columns_than_a_sheet_has_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="a row has 20,001 fields; a list can have 16,384"):
        load_bytes(tmp_path, content)


def test_a_list_whose_cells_are_nearly_all_missing_is_refused(tmp_path: Path) -> None:
    content = f"Company ID\n{UUID}{',x' * 10_000}\n" + f"{UUID}\n" * 10_000
    with pytest.raises(InputError, match="the widest row has 10,001 fields, most others far fewer"):
        load_bytes(tmp_path, content)


def test_a_workbook_that_repeats_a_long_text_keeps_it_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_HELD_BYTES", 1_000_000)
    repeated = '<c r="B{}" t="s"><v>0</v></c></row>'
    sheet = "".join(
        row_of(line, text).replace("</row>", repeated.format(line))
        for line, text in enumerate(["Company ID", *map(an_id, range(2_000))], 1)
    )
    parts = xlsx_parts(f"<sheetData>{sheet}</sheetData>", strings=f"<si><t>{'x' * 30_000}</t></si>")
    file = tmp_path / "list.xlsx"
    file.write_bytes(pack(parts))
    table = load(file)
    assert is_stored(table.cells)
    assert table.header == ("Company ID", "x" * 30_000)
    assert [row.cells for row in table.rows()] == [(an_id(at), "x" * 30_000) for at in range(2_000)]


def test_a_workbook_whose_sheets_are_one_part_is_refused(tmp_path: Path) -> None:
    parts = xlsx_parts(
        f"<sheetData>{row_of(1, 'Company ID')}{row_of(2, UUID)}</sheetData>", sheets=2
    )
    relations = "xl/_rels/workbook.xml.rels"
    parts[relations] = str(parts[relations]).replace("sheet2.xml", "sheet1.xml")
    file = tmp_path / "list.xlsx"
    file.write_bytes(pack(parts))
    with pytest.raises(InputError, match="two of its sheets are the same part"):
        load(file)


def test_cells_in_cells_of_an_ods_file_do_not_hide_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "list.ods"
    depth = 20_000
    row = "<table:table-row table:visibility='collapse'>" + "<table:table-cell>" * depth
    end = "</table:table-cell>" * depth + "</table:table-row></table:table>"
    with (
        zipfile.ZipFile(FILES / "durations-as-excel-writes.ods") as whole,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as nested,
    ):
        for name in whole.namelist():
            content = whole.read(name).decode()
            nested.writestr(name, content.replace("</table:table>", row + end))
    whole_list = load(FILES / "durations-as-excel-writes.ods")
    assert cells(load(file)) == cells(whole_list)


def test_a_message_about_a_cell_of_accents_is_short(tmp_path: Path) -> None:
    accents = "\u0301\u0323" * 100_000
    table = load_bytes(tmp_path, f"{accents}\n{accents}\n")
    with pytest.raises(InputError) as caught:
        find_roles(table)
    assert len(str(caught.value)) < 1_000


def test_a_message_lists_only_some_of_many_columns(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, f"{','.join(f'n{at}' for at in range(16_000))}\n1,2\n")
    with pytest.raises(InputError, match="n199 and 15,800 more"):
        find_roles(table)


def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    lines = f"{'x' * 2_000}\n" * 1_000
    content = f'"Company ID", "Name"\n"{UUID}", "x"\n"{OTHER_UUID}", "{lines}'
    with pytest.raises(InputError, match="line 3: a quote opens a field and is not closed"):
        load_bytes(tmp_path, content)


def test_a_formula_of_many_links_is_one_link(tmp_path: Path) -> None:
    formula = f"{'HYPERLINK(' * 50_000}&quot;https://example.com/{OTHER_UUID}&quot;"
    link = f'<row r="3"><c r="A3" t="str"><f>{formula}</f><v>{OTHER_UUID}</v></c></row>'
    listed = row_of(1, "Company ID") + row_of(2, UUID)
    table = in_workbook(tmp_path, f"<sheetData>{listed}{link}</sheetData>")
    assert table.source.links.startswith("1 link leads to an address with an ID")


def test_many_styles_of_one_long_format_are_read(tmp_path: Path) -> None:
    code = "[Red]" * 3_000 + "00000"
    styles = (
        f'<numFmts><numFmt numFmtId="200" formatCode="{code}"/></numFmts><cellXfs>'
        + '<xf numFmtId="200"/>' * 20_000
        + "</cellXfs>"
    )
    number = '<c r="B2" s="7"><v>42</v></c></row>'
    listed = row_of(1, "Company ID") + row_of(2, UUID).replace("</row>", number)
    file = tmp_path / "list.xlsx"
    file.write_bytes(pack(xlsx_parts(f"<sheetData>{listed}</sheetData>", styles=styles)))
    assert load(file).source.formats == ((1, "00000"),)


def test_many_relations_to_parts_that_are_not_there_are_ignored(tmp_path: Path) -> None:
    parts = xlsx_parts(f"<sheetData>{row_of(1, 'Company ID')}{row_of(2, UUID)}</sheetData>")
    relations = "xl/_rels/workbook.xml.rels"
    more = '<Relationship Id="x" Type="x/styles" Target="none.xml"/>' * 50_000
    parts[relations] = str(parts[relations]).replace("</Relationships>", f"{more}</Relationships>")
    parts |= {f"xl/more/{number}.xml": "<a/>" for number in range(5_000)}
    file = tmp_path / "list.xlsx"
    file.write_bytes(pack(parts))
    assert cells(load(file)) == [[UUID]]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_reader_that_never_ends_is_ended_even_if_batchrun_was_killed() -> None:
    program = (
        "from batchrun.tables import isolated\n"
        "isolated.SECONDS = 1\n"
        "isolated._bound_resources()\n"
        "while True: pass"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode < 0
