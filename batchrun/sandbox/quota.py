"""The quota of one key: fixed windows of one minute and one day.

The service does not document when its windows start. In the sandbox, minutes start at multiples
of 60 s of Unix time, and days at 00:00 UTC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUTE_SECONDS = 60
DAY_SECONDS = 86_400


@dataclass(slots=True)
class _Window:
    seconds: int
    limit: int
    start: int = 0
    used: int = 0

    def move_to(self, now: float) -> None:
        start = math.floor(now / self.seconds) * self.seconds
        if start != self.start:
            self.start, self.used = start, 0

    @property
    def remaining(self) -> int:
        return self.limit - self.used

    @property
    def reset(self) -> int:
        return self.start + self.seconds


class KeyQuota:
    """The remaining quota of a key.

    Args:
        per_minute: Requests per minute.
        per_day: Requests per day; ``None`` for no daily limit.
    """

    def __init__(self, per_minute: int, per_day: int | None) -> None:
        self._minute = _Window(MINUTE_SECONDS, per_minute)
        self._day = None if per_day is None else _Window(DAY_SECONDS, per_day)

    def take(self, now: float) -> bool:
        """Count one request at ``now`` (Unix seconds); return false if a window is spent."""
        windows = [self._minute] if self._day is None else [self._minute, self._day]
        for window in windows:
            window.move_to(now)
        if any(window.remaining == 0 for window in windows):
            return False
        for window in windows:
            window.used += 1
        return True

    def headers(self) -> dict[str, str]:
        """Return the X-RateLimit headers as of the last `take`."""
        window = self._described()
        return {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": str(window.remaining),
            "X-RateLimit-Reset": str(window.reset),
        }

    def seconds_to_reset(self, now: float) -> int:
        """Return whole seconds from ``now`` until the window in the headers ends; at least 1."""
        return max(1, math.ceil(self._described().reset - now))

    def _described(self) -> _Window:
        """Return the window for the headers: the minute, or the day once its quota is spent."""
        if self._day is not None and self._day.remaining == 0:
            return self._day
        return self._minute
