"""Workbooks written part by part, as no library would write them."""

from __future__ import annotations

import io
import struct
import zipfile

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STRICT_MAIN = "http://purl.oclc.org/ooxml/spreadsheetml/main"
STRICT_LINKS = "http://purl.oclc.org/ooxml/officeDocument/relationships"

TYPES = (
    f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)


def pack(parts: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of these parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def xlsx_parts(
    sheet: str,
    *,
    strings: str = "",
    strict: bool = False,
    prefix: str = "",
    workbook: str = "",
    sheets: int = 1,
    styles: str = "",
) -> dict[str, bytes | str]:
    """The parts of a workbook whose sheets all hold this XML."""
    main, links = (STRICT_MAIN, STRICT_LINKS) if strict else (MAIN, LINKS)
    colon = f"{prefix}:" if prefix else ""
    space = f"xmlns:{prefix}" if prefix else "xmlns"
    numbers = range(1, sheets + 1)
    listed = "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{links}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    for kind, content in (("sharedStrings", strings), ("styles", styles)):
        if content:
            target = f'Type="{links}/{kind}" Target="{kind}.xml"'
            relations += f'<Relationship Id="{kind}" {target}/>'
    parts: dict[str, bytes | str] = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{links}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{links}">{workbook}'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{relations}'
        "</Relationships>",
    }
    if strings:
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{main}">{strings}</sst>'
    if styles:
        parts["xl/styles.xml"] = f'<styleSheet xmlns="{main}">{styles}</styleSheet>'
    for n in numbers:
        text = f'<{colon}worksheet {space}="{main}">{sheet}</{colon}worksheet>'
        parts[f"xl/worksheets/sheet{n}.xml"] = text
    return parts


def rows(*cells: list[str]) -> str:
    """Rows of sheet data; each cell is ``content``, or ``attributes|content``."""
    text = ""
    for number, row in enumerate(cells, start=1):
        text += f'<row r="{number}">'
        for column, cell in enumerate(row):
            attributes, bar, content = cell.rpartition("|")
            place = f"{chr(65 + column)}{number}"
            text += f'<c r="{place}" {attributes if bar else INLINE}>'
            text += content if bar else f"<is><t>{content}</t></is>"
            text += "</c>"
        text += "</row>"
    return f"<sheetData>{text}</sheetData>"


INLINE = 't="inlineStr"'


def xlsb(
    table: list[list[object]],
    merged: tuple[int, int, int, int] | None = None,
    hidden: tuple[int, ...] = (),
    code: str = "",
) -> bytes:
    """A binary workbook of texts, numbers and booleans ([MS-XLSB] 2.1.4, 2.2.1).

    Args:
        table: The cells; an `IndexError` stands for the error ``#N/A``.
        merged: First and last row, first and last column of a merged range, from 0.
        hidden: Hidden rows, from 0.
        code: Format of its numbers.
    """
    extent = struct.pack("<IIII", 0, len(table) - 1, 0, max(map(len, table)) - 1)
    sheet = record(129) + record(148, extent) + record(145)
    for number, row in enumerate(table):
        flags = 0x10 if number in hidden else 0
        sheet += record(0, struct.pack("<IIHBBBI", number, 0, 300, 0, flags, 0, 0))
        for column, cell in enumerate(row):
            place = struct.pack("<II", column, 1 if code and isinstance(cell, int) else 0)
            match cell:
                case IndexError():
                    sheet += record(3, place + bytes([0x2A]))
                case bool():
                    sheet += record(4, place + bytes([cell]))
                case int() | float():
                    sheet += record(5, place + struct.pack("<d", cell))
                case str():
                    sheet += record(6, place + wide(cell))
    sheet += record(146)
    if merged is not None:
        sheet += record(177, bytes(4)) + record(176, struct.pack("<IIII", *merged)) + record(178)
    sheet += record(130)
    style = struct.pack("<HHHHHBBI", 0, 0, 0, 0, 0, 0, 0, 0)
    zeros = struct.pack("<HHHHHBBI", 0, 164, 0, 0, 0, 0, 0, 0)
    styles = record(278) + record(44, struct.pack("<H", 164) + wide(code)) + record(617, bytes(4))
    styles += record(47, style) + record(47, zeros) + record(618) + record(279)
    bundle = record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("S1"))
    workbook = (
        record(131) + record(153, bytes(12)) + record(143) + bundle + record(144) + record(132)
    )
    parts = xlsx_parts("")
    relations = str(parts["xl/_rels/workbook.xml.rels"]).replace("sheet1.xml", "sheet1.bin")
    for part in ("workbook.xml", "_rels/workbook.xml.rels", "worksheets/sheet1.xml"):
        del parts[f"xl/{part}"]
    return pack(parts | {
        "_rels/.rels": str(parts["_rels/.rels"]).replace("workbook.xml", "workbook.bin"),
        "xl/_rels/workbook.bin.rels": relations,
        "xl/workbook.bin": workbook,
        "xl/worksheets/sheet1.bin": sheet,
        **({"xl/styles.bin": styles} if code else {}),
    })  # fmt: skip


def wide(text: str) -> bytes:
    """A text as XLSB writes it: its length, then UTF-16."""
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def record(kind: int, content: bytes = b"") -> bytes:
    """A record of a binary workbook: type and length in seven bits a byte."""
    start = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, length = b"", len(content)
    while True:
        size += bytes([length & 0x7F | (0x80 if length > 127 else 0)])
        length >>= 7
        if not length:
            return start + size + content
