"""Parameters as they are typed, or read from a file."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from batchrun.cli.options import ListOptions, read_parameters
from batchrun.errors import UsageError
from batchrun.options import ReadingOptions

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import JSON
    from tests.cli.commands import CommandLine


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("depth=comprehensive", ("depth", "comprehensive")),
        ("n=3", ("n", 3)),
        ("flag=true", ("flag", True)),
        ("list=[1, 2]", ("list", [1, 2])),
        ("zip=00123", ("zip", "00123")),
        ("odd=NaN", ("odd", "NaN")),
        ("formula=a=b", ("formula", "a=b")),
        ("empty=", ("empty", "")),
    ],
)
def test_a_parameter_is_json_where_it_can_be(text: str, parameter: tuple[str, JSON]) -> None:
    name, value = parameter
    assert ListOptions(param=[text]).entries(None) == {"parameters": {name: value}}


@pytest.mark.parametrize("text", ["depth", "=x", ""])
def test_a_parameter_without_a_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--param depth=comprehensive"):
        ListOptions(param=[text]).entries(None)


def test_every_option_for_a_list_can_be_typed() -> None:
    typed = {each.name for each in fields(ListOptions)}
    known = {each.name for each in fields(ReadingOptions)}
    assert known - typed == {"parameters", "parameter_columns"}
    assert typed - known == {"param", "param_column", "params"}


def test_parameters_are_read_from_a_json_object(tmp_path: Path) -> None:
    path = tmp_path / "parameters.json"
    path.write_text('{"depth": "deep", "n": 2}', encoding="utf-8")
    assert read_parameters(path) == {"depth": "deep", "n": 2}


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": NaN}'])
def test_a_parameter_file_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "parameters.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"parameters\.json"):
        read_parameters(path)


@pytest.mark.parametrize("value", ["{a:1}", "[a,b]", '{"a":1', "'{\"a\":1}'", '"a":1}'])
def test_a_parameter_that_looks_like_broken_json_gets_a_note(
    batchrun: CommandLine, sandbox: str, accounts: Path, value: str
) -> None:
    """PowerShell hands on ``{a:1}`` for ``'{"a":1}'``."""
    ended = batchrun("check", "accounts.csv", "-w", "account research", "--param", f"x={value}")
    assert "--param x is text, because it is not valid JSON" in ended.stderr
    ended = batchrun("check", "accounts.csv", "-w", "account research", "--param", "x=a [b] c")
    assert "not valid JSON" not in ended.stderr
