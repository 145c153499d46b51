"""Which transport requests leave by."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.request import getproxies

import httpx


def fastest_transport(limits: httpx.Limits, *, trust_env: bool) -> httpx.AsyncBaseTransport | None:
    """The transport over aiohttp; ``None`` for httpx's own.

    httpx's own is for who has no aiohttp (the extra `fast`), and for who has set a proxy, whatever
    it is for: httpx knows the rules.

    Args:
        limits: Of connections.
        trust_env: Whether the environment's proxies and certificates count.

    Raises:
        OSError: A certificate file of the environment can't be read.
    """
    if find_spec("aiohttp") is None:
        return None
    if trust_env and any(getproxies().get(scheme) for scheme in ("http", "https", "all")):
        return None
    from batchrun.service.fast import FastTransport

    return FastTransport(
        httpx.create_ssl_context(trust_env=trust_env),
        max_connections=limits.max_connections or 0,
        keepalive_seconds=limits.keepalive_expiry or 0.0,
    )
