"""What tests of several packages share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["httpx", "aiohttp"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test by httpx, and by what the extra `fast` brings."""
    name: str = request.param
    if name == "httpx":
        monkeypatch.setattr("batchrun.service.way.find_spec", lambda _: None)
    return name
