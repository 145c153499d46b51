"""Which process holds a batch: leases with a heartbeat, and a file lock that shows it is alive.

A process that works on batches has a random name, its token. It locks a file with that name until
it ends. However it ends, the system then releases the lock, so a dead holder on this machine is
detected at once. A journal on a server is shared with other machines and users, whose locks can't
be seen here. For those the heartbeat counts: a holder that has been silent for a minute is dead. If
it was only suspended (a closed laptop), it finds its lease gone and triggers nothing more.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from platformdirs import user_data_path
from sqlalchemy import Engine, delete, func, literal, select, union, update

from batchrun.advice import Advice, resume_with, watch_with
from batchrun.errors import HeldError, JournalError, JournalLostError, TakenOverError
from batchrun.journal.database import clock_ahead, on_server
from batchrun.journal.errors import lost, unusable
from batchrun.journal.ledger import inserter
from batchrun.journal.schema import batches, leases, slices
from batchrun.settings.location import is_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import ColumnElement, Executable, Exists

    from batchrun.journal.writer import JournalWriter


HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 60.0
"""A holder that has been silent for longer than this is considered dead."""
LEASE_RECHECK_SECONDS = 30.0
"""Re-check a lease that was last verified longer ago: the process may have been suspended."""
TRIES = 2
"""Attempts to take a lease: a statement from a dead process may still reach a server meanwhile."""
OLD_LOCK_SECONDS = 86_400.0
_TOKEN = re.compile("[0-9a-f]{16}")  # a journal from a stranger may hold anything


class ProcessLock:
    """The lock that shows other processes on this machine that this one is alive.

    Methods raise `JournalError` if the folder of the locks can't be used.
    """

    def __init__(self, location: str) -> None:
        beside = Path(location).expanduser().resolve().parent  # where a link leads
        own = user_data_path("batchrun", appauthor=False)
        self._is_shared = is_server(location)
        self._folder = (own if self._is_shared else beside) / "locks"
        self.token = secrets.token_hex(8)  # this process's name, under which it holds batches
        self.keeps_file = False  # after release, to show that leases left in the journal are free
        self._lock: FileLock | None = None
        self._changing = threading.Lock()

    def acquire(self) -> None:
        """Acquire the lock, unless this process already has it."""
        with self._changing:
            if self._lock is not None:
                return
            lock = FileLock(self._path(self.token), timeout=0, mode=0o600, thread_local=False)
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._remove_old()
                lock.acquire()
            except (OSError, NotImplementedError) as error:
                raise unusable(str(self._folder), error) from error
            self._lock = lock

    def release(self) -> None:
        """Release the lock."""
        with self._changing:
            if self._lock is None:
                return
            self._lock.release()
            self._lock = None
            if not self.keeps_file:
                with suppress(OSError):
                    self._path(self.token).unlink(missing_ok=True)

    def is_alive(self, token: str, silent_seconds: float) -> bool:
        """Whether a process is alive: by its lock, or on another machine by its last heartbeat."""
        if token == self.token:
            return True
        on_this_machine = bool(_TOKEN.fullmatch(token)) and self._path(token).exists()
        if on_this_machine:
            try:
                with FileLock(self._path(token), timeout=0, mode=0o600):
                    return False
            except Timeout:
                return True
            except PermissionError:  # somebody else's journal, which this user may only read
                pass
            except (OSError, NotImplementedError) as error:
                raise unusable(str(self._folder), error) from error
        return silent_seconds <= SILENCE_SECONDS and (on_this_machine or self._is_shared)

    def _path(self, token: str) -> Path:
        return self._folder / f"{token}.lock"

    def _remove_old(self) -> None:
        """Remove the lock files of dead processes whose leases have long been silent."""
        for path in self._folder.glob("*.lock"):
            with suppress(OSError, Timeout, NotImplementedError):
                if time.time() - path.stat().st_mtime > OLD_LOCK_SECONDS:
                    with FileLock(path, timeout=0, mode=0o600):
                        path.unlink()


def shared_now(engine: Engine) -> ColumnElement[Any]:
    """An SQL expression for the time on the clock that all processes share, in Unix seconds."""
    if on_server(engine):
        return func.extract("epoch", func.clock_timestamp())
    return literal(time.time())


def ordered_now(engine: Engine) -> float:
    """Return the time on the shared clock, in Unix seconds, or a later one if batches have that.

    What changes later must have a later time, even if a clock was ahead and is right again:
    otherwise nobody would see that another batch has sent the same jobs since.
    """
    times = select(shared_now(engine), func.max(batches.c.updated_at))
    with engine.connect() as connection:
        now, last = connection.execute(times).one()
    return max(float(now), (last or 0.0) + 0.001)


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a batch."""

    token: str  # random name of the process, one for each opened journal
    pid: int
    host: str
    since: datetime  # when it took the lease; aware, UTC
    beat_at: datetime  # its last heartbeat, converted to this machine's clock; aware, UTC

    @property
    def silent_seconds(self) -> float:
        """The time since its last heartbeat, in seconds."""
        return (datetime.now(UTC) - self.beat_at).total_seconds()

    def words(self) -> str:
        """Describe the process so a user can find it."""
        return f"process {self.pid} on {self.host}, since {self.since.astimezone():%d %b %H:%M}"


def find_holder(engine: Engine, batch_id: str) -> Holder | None:
    """Return the process that holds a batch according to the journal, dead or alive."""
    with engine.connect() as connection:
        query = select(leases).where(leases.c.batch_id == batch_id)
        found = connection.execute(query).one_or_none()
    if found is None:
        return None
    ahead = clock_ahead(engine)
    moments = (datetime.fromtimestamp(each - ahead, UTC) for each in (found.since, found.beat_at))
    return Holder(found.holder, found.pid, found.host, *moments)


def held_batches(engine: Engine, lock: ProcessLock) -> set[str]:
    """Return the batches that live processes hold, or hold jobs of: they may send more any moment.

    Raises:
        JournalError: The folder of the locks can't be used.
    """
    held = select(leases.c.batch_id, leases.c.holder, leases.c.beat_at)
    shared = select(slices.c.batch_id, slices.c.holder, slices.c.beat_at)
    query = union(held, shared.where(slices.c.holder.is_not(None)))
    with engine.connect() as connection:
        now = float(connection.execute(select(shared_now(engine))).scalar_one())
        found = connection.execute(query).all()
    return {each for each, token, beat in found if lock.is_alive(token, now - beat)}


def held_by(batch_id: str, token: str) -> Exists:
    """The condition that a holder has the lease, and keeps it until the transaction ends.

    On a server, a process that takes the lease waits for this transaction (FOR SHARE). In a file,
    only one process writes at a time.
    """
    mine = (leases.c.batch_id == batch_id) & (leases.c.holder == token)
    return select(leases.c.holder).where(mine).with_for_update(read=True).exists()


def require_hold(engine: Engine, batch_id: str, token: str) -> None:
    """Raise `TakenOverError` unless a batch is still held under this token."""
    with engine.connect() as connection:
        held = connection.scalar(select(leases.c.holder).where(leases.c.batch_id == batch_id))
    if held != token:
        raise taken_over(engine, batch_id)


def taken_over(engine: Engine, batch_id: str) -> JournalError:
    """Return the error for a batch that this process no longer holds.

    In a file, others can't take over or forget a batch while its process lives. If the lease is
    gone, the file was overwritten.
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
            Advice("", "See which batches there are with: batchrun batches"),
        )
    if holder is None:
        return TakenOverError(
            f"Batch {batch_id} was taken over by another batchrun, which has ended, while this "
            "one was silent; nothing more was triggered here.",
            resume_with(batch_id),
        )
    return TakenOverError(
        f"Batch {batch_id} was taken over by another batchrun ({holder.words()}) while this one "
        "was silent; nothing more was triggered here.",
        watch_with(batch_id),
    )


@contextmanager
def hold_batch(
    engine: Engine,
    writer: JournalWriter,
    lock: ProcessLock,
    batch_id: str,
    *before: Executable,
) -> Iterator[Future[JournalError]]:
    """Hold a batch, so only this process decides about its jobs; see `Journal.hold`."""
    lock.acquire()
    token = lock.token
    ours = {
        "holder": token,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": shared_now(engine),
        "beat_at": shared_now(engine),
    }
    for _ in range(TRIES):
        seen = find_holder(engine, batch_id)
        if seen is not None and lock.is_alive(seen.token, seen.silent_seconds):
            continue
        take = (
            inserter(engine)(leases)
            .values(batch_id=batch_id, **ours)
            .on_conflict_do_update(  # unless another process was faster
                index_elements=["batch_id"],
                set_=ours,
                where=leases.c.holder == (token if seen is None else seen.token),
            )
        )
        if writer.submit(*before, take).result() == 1:
            break
    else:
        holder = find_holder(engine, batch_id)
        who = f": {holder.words()}" if holder else ""
        raise HeldError(
            f"Another batchrun is working on batch {batch_id}{who}.", watch_with(batch_id)
        )
    mine = (leases.c.batch_id == batch_id) & (leases.c.holder == token)
    lost_with: Future[JournalError] = Future()

    def beat() -> None:
        renewed = update(leases).where(mine).values(beat_at=shared_now(engine))
        if not writer.submit(renewed).result():
            raise taken_over(engine, batch_id)

    try:
        with heartbeat(beat, lost_with.set_result):
            yield lost_with
    finally:
        try:
            writer.submit(delete(leases).where(mine)).result()
        except JournalError:
            lock.keeps_file = True


@contextmanager
def heartbeat(beat: Callable[[], None], lose: Callable[[JournalError], None]) -> Iterator[None]:
    """Call ``beat`` at each heartbeat, in a thread, so a long export looks alive.

    If it raises that the lease or the journal is lost, ``lose`` is called, once.
    """
    over = threading.Event()

    def run() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            try:
                beat()
            except (JournalLostError, TakenOverError) as error:
                lose(error)
                return
            except JournalError:  # the work itself runs into it, and reports it
                continue

    thread = threading.Thread(target=run, name="lease-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
