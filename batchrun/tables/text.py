"""Read CSV and other delimited text; each field stays exactly as it is in the file.

Uses the standard library's csv module. pandas would silently pad short rows, and does not provide
the line where a record starts.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import statistics
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.model import TableSource
from batchrun.tables.build import build_table
from batchrun.tables.encoding import (
    MISREAD_MARK,
    Encoding,
    encoding_of,
    survey,
    with_guess_notice,
)
from batchrun.tables.frames import MORE
from batchrun.tables.ids import find_id
from batchrun.tables.sheets import BLOCK_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import BufferedIOBase
    from pathlib import Path

    from batchrun.model import Table
    from batchrun.tables.options import LoadOptions
    from batchrun.tables.sheets import Block


DELIMITERS = ",;\t|"
SAMPLE_CHARACTERS = 256 * 1024
SAMPLE_RECORDS = 200

_DELIMITER_NAMES = {
    "comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": " ",
    "colon": ":",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text separates and quotes its fields."""

    delimiter: str  # one of `DELIMITERS`, or any character from a `sep=` line or the user
    declared: bool = False  # whether the first line is a `sep=` line
    literal: bool = False  # whether quotes are ordinary characters
    spaced: bool = False  # whether white space between quotes and delimiters is ignored
    quote: str = '"'  # the character that encloses fields
    wrapped: bool = False  # whether whole records are quoted as well

    def reader(self, lines: Iterable[str]) -> Any:
        """Return a reader, like `csv.reader`, for lines in this dialect."""
        if self.wrapped:
            return _WrappedReader(lines, replace(self, wrapped=False))
        if self.literal:
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        if self.spaced:
            return _SpacedReader(lines, self.delimiter, self.quote)
        return csv.reader(lines, delimiter=self.delimiter, strict=True, quotechar=self.quote)


_LITERAL = Advice(
    "Taken as text, quotes leave every row as wide as the header",
    ": try again with --quoting literal.",
    quoting="",
)


class _WrappedReader:
    """Reads records that a program treated as single fields and quoted again."""

    def __init__(self, lines: Iterable[str], dialect: Dialect) -> None:
        self._records = csv.reader(lines, strict=True)
        self._dialect = dialect

    @property
    def line_num(self) -> int:
        return self._records.line_num

    def __iter__(self) -> Iterator[list[str]]:
        for record in self._records:
            yield next(iter(self._dialect.reader(record)), [])


class _SpacedReader:
    """A `csv.reader` that ignores white space before fields and after closing quotes.

    The standard library's reader can ignore it only before fields.
    """

    def __init__(self, lines: Iterable[str], delimiter: str, quote: str) -> None:
        self.line_num = 0
        self._lines = lines
        self._quote = quote
        end, blank = re.escape(delimiter), " *+" if delimiter == "\t" else r"[ \t]*+"
        self._field = re.compile(
            rf"{blank}(?:{quote}([^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+){quote}{blank}"
            rf"|(?!{quote})([^{end}\r\n]*+))({end}|\r?\n|\r|\Z)"
        )

    def __iter__(self) -> Iterator[list[str]]:
        record, lines = "", 0
        for line in self._lines:
            record, lines = record + line, lines + 1
            if (fields := self._fields(record)) is not None:
                self.line_num += lines
                yield fields
                record, lines = "", 0
            elif record.count(self._quote) % 2 == 0 or lines > MAX_RECORD_LINES:
                raise csv.Error("a quote is in an odd place")
        if record:
            raise csv.Error("a quote is not closed")

    def _fields(self, record: str) -> list[str] | None:
        fields: list[str] = []
        at = 0
        while found := self._field.match(record, at):
            quoted, plain, end = found.groups()
            fields.append(plain if quoted is None else quoted.replace(self._quote * 2, self._quote))
            at = found.end()
            if at == len(record) and (not end or end[0] in "\r\n"):
                return [] if fields == [""] else fields
        return None


MAX_RECORD_LINES = 1_000
"""Maximum number of lines in a record; beyond that, a quote is treated as never closed."""


def detect_dialect(sample: str) -> Dialect:
    r"""Detect the delimiter: comma, semicolon, tab or bar.

    A ``sep=;`` line, as Excel writes and reads it, decides. Otherwise each delimiter is tried on
    the first records, respecting quotes. These criteria decide, in this order:

    1. the most records that have an ID as a whole field;
    2. the most records with as many fields as the header;
    3. the most fields in the header;
    4. any other delimiter before the comma, which is common in text and numbers.

    If the header has no delimiter, the list has a single column, unless a wider table follows below
    a title.
    """
    declared = re.match(r"sep=([^\r\n\"])(?:\r|\n|$)", sample, re.IGNORECASE)
    if declared:
        return Dialect(declared[1], declared=True)
    samples = {each: _sample_records(sample, Dialect(each)) for each in DELIMITERS}
    ids = {delimiter: _rows_with_ids(records) for delimiter, records in samples.items()}
    most = [delimiter for delimiter in samples if ids[delimiter] == max(ids.values())]
    if len(most) == 1:
        return Dialect(most[0])
    samples = {delimiter: samples[delimiter] for delimiter in most}
    widths = {delimiter: list(map(len, records)) for delimiter, records in samples.items()}
    scores = {
        delimiter: (counts.count(counts[0]), counts[0], delimiter != ",")
        for delimiter, counts in widths.items()
        if counts and counts[0] > 1
    }
    below = max(filter(None, itertools.starmap(_below_preamble, widths.items())), default=None)
    if below is not None and (not scores or max(scores.values())[0] < below[0]):
        return Dialect(below[-1])
    if scores:
        return Dialect(max(scores, key=lambda each: scores[each]))
    if sample.startswith('"') and (wrapped := _wrapped(samples[most[0]])) is not None:
        return wrapped
    unused = (delimiter for delimiter, counts in widths.items() if set(counts) == {1})
    return Dialect(next(unused, ","))


def _wrapped(records: Sequence[Sequence[str]]) -> Dialect | None:
    """Detect the dialect of records that are quoted as a whole; ``None`` if they are not."""
    if any(len(record) != 1 for record in records):
        return None
    inner = detect_dialect("\n".join(field for [field] in records))
    found: list[list[str]] = []
    with suppress(csv.Error):
        found += [next(iter(inner.reader([field])), []) for [field] in records]
    is_table = len(set(map(len, found))) == 1 and len(found[0]) > 1 and _rows_with_ids(found)
    return replace(inner, wrapped=True) if is_table and not inner.wrapped else None


def _rows_with_ids(records: Sequence[Sequence[str]]) -> int:
    return sum(any(map(find_id, row)) for row in records)


def _below_preamble(delimiter: str, counts: list[int]) -> tuple[int, int, bool, str] | None:
    """Score a table with at least three columns below a report's title; ``None`` if there is none.

    ``counts`` has the number of fields of each record.
    """
    wide = [count for count in counts if count >= 3]
    if not wide:
        return None
    mode = statistics.mode(wide)
    start, steady = counts.index(mode), counts.count(mode)
    is_table = start and steady >= 2 and steady * 2 > len(counts) - start
    return (steady, mode, delimiter != ",", delimiter) if is_table else None


def _sample_records(sample: str, dialect: Dialect) -> list[list[str]]:
    """Read the first non-blank records, up to one that can't be read in this dialect."""
    reader = dialect.reader(io.StringIO(sample, newline=""))
    records: list[list[str]] = []
    # an error means misplaced quotes, or the end of the sample
    with field_limit(SAMPLE_CHARACTERS), suppress(csv.Error):
        records.extend(filter(None, itertools.islice(reader, SAMPLE_RECORDS)))
    if len(sample) >= SAMPLE_CHARACTERS and len(records) > 1:
        records.pop()  # it may be incomplete
    return records


@contextmanager
def field_limit(characters: int) -> Iterator[None]:
    """Change the csv module's field size limit (by default 131,072 characters) within the block.

    A longer field almost always means a quote that is never closed.
    """
    before = csv.field_size_limit(characters)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _BrokenQuoteError(InputError):
    """A quote is not closed, or is misplaced, in the record that starts on this line."""

    def __init__(self, line: int) -> None:
        super().__init__(f"A quote in line {line} is not closed.", "")
        self.line = line


class TextFile:
    """Delimited text, as a seekable stream.

    It is read again if the first attempt shows a problem with quotes.

    Raises:
        InputError: The text can't be decoded; when it is read, a quote is not closed, or there is
            no table.
    """

    def __init__(self, stream: BufferedIOBase, file: Path, options: LoadOptions) -> None:
        is_utf_8, self._is_clean = survey(stream)
        stream.seek(0)
        if options.encoding is None and is_utf_8:
            mark = b"\xef\xbb\xbf"
            self._encoding = Encoding("utf-8-sig" if stream.read(3) == mark else "utf-8")
        else:
            raw = stream.read()
            stream = io.BytesIO(raw)
            self._encoding = encoding_of(raw, file.name, options.encoding)
        self._stream, self._options = stream, options
        self._odd_marks: list[int] = []
        self._swallowed: list[tuple[int, int]] = []
        with self._text() as text:
            sample = text.read(SAMPLE_CHARACTERS)
        self._dialect = _dialect_of(sample, options)
        self._source = TableSource(
            name=file.name,
            path=str(file.absolute()),
            format="csv",
            encoding=self._encoding.name,
            delimiter=self._dialect.delimiter,
            notices=self._encoding.notices,
        )

    def read(self) -> Table:
        """Read the table."""
        self._swallowed.clear()
        with field_limit(self._options.limits.field_characters), self._text() as text:
            try:
                table = build_table(self._blocks(text), self._source, self._options)
            except _BrokenQuoteError as error:
                if not self._spaced_fits():
                    raise self._broken_quotes(error.line) from error
                table = None
        if table is None or (MORE in " ".join(table.source.notices) and self._spaced_fits()):
            self._dialect = replace(self._dialect, spaced=True)
            return self.read()
        notices = [*table.source.notices, *self._swallowed_notice()]
        if self._odd_marks:
            marks = "1 byte order mark" if len(self._odd_marks) == 1 else "Byte order marks"
            notices.append(f"{marks} inside the file left out (first: line {self._odd_marks[0]})")
        table = replace(table, source=replace(table.source, notices=tuple(notices)))
        return with_guess_notice(table, self._encoding)

    def rows(self) -> Iterator[Block]:
        """Yield all raw rows."""
        with field_limit(self._options.limits.field_characters), self._text() as text:
            yield from self._blocks(text)

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        self._stream.seek(0)
        text = io.TextIOWrapper(cast("IO[bytes]", self._stream), self._encoding.name, newline="")
        try:
            yield text
        finally:
            with suppress(ValueError):
                text.detach()  # keep the stream open

    def _blocks(self, text: TextIO) -> Iterator[Block]:
        """Yield all records in blocks, with the lines they start on."""
        skipped = int(self._dialect.declared)
        reader = self._dialect.reader(itertools.islice(self._lines(text), skipped, None))
        starts, rows = [skipped + 1], []
        try:
            for row in reader:
                rows.append(row)
                starts.append(skipped + reader.line_num + 1)
                if len(rows) == BLOCK_ROWS:
                    yield self._block(starts, rows)
                    starts, rows = starts[-1:], []
        except csv.Error as error:
            raise _BrokenQuoteError(starts[-1]) from error
        if rows:
            yield self._block(starts, rows)

    def _block(self, starts: list[int], rows: list[Any]) -> Block:
        """Return a block of records, given the lines they start on and the line below them."""
        if starts[-1] - starts[0] > len(rows):
            for row, (start, end) in zip(rows, itertools.pairwise(starts), strict=True):
                if end - start > 1 and self._holds_rows(row):
                    self._swallowed.append((start, end - 1))
        return starts[:-1], rows

    def _holds_rows(self, row: Iterable[str]) -> bool:
        """Whether a field contains lines that look like rows of the list, with IDs."""
        return any(
            len(fields) > 1 and any(map(find_id, fields))
            for cell in row
            if "\n" in cell or "\r" in cell
            for fields in (line.split(self._dialect.delimiter) for line in cell.splitlines())
        )

    def _swallowed_notice(self) -> list[str]:
        """Return a notice about quoted fields that contain rows.

        Raises:
            InputError: Quotes taken as text give every row the width of the header, so one that
                was never closed has swallowed the rows.
        """
        if not self._swallowed:
            return []
        first, last = self._swallowed[0]
        what = f"a quote is closed only in line {last}, and the lines between hold IDs"
        count = len(self._swallowed)
        more = f" There are {count:,} such places." if count > 1 else ""
        if self._fits(replace(self._dialect, literal=True, spaced=False)):
            raise InputError(f"{self._source.place(first)}: {what}.{more}", _LITERAL)
        return [f"In line {first}, {what}: they are read as one text, not as rows.{more}"]

    def _lines(self, text: Iterable[str]) -> Iterable[str]:
        return text if self._is_clean else self._cleaned(text)

    def _cleaned(self, text: Iterable[str]) -> Iterator[str]:
        """Yield the lines without stray marks.

        Concatenated files have byte order marks inside, some programs write a mark as three
        letters, and files from old programs end with Ctrl-Z.
        """
        for number, line in enumerate(text, start=1):
            if mark := _MARKS.match(line):
                self._odd_marks.append(number)
                yield line[mark.end() :]
            elif line[-1] == "\x1a" or line.rstrip("\r\n") == "\x1a":
                if left := line.rstrip("\x1a\r\n"):
                    yield left
            else:
                yield line

    def _broken_quotes(self, start: int) -> InputError:
        """Return the error for broken quotes: where, how many, and what to do.

        The first broken one is in the record that starts in the line ``start``.
        """
        field = rf'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^{re.escape(self._dialect.delimiter)}]*+)'
        well_formed = re.compile(f"{field}(?:{re.escape(self._dialect.delimiter)}{field})*+")
        first, broken, escaped = start, 0, False
        with self._text() as text:
            for number, line in enumerate(self._lines(text), start=1):
                if number < start or '"' not in line or well_formed.fullmatch(line.rstrip("\r\n")):
                    continue
                first = first if broken else number
                broken += 1
                escaped = escaped or '\\"' in line
        open_quote = "a quote opens a field and is not closed before the next delimiter"
        what = f"{self._source.place(first)}: {open_quote}"
        more = f" There are {broken:,} such lines." if broken > 1 else ""
        if escaped:
            return InputError(
                f'{what}: quotes inside a text are written as \\", as MySQL does.{more}',
                'Export it with doubled quotes (""), then try again.',
            )
        close = 'Close it, or double the quotes that belong to the text (""), then try again.'
        literal = self._fits(replace(self._dialect, literal=True))
        return InputError(f"{what}.{more}", _LITERAL if literal else close)

    def _spaced_fits(self) -> bool:
        """Whether every row is as wide as the header if white space around quotes is ignored."""
        if self._dialect.spaced or self._dialect.literal:
            return False
        return self._fits(replace(self._dialect, spaced=True))

    def _fits(self, dialect: Dialect) -> bool:
        limit = field_limit(self._options.limits.field_characters)
        with limit, self._text() as text, suppress(csv.Error):
            lines = itertools.islice(self._lines(text), int(dialect.declared), None)
            rows = filter(None, dialect.reader(lines))
            width = len(next(rows, ()))
            return width > 1 and all(len(row) == width for row in rows)
        return False


def _dialect_of(sample: str, options: LoadOptions) -> Dialect:
    if options.quoting not in {None, "literal"}:
        raise InputError(f"The quoting {options.quoting} is not known.", "It may be literal.")
    dialect = detect_dialect(sample)
    if options.header_row is not None and not dialect.declared:
        lines = list(io.StringIO(sample, newline=""))[options.header_row - 1 :]
        dialect = detect_dialect("".join(lines))
    if options.delimiter is not None:
        name = options.delimiter
        delimiter = _DELIMITER_NAMES.get(name.strip().lower(), name)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise InputError(
                f"The delimiter {name!r} is not a single character.",
                "It may be comma, semicolon, tab, bar, or a character such as ^.",
            )
        dialect = replace(dialect, delimiter=delimiter)
    if options.quoting == "literal":
        return replace(dialect, literal=True)
    if _APOSTROPHES.match(sample):
        dialect = replace(dialect, quote="'")
    return replace(dialect, spaced=_is_spaced(sample, dialect))


_MARKS = re.compile(f"(?:\ufeff|{MISREAD_MARK})+")
_APOSTROPHES = re.compile(r"'[^'\r\n]*'(?:([,;\t|])'[^'\r\n]*'(?=[,;\t|\r\n]))++[\r\n]")
"""A first line with all fields in single quotes."""


def _is_spaced(sample: str, dialect: Dialect) -> bool:
    """Whether more records are as wide as the header if white space around quotes is ignored.

    If the number does not change, quoted names after a space in the header decide: quotes are not
    part of a column name.
    """
    end = re.escape(dialect.delimiter)
    blank = " +" if dialect.delimiter == "\t" else r"[ \t]+"
    odd = re.compile(rf"{end}{blank}{dialect.quote}|{dialect.quote}{blank}{end}")
    if not odd.search(sample):
        return False
    plain, spaced = (
        list(map(len, _sample_records(sample, each)))
        for each in (dialect, replace(dialect, spaced=True))
    )
    fits, before = (widths.count(widths[0]) if widths else 0 for widths in (spaced, plain))
    in_header = odd.search(sample.splitlines()[0]) is not None
    return fits > before or (len(set(spaced)) == 1 and (in_header or len(set(plain)) != 1))
