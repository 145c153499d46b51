"""The sandbox over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.utils import parsedate_to_datetime
from queue import Queue
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchrun.errors import UsageError
from batchrun.sandbox import SandboxSettings, server
from batchrun.sandbox.server import SandboxClock, running, serve

from .strategies import KEY, NOON, company, trigger_body

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    settings = SandboxSettings(rate_per_minute=100, run_median_seconds=0)
    with (
        running(settings) as url,
        httpx.Client(base_url=url, headers={"x-api-key": KEY}) as client,
    ):
        yield client


def test_a_company_goes_the_whole_way(client: httpx.Client) -> None:
    names = {workflow["name"]: workflow["id"] for workflow in client.get("/workflows").json()}
    body = trigger_body(4, workflow_id=names["Contact Research"], parameters={"depth": "\ud800"})
    content = json.dumps(body)
    accepted = client.post(
        "/workflows/trigger", content=content, headers={"Content-Type": "application/json"}
    )
    assert accepted.status_code == 202
    assert accepted.headers["X-RateLimit-Remaining"] == "98"
    execution = client.get(f"/workflows/executions/{accepted.json()['execution_id']}").json()
    assert execution["status"] == "completed"
    assert execution["result"]["company_id"] == company(4)


def test_the_report_needs_no_key_and_counts_nothing(client: httpx.Client) -> None:
    origin = client.base_url.join("/")
    for _ in range(2):
        client.post("/workflows/trigger", json=trigger_body())
    for _ in range(2):
        report = httpx.get(origin.join("/sandbox/report")).json()
    assert report["requests"] == report["triggers_accepted"] == 2
    assert report["triggered_more_than_once"] == [trigger_body()]


def test_the_contract_can_be_fetched(client: httpx.Client) -> None:
    contract = httpx.get(client.base_url.join("/sandbox/openapi.yaml"))
    assert contract.text.startswith("openapi: 3.1")


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nothing", 404, "not found"),
        ("GET", "/workflows/", 404, "not found"),
        ("GET", "/workflows/trigger", 405, "method not allowed"),
        ("DELETE", "/workflows", 405, "method not allowed"),
    ],
)
def test_a_wrong_way_gets_a_json_error(
    client: httpx.Client, method: str, path: str, status: int, error: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert ("Allow" in answer.headers) == (status == 405)


def test_health_needs_no_key(client: httpx.Client) -> None:
    answer = httpx.get(client.base_url.join("health"))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "X-RateLimit-Limit" not in answer.headers


def test_the_date_header_tells_the_virtual_time() -> None:
    with running(SandboxSettings(), speed=1e6) as url:
        dates = [parsedate_to_datetime(httpx.get(f"{url}/health").headers["Date"]) for _ in "12"]
    assert dates[1] > dates[0]


def test_the_clock_passes_as_fast_as_asked() -> None:
    real = iter([5.0, 7.0])
    clock = SandboxClock(speed=60, origin=NOON, monotonic=lambda: next(real))
    assert clock() == NOON + 120
    with pytest.raises(ValueError, match="speed"):
        SandboxClock(speed=0)


def test_two_sandboxes_run_side_by_side() -> None:
    with running() as one, running() as other:
        assert one != other
        assert httpx.get(f"{one}/health").status_code == 200
        assert httpx.get(f"{other}/health").status_code == 200


def test_a_stopped_sandbox_answers_no_more() -> None:
    with running() as url:
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_an_error_in_the_block_comes_through_and_stops_the_sandbox() -> None:
    with pytest.raises(LookupError, match="mine"), running():
        raise LookupError("mine")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sandbox")]


def test_a_sandbox_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise OSError("no more files")

    monkeypatch.setattr(server._Server, "startup", broken)
    with pytest.raises(OSError, match="no more files"), running():
        pytest.fail("it did not start")


def test_serve_tells_its_url_and_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    urls: Queue[str] = Queue()
    servers: list[server._Server] = []

    class Remembered(server._Server):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            servers.append(self)

    monkeypatch.setattr(server, "_Server", Remembered)
    with ThreadPoolExecutor(1) as thread:
        life = thread.submit(serve, on_ready=urls.put)
        assert httpx.get(f"{urls.get()}/health").status_code == 200
        servers[0].should_exit = True
        life.result()


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with closing(server._listen(0)) as listener:
        # What asyncio looks at before it sets TCP_NODELAY; without it an answer takes 40 ms.
        assert listener.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_told_in_words() -> None:
    with running() as url, pytest.raises(UsageError, match="another port"):
        serve(port=httpx.URL(url).port or 0)
