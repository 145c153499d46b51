"""Stopping a batch from outside while it runs."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, ParamSpec

from batchrun.arguments import checked_arguments
from batchrun.batch.history import existing_journal
from batchrun.errors import JournalError, UsageError
from batchrun.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from batchrun.batch.report import Report
    from batchrun.engine import Engine
    from batchrun.journal import BatchJobs
    from batchrun.model import BatchSummary
    from batchrun.settings import Settings

P = ParamSpec("P")


@checked_arguments()
def stop(batch_id: str | None = None, *, settings: Settings | None = None) -> BatchSummary:
    """Stop the workers of a batch, wherever they are; they read it within 5 seconds.

    Each triggers nothing more, and collects for a while what is in flight. `resume` goes on.

    Args:
        batch_id: Which batch (the beginning of its id is enough); ``None`` for the newest.
        settings: Which journal; ``None`` reads it from the environment.

    Raises:
        UsageError: No workers may work on it.
        JournalError: There is no such batch, or no journal.
    """
    with existing_journal((settings or load_settings()).journal) as journal:
        summary = journal.resolve(batch_id)
        if summary.batch_id not in journal.open_batches():
            holder = journal.holder(summary.batch_id)
            raise UsageError(
                f"Batch {summary.batch_id} is not open to workers, so there is nothing to stop.",
                f"Press Ctrl-C where it runs: {holder.words()}" if holder else "",
            )
        journal.slices(summary.batch_id).close("")
        return summary


class Control:
    """Stops a running batch from a signal handler, another thread or a callback.

    Attributes:
        stopped: Whether `stop` was called.
        batch_id: The batch that is running; ``None`` before it starts.
        triggered: How many jobs were triggered, over all runs with this control.
        only: Numbers of the jobs that the run may trigger; ``None`` for all pending ones.
        report: How the batch ended; ``None`` until its workbook is written.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], object] | None = None
        self.stopped = False
        self.batch_id: str | None = None
        self.triggered = 0
        self.only: Collection[int] | None = None
        self.report: Report | None = None

    def stop(self) -> None:
        """Stop triggering, wait a while for running executions, then write the workbook."""
        self.stopped = True
        stop = self._stop  # another thread may disconnect it at any moment
        if stop is not None:
            stop()

    def detach(self) -> None:
        """Disconnect from the batch; called by the batch when it has ended."""
        self._stop = None

    def attach(
        self, batch_id: str, stop: Callable[[], object], only: Collection[int] | None = None
    ) -> None:
        """Set the function that stops the batch; called by the batch when it starts."""
        self.batch_id = batch_id
        self.only = only
        self.report = None
        self._stop = stop
        if self.stopped:
            stop()


def attach(
    control: Control | None, batch_id: str, engine: Engine, only: Collection[int] | None = None
) -> None:
    """Connect the control, if there is one, to an engine."""
    if control is not None:
        control.attach(batch_id, from_any_thread(engine.stop), only)


def from_any_thread(stop: Callable[P, None]) -> Callable[P, None]:
    """A function that calls ``stop`` in the current event loop, or nothing once that has ended."""
    loop = asyncio.get_running_loop()

    def stop_there(*args: P.args, **kwargs: P.kwargs) -> None:
        with suppress(RuntimeError):  # the loop was closed at this very moment
            loop.call_soon_threadsafe(partial(stop, *args, **kwargs))

    return stop_there


@contextmanager
def detached_at_end(control: Control | None) -> Iterator[None]:
    """Disconnect the control when the block ends, even with an error."""
    try:
        yield
    finally:
        if control is not None:
            control.detach()


@contextmanager
def counting(jobs: BatchJobs, control: Control | None) -> Iterator[None]:
    """Count the jobs triggered in the block for the control, even if it ends with an error."""
    pending = jobs.count_pending()
    try:
        yield
    finally:
        if control is not None:
            with suppress(JournalError):  # the journal's own error is the one that counts
                control.triggered += pending - jobs.count_pending()
