"""Progress: a tqdm bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from batchrun.cli.stopping import nobody_reads, tell
from batchrun.model import Outcome
from batchrun.words import duration

if TYPE_CHECKING:
    from batchrun.engine import Progress

SECONDS_BETWEEN_LINES = 10.0
STOPPED = "No more triggers"
"""How the engine's own words begin; any other notice is the reason a request came to nothing."""


class ProgressPrinter:
    """Shows progress on standard error; used as a context.

    Args:
        rows: Rows of the batch.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._last_line = time.monotonic()
        self._last_notice = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.close()

    def show(self, progress: Progress) -> None:
        """Show where the batch stands now; nothing where the terminal has been closed."""
        try:
            self._show(progress)
        except OSError:
            nobody_reads(sys.stderr)

    def _show(self, progress: Progress) -> None:
        done = sum(progress.counts.values()) - progress.counts[Outcome.PENDING]
        words = _words(progress)
        if sys.stderr.isatty():
            self._show_bar(done, sum(progress.counts.values()), words)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            print(f"{done:,} of {sum(progress.counts.values()):,} rows; {words}", file=sys.stderr)
        if progress.notice and progress.notice != self._last_notice:
            self._last_notice = progress.notice
            self.say(_noticed(progress.notice))

    def say(self, text: str) -> None:
        """Print a line without breaking the bar."""
        if self._bar is None:
            tell(text, err=True)
            return
        try:
            self._bar.write(text, file=sys.stderr)
        except OSError:
            nobody_reads(sys.stderr)

    def _show_bar(self, done: int, rows: int, words: str) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=rows,
                unit="row",
                dynamic_ncols=True,
                file=sys.stderr,
                bar_format="{l_bar}{bar}| {n:,}/{total:,}{postfix}",  # our forecast, not tqdm's
            )
        self._bar.set_postfix_str(words, refresh=False)
        self._bar.n = done
        self._bar.refresh()


def _noticed(notice: str) -> str:
    """What is told of a single request means little by itself; what the engine says, it says."""
    if notice.startswith(STOPPED):
        return notice
    return f"A request brought nothing usable ({notice}); it is tried again later."


def _words(progress: Progress) -> str:
    shown = [
        f"{number:,} {outcome}"
        for outcome, number in progress.counts.items()
        if number and outcome not in {Outcome.COMPLETED, Outcome.PENDING}
    ]
    shown.append(f"{progress.in_flight:,} running")
    if not math.isinf(progress.requests_left_this_minute):
        shown.append(f"{progress.requests_left_this_minute:,.0f} requests left this minute")
    if not math.isinf(progress.requests_left_today):
        shown.append(f"{progress.requests_left_today:,.0f} today")
    if progress.seconds_left:
        shown.append(f"about {duration(progress.seconds_left)} left")
    return ", ".join(shown)
