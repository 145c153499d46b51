"""How people find the rows of a list: by line, by row in Excel, and by name. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from batchrun.model import BatchResults, BatchSummary, Outcome, ResultRow, Row, Table, TableSource
from batchrun.workbook.columns import columns_naming_ids, is_same_name, name_of, row_names
from batchrun.workbook.readable import cell_words

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from batchrun.batch.history import RowPage
    from batchrun.plan import Plan

COMPARED_ROWS = 50_000
"""Maximum rows of a batch in which to look for duplicates with a different name."""
ROWS_AT_ONCE = 5_000
"""Rows to read at once when only their numbers are kept."""


@dataclass(frozen=True, slots=True)
class RowNumbers:
    """The line of each row of a list, ascending, and its row in Excel; ``None`` if it is the same.

    In a text file, a cell with line breaks spans several lines, but is in one row in Excel. Rows in
    Excel are unknown, and thus ``None``, if there are lines above the header or set aside: their
    cells may contain line breaks, too.
    """

    lines: Sequence[int]
    in_excel: Sequence[int] | None = None

    @classmethod
    def of(
        cls,
        source: TableSource,
        header: Sequence[str],
        lines: range,
        number: int,
        rows: Iterable[Row],
    ) -> RowNumbers:
        """Number the rows of a list: ``number`` of them, between the first and the last line."""
        known = source.delimiter is not None and not has_other_lines(source)
        breaks = sum(map(_line_breaks, header))
        if len(lines) == number and not (breaks and known):
            return cls(lines)
        each_line, in_excel = [], []
        for row in rows:
            each_line.append(row.line)
            in_excel.append(row.line - breaks)
            breaks += sum(map(_line_breaks, row.cells))
        return cls(each_line, in_excel if breaks and known else None)

    @classmethod
    def of_table(cls, table: Table) -> RowNumbers:
        """Number the rows of a table."""
        if table.source.delimiter is None or has_other_lines(table.source):
            return cls(table.lines.tolist())
        lines = range(int(table.lines[0]), int(table.lines[-1]) + 1) if len(table) else range(0)
        return cls.of(table.source, table.header, lines, len(table), table.rows())

    @classmethod
    def of_batch(cls, batch: BatchSummary, rows: Callable[..., RowPage]) -> RowNumbers:
        """Number the rows of a batch; ``rows`` is `batchrun.rows` for that batch."""
        ends = [rows(offset=at, limit=1) for at in (0, batch.rows - 1)]
        first, last = (each.rows[0].row.line for each in ends)
        every = (row.row for row in all_rows(batch, rows))
        lines = range(first, last + 1)
        return cls.of(batch.source, ends[0].header, lines, batch.rows, every)

    def words(self, line: int) -> str:
        """Return a line, and its row in Excel if that differs: ``9 (row 5 in Excel)``."""
        row = self.excel_row(line)
        return f"{line:,} (row {row:,} in Excel)" if row else f"{line:,}"

    def workbook_row(self, line: int) -> int | None:
        """Return a line's row in the results workbook; ``None`` if it has the same row in Excel."""
        row = bisect_left(self.lines, line) + 2
        return None if row == (self.excel_row(line) or line) else row

    def excel_row(self, line: int) -> int | None:
        """Return the row in which Excel shows a line; ``None`` if it is the same."""
        return None if self.in_excel is None else self.in_excel[bisect_left(self.lines, line)]


def all_rows(batch: BatchSummary, rows: Callable[..., RowPage]) -> Iterator[ResultRow]:
    """Yield the rows of a batch; ``rows`` is `batchrun.rows` for that batch."""
    for at in range(0, batch.rows, ROWS_AT_ONCE):
        yield from rows(offset=at, limit=ROWS_AT_ONCE).rows


def has_other_lines(source: TableSource) -> bool:
    """Whether a file has lines that are not rows of the list, such as a title or totals."""
    return source.header_line not in {None, 1} or any("set aside" in one for one in source.notices)


def _line_breaks(cell: object) -> int:
    return max(cell.count("\n"), cell.count("\r")) if isinstance(cell, str) else 0


def other_names(plan: Plan) -> list[tuple[int, str, int, str]]:
    """Return the rows with a different name than the first row with the same ID.

    Each has its line and name, then those of the first row: one of the rows may have the wrong ID.
    """
    columns = columns_naming_ids(plan.table.header, plan.roles)
    return _differing(_repeated(plan, _ids(plan), columns)) if columns else []


def duplicates(plan: Plan) -> Iterator[tuple[int, str, int, str]]:
    """Yield the rows that share an earlier row's job: line and name, then those of that row."""
    table, first = plan.table, dict[int, tuple[int, str]]()
    columns = row_names(table.header, plan.roles, (row.cells for row in table.rows()))
    for job, line, name in _repeated(plan, plan.rows.jobs, columns):
        own = line, cell_words(name)
        if (above := first.setdefault(job, own)) is not own:
            yield *own, *above


def _repeated(
    plan: Plan, numbers: npt.NDArray[np.integer], columns: Sequence[int]
) -> Iterator[tuple[int, int, str | None]]:
    """Yield the rows with the same number as another: the number, line, and name."""
    names = [plan.table.cells[at] for at in columns]  # of a list on disk, the others are slow
    repeated = np.bincount(numbers[numbers >= 0], minlength=1)[numbers] > 1
    for place in np.flatnonzero((numbers >= 0) & repeated).tolist():
        name = name_of([each[place] for each in names], range(len(names)))
        yield int(numbers[place]), int(plan.table.lines[place]), name


def _ids(plan: Plan) -> npt.NDArray[np.integer]:
    """Return a number for each row, which rows with the same IDs share: -1 for invalid rows."""
    if not plan.parameters.columns:
        return plan.rows.jobs
    numbers: dict[tuple[str | None, str | None], int] = {}
    return np.array(
        [
            -1
            if row.job is None
            else numbers.setdefault((row.company_id, row.contact_id), len(numbers))
            for row in plan.rows
        ],
        np.int64,
    )


def other_names_in(results: BatchResults) -> list[tuple[int, str, int, str]]:
    """Return the completed rows with the ID of a row with another name, like `other_names`."""
    columns = columns_naming_ids(results.header, results.roles)
    completed = (row for row in results.rows if columns and row.outcome is Outcome.COMPLETED)
    return _differing(
        ((row.company_id, row.contact_id), row.row.line, name_of(row.row.cells, columns))
        for row in completed
    )


def _differing(rows: Iterable[tuple[Hashable, int, str | None]]) -> list[tuple[int, str, int, str]]:
    """Return the rows with a different name than the first with the same IDs.

    Each of ``rows`` is IDs, line, name.
    """
    first: dict[Hashable, tuple[int, str]] = {}
    found = []
    for ids, line, name in rows:
        if own := cell_words(name):
            place = first.setdefault(ids, (line, own))
            if not is_same_name(place[1], own):
                found.append((line, own, *place))
    return found
