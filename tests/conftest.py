"""What tests of several packages share."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import signal
import ssl
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import keyring
import pytest
from keyring.backends import fail
from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from batchrun.journal import journal
from tests.postgres import running_server
from tests.preloaded import Popen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

    from tests.postgres import PostgresServer

# The same examples each time, and none that fails because a machine is slow. To look for others:
# pytest --hypothesis-profile=default
hypothesis.settings.load_profile("ci")

# A background job and nohup have signals ignored, and a process inherits that: batchrun, too, which
# then must not react to them. A handler is not inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

HOMES = (
    *("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
)

WORKBOOKS = "tests/workbook/"

SALT_BYTES = 16
"""Of a journal's salt; what else it draws has other sizes, and stays as it is."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes per core: many tests wait for processes and clocks."""
    del config
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Give each process its next test when it is free, so that all end together.

    The tests of workbooks are one piece, and begin first: LibreOffice comes last of them, and opens
    what its own process has written. (`xdist_group` has no effect with pytest 9.2 and xdist 3.8.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneByOne(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return WORKBOOKS if nodeid.startswith(WORKBOOKS) else nodeid

    return OneByOne(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, and no process a test starts, meets anybody's real files, keyring or settings."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("BATCHRUN_", "PGAI_")) and not name.startswith("BATCHRUN_TESTS_"):
                patch.delenv(name)
        for name in HOMES:
            patch.setenv(name, str(home))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        keyring.set_keyring(fail.Keyring())
        yield


@pytest.fixture(scope="session", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """The certificates to trust are read once: to do so for each client takes most of a test."""
    read, contexts = httpx.create_ssl_context, dict[object, ssl.SSLContext]()

    def read_once(**how: Any) -> ssl.SSLContext:
        asked = (*sorted(how.items()), *map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR")))
        if asked not in contexts:
            contexts[asked] = read(**how)
        return contexts[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "create_ssl_context", read_once)
        patch.setattr("httpx._transports.default.create_ssl_context", read_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def keys_hashed_once() -> Iterator[None]:
    """What is slow on purpose is done once for each key: all journals have one salt."""
    salt = secrets.token_hex(SALT_BYTES)

    def drawn(size: int) -> str:
        return salt if size == SALT_BYTES else secrets.token_hex(size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashlib, "scrypt", functools.cache(hashlib.scrypt))
        patch.setattr(journal, "secrets", SimpleNamespace(token_hex=drawn))
        yield


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """SQL is compiled once for all journals in files: each engine would do it again."""
    cache = LRUCache[Any, Any](1_000)
    with pytest.MonkeyPatch.context() as patch:
        # The dialect is part of a statement's key there.
        patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda self: hash(type(self)))
        patch.setattr(SQLiteDialect_pysqlite, "__eq__", lambda self, one: type(self) is type(one))
        patch.setattr(
            Engine, "_compiled_cache", property(lambda _: cache, lambda *_: None), raising=False
        )
        yield


@pytest.fixture(params=["httpx", "aiohttp"])
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with httpx, and with aiohttp (the extra `fast`)."""
    name: str = request.param
    if name == "httpx":
        monkeypatch.setattr("batchrun.service.transport.find_spec", lambda _: None)
    return name


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own; each test takes a database or stops it."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def readers_forked() -> Iterator[None]:
    """A workbook is read in a process that is forked: to start Python takes longer than to read."""
    from batchrun.tables import isolated

    names = ("DEVNULL", "PIPE")
    forking = SimpleNamespace(Popen=Popen, **{name: getattr(subprocess, name) for name in names})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolated, "subprocess", forking)
        yield
