"""Bodies in every shape the vendor's pages show, and in shapes nobody should send."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.model import JSON, Execution, ExecutionStatus
from batchrun.service.parsing import (
    REASON_CHARACTERS,
    UnusableAnswerError,
    explain,
    read_accepted,
    read_json,
    read_polled,
    read_time,
    read_workflows,
)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text() | st.sampled_from(["id", "execution_id", "status", "data", "error"]), inner
        )
    ),
    max_leaves=20,
)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-01-02T03:04:05Z", MOMENT),
        ("2026-01-02T04:04:05+01:00", MOMENT),
        ("2026-01-02T03:04:05", MOMENT),
        ("2026-01-02 03:04:05", MOMENT),
        ("2026-01-02T03:04:05.123456789Z", MOMENT.replace(microsecond=123456)),
        (MOMENT.timestamp(), MOMENT),
        (int(MOMENT.timestamp()) * 1000, MOMENT),
        (str(int(MOMENT.timestamp())), MOMENT),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("yesterday", None),
        ("", None),
        (0, None),
        (-1, None),
        (10**40, None),
        (True, None),
        (None, None),
        ({}, None),
    ],
)
def test_timestamps(value: JSON, moment: datetime | None) -> None:
    """Each notation gives the same moment in UTC; garbage and zero times give none."""
    assert read_time(value) == moment


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error": "no such company"}, "no such company"),
        ({"error": {"type": "t", "code": "c", "message": "no such company"}}, "no such company"),
        ({"error": {"code": "timeout"}}, "timeout"),
        ({"message": "gave up"}, "gave up"),
        ({"error": None, "result": {"error": "deep"}}, "deep"),
        ({"result": {"message": "deep"}}, "deep"),
        ({"result": "just words"}, "just words"),
        ({"error": ["one", {"message": "two"}]}, "one; two"),
        ({}, "the service gives no reason"),
    ],
)
def test_failed_execution_gives_the_service_s_words(fields: dict[str, JSON], message: str) -> None:
    """Wherever the words for a failure stand, they are found."""
    execution = read_polled({"id": "e", "status": "FAILED", **fields}, "e")

    assert execution.status is ExecutionStatus.FAILED
    assert execution.message == message


@pytest.mark.parametrize("result", [None, {}, [], "", 0])
def test_completed_without_much_of_a_result_is_completed(result: JSON) -> None:
    """An empty result is the service's business."""
    execution = read_polled({"status": "completed", "result": result, "message": "ok"}, "e")

    assert execution == Execution("e", ExecutionStatus.COMPLETED, result=result)


@pytest.mark.parametrize("word", ["Reticulating", "", 7, None])
def test_unknown_status_is_not_finished(word: JSON) -> None:
    """A status never heard of is kept as unknown and said."""
    execution = read_polled({"status": word}, "e")

    assert execution.status is ExecutionStatus.UNKNOWN
    assert not execution.ended
    assert execution.message == f"unknown status {word!r}"


@pytest.mark.parametrize(
    ("document", "execution_id"),
    [
        ({"execution_id": "e", "id": "other"}, "e"),
        ({"id": "e", "data": {"id": "other"}}, "e"),
        ({"data": {"execution_id": "e"}}, "e"),
        ({"execution_id": 42}, "42"),
    ],
)
def test_accepted_id(document: JSON, execution_id: str) -> None:
    """The id is found under either name, bare or wrapped."""
    assert read_accepted(document).id == execution_id


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": "workflow_id is required"}', "HTTP 400: workflow_id is required"),
        (b'{"error": {"code": "bad", "message": "No  such\\u0007\\nid"}}', "HTTP 400: No such id"),
        (b'{"detail": [{"msg": "?", "type": "missing"}]}', "HTTP 400: missing"),
        (b"plain words\x1b[31m", "HTTP 400: plain words [31m"),
        (b"<html><TITLE>502 &amp; more</TITLE><p>long</p>", "HTTP 400: HTML page: 502 & more"),
        (b"<!doctype html><p>secret", "HTTP 400: HTML page"),
        (b"", "HTTP 400: Bad Request"),
        (b"{}", "HTTP 400: Bad Request"),
        (b"\xff\xfe\xfa", "HTTP 400: ���"),
    ],
)
def test_reasons(body: bytes, reason: str) -> None:
    """An error's words come out on one line, without control characters."""
    assert explain(400, body) == reason


def test_reason_of_status_without_name() -> None:
    """A status that no standard knows is said by number."""
    assert explain(599, b"") == "HTTP 599: no explanation"


@given(st.binary())
def test_reasons_are_short_and_printable(body: bytes) -> None:
    """No body makes a reason that is long, or that a terminal would obey."""
    reason = explain(500, body * 50, key="k")

    assert len(reason) <= REASON_CHARACTERS
    assert reason.isprintable()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 9**6])
def test_what_is_not_json(body: bytes) -> None:
    """Nesting without end is not JSON either."""
    with pytest.raises(UnusableAnswerError):
        read_json(body)


@given(ANY_JSON)
def test_no_document_breaks_the_readers(document: JSON) -> None:
    """Any JSON is read or refused with words, never anything else."""
    for reader in (read_accepted, lambda d: read_polled(d, "e"), read_workflows):
        with contextlib.suppress(UnusableAnswerError):
            reader(document)


@given(ANY_JSON)
def test_result_is_kept_as_sent(result: JSON) -> None:
    """Whatever the result is, it arrives unchanged."""
    text = json.dumps({"status": "completed", "result": result})
    document = read_json(text.encode())
    if "Infinity" in text:  # see test_numbers_that_json_lacks_are_read_as_text
        result = json.loads(text, parse_constant=str)["result"]
    assert read_polled(document, "e").result == result


def test_numbers_that_json_lacks_are_read_as_text() -> None:
    assert read_json(b"[NaN, -Infinity, 1e999, 1.5]") == ["NaN", "-Infinity", "1e999", 1.5]
