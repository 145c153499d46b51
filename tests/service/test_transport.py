"""Both transports: a broken connection costs no second request, whatever was on it before."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import subprocess
import sys
import threading
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from batchrun.service.aiohttp_transport import AiohttpTransport
from batchrun.service.answers import Accepted, Doubtful, PollAnswer, Polled, TriggerAnswer, Unclear
from batchrun.service.client import Client
from batchrun.service.transport import HttpxTransport, Transport, open_transport

from .calls import EXECUTION, KEY, trigger
from .misbehaving import (
    Behaviour,
    Connection,
    ScriptedServer,
    answering,
    hang_up,
    hang_up_after_request,
    keeping,
    raw_answer,
    reset_after_request,
    reset_unread,
    trickling,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNNING = EXECUTION | {"status": "running"}
TAKEN = answering("202 Accepted", EXECUTION)
BODY = {"workflow_id": "wf_1"}


def poll_then_trigger(
    url: str,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[PollAnswer, TriggerAnswer]:
    """A poll, and a trigger over the connection that it left."""

    async def ask() -> tuple[PollAnswer, TriggerAnswer]:
        async with Client(KEY, url, timeout_seconds=60.0) as client:
            polled = await client.poll("exec_1")
            meanwhile()
            return polled, await client.trigger(BODY)

    return asyncio.run(ask())


class Leaving:
    """A server's leave from a connection, at the moment when the client is busy elsewhere."""

    def __init__(self, leave: Behaviour) -> None:
        self._leave = leave
        self._may_go, self._gone = threading.Event(), threading.Event()

    def __call__(self, connection: Connection) -> None:
        self._may_go.wait(60)
        self._leave(connection)
        self._gone.set()

    def happens(self) -> None:
        """Block the thread, and with it the client's loop, until the server is gone."""
        self._may_go.set()
        assert self._gone.wait(60)


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize(
    "breaking", [hang_up_after_request, reset_after_request, reset_unread], ids=lambda b: b.__name__
)
def test_a_trigger_on_a_kept_connection_that_breaks_is_in_doubt_and_sent_once(
    breaking: Behaviour,
) -> None:
    with ScriptedServer(keeping(RUNNING, breaking), TAKEN) as server:
        polled, triggered = poll_then_trigger(server.url)
    assert isinstance(polled, Polled)
    assert isinstance(triggered, Doubtful)
    assert server.connections == 1


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize(
    "breaking", [hang_up_after_request, reset_after_request, reset_unread], ids=lambda b: b.__name__
)
def test_a_poll_on_a_kept_connection_that_breaks_is_not_repeated_behind_the_quota(
    breaking: Behaviour,
) -> None:
    async def ask(url: str) -> tuple[PollAnswer, PollAnswer]:
        async with Client(KEY, url, timeout_seconds=60.0) as client:
            return await client.poll("exec_1"), await client.poll("exec_1")

    script = [keeping(RUNNING, breaking), answering("200 OK", RUNNING)]
    with ScriptedServer(*script) as server:
        first, second = asyncio.run(ask(server.url))
    assert isinstance(first, Polled)
    assert isinstance(second, Unclear)
    assert server.connections == 1


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("leave", [hang_up, Connection.reset], ids=["closed", "reset"])
def test_a_connection_that_the_server_has_closed_is_not_used_for_a_trigger(
    leave: Behaviour,
) -> None:
    """Not even when this process was busy with something else when the server closed it."""
    leaving = Leaving(leave)
    with ScriptedServer(keeping(RUNNING, leaving), TAKEN) as server:
        polled, triggered = poll_then_trigger(server.url, leaving.happens)
    assert isinstance(polled, Polled)
    assert isinstance(triggered, Accepted)
    assert len(server.requests) == server.connections == 2


def not_http(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n")


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (not_http, "the answer can't be read"),
        (hang_up_after_request, "the connection was closed before its end"),
    ],
)
def test_a_broken_answer_is_explained_in_our_words(behaviour: Behaviour, reason: str) -> None:
    with ScriptedServer(behaviour) as server:
        answer = trigger(server.url)
    assert isinstance(answer, Doubtful)
    assert answer.reason == reason


STRAY = raw_answer("202 Accepted", json.dumps(EXECUTION | {"execution_id": "exec_9"}).encode())


def with_stray_bytes(stray: bytes) -> Behaviour:
    """Answer a poll, and send more than the answer; keep the connection open."""
    answer = raw_answer("200 OK", json.dumps(RUNNING).encode(), keep=True)

    def play(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer + stray)
        connection.hold_until_client_leaves()

    return play


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("stray", [STRAY, b"{}"], ids=["an answer", "a body"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_a_connection_with_unread_bytes_is_not_used_again(
    stray: bytes, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = trusted_server(monkeypatch) if encrypted else None
    with ScriptedServer(with_stray_bytes(stray), TAKEN, context=context) as server:
        polled, triggered = poll_then_trigger(server.url)
    assert isinstance(polled, Polled | Unclear)  # aiohttp refuses an answer with more behind it
    assert isinstance(triggered, Accepted)
    assert triggered.execution.id == "exec_1"
    assert server.connections == 2


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_bytes_that_arrive_on_an_idle_connection_belong_to_no_request(
    encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = trusted_server(monkeypatch) if encrypted else None

    def send_stray(connection: Connection) -> None:
        connection.send(STRAY)
        connection.await_arrival()

    leaving = Leaving(send_stray)
    with ScriptedServer(keeping(RUNNING, leaving), TAKEN, context=context) as server:
        _, triggered = poll_then_trigger(server.url, leaving.happens)
    assert isinstance(triggered, Accepted)
    assert triggered.execution.id == "exec_1"
    assert server.connections == 2


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_a_clean_connection_is_used_again(encrypted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    context = trusted_server(monkeypatch) if encrypted else None
    with ScriptedServer(keeping(RUNNING, TAKEN), context=context) as server:
        _, triggered = poll_then_trigger(server.url)
    assert isinstance(triggered, Accepted)
    assert server.connections == 1


ANSWER = json.dumps(EXECUTION).encode()


def encoded(body: bytes, *codings: str) -> Behaviour:
    return answering("202 Accepted", body, [("Content-Encoding", coding) for coding in codings])


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize(
    "behaviour",
    [
        encoded(ANSWER, "identity"),
        encoded(gzip.compress(ANSWER), "gzip"),
        encoded(gzip.compress(ANSWER), "X-GZIP"),
        encoded(gzip.compress(ANSWER[:9]) + gzip.compress(ANSWER[9:]), "gzip"),
    ],
    ids=["identity", "gzip", "x-gzip", "gzip of two members"],
)
def test_one_coding_is_read(behaviour: Behaviour) -> None:
    with ScriptedServer(behaviour) as server:
        assert isinstance(trigger(server.url), Accepted)


def nested(levels: int, size: int) -> bytes:
    body = b" " * size
    for _ in range(levels):
        body = gzip.compress(body)
    return body


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (encoded(nested(1, 60_000_000), "gzip"), "larger than 50 MB"),
        (encoded(nested(2, 10_000), "gzip, gzip"), "encoded as gzip, gzip"),
        (encoded(nested(2, 10_000), "gzip", "gzip"), "encoded as gzip, gzip"),
        (encoded(nested(3, 10_000), "gzip,gzip, identity"), "encoded as"),
        (encoded(zlib.compress(ANSWER), "deflate"), "encoded as deflate"),
        (encoded(ANSWER, "br"), "encoded as br"),
        (encoded(ANSWER, "gzip"), "not the gzip"),
        (encoded(gzip.compress(ANSWER)[:-9], "gzip"), "broke off"),
        (encoded(gzip.compress(ANSWER) + b"more", "gzip"), "not the gzip"),
        (encoded(gzip.compress(b"") * 2_000, "gzip"), "1,000 pieces"),
    ],
)
def test_other_codings_are_refused_and_the_trigger_is_in_doubt(
    behaviour: Behaviour, reason: str
) -> None:
    with ScriptedServer(behaviour) as server:
        answer = trigger(server.url)
    assert isinstance(answer, Doubtful)
    assert reason in answer.reason


@pytest.mark.usefixtures("each_transport")
def test_a_body_is_decompressed_only_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.service.transport.BODY_BYTES", 1_000_000)
    bomb = encoded(nested(1, 100_000_000), "gzip")
    tracemalloc.start()
    try:
        with ScriptedServer(bomb) as server:
            assert isinstance(trigger(server.url), Doubtful)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def trusted_server(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, whose certificate is trusted wherever certificates are read."""
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)

    def read(verify: ssl.SSLContext | bool = True, **_: object) -> ssl.SSLContext:
        return verify if isinstance(verify, ssl.SSLContext) else ours

    monkeypatch.setattr(httpx, "create_ssl_context", read)
    monkeypatch.setattr("httpx._transports.default.create_ssl_context", read)
    return theirs


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("leave", [hang_up, Connection.reset], ids=["closed", "reset"])
def test_an_encrypted_connection_that_the_server_has_closed_is_not_used_either(
    leave: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving, theirs = Leaving(leave), trusted_server(monkeypatch)
    with ScriptedServer(keeping(RUNNING, leaving), TAKEN, context=theirs) as server:
        polled, triggered = poll_then_trigger(server.url, leaving.happens)
    assert isinstance(polled, Polled)
    assert isinstance(triggered, Accepted)
    assert len(server.requests) == server.connections == 2


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("first", [trickling, answering("202 Accepted", b"{}", length=99)])
def test_what_is_left_of_a_broken_answer_belongs_to_no_other_request(
    first: Behaviour,
) -> None:
    async def send(url: str) -> tuple[TriggerAnswer, TriggerAnswer]:
        async with Client(KEY, url, timeout_seconds=0.6) as client:
            return await client.trigger(BODY), await client.trigger(BODY)

    with ScriptedServer(first, TAKEN) as server:
        one, two = asyncio.run(send(server.url))
    assert isinstance(one, Doubtful)
    assert isinstance(two, Accepted)
    assert server.connections == 2


@pytest.mark.usefixtures("each_transport")
def test_a_plain_address_needs_no_certificates_and_trusts_no_server_that_speaks_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def status(url: str, opened_for: str) -> int:
        opened = transport(opened_for)
        try:
            answer = await opened.send("GET", url, {}, None)
            await answer.aclose()
            return answer.status_code
        finally:
            await opened.aclose()

    with ScriptedServer(TAKEN, context=trusted_server(monkeypatch)) as server:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            asyncio.run(status(server.url, "http://127.0.0.1"))
        assert asyncio.run(status(server.url, "https://127.0.0.1")) == 202


def transport(base_url: str = "https://service.example/v1") -> Transport:
    return open_transport(base_url, 60.0)[0]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_is_left_to_httpx(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(transport(), AiohttpTransport)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert isinstance(transport(), HttpxTransport)
    assert isinstance(transport("https://127.0.0.1/v1"), AiohttpTransport)


def test_without_the_extra_httpx_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.service.transport.find_spec", lambda _: None)
    assert isinstance(transport(), HttpxTransport)


def test_what_only_lists_workflows_does_not_wait_for_aiohttp_to_load(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "import batchrun\n"
        "from batchrun.aio import workflows\n"
        "from batchrun.errors import ServiceError\n"
        "settings = batchrun.load_settings(\n"
        "    api_key='sandbox', base_url='http://127.0.0.1:9/v1', journal=sys.argv[1])\n"
        "try:\n"
        "    asyncio.run(workflows(settings=settings))\n"
        "except ServiceError:\n"
        "    sys.exit('aiohttp' in sys.modules)\n"
        "sys.exit('nobody should have answered')"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "journal.db")], check=True)
