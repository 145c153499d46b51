"""A journal file that is deleted, truncated or replaced under a running batch."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import sys
from collections import Counter
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from openpyxl import load_workbook
from sqlalchemy import Connection, Engine, event

from batchrun import aio
from batchrun.batch.request import Request
from batchrun.errors import ExitCode, JournalLostError, JournalWriteError
from batchrun.journal import Journal, lease
from batchrun.model import Outcome
from batchrun.settings.loading import load_settings
from tests.engine.faults import SPEED, FaultySandbox, faulty_sandbox
from tests.journal.batches import URL, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchrun.engine.progress import Progress
    from batchrun.settings.model import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows protects open files")

ROWS = 12
IN_FLIGHT = 2
COPIED_AT, LOST_AT = 2, 4
"""Numbers of completed rows."""
IDS = [f"a1b2c3d4-e5f6-7890-abcd-ef12345678{number:02}" for number in range(ROWS)]


def replace_with_older_copy(journal: Path) -> None:
    journal.with_name("older.db").replace(journal)
    for ending in ("-wal", "-shm"):
        journal.with_name(f"{journal.name}{ending}").unlink()


def delete_all_files(journal: Path) -> None:
    for each in journal.parent.glob("journal.db*"):
        each.unlink()


def overwrite(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log could replace the file
        with journal.open("r+b") as file:
            file.write(b"x" * journal.stat().st_size)


def cut_in_half(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.truncate(journal, journal.stat().st_size // 2)


def drop_table(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("DROP TABLE slices")


LOSSES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda journal: journal.unlink(),
    "deleted with all its files": delete_all_files,
    "moved": lambda journal: journal.rename(journal.with_name("moved.db")),
    "log deleted": lambda journal: journal.with_name("journal.db-wal").unlink(),
    "log truncated": lambda journal: os.truncate(journal.with_name("journal.db-wal"), 0),
    "truncated": lambda journal: os.truncate(journal, 0),
    "cut in half": cut_in_half,
    "replaced by another file": lambda journal: Path(
        shutil.copy(__file__, journal.with_name("other"))
    ).replace(journal),
    "replaced by an older copy": replace_with_older_copy,
    "overwritten with something else": overwrite,
    "a table deleted": drop_table,
    "folder deleted": lambda journal: shutil.rmtree(journal.parent),
}


class Loss:
    """Loses a journal as soon as some rows are completed.

    Args:
        journal: The journal's file.
        lose: What happens to it.
    """

    def __init__(self, journal: Path, lose: Callable[[Path], object]) -> None:
        self._journal = journal
        self._lose = lose
        self._lost = False

    def __call__(self, progress: Progress) -> None:
        older = self._journal.with_name("older.db")
        completed = progress.counts[Outcome.COMPLETED]
        if self._lost:
            return
        if completed >= COPIED_AT and not older.exists():
            with (
                closing(sqlite3.connect(self._journal)) as now,
                closing(sqlite3.connect(older)) as old,
            ):
                now.backup(old)
        if completed >= LOST_AT:
            self._lost = True
            self._lose(self._journal)


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.02)
    path = tmp_path / "accounts.csv"
    path.write_text("\n".join(["Company ID", *IDS]) + "\n", encoding="utf-8")
    return path


def settings_for(url: str, journal: Path) -> Settings:
    return load_settings(
        api_key="sandbox",
        base_url=url,
        journal=str(journal),
        speed=SPEED,
        max_in_flight=IN_FLIGHT,
        timeout_seconds=300,  # on a loaded machine no trigger may end in doubt for want of time
    )


def run_until_lost(
    url: str, accounts: Path, lose: Callable[[Path], object]
) -> tuple[JournalLostError, Path]:
    """Run the list until its journal is lost; the error, and the journal's path."""
    journal = accounts.parent / "state" / "journal.db"
    run = aio.run(
        Request(accounts, "Account Research"),
        settings=settings_for(url, journal),
        on_progress=Loss(journal, lose),
    )
    with pytest.raises(JournalLostError) as raised:
        asyncio.run(run)
    return raised.value, journal


def assert_nothing_doubled_or_lost(sandbox: FaultySandbox, accounts: Path, journal: Path) -> None:
    sent = Counter(re.findall(r"a1b2c3d4[-0-9a-f]+", " ".join(sandbox.bodies())))
    assert set(sent.values()) == {1}
    with Journal(str(journal)) as opened:
        [summary] = opened.batches()
        completed, doubt = (summary.counts[each] for each in (Outcome.COMPLETED, Outcome.IN_DOUBT))
        assert completed + doubt == ROWS
        # In doubt are only triggers that were about to be sent when the loss was noticed.
        assert completed <= len(sent) <= ROWS
        assert doubt <= IN_FLIGHT
    sheet = load_workbook(accounts.with_name("accounts.results.xlsx"))["Results"]
    assert [row[0].value for row in sheet.iter_rows(min_row=2)] == IDS


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_journal_stops_the_batch_and_what_was_paid_for_is_kept(
    accounts: Path, loss: str
) -> None:
    with faulty_sandbox() as (url, sandbox):
        error, _ = run_until_lost(url, accounts, LOSSES[loss])
        assert error.exit_code is ExitCode.PAUSED
        triggered = len(sandbox.bodies())
        assert triggered < ROWS
        sheet = load_workbook(accounts.with_name("accounts.results.xlsx"))["Results"]
        results = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
        assert [each[0] for each in results] == IDS
        assert sum("completed" in each for each in results) >= LOST_AT

        saved = Path(error.hint.split("--journal ")[1].partition("\n")[0])
        assert str(saved) in error.what
        assert saved.stat().st_mode & 0o077 == 0
        asyncio.run(aio.resume(None, settings=settings_for(url, saved)))
        assert_nothing_doubled_or_lost(sandbox, accounts, saved)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_truncated_log_is_noticed_at_the_next_commits(tmp_path: Path, checkpoint: bool) -> None:
    path = tmp_path / "journal.db"
    with Journal(str(path)) as journal, closing(sqlite3.connect(path)) as reader:
        journal.create(plan_of(IDS[0]), URL)
        if checkpoint:  # all is in the file, but the reader keeps SQLite from beginning a new log
            reader.execute("BEGIN").execute("SELECT * FROM meta").fetchall()
            with closing(sqlite3.connect(path)) as other:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        os.truncate(path.with_name("journal.db-wal"), 0)
        for each in IDS[1:3]:
            with suppress(JournalWriteError):
                journal.create(plan_of(each), URL)
        with pytest.raises(JournalLostError):
            journal.create(plan_of(IDS[3]), URL)


def test_an_older_copy_of_the_journal_triggers_nothing_again(accounts: Path) -> None:
    with faulty_sandbox() as (url, sandbox):
        _, journal = run_until_lost(url, accounts, replace_with_older_copy)
        asyncio.run(aio.resume(None, settings=settings_for(url, journal)))
        assert_nothing_doubled_or_lost(sandbox, accounts, journal)


def lock(journal: Path, undo: ExitStack) -> None:
    """Another program keeps it locked."""
    other = sqlite3.connect(journal, timeout=60, isolation_level=None)
    undo.enter_context(closing(other)).execute("BEGIN IMMEDIATE")
    on_each_transaction(journal, "PRAGMA busy_timeout=10", undo)


def refuse_writes(journal: Path, undo: ExitStack) -> None:
    """Its disk has become read-only."""
    on_each_transaction(journal, "PRAGMA query_only=ON", undo)


def on_each_transaction(journal: Path, pragma: str, undo: ExitStack) -> None:
    def begin(connection: Connection) -> None:
        if connection.engine.url.database == str(journal):
            connection.exec_driver_sql(pragma)

    event.listen(Engine, "begin", begin)
    undo.callback(event.remove, Engine, "begin", begin)


@pytest.mark.parametrize("hinder", [lock, refuse_writes])
def test_after_a_failed_write_the_newest_state_has_the_workbooks_own_name(
    accounts: Path, hinder: Callable[[Path, ExitStack], None]
) -> None:

    def completed() -> int:
        [written] = accounts.parent.glob("accounts.results*")
        assert written.name == "accounts.results.xlsx"
        lines = list(load_workbook(written)["Results"].iter_rows(min_row=2, values_only=True))
        assert [each[0] for each in lines] == IDS
        return sum("completed" in each for each in lines)

    journal = accounts.parent / "state" / "journal.db"
    with faulty_sandbox() as (url, sandbox):
        with ExitStack() as undo:
            run = aio.run(
                Request(accounts, "Account Research"),
                settings=settings_for(url, journal),
                on_progress=Loss(journal, lambda path: hinder(path, undo)),
            )
            with pytest.raises(JournalWriteError) as raised:
                asyncio.run(run)
        assert "accounts.results.xlsx" in raised.value.what
        before = completed()
        assert LOST_AT <= before < ROWS
        asyncio.run(aio.resume(None, settings=settings_for(url, journal)))
        assert completed() > before
        assert_nothing_doubled_or_lost(sandbox, accounts, journal)


def test_another_process_that_compacts_the_journal_is_no_loss(accounts: Path) -> None:
    journal = accounts.parent / "state" / "journal.db"

    def compact(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE ballast AS SELECT zeroblob(1000000)")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("DROP TABLE ballast")
            connection.commit()
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    with faulty_sandbox() as (url, sandbox):
        run = aio.run(
            Request(accounts, "Account Research"),
            settings=settings_for(url, journal),
            on_progress=Loss(journal, compact),
        )
        asyncio.run(run)
        assert_nothing_doubled_or_lost(sandbox, accounts, journal)
