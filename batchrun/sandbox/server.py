"""The sandbox over HTTP: `serve` blocks until Ctrl-C, `running` uses a background thread.

Two paths are not part of the API contract; like the health check, they need no key and no quota:

- ``GET /sandbox/report`` returns the request counts (`SandboxService.report`).
- ``GET /sandbox/openapi.yaml`` returns the contract.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from email.utils import formatdate
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from batchrun.errors import UsageError
from batchrun.sandbox.model import Answer, SandboxService, SandboxSettings
from batchrun.settings.location import PRACTICE_PATH

if TYPE_CHECKING:
    import asyncio

    from starlette.types import ASGIApp

PRACTICE_SPEED = 60.0
"""How much faster than real time the practice sandbox runs: a minute takes a second."""
PRACTICE_FAIL = 0.015
"""Share of practice jobs that fail: one of the contacts in sample_data, and no account."""
USUAL_PATH = "/v1"
_LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = 5

Clock: TypeAlias = Callable[[], float]
"""Returns the virtual time, in Unix seconds."""


class SandboxClock:
    """Virtual time that runs ``speed`` times as fast as real time.

    Args:
        speed: Virtual seconds per real second, above 0.
        origin: Virtual time at the start, Unix seconds; defaults to the real time.
        monotonic: Returns real seconds since an arbitrary point.
    """

    def __init__(
        self,
        speed: float = 1.0,
        origin: float | None = None,
        monotonic: Clock = time.monotonic,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self.origin = time.time() if origin is None else origin
        self._monotonic = monotonic
        self._began = monotonic()

    def __call__(self) -> float:
        """Return the current virtual time, in Unix seconds."""
        return self.origin + (self._monotonic() - self._began) * self.speed


def create_app(service: SandboxService, clock: Clock, path: str = USUAL_PATH) -> Starlette:
    """Create the sandbox's ASGI app, which sends the clock's time in the ``Date`` header."""

    def date() -> dict[str, str]:
        return {"Date": formatdate(clock(), usegmt=True)}

    def respond(answer: Answer) -> Response:
        # ASCII output: UTF-8 can't encode a lone surrogate in a user's parameters.
        return Response(
            json.dumps(answer.body, allow_nan=False),
            status_code=answer.status,
            headers={**date(), **answer.headers},
            media_type="application/json",
        )

    def get(path: str, answer: Callable[[Request, str | None, float], Answer]) -> Route:
        async def endpoint(request: Request) -> Response:  # a plain function gets a thread
            return respond(answer(request, request.headers.get("x-api-key"), clock()))

        return Route(path, endpoint)

    async def trigger(request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)  # required by Starlette, but the client is gone
        key, kind = request.headers.get("x-api-key"), request.headers.get("content-type", "")
        return respond(service.trigger(key, body, clock(), kind))

    async def contract(_: Request) -> Response:
        text = files("batchrun.sandbox").joinpath("openapi.yaml").read_bytes()
        return Response(text, media_type="application/yaml", headers=date())

    async def misdirected(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = Answer(error.status_code, {"error": error.detail.lower()}, error.headers or {})
        return respond(answer)

    async def defect(_: Request, __: Exception) -> Response:
        return respond(Answer(500, {"error": "internal error"}))

    app = Starlette(
        routes=[
            get(f"{path}/health", lambda *_: Answer(200, {"status": "ok"})),
            get(f"{path}/workflows", lambda _, key, now: service.workflows(key, now)),
            Route(f"{path}/workflows/trigger", trigger, methods=["POST"]),
            get(
                path + "/workflows/executions/{execution_id}",
                lambda request, key, now: service.execution(
                    key, request.path_params["execution_id"], now
                ),
            ),
            get(f"{path}/organization/credits", lambda _, key, now: service.credits(key, now)),
            get("/sandbox/report", lambda _, __, now: Answer(200, service.report(now))),
            Route("/sandbox/openapi.yaml", contract),
        ],
        exception_handlers={HTTPException: misdirected, Exception: defect},
    )
    app.router.redirect_slashes = False
    return app


def serve(
    settings: SandboxSettings | None = None,
    port: int = 0,
    speed: float = 1.0,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a sandbox like `running` until Ctrl-C.

    ``on_ready`` is called with the base URL once the server accepts requests.

    Raises:
        UsageError: The sandbox can't listen on this port.
    """
    with closing(_listen(port)) as listener:
        url = _base_url(listener)
        config = quiet_config(_app(settings, speed), _GRACE_SECONDS)
        server = _Server(config, lambda: on_ready(url) if on_ready else None)
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


def practice(
    speed: float = PRACTICE_SPEED, *, again: bool = False, port: int = 0, path: str = PRACTICE_PATH
) -> AbstractContextManager[str]:
    """Run the sandbox for ``--sandbox`` and for the page's practice mode until the block ends.

    It knows the executions of earlier sandboxes, so practice batches can continue like real ones.
    Some jobs fail, but not if all of them are sent ``again``.
    """
    settings = SandboxSettings(knows_earlier=True, fail=0.0 if again else PRACTICE_FAIL)
    return running(settings, speed, port, path)


@contextmanager
def running_app(
    app: ASGIApp, port: int = 0, *, http: type[asyncio.Protocol] | Literal["auto"] = "auto"
) -> Iterator[str]:
    """Run any ASGI app, like `running`; ``http`` replaces uvicorn's protocol class."""
    up_or_dead = threading.Event()
    with (
        closing(_listen(port)) as listener,
        ThreadPoolExecutor(1, thread_name_prefix="sandbox") as thread,
    ):
        server = _Server(quiet_config(app, _GRACE_SECONDS, http), up_or_dead.set)
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


def quiet_config(
    app: ASGIApp, grace_seconds: int, http: type[asyncio.Protocol] | Literal["auto"] = "auto"
) -> uvicorn.Config:
    """Return the configuration of a server that prints nothing and adds no headers of its own."""
    return uvicorn.Config(
        app,
        http=http,
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=grace_seconds,
    )


def listening_socket(port: int) -> socket.socket:
    """Listen on this machine only; port 0 is any free one.

    Raises:
        OSError, OverflowError: The port can't be used.
    """
    # Pass the protocol: asyncio sets TCP_NODELAY only if the socket has one. Without it, each
    # response waits 40 ms for the client's delayed ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_LOOPBACK, port))
        listener.listen()
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def _listen(port: int) -> socket.socket:
    try:
        return listening_socket(port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", error)
        raise UsageError(
            f"The sandbox can't listen on {_LOOPBACK}, port {port}: {reason}.",
            "Choose another port, or 0 for any that is free.",
        ) from error


def _base_url(listener: socket.socket) -> str:
    return f"http://{_LOOPBACK}:{listener.getsockname()[1]}{USUAL_PATH}"
