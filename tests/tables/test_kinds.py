"""Workbooks as other programs write them, and files that only look like lists."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import InputError
from batchrun.tables import load
from tests.corpus.cases import FILES
from tests.corpus.parts import pack, rows, xlsx_parts
from tests.tables.files import OTHER_UUID, UUID, cells, lines, load_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Parts = dict[str, bytes | str]

SHEET = rows(["Company ID", "Name"], [UUID, "Acme"], [OTHER_UUID, "Bay"])
BOOK, RELATIONS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
WORKSHEET = "xl/worksheets/sheet1.xml"


def replaced(part: str, old: str, new: str) -> Callable[[Parts], Parts]:
    def change(parts: Parts) -> Parts:
        text = parts[part]
        assert isinstance(text, str)
        assert old in text
        return parts | {part: text.replace(old, new)}

    return change


def with_backslashes(parts: Parts) -> Parts:
    return {name.replace("/", "\\"): content for name, content in parts.items()}


def in_capitals(parts: Parts) -> Parts:
    return {name.upper(): content for name, content in parts.items()}


def in_another_folder(parts: Parts) -> Parts:
    moved = {name.replace("xl/", "book/"): content for name, content in parts.items()}
    moved["xl/worksheets/unused.xml"] = "<worksheet/>"
    moved["_rels/.rels"] = str(moved["_rels/.rels"]).replace("xl/workbook", "book/workbook")
    return moved


def with_a_macro_sheet(parts: Parts) -> Parts:
    parts = replaced(BOOK, "<sheets>", '<sheets><sheet name="M" sheetId="9" r:id="m"/>')(parts)
    kind = "http://schemas.microsoft.com/office/2006/relationships/xlMacrosheet"
    macro = f'<Relationship Id="m" Type="{kind}" Target="macrosheets/sheet1.xml"/></Relationships>'
    return replaced(RELATIONS, "</Relationships>", macro)(parts)


CHANGES = {
    "an odd dimension": replaced(WORKSHEET, "<sheetData>", '<dimension ref="1:5"/><sheetData>'),
    "an odd merged range": replaced(
        WORKSHEET, "</sheetData>", '</sheetData><mergeCells><mergeCell ref="1:5"/></mergeCells>'
    ),
    "a sheet without a relation": replaced(
        BOOK, "<sheets>", '<sheets><sheet name="V" sheetId="8" state="veryHidden" r:id=""/>'
    ),
    "a macro sheet": with_a_macro_sheet,
    "backslashes": with_backslashes,
    "names in capitals": in_capitals,
    "an absolute target": replaced(RELATIONS, "worksheets/", "/xl/worksheets/"),
    "a target with a backslash": replaced(RELATIONS, "worksheets/", "worksheets\\"),
    "another folder": in_another_folder,
    "attributes in another order": replaced(WORKSHEET, "<c r=", '<c s="0" r='),
    "a style that is not there": replaced(WORKSHEET, "<c r=", '<c s="99" r='),
    "a comment": replaced(WORKSHEET, "<sheetData>", "<!-- <row> --><sheetData>"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("ending", ["xlsx", "xlsm", "xltx"])
def test_a_workbook_of_another_program_is_read(tmp_path: Path, change: str, ending: str) -> None:
    content = pack(CHANGES[change](dict(xlsx_parts(SHEET))))
    table = load_bytes(tmp_path, content, f"list.{ending}")
    assert cells(table) == [[UUID, "Acme"], [OTHER_UUID, "Bay"]]
    assert lines(table) == [2, 3]


def test_no_library_speaks_to_the_user(tmp_path: Path) -> None:
    parts = xlsx_parts(SHEET.replace(UUID, f"{UUID}</t>"))
    with pytest.raises(InputError) as refused:
        load_bytes(tmp_path, pack(parts), "list.xlsx")
    assert "is a workbook that can't be read: it is damaged." in str(refused.value)


NAMESPACE = "urn:schemas-microsoft-com:office:spreadsheet"
XML_2003 = f"""<?xml version="1.0" encoding="UTF-8"?><?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="{NAMESPACE}" xmlns:ss="{NAMESPACE}">
 <Worksheet ss:Name="Cover"><Table/></Worksheet>
 <Worksheet ss:Name="Accounts"><Table>
  <Column/><Column ss:Hidden="1"/>
  <Row><Cell><Data ss:Type="String">Company ID</Data></Cell>
   <Cell><Data ss:Type="String">Name</Data></Cell><Cell><Data ss:Type="String">Count</Data></Cell>
   <Cell><Data ss:Type="String">Since</Data></Cell><Cell><Data ss:Type="String">At</Data></Cell>
   <Cell><Data ss:Type="String">Open</Data></Cell></Row>
  <Row ss:Index="3"><Cell><Data ss:Type="String">{UUID}</Data></Cell>
   <Cell><Data ss:Type="String">M\u00fcller &amp; S\u00f6hne</Data></Cell>
   <Cell><Data ss:Type="Number">5</Data></Cell>
   <Cell><Data ss:Type="DateTime">2026-01-31T00:00:00.000</Data></Cell>
   <Cell><Data ss:Type="DateTime">1899-12-31T09:30:00.000</Data></Cell>
   <Cell><Data ss:Type="Boolean">1</Data></Cell></Row>
  <Row ss:Hidden="1"><Cell><Data ss:Type="String">{OTHER_UUID}</Data></Cell>
   <Cell ss:Index="3"><Data ss:Type="Error">#N/A</Data></Cell>
   <Cell ss:Formula="=NOW()"/></Row>
 </Table></Worksheet></Workbook>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("before", ["", "\r\n"])
def test_excel_2003_xml_is_read(tmp_path: Path, encoding: str, before: str) -> None:
    table = load_bytes(tmp_path, (before + XML_2003).encode(encoding), "list.xls")
    assert table.source.sheet == "Accounts"
    first, second = cells(table)
    assert first[:3] == [UUID, "Müller & Söhne", 5]
    assert first[3] in {datetime.fromisoformat("2026-01-31"), date.fromisoformat("2026-01-31")}
    assert first[4:] == [time(9, 30), True]
    assert second[:3] == [OTHER_UUID, None, "#N/A"]
    assert lines(table) == [3, 4]
    notices = " ".join(table.source.notices)
    for said in ("1 row is hidden", "1 column is hidden", "an error", "no stored value"):
        assert said in notices


def test_hidden_rows_of_excel_2003_xml_may_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "list.xls"
    file.write_text(XML_2003, encoding="utf-8")
    assert lines(load(file, visible_only=True)) == [3]


def test_excel_2003_xml_may_not_declare_entities(tmp_path: Path) -> None:
    hostile = XML_2003.replace("<Workbook", '<!DOCTYPE x [<!ENTITY a "b">]><Workbook', 1)
    with pytest.raises(InputError, match="declares XML entities"):
        load_bytes(tmp_path, hostile, "list.xls")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"ID;PWXL;N;E\r\nP;PGeneral\r\nC;Y1;X1;K\"a\"\r\nE\r\n", "a SYLK file"),
        (b'TABLE\r\n0,1\r\n"EXCEL"\r\nVECTORS\r\n', "a DIF file"),
        (b"MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\nContent-Type: multipart/related;\r\n",
         "a web archive (MHTML)"),
        (b"From: <Saved by Blink>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n",
         "a web archive (MHTML)"),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "a contact card"),
        (b"BEGIN:VCALENDAR\r\n", "a calendar"),
        (b"\x28\xb5\x2f\xfd\x00", "a Zstandard archive"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x00\x00\x1a\x00\x00\x10", "a Lotus 1-2-3 workbook"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["list.csv", "list.xls", "list.xlsx"])
def test_what_is_no_list_is_refused_by_name(
    tmp_path: Path, content: bytes, kind: str, name: str
) -> None:
    with pytest.raises(InputError) as refused:
        load_bytes(tmp_path, content, name)
    assert kind in str(refused.value)
    assert "as .xlsx or CSV" in str(refused.value)


@pytest.mark.parametrize("content", [b"PK\x05\x06" + bytes(18), b"\x1f\x8b\x08\x00"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="Unpack it"):
        load_bytes(tmp_path, content, "list.csv")


def test_a_list_whose_first_column_is_called_id_is_no_sylk_file(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, f"ID;PName\n{UUID};Acme\n")
    assert table.header == ("ID", "PName")


def old_workbook() -> bytes:
    return (FILES / "libreoffice-typed.xls").read_bytes()


@pytest.mark.parametrize("word", ["WordDocument", "EncryptedPackage", "VisioDocument"])
def test_an_old_workbook_may_mention_other_programs(tmp_path: Path, word: str) -> None:
    content = old_workbook() + word.encode("utf-16-le") + bytes(512)
    wanted = cells(load(FILES / "libreoffice-typed.xls"))
    assert cells(load_bytes(tmp_path, content, "list.xls")) == wanted


def test_an_old_workbook_with_a_password_is_named(tmp_path: Path) -> None:
    content = bytearray(old_workbook())
    begin = content.find(b"\x09\x08\x10\x00\x00\x06\x05\x00")  # the first record, BOF
    after = begin + 4 + 16
    content[after : after + 2] = b"\x2f\x00"  # FilePass
    with pytest.raises(InputError, match="protected by a password"):
        load_bytes(tmp_path, bytes(content), "list.xls")
