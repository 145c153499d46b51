"""When requests fail: how long to wait, and when to stop. Pure policy, given time and chance."""

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
LONGEST_BACKOFF_SECONDS = 60.0

EARLY_JOBS_PER_FAILURE = 4
"""The share of failures is watched among this many first jobs for each failure that is allowed in
a row: 10 in a row, or 10 of the first 40, which is 25 %."""

FORBIDDEN_IN_A_ROW = 5
"""One forbidden trigger may be due to its row (a company of another workspace, a firewall that
dislikes a parameter); this many in a row are not."""

REFUSED_POLLS_IN_A_ROW = 3
"""One refused poll may be due to a gateway; so many, sent one after the other's answer, are not."""


class RetryState:
    """Whether the service answers, and how long to wait when it doesn't.

    Args:
        patience_seconds: How long it may give no answer before the batch pauses, counted from the
            first failed request: a machine that slept for hours has not tried for hours.
        between: Draws a number between two.
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
        """Whether the last request failed: then one at a time is enough."""
        return self._failures > 0

    def answered(self) -> None:
        """The service has given an answer that makes sense."""
        self._failures = 0

    def failed(self, now: float) -> float:
        """No answer came, or none that makes sense.

        Returns:
            Seconds for which nothing should be sent: exponential backoff with full jitter.
        """
        if self._failures == 0:
            self._since = now
        self._failures += 1
        doublings = min(self._failures, 10)  # enough for the longest, and no number too large
        ceiling = min(FIRST_BACKOFF_SECONDS * 2.0**doublings, LONGEST_BACKOFF_SECONDS)
        return self._between(0, ceiling)

    def given_up(self, now: float) -> bool:
        """Whether requests have failed for longer than patience lasts."""
        return self.failing and now - self._since > self._patience_seconds


class KeyRefusals:
    """Whether refusals (401, 403) are about the key, about one row, or pass by themselves.

    Args:
        proven: Whether a job of this batch was triggered and polled with this key before.
    """

    def __init__(self, *, proven: bool) -> None:
        self.proven = proven
        self._polled = proven
        self._forbidden = 0
        self._refused_polls: set[int] = set()
        self._refused_at = math.inf
        self._refused_in_a_row = 0

    def accepted(self) -> None:
        """A trigger was accepted."""
        self.proven = True
        self._forbidden = 0

    def polled(self) -> None:
        """A poll reported the state of its execution."""
        self._polled = True
        self._refused_polls.clear()

    def answered(self) -> None:
        """A request was answered by something else than a refusal."""
        self._refused_at = math.inf
        self._refused_in_a_row = 0

    def forbidden(self) -> bool:
        """A trigger got a 403; whether that makes too many in a row."""
        self._forbidden += 1
        return self._forbidden >= FORBIDDEN_IN_A_ROW

    def tolerates(self, job: int, sent_at: float, now: float) -> bool:
        """Whether a refused poll is asked again: refusals are still few, or only this job's are.

        Args:
            job: Which job was polled.
            sent_at: When the poll was sent: those on the way together count once.
            now: When the refusal came.
        """
        self._refused_polls.add(job)
        if self._refused_in_a_row == 0 or sent_at > self._refused_at:
            self._refused_in_a_row += 1
            self._refused_at = now
        only_this_one = self._polled and self._refused_polls == {job}
        return only_this_one or self._refused_in_a_row < REFUSED_POLLS_IN_A_ROW


class FailureWatch:
    """Stops the triggers when jobs fail one after another: each is paid for.

    Args:
        allowed: Stop at this many failures in a row, or among the first four times as many jobs;
            0 never stops.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._settled = 0
        self._failed_early = 0
        self._reasons: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()
        self._batch: tuple[int, int] | None = None  # what all workers had done at first
        self._last_success = 0, 0
        self.verdict = ""
        """Why no more is triggered, in the service's own words; ``""`` if it may go on."""

    def observe(self, completed: int, failed: int) -> None:
        """Take in what all workers of the batch have done, this one included.

        Args:
            completed: How many jobs have a result.
            failed: How many have ended without one. Those in doubt don't count: when a worker
                dies, there may be many at once.
        """
        if self._batch is None:
            self._batch = self._last_success = completed, failed
        elif completed != self._last_success[0]:
            self._last_success = completed, failed
        in_a_row = failed - self._last_success[1]
        failed_early = failed - self._batch[1]
        settled = completed - self._batch[0] + failed_early
        if not self._allowed or self.verdict:
            return
        if in_a_row >= self._allowed:
            jobs_in_a_row = plural(in_a_row, "job")
            self.verdict = f"{jobs_in_a_row} in a row came to nothing{_most(self._in_a_row)}"
        elif settled <= self._allowed * EARLY_JOBS_PER_FAILURE and failed_early >= self._allowed:
            self.verdict = (
                f"{failed_early} of the first {plural(settled, 'job')} came to nothing"
                f"{_most(self._reasons)}"
            )

    def settled(self, outcome: Outcome, reason: str) -> None:
        """A job of this worker has ended."""
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
    [(reason, times)] = reasons.most_common(1) or [("", 0)]
    if not reason:
        return ""
    return f", {times} of them: {reason}" if len(reasons) > 1 else f": {reason}"
