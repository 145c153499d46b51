"""What tests of several packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import keyring
import pytest
from keyring.backends import fail

from tests.postgres import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import PostgresServer

# The same examples each time, and none that fails because a machine is slow. To look for others:
# pytest --hypothesis-profile=default
hypothesis.settings.load_profile("ci")

HOMES = (
    *("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
)


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, and no process a test starts, meets anybody's real files or keyring."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in HOMES:
            patch.setenv(name, str(home))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        keyring.set_keyring(fail.Keyring())
        yield


@pytest.fixture(params=["httpx", "aiohttp"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test by httpx, and by what the extra `fast` brings."""
    name: str = request.param
    if name == "httpx":
        monkeypatch.setattr("batchrun.service.way.find_spec", lambda _: None)
    return name


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own; each test takes a database or stops it."""
    with running_server() as server:
        yield server
