"""The queue: when does a triggered execution start, on a service that runs only some at once?

Pure. The service is taken to start executions in the order in which they were triggered (DESIGN
section 6), so what is known of some starts says when the others come: from the last known start
on, at the pace of the last known ones.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

WAITED_SECONDS = 1.5
"""An execution that waited less than this for its start did not queue."""

REMEMBERED = 64
"""Known starts that make the pace."""


@dataclass(frozen=True, slots=True, order=True)
class _Start:
    turn: int
    at: float
    waited: bool


class Queue:
    """Known starts by turn (0 is the first execution triggered), and the next ones foretold."""

    def __init__(self) -> None:
        self._starts: list[_Start] = []
        self._not_before: tuple[int, float] | None = None
        self._at_once = 0
        self._seen_pace: float | None = None

    def started(self, turn: int, triggered_at: float, at: float) -> None:
        """An execution is known to have started then."""
        waited = at - triggered_at > WAITED_SECONDS
        if not waited:
            self._at_once = max(self._at_once, turn + 1) if not self.waits else self._at_once
        insort(self._starts, _Start(turn, at, waited))
        if len(self._starts) > REMEMBERED:
            del self._starts[0]
        self._seen_pace = self._pace_of_starts()
        if self._not_before is not None and turn >= self._not_before[0]:
            self._not_before = None

    def still_queued(self, turn: int, now: float) -> None:
        """An execution had not started yet."""
        self._not_before = (turn, now)

    @property
    def waits(self) -> bool:
        """Whether the execution last known to have started had to wait, or one still does."""
        return self._not_before is not None or bool(self._starts and self._starts[-1].waited)

    def pace(self, mean_run_seconds: float) -> float:
        """Starts a second, while executions queue."""
        if self._seen_pace is not None:
            return self._seen_pace
        return max(self._at_once, 1) / max(mean_run_seconds, 0.1)

    def _pace_of_starts(self) -> float | None:
        """Starts a second by those that waited; ``None`` where they are too few to tell."""
        waited = [start for start in self._starts if start.waited]
        if len(waited) < 2:
            return None
        turns = waited[-1].turn - waited[0].turn
        seconds = waited[-1].at - waited[0].at
        return turns / seconds if turns >= max(4, self._at_once) and seconds > 0 else None

    def start(self, turn: int, triggered_at: float, mean_run_seconds: float) -> float:
        """When an execution probably starts, or did."""
        if not self.waits:
            return triggered_at
        pace = self.pace(mean_run_seconds)
        at = triggered_at
        place = bisect_left(self._starts, turn, key=lambda start: start.turn) - 1
        if place >= 0:
            known = self._starts[place]
            at = max(at, known.at + (turn - known.turn) / pace)
        if self._not_before is not None:
            queued, moment = self._not_before
            at = max(at, moment + max(turn - queued, 0.5) / pace)
        return at
