"""Network and server faults around the sandbox: drawn by a pure function, played around the app.

A fault depends on the request (its path and body) and on how often that was sent. So one seed gives
the same faults in any order of arrival.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import struct
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from batchrun.sandbox.model import Answer, SandboxService, SandboxSettings
from batchrun.sandbox.server import SandboxClock, create_app, running_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from batchrun.model import JSON


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each fault occurs: shares of the triggers and polls, together at most 1.

    Attributes:
        reset: The connection is reset, half of the time after the service took the request.
        error: A 500, 502 (HTML) or 504, half of the time after the service took the request.
        throttle: A 429 that the quota knows nothing of, in each notation of when to come again.
        garbage: The service took the request, but its answer makes no sense.
        slow: The answer comes ``slow_seconds`` late.
        slow_seconds: How late, in virtual seconds.
    """

    reset: float = 0.0
    error: float = 0.0
    throttle: float = 0.0
    garbage: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 60.0

    def __post_init__(self) -> None:
        shares = self._shares
        if any(not 0 <= share <= 1 for share in shares) or sum(shares) > 1:
            raise ValueError("shares of faults are from 0 to 1, together at most 1")
        if self.slow_seconds < 0:
            raise ValueError("slow_seconds must not be negative")

    @property
    def _shares(self) -> list[float]:
        return [self.reset, self.error, self.throttle, self.garbage, self.slow]


class FaultKind(StrEnum):
    """The kinds of faults; the value is the name of the share."""

    RESET = "reset"
    ERROR = "error"
    THROTTLE = "throttle"
    GARBAGE = "garbage"
    SLOW = "slow"


assert {kind.value for kind in FaultKind} < {field.name for field in fields(Faults)}


ACCEPTED_UNHEARD = "accepted unheard"
"""Triggers that the service accepted without the client getting the answer."""


@dataclass(frozen=True, slots=True)
class DrawnFault:
    """A fault of one request.

    Attributes:
        kind: What goes wrong.
        taken: Whether the service took the request nevertheless.
        variant: A number that chooses among the variants of this kind.
    """

    kind: FaultKind
    taken: bool
    variant: int


_ERRORS = (
    Response('{"error": "internal error"}', 500, media_type="application/json"),
    Response("<html><title>502 Bad Gateway</title></html>", 502, media_type="text/html"),
    Response("", 504),
)
_THROTTLES: tuple[dict[str, str], ...] = (
    {},
    {"Retry-After": "2"},
    {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1500000000"},
)
_GARBAGE = (b"{", b"", b"<html><title>Log in</title></html>", b'"ok"', b'{"status": 7}')


def draw_fault(faults: Faults, seed: int, request: str, times: int) -> DrawnFault | None:
    """The fault of a request that has been sent this many times; ``None`` for none. Pure."""
    digest = hashlib.sha256(f"{seed} {times} {request}".encode("utf-8", "replace")).digest()
    drawn = int.from_bytes(digest[:8]) / 2**64
    for kind in FaultKind:
        share = float(getattr(faults, kind))
        if drawn < share:
            taken = kind in {FaultKind.GARBAGE, FaultKind.SLOW} or (
                kind is not FaultKind.THROTTLE and bool(digest[8] & 1)
            )
            return DrawnFault(kind, taken, digest[9])
        drawn -= share
    return None


class FaultyApp:
    """An app with faults around it.

    Args:
        app: Answers where there is no fault.
        faults: How often each fault occurs.
        seed: The seed of the faults.
        speed: Virtual seconds in a real second.

    Attributes:
        app: The app without them.
        played: How often which fault was played, and the triggers accepted unheard.
        connections: It resets these.
    """

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        *,
        seed: int,
        speed: float,
    ) -> None:
        self.app = app
        self._faults = faults
        self._seed = seed
        self._speed = speed
        self._times: Counter[str] = Counter()
        self.played: Counter[str] = Counter()
        self.connections = Connections()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or play its fault."""
        path = str(scope["path"])
        if path == "/sandbox/report":
            await self._report(scope, receive, send)
            return
        if not path.startswith(("/v1/workflows/trigger", "/v1/workflows/executions/")):
            await self.app(scope, receive, send)
            return
        body, replayed = await read_body(receive)
        request = f"{path} {body.decode('utf-8', 'replace')}"
        self._times[request] += 1
        fault = draw_fault(self._faults, self._seed, request, self._times[request])
        if fault is None:
            await self.app(scope, replayed, send)
            return
        self.played[fault.kind] += 1
        if fault.kind is FaultKind.SLOW:
            await asyncio.sleep(self._faults.slow_seconds / self._speed)
            await self.app(scope, replayed, send)
            return
        if fault.taken:
            status, _ = await answer_of(self.app, scope, replayed)
            self.played[ACCEPTED_UNHEARD] += status == 202
        await self._play(fault, scope, receive, send)

    async def _report(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the sandbox says, with the faults."""
        _, content = await answer_of(self.app, scope, receive)
        faults = dict(self.played)
        report = json.loads(content) | {"accepted_unheard": faults.pop(ACCEPTED_UNHEARD, 0)}
        await Response(json.dumps(report | {"faults": faults}))(scope, receive, send)

    async def _play(self, fault: DrawnFault, scope: Scope, receive: Receive, send: Send) -> None:
        match fault.kind:
            case FaultKind.RESET:
                self.connections.reset(tuple(scope["client"]))
                while (await receive())["type"] != "http.disconnect":
                    pass
            case FaultKind.ERROR:
                await _ERRORS[fault.variant % len(_ERRORS)](scope, receive, send)
            case FaultKind.THROTTLE:
                headers = _THROTTLES[fault.variant % len(_THROTTLES)]
                refusal = json.dumps({"error": "rate limit exceeded"})
                await Response(refusal, 429, headers)(scope, receive, send)
            case FaultKind.GARBAGE:
                status = 202 if scope["method"] == "POST" else 200
                garbage = _GARBAGE[fault.variant % len(_GARBAGE)]
                await Response(garbage, status)(scope, receive, send)
            case FaultKind.SLOW:
                raise AssertionError("a slow answer is the app's own")


async def read_body(receive: Receive) -> tuple[bytes, Receive]:
    """A request's body, and a way to receive it once more."""
    content, more = b"", True
    while more:
        message = await receive()
        content += bytes(message.get("body", b""))
        more = message.get("more_body", False)
    whole: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replayed() -> Message:
        return whole.pop() if whole else await receive()

    return content, replayed


async def answer_of(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, bytes]:
    """What an app answers, for nobody to hear."""
    status, content = 0, b""

    async def keep(message: Message) -> None:
        nonlocal status, content
        status = message.get("status", status)
        content += message.get("body", b"")

    await app(scope, receive, keep)
    return status, content


class Connections:
    """The open connections of an app, so that a fault can reset one."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """Uvicorn's protocol, which registers its connections here."""
        transports = self._transports

        class Tracked(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # chosen at run time
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.peer = tuple(transport.get_extra_info("peername")[:2])
                transports[self.peer] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.peer, None)
                super().connection_lost(exc)

        return Tracked

    def reset(self, client: tuple[str, int]) -> None:
        """Reset a client's connection; what was sent on it and not read yet is lost."""
        transport = self._transports[client]
        lost = struct.pack("ii", 1, 0)  # close with RST, not FIN
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lost)
        transport.abort()


class OtherShapes(SandboxService):
    """The sandbox with the other shapes that the vendor's pages show: of lists and of errors."""

    def _answer(self, kind: str, *given: Any) -> Answer:
        answer = super()._answer(kind, *given)
        match answer.body:
            case list():
                return replace(answer, body={"data": answer.body, "pagination": {"nextPage": None}})
            case {"error": str() as words, **others} if not others:
                error: JSON = {"type": "error", "code": "refused", "message": words}
                return replace(answer, body={"error": error})
            case _:
                return answer


def faulty_app(
    settings: SandboxSettings,
    faults: Faults,
    speed: float,
    service: type[SandboxService] = SandboxService,
) -> FaultyApp:
    """A sandbox with faults around it."""
    clock = SandboxClock(speed)
    app = create_app(service(settings, started_at=clock()), clock)
    return FaultyApp(app, faults, seed=settings.seed, speed=speed)


@contextmanager
def running_with_faults(
    faults: Faults,
    settings: SandboxSettings,
    speed: float = 1.0,
    service: type[SandboxService] = SandboxService,
) -> Iterator[str]:
    """Run a sandbox with faults around it while the block lasts; its base URL."""
    app = faulty_app(settings, faults, speed, service)
    with running_app(app, http=app.connections.protocol()) as url:
        yield url
