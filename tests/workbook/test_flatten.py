from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.workbook.flatten import dotted, flatten

if TYPE_CHECKING:
    from batchrun.model import JSON
    from batchrun.workbook.flatten import Path


@pytest.mark.parametrize(
    ("result", "values"),
    [
        pytest.param({"a": 1, "b": "x"}, {"a": 1, "b": "x"}, id="plain values"),
        pytest.param({"a": {"b": {"c": 1}}}, {"a.b.c": 1}, id="nested objects"),
        pytest.param(
            {"a": None, "b": {}, "c": []}, {"a": None, "b": None, "c": None}, id="nothing"
        ),
        pytest.param({"a": ["x", "y"]}, {"a": "x\ny"}, id="a list of texts"),
        pytest.param({"a": [1, 2.5, True]}, {"a": "1\n2.5\ntrue"}, id="a list of numbers"),
        pytest.param({"a": ["x", 1]}, {"a": '["x", 1]'}, id="texts and numbers"),
        pytest.param({"a": ["x\ny", "z"]}, {"a": '["x\\ny", "z"]'}, id="texts of several lines"),
        pytest.param({"a": ["x", ""]}, {"a": '["x", ""]'}, id="an empty text in a list"),
        pytest.param({"a": [[1], [2]]}, {"a": "[[1], [2]]"}, id="a list of lists"),
        pytest.param({"a": [{"x": 1}, 2]}, {"a": '[{"x": 1}, 2]'}, id="objects and numbers"),
        pytest.param({"a": [{"x": 1}, {}]}, {"a": 2}, id="a list of objects is counted"),
        pytest.param([1, 2], {"result": "1\n2"}, id="a result that is a list"),
        pytest.param("text", {"result": "text"}, id="a result that is a text"),
        pytest.param({"": 1, " ": 2}, {"(blank)": 2}, id="blank keys"),
        pytest.param({}, {}, id="an empty result"),
        pytest.param(None, {}, id="no result"),
        pytest.param({"a": False, "b": 0, "c": ""}, {"a": False, "b": 0, "c": ""}, id="falsy"),
    ],
)
def test_a_result_becomes_one_value_a_path(result: JSON, values: dict[str, JSON]) -> None:
    assert {dotted(path): value for path, value in flatten(result).values.items()} == values


def test_a_dot_in_a_key_and_a_nested_key_stay_two_values() -> None:
    flat = flatten({"a.b": 1, "a": {"b": 2}, "": {"": 3}, "x": {"": 4}, "x.": 5})

    assert list(flat.values.items()) == [
        (("a.b",), 1), (("a", "b"), 2), (("", ""), 3), (("x", ""), 4), (("x.",), 5),
    ]  # fmt: skip


def test_what_is_nested_deeper_than_wanted_stays_together_as_json() -> None:
    result: JSON = {"a": {"b": {"c": {"d": 1}}}}

    assert flatten(result, 2).values == {("a", "b"): '{"c": {"d": 1}}'}
    assert flatten(result, 1).values == {("a",): '{"b": {"c": {"d": 1}}}'}


def test_nesting_of_any_depth_is_flattened() -> None:
    result: JSON = 1
    for _ in range(500):
        result = {"k": result}

    (value,) = flatten(result).values.values()

    assert isinstance(value, str)
    assert json.loads(value)["k"]


def test_items_of_a_list_of_objects_are_kept() -> None:
    flat = flatten({"a": {"b": [{"x": 1}, {"y": {"z": 2}}]}})

    assert flat.values == {("a", "b"): 2}
    assert flat.items == {("a", "b"): [{"x": 1}, {"y": {"z": 2}}]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


@settings(max_examples=300)
@given(json_values, st.integers(1, 5))
def test_nothing_but_emptiness_is_lost(result: JSON, depth: int) -> None:
    """Every value that is something can be read back from its path, and from the items."""
    assert rebuilt(result, depth) == without_nothing(result)


def rebuilt(result: JSON, depth: int) -> JSON:
    """What the flattened form tells of a result."""
    flat = flatten(result, depth)
    if not isinstance(result, dict):
        path: Path = ("result",)
        return as_was(result, flat.values.get(path), flat.items.get(path), depth)
    found: dict[str, JSON] = {}
    for path, value in flat.values.items():
        original: JSON = result
        for key in path:
            assert isinstance(original, dict)
            original = original[key]
        told = as_was(original, value, flat.items.get(path), depth)
        if told is None:
            continue
        node = found
        for key in path[:-1]:
            inner = node.setdefault(key, {})
            assert isinstance(inner, dict)
            node = inner
        node[path[-1]] = told
    return found or None


def as_was(original: JSON, value: JSON, items: list[dict[str, JSON]] | None, depth: int) -> JSON:
    """A value of the flattened form as JSON again; ``original`` only tells its type."""
    if items is not None:
        assert value == len(items)
        return [rebuilt(dict(item), depth) for item in items]
    if value is None or not isinstance(original, (dict, list)):
        return value
    assert isinstance(value, str)
    if isinstance(original, list):
        lines = value.split("\n")
        if lines == original:
            return [*lines]
        if all(isinstance(item, (bool, int, float)) for item in original):
            return [json.loads(line) for line in lines]
    return without_nothing(json.loads(value))


def without_nothing(value: JSON) -> JSON:
    """A value without null, {} and [] in objects: they are empty cells, as a missing key is."""
    if isinstance(value, list):
        return [without_nothing(item) for item in value] or None
    if isinstance(value, dict):
        kept = {key: without_nothing(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each is not None} or None
    return value
