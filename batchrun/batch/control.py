"""Stop a running batch from outside."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from batchrun.advice import Action, Advice
from batchrun.arguments import checked_arguments
from batchrun.errors import JournalError, UsageError
from batchrun.settings.loading import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterator

    from batchrun.batch.report import Report
    from batchrun.journal import BatchJobs
    from batchrun.model import BatchSummary
    from batchrun.settings.model import Settings

P = ParamSpec("P")
T = TypeVar("T")


@checked_arguments()
def stop(batch_id: str | None = None, *, settings: Settings | None = None) -> BatchSummary:
    """Stop all workers of a batch, on any machine. They notice within 5 seconds.

    The workers trigger no more jobs, and collect results of running executions for a while.
    `resume` continues the batch.

    Args:
        batch_id: The batch ID or its first characters; ``None`` for the newest batch.
        settings: Settings with the journal to use; ``None`` reads them from the environment.

    Raises:
        UsageError: The batch is not open to workers.
        JournalError: There is no such batch, or no journal.
    """
    from batchrun.batch.history import existing_journal  # slow; questions need only signals

    with existing_journal((settings or load_settings()).journal) as journal:
        summary = journal.resolve(batch_id)
        if summary.batch_id not in journal.open_batches():
            holder = journal.holder(summary.batch_id)
            if not summary.unfinished:
                raise UsageError(
                    f"Batch {summary.batch_id} has ended, so there is nothing to stop.",
                    Advice(
                        "", f"To see its rows: batchrun status {summary.batch_id}", Action.WATCH
                    ),
                )
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
        cancelled: Whether `cancel` was called.
        batch_id: The running batch; ``None`` before it starts.
        triggered: How many jobs were triggered, over all runs with this control.
        only: Numbers of the jobs that the run may trigger; ``None`` for all pending ones.
        report: The report of the batch; ``None`` until its workbook is written.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], object] | None = None
        self._cancel: Callable[[], object] | None = None
        self.stopped = False
        self.cancelled = False
        self.batch_id: str | None = None
        self.triggered = 0
        self.only: Collection[int] | None = None
        self.report: Report | None = None

    def stop(self) -> None:
        """Stop triggering, wait a while for running executions, then write the workbook."""
        self.stopped = True
        stop = self._stop  # another thread may detach the control at any moment
        if stop is not None:
            stop()

    def cancel(self) -> None:
        """Stop at once. Triggers that are being sent are then in doubt."""
        self.cancelled = True
        self.stop()
        cancel = self._cancel
        if cancel is not None:
            cancel()

    def interrupt(self) -> None:
        """Handle Ctrl-C: stop a batch, the next time cancel it.

        Raises:
            KeyboardInterrupt: It is cancelled already, and what can't be cancelled takes long.
        """
        if self.cancelled:
            raise KeyboardInterrupt
        if self.batch_id is not None and not self.stopped:
            self.stop()
        else:
            self.cancel()

    @property
    def attached(self) -> bool:
        """Whether a batch is at work."""
        return self._stop is not None

    @property
    def running(self) -> bool:
        """Whether `cancellable` is at work."""
        return self._cancel is not None

    async def cancellable(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in the current task, which `cancel` cancels, also from a signal handler."""
        task = asyncio.current_task()
        assert task is not None
        self._cancel = from_any_thread(task.cancel)
        if self.cancelled:  # before there was a task
            task.cancel()
        try:
            return await work
        finally:
            self._cancel = None

    @contextmanager
    def detached_at_end(self) -> Iterator[None]:
        """Disconnect from the batch when the block ends, even with an error."""
        try:
            yield
        finally:
            self._stop = None

    @contextmanager
    def counting(self, jobs: BatchJobs) -> Iterator[None]:
        """Count the jobs triggered in the block, even if the block fails."""
        pending = jobs.count_pending()
        try:
            yield
        finally:
            with suppress(JournalError):  # don't hide the block's own error
                self.triggered += pending - jobs.count_pending()

    def attach(
        self, batch_id: str, stop: Callable[[], object], only: Collection[int] | None = None
    ) -> None:
        """Set the function that stops the batch. The batch calls this when it starts."""
        self.batch_id = batch_id
        self.only = only
        self.report = None
        self._stop = stop
        if self.stopped:
            stop()


def from_any_thread(stop: Callable[P, object]) -> Callable[P, None]:
    """Return a function that calls ``stop`` in the current event loop unless it is closed."""
    loop = asyncio.get_running_loop()

    def stop_there(*args: P.args, **kwargs: P.kwargs) -> None:
        with suppress(RuntimeError):  # the loop has just been closed
            loop.call_soon_threadsafe(partial(stop, *args, **kwargs))

    return stop_there


@contextmanager
def handling_signals(handler: Callable[[int, Any], object], *names: str) -> Iterator[None]:
    """Handle signals until the block ends, except those that are ignored, as by nohup."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
