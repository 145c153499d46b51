"""The journal's tables (SQLAlchemy Core) and the states a job goes through.

A job's way::

    pending ──► sending ──► in flight ──► completed | failed
       ▲           │            └───────► timed out ──► in flight   (resume polls on)
       │           ├──► rejected | in doubt ──► dropped   (by the user's word)
       └───────────┘   surely not accepted: goes back

`retry` makes an ended job pending again and keeps in ``attempts`` what had become of it.

`sending` is committed before the trigger is on the wire. A journal that still says so when it is
opened again tells of a crash at that moment: the job is in doubt.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from batchrun.model import Outcome

SCHEMA_VERSION = 6

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("fingerprint", String, nullable=False, index=True),
    Column("created_at", Float, nullable=False),  # Unix seconds, as all times here
    Column("updated_at", Float, nullable=False),
    Column("workflow", Text, nullable=False),  # JSON
    Column("source", Text, nullable=False),  # JSON
    Column("header", Text, nullable=False),  # JSON
    Column("roles", Text, nullable=False),  # JSON: role → column position
    Column("parameters", Text, nullable=False),  # JSON: the constant ones
    Column("base_url", String, nullable=False),
    Column("estimated_seconds", Float, nullable=False),
    Column("estimated_requests", Integer, nullable=False),
    Column("requests", Integer, nullable=False, default=0),
    Column("worked_seconds", Float, nullable=False, default=0.0),
    Column("quota_seconds", Float, nullable=False, default=0.0),  # waited for the quota
    Column("output", Text),
    Column("note", Text, nullable=False, default=""),
    Column("profile", String),  # whose stored key it was begun with
    Column("form", Text, nullable=False, default=""),  # JSON: how its results are written
    Column("key_hash", String),  # of the key it was begun with, salted; NULL: not known
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
)

jobs = Table(
    "jobs",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", Text, nullable=False),  # the trigger body, JSON
    Column("rows", Integer, nullable=False),  # how many rows share it
    Column("state", String, nullable=False),
    Column("execution_id", String),
    Column("triggered_at", Float),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("message", Text, nullable=False, default=""),
    Column("result", LargeBinary),  # as the service sent it: JSON, compressed
    Column("reused_from", String),  # the batch whose result it is; NULL: it has one of its own
    Index("jobs_by_state", "batch_id", "state", "number"),
)

spending = Table(
    "spending",
    metadata,
    Column("key_hash", String, primary_key=True),  # salted; the key itself is never kept
    Column("day", String, primary_key=True),  # UTC, 2026-11-24
    Column("requests", Integer, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", String, nullable=False),  # random, one for each opened journal
    Column("pid", Integer, nullable=False),
    Column("host", String, nullable=False),
    Column("since", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("batch_id", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # the job's
    Column("retried_at", Float, primary_key=True),
    Column("state", String, nullable=False),  # as the job's columns were before `retry`
    Column("execution_id", String),
    Column("triggered_at", Float),
    Column("message", Text, nullable=False),
    Column("result", LargeBinary),
)

turns = Table(
    "turns",
    metadata,
    Column("key_hash", String, primary_key=True),
    Column("next_at", Float, nullable=False),  # when the key's next request may leave
)


class JobState(StrEnum):
    """Where a job stands in the journal."""

    PENDING = "pending"
    SENDING = "sending"
    IN_FLIGHT = "in flight"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed out"
    IN_DOUBT = "in doubt"
    DROPPED = "dropped"
    """In doubt, and the user has decided to leave it so."""

    @property
    def outcome(self) -> Outcome:
        """The outcome a row of such a job has now."""
        match self:
            case JobState.PENDING | JobState.IN_FLIGHT:
                return Outcome.PENDING
            case JobState.SENDING | JobState.IN_DOUBT | JobState.DROPPED:
                return Outcome.IN_DOUBT
            case JobState.COMPLETED:
                return Outcome.COMPLETED
            case JobState.FAILED:
                return Outcome.FAILED
            case JobState.REJECTED:
                return Outcome.REJECTED
            case JobState.TIMED_OUT:
                return Outcome.TIMED_OUT
            case _:
                assert_never(self)


ENDED = tuple(
    state
    for state in JobState
    if state not in {JobState.PENDING, JobState.SENDING, JobState.IN_FLIGHT}
)
"""States in which nothing of a job is under way."""
