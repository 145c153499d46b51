"""Cells and results come back from the journal exactly as they went in."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from batchrun.journal.schema import decode_cells, decode_result, encode_cells, encode_result

if TYPE_CHECKING:
    from batchrun.model import JSON, Cell

CELLS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=())),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
)
RESULTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(CELLS))
def test_cells_keep_value_and_type(cells: list[Cell]) -> None:
    found = decode_cells(encode_cells(tuple(cells)))
    assert [(type(cell), cell) for cell in found] == [(type(cell), cell) for cell in cells]


def test_a_whole_duration_keeps_its_microseconds() -> None:
    cell = timedelta(days=3, microseconds=1)
    assert decode_cells(encode_cells((cell,))) == (cell,)


@given(RESULTS)
def test_a_result_is_kept_as_the_service_sent_it(result: JSON) -> None:
    assert decode_result(encode_result(result)) == result


def test_the_order_of_a_results_keys_is_kept() -> None:
    kept = decode_result(encode_result({"z": 1, "a": 2}))
    assert isinstance(kept, dict)
    assert list(kept) == ["z", "a"]
