"""The list again, with only the rows that have certain outcomes: ready to correct and run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.errors import UsageError
from batchrun.workbook.layout import STATUS_COLUMNS
from batchrun.workbook.text import write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchrun.model import BatchResults, Cell
    from batchrun.workbook.form import Form

REASON = STATUS_COLUMNS[1]


def write_selection(results: BatchResults, path: Path, suffix: str, form: Form) -> None:
    """Write the list's own columns, each cell as it was, and why its row is among them.

    Args:
        results: The batch.
        path: Where to.
        suffix: Ending of the file: ``.xlsx`` or ``.csv``.
        form: Which outcomes, and whether a CSV is for machines.

    Raises:
        UsageError: It is another kind of file.
    """
    header = [*results.header, REASON]
    match suffix:
        case ".xlsx":
            from batchrun.workbook.excel import write_list  # openpyxl is slow to import

            write_list(results, path, form.only or ())
        case ".csv":
            write_table(path, header, _rows(results, form), plain=form.csv_plain)
        case _:
            raise UsageError(
                f"--only writes the list again, which is no {suffix} file.",
                "End the output in .xlsx or .csv.",
            )


def _rows(results: BatchResults, form: Form) -> Iterator[Sequence[Cell]]:
    for row in results.rows:
        if row.outcome in (form.only or ()):
            yield [*row.row.cells, row.message or row.outcome.value]
