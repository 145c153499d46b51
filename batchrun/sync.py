"""The functions of `batchrun.aio` without ``await``.

They also work in a notebook, where an event loop is already running. The first Ctrl-C stops a
batch gently, the second stops it at once; then `KeyboardInterrupt` is raised.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from batchrun import aio
from batchrun.batch.control import Control
from batchrun.notebook import in_jupyter, progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

__all__ = ["check", "resume", "retry", "run", "run_marked", "work", "workflows"]


P = ParamSpec("P")
T = TypeVar("T")

NAP_SECONDS = 0.2
"""How long each wait is: on Windows, Ctrl-C is handled only between two waits."""


def blocking(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async function a plain one that Ctrl-C stops at once."""

    @wraps(work)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return _Interruptible(Control()).run(work(*args, **kwargs))

    return wrapper


def stoppable(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async function with a ``control`` a plain one that Ctrl-C stops gently."""

    @wraps(work)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        given = kwargs.get("control")
        control = given if isinstance(given, Control) else Control()
        kwargs["control"] = control
        if "on_progress" in kwargs or not in_jupyter():
            return _Interruptible(control).run(work(*args, **kwargs))
        with progress_bar() as show:
            kwargs["on_progress"] = show
            return _Interruptible(control).run(work(*args, **kwargs))

    return wrapper


class _Interruptible:
    """Runs a coroutine and handles Ctrl-C while it runs."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._interrupted = False
        self._at_once = False
        self._cancel: Callable[[], object] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._listening():
            try:
                ended = self._run(work)
            except asyncio.CancelledError:
                if not self._interrupted:
                    raise
                raise KeyboardInterrupt(self._words()) from None
        if self._interrupted:
            raise KeyboardInterrupt(self._words())
        return ended

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if not _loop_is_running():
            return asyncio.run(self._cancellable(work))
        with ThreadPoolExecutor(1, thread_name_prefix="batchrun") as thread:
            ended = thread.submit(copy_context().run, asyncio.run, self._cancellable(work))
            try:
                while not wait([ended], NAP_SECONDS).done:
                    pass
            except BaseException:  # another signal handler raised this
                self._stop_at_once()
                raise
            return ended.result()

    async def _cancellable(self, work: Coroutine[Any, Any, T]) -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._at_once:  # the signal came before there was a task to cancel
            task.cancel()
        try:
            return await work
        finally:
            self._cancel = None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Handle Ctrl-C, unless the program has its own handler."""
        ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if not ours:
            yield
            return
        signal.signal(signal.SIGINT, self._heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _heard(self, _number: int, _frame: object) -> None:
        first, self._interrupted = not self._interrupted, True
        if first and self._control.batch_id is not None:
            self._control.stop()
        elif self._at_once:  # already cancelled, but something that can't be cancelled takes long
            raise KeyboardInterrupt
        else:
            self._stop_at_once()

    def _stop_at_once(self) -> None:
        self._at_once = True
        self._control.stop()
        if self._cancel is not None:
            self._cancel()

    def _words(self) -> str:
        batch_id = self._control.batch_id
        if batch_id is None:
            return "stopped before anything was triggered"
        return f"stopped; nothing is lost, batchrun.resume({batch_id!r}) goes on"


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


check = blocking(aio.check)
resume = stoppable(aio.resume)
retry = stoppable(aio.retry)
run = stoppable(aio.run)
run_marked = stoppable(aio.run_marked)
work = stoppable(aio.work)
workflows = blocking(aio.workflows)
