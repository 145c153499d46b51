"""The quota's ledger: processes that use the same key share one quota.

Each process reserves slots, times at which it may send a request, and gets the next free ones. This
is the generic cell rate algorithm (ITU-T I.371, annex A), with its state in the database. One
statement reserves the slots, so no two processes get the same one. A process that dies leaves
nothing behind except unused slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, func, select
from sqlalchemy.dialects import sqlite

from batchrun.journal.database import clock_ahead, on_server, writing
from batchrun.journal.schema import spending, turns

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine, Executable, Select

KEPT_DAYS = timedelta(days=7)
"""How long requests of earlier days are kept."""

MAX_QUEUE_SECONDS = 300.0
"""A next slot further ahead than this was computed with a different clock, and is ignored."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Reserved slots."""

    first_at: float  # time of the first slot, on the clock that the caller used
    requests_today: int  # requests sent with the key since midnight UTC
    # Seconds for which no slot was taken before; infinite if none ever was
    idle_seconds: float = 0.0


class QuotaLedger:
    """The request slots of one key, shared by all processes on a journal.

    Methods raise `JournalError` if the journal can't be written.
    """

    def __init__(self, engine: Engine, key_hash: str) -> None:
        self.clock_ahead = clock_ahead(engine)  # of this machine's, in seconds
        self._engine = engine
        self._key_hash = key_hash
        self._insert = inserter(engine)

    def reserve(self, requests: int, spacing: float, now: float) -> Reservation:
        """Reserve the next free slots.

        Args:
            requests: Number of slots; 0 only reads how many requests were sent today.
            spacing: Seconds between two slots.
            now: The time on the clock that all processes share.
        """
        length = requests * spacing
        free = case((self._ahead(now, now), turns.c.next_at), else_=now)
        taken = self._upsert(now + length, free + length).returning(turns.c.next_at)
        before = select(turns.c.next_at).where(turns.c.key_hash == self._key_hash)
        with writing(self._engine) as connection:
            free_since = connection.scalar(before)
            first_at = connection.execute(taken).scalar_one() - length if requests else now
            idle = math.inf if free_since is None else max(now - free_since, 0.0)
            return Reservation(first_at, int(connection.scalar(self._today()) or 0), idle)

    def spent_today(self) -> int:
        """Number of requests sent with the key since midnight UTC."""
        with self._engine.connect() as connection:
            return int(connection.scalar(self._today()) or 0)

    def _today(self) -> Select[tuple[int]]:
        return select(func.sum(spending.c.requests)).where(
            spending.c.key_hash == self._key_hash, spending.c.day == today()
        )

    def hold(self, seconds: float, now: float) -> None:
        """Hand out no slots for this many seconds, at most five minutes."""
        until = now + min(seconds, MAX_QUEUE_SECONDS)
        latest = case((self._ahead(until, now), turns.c.next_at), else_=until)
        with writing(self._engine) as connection:
            connection.execute(self._upsert(until, latest))

    def count(self) -> None:
        """Count a request that belongs to no batch."""
        spent = {"key_hash": self._key_hash, "worker": "", "requests": 1, "day": today()}
        with writing(self._engine) as connection:
            connection.execute(counted(self._engine), spent)
            old = (datetime.now(UTC).date() - KEPT_DAYS).isoformat()
            connection.execute(delete(spending).where(spending.c.day < old))

    def _ahead(self, since: float, now: float) -> ColumnElement[bool]:
        return turns.c.next_at.between(since, now + MAX_QUEUE_SECONDS)

    def _upsert(self, first: float, later: ColumnElement[Any]) -> Any:
        return (
            self._insert(turns)
            .values(key_hash=self._key_hash, next_at=first)
            .on_conflict_do_update(index_elements=["key_hash"], set_={"next_at": later})
        )


def counted(engine: Engine) -> Executable:
    """Return the statement that counts requests; its parameters are columns of `spending`."""
    one = inserter(engine)(spending).values({each: bindparam(each.name) for each in spending.c})
    more: Executable = one.on_conflict_do_update(
        index_elements=["key_hash", "day", "worker"],
        set_={"requests": spending.c.requests + one.excluded.requests},
    )
    return more


def inserter(engine: Engine) -> Any:
    """Return the database's own ``insert``, which supports ``ON CONFLICT``."""
    if on_server(engine):
        from sqlalchemy.dialects import postgresql  # slow: imports all of its drivers

        return postgresql.insert
    return sqlite.insert


def today() -> str:
    """Return the day in UTC, as `spending` has it."""
    return datetime.now(UTC).date().isoformat()
