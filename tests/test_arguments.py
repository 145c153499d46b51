"""A wrong argument of a public function is an error in one line that names it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import batchrun
from batchrun.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = [
    *("batches", "check", "export", "forget", "results", "resume", "retry", "rows", "run"),
    *("run_marked", "status", "unknown_columns", "watch", "workflows"),
]
FRAME = pd.DataFrame({"Company ID": ["a1b2c3d4-e5f6-7890-abcd-ef1234567890"]})


@pytest.fixture(autouse=True)
def no_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BATCHRUN_JOURNAL", str(tmp_path / "none.db"))
    monkeypatch.delenv("PGAI_API_KEY", raising=False)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_mistyped_parameter_names_the_function_and_the_right_parameter(name: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        getattr(batchrun, name)(settingz=None)
    assert str(raised.value) == (
        f"batchrun.{name} has no parameter settingz.\n"
        f"Did you mean settings? See: help(batchrun.{name})"
    )


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "said"),
    [
        ("run", (), {}, "batchrun.run: missing a required argument: 'source'."),
        ("export", (None,), {}, "batchrun.export: missing a required argument: 'output'."),
        ("run", (FRAME, "W", "o.xlsx"), {}, "batchrun.run: too many positional arguments."),
        ("run", (FRAME, "W"), {"limt": 5}, "Did you mean limit or delimiter?"),
        ("check", (5, "W"), {}, "source is a path, a pandas.DataFrame or a batchrun.Request"),
        ("check", (None, "W"), {}, "source is a path, a pandas.DataFrame or a batchrun.Request"),
        ("run", ([1, 2], "W"), {}, "source is a path, a pandas.DataFrame or a batchrun.Request"),
        ("run", (FRAME, 5), {}, "workflow is the name or ID of a workflow, not 5."),
        ("run", (FRAME, "W"), {"limit": "5"}, "limit is a number of jobs, not '5'."),
        ("run", (FRAME, "W"), {"limit": True}, "limit is a number of jobs, not True."),
        ("resume", (), {"limit": -1}, "limit is a number of jobs, not -1."),
        ("resume", (), {"in_doubt": "keep"}, "in_doubt is 'hold', 'retry', 'drop' or a function"),
        ("retry", (), {"outcomes": "failed"}, "outcomes is a list of outcomes"),
        ("retry", (), {"outcomes": ["faild"]}, "outcomes is a list of outcomes"),
        ("run", (FRAME, "W"), {"settings": {"rate": 5}}, "settings is batchrun.Settings"),
        ("run", (FRAME, "W"), {"parameters": "depth=x"}, "parameters is a dict"),
        ("run", (FRAME, "W"), {"parameter_columns": ["Focus"]}, "parameter_columns is a dict"),
        ("run", (FRAME, "W"), {"form": "x.xlsx"}, "form is a batchrun.Form"),
        ("run", (FRAME, "W"), {"output": 5}, "output is the path of a file, not 5."),
        ("run", (FRAME, "W"), {"reuse": "30d"}, "reuse is a timedelta"),
        ("forget", (), {"older_than": 90}, "older_than is a timedelta"),
        ("run_marked", (5,), {}, "workbook is the path of a results workbook or a batchrun.Rerun"),
        ("status", (5,), {}, "batch_id is the ID of a batch, not 5."),
        ("run", (FRAME, "W"), {"on_progress": 1}, "on_progress is a function, not 1."),
    ],
)
def test_a_wrong_argument_is_named(
    name: str, arguments: tuple[object, ...], keywords: dict[str, Any], said: str
) -> None:
    with pytest.raises(ArgumentError) as raised:
        getattr(batchrun, name)(*arguments, **keywords)
    assert said in str(raised.value)
    assert isinstance(raised.value, TypeError)


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "said"),
    [
        ("details", (None,), {}, "name is the name of a list in the results, such as 'insights'"),
        ("details", (0,), {}, "name is the name of a list in the results, such as 'insights'"),
        ("details", (["insights"],), {}, "name is the name of a list in the results"),
        ("details", (), {}, "missing a required argument: 'name'."),
        ("details", ("insights",), {"sourc": FRAME}, "Did you mean source?"),
        ("frame", (), {"form": {"columns": ["summary"]}}, "form is a batchrun.Form"),
        ("frame", (), {"source": 5}, "source is a path, a pandas.DataFrame"),
    ],
)
def test_a_wrong_argument_of_a_report_is_named(
    name: str, arguments: tuple[object, ...], keywords: dict[str, Any], said: str
) -> None:
    with pytest.raises(ArgumentError) as raised:
        getattr(batchrun.Report, name)(object(), *arguments, **keywords)
    assert said in str(raised.value)
    assert f"help(batchrun.Report.{name})" in str(raised.value)


def test_none_stands_for_an_argument_that_is_not_given() -> None:
    keywords = {"limit": None, "form": None, "reuse": None, "sheet": None, "on_progress": None}
    with pytest.raises(batchrun.BatchrunError, match="There is no API key"):
        batchrun.run(FRAME, "W", **keywords)  # type: ignore[arg-type]


def test_right_arguments_are_accepted() -> None:
    with pytest.raises(batchrun.BatchrunError, match="There is no API key"):
        batchrun.run(
            FRAME,
            "W",
            limit=5,
            output="out.xlsx",
            form=batchrun.Form(columns=["summary"]),
            reuse=timedelta(days=30),
            parameters={"depth": "deep"},
            on_progress=print,
            control=batchrun.Control(),
            settings=batchrun.load_settings(),
        )


def test_a_missing_workbook_is_named() -> None:
    with pytest.raises(batchrun.BatchrunError, match=r"There is no file nowhere\.xlsx"):
        batchrun.run_marked("nowhere.xlsx")
