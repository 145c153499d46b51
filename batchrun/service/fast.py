"""httpx's transport over aiohttp's connections: the fast way, for who has the extra `fast`.

httpx's own pool looks through its connections at each request and sends each twice as slowly for
it; docs/benchmarks.md has the figures. httpx-aiohttp is not used: it tells a server that hung up
as a connection that was never made, and a trigger would be sent, and paid for, twice. Here only
what aiohttp raises while it connects is told as such; everything else leaves a request in doubt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import httpx
from yarl import URL

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

_TURNS = 4
"""A connection that the other side has closed shows when the loop has looked at its sockets: one
turn to see it, three with TLS to act on it. A trigger sent on it would be in doubt. (httpx looks
at the socket itself.)"""


class FastTransport(httpx.AsyncBaseTransport):
    """Sends each request once and directly: no proxy, no cookies, no redirects.

    Args:
        context: Whom to trust.
        max_connections: The most connections at once.
        keepalive_seconds: How long an idle connection is kept.
    """

    def __init__(
        self, context: ssl.SSLContext, *, max_connections: int, keepalive_seconds: float
    ) -> None:
        self._context = context
        self._context.set_alpn_protocols(["http/1.1"])
        self._max_connections = max_connections
        self._keepalive_seconds = keepalive_seconds
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once.

        Raises:
            httpx.ConnectError: There was no connection, and nothing was sent.
            httpx.ConnectTimeout: The same, for it took too long.
            httpx.TransportError: Any other: it may have been sent.
        """
        session = self._session = self._session or self._open()
        if request.method == "POST":
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        try:
            response = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                timeout=_timeout(request),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _told(error) from error
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_Body(response), request=request
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._max_connections,
                keepalive_timeout=self._keepalive_seconds,
                ssl=self._context,
                resolver=aiohttp.ThreadedResolver(),  # the system's, as everywhere
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # httpx does
            trust_env=False,
            middlewares=[_once],
        )


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _told(error) from error

    async def aclose(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:  # what is still under way belongs to no other request
            self._response.close()


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a GET whose connection broke: it repeats its own errors only."""
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _told(error) from error


def _told(error: Exception) -> httpx.TransportError:
    """The same error in httpx's words. Whatever may come after the first byte is a read error."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(str(error))
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(str(error))
        case TimeoutError():
            return httpx.ReadTimeout(str(error))
        case _:
            return httpx.ReadError(str(error))


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    seconds: dict[str, float | None] = request.extensions.get("timeout", {})
    connect, pool = seconds.get("connect"), seconds.get("pool")
    both = None if connect is None or pool is None else connect + pool
    return aiohttp.ClientTimeout(
        total=None, connect=both, sock_connect=connect, sock_read=seconds.get("read")
    )
