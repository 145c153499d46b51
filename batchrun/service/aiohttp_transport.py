"""The fast way to the service, by aiohttp: for who has the extra `fast`.

httpx takes several times as long for a request, most of it in the pool of its connections;
docs/benchmarks.md has the figures. httpx-aiohttp is not used: it tells a server that hung up as a
connection that was never made, and a trigger would be sent, and paid for, twice. Here only what
aiohttp raises while it connects is told as such; everything else leaves a request in doubt.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import httpx
from yarl import URL

from batchrun.service.transport import Answer, typed

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

_TURNS = 4
"""A connection that the other side has closed shows when the loop has looked at its sockets: one
turn to see it, three with TLS to act on it. A trigger sent on it would be in doubt. (httpx looks
at the socket itself.)"""


class FastWire:
    """Sends each request once and directly: no proxy, no cookies, no redirects.

    Args:
        headers: Sent with each request.
        context: Whom to trust.
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
            connect=2 * timeout_seconds,  # a free connection, and where there is none, a new one
            sock_connect=timeout_seconds,
            sock_read=timeout_seconds,
        )
        self.requests_at_once = max_connections
        self._keepalive_seconds = keepalive_seconds
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, url: str, content: bytes | None) -> Answer:
        """See `Wire`."""
        session = self._session = self._session or self._open()
        if method == "POST":
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        try:
            return _FastAnswer(
                await session.request(
                    method,
                    URL(url, encoded=True),
                    headers=typed(content),
                    data=content,
                    allow_redirects=False,
                )
            )
        except aiohttp.ClientError as error:
            raise _told(error) from error

    async def aclose(self) -> None:
        """See `Wire`."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """A session; it belongs to the running loop."""
        return aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(
                limit=self.requests_at_once,
                keepalive_timeout=self._keepalive_seconds,
                ssl=self._context,
                resolver=aiohttp.ThreadedResolver(),  # the system's, as everywhere
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            trust_env=False,
            middlewares=[_once],
        )


class _FastAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: dict[str, str] = {}
        for name, value in response.headers.items():  # one given twice is a list, as in httpx
            known = self.headers.get(name.lower())
            self.headers[name.lower()] = value if known is None else f"{known}, {value}"
        self._response = response

    async def chunks(self) -> AsyncIterator[bytes]:
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
