from __future__ import annotations

import io
import re
import struct
import tempfile
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from batchrun.errors import InputError
from batchrun.tables.files import load
from tests.corpus.cases import FILES
from tests.corpus.parts import pack, record, rows, xlsb, xlsx_parts
from tests.tables.files import OTHER_UUID, UUID, cells, lines, load_bytes, write_workbook


@pytest.mark.parametrize(
    "value",
    [
        "00123", "NA", "1E5", "#N/A as text", " padded ", "two\nlines", 5, 0, -7, 5.5, 2.0**60,
        True, False, date(2026, 3, 1), datetime.fromisoformat("2026-03-01T10:30"), time(9, 15),
        timedelta(hours=30),
    ],
    ids=repr,
)  # fmt: skip
def test_a_cell_keeps_value_and_type(tmp_path: Path, value: Any) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"S": [["ID", "Value"], ["x", value]]})
    [[_, read]] = cells(load(file))
    assert read == value
    assert type(read) is type(value)


def _of_seconds(moment: datetime) -> datetime:
    """Excel counts days in doubles, and shows a midnight as a date."""
    return moment.replace(microsecond=0, second=moment.second or 1)


@given(
    st.lists(
        st.lists(
            st.none()
            | st.booleans()
            | st.integers(-(2**53) + 1, 2**53 - 1)
            | st.integers(1, 10**9).map(lambda number: number + 0.5)
            | st.dates(date(1901, 1, 1), date(2100, 1, 1))
            | st.times().map(lambda each: each.replace(microsecond=0))
            | st.datetimes(datetime(1901, 1, 1), datetime(2100, 1, 1)).map(_of_seconds)  # noqa: DTZ001
            | st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1),
            min_size=3,
            max_size=3,
        ).map(lambda row: ["x", *row]),
        min_size=1,
        max_size=5,
    )
)
def test_tables_come_back_equal(rows: list[list[Any]]) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    for number, row in enumerate([["a", "b", "c", "d"], *rows], start=1):
        for column, value in enumerate(row, start=1):
            cell = sheet.cell(number, column)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"  # text that begins with = is text
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.xlsx"
        workbook.save(file)
        assert cells(load(file)) == rows


def test_an_integral_number_is_an_integer_and_an_empty_cell_none(tmp_path: Path) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"S": [["ID", "n"], ["x", 5.0], ["y", None]]})
    assert [type(row[1]) for row in cells(load(file))] == [int, type(None)]


@pytest.mark.parametrize("content", ["#N/A", "#REF!", " \t\n", "  "])
def test_error_cells_and_white_space_are_kept_as_text(tmp_path: Path, content: str) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"S": [["ID", "f"], ["x", content], ["y", 1]]})
    assert cells(load(file)) == [["x", content], ["y", 1]]


def test_a_rich_text_that_begins_with_a_blank_run_keeps_the_others(tmp_path: Path) -> None:
    """Nor does an error cell beside it, for which every cell is looked at, change that."""
    rich = CellRichText(TextBlock(InlineFont(b=True), " "), TextBlock(InlineFont(), UUID))
    rows: list[list[Any]] = [
        ["ID", "f"],
        [rich, "#N/A"],
        [CellRichText(TextBlock(InlineFont(), "  ")), "x"],
    ]
    file = write_workbook(tmp_path / "a.xlsx", {"S": rows})
    [[first, _], [blank, _]] = cells(load(file))
    assert first.strip() == UUID
    assert blank == "  "


def test_an_error_cell_is_said_with_its_place(tmp_path: Path) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"S": [["ID", "f"], ["x", "#N/A"], ["y", "#REF!"]]})
    [notice] = load(file).source.notices
    assert notice == "2 cells hold an error instead of a value (first: #N/A in B2)"


@pytest.mark.parametrize("before", ["", "<!-- a writer -->"])
@pytest.mark.parametrize(
    ("formula", "said"),
    [("<f>A2</f>", True), ("<f>A2</f><v></v>", False), ("<f>A2</f><v/>", False), ("<f/>", True)],
)
def test_a_text_formula_without_a_value_is_told_from_one_that_gives_no_text(
    tmp_path: Path, formula: str, said: bool, before: str
) -> None:
    sheet = before + rows(["Company ID", "f"], [UUID, f't="str"|{formula}'], [OTHER_UUID, "x"])
    table = load_bytes(tmp_path, pack(xlsx_parts(sheet)), "list.xlsx")
    assert cells(table) == [[UUID, None], [OTHER_UUID, "x"]]
    assert any("1 formula has no stored value" in each for each in table.source.notices) is said


def test_a_formula_never_calculated_is_empty_and_said(tmp_path: Path) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"S": [["ID", "f"], ["x", "=1+1"], ["y", 1]]})
    table = load(file)
    assert cells(table) == [["x", None], ["y", 1]]
    assert "1 formula has no stored value" in table.source.notices[0]
    assert "B2" in table.source.notices[0]


def test_rows_are_numbered_as_excel_does_wherever_the_table_starts(tmp_path: Path) -> None:
    file = write_workbook(
        tmp_path / "a.xlsx",
        {"S": [[], [], [None, "ID", "Name"], [None, "x", "Acme"], [], [None, "y", "Bay"]]},
    )
    table = load(file)
    assert table.header == ("ID", "Name")
    assert lines(table) == [4, 6]
    assert table.source.notices == ("1 blank row was skipped",)
    assert table.source.place(4) == "a.xlsx, sheet S, line 4"


def test_header_cells_become_text_and_empty_columns_at_the_end_are_dropped(tmp_path: Path) -> None:
    file = write_workbook(
        tmp_path / "a.xlsx",
        {"S": [["ID", 2026, True, None, "Z", "", ""], ["x", 1, 2, 3, None, "", ""]]},
    )
    table = load(file)
    assert table.header == ("ID", "2026", "TRUE", "", "Z")
    assert cells(table) == [["x", 1, 2, 3, None]]


ROWS = [["ID"], ["x"]]


def test_the_only_sheet_with_cells_is_read(tmp_path: Path) -> None:
    file = write_workbook(
        tmp_path / "a.xlsx", {"Empty": [], "Data": ROWS, "Secret": ROWS}, hidden=("Secret",)
    )
    table = load(file)
    assert table.source.sheet == "Data"
    assert table.source.notices == ()


def test_of_several_sheets_the_first_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"One": ROWS, "Two": ROWS, "Three": ROWS})
    table = load(file)
    assert table.source.sheet == "One"
    assert "Two, Three" in table.source.notices[0]


@pytest.mark.parametrize("wanted", ["Two", "two", "2"])
def test_a_sheet_is_found_by_name_or_number(tmp_path: Path, wanted: str) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"One": ROWS, "Two": [["ID"], ["from two"]]})
    assert cells(load(file, sheet=wanted)) == [["from two"]]


def test_a_sheet_named_like_a_number_is_found_by_its_name(tmp_path: Path) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"2": [["ID"], ["named 2"]], "Two": ROWS})
    assert cells(load(file, sheet="2")) == [["named 2"]]


def test_an_unknown_sheet_lists_the_sheets_and_the_closest(tmp_path: Path) -> None:
    file = write_workbook(tmp_path / "a.xlsx", {"Accounts": ROWS, "Contacts": ROWS})
    with pytest.raises(InputError, match=r"no sheet 'acounts'") as caught:
        load(file, sheet="acounts")
    assert caught.value.hint == "Its sheets: Accounts, Contacts. Did you mean Accounts?"


@pytest.mark.parametrize(
    ("sheets", "wanted", "message"),
    [
        ({"One": []}, None, "no visible sheet that holds anything"),
        ({"One": [], "Two": ROWS}, "One", "sheet One is empty"),
        ({"One": [["ID"]]}, None, "sheet One, line 1: there is a header row but no row"),
        ({"One": [["\xa0"], ["x"]]}, None, "sheet One, line 1: the column names are missing"),
    ],
)
def test_a_sheet_without_a_table_is_refused(
    tmp_path: Path, sheets: dict[str, list[list[Any]]], wanted: str | None, message: str
) -> None:
    file = write_workbook(tmp_path / "a.xlsx", sheets)
    with pytest.raises(InputError, match=message):
        load(file, sheet=wanted)


def test_a_cut_off_workbook_is_refused_with_words(tmp_path: Path) -> None:
    whole = write_workbook(tmp_path / "whole.xlsx", {"S": ROWS}).read_bytes()
    with pytest.raises(InputError, match="damaged or cut off"):
        load_bytes(tmp_path, whole[: len(whole) // 2], "half.xlsx")


def test_an_ods_whose_table_does_not_end_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(FILES / "libreoffice-texts-ods.ods") as archive:
        parts: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    content = parts["content.xml"]
    assert isinstance(content, bytes)
    parts["content.xml"] = content.replace(b"</table:table>", b"</table:tablet>")
    with pytest.raises(InputError, match="damaged or cut off"):  # calamine would read for ever
        load_bytes(tmp_path, pack(parts), "list.ods")


def test_a_cell_that_an_xls_holds_twice_is_refused(tmp_path: Path) -> None:
    content = (FILES / "libreoffice-texts-xls.xls").read_bytes()
    label = bytes.fromhex("fd000a00")  # the record LABELSST; then follow the row and the column
    one, other = (label + struct.pack("<HH", 1, column) for column in (1, 0))
    assert content.count(one) == 1
    with pytest.raises(InputError, match="line 2: cell A2 is there twice"):
        load_bytes(tmp_path, content.replace(one, other), "list.xls")


def test_a_cell_that_an_xlsb_holds_twice_is_refused(tmp_path: Path) -> None:
    content = xlsb([["Company ID", "Name"], [UUID, "x"], [OTHER_UUID, "y"]])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    third, second = (record(0, struct.pack("<IIHBBBI", row, 0, 300, 0, 0, 0, 0)) for row in (2, 1))
    sheet = parts["xl/worksheets/sheet1.bin"]
    assert isinstance(sheet, bytes)
    parts["xl/worksheets/sheet1.bin"] = sheet.replace(third, second)
    with pytest.raises(InputError, match="line 2: cell A2 is there twice"):
        load_bytes(tmp_path, pack(parts), "list.xlsb")


@pytest.mark.parametrize(
    "merge",
    [
        '<mergeCells count="1"><mergeCell ref="A2:A3"/></mergeCells>',
        "<mergeCells><mergeCell ref='A2:A3' ></mergeCell></mergeCells>",
        '<mergeCells><mergeCell id="1" ref="a2:a3"/></mergeCells>',
        '<mergeCells><mergeCell ref="A2:A3:A4"/><mergeCell ref="A2:A3"/></mergeCells>',
        '<mergeCells><mergeCell ref="A3:A2"/><mergeCell ref="C9:B7"/></mergeCells>',
    ],
)
def test_merged_cells_are_found_however_the_xml_writes_them(tmp_path: Path, merge: str) -> None:
    sheet = rows(["Company ID", "Name"], [UUID, "x"], ["", "y"]) + merge
    table = load_bytes(tmp_path, pack(xlsx_parts(sheet)), "list.xlsx")
    assert cells(table) == [[UUID, "x"], [UUID, "y"]]


@pytest.mark.parametrize(
    ("first", "group"),
    [
        *(("A1:A2", group) for group in (2026, "2026", date(2026, 1, 1), "FY 26")),
        *(("A1:B1", group) for group in (2026, "2026", "FY 26")),
    ],
)
def test_a_header_below_groups_of_columns_may_have_years_above_it(
    tmp_path: Path, first: str, group: Any
) -> None:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    downwards = first == "A1:A2"
    page.append(["Company ID" if downwards else "Account", None if downwards else "", group])
    page.append([None if downwards else "Company ID", "City", "Plan", "Actual"])
    page.append([UUID, "Oslo", 1, 2])
    for merged in (first, "C1:D1"):
        page.merge_cells(merged)
    book.save(tmp_path / "list.xlsx")
    table = load(tmp_path / "list.xlsx")
    name, city = ("Company ID", "City") if downwards else ("Account / Company ID", "Account / City")
    assert table.header == (name, city, f"{group} / Plan", f"{group} / Actual")
    assert cells(table) == [[UUID, "Oslo", 1, 2]]


@pytest.mark.parametrize("beside", [2026, date(2026, 1, 1)], ids=str)
def test_a_merged_title_beside_a_year_or_date_is_no_part_of_the_header(
    tmp_path: Path, beside: Any
) -> None:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    for row in (["Accounts", None, beside], ["Company ID", "City", "Plan"], [UUID, "Oslo", 1]):
        page.append(row)
    page.merge_cells("A1:B1")
    book.save(tmp_path / "list.xlsx")
    assert load(tmp_path / "list.xlsx").header == ("Company ID", "City", "Plan")


def test_a_row_of_years_below_a_header_is_no_part_of_it_without_merged_names(
    tmp_path: Path,
) -> None:
    rows_given: list[list[Any]] = [["Company ID", "Founded"], [None, 2026], [UUID, 1999]]
    table = load(write_workbook(tmp_path / "list.xlsx", {"S": rows_given}))
    assert cells(table) == rows_given[1:]


STRINGS = "".join(
    f"<si><t>{each}</t></si>" for each in (OTHER_UUID, "Company ID", "Name", UUID, "Acme")
)


def of_strings(identifier: str, kind: str) -> bytes:
    """A list of two rows whose texts are in the table of strings; the ID of row 2 is given."""
    texts = ["1", "2", identifier, "4", "0", "4"]
    first, *others = ([f"{kind}|<v>{each}</v>" for each in texts[at : at + 2]] for at in (0, 2, 4))
    return pack(xlsx_parts(rows(first, *others), strings=STRINGS))


@pytest.mark.parametrize("kind", ['t="s"', "t='s'"])
@pytest.mark.parametrize("number", [" 3 ", "\n\t3\n", "&#51;"])
def test_the_number_of_a_text_may_have_white_space_around_it(
    tmp_path: Path, number: str, kind: str
) -> None:
    table = load_bytes(tmp_path, of_strings(number, kind), "list.xlsx")
    assert cells(table) == [[UUID, "Acme"], [OTHER_UUID, "Acme"]]


@pytest.mark.parametrize("kind", ['t="s"', "t='s'"])
@pytest.mark.parametrize("number", ["x", "-1", "3.0", "+3", "3 3", "9" * 10, "9" * 30, "\u0663"])
def test_a_cell_that_refers_to_no_text_is_refused_and_has_not_the_first_one(
    tmp_path: Path, number: str, kind: str
) -> None:
    with pytest.raises(InputError, match="line 2: the text of cell A2 is not in the file"):
        load_bytes(tmp_path, of_strings(number, kind), "list.xlsx")


def test_a_sheet_in_utf_16_is_not_read_as_empty(tmp_path: Path) -> None:
    parts = xlsx_parts(rows(["Company ID", "Name"], [UUID, "Müller"]))
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = f'<?xml version="1.0" encoding="UTF-16"?>{parts[sheet]!s}'.encode("utf-16")
    assert cells(load_bytes(tmp_path, pack(parts), "list.xlsx")) == [[UUID, "Müller"]]


@pytest.mark.parametrize(("mark", "text"), [("tab", "\t"), ("line-break", "\n")])
def test_a_break_in_a_cell_of_an_open_document_is_kept(
    tmp_path: Path, mark: str, text: str
) -> None:
    file = tmp_path / "list.ods"
    with (
        zipfile.ZipFile(FILES / "libreoffice-texts-ods.ods") as whole,
        zipfile.ZipFile(file, "w") as changed,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            if name == "content.xml":
                broken = f"<text:p>M<text:s text:c='2'/>A<text:{mark}/>B</text:p><text:p>C"
                content, count = re.subn("<text:p>(?=Müller)".encode(), broken.encode(), content)
                assert count
            changed.writestr(name, content)
    whole_list, table = load(FILES / "libreoffice-texts-ods.ods"), load(file)
    assert table.lines.tolist() == whole_list.lines.tolist()
    assert str(cells(table)[0][1]).startswith(f"M  A{text}B\nCMüller")
