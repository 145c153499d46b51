"""The engine's clock. It is passed in, because a sandbox compresses time."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress


def _seconds() -> float:
    """Seconds that never go back, and that include the time a laptop sleeps.

    `time.monotonic` includes sleep on Windows, but not on Linux and macOS.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # mach_continuous_time
    return time.monotonic()


class Clock:
    """A clock that runs ``speed`` times as fast as the machine's: 1, except for a sandbox."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def now(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return _seconds() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait this many seconds of this clock."""
        await asyncio.sleep(max(seconds, 0) / self.speed)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, for at most this many seconds of this clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0) / self.speed):
                await event.wait()
