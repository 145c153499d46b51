"""What tests of several packages share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["httpx", "aiohttp"])
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test over httpx's own transport, and over the one of the extra `fast`."""
    name: str = request.param
    if name == "httpx":
        monkeypatch.setattr("batchrun.service.client.fastest_transport", lambda *_, **__: None)
    return name
