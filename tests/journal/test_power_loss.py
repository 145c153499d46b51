"""A power loss at any moment: what was promised is there, and no group is there by half.

Relied on are SQLite's own guarantees, https://www.sqlite.org/wal.html: with
``synchronous=FULL`` a commit returns after its frames in the write-ahead log are synced, and a
log that ends anywhere is read up to its last whole commit. So a power loss is modelled as the
log cut off at any length that a promise has not been made beyond. That the sync really comes
before the promise is seen from outside, in the system calls of a process.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from batchrun.journal import Journal
from batchrun.journal.schema import JobState, jobs

from .batches import NOW, URL, accepted, completed, plan_of, working_on

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.journal import BatchJobs, Job

JOBS = 24
IDS = [f"a1b2c3d4-e5f6-7890-abcd-ef12345678{number:02}" for number in range(JOBS)]
ORDER = [JobState.PENDING, JobState.SENDING, JobState.IN_FLIGHT, JobState.COMPLETED]
FRAME_BYTES = 24 + 4096
HEADER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Promise:
    """A step whose call has returned, and how long the log was at that moment."""

    log_bytes: int
    job: int
    state: JobState


async def work(batch: BatchJobs, log: Path) -> list[Promise]:
    """Take all jobs all the way, many at once, so that commits are shared."""
    promises: list[Promise] = []

    async def one(job: Job) -> None:
        def promised(state: JobState) -> None:
            promises.append(Promise(log.stat().st_size, job.number, state))

        assert await batch.begin_trigger(job)
        promised(JobState.SENDING)
        await batch.accept(job, accepted(job.number), NOW)
        promised(JobState.IN_FLIGHT)
        await batch.finish(job, completed(job.number, {"score": job.number}), NOW)
        promised(JobState.COMPLETED)

    async with asyncio.TaskGroup() as group:
        for job in batch.pending():
            group.create_task(one(job))
            if job.number % 5 == 0:
                batch.count_request()
                await batch.repoll_timed_out()  # lets the group's commits interleave
    return promises


def test_a_log_cut_off_anywhere_holds_every_promise_made_until_then(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    database, log = before / "journal.db", before / "journal.db-wal"
    with Journal(str(database)) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with working_on(journal, batch_id) as batch:
            promises = asyncio.run(work(batch, log))
            content, frames = database.read_bytes(), log.read_bytes()
    assert len(promises) == 3 * JOBS
    assert {promise.log_bytes for promise in promises} > {len(frames)}

    first = min(promise.log_bytes for promise in promises)
    whole = range(HEADER_BYTES, len(frames) + 1, FRAME_BYTES)
    torn = [length + FRAME_BYTES // 2 for length in whole][:-1]
    lengths = [length for length in (*whole, *torn) if length >= first - 3 * FRAME_BYTES]
    for length in sorted(lengths):
        shutil.rmtree(after, ignore_errors=True)
        after.mkdir()
        (after / database.name).write_bytes(content)
        (after / log.name).write_bytes(frames[:length])
        states, requests = _read(after / database.name, batch_id)
        for promise in promises:
            if promise.log_bytes <= length:
                assert ORDER.index(states[promise.job]) >= ORDER.index(promise.state)
        # An intent and the count of its request are committed together or not at all.
        sent = sum(state is not JobState.PENDING for state in states.values())
        assert sent <= requests <= sent + len(range(0, JOBS, 5))


def _read(database: Path, batch_id: str) -> tuple[dict[int, JobState], int]:
    with Journal(str(database)) as journal, journal._engine.connect() as connection:
        found = connection.execute(select(jobs.c.number, jobs.c.state)).all()
        return (
            {number: JobState(state) for number, state in found},
            journal.summary(batch_id).requests,
        )


PROMISING = """
import asyncio, os, sys
from batchrun.journal import Journal
from tests.journal.batches import IDS, URL, plan_of, working_on
with Journal(sys.argv[1]) as journal:
    with working_on(journal, journal.create(plan_of(*IDS), URL)) as batch:
        for job in batch.pending():
            asyncio.run(batch.begin_trigger(job))
            os.write(1, b"promised")
"""


def test_a_commit_is_synced_before_it_is_promised(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    trace = tmp_path / "trace.txt"
    watched = "trace=pwrite64,write,fsync,fdatasync"
    command = ["strace", "-f", "-y", "-e", watched, "-o", str(trace), sys.executable, "-c"]
    ended = subprocess.run(
        [*command, PROMISING, str(tmp_path / "journal.db")], capture_output=True, check=False
    )
    if ended.stdout != b"promised" * 3:
        pytest.skip("strace is not allowed to watch here")
    calls = re.findall(
        r'(pwrite64|fdatasync|fsync)\(\d+<[^>]*journal\.db-wal>|write\(1<[^>]*>, "(promised)"',
        trace.read_text(encoding="utf-8", errors="replace"),
    )
    order = "".join({"pwrite64": "w", "promised": "P"}.get(a or b, "s") for a, b in calls)
    assert order.count("P") == 3
    # Before each promise the log was written, and synced after the last write to it.
    assert re.fullmatch(r"(?:[ws]*w[w]*s+P)+[ws]*", order), order
