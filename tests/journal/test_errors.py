"""A journal that can't be used says why in words, and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from batchrun.errors import ExitCode, JournalError, JournalWriteError
from batchrun.journal import Journal, database
from batchrun.journal.database import (
    network_filesystem,
    network_mount,
)
from batchrun.journal.errors import unusable, unwritable

from .batches import IDS, URL, plan_of

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/anna/disk xfs rw 0 0
//nas/team /mnt/Team\\040drive cifs rw 0 0
anna@host: /mnt/far fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/var/lib", None),
        ("/home/anna/.local/share/batchrun", "nfs4"),
        ("/home/anna/disk/batchrun", None),
        ("/homes", None),
        ("/mnt/Team drive/x", "cifs"),
        ("/mnt/far", "fuse.sshfs"),
    ],
)
def test_a_folder_on_a_network_drive_is_known(folder: str, found: str | None) -> None:
    assert network_mount(MOUNTS, Path(folder)) == found


MAC_MOUNTS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//anna@nas/team on /Volumes/Team drive (smbfs, nodev, nosuid, mounted by anna)
nas:/home on /Volumes/home (nfs)
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/Users/anna/Library/Application Support/batchrun", None),
        ("/Volumes/Team drive/batchrun", "smbfs"),
        ("/Volumes/home", "nfs"),
        ("/Volumes/homes", None),
    ],
)
def test_a_folder_on_a_macs_network_drive_is_known(folder: str, found: str | None) -> None:
    assert network_mount(MAC_MOUNTS, Path(folder)) == found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/mounts")
def test_a_journal_on_a_network_drive_is_refused_before_a_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert network_filesystem(tmp_path) is None
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs rw 0 0\n", encoding="utf-8")
    monkeypatch.setattr(database, "_MOUNTS", mounts)
    with pytest.raises(JournalError, match=r"network drive \(nfs\)"):
        Journal(str(tmp_path / "journal.db"))
    assert list(tmp_path.iterdir()) == [mounts]


@pytest.mark.skipif(sys.platform == "win32", reason="its file names are Unicode")
def test_a_journal_whose_path_is_no_text_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="not UTF-8"):
        Journal(str(tmp_path / "\udcff" / "journal.db"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "its disk is read-only"),
        (errno.EACCES, "you may not write there"),
        (errno.EXDEV, os.strerror(errno.EXDEV)),
    ],
)
def test_what_the_system_says_is_put_into_words(number: int, words: str) -> None:
    error = unusable("journal.db", OSError(number, os.strerror(number)))
    assert words in error.what
    assert error.hint


def test_a_full_disk_pauses_the_batch() -> None:
    """As SQLite says it; the real thing is in tests/acceptance/test_full_disk.py."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        connection.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError) as raised:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    error = unwritable("journal.db", raised.value)
    assert isinstance(error, JournalWriteError)
    assert error.exit_code is ExitCode.PAUSED
    assert "the disk is full" in str(error)
    assert "batchrun resume" in str(error)


def test_a_locked_journal_is_said_to_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    path = tmp_path / "journal.db"
    Journal(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="another program keeps it locked"):
            Journal(str(path))
    Journal(str(path)).close()


def test_who_makes_a_new_journal_waits_for_another_who_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not wait by itself where the log is switched on."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waits: list[float] = []

        def ended_meanwhile(seconds: float) -> None:
            waits.append(seconds)
            other.execute("ROLLBACK")

        monkeypatch.setattr("batchrun.journal.database.time.sleep", ended_meanwhile)
        Journal(str(path)).close()
    assert len(waits) == 1


def test_a_damaged_journal_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal(str(path)) as journal:
        journal.create(plan_of(*IDS), URL)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="damaged"), Journal(str(path)) as journal:
        journal.batches()
    assert path.read_bytes()[4096:] == content[4096:]


@pytest.mark.parametrize("kind", ["a folder", "below a file"])
def test_a_place_where_no_file_can_be_is_said_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "journal.db"
    if kind == "a folder":
        path.mkdir()
    else:
        path.touch()
        path /= "journal.db"
    with pytest.raises(JournalError, match="folder"):
        Journal(str(path))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_journal_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "data" / "journal.db"
    path.parent.mkdir()
    path.touch(mode=0o644)
    with Journal(str(path)) as journal, journal.hold(journal.create(plan_of(*IDS), URL)):
        files = [each for each in path.parent.rglob("*") if each.is_file()]
        assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
        assert len(files) == 4  # the journal, its log and index, the lock
        assert stat.S_IMODE((path.parent / "locks").stat().st_mode) == 0o700
