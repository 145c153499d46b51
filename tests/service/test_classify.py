"""Nothing that is read from an answer repeats the key, not even a part of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batchrun.service.answers import (
    Doubtful,
    Polled,
    Reply,
    Unclear,
    classify_poll,
    classify_trigger,
    without_key,
)

if TYPE_CHECKING:
    from batchrun.model import JSON

KEY = "pgai_live_0123456789abcdef"
BEFORE = [*range(260, 300)]
"""Characters before the key: wherever a reason is cut, one of these has it inside the key."""


def polled(fields: dict[str, JSON]) -> str:
    reply = without_key(Reply(200, json.dumps(fields).encode()), KEY)
    answer = classify_poll(reply, "exec_1", {})
    assert isinstance(answer, Polled)
    return answer.execution.message


@pytest.mark.parametrize("before", BEFORE)
def test_no_part_of_a_key_is_in_the_words_of_a_failure(before: int) -> None:
    words = polled({"status": "failed", "error": "." * before + KEY})

    assert KEY[:4] not in words


@pytest.mark.parametrize("before", BEFORE)
def test_no_part_of_a_key_is_in_an_unknown_status(before: int) -> None:
    words = polled({"status": "." * before + KEY})

    assert KEY[:4] not in words


@pytest.mark.parametrize("before", BEFORE)
def test_no_part_of_a_key_is_in_a_doubt(before: int) -> None:
    reply = without_key(Reply(200, b"." * before + KEY.encode()), KEY)

    doubt = classify_trigger(reply, {"workflow_id": "wf_1"})
    unclear = classify_poll(reply, "exec_1", {})

    assert isinstance(doubt, Doubtful)
    assert isinstance(unclear, Unclear)
    assert KEY[:4] not in doubt.reason + unclear.reason


def test_no_part_of_a_key_is_left_where_a_long_body_is_cut() -> None:
    reply = without_key(Reply(500, b" " * 19_990 + KEY.encode()), KEY)

    answer = classify_trigger(reply, {"workflow_id": "wf_1"})

    assert isinstance(answer, Doubtful)
    assert KEY[:4] not in answer.reason


@pytest.mark.parametrize("key", [KEY, "sk/live+0123456789=", 'sk"live\\0123456789'])
@pytest.mark.parametrize("escaped", [False, True])
def test_a_result_has_no_key_so_no_workbook_has_one(key: str, escaped: bool) -> None:
    body = json.dumps({"status": "completed", "result": {"headers": f"x-api-key: {key}", key: 1}})
    if escaped:
        body = body.replace("/", "\\/")

    answer = classify_poll(without_key(Reply(200, body.encode()), key), "exec_1", {})

    assert isinstance(answer, Polled)
    assert answer.execution.result == {"headers": "x-api-key: [key]", "[key]": 1}


@pytest.mark.parametrize("key", ["sandbox", "1234567890"])
def test_a_key_that_may_be_a_part_of_anything_changes_no_result(key: str) -> None:
    body = b'{"status": "completed", "result": {"sandbox": 1234567890}}'

    answer = classify_poll(without_key(Reply(200, body), key), "exec_1", {})

    assert isinstance(answer, Polled)
    assert answer.execution.result == {"sandbox": 1234567890}
