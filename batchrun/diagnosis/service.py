"""The service: found, reached, answering; what the key may do, the clock, the quota."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from batchrun.access import find_access
from batchrun.diagnosis.finding import Finding, Verdict, finding_of
from batchrun.errors import BatchrunError, ExitCode
from batchrun.service import Client
from batchrun.service.wire import describe
from batchrun.settings.address import checked_base_url, is_loopback
from batchrun.settings.wording import masked_key
from batchrun.words import plural

if TYPE_CHECKING:
    from batchrun.service import Probe
    from batchrun.settings import Settings

CLOCK_SECONDS = 60.0
"""A clock that is further off than this is worth a word."""

_UNTRIED = "workflows:execute can't be tried without paying"


async def examine_service(settings: Settings) -> list[Finding]:
    """Whether the service can be used; one request."""
    try:
        access = find_access(settings)
        base_url = checked_base_url(access.base_url)
    except BatchrunError as error:
        return [finding_of("Key", error)]
    whose = "PGAI_API_KEY" if access.profile is None else f"profile {access.profile}"
    found = [Finding("Key", Verdict.OK, f"{masked_key(access.key)} ({whose}) for {base_url}")]
    way = await _way(base_url, settings.timeout_seconds)
    found.append(way)
    if way.verdict is Verdict.FAULT:
        return found
    try:
        async with Client(access.key, base_url, timeout_seconds=settings.timeout_seconds) as client:
            began = time.time()
            probe = await client.probe()
    except BatchrunError as error:
        return [
            *found,
            finding_of("Service", error),
        ]
    return [
        *found,
        _answer(probe, base_url),
        *_scopes(probe),
        *_clock(probe, began + probe.seconds / 2, settings.speed),
        *_quota(probe),
    ]


async def _way(base_url: str, patience_seconds: float) -> Finding:
    """Whether the address is found, and an encrypted connection comes about; no request."""
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxied = any(getproxies().get(name) for name in (parts.scheme, "all"))
    if proxied and not is_loopback(base_url) and not proxy_bypass(host):
        return Finding("Way", Verdict.OK, f"to {host} by the proxy that is set")
    began = time.perf_counter()
    try:
        async with asyncio.timeout(patience_seconds):
            loop = asyncio.get_running_loop()
            addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            named = time.perf_counter() - began
            encrypted = await _connect(host, port, encrypt=parts.scheme == "https")
            connected = time.perf_counter() - began - named
    except (OSError, ssl.SSLError) as error:
        return Finding(
            "Way",
            Verdict.FAULT,
            f"{host}, port {port}: {describe(error)}",
            "Check the network, a firewall, the proxy and the base URL (BATCHRUN_BASE_URL).",
            ExitCode.PAUSED,
        )
    found = addresses[0][4][0]
    text = (
        f"{host} is {found} ({named * 1000:.0f} ms), {encrypted or 'not encrypted'} "
        f"({connected * 1000:.0f} ms)"
    )
    return Finding("Way", Verdict.OK, text)


async def _connect(host: str, port: int, *, encrypt: bool) -> str | None:
    """Connect and hang up; the protocol that encrypts."""
    context = httpx.create_ssl_context() if encrypt else None
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        secured: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        return None if secured is None else secured.version()
    finally:
        writer.close()


def _answer(probe: Probe, base_url: str) -> Finding:
    took = f"after {probe.seconds * 1000:.0f} ms"
    if probe.status is None:
        return Finding(
            "Service",
            Verdict.FAULT,
            f"no answer from {base_url}: {probe.reason}",
            "Check the network, the proxy and the base URL (BATCHRUN_BASE_URL).",
            ExitCode.PAUSED,
        )
    if probe.status in {200, 401, 403} and (probe.status != 200 or not probe.reason):
        return Finding("Service", Verdict.OK, f"answers {took} (HTTP {probe.status})")
    advice = "Try again later; or check the base URL (BATCHRUN_BASE_URL)."
    text = f"HTTP {probe.status} {took}: {probe.reason}"
    return Finding("Service", Verdict.FAULT, text, advice, ExitCode.PAUSED)


def _scopes(probe: Probe) -> list[Finding]:
    refused = ExitCode.KEY_REFUSED
    match probe.status:
        case 200 if not probe.reason:
            text = f"workflows:read: yes, {plural(probe.workflows, 'workflow')}; {_UNTRIED}"
            return [Finding("Scopes", Verdict.OK, text)]
        case 401:
            advice = "Get the current key, and keep it with: batchrun login"
            text = f"the service does not know the key: {probe.reason}"
            return [Finding("Scopes", Verdict.FAULT, text, advice, refused)]
        case 403:
            advice = "Have the key given workflows:read and workflows:execute."
            text = f"workflows:read: no ({probe.reason}); {_UNTRIED}"
            return [Finding("Scopes", Verdict.FAULT, text, advice, refused)]
        case _:
            return []


def _clock(probe: Probe, local: float, speed: float) -> list[Finding]:
    if probe.dated is None or speed != 1:
        return []  # a sandbox that is faster than the clock has a time of its own
    off = local - probe.dated
    text = f"{abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the service's"
    if abs(off) > CLOCK_SECONDS:
        advice = "Set it: the day of the quota is reckoned by it."
        return [Finding("Clock", Verdict.WARNING, text, advice)]
    return [Finding("Clock", Verdict.OK, text)]


def _quota(probe: Probe) -> list[Finding]:
    if probe.status is None:
        return []
    quota = probe.quota
    if quota is None or (quota.limit is None and quota.remaining is None):
        text = "the service says nothing of it; 60 requests a minute are assumed"
        return [Finding("Quota", Verdict.OK, text)]
    anew = "" if quota.reset_seconds is None else f", anew in {quota.reset_seconds:,.0f} s"
    left = "?" if quota.remaining is None else f"{quota.remaining:,}"
    limit = "? requests" if quota.limit is None else plural(quota.limit, "request")
    text = f"{left} of {limit} left{anew}"
    if quota.remaining == 0:
        return [Finding("Quota", Verdict.WARNING, text, "Wait for it, or run with --wait.")]
    return [Finding("Quota", Verdict.OK, text)]
