"""What tests of several packages share."""

from __future__ import annotations

import compileall
import gc
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import keyring
import pytest
from keyring.backends import fail

import batchrun
from tests.postgres import running_server
from tests.preloaded import Popen
from tests.shortcuts import (
    compile_statements_once,
    compile_templates_once,
    hash_keys_once,
    make_tables_once,
    stop_servers_soon,
    take_few_slots,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import WorkerController

    from tests.postgres import PostgresServer

# The same examples each time, and none that fails because a machine is slow. To look for others:
# pytest --hypothesis-profile=default
hypothesis.settings.register_profile(
    "suite", hypothesis.settings.get_profile("ci"), max_examples=50
)
hypothesis.settings.load_profile("suite")

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

# Else each process that the tests start compiles the package again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

WORKBOOKS, WAITING, BROWSER = "tests/workbook/", "tests/acceptance/", "tests/web/"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what is imported and collected out of all garbage collections: it is never freed."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Compile the package once, and not in each process."""
    compileall.compile_dir(Path(batchrun.__file__).parent, quiet=2, workers=0)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three processes per core: many tests wait for processes and clocks."""
    del config
    return 3 * (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Give each process its next test when it is free, so that all end together.

    Half of the processes leave the tests that mostly wait to the others, while there are others
    that need no browser: so the cores are busy from the start.

    The tests of workbooks are one piece, and begin first: LibreOffice comes last of them, and opens
    what its own process has written. (`xdist_group` has no effect with pytest 9.2 and xdist 3.8.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneByOne(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return WORKBOOKS if nodeid.startswith(WORKBOOKS) else nodeid

        def _assign_work_unit(self, node: WorkerController) -> None:
            computes = (test for test in self.workqueue if not test.startswith((WAITING, BROWSER)))
            if self.nodes.index(node) % 2 == 0 and (found := next(computes, None)):
                self.workqueue.move_to_end(found, last=False)
            super()._assign_work_unit(node)

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
def shortcuts() -> Iterator[None]:
    """See there."""
    with pytest.MonkeyPatch.context() as patch:
        hash_keys_once(patch)
        compile_statements_once(patch)
        compile_templates_once(patch)
        make_tables_once(patch)
        stop_servers_soon(patch)
        take_few_slots(patch)
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
