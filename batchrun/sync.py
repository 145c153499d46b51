"""The functions of `batchrun.aio` without ``await``.

They also work in a notebook, where an event loop is already running. The first Ctrl-C stops a
batch gently, the second stops it at once; then `KeyboardInterrupt` is raised.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from batchrun import aio
from batchrun.batch.control import Control
from batchrun.notebook import in_jupyter, progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

NAP_SECONDS = 0.2
"""How long each wait is: on Windows, Ctrl-C is handled only between two waits."""


def blocking(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async function a plain one that Ctrl-C stops at once."""

    @wraps(work)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return _run(Control(), work(*args, **kwargs))

    return wrapper


def stoppable(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async function with a ``control`` a plain one that Ctrl-C stops gently."""

    @wraps(work)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        given = kwargs.get("control")
        control = given if isinstance(given, Control) else Control()
        kwargs["control"] = control
        if "on_progress" in kwargs or not in_jupyter():
            return _run(control, work(*args, **kwargs))
        with progress_bar() as show:
            kwargs["on_progress"] = show
            return _run(control, work(*args, **kwargs))

    return wrapper


def _run(control: Control, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine. Ctrl-C interrupts it, unless the program has its own handler."""
    interrupted = False

    def heard(_number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = True
        control.interrupt()

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, heard)
    try:
        ended = _in_new_loop(control, control.cancellable(work))
    except asyncio.CancelledError:
        if not interrupted:
            raise
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if not interrupted:
        return ended
    if control.batch_id is None:
        raise KeyboardInterrupt("stopped before anything was triggered")
    raise KeyboardInterrupt(
        f"stopped; nothing is lost, batchrun.resume({control.batch_id!r}) goes on"
    )


def _in_new_loop(control: Control, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop; in a thread of its own if this one has a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, thread_name_prefix="batchrun") as thread:
        ended = thread.submit(copy_context().run, asyncio.run, work)
        try:
            while not wait([ended], NAP_SECONDS).done:
                pass
        except BaseException:  # another signal handler raised this
            control.cancel()
            raise
        return ended.result()


check = blocking(aio.check)
resume = stoppable(aio.resume)
retry = stoppable(aio.retry)
run = stoppable(aio.run)
run_marked = stoppable(aio.run_marked)
work = stoppable(aio.work)
workflows = blocking(aio.workflows)
