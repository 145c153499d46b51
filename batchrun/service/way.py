"""Which way requests take: by aiohttp where it is installed and no proxy is set, else by httpx."""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.request import getproxies

import httpx

from batchrun.service.wire import HttpxWire, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

# An idle connection that the server closes just as a trigger goes out leaves that trigger in
# doubt, so connections are dropped before servers drop them (uvicorn after 5 s, nginx after 75).
KEEPALIVE_SECONDS = 3.0

# Without a quota many requests at once share one commit of the journal, but each may end in doubt
# when the way breaks, and each of httpx's connections makes all its requests slower
# (docs/benchmarks.md, "Without a quota"). A quota has far fewer under way.
HTTPX_AT_ONCE = 20
FAST_AT_ONCE = 64


def open_wire(
    headers: Mapping[str, str],
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    timeout_seconds: float,
    max_connections: int | None,
    encrypted: bool,
    trust_env: bool,
    few_requests: bool = False,
) -> Wire:
    """Open the way to the service.

    Args:
        headers: Sent with each request.
        transport: An httpx transport to send with, whatever is installed.
        timeout_seconds: Of each single step, in seconds.
        max_connections: The most connections at once; ``None`` for as many as serve it well.
        encrypted: Whether the service is at an https address. Where it is not, no certificates are
            read, and nobody's would be trusted.
        trust_env: Whether the environment's proxies and certificates count.
        few_requests: Whether it is for a request or two: then importing aiohttp takes longer than
            it saves.

    Raises:
        httpx.InvalidURL, ValueError, OSError, ImportError: The environment's proxy or certificates
            can't be used.
    """
    # To read the certificates takes longer than most of a short command. A client context without
    # any verifies all the same, so that it refuses whoever would speak TLS.
    verify = True if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if transport is None and not few_requests and may_be_fast(trust_env=trust_env):
        from batchrun.service.fast import FastWire

        return FastWire(
            headers,
            httpx.create_ssl_context(verify=verify, trust_env=trust_env),
            timeout_seconds=timeout_seconds,
            max_connections=max_connections or FAST_AT_ONCE,
            keepalive_seconds=KEEPALIVE_SECONDS,
        )
    connections = max_connections or HTTPX_AT_ONCE
    return HttpxWire(
        httpx.AsyncClient(
            headers=headers,
            timeout=timeout_seconds,
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=KEEPALIVE_SECONDS,
            ),
            transport=transport,
            verify=verify,
            trust_env=trust_env,
            follow_redirects=False,
        ),
        connections,
    )


def may_be_fast(*, trust_env: bool) -> bool:
    """Whether aiohttp is there (the extra `fast`), and no proxy is set: httpx knows their rules."""
    proxied = trust_env and any(getproxies().get(name) for name in ("http", "https", "all"))
    return not proxied and find_spec("aiohttp") is not None
