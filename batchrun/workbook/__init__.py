"""Write: a batch's results as an Excel workbook, CSV, JSON Lines or a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.workbook.excel import write_excel
from batchrun.workbook.flatten import flatten
from batchrun.workbook.layout import layout_of
from batchrun.workbook.target import check_target, whole_file
from batchrun.workbook.text import write_csv, write_json_lines

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from batchrun.model import BatchResults

__all__ = ["check_target", "flatten", "to_frame", "write"]


def write(results: BatchResults, target: Path) -> Path:
    """Write results; the target's ending decides the format.

    Returns:
        Where they went: beside the target when another program holds it open.

    Raises:
        OutputError: They could not be written; nothing half-written is left.
    """
    whole = target.with_suffix(".whole.jsonl")
    shortened = 0
    with whole_file(target) as place:
        match target.suffix.lower():
            case ".xlsx":
                shortened = write_excel(results, place.temporary, whole_name=whole.name)
            case ".csv":
                write_csv(results, place.temporary)
            case _:
                write_json_lines(results, place.temporary)
        if shortened:
            with whole_file(whole) as beside:
                write_json_lines(results, beside.temporary)
    return place.final


def to_frame(results: BatchResults) -> pd.DataFrame:
    """The columns of the Results sheet as a DataFrame of objects, one row an input row."""
    import pandas as pd

    layout = layout_of(results)
    return pd.DataFrame(
        [layout.values(row) for row in results.rows], columns=layout.header, dtype=object
    )
