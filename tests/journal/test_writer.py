"""The writer: whatever a statement raises, everybody gets an answer and the thread lives on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Executable, bindparam, select, text, update

from batchrun.errors import ExitCode, JournalWriteError
from batchrun.journal import Journal
from batchrun.journal.schema import batches, jobs
from batchrun.journal.writer import Change, Count

from .batches import IDS, URL, plan_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

ONE_MORE = (
    update(batches)
    .where(batches.c.id == bindparam("of_batch"))
    .values(requests=batches.c.requests + 1)
)
MORE = (
    update(batches)
    .where(batches.c.id == bindparam("of_batch"))
    .values(requests=batches.c.requests + bindparam("requests"))
)
MESSAGE = (
    update(jobs)
    .where(jobs.c.batch_id == bindparam("of_batch"), jobs.c.number == bindparam("of_job"))
    .values(message=bindparam("message"))
)


LOUDER = (
    update(jobs)
    .where(jobs.c.batch_id == bindparam("of_batch"), jobs.c.number == bindparam("of_job"))
    .values(message=jobs.c.message + "!")
)


def note(words: object) -> Executable:
    return update(batches).values(note=words)


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(note(object()), id="a value of no type"),
        pytest.param(note("\ud800"), id="text that has no UTF-8"),
        pytest.param(update(batches).values(requests=2**70), id="a number that is too large"),
        pytest.param(text("no SQL at all"), id="no statement"),
        pytest.param(update(batches).values(created_at=None), id="a broken rule"),
    ],
)
def test_a_statement_that_cannot_be_taken_spoils_no_other(
    location: str, poison: Executable
) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        writer = journal._writer

        async def all_at_once() -> list[object]:
            commits = [
                writer.commit(note("one")),
                writer.commit(poison),
                writer.commit(note("two")),
            ]
            return list(await asyncio.gather(*commits, return_exceptions=True))

        first, failed, last = asyncio.run(all_at_once())
        assert (first, last) == (1, 1)
        assert isinstance(failed, JournalWriteError)
        assert failed.exit_code is ExitCode.PAUSED
        assert journal.summary(batch_id).note == "two"


def test_what_was_handed_over_is_committed_when_the_journal_is_closed(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        for number in range(1_000):
            last = journal._writer.submit(note(str(number)))
    assert last.result() == 1
    with Journal(location) as journal:
        assert journal.summary(batch_id).note == "999"


def test_a_closed_journal_says_so_and_nobody_waits_for_ever(location: str) -> None:
    journal = Journal(location)
    journal.close()
    journal.close()
    with pytest.raises(JournalWriteError, match="closed"):
        journal._writer.submit(note("too late"))


def one_more(of_batch: str) -> Change:
    return Change(ONE_MORE, {"of_batch": of_batch})


def message(batch_id: str, job: int, words: object) -> Change:
    return Change(MESSAGE, {"of_batch": batch_id, "of_job": job, "message": words})


def all_at_once(*commits: Coroutine[None, None, int]) -> list[int | BaseException]:
    async def gathered() -> list[int | BaseException]:
        return list(await asyncio.gather(*commits, return_exceptions=True))

    return asyncio.run(gathered())


def messages(journal: Journal, batch_id: str) -> list[str]:
    kept = select(jobs.c.message).where(jobs.c.batch_id == batch_id).order_by(jobs.c.number)
    with journal._engine.connect() as connection:
        return list(connection.scalars(kept))


def test_what_nobody_waits_for_is_on_disk_before_what_was_handed_over_later(
    location: str,
) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        writer = journal._writer
        for _ in range(600):  # more than one group
            writer.note(one_more(batch_id))
        writer.note(Change(ONE_MORE, {"of_batch": object()}))  # can't be taken, and spoils nothing
        assert all_at_once(writer.commit(message(batch_id, 0, "later"), of=0)) == [1]
        assert journal.summary(batch_id).requests == 600
        assert messages(journal, batch_id)[0] == "later"


def test_each_of_many_equal_changes_learns_whether_it_changed_its_row(location: str) -> None:
    """The compare-and-set of a trigger's intent: one count for all would let two be sent."""
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        commit = journal._writer.commit
        told = all_at_once(
            *(
                commit(message(batch_id, job, f"no {job}"), one_more(batch_id), of=job)
                for job in (0, 1, 77, 2, 78)
            )
        )
        assert told == [1, 1, 0, 1, 0]
        assert messages(journal, batch_id) == ["no 0", "no 1", "no 2"]
        assert journal.summary(batch_id).requests == 5


def test_changes_that_belong_together_keep_their_order_among_those_of_others(
    location: str,
) -> None:
    """A rescue file may hold several steps of one job."""
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        commit = journal._writer.commit
        louder = [Change(LOUDER, {"of_batch": batch_id, "of_job": job}) for job in range(3)]
        told = all_at_once(
            commit(message(batch_id, 0, "a"), louder[0]),
            commit(message(batch_id, 1, "b"), message(batch_id, 2, "c"), louder[2]),
        )
        assert told == [1, 1]
        assert messages(journal, batch_id) == ["a!", "b", "c!"]


def test_counts_of_many_writes_are_added_up(location: str) -> None:
    with Journal(location) as journal:
        batch_id, other = (journal.create(plan_of(each), URL) for each in IDS[:2])
        for number in range(600):  # more than one group
            counted = Count(MORE, (("of_batch", other if number % 3 else batch_id),))
            journal._writer.note(counted, one_more(batch_id))
        assert all_at_once(journal._writer.commit(message(batch_id, 0, "last"), counted)) == [1]
        assert journal.summary(batch_id).requests == 600 + 200
        assert journal.summary(other).requests == 400 + 1


def test_changes_of_the_same_keep_their_order(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        commit = journal._writer.commit
        told = all_at_once(
            commit(message(batch_id, 0, "first"), of=0),
            commit(message(batch_id, 1, "other"), of=1),
            commit(one_more(batch_id)),
            commit(message(batch_id, 0, "then"), of=0),
            journal._writer.commit(message(batch_id, 0, "later")),
            journal._writer.commit(note("apart")),
            commit(message(batch_id, 0, "last"), of=0),
        )
        assert told == [1] * 7
        assert messages(journal, batch_id) == ["last", "other", ""]


def test_a_change_that_cannot_be_taken_spoils_no_equal_one(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        commit = journal._writer.commit
        first, failed, last = all_at_once(
            *(
                commit(message(batch_id, job, words), of=job)
                for job, words in enumerate(("one", "\ud800", "two"))
            )
        )
        assert (first, last) == (1, 1)
        assert isinstance(failed, JournalWriteError)
        assert messages(journal, batch_id) == ["one", "", "two"]


def test_who_is_cancelled_while_waiting_leaves_the_change_committed(location: str) -> None:
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)

        async def cancelled() -> None:
            task = asyncio.create_task(journal._writer.commit(message(batch_id, 0, "kept"), of=0))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            assert await journal._writer.commit(one_more(batch_id)) == 1

        asyncio.run(cancelled())
        assert messages(journal, batch_id)[0] == "kept"
