"""Answers that concern one row: they never stop the batch, nor give a row another row's result."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import batchrun
from batchrun.engine.backoff import FORBIDDEN_IN_A_ROW, KeyRefusals
from batchrun.engine.engine import UNREACHABLE_SECONDS, Ending
from batchrun.errors import ExitCode, KeyRefusedError
from tests.engine.faults import Fault, faulty_sandbox
from tests.engine.test_engine import WORKFLOW, accounts_of, messages, outcomes, settings_for

if TYPE_CHECKING:
    from pathlib import Path

FORBIDDEN = Fault(403, {"error": "this company belongs to another workspace"})
BLOCKED = Fault(403, "<html><title>Request blocked</title></html>")


# an execution ID that another job has


def accepted_as(execution_id: str) -> Fault:
    body = {"execution_id": execution_id, "status": "queued"}
    return Fault(202, body, accepted=True)


def test_an_execution_that_another_row_has_puts_the_row_in_doubt(tmp_path: Path) -> None:
    done = Fault(200, {"execution_id": "exec_1", "status": "completed", "result": {"a": 1}})
    with faulty_sandbox([accepted_as("exec_1")] * 2, [done] * 9) as (url, _):
        settings = settings_for(url, tmp_path, max_in_flight=1)
        report = batchrun.run(accounts_of(2), WORKFLOW, settings=settings)
        resumed = batchrun.resume(settings=settings)
    assert outcomes(settings) == ["completed", "in doubt"]
    assert "the execution of another row (exec_1)" in messages(settings)[0]
    assert report.exit_code is resumed.exit_code is ExitCode.INCOMPLETE


UUID = "0b9e2c1a-5d4f-4e3b-8a7c-6f1d2e3c4b5a"


@pytest.mark.parametrize(
    "spelling", [UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}"]
)
@pytest.mark.parametrize("turned", [False, True])
def test_an_execution_is_the_same_however_its_uuid_is_written(
    tmp_path: Path, spelling: str, turned: bool
) -> None:
    done = Fault(200, {"status": "completed", "result": {"a": 1}})
    triggers = [accepted_as(UUID), accepted_as(spelling)]
    with faulty_sandbox(triggers[::-1] if turned else triggers, [done] * 9) as (url, _):
        settings = settings_for(url, tmp_path, max_in_flight=1)
        batchrun.run(accounts_of(2), WORKFLOW, settings=settings)
    assert outcomes(settings) == ["completed", "in doubt"]


def test_two_triggers_answered_with_one_execution_at_the_same_time(tmp_path: Path) -> None:
    running = Fault(200, {"status": "running"})
    with faulty_sandbox([accepted_as("exec_1")] * 9, [running] * 99) as (url, _):
        settings = settings_for(url, tmp_path, patience_seconds=30, stop_after_failures=0)
        batchrun.run(accounts_of(9), WORKFLOW, settings=settings)
    assert Counter(outcomes(settings)) == {"timed out": 1, "in doubt": 8}


def test_an_execution_of_an_earlier_batch_puts_the_row_in_doubt(tmp_path: Path) -> None:
    done = Fault(200, {"execution_id": "exec_1", "status": "completed", "result": {"a": 1}})
    with faulty_sandbox([accepted_as("exec_1")] * 2, [done] * 9) as (url, _):
        settings = settings_for(url, tmp_path)
        batchrun.run(accounts_of(1), WORKFLOW, settings=settings)
        batchrun.run(accounts_of(1), WORKFLOW, settings=settings, again=True)
    assert outcomes(settings) == ["in doubt"]


def test_an_execution_that_a_row_had_before_it_was_sent_again_is_no_other_row_s(
    tmp_path: Path,
) -> None:
    failed = Fault(200, {"execution_id": "exec_1", "status": "failed"})
    done = Fault(200, {"execution_id": "exec_1", "status": "completed", "result": {"a": 1}})
    triggers = [accepted_as("exec_1"), accepted_as("exec_2"), accepted_as("exec_1")]
    with faulty_sandbox(triggers, [failed, done]) as (url, _):
        settings = settings_for(url, tmp_path)
        batchrun.run(accounts_of(1), WORKFLOW, settings=settings)
        batchrun.retry(settings=settings)
        batchrun.run(accounts_of(2), WORKFLOW, settings=settings)
    assert "in doubt" in outcomes(settings)


@pytest.mark.parametrize("named", ["wf_other", "", 7])
def test_an_answer_about_another_workflow_puts_the_row_in_doubt(
    tmp_path: Path, named: object
) -> None:
    stray = Fault(202, {"execution_id": "exec_9", "workflow_id": named}, accepted=True)
    with faulty_sandbox([stray]) as (url, _):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts_of(2), WORKFLOW, settings=settings)
    assert sorted(outcomes(settings)) == ["completed", "in doubt"]
    assert report.exit_code is ExitCode.INCOMPLETE


@pytest.mark.parametrize("name", ["workflow_id", "company_id"])
def test_a_result_of_another_workflow_or_company_is_given_to_no_row(
    tmp_path: Path, name: str
) -> None:
    frame = accounts_of(2)
    other = "wf_other" if name == "workflow_id" else frame["Company ID"][1]
    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path, patience_seconds=PATIENCE_SECONDS)
        done = {"status": "completed", name: other, "result": {"a": 1}}
        sandbox.fail_polls_of(frame["Company ID"][0], Fault(200, done))
        batchrun.run(frame, WORKFLOW, settings=settings)
    assert outcomes(settings) == ["timed out", "completed"]


# a poll that can never be read


UNREADABLE = {
    "500 in HTML": Fault(500, "<html>Error</html>"),
    "an empty 502": Fault(502, ""),
    "a login page": Fault(200, "<html><title>Log in</title></html>"),
    "403 in HTML": BLOCKED,
    "a 403": FORBIDDEN,
}


PATIENCE_SECONDS = UNREACHABLE_SECONDS + 60


@pytest.mark.parametrize(
    ("name", "rows"), [(name, 4) for name in UNREADABLE] + [("an empty 502", 1), ("a 403", 1)]
)
def test_one_execution_that_can_not_be_read_times_out_and_the_batch_ends(
    tmp_path: Path, name: str, rows: int
) -> None:
    fault = UNREADABLE[name]
    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path, patience_seconds=PATIENCE_SECONDS)
        first = accounts_of(1)["Company ID"][0]
        sandbox.fail_polls_of(first, fault)
        if fault is FORBIDDEN and rows == 1:  # nothing shows that it isn't the key
            with pytest.raises(KeyRefusedError):
                batchrun.run(accounts_of(rows), WORKFLOW, settings=settings)
            return
        report = batchrun.run(accounts_of(rows), WORKFLOW, settings=settings)
    assert report.ending is Ending.FINISHED
    assert report.exit_code is ExitCode.INCOMPLETE
    assert outcomes(settings) == ["timed out"] + ["completed"] * (rows - 1)
    assert sandbox.polls < rows + 14  # the quota is the bottleneck: it is asked ever less often


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        ("[" * 965 + "1" + "]" * 965, "[[["),
        ("9" * 5_000, "999"),
        ('"caf\udce9"', "caf�"),
    ],
    ids=["965 levels", "5,000 digits", "not UTF-8"],
)
def test_a_result_that_python_does_not_read_is_kept(tmp_path: Path, result: str, kept: str) -> None:
    body = '{"status": "completed", "result": {"odd": ' + result + "}}"
    with faulty_sandbox(polls=[Fault(200, body)]) as (url, _):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts_of(1), WORKFLOW, settings=settings)
        found = batchrun.results(settings=settings)
    assert report.exit_code is ExitCode.COMPLETED
    assert kept in found.astype(str).to_csv()


def test_when_the_service_answers_nothing_at_all_the_batch_pauses(tmp_path: Path) -> None:
    gone = Fault(502, "<html>Bad gateway</html>")
    with faulty_sandbox(polls=[gone] * 999) as (url, sandbox):
        sandbox.lists = gone
        settings = settings_for(url, tmp_path)
        sandbox.lists_from = 1  # the run itself sees the workflows
        report = batchrun.run(accounts_of(3), WORKFLOW, settings=settings)
    assert report.ending is Ending.UNREACHABLE
    assert set(outcomes(settings)) == {"pending"}


# a key that is refused


@pytest.mark.parametrize("fault", [FORBIDDEN, BLOCKED], ids=["by the service", "by a firewall"])
@pytest.mark.parametrize("position", [0, 1, 5])
def test_one_forbidden_trigger_rejects_its_row_only(
    tmp_path: Path, fault: Fault, position: int
) -> None:
    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path)
        frame = accounts_of(6)
        sandbox.fail_triggers_of(frame["Company ID"][position], fault)
        report = batchrun.run(frame, WORKFLOW, settings=settings)
        assert len(set(sandbox.bodies())) == len(sandbox.bodies()) == 5
    assert report.exit_code is ExitCode.INCOMPLETE
    assert outcomes(settings).index("rejected") == position
    assert Counter(outcomes(settings)) == {"completed": 5, "rejected": 1}


def test_forbidden_triggers_without_end_stop_the_batch(tmp_path: Path) -> None:
    faults = [None, None, *[FORBIDDEN] * 200]
    with faulty_sandbox(triggers=faults) as (url, sandbox):
        settings = settings_for(url, tmp_path, max_in_flight=2)
        with pytest.raises(KeyRefusedError, match="another workspace"):
            batchrun.run(accounts_of(12), WORKFLOW, settings=settings)
        rejected = Counter(outcomes(settings))["rejected"]
        assert FORBIDDEN_IN_A_ROW <= rejected < 12 - 2
        sandbox.meet()
        report = batchrun.resume(settings=settings)
    assert Counter(outcomes(settings)) == {"completed": 12 - rejected, "rejected": rejected}
    assert report.exit_code is ExitCode.INCOMPLETE


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_a_key_that_may_not_trigger_stops_the_batch_and_rejects_no_row(
    tmp_path: Path, rows: int
) -> None:
    with faulty_sandbox(triggers=[FORBIDDEN] * 200) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        with pytest.raises(KeyRefusedError):
            batchrun.run(accounts_of(rows), WORKFLOW, settings=settings)
        assert set(outcomes(settings)) == {"pending"}
        sandbox.meet()
        assert batchrun.resume(settings=settings).exit_code is ExitCode.COMPLETED
        assert len(set(sandbox.bodies())) == len(sandbox.bodies()) == rows


def test_the_last_row_of_a_resumed_batch_is_rejected_when_only_it_is_forbidden(
    tmp_path: Path,
) -> None:
    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path)
        frame = accounts_of(2)
        sandbox.fail_triggers_of(frame["Company ID"][1], FORBIDDEN)
        batchrun.run(frame, WORKFLOW, settings=settings, limit=1)
        report = batchrun.resume(settings=settings)
    assert outcomes(settings) == ["completed", "rejected"]
    assert report.exit_code is ExitCode.INCOMPLETE


@pytest.mark.parametrize("status", [401, 403])
def test_one_refused_poll_is_asked_again(tmp_path: Path, status: int) -> None:
    with faulty_sandbox(polls=[Fault(status)]) as (url, _):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts_of(3), WORKFLOW, settings=settings)
    assert report.exit_code is ExitCode.COMPLETED


@pytest.mark.parametrize("status", [401, 403])
def test_polls_that_are_refused_again_end_the_batch(tmp_path: Path, status: int) -> None:
    with faulty_sandbox(polls=[Fault(status)] * 99) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        with pytest.raises(KeyRefusedError):
            batchrun.run(accounts_of(3), WORKFLOW, settings=settings)
        sandbox.meet()
        assert set(outcomes(settings)) == {"pending"}


def test_an_execution_that_the_key_may_not_read_times_out_on_resume_too(tmp_path: Path) -> None:
    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path, patience_seconds=300)
        frame = accounts_of(2)
        sandbox.fail_polls_of(frame["Company ID"][0], FORBIDDEN)
        batchrun.run(frame, WORKFLOW, settings=settings)
        report = batchrun.resume(settings=settings)
    assert outcomes(settings) == ["timed out", "completed"]
    assert report.exit_code is ExitCode.INCOMPLETE


def test_refusals_on_the_way_together_count_once() -> None:
    key = KeyRefusals(proven=True)
    assert key.tolerates(1, sent_at=1, now=3)
    assert key.tolerates(2, sent_at=2, now=4)
    assert key.tolerates(1, sent_at=5, now=6)
    assert not key.tolerates(2, sent_at=7, now=8)
    key.answered()
    key.polled()
    assert key.tolerates(1, sent_at=7, now=8)
    assert key.tolerates(1, sent_at=9, now=10)


# statuses that nobody knows


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"status": "cancelled"}, "cancelled"),
        ({"status": "timeout", "error": "took too long"}, "timeout: took too long"),
        ({"status": "halted", "completed_at": "2026-01-02T03:04:05Z"}, "halted"),
        ({"status": "reticulating"}, "unknown status 'reticulating', unchanged in"),
    ],
)
def test_an_execution_that_ended_otherwise_has_failed_with_the_service_s_word(
    tmp_path: Path, body: dict[str, str], message: str
) -> None:
    with faulty_sandbox(polls=[Fault(200, body)] * 200) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        batchrun.run(accounts_of(1), WORKFLOW, settings=settings)
        assert sandbox.polls < 12
    assert outcomes(settings) == ["failed"]
    assert message in messages(settings)[0]
