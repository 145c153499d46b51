"""One batch is worked on by one process at a time: a lease in the journal, with a heartbeat.

On this machine a file lock tells whether the holder lives, since the system lets go of it when
the process dies, however it dies. A journal on a server is shared with other machines and users:
there the lease's heartbeat tells, and a holder that has been silent for a minute is taken over. A
holder that was only asleep (a closed laptop) finds its lease gone and triggers nothing more.

Whether a lease on a server is of a process whose file lock we would have met is known by a mark:
beside the lock lie the names its holders had. Host names would not do: machines share them,
and so do the users of one machine.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from platformdirs import user_data_path
from sqlalchemy import Engine, delete, select, update

from batchrun.errors import HeldError, JournalError, JournalLostError, TakenOverError
from batchrun.journal.database import clock_ahead, on_server
from batchrun.journal.errors import lost, unusable
from batchrun.journal.ledger import inserter
from batchrun.journal.schema import batches, leases
from batchrun.settings.location import is_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import BindParameter, Executable, Exists

    from batchrun.journal.writer import JournalWriter


SILENCE_SECONDS = 60.0
"""A holder on another machine that has been silent for so long is taken for dead."""
SURE_SECONDS = 30.0
"""A lease last verified longer ago is checked again before sending: the process may have slept."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works on a batch.

    Attributes:
        token: Random name of the holder, one for each opened journal.
        pid: Its process id.
        host: Its machine.
        since: When it began; aware, UTC.
        beat_at: When it was last heard of, by this machine's clock; aware, UTC.
    """

    token: str
    pid: int
    host: str
    since: datetime
    beat_at: datetime

    def silent(self, now: datetime) -> bool:
        """Whether nothing was heard of it for longer than a living one would stay silent."""
        return (now - self.beat_at).total_seconds() > SILENCE_SECONDS

    def has_died(self) -> bool:
        """Whether it was a process of this machine and is gone; its lease lasts a little longer.

        For what is shown only: a container may have this machine's name and other processes.
        """
        if self.host != socket.gethostname() or os.name != "posix":  # on Windows it would kill it
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False

    def words(self) -> str:
        """It as users can find it."""
        return f"process {self.pid} on {self.host}, since {self.since.astimezone():%d %b %H:%M}"


class Hold:
    """A batch that this process holds until its block ends, or until it is taken over."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._lost: JournalError | None = None
        self._tell: Callable[[JournalError], object] | None = None

    def when_lost(self, tell: Callable[[JournalError], object]) -> None:
        """Have this called, once and from any thread, when the batch or its journal is lost."""
        with self._changing:
            self._tell, lost = tell, self._lost
        if lost is not None:
            tell(lost)

    def lose(self, error: JournalError) -> None:
        """Tell that another process has the batch, or that the journal is lost."""
        with self._changing:
            self._lost, tell = error, self._tell
        if tell is not None:
            tell(error)


def find_holder(engine: Engine, batch_id: str) -> Holder | None:
    """Who holds a batch according to the journal, dead or alive."""
    query = select(
        leases.c.holder, leases.c.pid, leases.c.host, leases.c.since, leases.c.beat_at
    ).where(leases.c.batch_id == batch_id)
    with engine.connect() as connection:
        found = connection.execute(query).one_or_none()
    if found is None:
        return None
    token, pid, host, since, beat_at = found
    ahead = clock_ahead(engine)
    moments = (datetime.fromtimestamp(each - ahead, UTC) for each in (since, beat_at))
    return Holder(token, pid, host, *moments)


def held_by(batch_id: str | BindParameter[Any], token: str | BindParameter[Any]) -> Exists:
    """The condition that a holder has the lease, and keeps it until the transaction ends.

    On a server another process that takes it waits for the transaction (FOR SHARE); in a file
    writers take turns anyway.
    """
    mine = (leases.c.batch_id == batch_id) & (leases.c.holder == token)
    return select(leases.c.holder).where(mine).with_for_update(read=True).exists()


def require_hold(engine: Engine, batch_id: str, token: str) -> None:
    """Check that a batch is still held under this name.

    Raises:
        TakenOverError: It is not.
    """
    with engine.connect() as connection:
        held = connection.scalar(select(leases.c.holder).where(leases.c.batch_id == batch_id))
    if held != token:
        raise taken_over(engine, batch_id)


def taken_over(engine: Engine, batch_id: str) -> JournalError:
    """The error for a batch that this process no longer holds.

    A file's batch can't be taken over or forgotten by others, since we have its lock: where the
    lease is gone, the file's content is another one.
    """
    with engine.connect() as connection:
        there = connection.scalar(select(batches.c.id).where(batches.c.id == batch_id))
    holder = find_holder(engine, batch_id)
    if holder is None and not on_server(engine):
        return lost(str(engine.url.database), "was overwritten by another copy")
    if there is None:
        return TakenOverError(
            f"Batch {batch_id} was forgotten by another batchrun while this one was silent; "
            "nothing more was triggered here.",
            "See which batches there are with: batchrun batches",
        )
    if holder is None:
        return TakenOverError(
            f"Batch {batch_id} was taken over by another batchrun, which has ended, while this "
            "one was silent; nothing more was triggered here.",
            f"Go on with: batchrun resume {batch_id}",
        )
    return TakenOverError(
        f"Batch {batch_id} was taken over by another batchrun ({holder.words()}) while this one "
        "was silent; nothing more was triggered here.",
        f"Watch it with: batchrun status {batch_id}",
    )


def held(batch_id: str, holder: Holder | None) -> HeldError:
    """The error for a batch that another process works on."""
    who = f": {holder.words()}" if holder else ""
    return HeldError(
        f"Another batchrun is working on batch {batch_id}{who}.",
        f"Watch it with: batchrun status {batch_id}",
    )


HEARTBEAT_SECONDS = 15.0
TRIES = 2
"""What a dead process had sent may reach a server after we have looked."""


@contextmanager
def hold_batch(
    engine: Engine,
    writer: JournalWriter,
    location: str,
    batch_id: str,
    token: str,
    *before: Executable,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Hold]:
    """Hold a batch while working on it.

    Args:
        engine: The journal's database.
        writer: Its writer.
        location: The journal's path or URL.
        batch_id: Which batch.
        token: The name to hold it under.
        before: Committed together with the lease: what creates the batch.
        check: Called at each heartbeat; it raises `JournalLostError` when the journal is lost.

    Yields:
        The hold, which tells when another process has taken the batch over.

    Raises:
        HeldError: Another process works on it; it says which.
    """
    path = lock_path(location, batch_id)
    with _locked(path, engine, batch_id):
        if on_server(engine):
            _mark(path, token)
        ahead = clock_ahead(engine)
        for _ in range(TRIES):
            holder = find_holder(engine, batch_id)
            if holder is not None and _lives_elsewhere(engine, holder, path):
                raise held(batch_id, holder)
            take = _take(engine, batch_id, token, holder, time.time() + ahead)
            taken = writer.submit(*before, take)
            if taken.result() == 1:
                break
        else:
            raise held(batch_id, find_holder(engine, batch_id))
        with _beating(engine, writer, batch_id, token, ahead, check=check) as hold:
            yield hold


def _take(engine: Engine, batch_id: str, token: str, seen: Holder | None, now: float) -> Executable:
    """The statement that takes the lease; it changes nothing where somebody else was faster."""
    ours = {
        "holder": token,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": now,
        "beat_at": now,
    }
    unchanged = leases.c.holder == (token if seen is None else seen.token)
    first = inserter(engine)(leases).values(batch_id=batch_id, **ours)
    taken: Executable = first.on_conflict_do_update(
        index_elements=["batch_id"], set_=ours, where=unchanged
    )
    return taken


def lock_path(location: str, batch_id: str) -> Path:
    """The file whose lock the holder on this machine has."""
    if is_server(location):
        folder = user_data_path("batchrun", appauthor=False) / "locks"
    else:
        folder = Path(location).expanduser().with_name("locks")
    return folder / f"{batch_id}.lock"


def lock_files(location: str, batch_id: str) -> tuple[Path, Path]:
    """All files that a batch's holders leave on this machine."""
    lock = lock_path(location, batch_id)
    return lock, _mark_path(lock)


@contextmanager
def _locked(path: Path, engine: Engine, batch_id: str) -> Iterator[None]:
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except Timeout:
        raise held(batch_id, find_holder(engine, batch_id)) from None
    except (OSError, NotImplementedError) as error:
        raise unusable(str(path.parent), error) from error
    try:
        yield
    finally:
        lock.release()


def _mark(lock: Path, token: str) -> None:
    """Leave the holder's name beside its lock, for the next process that gets the lock.

    Before it has the lease, and below the names of those before: whenever it dies, and whichever of
    them the lease is of then, it is known that the lock was theirs.
    """
    try:
        with open(_mark_path(lock), "a", encoding="ascii", opener=_for_its_owner) as file:
            file.write(f"{token}\n")
    except OSError as error:
        raise unusable(str(lock.parent), error) from error


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _mark_path(lock: Path) -> Path:
    return lock.with_suffix(".holder")


def _lives_elsewhere(engine: Engine, holder: Holder, lock: Path) -> bool:
    """Whether the holder lives where our file locks don't reach; ours has spoken already."""
    if not on_server(engine):  # and a file on a network drive is refused
        return False
    return not (_was_here(holder, lock) or holder.silent(datetime.now(UTC)))


def _was_here(holder: Holder, lock: Path) -> bool:
    """Whether the lock that we have now was this holder's."""
    try:
        marks = _mark_path(lock).read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return holder.token in marks.split()


@contextmanager
def _beating(
    engine: Engine,
    writer: JournalWriter,
    batch_id: str,
    token: str,
    ahead: float,
    *,
    check: Callable[[], None],
) -> Iterator[Hold]:
    """Renew the lease until the block ends, in a thread: a long export is no silence."""
    mine = (leases.c.batch_id == batch_id) & (leases.c.holder == token)
    over, hold = threading.Event(), Hold()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            try:
                check()
                now = time.time() + ahead
                renewed = writer.submit(update(leases).where(mine).values(beat_at=now)).result()
                if not renewed:
                    raise taken_over(engine, batch_id)
            except (JournalLostError, TakenOverError) as error:
                hold.lose(error)
                return
            except JournalError:  # the work itself meets it, and says so
                continue

    thread = threading.Thread(target=beat, name="lease-heartbeat", daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        over.set()
        thread.join()
        with suppress(JournalError):  # it is free once the lock is, or the silence long enough
            writer.submit(delete(leases).where(mine)).result()
