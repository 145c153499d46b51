"""Who holds a batch: read, required of what only the holder may change, told when it is lost."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, select

from batchrun.errors import HeldError, TakenOverError
from batchrun.journal.database import clock_ahead
from batchrun.journal.schema import batches, leases

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import BindParameter, Exists

SILENCE_SECONDS = 60.0
"""A holder on another machine that has been silent for so long is taken for dead."""
SURE_SECONDS = 30.0
"""Whoever has seen its lease so long ago looks again before it sends: it may have slept since."""


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

    def words(self) -> str:
        """It as users can find it."""
        return f"process {self.pid} on {self.host}, since {self.since.astimezone():%d %b %H:%M}"


class Hold:
    """A batch that this process holds until its block ends, or until it is taken over."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._lost: TakenOverError | None = None
        self._tell: Callable[[TakenOverError], object] | None = None

    def when_lost(self, tell: Callable[[TakenOverError], object]) -> None:
        """Have this called, once and from any thread, when another process has the batch."""
        with self._changing:
            self._tell, lost = tell, self._lost
        if lost is not None:
            tell(lost)

    def lose(self, error: TakenOverError) -> None:
        """Tell that the batch is another's now."""
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


def taken_over(engine: Engine, batch_id: str) -> TakenOverError:
    """The error for a batch that another process has taken over."""
    with engine.connect() as connection:
        there = connection.scalar(select(batches.c.id).where(batches.c.id == batch_id))
    holder = find_holder(engine, batch_id)
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
