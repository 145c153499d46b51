"""The progress of a batch while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.journal.schema import JobState
from batchrun.model import Outcome
from batchrun.text import counted, duration, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a running batch; everything in it is already in the journal.

    Attributes:
        counts: Rows by outcome.
        in_flight: Number of executions in flight.
        requests: Number of requests this run has sent.
        requests_left_this_minute: Requests left in the quota this minute; infinite for no limit.
        requests_left_today: Requests left today; infinite if no limit is known.
        seconds_left: Estimated time left, in seconds.
        waiting_seconds: Seconds until the quota allows another request; 0 if it does now.
        notice: A message that the user should see now, or ``""``.
        stopped_because: The failures that stopped the triggers, or ``""``.
        running_rows: Number of rows that share the executions in flight.
    """

    counts: Mapping[Outcome, int]
    in_flight: int
    requests: int
    requests_left_this_minute: float
    requests_left_today: float
    seconds_left: float = 0.0
    waiting_seconds: float = 0.0
    notice: str = ""
    stopped_because: str = ""
    running_rows: int = 0

    @property
    def total(self) -> int:
        """Number of rows in the batch."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """Number of rows with an outcome."""
        return self.total - self.counts.get(Outcome.PENDING, 0)

    def __repr__(self) -> str:
        done: dict[Outcome, int] = {**self.counts, Outcome.PENDING: 0}
        left = f", about {duration(self.seconds_left)} left" if self.seconds_left else ""
        return (
            f"<Progress {self.done:,} of {plural(self.total, 'row')} ({counted(done)}), "
            f"{self.in_flight:,} running{left}>"
        )


class Counters:
    """Counts rows by outcome, requests, and time; reports progress, with a notice or ``""``."""

    def __init__(self, counts: Mapping[Outcome, int], report: Callable[[str], None]) -> None:
        self.counts = Counter(counts)
        self.report = report
        self.requests = 0
        self.quota_seconds = 0.0  # spent waiting for the quota

    def settled(self, rows: int, outcome: Outcome) -> None:
        """Record an outcome for rows that were pending."""
        self.counts[Outcome.PENDING] -= rows
        self.counts[outcome] += rows
        self.report("")

    def replace(self, states: Mapping[JobState, int]) -> None:
        """Replace the counts with those of all workers: rows by the state of their jobs."""
        counts = Counter({Outcome.INVALID: self.counts[Outcome.INVALID]})
        for state, rows in states.items():
            sending = state is JobState.SENDING
            counts[Outcome.PENDING if sending else state.outcome] += rows
        self.counts = counts
        self.report("")
