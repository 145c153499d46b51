"""Create and delete batches in the journal, in chunks; find earlier batches and known jobs."""

from __future__ import annotations

import json
import re
import secrets
import time
import unicodedata
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from sqlalchemy import bindparam, delete, func, select, update

from batchrun.advice import resume_with
from batchrun.errors import UsageError
from batchrun.journal.database import on_server, writing
from batchrun.journal.schema import (
    ROWS_AT_ONCE,
    SCHEMA_IN_USE,
    JobState,
    batches,
    clean_text,
    count_jobs,
    decode_time,
    encode_cells,
    jobs,
    rows,
    slices,
)
from batchrun.model import KnownJob, Outcome
from batchrun.plan import BodyIndex, Plan
from batchrun.settings.location import service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Table


T = TypeVar("T")

_Values: TypeAlias = tuple[Any, ...]

CHUNK_SECONDS = 0.4
"""How long the journal is locked at a time, in seconds; other batches' writes wait that long."""
CHUNK_PAUSE_SECONDS = 0.12
"""Pause between chunks, in seconds: SQLite's waiting writers retry at most 0.1 s apart."""


class BatchMaker:
    """Creates or deletes a batch in chunks, so other batches can write in between.

    Until it is done, the batch is marked as incomplete and hidden from everybody else. The caller
    holds the batch. If its process dies, the next process that creates a batch deletes this one.
    """

    def __init__(self, engine: Engine, batch_id: str) -> None:
        self._engine = engine
        self._batch_id = batch_id

    def fill(self, plan: Plan) -> None:
        """Insert the plan's rows and jobs, and the results that it reuses.

        Raises:
            UsageError: A result to be reused is gone.
        """
        self._in_chunks(_planned(self._batch_id, plan), self._insert)
        self._in_chunks(_reuse_parameters(plan, self._batch_id), self._reuse)

    def complete(self, fingerprint: str, base_url: str, known: str | None) -> None:
        """Make the batch visible to everybody.

        Raises:
            UsageError: The same list has been started since, as another batch.
        """
        with writing(self._engine) as connection:
            for statement in count_jobs(self._batch_id):
                connection.execute(statement)
        with writing(self._engine) as connection:
            # Transactions on a server run concurrently; this row lock makes completions take turns.
            connection.execute(SCHEMA_IN_USE.with_for_update())
            check_newest(connection, fingerprint, base_url, known)
            mine = update(batches).where(batches.c.id == self._batch_id)
            connection.execute(mine.values(incomplete=0))

    def delete(self) -> None:
        """Delete the batch, its rows, and its jobs; the batch must be marked as incomplete."""
        for table in (rows, jobs):
            mine = table.c.batch_id == self._batch_id
            with self._engine.connect() as connection:
                last = connection.scalar(select(func.max(table.c.number)).where(mine))
            self._in_chunks(range(0 if last is None else last + 1), partial(self._delete, table))
        with writing(self._engine) as connection:
            connection.execute(delete(batches).where(batches.c.id == self._batch_id))

    def _insert(self, connection: Connection, some: list[tuple[_Values, _Values | None]]) -> None:
        """Insert rows, and each job along with the first of its rows."""
        new_rows = [row for row, _ in some]
        new_jobs = [job for _, job in some if job is not None]
        for table, values in ((rows, new_rows), (jobs, new_jobs)):
            # SQLAlchemy's own insert takes longer than SQLite itself.
            names, mark = table.columns.keys(), "%s" if on_server(self._engine) else "?"
            places = f"({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"
            if values:
                connection.exec_driver_sql(f"INSERT INTO {table} {places}", values)

    def _delete(self, table: Table, connection: Connection, some: list[int]) -> None:
        numbers = table.c.number.between(some[0], some[-1])
        connection.execute(delete(table).where(table.c.batch_id == self._batch_id, numbers))

    def _reuse(self, connection: Connection, some: list[dict[str, object]]) -> None:
        connection.execute(_REUSE, some)
        number = jobs.c.number.in_([each["mine"] for each in some])
        mine = (jobs.c.batch_id == self._batch_id) & number & jobs.c.reused_from.is_not(None)
        if connection.scalar(select(func.count()).select_from(jobs).where(mine)) != len(some):
            raise UsageError(
                "Results to reuse have been deleted from the journal in the meantime.",
                "Nothing was triggered. Start it again to see what is left to send.",
            )

    def _in_chunks(
        self, items: Iterable[T], change: Callable[[Connection, list[T]], object]
    ) -> None:
        """Apply a change to chunks of the items until none is left, and commit now and then."""
        left = iter(items)
        some = list(islice(left, ROWS_AT_ONCE))
        while some:
            until = time.monotonic() + CHUNK_SECONDS
            with writing(self._engine) as connection:
                while some:
                    change(connection, some)
                    some = list(islice(left, ROWS_AT_ONCE))
                    if time.monotonic() >= until:
                        break
            if some and not on_server(self._engine):
                time.sleep(CHUNK_PAUSE_SECONDS)


def check_newest(
    connection: Connection, fingerprint: str, base_url: str, known: str | None
) -> None:
    """Raise `UsageError` if the same list has been started since the user was asked."""
    newest = newest_of(connection, fingerprint, base_url)
    if newest is not None and newest != known:
        raise UsageError(
            f"This list was started in the meantime as batch {newest}; nothing was triggered here.",
            resume_with(newest),
        )


def new_batch(
    plan: Plan, fingerprint: str, base_url: str, now: float, **begun_with: object
) -> dict[str, Any]:
    """Return the column values of a new batch; ``now`` is in Unix seconds."""
    source = asdict(plan.table.source)
    del source["first_column"]  # other programs with this version of the journal don't know it
    return {
        "id": _batch_id(plan.table.source.name, datetime.fromtimestamp(now, UTC)),
        "fingerprint": fingerprint,
        "created_at": now,
        "updated_at": now,
        "workflow": json.dumps(asdict(plan.workflow)),
        "source": json.dumps(source),
        "header": json.dumps(plan.table.header),
        "roles": json.dumps({role.value: at for role, at in plan.roles.items()}),
        "parameters": json.dumps(dict(plan.parameters.constant)),
        "parameter_columns": json.dumps(
            {name: plan.table.header[at] for name, at in plan.parameters.columns.items()}
        ),
        "base_url": service_of(base_url),
        "estimated_seconds": plan.estimate.seconds,
        "estimated_requests": plan.estimate.requests,
        "incomplete": 1,
        "unconfirmed": 1,
    } | begun_with


def newest_of(connection: Connection, fingerprint: str, base_url: str) -> str | None:
    """Return the newest batch of the same rows, workflow, and parameters at the same service."""
    return connection.scalar(
        select(batches.c.id)
        .where(batches.c.fingerprint == fingerprint, batches.c.incomplete == 0)
        .where(of_service(connection, base_url))
        .order_by(batches.c.created_at.desc())
        .limit(1)
    )


def of_service(connection: Connection, base_url: str) -> ColumnElement[bool]:
    """The condition that a batch is of a service, whatever the spelling of its base URL."""
    known = connection.scalars(select(batches.c.base_url).distinct())
    service = service_of(base_url)
    return batches.c.base_url.in_([one for one in known if service_of(one) == service])


def batches_of(
    connection: Connection,
    workflow_id: str,
    base_url: str,
    since: datetime | None = None,
    held: Collection[str] = (),
) -> list[str]:
    """Return the batches of a workflow at a service that changed ``since``, newest first.

    Batches that are ``held`` by a live process change now.
    """
    query = select(batches.c.id, batches.c.workflow).order_by(batches.c.created_at.desc())
    if since is not None:
        beats = select(slices.c.batch_id).where(slices.c.beat_at >= since.timestamp())
        changed = batches.c.updated_at >= since.timestamp()
        query = query.where(changed | batches.c.id.in_(beats) | batches.c.id.in_(held))
    complete = query.where(batches.c.incomplete == 0)
    found = connection.execute(complete.where(of_service(connection, base_url))).all()
    return [batch_id for batch_id, workflow in found if json.loads(workflow)["id"] == workflow_id]


def _planned(batch_id: str, plan: Plan) -> Iterator[tuple[_Values, _Values | None]]:
    """Yield the plan's rows as column values, each with its job if it is the job's first row."""
    sharing = np.bincount(plan.rows.jobs[plan.rows.jobs >= 0], minlength=len(plan.bodies))
    nothing = (None, None, None, None)
    next_job = 0
    for number, planned in enumerate(plan.rows):
        row = (
            *(batch_id, number, planned.row.line, encode_cells(planned.row.cells), planned.job),
            *(planned.company_id, planned.contact_id),
            planned.reason and clean_text(planned.reason),
        )
        job = None
        if planned.job == next_job:
            pending = JobState.PENDING
            started = (batch_id, next_job, planned.body, int(sharing[next_job]), pending)
            job = (*started, *nothing, "", None, None, None)
            next_job += 1
        yield row, job


def _batch_id(name: str, now: datetime) -> str:
    # macOS may spell an accent as a separate character; both spellings must give the same ID.
    letters = unicodedata.normalize("NFKD", name.rsplit(".", 1)[0].lower())
    plain = "".join(each for each in letters if not unicodedata.combining(each))
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:24].strip("-")
    return f"{now:%m%d}-{stem or 'batch'}-{secrets.token_hex(2)}"


_SENT = frozenset(JobState) - {JobState.PENDING, JobState.FAILED, JobState.REJECTED}
"""States of jobs that have a result, or may still get one."""


def known_jobs(
    connection: Connection,
    bodies: Sequence[str],
    batch_ids: Sequence[str],
    held: Collection[str] = (),
) -> dict[int, KnownJob]:
    """Return what other batches know about trigger bodies, by the bodies' positions.

    Jobs that wait count if their batch is ``held`` by a live process, which is about to send them.
    Prefers a completed job to one that hasn't completed, and the one that completed last.
    """
    found: dict[int, KnownJob] = {}
    if not batch_ids:
        return found
    index, now = BodyIndex(bodies), datetime.now(UTC)
    for batch_id in batch_ids:
        states = _SENT | {JobState.PENDING} if batch_id in held else _SENT
        query = (
            select(jobs.c.number, jobs.c.body, jobs.c.state, jobs.c.finished_at)
            .where(jobs.c.batch_id == batch_id, jobs.c.state.in_(states))
            .execution_options(yield_per=ROWS_AT_ONCE)
        )
        for number, body, state, finished_at in connection.execute(query):
            if (mine := index.number(body)) is not None:
                ended = decode_time(finished_at)
                if ended is not None:
                    ended = min(ended, now)  # practice runs ahead of time
                job = KnownJob(batch_id, number, JobState(state).outcome, ended)
                found[mine] = max(found.get(mine, job), job, key=_preference)
    return found


_EARLIER = jobs.alias()
_REUSED_COLUMNS = ("state", "execution_id", "triggered_at", "started_at", "finished_at", "result")
_REUSE = (
    update(jobs)
    .where(jobs.c.batch_id == bindparam("of_batch"), jobs.c.number == bindparam("mine"))
    .where(_EARLIER.c.batch_id == bindparam("theirs"), _EARLIER.c.number == bindparam("other"))
    .where(_EARLIER.c.state == JobState.COMPLETED, _EARLIER.c.body == jobs.c.body)
    .values({name: _EARLIER.c[name] for name in _REUSED_COLUMNS})
    .values(reused_from=bindparam("theirs"), message=bindparam("words"))
)
"""Copies an earlier batch's result into a job of a new batch."""


def _reuse_parameters(plan: Plan, batch_id: str) -> Iterator[dict[str, object]]:
    for number in sorted(plan.reused):
        job = plan.known[number]
        day = "" if job.finished_at is None else f" of {job.finished_at:%Y-%m-%d}"
        yield {
            "of_batch": batch_id,
            "mine": number,
            "theirs": job.batch_id,
            "other": job.number,
            "words": f"result{day} reused from batch {job.batch_id}; nothing was sent",
        }


def _preference(job: KnownJob) -> tuple[bool, float]:
    completed = job.outcome is Outcome.COMPLETED
    return completed, job.finished_at.timestamp() if job.finished_at else 0.0
