"""How the fields of a text are told apart. Pure."""

from __future__ import annotations

import csv
import io
import itertools
import re
import statistics
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.tables.ids import MissingId, ValidId, parse_id
from batchrun.tables.names import is_known_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DELIMITERS = ",;\t|"
SAMPLE_CHARACTERS = 256 * 1024
SAMPLE_RECORDS = 200

LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the fields of a text are told apart.

    Attributes:
        delimiter: One of ``DELIMITERS``, or what a ``sep=`` line names.
        declared: Whether the first line is such a ``sep=`` line.
    """

    delimiter: str
    declared: bool = False


def line_at(text: str, position: int) -> int:
    """Line number, from 1, of a position in a text."""
    return 1 + sum(1 for _ in LINE_END.finditer(text, 0, position))


def detect_dialect(sample: str) -> Dialect:
    r"""Find the delimiter among comma, semicolon, tab and bar.

    A ``sep=;`` line, as Excel writes and reads it, is believed. Otherwise each delimiter of the
    header is tried on the first records, quotes respected: the one that most often gives as many
    fields as it gives in the header wins, then the one that gives more fields, then any before the
    comma, which is common in text and numbers. When the header holds no delimiter the list has a
    single column, unless a table of other rows is below a title.

    Args:
        sample: The beginning of the text, up to ``SAMPLE_CHARACTERS``.
    """
    declared = re.match(r"sep=([^\r\n\"])(?:\r|\n|$)", sample, re.IGNORECASE)
    if declared:
        return Dialect(declared[1], declared=True)
    samples = {delimiter: _records(sample, delimiter) for delimiter in DELIMITERS}
    widths = {delimiter: list(map(len, records)) for delimiter, records in samples.items()}
    scores = {
        delimiter: (counts.count(counts[0]), counts[0], delimiter != ",")
        for delimiter, counts in widths.items()
        if counts and counts[0] > 1
    }
    below = _below_preamble(widths) or _below_title(samples)
    if below is not None and (not scores or max(scores.values())[0] < below[1]):
        return Dialect(below[0])
    if scores:
        return Dialect(max(scores, key=lambda delimiter: scores[delimiter]))
    unused = (delimiter for delimiter, counts in widths.items() if set(counts) == {1})
    return Dialect(next(unused, ","))


def _below_preamble(widths: Mapping[str, list[int]]) -> tuple[str, int] | None:
    """The delimiter of a table of three and more columns below a report's title, and its rows."""
    found = {}
    for delimiter, counts in widths.items():
        wide = [count for count in counts if count >= 3]
        if wide and (mode := statistics.mode(wide)) and counts.count(mode) >= 2:
            start = counts.index(mode)
            steady = counts[start:].count(mode)
            if start and steady * 2 > len(counts) - start:
                found[delimiter] = (steady, mode, delimiter != ",")
    if not found:
        return None
    best = max(found, key=lambda delimiter: found[delimiter])
    return best, found[best][0]


def _below_title(samples: Mapping[str, list[list[str]]]) -> tuple[str, int] | None:
    """The delimiter of a table of two columns below a title, and its rows.

    Names such as ``Doe, John`` look like one too: only what shows itself a list of IDs is.
    """
    for delimiter in sorted(samples, key=lambda each: each == ","):
        records = samples[delimiter]
        start = next((at for at, record in enumerate(records) if len(record) > 1), 0)
        table = records[start:]
        titles = [cell for record in records[:start] for cell in record]
        steady = len({len(record) for record in table}) == 1
        if start and steady and not any(map(_names_or_is_id, titles)) and _lists_ids(table):
            return delimiter, len(table)
    return None


def _names_or_is_id(cell: str) -> bool:
    return is_known_name(cell) or isinstance(parse_id(cell), ValidId)


def _lists_ids(table: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names an ID column, or one is below it; IDs are in no header."""
    header, *rows = table
    if not rows or any(isinstance(parse_id(cell), ValidId) for cell in header):
        return False
    return any(map(is_known_name, header)) or any(map(_mostly_ids, zip(*rows, strict=True)))


def _mostly_ids(column: Sequence[str]) -> bool:
    parsed = [parse_id(cell) for cell in column]
    filled = [isinstance(each, ValidId) for each in parsed if not isinstance(each, MissingId)]
    return sum(filled) * 2 > len(filled)


def _records(sample: str, delimiter: str) -> list[list[str]]:
    """The first records that are not blank, as far as they can be read with this delimiter."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    with (
        field_limit(SAMPLE_CHARACTERS),
        suppress(csv.Error),
    ):  # quotes that make no sense, or the sample's end
        records.extend(record for record in itertools.islice(reader, SAMPLE_RECORDS) if record)
    if len(sample) >= SAMPLE_CHARACTERS and len(records) > 1:
        records.pop()  # the sample may end inside it
    return records


@contextmanager
def field_limit(characters: int) -> Iterator[None]:
    """Let the csv module read fields of so many characters for a while; its own limit is 131,072.

    A field that is longer is almost always a quote that was never closed.
    """
    before = csv.field_size_limit(characters)
    try:
        yield
    finally:
        csv.field_size_limit(before)
