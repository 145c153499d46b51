"""Find what changed since an earlier batch: rows and fields, before and now. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from batchrun.text import as_json
from batchrun.workbook.cells import LARGEST_NUMBER, as_text, is_number
from batchrun.workbook.flatten import name_of_item
from batchrun.workbook.titles import is_quantity, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from batchrun.model import JSON, BatchResults, Cell, ResultRow
    from batchrun.workbook.flatten import Flat, Path
    from batchrun.workbook.layout import Layout, ResultColumn

NEW, CHANGED, SAME = "new", "changed", "same"
NO_EARLIER = "new: no earlier result for this ID"
COLUMN = "changed"
"""The column of Results that says whether a row is new, changed, or the same."""

LARGEST = 3
"""Rises and falls of the main number to keep."""
MAX_SORTED = 20_000
"""Rows to sort in memory; more rows stay in the order of the list."""
FEW = 3
"""Rows needed before a field that differs in every one of them counts as volatile."""
_VOLATILE = {"id", "uuid", "guid", "hash", "timestamp", "token", "nonce"}
"""Words in field names that mark a field as volatile even with fewer rows."""
_MAX_VALUES = 1_000
"""Values of a field to tell apart: enough to see whether they repeat."""


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs from the earlier batch."""

    number: int  # the row's number, counted from 0
    line: int  # the row's line in the list
    name: str | None  # the row's name; None if the list has no names
    owner: Cell  # who looks after the row; None if the list does not say
    path: Path
    field: str
    before: Cell  # the earlier value; None for nothing. For a list, what was removed from it
    now: Cell  # the current value; for a list, what was added to it
    earlier_at: datetime | None  # when the earlier result was finished; aware, UTC

    @property
    def difference(self) -> float | None:
        """How much a number rose; ``None`` for other values."""
        both = (self.before, self.now)
        numbers = [each for each in both if is_number(each) and abs(each) < LARGEST_NUMBER]
        return numbers[1] - numbers[0] if len(numbers) == 2 else None


class Comparison:
    """The results of a batch compared with those of an earlier one.

    Rows are in the order of ``main``, the column of the main number, if there is one.
    """

    def __init__(
        self, results: BatchResults, layout: Layout, main: ResultColumn | None = None
    ) -> None:
        self._results, self._layout, self._main = results, layout, main
        self._columns = {column.path: column for column in layout.results}
        self.volatile = tuple(self._volatile())  # fields left out because they differ in every row
        self.marks_counted: Counter[str] = Counter()  # rows that are new, changed, and the same
        self.fields: Counter[str] = Counter()  # how many rows have changed in a field
        self.largest: list[Change] = []  # largest rises of the main number, then its largest falls
        for mark, changes in self._rows():
            self.marks_counted.update(filter(None, [mark]))
            for change in changes if mark is CHANGED else ():
                self.fields[change.field] += 1
                if main is not None and change.path == main.path:
                    self._see_amount(change)

    def _see_amount(self, change: Change) -> None:
        same = change.name, change.before, change.now
        copy = change.name and any((one.name, one.before, one.now) == same for one in self.largest)
        if change.difference is None or copy:  # a duplicate row of the list
            return
        ranked = sorted([*self.largest, change], key=lambda one: -(one.difference or 0))
        rises = [one for one in ranked if (one.difference or 0) > 0][:LARGEST]
        self.largest = rises + [one for one in ranked if (one.difference or 0) < 0][-LARGEST:]

    def _volatile(self) -> Iterator[Path]:
        """Yield the fields that differ in every row; scores and amounts always matter."""
        pairs = 0  # rows with a result before and now
        rows: Counter[Path] = Counter()  # those of them in which a field has a value both times
        differing: Counter[Path] = Counter()
        values: defaultdict[Path, set[Cell]] = defaultdict(set)  # the first values of each field
        for row, (earlier, _) in self._both():
            if row.result is None or earlier is None or row.reused:
                continue
            pairs += 1
            now, before = self._layout.flat(row.result), self._layout.flat(earlier)
            for path in self._columns:
                value = self._value(path, now)
                if value is not None and self._value(path, before) is not None:
                    rows[path] += 1
                    differing[path] += self._change(path, before, now) is not None
                    if rows[path] <= _MAX_VALUES:
                        values[path].add(value)
        for path, column in self._columns.items():
            some = rows[path]
            if not some or some != differing[path]:
                continue
            repeats = 1 < len(values[path]) < 0.9 * min(some, _MAX_VALUES)  # as in a category
            if _VOLATILE & set(words_of(path[-1])) or not (
                is_quantity(path, column.survey)
                or (column.moments is None and repeats)
                or some < FEW
                or 2 * some < pairs
            ):
                yield path

    def changes(self, mark: str = CHANGED) -> Iterator[Change]:
        """Yield the changes, row by row: first the rows whose main number changed most.

        A row that is new has one change, with its main number.
        """
        rows: Iterable[list[Change]] = (found for each, found in self._rows() if each == mark)
        main = self._main
        if mark is CHANGED and main is not None and self.marks_counted[mark] <= MAX_SORTED:
            rows = sorted(rows, key=lambda found: _amount(found, main.path), reverse=True)
        return chain.from_iterable(rows)

    def marks(self) -> Iterator[str | None]:
        """Yield for each row whether it is new, changed, or the same; ``None`` without a result."""
        return (mark for mark, _ in self._rows())

    def _rows(self) -> Iterator[tuple[str | None, list[Change]]]:
        """Yield each row's mark and its changes."""
        fields = [path for path in self._columns if path not in self.volatile]
        path, title = ((), "result") if self._main is None else (self._main.path, self._main.title)
        for number, (row, (earlier, at)) in enumerate(self._both()):
            if row.result is None or row.reused:
                yield SAME if row.reused else None, []
                continue
            now, name = self._layout.flat(row.result), self._layout.name_of(row)
            place = number, row.row.line, name, self._layout.owner_of(row)
            if earlier is None:
                value = self._value(path, now) if path else None
                yield NEW, [Change(*place, path, title, NO_EARLIER, value, None)]
                continue
            before = self._layout.flat(earlier)
            found = [
                Change(*place, path, self._columns[path].title, *change, at)
                for path in fields
                if (change := self._change(path, before, now)) is not None
            ]
            yield (CHANGED if found else SAME), found

    def _both(self) -> Iterator[tuple[ResultRow, tuple[JSON, datetime | None]]]:
        assert self._results.earlier is not None
        return zip(self._results.rows, self._results.earlier.rows, strict=True)

    def _change(self, path: Path, before: Flat, now: Flat) -> tuple[Cell, Cell] | None:
        """Return the values before and now; ``None`` if nothing in them is news."""
        was, value = self._value(path, before), self._value(path, now)
        if was == value:
            return None
        lists = any(path in flat.items or path in flat.listed for flat in (before, now))
        if _gist(was, is_list=lists) == _gist(value, is_list=lists):
            return None
        return (_only("removed", was, value), _only("added", value, was)) if lists else (was, value)

    def _value(self, path: Path, flat: Flat) -> Cell:
        """Return a value to compare and show; for a list of objects, the names of its items."""
        items = flat.items.get(path)
        if items is not None:
            return "\n".join(name_of_item(item) or as_json(dict(item)) for item in items)
        column = self._columns[path]
        value = column.value(flat) if path in flat.values and not column.counts else None
        return None if value == "" else value


def _amount(changes: Iterable[Change], main: Path) -> float:
    """Return by how much the main number of a row changed."""
    return max(abs(one.difference or 0) if one.path == main else -1 for one in changes)


def _only(word: str, items: Cell, others: Cell) -> str | None:
    """Return a list's items, one per line, that the other list lacks; ``word`` says why."""
    lines, known = ([] if cell is None else as_text(cell).split("\n") for cell in (items, others))
    rest = Counter(_gist(line, is_list=False) for line in known)
    found = []
    for line in lines:
        gist = _gist(line, is_list=False)
        if not rest[gist]:
            found.append(line)
        rest[gist] -= rest[gist] > 0
    return f"{word}: " + "\n".join(found) if found else None


def _gist(value: Cell, *, is_list: bool) -> str | None:
    """Return a value without what is no news: letter case, white space, the order of a list."""
    if value is None:
        return None
    if not isinstance(value, str):
        return as_text(value).casefold().removesuffix(".0")
    lines = value.casefold().split("\n") if is_list else [value.casefold()]
    return "\n".join(sorted(" ".join(line.split()) for line in lines))
