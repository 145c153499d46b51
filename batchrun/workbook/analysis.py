"""Summarize the results of all rows in one pass; a result that rows share counts once. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchrun.workbook.cells import LARGEST_NUMBER, is_number
from batchrun.workbook.flatten import name_of_item
from batchrun.workbook.markdown import without_heading
from batchrun.workbook.reasons import FirstRows
from batchrun.workbook.titles import is_quantity, is_rank, is_score, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchrun.model import ResultRow
    from batchrun.workbook.flatten import Flat
    from batchrun.workbook.layout import Layout, ResultColumn

MAX_COLUMNS = 60
"""Result columns to analyze: a limit keeps memory independent of what the service sends."""
MAX_DISTINCT = 5_000
"""Distinct values to count; a column with more has neither top values nor a median."""
MAX_CATEGORIES = 25
MAX_LETTERS = 60
BEST = 10


def quantile(counted: Sequence[tuple[float, int]], share: float) -> float | None:
    """Return the smallest value with at least this share (0 to 1) of the values at or below it.

    ``counted`` has the distinct values, ascending, each with its count.
    """
    left = share * sum(number for _, number in counted)
    for value, number in counted:
        left -= number
        if left <= 0:
            return value
    return None


@dataclass(slots=True)
class Counted:
    """The values of a column and how often each occurs."""

    column: ResultColumn
    values: Counter[str | float] = field(default_factory=Counter)  # results with each value
    results: int = 0  # number of results with a value
    most: int = MAX_DISTINCT  # the most distinct values to count
    full: bool = False  # whether there were more

    def see(self, *values: str | float) -> None:
        """Count a result with these values."""
        self.results += bool(values)
        for value in values:
            if value in self.values or len(self.values) < self.most:
                self.values[value] += 1
            else:
                self.full = True

    @property
    def is_category(self) -> bool:
        """Whether there are only a few distinct values and most occur more than once."""
        few = 1 < len(self.values) <= MAX_CATEGORIES
        return few and not self.full and 2 * len(self.values) <= self.results

    def top(self, most: int) -> list[tuple[str, int]]:
        """Return the most frequent values; ties are broken by name, so the order is stable."""
        ranked = sorted(self.values.items(), key=lambda each: (-each[1], str(each[0]).casefold()))
        return [(str(value), number) for value, number in ranked[:most]]

    def quantile(self, share: float) -> float | None:
        """Return the smallest number with at least this share of the numbers at or below it."""
        numbers = {} if self.full else self.values
        return quantile(sorted((float(value), many) for value, many in numbers.items()), share)


@dataclass(frozen=True, slots=True, order=True)
class Best:
    """One of the best rows."""

    rank: float  # the sort key; the best row has the highest
    order: int  # the row's number, negated, so that the first of equal rows wins
    name: str  # "" if the list has no names
    owner: str  # who looks after it; "" if the list does not say
    value: float
    why: str  # the beginning of the text that explains the score
    job: int | None  # what duplicate rows share

    @property
    def number(self) -> int:
        """The row's number, counted from 0."""
        return -self.order


class Analysis:
    """A summary of the results: call `see` for every row, then read the attributes."""

    def __init__(self, layout: Layout) -> None:
        columns = [column for column in layout.results[:MAX_COLUMNS] if not column.aside]
        quantities = [
            column
            for column in columns
            if not column.counts and is_quantity(column.path, column.survey)
        ]
        scores = [column for column in quantities if is_score(column.path)]
        # The column that ranks the rows; None if there is none
        self.score: ResultColumn | None = next(iter([*scores, *quantities]), None)
        # Whether the lowest score is the best, as for a rank
        self.ascending = self.score is not None and is_rank(self.score.path)
        # The column that explains why a row is good; None if there is no text
        self.why = _column_of_reasons(columns, self.score)
        quantities.sort(key=lambda column: column is not self.score)
        self.numbers = [Counted(column) for column in quantities]
        self.categories = [
            Counted(column, most=4 * MAX_CATEGORIES)  # more if hardly any text repeats
            for column in columns
            if _may_be_category(column)
        ]
        self.lists = [Counted(column) for column in columns if column.counts or column.survey.items]
        # For each job of the best rows, how many rows share its result
        self.copies: Counter[int | None] = Counter()
        self._first = FirstRows()
        self._layout = layout
        self._best: list[Best] = []

    def see(self, number: int, row: ResultRow, flat: Flat) -> None:
        """Count a row, unless its result has been counted."""
        if not self._first.has(row):
            if row.job in self.copies:
                self.copies[row.job] += 1
            return
        for counted in self.numbers:
            value = flat.values.get(counted.column.path)
            if is_number(value) and -LARGEST_NUMBER < value < LARGEST_NUMBER:  # not NaN
                counted.see(value)
                if counted.column is self.score:
                    self._rank(value, number, row, flat)
        for counted in self.categories:
            value = flat.values.get(counted.column.path)
            if not (counted.full or value is None or value == ""):
                known = type(value) is str and value in counted.values
                counted.see(value if known else _spelled(value))
        for counted in self.lists:
            counted.see(*dict.fromkeys(_items(flat, counted.column)))

    def best(self) -> list[Best]:
        """Return the rows with the best scores, best first."""
        return sorted(self._best, reverse=True)

    def tied(self) -> int:
        """Return how many more results have the score of the last of the best rows."""
        if len(self._best) < BEST or self.numbers[0].full:
            return 0
        last = self._best[0].value
        return self.numbers[0].values[last] - sum(each.value == last for each in self._best)

    def _rank(self, value: float, number: int, row: ResultRow, flat: Flat) -> None:
        rank = -float(value) if self.ascending else float(value)
        full = len(self._best) == BEST
        if full and (rank, -number) < (self._best[0].rank, self._best[0].order):
            return
        found = None if self.why is None else flat.values.get(self.why.path)
        why = "" if found is None else " ".join(without_heading(str(found)).split())
        name, owner = self._layout.name_of(row) or "", self._layout.owner_of(row)
        said = "" if owner is None else str(owner)
        heapq.heappush(self._best, Best(rank, -number, name, said, value, why, row.job))
        self.copies[row.job] = 1
        if full:
            del self.copies[heapq.heappop(self._best).job]


_REASONS = {
    "because", "comment", "explanation", "justification", "motivation", "rationale", "reason",
    "reasoning", "reasons", "verdict", "why",
}  # fmt: skip


def _column_of_reasons(
    columns: Sequence[ResultColumn], score: ResultColumn | None
) -> ResultColumn | None:
    """Return the text column that explains the score, or else the first column of long texts."""
    texts = [
        column
        for column in columns
        if column.survey.kinds == {str} and column.moments is None and column.survey.spaced
        if not str(column.survey.example).startswith(("{", "["))  # JSON, which nobody reads
    ]
    stem = set() if score is None else set(words_of(score.path[-1]))
    reasons = [column for column in texts if _REASONS & set(words_of(column.path[-1]))]
    reasons.sort(key=lambda column: not stem & set(words_of(column.path[-1])))
    long = [column for column in texts if column.survey.width > MAX_LETTERS // 2]
    return next(iter([*reasons, *long, *texts]), None)


def _may_be_category(column: ResultColumn) -> bool:
    survey = column.survey
    if column.counts or survey.items or column.moments is not None:
        return False
    return survey.kinds == {bool} or (survey.kinds == {str} and survey.width <= MAX_LETTERS)


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split())[:MAX_LETTERS]


def _items(flat: Flat, column: ResultColumn) -> Iterable[str]:
    """Return the names of a list's items."""
    if column.path in flat.listed:
        names: Iterable[str] = str(flat.values[column.path]).split("\n")
    else:
        names = filter(None, map(name_of_item, flat.items.get(column.path, ())))
    return (name[:MAX_LETTERS] for name in names)
