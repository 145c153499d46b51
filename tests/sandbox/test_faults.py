"""Faults: drawn as often as asked, the same for the same seed, and played on a real socket."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from batchrun.sandbox import SandboxSettings

from .faults import FaultKind, Faults, OtherShapes, draw_fault, running_with_faults
from .strategies import KEY, trigger_body

HEADERS = {"x-api-key": KEY}
AT_ONCE = SandboxSettings(rate_per_minute=None, run_median_seconds=0)


def report(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(url.removesuffix("/v1") + "/sandbox/report").json()
    return found


def test_each_fault_is_drawn_as_often_as_asked() -> None:
    faults = Faults(reset=0.05, error=0.1, throttle=0.15, garbage=0.2, slow=0.25)
    drawn = [draw_fault(faults, 0, f"request {number}", 1) for number in range(10_000)]
    found = Counter(fault.kind for fault in drawn if fault)
    for kind in FaultKind:
        assert found[kind] / 10_000 == pytest.approx(getattr(faults, kind), abs=0.01)
    resets = [fault for fault in drawn if fault and fault.kind is FaultKind.RESET]
    assert 0.4 < sum(fault.taken for fault in resets) / len(resets) < 0.6


def test_the_same_request_meets_the_same_faults_and_another_time_others() -> None:
    faults = Faults(reset=0.5)
    first = [draw_fault(faults, 7, f"request {number}", 1) for number in range(50)]
    assert first == [draw_fault(faults, 7, f"request {number}", 1) for number in range(50)]
    assert first != [draw_fault(faults, 7, f"request {number}", 2) for number in range(50)]
    assert first != [draw_fault(faults, 8, f"request {number}", 1) for number in range(50)]


@pytest.mark.parametrize("shares", [{"reset": -0.1}, {"slow": 1.1}, {"error": 0.6, "slow": 0.6}])
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        Faults(**shares)


def test_a_reset_breaks_the_connection_whether_the_service_took_the_request_or_not() -> None:
    with running_with_faults(Faults(reset=1.0), AT_ONCE) as url:
        for number in range(20):
            with pytest.raises(httpx.NetworkError):
                httpx.post(f"{url}/workflows/trigger", json=trigger_body(number), headers=HEADERS)
        assert report(url)["faults"] == {"reset": 20}
        assert 0 < report(url)["triggers_accepted"] < 20
        assert report(url)["accepted_unheard"] == report(url)["triggers_accepted"]
        assert httpx.get(f"{url}/workflows", headers=HEADERS).status_code == 200


@pytest.mark.parametrize("kind", ["error", "throttle", "garbage"])
def test_a_wrong_answer_is_no_acceptance(kind: str) -> None:
    with running_with_faults(Faults(**{kind: 1.0}), AT_ONCE) as url:
        answers = [
            httpx.post(f"{url}/workflows/trigger", json=trigger_body(number), headers=HEADERS)
            for number in range(12)
        ]
        accepted = report(url)["triggers_accepted"]
    match kind:
        case "error":
            assert {answer.status_code for answer in answers} == {500, 502, 504}
            assert 0 < accepted < 12
        case "throttle":
            assert {answer.status_code for answer in answers} == {429}
            assert accepted == 0
        case _:
            assert not [answer for answer in answers if "execution_id" in answer.text]
            assert accepted == 12


def test_a_slow_answer_is_a_whole_one() -> None:
    with running_with_faults(Faults(slow=1.0, slow_seconds=60), AT_ONCE, 1e4) as url:
        answer = httpx.post(f"{url}/workflows/trigger", json=trigger_body(), headers=HEADERS)
        assert answer.status_code == 202
        assert report(url)["faults"] == {"slow": 1}
        assert report(url)["accepted_unheard"] == 0


def test_lists_and_errors_come_in_the_other_shape_too() -> None:
    with running_with_faults(Faults(), AT_ONCE, service=OtherShapes) as url:
        listed = httpx.get(f"{url}/workflows", headers=HEADERS).json()
        refused = httpx.post(f"{url}/workflows/trigger", json={}, headers=HEADERS)
    assert {"id", "name"} < set(listed["data"][0])
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "workflow_id is required"
