"""The journal: the durable record of all of a user's batches."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Executable,
    Result,
    Row,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from batchrun.advice import Action, Advice, choose_journal, watch_with
from batchrun.errors import BatchrunError, HeldError, JournalError, JournalLostError, NoBatchError
from batchrun.journal.creation import (
    BatchMaker,
    batches_of,
    check_newest,
    known_jobs,
    new_batch,
    newest_of,
)
from batchrun.journal.database import JournalFile, compact, open_database, writing
from batchrun.journal.errors import unwritable
from batchrun.journal.jobs import BatchJobs
from batchrun.journal.lease import (
    Holder,
    ProcessLock,
    find_holder,
    held_batches,
    held_by,
    hold_batch,
    ordered_now,
    taken_over,
)
from batchrun.journal.ledger import QuotaLedger, inserter
from batchrun.journal.rescue import RescueFiles, SafetyCopy
from batchrun.journal.rescue import folders as rescue_folders
from batchrun.journal.results import EarlierRows, ResultRows, SentJob, read_counts, read_sent
from batchrun.journal.schema import (
    JobState,
    attempts,
    batches,
    decode_time,
    foreign_column,
    jobs,
    meta,
    slices,
)
from batchrun.journal.slices import Slices
from batchrun.journal.writer import JournalWriter, no_mirror
from batchrun.model import (
    BatchResults,
    BatchSummary,
    EarlierResults,
    KnownJob,
    Outcome,
    ResultRow,
    Role,
    TableSource,
    Workflow,
)
from batchrun.settings.location import is_loopback, is_practice, is_server, shown
from batchrun.settings.profiles import SANDBOX_KEY, SANDBOX_PROFILE
from batchrun.tables.roles import column_options
from batchrun.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from batchrun.plan import Plan


BATCHES_NAMED = 10


class Journal(AbstractContextManager["Journal"]):
    """All of a user's batches, in one database.

    Args:
        location: Path of a SQLite file, or the URL of a PostgreSQL database.

    Attributes:
        location: The path or URL, without a password.

    Raises:
        JournalError: The journal can't be opened.
    """

    def __init__(self, location: str) -> None:
        self.location = shown(location)
        self._engine = open_database(location)
        self._file = None if is_server(location) else JournalFile(Path(location).expanduser())
        check = (lambda: None) if self._file is None else self._file.check
        self._writer = JournalWriter(self._engine, self.location, check)
        self._copy: SafetyCopy | None = None
        self._lock = ProcessLock(location)
        self._key_hashes: dict[str, str] = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the journal; if its content caused an error, raise that as a `JournalError`."""
        unforeseen = isinstance(error, Exception) and not isinstance(error, BatchrunError)
        column = self._foreign_column() if unforeseen else ""
        self.close()
        if column:
            raise self._damaged(column) from error

    def _damaged(self, where: str) -> JournalError:
        return JournalError(
            f"The journal {self.location} holds something that batchrun did not write, in {where}.",
            "It is damaged, or somebody has changed it. Put a copy of it back, or "
            + choose_journal("name another"),
        )

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Convert the error of a value that batchrun never writes to a `JournalError`."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise self._damaged(self._foreign_column() or batches.name) from error

    def _foreign_column(self) -> str:
        """A column with a value that batchrun never writes; ``""`` if none, or on a server."""
        if self._file is None:
            return ""
        with suppress(JournalError, SQLAlchemyError), self._engine.connect() as connection:
            return foreign_column(connection)
        return ""

    def close(self) -> None:
        """Commit what is pending, and close the database."""
        self._writer.close()
        self._engine.dispose()
        self._lock.release()

    @property
    def is_shared(self) -> bool:
        """Whether the journal is on a server, which several machines may use."""
        return self._file is None

    # batches

    def create(
        self,
        plan: Plan,
        base_url: str,
        *,
        known: str | None = None,
        profile: str | None = None,
        key: str | None = None,
        list_formats: bytes | None = None,
    ) -> str:
        """Store a plan as a new batch, completely or not at all; return its ID.

        ``known`` is the newest batch of the same list at this service that the user knows about,
        and ``profile`` that of a stored key. Of the key, only a salted hash is stored.

        Raises:
            UsageError: The same list has been started since, or a result to be reused is gone;
                nothing was stored.
        """
        key_hash = None if key is None else self.key_hash(key)
        fingerprint = plan.fingerprint()
        with self._engine.connect() as connection:
            check_newest(connection, fingerprint, base_url, known)
            incomplete = select(batches.c.id).where(batches.c.incomplete == 1)
            left_behind = connection.scalars(incomplete).all()
        for each in left_behind:
            with suppress(JournalError):  # the process that creates or deletes it is still alive
                self._delete(each)
        begun_with = {"profile": profile, "key_hash": key_hash, "list_formats": list_formats}
        now = ordered_now(self._engine)
        batch = new_batch(plan, fingerprint, base_url, now, **begun_with)
        batch_id: str = batch["id"]
        maker = BatchMaker(self._engine, batch_id)
        with self.hold(batch_id, insert(batches).values(batch)):
            try:
                maker.fill(plan)
                maker.complete(fingerprint, base_url, known)
            except BaseException:
                with suppress(JournalError):  # if this fails, a later run deletes the rest
                    maker.delete()
                raise
        return batch_id

    def started_with_key_hash(self, batch_id: str) -> str:
        """Return the salted hash of the key a batch was started with; ``""`` if not stored."""
        return self._value(batch_id, batches.c.key_hash)

    def form(self, batch_id: str) -> str:
        """Return the form of the batch's results, as stored by `keep`; ``""`` before that."""
        return self._value(batch_id, batches.c.form)

    def _value(self, batch_id: str, column: Column[Any]) -> str:
        with self._engine.connect() as connection:
            return connection.scalar(select(column).where(batches.c.id == batch_id)) or ""

    def known_jobs(self, plan: Plan, base_url: str) -> dict[int, KnownJob]:
        """Return what earlier batches at a service know about a plan's jobs, by their numbers."""
        held = held_batches(self._engine, self._lock)
        with self._engine.connect() as connection, connection.begin():
            earlier = batches_of(connection, plan.workflow.id, base_url)
            return known_jobs(connection, plan.bodies, earlier, held)

    def sent_elsewhere(
        self,
        batch: BatchSummary,
        chosen: Collection[int] | int,
        since: datetime | None = None,
        *,
        waiting: bool = True,
    ) -> dict[int, str]:
        """Return which other batch has paid for jobs of a batch, by their numbers; ``""`` for none.

        They have a result there, are running, in doubt, or with ``waiting`` about to be sent by a
        live process. ``chosen`` are their numbers, or how many of those to trigger next. With
        ``since``, only batches that changed since then count.
        """
        held = held_batches(self._engine, self._lock) if waiting else set[str]()
        query = select(jobs.c.number, jobs.c.body).where(jobs.c.batch_id == batch.batch_id)
        if isinstance(chosen, int):
            pending = query.where(jobs.c.state == JobState.PENDING)
            query = pending.order_by(jobs.c.number).limit(chosen)
        with self._engine.connect() as connection, connection.begin():
            bodies = {
                number: body
                for number, body in connection.execute(query)
                if isinstance(chosen, int) or number in chosen
            }
            others = batches_of(connection, batch.workflow.id, batch.base_url, since, held)
            others = [each for each in others if each != batch.batch_id]
            known = known_jobs(connection, list(bodies.values()), others, held)
            where = {at: job.batch_id for at, job in known.items()}
            return {number: where.get(at, "") for at, number in enumerate(bodies)}

    def find(self, fingerprint: str, base_url: str) -> BatchSummary | None:
        """Return the newest batch of the same rows, workflow, and parameters at a service."""
        with self._engine.connect() as connection:
            batch_id = newest_of(connection, fingerprint, base_url)
            return None if batch_id is None else self._summary(connection, batch_id)

    def resolve(self, batch_id: str | None) -> BatchSummary:
        """Return the batch with this ID or unique start of an ID; without one, the newest batch.

        Raises:
            JournalError: There is none, or several IDs start like this.
        """
        with self._engine.connect() as connection:
            every = _all_batches(connection)
        if batch_id is None:
            if not every:
                raise NoBatchError(
                    f"The journal {self.location} holds no batch yet.",
                    Advice("", "Start one with: batchrun run FILE -w WORKFLOW", Action.RUN_LIST),
                )
            return self.summary(every[0])
        if not batch_id.strip():
            raise JournalError(
                "The batch ID is empty.", Advice("", "To list the IDs: batchrun batches")
            )
        known = sorted(each for each in every if each.startswith(batch_id))
        if len(known) == 1 or batch_id in known:
            return self.summary(known[0])  # the shortest comes first
        if not known:
            raise JournalError(
                f"No batch is called {batch_id} in the journal {self.location}.",
                did_you_mean(batch_id, every) + Advice("", "List them with: batchrun batches"),
            )
        more = f" and {len(known) - BATCHES_NAMED:,} more" if len(known) > BATCHES_NAMED else ""
        named = ", ".join(known[:BATCHES_NAMED])
        raise JournalError(
            f"{len(known)} batch IDs start with {batch_id}: {named}{more}.", "Enter more of the ID."
        )

    def batches(self) -> list[BatchSummary]:
        """Return all batches, newest first."""
        with self._engine.connect() as connection:
            return [self._summary(connection, each) for each in _all_batches(connection)]

    def unfinished(self) -> list[BatchSummary]:
        """Return the batches in which `resume` has something left to do, oldest first.

        Rows in doubt don't count: the user must decide about them.
        """
        found = self.batches()[::-1]
        return [one for one in found if one.unfinished or self.rescued(one.batch_id)]

    def summary(self, batch_id: str) -> BatchSummary:
        """Return a batch's current state; its counts add up to its number of rows."""
        with self._engine.connect() as connection:
            return self._summary(connection, batch_id)

    def remaining(self, batch_id: str) -> Remaining:
        """Return what is left of a batch now; reads only."""
        oldest = select(func.min(jobs.c.triggered_at)).where(
            jobs.c.batch_id == batch_id, jobs.c.state == JobState.IN_FLIGHT
        )
        with self._engine.connect() as connection:
            found = read_counts(connection, batch_id)
            running = found[JobState.IN_FLIGHT]
            triggered_at = connection.scalar(oldest) if running.jobs else None
        to_trigger = found[JobState.PENDING].jobs
        return Remaining(to_trigger, running.jobs, running.rows, decode_time(triggered_at))

    def accepted(self, batch_id: str) -> int:
        """Return how many triggers of a batch the service has accepted, retries included."""
        own = select(func.count()).where(
            jobs.c.batch_id == batch_id,
            jobs.c.execution_id.is_not(None),
            jobs.c.reused_from.is_(None),
        )
        theirs = select(jobs.c.number).where(
            jobs.c.execution_id == attempts.c.execution_id, jobs.c.batch_id != batch_id
        )
        retried = select(func.count()).where(  # a reused result, sent again later, cost nothing
            attempts.c.batch_id == batch_id, attempts.c.execution_id.is_not(None), ~theirs.exists()
        )
        with self._engine.connect() as connection:
            return sum(connection.execute(query).scalar_one() for query in (own, retried))

    def jobs(self, batch_id: str, key: str, *, leads: bool = True) -> BatchJobs:
        """Return the batch's jobs, for a worker with this key."""
        slices, rescue = self.slices(batch_id), self._rescue(batch_id)
        return BatchJobs(slices, self.key_hash(key), rescue, leads=leads)

    # holders and workers

    def hold(
        self, batch_id: str, *before: Executable
    ) -> AbstractContextManager[Future[JournalError]]:
        """Hold a batch while working on it. The future gets the error if the batch is lost.

        The statements ``before``, which create the batch, are committed together with the lease.

        Raises:
            HeldError: Another process is working on it; the message names the process.
        """
        return hold_batch(self._engine, self._writer, self._lock, batch_id, *before)

    def slices(self, batch_id: str) -> Slices:
        """Return the slices of a batch, as this process sees them."""
        return Slices(self._engine, self._writer, self._lock, batch_id)

    def open_batches(self) -> list[str]:
        """Return the batches with slices that any worker of their key may claim, oldest first."""
        is_open = exists().where(slices.c.batch_id == batches.c.id, slices.c.closed.is_(None))
        query = select(batches.c.id).where(is_open).order_by(batches.c.created_at)
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def holder(self, batch_id: str) -> Holder | None:
        """Return the process that holds a batch, or held it until it died."""
        return find_holder(self._engine, batch_id)

    def is_alive(self, holder: Holder) -> bool:
        """Whether the process that holds a batch is alive, as far as it can be seen from here."""
        return self._lock.is_alive(holder.token, holder.silent_seconds)

    @contextmanager
    def safety_copy(self, batch_id: str, *, alone: bool = True) -> Iterator[None]:
        """Keep a copy of a batch outside the journal's file until the block ends.

        Makes no copy if the disk is full, or on a server, where no file can be lost.

        If other processes work on the batch, too (not ``alone``), the copy lacks their changes:
        it only keeps a restored journal from triggering jobs again.
        """
        if self._file is not None:
            with suppress(sqlite3.Error, SQLAlchemyError, JournalError):
                self._copy = SafetyCopy(self._file.path, batch_id, is_whole=alone)
                self._writer.mirror = self._copy.apply
        try:
            yield
        finally:
            copy, self._copy, self._writer.mirror = self._copy, None, no_mirror
            if copy is not None:
                copy.close()

    def fault(self, error: JournalError) -> JournalError:
        """Return what to raise for an error that ended a batch: that the file is lost, if it is."""
        try:
            if self._file is not None:
                self._file.check_content()
        except JournalLostError as lost:
            return lost
        return unwritable(self.location, error) if type(error) is JournalError else error

    def save_copy(self) -> Path | None:
        """Save a batch whose journal was lost as a journal of its own; ``None`` if that fails."""
        if self._copy is None:
            return None
        rescue = self._rescue(self._copy.batch_id)
        # If an older copy of the journal is restored, this keeps it from triggering jobs again.
        rescue.keep(*self._copy.steps())
        return self._copy.save(rescue.journals()) if self._copy.is_whole else None

    def rescued(self, batch_id: str) -> list[Path]:
        """Return the rescue files of a batch, with steps that the next `resume` will commit."""
        return self._rescue(batch_id).found()

    def forget(self, *batch_ids: str) -> None:
        """Delete batches: their rows, results, and rescue files, leaving no trace in the files.

        Raises:
            JournalError: Another process is using one of them, or the journal.
        """
        deleted = 0
        try:
            for batch_id in batch_ids:
                self._delete(batch_id)
                deleted += 1
        finally:
            if deleted:
                compact(self._engine)

    def _delete(self, batch_id: str) -> None:
        with self.hold(batch_id):
            if self.slices(batch_id).others_work():
                raise HeldError(
                    f"Workers are still working on batch {batch_id}.", watch_with(batch_id)
                )
            self.keep(batch_id, "incomplete", 1)
            BatchMaker(self._engine, batch_id).delete()
            self._rescue(batch_id).discard()

    def ledger(self, key: str) -> QuotaLedger:
        """Return the ledger of the quota that all processes with this key share."""
        return QuotaLedger(self._engine, self.key_hash(key))

    def run_seconds(self, workflow_id: str, base_url: str, limit: int) -> list[float]:
        """Return the run times of a workflow's last executions, in seconds, oldest first."""
        found: list[float] = []
        with self._engine.connect() as connection:
            for batch_id in batches_of(connection, workflow_id, base_url):
                if len(found) >= limit:
                    break
                found += connection.scalars(
                    select(jobs.c.finished_at - jobs.c.started_at)
                    .where(jobs.c.batch_id == batch_id, jobs.c.state == JobState.COMPLETED)
                    .where(jobs.c.finished_at >= jobs.c.started_at, jobs.c.reused_from.is_(None))
                    .order_by(jobs.c.number.desc())
                    .limit(limit - len(found))
                )
        return found[::-1]

    def keep(
        self,
        batch_id: str,
        what: Literal["form", "incomplete", "output", "target", "unconfirmed"],
        value: str | int,
    ) -> None:
        """Store a property of a batch; only its holder may.

        That is how its results are written (``form``, as JSON), where they were last written
        (``output``) and where they belong (``target``), whether nobody has agreed to send all of it
        (``unconfirmed``), or whether it is being deleted (``incomplete``).

        Raises:
            TakenOverError: Another process holds the batch.
        """
        held = held_by(batch_id, self._lock.token)
        statement = update(batches).where(batches.c.id == batch_id, held).values({what: value})
        if not self._writer.submit(statement).result():
            raise taken_over(self._engine, batch_id)

    # results

    @contextmanager
    def results(
        self,
        batch_id: str,
        *,
        of_jobs: Sequence[int] | None = None,
        states: Collection[JobState | None] | None = None,
        offset: int = 0,
        limit: int | None = None,
        earlier: Sequence[str] = (),
    ) -> Iterator[BatchResults]:
        """Yield a batch's rows with their outcomes and results, all from one point in time.

        The rows can be iterated several times until the context ends, even while the batch runs.

        They can be limited to those ``of_jobs`` (at most a few hundred), or whose job is in one of
        the ``states``, where ``None`` stands for rows without a job. Each row is compared with its
        newest result in ``earlier`` batches, newest first.
        """
        with self._engine.connect() as connection, connection.begin():
            found, compared = self._results(connection, batch_id), None
            chosen = ResultRows(
                connection, batch_id, of_jobs=of_jobs, states=states, offset=offset, limit=limit
            )
            if earlier:
                created_at = self._summary(connection, earlier[0]).created_at
                theirs = EarlierRows(connection, batch_id, earlier, found.roles)
                compared = EarlierResults(tuple(earlier), created_at, theirs)
            yield replace(found, rows=chosen, earlier=compared)

    def earlier_batches(self, batch_id: str) -> list[str]:
        """Return the earlier batches of the workflow with the newest result of any of the rows."""
        with self._engine.connect() as connection, connection.begin():
            mine = self._results(connection, batch_id)
            every = batches_of(connection, mine.summary.workflow.id, mine.summary.base_url)
            older = every[every.index(batch_id) + 1 :]
            return EarlierRows(connection, batch_id, older, mine.roles).batches()

    @contextmanager
    def copied_results(self, batch_id: str) -> Iterator[BatchResults | None]:
        """Like `results`, from the safety copy; ``None`` if there is no complete copy."""
        if self._copy is None or not self._copy.is_whole:
            yield None
            return
        with self._copy.connection() as connection:
            yield None if connection is None else self._results(connection, batch_id)

    def _results(self, connection: Connection, batch_id: str) -> BatchResults:
        columns = (batches.c.header, batches.c.roles, batches.c.list_formats)
        query = select(*columns).where(batches.c.id == batch_id)
        kept, positions, list_formats = tuple(self._one(connection.execute(query), batch_id))
        with self._decoding():
            header = tuple(map(str, json.loads(kept)))
            at = range(len(header))
            roles = {Role(role): at[column] for role, column in json.loads(positions).items()}
        return BatchResults(
            summary=self._summary(connection, batch_id),
            header=header,
            rows=ResultRows(connection, batch_id),
            roles=roles,
            list_formats=list_formats,
        )

    def undecided(self, batch_id: str) -> list[ResultRow]:
        """Return the rows in doubt about which the user hasn't decided, in input order."""
        with self._engine.connect() as connection, connection.begin():
            return list(ResultRows(connection, batch_id, states=[JobState.IN_DOUBT]))

    def sent(self, batch_id: str) -> dict[tuple[str | None, str | None], tuple[SentJob, ...]]:
        """Return the jobs by their rows' (company, contact) IDs, all from one point in time."""
        with self._engine.connect() as connection, connection.begin():
            return read_sent(connection, batch_id)

    def batches_with(self, executions: Collection[str]) -> set[str]:
        """Return the batches with any of these executions, including replaced ones."""
        found: set[str] = set()
        wanted = list(executions)
        with self._engine.connect() as connection:
            for table in (jobs, attempts):
                for at in range(0, len(wanted), 500):  # SQLite allows 999 values per statement
                    some = wanted[at : at + 500]
                    query = select(table.c.batch_id).where(table.c.execution_id.in_(some))
                    found.update(connection.scalars(query.distinct()))
        return found

    # reading

    def _summary(self, connection: Connection, batch_id: str) -> BatchSummary:
        if _BATCH_ID.fullmatch(batch_id) is None:  # must be safe to paste into a shell
            raise JournalError(
                f"The journal {self.location} holds a batch whose ID batchrun did not write.",
                "If the file came from somebody else, don't use it.",
            )
        with self._decoding():
            found = self._one(connection.execute(_BATCH, {"batch": batch_id}), batch_id)
            # SQLite doesn't enforce types.
            for column, value in zip(_COLUMNS, found, strict=True):
                if not isinstance(value, (column.type.python_type, int, type(None))):
                    raise TypeError(column.name)
            states = read_counts(connection, batch_id)
            requests, beat_at = connection.execute(_WORKERS, {"batch": batch_id}).one()
            counts = dict.fromkeys(Outcome, 0)
            for state, each in states.items():
                counts[state.outcome] += each.rows
            counts[Outcome.INVALID] = found.invalid
            source = json.loads(found.source)
            for name in ("name", "path"):  # commands and files are made from them
                if not isinstance(source.get(name), str | None):
                    raise TypeError(found.source)
            roles = {Role(role): at for role, at in json.loads(found.roles).items()}
            return BatchSummary(
                batch_id=batch_id,
                workflow=Workflow(**_texts(found.workflow)),
                source=TableSource(
                    notices=tuple(source.pop("notices")),
                    formats=tuple((at, code) for at, code in source.pop("formats", ())),
                    **source,
                ),
                parameters={**json.loads(found.parameters)},  # a TypeError unless it is an object
                parameter_columns=_texts(found.parameter_columns),
                column_options=column_options(json.loads(found.header), roles),
                created_at=datetime.fromtimestamp(found.created_at, UTC),
                updated_at=datetime.fromtimestamp(max(found.updated_at, beat_at or 0.0), UTC),
                counts=counts,
                jobs=sum(each.jobs for each in states.values()),
                requests=found.requests + int(requests),
                estimated_seconds=found.estimated_seconds,
                estimated_requests=found.estimated_requests,
                worked_seconds=found.worked_seconds,
                quota_seconds=found.quota_seconds,
                output=found.output,
                target=found.target,
                resume_at=decode_time(found.resume_at),
                note=found.note,
                reused=sum(each.reused for each in states.values()),
                base_url=found.base_url,
                profile=found.profile,
                confirmed=not found.unconfirmed,
                practice=self._is_practice(connection, found),
            )

    def _one(self, found: Result[Any], batch_id: str) -> Row[Any]:
        """Return the only row found of a batch.

        Raises:
            JournalError: There is none: the batch was deleted after its ID was read.
        """
        if (row := found.one_or_none()) is None:
            raise JournalError(
                f"Batch {batch_id} has been deleted from the journal {self.location}.",
                Advice("", "To list the others: batchrun batches"),
            )
        return row

    def _is_practice(self, connection: Connection, of: Row[Any]) -> bool:
        """Whether it is certain: a tunnel or a gateway may also be on this machine."""
        if not is_loopback(of.base_url) or is_practice(of.base_url):
            return False  # `--sandbox` has its own journal
        if of.profile is None and of.key_hash is not None:
            return bool(of.key_hash == self._salted_hash(connection, SANDBOX_KEY))
        return bool(of.profile == SANDBOX_PROFILE)

    def _rescue(self, batch_id: str) -> RescueFiles:
        return RescueFiles(rescue_folders(self.location), batch_id)

    def key_hash(self, key: str) -> str:
        """Return a one-way hash of the key; computing it is deliberately slow."""
        if key not in self._key_hashes:
            salted = inserter(self._engine)(meta).values(name="salt", value=secrets.token_hex(16))
            with writing(self._engine) as connection:
                connection.execute(salted.on_conflict_do_nothing())
            with self._engine.connect() as connection:
                return self._salted_hash(connection, key)
        return self._key_hashes[key]

    def _salted_hash(self, connection: Connection, key: str) -> str:
        """Return the hash of the key with the journal's salt, ``""`` if it has none; reads only."""
        if key not in self._key_hashes:
            salt = connection.scalar(select(meta.c.value).where(meta.c.name == "salt"))
            if salt is None:
                return ""
            hashed = hashlib.scrypt(key.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=16)
            self._key_hashes[key] = hashed.hex()
        return self._key_hashes[key]


def _all_batches(connection: Connection) -> list[str]:
    """Return the IDs of all batches, newest first."""
    query = select(batches.c.id).where(batches.c.incomplete == 0)
    return list(connection.scalars(query.order_by(batches.c.created_at.desc())))


# A summary is read often, and SQLAlchemy takes longer to make these than to execute them.
_COLUMNS = [each for each in batches.c if each is not batches.c.list_formats]
_BATCH = select(*_COLUMNS).where(batches.c.id == bindparam("batch"))
_WORKERS = select(func.coalesce(func.sum(slices.c.requests), 0), func.max(slices.c.beat_at)).where(
    slices.c.batch_id == bindparam("batch")
)
_BATCH_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Remaining:
    """The part of a batch that is left to do."""

    to_trigger: int  # number of jobs that have not been sent
    running: int  # number of executions in flight
    running_rows: int  # number of rows that wait for those
    oldest: datetime | None  # when the oldest of those executions was triggered; aware, UTC


def _texts(stored: str) -> dict[str, str]:
    """Decode an object of texts.

    Raises:
        TypeError, ValueError: It is something else, as only a stranger's journal has.
    """
    found = {**json.loads(stored)}
    if not all(isinstance(value, str) for value in found.values()):
        raise TypeError(stored)
    return found
