"""A folder from a stranger: lists, settings, a journal, and files named like modules and programs.

None of them runs, and none sends or spends anything.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

import batchrun
from batchrun.cli import app
from batchrun.sandbox.model import SandboxService, SandboxSettings, Scope
from batchrun.sandbox.server import SandboxClock, create_app, running_app
from tests.corpus.cases import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Send
    from starlette.types import Scope as Connection

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
    ("run", "list.xlsx", "-w", "Account Research", "--sandbox", "--yes", "--notify"),
    ("demo",),
    ("batches", "--sandbox"),
    ("status", "--sandbox"),
    ("export", "--sandbox", "-o", "again.xlsx"),
    ("doctor",),
    ("workflows",),
    ("check", "prepared.csv", "-w", "Account Research"),
    ("run", "prepared.csv", "-w", "Account Research"),
    ("run", "prepared.csv", "-w", "Account Research", "--yes"),
    ("resume",),
    ("resume", "--all"),
    ("resume", "--in-doubt", "retry"),
    ("retry", "--yes"),
    ("work", "--until-done"),
    ("stop",),
    ("batches",),
    ("status",),
    ("export", "-o", "prepared.xlsx"),
    ("login",),
    ("login", "--in-file"),
    ("config",),
    ("logout",),
    ("forget", "nothing", "--yes"),
    ("forget", "--older-than", "1h", "--yes"),
    ("version",),
    ("help",),
    ("--help",),
    (),
)
SERVERS = (
    ("web", "--no-browser"),
    ("web", "--sandbox", "--no-browser"),
    ("sandbox", "--port", "0"),
)
KEY = "key-of-the-victim-1111"
THEIRS = "key-of-a-stranger-2222"
SECRET = "secret-of-another-program-3333"
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
        "BATCHRUN_JOURNAL": str(home / "journal.db"), "AWS_SECRET_ACCESS_KEY": SECRET,
    }  # fmt: skip


class Service:
    """What the key belongs to: it takes the stranger's key, too, and notes who asks for what."""

    def __init__(self) -> None:
        clock = SandboxClock(300.0)
        keys = dict.fromkeys((KEY, THEIRS), frozenset(Scope))
        model = SandboxService(SandboxSettings(rate_per_minute=None, keys=keys), clock())
        self._app = create_app(model, clock)
        self.asked: set[tuple[str, str]] = set()

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        key = dict(connection.get("headers", ())).get(b"x-api-key", b"").decode()
        self.asked.add((connection.get("method", ""), key))
        await self._app(connection, receive, send)


@pytest.fixture
def service() -> Iterator[tuple[Service, str]]:
    service = Service()
    with running_app(service) as url:
        yield service, url


@pytest.fixture
def strangers_address(hostile_folder: Path) -> Iterator[socket.socket]:
    """Where the settings in the folder want everything sent; it never answers."""
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        theirs.setblocking(False)
        evil = f"http://127.0.0.1:{theirs.getsockname()[1]}/v1"
        (hostile_folder / ".env").write_text(
            f"PGAI_API_KEY=${{AWS_SECRET_ACCESS_KEY}}\nBATCHRUN_BASE_URL={evil}\n"
            "BATCHRUN_LOG_FILE=notes.txt\nBATCHRUN_JOURNAL=theirs.db\n"
            "BATCHRUN_NOTIFY_COMMAND=touch owned.ran\n",
            encoding="utf-8",
        )
        (hostile_folder / "batchrun.toml").write_text(
            'workflow = "Account Research"\ndaily = 99999\n',  # more would be refused
            encoding="utf-8",
        )
        yield theirs


@pytest.fixture
def prepared(hostile_folder: Path, service: tuple[Service, str]) -> dict[str, str]:
    """The environment of a user of the folder's journal: a stranger has begun a batch in it."""
    ids = "".join(f"a1b2c3d4-e5f6-7890-abcd-{number:012x}\n" for number in range(3))
    (hostile_folder / "prepared.csv").write_text(f"Company ID\n{ids}", encoding="utf-8")
    journal = str(hostile_folder / "journal.db")
    theirs = batchrun.load_settings(
        api_key=THEIRS, base_url=service[1], journal=journal, speed=300.0
    )
    begun = batchrun.run(
        hostile_folder / "prepared.csv", "Account Research", limit=1, settings=theirs
    )
    assert begun.summary.unfinished
    return environment_of(hostile_folder) | {
        "BATCHRUN_JOURNAL": journal, "BATCHRUN_BASE_URL": service[1], "BATCHRUN_SPEED": "300",
        "PGAI_API_KEY": KEY,
    }  # fmt: skip


def run_there(
    folder: Path, program: list[str], given: str = "", environment: dict[str, str] | None = None
) -> str:
    done = subprocess.run(
        program, check=False, capture_output=True, cwd=folder, input=given, text=True,
        env=environment or environment_of(folder), timeout=280,
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
import glob, io, json, os
import batchrun.sandbox.server
batchrun.sandbox.server.PRACTICE_SPEED = 1000.0
commands = json.load(sys.stdin)
for words in commands:
    with open(f"{{sys.argv[0]}}.said", "w+", encoding="utf-8") as said:
        shown = os.dup(1)
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.argv[1:] = words
        sys.stdin = io.StringIO(f"{{os.environ['PGAI_API_KEY']}}\\n")
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


def test_every_command_is_tried_in_the_folder() -> None:
    tried = {words[0] for words in (*COMMANDS, *SERVERS) if words}
    assert set(typer.main.get_command(app).commands) <= tried  # type: ignore[attr-defined]


def test_no_command_runs_sends_or_spends_anything_for_a_stranger(
    hostile_folder: Path,
    script: Path,
    service: tuple[Service, str],
    strangers_address: socket.socket,
    prepared: dict[str, str],
) -> None:
    script.write_text(ONE_BY_ONE, encoding="utf-8")
    program = [sys.executable, str(script)]
    said = run_there(hostile_folder, program, json.dumps(COMMANDS), prepared)
    ended = [json.loads(line) for line in said.splitlines()]
    assert [tuple(words) for words, _, _ in ended] == list(COMMANDS)
    for words, output, found in ended:
        assert output, words
        assert "Traceback" not in output, words
        assert not found, words
        assert KEY not in output, words
        assert SECRET not in output, words
    with pytest.raises(BlockingIOError):
        strangers_address.accept()
    heard, _ = service
    assert ("GET", KEY) in heard.asked
    assert ("POST", KEY) not in heard.asked  # the stranger's batch was not paid for
    assert SECRET not in {key for _, key in heard.asked}
    for name in ("list.results.xlsx", "out.csv", "again.xlsx", "prepared.xlsx"):
        assert (hostile_folder / name).exists()  # the commands did their work
    for name in ("notes.txt", "theirs.db"):
        assert not (hostile_folder / name).exists()
    for file in (each for each in hostile_folder.rglob("*") if each.is_file()):
        assert not any(each.encode() in file.read_bytes() for each in (KEY, SECRET)), file


def test_no_server_runs_or_sends_anything_for_a_stranger(
    hostile_folder: Path,
    script: Path,
    strangers_address: socket.socket,
    prepared: dict[str, str],
) -> None:
    with ExitStack() as stack:
        for words in SERVERS:
            server = stack.enter_context(
                subprocess.Popen(
                    [str(script), *words], cwd=hostile_folder, env=prepared, text=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )
            )  # fmt: skip
            stack.callback(server.kill)
            assert server.stdout is not None
            assert any("http://127.0.0.1" in line for line in server.stdout), words
    assert ran(hostile_folder) == []
    with pytest.raises(BlockingIOError):
        strangers_address.accept()


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

    monkeypatch.setattr("batchrun.tables.isolated.subprocess.Popen", noting)
    from batchrun.tables.files import load

    load(FILES / "libreoffice-typed.xls")
    (given,) = started
    environment = given["env"]
    assert isinstance(environment, dict)
    assert not [value for value in environment.values() if "secret" in value]
    assert not Path(str(given["cwd"])).exists()  # it was a folder of its own
