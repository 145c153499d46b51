"""The engine's time: given to it, never fetched, so that a sandbox can compress it."""

from __future__ import annotations

import asyncio
import time

_SUSPEND_AWARE = getattr(time, "CLOCK_BOOTTIME", None)
"""Linux' monotonic clock stands still while a laptop sleeps; this one doesn't."""


class Clock:
    """Seconds that pass ``speed`` times as fast as the machine's.

    Args:
        speed: Seconds of the engine's time that pass in one second; 1 except for a sandbox.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        if _SUSPEND_AWARE is None:
            return time.monotonic() * self.speed
        return time.clock_gettime(_SUSPEND_AWARE) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of this clock."""
        await asyncio.sleep(max(seconds, 0) / self.speed)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, at most so many seconds of this clock."""
        try:
            async with asyncio.timeout(max(seconds, 0) / self.speed):
                await event.wait()
        except TimeoutError:
            pass
