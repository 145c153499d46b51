"""A workbook in several files: which rows are in which, each complete in itself. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from batchrun.model import Outcome
from batchrun.workbook.cells import EXCEL
from batchrun.workbook.source import ListFormats
from batchrun.workbook.target import part_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from batchrun.model import BatchResults

_Item = TypeVar("_Item")

MOST_ROWS = EXCEL.rows - 1
"""Rows of a list that fit on one sheet, below the heads."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files that a workbook is split into.

    Attributes:
        number: Which one, counted from 1.
        path: Where it is.
        first: Its first row, counted from 0.
        rows: How many rows it has.
        counts: Its rows by outcome.
    """

    number: int
    path: Path
    first: int
    rows: int
    counts: Counter[Outcome]


def part_paths(target: Path, rows: int, rows_per_file: int | None) -> tuple[Path, ...]:
    """Where the parts of a workbook go: the first to the target, the others beside it."""
    most = min(rows_per_file or MOST_ROWS, MOST_ROWS)
    number = max(1, -(-rows // most))
    return target, *(part_path(target, at) for at in range(2, number + 1))


def parts_of(results: BatchResults, target: Path, rows_per_file: int | None) -> tuple[Part, ...]:
    """The parts of a workbook, in the order of the list; one where all rows fit."""
    rows = results.summary.rows
    paths = part_paths(target, rows, rows_per_file)
    if len(paths) == 1:
        return (Part(1, target, 0, rows, Counter(results.summary.counts)),)
    most = min(rows_per_file or MOST_ROWS, MOST_ROWS)
    counts = [Counter[Outcome]() for _ in paths]
    for number, row in enumerate(results.rows):
        counts[number // most][row.outcome] += 1
    return tuple(
        Part(at + 1, path, at * most, counts[at].total(), counts[at])
        for at, path in enumerate(paths)
    )


def results_of(results: BatchResults, part: Part) -> BatchResults:
    """The results of the rows of one part."""
    earlier, first, end = results.earlier, part.first, part.first + part.rows
    if earlier is not None:
        earlier = replace(earlier, rows=_Slice(earlier.rows, first, end))
    counts = {outcome: part.counts[outcome] for outcome in results.summary.counts}
    return replace(
        results,
        summary=replace(results.summary, counts=counts),
        rows=_Slice(results.rows, first, end),
        earlier=earlier,
        list_formats=ListFormats.decoded(results.list_formats).part(first, part.rows).encoded(),
    )


@dataclass(frozen=True, slots=True)
class Split:
    """How a workbook is split, and which part is written.

    Attributes:
        parts: All parts.
        part: This one.
    """

    parts: Sequence[Part]
    part: Part

    @property
    def words(self) -> str:
        """Which rows the part has."""
        part, rows = self.part, sum(each.rows for each in self.parts)
        return (
            f"Part {part.number} of {len(self.parts)}: rows {part.first + 1:,} to "
            f"{part.first + part.rows:,} of {rows:,}. The figures are of these rows."
        )


class _Slice(Generic[_Item]):
    """Some of the items of what may be iterated more than once."""

    def __init__(self, items: Iterable[_Item], first: int, end: int) -> None:
        self._items, self._first, self._end = items, first, end

    def __iter__(self) -> Iterator[_Item]:
        return islice(iter(self._items), self._first, self._end)
