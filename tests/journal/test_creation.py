"""A new batch is created in chunks: nobody sees half of it, and nobody waits long for it."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from batchrun.errors import NoBatchError, UsageError
from batchrun.journal import Journal, creation
from batchrun.journal.creation import BatchMaker
from batchrun.journal.database import writing
from batchrun.journal.schema import batches, counts, encode_cells, jobs, rows
from batchrun.model import Outcome
from batchrun.plan import Plan
from tests.preloaded import Popen

from .batches import IDS, URL, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

MANY = [f"a1b2c3d4-e5f6-7890-abcd-{number:012}" for number in range(2_500)]

DIES = """
import os, signal, sys
from batchrun.journal import Journal
from batchrun.journal.creation import BatchMaker
from tests.journal.batches import IDS, URL, plan_of

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(BatchMaker, sys.argv[2], die)
Journal(sys.argv[1]).create(plan_of(*IDS), URL)
"""


def number_of(journal: Journal, table: object) -> int:
    with journal._engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]


def test_programs_with_the_same_version_of_the_journal_read_each_others_batches(
    location: str,
) -> None:
    with Journal(location) as journal:
        journal.create(plan_of(*IDS), URL)
        with journal._engine.connect() as connection:
            found = connection.execute(select(batches.c.workflow, batches.c.source)).one()
    workflow, source = (set(json.loads(each)) for each in found)
    assert workflow == {"id", "name", "description", "status"}
    where = {"name", "path", "format", "sheet", "encoding", "delimiter", "header_line"}
    assert source == where | {"formats", "notices", "links"}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("point", ["fill", "_insert", "complete"])
def test_half_a_batch_of_a_dead_process_is_seen_by_nobody_and_deleted(
    location: str, point: str
) -> None:
    with Popen([sys.executable, "-c", DIES, location, point]) as dead:
        assert dead.wait() == -signal.SIGKILL
    with Journal(location) as journal:
        assert number_of(journal, batches) == 1
        assert journal.batches() == []
        assert journal.find(plan_of(*IDS).fingerprint(), URL) is None
        with pytest.raises(NoBatchError):
            journal.resolve(None)
        batch_id = journal.create(plan_of(*IDS), URL)
        assert [each.batch_id for each in journal.batches()] == [batch_id]
        assert number_of(journal, rows) == number_of(journal, jobs) == len(IDS)


def test_a_batch_that_a_living_process_is_creating_is_left_alone(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()
    fill = BatchMaker.fill

    def fill_slowly(self: BatchMaker, plan: Plan) -> None:
        fill(self, plan)
        if len(plan.rows) == len(IDS):
            began.set()
            assert may_end.wait(60)

    monkeypatch.setattr(BatchMaker, "fill", fill_slowly)
    with Journal(location) as slow, Journal(location) as other:
        thread = threading.Thread(target=slow.create, args=(plan_of(*IDS), URL))
        thread.start()
        assert began.wait(60)
        other.create(plan_of(IDS[0]), URL)  # it writes meanwhile, and deletes nothing
        may_end.set()
        thread.join()
        assert sorted(each.rows for each in other.batches()) == [1, len(IDS)]


def test_others_write_between_the_chunks_of_a_large_list(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "CHUNK_SECONDS", 0.0)
    encode, wrote = encode_cells, []
    with Journal(location) as journal, Journal(location) as other:
        batch_id = other.create(plan_of(*IDS), URL)

        def hold_it() -> None:
            with other.hold(batch_id):
                pass

        def write_meanwhile(cells: tuple[object, ...]) -> bytes:
            if cells[0] == MANY[1_000]:
                wrote.append(threading.Thread(target=hold_it))
                wrote[-1].start()
            return encode(cells)  # type: ignore[arg-type]

        monkeypatch.setattr(creation, "encode_cells", write_meanwhile)
        large = journal.create(plan_of(*MANY), URL)
        for thread in wrote:
            thread.join(60)
            assert not thread.is_alive()
        assert len(wrote) == 1
        assert journal.summary(large).counts[Outcome.PENDING] == len(MANY)


def test_the_fingerprint_is_computed_while_others_can_write(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint, seen = Plan.fingerprint, []
    with Journal(location) as journal, Journal(location) as other:
        batch_id = other.create(plan_of(IDS[0]), URL)

        def write_meanwhile(self: Plan) -> str:
            seen.append(number_of(other, batches))
            with other.hold(batch_id):  # it would fail if the journal were locked
                other.keep(batch_id, "target", "meanwhile.xlsx")
            return fingerprint(self)

        monkeypatch.setattr(Plan, "fingerprint", write_meanwhile)
        journal.create(plan_of(*IDS), URL)
        assert seen == [1]  # once, and nothing of the new batch was there yet
        assert other.summary(batch_id).target == "meanwhile.xlsx"


def test_others_write_while_a_large_batch_is_forgotten(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    with Journal(location) as journal, Journal(location) as other:
        batch_id = other.create(plan_of(*IDS), URL)
        large = journal.create(plan_of(*MANY), URL)

        @contextmanager
        def writing_in_turn(engine: Engine) -> Iterator[Connection]:
            with writing(engine) as connection:
                yield connection
            left.append(number_of(other, rows))
            other.keep(batch_id, "target", f"{len(left)}.xlsx")

        monkeypatch.setattr(creation, "CHUNK_SECONDS", 0.0)
        monkeypatch.setattr(creation, "CHUNK_PAUSE_SECONDS", 0.0)
        monkeypatch.setattr(creation, "writing", writing_in_turn)
        with other.hold(batch_id):
            journal.forget(large)
        assert left[:3] == [1_503, 503, 3]
        assert other.summary(batch_id).target == f"{len(left)}.xlsx"
        assert [each.batch_id for each in other.batches()] == [batch_id]


def test_of_two_who_create_the_same_list_one_does(location: str) -> None:
    outcomes: list[str] = []
    meet = threading.Barrier(2)

    def create() -> None:
        with Journal(location) as journal:
            plan = plan_of(*IDS)
            meet.wait()
            try:
                outcomes.append(journal.create(plan, URL))
            except UsageError as error:
                outcomes.append(error.what.split(";")[0])

    Journal(location).close()
    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Journal(location) as journal:
        [batch] = journal.batches()
        assert batch.batch_id in outcomes
        assert f"This list was started in the meantime as batch {batch.batch_id}" in outcomes
        assert number_of(journal, rows) == len(IDS)


def test_forgetting_deletes_rows_jobs_and_counts(location: str) -> None:
    with Journal(location) as journal:
        journal.forget(journal.create(plan_of(*MANY), URL))
        assert [number_of(journal, table) for table in (batches, rows, jobs, counts)] == [0] * 4
