"""The service imitated: what it answers, when, and to whom."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.model import Cause
from batchrun.sandbox.model import SandboxService, SandboxSettings, Scope
from batchrun.service.parsing import cause_of

from .strategies import KEY, NOON, company, gaps, told, trigger_body, triggered, unlimited, wire


def test_an_execution_runs_at_once_and_completes_with_its_own_company() -> None:
    service = unlimited()
    execution_id = triggered(service, 7)
    running = told(service, execution_id, NOON)
    assert (running["status"], running["completed_at"], running["result"]) == (
        "running",
        None,
        None,
    )
    ended = told(service, execution_id, NOON + 120)
    assert ended["status"] == "completed"
    assert isinstance(ended["result"], dict)
    assert ended["result"]["company_id"] == company(7)
    assert ended["result"]["contact_id"] is None
    assert "error" not in ended


def test_a_failed_execution_has_an_error_and_no_result() -> None:
    service = unlimited(fail=1.0)
    ended = told(service, triggered(service, 1), NOON + 120)
    assert (ended["status"], ended["result"]) == ("failed", None)
    assert isinstance(ended["error"], str)


def test_with_one_slot_the_second_execution_waits_for_the_first() -> None:
    service = unlimited(slots=1, run_median_seconds=10, run_sigma=0)
    first, second = triggered(service, 1), triggered(service, 2)
    assert told(service, first, NOON + 5)["status"] == "running"
    waiting = told(service, second, NOON + 5)
    assert (waiting["status"], waiting["started_at"]) == ("queued", None)
    assert told(service, second, NOON + 15)["started_at"] == "2025-11-23T12:00:10.000Z"
    assert told(service, second, NOON + 20)["status"] == "completed"


@given(gaps=gaps, slots=st.integers(1, 4))
def test_no_more_executions_run_at_once_than_there_are_slots(gaps: list[float], slots: int) -> None:
    service = unlimited(slots=slots)
    times = list(accumulate(gaps, initial=NOON))
    ids = [triggered(service, number, now) for number, now in enumerate(times)]
    end = times[-1] + 120 * len(times)
    spans = [
        (_seconds(body["started_at"]), _seconds(body["completed_at"]))
        for body in (told(service, execution_id, end) for execution_id in ids)
    ]
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    # A millisecond is lost to the timestamps, so ends count as a millisecond earlier.
    for moment, _ in spans:
        assert sum(start <= moment < ended - 0.001 for start, ended in spans) <= slots


@given(gaps=gaps, rate=st.integers(1, 5), daily=st.integers(1, 40))
def test_no_window_holds_more_requests_than_the_quota(
    gaps: list[float], rate: int, daily: int
) -> None:
    service = SandboxService(SandboxSettings(rate_per_minute=rate, daily=daily), NOON)
    served: list[float] = []
    for now in accumulate(gaps, initial=NOON):
        answer = service.workflows(KEY, now)
        if answer.status == 200:
            served.append(now)
        else:
            assert answer.status == 429
            assert answer.headers["X-RateLimit-Remaining"] == "0"
    minutes = Counter(now // 60 for now in served)
    assert max(minutes.values()) <= rate
    assert len(served) <= daily


@given(st.permutations(range(6)))
def test_same_seed_and_body_give_the_same_result_in_any_order(order: list[int]) -> None:
    straight, shuffled = unlimited(seed=3, fail=0.3), unlimited(seed=3, fail=0.3)
    ids = {number: triggered(straight, number) for number in range(6)}
    for number in order:
        execution_id = triggered(shuffled, number)
        expected = told(straight, ids[number], NOON + 120)
        actual = told(shuffled, execution_id, NOON + 120)
        assert {**actual, "execution_id": None} == {**expected, "execution_id": None}


def test_another_seed_gives_other_results() -> None:
    results = []
    for seed in (1, 2):
        service = unlimited(seed=seed)
        results.append(told(service, triggered(service, 1), NOON + 120)["result"])
    assert results[0] != results[1]


def test_about_the_asked_share_of_executions_fails() -> None:
    service = unlimited(fail=0.2)
    for number in range(1000):
        triggered(service, number)
    report = service.report(NOON + 120)
    assert isinstance(report["executions"], dict)
    failed = report["executions"]["failed"]
    assert isinstance(failed, int)
    assert 150 < failed < 250


def test_what_failed_succeeds_when_it_is_sent_again() -> None:
    service = unlimited(fail=1.0)
    sent = [triggered(service, 1) for _ in range(3)]
    statuses = [told(service, each, NOON + 120)["status"] for each in sent]
    assert statuses == ["failed", "completed", "completed"]


def test_a_job_that_succeeds_on_retry_fails_for_a_temporary_reason() -> None:
    service = unlimited(fail=1.0)
    ended = [told(service, triggered(service, number), NOON + 120) for number in range(30)]
    assert {cause_of(str(each["error"])) for each in ended} == {Cause.TEMPORARY}


def test_results_are_uneven_as_real_ones_are() -> None:
    service = unlimited()
    results = [
        told(service, triggered(service, number), NOON + 120)["result"] for number in range(200)
    ]
    caveats = sum("caveat" in result for result in results if isinstance(result, dict))
    assert 0 < caveats < 30
    assert "null" in json.dumps(results)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "invalid JSON"),
        (b"{", "invalid JSON"),
        (b"\xff", "invalid JSON"),
        (b"[" * 100_000, "invalid JSON"),
        (b'{"workflow_id": "a", "workflow_id": "b"}', "invalid JSON"),
        (b'{"workflow_id": "a", "parameters": {"n": NaN}}', "invalid JSON"),
        (b'{"workflow_id": "a", "parameters": {"n": 1e999}}', "invalid JSON"),
        (b"[]", "the body must be a JSON object"),
        (b"{}", "workflow_id is required"),
        (b'{"workflow_id": ""}', "workflow_id is required"),
        (b'{"workflow_id": 5}', "workflow_id must be a string"),
        (wire(trigger_body(company_id=None)), "company_id must be a UUID"),
        (wire(trigger_body(contact_id="0015g00000XyZab")), "contact_id must be a UUID"),
        (wire(trigger_body(contact_id=company(1) + "\n")), "contact_id must be a UUID"),
        (wire(trigger_body(contact_id=company(1).replace("-", ""))), "contact_id must be a UUID"),
        (wire(trigger_body(parameters=[])), "parameters must be an object"),
        (wire(trigger_body(params={})), "unknown field: params"),
        (wire({"workflow_id": "wf_legacy_scoring"}), "workflow wf_legacy_scoring is not active"),
    ],
)
def test_a_body_that_cannot_be_served_is_refused(content: bytes, error: str) -> None:
    service = unlimited()
    answer = service.trigger(KEY, content, NOON)
    assert (answer.status, answer.body) == (400, {"error": error})
    assert service.log == []


def test_a_body_that_is_not_called_json_is_refused() -> None:
    assert unlimited().trigger(KEY, wire(trigger_body()), NOON, "text/plain").status == 400


def test_what_is_unknown_is_not_found() -> None:
    service = unlimited()
    assert service.execution(KEY, "exec_0", NOON).status == 404
    assert service.trigger(KEY, wire({"workflow_id": "wf_none"}), NOON).status == 404


@pytest.mark.parametrize(
    ("key", "statuses"),
    [
        (None, (401, 401, 401)),
        ("wrong", (401, 401, 401)),
        ("sandbox-read", (200, 403, 404)),
        ("sandbox-execute", (403, 202, 403)),
        ("sandbox", (200, 202, 404)),
    ],
)
def test_a_key_may_do_what_its_scopes_say(key: str | None, statuses: tuple[int, ...]) -> None:
    service = SandboxService(SandboxSettings(), NOON)
    answers = (
        service.workflows(key, NOON),
        service.trigger(key, wire(trigger_body()), NOON),
        service.execution(key, "exec_0", NOON),
    )
    assert tuple(answer.status for answer in answers) == statuses
    assert all(
        ("X-RateLimit-Limit" in answer.headers) == (key in service.settings.keys)
        for answer in answers
    )


def test_other_keys_can_be_set() -> None:
    settings = SandboxSettings(keys={"mine": frozenset({Scope.READ})})
    service = SandboxService(settings, NOON)
    assert service.workflows("mine", NOON).status == 200
    assert service.workflows("sandbox", NOON).status == 401


def test_the_headers_tell_of_the_minute_until_the_day_is_spent() -> None:
    service = SandboxService(SandboxSettings(rate_per_minute=3, daily=4), NOON)
    first = service.workflows(KEY, NOON + 10).headers
    assert first == {
        "X-RateLimit-Limit": "3",
        "X-RateLimit-Remaining": "2",
        "X-RateLimit-Reset": str(int(NOON) + 60),
    }
    service.workflows(KEY, NOON + 11)
    service.workflows(KEY, NOON + 12)
    assert service.workflows(KEY, NOON + 13).status == 429
    last = service.workflows(KEY, NOON + 60)
    assert last.status == 200
    assert last.headers["X-RateLimit-Limit"] == "4"
    assert last.headers["X-RateLimit-Reset"] == str(int(NOON) + 12 * 3600)
    assert service.workflows(KEY, NOON + 120).status == 429
    assert service.workflows(KEY, NOON + 12 * 3600).status == 200


def test_retry_after_is_told_only_when_asked_for() -> None:
    for retry_after, expected in ((False, None), (True, "50")):
        settings = SandboxSettings(rate_per_minute=1, retry_after=retry_after)
        service = SandboxService(settings, NOON)
        service.workflows(KEY, NOON)
        assert service.workflows(KEY, NOON + 10.5).headers.get("Retry-After") == expected


def test_without_a_quota_there_are_no_headers() -> None:
    assert unlimited(daily=1).workflows(KEY, NOON).headers == {}
    assert unlimited(daily=1).workflows(KEY, NOON).status == 200


def test_each_accepted_trigger_takes_a_credit() -> None:
    service = unlimited(credits=2)
    left = []
    for number in range(4):
        told_credits = service.credits(KEY, NOON).body
        assert isinstance(told_credits, dict)
        left.append(told_credits["credit_remaining"])
        triggered(service, number)
    assert left == [{"credits": 2}, {"credits": 1}, {"credits": 0}, {"credits": 0}]


def test_a_key_without_the_scope_is_not_told_the_credits() -> None:
    refused = unlimited().credits("sandbox-read", NOON)
    assert refused.status == 403
    assert "org_settings:read" in str(refused.body)


def test_the_report_counts_what_was_asked() -> None:
    service = SandboxService(SandboxSettings(rate_per_minute=5), NOON)
    triggered(service, 1)
    triggered(service, 2)
    twice = triggered(service, 1)
    told(service, twice, NOON)
    service.workflows(KEY, NOON)
    service.workflows(KEY, NOON)
    service.workflows("wrong", NOON)
    service.credits("sandbox", NOON + 60)
    assert service.report(NOON) == {
        "requests": 8,
        "lists": 1,
        "trigger_requests": 3,
        "polls": 1,
        "credits": 1,
        "refused": 1,
        "unauthorized": 1,
        "triggers_accepted": 3,
        "triggered_more_than_once": [trigger_body(1)],
        "executions": {"queued": 0, "running": 3, "completed": 0, "failed": 0},
    }
    assert [trigger.body for trigger in service.log] == [trigger_body(n) for n in (1, 2, 1)]


@pytest.mark.parametrize(
    "settings",
    [{"rate_per_minute": 0}, {"daily": 0}, {"slots": 0}, {"fail": 1.1}, {"run_sigma": -1}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        SandboxSettings(**settings)  # type: ignore[arg-type]


def _seconds(timestamp: object) -> float:
    assert isinstance(timestamp, str)
    return datetime.fromisoformat(timestamp).timestamp()


def test_a_later_sandbox_ends_what_an_earlier_one_began_as_that_would_have() -> None:
    """Practice goes on after Ctrl-C: the next command starts a sandbox of its own."""
    settings = SandboxSettings(rate_per_minute=None, fail=0.5, knows_earlier=True)
    earlier, later = SandboxService(settings, NOON), SandboxService(settings, NOON + 60)

    def ending(service: SandboxService, execution_id: str) -> dict[str, Any]:
        body: Any = service.execution(KEY, execution_id, NOON + 9_000).body
        return {name: body.get(name) for name in ("status", "workflow_id", "error", "result")}

    ended = set()
    for number in range(20):
        accepted: Any = earlier.trigger(KEY, wire(trigger_body(number)), NOON).body
        first = ending(earlier, accepted["execution_id"])
        assert ending(later, accepted["execution_id"]) == first
        ended.add(first["status"])
    assert ended == {"completed", "failed"}
