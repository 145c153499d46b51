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

_WRITERS = {".xlsx": write_excel, ".csv": write_csv, ".jsonl": write_json_lines}


def write(results: BatchResults, target: Path) -> Path:
    """Write results; the target's ending decides the format.

    Returns:
        Where they went: beside the target when another program holds it open.

    Raises:
        OutputError: They could not be written; nothing half-written is left.
    """
    with whole_file(target) as place:
        _WRITERS[target.suffix.lower()](results, place.temporary)
    return place.final


def to_frame(results: BatchResults) -> pd.DataFrame:
    """The columns of the Results sheet as a DataFrame of objects, one row an input row."""
    import pandas as pd

    layout = layout_of(results)
    return pd.DataFrame(
        [layout.values(row) for row in results.rows], columns=layout.header, dtype=object
    )
