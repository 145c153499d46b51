"""Install commands fit the copy that prints them, and none names a stranger's package."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import PathDistribution
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from batchrun import installation
from batchrun.cli.output import name_commands, runnable_commands
from batchrun.installation import Change, Installation, Installer, program, this_installation

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMES_A_STRANGER = re.compile(
    r"\b(?:(?:pip3?|pipx|uv pip|uv tool) (?:install|upgrade|inject|reinstall|download)"
    r"|(?:uvx|pipx run)(?![^\n]* --(?:from|spec) )|uv add|poetry add)"
    r"(?: (?![\"']?batchrun)[^\s|;&]+)* [\"']?batchrun(?![\w./\\-])"
    r"|[\"'`]batchrun\[[a-z,]+\]"
)


@pytest.mark.parametrize(
    "text",
    [
        "pip install batchrun",
        "pip install --upgrade batchrun",
        "pip install --force-reinstall batchrun",
        "pip install 'batchrun[parquet]'",
        'python -m pip install -U "batchrun==1.0"',
        "pipx install batchrun",
        "pipx upgrade batchrun",
        "uv tool install batchrun",
        "uv pip install batchrun",
        "uvx batchrun run accounts.csv",
        "uv add batchrun",
        'test = ["batchrun[fast]"]',
    ],
)
def test_a_text_that_installs_another_program_is_found(text: str) -> None:
    assert NAMES_A_STRANGER.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "uvx --from . batchrun demo",
        "pip install -e '.[dev]'",
        "pip install pgai-batchrun",
        "pip install -q . && .venv/bin/batchrun run",
        "uv tool install .",
        "uv run batchrun demo",
        "pipx run --spec . batchrun demo",
    ],
)
def test_a_text_that_installs_this_program_is_fine(text: str) -> None:
    assert not NAMES_A_STRANGER.search(text)


def test_no_text_installs_the_stranger_called_batchrun() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.md", "*.toml", "*.ipynb", "*.html", ".ci/*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\0")
    files = [ROOT / name for name in listed if name] or [
        path
        for ending in ("py", "md", "toml", "ipynb", "html")
        for folder in ("batchrun", "docs", "benchmarks", "sample_data", "tests", ".ci")
        for path in (ROOT / folder).rglob(f"*.{ending}")
    ] + [*ROOT.glob("*.md"), ROOT / "pyproject.toml"]
    assert len(files) > 100
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files
        if path.is_file() and path != Path(__file__)
        for match in NAMES_A_STRANGER.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == installation.DISTRIBUTION
    assert set(installation.EXTRAS) == set(PROJECT["optional-dependencies"]) - {"test", "dev"}


SAFE_FROM = {
    "starlette": "1.3.1",
    "h11": "0.16",
    "httpcore": "1.0.9",
    "aiohttp": "3.14.3",
    "filelock": "3.20.3",
    "tqdm": "4.66.3",
    "idna": "3.15",
    "certifi": "2024.7.4",
}
"""The lowest versions without a known vulnerability."""


@pytest.fixture(scope="module")
def locked_packages() -> list[dict[str, Any]]:
    """What uv.lock names, read only by the process that needs it: that takes half a second."""
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    return found


@pytest.mark.parametrize("name", SAFE_FROM)
def test_no_version_with_a_known_vulnerability_is_allowed(
    name: str, locked_packages: list[dict[str, Any]]
) -> None:
    extras = PROJECT["optional-dependencies"].values()
    requirements = map(Requirement, chain(PROJECT["dependencies"], *extras))
    [needed] = [each for each in requirements if each.name == name]
    lowest = [Version(each.version) for each in needed.specifier if each.operator == ">="]
    assert max(lowest) >= Version(SAFE_FROM[name])
    [locked] = [each["version"] for each in locked_packages if each["name"] == name]
    assert locked in needed.specifier


def test_each_locked_file_has_a_hash(locked_packages: list[dict[str, Any]]) -> None:
    ours = {"name": installation.DISTRIBUTION, "source": {"editable": "."}}
    for package in locked_packages:
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert files or ours.items() <= package.items(), package["name"]
        assert all(each["hash"].startswith("sha256:") for each in files), package["name"]


FOLDER, WHEEL = "/home/anna/batchrun", "/tmp/pgai_batchrun-1-py3-none-any.whl"


@pytest.mark.skipif(os.name == "nt", reason="quotes of a POSIX shell")
@pytest.mark.parametrize(
    ("copy", "change", "command"),
    [
        (Installation(Installer.PIP), Change.ADD, "pip install 'pgai-batchrun[parquet]'"),
        (
            Installation(Installer.PIP, FOLDER),
            Change.ADD,
            f"pip install '{FOLDER}[parquet]'",
        ),
        (
            Installation(Installer.PIP, FOLDER, editable=True),
            Change.UPDATE,
            f"pip install --upgrade --editable '{FOLDER}[parquet]'",
        ),
        (
            Installation(Installer.PIP, WHEEL),
            Change.REPAIR,
            f"pip install --force-reinstall 'pgai-batchrun[parquet] @ file://{WHEEL}'",
        ),
        (
            Installation(Installer.PIPX, FOLDER, extras=frozenset({"fast"})),
            Change.ADD,
            f"pipx install --force '{FOLDER}[fast,parquet]'",
        ),
        (
            Installation(Installer.UV_TOOL, extras=frozenset({"postgres"})),
            Change.UPDATE,
            "uv tool install --reinstall 'pgai-batchrun[parquet,postgres]'",
        ),
        (
            Installation(Installer.UV_PIP, "git+https://example.com/batchrun"),
            Change.ADD,
            (
                "uv pip install --python /venv/bin/python "
                "'pgai-batchrun[parquet] @ git+https://example.com/batchrun'"
            ),
        ),
        (
            Installation(Installer.UVX, FOLDER),
            Change.ADD,
            f"uvx --from '{FOLDER}[parquet]' batchrun",
        ),
    ],
)
def test_an_install_command_fits_the_copy(
    copy: Installation, change: Change, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "_pip", lambda: ["pip"])
    monkeypatch.setattr(sys, "executable", "/venv/bin/python")
    assert copy.command(change, "parquet") == command
    assert shlex.split(command)


@pytest.mark.parametrize(
    ("origin", "source", "editable"),
    [
        ({"url": "file:///home/anna/my%20lists", "dir_info": {}}, "/home/anna/my lists", False),
        ({"url": "file:///home/anna", "dir_info": {"editable": True}}, "/home/anna", True),
        ({"url": f"file://{WHEEL}", "archive_info": {}}, WHEEL, False),
        (
            {"url": "ssh://git@example.com/b", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "git+ssh://git@example.com/b",
            False,
        ),
        ({"url": "https://example.com/b.whl", "archive_info": {}}, "https://example.com/b.whl", 0),
        (None, "", False),
        ([], "", False),
        ("damaged", "", False),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_the_source_is_read_from_what_the_installer_wrote(
    origin: object, source: str, editable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if origin is not None:
        (tmp_path / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    (tmp_path / "INSTALLER").write_text("pip\n", encoding="utf-8")
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: PathDistribution(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    found = this_installation()
    assert (found.installer, found.source, found.editable) == (Installer.PIP, source, editable)


@pytest.mark.parametrize(
    ("left", "said", "installer"),
    [
        ("venv/", "pip", Installer.PIP),
        ("venv/", "conda", Installer.PIP),
        ("venv/", "uv", Installer.UV_PIP),
        ("tools/uv-receipt.toml", "uv", Installer.UV_TOOL),
        ("venvs/pipx_metadata.json", "pip", Installer.PIPX),
        ("venvs/pipx_metadata.json", "uv", Installer.PIPX),
        ("archive-v0/", "uv", Installer.UVX),
    ],
)
def test_the_installer_is_known_by_the_files_it_left(
    left: str, said: str, installer: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = left.split("/")
    prefix = tmp_path / folder
    prefix.mkdir()
    if file:
        (prefix / file).touch()
    monkeypatch.setattr(sys, "prefix", str(prefix))
    assert installation._installer(said) is installer


@pytest.mark.skipif(os.name == "nt", reason="a virtual environment has other folders there")
@pytest.mark.parametrize(
    ("on_path", "where", "called"),
    [
        (False, ".", ".venv/bin/batchrun"),
        (False, "elsewhere", "{root}/.venv/bin/batchrun"),
        (True, ".", "batchrun"),
    ],
)
def test_hints_name_a_command_that_works_in_this_shell(
    on_path: bool, where: str, called: str, tmp_path: Path
) -> None:
    venv.create(tmp_path / ".venv", with_pip=False, symlinks=True)
    script = tmp_path / ".venv" / "bin" / "batchrun"
    python = script.with_name("python")
    paths = [str(ROOT), *(path for path in sys.path if "-packages" in path)]
    script.write_text(
        f"#!{python}\nimport sys\nsys.path[:0] = {paths!r}\nfrom batchrun.cli import main\nmain()\n"
    )
    script.chmod(0o755)
    (tmp_path / where).mkdir(exist_ok=True)
    path = f"{script.parent}:/usr/bin:/bin" if on_path else "/usr/bin:/bin"
    home = {"HOME": str(tmp_path), "BATCHRUN_JOURNAL": str(tmp_path / "journal.db")}
    (tmp_path / where / "accounts.csv").write_text("Company ID\n")
    ended = subprocess.run(
        [script, "run", "accounts.csv"],
        cwd=tmp_path / where,
        env={"PATH": path, **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{called.format(root=tmp_path)} " in ended.stderr
    assert ended.returncode == 2


def test_only_commands_are_called_as_the_shell_calls_them(monkeypatch: pytest.MonkeyPatch) -> None:
    name_commands(".venv/bin/batchrun", ["run", "resume"])
    try:
        assert runnable_commands("batchrun resume picks it up.") == (
            ".venv/bin/batchrun resume picks it up."
        )
        assert runnable_commands("See: batchrun --help") == "See: .venv/bin/batchrun --help"
        for prose in ("batchrun was updated", "/opt/batchrun run", "batchrun runs it"):
            assert runnable_commands(prose) == prose
    finally:
        name_commands("batchrun", [])


def test_a_module_run_by_python_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "batchrun" / "__main__.py")])
    assert program() == "batchrun"
