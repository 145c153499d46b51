"""When to wait and when to stop: examples of the policy, and what a batch makes of it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import batchrun
from batchrun import Outcome
from batchrun.engine.backoff import MAX_BACKOFF_SECONDS, FailureWatch, RetryState
from batchrun.engine.engine import Ending
from batchrun.engine.share import QuotaShare
from batchrun.errors import ExitCode, JournalWriteError
from batchrun.service.transport import AIOHTTP_AT_ONCE
from tests.engine.faults import Fault, faulty_sandbox
from tests.engine.test_engine import accounts_of, outcomes, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.engine.progress import Progress

WORKFLOW = "Account Research"


def highest(low: float, high: float) -> float:
    del low
    return high


def test_each_setback_doubles_the_wait_until_a_minute() -> None:
    retries = RetryState(900, between=highest)
    assert [retries.failed(0) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    retries.answered()
    assert retries.failed(0) == 2


@given(st.integers(1, 2000))
def test_a_wait_is_never_negative_nor_longer_than_a_minute(setbacks: int) -> None:
    retries = RetryState(900)
    waits = [retries.failed(0) for _ in range(setbacks)]
    assert all(0 <= wait <= MAX_BACKOFF_SECONDS for wait in waits)


def test_patience_is_counted_from_the_first_setback() -> None:
    """A machine that slept for a night has not been refused for a night."""
    retries = RetryState(900)
    night = 8 * 3600.0
    retries.failed(night)
    assert retries.failing
    assert not retries.given_up(night + 600)
    retries.failed(night + 600)
    assert retries.given_up(night + 901)
    retries.answered()
    assert not retries.given_up(night + 901)


def watch(allowed: int, settled: str) -> str:
    """The verdict after these jobs: ``.`` completed, any letter a failure for that reason."""
    failures = FailureWatch(allowed)
    for letter in settled:
        done = letter == "."
        failures.settled(Outcome.COMPLETED if done else Outcome.FAILED, "" if done else letter)
    return failures.verdict


@pytest.mark.parametrize(
    ("settled", "verdict"),
    [
        ("x" * 9, ""),
        ("x" * 9 + "." + "y" * 9, "10 of the first 11 jobs ended without a result, 9 of them: x"),
        ("x" * 10, "10 jobs in a row ended without a result: x"),
        ("x" * 7 + "y" * 3, "10 jobs in a row ended without a result, 7 of them: x"),
        ("..." + "x..." * 9, ""),
        ("x..." * 10, "10 of the first 37 jobs ended without a result: x"),
        ("." * 40 + "x.." * 100, ""),
        ("." * 40 + "x" * 10, "10 jobs in a row ended without a result: x"),
    ],
)
def test_a_run_of_failures_stops_the_triggers(settled: str, verdict: str) -> None:
    assert watch(10, settled) == verdict


def test_without_a_limit_nothing_stops_the_triggers() -> None:
    assert watch(0, "x" * 1000) == ""
    failures = FailureWatch(0)
    failures.observe(0, 0)
    failures.observe(0, 1000)
    assert failures.verdict == ""


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ([(0, 0), (0, 9)], ""),
        ([(0, 0), (0, 4), (0, 12)], "12 jobs in a row ended without a result"),
        ([(500, 30), (500, 40)], "10 jobs in a row ended without a result"),
        ([(0, 30), (100, 39), (101, 48), (101, 57)], ""),  # others have completed meanwhile
        ([(0, 0), (20, 5), (25, 11)], "11 of the first 36 jobs ended without a result"),
        ([(0, 0), (40, 8), (80, 16), (120, 24)], ""),
    ],
)
def test_failures_of_all_workers_count_together(seen: list[tuple[int, int]], verdict: str) -> None:
    failures = FailureWatch(10)
    for completed, failed in seen:
        failures.observe(completed, failed)
    assert failures.verdict == verdict


def test_a_batch_whose_jobs_all_fail_stops_and_says_why_in_the_services_words(
    tmp_path: Path,
) -> None:
    refused = Fault(400, {"error": "the workflow has no prompt"})
    with faulty_sandbox(triggers=[refused] * 200) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts_of(200), WORKFLOW, settings=settings)
    assert report.ending is Ending.FAILURES
    assert report.exit_code is ExitCode.INCOMPLETE
    assert "10 jobs in a row" in report.summary.note
    assert "the workflow has no prompt" in report.summary.note
    # What was on the wire when the tenth failed comes home.
    assert 10 <= report.summary.counts[Outcome.REJECTED] <= 10 + AIOHTTP_AT_ONCE
    assert report.summary.counts[Outcome.PENDING] >= 190 - AIOHTTP_AT_ONCE
    assert sandbox.bodies() == []


def test_what_is_in_flight_is_still_collected_when_failures_stop_the_triggers(
    tmp_path: Path,
) -> None:
    faults = [None] * 3 + [Fault(400, {"error": "no"})] * 200
    with faulty_sandbox(triggers=faults) as (url, sandbox):
        settings = settings_for(url, tmp_path, stop_after_failures=5)
        report = batchrun.run(accounts_of(60), WORKFLOW, settings=settings)
    assert report.summary.counts[Outcome.COMPLETED] == len(sandbox.bodies()) == 3


def test_an_outage_leaves_few_in_doubt_however_many_are_left_to_trigger(tmp_path: Path) -> None:
    """A gateway that answers 502 to everything: each trigger may have been accepted."""
    faults = [Fault(502, "<html>", accepted=True)] * 500
    with faulty_sandbox(triggers=faults) as (url, sandbox):
        settings = settings_for(url, tmp_path)
        report = batchrun.run(accounts_of(200), WORKFLOW, settings=settings)
    assert report.ending is Ending.FAILURES
    assert report.summary.counts[Outcome.IN_DOUBT] == len(sandbox.bodies()) <= 30


def test_a_journal_that_fails_between_requests_lets_the_answers_under_way_come_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, must_ask, full = QuotaShare.ask, QuotaShare.must_ask, threading.Event()
    with faulty_sandbox(triggers=[Fault(202, until=full)] * 40) as (url, sandbox):
        settings = settings_for(url, tmp_path)

        async def fails_while_a_trigger_is_out(share: QuotaShare) -> None:
            if sandbox.held:
                full.set()
                raise JournalWriteError("The journal can't be written: the disk is full.")
            await ask(share)

        with monkeypatch.context() as patched:
            patched.setattr(QuotaShare, "ask", fails_while_a_trigger_is_out)
            patched.setattr(
                QuotaShare, "must_ask", lambda share, now: sandbox.held or must_ask(share, now)
            )
            with pytest.raises(JournalWriteError, match="disk is full"):
                batchrun.run(accounts_of(40), WORKFLOW, settings=settings)
        assert 0 < len(sandbox.bodies()) < 40
        report = batchrun.resume(settings=settings)
    assert report.exit_code is ExitCode.COMPLETED
    assert len(set(sandbox.bodies())) == len(sandbox.bodies()) == 40


class Network:
    """A way to a server that can be cut: what is on it is reset, what comes is refused."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open: list[socket.socket] = []
        self.port = 0
        self.mend()

    def mend(self) -> None:
        """Carry connections, from now on."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Carry nothing any more."""
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.mark.parametrize(("minutes", "ending"), [(5, Ending.FINISHED), (16, Ending.UNREACHABLE)])
def test_a_lost_network_is_waited_for_and_after_a_quarter_of_an_hour_the_batch_pauses(
    tmp_path: Path, minutes: int, ending: Ending
) -> None:
    """In the engine's own time, which a sandbox compresses."""
    cut_at: list[float] = []
    mended_at: list[float] = []
    notices: set[str] = set()

    with faulty_sandbox() as (url, sandbox):
        way = Network(urlsplit(url).port or 0)
        through = url.replace(str(urlsplit(url).port), str(way.port))
        settings = settings_for(through, tmp_path, stop_after_failures=0)

        def lose(progress: Progress) -> None:
            notices.add(progress.notice)
            if not cut_at and progress.counts[Outcome.COMPLETED] >= 5:
                cut_at.append(time.monotonic())
                way.cut()
                return
            lost = (time.monotonic() - cut_at[0]) * settings.speed if cut_at else 0.0
            if lost > minutes * 60 and not mended_at:
                mended_at.append(time.monotonic())
                way.mend()

        report = batchrun.run(accounts_of(40), WORKFLOW, settings=settings, on_progress=lose)
        assert report.ending is ending
        assert "the connection was refused" in notices
        if not mended_at:
            way.mend()
        batchrun.resume(settings=settings)
        way.cut()
    found = outcomes(settings)
    assert found.count("completed") + found.count("in doubt") == 40
    assert found.count("in doubt") <= 20
    assert len(set(sandbox.bodies())) == len(sandbox.bodies()) <= 40
