"""A sandbox with faults before it: some requests never reach the service, or look as if."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from batchrun.sandbox import SandboxClock, SandboxService, SandboxSettings, create_app, running_app

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer instead of the service's own.

    Attributes:
        status: The HTTP status.
        body: JSON, or text that is none.
        headers: Further headers.
        accepted: Whether the service took the request all the same, and only its answer is lost.
        until: The service's own answer, but not before this has happened.
    """

    status: int
    body: Any = field(default_factory=lambda: {"error": "a fault of the test"})
    headers: dict[str, str] = field(default_factory=dict)
    accepted: bool = False
    until: threading.Event | None = None


class FaultySandbox:
    """The sandbox behind faults: one for each trigger or poll in turn, ``None`` for no fault.

    Args:
        triggers: What becomes of the first triggers.
        polls: What becomes of the first polls.
    """

    def __init__(self, triggers: Sequence[Fault | None], polls: Sequence[Fault | None]) -> None:
        clock = SandboxClock(SPEED)
        settings = SandboxSettings(rate_per_minute=None)
        self.service = SandboxService(settings, started_at=time.time())
        self._app: ASGIApp = create_app(self.service, clock)
        self._triggers, self._polls = list(triggers), list(polls)
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        faults = self._triggers if path.endswith("/trigger") else self._polls
        faulty = path.startswith(("/v1/workflows/trigger", "/v1/workflows/executions/"))
        fault = faults.pop(0) if faults and faulty else None
        if fault is not None and fault.until is not None:
            self.held += 1
            await asyncio.to_thread(fault.until.wait)
            fault = None
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.accepted:
            await self._app(scope, receive, _swallow)
        body = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
        await Response(body, fault.status, fault.headers)(scope, receive, send)

    def meet(self, *triggers: Fault | None) -> None:
        """What becomes of the next triggers."""
        self._triggers = list(triggers)

    def bodies(self) -> list[str]:
        """The bodies the service itself accepted, in order."""
        return [json.dumps(dict(trigger.body)) for trigger in self.service.log]


SPEED = 300.0


async def _swallow(message: object) -> None:
    del message


@contextmanager
def faulty_sandbox(
    triggers: Sequence[Fault | None] = (), polls: Sequence[Fault | None] = ()
) -> Iterator[tuple[str, FaultySandbox]]:
    """Run a sandbox with faults; its base URL and itself."""
    sandbox = FaultySandbox(triggers, polls)
    with running_app(sandbox) as url:
        yield url, sandbox
