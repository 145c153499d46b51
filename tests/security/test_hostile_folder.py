"""A folder from a stranger, with a list and Python files named like modules: none of them runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.cases import FILES

INSTALLED = (
    "aiohttp", "annotated_types", "anyio", "batchrun", "certifi", "charset_normalizer", "click",
    "dateutil", "defusedxml", "dotenv", "evil", "filelock", "greenlet", "h11", "httpcore", "httpx",
    "idna", "keyring", "numexpr", "numpy", "olefile", "openpyxl", "pandas", "platformdirs",
    "psycopg", "psycopg2", "pyarrow", "pydantic", "pydantic_settings", "python_calamine", "pytz",
    "rich", "secretstorage", "shellingham", "sitecustomize", "sniffio", "socksio", "sqlalchemy",
    "starlette", "tqdm", "typer", "tzdata", "usercustomize", "uvicorn", "uvloop", "zstandard",
)  # fmt: skip
RUN = "open(__file__[:-3] + '.ran', 'w').close()\n"
LISTS = {
    "list.csv": "delimiter-comma.csv",
    "list.xlsx": "cells-typed.xlsx",
    "list.xls": "libreoffice-typed.xls",
    "list.ods": "libreoffice-typed.ods",
    "list.xlsb": "kind-binary-workbook.xlsb",
    "page.xls": "kind-html-named.xls",
}
COMMANDS = (
    *(("check", name, "-w", "Account Research", "--sandbox") for name in LISTS),
    ("run", "list.csv", "-w", "Account Research", "--sandbox", "--yes"),
    ("run", "list.xlsx", "-w", "Account Research", "--sandbox", "--yes", "-o", "out.csv"),
    ("batches", "--sandbox"),
    ("status", "--sandbox"),
    ("export", "--sandbox", "-o", "again.xlsx"),
    ("config",),
    ("doctor",),
    ("workflows",),
    ("logout",),
    ("login",),
    ("forget", "nothing", "--yes"),
    ("retry", "--yes"),
    ("resume", "--all"),
    ("run", "list.xlsx", "-w", "Account Research", "--sandbox", "--yes", "--notify"),
    ("version",),
    ("--help",),
)
PROGRAMS = (
    *("notify-send", "sh", "xdg-open", "python", "python3", "soffice", "mount", "uname", "git"),
    *("pip", "ldconfig", "gcc", "locale", "osascript", "powershell.exe", "cmd.exe"),
)
"""Programs that batchrun, its libraries or Python itself may look for."""


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "from a stranger"
    folder.mkdir()
    for name in sys.stdlib_module_names | set(INSTALLED):
        (folder / f"{name}.py").write_text(RUN, encoding="utf-8")
    for name in ("pandas", "openpyxl", "conftest", "batchrun"):  # packages come before modules
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(
            f"open({str(folder / name)!r} + '.ran', 'w').close()\n", encoding="utf-8"
        )
    for name in PROGRAMS:
        (folder / name).write_text(f'#!/bin/sh\n: > "{folder / name}.ran"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    (folder / "pyvenv.cfg").write_text(f"home = {folder}\n", encoding="utf-8")
    package = folder / "evil-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[keyring.backends]\nevil = evil\n")
    (folder / "evil.pth").write_text("import evil\n", encoding="utf-8")
    for name, file in LISTS.items():
        shutil.copy(FILES / file, folder / name)
    return folder


def environment_of(folder: Path) -> dict[str, str]:
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    return {
        "HOME": str(home), "USERPROFILE": str(home), "PATH": ".::/usr/bin:/bin",
        "BATCHRUN_JOURNAL": str(home / "journal.db"),
    }  # fmt: skip


def run_there(folder: Path, program: list[str], given: str | None = None) -> str:
    done = subprocess.run(
        program, check=False, capture_output=True, cwd=folder, env=environment_of(folder),
        input=given or "", text=True, timeout=280,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def ran(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.ran"))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The command as an installer writes it."""
    path = tmp_path / "bin" / "batchrun"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\n{START}sys.exit(main())\n", encoding="utf-8")
    path.chmod(0o755)
    return path


START = "import sys\nfrom batchrun.__main__ import main\n"
ONE_BY_ONE = f"""{START}
import glob, json, os
for words in json.load(sys.stdin):
    with open(f"{{sys.argv[0]}}.said", "w+", encoding="utf-8") as said:
        shown = os.dup(1)
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.argv[1:] = words
        try:
            main()
        except SystemExit:
            sys.stdout.flush()
        os.dup2(shown, 1)
        said.seek(0)
        print(json.dumps([words, said.read(), glob.glob("*.ran")]), flush=True)
"""
"""One process for all commands. What several of them import is looked for by the first of them, in
the same places: a process for each would only repeat it, which took five minutes."""


def test_no_command_runs_anything_of_the_current_folder(hostile_folder: Path, script: Path) -> None:
    script.write_text(ONE_BY_ONE, encoding="utf-8")
    said = run_there(hostile_folder, [sys.executable, str(script)], json.dumps(COMMANDS))
    ended = [json.loads(line) for line in said.splitlines()]
    assert [tuple(words) for words, _, _ in ended] == list(COMMANDS)
    for words, output, found in ended:
        assert output, words
        assert "Traceback" not in output, words
        assert not found, words


def test_the_page_runs_nothing_of_the_current_folder(hostile_folder: Path, script: Path) -> None:
    with subprocess.Popen(
        [str(script), "web", "--sandbox", "--no-browser"],
        cwd=hostile_folder, env=environment_of(hostile_folder), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as page:  # fmt: skip
        assert page.stdout is not None
        assert "http://127.0.0.1" in page.stdout.readline()
        page.kill()
    assert ran(hostile_folder) == []


def test_the_module_runs_nothing_of_the_current_folder(hostile_folder: Path) -> None:
    loaded = "import runpy, importlib.util, pkgutil, sys; print(*sys.modules)"
    before = subprocess.run(
        [sys.executable, "-c", loaded], check=True, capture_output=True, text=True
    )
    for name in {*before.stdout.split(), "batchrun"}:  # Python itself imports them before us
        (hostile_folder / f"{name}.py").unlink(missing_ok=True)
        shutil.rmtree(hostile_folder / name, ignore_errors=True)
    for module, arguments in zip((["-m", "batchrun"], ["-Bmbatchrun"]), COMMANDS, strict=False):
        said = run_there(hostile_folder, [sys.executable, *module, *arguments])
        assert "Rows" in said or "rows" in said
    assert ran(hostile_folder) == []


def test_reading_gives_the_other_process_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGAI_API_KEY", "secret-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-too")
    started: list[dict[str, object]] = []
    popen = subprocess.Popen

    def noting(*words: object, **given: object) -> object:
        started.append(given)
        return popen(*words, **given)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", noting)
    from batchrun.tables import load

    load(FILES / "libreoffice-typed.xls")
    (given,) = started
    environment = given["env"]
    assert isinstance(environment, dict)
    assert not [value for value in environment.values() if "secret" in value]
    assert not Path(str(given["cwd"])).exists()  # it was a folder of its own
