"""A glance never says that something is not there when it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.tables.extent import column_number
from batchrun.tables.glance import Glance

REFERENCE = re.compile(rb"<c r=\"([A-Za-z]*)(\d*)\"")
TOKENS = (
    "<c", " r", "=", " ", "\n", '"', "'", "A", "z", "XF", "ab", "9", "123456", ' t="inlineStr"',
    '<c r="B7"', " r='aa1'", '<c r="C1000000"', '<c r="XFD9"', '<c r="Z99999"', '<row r="123456"',
    '<c r="AB999999"', "<t>", "<f>", 't="e"', "hidden=", ">", "é", ":", ":c", "x:f",
    "hidden", "t", " t='e'", "<!", "?",
)  # fmt: skip
PIECES = st.lists(st.sampled_from(TOKENS), max_size=14)


def joined(pieces: list[str], padding: int) -> bytes:
    return ("." * padding + "".join(pieces)).encode()


@given(PIECES, st.integers(0, 7))
def test_no_reference_is_beyond_the_extent(pieces: list[str], padding: int) -> None:
    block = joined(pieces, padding)
    extent = Glance(block).extent()
    if extent is not None:
        for letters, digits in REFERENCE.findall(block):
            assert int(digits or b"0") <= extent[0]
            assert column_number(letters) <= extent[1]


@pytest.mark.parametrize(
    "cell",
    [
        '<c s="1"><v>1</v></c>', "<c><v>1</v></c>", "<c/>", '<c s="1" r="B2"/>', '<c r ="B2"/>',
        '<c\n  r  = "B2"/>', '<c\n  r="B2"/>',
    ],
)  # fmt: skip
def test_a_cell_that_does_not_begin_with_its_reference_is_noticed(cell: str) -> None:
    row = f'<row r="2"><c r="A2"><v>1</v></c>{cell}<c r="C2"><v>2</v></c></row>'
    assert not Glance(row.encode()).cells_named()


@pytest.mark.parametrize(
    "reference",
    [
        "r='B2'", 'r ="B2"', 'r= "B2"', 'r="b2"', 'r="ABCD2"', 'r="B12345678"', '\n r  =\n"B2"',
        'r="B"', 'r=""', 'r="-1"',
    ],
)  # fmt: skip
def test_a_reference_in_another_spelling_has_to_be_looked_at(reference: str) -> None:
    row = f'<row r="2"><c r="A2"><v>1</v></c><c {reference}/><c r="C2"><v>2</v></c></row>'
    assert Glance(row.encode()).extent() is None


@pytest.mark.parametrize(
    ("row", "cell", "extent"),
    [
        ("7", "Z7", (10_000, 26)),
        ("20", "A50000", (60_000, 1)),
        ("123456", "AB123456", (200_000, 28)),
        ("999999", "XFD999999", (1_000_000, 16_384)),
    ],
)
def test_usual_cells_are_bounded_closely(row: str, cell: str, extent: tuple[int, int]) -> None:
    block = (
        f'<row r="{row}" spans="1:9" hidden="false"><c r="{cell}" t="inlineStr"><is>'
        f'<t>AB &amp; 1234567, a = "b", x=1</t></is></c><c r="A1" s="1"><v>123456789</v></c></row>'
    )
    assert Glance(block.encode()).extent() == extent
    assert Glance(block.encode()).cells_named()


@given(PIECES, st.integers(0, 7), st.sampled_from([b"<f", b":f", b"<c", b"=\n", b'"e']))
def test_a_text_is_counted_wherever_it_is(pieces: list[str], padding: int, wanted: bytes) -> None:
    block = joined(pieces, padding)
    assert Glance(block).count(wanted) == block.count(wanted)
    assert Glance(block).count_prefixed(wanted[1:]) >= block.count(b":" + wanted[1:])
    middle = len(block) // 2
    before = sum(block[at : at + 2] == wanted for at in range(middle))
    counts = Glance(block).counts_between(wanted, [middle])
    assert counts == [before, block.count(wanted) - before]


@given(PIECES)
def test_an_attribute_is_never_overlooked(pieces: list[str]) -> None:
    block = joined(pieces, 4)
    assert Glance(block).may_hold_name(b"en") or not re.search(rb"en\s*=", block)
    assert Glance(block).may_hold_type(b"e") or not re.search(rb"t\s*=\s*[\"']e", block)
    assert Glance(block).may_hold_asides() == (b"<!" in block or b"<?" in block)


def test_usual_attributes_are_not_taken_for_others() -> None:
    cell = b'<row r="2" customFormat="1"><c r="A2" s="3" t="inlineStr"><is><t>a="e"</t></is></c>'
    glance = Glance(cell)
    assert not glance.may_hold_name(b"en")
    assert not glance.may_hold_type(b"e")


@given(PIECES)
def test_a_blank_after_a_tag_is_never_overlooked(pieces: list[str]) -> None:
    block = "".join(pieces).encode()
    assert Glance(block).text_begins_blank() == bool(re.search(rb">[\x00- ]", block))
