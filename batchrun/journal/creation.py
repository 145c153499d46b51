"""A new batch in the journal: its rows and jobs, all of them or nothing."""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select

from batchrun.errors import UsageError
from batchrun.journal.encoding import encode_cells
from batchrun.journal.schema import JobState, batches, jobs, meta, rows
from batchrun.settings import service_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
) -> str:
    """Keep a plan as a new batch, within the connection's transaction.

    Args:
        connection: A connection that writes.
        plan: What the batch is to do.
        base_url: Of which service.
        known: The newest batch of the same list at this service that the user knows of.
        profile: Whose stored key it is begun with, if it is a stored one.
        key_hash: That key or any other it is begun with, salted and hashed.

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
    begun_with = {"profile": profile, "key_hash": key_hash}
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
    kept = asdict(source)
    del kept["marked_notices"]  # marks are for who words an error or a notice, not to be kept
    return json.dumps(kept | {"notices": source.notices})
