"""A glance never says that something is not there when it is."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from batchrun.tables.glance import Glance

FAR = re.compile(rb"\sr\s*=\s*[\"'](?:[A-Za-z]{2,}\d+|[A-Za-z]?\d{6,})[\"']")
TOKENS = (
    "<c", " r", "=", " ", "\n", '"', "'", "A", "z", "XF", "ab", "9", "123456", ' t="inlineStr"',
    ' r="B7"', " r='aa1'", ' r="C1000000"', "<t>", "<f>", 't="e"', "hidden=", ">", "é",
)  # fmt: skip
PIECES = st.lists(st.sampled_from(TOKENS), max_size=14)


@given(PIECES, st.integers(0, 7))
def test_a_far_cell_is_never_overlooked(pieces: list[str], padding: int) -> None:
    block = ("." * padding + "".join(pieces)).encode()
    if FAR.search(block):
        assert Glance(block).may_name_far_cell(6)


@given(PIECES, st.integers(0, 7), st.sampled_from([b"<f", b":f", b't="e', b"hidd"]))
def test_a_text_is_never_overlooked(pieces: list[str], padding: int, wanted: bytes) -> None:
    block = ("." * padding + "".join(pieces)).encode()
    assert Glance(block).may_hold(wanted) == (wanted in block)


@given(PIECES)
def test_a_blank_after_a_tag_is_never_overlooked(pieces: list[str]) -> None:
    block = "".join(pieces).encode()
    assert Glance(block).text_begins_blank() == bool(re.search(rb">[\x00- ]", block))


def test_an_ordinary_row_is_no_far_cell() -> None:
    row = (
        b'<row r="7" hidden="false"><c r="A7" t="inlineStr"><is><t>AB &amp; 1234567</t></is></c>'
        b'<c r="Z7" s="1"><v>123456789</v></c></row>'
    )
    assert not Glance(row).may_name_far_cell(6)
