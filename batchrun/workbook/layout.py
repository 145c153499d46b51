"""Which columns the output has, and the values of a row in them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from batchrun.model import Outcome
from batchrun.workbook.cells import EXCEL, Limits, as_text
from batchrun.workbook.columns import ColumnSurvey, Moments, TableSurvey, moment_of, name_columns
from batchrun.workbook.flatten import DEEPEST, as_json, dotted, flatten
from batchrun.workbook.markdown import without_markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from batchrun.model import JSON, BatchResults, Cell, ResultRow, Role
    from batchrun.workbook.flatten import Flat, Path

STATUS_COLUMNS = (
    "batchrun status",
    "batchrun message",
    "execution id",
    "triggered (UTC)",
    "started (UTC)",
    "finished (UTC)",
    "seconds",
)
MORE = "more results (JSON)"
MORE_OF_LIST = "more columns of the list (JSON)"
MOST_REASONS = 1_000
"""Different reasons that are counted; beyond, a new one is one of "others"."""


class Audience(StrEnum):
    """Who a workbook is for."""

    PEOPLE = "people"
    """Whoever it is handed to: no IDs of executions, no moments, no key paths, no commands."""
    OPERATORS = "operators"
    """Whoever runs batches: everything."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the user wants the result columns.

    Attributes:
        columns: Which, in this order, by dotted name; ``*`` stands for anything. ``None``: all.
        rename: Dotted name → the title to show.
        flat_depth: The most keys in a dotted name; what is deeper stays JSON text.
        raw_text: Keep the markup of texts in Markdown.
        audience: Who a workbook is for.
    """

    columns: tuple[str, ...] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    flat_depth: int = DEEPEST
    raw_text: bool = False
    audience: Audience = Audience.OPERATORS


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column made from results.

    Attributes:
        path: Where its values are.
        title: What it is called, unlike any other column.
        survey: What its values have in common.
        moments: What kind of moments its texts are turned into, if any.
        counts: Whether it counts a list of objects.
    """

    path: Path
    title: str
    survey: ColumnSurvey
    moments: Moments | None
    counts: bool = False

    def value(self, flat: Flat) -> Cell:
        """Its value in a flattened result."""
        value = flat.values.get(self.path)
        if not self.counts and self.path in flat.items:  # there were too many lists for sheets
            return as_json([*flat.items[self.path]])
        if self.moments is not None and isinstance(value, str):
            found = moment_of(value)
            return value if found is None else found[1]
        if value is None and self.counts and self.path in flat.values:
            return 0
        return value


@dataclass(frozen=True, slots=True)
class DetailTable:
    """The items of a list of objects, one a line.

    Attributes:
        path: Where the lists are in a result or, for a list in a list, in its parent's items.
        title: Dotted name of the list from the result's root.
        lines: How many items there are.
        leading: What each line begins with: the input's line number, the item's number, the
            row's name if it has one, its IDs.
        named: Whether rows have a name.
        columns: Its columns.
        tables: Tables of the lists in its items.
    """

    path: Path
    title: str
    lines: int
    leading: tuple[str, ...]
    named: bool
    columns: tuple[ResultColumn, ...]
    tables: tuple[DetailTable, ...]

    def with_all_below(self) -> Iterator[DetailTable]:
        """This table and those of the lists in it."""
        yield self
        for table in self.tables:
            yield from table.with_all_below()


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the output and what the rows have in common.

    Attributes:
        original: The input's own header, untouched. If a sheet can't hold all its columns, the
            last one stands for the rest.
        own: How many of the input's columns are columns here.
        original_surveys: What is seen of each of its columns.
        results: The columns made from results.
        tables: The lists of objects.
        overflow: Whether there are more result columns than fit; they are in one of JSON.
        lists_overflow: Whether items of a list have more columns than fit.
        names: Positions of the input's columns that name a row.
        roles: The input's ID columns.
        reasons: Messages of rows not completed, most frequent first.
        undecided: How many rows are in doubt and the user has not decided about.
        seconds: How long the executions ran, to a tenth of a second, and how many ran so long.
        flat_depth: The most keys in a path.
    """

    original: tuple[str, ...]
    own: int
    original_surveys: tuple[ColumnSurvey, ...]
    results: tuple[ResultColumn, ...]
    tables: tuple[DetailTable, ...]
    overflow: bool
    lists_overflow: bool
    names: tuple[int, ...]
    roles: Mapping[Role, int]
    reasons: tuple[tuple[str, int], ...]
    undecided: int
    seconds: tuple[tuple[float, int], ...]
    flat_depth: int

    @property
    def header(self) -> list[str]:
        """All columns."""
        more = (MORE,) if self.overflow else ()
        return [*self.original, *STATUS_COLUMNS, *(column.title for column in self.results), *more]

    @property
    def incomplete(self) -> int:
        """How many parts of the input or the results are not in columns of their own."""
        return self.overflow + self.lists_overflow + (self.own < len(self.original))

    def flat(self, result: JSON) -> Flat:
        """A result, or an item of a list in it, as this layout's columns have it."""
        return flatten(result, self.flat_depth)

    def own_cells(self, cells: Sequence[Cell]) -> Sequence[Cell]:
        """The input's cells; those without a column of their own are together in the last one."""
        if self.own == len(self.original):
            return cells
        rest: dict[str, JSON] = {
            f"column {at}": None if cell is None else as_text(cell)
            for at, cell in enumerate(cells[self.own :], self.own + 1)
        }
        return (*cells[: self.own], as_json(rest))

    def values(self, row: ResultRow, flat: Flat | None = None) -> list[Cell]:
        """A row's values, one a column."""
        flat = self.flat(row.result) if flat is None else flat
        values = [
            *self.own_cells(row.row.cells),
            row.outcome.value,
            row.message or None,
            row.execution_id,
            naive(row.triggered_at),
            naive(row.started_at),
            naive(row.finished_at),
            row.seconds,
            *(column.value(flat) for column in self.results),
        ]
        if self.overflow:
            shown = {column.path for column in self.results}
            more = {dotted(path): value for path, value in flat.values.items() if path not in shown}
            values.append(as_json(dict(more)) if more else None)
        return values

    def readable_values(self, row: ResultRow) -> list[Cell]:
        """A row's values; texts in Markdown without their markup."""
        values = self.values(row)
        for position in range(len(values) - len(self.results) - self.overflow, len(values)):
            value = values[position]
            if isinstance(value, str):
                values[position] = without_markup(value)
        return values

    def plain_values(self, row: ResultRow) -> list[Cell]:
        """A row's values where its result can't be laid out: the result is JSON in one column."""
        cells: list[Cell] = [*self.own_cells(row.row.cells), row.outcome.value, row.message or None]
        values = [*cells, row.execution_id, *(None,) * (len(self.header) - len(cells) - 1)]
        if row.result is not None and (self.results or self.overflow):
            values[len(self.original) + len(STATUS_COLUMNS)] = as_json(row.result)
        return values


def layout_of(results: BatchResults, shape: Shape | None = None, limits: Limits = EXCEL) -> Layout:
    """Look at all rows once and lay out their columns; the same rows give the same layout."""
    shape = shape or Shape()
    room = limits.columns - len(STATUS_COLUMNS) - 2  # "run again" and MORE, too
    own = len(results.header) if len(results.header) <= room else room - 1
    header = results.header
    if own < len(header):
        header = (*header[:own], MORE_OF_LIST)
    survey = TableSurvey(room - len(header), iter(range(limits.details)))
    originals = tuple(ColumnSurvey() for _ in results.header)
    reasons: Counter[str] = Counter()
    seconds: Counter[float] = Counter()
    undecided = 0
    for row in results.rows:
        for column, cell in zip(originals, row.row.cells, strict=True):
            column.see(cell)
        if row.result is not None:
            _see(survey, flatten(row.result, shape.flat_depth), shape.flat_depth)
        if row.seconds is not None and row.seconds >= 0:  # two clocks may differ
            seconds[round(row.seconds, 1)] += 1
        undecided += row.outcome is Outcome.IN_DOUBT and not row.dropped
        if row.outcome is not Outcome.COMPLETED:
            full = len(reasons) >= MOST_REASONS and row.message not in reasons
            reasons["others" if full else row.message or row.outcome.value] += 1
    names = name_columns(results.header[:own])
    columns = _chosen(survey, shape, {*header, *STATUS_COLUMNS, MORE})
    return Layout(
        original=header,
        own=own,
        original_surveys=originals[: len(header)],
        results=columns,
        tables=_tables(survey, (), columns, _leading(results, names), bool(names)),
        overflow=survey.overflow and shape.columns is None,
        lists_overflow=survey.lists_overflow,
        names=names,
        roles=results.roles,
        reasons=tuple(reasons.most_common()),
        undecided=undecided,
        seconds=tuple(sorted(seconds.items())),
        flat_depth=shape.flat_depth,
    )


def _see(survey: TableSurvey, flat: Flat, depth: int) -> None:
    survey.see(flat)
    for path, items in flat.items.items():
        table = survey.list_at(path)
        if table is not None:
            for item in items:
                _see(table, flatten(item, depth), depth)


def _chosen(survey: TableSurvey, shape: Shape, taken: set[str]) -> tuple[ResultColumn, ...]:
    """The result columns the user wants, in the wanted order, under titles of their own."""
    by_name: dict[str, list[Path]] = {}
    for path in survey.order():
        by_name.setdefault(dotted(path), []).append(path)
    if shape.columns is None:
        paths = [path for paths in by_name.values() for path in paths]
    else:
        paths = list(dict.fromkeys(_picked(shape.columns, by_name)))
    return _titled(survey, paths, shape.rename, taken)


def _picked(wanted: Iterable[str], by_name: Mapping[str, Sequence[Path]]) -> Iterator[Path]:
    for name in wanted:
        found = [path for each in by_name if fnmatchcase(each, name) for path in by_name[each]]
        if name in by_name:
            yield from by_name[name]
        elif found or "*" in name:
            yield from found
        else:  # stays, though empty: the same columns from month to month
            yield tuple(name.split("."))


def _titled(
    survey: TableSurvey, paths: Iterable[Path], rename: Mapping[str, str], taken: set[str]
) -> tuple[ResultColumn, ...]:
    columns = []
    for path in paths:
        wanted = rename.get(dotted(path), dotted(path))
        title, number = wanted, 2
        while title in taken:
            title, number = f"{wanted} ({number})", number + 1
        taken.add(title)
        seen = survey.columns.get(path) or ColumnSurvey()
        columns.append(ResultColumn(path, title, seen, seen.moments, path in survey.lists))
    return tuple(columns)


def _tables(
    survey: TableSurvey,
    above: Path,
    shown: Iterable[ResultColumn],
    leading: tuple[str, ...],
    named: bool,
) -> tuple[DetailTable, ...]:
    wanted = {column.path for column in shown}
    tables = []
    for path, seen in survey.lists.items():
        if path in wanted:
            columns = _titled(seen, seen.order(), {}, set(leading))
            whole = (*above, *path)
            below = _tables(seen, whole, columns, leading, named)
            table = DetailTable(path, dotted(whole), seen.lines, leading, named, columns, below)
            tables.append(table)
    return tuple(tables)


def _leading(results: BatchResults, names: Sequence[int]) -> tuple[str, ...]:
    """What a line of a detail sheet begins with, under the input's own titles."""
    name = " ".join(results.header[at] for at in names)
    ids = (results.header[at] or role.value for role, at in results.roles.items())
    return ("line", "item", *([name] if name else []), *ids)


Moment: TypeAlias = datetime | None


def naive(moment: Moment) -> Moment:
    """UTC without saying so: Excel has no time zones, the column's title tells it."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
