"""What machines read: one document on standard output, as docs/schemas/batchrun.json describes."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from batchrun.errors import ExitCode

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine, Ended

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "schemas" / "batchrun.json").read_text("utf-8"))
OF_COMMAND = {
    "batches": "batches",
    "check": "check",
    "config": "config",
    "doctor": "doctor",
    "resume": "run",
    "retry": "run",
    "run": "run",
    "status": "status",
    "workflows": "workflows",
}


def assert_described(ended: Ended, name: str) -> Any:
    """Standard output is one document of this description, with no field that is not in it."""
    document = json.loads(ended.stdout)
    schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(document)
    return document


def test_the_description_is_a_schema_and_describes_each_command() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    commands = runpy.run_path(str(DOCS / "make_reference.py"))["commands"]()
    with_json = {
        name
        for name, command in commands.items()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    assert with_json == set(OF_COMMAND)


@pytest.mark.usefixtures("sandbox")
def test_each_command_prints_what_is_described(batchrun: CommandLine, accounts: Path) -> None:
    run = ("run", str(accounts), "-w", "Account Research", "--yes", "--json")
    assert_described(batchrun("workflows", "--json"), "workflows")
    assert_described(batchrun("batches", "--json"), "batches")
    assert_described(batchrun("config", "--json"), "config")
    assert_described(batchrun("doctor", "--json"), "doctor")
    assert (
        assert_described(batchrun("check", *run[1:4], "--json"), "check")["already_run_as"] is None
    )
    first = assert_described(batchrun(*run, "--limit", "1"), "run")
    assert first["exit_code"] == ExitCode.PAUSED
    assert_described(batchrun("status", "--json"), "status")
    assert_described(batchrun("resume", "--yes", "--json"), "run")
    assert_described(batchrun("retry", "--yes", "--json"), "error")
    assert_described(batchrun(*run), "error")
    [batch] = assert_described(batchrun("batches", "--json"), "batches")
    assert batch["outcomes"]["completed"] == 3
    checked = assert_described(batchrun("check", *run[1:4], "--json"), "check")
    assert checked["already_run_as"] == batch["batch"]
