"""Decide which columns the output has, and compute a row's values for them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from batchrun.model import Outcome
from batchrun.settings.location import is_practice
from batchrun.tables.workbooks import OUR_STATUS
from batchrun.text import as_json, close_matches
from batchrun.workbook.cells import EXCEL, Limits, as_text, free_name
from batchrun.workbook.columns import (
    SAMPLED_ROWS,
    ColumnSurvey,
    TableSurvey,
    TemporalKind,
    moment_of,
    name_of,
    owner_column,
    row_names,
)
from batchrun.workbook.flatten import dotted, flatten
from batchrun.workbook.form import Form
from batchrun.workbook.markdown import without_markup
from batchrun.workbook.reasons import FirstRows, Reasons, needs_attention
from batchrun.workbook.titles import full_title, number_format, titles_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from batchrun.model import JSON, BatchResults, Cell, ResultRow, Role
    from batchrun.workbook.flatten import Flat, Path

AGAIN = "run again"
"""The header of the column where any entry asks to send the row again."""
REASON = "why it had no result before"
"""The header of the column with the reason, in a list of the rows to correct: the next results have
it beside their own status, so it must not look like that."""
EMPTY, REPEATS, COUNTS, TECHNICAL = UNWANTED = (
    "empty in every row",
    "repeats an ID from the list",
    "number of items in another column",
    "a technical ID",
)
"""Why people don't want a column: it is not in a file to share, nor in one for a CRM."""
MORE = "more results (JSON)"
MORE_OF_LIST = "more columns of the list (JSON)"


class StatusColumn(NamedTuple):
    """A column about the row's run."""

    title: str  # its title and its name
    kind: type  # the type of its values; times are in UTC
    width: float  # its width on a sheet, in characters
    meaning: str
    value: Callable[[ResultRow], Cell]  # returns its value in a row


MEANINGS: Mapping[Outcome, str] = {
    Outcome.REJECTED: "nothing ran",
    Outcome.INVALID: "no usable ID or parameter",
    Outcome.TIMED_OUT: "no result yet, it may still arrive",
    Outcome.IN_DOUBT: "no clear answer, may have been charged",
    Outcome.PENDING: "running or not sent",
}
"""Meanings of the outcomes whose names don't explain themselves."""
_OUTCOMES = "the outcome of the row: completed; failed; " + "; ".join(
    f"{outcome.words} ({meaning})" for outcome, meaning in MEANINGS.items()
)
_WHY = "why the row needs attention, or where a reused result comes from"
STATUS = (
    StatusColumn(OUR_STATUS, str, 13, _OUTCOMES,
                 lambda row: row.outcome.value),
    StatusColumn("batchrun message", str, 34, _WHY, lambda row: row.message or None),
    StatusColumn("execution id", str, 39, "the execution in PG:AI", lambda row: row.execution_id),
    StatusColumn("triggered (UTC)", datetime, 20, "when PG:AI accepted it",
                 lambda row: utc_without_zone(row.triggered_at)),
    StatusColumn("started (UTC)", datetime, 20, "when it began to run",
                 lambda row: utc_without_zone(row.started_at)),
    StatusColumn("finished (UTC)", datetime, 20, "when it ended",
                 lambda row: utc_without_zone(row.finished_at)),
    StatusColumn("seconds", float, 11, "how long it ran", lambda row: row.seconds),
)  # fmt: skip
"""The columns between the list's and the results', in their order."""
TIMES_FROM = 3
"""Position of the first column of `STATUS` that says when it ran, or how long."""
STATUS_COLUMNS = tuple(column.title for column in STATUS)


@dataclass(slots=True, eq=False)
class ResultColumn:
    """A column made from results."""

    path: Path
    name: str  # its unique name for programs
    title: str  # its unique title for people
    survey: ColumnSurvey
    counts: bool = False  # whether its values are the lengths of a list of objects
    aside: str = ""  # why people rarely want it; "" for a column they may want
    # The kind of date or time that its texts are converted to; None if they are not
    moments: TemporalKind | None = field(init=False)
    number_format: str = field(init=False)  # the format of its numbers; "" for the default
    as_sent: bool = field(init=False)  # whether its values need no conversion

    def __post_init__(self) -> None:
        """Derive what is read for each value."""
        self.moments = self.survey.moments
        self.number_format = number_format(self.path, self.survey)
        self.as_sent = self.moments is None and not self.counts

    @property
    def head(self) -> str:
        """The column's header: the title, with "(UTC)" if the cells are in UTC."""
        says_zone = self.moments is not TemporalKind.UTC or "UTC" in self.title
        return self.title if says_zone else f"{self.title} (UTC)"

    @property
    def filled(self) -> int:
        """How many results have a value; the length of an empty list is 0, a value."""
        return self.survey.filled + (self.survey.empty if self.counts else 0)

    @property
    def type_name(self) -> str:
        """The type of its values in plain words."""
        return self.survey.type_name if self.moments is None else self.moments.value

    def value(self, flat: Flat) -> Cell:
        """Return the column's value in a flattened result."""
        value = flat.values.get(self.path)
        if not self.counts and self.path in flat.items:  # there are too many lists for sheets
            return as_json([*flat.items[self.path]])
        if self.moments is not None and isinstance(value, str):
            found = moment_of(value)
            return value if found is None else found[1]
        if value is None and self.counts and self.path in flat.values:
            return 0
        return value


@dataclass(frozen=True, slots=True)
class DetailTable:
    """The items of a list of objects, one per line."""

    path: Path  # the path to the lists in a result, or, for a nested list, in the parent's items
    title: str
    lines: int
    columns: tuple[ResultColumn, ...]
    tables: tuple[DetailTable, ...]  # tables of the lists nested in its items


@dataclass(frozen=True, slots=True)
class Layout:
    """The output's columns and facts about all rows."""

    # The input's own header, unchanged. If a sheet can't hold all its columns, the last one stands
    # for the rest
    original: tuple[str, ...]
    own: int  # how many input columns have a column of their own
    original_surveys: tuple[ColumnSurvey, ...]  # statistics about each of the input's columns
    results: tuple[ResultColumn, ...]
    tables: tuple[DetailTable, ...]
    # The titles of the columns before an item's own: line number in the list, item number, the
    # row's name if it has one, its IDs
    leading: tuple[str, ...]
    overflow: bool  # whether there are too many result columns; the rest is one column of JSON
    lists_overflow: bool  # whether the items of a list have more columns than fit
    names: tuple[int, ...]  # positions of the input columns that name a row
    roles: Mapping[Role, int]
    reasons: Reasons  # why rows are not completed
    # Whether any row's line in the list differs from its row in the sheet Results
    lines_differ: bool
    undecided: int  # number of rows in doubt that the user has not decided on
    # Execution times, rounded to 0.1 s, with the number of executions for each
    seconds: tuple[tuple[float, int], ...]
    flat_depth: int  # the most keys in a path
    owner: int | None  # position of the input column that names a row's owner
    messages: int  # number of rows with a message
    attention: int  # number of rows that need attention
    filled: int  # number of results, each counted once however many rows share it
    # Whether a practice service invented the results; its clock runs faster than real time, so
    # their times are left out
    practice: bool

    @property
    def header(self) -> list[str]:
        """All column names, as programs read them."""
        more = (MORE,) if self.overflow else ()
        return [*self.original, *STATUS_COLUMNS, *(column.name for column in self.results), *more]

    @property
    def name_title(self) -> str:
        """The list's own title of the rows' name; ``""`` if they have none."""
        return " ".join(self.original[at] for at in self.names)

    @property
    def owner_title(self) -> str:
        """The list's own title of the rows' owner; ``""`` if they have none."""
        return "" if self.owner is None else self.original[self.owner]

    @property
    def incomplete(self) -> int:
        """How many of input, results, and lists have values without a column of their own."""
        return self.overflow + self.lists_overflow + (self.own < len(self.original))

    @property
    def _status(self) -> tuple[StatusColumn, ...]:
        return STATUS[:TIMES_FROM] if self.practice else STATUS

    def name_of(self, row: ResultRow) -> str | None:
        """Return a row's name; ``None`` if it has none."""
        return name_of(row.row.cells, self.names)

    def owner_of(self, row: ResultRow) -> Cell:
        """Return who looks after a row; ``None`` if the list doesn't say."""
        return None if self.owner is None else row.row.cells[self.owner]

    def flat(self, result: JSON) -> Flat:
        """Flatten a result, or an item of a list in it, to this layout's depth."""
        return flatten(result, self.flat_depth)

    def items(
        self, tables: Iterable[DetailTable], flat: Flat, prefix: str = ""
    ) -> Iterator[tuple[DetailTable, str, Flat]]:
        """Yield the items of the lists in a result, each before those nested in it.

        The second item in the first item of a list has the number ``1.2``.
        """
        for table in tables:
            for at, item in enumerate(flat.items.get(table.path, ()), 1):
                number, found = f"{prefix}{at}", self.flat(dict(item))
                yield table, number, found
                yield from self.items(table.tables, found, f"{number}.")

    def own_cells(self, cells: Sequence[Cell]) -> Sequence[Cell]:
        """Return the input's cells; the last one combines those without a column of their own."""
        if self.own == len(self.original):
            return cells
        rest: dict[str, JSON] = {
            f"column {at}": None if cell is None else as_text(cell)
            for at, cell in enumerate(cells[self.own :], self.own + 1)
        }
        return (*cells[: self.own], as_json(rest))

    def values(self, row: ResultRow, flat: Flat | None = None) -> list[Cell]:
        """Return a row's values, one per column."""
        flat = self.flat(row.result) if flat is None else flat
        values = [*self.own_cells(row.row.cells), *[column.value(row) for column in self._status]]
        values += [None] * (len(STATUS) - len(self._status))
        get, lists = flat.values.get, bool(flat.items)
        values += [
            get(column.path) if column.as_sent and not lists else column.value(flat)
            for column in self.results
        ]
        if self.overflow:
            shown = {column.path for column in self.results}
            more = {dotted(path): value for path, value in flat.values.items() if path not in shown}
            values.append(as_json({**more}) if more else None)
        return values

    def readable_values(self, row: ResultRow) -> list[Cell]:
        """Return a row's values, with texts in Markdown stripped of their markup."""
        values = self.values(row)
        first = len(values) - len(self.results) - self.overflow
        shown = [without_markup(each) if isinstance(each, str) else each for each in values[first:]]
        return [*values[:first], *shown]

    def plain_values(self, row: ResultRow) -> list[Cell]:
        """Return a row's values with the result as JSON in one column, if it can't be laid out."""
        status = (row.outcome.value, row.message or None, row.execution_id)
        values: list[Cell] = [*self.own_cells(row.row.cells), *status]
        values += [None] * (len(self.header) - len(values))
        if row.result is not None and (self.results or self.overflow):
            values[len(self.original) + len(STATUS_COLUMNS)] = as_json(row.result)
        return values


def layout_of(
    results: BatchResults,
    form: Form | None = None,
    limits: Limits = EXCEL,
    *,
    arranged: bool = False,
    beside: Sequence[str] = (),
) -> Layout:
    """Survey all rows and lay out their columns; the same rows always give the same layout.

    With ``arranged``, columns that people rarely want come last, unless the user chose columns.
    ``beside`` has the titles beside the result columns, if they are not those of a workbook.
    """
    form = form or Form()
    room = limits.columns - len(STATUS_COLUMNS) - 2  # MORE and "run again"
    own = len(results.header) if len(results.header) <= room else room - 1
    header = results.header
    if own < len(header):
        header = (*header[:own], MORE_OF_LIST)
    survey = TableSurvey(room - len(header), iter(range(limits.details)))
    originals = tuple(ColumnSurvey() for _ in results.header)
    reasons = Reasons()
    lines_differ = False
    seconds: Counter[float] = Counter()
    repeats: Counter[Path] = Counter()
    counts: Counter[Path] = Counter()
    first = FirstRows()
    undecided = messages = attention = 0
    start: list[Sequence[Cell]] = []  # the first rows' cells
    for line, row in enumerate(results.rows, 2):
        if len(start) < SAMPLED_ROWS:
            start.append(row.row.cells[:own])
        lines_differ = lines_differ or row.row.line != line
        for column, cell in zip(originals, row.row.cells, strict=True):
            column.see(cell)
        messages += bool(row.message)
        copy = not first.has(row)
        if row.result is not None:
            flat = flatten(row.result, form.depth)
            if not copy:
                survey.see(flat)
                for path in _counts(flat) if arranged else ():  # `update` is slow for so few
                    counts[path] += 1
            _see_lists(survey, flat, form.depth)
            for each in (row.company_id, row.contact_id):
                if not copy and each is not None and each in flat.values.values():
                    repeats.update(path for path, value in flat.values.items() if value == each)
        if row.seconds is not None and not copy:
            seconds[round(row.seconds, 1)] += 1
        undecided += row.outcome is Outcome.IN_DOUBT and not row.dropped
        if needs_attention(row):
            attention += 1
            reasons.see(row)
    names = row_names(results.header[:own], results.roles, start)
    asides = _hidden_reasons(survey, repeats, counts) if arranged and form.columns is None else {}
    columns = _chosen(survey, form, taken_titles(header), asides, beside)
    name = " ".join(results.header[at] for at in names)
    ids = (results.header[at] or role.value for role, at in results.roles.items())  # as in the list
    leading = ("Row in Results", "No.", *filter(None, [name]), *ids)
    return Layout(
        original=header,
        own=own,
        original_surveys=originals[: len(header)],
        results=columns,
        tables=_tables(survey, (), columns, leading),
        leading=leading,
        overflow=survey.overflow and form.columns is None,
        lists_overflow=survey.lists_overflow,
        names=names,
        roles=results.roles,
        reasons=reasons,
        lines_differ=lines_differ,
        undecided=undecided,
        seconds=tuple(sorted(seconds.items())),
        flat_depth=form.depth,
        owner=owner_column(results.header[:own]),
        messages=messages,
        attention=attention,
        filled=survey.lines,
        practice=results.summary.practice or is_practice(results.summary.base_url),
    )


_OWN_IDS = {("execution", "id"), ("report", "id")}
"""Keys of the result's own IDs."""
FEW = 5
"""Values needed before a column counts as uninformative."""


def _counts(flat: Flat) -> Iterator[Path]:
    """Yield the paths of values that are the number of a list's items, or 0 without such a list."""
    sizes: dict[tuple[str, ...], set[int]] = {}
    for path, items in flat.items.items():
        sizes.setdefault(words_of(path[-1]), set()).add(len(items))
    for path, value in flat.values.items():
        if path[-1][-5:].lower() == "count" and path not in flat.items:
            *words, last = words_of(path[-1])
            if last == "count" and sizes.get(tuple(words), {0}) == {value}:
                yield path


def _hidden_reasons(
    survey: TableSurvey, repeats: Mapping[Path, int], counts: Mapping[Path, int]
) -> dict[Path, str]:
    """Return the columns that people rarely want, each with the reason.

    ``repeats`` says in how many rows a column repeats an ID of the list; ``counts``, in how many
    its value may be the number of a list's items.
    """
    found = {}
    lists = [words_of(path[-1]) for path in survey.lists]
    for path, seen in survey.columns.items():
        words = words_of(path[-1])
        if not seen.filled:
            found[path] = EMPTY
        elif repeats.get(path) == seen.filled and seen.filled > 1:
            found[path] = REPEATS
        elif seen.kinds == {str} and not seen.spaced and (seen.programs_ids or words in _OWN_IDS):
            found[path] = TECHNICAL
        elif counts.get(path) == seen.filled and words[:-1] in lists:
            found[path] = COUNTS
        elif seen.filled >= FEW and not seen.varied and seen.filled == survey.lines:
            found[path] = "the same in every row"
    return found


def _see_lists(survey: TableSurvey, flat: Flat, depth: int) -> None:
    for path, items in flat.items.items():
        table = survey.list_at(path)
        if table is not None:
            for item in items:
                flat_item = flatten(item, depth)
                table.see(flat_item)
                _see_lists(table, flat_item, depth)


def _chosen(
    survey: TableSurvey,
    form: Form,
    taken: Sequence[str],
    asides: Mapping[Path, str],
    beside: Sequence[str],
) -> tuple[ResultColumn, ...]:
    """Return the chosen result columns, in the chosen order, with unique titles."""
    by_name: dict[str, list[Path]] = {}
    for path in survey.order():
        by_name.setdefault(dotted(path), []).append(path)
    by_title = titles_by_name(survey.order(), taken)
    if form.columns is None:
        paths = [path for paths in by_name.values() for path in paths]
        paths.sort(key=lambda path: path in asides)
    else:
        paths = list(dict.fromkeys(_picked(form.columns, by_name, by_title)))
    rename = dict(form.rename)
    for name, title in form.rename.items():
        if name not in by_name and name.casefold() in by_title:
            rename[dotted(by_title[name.casefold()])] = title
    return _titled(survey, paths, rename, beside or taken, asides)


def taken_titles(header: Sequence[str]) -> list[str]:
    """Return the titles that a result column can't have beside a list's columns."""
    return [*header, *STATUS_COLUMNS, AGAIN, MORE]


def titles_by_name(paths: Iterable[Path], taken: Iterable[str]) -> dict[str, Path]:
    """Return the paths by lower-case title, since users may name a column by its title, too."""
    return {title.casefold(): path for path, title in titles_of(paths, taken).items()}


def _picked(
    wanted: Iterable[str], by_name: Mapping[str, Sequence[Path]], by_title: Mapping[str, Path]
) -> Iterator[Path]:
    for name in wanted:
        found = [path for each in _matching(name, by_name) for path in by_name[each]]
        if name in by_name:
            yield from by_name[name]
        elif name.casefold() in by_title:
            yield by_title[name.casefold()]
        elif found or "*" in name:
            yield from found
        else:  # keep an empty column, so that the columns are the same from month to month
            yield tuple(name.split("."))


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _titled(
    survey: TableSurvey,
    paths: Sequence[Path],
    rename: Mapping[str, str],
    taken: Sequence[str],
    asides: Mapping[Path, str],
) -> tuple[ResultColumn, ...]:
    every = dict.fromkeys([*survey.order(), *paths])  # a title doesn't depend on what is chosen
    named = [path for path in every if dotted(path) not in rename]
    titles = titles_of(named, [*taken, *rename.values()])
    used = set(taken)
    columns = []
    for path in paths:
        name = free_name(rename.get(dotted(path), dotted(path)), used)
        used.add(name)
        seen = survey.columns.get(path) or ColumnSurvey()
        columns.append(
            ResultColumn(
                path, name, titles.get(path, name), seen, path in survey.lists, asides.get(path, "")
            )
        )
    return tuple(columns)


def _tables(
    survey: TableSurvey, above: Path, shown: Iterable[ResultColumn], leading: Sequence[str]
) -> tuple[DetailTable, ...]:
    wanted = {column.path for column in shown}
    tables = []
    for path, seen in survey.lists.items():
        if path in wanted:
            columns = _titled(seen, seen.order(), {}, leading, {})
            whole = (*above, *path)
            below = _tables(seen, whole, columns, leading)
            tables.append(DetailTable(path, full_title(whole), seen.lines, columns, below))
    return tuple(tables)


def utc_without_zone(moment: datetime | None) -> datetime | None:
    """Convert a time to UTC without a time zone: Excel has none, so the column's title says UTC."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class UnknownColumn:
    """A name in ``Form.columns`` or ``Form.rename`` that no result has."""

    name: str
    close: str  # a similar name that results have; "" if there is none
    of_list: bool = False  # whether it is one of the list's columns, which are always included


def unknown_columns(results: BatchResults, form: Form) -> tuple[UnknownColumn, ...]:
    """Return the requested names that no result has; none as long as there are no results.

    Stops reading rows once each name was found.
    """
    asked = [*dict.fromkeys([*(form.columns or ()), *form.rename])]
    paths: dict[Path, None] = {}
    for row in results.rows:
        if not asked:
            break
        found = {} if row.result is None else flatten(row.result, form.depth).values
        if fresh := [path for path in found if path not in paths]:
            paths |= dict.fromkeys(fresh)
            names = [*map(dotted, fresh)]
            asked = [name for name in asked if not (name in names or _matching(name, names))]
    if not paths:
        return ()
    known = dict.fromkeys(map(dotted, paths))
    titles = titles_by_name(paths, taken_titles(results.header))
    unknown = [name for name in asked if name.casefold() not in titles]
    return tuple(
        UnknownColumn(each, _close(each, known), each in results.header) for each in unknown
    )


def _close(name: str, known: Collection[str]) -> str:
    if any(each.startswith(f"{name}.") for each in known):
        return f"{name}.*"  # the name of an object: its values are columns
    # A short name is often the end of the full one: `fit` for `outputs.fit_score`.
    ends = [each for each in known if name.casefold() in each.rpartition(".")[2].casefold()]
    close = close_matches(name, known, 1) or ends[:1]
    return close[0] if close else ""
