"""Stop a running batch from outside: Ctrl-C once and twice, SIGTERM, a closed terminal."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import typer

from batchrun.errors import ExitCode, StoppedError
from batchrun.text import duration

if TYPE_CHECKING:
    from batchrun.batch.control import Control

Ended = TypeVar("Ended")

_STOPPING_MESSAGE = (
    "Stopping: nothing more is sent, except a row already on its way. Results of running rows are "
    "collected for up to {}; resuming fetches the others without paying again. Press Ctrl-C again "
    "to stop now."
)


exit_codes: list[int] = []
"""The exit code, once the ending has been printed. Later signals don't change it."""


def ignore_interrupts() -> None:
    """Ignore Ctrl-C from now on: the command is about to end."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def interrupts_restored() -> Iterator[None]:
    """Undo `ignore_interrupts` at the end of the block, for programs that run commands."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


class Stopper:
    """Turns signals into stops: first gently, then at once, then with `KeyboardInterrupt`.

    Before a batch starts, the first signal stops at once. A hang-up only ever stops gently, because
    a closing terminal sends several. ``close`` closes the progress bar before the last message.
    """

    def __init__(
        self,
        control: Control,
        say: Callable[[str], None],
        close: Callable[[], None] = lambda: None,
        drain_seconds: float = 60.0,
    ) -> None:
        self._message = _STOPPING_MESSAGE.format(duration(drain_seconds))
        self._control = control
        self._say = say
        self._close = close
        self._asking = False
        self._ignores_signals = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals until the block ends, except those that were already ignored."""
        from batchrun.batch.control import handling_signals

        # SIGBREAK exists only on Windows.
        with handling_signals(self._stop, "SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            yield

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let Ctrl-C raise `KeyboardInterrupt` while the user is being asked."""
        self._asking = True
        try:
            yield
        finally:
            self._asking = False

    def run(self, work: Coroutine[Any, Any, Ended]) -> Ended:
        """Run to the end. If stopped at once, end the command as paused.

        If no batch has started, the command ends as interrupted.
        """
        self._control.report = None
        try:
            return asyncio.run(self._control.cancellable(work))
        except (KeyboardInterrupt, asyncio.CancelledError):
            self._ignores_signals = True  # ignore further signals while the last message is printed
            if self._control.report is not None:  # the workbook is already written
                return cast("Ended", self._control.report)
            self._close()
            batch_id = self._control.batch_id
            if batch_id is None:
                raise StoppedError("Stopped before anything was triggered.") from None
            stopped = StoppedError(
                "Stopped. Nothing is lost. The workbook was not written.",
                "Rows that were on their way are in doubt: they may have been accepted. To go on, "
                f"paying for no other row again: batchrun resume {batch_id}",
            )
            stopped.exit_code = ExitCode.PAUSED
            raise stopped from None

    def _stop(self, number: int, _frame: object) -> None:
        control = self._control
        if self._asking:
            raise KeyboardInterrupt
        ended = not control.running and control.batch_id is not None
        if self._ignores_signals or ended or control.report is not None:
            return
        if not control.running or control.cancelled:
            self._ignores_signals = True
            raise KeyboardInterrupt
        first = control.batch_id is not None and not control.stopped
        message = self._message if control.attached else "Stopping."
        if first or control.batch_id is None or number != getattr(signal, "SIGHUP", None):
            control.interrupt()  # before the message: the next signal may come while it is printed
        if first:
            try:
                self._say(message)
            except RuntimeError:  # the signal came during another print
                asyncio.get_running_loop().call_soon_threadsafe(self._say, message)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on Ctrl-C and SIGTERM while a question waits for an answer.

    A question blocks the event loop, which would otherwise notice the signal only afterwards.

    Raises:
        KeyboardInterrupt: A signal came.
    """
    from batchrun.batch.control import handling_signals

    try:
        with handling_signals(signal.default_int_handler, "SIGINT", "SIGTERM"):
            yield
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # not Ctrl-D
            raise KeyboardInterrupt from None
        raise
