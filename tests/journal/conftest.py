"""Where the journals of these tests live: in a file, and on a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import PostgresServer


@pytest.fixture
def has_tables() -> bool:
    """Whether a journal on a server already has its tables; a module may override it."""
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
def location(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_tables: bool,
) -> Iterator[str]:
    """A journal that is still empty; each test runs with one of both kinds."""
    # Locks and rescue files of a server's journal lie in the user's folder.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if request.param == "sqlite":
        yield str(tmp_path / "journal.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.journal(has_tables=has_tables) as url:
        yield url


@pytest.fixture
def journal(location: str) -> Iterator[Journal]:
    """The same, opened."""
    with Journal(location) as opened:
        yield opened
