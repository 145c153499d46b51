"""The values that travel between batchrun's stages: load → plan → trigger → poll → write.

All are frozen; none does input or output. A package gives and takes these and nothing of its
own insides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from batchrun.errors import UsageError
from batchrun.text import counted, duration, html_table, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from typing_extensions import TypeIs

    from batchrun.tables.store import StoredCells

    Decide: TypeAlias = Callable[[Sequence["ResultRow"]], "InDoubt"]
    """Decides about the rows in doubt."""

Cell: TypeAlias = str | int | float | bool | datetime | date | time | timedelta | None
"""One cell of a table, exactly as the file holds it. An empty CSV field is ``""``, an empty
workbook cell ``None``."""

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
"""Any JSON value, as the standard library's ``json`` reads it."""


class Outcome(StrEnum):
    """What became of a row; exactly one for each row of the input."""

    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    INVALID = "invalid"
    TIMED_OUT = "timed out"
    IN_DOUBT = "in doubt"
    PENDING = "pending"


RETRIED_BY_ITSELF = frozenset({Outcome.FAILED, Outcome.REJECTED})
"""What `retry` sends again by default."""

_WHY_NOT = {
    Outcome.COMPLETED: ("Their results are there; run --again runs and pays for everything again."),
    Outcome.INVALID: "Mend the list, then run it.",
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
    """Send them again; those that were accepted are then paid for twice."""
    DROP = "drop"
    """Never send them; they stay in doubt and nobody asks again."""


class Role(StrEnum):
    """What an identifier column means to the service; the value is the trigger body's key."""

    COMPANY = "company_id"
    CONTACT = "contact_id"


@dataclass(frozen=True, slots=True)
class TableSource:
    """Where a table came from and how its bytes were read.

    Attributes:
        name: File name (or a caller's name for a DataFrame), as users know it.
        path: Absolute path of the file; ``None`` for a DataFrame.
        format: ``"csv"``, ``"xlsx"`` or ``"dataframe"``.
        sheet: Sheet name for a workbook, else ``None``.
        encoding: Encoding of a text file (``"utf-8"``, ``"utf-8-sig"``, ``"cp1252"``), else
            ``None``.
        delimiter: Field delimiter of a text file, else ``None``.
        header_line: Line of the column names; ``None`` when the list has none.
        formats: Columns whose numbers are displayed with leading zeros: position and format,
            such as ``00000``.
        notices: What to tell the user about how the file was read, one sentence each.
    """

    name: str
    path: str | None = None
    format: str = "dataframe"
    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    formats: tuple[tuple[int, str], ...] = ()
    notices: tuple[str, ...] = ()

    def place(self, line: int) -> str:
        """Name a line as users find it, such as ``accounts.xlsx, sheet Export, line 7``."""
        sheet = f", sheet {self.sheet}" if self.sheet else ""
        return f"{self.name}{sheet}, line {line}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        line: Line number as Excel or an editor shows it (1 is the first line of the file).
        cells: One cell per column of the table's header.
    """

    line: int
    cells: tuple[Cell, ...]


_LINES_AT_ONCE = 10_000


def is_stored(cells: npt.NDArray[np.object_] | StoredCells) -> TypeIs[StoredCells]:
    """Whether the cells of a list are on disk."""
    return hasattr(cells, "rows")


@dataclass(frozen=True, slots=True)
class Table:
    """An input list: a header and rows whose cells are exactly as they were in the file.

    Attributes:
        source: Where it came from.
        header: Column names as they stand in the file; names may repeat or be blank.
        cells: The cells, shape (columns, rows); an array that can't be written to from then on,
            or, of a large list, the like of it on disk.
        lines: The line number of each row; likewise.
        misaligned: Lines of rows whose fields seem to be shifted against the header.
    """

    source: TableSource
    header: tuple[str, ...]
    cells: npt.NDArray[np.object_] | StoredCells
    lines: npt.NDArray[np.int64]
    misaligned: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Keep a frame, which shares the cells, from changing what is sent."""
        if not is_stored(self.cells):
            self.cells.flags.writeable = False
        self.lines.flags.writeable = False

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def frame(self) -> pd.DataFrame:
        """The cells as a DataFrame of objects; its index holds the line numbers.

        They are not copied and can't be written to; copy the frame to change cells.
        """
        import pandas as pd  # slow to import, and not needed to plan a list or to run it

        index = pd.Index(self.lines)
        if not is_stored(self.cells):
            return pd.DataFrame(self.cells.T, index=index, dtype=object, copy=False)
        columns = {at: column.tolist() for at, column in enumerate(self.cells)}
        return pd.DataFrame(columns, index=index, dtype=object)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in file order."""
        cells = self.cells.rows() if is_stored(self.cells) else zip(*self.cells, strict=True)
        starts = range(0, len(self.lines), _LINES_AT_ONCE)
        lines = (self.lines[start : start + _LINES_AT_ONCE].tolist() for start in starts)
        return map(Row, chain.from_iterable(lines), cells)

    def row(self, number: int) -> Row:
        """One row; 0 is the first."""
        return Row(int(self.lines[number]), tuple(column[number] for column in self.cells))

    def column(self, name: str) -> int:
        """Position of the only column with this exact name; ``ValueError`` when there is none."""
        return self.header.index(name)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as the service lists it."""

    id: str
    name: str
    description: str = ""
    status: str = "active"


class ExecutionStatus(StrEnum):
    """Where an execution stands. A word never heard of is ``UNKNOWN``: not finished."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as the service tells it.

    Attributes:
        id: The service's execution id.
        status: Where it stands.
        created_at: When it was accepted; aware, UTC; ``None`` when unknown.
        started_at: When it began to run.
        completed_at: When it ended.
        result: Its result, any JSON; ``None`` while there is none.
        message: The service's own words for a failure or an unknown status, else ``""``.
    """

    id: str
    status: ExecutionStatus
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    result: JSON = None
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to poll for."""
        return self.status in {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED}


@dataclass(frozen=True, slots=True)
class KnownJob:
    """What became of a trigger body in an earlier batch.

    Attributes:
        batch_id: The batch.
        number: The job's number in it.
        outcome: Completed, or not known to have ended: pending (it runs), timed out, in doubt.
        finished_at: When it was completed; aware, UTC; ``None`` where it was not.
    """

    batch_id: str
    number: int
    outcome: Outcome
    finished_at: datetime | None = None


BEING_SENT = "the trigger is on its way"
"""The message of a row whose trigger is being sent, or was when its process died."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One row on its way out: the input row, its outcome and its result.

    Attributes:
        row: The input row.
        outcome: What became of it.
        message: Why, in plain words; ``""`` for a completed row.
        company_id: The company id that was (or would be) sent, canonical, else ``None``.
        contact_id: The contact id likewise.
        execution_id: The service's execution id, ``None`` when there is none.
        triggered_at: When the execution was accepted; aware, UTC.
        started_at: When it began to run.
        finished_at: When it ended.
        result: The execution's result as the service sent it; ``None`` without one.
        dropped: Whether it is in doubt and stays so by the user's word.
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

    @property
    def seconds(self) -> float | None:
        """How long the execution ran, in seconds; ``None`` when not known.

        The service's own clock may be set back meanwhile: an end before the start tells nothing.
        """
        if self.started_at is None or self.finished_at is None:
            return None
        seconds = (self.finished_at - self.started_at).total_seconds()
        return seconds if seconds >= 0 else None


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """A batch as a whole, for the Summary sheet, ``status`` and ``batches``.

    Attributes:
        batch_id: Short id such as ``1123-accounts-7f3a``.
        workflow: The workflow that was run.
        source: The input list.
        parameters: Constant parameters sent with each trigger.
        created_at: When the batch was planned; aware, UTC.
        updated_at: When its journal last changed; aware, UTC.
        counts: Rows by outcome; every outcome is a key, the values add up to the rows.
        jobs: Distinct trigger bodies.
        requests: HTTP requests spent so far, all kinds.
        estimated_seconds: What the plan said it would take, in seconds.
        estimated_requests: How many requests the plan said it would take.
        worked_seconds: How long it was worked on, all runs together.
        quota_seconds: How much of that was only waiting for the quota.
        output: Path of the workbook last written, ``None`` before.
        note: Why it stands where it stands (paused, stopped), else ``""``.
        reused: Rows whose result was taken from an earlier batch.
        base_url: Where its service is.
        profile: Whose stored key it was begun with; ``None`` for a key that was not stored.
        target: Path where its workbook belongs, also before it was written.
        resume_at: When the spent quota opens again; aware, UTC; ``None`` if it does not wait.
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

    @property
    def rows(self) -> int:
        """Rows of the input list."""
        return sum(self.counts.values())

    @property
    def unfinished(self) -> bool:
        """Whether ``resume`` would have something to do."""
        return bool(self.counts[Outcome.PENDING] or self.counts[Outcome.TIMED_OUT])

    @property
    def words(self) -> str:
        """It in one line."""
        counts = counted(self.counts)
        what = f"{self.workflow.name} on {self.source.name}"
        return f"{self.batch_id}, {what}, {plural(self.rows, 'row')} ({counts})"

    def lines(self) -> list[tuple[str, str]]:
        """It as names and what they are, for people."""
        return [
            ("List", self.source.name),
            ("Workflow", f"{self.workflow.name} ({self.workflow.id})"),
            ("Rows", f"{self.rows:,} ({counted(self.counts)})"),
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
    """What earlier batches of the same workflow found for the companies and contacts of a batch.

    Attributes:
        batch_ids: The earlier batches, newest first.
        created_at: When the newest was planned; aware, UTC.
        rows: For each row of the later batch, in its order: the result and when it was finished;
            ``None`` for both where there is none. May be iterated more than once.
    """

    batch_ids: tuple[str, ...]
    created_at: datetime
    rows: Iterable[tuple[JSON, datetime | None]]


@dataclass(frozen=True, slots=True)
class BatchResults:
    """Everything a workbook is made of.

    Attributes:
        summary: The batch as a whole.
        header: The input's column names, as they were.
        rows: The rows in input order; may be iterated more than once.
        roles: The input's ID columns.
        list_formats: The number formats of the input's cells, as `workbook.list_formats` encodes
            them; ``None`` where they are not known.
        earlier: What the results are compared with; ``None`` for nothing.
    """

    summary: BatchSummary
    header: tuple[str, ...]
    rows: Iterable[ResultRow]
    roles: Mapping[Role, int] = field(default_factory=dict)
    list_formats: bytes | None = None
    earlier: EarlierResults | None = None
