"""What the library calls a parameter is an option to somebody at a command line."""

from __future__ import annotations

import ast
import inspect
import json
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
import typer

import batchrun
from batchrun import aio
from batchrun import check as check_list
from batchrun.cli import app
from batchrun.cli.errors import in_options, spelled
from batchrun.errors import UsageError, WorkflowError, parameter
from batchrun.login import log_in
from batchrun.settings import Settings
from tests.cli.conftest import ACME, BETA

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

PACKAGE = Path(batchrun.__file__).parent
LIBRARY = {
    path: path.read_text(encoding="utf-8")
    for path in PACKAGE.rglob("*.py")
    if "cli" not in path.parts and path.name != "errors.py"
}
SPOKEN_OF = sorted(
    {
        (str(call.args[0].value), ast.unparse(call.args[1]) if call.args[1:] else "")
        for code in LIBRARY.values()
        for call in ast.walk(ast.parse(code))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "parameter"
        and isinstance(call.args[0], ast.Constant)
    }
)
NAMED_LIKE_ONE = "`again=True`.csv"


def test_a_parameter_is_its_option() -> None:
    text = f"Add {parameter('again', True)}, or choose another {parameter('output')}."
    assert spelled(text) == "Add --again, or choose another -o."


def test_an_error_speaks_of_a_parameter_as_python_writes_it() -> None:
    error = UsageError(f"No {parameter('again', True)}.", f"Give {parameter('output')}.")
    assert str(error) == "No `again=True`.\nGive `output=`."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(in_options(error)) == "No --again.\nGive -o."
    assert (error.what, error.hint) == ("No --again.", "Give -o.")


def test_what_is_put_into_an_error_is_no_parameter(batchrun: CommandLine, sandbox: str) -> None:
    """A file's name, and the service's words, may look like one."""
    ended = batchrun("run", NAMED_LIKE_ONE, "-w", "x", "--json")
    assert NAMED_LIKE_ONE in ended.stderr
    assert NAMED_LIKE_ONE in json.loads(ended.stdout)["error"]["what"]
    error = WorkflowError(
        "The service says: `limit=5` is too much.", f"{parameter('limit')} helps."
    )
    assert str(in_options(error)) == "The service says: `limit=5` is too much.\n--limit helps."


@pytest.mark.parametrize(("name", "value"), SPOKEN_OF)
def test_every_parameter_an_error_speaks_of_is_there_and_has_an_option(
    name: str, value: str
) -> None:
    taken = {
        *inspect.signature(aio.run).parameters,
        *inspect.signature(log_in).parameters,
        *aio.Reading.__annotations__,
    }
    assert name in taken | set(Settings.model_fields)
    group: Any = typer.main.get_command(app)
    options = {
        option
        for each in (*group.commands["run"].params, *group.commands["login"].params)
        for option in (*each.opts, *each.secondary_opts)
    }
    said = value if value in {"", "True", "False"} else "7"  # else it is known only when it is said
    option, *rest = spelled(parameter(name, said)).split()
    assert option in options
    assert rest == [said] * (said == "7")


def test_notices_about_a_list_speak_to_who_reads_them(batchrun: CommandLine, sandbox: str) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Report", 0)
    header = ["Company ID", "Name", "Open", "Code"]
    for row in (["Ours", "As of May", "All"], header, [ACME, *"abc"], [BETA, *"abc"]):
        sheet.append(row)
    sheet.row_dimensions[4].hidden = True
    path = batchrun.folder / "report.xlsx"
    book.save(path)
    plan = ("check", str(path), "-w", "Account Research", "--company-column", "Ours")
    shown, told = batchrun(*plan).stdout, json.loads(batchrun(*plan, "--json").stdout)["notices"]
    for option in ("--header-row 2 says so", "--visible-only leaves out such rows"):
        assert option in shown
        assert option in " ".join(told)
    planned = check_list(path, "Account Research", company_column="Ours")
    of_python = " ".join(planned.table.source.notices)
    assert "`header_row=2` says so" in of_python
    assert "`visible_only=True` leaves out such rows" in of_python


def test_errors_speak_of_parameters_by_their_mark_alone() -> None:
    assert ("again", "True") in SPOKEN_OF
    unmarked = {
        path.name: re.findall(r"(?<!`)`[a-z_]+=\w*`(?!`)", code) for path, code in LIBRARY.items()
    }
    assert {name: found for name, found in unmarked.items() if found} == {}
