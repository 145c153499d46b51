"""Write: a batch's results as an Excel workbook, CSV, JSON Lines or a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.workbook.flatten import flatten
from batchrun.workbook.form import Crm, Form, UnknownColumn, keep_layout, unknown_columns
from batchrun.workbook.frame import to_frame
from batchrun.workbook.parquet import write_parquet
from batchrun.workbook.target import check_target, usual_target, whole_file
from batchrun.workbook.text import write_crm, write_csv, write_json_lines

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import BatchResults

__all__ = [
    "Crm",
    "Form",
    "UnknownColumn",
    "check_target",
    "flatten",
    "to_frame",
    "unknown_columns",
    "usual_target",
    "write",
]


def write(
    results: BatchResults, target: Path, form: Form | None = None, *, beside: bool = True
) -> Path:
    """Write results; the target's ending decides the format.

    Values that a workbook can't hold are whole in ``NAME.whole.jsonl`` beside it.

    Args:
        results: What to write.
        target: Where to.
        form: How; ``None`` for the usual way.
        beside: Whether they may go beside a target that another program holds open.

    Returns:
        Where they went: beside the target when another program holds it open.

    Raises:
        OutputError: They could not be written; nothing half-written is left.
    """
    form = form or Form()
    with whole_file(target, beside=beside) as place:
        shortened = _write(results, place.temporary, target, form)
        if not results.summary.unfinished:
            keep_layout(results, form)
        if shortened:
            with whole_file(_whole(target)) as whole:
                write_json_lines(results, whole.temporary)
    return place.final


def _write(results: BatchResults, path: Path, target: Path, form: Form) -> int:
    """Write to a path in the target's format; how many values are not whole."""
    match target.suffix.lower():
        case ".xlsx":
            from batchrun.workbook.excel import write_excel  # openpyxl is slow to import

            return write_excel(results, path, form.shape, whole_name=_whole(target).name)
        case ".csv" if form.crm is not None:
            write_crm(results, path, form.shape, form.crm)
        case ".csv":
            write_csv(results, path, form.shape, plain=form.csv_plain)
        case ".parquet":
            write_parquet(results, path, form.shape)
        case _:
            write_json_lines(results, path)
    return 0


def _whole(target: Path) -> Path:
    return target.with_suffix(".whole.jsonl")
