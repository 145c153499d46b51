"""On any console, whatever its code page: nothing fails, and what is said can be read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest

from batchrun.cli.output import plain
from batchrun.errors import ExitCode
from tests.acceptance.sandbox_process import batchrun, clean_environment, sandbox_process
from tests.preloaded import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.sandbox_process import SandboxProcess

COMPANY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
SEVERAL = """
import json, sys
from batchrun.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["batchrun", *words]
    try:
        main()
    except SystemExit as ended:
        print("exit", int(ended.code or 0), flush=True)
"""
NAME = "Große Łódź \N{EN DASH} Ōsaka 東京.csv"


@pytest.fixture(scope="module")
def service() -> Iterator[SandboxProcess]:
    with sandbox_process("--rate", "0") as running:
        yield running


def test_characters_missing_from_a_code_page_are_replaced() -> None:
    assert plain("… É é ü ﬁ") == "... E e u fi"
    assert plain(unicodedata.normalize("NFD", "Müller")) == "Muller"
    assert plain("ß 東 😀") == "? ? ?"


def test_a_list_with_any_name_is_run_on_the_oldest_console(
    tmp_path: Path, service: SandboxProcess
) -> None:
    name, code_page = NAME, "cp437"
    rows = [f"{COMPANY},x", *(f"kaputt-Ł-{number} …,x" for number in range(15))]
    (tmp_path / name).write_text("\n".join(["Company ID,Größe", *rows]), encoding="utf-8")
    env = service.environment(tmp_path) | {"PYTHONIOENCODING": code_page}

    commands = [
        ["run", name, "-w", "Account Research", "--yes"],
        ["status"],
        ["check", "fehlt … 東京.csv", "-w", "Account Research"],
    ]
    ended = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    said = ended.stdout.decode(code_page)
    codes = [int(code) for code in re.findall(r"^exit (\d+)$", said, re.MULTILINE)]
    assert codes == [ExitCode.INCOMPLETE, ExitCode.COMPLETED, ExitCode.UNUSABLE], ended
    for text in (said, ended.stderr.decode(code_page)):
        assert "Traceback" not in text
        assert "failed unexpectedly" not in text
    assert re.search(r"lines 3, 4, 5, 6, 7, (…|\.\.\.), such as", said)
    assert (tmp_path / name).with_suffix(".results.xlsx").exists()


def test_help_is_readable_on_the_oldest_console() -> None:
    env = clean_environment() | {"PYTHONIOENCODING": "cp437", "COLUMNS": "80"}
    for command in ("run", "resume", "export"):
        ended = subprocess.run(
            [*COMMAND, command, "--help"], env=env, capture_output=True, check=False
        )
        assert ended.returncode == 0
        assert b"?" not in ended.stdout


def test_composed_and_decomposed_names_give_the_same_batch_id(
    tmp_path: Path, service: SandboxProcess
) -> None:
    """NFC and NFD: the file is found as it is spelled, and both give one beginning."""
    found = []
    for form in ("NFC", "NFD"):
        folder = tmp_path / form
        folder.mkdir()
        name = unicodedata.normalize(form, "Kunden Müller.csv")
        (folder / name).write_text(f"Company ID\n{COMPANY}\n", encoding="utf-8")
        run = ["run", name, "-w", "Account Research", "--yes"]
        ended = batchrun(*run, env=service.environment(folder), cwd=folder)
        assert ended.returncode == 0, ended
        [line] = [line for line in ended.stdout.splitlines() if line.startswith("Batch:")]
        found.append(line.split()[1].split("-", 1)[1].rsplit("-", 1)[0])
    assert found == ["kunden-muller"] * 2
