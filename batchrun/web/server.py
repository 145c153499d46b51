"""The server for the page: one for each journal, on this machine, until Ctrl-C."""

from __future__ import annotations

import errno
import gc
import json
import signal
import sys
import threading
import time
import webbrowser
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import uvicorn
from filelock import FileLock, Timeout

from batchrun.batch.control import handling_signals
from batchrun.errors import UsageError
from batchrun.sandbox.server import listening_socket, quiet_config
from batchrun.settings.private_file import write_whole
from batchrun.text import duration, plural
from batchrun.web.app import create_app
from batchrun.web.lists import Lists, lists_folder
from batchrun.web.security import LINK_HEADER, LINK_PATH, Session
from batchrun.web.work import Workspace

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from batchrun import Settings

HOST = "127.0.0.1"
USUAL_PORT = 8484
"""Tried first, so that the address rarely changes."""

GRACE_SECONDS = 2
AT_ONCE_SECONDS = 10.0
SWITCH_SECONDS = 0.0005
"""Python's switch interval: how long a thread that plans or writes a long list runs before others.
A request needs several dozen switches; with Python's default of 0.005 s it would wait for 0.3 s."""
NO_FULL_COLLECTION = 1_000_000
"""Middle-generation collections before a full one: enough to prevent full ones."""
LOOK_SECONDS = 0.2
"""Time between checks for Ctrl-C: Windows only notices it between two waits."""


def serve(
    settings: Settings,
    reload: Callable[[], Settings],
    *,
    sandbox_journal: str,
    sandbox: bool = False,
    port: int | None = None,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until Ctrl-C; if it is already being served, open that one.

    ``reload`` returns the settings again, after a key was stored. The port ``None`` is the usual
    one, or else any free one.

    Raises:
        UsageError: The port is taken, a server that is already running does not answer, or the
            folder of the lists is a link.
    """
    folder = lists_folder(sandbox_journal if sandbox else settings.journal)
    if folder.is_symlink():  # a stranger's journal may come with a link to any folder
        raise UsageError(
            f"The folder {folder} is a link.", "Remove the link, then start batchrun again."
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / "page.lock").acquire(timeout=0)
    except Timeout:
        address = _address_of_running(folder)
        say(f"batchrun web is already running. This address works once: {address}")
        if open_browser:
            webbrowser.open(address)
        return
    Lists(folder).remove_leftovers()
    with (
        suppress(KeyboardInterrupt),  # another Ctrl-C, while this ends
        lock,
        closing(_listen(port)) as listener,
        # Also after an early Ctrl-C: the sandbox's thread would keep the process alive.
        closing(Workspace(settings, reload, sandbox_journal)) as workspace,
    ):
        session = Session(listener.getsockname()[1])
        if sandbox:
            workspace.use_sandbox()
        with (
            _published_address(folder, session),
            _serving(create_app(workspace, session), listener) as server,
            # SIGTERM and a closed terminal act like Ctrl-C.
            handling_signals(signal.default_int_handler, "SIGTERM", "SIGHUP", "SIGBREAK"),
        ):
            address = session.new_address()
            say(f"batchrun is ready: {address}")
            say("The address works once. Press Ctrl-C to stop batchrun.")
            if open_browser:
                webbrowser.open(address)
            _until_stopped(workspace, server, say)


def _until_stopped(
    workspace: Workspace, server: threading.Thread, say: Callable[[str], None]
) -> None:
    """Wait for Ctrl-C, then for requests in flight; a second Ctrl-C ends that wait."""
    with suppress(KeyboardInterrupt):
        while server.is_alive():
            time.sleep(LOOK_SECONDS)
    try:
        workspace.stop_all()
        if running := len(workspace.active):
            settings = workspace.settings
            most = duration(settings.drain_seconds / settings.speed)
            say(
                f"Stopping {plural(running, 'batch', 'batches')}: nothing more is sent, and "
                f"results are collected for up to {most}. Press Ctrl-C again to stop now: "
                "rows on their way are then in doubt."
            )
        while workspace.active:
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        workspace.cancel_all()
        workspace.wait(AT_ONCE_SECONDS)


@contextmanager
def _serving(app: ASGIApp, listener: socket.socket) -> Iterator[threading.Thread]:
    """Serve in a thread until the block ends; the main thread stays free to receive Ctrl-C."""
    server = uvicorn.Server(quiet_config(app, GRACE_SECONDS))
    thread = threading.Thread(
        target=server.run, args=([listener],), name="batchrun-page", daemon=True
    )
    with _responsive_during_long_work():
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        try:
            yield thread
        finally:
            server.should_exit = True
            thread.join(GRACE_SECONDS + 3)


@contextmanager
def _responsive_during_long_work() -> Iterator[None]:
    """Keep pages responsive while other threads work on long lists, until the block ends.

    A full garbage collection stops all threads, for 0.5 s with a list of 100,000 rows. So there is
    none while threads work on lists; `Workspace` collects once they are done.
    """
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*thresholds[:2], NO_FULL_COLLECTION)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


@contextmanager
def _published_address(folder: Path, session: Session) -> Iterator[None]:
    """Until the block ends, publish how to reach this server in a file only the user can read."""
    path = folder / "page.json"
    write_whole(path, json.dumps({"port": session.port, "secret": session.link_secret}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _address_of_running(folder: Path) -> str:
    try:
        found = json.loads((folder / "page.json").read_text(encoding="utf-8"))
        answer = httpx.post(
            f"http://{HOST}:{int(found['port'])}{LINK_PATH}",
            headers={LINK_HEADER: found["secret"]},
            timeout=10,
            trust_env=False,
        )
        answer.raise_for_status()
    except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError) as error:
        raise UsageError(
            "batchrun web is already running for this journal, but does not answer.",
            "Stop the other one with Ctrl-C, then start it again.",
        ) from error
    return answer.text


def _words(error: OSError | OverflowError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "another program uses it"
    return getattr(error, "strerror", None) or str(error)


def _listen(port: int | None) -> socket.socket:
    ports = [port] if port is not None else [USUAL_PORT, 0]
    for one in ports:
        try:
            return listening_socket(one)
        except (OSError, OverflowError) as error:
            if one == ports[-1]:
                raise UsageError(
                    f"Port {one} can't be used: {_words(error)}.",
                    "Choose another with --port, or leave it out.",
                ) from error
    raise AssertionError
