"""The checks of `batchrun doctor`, in the order of its report."""

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
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Connection, create_engine, func, inspect, select
from sqlalchemy import text as sql
from sqlalchemy.exc import SQLAlchemyError

from batchrun import __version__
from batchrun.errors import BatchrunError, ExitCode, JournalError
from batchrun.installation import EXTRAS, repair_hint, update_hint
from batchrun.journal.database import connect_to_server, network_filesystem
from batchrun.journal.errors import unusable
from batchrun.journal.schema import SCHEMA_VERSION, batches, meta
from batchrun.service.client import Client, unreachable_hint
from batchrun.service.transport import describe, proxy_for
from batchrun.settings.credentials import address_of, find_credentials, key_source
from batchrun.settings.files import Configuration, find_configuration
from batchrun.settings.loading import load_settings
from batchrun.settings.location import checked_base_url, is_loopback, is_practice, is_server, shown
from batchrun.settings.model import Settings, masked_end, masked_key
from batchrun.settings.profiles import KeyStorage, stored_profiles
from batchrun.text import plural, quoted_command, without_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchrun.service.answers import Probe


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one check."""

    name: str  # the thing that was checked
    verdict: Verdict
    text: str  # the details; no password, and at most the end of a key
    advice: str = ""  # what to do about it
    exit_code: ExitCode = ExitCode.UNUSABLE  # of the command, if this is a fault


def _ok(name: str, text: str) -> Finding:
    return Finding(name, Verdict.OK, text)


def _warning(name: str, text: str, advice: str) -> Finding:
    return Finding(name, Verdict.WARNING, text, advice)


def _fault(name: str, text: str, advice: str, exit_code: ExitCode = ExitCode.UNUSABLE) -> Finding:
    return Finding(name, Verdict.FAULT, text, advice, exit_code)


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """Return the command's exit code: that of the most serious fault; warnings don't count."""
    codes = {found.exit_code for found in findings if found.verdict is Verdict.FAULT}
    by_weight = (ExitCode.KEY_REFUSED, ExitCode.PAUSED, ExitCode.UNUSABLE)
    return next((code for code in by_weight if code in codes), ExitCode.COMPLETED)


async def examine(**overrides: object) -> list[Finding]:
    """Run all checks. They send one request, trigger nothing and change nothing."""
    terminal = examine_terminal(
        sys.stdout.encoding or "ascii",
        get_terminal_size().columns if sys.stdout.isatty() else None,
        answers=sys.stdin.isatty(),
    )
    found = [*_versions(), terminal, examine_proxies(os.environ)]
    try:
        files = find_configuration()
        found.append(_configuration(files))
        settings = load_settings(files, **overrides)
    except BatchrunError as error:
        return [*found, _fault("Settings", error.what, error.hint)]
    return [*found, _journal(settings.journal), *await _service(settings)]


# This machine

PACKAGES = (
    *("httpx", "pandas", "openpyxl", "python-calamine", "sqlalchemy", "typer"),
    *("pydantic", "keyring"),
)
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
NARROW_COLUMNS = 60
"""In columns; a narrower terminal can't show the whole progress bar."""


def _versions() -> list[Finding]:
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    versions = {name: _version(name) for name in PACKAGES}
    packages = ", ".join(f"{name} {found or 'missing'}" for name, found in versions.items())
    extras = []
    for extra, module in EXTRAS.items():
        package = module.replace("_", "-")
        found = _version(package)
        extras.append(f"{extra} ({package} {found})" if found else f"{extra}: not installed")
    return [
        _ok("batchrun", f"{__version__}, Python {platform.python_version()}, {system}"),
        _ok("Packages", packages)
        if all(versions.values())
        else _fault("Packages", packages, repair_hint()),
        _ok("Extras", "; ".join(extras)),
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def examine_terminal(encoding: str, columns: int | None, *, answers: bool) -> Finding:
    """Check the terminal, if output goes to one: then ``columns`` is its width, else ``None``."""
    kind = "no terminal: plain lines instead of a bar"
    if columns is not None:
        kind = f"a terminal, {columns} columns"
    asked = "" if answers else "; nobody can answer a question, so --yes is needed"
    text = f"{kind}, {encoding}{asked}"
    if not encoding.lower().replace("-", "").startswith("utf"):
        advice = "Characters it lacks appear as question marks; PYTHONUTF8=1 helps. "
        return _warning("Terminal", text, f"{advice}Workbooks are not affected.")
    if columns is not None and columns < NARROW_COLUMNS:
        return _warning("Terminal", text, "A wider window shows the whole bar.")
    return _ok("Terminal", text)


def examine_proxies(environment: Mapping[str, str]) -> Finding:
    """Check the variables for proxies and certificates; passwords in them are hidden."""
    given = {
        name: value for name, value in environment.items() if name.upper() in PROXIES and value
    }
    text = ", ".join(f"{name}={without_user(value)}" for name, value in sorted(given.items()))
    missing = [
        name
        for name, value in given.items()
        if name.upper().startswith("SSL_CERT") and not Path(value).exists()
    ]
    if missing:
        return _fault("Proxy", text, f"{', '.join(missing)} leads nowhere: correct or unset it.")
    return _ok("Proxy", text or "none set")


def _configuration(files: Configuration) -> Finding:
    """Check the configuration files in use, and whether others can read stored keys."""
    stored = stored_profiles()
    known = stored.all()
    profiles = ", ".join(f"{one.name} {masked_end(one.end)} ({one.kept})" for one in known.values())
    paths = ", ".join(str(each.path) for each in files.files) or "no batchrun.toml"
    text = f"{paths}; {profiles or 'no profile'}"
    if any(one.kept is KeyStorage.FILE for one in known.values()) and _is_open_to_others(
        stored.path
    ):
        close = quoted_command("chmod", "600", str(stored.path))
        advice = f"Replace the key, since others may know it, and close the file: {close}"
        return _fault("Files", f"{text}; others can read {stored.path}", advice)
    return _ok("Files", text)


def _is_open_to_others(path: Path) -> bool:
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


# The journal

LITTLE_FREE_BYTES = 500_000_000
"""Less free disk space than this causes a warning: a run stores its results in the journal."""

_ELSEWHERE = "Name another place with --journal or BATCHRUN_JOURNAL."


def _journal(location: str) -> Finding:
    if is_server(location):
        return _journal_on_server(location)
    path = Path(location).expanduser().absolute()
    folder = next(each for each in path.parents if each.exists())
    found = _place(path, folder)
    if found is None and path.exists():
        found = _contents(path)
    if found is None:
        found = _ok("Journal", f"none yet; the first run makes {path}")
    free = shutil.disk_usage(folder).free
    if found.verdict is Verdict.FAULT:
        return found
    text = f"{found.text}; {free / 1e9:,.1f} GB free"
    if free < LITTLE_FREE_BYTES:
        return _warning("Journal", text, "Free some disk space before a long run.")
    mode = folder.stat().st_mode
    if os.name == "posix" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        text += f"; every user of this machine can replace files in {folder}"
        return _warning("Journal", text, _ELSEWHERE)
    return replace(found, text=text)


def _place(path: Path, folder: Path) -> Finding | None:
    """Return a problem with the journal's location; ``None`` if there is none."""
    filesystem = network_filesystem(folder.resolve())
    if filesystem is not None:
        return _fault("Journal", f"{path} is on a network drive ({filesystem})", _ELSEWHERE)
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        advice = f"Give yourself permission. {_ELSEWHERE}"
        return _fault("Journal", f"{path} can't be written", advice)
    return None


def _contents(path: Path) -> Finding:
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    )
    try:
        with engine.connect() as connection:
            damage = connection.scalar(sql("PRAGMA quick_check(1)"))
            if damage == "ok":
                found = _usable(connection, str(path), ", whole")
    except SQLAlchemyError as error:
        damage = getattr(error, "orig", error)
    finally:
        engine.dispose()
    if damage != "ok":
        return _fault("Journal", f"{path} is damaged: {damage}", f"Restore a copy. {_ELSEWHERE}")
    if found.verdict is Verdict.OK and _is_open_to_others(path):
        close = quoted_command("chmod", "600", str(path))
        return _warning("Journal", found.text, f"Close it to others: {close}")
    return found


def _usable(connection: Connection, name: str, state: str = "") -> Finding:
    """Check whether what a database holds is a journal that this batchrun can use."""
    schema = ""
    if {"meta", "batches"} <= set(inspect(connection).get_table_names()):
        wanted = select(meta.c.value).where(meta.c.name == "schema_version")
        schema = str(connection.scalar(wanted) or "")
    if not schema.isdecimal() or len(schema) > 9:
        return _fault("Journal", f"{name} is not a journal of batchrun", _ELSEWHERE)
    if int(schema) > SCHEMA_VERSION:
        words = f"{name} was written by a newer batchrun (schema {schema})"
        return _fault("Journal", words, update_hint())
    count = connection.scalar(select(func.count()).select_from(batches)) or 0
    record = f"the record of {plural(count, 'batch', 'batches')}"
    return _ok("Journal", f"{name}, {record}, schema {schema}{state}")


def _journal_on_server(location: str) -> Finding:
    """Check a journal on a database server, in a read-only transaction."""
    name = shown(location)
    try:
        engine = connect_to_server(location)
        try:
            reading = engine.connect().execution_options(postgresql_readonly=True)
            with reading as connection:
                return _on_server(connection, name)
        finally:
            engine.dispose()
    except JournalError as error:
        return _fault("Journal", error.what, error.hint or _ELSEWHERE)
    except SQLAlchemyError as error:
        found = unusable(name, error)
        return _fault("Journal", found.what, found.hint)


def _on_server(connection: Connection, name: str) -> Finding:
    if inspect(connection).get_table_names():
        return _usable(connection, name)
    may = func.has_schema_privilege(func.current_schema(), "CREATE")
    if connection.scalar(select(may)):
        return _ok("Journal", f"none yet; the first run creates it in {name}")
    advice = "Create a database for it, such as: CREATE DATABASE batchrun OWNER USER"
    return _fault("Journal", f"{name}: this user can't create tables there", advice)


# The service

CLOCK_SECONDS = 60.0
"""A clock that is off by more seconds than this causes a warning."""

_UNTRIED = "only a run shows whether it may run them (workflows:execute)"


async def _service(settings: Settings) -> list[Finding]:
    """Check key, network, service, scopes, clock and quota with one request; none without a key."""
    try:
        base_url = checked_base_url(address_of(settings))
    except BatchrunError as error:
        return [_fault("Key", error.what, error.hint, error.exit_code)]
    credentials = None
    try:
        credentials = find_credentials(settings)
        source = "practice" if is_practice(base_url) else key_source(settings)
        key = _ok("Key", f"{masked_key(credentials.key)} ({source}) for {base_url}")
    except BatchrunError as error:
        key = _fault("Key", error.what, error.hint, error.exit_code)
    try:
        network = await _network(base_url, settings.timeout_seconds)
        if credentials is None:
            return [key, replace(network, exit_code=key.exit_code)]
        if network.verdict is Verdict.FAULT:
            return [key, network]
        async with Client(
            credentials.key, base_url, timeout_seconds=settings.timeout_seconds
        ) as client:
            began = time.time()
            probe = await client.probe()
    except BatchrunError as error:
        return [key, _fault("Service", error.what, error.hint, error.exit_code)]
    return [
        key,
        network,
        _answer(probe, base_url),
        *_scopes(probe),
        *_clock(probe, began + probe.seconds / 2, settings.speed),
        *_quota(probe),
    ]


async def _network(base_url: str, timeout_seconds: float) -> Finding:
    """Resolve the host name and open a connection, without sending a request."""
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if not is_loopback(base_url) and proxy_for(base_url) is not None:
        return _ok("Network", f"to {host} through the proxy that is set")
    began = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_seconds):
            loop = asyncio.get_running_loop()
            addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            resolved = time.perf_counter()
            protocol = await _connect(host, port, encrypt=parts.scheme == "https")
            connected = time.perf_counter()
    except (OSError, ssl.SSLError) as error:
        text = f"{host}, port {port}: {describe(error)}"
        return _fault("Network", text, unreachable_hint(base_url), ExitCode.PAUSED)
    return _ok(
        "Network",
        f"{host} is {addresses[0][4][0]} ({(resolved - began) * 1000:.0f} ms), "
        f"{protocol or 'not encrypted'} ({(connected - resolved) * 1000:.0f} ms)",
    )


async def _connect(host: str, port: int, *, encrypt: bool) -> str | None:
    """Connect and disconnect; return the TLS version, ``None`` without TLS."""
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
        text = f"no answer from {base_url}: {probe.reason}"
        return _fault("Service", text, unreachable_hint(base_url), ExitCode.PAUSED)
    if probe.status in {401, 403} or (probe.status == 200 and not probe.reason):
        return _ok("Service", f"answers {took} (HTTP {probe.status})")
    advice = "Try again later; or check the base URL (BATCHRUN_BASE_URL)."
    text = f"HTTP {probe.status} {took}: {probe.reason}"
    return _fault("Service", text, advice, ExitCode.PAUSED)


def _scopes(probe: Probe) -> list[Finding]:
    match probe.status:
        case 200 if not probe.reason:
            seen = plural(probe.workflows, "workflow")
            text = f"the key can list workflows (workflows:read): {seen}; {_UNTRIED}"
            return [_ok("Scopes", text)]
        case 401:
            text = f"the service does not know the key: {probe.reason}"
            advice = "Get your current key and save it with: batchrun login"
        case 403:
            text = f"the key can't list workflows (workflows:read): {probe.reason}; {_UNTRIED}"
            advice = "Ask for a key with the scopes workflows:read and workflows:execute."
        case _:
            return []
    return [_fault("Scopes", text, advice, ExitCode.KEY_REFUSED)]


def _clock(probe: Probe, local: float, speed: float) -> list[Finding]:
    if probe.dated is None or speed != 1:
        return []  # a sandbox in compressed time has its own clock
    off = local - probe.dated
    text = f"{abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the service's"
    if abs(off) > CLOCK_SECONDS:
        return [_warning("Clock", text, "Set it: it decides when the quota's day starts.")]
    return [_ok("Clock", text)]


def _quota(probe: Probe) -> list[Finding]:
    if probe.status is None:
        return []
    quota = probe.quota
    if quota is None or (quota.limit is None and quota.remaining is None):
        return [_ok("Quota", "the service does not say; 60 requests a minute are assumed")]
    resets = "" if quota.reset_seconds is None else f", resets in {quota.reset_seconds:,.0f} s"
    left = "?" if quota.remaining is None else f"{quota.remaining:,}"
    limit = "? requests" if quota.limit is None else plural(quota.limit, "request")
    text = f"{left} of {limit} left{resets}"
    if quota.remaining == 0:
        return [_warning("Quota", text, "Wait for it, or run with --wait.")]
    return [_ok("Quota", text)]
