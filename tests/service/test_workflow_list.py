"""The first call of a run: the list of workflows, or what is wrong, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchrun.errors import KeyRefusedError, ServiceError
from batchrun.model import Workflow
from batchrun.service import QuotaReading

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


def test_workflows_tells_of_further_pages() -> None:
    """A list with a next page says so."""
    body = {"items": [{"id": "wf_1", "name": "A"}], "nextPage": "2"}
    with ScriptedServer(answering("200 OK", body)) as server:
        assert workflows(server.url).more


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [
        (answering("401 Unauthorized", {"error": "bad key"}), KeyRefusedError, "bad key"),
        (answering("403 Forbidden", {"error": "scope"}), KeyRefusedError, "workflows:read"),
        (answering("404 Not Found", b"<html>"), ServiceError, "BATCHRUN_BASE_URL"),
        (answering("200 OK", b"<html>"), ServiceError, "BATCHRUN_BASE_URL"),
        (answering("200 OK", {"id": "wf_1"}), ServiceError, "no list of workflows"),
        (answering("200 OK", ["x"]), ServiceError, "not workflows"),
        (
            answering("429 Too Many Requests", b"", [("Retry-After", "7")]),
            ServiceError,
            "in 7 s",
        ),
        (answering("502 Bad Gateway"), ServiceError, "in trouble"),
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
