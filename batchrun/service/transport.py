"""One HTTP exchange under limits: a reply, or why there is none. It repeats nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol
from urllib.request import getproxies

import httpx

from batchrun.service.classify import NoReply, Reply
from batchrun.service.parsing import read_date, read_quota

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping


BODY_BYTES = 50_000_000
"""The longest body that is read, in bytes."""

# All of these end before the request's first byte: `httpcore` sends none until it has a connection.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

# The first that fits an error, or what it was raised from, is said.
_WORDS: dict[type[BaseException], str] = {
    httpx.ConnectTimeout: "no connection in time",
    httpx.PoolTimeout: "no free connection in time",
    httpx.WriteTimeout: "the request could not be sent in time",
    httpx.ReadTimeout: "no complete answer in time",
    httpx.ProxyError: "the proxy refused the connection",
    ssl.SSLCertVerificationError: "the service's certificate is not trusted",
    ssl.SSLError: "no encrypted connection",
    socket.gaierror: "the host name can't be found",
    ConnectionRefusedError: "the connection was refused",
    ConnectionResetError: "the connection was reset",
    BrokenPipeError: "the connection was reset",
    TimeoutError: "no complete answer in time",
}
_TELLING = frozenset({httpx.ProxyError, ssl.SSLCertVerificationError, ssl.SSLError})


class Answer(Protocol):
    """An answer whose head has come."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case; one given more than once is a list with commas."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, decompressed, as it comes; raises `httpx.RequestError` or `OSError`."""

    async def aclose(self) -> None:
        """Give the connection back, or close it where part of the body is still to come."""


class Wire(Protocol):
    """A way to the service. It follows no redirect and repeats nothing."""

    @property
    def requests_at_once(self) -> int:
        """How many requests it carries at once."""

    async def send(self, method: str, url: str, content: bytes | None) -> Answer:
        """Send a request once.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError: Surely
                nothing was sent.
            httpx.RequestError, OSError: Any other: it may have been sent.
        """

    async def aclose(self) -> None:
        """Close all connections."""


class HttpxWire:
    """The way by httpx.

    Args:
        http: The client to send with.
        requests_at_once: How many connections it has.
    """

    def __init__(self, http: httpx.AsyncClient, requests_at_once: int) -> None:
        self._http = http
        self.requests_at_once = requests_at_once

    async def send(self, method: str, url: str, content: bytes | None) -> Answer:
        """See `Wire`."""
        request = self._http.build_request(method, url, content=content, headers=typed(content))
        return _HttpxAnswer(await self._http.send(request, stream=True))

    async def aclose(self) -> None:
        """See `Wire`."""
        await self._http.aclose()


class _HttpxAnswer:
    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.chunks = response.aiter_bytes
        self.aclose = response.aclose


def typed(content: bytes | None) -> dict[str, str]:
    """The header that says what a body is."""
    return {} if content is None else {"Content-Type": "application/json"}


async def exchange(
    wire: Wire, method: str, url: str, content: bytes | None, *, deadline_seconds: float
) -> Reply | NoReply:
    """Send a request once and read its answer.

    Args:
        wire: The way.
        method: Of HTTP.
        url: Where to.
        content: The body, JSON; ``None`` for none.
        deadline_seconds: When to give up on an answer that trickles in, in seconds.
    """
    answer: Answer | None = None
    body = bytearray()
    flaw = ""
    try:
        async with asyncio.timeout(deadline_seconds):
            answer = await wire.send(method, url, content)
            async for chunk in answer.chunks():
                body += chunk
                if len(body) > BODY_BYTES:
                    flaw = f"answer larger than {BODY_BYTES // 1_000_000} MB"
                    break
    # OSError: the deadline (TimeoutError), and TLS errors that httpx lets through as they are.
    except (httpx.RequestError, OSError) as error:
        if answer is None:
            return NoReply(describe(error), sent=not isinstance(error, _NOT_SENT))
        flaw = f"the answer broke off: {describe(error)}"
    finally:
        if answer is not None:
            await answer.aclose()
    return Reply(
        status=answer.status,
        body=bytes(body),
        quota=read_quota(answer.headers, time.time()),
        location=answer.headers.get("location", ""),
        flaw=flaw,
        dated=read_date(answer.headers),
    )


def describe(error: Exception) -> str:
    """Say in plain words what went wrong on the network."""
    for cause in _causes(error):
        for kind, words in _WORDS.items():
            if isinstance(cause, kind):
                return f"{words} ({cause})" if kind in _TELLING and str(cause) else words
    return str(error).rstrip(".") or f"the connection was lost ({type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and the members of groups among them."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _causes(member)
        error = error.__cause__ or error.__context__


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
    proxy: str | None = None,
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
        proxy: The proxy to use; ``None`` for a direct connection.
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
        from batchrun.service.aiohttp_transport import FastWire

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
            verify=httpx.create_ssl_context(verify=verify, trust_env=trust_env),
            proxy=proxy,
            trust_env=False,  # of the environment, only the proxy and the certificates count
            follow_redirects=False,
        ),
        connections,
    )


def may_be_fast(*, trust_env: bool) -> bool:
    """Whether aiohttp is there (the extra `fast`), and no proxy is set: httpx knows their rules."""
    proxied = trust_env and any(getproxies().get(name) for name in ("http", "https", "all"))
    return not proxied and find_spec("aiohttp") is not None
