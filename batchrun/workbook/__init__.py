"""Write a batch's results as an Excel workbook, CSV, JSON Lines, or a DataFrame.

::

    flatten.py          a result → paths with one value each
    columns.py          what all values of a column have in common; titles.py names the column
    layout.py           which columns the output has, and the values of a row
    ├── text.py, frame.py    → CSV, JSON Lines; DataFrame, Parquet
    └── excel.py             → a workbook:
        analysis.py, changes.py, reasons.py    what the sheets show
        overview.py         sheets of facts
        table_sheets.py     sheets of rows, drawn with sheets.py; markdown.py formats texts
        rows.py             cells → XML → file; styles.py, cells.py (what Excel can store)
    target.py           whole files or none; marks.py reads them back; form.py has the options
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from batchrun.errors import UsageError
from batchrun.events import Event, log_event
from batchrun.workbook.flatten import flatten
from batchrun.workbook.form import Audience, Crm, Form
from batchrun.workbook.frame import details_frame, to_frame, write_parquet
from batchrun.workbook.layout import UnknownColumn, unknown_columns
from batchrun.workbook.reasons import Commands, RowsToShow
from batchrun.workbook.target import (
    atomic_file,
    check_target,
    companions,
    free_target,
    is_open,
    other_parts,
    results_path,
    unknown_ending,
    usual_target,
    whole_path,
)
from batchrun.workbook.text import write_crm, write_csv, write_json_lines, write_list_csv

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import BatchResults, Table
    from batchrun.workbook.excel import Part

_LOG = logging.getLogger(__name__)

__all__ = [
    "Audience",
    "Commands",
    "Crm",
    "Form",
    "UnknownColumn",
    "check_target",
    "companions",
    "details_frame",
    "flatten",
    "free_target",
    "is_open",
    "list_formats",
    "other_parts",
    "results_path",
    "to_frame",
    "unknown_columns",
    "usual_target",
    "write",
]


def list_formats(table: Table) -> bytes | None:
    """Return the number formats of the list's cells, to store with its batch; ``None`` if none."""
    if table.source.format != "xlsx":
        return None
    from batchrun.workbook.source import list_formats as read  # openpyxl is slow to import

    return read(table)


def write(
    results: BatchResults, target: Path, form: Form | None = None, *, beside: bool = True
) -> Path:
    """Write results in the format that the target's file extension selects.

    Values that don't fit into a workbook cell are also written in full to ``NAME.whole.jsonl``
    beside it.

    Returns:
        The path written: with ``beside``, another one beside the target if another program has the
        target open.

    Raises:
        OutputError: The results could not be written; no partial file is left.
    """
    form = form or Form()
    parts: list[Part] = []
    if target.suffix.lower() == ".xlsx" and form.only is None:
        from batchrun.workbook.excel import split  # openpyxl: slow to import

        parts = split(results, target, form.rows_per_file)
    paths = [part.path for part in parts] or [target]
    with ExitStack() as stack:
        places = [stack.enter_context(atomic_file(path, beside=beside)) for path in paths]
        shortened = sum(
            _write(results, place.temporary, target, form, part)
            for place, part in zip_longest(places, parts)
        )
    if parts:
        log_event(_LOG, Event.WORKBOOK_SPLIT, batch=results.summary.batch_id, files=len(paths))
    if shortened:
        with atomic_file(whole_path(target)) as whole:
            write_json_lines(results, whole.temporary)
    return places[0].final


def _write(results: BatchResults, path: Path, target: Path, form: Form, part: Part | None) -> int:
    """Write to ``path`` in the target's format; return how many values were shortened."""
    if form.only is not None:
        results = replace(results, rows=RowsToShow(results, for_people=False))
    match target.suffix.lower():
        case ".csv" if form.only is not None:
            write_list_csv(results, path, form.only, plain=form.csv_plain)
        case ".xlsx" if form.only is not None:
            from batchrun.workbook.excel import write_list  # openpyxl: slow to import

            write_list(results, path, form.only)
        case ending if form.only is not None:
            raise UsageError(
                f"Only some rows are written as a list again, which is no {ending} file.",
                "End the output in .xlsx or .csv.",
            )
        case ".xlsx":
            return _write_workbook(results, path, target, form, part)
        case ".csv" if form.crm is not None:
            write_crm(results, path, form)
        case ".csv":
            write_csv(results, path, form)
        case ".parquet":
            write_parquet(results, path, form)
        case ".jsonl":
            write_json_lines(results, path)
        case _:
            raise unknown_ending(target)
    return 0


def _write_workbook(
    results: BatchResults, path: Path, target: Path, form: Form, part: Part | None
) -> int:
    """Write a workbook; if that fails, write a plain-text one that still has every row."""
    from batchrun.workbook.excel import write_excel, write_plain_excel  # openpyxl: slow to import

    whole = whole_path(target).name
    results = results if part is None else part.results
    try:
        return write_excel(results, path, form, whole_name=whole, part=part)
    except OSError:
        raise
    except Exception as error:  # a formatting failure must not lose paid results
        kind = type(error).__name__  # the message may quote the service's answer
        log_event(_LOG, Event.WORKBOOK_SIMPLIFIED, part="the whole workbook", error=kind)
        write_plain_excel(
            results,
            path,
            f"batchrun could not lay these results out ({kind}). Every row is here as plain text, "
            f"and the results are whole in {whole}. Please report this.",
        )
        return 1
