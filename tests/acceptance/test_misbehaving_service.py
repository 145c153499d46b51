"""The whole way against a raw socket that misbehaves: the outcome, the words, and one POST only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import batchrun
from tests.service.misbehaving import (
    Behaviour,
    Connection,
    ScriptedServer,
    answering,
    endless,
    reset_after_request,
    reset_unread,
    silent,
    trickling,
)

if TYPE_CHECKING:
    from pathlib import Path

ACME = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
EXECUTION: dict[str, Any] = {"execution_id": "exec_1", "workflow_id": "wf_1"}
LIST = answering("200 OK", [{"id": "wf_1", "name": "Research", "status": "active"}])
TAKEN = answering("202 Accepted", EXECUTION | {"status": "queued"})
RESULT = {"summary": "fine"}
DONE = answering("200 OK", EXECUTION | {"status": "completed", "result": RESULT})
NOT_YET = answering("200 OK", EXECUTION | {"status": "running"})


@dataclass(frozen=True)
class Case:
    """What the service does, and what becomes of the row."""

    triggers: list[Behaviour] = field(default_factory=lambda: [TAKEN])
    polls: list[Behaviour] = field(default_factory=lambda: [DONE])
    outcome: str = "completed"
    message: str = ""
    posts: int = 1
    timeout_seconds: float = 30.0


def ended(**fields: Any) -> Behaviour:
    return answering("200 OK", EXECUTION | {"status": "completed", "result": RESULT} | fields)


def throttled(*headers: tuple[str, str]) -> Behaviour:
    return answering("429 Too Many Requests", {"error": "slow down"}, headers)


PAST, AHEAD = "2001-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
QUOTA = [
    ("X-RateLimit-Limit", "60"),
    ("X-RateLimit-Remaining", "59"),
    ("X-RateLimit-Reset", "9"),
    ("Retry-After", "1"),
]
HTML = b"<html><title>Bad gateway</title></html>"

CASES = {
    "reset before the body was read": Case([reset_unread], outcome="in doubt"),
    "reset after the body": Case([reset_after_request], outcome="in doubt", message="reset"),
    "truncated body": Case(
        [answering("202 Accepted", b'{"execution_id": "exec_1"}', length=99)],
        outcome="in doubt",
        message="broke off",
    ),
    "not JSON": Case([answering("202 Accepted", b"fine!")], outcome="in doubt", message="not JSON"),
    "HTML from a gateway": Case(
        [answering("502 Bad Gateway", HTML)], outcome="in doubt", message="HTML page: Bad gateway"
    ),
    "202 without an id": Case(
        [answering("202 Accepted", {"status": "queued"})], outcome="in doubt", message="no exec"
    ),
    "an id that is an object": Case(
        [answering("202 Accepted", {"execution_id": {"id": 1}})], outcome="in doubt"
    ),
    "200 instead of 202": Case([answering("200 OK", EXECUTION | {"status": "queued"})]),
    "202 with quota headers": Case([answering("202 Accepted", EXECUTION, QUOTA)]),
    "redirect": Case(
        [answering("307 Temporary Redirect", b"", [("Location", "https://else.example/v1")])],
        outcome="rejected",
        message="redirects to https://else.example/v1, not followed",
    ),
    "endless body": Case([endless], outcome="in doubt", message="larger than"),
    "no answer at all": Case(
        [silent], outcome="in doubt", message="no complete answer in time", timeout_seconds=0.8
    ),
    "an answer that trickles": Case(
        [trickling], outcome="in doubt", message="no complete answer in time", timeout_seconds=0.8
    ),
    "polls without an answer": Case(polls=[silent, trickling, DONE], timeout_seconds=0.8),
    "429, then taken": Case([throttled(), TAKEN], posts=2),
    "503 with Retry-After, then taken": Case(
        [answering("503 Service Unavailable", b"", [("Retry-After", "1")]), TAKEN], posts=2
    ),
    "404 at first, found later": Case(polls=[answering("404 Not Found")] * 2 + [DONE]),
    "a status never heard of, then done": Case(
        polls=[answering("200 OK", EXECUTION | {"status": "reticulating"}), DONE]
    ),
    "polls that go wrong in every way": Case(
        polls=[
            reset_unread,
            reset_after_request,
            answering("500 Oops"),
            answering("200 OK", b"<html>"),
            throttled(("Retry-After", "1")),
            NOT_YET,
            DONE,
        ]
    ),
    "completed without a result": Case(
        polls=[answering("200 OK", EXECUTION | {"status": "completed"})],
        message="completed, but the service sent no result",
    ),
    "completed with an empty result": Case(polls=[ended(result={})], message="sent no result"),
    "failed, with the service's words": Case(
        polls=[answering("200 OK", EXECUTION | {"status": "failed", "error": "no such company"})],
        outcome="failed",
        message="no such company",
    ),
    "ended before it began": Case(polls=[ended(started_at=AHEAD, completed_at=PAST)]),
    "timestamps that are none": Case(polls=[ended(started_at="soon", completed_at={"a": 1})]),
}

ON_THE_WIRE = {
    *("reset before the body was read", "reset after the body", "truncated body", "endless body"),
    *("no answer at all", "an answer that trickles", "polls without an answer", "redirect"),
    "polls that go wrong in every way",
}
"""What each transport meets by itself; an answer that has arrived is the same for both."""
TRIED = [("aiohttp", name) for name in CASES] + [("httpx", name) for name in sorted(ON_THE_WIRE)]


class Service:
    """A service that lists one workflow and plays a case, whatever the order of requests."""

    def __init__(self, case: Case) -> None:
        self._triggers, self._polls = list(case.triggers), list(case.polls)

    def __call__(self, connection: Connection) -> None:
        """Look at the request line, then behave."""
        line = connection.peek_request_line()
        if line.startswith(b"POST"):
            self._next(self._triggers)(connection)
        elif line.startswith(b"GET /v1/workflows/executions/exec_1"):
            self._next(self._polls)(connection)
        else:
            LIST(connection)

    def _next(self, behaviours: list[Behaviour]) -> Behaviour:
        return behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]


@pytest.mark.parametrize(("each_transport", "name"), TRIED, indirect=["each_transport"])
def test_each_misbehaviour_has_one_outcome_and_costs_one_trigger(
    each_transport: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    monkeypatch.setattr("batchrun.service.transport.BODY_BYTES", 3_000_000)
    with ScriptedServer(Service(case)) as server:
        settings = batchrun.load_settings(
            api_key="key",
            base_url=server.url,
            journal=str(tmp_path / "journal.db"),
            speed=200.0,
            timeout_seconds=case.timeout_seconds,
        )
        frame = pd.DataFrame({"Company ID": [ACME]})
        batchrun.run(frame, "Research", settings=settings)
        report = batchrun.resume(settings=settings)
        found = batchrun.results(settings=settings)
        posts = [request for request in server.requests if request.startswith(b"POST")]
        refused_unread = case.triggers[0] is reset_unread
    assert list(found["batchrun status"]) == [case.outcome]
    assert case.message in (found["batchrun message"][0] or "")
    assert len(posts) == case.posts - refused_unread
    if case.outcome == "completed" and not case.message:
        assert list(found["summary"]) == ["fine"]
    assert sum(report.summary.counts.values()) == 1
