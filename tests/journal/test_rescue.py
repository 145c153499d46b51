"""Results in hand that can't be committed go to a rescue file, and come back from it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import JournalWriteError
from batchrun.journal import Journal, database
from batchrun.journal.rescue import RescueFiles, Step, folders
from batchrun.journal.schema import JobState
from batchrun.model import JSON, Cause, Outcome

from .batches import IDS, NOW, URL, accepted, completed, outcomes, plan_of, working_on

if TYPE_CHECKING:
    from batchrun.journal import BatchJobs, Job


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)


def locked_out(path: Path) -> closing[sqlite3.Connection]:
    """Another program that keeps the journal locked."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return closing(other)


def test_a_result_the_journal_cannot_take_is_kept_beside_it_and_taken_in_later(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    result: JSON = {"score": 3, "text": "Überall \ud800"}
    with Journal(str(path)) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        with working_on(journal, batch_id) as jobs:
            first, second, third = jobs.pending()
            for job in (first, second, third):
                assert asyncio.run(jobs.begin_trigger(job))
        asyncio.run(jobs.accept(first, accepted(0), NOW))
        with locked_out(path):
            for step in (
                jobs.finish(first, completed(0, result), NOW),
                jobs.accept(second, accepted(1), NOW),
                jobs.reject(third, "no such company", Cause.UNKNOWN_RECORD),
            ):
                with pytest.raises(JournalWriteError) as told:
                    asyncio.run(step)
        [kept] = journal.rescued(batch_id)
        assert str(kept) in str(told.value)
        assert "locked" in str(told.value)
        assert kept.parent == tmp_path
        if sys.platform != "win32":
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    with Journal(str(path)) as journal, working_on(journal, batch_id) as jobs:  # the next process
        assert asyncio.run(jobs.recover()) == 0
        assert outcomes(journal, batch_id) == [
            Outcome.COMPLETED,
            Outcome.PENDING,
            Outcome.REJECTED,
        ]
        assert [job.execution_id for job in jobs.in_flight()] == ["exec_1"]
        with journal.results(batch_id) as found:
            rows = list(found.rows)
        assert rows[0].result == result
        assert rows[2].cause is Cause.UNKNOWN_RECORD
        assert journal.rescued(batch_id) == []


@pytest.mark.parametrize(
    ("new", "message", "cause"),
    [
        (JobState.FAILED, "The step timed out.", Cause.TEMPORARY),
        (JobState.REJECTED, "HTTP 402: no credits", Cause.NO_CREDITS),
        (JobState.IN_DOUBT, "HTTP 402: no credits", None),
    ],
)
def test_a_step_kept_before_causes_were_data_has_the_cause_of_its_message(
    tmp_path: Path, new: JobState, message: str, cause: Cause | None
) -> None:
    files = RescueFiles([tmp_path], "1124-list-0000")
    files.keep(Step(0, (JobState.IN_FLIGHT,), new, {"message": message}))
    [step] = files.steps()
    assert step.values.get("cause") is cause


def test_a_step_taken_in_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    """The process that takes a file in may die before the file is gone."""
    with Journal(str(tmp_path / "journal.db")) as journal:
        batch_id = journal.create(plan_of(*IDS[:1]), URL)
        files = RescueFiles([tmp_path], batch_id)
        step = Step(0, (JobState.SENDING,), JobState.IN_FLIGHT, {"execution_id": "exec_0"})
        with working_on(journal, batch_id) as jobs:
            [job] = jobs.pending()
            asyncio.run(jobs.begin_trigger(job))
            files.keep(step)
            asyncio.run(jobs.recover())
            asyncio.run(_finish(jobs))
            files.keep(step)
            asyncio.run(jobs.recover())
        assert outcomes(journal, batch_id) == [Outcome.COMPLETED]


async def _finish(jobs: BatchJobs) -> None:
    job: Job
    [job] = jobs.in_flight()
    await jobs.finish(job, completed(0, 1), NOW)


def test_where_no_folder_takes_the_file_the_error_names_the_execution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    monkeypatch.setattr("batchrun.journal.journal.rescue_folders", lambda _: [tmp_path / "nowhere"])
    with Journal(str(path)) as journal:
        with working_on(journal, journal.create(plan_of(*IDS), URL)) as jobs:
            job = jobs.pending()[0]
            asyncio.run(jobs.begin_trigger(job))
        with locked_out(path), pytest.raises(JournalWriteError, match="exec_0"):
            asyncio.run(jobs.accept(job, accepted(0), NOW))


def test_the_next_folder_is_taken_when_the_first_takes_nothing(tmp_path: Path) -> None:
    files = RescueFiles([tmp_path / "nowhere", tmp_path], "1124-list-0000")
    step = Step(7, (JobState.SENDING,), JobState.IN_FLIGHT, {"execution_id": "e", "result": b"\0"})
    assert files.keep(step) == tmp_path / "batchrun-1124-list-0000.rescue.jsonl"
    assert list(files.steps()) == [step]


def test_a_rescued_end_settles_only_the_execution_it_is_of(tmp_path: Path) -> None:
    with Journal(str(tmp_path / "journal.db")) as journal:
        batch_id = journal.create(plan_of(*IDS[:1]), URL)
        files = RescueFiles([tmp_path], batch_id)
        with working_on(journal, batch_id) as jobs:
            [job] = jobs.pending()
            asyncio.run(jobs.begin_trigger(job))
            asyncio.run(jobs.accept(job, accepted(0), NOW))
            files.keep(_end_of("exec_9"))
            asyncio.run(jobs.recover())
            assert outcomes(journal, batch_id) == [Outcome.PENDING]
            files.keep(_end_of("exec_0"))
            asyncio.run(jobs.recover())
            assert outcomes(journal, batch_id) == [Outcome.FAILED]


def test_a_rescue_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    files = RescueFiles([tmp_path], "1124-list-0000")
    path = files.keep(_end_of("exec_0"))
    assert path is not None
    earlier = json.loads(path.read_text())
    del earlier["execution_id"], earlier["retried"]
    path.write_text(json.dumps(earlier) + "\n")
    assert list(files.steps()) == [_end_of(None)]


def _end_of(execution_id: str | None) -> Step:
    return Step(0, (JobState.IN_FLIGHT,), JobState.FAILED, {}, execution_id=execution_id)


def test_a_line_that_broke_off_is_no_step(tmp_path: Path) -> None:
    files = RescueFiles([tmp_path], "1124-list-0000")
    step = Step(7, (JobState.SENDING,), JobState.REJECTED, {"message": "no"})
    path = files.keep(step)
    assert path is not None
    whole = path.read_bytes()
    for length in range(len(whole) - 1):
        path.write_bytes(whole + whole[:length])
        assert list(files.steps()) == [step]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a right there")
def test_a_link_laid_by_somebody_else_is_neither_followed_nor_believed(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "batchrun-b.rescue.jsonl").symlink_to(tmp_path / "theirs")
    files = RescueFiles([shared], "b")
    assert files.keep(Step(0, (JobState.SENDING,), JobState.REJECTED)) is None
    assert files.found() == []
    assert (tmp_path / "theirs").read_bytes() == b""


def test_a_user_without_a_home_has_other_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's, whose number stands in no list of users."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert Path("somewhere").resolve() in folders("somewhere/journal.db")


@pytest.mark.parametrize(
    "line",
    [
        '{"job": 0, "old": ["pending"], "new": "completed", "values": []}',
        '{"job": 0, "old": ["pending"], "new": "completed", "values": {"seats": 1}}',
        '{"job": 0, "old": ["pending"], "new": "completed", "values": {"batch_id": "other"}}',
        '{"job": 0, "old": ["pending"], "new": "completed", "values": {"number": 2}}',
        '{"job": 0, "old": ["pending"], "new": "completed", "values": {"result": "text"}}',
        '{"job": 0, "old": ["pending"], "new": "completed", "values": {"message": null}}',
        '{"job": 0, "old": [], "new": "completed", "values": {}}',
        '{"job": Infinity, "old": ["pending"], "new": "completed", "values": {}}',
        "[]",
        "[" * 200_000,
    ],
    ids=lambda line: str(line)[:90],
)
def test_a_line_that_batchrun_did_not_write_is_no_step(tmp_path: Path, line: str) -> None:
    with Journal(str(tmp_path / "journal.db")) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        [path, *_] = [
            each / f"batchrun-{batch_id}.rescue.jsonl"
            for each in folders(str(tmp_path / "journal.db"))
        ]
        path.write_text(f"{line}\n")
        with working_on(journal, batch_id) as jobs:
            assert asyncio.run(jobs.recover()) == 0
            assert len(jobs.pending()) == len(IDS)
