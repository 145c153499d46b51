"""A sandbox with faults before it: some requests never reach the service, or look as if."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from batchrun.sandbox.model import SandboxService, SandboxSettings
from batchrun.sandbox.server import SandboxClock, create_app, running_app
from tests.sandbox.faults import read_body

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
        self._of_companies: dict[tuple[str, str], Fault] = {}
        self.held = self.polls = self.lists_from = 0
        self.lists: Fault | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        fault: Fault | None = None
        if path == "/v1/workflows/trigger":
            receive, company = await _with_company(receive)
            fault = self._of_companies.get(("trigger", company)) or _next(self._triggers)
        elif path.startswith("/v1/workflows/executions/"):
            self.polls += 1
            company = self._companies().get(path.rpartition("/")[2], "")
            fault = self._of_companies.get(("poll", company)) or _next(self._polls)
        elif path == "/v1/workflows":
            self.lists_from -= 1
            fault = self.lists if self.lists_from < 0 else None
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
        await Response(body.encode("utf-8", "surrogateescape"), fault.status, fault.headers)(
            scope, receive, send
        )

    def fail_triggers_of(self, company: str, fault: Fault) -> None:
        """What becomes of each trigger of this company."""
        self._of_companies["trigger", company] = fault

    def fail_polls_of(self, company: str, fault: Fault) -> None:
        """What becomes of each poll of this company's execution."""
        self._of_companies["poll", company] = fault

    def _companies(self) -> dict[str, str]:
        return {one.execution_id: str(one.body.get("company_id")) for one in self.service.log}

    def meet(self, *triggers: Fault | None) -> None:
        """What becomes of the next triggers."""
        self._triggers = list(triggers)

    def bodies(self) -> list[str]:
        """The bodies the service itself accepted, in order."""
        return [json.dumps(dict(trigger.body)) for trigger in self.service.log]


SPEED = 300.0


def _next(faults: list[Fault | None]) -> Fault | None:
    return faults.pop(0) if faults else None


async def _with_company(receive: Receive) -> tuple[Receive, str]:
    """A request's body once more, and the company that it names."""
    content, again = await read_body(receive)
    return again, str(json.loads(content or b"{}").get("company_id"))


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
