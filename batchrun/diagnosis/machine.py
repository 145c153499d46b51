"""This machine: versions, extras, proxies, the terminal, files that hold keys."""

from __future__ import annotations

import os
import platform
import stat
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from batchrun import __version__
from batchrun.access import Kept, stored_profiles
from batchrun.diagnosis.finding import Finding, Verdict
from batchrun.masking import without_user

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.settings import Configuration

PACKAGES = (
    *("httpx", "pandas", "openpyxl", "python-calamine", "sqlalchemy", "typer"),
    *("pydantic-settings", "keyring"),
)
EXTRAS = {"fast": "aiohttp", "parquet": "pyarrow", "postgres": "psycopg"}
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")

_NARROW = 60


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal, as the command line sees it.

    Attributes:
        encoding: Of standard output.
        columns: How wide it is.
        shown: Whether somebody sees the output: a terminal, not a file or a pipe.
        typed: Whether somebody can answer a question.
    """

    encoding: str
    columns: int
    shown: bool
    typed: bool


def examine_versions() -> list[Finding]:
    """What runs here."""
    packages = ", ".join(f"{name} {_version(name) or 'missing'}" for name in PACKAGES)
    extras = [
        f"{name} ({package} {found})" if found else f"{name}: not installed"
        for name, package in EXTRAS.items()
        for found in [_version(package)]
    ]
    missing = [name for name in PACKAGES if _version(name) is None]
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return [
        Finding(
            "batchrun", Verdict.OK, f"{__version__}, Python {platform.python_version()}, {system}"
        ),
        Finding(
            "Packages",
            Verdict.FAULT if missing else Verdict.OK,
            packages,
            "Install batchrun anew: pip install --force-reinstall batchrun" if missing else "",
        ),
        Finding("Extras", Verdict.OK, "; ".join(extras)),
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def examine_terminal(terminal: Terminal) -> Finding:
    """Where output goes."""
    kind = "a terminal" if terminal.shown else "no terminal: plain lines instead of a bar"
    answers = "" if terminal.typed else "; nobody can answer a question, so --yes is needed"
    text = f"{kind}, {terminal.columns} columns, {terminal.encoding}{answers}"
    if not terminal.encoding.lower().replace("-", "").startswith("utf"):
        return Finding(
            "Terminal",
            Verdict.WARNING,
            text,
            "Characters it lacks are shown as question marks; PYTHONUTF8=1 helps. "
            "Workbooks are not concerned.",
        )
    if terminal.shown and terminal.columns < _NARROW:
        return Finding("Terminal", Verdict.WARNING, text, "A wider window shows the whole bar.")
    return Finding("Terminal", Verdict.OK, text)


def examine_proxies(environment: Mapping[str, str]) -> Finding:
    """Which variables change the way to the service; passwords in them are not shown."""
    said = {name: value for name, value in environment.items() if name.upper() in PROXIES and value}
    if not said:
        return Finding("Proxy", Verdict.OK, "none set")
    shown = ", ".join(f"{name}={without_user(value)}" for name, value in sorted(said.items()))
    lost = [
        name
        for name, value in said.items()
        if name.upper().startswith("SSL_CERT") and not Path(value).exists()
    ]
    if lost:
        return Finding(
            "Proxy", Verdict.FAULT, shown, f"{', '.join(lost)} leads nowhere: correct or unset it."
        )
    return Finding("Proxy", Verdict.OK, shown)


def examine_configuration(files: Configuration) -> Finding:
    """Which files count, and whether one that holds keys is readable by others."""
    stored, kept = stored_profiles(), "no profile"
    known = stored.all()
    if known:
        kept = ", ".join(f"{one.name} …{one.end} ({one.kept})" for one in known.values())
    named = ", ".join(str(each.path) for each in files.files) or "no batchrun.toml"
    text = f"{named}; {kept}"
    if any(one.kept is Kept.FILE for one in known.values()) and _open_to_others(stored.path):
        return Finding(
            "Files",
            Verdict.FAULT,
            f"{text}; others can read {stored.path}",
            f"Close it with: chmod 600 {stored.path}; then have the key replaced.",
        )
    return Finding("Files", Verdict.OK, text)


def _open_to_others(path: Path) -> bool:
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def terminal_of_process() -> Terminal:
    """The terminal of this process."""
    return Terminal(
        sys.stdout.encoding or "ascii",
        get_terminal_size().columns,
        sys.stdout.isatty(),
        sys.stdin.isatty(),
    )
