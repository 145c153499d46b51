"""The sandbox's HTTP endpoints.

Two paths are not part of the API contract; they need no key and use no quota:

- ``GET /sandbox/report`` returns the request counts (`SandboxService.report`).
- ``GET /sandbox/openapi.yaml`` returns the contract.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import formatdate
from importlib.resources import files
from typing import TYPE_CHECKING, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from batchrun.sandbox.model import Answer, SandboxService

if TYPE_CHECKING:
    from starlette.requests import Request

Clock: TypeAlias = Callable[[], float]
"""Returns the virtual time, in Unix seconds."""


USUAL_PATH = "/v1"


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
    """Create the sandbox's ASGI app.

    Args:
        service: The model that answers the requests.
        clock: Returns the virtual time; it is also sent in the ``Date`` header.
        path: Path of the base URL.
    """
    endpoints = _Endpoints(service, clock)
    app = Starlette(
        routes=[
            Route(f"{path}/health", endpoints.health),
            Route(f"{path}/workflows", endpoints.workflows),
            Route(f"{path}/workflows/trigger", endpoints.trigger, methods=["POST"]),
            Route(path + "/workflows/executions/{execution_id}", endpoints.execution),
            Route(f"{path}/organization/credits", endpoints.credits),
            Route("/sandbox/report", endpoints.report),
            Route("/sandbox/openapi.yaml", endpoints.contract),
        ],
        exception_handlers={HTTPException: endpoints.misdirected, Exception: endpoints.defect},
    )
    app.router.redirect_slashes = False
    return app


class _Endpoints:
    def __init__(self, service: SandboxService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def health(self, _: Request) -> Response:
        return self._respond(self._service.health())

    async def workflows(self, request: Request) -> Response:
        return self._respond(self._service.workflows(_key(request), self._clock()))

    async def trigger(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)  # required by Starlette, but the client is gone
        content_type = request.headers.get("content-type", "")
        return self._respond(
            self._service.trigger(_key(request), body, self._clock(), content_type)
        )

    async def execution(self, request: Request) -> Response:
        execution_id = request.path_params["execution_id"]
        return self._respond(self._service.execution(_key(request), execution_id, self._clock()))

    async def credits(self, request: Request) -> Response:
        return self._respond(self._service.credits(_key(request), self._clock()))

    async def report(self, _: Request) -> Response:
        return self._respond(Answer(200, self._service.report(self._clock())))

    async def contract(self, _: Request) -> Response:
        text = files("batchrun.sandbox").joinpath("openapi.yaml").read_bytes()
        return Response(text, media_type="application/yaml", headers=self._date())

    async def misdirected(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = Answer(error.status_code, {"error": error.detail.lower()}, error.headers or {})
        return self._respond(answer)

    async def defect(self, _: Request, __: Exception) -> Response:
        return self._respond(Answer(500, {"error": "internal error"}))

    def _respond(self, answer: Answer) -> Response:
        # ASCII output: UTF-8 can't encode a lone surrogate in a user's parameters.
        return Response(
            json.dumps(answer.body, allow_nan=False),
            status_code=answer.status,
            headers={**self._date(), **answer.headers},
            media_type="application/json",
        )

    def _date(self) -> dict[str, str]:
        return {"Date": formatdate(self._clock(), usegmt=True)}


def _key(request: Request) -> str | None:
    return request.headers.get("x-api-key")
