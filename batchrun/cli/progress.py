"""Progress: on a terminal a tqdm bar with a line about the quota, elsewhere lines."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from batchrun.cli.messages import clock_after, outcome_counts
from batchrun.cli.output import (
    discard_output,
    fitted,
    fitting,
    is_screen,
    print_text,
    usable_columns,
)
from batchrun.model import Outcome
from batchrun.text import duration, plural

if TYPE_CHECKING:
    from batchrun.engine.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
NARROWEST_BAR = 10
BESIDE_THE_BAR = len("100%|| ")

ECHO = len("^C")
"""Columns for the echo of Ctrl-C after the bar; without room for it, the bar would be lost."""

NARROW = 30
"""With no more columns than this, none is kept free for the echo: the text needs them all."""

CLEAR = "\x1b[K"
"""Clears the rest of the line."""


class ProgressPrinter:
    """Shows progress on standard error; use it as a context manager.

    Args:
        speed: Simulated seconds per real second, for a sandbox.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        self._speed = speed
        self._bar: Any = None
        self._quota: Any = None
        self._last_line = time.monotonic()
        self._last_notice = ""
        self._stopped = False
        self._drawing = False
        self._held: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the bar; `show` opens a new one."""
        bars, self._bar, self._quota = (self._quota, self._bar), None, None
        for bar in bars:
            if bar is not None:
                with suppress(OSError):
                    bar.close()

    def show(self, progress: Progress) -> None:
        """Show the progress; does nothing if the terminal has been closed."""
        self._drawing = True
        try:
            self._show(progress)
        except OSError:
            discard_output(sys.stderr)
        finally:
            self._drawing = False
            held, self._held = self._held, []
            for text in held:
                self.say(text)

    def _show(self, progress: Progress) -> None:
        cant_be_sent = progress.counts.get(Outcome.INVALID, 0)
        rows, done = progress.total - cant_be_sent, progress.done - cant_be_sent
        if is_screen(sys.stderr):
            self._show_bar(progress, done, rows)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            words = [
                *outcome_words(progress),
                *quota_words(progress, datetime.now(UTC), self._speed),
            ]
            print(f"{done:,} of {plural(rows, 'row')}; {', '.join(words)}", file=sys.stderr)
        if progress.notice and progress.notice != self._last_notice:
            self._last_notice = progress.notice
            self.say(f"A request failed ({progress.notice}). Retrying.")
        if progress.stopped_because and not self._stopped:
            self._stopped = True
            self.say(f"Nothing more is triggered: {progress.stopped_because}")

    def say(self, text: str) -> None:
        """Print a line above the bar.

        If a signal arrives while the bar is being drawn, its message waits until that is done.
        """
        if self._drawing:
            self._held.append(text)
        elif self._bar is None:
            print_text(text, err=True)
        else:
            try:
                self._bar.write(CLEAR + fitted(text, sys.stderr), file=sys.stderr)
            except OSError:
                discard_output(sys.stderr)

    def _show_bar(self, progress: Progress, done: int, rows: int) -> None:
        room = usable_columns(sys.stderr)
        width = room - ECHO if room > NARROW else room
        if self._bar is None:
            from tqdm import tqdm

            # Our own forecast and text. We cut the lines: tqdm cuts none without a bar.
            self._bar = tqdm(
                total=rows,
                bar_format="{percentage:3.0f}%|{bar}| {desc}",
                file=sys.stderr,
                ncols=width,
                position=0,
            )
            self._quota = tqdm(
                bar_format="{desc}", file=sys.stderr, ncols=width, position=1, leave=False
            )
        counted = [f"{done:,}/{rows:,} rows", *outcome_words(progress)]
        room = width - BESIDE_THE_BAR - min(NARROWEST_BAR, width // 4)
        self._bar.n, self._bar.total = done, rows  # a worker's next batch has other rows
        self._bar.ncols = self._quota.ncols = width
        self._bar.set_description_str(fitting(counted, room), refresh=False)
        line = fitting(quota_words(progress, datetime.now(UTC), self._speed), width)
        self._quota.set_description_str(line, refresh=False)
        self._bar.refresh()
        self._quota.refresh()


def outcome_words(progress: Progress) -> list[str]:
    """Return the outcomes other than completed and pending, and the number of running rows."""
    shown = outcome_counts(progress.counts, {Outcome.COMPLETED, Outcome.PENDING})
    return [*shown, f"{progress.in_flight:,} running"]


def quota_words(progress: Progress, now: datetime, speed: float = 1.0) -> list[str]:
    """Return the quota left, and when the batch should end."""
    words = []
    if progress.waiting_seconds:
        opens = clock_after(progress.waiting_seconds, now, speed)
        words.append(f"waiting for the quota until {opens}")
    elif not math.isinf(progress.requests_left_this_minute):
        left = round(progress.requests_left_this_minute)
        words.append(f"{plural(left, 'request')} left this minute")
    if not math.isinf(progress.requests_left_today):
        words.append(f"{progress.requests_left_today:,.0f} today")
    if progress.seconds_left:
        words.append(f"about {duration(progress.seconds_left / speed)} left")
        words.append(f"done at {clock_after(progress.seconds_left, now, speed)}")
    return words
