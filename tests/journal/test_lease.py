"""One batch, one process: the second is told who works on it, a dead one is taken over."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import delete, select, update

from batchrun.errors import ExitCode, HeldError, JournalError, JournalLostError, TakenOverError
from batchrun.journal import BatchJobs, Journal, lease, rescue
from batchrun.journal.lease import SILENCE_SECONDS
from batchrun.journal.schema import JobState, attempts, batches, jobs, leases, slices
from batchrun.model import Execution, ExecutionStatus, Outcome
from batchrun.settings.location import is_server
from tests.preloaded import Popen
from tests.waiting import wait_until

from .batches import IDS, NOW, URL, accepted, claim_all, completed, outcomes, plan_of, working_on

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from pathlib import Path

    from batchrun.journal.writer import Change

HOLD = """
import sys
from batchrun.journal import Journal
with Journal(sys.argv[1]) as journal, journal.hold(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(location: str, batch_id: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a batch until the block ends or it is killed."""
    with Popen(
        [sys.executable, "-c", HOLD, location, batch_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_batch_that_runs_is_shown_also_where_its_locks_may_only_be_read(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with Journal(location) as journal, Journal(location) as reader:
        batch_id = journal.create(plan_of(*IDS), URL)
        with journal.hold(batch_id):
            monkeypatch.setattr(lease, "FileLock", refuse)
            holder = reader.holder(batch_id)
            assert holder is not None
            assert reader.is_alive(holder)
            long_ago = holder.beat_at - timedelta(seconds=SILENCE_SECONDS + 1)
            assert not reader.is_alive(replace(holder, beat_at=long_ago))
            monkeypatch.undo()


def test_the_second_process_is_told_who_works_on_the_batch(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with another_process(location, batch_id) as process:
            with pytest.raises(JournalError) as refused, journal.hold(batch_id):
                pass
            assert f"process {process.pid} on {socket.gethostname()}, since" in str(refused.value)
            assert f"batchrun status {batch_id}" in str(refused.value)
        with journal.hold(batch_id):  # it has ended meanwhile
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets only administrators make links")
def test_a_batch_is_held_whatever_path_leads_to_its_journal(tmp_path: Path) -> None:
    folder, other = tmp_path / "journal", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    link = other / "link.db"
    link.symlink_to(folder / "journal.db")
    with Journal(str(folder / "journal.db")) as mine, Journal(str(link)) as theirs:
        batch_id = mine.create(plan_of(*IDS), URL)
        with mine.hold(batch_id):
            with pytest.raises(HeldError), theirs.hold(batch_id):
                pass
            with pytest.raises(HeldError):
                theirs.forget(batch_id)
    assert rescue.folders(str(link))[0] == folder


def test_a_journal_with_a_second_name_is_refused_until_one_is_left(tmp_path: Path) -> None:
    """SQLite has a log for each name, so a process sees nothing of what another one sends."""
    folder, other = tmp_path / "journal", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    first, second = folder / "journal.db", other / "journal.db"
    with Journal(str(first)) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        second.hardlink_to(first)
        with journal.hold(batch_id), pytest.raises(JournalError, match="hard link"):
            Journal(str(second))
        assert list(other.iterdir()) == [second]
    with pytest.raises(JournalError, match="hard link"):
        Journal(str(first))
    second.unlink()
    with Journal(str(first)) as journal:
        assert [each.batch_id for each in journal.batches()] == [batch_id]


def test_a_dead_holder_is_taken_over_at_once(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with another_process(location, batch_id) as process:
            process.kill()
        left = journal.holder(batch_id)
        assert left is not None
        assert left.pid == process.pid
        with journal.hold(batch_id):
            taken = journal.holder(batch_id)
            assert taken is not None
            assert taken.pid == os.getpid()
        assert journal.holder(batch_id) is None


def test_nobody_works_on_a_batch_whose_process_was_killed(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with another_process(location, batch_id) as process:
            living = journal.holder(batch_id)
            assert living is not None
            assert journal.is_alive(living)
            process.kill()
        dead = journal.holder(batch_id)
        assert dead is not None
        assert dead.token == living.token
        assert not journal.is_alive(dead)
        _pretend(journal, holder="0" * 16)
        far = journal.holder(batch_id)
        assert far is not None
        assert journal.is_alive(far) is journal.is_shared  # it may be on another machine


def test_two_batches_are_worked_on_at_once(journal: Journal) -> None:
    first, second = (journal.create(plan_of(each), URL) for each in IDS[:2])
    with journal.hold(first), journal.hold(second):
        assert journal.holder(first) is not None
        assert journal.holder(second) is not None


def test_a_holder_is_heard_of_again_and_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.001)
    batch_id = journal.create(plan_of(*IDS), URL)
    with journal.hold(batch_id):
        first = journal.holder(batch_id)
        wait_until(lambda: journal.holder(batch_id) != first)
    assert "lease-heartbeat" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_a_holder_on_another_machine_counts_as_long_as_it_is_heard_of(
    journal: Journal, host: str
) -> None:
    """No lock reaches from one machine to another, though it be called the same."""
    batch_id = journal.create(plan_of(*IDS), URL)
    with journal.hold(batch_id):
        _pretend(journal, holder="x", host=host, age=timedelta(seconds=5))
    with pytest.raises(JournalError, match=f"on {host}"), journal.hold(batch_id):
        pass
    _pretend(journal, age=timedelta(seconds=SILENCE_SECONDS + 1))
    with journal.hold(batch_id):
        pass


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
@pytest.mark.parametrize("before", ["nobody", "a silent one"])
def test_of_two_machines_that_ask_at_the_same_moment_one_gets_the_batch(
    location: str, before: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Journal(location) as one, Journal(location) as other:
        batch_id = one.create(plan_of(*IDS), URL)
        if before == "a silent one":
            with one.hold(batch_id):
                _pretend(one, holder="x", age=timedelta(seconds=SILENCE_SECONDS + 1))
        seen = one.holder(batch_id)
        with other.hold(batch_id), monkeypatch.context() as patched:
            patched.setattr(lease.ProcessLock, "is_alive", lambda *_: False)
            patched.setattr(lease, "find_holder", lambda *_: seen)
            with pytest.raises(JournalError, match="working on batch"), one.hold(batch_id):
                pass


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
def test_clocks_of_machines_need_not_agree(
    location: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An hour fast: neither is a living holder taken for dead, nor a turn an hour away."""
    with Journal(location) as right:
        batch_id = right.create(plan_of(*IDS), URL)
        with right.hold(batch_id), monkeypatch.context() as patched:
            real = time.time
            patched.setattr(time, "time", lambda: real() + 3600)
            patched.setattr(lease, "datetime", _Fast)
            patched.setattr(lease, "user_data_path", lambda *_, **__: tmp_path)
            with Journal(location) as fast:
                with pytest.raises(JournalError, match="working on batch"), fast.hold(batch_id):
                    pass
                assert fast.ledger("key").clock_ahead == pytest.approx(-3600, abs=60)
        assert right.ledger("key").clock_ahead == pytest.approx(0, abs=60)


class _Fast(datetime):
    """A clock that is an hour fast."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Fast:
        return cls.fromtimestamp(time.time(), tz)


@pytest.mark.parametrize("taker", ["works", "has ended"])
def test_who_has_been_taken_over_triggers_nothing_more(location: str, taker: str) -> None:
    """A laptop that slept while another machine went on with its batch."""
    with Journal(location) as slept, Journal(location) as other:
        batch_id = slept.create(plan_of(*IDS), URL)
        ours, theirs = slept.jobs(batch_id, "key"), other.jobs(batch_id, "key")
        first, second, _ = ours.pending()
        with working_on(slept, batch_id):
            assert asyncio.run(ours.begin_trigger(first))
            _pretend(slept, holder=other._lock.token, pid=4711, host="elsewhere")
            asyncio.run(theirs.recover())
            claim_all(theirs)
            assert outcomes(other, batch_id)[0] is Outcome.IN_DOUBT
            if taker == "has ended":
                _let_go(slept)
            lost = taker == "has ended" and not is_server(location)  # nobody else can let go of it
            with pytest.raises(JournalLostError if lost else TakenOverError) as told:
                asyncio.run(ours.begin_trigger(second))
            assert told.value.exit_code is ExitCode.PAUSED
            if taker == "works":
                assert "process 4711 on elsewhere" in told.value.what
                assert "batchrun status" in told.value.hint
            elif not lost:
                assert "has ended" in told.value.what
                assert f"batchrun resume {batch_id}" in told.value.hint
            # The answer that was under way all the time settles the doubt.
            asyncio.run(ours.accept(first, accepted(0), NOW))
        assert [job.execution_id for job in theirs.in_flight()] == ["exec_0"]
        assert outcomes(other, batch_id) == [Outcome.PENDING] * 3
        if taker == "works":
            assert asyncio.run(theirs.begin_trigger(second))


@pytest.mark.parametrize("taker", ["works", "has ended", "has forgotten it"])
def test_the_heartbeat_tells_that_the_batch_is_anothers(
    location: str, taker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.001)
    told: queue.SimpleQueue[JournalError] = queue.SimpleQueue()
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with journal.hold(batch_id) as lost:
            lost.add_done_callback(lambda error: told.put(error.result()))
            if taker == "works":
                _pretend(journal, holder="x", pid=4711)
                assert "process 4711" in told.get().what
            elif taker == "has ended":
                _let_go(journal)
                words = "has ended" if is_server(location) else "was overwritten"
                assert words in told.get().what
            else:
                journal._writer.submit(delete(batches)).result()
                words = "was forgotten" if is_server(location) else "was overwritten"
                assert words in told.get().what
            assert lost.result().exit_code is ExitCode.PAUSED
        if taker == "works":  # what another holds is not let go of
            found = journal.holder(batch_id)
            assert found is not None
            assert found.token == "x"


DECISIONS: dict[str, Callable[[Journal, BatchJobs, str], object]] = {
    "recover": lambda _, jobs, __: asyncio.run(jobs.recover()),
    "poll on": lambda _, jobs, __: asyncio.run(jobs.repoll_timed_out()),
    "retry": lambda _, jobs, __: asyncio.run(jobs.retry({Outcome.FAILED})),
    "marked rows": lambda _, jobs, __: asyncio.run(jobs.again({2: 0})),
    "retry doubts": lambda _, jobs, __: asyncio.run(jobs.retry_doubts()),
    "drop doubts": lambda _, jobs, __: asyncio.run(jobs.drop_doubts()),
    "how it ended": lambda _, jobs, __: asyncio.run(
        jobs.record_ending("It was interrupted.", 1, 1)
    ),
    "workbook": lambda journal, _, batch_id: journal.keep(batch_id, "output", "theirs.xlsx"),
    "form": lambda journal, _, batch_id: journal.keep(batch_id, "form", "{}"),
}


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("taker", ["works", "has ended"])
def test_what_was_decided_before_a_takeover_changes_nothing_after_it(
    location: str, decision: str, taker: str
) -> None:
    """A question was open, or a workbook was written, while the machine slept."""
    states = [JobState.SENDING, JobState.IN_DOUBT, JobState.FAILED]
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        jobs = journal.jobs(batch_id, "key")
        with journal.hold(batch_id):
            for number, state in enumerate(states):
                _put(journal, number, state)
            _pretend(journal, holder="x") if taker == "works" else _let_go(journal)
            before = _all_of(journal)
            with pytest.raises((TakenOverError, JournalLostError)):
                DECISIONS[decision](journal, jobs, batch_id)
            assert _all_of(journal) == before


def test_a_batch_taken_over_meanwhile_is_not_forgotten(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        hold = journal.hold

        @contextmanager
        def slept(batch_id: str) -> Iterator[None]:
            with hold(batch_id):
                _pretend(journal, holder="x")
                yield

        monkeypatch.setattr(journal, "hold", slept)
        with pytest.raises(TakenOverError):
            journal.forget(batch_id)
        assert len(journal.batches()) == 1


@pytest.mark.parametrize("answer", ["accept", "release", "reject", "doubt"])
def test_an_answer_settles_only_the_sending_it_is_of(location: str, answer: str) -> None:
    """The new holder has asked the user, and is sending the job again itself."""
    with Journal(location) as slept, Journal(location) as other:
        batch_id = slept.create(plan_of(*IDS), URL)
        ours, theirs = slept.jobs(batch_id, "key"), other.jobs(batch_id, "key")
        first, *_ = ours.pending()
        with working_on(slept, batch_id):
            assert asyncio.run(ours.begin_trigger(first))
            _pretend(slept, holder=other._lock.token)
            asyncio.run(theirs.recover())
            asyncio.run(theirs.retry_doubts())
            claim_all(theirs)
            again, *_ = theirs.pending()
            assert asyncio.run(theirs.begin_trigger(again))
            match answer:
                case "accept":
                    asyncio.run(ours.accept(first, accepted(0), NOW))
                case "release":
                    asyncio.run(ours.release(first, "no connection"))
                case "reject":
                    asyncio.run(ours.reject(first, "no such company"))
                case _:
                    asyncio.run(ours.doubt(first, "no answer"))
            assert 0 not in [job.number for job in theirs.pending()]
            asyncio.run(theirs.accept(again, accepted(7), NOW))
        assert [job.execution_id for job in theirs.in_flight()] == ["exec_7"]


@pytest.mark.parametrize("answer", ["completed", "failed", "timed out"])
def test_a_poll_settles_only_the_execution_it_is_of(location: str, answer: str) -> None:
    """The new holder has retried the job, and its new execution is running and paid for."""
    with Journal(location) as slept, Journal(location) as other:
        batch_id = slept.create(plan_of(IDS[0]), URL)
        ours, theirs = slept.jobs(batch_id, "key"), other.jobs(batch_id, "key")
        [first] = ours.pending()
        old = Execution("exec_0", ExecutionStatus.FAILED, NOW, NOW, NOW, message="no luck")
        with working_on(slept, batch_id):
            asyncio.run(ours.begin_trigger(first))
            asyncio.run(ours.accept(first, accepted(0), NOW))
            [polled] = ours.in_flight()
            _pretend(slept, holder=other._lock.token)
            asyncio.run(theirs.finish(polled, old, NOW))
            asyncio.run(theirs.retry({Outcome.FAILED}))
            claim_all(theirs)
            [again] = theirs.pending()
            asyncio.run(theirs.begin_trigger(again))
            asyncio.run(theirs.accept(again, accepted(7), NOW))
            [new] = theirs.in_flight()
            match answer:
                case "completed":
                    asyncio.run(ours.finish(polled, completed(0, "old"), NOW))
                case "failed":
                    asyncio.run(ours.finish(polled, old, NOW))
                case _:
                    asyncio.run(ours.time_out(polled, "not finished after 30 minutes"))
            assert [job.execution_id for job in theirs.in_flight()] == ["exec_7"]
            asyncio.run(theirs.finish(new, completed(7, "new"), NOW))
        with other.results(batch_id) as found:
            [row] = found.rows
    assert (row.outcome, row.execution_id, row.result) == (Outcome.COMPLETED, "exec_7", "new")


def test_what_a_paid_execution_brought_counts_also_from_who_lost_the_batch(location: str) -> None:
    with Journal(location) as slept, Journal(location) as other:
        batch_id = slept.create(plan_of(IDS[0]), URL)
        ours = slept.jobs(batch_id, "key")
        [first] = ours.pending()
        with working_on(slept, batch_id):
            asyncio.run(ours.begin_trigger(first))
            asyncio.run(ours.accept(first, accepted(0), NOW))
            [polled] = ours.in_flight()
            _pretend(slept, holder=other._lock.token)
            asyncio.run(ours.finish(polled, completed(0, {"score": 3}), NOW))
        assert outcomes(other, batch_id) == [Outcome.COMPLETED]


def test_who_slept_between_the_intent_and_the_request_does_not_send_it(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(location) as slept, Journal(location) as other:
        batch_id = slept.create(plan_of(*IDS), URL)
        ours, theirs = slept.jobs(batch_id, "key"), other.jobs(batch_id, "key")
        first, *_ = ours.pending()
        clock, commit = [time.time()], slept._writer.commit

        async def commit_and_sleep(*changes: Change, of: Hashable = None) -> int:
            changed = await commit(*changes, of=of)
            clock[0] += 3600
            _pretend(slept, holder=other._lock.token)
            await theirs.recover()
            monkeypatch.setattr(slept._writer, "commit", commit)
            return changed

        with working_on(slept, batch_id):
            monkeypatch.setattr(slept._writer, "commit", commit_and_sleep)
            monkeypatch.setattr(time, "time", lambda: clock[0])
            with pytest.raises(TakenOverError):
                asyncio.run(ours.begin_trigger(first))
        assert first in theirs.pending()  # nobody need be in doubt about it


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
def test_an_intent_waits_for_the_process_that_is_taking_the_batch(location: str) -> None:
    """What is seen is not what was: the lease must still be ours when the intent is committed."""
    with Journal(location) as ours, ThreadPoolExecutor(1) as pool:
        batch_id = ours.create(plan_of(*IDS), URL)
        jobs = ours.jobs(batch_id, "key")
        first, *_ = jobs.pending()
        with working_on(ours, batch_id), psycopg.connect(location) as taker:
            taker.execute("UPDATE leases SET holder = 'x'")
            taker.execute("UPDATE slices SET holder = 'x'")
            intended = pool.submit(asyncio.run, jobs.begin_trigger(first))
            with psycopg.connect(location, autocommit=True) as watching:
                waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                wait_until(lambda: intended.done() or watching.execute(waits).fetchone() != (0,))
            taker.commit()
            with pytest.raises(TakenOverError):
                intended.result()
        assert [job.number for job in jobs.pending()] == [0, 1, 2]


def _pretend(journal: Journal, *, age: timedelta = timedelta(), **values: str | int) -> None:
    """Make the journal's one lease look like another's; nobody has the slices then."""
    beat_at = (datetime.now(UTC) - age).timestamp()
    changed = update(leases).values(beat_at=beat_at, **values)
    journal._writer.submit(changed, update(slices).values(holder=None)).result()


def _let_go(journal: Journal) -> None:
    """The holder of the journal's one lease has ended."""
    journal._writer.submit(delete(leases), delete(slices)).result()


def _put(journal: Journal, job: int, state: JobState) -> None:
    """Have a job be in a state."""
    journal._writer.submit(update(jobs).where(jobs.c.number == job).values(state=state)).result()


def _all_of(journal: Journal) -> list[object]:
    """What the journal holds of batches, jobs and attempts."""
    with journal._engine.connect() as connection:
        return [
            *connection.execute(select(batches)),
            *connection.execute(select(jobs).order_by(jobs.c.number)),
            *connection.execute(select(attempts)),
        ]
