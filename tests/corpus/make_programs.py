"""Files of the corpus as other programs write them: odd XLSX, old XLS, Excel 2003 XML, ODS.

Run from the repository: ``python -m tests.corpus.make_programs``.
"""

from __future__ import annotations

import json
import zipfile
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from tests.corpus.cases import FILES, A, B, Case, decode
from tests.corpus.parts import LINKS, PACKAGE, pack, rows, xlsx_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.corpus.cases import Rows

    Parts = dict[str, bytes | str]

TABLE: Rows = [["Company ID", "Name"], [A, "Acme"], [B, "Bay"]]
BOOK, RELATIONS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
SHEET = "xl/worksheets/sheet1.xml"


def replaced(part: str, old: str, new: str) -> Callable[[Parts], Parts]:
    """Write another text into a part."""

    def change(parts: Parts) -> Parts:
        text = parts[part]
        assert isinstance(text, str)
        assert old in text
        return parts | {part: text.replace(old, new)}

    return change


def in_another_folder(parts: Parts) -> Parts:
    """The workbook's parts in a folder that is not called xl."""
    moved = {name.replace("xl/", "book/"): content for name, content in parts.items()}
    moved["xl/worksheets/unused.xml"] = "<worksheet/>"
    return replaced("_rels/.rels", "xl/workbook", "book/workbook")(moved)


def with_a_macro_sheet(parts: Parts) -> Parts:
    """A sheet of Excel 4.0 macros before the list."""
    parts = replaced(BOOK, "<sheets>", '<sheets><sheet name="M" sheetId="9" r:id="m"/>')(parts)
    kind = "http://schemas.microsoft.com/office/2006/relationships/xlMacrosheet"
    macro = f'<Relationship Id="m" Type="{kind}" Target="macrosheets/sheet1.xml"/></Relationships>'
    return replaced(RELATIONS, "</Relationships>", macro)(parts)


CHANGES: dict[str, Callable[[Parts], Parts]] = {
    "odd-dimension": replaced(SHEET, "<sheetData>", '<dimension ref="1:5"/><sheetData>'),
    "odd-merged-range": replaced(
        SHEET, "</sheetData>", '</sheetData><mergeCells><mergeCell ref="1:5"/></mergeCells>'
    ),
    "sheet-without-a-relation": replaced(
        BOOK, "<sheets>", '<sheets><sheet name="V" sheetId="8" state="veryHidden" r:id=""/>'
    ),
    "macro-sheet": with_a_macro_sheet,
    "backslashes": lambda parts: {name.replace("/", "\\"): each for name, each in parts.items()},
    "names-in-capitals": lambda parts: {name.upper(): each for name, each in parts.items()},
    "absolute-target": replaced(RELATIONS, "worksheets/", "/xl/worksheets/"),
    "target-with-a-backslash": replaced(RELATIONS, "worksheets/", "worksheets\\"),
    "another-folder": in_another_folder,
    "attributes-in-another-order": replaced(SHEET, "<c r=", '<c s="0" r='),
    "style-that-is-not-there": replaced(SHEET, "<c r=", '<c s="99" r='),
    "comment": replaced(SHEET, "<sheetData>", "<!-- <row> --><sheetData>"),
}


def programs() -> Iterator[Case]:
    """XLSX that other programs open."""
    parts = xlsx_parts(rows(*TABLE))
    for number, (name, change) in enumerate(CHANGES.items()):
        ending = ("xlsx", "xlsm", "xltx")[number % 3]
        content = pack(change(dict(parts)))
        yield Case(f"program-{name}.{ending}", content, TABLE, [2, 3])
    unclosed = xlsx_parts(rows(TABLE[0], [f"{A}</t>", "Acme"]))
    yield Case(
        "program-tag-never-opened.xlsx", pack(unclosed),
        error="is a workbook that can't be read: it is damaged.",
    )  # fmt: skip


def old_workbooks() -> Iterator[Case]:
    """XLS in which the name of another program stands, or with a password."""
    old = FILES / "libreoffice-texts-xls.xls"
    content = old.read_bytes()
    table: Rows = expected(old.name)
    for word in ("WordDocument", "EncryptedPackage", "VisioDocument"):
        mention = content + word.encode("utf-16-le") + bytes(512)
        yield Case(f"old-workbook-that-mentions-{word.lower()}.xls", mention, table, [2, 3, 4])
    locked = bytearray(content)
    after = content.find(b"\x09\x08\x10\x00\x00\x06\x05\x00") + 4 + 16  # behind the first record
    locked[after : after + 2] = b"\x2f\x00"  # FilePass
    yield Case(
        "old-workbook-with-a-password.xls", bytes(locked), error="is protected by a password"
    )


def expected(name: str) -> Rows:
    """The table of a file that the corpus has already."""
    table = json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))["table"]
    return [[decode(cell) for cell in row] for row in table]


SPACE = "urn:schemas-microsoft-com:office:spreadsheet"
XML_2003 = f"""<?xml version="1.0" encoding="UTF-8"?><?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="{SPACE}" xmlns:ss="{SPACE}">
 <Worksheet ss:Name="Cover"><Table/></Worksheet>
 <Worksheet ss:Name="Accounts"><Table>
  <Column/><Column ss:Hidden="1"/>
  <Row><Cell><Data ss:Type="String">Company ID</Data></Cell>
   <Cell><Data ss:Type="String">Name</Data></Cell><Cell><Data ss:Type="String">Count</Data></Cell>
   <Cell><Data ss:Type="String">Since</Data></Cell><Cell><Data ss:Type="String">At</Data></Cell>
   <Cell><Data ss:Type="String">Open</Data></Cell></Row>
  <Row ss:Index="3"><Cell><Data ss:Type="String">{A}</Data></Cell>
   <Cell><Data ss:Type="String">M\u00fcller &amp; S\u00f6hne</Data></Cell>
   <Cell><Data ss:Type="Number">5</Data></Cell>
   <Cell><Data ss:Type="DateTime">2026-01-31T00:00:00.000</Data></Cell>
   <Cell><Data ss:Type="DateTime">1899-12-31T09:30:00.000</Data></Cell>
   <Cell><Data ss:Type="Boolean">1</Data></Cell></Row>
  <Row ss:Hidden="1"><Cell><Data ss:Type="String">{B}</Data></Cell>
   <Cell ss:Index="3"><Data ss:Type="Error">#N/A</Data></Cell>
   <Cell ss:Formula="=NOW()"/></Row>
 </Table></Worksheet></Workbook>"""
READ_2003: Rows = [
    ["Company ID", "Name", "Count", "Since", "At", "Open"],
    [A, "Müller & Söhne", 5, datetime.fromisoformat("2026-01-31"), time(9, 30), True],
    [B, None, "#N/A", None, None, None],
]


def xml_2003() -> Iterator[Case]:
    """Excel 2003 XML, which several CRMs export as .xls, and formats that are refused by name."""
    says = ["1 row is hidden and read too", "1 column is hidden", "1 cell holds an error",
            "1 formula has no stored value", "1 blank row"]  # fmt: skip
    for name, content in (
        ("typed", XML_2003.encode()), ("with-a-mark", XML_2003.encode("utf-8-sig")),
        ("below-a-blank-line", b"\r\n" + XML_2003.encode()),
    ):  # fmt: skip
        yield Case(f"xml-2003-{name}.xls", content, READ_2003, [3, 4], says)
    yield Case(
        "xml-2003-visible-only.xls", XML_2003.encode(), READ_2003[:2], [3],
        ["1 row is hidden and left out", *says[1:]], options={"visible_only": True},
    )  # fmt: skip
    hostile = XML_2003.replace("<Workbook", '<!DOCTYPE x [<!ENTITY a "b">]><Workbook', 1)
    yield Case("xml-2003-with-an-entity.xls", hostile.encode(), error="declares XML entities")
    related = b"Content-Type: multipart/related;\r\n"
    for name, content in (
        ("sylk.slk", b'ID;PWXL;N;E\r\nP;PGeneral\r\nC;Y1;X1;K"a"\r\nE\r\n'),
        ("dif.dif", b'TABLE\r\n0,1\r\n"EXCEL"\r\nVECTORS\r\n'),
        ("mhtml.mht", b"MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\n" + related),
        ("mhtml-of-a-browser.xls", b"From: <Saved by Blink>\r\nMIME-Version: 1.0\r\n" + related),
    ):  # fmt: skip
        kind = {"s": "a SYLK file (.slk)", "d": "a DIF file", "m": "a web archive (MHTML)"}[name[0]]
        yield Case(f"kind-{name}", content, error=f"is {kind}; it can't be read as a list")


def ods(*table: list[str], link: str = "") -> bytes:
    """An ODS whose cells are given as ``type=value``, or as a text; Acme may be a link."""
    body = ""
    for row in table:
        body += "<table:table-row>"
        for cell in row:
            kind, equals, value = cell.partition("=")
            typed = f'office:value-type="{kind}" office:{kind}-value="{value}"'
            typed = typed if equals else 'office:value-type="string"'
            body += f"<table:table-cell {typed}><text:p>{value or kind}</text:p></table:table-cell>"
        body += "</table:table-row>"
    names = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = " ".join(f'xmlns:{each}="{names}:{each}:1.0"' for each in ("office", "table", "text"))
    content = (
        f'<office:document-content {spaces} office:version="1.3"><office:body><office:spreadsheet>'
        f'<table:table table:name="S1">{body}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    if link:
        space = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
        text = f'<text:a {space} xlink:href="{link}">Acme</text:a>'
        content = content.replace("Acme", text)
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = f'<manifest:manifest xmlns:manifest="{names}:manifest:1.0"/>'
    return pack(
        {"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest},
        zipfile.ZIP_STORED,
    )


def links() -> Iterator[Case]:
    """IDs in the addresses of links alone."""
    named: Rows = [["Company", "City"], ["Acme", "Ulm"], ["Bay", "Bonn"]]
    addresses = [f"https://app.example.com/companies/{each}" for each in (A, B)]
    said = ["lead to addresses with IDs", f"({addresses[0]})", "a column of their own"]
    hyperlink = f"{LINKS}/hyperlink"
    relations = "".join(
        f'<Relationship Id="h{at}" Type="{hyperlink}" Target="{each}" TargetMode="External"/>'
        for at, each in enumerate(addresses)
    )
    refs = "".join(f'<hyperlink ref="A{at + 2}" r:id="h{at}"/>' for at in (0, 1))
    parts = xlsx_parts(f'{rows(*named)}<hyperlinks xmlns:r="{LINKS}">{refs}</hyperlinks>')
    parts["xl/worksheets/_rels/sheet1.xml.rels"] = (
        f'<Relationships xmlns="{PACKAGE}/relationships">{relations}</Relationships>'
    )
    yield Case("links-of-cells.xlsx", pack(parts), named, [2, 3], check=said)
    formulas = [
        [f't="str"|<f>HYPERLINK("{address}","{name}")</f><v>{name}</v>', city]
        for address, (name, city) in zip(addresses, named[1:], strict=True)
    ]
    for name, first in (("", '<c r="A1"'), ("-in-apostrophes", "<c r='A1'")):
        sheet = rows(named[0], *formulas).replace('<c r="A1"', first)
        yield Case(f"links-by-formula{name}.xlsx", pack(xlsx_parts(sheet)), named, [2, 3],
                   check=["lead to addresses with IDs", addresses[0]])  # fmt: skip
    cells = "".join(
        f'<tr><td><a href="{address}">{name}</a><td>{city}</tr>'
        for address, (name, city) in zip(addresses, named[1:], strict=True)
    )
    page = f"<table><tr><th>Company<th>City</tr>{cells}</table>"
    yield Case("links-of-a-page.html", page.encode(), named, [2, 3], check=said)
    linked = ods(*named, link=addresses[0])
    yield Case(
        "links-of-cells.ods", linked, named, [2, 3],
        check=[f"1 link leads to an address with an ID ({addresses[0]})"],
    )  # fmt: skip
    both = page.replace("<th>City", "<th>Company ID").replace("Ulm", A).replace("Bonn", B)
    yield Case(
        "links-beside-ids.html", both.encode(),
        [["Company", "Company ID"], ["Acme", A], ["Bay", B]], [2, 3], check=["2 to trigger"],
    )  # fmt: skip


def oddities() -> Iterator[Case]:
    """Durations in ODS, rows of height 0, Ctrl-Z and byte order marks in a text."""
    for name, written, hours in (
        ("as-excel-writes", "PT25H0M0S", timedelta(hours=25)),
        ("as-libreoffice-writes", "PT25H00M00S", timedelta(hours=25)),
        ("with-fractions", "PT101H2M3.5S", timedelta(hours=101, minutes=2, seconds=3.5)),
    ):
        content = ods(["Company ID", "Left"], [A, f"time={written}"], [B, f"time={written}"])
        table: Rows = [["Company ID", "Left"], [A, hours], [B, hours]]
        yield Case(f"durations-{name}.ods", content, table, [2, 3])
    for name, height in (("", "0"), ("-with-decimals", "0.0")):
        flat = rows(*TABLE).replace('<row r="3"', f'<row r="3" ht="{height}" customHeight="1"')
        yield Case(
            f"height-0{name}.xlsx", pack(xlsx_parts(flat)), TABLE[:2], [2],
            ["1 row is hidden and left out"], options={"visible_only": True},
        )  # fmt: skip
    low = XML_2003.replace('<Row ss:Hidden="1"', '<Row ss:Height="0"').encode()
    yield Case("height-0.xls", low, READ_2003[:2], [3], None, options={"visible_only": True})
    text = "".join(",".join(row) + "\r\n" for row in TABLE)
    for name, end in (
        ("", "\x1a"),
        ("-on-a-line", "\x1a\r\n"),
        ("-behind-blank-lines", "\r\n\x1a"),
    ):
        yield Case(f"ctrl-z{name}.csv", (text + end).encode(), TABLE, [2, 3])
    one, two, three = text.splitlines(keepends=True)
    for name, marked in (
        ("before-a-row", f"{one}{two}\ufeff{three}"),
        ("before-each-row", f"{one}\ufeff{two}\ufeff{three}"),
    ):
        yield Case(
            f"marks-{name}.csv", marked.encode(), TABLE, [2, 3], ["inside the file left out"]
        )


if __name__ == "__main__":
    for make in (programs, old_workbooks, xml_2003, links, oddities):
        for each in make():
            each.write()
