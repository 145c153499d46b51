"""When things go wrong: how long to wait, and when to stop. Pure policy, given time and chance."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from batchrun.model import Outcome
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0

EARLY_JOBS_PER_FAILURE = 4
"""So many times as many first jobs as failures are allowed in a row are watched for their share:
10 in a row, or 10 of the first 40, which is 25 %."""


class Reach:
    """Whether the service can be reached, and how long to leave it alone when it can't.

    Args:
        patience_seconds: How long it may be out of reach before the batch pauses, from the first
            setback on: a machine that slept for hours has not tried for hours.
        between: Draws a number between two.
    """

    def __init__(
        self,
        patience_seconds: float,
        between: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._between = between
        self._setbacks = 0
        self._since = 0.0

    @property
    def troubled(self) -> bool:
        """Whether the last that was heard was a setback: one request at a time is enough then."""
        return self._setbacks > 0

    def answered(self) -> None:
        """The service has given an answer that makes sense."""
        self._setbacks = 0

    def set_back(self, now: float) -> float:
        """Nothing came, or nothing that makes sense.

        Returns:
            Seconds for which nobody should ask: exponential backoff with full jitter.
        """
        if self._setbacks == 0:
            self._since = now
        self._setbacks += 1
        doublings = min(self._setbacks, 10)  # enough for the longest, and no number too large
        ceiling = min(FIRST_BACKOFF_SECONDS * 2.0**doublings, LONGEST_BACKOFF_SECONDS)
        return self._between(0, ceiling)

    def given_up(self, now: float) -> bool:
        """Whether it has been out of reach for longer than patience lasts."""
        return self.troubled and now - self._since > self._patience_seconds


class FailureWatch:
    """Stops the triggers when jobs fail one after another: each is paid for.

    Args:
        allowed: Stop at so many failures in a row, or at so many among the first four times as
            many jobs; 0 never stops.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._settled = 0
        self._failed_early = 0
        self._reasons: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()
        self.verdict = ""
        """Why no more is triggered, in the service's own words; ``""`` while all is well."""

    def settled(self, outcome: Outcome, reason: str) -> None:
        """A job has come to its end."""
        self._settled += 1
        if outcome is Outcome.COMPLETED:
            self._in_a_row.clear()
            return
        self._in_a_row[reason] += 1
        early = self._settled <= self._allowed * EARLY_JOBS_PER_FAILURE
        if early:
            self._failed_early += 1
            self._reasons[reason] += 1
        if not self._allowed or self.verdict:
            return
        if self._in_a_row.total() >= self._allowed:
            jobs = plural(self._allowed, "job")
            self.verdict = f"{jobs} in a row came to nothing{_most(self._in_a_row)}"
        elif early and self._failed_early >= self._allowed:
            self.verdict = (
                f"{self._failed_early} of the first {plural(self._settled, 'job')} came to nothing"
                f"{_most(self._reasons)}"
            )


def _most(reasons: Counter[str]) -> str:
    [(reason, times)] = reasons.most_common(1)
    if not reason:
        return ""
    return f", {times} of them: {reason}" if len(reasons) > 1 else f": {reason}"
