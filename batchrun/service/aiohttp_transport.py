"""Sends requests with aiohttp (the extra `fast`).

httpx takes several times as long per request, mostly in its connection pool; docs/benchmarks.md has
the figures. httpx-aiohttp is not an option: it reports a connection that the server dropped as one
that was never made, so a trigger would be sent, and paid for, twice. Here, only errors that aiohttp
raises while connecting count as not sent. After any other error the request is in doubt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import httpx
from yarl import URL

from batchrun.service.transport import AIOHTTP_AT_ONCE, KEEPALIVE_SECONDS

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_LOOP_PASSES = 4
"""Passes of the event loop before a request is sent, so a dead connection is not reused.

The loop notices that a pooled connection was closed, or received more bytes, when it polls its
sockets: one pass to see it, three with TLS to act on it. A trigger sent on such a connection would
be in doubt. (httpx checks the socket itself.)"""


class AiohttpTransport:
    """Sends each request once and directly: no proxy, cookies, or redirects."""

    def __init__(self, context: ssl.SSLContext, timeout_seconds: float) -> None:
        context.set_alpn_protocols(["http/1.1"])
        self._context = context
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Response:
        """See `Transport`."""
        session = self._session = self._session or self._open()
        for _ in range(_LOOP_PASSES):
            await asyncio.sleep(0)
        try:
            response = await session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=content,
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise _as_httpx_error(error) from error
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_Stream(response)
        )

    async def aclose(self) -> None:
        """See `Transport`."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Open a session, which belongs to the running event loop."""
        return aiohttp.ClientSession(
            connector=_Connector(
                limit=AIOHTTP_AT_ONCE,
                keepalive_timeout=KEEPALIVE_SECONDS,
                ssl=self._context,
                resolver=aiohttp.ThreadedResolver(),  # the system's resolver, as httpx uses
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=2 * self._timeout_seconds,  # waiting for a free connection, making one
                sock_connect=self._timeout_seconds,
                sock_read=self._timeout_seconds,
            ),
            auto_decompress=False,  # `exchange` does it, with size limits
            trust_env=False,
            middlewares=[_send_once],
        )


class _Connector(aiohttp.TCPConnector):
    """Never reuses a connection that has received bytes since its last answer.

    Those bytes would be taken for the answer to the next request. aiohttp checks for them when a
    connection goes back to the pool, but not when it is taken out again.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's own signature
    ) -> Connection:
        """Return a clean connection, new or reused."""
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
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
    """Keep aiohttp from repeating a GET whose connection broke: it only retries its own errors."""
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _as_httpx_error(error) from error


def _as_httpx_error(error: Exception) -> httpx.TransportError:
    """Convert to the httpx error; anything after the first byte was sent is a read error."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(str(error))
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(str(error))
        case TimeoutError():
            return httpx.ReadTimeout(str(error))
        case aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError("the answer can't be read")
        case aiohttp.ClientPayloadError():  # its text is a dump of the parser's state
            return httpx.RemoteProtocolError("the connection was closed before its end")
        case _:
            return httpx.ReadError(str(error))
