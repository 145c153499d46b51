"""Detect how this copy of batchrun was installed, and the commands to extend and call it.

The name `batchrun` on the package index belongs to another program, so messages must not contain
install commands of their own: all of them come from here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from batchrun.text import quoted_command, without_user

if TYPE_CHECKING:
    from importlib.metadata import Distribution

DISTRIBUTION = "pgai-batchrun"
EXTRAS = {
    "dask": "distributed",
    "fast": "aiohttp",
    "notebook": "ipywidgets",
    "parquet": "pyarrow",
    "postgres": "psycopg",
    "socks": "socksio",
}
"""Each extra, and a module that exists if the extra is installed."""


class Installer(Enum):
    """The tool that installed this copy and can extend it."""

    PIP = "pip"
    PIPX = "pipx"
    UV_PIP = "uv pip"
    UV_TOOL = "uv tool"
    UVX = "uvx"


class Change(Enum):
    """The purpose of an install command."""

    ADD = "an extra"
    UPDATE = "a newer version"
    REPAIR = "the same again"


@dataclass(frozen=True, slots=True)
class Installation:
    """The way a copy of batchrun was installed."""

    installer: Installer
    source: str = ""  # the folder, file or address it came from; "" for the package index
    editable: bool = False  # whether changes in the folder take effect at once
    extras: frozenset[str] = frozenset()  # those that are installed

    def command(self, change: Change, *extras: str) -> str:
        """Return the command that changes this copy, or adds extras, quoted for the shell."""
        keeps_extras = self.installer in {Installer.PIP, Installer.UV_PIP}
        wanted = set(extras) if keeps_extras else self.extras | set(extras)
        what = self._requirement(sorted(wanted))
        again = change is not Change.ADD
        match self.installer:
            case Installer.PIP:
                flags = {Change.UPDATE: ["--upgrade"], Change.REPAIR: ["--force-reinstall"]}
                words = [*_pip(), "install", *flags.get(change, []), *what]
            case Installer.UV_PIP:
                flags = {Change.UPDATE: ["--upgrade"], Change.REPAIR: ["--reinstall"]}
                python = ["--python", _relative(Path(sys.executable))]
                words = ["uv", "pip", "install", *python, *flags.get(change, []), *what]
            case Installer.PIPX:
                words = ["pipx", "install", "--force", *what]
            case Installer.UV_TOOL:
                words = ["uv", "tool", "install", *(["--reinstall"] if again else []), *what]
            case Installer.UVX:
                refresh = ["--refresh"] if again else []
                words = ["uvx", *refresh, "--from", what[-1], "batchrun"]
            case _:
                assert_never(self.installer)
        return quoted_command(*words)

    def _requirement(self, extras: list[str]) -> list[str]:
        marked = f"[{','.join(extras)}]" if extras else ""
        if not self.source:
            return [DISTRIBUTION + marked]
        if "://" not in self.source and Path(self.source).suffix not in {".whl", ".gz", ".zip"}:
            return [*(["--editable"] if self.editable else []), self.source + marked]
        if not marked:
            return [self.source]
        address = self.source if "://" in self.source else Path(self.source).as_uri()
        return [f"{DISTRIBUTION}{marked} @ {address}"]


def install_hint(extra: str) -> str:
    """Return how to add an extra to this copy."""
    return f"Install it with: {this_installation().command(Change.ADD, extra)}"


def update_hint() -> str:
    """Return how to update this copy."""
    found = this_installation()
    command = found.command(Change.UPDATE)
    if not found.source or found.source.startswith("git+"):
        return f"Update batchrun: {command}"
    return f"Get a newer batchrun into {found.source}, then: {command}"


def repair_hint() -> str:
    """Return how to reinstall this copy."""
    return f"Reinstall batchrun: {this_installation().command(Change.REPAIR)}"


def this_installation() -> Installation:
    """Detect how the running copy was installed."""
    from importlib.metadata import PackageNotFoundError, distribution  # the import takes 15 ms

    try:
        found = distribution(DISTRIBUTION)
    except PackageNotFoundError:  # running from a checkout on the search path
        return Installation(_installer("pip"), str(Path(__file__).parents[1]))
    source, editable = _source(found)
    extras = frozenset(name for name, module in EXTRAS.items() if find_spec(module) is not None)
    said = (found.read_text("INSTALLER") or "").strip()
    return Installation(_installer(said), source, editable, extras)


def _source(found: Distribution) -> tuple[str, bool]:
    """Return where it came from, according to PEP 610, and whether it is editable."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        url = str(origin.get("url", ""))
        version_control = origin.get("vcs_info")
        editable = bool(origin.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError, TypeError):
        return "", False
    if version_control:
        return f"git+{url if '://git@' in url else without_user(url)}", False
    if url.startswith("file:"):
        return url2pathname(urlsplit(url).path), editable
    return without_user(url) if url else "", False


def _installer(said: str) -> Installer:
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").exists():
        return Installer.UV_TOOL
    if (prefix / "pipx_metadata.json").exists():
        return Installer.PIPX
    if said == "uv":
        return Installer.UVX if _in_cache_of_uv() else Installer.UV_PIP
    return Installer.PIP


def _in_cache_of_uv() -> bool:
    folders = {"archive-v0", "environments-v2", "builds-v0"}
    return bool(folders & set(Path(sys.prefix).parts))


def _pip() -> list[str]:
    """Return how to call this environment's pip from the user's shell."""
    found = shutil.which("pip")
    if found is not None and _is_ours(Path(found)):
        return ["pip"]
    return [_relative(Path(sys.executable)), "-m", "pip"]


def program(*, absolute: bool = False) -> str:
    """Return how to call this program from the user's shell, ready to paste.

    A path is relative to the current folder, unless it must be ``absolute``.
    """
    if "UV_RUN_RECURSION_DEPTH" in os.environ:  # `uv run` puts its environment on the PATH
        return "uv run batchrun"
    called = Path(sys.argv[0])
    if os.name == "nt" and not called.suffix:
        called = called.with_suffix(".exe")
    if called.stem != "batchrun" or not called.is_file():
        return "batchrun"
    if _in_cache_of_uv():  # `uvx` puts it on the PATH only for this process
        return this_installation().command(Change.ADD)
    on_path = shutil.which("batchrun")
    if on_path is not None and (_is_ours(Path(on_path)) or Path(on_path).samefile(called)):
        return "batchrun"
    return quoted_command(str(called.absolute()) if absolute else _relative(called))


def _is_ours(script: Path) -> bool:
    """Return whether a program belongs to this process's environment."""
    scripts = Path(sysconfig.get_path("scripts"))
    return script.parent.absolute() == scripts or script.resolve().parent == scripts.resolve()


def _relative(path: Path) -> str:
    """Return a path relative to the current folder if it is inside; keeps links, as in a venv."""
    path = path.absolute()
    try:
        shown = path.relative_to(Path.cwd())
    except (ValueError, OSError):
        return str(path)
    return str(shown) if len(shown.parts) > 1 else f".{os.sep}{shown}"
