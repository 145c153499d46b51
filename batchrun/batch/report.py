"""The result of a run or resume, as returned to the caller."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from batchrun.arguments import checked_arguments
from batchrun.batch.export import earlier_batches
from batchrun.batch.history import existing_journal, read_frame
from batchrun.engine.engine import Ending
from batchrun.errors import ExitCode
from batchrun.notebook import TableList
from batchrun.text import html_table, one_line
from batchrun.workbook import Form, details_frame
from batchrun.workbook.changes import Change, Comparison
from batchrun.workbook.layout import layout_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    import pandas as pd

    from batchrun.estimate import Estimate
    from batchrun.journal import Remaining
    from batchrun.model import BatchResults, BatchSummary, Cell, ResultRow
    from batchrun.service.answers import Credits


@dataclass(frozen=True, slots=True)
class Pilot:
    """The results of the first jobs of a batch."""

    rows: tuple[ResultRow, ...]  # of those jobs
    titles: tuple[str, ...]  # of the result columns of the workbook
    values: tuple[tuple[Cell, ...], ...]  # a line of result cells for each row
    left: Remaining  # of the batch

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


@contextmanager
def compared(
    location: str, batch_id: str, compare: str = "auto"
) -> Iterator[tuple[BatchResults, Comparison | None]]:
    """Yield a batch's results, and how they compare with earlier ones; ``None`` without any."""
    with existing_journal(location) as journal:
        earlier = earlier_batches(journal, batch_id, Form(compare=compare))
        with journal.results(batch_id, earlier=earlier) as found:
            yield found, Comparison(found, layout_of(found)) if earlier else None


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run or resume.

    Attributes:
        summary: The batch as it is now.
        ending: Why the engine stopped.
        output: The workbook that was written; ``None`` if none was wanted.
        resume_at: When the quota opens again, if it is spent; aware, UTC.
        rest: The estimate for the rest of the batch, based on this run; ``None`` if nothing is
            left.
        to_trigger: How many jobs are left to trigger. After ``limit``, only those that this run was
            allowed to trigger.
        estimate: The estimate, made at the start, for the jobs that this run or resume may trigger.
        requests: How many requests this run sent.
        seconds: How long it took, in seconds of the service's time.
        quota_seconds: How many of those seconds it waited for the quota.
        sent: Numbers of the jobs that were triggered under ``limit``, in that order.
        credits: The credits left after the jobs of ``limit``; ``None`` if not asked for.
        journal: The location of the batch's journal.
        source: The list, if the caller gave it as a DataFrame.
        held_open: The workbook that should have been written, if another program had it open.
            ``output`` is then a file beside it.
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
        """The exit code of the command."""
        if self.ending is Ending.DETACHED:
            return ExitCode.COMPLETED
        stopped_or_timed_out = self.ending in {Ending.FINISHED, Ending.FAILURES}
        if stopped_or_timed_out and self.summary.unfinished:
            return ExitCode.INCOMPLETE
        return self.summary.exit_code

    @checked_arguments()
    def frame(self, source: pd.DataFrame | None = None, form: Form | None = None) -> pd.DataFrame:
        """Return the current results in the journal as a DataFrame, a row for each input row.

        If the list was a DataFrame, its own columns, dtypes and index come first.

        Args:
            source: The list, if it was a DataFrame and this is the report of a `resume`.
            form: Which result columns; ``None`` for all.

        Raises:
            JournalError: The batch has been deleted from the journal.
            InputError: The batch was run with another DataFrame.
        """
        given = self.source if source is None else source
        return read_frame(self.journal, self.summary.batch_id, form=form, source=given)

    @checked_arguments()
    def details(self, name: str, source: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the items of a list of objects in the results as a DataFrame, a row for each item.

        The index is that of `frame`: ``report.details("insights").join(report.frame()["Name"])``.

        Args:
            name: The name of the list in the results, such as ``insights``.
            source: As in `frame`.

        Raises:
            JournalError: The batch has been deleted from the journal.
            UsageError: The results have no such list.
        """
        given = self.source if source is None else source
        with (
            existing_journal(self.journal) as journal,
            journal.results(self.summary.batch_id) as found,
        ):
            return details_frame(found, name, given)

    def changes(self, compare: str = "auto") -> tuple[Change, ...]:
        """Return what changed since each row's last result in an earlier batch, row by row.

        Fields that differ in every row, such as the IDs of reports, are left out.

        Args:
            compare: As in `Form`: the ID of an earlier batch, or ``"auto"``.

        Raises:
            JournalError: The batch has been deleted, or there is no such earlier batch.
        """
        with compared(self.journal, self.summary.batch_id, compare) as (_, comparison):
            return () if comparison is None else tuple(comparison.changes())

    def pilot(self, most: int = 500) -> Pilot:
        """Return the rows and results of the jobs sent under ``limit``.

        Args:
            most: Read at most this many jobs, from the first.

        Raises:
            JournalError: The batch has been deleted from the journal.
        """
        batch_id = self.summary.batch_id
        with existing_journal(self.journal) as journal:
            left = journal.remaining(batch_id)
            form = Form.recalled(journal.form(batch_id))
            with journal.results(batch_id, of_jobs=self.sent[:most]) as found:
                rows = tuple(found.rows)
                layout = layout_of(found, form)
        flattened = (layout.flat(row.result) for row in rows)
        values = tuple(tuple(column.value(flat) for column in layout.results) for flat in flattened)
        return Pilot(rows, tuple(column.name for column in layout.results), values, left)

    def __repr__(self) -> str:
        where = f", {self.output}" if self.output is not None else ""
        return f"<Report {self.ending.value}: {self.summary.words}{where}>"

    def _repr_html_(self) -> str:
        ending = [
            ("Ended", self.ending.value),
            ("Resume at", "" if self.resume_at is None else f"{self.resume_at:%Y-%m-%d %H:%M} UTC"),
        ]
        return html_table(f"Batch {self.summary.batch_id}", [*self.summary.lines(), *ending])
