"""The first call of a run: the list of workflows, or what is wrong, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchrun.errors import KeyRefusedError, ServiceError
from batchrun.model import Workflow
from batchrun.service.client import MAX_PAGES
from batchrun.service.parsing import QuotaReading

from .calls import workflows
from .misbehaving import Behaviour, ScriptedServer, answering, reset_after_request

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "wrap",
    [
        lambda entries: entries,
        lambda entries: {"data": entries, "pagination": {"page": 1}},
        lambda entries: {"items": entries, "nextPage": None},
        lambda entries: {"workflows": entries},
        lambda entries: {"data": {"workflows": entries}},
    ],
)
def test_workflows_bare_or_wrapped(wrap: Callable[[Any], Any]) -> None:
    """The list is found in each wrapping; what is no workflow is left out."""
    entries = [
        {"id": "wf_1", "name": "Account Research", "description": "Finds", "status": "Active"},
        {"id": "wf_2", "name": None, "description": None, "status": "paused"},
        "nonsense",
    ]
    with ScriptedServer(
        answering("200 OK", wrap(entries), [("X-RateLimit-Remaining", "59")])
    ) as server:
        listed = workflows(server.url)

    assert listed.workflows == (
        Workflow("wf_1", "Account Research", "Finds", "active"),
        Workflow("wf_2", "wf_2", "", "paused"),
    )
    assert listed.quota == QuotaReading(remaining=59)
    assert not listed.more


@pytest.mark.parametrize("odd_id", ["wf_\ud83d", "wf\x1b[2J", "", " ", "x" * 5_000, None, ["wf_2"]])
def test_of_odd_and_repeated_entries_those_that_can_be_triggered_are_listed(odd_id: Any) -> None:
    entry = {"id": "wf_1", "name": "half \ud83d an emoji", "description": "\udcff"}
    with ScriptedServer(answering("200 OK", [{"id": odd_id}, entry, entry])) as server:
        [found] = workflows(server.url).workflows

    assert found == Workflow("wf_1", "half ? an emoji", "?", "active")


def page(number: int, **wrapping: Any) -> Behaviour:
    entries = [{"id": f"wf_{number}{letter}", "name": f"{number}{letter}"} for letter in "ab"]
    return answering("200 OK", {"data": entries} | wrapping)


def targets(server: ScriptedServer) -> list[str]:
    return [request.split()[1].decode() for request in server.requests]


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize(
    "following",
    [
        {"next": "/v1/workflows?a=\r\nX-Evil: 1&b= \x00\x1b\u00e9"},
        {"next": "?a=\ud83d"},
        {"nextCursor": "\r\nX-Evil: 1\ud83d"},
    ],
)
def test_a_next_page_adds_no_header_and_ends_no_command(following: dict[str, str]) -> None:
    with ScriptedServer(page(1, **following), page(2)) as server:
        assert len(workflows(server.url).workflows) == 4

    assert all(b"X-Evil: 1\r\n" not in request for request in server.requests)


URL = "https://elsewhere.example/v1/workflows?page=2&size=2"


@pytest.mark.parametrize(
    ("wrapping", "query"),
    [
        ({"nextPage": 2}, "page=2"),
        ({"nextPage": "2"}, "page=2"),
        ({"pagination": {"nextPage": 2}}, "page=2"),
        ({"pagination": {"next_page": 2, "total": 4}}, "page=2"),
        ({"pagination": {"page": 1, "totalPages": 2}}, "page=2"),
        ({"pagination": {"page": 1, "per_page": 2, "total": 4}}, "page=2"),
        ({"pagination": {"page": 0, "pages": 2}}, "page=1"),
        ({"pagination": {"hasMore": True}}, "page=2"),
        ({"has_more": True, "next_cursor": "b c"}, "cursor=b+c"),
        ({"meta": {"pagination": {"nextCursor": "x="}}}, "cursor=x%3D"),
        ({"next_page_token": "t"}, "page_token=t"),
        ({"nextPageToken": "t"}, "pageToken=t"),
        ({"nextPage": "bmV4dA"}, "page=bmV4dA"),
        ({"next": URL}, "page=2&size=2"),
        ({"links": {"next": {"href": "/v1/workflows?page=2"}}}, "page=2"),
        ({"next": "?after=x#top"}, "after=x"),
        ({"nextCursor": "abc", "nextPage": 2}, "page=2"),
        ({"next": "t", "nextPageUrl": "/x?a=1"}, "a=1"),
        ({"NEXT_PAGE_TOKEN": "t"}, "page_token=t"),
        ({"pagination": {"offset": 0, "limit": 2, "total": 3}}, "offset=2"),
    ],
)
def test_the_next_page_is_fetched_in_every_notation(wrapping: dict[str, Any], query: str) -> None:
    with ScriptedServer(page(1, **wrapping), page(2)) as server:
        listed = workflows(server.url)
    assert [workflow.id for workflow in listed.workflows] == ["wf_1a", "wf_1b", "wf_2a", "wf_2b"]
    assert targets(server) == ["/v1/workflows", f"/v1/workflows?{query}"]
    assert not listed.more


@pytest.mark.parametrize(
    "wrapping",
    [
        {"nextPage": None},
        {"nextPage": False},
        {"nextPage": ""},
        {"nextPage": 0},
        {"nextPage": []},
        {"next": "https://elsewhere.example/"},
        {"pagination": {"page": 1, "pages": 1}},
        {"pagination": {"page": 1, "totalPages": 3, "hasMore": False}},
        {"pagination": {"offset": 0, "limit": 2, "total": 2}},
        {"pagination": {"page": 1, "limit": 0, "total": 2}},
        {"pagination": [1]},
    ],
)
def test_a_last_page_is_the_last(wrapping: dict[str, Any]) -> None:
    with ScriptedServer(page(1, **wrapping)) as server:
        assert len(workflows(server.url).workflows) == 2
    assert server.connections == 1


def test_a_service_that_gives_the_same_page_again_is_not_asked_for_ever() -> None:
    with ScriptedServer(page(1, nextPage=2)) as server:
        assert len(workflows(server.url).workflows) == 2
    assert server.connections == 2


def test_a_next_page_that_was_read_already_is_not_read_again() -> None:
    script = [page(1, nextPage=2), page(2, nextPage=3), page(3, nextPage=2)]
    with ScriptedServer(*script) as server:
        assert len(workflows(server.url).workflows) == 6
    assert server.connections == 3


def test_the_number_of_pages_is_bounded() -> None:
    with ScriptedServer(*(page(number, nextPage=number + 1) for number in range(1, 99))) as server:
        assert len(workflows(server.url).workflows) == 2 * MAX_PAGES
    assert server.connections == MAX_PAGES


@pytest.mark.parametrize(
    "broken", [answering("404 Not Found"), answering("200 OK", b"<html>"), reset_after_request]
)
def test_a_further_page_that_can_not_be_read_leaves_the_pages_before_it(broken: Behaviour) -> None:
    with ScriptedServer(page(1, nextPage=2), broken) as server:
        assert len(workflows(server.url).workflows) == 2


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        (answering("401 Unauthorized", {"error": "bad key"}), KeyRefusedError, "bad key"),
        (answering("403 Forbidden", {"error": "scope"}), KeyRefusedError, "workflows:read"),
        (answering("403 Forbidden", b"<html><title>Blocked</title>"), ServiceError, "in front of"),
        (answering("404 Not Found", b"<html>"), ServiceError, "BATCHRUN_BASE_URL"),
        (answering("200 OK", b"<html>"), ServiceError, "BATCHRUN_BASE_URL"),
        (answering("200 OK", {"id": "wf_1"}), ServiceError, "no list of workflows"),
        (answering("200 OK", ["x"]), ServiceError, "not workflows"),
        (
            answering("429 Too Many Requests", b"", [("Retry-After", "7")]),
            ServiceError,
            "in 7 s",
        ),
        (
            answering("429 Too Many Requests", b"", [("Retry-After", "31536000")]),
            ServiceError,
            "in 1 d",
        ),
        (answering("429 Too Many Requests", b"", [("Retry-After", "-7")]), ServiceError, "later"),
        (answering("503 Busy", b"", [("Retry-After", "7")]), ServiceError, "in 7 s"),
        (answering("502 Bad Gateway"), ServiceError, "failed: HTTP 502"),
        (reset_after_request, ServiceError, "can't be reached"),
    ],
)
def test_workflows_errors_say_where_and_what_to_do(
    behaviour: Behaviour, error: type[Exception], words: str
) -> None:
    """The first call of a run explains what is wrong, and names the address."""
    with ScriptedServer(behaviour) as server, pytest.raises(error) as raised:
        workflows(server.url)

    assert words in str(raised.value)
    assert server.url in str(raised.value)
