"""The journal's tables (SQLAlchemy Core) and the states a job goes through.

The states of a job::

    pending ──► sending ──► in flight ──► completed | failed
       ▲           │            └───────► timed out ──► in flight   (polled again)
       │           ├──► rejected | in doubt ──► dropped   (the user decides)
       └───────────┘   certainly not accepted

`retry` makes an ended job pending again and keeps its earlier outcome in ``attempts``.

`sending` is committed before the trigger is sent. If a worker dies, its jobs that are still
`sending` are in doubt: their triggers may or may not have been accepted.
"""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never

from sqlalchemy import (
    Column,
    Connection,
    Executable,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    case,
    delete,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.schema import CreateColumn

from batchrun.advice import choose_journal
from batchrun.errors import JournalError
from batchrun.installation import update_hint
from batchrun.model import JSON, Cause, Cell, Outcome, cell_of, plain_cell
from batchrun.text import as_json, visible

if TYPE_CHECKING:
    from collections.abc import Mapping


SCHEMA_VERSION = 13
"""When an older journal is opened, its missing tables, columns, and indexes are added."""

ROWS_AT_ONCE = 1_000
"""Number of rows to read, or to write with one statement, at a time."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

SCHEMA_IN_USE = select(meta.c.value).where(meta.c.name == "schema_version")

# Both defaults: older journals have some of these columns without one.
_ZERO: dict[str, Any] = {"nullable": False, "default": 0, "server_default": "0"}

batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("fingerprint", String, nullable=False, index=True),
    Column("created_at", Float, nullable=False),  # Unix seconds, like all times here
    Column("updated_at", Float, nullable=False),
    Column("workflow", Text, nullable=False),  # JSON
    Column("source", Text, nullable=False),  # JSON
    Column("header", Text, nullable=False),  # JSON
    Column("roles", Text, nullable=False),  # JSON: role → column position
    Column("parameters", Text, nullable=False),  # JSON: the constant parameters
    Column("parameter_columns", Text, nullable=False, default="{}", server_default="{}"),  # JSON
    Column("base_url", String, nullable=False),
    Column("estimated_seconds", Float, nullable=False),
    Column("estimated_requests", Integer, **_ZERO),
    Column("requests", Integer, **_ZERO),
    Column("worked_seconds", Float, **_ZERO),
    Column("quota_seconds", Float, **_ZERO),  # spent waiting for quota
    Column("output", Text),
    Column("note", Text, nullable=False, default=""),
    Column("profile", String),  # profile of the stored key it was started with
    Column("form", Text, nullable=False, default="", server_default=""),  # JSON
    Column("key_hash", String),  # salted hash of the key it was started with; NULL: unknown
    Column("list_formats", LargeBinary),  # number formats of the list's cells; NULL: unknown
    Column("resume_at", Float),  # when the spent quota opens again
    Column("target", Text),  # where the workbook belongs; `output`: where it was last written
    Column("invalid", Integer, **_ZERO),  # rows without a job
    Column("incomplete", Integer, **_ZERO),  # 1 while created or deleted
    Column("unconfirmed", Integer, **_ZERO),  # 1 while nobody has agreed to send all of it
)

rows = Table(
    "rows",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 0 is the first row of the input
    Column("line", Integer, nullable=False),
    Column("cells", LargeBinary, nullable=False),
    Column("job", Integer),  # NULL: the row is invalid
    Column("company_id", String),
    Column("contact_id", String),
    Column("reason", Text, nullable=False, default=""),
    Index("rows_by_job", "batch_id", "job"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", Text, nullable=False),  # the trigger body, JSON
    Column("rows", Integer, nullable=False),  # number of rows that share it
    Column("state", String, nullable=False),
    Column("execution_id", String),
    Column("triggered_at", Float),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("message", Text, nullable=False, default=""),
    Column("cause", String),  # of the message; NULL: unknown, or it decides nothing
    Column("result", LargeBinary),  # as the service sent it: JSON, compressed
    Column("reused_from", String),  # the batch whose result was reused; NULL: it has its own
    Index("jobs_by_state", "batch_id", "state", "number"),
    Index(
        "jobs_by_execution",
        "execution_id",
        sqlite_where=text("execution_id IS NOT NULL"),  # postgresql_where: slow to import
    ),
)

counts = Table(
    "counts",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String, primary_key=True),
    Column("writer", Integer, primary_key=True),  # server process that counted; 0 in a file
    Column("jobs", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("reused", Integer, nullable=False),  # rows whose result was reused
)
"""The number of jobs of a batch in each state: the sum over all writers.

A database trigger keeps it current. On a server, each connection has its own rows, because workers
that update the same row would wait for each other, or deadlock.
"""

slices = Table(
    "slices",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("first", Integer, primary_key=True),  # number of its first job
    Column("last", Integer, nullable=False),
    Column("closed", Text),  # why no other worker may claim it; NULL: any worker of the key may
    Column("holder", String),  # token of the worker that holds it; NULL: it is free
    Column("beat_at", Float, nullable=False, default=0.0),
    Column("requests", Integer, nullable=False, default=0),
)
"""Ranges of the jobs of an active batch, each held by one worker at a time.

Only the holder of a slice may trigger its jobs. An inactive batch has no slices.
"""

spending = Table(
    "spending",
    metadata,
    Column("key_hash", String, primary_key=True),  # salted; the key itself is never stored
    Column("day", String, primary_key=True),  # UTC, 2026-11-24
    Column("worker", String, primary_key=True),  # "" for requests that belong to no batch
    Column("requests", Integer, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", String, nullable=False),  # random token, one for each opened journal
    Column("pid", Integer, nullable=False),
    Column("host", String, nullable=False),
    Column("since", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # of the job
    Column("retried_at", Float, primary_key=True),
    Column("state", String, nullable=False),  # this and the next ones: the job's before `retry`
    Column("execution_id", String),
    Column("triggered_at", Float),
    Column("message", Text, nullable=False),
    Column("result", LargeBinary),
    Index("attempts_by_execution", "execution_id"),
)

turns = Table(
    "turns",
    metadata,
    Column("key_hash", String, primary_key=True),
    Column("next_at", Float, nullable=False),  # when the key's next request may be sent
)


_COUNTING = """
    INSERT INTO counts (batch_id, state, writer, jobs, rows, reused) VALUES
        (NEW.batch_id, OLD.state, {writer}, -1, -OLD.rows,
            CASE WHEN OLD.reused_from IS NULL THEN 0 ELSE -OLD.rows END),
        (NEW.batch_id, NEW.state, {writer}, 1, NEW.rows,
            CASE WHEN NEW.reused_from IS NULL THEN 0 ELSE NEW.rows END)
    ON CONFLICT (batch_id, state, writer) DO UPDATE SET
        jobs = counts.jobs + excluded.jobs,
        rows = counts.rows + excluded.rows,
        reused = counts.reused + excluded.reused;
"""
_TRIGGER = """
    CREATE TRIGGER jobs_counted AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (OLD.state <> NEW.state)
"""
_TRIGGERS = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS jobs_counted",
        f"{_TRIGGER} BEGIN {_COUNTING.format(writer=0)} END",
    ),
    "postgresql": (
        "DROP TRIGGER IF EXISTS jobs_counted ON jobs",
        f"""
        CREATE OR REPLACE FUNCTION batchrun_count_jobs() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN {_COUNTING.format(writer="pg_backend_pid()")} RETURN NULL; END $$
        """,
        f"{_TRIGGER} EXECUTE FUNCTION batchrun_count_jobs()",
    ),
}
"""Statements that keep `counts` current; the first removes an older batchrun's trigger."""


def count_jobs(batch_id: str) -> tuple[Executable, ...]:
    """Return the statements that recount a batch's jobs."""
    reused = func.sum(case((jobs.c.reused_from.is_not(None), jobs.c.rows), else_=0))
    sums = (func.count(), func.sum(jobs.c.rows), reused)
    found = (
        select(jobs.c.batch_id, jobs.c.state, literal(0), *sums)
        .where(jobs.c.batch_id == batch_id)
        .group_by(jobs.c.batch_id, jobs.c.state)
    )
    without_job = select(func.count()).where(rows.c.batch_id == batch_id, rows.c.job.is_(None))
    return (
        delete(counts).where(counts.c.batch_id == batch_id),
        insert(counts).from_select(list(counts.c), found),
        update(batches)
        .where(batches.c.id == batch_id)
        .values(invalid=without_job.scalar_subquery()),
    )


class JobState(StrEnum):
    """The state of a job in the journal."""

    PENDING = "pending"
    SENDING = "sending"
    IN_FLIGHT = "in flight"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed out"
    IN_DOUBT = "in doubt"
    DROPPED = "dropped"
    """In doubt, and the user has decided to leave it at that."""

    @property
    def outcome(self) -> Outcome:
        """The current outcome of this job's rows."""
        match self:
            case JobState.PENDING | JobState.IN_FLIGHT:
                return Outcome.PENDING
            case JobState.SENDING | JobState.IN_DOUBT | JobState.DROPPED:
                return Outcome.IN_DOUBT
            case JobState.COMPLETED | JobState.FAILED | JobState.REJECTED | JobState.TIMED_OUT:
                return Outcome[self.name]
            case _:
                assert_never(self)


OPEN = (JobState.PENDING, JobState.SENDING, JobState.IN_FLIGHT)
"""States in which a worker still has something to do."""

ENDED = tuple(state for state in JobState if state not in OPEN)
"""States in which nothing of a job is in flight."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_cells(cells: tuple[Cell, ...]) -> bytes:
    """Encode cells as bytes; ``decode_cells`` returns equal values of equal types."""
    return _CELLS.encode(cells).encode("utf-8", "surrogatepass")


def decode_cells(stored: bytes) -> tuple[Cell, ...]:
    """Decode the output of ``encode_cells``."""
    return tuple(map(cell_of, json.loads(stored.decode("utf-8", "surrogatepass"))))


def encode_result(result: JSON) -> bytes:
    """Encode a result as compressed JSON, with its keys in the service's order."""
    try:
        text = json.dumps(result, ensure_ascii=False)
    except RecursionError:  # nested deeper than Python can write: keep it as text
        text = json.dumps(as_json(result), ensure_ascii=False)
    # The default level allocates 256 KB, which takes ten times as long as compressing 2 KB.
    deflater = zlib.compressobj(memLevel=6)
    return deflater.compress(text.encode("utf-8", "surrogatepass")) + deflater.flush()


MAX_RESULT_BYTES = 250_000_000
"""Maximum size of a decoded result, in bytes: five times that of the largest accepted answer."""


def decode_result(stored: bytes | None) -> JSON:
    """Decode the output of ``encode_result``; ``None`` if nothing was stored.

    A result that Python can't parse is returned as text, because it was paid for.
    """
    if stored is None:
        return None
    inflater, content = zlib.decompressobj(), b""
    with suppress(zlib.error):
        content = inflater.decompress(stored, MAX_RESULT_BYTES)
    if not inflater.eof:  # a few kB in a stranger's file can expand to gigabytes
        return f"(not read: damaged, or larger than {MAX_RESULT_BYTES // 1_000_000} MB)"
    text = content.decode("utf-8", "surrogatepass")
    try:
        result: JSON = json.loads(text)
    except (RecursionError, ValueError):  # nested too deeply, or a number with 5,000 digits
        return text
    return result


def encode_time(moment: datetime | None) -> float | None:
    """Convert an aware time to Unix seconds."""
    return None if moment is None else moment.timestamp()


def decode_time(seconds: float | None) -> datetime | None:
    """Convert Unix seconds to an aware UTC time; ``None`` if Python can't represent it."""
    if seconds is None:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # the last microsecond of 9999, rounded up
        return None


def clean_text(text: str) -> str:
    """Make a text storable in every database: replace NUL and unpaired surrogates."""
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)


# dumps() would make an encoder for each row
_CELLS = json.JSONEncoder(ensure_ascii=False, default=plain_cell)


def bring_up_to_date(connection: Connection, location: str) -> None:
    """Create or migrate the tables, within the connection's transaction, so all or nothing.

    Raises:
        JournalError: The database is from a newer batchrun, or is not a journal.
    """
    tables = inspect(connection).get_table_names()
    if tables and not {"meta", "jobs"} <= set(tables):
        raise JournalError(
            f"The database {location} is not a journal of batchrun.",
            choose_journal("Name another"),
        )
    found = connection.scalar(SCHEMA_IN_USE) if tables else "0"
    if not isinstance(found, str) or not re.fullmatch("[0-9]{1,9}", found):
        raise JournalError(
            f"The journal {location} doesn't tell its schema's version.",
            choose_journal("Name another"),
        )
    version = int(found)
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"The journal {location} was written by a newer batchrun (schema {version}).",
            update_hint(),
        )
    remove_ours, *make_ours = _TRIGGERS[connection.dialect.name]
    if tables and version < SCHEMA_VERSION:
        connection.exec_driver_sql(remove_ours)
    if connection.dialect.name == "sqlite":
        _refuse_foreign_statements(connection, location)
    if version < SCHEMA_VERSION:
        _make_what_is_missing(connection, version)
        if 0 < version < 13:
            _fill_causes(connection)
        for statement in make_ours:
            connection.exec_driver_sql(statement)
        connection.execute(delete(meta).where(meta.c.name == "schema_version"))
        connection.execute(insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))


def _make_what_is_missing(connection: Connection, version: int) -> None:
    """Create missing tables, columns, and indexes; an added column needs a `server_default`."""
    spent: list[dict[str, Any]] = []
    if 0 < version < 10:  # from version 10 on, each worker counts separately
        found = connection.execute(text("SELECT key_hash, day, requests FROM spending")).mappings()
        spent = [dict(each) | {"worker": ""} for each in found]
        for table in (spending, counts):
            table.drop(connection, checkfirst=True)
    metadata.create_all(connection)
    if not version:
        return
    kept = inspect(connection)
    for table in metadata.sorted_tables:
        names = {column["name"] for column in kept.get_columns(table.name)}
        for column in table.columns:
            if column.name not in names:
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {definition}"))
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    if spent:
        connection.execute(insert(spending), spent)
    if version < 10:
        for batch_id in connection.scalars(select(batches.c.id)).all():
            for statement in count_jobs(batch_id):
                connection.execute(statement)


def _fill_causes(connection: Connection) -> None:
    """Fill in the causes, which journals before version 13 have only in the messages.

    In chunks, because a server ends a transaction in which it receives no statement for a minute.
    """
    place = tuple_(jobs.c.batch_id, jobs.c.number)
    fill = update(jobs).where(place == tuple_(bindparam("of_batch"), bindparam("of_job")))
    query = (
        select(jobs.c.batch_id, jobs.c.number, jobs.c.state, jobs.c.message)
        .where(jobs.c.state.in_(_WITH_CAUSE), jobs.c.message != "")
        .order_by(jobs.c.batch_id, jobs.c.number)
        .limit(ROWS_AT_ONCE)
    )
    chunk = connection.execute(query).all()
    while chunk:
        causes = [
            {"of_batch": batch_id, "of_job": number, "cause": cause}
            for batch_id, number, state, message in chunk
            if (cause := cause_in(state, message)) is not None
        ]
        if causes:
            connection.execute(fill.values(cause=bindparam("cause")), causes)
        chunk = connection.execute(query.where(place > tuple(chunk[-1][:2]))).all()


_WITH_CAUSE = (JobState.FAILED, JobState.REJECTED, JobState.PENDING)


def cause_in(state: str, message: str) -> Cause | None:
    """Return the cause that the message of a job in this state tells, if any."""
    from batchrun.service.answers import CAUSES  # slow to import
    from batchrun.service.parsing import cause_of

    if state == JobState.FAILED:
        return cause_of(message)
    status = re.match(r"HTTP (\d{3}):", message) if state in _WITH_CAUSE else None
    return CAUSES.get(int(status[1])) if status else None


def _refuse_foreign_statements(connection: Connection, location: str) -> None:
    """Raise `JournalError` if a file has its own triggers, views, or virtual tables.

    SQLite would run these with every statement, so a stranger's file could send jobs again, or
    delete results.
    """
    ours = " ".join(_TRIGGERS["sqlite"][-1].split())
    query = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') "
    query += "OR sql LIKE 'CREATE VIRTUAL%'"
    for kind, name, sql in connection.exec_driver_sql(query):
        if " ".join(str(sql).split()) != ours:
            raise JournalError(
                f"The journal {location} holds a {kind} that batchrun did not write: "
                f"{visible(str(name))}.",
                "If the file came from somebody else, don't use it. "
                + choose_journal("Name another"),
            )


_JSON = {
    "workflow": ("object", "$.id", "$.name"),
    "source": ("object", "$.name", "$.notices"),
    "header": ("array",),
    "roles": ("object",),
    "parameters": ("object",),
    "parameter_columns": ("object",),
    "body": ("object",),
}
"""Columns that hold JSON: the JSON type, and paths that must exist."""

_ENUMS: Mapping[str, type[StrEnum]] = {"state": JobState, "cause": Cause}

_ARE_CELLS = """CASE WHEN json_valid(CAST(cells AS TEXT))
    THEN json_array_length(CAST(cells AS TEXT))
        = (SELECT json_array_length(header) FROM batches WHERE id = batch_id)
    ELSE 0 END"""

_LAST_MOMENT = 260_000_000_000  # Unix seconds, shortly after the year 9999


def foreign_column(connection: Connection) -> str:
    """Return the first column of a SQLite journal with a value that batchrun never writes.

    Returns ``""`` if there is none. SQLite accepts any value in any column, so a damaged or foreign
    file can hold anything.
    """
    for table in metadata.sorted_tables:
        for column in table.columns:
            name, without = column.name, int(bool(column.nullable))
            valid = f"CASE WHEN {name} IS NULL THEN {without} ELSE {_is_valid(column)} END"
            query = f"SELECT 1 FROM {table.name} WHERE NOT ({valid}) LIMIT 1"  # noqa: S608
            if connection.exec_driver_sql(query).first():
                return f"{table.name}.{name}"
    return ""


def _is_valid(column: Column[Any]) -> str:
    """Return the SQL condition for a valid value of a column, other than NULL."""
    name = column.name
    match column.type:
        case Float():
            dated = column.table is batches and name.endswith("_at")
            most = f" AND {name} < {_LAST_MOMENT}" if dated else ""
            return f"typeof({name}) IN ('real', 'integer') AND {name} >= 0{most}"
        case Integer():
            return f"typeof({name}) = 'integer' AND {name} BETWEEN 0 AND {2**53}"
        case LargeBinary():
            is_blob = f"typeof({name}) = 'blob'"
            return f"{is_blob} AND {_ARE_CELLS}" if name == "cells" else is_blob
    if name in _ENUMS:
        return f"{name} IN ({', '.join(repr(each.value) for each in _ENUMS[name])})"
    if name not in _JSON:
        return f"typeof({name}) = 'text'"
    kind, *paths = _JSON[name]
    has = "".join(f" AND json_type({name}, '{path}') IS NOT NULL" for path in paths)
    return f"CASE WHEN json_valid({name}) THEN json_type({name}) = '{kind}'{has} ELSE 0 END"
