"""No cell that calamine finds is beyond the extent: it takes memory for all that its cells span."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineError, CalamineWorkbook

from batchrun.tables.extent import filled_extent
from batchrun.tables.sheetxml import read_traits
from batchrun.tables.tags import whole_rows
from tests.corpus.parts import pack, xlsx_parts

COLUMNS = st.sampled_from(["A", "C", "Z", "AA", "AZ", "BC", "b", "aB", "CAB"])
ROWS = st.integers(1, 300)
CELLS = (
    "<c{0}><v>1</v></c>", "<c{0}><v>1</v></c>", "<x:c{0}><x:v>1</x:v></x:c>", "<c{0}/>",
    '<c t="inlineStr"{0}><is><t>a:c b = "2" r="7" :row </t></is></c>', '<c s=">"{0}><v>1</v></c>',
    '<c\n s = "1"{0} t="n"><v>1</v></c >', '<!-- <row r="1"> --><c{0}><v>1</v></c>',
)  # fmt: skip
REFERENCES = (' r="{}"', ' r="{}"', " r='{}'", ' r = "{}"', '\n\tr="{}"', "")
ROW_TAGS = ('<row r="{}">', '<row spans="1:2" r="{}">', "<x:row r='{}'>", "<row>", '<row ht="3">')


@st.composite
def sheets(draw: st.DrawFn) -> str:
    """A sheet whose rows and cells say where they are in any way, or don't."""
    text = ""
    for _ in range(draw(st.integers(1, 5))):
        tag = draw(st.sampled_from(ROW_TAGS)).format(draw(ROWS))
        text += tag
        for _ in range(draw(st.integers(1, 6))):
            place = f"{draw(COLUMNS)}{draw(ROWS)}"
            cell = draw(st.sampled_from(CELLS))
            text += cell.format(draw(st.sampled_from(REFERENCES)).format(place))
        text += "</x:row>" if tag.startswith("<x:") else "</row>"
    return f"<sheetData>{text}</sheetData>"


@given(sheets(), st.integers(20, 400))
@example('<sheetData><row r="9"><c/><c/><c><v>1</v></c></row></sheetData>', 400)
@example('<sheetData><row r="5"><c r="B2"/><c/><c><v>1</v></c></row><row><c/></row></sheetData>', 9)
@settings(max_examples=400)
def test_no_cell_is_beyond_the_extent(sheet: str, piece: int) -> None:
    parts = xlsx_parts(sheet)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(pack(parts))) as workbook:
            end = workbook.get_sheet_by_index(0).end
    except CalamineError:
        return
    if end is None:
        return
    content = str(parts["xl/worksheets/sheet1.xml"]).encode()
    chunks = [content[at : at + piece] for at in range(0, len(content), piece)]
    extent = read_traits(chunks).extent
    assert extent.last_row > end[0]
    assert extent.columns > end[1]
    last_row, last_column = filled_extent(whole_rows(chunks))
    assert last_row > end[0]
    assert last_column > end[1]


def test_usual_rows_are_not_counted_on() -> None:
    row = '<row r="{0}"><c r="A{0}"><v>1</v></c><c r="L{0}"><v>1</v></c></row>'
    text = "".join(row.format(number) for number in range(1, 5_000)).encode()
    extent = read_traits([b"<sheetData>", text[:90_000], text[90_000:], b"</sheetData>"]).extent
    assert (extent.last_row, extent.columns) == (10_000, 12)


def test_cells_without_references_are_bounded_by_the_widest_row() -> None:
    row = b"<row><c><v>1</v></c><c/><c><v>1</v></c></row>"
    chunks = [b"<sheetData>" + row * 500, row * 500, b"</sheetData>"]
    extent = read_traits(chunks).extent
    assert 1_000 <= extent.last_row <= 1_002
    assert extent.columns <= 4
    assert filled_extent(whole_rows(chunks)) == (1_000, 3)


def test_rows_without_numbers_are_counted_where_no_cell_is() -> None:
    chunks = [b'<sheetData><row r="1"><c r="A1"/></row>', *[b"<row></row>" * 900] * 30, b"<row/>"]
    assert read_traits([*chunks, b"<row><c><v>1</v></c></row>"]).extent.last_row >= 27_003


def test_a_row_of_absurd_size_is_not_held_whole() -> None:
    chunks = [
        b"<sheetData><row>",
        *[b"<c/>" + b" " * 2**20] * 100,
        b'<c r="B2"/></row></sheetData>',
    ]
    assert max(map(len, whole_rows(chunks))) < 40 * 2**20
    with pytest.raises(ValueError, match="no tag"):
        list(whole_rows([b"<sheetData><row>", *[b" " * 2**20] * 100]))
