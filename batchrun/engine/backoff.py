"""How long to wait after failed requests, and when to stop. Pure: takes the time and randomness."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING

from batchrun.model import Outcome
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0

EARLY_JOBS_PER_FAILURE = 4
"""Early failures are counted among this many first jobs per allowed failure. With 10 allowed, the
batch stops at 10 failures in a row, or at 10 among the first 40 jobs (25 %)."""

FORBIDDEN_IN_A_ROW = 5
"""One forbidden trigger may be due to its row (a company of another workspace, a firewall that
blocks a parameter); this many in a row are due to the key."""

REFUSED_POLLS_IN_A_ROW = 3
"""One refused poll may be due to a gateway; this many, one after another, are not."""


class RetryState:
    """Whether the service answers, and how long to wait if it doesn't.

    Args:
        patience_seconds: How long requests may fail before the batch pauses, in seconds from the
            first failed request. Time in which nothing was tried, such as sleep, doesn't count.
        between: Draws a random number between two bounds.
    """

    def __init__(
        self,
        patience_seconds: float,
        between: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._between = between
        self._failures = 0
        self._since = 0.0

    @property
    def failing(self) -> bool:
        """Whether the last request failed; if so, only one request is sent at a time."""
        return self._failures > 0

    def answered(self) -> None:
        """Record a usable answer from the service."""
        self._failures = 0

    def failed(self, now: float) -> float:
        """Record a request that got no usable answer.

        Returns:
            Seconds to send nothing: exponential backoff with full jitter.
        """
        if self._failures == 0:
            self._since = now
        self._failures += 1
        doublings = min(self._failures, 10)  # reaches the maximum, without overflow
        ceiling = min(FIRST_BACKOFF_SECONDS * 2.0**doublings, MAX_BACKOFF_SECONDS)
        return self._between(0, ceiling)

    def given_up(self, now: float) -> bool:
        """Whether requests have failed for longer than the patience."""
        return self.failing and now - self._since > self._patience_seconds


class KeyRefusals:
    """Decides whether refusals (401, 403) are due to the key, to one row, or temporary.

    A ``proven`` key has already triggered and polled a job of this batch.
    """

    def __init__(self, *, proven: bool) -> None:
        self.proven = proven
        self._polled = proven
        self._forbidden = 0
        self._refused_polls: set[int] = set()
        self._refused_at = math.inf
        self._refused_in_a_row = 0

    def accepted(self) -> None:
        """Record an accepted trigger."""
        self.proven = True
        self._forbidden = 0

    def polled(self) -> None:
        """Record a poll that returned its execution's state."""
        self._polled = True
        self._refused_polls.clear()

    def answered(self) -> None:
        """Record any answer that is not a refusal."""
        self._refused_at = math.inf
        self._refused_in_a_row = 0

    def forbidden(self) -> bool:
        """Record a 403 for a trigger; return whether there are now too many in a row."""
        self._forbidden += 1
        return self._forbidden >= FORBIDDEN_IN_A_ROW

    def tolerates(self, job: int, sent_at: float, now: float) -> bool:
        """Record a refused poll; return whether to retry it.

        It is retried while refusals are few, or if only this job's polls are refused.

        Args:
            job: Number of the polled job.
            sent_at: When the poll was sent; polls in flight together count as one.
            now: When the refusal came.
        """
        self._refused_polls.add(job)
        if self._refused_in_a_row == 0 or sent_at > self._refused_at:
            self._refused_in_a_row += 1
            self._refused_at = now
        only_this_one = self._polled and self._refused_polls == {job}
        return only_this_one or self._refused_in_a_row < REFUSED_POLLS_IN_A_ROW


class FailureWatch:
    """Stops the triggers if jobs fail one after another, because each one costs money.

    Args:
        allowed: Stop at this many failures in a row, or at this many among the first four times
            as many jobs; 0 never stops.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._settled = 0
        self._reasons: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()
        self._batch: tuple[int, int] | None = None  # completed and failed, by all workers, at first
        self._last_success = 0, 0
        self.verdict = ""
        """Why no more jobs are triggered, with the most common reason; ``""`` to continue."""

    def observe(self, completed: int, failed: int) -> None:
        """Update with the totals of all the batch's workers, including this one.

        Args:
            completed: Number of jobs with a result.
            failed: Number of jobs that ended without one, except those in doubt: a worker that
                dies may leave many of those at once.
        """
        if self._batch is None:
            self._batch = self._last_success = completed, failed
        elif completed != self._last_success[0]:
            self._last_success = completed, failed
        failed_early = failed - self._batch[1]
        settled = completed - self._batch[0] + failed_early
        self._judge(failed - self._last_success[1], failed_early, settled)

    def settled(self, outcome: Outcome, reason: str) -> None:
        """Record how a job of this worker ended."""
        self._settled += 1
        if outcome is Outcome.COMPLETED:
            self._in_a_row.clear()
            return
        self._in_a_row[reason] += 1
        if self._is_early(self._settled):
            self._reasons[reason] += 1
        self._judge(self._in_a_row.total(), self._reasons.total(), self._settled)

    def _is_early(self, settled: int) -> bool:
        return settled <= self._allowed * EARLY_JOBS_PER_FAILURE

    def _judge(self, in_a_row: int, failed_early: int, settled: int) -> None:
        if not self._allowed or self.verdict:
            return
        if in_a_row >= self._allowed:
            what, reasons = f"{plural(in_a_row, 'job')} in a row", self._in_a_row
        elif self._is_early(settled) and failed_early >= self._allowed:
            what, reasons = f"{failed_early} of the first {plural(settled, 'job')}", self._reasons
        else:
            return
        self.verdict = f"{what} ended without a result{_most(reasons)}"


def _most(reasons: Counter[str]) -> str:
    [(reason, times)] = reasons.most_common(1) or [("", 0)]
    if not reason:
        return ""
    return f", {times} of them: {reason}" if len(reasons) > 1 else f": {reason}"
