"""However its XML is spelled, a workbook is the same; nothing that calamine hides gets lost."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineError, CalamineWorkbook

from batchrun.tables import load
from batchrun.tables.sheetxml import read_traits
from batchrun.tables.tags import whole_rows, without_asides
from tests.corpus.cases import FILES
from tests.corpus.parts import pack, xlsx_parts
from tests.corpus.spelling import SPELLINGS, respelled
from tests.tables.files import cells, load_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def is_read_without_options(path: Path) -> bool:
    expected = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
    return not expected["error"] and not expected["options"]


READ = [
    path
    for path in sorted(FILES.glob("*.xlsx"))
    if path.read_bytes().startswith(b"PK\x03\x04") and is_read_without_options(path)
]


@pytest.mark.parametrize("file", READ, ids=lambda path: path.stem)
def test_a_workbook_is_the_same_in_every_spelling(tmp_path: Path, file: Path) -> None:
    wanted = load(file)
    for name in ("apostrophes", "spaces", "odd-prefix", "indented", "all"):
        content = respelled(file.read_bytes(), SPELLINGS[name])
        table = load_bytes(tmp_path, content, file.name)
        assert table.header == wanted.header, name
        assert cells(table) == cells(wanted), name
        assert list(table.frame.index) == list(wanted.frame.index), name
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


def looked_at(content: bytes, piece: int) -> Iterable[bytes]:
    return [content[at : at + piece] for at in range(0, len(content), piece)]


@given(sheets(), st.integers(20, 400))
@example("<sheetData><row>@@</row><row r='5'><c/>@@@ r='C5'@@@</row><row>@@</row></sheetData>", 99)
@settings(max_examples=300)
def test_an_error_is_where_calamine_would_find_a_value(sheet: str, piece: int) -> None:
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
    chunks = looked_at(written(sheet, "<c{} t='e'><v>#N/A</v></c>"), piece)
    quick, counted = read_traits(chunks), read_traits(chunks, counting=True)
    assert quick.uncertain or quick.errors == counted.errors
    assert sevens <= counted.errors.keys()  # of two cells in one place the last one counts
    assert not counted.uncertain


def test_a_hidden_row_without_a_number_is_counted() -> None:
    sheet = b"<sheetData><row/><row hidden='1'/><row r='7'/><row hidden='true'/></sheetData>"
    assert read_traits([sheet]).uncertain
    assert read_traits([sheet], counting=True).hidden_rows == {2, 8}


PIECES = (
    "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<?xml ", "<c>", "a", "<", "&", ">", "-", "]",
    "<!-- <c/> -->", "<![CDATA[<&>]]>", "<? - ?>",
)  # fmt: skip
_ASIDES = re.compile(rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[(.*?)\]\]>|<\?.*?(?:\?>|\Z)", re.DOTALL)


def _plain(found: re.Match[bytes]) -> bytes:
    text = found[1] or b""
    return text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.integers(1, 30))
@settings(max_examples=300)
def test_asides_are_left_out_wherever_the_text_is_cut(pieces: list[str], piece: int) -> None:
    text = "".join(pieces).encode()
    if text.rfind(b"<![CDATA[") > text.rfind(b"]]>"):
        text += b"]]>"
    assert b"".join(without_asides(looked_at(text, piece))) == _ASIDES.sub(_plain, text)


def test_rows_are_cut_where_one_begins_and_nowhere_else() -> None:
    rows = b'<row r="1"><c><t>a:row</t></c></row><row r="2"/><rowBreaks/>'
    assert list(whole_rows([rows])) == [rows[:36], rows[36:]]
    prefixed = b'<x:row r="1"><x:c><x:t>a:row b</x:t></x:c></x:row><x:row/><x:rowBreaks/>'
    assert list(whole_rows([prefixed])) == [prefixed[:50], prefixed[50:]]
    torn = [b"<c><t>x:row </t></c>", b"<x:row/><ro", b"w/>", b"</row><row>"]
    assert list(whole_rows(torn)) == [b"".join(torn)[:-5], b"<row>"]
