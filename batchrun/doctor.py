"""All checks, in the order they are reported."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import sqlite3
import ssl
import stat
import sys
import time
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from sqlalchemy import func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from batchrun import __version__
from batchrun.errors import BatchrunError, ExitCode, JournalError
from batchrun.installation import EXTRAS, repair_hint, update_hint
from batchrun.journal.database import connect_to_server, network_filesystem
from batchrun.journal.errors import unusable
from batchrun.journal.schema import SCHEMA_VERSION, batches, meta
from batchrun.service import Client
from batchrun.service.proxy import proxy_for
from batchrun.service.transport import describe
from batchrun.settings import Kept, find_access, find_configuration, load_settings, stored_profiles
from batchrun.settings.location import checked_base_url, is_loopback, is_server, shown
from batchrun.settings.model import masked_end, masked_key
from batchrun.text import plural, quoted_command, without_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from batchrun.service import Probe
    from batchrun.settings import Configuration, Settings


class Verdict(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        verdict: How it is.
        text: What was found; nothing of a key but its end, no password; its parameters marked.
        advice: What to do about it; ``""`` for nothing; its parameters marked.
        exit_code: How the command ends if it is a fault.
    """

    name: str
    verdict: Verdict
    text: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.UNUSABLE


def finding_of(name: str, error: BatchrunError) -> Finding:
    """The fault that an error tells."""
    return Finding(name, Verdict.FAULT, error.what, error.hint, error.exit_code)


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """How the command ends: by the gravest fault; warnings are none."""
    codes = {found.exit_code for found in findings if found.verdict is Verdict.FAULT}
    gravest = (ExitCode.KEY_REFUSED, ExitCode.PAUSED, ExitCode.UNUSABLE)
    return next((code for code in gravest if code in codes), ExitCode.COMPLETED)


PACKAGES = (
    *("httpx", "pandas", "openpyxl", "python-calamine", "sqlalchemy", "typer"),
    *("pydantic", "keyring"),
)
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
        for name, module in EXTRAS.items()
        for package in [module.replace("_", "-")]
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
            repair_hint() if missing else "",
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
        kept = ", ".join(f"{one.name} {masked_end(one.end)} ({one.kept})" for one in known.values())
    named = ", ".join(str(each.path) for each in files.files) or "no batchrun.toml"
    text = f"{named}; {kept}"
    if any(one.kept is Kept.FILE for one in known.values()) and _open_to_others(stored.path):
        return Finding(
            "Files",
            Verdict.FAULT,
            f"{text}; others can read {stored.path}",
            "Have the key replaced, and close the file: "
            f"{quoted_command('chmod', '600', str(stored.path))}",
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


LITTLE_BYTES = 500_000_000
"""A disk with less free is worth a word: a run keeps its results in the journal."""


def examine_journal(location: str) -> Finding:
    """How the journal is."""
    if is_server(location):
        return _on_a_server(location)
    path = Path(location).expanduser().absolute()
    folder = next(each for each in path.parents if each.exists())
    free = shutil.disk_usage(folder).free
    found = _place(path, folder) or (_contents(path) if path.exists() else _none_yet(path))
    if found.verdict is Verdict.FAULT:
        return found
    text = f"{found.text}; {free / 1e9:,.1f} GB free"
    if free < LITTLE_BYTES:
        return Finding("Journal", Verdict.WARNING, text, "Make room before a long run.")
    return replace(found, text=text)


def _none_yet(path: Path) -> Finding:
    return Finding("Journal", Verdict.OK, f"none yet; the first run makes {path}")


def _place(path: Path, folder: Path) -> Finding | None:
    """What is wrong with where it is, if anything is."""
    filesystem = network_filesystem(folder.resolve())
    if filesystem is not None:
        return _fault(f"{path} is on a network drive ({filesystem})", _ELSEWHERE)
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return _fault(f"{path} can't be written", f"Give yourself the right to, or {_ELSEWHERE}")
    return None


def _contents(path: Path) -> Finding:
    """How a journal that is there is."""
    try:
        flaws, schema, there = _read(path)
    except sqlite3.Error as error:
        flaws, schema, there = str(error), "", 0
    if flaws != "ok":
        return _fault(f"{path} is damaged: {flaws}", f"Put a copy back, or {_ELSEWHERE}")
    found = _of_schema(str(path), schema, there, ", whole")
    if found.verdict is Verdict.OK and os.name == "posix" and path.stat().st_mode & 0o077:
        advice = f"Close it to others: {quoted_command('chmod', '600', str(path))}"
        return replace(found, verdict=Verdict.WARNING, advice=advice)
    return found


def _of_schema(name: str, schema: str, there: int, state: str = "") -> Finding:
    """Whether a journal with this schema version can be used."""
    if not schema.isdecimal():
        return _fault(f"{name} is not a journal of batchrun", _ELSEWHERE)
    if int(schema) > SCHEMA_VERSION:
        return _fault(
            f"{name} was written by a newer batchrun (schema {schema})",
            update_hint(),
        )
    text = f"{name}, schema {schema}{state}, {plural(there, 'batch', 'batches')}"
    return Finding("Journal", Verdict.OK, text)


_OF_ITS_OWN = "Give it a database of its own, such as: CREATE DATABASE batchrun OWNER USER"
_ELSEWHERE = "name another place with --journal or BATCHRUN_JOURNAL."


def _fault(text: str, advice: str) -> Finding:
    return Finding("Journal", Verdict.FAULT, text, advice[0].upper() + advice[1:])


def _read(path: Path) -> tuple[str, str, int]:
    """What SQLite's quick check says, the schema's version, and how many batches there are."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        flaws = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if flaws != "ok":
            return str(flaws), "", 0
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not {"meta", "batches"} <= tables:
            return "ok", "", 0
        found = database.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
        [batches] = database.execute("SELECT count(*) FROM batches").fetchone()
        return "ok", "" if found is None else str(found[0]), int(batches)


def _on_a_server(location: str) -> Finding:
    """How a database of a server is; in a transaction that may write nothing."""
    name = shown(location)
    try:
        engine = connect_to_server(location)
        try:
            reading = engine.connect().execution_options(postgresql_readonly=True)
            with reading as connection:
                return _tables(connection, name)
        finally:
            engine.dispose()
    except JournalError as error:
        return _fault(error.what, error.hint or _ELSEWHERE)
    except SQLAlchemyError as error:
        found = unusable(name, error)
        return _fault(found.what, found.hint)


def _tables(connection: Connection, name: str) -> Finding:
    """How a server's tables are, and whether there are any."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        may = func.has_schema_privilege(func.current_schema(), "CREATE")
        if connection.scalar(select(may)):
            return Finding("Journal", Verdict.OK, f"none yet; the first run makes it in {name}")
        return _fault(f"{name}: this user may make no tables there", _OF_ITS_OWN)
    found = None
    if {"meta", "batches"} <= tables:
        found = connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
    batches_there = 0
    if found is not None and found.isdecimal():
        batches_there = connection.scalar(select(func.count()).select_from(batches)) or 0
    return _of_schema(name, found or "", batches_there)


CLOCK_SECONDS = 60.0
"""A clock that is further off than this is worth a word."""

_UNTRIED = "workflows:execute can't be tried without paying"


async def examine_service(settings: Settings) -> list[Finding]:
    """Whether the service can be used; one request."""
    try:
        access = find_access(settings)
        base_url = checked_base_url(access.base_url)
    except BatchrunError as error:
        return [finding_of("Key", error)]
    whose = "PGAI_API_KEY" if access.profile is None else f"profile {access.profile}"
    found = [Finding("Key", Verdict.OK, f"{masked_key(access.key)} ({whose}) for {base_url}")]
    way = await _way(base_url, settings.timeout_seconds)
    found.append(way)
    if way.verdict is Verdict.FAULT:
        return found
    try:
        async with Client(access.key, base_url, timeout_seconds=settings.timeout_seconds) as client:
            began = time.time()
            probe = await client.probe()
    except BatchrunError as error:
        return [
            *found,
            finding_of("Service", error),
        ]
    return [
        *found,
        _answer(probe, base_url),
        *_scopes(probe),
        *_clock(probe, began + probe.seconds / 2, settings.speed),
        *_quota(probe),
    ]


async def _way(base_url: str, patience_seconds: float) -> Finding:
    """Whether the address is found, and an encrypted connection comes about; no request."""
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if not is_loopback(base_url) and proxy_for(base_url) is not None:
        return Finding("Way", Verdict.OK, f"to {host} by the proxy that is set")
    began = time.perf_counter()
    try:
        async with asyncio.timeout(patience_seconds):
            loop = asyncio.get_running_loop()
            addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            named = time.perf_counter() - began
            encrypted = await _connect(host, port, encrypt=parts.scheme == "https")
            connected = time.perf_counter() - began - named
    except (OSError, ssl.SSLError) as error:
        return Finding(
            "Way",
            Verdict.FAULT,
            f"{host}, port {port}: {describe(error)}",
            "Check the network, a firewall, the proxy and the base URL (BATCHRUN_BASE_URL).",
            ExitCode.PAUSED,
        )
    found = addresses[0][4][0]
    text = (
        f"{host} is {found} ({named * 1000:.0f} ms), {encrypted or 'not encrypted'} "
        f"({connected * 1000:.0f} ms)"
    )
    return Finding("Way", Verdict.OK, text)


async def _connect(host: str, port: int, *, encrypt: bool) -> str | None:
    """Connect and hang up; the protocol that encrypts."""
    context = httpx.create_ssl_context() if encrypt else None
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        secured: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        return None if secured is None else secured.version()
    finally:
        writer.close()


def _answer(probe: Probe, base_url: str) -> Finding:
    took = f"after {probe.seconds * 1000:.0f} ms"
    if probe.status is None:
        return Finding(
            "Service",
            Verdict.FAULT,
            f"no answer from {base_url}: {probe.reason}",
            "Check the network, the proxy and the base URL (BATCHRUN_BASE_URL).",
            ExitCode.PAUSED,
        )
    if probe.status in {200, 401, 403} and (probe.status != 200 or not probe.reason):
        return Finding("Service", Verdict.OK, f"answers {took} (HTTP {probe.status})")
    advice = "Try again later; or check the base URL (BATCHRUN_BASE_URL)."
    text = f"HTTP {probe.status} {took}: {probe.reason}"
    return Finding("Service", Verdict.FAULT, text, advice, ExitCode.PAUSED)


def _scopes(probe: Probe) -> list[Finding]:
    refused = ExitCode.KEY_REFUSED
    match probe.status:
        case 200 if not probe.reason:
            text = f"workflows:read: yes, {plural(probe.workflows, 'workflow')}; {_UNTRIED}"
            return [Finding("Scopes", Verdict.OK, text)]
        case 401:
            advice = "Get the current key, and keep it with: batchrun login"
            text = f"the service does not know the key: {probe.reason}"
            return [Finding("Scopes", Verdict.FAULT, text, advice, refused)]
        case 403:
            advice = "Have the key given workflows:read and workflows:execute."
            text = f"workflows:read: no ({probe.reason}); {_UNTRIED}"
            return [Finding("Scopes", Verdict.FAULT, text, advice, refused)]
        case _:
            return []


def _clock(probe: Probe, local: float, speed: float) -> list[Finding]:
    if probe.dated is None or speed != 1:
        return []  # a sandbox that is faster than the clock has a time of its own
    off = local - probe.dated
    text = f"{abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the service's"
    if abs(off) > CLOCK_SECONDS:
        advice = "Set it: it decides when the quota's day starts."
        return [Finding("Clock", Verdict.WARNING, text, advice)]
    return [Finding("Clock", Verdict.OK, text)]


def _quota(probe: Probe) -> list[Finding]:
    if probe.status is None:
        return []
    quota = probe.quota
    if quota is None or (quota.limit is None and quota.remaining is None):
        text = "the service says nothing of it; 60 requests a minute are assumed"
        return [Finding("Quota", Verdict.OK, text)]
    resets = "" if quota.reset_seconds is None else f", resets in {quota.reset_seconds:,.0f} s"
    left = "?" if quota.remaining is None else f"{quota.remaining:,}"
    limit = "? requests" if quota.limit is None else plural(quota.limit, "request")
    text = f"{left} of {limit} left{resets}"
    if quota.remaining == 0:
        return [Finding("Quota", Verdict.WARNING, text, "Wait for it, or run with --wait.")]
    return [Finding("Quota", Verdict.OK, text)]


async def examine(terminal: Terminal, **overrides: object) -> list[Finding]:
    """Look at everything; one request is sent, nothing is triggered or changed.

    Args:
        terminal: Where output goes.
        overrides: Settings that options gave.
    """
    found = [
        *examine_versions(),
        examine_terminal(terminal),
        examine_proxies(os.environ),
    ]
    try:
        files = find_configuration()
        found.append(examine_configuration(files))
        settings = load_settings(files, **overrides)
    except BatchrunError as error:
        return [*found, Finding("Settings", Verdict.FAULT, error.what, error.hint)]
    return [*found, examine_journal(settings.journal), *await examine_service(settings)]
