"""No reason repeats the key, not even a part of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batchrun.service.answers import Doubtful, Polled, Unclear
from batchrun.service.classify import Reply, classify_poll, classify_trigger

if TYPE_CHECKING:
    from batchrun.model import JSON

KEY = "pgai_live_0123456789abcdef"
BEFORE = [*range(260, 300)]
"""Characters before the key: wherever a reason is cut, one of these has it inside the key."""


def polled(fields: dict[str, JSON]) -> str:
    answer = classify_poll(Reply(200, json.dumps(fields).encode()), "exec_1", KEY)
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
    reply = Reply(200, b"." * before + KEY.encode())

    doubt = classify_trigger(reply, "wf_1", KEY)
    unclear = classify_poll(reply, "exec_1", KEY)

    assert isinstance(doubt, Doubtful)
    assert isinstance(unclear, Unclear)
    assert KEY[:4] not in doubt.reason + unclear.reason


def test_no_part_of_a_key_is_left_where_a_long_body_is_cut() -> None:
    reply = Reply(500, b" " * 19_990 + KEY.encode())

    answer = classify_trigger(reply, "wf_1", KEY)

    assert isinstance(answer, Doubtful)
    assert KEY[:4] not in answer.reason
