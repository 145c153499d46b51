"""Results as a Parquet file, each column of the narrowest type that holds all its values."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from batchrun.errors import OutputError
from batchrun.installation import install_hint
from batchrun.workbook.cells import UNLIMITED, as_text, unlike
from batchrun.workbook.columns import ColumnSurvey, Moments
from batchrun.workbook.layout import STATUS_COLUMNS, layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batchrun.model import BatchResults, Cell
    from batchrun.workbook.layout import Layout, Shape

ROWS_AT_ONCE = 20_000
_LARGEST = 2**63 - 1


def require_parquet() -> Any:
    """The library, which is an extra.

    Raises:
        OutputError: It is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise OutputError(
            "A .parquet output needs a library that is not installed.",
            install_hint("parquet"),
        ) from error
    return pyarrow


def write_parquet(results: BatchResults, path: Path, shape: Shape | None = None) -> None:
    """The columns of the Results sheet, streamed in groups of rows.

    A column whose values are of several types is text. Times of the status are in UTC.
    """
    pyarrow = require_parquet()
    layout = layout_of(results, shape, UNLIMITED)
    kinds = _kinds(layout)
    try:
        _write(pyarrow, results, path, layout, kinds)
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        # one odd value: the columns are of text rather than the file missing
        _write(pyarrow, results, path, layout, [str] * len(kinds))


def _write(
    pyarrow: Any, results: BatchResults, path: Path, layout: Layout, kinds: Sequence[type]
) -> None:
    types = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
        datetime: pyarrow.timestamp("us"),
        date: pyarrow.date32(),
        time: pyarrow.time64("us"),
        timedelta: pyarrow.duration("us"),
    }
    names = unlike([_valid(name) for name in layout.header])
    schema = pyarrow.schema(list(zip(names, (types[kind] for kind in kinds), strict=True)))
    rows = iter(results.rows)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while group := [layout.values(row) for row in islice(rows, ROWS_AT_ONCE)]:
            columns = [
                [_as(value, kind) for value in values]
                for values, kind in zip(zip(*group, strict=True), kinds, strict=True)
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))


def _kinds(layout: Layout) -> list[type]:
    status: list[type] = [str, str, str, datetime, datetime, datetime, float]
    assert len(status) == len(STATUS_COLUMNS)
    kinds = [*map(_kind, layout.original_surveys), *status]
    for column in layout.results:
        moments = {
            Moments.DATE: date,
            Moments.TIME: time,
            Moments.DATE_TIME: datetime,
            Moments.UTC: datetime,
        }
        if column.moments is not None:
            kinds.append(moments[column.moments])
        else:
            kinds.append(
                int if column.counts and column.survey.kinds == {int} else _kind(column.survey)
            )
    return [*kinds, str] if layout.overflow else kinds


def _kind(survey: ColumnSurvey) -> type:
    if survey.kinds == {int} and survey.largest <= _LARGEST:
        return int
    if survey.kinds == {int, float}:
        return float if survey.largest <= 2**53 else str
    return next(iter(survey.kinds)) if len(survey.kinds) == 1 and int not in survey.kinds else str


def _as(value: Cell, kind: type) -> Any:
    if value is None or (value == "" and kind is not str):
        return None
    if kind is str:
        return _valid(value if isinstance(value, str) else as_text(value))
    return float(value) if kind is float and isinstance(value, int) else value


def _valid(text: str) -> str:
    """A text that UTF-8 can hold: half of an emoji is replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
