"""The engine over real HTTP: what each answer of the service makes of a job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import batchrun
from batchrun import Outcome
from batchrun.engine.engine import Ending
from batchrun.errors import ExitCode, KeyRefusedError
from batchrun.journal import BatchJobs
from batchrun.sandbox import SandboxSettings, running
from batchrun.service import transport
from batchrun.service.client import Client
from tests.engine.faults import SPEED, Fault, faulty_sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.engine.progress import Progress
    from batchrun.settings.model import Settings

IDS = [f"a1b2c3d4-e5f6-7890-abcd-ef12345678{number:02}" for number in range(6)]
WORKFLOW = "Account Research"


def settings_for(url: str, folder: Path, **others: Any) -> Settings:
    return batchrun.load_settings(
        api_key="sandbox",
        base_url=url,
        journal=str(folder / "journal.db"),
        speed=SPEED,
        **others,
    )


def accounts(rows: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"Company ID": IDS[:rows], "Seats": range(rows)})


def accounts_of(rows: int) -> pd.DataFrame:
    ids = [f"a1b2c3d4-e5f6-7890-abcd-{number:012x}" for number in range(rows)]
    return pd.DataFrame({"Company ID": ids})


def outcomes(settings: Settings) -> list[str]:
    return list(batchrun.results(settings=settings)["batchrun status"])


def messages(settings: Settings) -> list[str]:
    return [text for text in batchrun.results(settings=settings)["batchrun message"] if text]


def test_every_row_gets_the_result_of_its_own_company(tmp_path: Path) -> None:
    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts(6), WORKFLOW, settings=settings)
    assert report.ending is Ending.FINISHED
    assert report.exit_code is ExitCode.COMPLETED
    assert report.output is None
    frame = batchrun.results(settings=settings)
    assert list(frame["company_id"]) == list(frame["Company ID"]) == IDS
    assert list(frame["Seats"]) == list(range(6))
    assert len(sandbox.bodies()) == 6


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(500, accepted=True), id="500"),
        pytest.param(Fault(502, "<html><title>Bad gateway</title>", accepted=True), id="HTML 502"),
        pytest.param(Fault(504, "", accepted=True), id="504"),
        pytest.param(Fault(503, accepted=True), id="503 without Retry-After"),
        pytest.param(Fault(202, {"status": "queued"}, accepted=True), id="202 without an id"),
        pytest.param(Fault(202, "{", accepted=True), id="a body that is not JSON"),
    ],
)
def test_a_trigger_that_may_have_been_accepted_is_in_doubt_and_never_sent_again(
    tmp_path: Path, fault: Fault
) -> None:
    with faulty_sandbox(triggers=[fault]) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts(), WORKFLOW, settings=settings)
        batchrun.resume(settings=settings)
        assert report.exit_code is ExitCode.INCOMPLETE
        assert sorted(outcomes(settings)) == ["completed", "completed", "in doubt"]
        assert len(sandbox.bodies()) == len(set(sandbox.bodies())) == 3


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(429), id="429 without a word"),
        pytest.param(Fault(429, headers={"Retry-After": "7"}), id="429 with Retry-After"),
        pytest.param(
            Fault(429, headers={"X-RateLimit-Limit": "60", "X-RateLimit-Reset": "1"}),
            id="429 with a reset",
        ),
        pytest.param(Fault(503, headers={"Retry-After": "3"}), id="503 with Retry-After"),
    ],
)
def test_a_trigger_that_was_turned_away_is_sent_again(tmp_path: Path, fault: Fault) -> None:
    with faulty_sandbox(triggers=[fault, None, fault]) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts(), WORKFLOW, settings=settings)
    assert report.exit_code is ExitCode.COMPLETED
    assert len(set(sandbox.bodies())) == len(sandbox.bodies()) == 3


def test_a_success_that_carries_quota_headers_is_not_sent_again(tmp_path: Path) -> None:
    """A known peer takes these headers for a reason to retry."""
    headers = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "59", "X-RateLimit-Reset": "9"}
    body = {"execution_id": "exec_0", "status": "queued"}
    with faulty_sandbox(triggers=[Fault(202, body, headers)]) as (url, _):
        settings = settings_for(url, tmp_path, patience_seconds=30)
        batchrun.run(accounts(1), WORKFLOW, settings=settings)
        frame = batchrun.results(settings=settings)
    assert list(frame["execution id"]) == ["exec_0"]
    assert list(frame["batchrun status"]) == ["timed out"]


def test_a_rejected_trigger_says_why_in_the_services_words(tmp_path: Path) -> None:
    fault = Fault(400, {"error": {"type": "bad_request", "message": "company is archived"}})
    with faulty_sandbox(triggers=[fault]) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        batchrun.run(accounts(), WORKFLOW, settings=settings)
    assert outcomes(settings).count("rejected") == 1
    assert "company is archived" in messages(settings)[0]
    assert len(sandbox.bodies()) == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(502, "<html>"),
        Fault(404),
        Fault(429),
        Fault(200, {"execution_id": "exec_0", "status": "resting"}),
        Fault(200, "nonsense"),
    ],
    ids=lambda fault: f"{fault.status}",
)
def test_a_poll_is_asked_again_whatever_went_wrong(tmp_path: Path, fault: Fault) -> None:
    with faulty_sandbox(polls=[fault] * 4) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts(), WORKFLOW, settings=settings)
    assert report.exit_code is ExitCode.COMPLETED
    assert len(sandbox.bodies()) == 3


def test_the_next_request_leaves_while_the_journal_keeps_what_the_last_one_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk holds up what is told, not the way to the service."""
    trigger, accept, sent = Client.trigger, BatchJobs.accept, [asyncio.Event() for _ in range(3)]
    sending = iter(sent)

    async def told(self: Client, body: Any) -> Any:
        next(sending).set()
        return await trigger(self, body)

    async def slow(self: BatchJobs, job: Any, *answer: Any) -> None:
        async with asyncio.timeout(30):
            await sent[min(job.number + 1, 2)].wait()
        await accept(self, job, *answer)

    monkeypatch.setattr(Client, "trigger", told)
    monkeypatch.setattr(BatchJobs, "accept", slow)
    monkeypatch.setattr(transport, "AIOHTTP_AT_ONCE", 1)
    monkeypatch.setattr(transport, "HTTPX_AT_ONCE", 1)
    with faulty_sandbox() as (url, sandbox):
        report = batchrun.run(accounts(3), WORKFLOW, settings=settings_for(url, tmp_path))
    assert report.exit_code is ExitCode.COMPLETED
    assert len(sandbox.bodies()) == 3


def test_a_key_that_is_refused_in_the_middle_stops_the_batch_and_loses_nothing(
    tmp_path: Path,
) -> None:
    with faulty_sandbox(triggers=[None, None, Fault(401)]) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        with pytest.raises(KeyRefusedError, match="batchrun resume"):
            batchrun.run(accounts(6), WORKFLOW, settings=settings)
        report = batchrun.resume(settings=settings)
        assert report.exit_code is ExitCode.COMPLETED
        assert len(set(sandbox.bodies())) == len(sandbox.bodies()) == 6


def test_an_execution_that_never_ends_is_timed_out_and_resume_polls_on(tmp_path: Path) -> None:
    running = Fault(200, {"status": "running"})
    with faulty_sandbox(polls=[running] * 8) as (url, sandbox):
        settings = settings_for(url, tmp_path, patience_seconds=30)
        report = batchrun.run(accounts(1), WORKFLOW, settings=settings)
        assert report.summary.counts[Outcome.TIMED_OUT] == 1
        assert report.exit_code is ExitCode.INCOMPLETE
        resumed = batchrun.resume(settings=settings_for(url, tmp_path))
    assert resumed.exit_code is ExitCode.COMPLETED
    assert len(sandbox.bodies()) == 1


def test_a_stopped_run_collects_what_is_in_flight_and_triggers_no_more(tmp_path: Path) -> None:
    control = batchrun.Control()

    def stop_after_two(progress: Progress) -> None:
        if progress.in_flight >= 2:
            control.stop()

    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path, max_in_flight=2, drain_seconds=600)
        report = batchrun.run(
            accounts(6), WORKFLOW, settings=settings, on_progress=stop_after_two, control=control
        )
        assert report.ending is Ending.INTERRUPTED
        assert report.exit_code is ExitCode.PAUSED
        triggered = len(sandbox.bodies())
        assert triggered in {2, 3}  # one may end, and another begin, before progress is shown
        assert report.summary.counts[Outcome.COMPLETED] == triggered
        resumed = batchrun.resume(settings=settings_for(url, tmp_path))
        assert resumed.exit_code is ExitCode.COMPLETED
    assert len(set(sandbox.bodies())) == len(sandbox.bodies()) == 6


def test_a_stopped_run_does_not_wait_for_what_ends_later_than_it_does(tmp_path: Path) -> None:
    control = batchrun.Control()

    def stop_after_two(progress: Progress) -> None:
        if progress.in_flight >= 2:
            control.stop()

    long = SandboxSettings(rate_per_minute=None, run_median_seconds=600, run_cap_seconds=900)
    with running(long, speed=SPEED) as url:
        taught = settings_for(url, tmp_path, max_in_flight=2, drain_seconds=60)
        batchrun.run(accounts(1), WORKFLOW, settings=taught)
        report = batchrun.run(
            accounts(6),
            WORKFLOW,
            settings=taught.model_copy(update={"speed": 1.0}),
            on_progress=stop_after_two,
            control=control,
        )
    assert report.ending is Ending.INTERRUPTED
    assert report.requests == 2
    assert report.seconds < 60  # it would have waited so long


def test_when_todays_requests_are_spent_the_batch_pauses(tmp_path: Path) -> None:
    with faulty_sandbox() as (url, sandbox):
        settings = settings_for(url, tmp_path, daily=6)
        report = batchrun.run(accounts(6), WORKFLOW, settings=settings)
        assert report.ending is Ending.QUOTA
        assert report.exit_code is ExitCode.PAUSED
        assert report.summary.requests <= 6
        assert batchrun.resume(settings=settings_for(url, tmp_path)).exit_code is (
            ExitCode.COMPLETED
        )
    assert len(set(sandbox.bodies())) == len(sandbox.bodies()) == 6


def test_a_poll_that_never_makes_sense_times_out_and_the_batch_ends(tmp_path: Path) -> None:
    """It is the service that answers, so its own patience decides and not the way's."""
    fault = Fault(500, {"error": "cannot read this execution"})
    with faulty_sandbox(polls=[fault] * 200) as (url, _):
        settings = settings_for(url, tmp_path, patience_seconds=600)
        report = batchrun.run(accounts(1), WORKFLOW, settings=settings)
    assert report.ending is Ending.FINISHED
    assert outcomes(settings) == ["timed out"]
    assert "cannot read this execution" in messages(settings)[0]


def test_a_result_with_a_number_that_json_lacks_is_not_lost(tmp_path: Path) -> None:
    body = '{"status": "completed", "result": {"score": NaN, "reach": 1e999}}'
    with faulty_sandbox(polls=[Fault(200, body)]) as (url, _):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts(1), WORKFLOW, settings=settings)
    assert report.exit_code is ExitCode.COMPLETED
    assert list(batchrun.results(settings=settings)["score"]) == ["NaN"]
