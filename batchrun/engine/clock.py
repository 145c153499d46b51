"""The engine's clock: passed in, so that a sandbox can compress time."""

from __future__ import annotations

import asyncio
import sys
import time


def _seconds() -> float:
    """A clock that never goes back, and goes on while a laptop sleeps.

    `time.monotonic` stands still meanwhile on Linux and macOS; on Windows it goes on.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # mach_continuous_time
    return time.monotonic()


class Clock:
    """Seconds that pass ``speed`` times as fast as the machine's.

    Args:
        speed: Seconds of the engine's time that pass in one second; 1 except for a sandbox.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        return _seconds() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait this many seconds of this clock."""
        await asyncio.sleep(max(seconds, 0) / self.speed)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, at most this many seconds of this clock."""
        try:
            async with asyncio.timeout(max(seconds, 0) / self.speed):
                await event.wait()
        except TimeoutError:
            pass
