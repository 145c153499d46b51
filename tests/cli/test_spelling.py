"""What the library calls a parameter is an option to somebody at a command line."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import typer

import batchrun
from batchrun import aio
from batchrun.cli import app
from batchrun.cli.spelling import spelled
from batchrun.settings import Settings

PACKAGE = Path(batchrun.__file__).parent
SPOKEN_OF = sorted(
    {
        found
        for path in PACKAGE.rglob("*.py")
        if "cli" not in path.parts and path.name != "errors.py"
        for found in re.findall(r"(?<!`)`[a-z_]+=\w*`(?!`)", path.read_text(encoding="utf-8"))
    }
)


def test_a_parameter_is_its_option() -> None:
    assert spelled("Add `again=True`, or choose another `output=`.") == (
        "Add --again, or choose another -o."
    )
    assert spelled("column 'a=b' and `sqlite3 JOURNAL .recover` stay") == (
        "column 'a=b' and `sqlite3 JOURNAL .recover` stay"
    )


@pytest.mark.parametrize("parameter", SPOKEN_OF)
def test_every_parameter_an_error_speaks_of_is_there_and_has_an_option(parameter: str) -> None:
    name = parameter.strip("`").partition("=")[0]
    taken = {*inspect.signature(aio.run).parameters, *aio.Reading.__annotations__}
    assert name in taken | set(Settings.model_fields)
    group: Any = typer.main.get_command(app)
    options = {option for each in group.commands["run"].params for option in each.opts}
    assert spelled(parameter) in options


def test_errors_speak_of_parameters() -> None:
    assert "`again=True`" in SPOKEN_OF
