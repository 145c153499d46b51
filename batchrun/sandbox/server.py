"""Run the sandbox as an HTTP server: `serve` blocks, `running` uses a background thread."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Literal

import uvicorn

from batchrun.errors import UsageError
from batchrun.sandbox.app import USUAL_PATH, SandboxClock, create_app
from batchrun.sandbox.model import SandboxService, SandboxSettings
from batchrun.settings.location import PRACTICE_PATH

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

_LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = 5


def serve(
    settings: SandboxSettings | None = None,
    host: str = _LOOPBACK,
    port: int = 0,
    speed: float = 1.0,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a sandbox until Ctrl-C.

    Args:
        settings: How it behaves; defaults to the service's standard plan.
        host: Address to listen on.
        port: TCP port; 0 for any free port.
        speed: Virtual seconds per real second.
        on_ready: Called with the base URL once the server accepts requests.

    Raises:
        UsageError: The sandbox can't listen on this address.
    """
    with closing(_listen(host, port)) as listener:
        url = _base_url(listener)
        server = _server(_app(settings, speed), lambda: on_ready(url) if on_ready else None)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


@contextmanager
def running(
    settings: SandboxSettings | None = None,
    speed: float = 1.0,
    port: int = 0,
    path: str = USUAL_PATH,
) -> Iterator[str]:
    """Run a sandbox on localhost in a thread until the block ends.

    Args:
        settings: How it behaves; defaults to the service's standard plan.
        speed: Virtual seconds per real second.
        port: TCP port; 0 for any free port.
        path: Path of the base URL. With ``PRACTICE_PATH``, the journal treats sandboxes on
            different ports as one service.

    Yields:
        The base URL, such as ``http://127.0.0.1:49152/v1``.
    """
    with running_app(_app(settings, speed, path), port) as url:
        yield url.removesuffix(USUAL_PATH) + path


@contextmanager
def practice(speed: float) -> Iterator[str]:
    """Run the sandbox for ``--sandbox`` and for the page's practice mode until the block ends.

    It knows the executions of earlier sandboxes, so practice batches can continue like real ones.
    """
    with running(SandboxSettings(knows_earlier=True), speed, path=PRACTICE_PATH) as url:
        yield url


@contextmanager
def running_app(
    app: ASGIApp, port: int = 0, *, http: type[asyncio.Protocol] | Literal["auto"] = "auto"
) -> Iterator[str]:
    """Run any ASGI app, like `running`; ``http`` replaces uvicorn's protocol class."""
    up_or_dead = threading.Event()
    with (
        closing(_listen(_LOOPBACK, port)) as listener,
        ThreadPoolExecutor(1, thread_name_prefix="sandbox") as thread,
    ):
        server = _server(app, up_or_dead.set, http)
        life = thread.submit(server.run, sockets=[listener])
        life.add_done_callback(lambda _: up_or_dead.set())
        try:
            up_or_dead.wait()
            if not life.done():
                yield _base_url(listener)
        finally:
            server.should_exit = True
            life.result()


class _Server(uvicorn.Server):
    """A uvicorn server that calls a function when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


def _app(settings: SandboxSettings | None, speed: float, path: str = USUAL_PATH) -> ASGIApp:
    clock = SandboxClock(speed)
    return create_app(SandboxService(settings or SandboxSettings(), clock()), clock, path)


def _server(
    app: ASGIApp,
    on_started: Callable[[], None],
    http: type[asyncio.Protocol] | Literal["auto"] = "auto",
) -> _Server:
    config = uvicorn.Config(
        app,
        http=http,
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return _Server(config, on_started)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Pass the protocol: asyncio sets TCP_NODELAY only if the socket has one. Without it, each
    # response waits 40 ms for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", error)
        raise UsageError(
            f"The sandbox can't listen on {host}, port {port}: {reason}.",
            "Choose another port, or 0 for any that is free.",
        ) from error
    return listener


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{USUAL_PATH}"
