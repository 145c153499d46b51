"""Plan a batch: which jobs to send and what they cost. Pure: no I/O."""

from __future__ import annotations

import hashlib
import json
import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.model import JSON, BatchSummary, Cell, KnownJob, Outcome, Role, Row, Table, Workflow
from batchrun.tables.ids import DamagedId, IdKind, ValidId, parse_id
from batchrun.tables.roles import (
    GET_IDS,
    WORDS,
    candidate_contents,
    choose_column,
    column_name,
    roles_named,
    swap_notice,
)
from batchrun.text import CANT_BE_SENT, as_displayed, counted, duration, html_table, plural

if TYPE_CHECKING:
    import numpy.typing as npt

    from batchrun.estimate import Estimate, EstimateRates
    from batchrun.service.answers import Credits
    from batchrun.tables.roles import Contents

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The values for the trigger body's ``parameters``.

    A column overrides a constant of the same name. If its cell is empty, the parameter is omitted.
    """

    constant: Mapping[str, JSON] = field(default_factory=dict)  # sent with every row
    columns: Mapping[str, int] = field(default_factory=dict)  # name → position of the column


@dataclass(frozen=True, slots=True)
class Decision:
    """The trigger body of a row, or the reason why nothing is sent. IDs are in canonical form."""

    company_id: str | None
    contact_id: str | None
    body: str  # the trigger body as JSON text; "" if the row is invalid
    reason: str = ""  # why it is invalid, without its values so that rows can be grouped by reason
    shown: str = ""  # the values that make it invalid, ready for display


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow(Decision):
    """One input row and what is sent for it."""

    row: Row
    job: int | None  # number of its job; None if the row is invalid


class _RowPlanner:
    """Decides what to send for each row."""

    def __init__(
        self,
        workflow: Workflow,
        table: Table,
        roles: Mapping[Role, int],
        parameters: Parameters,
        *,
        lenient_ids: bool,
    ) -> None:
        self.table = table
        self.columns = (*roles.values(), *parameters.columns.values())  # those to read, IDs first
        self.roles = roles
        self.lenient = lenient_ids
        self._no_ids = " and ".join(f"no {WORDS[role]} ID" for role in roles)
        self._misaligned = table.misaligned
        formats = dict(table.source.formats)
        self._named = [(name, formats.get(at, "")) for name, at in parameters.columns.items()]
        self._constant = dict(parameters.constant)
        self._body_start = _json({"workflow_id": workflow.id})[:-1]
        self._body_end = _parameters_text(self._constant) + "}"

    def decide(self, line: int, values: Sequence[Cell]) -> Decision:
        """Decide what to send for a row, given its line and its cells in ``columns``."""
        ids: dict[Role, str | None] = {}
        problems: list[tuple[str, str]] = []
        if line in self._misaligned:
            problems.append((_MISALIGNED, ""))
        for role, cell in zip(self.roles, values, strict=False):
            parsed = parse_id(cell, lenient=self.lenient)
            ids[role] = parsed.value if isinstance(parsed, ValidId) else None
            if isinstance(parsed, DamagedId):
                problems.append((f"{WORDS[role]} ID {parsed.reason}", parsed.shown))
        if not problems and not any(ids.values()):
            problems.append((self._no_ids, ""))
        sent = dict(self._constant)
        for (name, code), cell in zip(self._named, values[len(ids) :], strict=True):
            if isinstance(cell, float) and not math.isfinite(cell):
                problems.append((f"parameter {name} is not a number JSON can carry", str(cell)))
            elif cell is not None and cell != "":
                sent[name] = _json_value(as_displayed(cell, code))
        company, contact = ids.get(Role.COMPANY), ids.get(Role.CONTACT)
        if problems:
            reason = "; ".join(words for words, _ in problems)
            shown = ", ".join(value for _, value in problems if value)
            return Decision(company, contact, "", reason, shown)
        end = _parameters_text(sent) + "}" if self._named else self._body_end
        return Decision(company, contact, self._body(ids, end))

    def without_contact(self, decision: Decision) -> str:
        """Return the body of a row without its contact ID."""
        contact = f', "{Role.CONTACT.value}": "{decision.contact_id}"'
        return decision.body.replace(contact, "", 1)

    def row(self, row: Row) -> Decision:
        """Decide what to send for a row."""
        return self.decide(row.line, [row.cells[at] for at in self.columns])

    def body_at(self, place: int) -> str:
        """Return what is sent for the row at a place."""
        return self.row(self.table.row(place)).body

    def planned(self, row: Row, job: int) -> PlannedRow:
        """Return a row with what is sent for it, and its job: -1 for none."""
        found = self.row(row)
        return PlannedRow(
            found.company_id,
            found.contact_id,
            found.body,
            found.reason,
            found.shown,
            row=row,
            job=None if job < 0 else job,
        )

    def all(self) -> Iterator[Decision]:
        """Decide what to send for each row. Reads only ``columns``."""
        lines = self.table.lines.tolist() if self._misaligned else repeat(0)
        cells = zip(*(self.table.cells[at] for at in self.columns), strict=True)
        return map(self.decide, lines, cells)

    def _body(self, ids: Mapping[Role, str | None], end: str) -> str:
        sent = "".join(f', "{role.value}": "{value}"' for role, value in ids.items() if value)
        text = f"{self._body_start}{sent}{end}"
        if _SURROGATE.search(text):  # UTF-8 can't encode it, so escape it for the database and HTTP
            return json.dumps(json.loads(text), allow_nan=False)
        return text


_MISALIGNED = "the row is not as wide as the header, and an ID is in another column"
MEND_HEADER = (
    "The column names do not stand above their columns. Open the list, give each column its name"
    " (a column of row numbers needs one too), or export the list again."
)
"""What to do if the cells of all rows are not under their names."""


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _parameters_text(values: Mapping[str, JSON]) -> str:
    return f', "parameters": {_json(dict(sorted(values.items())))}' if values else ""


class MadeOnAccess(Sequence[T]):
    """A sequence that saves memory: each item is made from a row's place each time it is read."""

    def __init__(self, places: range | npt.NDArray[np.integer], make: Callable[[int], T]) -> None:
        self._places, self._make = places, make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        """Return one item, or several for a slice."""
        if isinstance(at, slice):
            return [self._make(int(place)) for place in self._places[at]]
        return self._make(int(self._places[at]))


class PlannedRows(MadeOnAccess[PlannedRow]):
    """The rows of a plan, of which only numbers are kept.

    ``jobs`` has the job number of each row: -1 for an invalid row. ``invalid`` has the places of
    the invalid rows by reason. The plan's fingerprint is ``""`` until it is computed.
    """

    def __init__(
        self,
        planner: _RowPlanner,
        jobs: npt.NDArray[np.int32],
        invalid: Mapping[str, array[int]],
    ) -> None:
        super().__init__(range(len(jobs)), self.at)
        self._planner = planner
        self.jobs = jobs
        self.invalid = invalid
        self.fingerprint = ""

    @cached_property
    def contents(self) -> Sequence[Contents]:
        """What the ID columns hold, and other columns that might be one. Reads all their cells."""
        planner = self._planner
        return candidate_contents(planner.table, planner.roles, lenient=planner.lenient)

    def at(self, place: int) -> PlannedRow:
        """Return the row at a place."""
        return self._planner.planned(self._planner.table.row(place), int(self.jobs[place]))

    def __iter__(self) -> Iterator[PlannedRow]:
        return map(self._planner.planned, self._planner.table.rows(), map(int, self.jobs))


_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Plan:
    """A table turned into jobs.

    Attributes:
        workflow: The workflow to trigger.
        table: The input list.
        roles: Column position of each ID.
        parameters: Values to send in addition to the IDs.
        rows: One entry per row, in input order.
        bodies: The distinct trigger bodies as JSON text; a job's number is its position.
        rates: The rates that the estimate of requests and time is based on.
        lenient_ids: Whether to also send IDs that look like PG:AI IDs but have a typo.
        credits: The credits left; ``None`` if they were not requested.
        known: Job number → the outcome of the same trigger body in an earlier batch.
        reused: Numbers of the jobs that reuse an earlier result; nothing is sent for them.
        earlier: The newest batch of the same list, workflow and parameters; set by `check`.
        companies: Number of jobs if contact IDs were not sent, number of companies, number of
            contacts, number of valid rows without a company ID; ``None`` if the list has only one
            kind of ID.
    """

    workflow: Workflow
    table: Table
    roles: Mapping[Role, int]
    parameters: Parameters
    rows: PlannedRows
    bodies: MadeOnAccess[str]
    rates: EstimateRates
    lenient_ids: bool = False
    credits: Credits | None = None
    known: Mapping[int, KnownJob] = field(default_factory=dict)
    reused: frozenset[int] = frozenset()
    earlier: BatchSummary | None = None
    companies: tuple[int, int, int, int] | None = None

    @property
    def to_trigger(self) -> int:
        """Number of jobs to send."""
        return len(self.bodies) - len(self.reused)

    @property
    def first_body(self) -> str | None:
        """The first trigger body to send; ``None`` if there is none."""
        numbered = enumerate(self.bodies)
        return next((body for number, body in numbered if number not in self.reused), None)

    @property
    def estimate(self) -> Estimate:
        """Estimated requests and time for the jobs to send."""
        return self.rates.of(self.to_trigger)

    def with_known_results(
        self, known: Mapping[int, KnownJob], now: datetime, reuse: timedelta | None
    ) -> Plan:
        """Return this plan with the results of earlier batches.

        Args:
            known: Job number → the outcome of its trigger body in an earlier batch.
            now: The current time, timezone-aware.
            reuse: Maximum age of a result to reuse; ``None`` to reuse nothing.
        """
        reused = frozenset(
            number
            for number, job in known.items()
            if reuse is not None
            and job.outcome is Outcome.COMPLETED
            and job.finished_at is not None
            and now - job.finished_at <= reuse
        )
        return replace(self, known=known, reused=reused)

    @property
    def invalid(self) -> Sequence[PlannedRow]:
        """The rows that can't be sent, in input order."""
        return MadeOnAccess(np.flatnonzero(self.rows.jobs < 0), self.rows.at)

    def invalid_by_reason(self) -> list[tuple[str, Sequence[PlannedRow]]]:
        """Group the rows that can't be sent by reason, most frequent first."""
        groups = sorted(self.rows.invalid.items(), key=lambda group: -len(group[1]))
        return [(reason, MadeOnAccess(np.array(at), self.rows.at)) for reason, at in groups]

    @property
    def duplicates(self) -> int:
        """Rows that share the job of an earlier row."""
        return int(np.count_nonzero(self.rows.jobs >= 0)) - len(self.bodies)

    def rows_words(self, left: int | None = None) -> str:
        """Return how the rows add up: ``25 (20 to send, 3 duplicates, 2 can't be sent)``.

        ``left`` is how many jobs are still to be triggered; ``None`` for all.
        """
        left = self.to_trigger if left is None else left
        reused = int(np.count_nonzero(np.isin(self.rows.jobs, [*self.reused])))
        duplicates = self.duplicates - (reused - len(self.reused))
        parts = {
            "to send": left,
            "sent before": self.to_trigger - left,
            "reused": reused,
            "duplicate" if duplicates == 1 else "duplicates": duplicates,
            CANT_BE_SENT: len(self.invalid),
        }
        return f"{len(self.rows):,} ({counted(parts)})"

    def require_jobs(self) -> None:
        """Raise an error if there is nothing to send.

        Raises:
            InputError: No row has an ID that can be sent. The message says what the ID columns
                hold.
        """
        if len(self.bodies):
            return
        columns = "; ".join(f"{each.name}: {each.words}" for each in self.rows.contents)
        first = self.rows[0]
        raise InputError(
            f"Nothing in {self.table.source.name} can be sent ({plural(len(self.rows), 'row')}). "
            f"Line {first.row.line}: {first.reason}. {columns}.",
            self._advice(),
        )

    def hints(self) -> list[str]:
        """Return hints that may save money or reveal a mistake."""
        if not len(self.bodies):
            return [self._advice()]
        object_, where = _subject_of(self.workflow)
        if misnamed := self._misnamed():
            return misnamed
        if set(self.roles) == set(Role):
            return [*self._incomplete_hint(object_, where), *self._company_hint(object_, where)]
        [role] = self.roles
        if object_ is None or object_ is role:
            return []
        words = f"{_NOUNS[object_]}, but only {role.name.lower()} IDs are sent"
        about = f"Judging by its {where}, the workflow is about {words}"
        return [f"{about}: make sure that it is the one you want"]

    def _sent_cells(self, column: int) -> Iterator[tuple[int, Cell]]:
        """Yield the place of each row that can be sent, and its cell in a column."""
        cells = self.table.cells[column]
        return ((at, cells[at]) for at in np.flatnonzero(self.rows.jobs >= 0).tolist())

    def _has_id(self, role: Role) -> Iterator[tuple[int, bool]]:
        """Yield the place of each row that can be sent, and whether it has an ID of a kind."""
        for at, cell in self._sent_cells(self.roles[role]):
            yield at, isinstance(parse_id(cell, lenient=self.lenient_ids), ValidId)

    def sent_roles(self) -> list[Role]:
        """Return the kinds of ID that are sent for at least one row."""
        return [role for role in self.roles if any(has_id for _, has_id in self._has_id(role))]

    def column_values(self) -> Iterator[tuple[str, str, list[Cell], int]]:
        """Yield each parameter that comes from a column: its name, the column's, and its values.

        The last item is how many rows have no value. Rows that can't be sent do not count.
        """
        for name, at in self.parameters.columns.items():
            cells = [cell for _, cell in self._sent_cells(at)]
            values: list[Cell] = [cell for cell in cells if cell not in (None, "")]
            yield name, column_name(self.table, at), values, len(cells) - len(values)

    def _misnamed(self) -> list[str]:
        """Return the columns whose name is that of the other kind of ID."""
        found = []
        for role, at in self.roles.items():
            named = roles_named(self.table.header[at])
            if named and role not in named:
                name, [other] = column_name(self.table, at), named
                kinds = f"{role.name.lower()} ID, but is named like a {other.name.lower()} ID"
                found.append(f"Column '{name}' is sent as the {kinds}")
        return found

    def _advice(self) -> str:
        """Return what to do if no row can be sent."""
        if self.rows.invalid.keys() <= {_MISALIGNED}:
            return MEND_HEADER
        found = self.rows.contents
        others = [each for each in found if each.uuids and each.position not in self.roles.values()]
        if others and len(self.roles) == 1:
            return choose_column(others[0], *self.roles)
        almost = any(each.uuids or _ALMOST & set(each.damaged) for each in found)
        return MEND_IDS if almost else GET_IDS

    def columns_line(self) -> str:
        """Say which columns have the IDs: by name, and by number too if columns share the name."""
        names = [column_name(self.table, at) for at in range(len(self.table.header))]
        shown = []
        for role, at in self.roles.items():
            name = f"'{names[at]}'" if self.table.header[at].strip() else str(at + 1)
            number = f" (column {at + 1})" if names.count(names[at]) > 1 else ""
            shown.append(f"{role.name.lower()} ID from column {name}{number}")
        return ", ".join(shown)

    def _incomplete_hint(self, object_: Role | None, where: str) -> list[str]:
        """Return a hint if rows are sent without the kind of ID that the workflow is about."""
        if object_ is None:
            return []
        lacking = [place for place, has_id in self._has_id(object_) if not has_id]
        if not lacking:
            return []
        [other] = set(Role) - {object_}
        name, only = object_.name.lower(), other.name.lower()
        rows = plural(len(lacking), f"row without a {name} ID is", f"rows without a {name} ID are")
        sent = f"{rows} sent with the {only} ID only (first: line {self.table.lines[lacking[0]]})"
        about = f"but judging by its {where}, the workflow is about {_NOUNS[object_]}"
        return [f"{sent}, {about}: make sure that this is what you want"]

    def _company_hint(self, object_: Role | None, where: str) -> list[str]:
        """Return a hint if sending companies only would need fewer jobs."""
        jobs, companies, contacts, without = self.companies or (0, 0, 0, 0)
        saves = self.to_trigger and contacts and jobs < len(self.bodies)
        if object_ is Role.CONTACT or not saves:
            return []
        left_out = f" and leaves out {plural(without, 'row')} without a company ID"
        hint = Advice(
            f"You would pay for {plural(len(self.bodies), 'job')} at "
            f"{plural(companies, 'company', 'companies')}, "
            f"because {plural(contacts, 'contact is', 'contacts are')} sent, too",
            f"; --no-contact pays for {jobs:,}" + (left_out if without else ""),
            no_contact="",
        )
        if object_ is Role.COMPANY:
            hint += f" (judging by its {where}, the workflow is about companies)"
        return [hint]

    def id_lines(self) -> list[str]:
        """Describe the contents of each ID column and of each column that might be one."""
        lines = [f"{each.name}: {each.words}" for each in self.rows.contents]
        swapped = swap_notice(self.table, self.roles)
        return [*lines, swapped] if swapped else lines

    def __repr__(self) -> str:
        return f"<Plan {'; '.join(f'{name}: {text}' for name, text in self._lines())}>"

    def _repr_html_(self) -> str:
        return html_table("Nothing is triggered yet", self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        takes = self.estimate
        return [
            ("List", self.table.source.name),
            ("Workflow", f"{self.workflow.name} ({self.workflow.id})"),
            ("Rows", self.rows_words()),
            ("Jobs", f"{self.to_trigger:,} to trigger"),
            ("Quota", f"about {plural(takes.requests, 'request')}, {duration(takes.seconds)}"),
        ]

    def fingerprint(self) -> str:
        """Return a hash that is equal for equal rows, workflow and parameters."""
        if self.rows.fingerprint:
            return self.rows.fingerprint
        digest = hashlib.sha256(self.workflow.id.encode())
        digest.update(json.dumps(dict(self.parameters.constant), sort_keys=True).encode())
        digest.update(repr(sorted(self.parameters.columns.items())).encode())
        digest.update(repr((self.table.header, sorted(self.roles.items()))).encode())
        if self.lenient_ids:  # gives different jobs for the same rows
            digest.update(b"lenient")
        for row in self.table.rows():
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
        self.rows.fingerprint = digest.hexdigest()
        return self.rows.fingerprint


def make_plan(
    table: Table,
    workflow: Workflow,
    roles: Mapping[Role, int],
    parameters: Parameters,
    rates: EstimateRates,
    *,
    lenient_ids: bool = False,
) -> Plan:
    """Plan a job for each valid row; rows with the same body share one job."""
    planner = _RowPlanner(workflow, table, roles, parameters, lenient_ids=lenient_ids)
    digests = bytearray()  # the bodies themselves would take too much memory for a large list
    valid = bytearray()
    invalid: dict[str, array[int]] = {}
    both = set(roles) == set(Role)
    alone, companies, contacts = array("q"), array("q"), array("q")
    for place, decision in enumerate(planner.all()):
        body = decision.body.encode()
        valid.append(bool(body))
        if not body:
            invalid.setdefault(decision.reason, array("i")).append(place)
        digests += hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
        if both and body and decision.company_id is not None:
            alone.append(hash(planner.without_contact(decision)))
            companies.append(hash(decision.company_id))
            if decision.contact_id is not None:
                contacts.append(hash(decision.contact_id))
    first = _first_of_each(digests, np.frombuffer(valid, dtype=np.bool_))
    del digests
    is_first = first == np.arange(len(first), dtype=np.int32)
    jobs = np.full(len(first), -1, dtype=np.int32)
    sent = first >= 0
    jobs[sent] = (np.cumsum(is_first, dtype=np.int32) - 1)[first[sent]]
    counts = (_count_different(alone), _count_different(companies), _count_different(contacts))
    return Plan(
        workflow,
        table,
        roles,
        parameters,
        PlannedRows(planner, jobs, invalid),
        MadeOnAccess(np.flatnonzero(is_first).astype(np.int32), planner.body_at),
        rates,
        lenient_ids,
        companies=(*counts, sum(valid) - len(alone)) if both else None,
    )


def _count_different(hashes: array[int]) -> int:
    return len(np.unique(np.frombuffer(hashes, dtype=np.int64)))


def _first_of_each(digests: bytearray, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Return, for each row, the position of the first row with the same digest; -1 if invalid.

    The digests are split by their first byte and sorted in parts, because sorting all of them at
    once takes several times their memory.

    Args:
        digests: The digests of all rows, ``_DIGEST_BYTES`` each.
        valid: Whether each row is valid, shape (rows,).
    """
    halves = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2)
    byte = np.frombuffer(digests, dtype=np.uint8)[::_DIGEST_BYTES]
    first = np.full(len(valid), -1, dtype=np.int32)
    parts = 1 if len(valid) < 100_000 else 16
    for part in range(parts):
        places = np.flatnonzero(valid & (byte % parts == part)).astype(np.int32)
        if not len(places):
            continue
        order = np.lexsort((halves[places, 1], halves[places, 0]))  # stable: the first row wins
        placed = places[order]
        new = np.ones(len(placed), dtype=np.bool_)
        new[1:] = (halves[placed[1:]] != halves[placed[:-1]]).any(axis=1)
        first[placed] = placed[new][np.cumsum(new) - 1]
    return first


class BodyIndex:
    """Looks up the job number of a trigger body. Keeps hashes, not the bodies."""

    def __init__(self, bodies: Sequence[str]) -> None:
        self._bodies = bodies
        hashes = np.fromiter(map(hash, bodies), dtype=np.int64, count=len(bodies))
        self._order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._order]

    def number(self, body: str) -> int | None:
        """Return the job number of a body; ``None`` if it is not in the plan."""
        at = int(np.searchsorted(self._hashes, hash(body)))
        while at < len(self._hashes) and self._hashes[at] == hash(body):
            number = int(self._order[at])
            if self._bodies[number] == body:
                return number
            at += 1
        return None


_DIGEST_BYTES = 16
"""16 bytes: in a list of ten million bodies, the chance of a collision is about 1 in 10^24."""

MEND_IDS = (
    Advice(
        "The list has IDs, but none that can be sent.", " To see every row, add --details to check."
    )
    + " Correct the rows, or export the list again."
)
_ALMOST = {IdKind.SEVERAL, IdKind.MISTYPED, IdKind.TRUNCATED}


_NOUNS = {Role.COMPANY: "companies", Role.CONTACT: "contacts"}
_OBJECTS = {
    Role.COMPANY: re.compile(
        r"\b(compan(y|ies)|accounts?|organi[sz]ations?|firms?)\b", re.IGNORECASE
    ),
    Role.CONTACT: re.compile(
        r"\b(contacts?|persons?|people|leads?|prospects?|candidates?)\b", re.IGNORECASE
    ),
}


def _subject_of(workflow: Workflow) -> tuple[Role | None, str]:
    """Return what a workflow works on, and whether its name or its description says so.

    The name is checked first. The role is ``None`` if the text mentions both kinds or neither.
    """
    for where, text in (("name", workflow.name), ("description", workflow.description)):
        found = [role for role, pattern in _OBJECTS.items() if pattern.search(text)]
        if found:
            return (found[0] if len(found) == 1 else None), where
    return None, ""


def _json_value(cell: Cell) -> JSON:
    """Convert a cell to JSON: dates and times to ISO 8601, durations to seconds."""
    match cell:
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return cell.total_seconds()
        case _:
            return cell
