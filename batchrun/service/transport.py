"""One HTTP exchange, within limits: a reply, or the reason for none. Nothing is sent twice."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
import zlib
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from batchrun.errors import UsageError, with_causes
from batchrun.installation import install_hint
from batchrun.service.answers import NoReply, Reply
from batchrun.service.parsing import http_date, read_quota, tidy
from batchrun.settings.location import is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping


BODY_BYTES = 50_000_000
"""Maximum size of a body, in bytes, both before and after decompression."""

GZIP_MEMBERS = 1_000
"""Maximum number of members of a gzip body: an empty one has 20 bytes, but costs as much time as
thousands of bytes."""

_GZIP = 16 + zlib.MAX_WBITS

# All of these are raised before the first byte of a request: httpcore sends nothing until it has a
# connection.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

# Ordered: the first entry that matches an error or one of its causes is shown.
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
    httpx.ProtocolError: "the answer can't be read",
}
_CLOSED = re.compile("Server disconnected|peer closed|the connection was closed")
_CLOSED_WORDS = "the connection was closed before its end"
_SHOWN_WITH_CAUSE = frozenset({httpx.ProxyError, ssl.SSLCertVerificationError, ssl.SSLError})


class Transport(Protocol):
    """Sends requests. It follows no redirect, repeats no request, and keeps no cookies."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Response:
        """Send a request once; the body of the response is still to be read.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError: Nothing
                was sent.
            httpx.RequestError, OSError: Anything else; the request may have been sent.
        """

    async def aclose(self) -> None:
        """Close all connections."""


class HttpxTransport(httpx.AsyncHTTPTransport):
    """Sends requests with httpx; a step of one may take `timeout_seconds`."""

    def __init__(self, timeout_seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._extensions = {"timeout": httpx.Timeout(timeout_seconds).as_dict()}

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Response:
        """See `Transport`."""
        request = httpx.Request(
            method, url, headers=headers, content=content, extensions=self._extensions
        )
        return await self.handle_async_request(request)


async def _release(response: httpx.Response) -> None:
    """Return the connection to its pool, or close it if bytes of the answer may be unread."""
    connection = response.extensions.get("network_stream")
    if connection is not None and _has_unread_bytes(response):
        await connection.aclose()  # so the pool does not reuse it
    await response.aclose()


def _has_unread_bytes(response: httpx.Response) -> bool:
    """Whether more bytes arrived after the end of an answer.

    They would be taken for the answer to the next request. Before httpcore reuses a connection it
    checks the socket, but not the bytes it has already read, in h11's and TLS's buffers. h11's
    buffer is not public; if it can't be found, the connection counts as unclean.
    """
    at: object = response.stream
    for name in ("_httpcore_stream", "_stream", "_connection", "_h11_state"):
        at = getattr(at, name, None)
    received = getattr(at, "trailing_data", None)
    if received is None or received[0]:
        return True
    encrypted = response.extensions["network_stream"].get_extra_info("ssl_object")
    if encrypted is None:
        return False
    try:
        encrypted.read(1)  # reads from memory; SSLWantReadError means that it is empty
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        pass
    return True


async def _receive(
    body: httpx.SyncByteStream | httpx.AsyncByteStream,
    headers: Mapping[str, str],
    content: bytearray,
) -> str:
    """Collect and decompress a body, up to `BODY_BYTES`; return why it is unusable, or ``""``.

    A few kilobytes of gzip can expand to gigabytes, so it is decompressed step by step. Nested
    encodings are refused, because each one multiplies the expansion.
    """
    codings = headers.get("content-encoding", "")
    names = [name for part in codings.split(",") if (name := part.strip().lower())]
    if names not in ([], ["identity"], ["gzip"], ["x-gzip"]):
        return f"the answer is encoded as {tidy(codings)}, which batchrun doesn't read"
    inflater = None if names in ([], ["identity"]) else zlib.decompressobj(_GZIP)
    received, members = 0, 1
    assert isinstance(body, httpx.AsyncByteStream)
    async for chunk in body:
        received += len(chunk)
        packed = chunk
        if inflater is None:
            content += chunk
        while inflater is not None and packed and len(content) <= BODY_BYTES:
            if inflater.eof:  # a gzip file may have several members
                inflater, members = zlib.decompressobj(_GZIP), members + 1
            if members > GZIP_MEMBERS:
                return f"the answer is gzip in more than {GZIP_MEMBERS:,} pieces"
            try:
                content += inflater.decompress(packed, BODY_BYTES + 1 - len(content))
            except zlib.error:
                return "the answer is not the gzip that it says it is"
            packed = inflater.unconsumed_tail or inflater.unused_data
        if max(received, len(content)) > BODY_BYTES:
            return f"answer larger than {BODY_BYTES // 1_000_000} MB"
    if inflater is not None and received and not inflater.eof:
        return "the answer broke off: its gzip is incomplete"
    return ""


async def exchange(sent: Awaitable[httpx.Response], deadline_seconds: float) -> Reply | NoReply:
    """Await a request's response and read it; give up on a slow one after `deadline_seconds`."""
    response: httpx.Response | None = None
    content = bytearray()
    try:
        async with asyncio.timeout(deadline_seconds):
            response = await sent
            headers = dict(response.headers.items())  # faster to look up; in lower case
            body_error = await _receive(response.stream, headers, content)
    # OSError covers the deadline (TimeoutError) and TLS errors that httpx doesn't wrap.
    except (httpx.RequestError, OSError) as error:
        if response is None:
            return NoReply(describe(error), sent=not isinstance(error, _NOT_SENT))
        body_error = f"the answer broke off: {describe(error)}"
    finally:
        if response is not None:
            await _release(response)
    return Reply(
        status=response.status_code,
        body=bytes(content),
        quota=read_quota(headers, time.time()),
        location=headers.get("location", ""),
        body_error=body_error,
        dated=http_date(headers.get("date", "")),
    )


def describe(error: Exception) -> str:
    """Describe a network error in plain words."""
    for cause in with_causes(error):
        if _CLOSED.match(str(cause)):
            return _CLOSED_WORDS
        for kind, words in _WORDS.items():
            if isinstance(cause, kind):
                return f"{words} ({cause})" if kind in _SHOWN_WITH_CAUSE and str(cause) else words
    return str(error).rstrip(".") or f"the connection was lost ({type(error).__name__})"


_OWN_WORDS = (
    *(*_WORDS.values(), _CLOSED_WORDS, "the answer broke off", "the answer is encoded"),
    *("the answer is not the gzip", "the answer is gzip in", "answer larger"),
)


def fault_for_log(fault: str) -> str | None:
    """Return a fault in batchrun's words (logs never quote the service's); ``None`` for none."""
    if not fault:
        return None
    return next((words for words in _OWN_WORDS if fault.startswith(words)), "the request failed")


# It never repeats a proxy's password.
_UNUSABLE_ENVIRONMENT = (
    "A proxy or certificate file set in the environment can't be used.",
    "Check HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
)

# If the server closes an idle connection just as a trigger is sent on it, that trigger is in doubt.
# So idle connections are dropped before servers drop them (uvicorn after 5 s, nginx after 75 s).
KEEPALIVE_SECONDS = 3.0

# Without a quota, many concurrent requests share one commit of the journal. But each may end in
# doubt if the network breaks, and each of httpx's connections slows down its other requests
# (docs/benchmarks.md, "Without a quota"). With a quota, far fewer run at once.
HTTPX_AT_ONCE = 20
AIOHTTP_AT_ONCE = 64


def open_transport(
    base_url: str, timeout_seconds: float, *, few_requests: bool = False
) -> tuple[Transport, int]:
    """Open a transport: aiohttp if it is installed and no proxy is set, otherwise httpx.

    Args:
        base_url: The service's address. The environment's proxies and certificates don't apply to
            this machine.
        timeout_seconds: Timeout of each single step, in seconds.
        few_requests: Whether only one or two requests are sent. Importing aiohttp would then take
            longer than it saves.

    Returns:
        The transport, and its maximum number of concurrent requests.

    Raises:
        UsageError: The environment's proxy or certificates can't be used.
    """
    trust_env = not is_loopback(base_url)
    proxy = proxy_for(base_url) if trust_env else None
    # Reading the certificates takes longer than the rest of a short command. A client context
    # without any still verifies, so it refuses every TLS server.
    encrypted = urlsplit(base_url).scheme == "https"
    verify = True if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # httpx handles proxies.
    proxied = trust_env and any(getproxies().get(name) for name in ("http", "https", "all"))
    try:
        context = httpx.create_ssl_context(verify=verify, trust_env=trust_env)
        if not (few_requests or proxied) and find_spec("aiohttp") is not None:
            from batchrun.service.aiohttp_transport import AiohttpTransport

            return AiohttpTransport(context, timeout_seconds), AIOHTTP_AT_ONCE
        limits = httpx.Limits(
            max_connections=HTTPX_AT_ONCE,
            max_keepalive_connections=HTTPX_AT_ONCE,
            keepalive_expiry=KEEPALIVE_SECONDS,
        )
        transport = HttpxTransport(timeout_seconds, verify=context, limits=limits, proxy=proxy)
    except (httpx.InvalidURL, ValueError, OSError, ImportError):
        raise UsageError(*_UNUSABLE_ENVIRONMENT) from None
    return transport, HTTPX_AT_ONCE


def proxy_for(base_url: str) -> str | None:
    """Return the proxy for an address, or ``None`` for a direct connection.

    ``NO_PROXY`` may list names, addresses, and networks, including IPv6 with or without brackets.

    Raises:
        UsageError: The proxy's address is invalid, or it is a SOCKS proxy and the package for
            those is not installed.
    """
    parts, proxies = urlsplit(base_url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    if not proxy or proxy_bypass(host) or _in_networks(host, proxies.get("no", "")):
        return None
    if proxy.lower().startswith("socks") and find_spec("socksio") is None:
        raise UsageError(
            "The environment sets a SOCKS proxy, and the package for those is not installed.",
            install_hint("socks"),
        )
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        _ = urlsplit(proxy).port
    except ValueError:
        raise UsageError(*_UNUSABLE_ENVIRONMENT) from None
    return proxy


def _in_networks(host: str, no_proxy: str) -> bool:
    for entry in re.split(r"[\s,]+", no_proxy):
        with suppress(ValueError):  # one of them is a name
            network = ipaddress.ip_network(re.sub(r"[\[\]]", "", entry), strict=False)
            if ipaddress.ip_address(host) in network:
                return True
    return False
