"""The journal's schema: made new, or brought from any earlier version to this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, inspect, select, text, update

from batchrun.errors import JournalError, parameter
from batchrun.journal.schema import SCHEMA_VERSION, attempts, leases, meta, metadata, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def bring_up_to_date(connection: Connection, location: str) -> None:
    """Make the tables, or migrate them, within the connection's transaction: all or nothing.

    Raises:
        JournalError: The journal is from a newer batchrun, or is none.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        metadata.create_all(connection)
        connection.execute(insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
        return
    if "meta" not in tables or "jobs" not in tables:
        raise JournalError(
            f"The database {location} is not a journal of batchrun.",
            f"Name another with {parameter('journal')} or BATCHRUN_JOURNAL.",
        )
    version = _version(connection, location)
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"The journal {location} was written by a newer batchrun (schema {version}).",
            "Update batchrun: pip install --upgrade batchrun",
        )
    for step in range(version, SCHEMA_VERSION):
        _STEPS[step](connection)
    if version < SCHEMA_VERSION:
        connection.execute(
            update(meta).where(meta.c.name == "schema_version").values(value=str(SCHEMA_VERSION))
        )


def _version(connection: Connection, location: str) -> int:
    found = connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
    if found is None or not found.isdecimal():
        raise JournalError(
            f"The journal {location} doesn't tell its schema's version.",
            f"Name another with {parameter('journal')} or BATCHRUN_JOURNAL.",
        )
    return int(found)


def _to_version_2(connection: Connection) -> None:
    """Who works on a batch, what became of a job before `retry`, whose turn it is, the effort."""
    for table in (leases, attempts, turns):
        table.create(connection)
    for column in (
        "estimated_requests INTEGER NOT NULL DEFAULT 0",
        "worked_seconds FLOAT NOT NULL DEFAULT 0",
        "quota_seconds FLOAT NOT NULL DEFAULT 0",
    ):
        connection.execute(text(f"ALTER TABLE batches ADD COLUMN {column}"))


def _to_version_3(connection: Connection) -> None:
    """From which batch a result was taken."""
    connection.execute(text("ALTER TABLE jobs ADD COLUMN reused_from VARCHAR"))


def _to_version_4(connection: Connection) -> None:
    """Whose stored key a batch was begun with."""
    connection.execute(text("ALTER TABLE batches ADD COLUMN profile VARCHAR"))


def _to_version_5(connection: Connection) -> None:
    """How a batch's results are written."""
    connection.execute(text("ALTER TABLE batches ADD COLUMN form TEXT NOT NULL DEFAULT ''"))


def _to_version_6(connection: Connection) -> None:
    """With which key a batch was begun, as the salted hash that counts its requests."""
    connection.execute(text("ALTER TABLE batches ADD COLUMN key_hash VARCHAR"))


_STEPS: Mapping[int, Callable[[Connection], None]] = {
    1: _to_version_2,
    2: _to_version_3,
    3: _to_version_4,
    4: _to_version_5,
    5: _to_version_6,
}
"""What each schema version needs to become the next one."""
