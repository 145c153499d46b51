"""One batch, one process: the second is told who works on it, a dead one is taken over."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from batchrun.errors import JournalError
from batchrun.journal import Journal, lease
from batchrun.journal.schema import leases
from batchrun.model import Outcome

from .batches import IDS, NOW, URL, accepted, outcomes, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, location, batch_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


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


def test_one_who_died_before_it_had_the_lease_leaves_its_predecessor_known(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with another_process(location, batch_id) as process:
            process.kill()
        with monkeypatch.context() as patched, Journal(location) as second:
            patched.setattr(lease, "_take", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError), second.hold(batch_id):
                pass
        with journal.hold(batch_id):
            pass


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
        while journal.holder(batch_id) == first:
            pass
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
    _pretend(journal, age=timedelta(seconds=lease.SILENCE_SECONDS + 1))
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
                _pretend(one, holder="x", age=timedelta(seconds=lease.SILENCE_SECONDS + 1))
        seen = one.holder(batch_id)
        with other.hold(batch_id), monkeypatch.context() as patched:
            patched.setattr(lease, "user_data_path", lambda *_, **__: tmp_path)
            patched.setattr(lease, "_lives_elsewhere", lambda *_: False)
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


def test_who_has_been_taken_over_triggers_nothing_more(location: str) -> None:
    """A laptop that slept while another machine went on with its batch."""
    with Journal(location) as slept, Journal(location) as other:
        batch_id = slept.create(plan_of(*IDS), URL)
        ours, theirs = slept.jobs(batch_id, "key"), other.jobs(batch_id, "key")
        first, second, _ = ours.pending()
        with slept.hold(batch_id):
            assert asyncio.run(ours.intend(first))
            _pretend(slept, holder=other._token)
            asyncio.run(theirs.recover())
            assert outcomes(other, batch_id)[0] is Outcome.IN_DOUBT
            with pytest.raises(JournalError, match="taken over"):
                asyncio.run(ours.intend(second))
            # The answer that was under way all the time settles the doubt.
            asyncio.run(ours.accept(first, accepted(0), NOW))
        assert [job.execution_id for job in theirs.in_flight()] == ["exec_0"]
        assert asyncio.run(theirs.intend(second))


def _pretend(journal: Journal, *, age: timedelta = timedelta(), **values: str) -> None:
    """Make the journal's one lease look like another's."""
    beat_at = (datetime.now(UTC) - age).timestamp()
    journal._writer.submit(update(leases).values(beat_at=beat_at, **values)).result()
