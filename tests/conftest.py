"""What tests of several packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.postgres import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import PostgresServer


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
