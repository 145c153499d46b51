"""The client against real sockets, well-behaved and not."""

from __future__ import annotations

import asyncio
import socket
from typing import NoReturn

import pytest

from batchrun.errors import KeyRefusedError, ServiceError
from batchrun.model import ExecutionStatus
from batchrun.service.answers import (
    Accepted,
    Doubtful,
    KeyRefused,
    NotSent,
    Polled,
    Rejected,
    Throttled,
    Unclear,
    Unknown,
)
from batchrun.service.client import Client
from batchrun.service.parsing import QuotaReading

from .calls import EXECUTION, KEY, poll, trigger, unused_port, workflows
from .misbehaving import (
    Behaviour,
    ScriptedServer,
    answering,
    endless,
    plain_text_greeting,
    reset_after_request,
    reset_unread,
    silent,
    trickling,
    untrusted_server,
)

pytestmark = pytest.mark.usefixtures("each_transport")


def test_trigger_sends_one_post_with_key_and_json() -> None:
    """One POST leaves, with the key in its header and the body as JSON."""
    with ScriptedServer(answering("202 Accepted", EXECUTION)) as server:
        answer = trigger(server.url)

    assert isinstance(answer, Accepted)
    assert (answer.execution.id, answer.execution.status) == ("exec_1", ExecutionStatus.QUEUED)
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/workflows/trigger HTTP/1.1\r\n")
    assert f"x-api-key: {KEY}".encode() in head
    assert b"user-agent: batchrun/" in head.lower()
    assert b'"depth": "\\u00dcberall"' in body


def test_accepted_with_rate_limit_headers_is_sent_once() -> None:
    """A 202 that carries rate-limit headers is a success, not a reason to send again."""
    headers = [
        ("X-RateLimit-Limit", "60"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", "30"),
        ("Retry-After", "30"),
    ]
    with ScriptedServer(answering("202 Accepted", EXECUTION, headers)) as server:
        answer = trigger(server.url)

    assert isinstance(answer, Accepted)
    assert answer.quota == QuotaReading(60, 0, 30.0, 30.0)
    assert len(server.requests) == server.connections == 1


def test_a_header_given_twice_is_a_list() -> None:
    """A service with two windows may say each in a header of its own; the first one counts."""
    headers = [("X-RateLimit-Limit", "60"), ("x-ratelimit-limit", "10000")]
    with ScriptedServer(answering("202 Accepted", EXECUTION, headers)) as server:
        assert trigger(server.url).quota == QuotaReading(limit=60)


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (answering("200 OK", EXECUTION), Accepted),
        (answering("201 Created", {"data": {"id": "exec_1"}}), Accepted),
        (answering("202 Accepted", {"status": "queued"}), Doubtful),
        (answering("202 Accepted", {"execution_id": ""}), Doubtful),
        (answering("202 Accepted", {"execution_id": ".."}), Doubtful),
        (answering("202 Accepted", b'{"execution_id": "exec_1", "status"'), Doubtful),
        (answering("202 Accepted", b'{"execution_id": "exec_1"}', length=99), Doubtful),
        (answering("202 Accepted", b"not gzip", [("Content-Encoding", "gzip")]), Doubtful),
        (answering("204 No Content"), Doubtful),
        (answering("200 OK", b"<html><title>Log in</title></html>"), Doubtful),
        (answering("302 Found", b"", [("Location", "/elsewhere")]), Rejected),
        (answering("400 Bad Request", {"error": "workflow_id is required"}), Rejected),
        (answering("400 Bad Request", b'{"error": "cut', length=99), Rejected),
        (answering("404 Not Found", {"error": {"message": "no such workflow"}}), Rejected),
        (answering("422 Unprocessable Entity"), Rejected),
        (answering("401 Unauthorized", {"error": "missing key"}), KeyRefused),
        (answering("403 Forbidden", {"error": "scope"}), KeyRefused),
        (answering("429 Too Many Requests", {"error": "slow down"}), Throttled),
        (answering("429 Too Many Requests", b"", [("Retry-After", "7")]), Throttled),
        (answering("503 Service Unavailable", b"", [("Retry-After", "7")]), Throttled),
        (answering("503 Service Unavailable"), Doubtful),
        (answering("503 Service Unavailable", b"", [("Retry-After", "soon")]), Doubtful),
        (answering("500 Internal Server Error", {"error": "oops"}), Doubtful),
        (answering("502 Bad Gateway", b"<html></html>"), Doubtful),
        (answering("504 Gateway Timeout"), Doubtful),
        (reset_unread, Doubtful),
        (reset_after_request, Doubtful),
    ],
)
def test_trigger_answers_by_class(behaviour: Behaviour, expected: type) -> None:
    """Each way to answer a trigger, or not to, is of one class, and sent once."""
    with ScriptedServer(behaviour) as server:
        answer = trigger(server.url)

    assert type(answer) is expected
    assert server.connections == 1


def test_trigger_to_closed_port_is_not_sent() -> None:
    """Where nobody listens, nothing was sent."""
    with unused_port() as port:
        answer = trigger(f"http://127.0.0.1:{port}")

    assert answer == NotSent("the connection was refused")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(plain_text_greeting, "no encrypted connection"), (reset_unread, "the connection was reset")],
)
def test_trigger_without_tls_on_the_other_side_is_not_sent(
    behaviour: Behaviour, reason: str
) -> None:
    """A handshake that fails comes before the request."""
    with ScriptedServer(behaviour) as server:
        answer = trigger(server.url.replace("http://", "https://"))

    assert isinstance(answer, NotSent)
    assert answer.reason.startswith(reason)


def test_trigger_to_unknown_host_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that can't be resolved: nothing was sent."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert trigger("https://service.invalid/v1") == NotSent("the host name can't be found")


def test_trigger_through_refusing_proxy_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used, and its refusal comes before the request."""
    with ScriptedServer(answering("407 Proxy Authentication Required")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        answer = trigger("https://service.invalid/v1")

    assert isinstance(answer, NotSent)
    assert answer.reason.startswith("the proxy refused the connection")
    assert [request.split()[0] for request in proxy.requests] == [b"CONNECT"]
    assert KEY.encode() not in proxy.requests[0]


def test_loopback_bypasses_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox on this machine is spoken to directly, whatever proxy is set."""
    with unused_port() as port, ScriptedServer(answering("202 Accepted", EXECUTION)) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        assert isinstance(trigger(server.url), Accepted)


@pytest.mark.parametrize("behaviour", [silent, trickling])
def test_trigger_without_complete_answer_in_time_is_in_doubt(behaviour: Behaviour) -> None:
    """Silence, and an answer that only trickles, end in doubt."""
    with ScriptedServer(behaviour) as server:
        answer = trigger(server.url, timeout_seconds=0.5)

    assert isinstance(answer, Doubtful)
    assert "no complete answer in time" in answer.reason
    assert len(server.requests) == 1


def test_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the limit; what was triggered is in doubt."""
    monkeypatch.setattr("batchrun.service.transport.BODY_BYTES", 3_000_000)
    with ScriptedServer(endless) as server:
        answer = trigger(server.url)

    assert answer == Doubtful("answer larger than 3 MB (HTTP 202)")


def test_redirect_is_not_followed() -> None:
    """The key never goes to the host that a redirect names."""
    with ScriptedServer(answering("202 Accepted", EXECUTION)) as other:
        location = [("Location", f"{other.url}/workflows/trigger")]
        with ScriptedServer(answering("307 Temporary Redirect", b"", location)) as server:
            triggered, polled = trigger(server.url), poll(server.url)
            with pytest.raises(ServiceError, match="redirects to"):
                workflows(server.url)

    assert isinstance(triggered, Rejected)
    assert isinstance(polled, Unclear)
    assert other.connections == 0


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (answering("200 OK", EXECUTION | {"status": "running"}), Polled),
        (answering("200 OK", {"data": {"id": "exec_1", "status": "Completed"}}), Polled),
        (answering("200 OK", {"status": "reticulating"}), Polled),
        (answering("200 OK", {"execution_id": "exec_2", "status": "completed"}), Unclear),
        (answering("200 OK", {"execution_id": "exec_1"}), Unclear),
        (answering("200 OK", b'{"status": "completed", "result": NaN}'), Polled),
        (answering("200 OK", b"[" * 100_000), Unclear),
        (answering("200 OK", []), Unclear),
        (answering("200 OK", b'{"status": "completed"}', length=99), Unclear),
        (answering("404 Not Found"), Unknown),
        (answering("401 Unauthorized"), KeyRefused),
        (answering("403 Forbidden"), KeyRefused),
        (answering("429 Too Many Requests"), Throttled),
        (answering("503 Service Unavailable", b"", [("Retry-After", "1")]), Throttled),
        (answering("503 Service Unavailable"), Unclear),
        (answering("500 Internal Server Error"), Unclear),
        (answering("302 Found"), Unclear),
        (reset_unread, Unclear),
        (reset_after_request, Unclear),
        (endless, Unclear),
    ],
)
def test_poll_answers_by_class(
    behaviour: Behaviour, expected: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to answer a poll, or not to, is of one class."""
    monkeypatch.setattr("batchrun.service.transport.BODY_BYTES", 3_000_000)
    with ScriptedServer(behaviour) as server:
        answer = poll(server.url)

    assert type(answer) is expected
    assert server.connections == 1


def test_poll_tells_the_result() -> None:
    """The result arrives as the service sent it, huge integers included."""
    result = {"summary": "Done", "outputs": {"report_id": "rpt_001", "big": 10**30}}
    body = EXECUTION | {"status": "completed", "result": result}
    with ScriptedServer(answering("200 OK", body)) as server:
        answer = poll(server.url)

    assert isinstance(answer, Polled)
    assert answer.execution.ended
    assert answer.execution.result == result


def test_poll_without_answer_is_unclear() -> None:
    """Silence and a closed port are no verdict on the execution."""
    with ScriptedServer(silent) as server:
        assert isinstance(poll(server.url, timeout_seconds=0.5), Unclear)
    with unused_port() as port:
        assert isinstance(poll(f"http://127.0.0.1:{port}"), Unclear)


def test_poll_encodes_the_id() -> None:
    """An odd id stays one segment of the path."""
    body = {"status": "running"}
    with ScriptedServer(answering("200 OK", body)) as server:
        answer = poll(server.url, "../a b?c#d/ü")

    assert isinstance(answer, Polled)
    assert server.requests[0].split()[1] == b"/v1/workflows/executions/..%2Fa%20b%3Fc%23d%2F%C3%BC"


@pytest.mark.parametrize("execution_id", ["", ".", "..", "a\nb", " a", "x" * 201])
def test_poll_of_unusable_id_sends_nothing(execution_id: str) -> None:
    """An id that no path can carry is unknown without asking."""
    with ScriptedServer(answering("200 OK", EXECUTION)) as server:
        assert isinstance(poll(server.url, execution_id), Unknown)
    assert server.connections == 0


@pytest.mark.parametrize("status", ["400 Bad Request", "401 No", "500 Oops", "202 Accepted"])
def test_key_repeated_by_the_service_is_not_passed_on(status: str) -> None:
    """A service that quotes the key in its error does not get it into a reason."""
    with ScriptedServer(answering(status, {"error": f"Key {KEY} is no good"})) as server:
        answers = repr((trigger(server.url), poll(server.url)))
        with pytest.raises((ServiceError, KeyRefusedError)) as raised:
            workflows(server.url)

    assert "[key]" in answers
    assert KEY not in answers + str(raised.value)


def test_key_repeated_in_a_failure_is_not_passed_on() -> None:
    """Nor does it get into the words of a failed execution."""
    body = EXECUTION | {"status": "failed", "error": f"{KEY} has no credits"}
    with ScriptedServer(answering("200 OK", body)) as server:
        answer = poll(server.url)

    assert isinstance(answer, Polled)
    assert answer.execution.message == "[key] has no credits"


def test_certificate_that_nobody_trusts_is_not_talked_to() -> None:
    """A server with a certificate of its own never sees the request."""
    with untrusted_server() as (url, seen):
        answer = trigger(url)

    assert isinstance(answer, NotSent)
    assert answer.reason.startswith("the service's certificate is not trusted")
    assert seen == []


def test_key_is_not_in_repr() -> None:
    """A client that is printed shows where it goes, not with what."""

    async def show() -> str:
        async with Client(KEY) as client:
            return repr(client)

    assert asyncio.run(show()) == "Client(base_url='https://api.pipelinegeneration.ai/v1')"


def test_trigger_refuses_nan() -> None:
    """What JSON can't hold is never sent."""

    async def send() -> None:
        with unused_port() as port:
            async with Client(KEY, f"http://127.0.0.1:{port}") as client:
                await client.trigger({"workflow_id": "wf_1", "parameters": {"x": float("nan")}})

    with pytest.raises(ValueError, match="JSON"):
        asyncio.run(send())
