"""However its XML is spelled, a workbook is the same; nothing that calamine hides gets lost."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineError, CalamineWorkbook

from batchrun.errors import InputError
from batchrun.tables.archive import Archive
from batchrun.tables.files import load
from batchrun.tables.options import LoadLimits
from batchrun.tables.sheets import LAST_COLUMN, distinct
from batchrun.tables.xlsx import XlsxReader
from tests.corpus.cases import FILES
from tests.corpus.parts import pack, xlsx_parts
from tests.corpus.spelling import SPELLINGS, respelled
from tests.tables.files import cells, lines, load_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.tables.sheets import SheetRows


def is_read_without_options(path: Path) -> bool:
    expected = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
    return not expected.get("error") and not expected.get("options")


READ = [
    path
    for path in sorted(FILES.glob("*.xlsx"))
    if path.read_bytes().startswith(b"PK\x03\x04") and is_read_without_options(path)
]


@pytest.mark.parametrize("file", READ, ids=lambda path: path.stem)
def test_a_workbook_is_the_same_in_every_spelling(tmp_path: Path, file: Path) -> None:
    wanted = load(file)
    for name in ("all", "odd-prefix") if file in READ[::8] else ("all",):
        content = respelled(file.read_bytes(), SPELLINGS[name])
        table = load_bytes(tmp_path, content, file.name)
        assert table.header == wanted.header, name
        assert cells(table) == cells(wanted), name
        assert lines(table) == lines(wanted), name
        assert table.source.notices == wanted.source.notices, name


ROW_TAGS = ("<row>", '<row r="{}">', "<x:row r = '{}'>")
PLACES = ("", ' r="{}"', "\nr = '{}'")


@st.composite
def sheets(draw: st.DrawFn) -> str:
    """A sheet whose rows and cells may say where they are; an ``@`` is one of its cells."""
    text = ""
    for _ in range(draw(st.integers(1, 4))):
        tag = draw(st.sampled_from(ROW_TAGS)).format(draw(st.integers(1, 30)))
        cells = draw(st.lists(st.sampled_from(("<c{}><v>1</v></c>", "<c{}/>", "@{}@")), max_size=4))
        for cell in cells:
            place = f"{draw(st.sampled_from('ABz'))}{draw(st.integers(1, 30))}"
            text_place = draw(st.sampled_from(PLACES)).format(place)
            tag += cell.format(text_place)
        text += tag + ("</x:row>" if tag.startswith("<x:") else "</row>")
    return f"<sheetData>{text}</sheetData>"


def written(sheet: str, cell: str) -> bytes:
    text = re.sub("@([^@]*)@", lambda found: cell.format(found[1]), sheet)
    return str(xlsx_parts(text)["xl/worksheets/sheet1.xml"]).encode()


def read_in(folder: Path, sheet: bytes) -> SheetRows:
    """What the reader of XLSX makes of a sheet; it writes its copy to the current folder."""
    parts = xlsx_parts("") | {"xl/worksheets/sheet1.xml": sheet}
    with contextlib.chdir(folder):
        reader = XlsxReader(Archive(pack(parts), "list.xlsx", LoadLimits()), LoadLimits())
        return reader.read(reader.sheets[0])


@given(sheet=sheets())
@example(
    sheet="<sheetData><row>@@</row><row r='5'><c/>@@@ r='C5'@@@</row><row>@@</row></sheetData>"
)
@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_an_error_is_where_calamine_would_find_a_value(tmp_path: Path, sheet: str) -> None:
    parts = xlsx_parts("") | {"xl/worksheets/sheet1.xml": written(sheet, "<c{}><v>7</v></c>")}
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(pack(parts))) as workbook:
            rows = list(workbook.get_sheet_by_index(0).iter_rows())
            start = workbook.get_sheet_by_index(0).start or (0, 0)
    except CalamineError:
        return
    sevens = {
        (line, start[1] + column)
        for line, row in enumerate(rows, start=1)
        for column, value in enumerate(row, start=1)
        if value == 7
    }
    try:
        content = read_in(tmp_path, written(sheet, "<c{} t='e'><v>#N/A</v></c>"))
    except InputError as error:
        assert "every cell is empty" in str(error)  # noqa: PT017
        assert not sevens
        return
    assert content.traits is not None
    assert sevens <= {
        (row, column) for row, column, _ in content.traits.errors
    }  # of two cells in one place the last one counts


def test_a_hidden_row_without_a_number_is_counted(tmp_path: Path) -> None:
    sheet = (
        b"<worksheet><sheetData><row/><row hidden='1'/><row r='7'><c><v>1</v></c></row>"
        b"<row hidden='true'/><row ht='0'/></sheetData></worksheet>"
    )
    traits = read_in(tmp_path, sheet).traits
    assert traits is not None
    assert traits.hidden_rows == [2, 8, 9]


def test_many_ranges_of_hidden_columns_are_counted_once(tmp_path: Path) -> None:
    columns = '<col min="1" max="16384" hidden="1"/>' * 50_000
    sheet = f'<worksheet><cols>{columns}</cols><sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
    traits = read_in(tmp_path, f"{sheet}</sheetData></worksheet>".encode()).traits
    assert traits is not None
    assert distinct(traits.hidden_columns, LAST_COLUMN) == list(range(1, 16_385))


def test_overlapping_hidden_ranges_of_an_excel_2003_file_are_counted_once(tmp_path: Path) -> None:
    columns = '<Column s:Index="1" s:Span="16383" s:Hidden="1"/>' * 1_000
    rows = '<Row s:Index="3" s:Span="1048573" s:Hidden="1"/>' * 1_000
    cells = "".join(
        f'<Row s:Index="{line}"><Cell><Data s:Type="String">{text}</Data></Cell></Row>'
        for line, text in enumerate(("Company ID", "0b9f6c1e-2d3a-4b5c-8d7e-6f5a4b3c2d1e"), 1)
    )
    space = 'xmlns="urn:schemas-microsoft-com:office:spreadsheet"'
    sheet = f'<Worksheet s:Name="A"><Table>{columns}{cells}{rows}</Table></Worksheet>'
    content = f"<Workbook {space} {space.replace('xmlns', 'xmlns:s')}>{sheet}</Workbook>"
    notices = load_bytes(tmp_path, content.encode(), "list.xls").source.notices
    assert any("1,048,574 rows are hidden" in notice for notice in notices)
    assert any("16,384 columns are hidden" in notice for notice in notices)


def test_hidden_rows_of_an_ods_file_end_with_the_sheet(tmp_path: Path) -> None:
    file = tmp_path / "list.ods"
    row = '<table:table-row table:number-rows-repeated="65536" table:visibility="collapse"/>'
    with (
        zipfile.ZipFile(FILES / "durations-as-excel-writes.ods") as whole,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as long,
    ):
        for name in whole.namelist():
            content = whole.read(name).decode()
            long.writestr(name, content.replace("</table:table>", f"{row * 1_000}</table:table>"))
    assert any("1,048,573 rows are hidden" in notice for notice in load(file).source.notices)
