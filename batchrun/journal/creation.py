"""A new batch in the journal: its rows and jobs, all of them or nothing."""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from batchrun.errors import UsageError
from batchrun.journal.schema import JobState, batches, decode_time, encode_cells, jobs, meta, rows
from batchrun.model import KnownJob, Outcome
from batchrun.settings import service_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement

    from batchrun.model import TableSource
    from batchrun.plan import Plan


ROWS_AT_ONCE = 1_000


def create_batch(
    connection: Connection,
    plan: Plan,
    base_url: str,
    known: str | None,
    profile: str | None = None,
    *,
    key_hash: str | None = None,
    list_formats: bytes | None = None,
) -> str:
    """Keep a plan as a new batch, within the connection's transaction.

    Args:
        connection: A connection that writes.
        plan: What the batch is to do.
        base_url: Of which service.
        known: The newest batch of the same list at this service that the user knows of.
        profile: Whose stored key it is begun with, if it is a stored one.
        key_hash: That key or any other it is begun with, salted and hashed.
        list_formats: The number formats of the list's cells.

    Returns:
        The new batch's id.

    Raises:
        UsageError: Somebody has begun the same list meanwhile.
    """
    # On a server transactions run side by side; whoever creates takes this row first.
    connection.execute(
        select(meta.c.value).where(meta.c.name == "schema_version").with_for_update()
    )
    newest = newest_of(connection, plan.fingerprint(), base_url)
    if newest is not None and newest != known:
        raise UsageError(
            f"This list was started meanwhile as batch {newest}; nothing was triggered here.",
            f"Go on with: batchrun resume {newest}",
        )
    now = datetime.now(UTC)
    batch_id = _batch_id(plan.table.source.name, now)
    begun_with = {"profile": profile, "key_hash": key_hash, "list_formats": list_formats}
    connection.execute(insert(batches).values(_batch(batch_id, plan, base_url, now) | begun_with))
    sharing = [0] * len(plan.bodies)
    _insert_many(connection, rows, _planned_rows(batch_id, plan, sharing))
    _insert_many(
        connection,
        jobs,
        (
            {
                "batch_id": batch_id,
                "number": number,
                "body": body,
                "rows": sharing[number],
                "state": JobState.PENDING,
            }
            for number, body in enumerate(plan.bodies)
        ),
    )
    return batch_id


def newest_of(connection: Connection, fingerprint: str, base_url: str) -> str | None:
    """The newest batch of the same rows, workflow and parameters at the same service."""
    return connection.scalar(
        select(batches.c.id)
        .where(batches.c.fingerprint == fingerprint, of_service(connection, base_url))
        .order_by(batches.c.created_at.desc())
        .limit(1)
    )


def of_service(connection: Connection, base_url: str) -> ColumnElement[bool]:
    """Which batches are of a service, however its base URL was spelled when they began."""
    known = connection.scalars(select(batches.c.base_url).distinct())
    service = service_of(base_url)
    return batches.c.base_url.in_([one for one in known if service_of(one) == service])


def batches_of(connection: Connection, workflow_id: str, base_url: str) -> list[str]:
    """The batches of a workflow at a service, newest first."""
    query = select(batches.c.id, batches.c.workflow).order_by(batches.c.created_at.desc())
    found = connection.execute(query.where(of_service(connection, base_url))).all()
    return [batch_id for batch_id, workflow in found if json.loads(workflow)["id"] == workflow_id]


def _batch(batch_id: str, plan: Plan, base_url: str, now: datetime) -> dict[str, Any]:
    return {
        "id": batch_id,
        "fingerprint": plan.fingerprint(),
        "created_at": now.timestamp(),
        "updated_at": now.timestamp(),
        "workflow": json.dumps(asdict(plan.workflow)),
        "source": _source(plan.table.source),
        "header": json.dumps(plan.table.header),
        "roles": json.dumps({role.value: at for role, at in plan.roles.items()}),
        "parameters": json.dumps(dict(plan.parameters.constant)),
        "base_url": service_of(base_url),
        "estimated_seconds": plan.estimate.seconds,
        "estimated_requests": plan.estimate.requests,
    }


def _planned_rows(batch_id: str, plan: Plan, sharing: list[int]) -> Iterator[Mapping[str, Any]]:
    """The plan's rows as the journal keeps them; counts in ``sharing`` the rows of each job."""
    for number, planned in enumerate(plan.rows):
        if planned.job is not None:
            sharing[planned.job] += 1
        yield {
            "batch_id": batch_id,
            "number": number,
            "line": planned.row.line,
            "cells": encode_cells(planned.row.cells),
            "job": planned.job,
            "company_id": planned.company_id,
            "contact_id": planned.contact_id,
            "reason": planned.reason,
        }


def _insert_many(connection: Connection, table: Any, values: Iterable[Mapping[str, Any]]) -> None:
    batch: list[Mapping[str, Any]] = []
    for value in values:
        batch.append(value)
        if len(batch) == ROWS_AT_ONCE:
            connection.execute(insert(table), batch)
            batch = []
    if batch:
        connection.execute(insert(table), batch)


def _batch_id(name: str, now: datetime) -> str:
    # A Mac may spell an accent as a character of its own: both spellings give one id.
    letters = unicodedata.normalize("NFKD", name.rsplit(".", 1)[0].lower())
    plain = "".join(each for each in letters if not unicodedata.combining(each))
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:24].strip("-")
    return f"{now:%m%d}-{stem or 'batch'}-{secrets.token_hex(2)}"


def _source(source: TableSource) -> str:
    return json.dumps(asdict(source))


LOOKED_UP_AT_ONCE = 1_000

_SENT = tuple(
    state
    for state in JobState
    if state not in {JobState.PENDING, JobState.FAILED, JobState.REJECTED}
)
"""States of jobs that have a result, or may have one some day."""


def known_jobs(
    connection: Connection, bodies: Sequence[str], workflow_id: str, base_url: str
) -> dict[int, KnownJob]:
    """What became of trigger bodies in the journal's batches, by their positions.

    A completed job comes before one that is under way, and the one completed last before others.

    Args:
        connection: A connection that reads.
        bodies: The trigger bodies, as a plan spells them.
        workflow_id: Of which workflow.
        base_url: Of which service.
    """
    numbers = {body: number for number, body in enumerate(bodies)}
    found: dict[int, KnownJob] = {}
    for batch_id in batches_of(connection, workflow_id, base_url):
        query = (
            select(jobs.c.number, jobs.c.body, jobs.c.state, jobs.c.finished_at)
            .where(jobs.c.batch_id == batch_id, jobs.c.state.in_(_SENT))
            .execution_options(yield_per=LOOKED_UP_AT_ONCE)
        )
        for number, body, state, finished_at in connection.execute(query):
            mine = numbers.get(body)
            if mine is None:
                continue
            ended = decode_time(finished_at)
            job = KnownJob(batch_id, number, JobState(state).outcome, ended)
            if mine not in found or _worth(job) > _worth(found[mine]):
                found[mine] = job
    return found


def reuse_results(connection: Connection, batch_id: str, plan: Plan) -> None:
    """Give the jobs of a new batch the results that its plan takes from earlier ones.

    Args:
        connection: The connection in whose transaction the batch was created.
        batch_id: The new batch.
        plan: Its plan.

    Raises:
        UsageError: One of the results is not there any more.
    """
    if not plan.reused:
        return
    earlier = jobs.alias()
    taken = ("state", "execution_id", "triggered_at", "started_at", "finished_at", "result")
    statement = (
        update(jobs)
        .where(jobs.c.batch_id == batch_id, jobs.c.number == bindparam("mine"))
        .where(earlier.c.batch_id == bindparam("theirs"), earlier.c.number == bindparam("other"))
        .where(earlier.c.state == JobState.COMPLETED, earlier.c.body == jobs.c.body)
        .values({name: earlier.c[name] for name in taken})
        .values(reused_from=bindparam("theirs"), message=bindparam("words"))
    )
    connection.execute(statement, list(_takings(plan)))
    reused = connection.scalar(
        select(func.count()).where(jobs.c.batch_id == batch_id, jobs.c.reused_from.is_not(None))
    )
    if reused != len(plan.reused):
        raise UsageError(
            "Results that were to be reused have gone from the journal meanwhile.",
            "Nothing was triggered. Start it again to see what is left to send.",
        )


def _takings(plan: Plan) -> Iterator[Mapping[str, object]]:
    for number in sorted(plan.reused):
        job = plan.known[number]
        day = "" if job.finished_at is None else f" of {job.finished_at:%Y-%m-%d}"
        words = f"result{day} reused from batch {job.batch_id}; nothing was sent"
        yield {"mine": number, "theirs": job.batch_id, "other": job.number, "words": words}


def _worth(job: KnownJob) -> tuple[bool, float]:
    completed = job.outcome is Outcome.COMPLETED
    return completed, job.finished_at.timestamp() if job.finished_at else 0.0
