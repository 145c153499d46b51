"""The values that travel between batchrun's stages: load → plan → trigger → poll → write.

All are frozen, and none does input or output. Packages exchange these values and nothing internal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from batchrun.errors import ExitCode, UsageError
from batchrun.text import CANT_BE_SENT, counted, duration, html_table, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import TypeIs

    from batchrun.tables.store import StoredCells

    Decide: TypeAlias = Callable[[Sequence["ResultRow"]], "InDoubt"]
    """Decides about the rows in doubt."""

Cell: TypeAlias = str | int | float | bool | datetime | date | time | timedelta | None
"""One cell of a table, exactly as the file holds it. An empty CSV field is ``""``, an empty
workbook cell ``None``."""

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
"""Any JSON value, as the standard library's ``json`` reads it."""


_MOMENTS: Mapping[str, type[date | time]] = {"datetime": datetime, "date": date, "time": time}
"""In this order, because each datetime is a date, too."""


def plain_cell(cell: datetime | date | time | timedelta) -> JSON:
    """Encode a cell for which JSON has no type as an object; no other cell is one."""
    if isinstance(cell, timedelta):
        return {"seconds": [cell.days, cell.seconds, cell.microseconds]}
    name = next(name for name, kind in _MOMENTS.items() if isinstance(cell, kind))
    return {name: cell.isoformat()}


def cell_of(value: Any) -> Cell:
    """Decode a cell from JSON, or from the object that `plain_cell` returned.

    Raises:
        ValueError, TypeError, KeyError: It is something else.
    """
    match value:
        case None | str() | bool() | int() | float():
            return value
        case {"seconds": [days, seconds, microseconds]}:
            return timedelta(days, seconds, microseconds)
        case dict():
            [(name, text)] = value.items()
            return _MOMENTS[name].fromisoformat(text)
        case _:
            raise ValueError(f"not a cell: {value!r}")


class Outcome(StrEnum):
    """How a row ended. Every input row has exactly one outcome."""

    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    INVALID = "invalid"
    TIMED_OUT = "timed out"
    IN_DOUBT = "in doubt"
    PENDING = "pending"

    @property
    def words(self) -> str:
        """Its name in texts for people."""
        return CANT_BE_SENT if self is Outcome.INVALID else self.value


def counted_outcomes(counts: Mapping[Outcome, int]) -> str:
    """Rows by outcome as text, such as ``38 completed, 2 can't be sent``."""
    return counted({outcome.words: number for outcome, number in counts.items()})


class Cause(StrEnum):
    """Why a row has no result, where that decides what to do about it."""

    NO_ACCESS = "no access"
    """The key may not do this."""
    NO_CREDITS = "no credits"
    UNKNOWN_RECORD = "unknown record"
    """The service has no such company or contact."""
    BAD_VALUES = "bad values"
    """The service does not accept the row's IDs or parameters."""
    NOT_REACHED = "not reached"
    """A proxy, gateway or redirect answered, not the service."""
    TEMPORARY = "temporary"
    NOTHING_PUBLISHED = "nothing published"
    """There is no information about the company or contact."""
    INCOMPLETE_RECORD = "incomplete record"
    """The record lacks what the workflow needs, such as a domain."""


RETRIED_BY_ITSELF = frozenset({Outcome.FAILED, Outcome.REJECTED})
"""The outcomes that `retry` sends again by default."""

_WHY_NOT = {
    Outcome.COMPLETED: ("Their results are there; run --again runs and pays for everything again."),
    Outcome.INVALID: "They can't be sent. Correct the list, and run it with --reuse 30d.",
    Outcome.PENDING: "Send them with: batchrun resume",
}


def retriable(outcomes: Collection[Outcome]) -> frozenset[Outcome]:
    """The outcomes to retry.

    Raises:
        UsageError: One of them can't be retried; it says why.
    """
    for outcome in outcomes:
        if outcome in _WHY_NOT:
            raise UsageError(f"Rows that are {outcome} are not retried.", _WHY_NOT[outcome])
    return frozenset(outcomes)


class InDoubt(StrEnum):
    """What the user decides about triggers that may or may not have been accepted."""

    HOLD = "hold"
    """Leave them in doubt and ask again next time."""
    RETRY = "retry"
    """Send them again. You pay twice for those that were accepted."""
    DROP = "drop"
    """Never send them. They stay in doubt, and batchrun does not ask again."""


class Role(StrEnum):
    """What an ID column holds. The value is the key in the trigger body."""

    COMPANY = "company_id"
    CONTACT = "contact_id"


_SET_ASIDE = re.compile(
    r"(?:.*?: )??(\d[^(;:]*) (?:set aside|skipped|and left out)\b(?: \((lines? [^:)]*)[:)])?"
)


@dataclass(frozen=True, slots=True)
class TableSource:
    """Where a table came from and how it was read."""

    name: str  # file name, or the caller's name for a DataFrame
    path: str | None = None  # absolute path of the file; None for a DataFrame
    format: str = "dataframe"  # or "csv" or "xlsx"
    sheet: str | None = None  # of a workbook
    first_column: int = 1  # column of the sheet in which the table's first column stands; A is 1
    encoding: str | None = None  # of a text file, such as "utf-8-sig" or "cp1252"
    delimiter: str | None = None  # of a text file
    header_line: int | None = None  # line of the column names; None if the list has none
    # Columns whose numbers are displayed with leading zeros: position and format, such as 00000
    formats: tuple[tuple[int, str], ...] = ()
    notices: tuple[str, ...] = ()  # what the user should know about how the file was read
    links: str = ""  # what is known about IDs in links, which are not read; "" if there are none

    @property
    def set_aside(self) -> list[str]:
        """Lines of the file that are not rows of the list: ``2 subtotals (lines 5, 9)``."""
        said = [re.sub(r" (is|are|was|were)\b", "", notice) for notice in self.notices]
        found = filter(None, map(_SET_ASIDE.match, said))
        return [f"{one[1]} ({one[2]})" if one[2] else one[1] for one in found]

    def place(self, line: int) -> str:
        """Where a line is, for messages: ``accounts.xlsx, sheet Export, line 7``."""
        sheet = f", sheet {self.sheet}" if self.sheet else ""
        return f"{self.name}{sheet}, line {line}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    line: int  # as Excel or an editor shows it, from 1
    cells: tuple[Cell, ...]  # one per column of the table's header


_LINES_AT_ONCE = 10_000


def is_stored(cells: npt.NDArray[np.object_] | StoredCells) -> TypeIs[StoredCells]:
    """Whether the cells of a list are on disk."""
    return hasattr(cells, "rows")


@dataclass(frozen=True, slots=True)
class Table:
    """An input list: a header and rows whose cells are exactly as they were in the file."""

    source: TableSource
    header: tuple[str, ...]  # as it stands in the file; names may repeat or be blank
    # Shape (columns, rows): a read-only array or, for a large list, the same on disk
    cells: npt.NDArray[np.object_] | StoredCells
    lines: npt.NDArray[np.int64]  # the line number of each row, shape (rows,), read-only
    misaligned: frozenset[int] = frozenset()  # lines of rows whose fields seem to be shifted
    # Those of the source's notices that say that another line may be the header
    header_doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make the arrays read-only: a DataFrame shares them, and must not change what is sent."""
        if not is_stored(self.cells):
            self.cells.flags.writeable = False
        self.lines.flags.writeable = False

    def __len__(self) -> int:
        return len(self.lines)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in file order."""
        cells = self.cells.rows() if is_stored(self.cells) else zip(*self.cells, strict=True)
        starts = range(0, len(self.lines), _LINES_AT_ONCE)
        lines = (self.lines[start : start + _LINES_AT_ONCE].tolist() for start in starts)
        return map(Row, chain.from_iterable(lines), cells)

    def row(self, number: int) -> Row:
        """One row; 0 is the first."""
        return Row(int(self.lines[number]), tuple(column[number] for column in self.cells))


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as the service lists it."""

    id: str
    name: str
    description: str = ""
    status: str = "active"


class ExecutionStatus(StrEnum):
    """The state of an execution. A state that is not in the API is ``UNKNOWN``: not finished."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as the service describes it. Its times are aware, UTC; ``None`` if unknown."""

    id: str
    status: ExecutionStatus
    created_at: datetime | None = None  # when it was accepted
    started_at: datetime | None = None
    completed_at: datetime | None = None
    result: JSON = None  # None until there is one
    message: str = ""  # what the service says about a failure or an unknown status
    cause: Cause | None = None  # why it failed, if the message says

    @property
    def ended(self) -> bool:
        """Whether it has ended and need not be polled again."""
        return self.status in {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED}


@dataclass(frozen=True, slots=True)
class KnownJob:
    """How a trigger body ended in an earlier batch."""

    batch_id: str
    number: int  # of the job in that batch
    outcome: Outcome  # completed, or not known to have ended: pending, timed out, in doubt
    finished_at: datetime | None = None  # when it completed; aware, UTC


@dataclass(frozen=True, slots=True)
class ResultRow:
    """An input row with its outcome and result, as the workbook gets it.

    Attributes:
        row: The input row.
        outcome: How it ended.
        message: Why, in plain words; for a completed row, which batch its result was reused from.
        company_id: The company ID that was or would be sent, in canonical form, else ``None``.
        contact_id: The contact ID, in the same form.
        execution_id: The service's execution ID; ``None`` if there is none.
        triggered_at: When the execution was accepted, aware, UTC.
        started_at: When it started to run.
        finished_at: When it ended.
        result: The execution's result as the service sent it; ``None`` without one.
        dropped: Whether the user decided to leave it in doubt for good.
        sending: Whether its trigger is being sent, or was being sent when its process died.
        cause: Why there is no result; ``None`` if that is unknown or decides nothing.
        job: Number of its job, which rows with the same trigger body share; ``None`` if invalid.
        other_name: Whether a row above it has the same ID and another name.
    """

    row: Row
    outcome: Outcome
    message: str = ""
    company_id: str | None = None
    contact_id: str | None = None
    execution_id: str | None = None
    triggered_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: JSON = None
    dropped: bool = False
    sending: bool = False
    cause: Cause | None = None
    job: int | None = None
    other_name: bool = False

    @property
    def reused(self) -> bool:
        """Whether its result was taken from an earlier batch, which its message names."""
        return self.outcome is Outcome.COMPLETED and bool(self.message) and not self.other_name

    @property
    def seconds(self) -> float | None:
        """How long the execution ran, in seconds; ``None`` when not known.

        The service's clock may be set back in between: an end before the start counts as unknown.
        """
        if self.started_at is None or self.finished_at is None:
            return None
        seconds = (self.finished_at - self.started_at).total_seconds()
        return seconds if seconds >= 0 else None


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """A batch as a whole, for the Overview sheet, ``status`` and ``batches``.

    Attributes:
        batch_id: Short id such as ``1123-accounts-7f3a``.
        workflow: The workflow that was run.
        source: The input list.
        parameters: Constant parameters sent with each trigger.
        created_at: When the batch was planned, aware, UTC.
        updated_at: When its journal last changed, aware, UTC.
        counts: Rows by outcome. Every outcome is a key, and the values add up to the rows.
        jobs: Distinct trigger bodies.
        requests: HTTP requests sent so far, of all kinds.
        estimated_seconds: How long the plan said it would take, in seconds.
        estimated_requests: How many requests the plan said it would take.
        worked_seconds: How long it was worked on, over all runs.
        quota_seconds: How much of that time was spent only waiting for the quota.
        output: Path of the workbook that was last written; ``None`` before the first.
        note: Why it paused or stopped, else ``""``.
        reused: Rows whose result was taken from an earlier batch.
        base_url: The address of its service.
        profile: The profile whose key it was started with; ``None`` for a key that is not stored.
        target: Path where its workbook belongs, even before it is written.
        resume_at: When the quota is available again, aware, UTC; ``None`` if it is not spent.
        confirmed: Whether somebody has agreed to send all of it. Not so after a pilot.
        parameter_columns: Parameter → the column its value came from.
        column_options: Options that choose the ID columns of its list; none if their names do.
        practice: Whether it certainly ran at a service that `batchrun sandbox` started.
    """

    batch_id: str
    workflow: Workflow
    source: TableSource
    parameters: Mapping[str, JSON]
    created_at: datetime
    updated_at: datetime
    counts: Mapping[Outcome, int]
    jobs: int
    requests: int
    estimated_seconds: float
    estimated_requests: int = 0
    worked_seconds: float = 0.0
    quota_seconds: float = 0.0
    output: str | None = None
    note: str = ""
    reused: int = 0
    base_url: str = ""
    profile: str | None = None
    target: str | None = None
    resume_at: datetime | None = None
    confirmed: bool = True
    parameter_columns: Mapping[str, str] = field(default_factory=dict)
    column_options: tuple[str, ...] = ()
    practice: bool = False

    @property
    def rows(self) -> int:
        """Rows of the input list."""
        return sum(self.counts.values())

    @property
    def unfinished(self) -> bool:
        """Whether ``resume`` would have something to do."""
        return bool(self.counts[Outcome.PENDING] or self.counts[Outcome.TIMED_OUT])

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that leaves it like this."""
        if self.unfinished:
            return ExitCode.PAUSED
        completed = self.counts[Outcome.COMPLETED] == self.rows
        return ExitCode.COMPLETED if completed else ExitCode.INCOMPLETE

    @property
    def words(self) -> str:
        """The batch in one line."""
        counts = counted_outcomes(self.counts)
        what = f"{self.workflow.name} on {self.source.name}"
        return f"{self.batch_id}, {what}, {plural(self.rows, 'row')} ({counts})"

    def lines(self) -> list[tuple[str, str]]:
        """The batch as pairs of label and text."""
        return [
            ("List", self.source.name),
            ("Workflow", f"{self.workflow.name} ({self.workflow.id})"),
            ("Rows", f"{self.rows:,} ({counted_outcomes(self.counts)})"),
            ("Requests", f"{self.requests:,} in {duration(self.worked_seconds)}"),
            ("Note", self.note),
            ("Output", self.output or ""),
        ]

    def __repr__(self) -> str:
        return f"<BatchSummary {self.words}>"

    def _repr_html_(self) -> str:
        return html_table(f"Batch {self.batch_id}", self.lines())


@dataclass(frozen=True, slots=True)
class EarlierResults:
    """Results of earlier batches of the same workflow for the same companies and contacts."""

    batch_ids: tuple[str, ...]  # newest first
    created_at: datetime  # when the newest was planned; aware, UTC
    # For each row of the later batch, in its order: the result and when it finished, or None for
    # both. May be iterated more than once.
    rows: Iterable[tuple[JSON, datetime | None]]


@dataclass(frozen=True, slots=True)
class BatchResults:
    """Everything a workbook is made of."""

    summary: BatchSummary
    header: tuple[str, ...]  # the input's column names, as they were
    rows: Iterable[ResultRow]  # in input order; may be iterated more than once
    roles: Mapping[Role, int] = field(default_factory=dict)  # the input's ID columns
    # Number formats of the input's cells, as `workbook.list_formats` encodes them; None if unknown
    list_formats: bytes | None = None
    earlier: EarlierResults | None = None  # what the results are compared with
