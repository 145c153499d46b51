"""How a run or resume ended, as its caller gets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from batchrun.batch.export import earlier_batches
from batchrun.batch.history import existing_journal, read_details, read_frame
from batchrun.engine import Ending
from batchrun.errors import ExitCode
from batchrun.journal import Remaining, remaining
from batchrun.model import Outcome
from batchrun.notebook import TableList
from batchrun.text import html_table, one_line
from batchrun.workbook import Form
from batchrun.workbook.changes import Change, Comparison
from batchrun.workbook.layout import layout_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    import pandas as pd

    from batchrun.estimate import Estimate
    from batchrun.model import BatchSummary, Cell, ResultRow
    from batchrun.service import Credits


@dataclass(frozen=True, slots=True)
class Pilot:
    """What came of the first jobs of a batch.

    Attributes:
        rows: The rows of those jobs.
        titles: The result columns of their workbook.
        values: Their results, a cell a column, one line a row.
        left: What is left of the batch.
    """

    rows: tuple[ResultRow, ...]
    titles: tuple[str, ...]
    values: tuple[tuple[Cell, ...], ...]
    left: Remaining

    def _repr_html_(self) -> str:
        shown: dict[str, Callable[[tuple[ResultRow, tuple[Cell, ...]]], object]] = {
            "Line": lambda each: each[0].row.line,
            "Status": lambda each: each[0].outcome,
        }
        for at, title in enumerate(self.titles):
            shown[title] = partial(_short_cell, at)
        return TableList(zip(self.rows, self.values, strict=True), shown)._repr_html_()


def _short_cell(at: int, row: tuple[ResultRow, tuple[Cell, ...]]) -> str:
    value = row[1][at]
    return "" if value is None else one_line(str(value), 80)


def read_pilot(location: str, batch_id: str, jobs: Sequence[int]) -> Pilot:
    """What came of these jobs, from the journal at a location.

    Raises:
        JournalError: The journal can't be read.
    """
    with existing_journal(location) as journal:
        left = remaining(journal, batch_id)
        form = Form.recalled(journal.form(batch_id))
        with journal.results(batch_id, of_jobs=jobs) as found:
            rows = tuple(found.rows)
            layout = layout_of(found, form)
    flattened = (layout.flat(row.result) for row in rows)
    values = tuple(tuple(column.value(flat) for column in layout.results) for flat in flattened)
    return Pilot(rows, tuple(column.name for column in layout.results), values, left)


@dataclass(frozen=True, slots=True)
class Report:
    """How a run or resume ended.

    Attributes:
        summary: The batch as it stands now.
        ending: Why the engine stopped.
        output: The workbook that was written; ``None`` when none was asked for.
        resume_at: When the quota opens again, where it is spent; aware, UTC.
        rest: What is left of the batch costs, by what was learned; ``None`` where nothing is left.
        to_trigger: How many jobs are left to trigger; after ``limit``, of those that were to be.
        estimate: What the jobs that this run or resume may trigger cost, as estimated when
            it began.
        requests: Requests that it sent.
        seconds: How long it took, in seconds of the service's time.
        quota_seconds: How much of that it only waited for the quota.
        sent: Numbers of the jobs that were triggered under ``limit``, in their order.
        credits: The credits left after the jobs of ``limit``; ``None`` where nobody asked.
        journal: The journal that knows the batch.
        source: The list, where it was a DataFrame that the caller gave.
        held_open: The workbook that was to be written, where another program held it open and
            ``output`` is beside it.
    """

    summary: BatchSummary
    ending: Ending
    output: Path | None
    resume_at: datetime | None = None
    rest: Estimate | None = None
    to_trigger: int = 0
    estimate: Estimate = field(kw_only=True)
    requests: int = 0
    seconds: float = 0.0
    quota_seconds: float = 0.0
    sent: tuple[int, ...] = ()
    credits: Credits | None = None
    journal: str = ""
    source: pd.DataFrame | None = field(default=None, compare=False)
    held_open: Path | None = None

    @property
    def exit_code(self) -> ExitCode:
        """How the command ends."""
        if self.ending is Ending.DETACHED:
            return ExitCode.COMPLETED
        if self.summary.unfinished:
            finished = self.ending is Ending.FINISHED
            return ExitCode.INCOMPLETE if finished else ExitCode.PAUSED
        completed = self.summary.counts[Outcome.COMPLETED] == self.summary.rows
        return ExitCode.COMPLETED if completed else ExitCode.INCOMPLETE

    def frame(self, source: pd.DataFrame | None = None, form: Form | None = None) -> pd.DataFrame:
        """The results as a DataFrame, as the journal has them now, one row an input row.

        Where the list was a DataFrame, its own columns, dtypes and index come first.

        Args:
            source: The list, where it was a DataFrame and this is the report of a `resume`.
            form: Which result columns; ``None`` for all.

        Raises:
            JournalError: The batch was forgotten meanwhile.
            InputError: The batch was run with another DataFrame.
        """
        given = self.source if source is None else source
        return read_frame(self.journal, self.summary.batch_id, form=form, source=given)

    def details(self, name: str, source: pd.DataFrame | None = None) -> pd.DataFrame:
        """The items of a list of objects in the results as a DataFrame, one item a line.

        The index is that of `frame`: ``report.details("insights").join(report.frame()["Name"])``.

        Args:
            name: The name of the list in the results, such as ``insights``.
            source: As in `frame`.

        Raises:
            JournalError: The batch was forgotten meanwhile.
            UsageError: The results have no such list.
        """
        given = self.source if source is None else source
        return read_details(self.journal, self.summary.batch_id, name, given)

    def changes(self, compare: str = "auto") -> tuple[Change, ...]:
        """What is new since the last result of each row in an earlier batch, row by row.

        Fields that differ in every row, such as the IDs of reports, are left out.

        Args:
            compare: As in `Form`: the id of an earlier batch, or ``"auto"``.

        Raises:
            JournalError: The batch was forgotten meanwhile, or there is no such earlier batch.
        """
        batch_id, form = self.summary.batch_id, Form(compare=compare)
        with existing_journal(self.journal) as journal:
            earlier = earlier_batches(journal, batch_id, form)
            if not earlier:
                return ()
            with journal.results(batch_id, earlier=earlier) as found:
                return tuple(Comparison(found, layout_of(found)).changes())

    def pilot(self, most: int = 500) -> Pilot:
        """What the jobs of ``limit`` brought: their rows, and their results a column a value.

        Args:
            most: Of many jobs, how many of the first are read.

        Raises:
            JournalError: The batch was forgotten meanwhile.
        """
        return read_pilot(self.journal, self.summary.batch_id, self.sent[:most])

    def __repr__(self) -> str:
        where = f", {self.output}" if self.output is not None else ""
        return f"<Report {self.ending.value}: {self.summary.words}{where}>"

    def _repr_html_(self) -> str:
        ending = [
            ("Ended", self.ending.value),
            ("Resume at", "" if self.resume_at is None else f"{self.resume_at:%Y-%m-%d %H:%M} UTC"),
        ]
        return html_table(f"Batch {self.summary.batch_id}", [*self.summary.lines(), *ending])
