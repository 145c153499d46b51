"""Bodies in every shape the vendor's pages show, and in shapes nobody should send."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.model import JSON, Cause, Execution, ExecutionStatus
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
    execution = read_polled({"id": "e", "status": "FAILED", **fields}, "e", {})

    assert execution.status is ExecutionStatus.FAILED
    assert execution.message == message


@pytest.mark.parametrize(
    ("word", "status", "message"),
    [
        ("COMPLETED", ExecutionStatus.COMPLETED, ""),
        ("succeeded", ExecutionStatus.COMPLETED, ""),
        ("Success", ExecutionStatus.COMPLETED, ""),
        (" done ", ExecutionStatus.COMPLETED, ""),
        ("finished", ExecutionStatus.COMPLETED, ""),
        ("cancelled", ExecutionStatus.FAILED, "cancelled"),
        ("canceled", ExecutionStatus.FAILED, "canceled"),
        ("timeout", ExecutionStatus.FAILED, "timeout"),
        ("Timed out", ExecutionStatus.FAILED, "Timed out"),
        ("TIMED_OUT", ExecutionStatus.FAILED, "TIMED_OUT"),
        ("error", ExecutionStatus.FAILED, "error"),
        ("aborted", ExecutionStatus.FAILED, "aborted"),
        ("in_progress", ExecutionStatus.RUNNING, ""),
        ("Processing", ExecutionStatus.RUNNING, ""),
        ("pending", ExecutionStatus.QUEUED, ""),
    ],
)
def test_words_that_other_services_use_for_a_status(
    word: str, status: ExecutionStatus, message: str
) -> None:
    execution = read_polled({"status": word}, "e", {})
    assert (execution.status, execution.message) == (status, message)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("The step timed out.", Cause.TEMPORARY),
        ("Service temporarily unavailable", Cause.TEMPORARY),
        ("The record has no domain.", Cause.INCOMPLETE_RECORD),
        ("No match was found", Cause.INCOMPLETE_RECORD),
        ("No public information was found for it.", Cause.NOTHING_PUBLISHED),
        ("Internal error 7", None),
    ],
)
def test_the_cause_of_a_failure_is_read_from_its_words(words: str, cause: Cause | None) -> None:
    failed = read_polled({"status": "failed", "error": words}, "exec_1", {})
    unknown = read_polled({"status": "paused", "error": words}, "exec_1", {})

    assert failed.cause is cause
    assert unknown.cause is None


def test_the_word_for_a_failure_comes_with_the_reason() -> None:
    execution = read_polled({"status": "cancelled", "error": "by an administrator"}, "e", {})
    assert execution.message == "cancelled: by an administrator"


@pytest.mark.parametrize("word", ["halted", "partially_completed", "beendet", "", 7, None])
@pytest.mark.parametrize("result", [None, {"summary": "half"}])
def test_an_unknown_status_with_an_end_has_failed_and_keeps_its_result(
    word: JSON, result: JSON
) -> None:
    fields: dict[str, JSON] = {"completed_at": "2026-01-02T03:04:05Z", "result": result}
    execution = read_polled({"status": word, **fields}, "e", {})
    assert execution.status is ExecutionStatus.FAILED
    assert execution.result == result
    assert execution.message == (word if isinstance(word, str) else json.dumps(word))


def test_a_status_like_done_with_an_error_has_failed() -> None:
    execution = read_polled({"status": "done", "error": "no such company"}, "e", {})
    assert execution.status is ExecutionStatus.FAILED
    assert execution.message == "done: no such company"


@pytest.mark.parametrize("result", [None, {}, [], "", 0])
def test_completed_without_much_of_a_result_is_completed(result: JSON) -> None:
    """An empty result is the service's business."""
    execution = read_polled({"status": "completed", "result": result, "message": "ok"}, "e", {})

    assert execution == Execution("e", ExecutionStatus.COMPLETED, result=result)


@pytest.mark.parametrize("word", ["Reticulating", "", 7, None])
def test_unknown_status_is_not_finished(word: JSON) -> None:
    """A status never heard of is kept as unknown and said."""
    execution = read_polled({"status": word}, "e", {})

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
    assert read_accepted(document, {"workflow_id": "wf_1"}).id == execution_id


@pytest.mark.parametrize("workflow_id", ["wf_2", "WF_1", 7, {"id": "wf_1"}, "", True])
def test_an_answer_about_another_workflow_is_not_accepted(workflow_id: JSON) -> None:
    with pytest.raises(UnusableAnswerError, match="another workflow"):
        read_accepted({"execution_id": "e", "workflow_id": workflow_id}, {"workflow_id": "wf_1"})


UUID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


@pytest.mark.parametrize("named", [None, "wf_1", " wf_1 "])
def test_an_answer_may_repeat_the_workflow_or_not(named: JSON) -> None:
    assert (
        read_accepted({"execution_id": "e", "workflow_id": named}, {"workflow_id": "wf_1"}).id
        == "e"
    )
    assert (
        read_accepted({"execution_id": "e", "workflow_id": UUID.upper()}, {"workflow_id": UUID}).id
        == "e"
    )


SUBJECTS = {"workflow_id": "wf_1", "company_id": UUID, "contact_id": UUID}


@pytest.mark.parametrize("name", SUBJECTS)
def test_an_answer_about_another_subject_is_used_for_no_row(name: str) -> None:
    other = "wf_2" if name == "workflow_id" else UUID.replace("a", "b")
    answer: JSON = {"execution_id": "e", "status": "completed", name: other}
    with pytest.raises(UnusableAnswerError, match=f"another {name.removesuffix('_id')}"):
        read_polled(answer, "e", SUBJECTS)
    with pytest.raises(UnusableAnswerError, match=f"another {name.removesuffix('_id')}"):
        read_accepted(answer, SUBJECTS)


@pytest.mark.parametrize("named", [None, "", UUID.upper(), "4711", {"id": 7}])
def test_an_answer_may_have_an_id_of_another_kind_for_its_company(named: JSON) -> None:
    answer: JSON = {"execution_id": "e", "status": "completed", "company_id": named}
    assert read_polled(answer, "e", SUBJECTS).ended


@pytest.mark.parametrize("named", ["exec_2", "EXEC_1", "exec_10", 1, [], {}, True, ""])
@pytest.mark.parametrize("field", ["execution_id", "id"])
def test_an_answer_about_another_execution_is_not_used(named: JSON, field: str) -> None:
    with pytest.raises(UnusableAnswerError, match="another execution"):
        read_polled({"status": "completed", field: named}, "exec_1", {})


@pytest.mark.parametrize(
    "fields",
    [{}, {"execution_id": None}, {"execution_id": "exec_1", "id": 7}, {"id": " exec_1"}],
)
def test_an_answer_may_repeat_the_execution_or_not(fields: dict[str, JSON]) -> None:
    assert read_polled({"status": "completed", **fields}, "exec_1", {}).ended


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        (b"[" * 965 + b"]" * 965, "[" * 866 + "]" * 866),
        (b'{"a": ' * 200_000 + b"1" + b"}" * 200_000, None),
        (b"9" * 5_000, "9" * 5_000),
        (b'"caf\xe9"', "caf\ufffd"),
    ],
    ids=["965 levels", "200,000 levels", "5,000 digits", "not UTF-8"],
)
def test_a_result_that_python_does_not_read_is_kept_as_text(
    result: bytes, kept: str | None
) -> None:
    document = read_json(b'{"status": "completed", "result": ' + result + b"}", lenient=True)
    found = read_polled(document, "e", {}).result
    while isinstance(found, list | dict):
        [found] = found.values() if isinstance(found, dict) else found
    assert isinstance(found, str)
    assert found == kept or (kept is None and found.startswith('{"a": {"a": '))


def test_of_a_name_that_stands_twice_in_a_result_no_value_is_lost() -> None:
    body = b'{"a": 1, "a": {"b": 2, "b": 3}, "a (2)": 4, "a": 5, "c": 6}'
    assert read_json(body, lenient=True) == {
        "a": 1,
        "a (2)": {"b": 2, "b (2)": 3},
        "a (2) (2)": 4,
        "a (3)": 5,
        "c": 6,
    }


def test_a_trigger_s_answer_that_names_two_executions_is_not_used() -> None:
    with pytest.raises(UnusableAnswerError):
        read_json(b'{"execution_id": "e", "execution_id": "f"}')


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 50_000, b'["' + b"\\" * 99_999, b"[" * 200_000])
def test_hostile_text_that_is_not_json_is_refused_in_no_time(body: bytes) -> None:
    with pytest.raises(UnusableAnswerError):
        read_json(body, lenient=True)


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


def test_reasons_are_counted_in_characters_in_every_script() -> None:
    assert explain(400, ("理由" * 140).encode()) == "HTTP 400: " + "理由" * 140
    assert len(explain(400, ("理由" * 200).encode())) == REASON_CHARACTERS


@given(st.binary())
def test_reasons_are_short_and_printable(body: bytes) -> None:
    """No body makes a reason that is long, or that a terminal would obey."""
    reason = explain(500, body * 50)

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
    for reader in (
        lambda d: read_accepted(d, {"workflow_id": "wf_1"}),
        lambda d: read_polled(d, "e", {}),
        read_workflows,
    ):
        with contextlib.suppress(UnusableAnswerError):
            reader(document)


@given(ANY_JSON)
def test_result_is_kept_as_sent(result: JSON) -> None:
    """Whatever the result is, it arrives unchanged."""
    text = json.dumps({"status": "completed", "result": result})
    document = read_json(text.encode())
    if "Infinity" in text:  # see test_numbers_that_json_lacks_are_read_as_text
        result = json.loads(text, parse_constant=str)["result"]
    assert read_polled(document, "e", {}).result == result


@pytest.mark.parametrize("name", ["results", "outputs", "output"])
def test_a_result_under_another_usual_name_is_kept(name: str) -> None:
    fields: dict[str, JSON] = {"status": "completed", "result": None, name: {"a": 1}}
    assert read_polled(fields, "e", {}).result == {"a": 1}


def test_numbers_that_json_lacks_are_read_as_text() -> None:
    assert read_json(b"[NaN, -Infinity, 1e999, 1.5]") == ["NaN", "-Infinity", "1e999", 1.5]
