"""Results in typed columns: a DataFrame, or a Parquet file.

If the list was a DataFrame, the result keeps its columns and index.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

from batchrun.errors import InputError, OutputError, UsageError
from batchrun.installation import install_hint
from batchrun.tables.frames import from_frame
from batchrun.text import did_you_mean
from batchrun.workbook.cells import UNLIMITED, as_text, unique_titles
from batchrun.workbook.columns import TemporalKind
from batchrun.workbook.layout import STATUS, layout_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from batchrun.model import BatchResults, Cell
    from batchrun.workbook.columns import ColumnSurvey
    from batchrun.workbook.form import Form
    from batchrun.workbook.layout import DetailTable, Layout

_EXACT_IN_A_FLOAT = 2**53
_LARGEST = 2**63 - 1


def to_frame(
    results: BatchResults, form: Form | None = None, source: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the columns of the Results sheet as a DataFrame, one row per input row.

    The list's own columns have dtype object, each cell unchanged. Status and result columns whose
    values are all numbers, all booleans, or all dates and times get that dtype; others are objects,
    with ``None`` for empty values.

    If ``source`` is the DataFrame that the batch was run with, its columns, dtypes, and index are
    kept.

    Raises:
        InputError: The rows of the batch are not those of the DataFrame.
    """
    import pandas as pd

    if source is not None:
        _check_same(results, source)
    layout = _layout_with_times(results, form)
    rows = [layout.values(row) for row in results.rows]
    own = len(layout.original)
    titles = unique_titles(layout.header)[own:]
    columns = list(zip(*rows, strict=True)) or [()] * len(layout.header)
    index = pd.RangeIndex(len(rows)) if source is None else source.index
    found = [_series(values, index) for values in columns[own:]]
    if source is None:
        given = [pd.Series(list(cells), index, dtype=object) for cells in columns[:own]]
        frame = pd.concat([*given, *found], axis=1)
        frame.columns = pd.Index(layout.header, dtype=object)
        return frame
    added = pd.concat(found, axis=1)
    added.columns = _titles_like(source.columns, titles)
    return pd.concat([source, added], axis=1)


def _layout_with_times(results: BatchResults, form: Form | None) -> Layout:
    """Return the layout for programs, which want the service's times in practice, too."""
    return replace(layout_of(results, form, UNLIMITED), practice=False)


def details_frame(
    results: BatchResults, name: str, source: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the items of a list of objects in the results, one per row.

    The index is that of `to_frame`, so ``details.join(frame)`` adds each item's input row. The
    column ``item`` numbers the items of a row; items of a nested list are numbered like ``2.1``.

    The name of a list is its last key in the results, or its path with dots.

    Raises:
        UsageError: The results have no such list.
    """
    import pandas as pd

    layout = layout_of(results, None, UNLIMITED)
    paths = dict(_paths(layout.tables))
    known = {each[-1].path[-1]: each for each in reversed(paths.values())}
    known |= {each[-1].title: each for each in reversed(paths.values())} | paths
    tables = known.get(name)
    if tables is None:
        have = f"They have: {', '.join(paths)}." if paths else "They have no list of objects."
        hint = f"{did_you_mean(name, list(paths))}{have}"
        raise UsageError(f"The results have no list {name}.", hint)
    labels = range(results.summary.rows) if source is None else source.index
    found = [
        (label, number, flat)
        for label, row in zip(labels, results.rows, strict=True)
        for table, number, flat in layout.items(tables[:1], layout.flat(row.result))
        if table is tables[-1]
    ]
    index = pd.Index(
        [label for label, _, _ in found], name="row" if source is None else source.index.name
    )
    numbers: list[Cell] = [int(each) if len(tables) == 1 else each for _, each, _ in found]
    columns = tables[-1].columns
    frame = pd.concat(
        [
            _series(numbers, index),
            *(_series([column.value(flat) for _, _, flat in found], index) for column in columns),
        ],
        axis=1,
    )
    frame.columns = pd.Index(["item", *(column.name for column in columns)])
    return frame


def _paths(
    tables: Iterable[DetailTable], above: tuple[DetailTable, ...] = ()
) -> Iterator[tuple[str, tuple[DetailTable, ...]]]:
    for table in tables:
        path = (*above, table)
        yield ".".join(str(part) for each in path for part in each.path), path
        yield from _paths(table.tables, path)


def _titles_like(columns: pd.Index[Any], titles: Sequence[str]) -> pd.Index[Any]:
    """Return titles for a frame's columns; if those have several levels, lower ones are blank."""
    import pandas as pd

    if columns.nlevels == 1:
        return pd.Index(titles, dtype=object)
    below = ("",) * (columns.nlevels - 1)
    return pd.MultiIndex.from_tuples([(title, *below) for title in titles], names=columns.names)


def _check_same(results: BatchResults, source: pd.DataFrame) -> None:
    table = from_frame(source)
    batch_id = results.summary.batch_id
    same = table.header == results.header
    for number, (given, kept) in enumerate(zip_longest(table.rows(), results.rows)):
        if not same or given is None or kept is None or given.cells != kept.row.cells:
            where = f"row {number} differs" if same else "its columns differ"
            raise InputError(
                f"Batch {batch_id} was run with another DataFrame: {where}.",
                "Give the one it was run with, or none.",
            )


def _series(values: Sequence[Cell], index: pd.Index[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(list(values), index, dtype=_dtype(values))


def _dtype(values: Sequence[Cell]) -> Any:
    """Return the dtype that stores every value of a column exactly."""
    some = [value for value in values if value is not None]
    kinds = {type(value) for value in some}
    gaps = len(some) < len(values)
    if kinds == {bool}:
        return "boolean" if gaps else "bool"
    if kinds == {datetime}:
        return "datetime64[us]"
    whole = max((abs(value) for value in some if isinstance(value, int)), default=0)
    if kinds == {int} and whole <= _LARGEST:
        return "Int64" if gaps else "int64"
    if float in kinds and kinds <= {int, float} and whole <= _EXACT_IN_A_FLOAT:
        return "float64"
    return object


ROWS_AT_ONCE = 20_000
_TYPES = {
    str: "string", int: "int64", float: "float64", bool: "bool", datetime: "timestamp[us]",
    date: "date32", time: "time64[us]", timedelta: "duration[us]",
}  # fmt: skip
"""Parquet's types by those of Python."""


def require_parquet() -> Any:
    """Return pyarrow, an optional dependency.

    Raises:
        OutputError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise OutputError(
            "A .parquet output needs a library that is not installed.", install_hint("parquet")
        ) from error
    return pyarrow


def write_parquet(results: BatchResults, path: Path, form: Form) -> None:
    """Write the columns of the Results sheet, streamed in groups of rows.

    A column with values of several types becomes text. Status times are in UTC.
    """
    pyarrow = require_parquet()
    layout = _layout_with_times(results, form)
    kinds = _kinds(layout)
    try:
        _write(pyarrow, results, path, layout, kinds)
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        # An odd value: write every column as text rather than no file at all.
        _write(pyarrow, results, path, layout, [str] * len(kinds))


def _write(
    pyarrow: Any, results: BatchResults, path: Path, layout: Layout, kinds: Sequence[type]
) -> None:
    names = unique_titles([_valid(name) for name in layout.header])
    schema = pyarrow.schema([(name, _TYPES[each]) for name, each in zip(names, kinds, strict=True)])
    rows = iter(results.rows)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while group := [layout.values(row) for row in islice(rows, ROWS_AT_ONCE)]:
            columns = [
                [_as(value, kind) for value in values]
                for values, kind in zip(zip(*group, strict=True), kinds, strict=True)
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))


def _kinds(layout: Layout) -> list[type]:
    moments = {None: None, TemporalKind.DATE: date, TemporalKind.TIME: time}
    return [
        *map(_kind, layout.original_surveys),
        *(column.kind for column in STATUS),
        *(moments.get(each.moments, datetime) or _kind(each.survey) for each in layout.results),
        *[str] * layout.overflow,
    ]


def _kind(survey: ColumnSurvey) -> type:
    if survey.kinds == {int} and survey.largest <= _LARGEST:
        return int
    if survey.kinds == {int, float}:
        return float if survey.largest <= _EXACT_IN_A_FLOAT else str
    return next(iter(survey.kinds)) if len(survey.kinds) == 1 and int not in survey.kinds else str


def _as(value: Cell, kind: type) -> Any:
    if value is None or (value == "" and kind is not str):
        return None
    if kind is str:
        return _valid(value if isinstance(value, str) else as_text(value))
    return float(value) if kind is float and isinstance(value, int) else value


def _valid(text: str) -> str:
    """Return text that UTF-8 can encode; lone surrogates are replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
