"""A sandbox whose triggers can be held up: a batch is then in the middle of its work for sure."""

from __future__ import annotations

import asyncio
import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchrun.sandbox import SandboxSettings
from batchrun.sandbox.server import running_app
from tests.acceptance.sandbox_process import SandboxProcess
from tests.sandbox.faults import Faults, faulty_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

SPEED = 200.0
AT_ONCE = 4
FEW_AT_ONCE = {"BATCHRUN_MAX_IN_FLIGHT": str(AT_ONCE)}
"""For a run of which few triggers are to be on the wire when they are held up."""


class Barrier:
    """Lets triggers pass to the sandbox, or a number of them only.

    Args:
        app: The sandbox.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._may_pass = math.inf
        self._lifted = threading.Event()
        self._held = 0
        self._arrived = threading.Condition()

    def hold_after(self, triggers: int) -> None:
        """Let this many more triggers pass, and hold up those that follow."""
        self._lifted.clear()
        self._may_pass = triggers

    def lift(self) -> None:
        """Let all pass; return when those that were held up have arrived."""
        self._may_pass = math.inf
        self._lifted.set()
        with self._arrived:
            self._arrived.wait_for(lambda: not self._held)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/trigger"):
            self._may_pass -= 1
        if not scope["path"].endswith("/trigger") or self._may_pass >= 0:
            await self._app(scope, receive, send)
            return
        with self._arrived:
            self._held += 1
        await asyncio.to_thread(self._lifted.wait)
        await self._app(scope, receive, send)
        with self._arrived:
            self._held -= 1
            self._arrived.notify_all()


@contextmanager
def sandbox_with_barrier(
    settings: SandboxSettings | None = None, faults: Faults | None = None
) -> Iterator[tuple[SandboxProcess, Barrier]]:
    """Run a sandbox in a thread; it has no quota unless the settings say so."""
    settings = settings or SandboxSettings(rate_per_minute=None)
    app = faulty_app(settings, faults or Faults(), SPEED)
    barrier = Barrier(app)
    with running_app(barrier, http=app.connections.protocol()) as url:
        try:
            yield SandboxProcess(url, SPEED), barrier
        finally:
            barrier.lift()
