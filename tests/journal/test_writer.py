"""The writer: whatever a statement raises, everybody gets an answer and the thread lives on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Executable, text, update

from batchrun.errors import ExitCode, JournalWriteError
from batchrun.journal import Journal
from batchrun.journal.schema import batches

from .batches import IDS, URL, plan_of

if TYPE_CHECKING:
    from pathlib import Path


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
    tmp_path: Path, poison: Executable
) -> None:
    with Journal(str(tmp_path / "journal.db")) as journal:
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


def test_what_was_handed_over_is_committed_when_the_journal_is_closed(tmp_path: Path) -> None:
    location = str(tmp_path / "journal.db")
    with Journal(location) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        for number in range(1_000):
            last = journal._writer.submit(note(str(number)))
    assert last.result() == 1
    with Journal(location) as journal:
        assert journal.summary(batch_id).note == "999"


def test_a_closed_journal_says_so_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal.db"))
    journal.close()
    journal.close()
    with pytest.raises(JournalWriteError, match="closed"):
        journal._writer.submit(note("too late"))
