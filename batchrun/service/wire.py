"""One HTTP exchange under limits: a reply, or why there is none. It repeats nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import TYPE_CHECKING

import httpx

from batchrun.service.classify import NoReply, Reply
from batchrun.service.headers import read_quota

if TYPE_CHECKING:
    from collections.abc import Iterator

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


async def exchange(
    http: httpx.AsyncClient, request: httpx.Request, *, deadline_seconds: float
) -> Reply | NoReply:
    """Send a request once and read its answer.

    Args:
        http: The client to send with.
        request: What to send.
        deadline_seconds: When to give up on an answer that trickles in, in seconds.
    """
    response: httpx.Response | None = None
    body = bytearray()
    flaw = ""
    try:
        async with asyncio.timeout(deadline_seconds):
            response = await http.send(request, stream=True)
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > BODY_BYTES:
                    flaw = f"answer larger than {BODY_BYTES // 1_000_000} MB"
                    break
    # OSError: the deadline (TimeoutError), and TLS errors that httpx lets through as they are.
    except (httpx.RequestError, OSError) as error:
        if response is None:
            return NoReply(describe(error), sent=not isinstance(error, _NOT_SENT))
        flaw = f"the answer broke off: {describe(error)}"
    finally:
        if response is not None:
            await response.aclose()
    return Reply(
        status=response.status_code,
        body=bytes(body),
        quota=read_quota(response.headers, time.time()),
        location=response.headers.get("location", ""),
        flaw=flaw,
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
