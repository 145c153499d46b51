"""Numbers that a format shows with leading zeros are sent as they are shown."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun.estimate import EstimateRates
from batchrun.model import Role, Workflow
from batchrun.plan import Parameters, make_plan
from batchrun.tables.files import load
from batchrun.tables.sheets import leading_zeros
from batchrun.text import as_displayed
from tests.corpus.cases import FILES
from tests.corpus.parts import pack, xlsb
from tests.tables.files import OTHER_UUID, UUID, load_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("00000", 1234, "01234"),
        ("00000", 123456, "123456"),
        ("00000;@", 7, "00007"),
        ("[$-409]00000", 7, "00007"),
        ("00000\\-0000", 12345, "00001-2345"),
        ("000\\-00\\-0000", 12345678, "012-34-5678"),
        ("#00000", 7, "00007"),
        ("00000_)", 7, "00007"),
        ('"D-"00000', 1234, "D-01234"),
        ("\\D\\-00000", 1234, "D-01234"),
        ('"K0"000', 7, 7),
        ("##-00000", 7, 7),
        ("00.00", 7, 7),
        ("00000", True, True),
        ("00000", -7, -7),
        ("00000", 1.5, 1.5),
        ("General", 7, 7),
        ("0", 7, 7),
        ("0.00", 7, 7),
        ("#,##0", 7, 7),
        ("[<=99999]00000;00000-0000", 7, "00007"),
        ("[<=99999]00000;00000-0000", 99999, "99999"),
        ("[<100000]00000;00000-0000", 100000, "00010-0000"),
        ("[<=99999]00000;00000\\-0000", 12345678, "01234-5678"),
        ("[<=99999]00000;General", 7, 7),
        ("dd.mm.yyyy", 7, 7),
    ],
)
def test_a_number_is_shown_as_its_format_shows_it(code: str, value: object, shown: object) -> None:
    found = as_displayed(value, leading_zeros(code))
    assert (found, type(found)) == (shown, type(shown))


@pytest.mark.parametrize(("second", "sent"), [("00000", ["01234", "00987"]), ("0", [1234, 987])])
def test_a_parameter_carries_what_a_person_sees(
    tmp_path: Path, second: str, sent: list[object]
) -> None:
    """Where only some of a column's numbers have the format, they are numbers."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Company ID", "Zip"], [UUID, 1234], [OTHER_UUID, 987]):
        sheet.append(row)
    sheet["B2"].number_format, sheet["B3"].number_format = "00000", second
    book.save(tmp_path / "list.xlsx")
    table = load(tmp_path / "list.xlsx")
    assert list(table.cells[1]) == [1234, 987]
    rates = EstimateRates(requests_per_minute=60, seconds_per_execution=45)
    workflow, parameters = Workflow("wf", "Research"), Parameters(columns={"zip": 1})
    plan = make_plan(table, workflow, {Role.COMPANY: 0}, parameters, rates)
    assert [f'"zip": {str(value).join(chr(34) * 2) if isinstance(value, str) else value}' in body
            for value, body in zip(sent, plan.bodies, strict=True)] == [True, True]  # fmt: skip


def excel_2003_xml(code: str) -> bytes:
    return f"""<?xml version="1.0"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"
 xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">
<Styles><Style ss:ID="z"><NumberFormat ss:Format="{escape(code)}"/></Style></Styles>
<Worksheet ss:Name="S"><Table><Row><Cell><Data ss:Type="String">Company ID</Data></Cell>
<Cell><Data ss:Type="String">Zip</Data></Cell></Row>
<Row><Cell><Data ss:Type="String">{UUID}</Data></Cell>
<Cell ss:StyleID="z"><Data ss:Type="Number">1234</Data></Cell></Row>
</Table></Worksheet></Workbook>""".encode()


def binary(code: str) -> bytes:
    return xlsb([["Company ID", "Zip"], [UUID, 1234]], code=code)


@pytest.mark.parametrize("make", [excel_2003_xml, binary])
def test_leading_zeros_are_seen_in_every_kind_of_workbook(
    tmp_path: Path, make: Callable[[str], bytes]
) -> None:
    table = load_bytes(tmp_path, make('"D-"00000'), "list.xls")
    assert table.source.formats == ((1, "D-00000"),)
    assert load_bytes(tmp_path, make('"?"00000'), "list.xls").source.formats == ((1, "?00000"),)
    assert list(table.cells[1]) == [1234]
    assert load_bytes(tmp_path, make("0"), "list.xls").source.formats == ()


@pytest.mark.parametrize("ending", ["xls", "ods"])
def test_leading_zeros_and_hidden_rows_are_seen_in_old_and_open_workbooks(ending: str) -> None:
    table = load(FILES / f"libreoffice-zeros.{ending}", visible_only=True)
    assert table.source.formats == ((1, "00000"),)
    assert list(table.cells[1]) == [1234]


@pytest.mark.parametrize("make", [excel_2003_xml, binary])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        *[("0000.00", True), ("000,000", True), ("[>99999]000000;00000", True), ("0,000", True)],
        *[("0.00", False), ("#,##0", False), ("00%", False), ("0.00E+00", False)],
        *[("hh:mm", False), ("General", False), ('"00"0', False)],
    ],
)
def test_leading_zeros_that_can_not_be_carried_are_said(
    tmp_path: Path, code: str, said: bool, make: Callable[[str], bytes]
) -> None:
    table = load_bytes(tmp_path, make(code), "list.xls")
    assert table.source.formats == ()
    assert any(f"leading zeros ({code})" in each for each in table.source.notices) == said


def test_a_column_that_mixes_formats_is_said(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Company ID", "Zip"], [UUID, 1234], [OTHER_UUID, 987]):
        sheet.append(row)
    sheet["B2"].number_format = "00000"
    book.save(tmp_path / "list.xlsx")
    [notice] = load(tmp_path / "list.xlsx").source.notices
    assert notice.startswith("Column B shows numbers with leading zeros (00000)")


def open_document(*table: list[str]) -> bytes:
    """An ODS file of texts; those with a number sign are errors."""
    office = "urn:oasis:names:tc:opendocument:xmlns"
    names = (
        "".join(f' xmlns:{each}="{office}:{each}:1.0"' for each in ("office", "table", "text"))
        + ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    )
    error = 'office:string-value="" calcext:value-type="error"'
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string" {error if "#" in cell else ""}>'
            f"<text:p>{cell}</text:p></table:table-cell>"
            for cell in row
        )
        + "</table:table-row>"
        for row in table
    )
    body = f'<table:table table:name="S">{rows}</table:table>'
    body = f"<office:body><office:spreadsheet>{body}</office:spreadsheet></office:body>"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return pack({
        "mimetype": kind,
        "META-INF/manifest.xml": "<manifest/>",
        "content.xml": f"<office:document-content{names}>{body}</office:document-content>",
    })  # fmt: skip


def test_errors_of_an_open_document_are_not_empty_cells(tmp_path: Path) -> None:
    """A contact whose company is an error would be sent without the company."""
    content = open_document(["Company ID", "Contact ID"], ["#N/A", UUID], [UUID, "#REF!"])
    table = load_bytes(tmp_path, content, "list.ods")
    assert [list(row.cells) for row in table.rows()] == [["#N/A", UUID], [UUID, "#REF!"]]
    [notice] = table.source.notices
    assert notice == "2 cells hold an error instead of a value (first: #N/A in A2)"
