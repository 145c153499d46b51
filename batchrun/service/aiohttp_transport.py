"""Requests by aiohttp, with the extra `fast`.

httpx takes several times as long for a request, most of it in its connection pool;
docs/benchmarks.md has the figures. httpx-aiohttp is not used: it reports a server that hung up as a
connection that was never made, and a trigger would be sent, and paid for, twice. Here only what
aiohttp raises while it connects counts as not sent; everything else leaves a request in doubt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import httpx
from yarl import URL

from batchrun.service.transport import Answer, content_headers

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_LOOP_PASSES = 4
"""The event loop notices that a connection was closed, or that more bytes arrived on it, when it
polls its sockets: one pass to see it, three with TLS to act on it. A trigger sent on it would be in
doubt. (httpx looks at the socket itself.)"""


class AiohttpTransport:
    """Sends each request once and directly: no proxy, no cookies, no redirects.

    Args:
        headers: Sent with each request.
        context: Which certificates to trust.
        timeout_seconds: Of each single step, in seconds.
        max_connections: The most connections at once.
        keepalive_seconds: How long an idle connection is kept.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        context: ssl.SSLContext,
        *,
        timeout_seconds: float,
        max_connections: int,
        keepalive_seconds: float,
    ) -> None:
        self._headers = headers
        self._context = context
        self._context.set_alpn_protocols(["http/1.1"])
        self._timeout = aiohttp.ClientTimeout(
            total=None,
            connect=2 * timeout_seconds,  # waiting for a free connection, then making one
            sock_connect=timeout_seconds,
            sock_read=timeout_seconds,
        )
        self.requests_at_once = max_connections
        self._keepalive_seconds = keepalive_seconds
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, url: str, content: bytes | None) -> Answer:
        """See `Transport`."""
        session = self._session = self._session or self._open()
        for _ in range(_LOOP_PASSES):
            await asyncio.sleep(0)
        try:
            return _AiohttpAnswer(
                await session.request(
                    method,
                    URL(url, encoded=True),
                    headers=content_headers(content),
                    data=content,
                    allow_redirects=False,
                )
            )
        except aiohttp.ClientError as error:
            raise _as_httpx_error(error) from error

    async def aclose(self) -> None:
        """See `Transport`."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """A session; it belongs to the running loop."""
        return aiohttp.ClientSession(
            headers=self._headers,
            connector=_Connector(
                limit=self.requests_at_once,
                keepalive_timeout=self._keepalive_seconds,
                ssl=self._context,
                resolver=aiohttp.ThreadedResolver(),  # the system's, as everywhere
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,  # done within limits by `exchange`
            trust_env=False,
            middlewares=[_send_once],
        )


class _Connector(aiohttp.TCPConnector):
    """Uses no connection again on which bytes have arrived since the last answer.

    They would be taken for the answer to the next request. aiohttp checks that when a connection
    goes back to the pool, not when it leaves it.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's own signature
    ) -> Connection:
        """A clean connection, new or used."""
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


class _AiohttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: dict[str, str] = {}
        for name, value in response.headers.items():  # repeated headers are joined, as in httpx
            known = self.headers.get(name.lower())
            self.headers[name.lower()] = value if known is None else f"{known}, {value}"
        self._response = response

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _as_httpx_error(error) from error

    async def aclose(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:  # the rest of this answer must not reach another request
            self._response.close()


async def _send_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a GET whose connection broke: it only repeats its own errors."""
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _as_httpx_error(error) from error


def _as_httpx_error(error: Exception) -> httpx.TransportError:
    """The same error as httpx would raise; one after the first byte sent is a read error."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(str(error))
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(str(error))
        case TimeoutError():
            return httpx.ReadTimeout(str(error))
        case aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError("the answer is not valid HTTP")
        case _:
            return httpx.ReadError(str(error))
