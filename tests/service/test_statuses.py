"""Every HTTP status as the answer to a trigger: may something have passed the trigger on?"""

from __future__ import annotations

import pytest

from batchrun.model import Cause
from batchrun.service.answers import (
    Accepted,
    Doubtful,
    KeyRefused,
    Rejected,
    Reply,
    Throttled,
    Unclear,
    classify_poll,
    classify_trigger,
)
from batchrun.service.parsing import QuotaReading

REJECTED = [301, 302, 307, 308, 400, 402, *range(404, 408), *range(409, 419), *range(421, 427)]
REJECTED += [428, 431, 451]
CLASSES = (
    dict.fromkeys(range(200, 300), Accepted)
    | dict.fromkeys(REJECTED, Rejected)
    | {401: KeyRefused, 403: KeyRefused, 429: Throttled}
)
BODIES = [b"", b'{"error": "no"}', b"<html><title>Error</title></html>"]
ACCEPTED = b'{"execution_id": "exec_1", "workflow_id": "wf_1"}'


def test_the_class_of_each_status() -> None:
    wrong = []
    for status in (*range(100, 600), 600, 700, 999):
        expected = CLASSES.get(status, Doubtful)
        for body in [ACCEPTED] if expected is Accepted else BODIES:
            answer = classify_trigger(Reply(status, body), {"workflow_id": "wf_1"})
            html = status in {401, 403} and body.startswith(b"<")
            if type(answer) is not (Rejected if html else expected):
                wrong.append((status, body, answer))
    assert wrong == []


@pytest.mark.parametrize("status", [408, 460, 499, 500, 502, 504, 520, 522, 524, 598])
def test_a_gateway_that_gave_up_may_have_passed_the_trigger_on(status: int) -> None:
    assert isinstance(classify_trigger(Reply(status, b""), {"workflow_id": "wf_1"}), Doubtful)


def test_a_503_is_a_refusal_only_with_retry_after() -> None:
    later = QuotaReading(retry_after_seconds=3)
    assert isinstance(classify_trigger(Reply(503, b"", later), {"workflow_id": "wf_1"}), Throttled)
    assert isinstance(classify_trigger(Reply(503, b""), {"workflow_id": "wf_1"}), Doubtful)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b"<html>", b"\n <!DOCTYPE html>", b"\xef\xbb\xbf<html>"])
def test_html_is_a_gateway_that_speaks_and_not_the_key(status: int, body: bytes) -> None:
    assert isinstance(classify_trigger(Reply(status, body), {"workflow_id": "wf_1"}), Rejected)
    assert isinstance(classify_poll(Reply(status, body), "exec_1", {}), Unclear)


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (400, b"", Cause.BAD_VALUES),
        (402, b"", Cause.NO_CREDITS),
        (403, b"<html>", Cause.NOT_REACHED),
        (404, b"", Cause.UNKNOWN_RECORD),
        (407, b"", Cause.NOT_REACHED),
        (418, b"", None),
        (422, b'{"error": "HTTP 402: no credits"}', Cause.BAD_VALUES),
    ],
)
def test_the_cause_of_a_rejection_comes_from_its_status(
    status: int, body: bytes, cause: Cause | None
) -> None:
    answer = classify_trigger(Reply(status, body), {"workflow_id": "wf_1"})

    assert isinstance(answer, Rejected)
    assert answer.cause is cause
