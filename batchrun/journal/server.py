"""A journal on a PostgreSQL server: reached, held to its promises, and told the time by.

What SQLite gives by itself is asked for here: a reader sees the journal of one moment
(REPEATABLE READ), a writer the newest state of each row (READ COMMITTED, so that a
compare-and-set waits for another's commit and then looks again), and a commit returns when it is
on disk.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event, func, select

from batchrun.errors import JournalError
from batchrun.journal.faults import INSUFFICIENT_PRIVILEGE, unusable
from batchrun.settings.location import server_url, shown

if TYPE_CHECKING:
    from sqlalchemy import Connection

WRITING = {"isolation_level": "READ COMMITTED"}

_CONNECTING = {
    "application_name": "batchrun",
    "connect_timeout": 10,
    # A server that is gone without a word (a cable, a laptop that moved) is given up after 30 s.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_OPENING = 0x62617463  # "batc": the advisory lock of those who make or migrate the tables


def connect_to_server(location: str) -> Engine:
    """An engine for the database of a server; nothing is connected yet.

    Raises:
        JournalError: The URL can't be used, or the extra `postgres` is not installed.
    """
    url = server_url(location)
    given = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            connect_args=given,
            isolation_level="REPEATABLE READ",
            pool_pre_ping=True,  # firewalls and sleeping laptops end connections in silence
            pool_size=2,
        )
    except ImportError:
        raise JournalError(
            "A journal on a PostgreSQL server needs psycopg.",
            "Install it with: pip install 'batchrun[postgres]'",
        ) from None
    event.listen(engine, "connect", partial(_make_durable, shown(location)))
    return engine


def wait_for_turn(connection: Connection) -> None:
    """Until the transaction ends, no other process makes or migrates tables."""
    connection.execute(select(func.pg_advisory_xact_lock(_OPENING)))


def seconds_ahead(connection: Connection) -> float:
    """How far the server's clock is ahead of this machine's."""
    asked_at = time.time()
    told = connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
    return float(told or asked_at) - (asked_at + time.time()) / 2


def refuses(error: BaseException) -> bool:
    """Whether the server says that this user may not do it, which the driver calls a mistake."""
    return getattr(error, "sqlstate", None) == INSUFFICIENT_PRIVILEGE


def _make_durable(name: str, connection: Any, _record: Any) -> None:
    """Whatever the role's own setting, what was committed survives the server's power loss."""
    import psycopg

    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        connection.commit()
    except psycopg.Error as error:
        raise unusable(name, error) from error
