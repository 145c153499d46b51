"""CSV and its kin: bytes → `Table`, every field exactly as it is written.

The fields are told apart by the standard library's csv module: pandas gives the same text, but
pads short rows without a word and does not tell where a record starts. Of a long text, stretches
that are proven regular go to pandas all the same (regular.py): it gives columns, equal texts
shared.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.model import TableSource
from batchrun.tables.build import Block, Layout, gather
from batchrun.tables.encoding import (
    FIRST_BYTES,
    Survey,
    count_bytes,
    detect_encoding,
    lines_of,
    survey,
    text_pieces,
    utf_8_pieces,
    whole_lines,
)
from batchrun.tables.frames import Room
from batchrun.tables.ids import MissingId, ValidId, parse_id
from batchrun.tables.roles import is_known_name
from batchrun.tables.sheets import BLOCK_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from batchrun.tables.frames import Columns

    Positions = npt.NDArray[np.int64]
    from io import BufferedIOBase
    from pathlib import Path

    from batchrun.model import Table
    from batchrun.tables.options import LoadOptions


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
    samples = {delimiter: _sample_records(sample, delimiter) for delimiter in DELIMITERS}
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


def _sample_records(sample: str, delimiter: str) -> list[list[str]]:
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


QUOTE, LF, CR = b'"\n\r'


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole records from the beginning of a text, their quotes well-formed.

    Attributes:
        text: Their bytes; UTF-8.
        breaks: Line breaks within, those in quotes included.
        lines: How many lines below the first each record starts; empty unless ``width``.
        width: Fields of each record; 0 when not all have as many.
    """

    text: bytes
    breaks: int
    lines: Sequence[int]
    width: int


def regular_stretch(text: bytes, delimiter: str) -> Stretch | None:
    """The whole records a text begins with; ``None`` when a quote or a line end is in doubt.

    Args:
        text: UTF-8 that begins with a record; what follows its last whole record is left out.
        delimiter: Of its fields.
    """
    import numpy as np

    if len(delimiter) > 1 or not delimiter.isascii():
        return None
    characters = np.frombuffer(text, dtype=np.uint8)
    marked = characters == ord(delimiter)
    marked |= characters == LF
    marked |= characters == QUOTE
    marks = np.flatnonzero(marked)
    kinds = characters[marks]
    quotes = kinds == QUOTE
    # from an opening quote to its closing one; a byte keeps whether their number is odd
    quoted = (np.cumsum(quotes, dtype=np.uint8) & 1).view(bool)
    ends = np.flatnonzero((kinds == LF) & ~quoted)
    if not len(ends):
        return Stretch(b"", 0, range(0), 0)
    last = ends[-1] + 1
    marks, kinds, quotes, quoted = marks[:last], kinds[:last], quotes[:last], quoted[:last]
    whole = text[: int(marks[-1]) + 1]
    breaks = kinds == LF
    if whole.startswith(codecs.BOM_UTF8):
        return None
    if b"\r" in whole and _bare_cr(characters[: len(whole)], marks[breaks]):
        return None
    if quotes.any() and not _well_formed(characters, marks[quotes], ord(delimiter)):
        return None
    bare = kinds[~quoted & ~quotes]
    width = _width(bare)
    lines: Sequence[int] = range(len(ends))
    if np.count_nonzero(breaks) > len(ends):
        before = np.cumsum(breaks)[ends[:-1]]
        lines = [0, *before.tolist()]
    return Stretch(whole, int(np.count_nonzero(breaks)), lines if width else range(0), width)


class Stretches:
    """The regular stretches a text begins with, one after the other.

    Args:
        pieces: The text in UTF-8, cut anywhere.
        delimiter: Of its fields.
        longest: Bytes of a text that is still looked at, where no record ends; 0 for none.

    Attributes:
        pending: What was taken from the pieces and is in no stretch.
    """

    def __init__(self, pieces: Iterator[bytes], delimiter: str, longest: int) -> None:
        self.pending = b""
        self._pieces = pieces
        self._delimiter = delimiter
        self._longest = longest

    def __iter__(self) -> Iterator[Stretch]:
        for piece in self._pieces if self._longest else ():
            self.pending += piece
            stretch = regular_stretch(self.pending, self._delimiter)
            if stretch is None or len(self.pending) > self._longest:
                return
            self.pending = self.pending[len(stretch.text) :]
            yield stretch


def one_ahead(stretches: Stretches) -> Iterator[Stretch]:
    """Find each stretch while the one before is worked on."""
    found = iter(stretches)
    with ThreadPoolExecutor(max_workers=1) as thread:
        upcoming = thread.submit(next, found, None)
        while (stretch := upcoming.result()) is not None:
            upcoming = thread.submit(next, found, None)
            yield stretch


def _bare_cr(characters: npt.NDArray[np.uint8], breaks: Positions) -> bool:
    """Whether a CR is followed by anything but LF; the last character is a line break."""
    import numpy as np

    before = characters[breaks - 1]
    return bool(np.count_nonzero(before == CR) != np.count_nonzero(characters == CR))


def _well_formed(characters: npt.NDArray[np.uint8], quotes: Positions, delimiter: int) -> bool:
    """Whether quotes open where a field begins and close where one ends, or are doubled."""
    import numpy as np

    opening, closing = quotes[::2], quotes[1::2]
    before = characters[np.maximum(opening - 1, 0)]
    after = characters[closing + 1]  # a line break is the last character
    opens = (before == delimiter) | (before == LF) | (before == QUOTE) | (opening == 0)
    closes = (after == delimiter) | (after == LF) | (after == CR) | (after == QUOTE)
    return bool(opens.all() and closes.all())


def _width(marks: npt.NDArray[np.uint8]) -> int:
    """Fields of each record by the delimiters and line ends outside of quotes; 0 if they differ."""
    import numpy as np

    ends = marks == LF
    width = int(np.argmax(ends)) + 1
    if len(marks) % width or not ends[width - 1 :: width].all():
        return 0
    return width if np.count_nonzero(ends) * width == len(marks) else 0


def read_columns(stretch: Stretch, delimiter: str) -> Columns:
    """The columns of a stretch that has a width.

    Raises:
        ValueError: The parser found other fields than were proven.
    """
    import pandas as pd

    frame = pd.read_csv(
        io.BytesIO(stretch.text),
        engine="c",
        sep=delimiter,
        header=None,
        index_col=False,
        dtype=object,
        na_filter=False,
        keep_default_na=False,
        skip_blank_lines=False,
        low_memory=False,
    )
    if frame.shape != (len(stretch.lines), stretch.width):
        raise ValueError(f"{frame.shape} is not {len(stretch.lines)} by {stretch.width}")
    return tuple(frame[position].to_numpy() for position in range(stretch.width))


STRETCH_BYTES = 2 * 1024**2
"""Read at once: with more, the processor's cache is too small, with less, each call costs more."""
LONG_BYTES = 2 * 1024**2
"""A shorter text is not worth loading pandas, which takes 0.25 s."""


def read_text(stream: BufferedIOBase, file: Path, options: LoadOptions) -> Table:
    """Read delimited text.

    Args:
        stream: The file, which can be read again from the beginning.
        file: Its path; only named, not opened.
        options: Where the header is, if the user says so.

    Raises:
        InputError: The text can't be decoded, a quote is not closed, or it is no table.
    """
    found = survey(stream)
    if found.plain:
        with suppress(InputError, UnicodeDecodeError, _BrokenQuoteError, _ChangedError):
            return _read_plain(stream, file, options, found)
    stream.seek(0)  # what is to be said of it needs all of it
    return _read_whole(stream.read(), file, options)


class _BrokenQuoteError(Exception):
    """A record at or after this line, on which some record starts, has a quote left open."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _ChangedError(Exception):
    """The file is not what it was a moment ago."""


def _read_plain(stream: BufferedIOBase, file: Path, options: LoadOptions, found: Survey) -> Table:
    """Read UTF-8 piece by piece, so that it is never all in memory."""
    stream.seek(0)
    head = stream.read(max(STRETCH_BYTES, 4 * SAMPLE_CHARACTERS))
    begin = len(codecs.BOM_UTF8) * head.startswith(codecs.BOM_UTF8)
    sample = codecs.getincrementaldecoder("utf-8")().decode(head[begin:])[:SAMPLE_CHARACTERS]
    dialect = _dialect_of(sample, options)
    source = _source(file, "utf-8-sig" if begin else "utf-8", dialect, ())

    first = begin + FIRST_BYTES

    def pieces() -> Iterator[bytes]:
        further = iter(lambda: stream.read(STRETCH_BYTES), b"")
        for piece in itertools.chain([head[begin:first], head[first:]], further):
            if b"\0" in piece:
                raise _ChangedError
            yield piece

    room = Room(found.lines, found.size // 2)
    long = found.size >= LONG_BYTES
    return _gather(pieces(), dialect, source, options, room, long=long)


def _read_whole(raw: bytes, file: Path, options: LoadOptions) -> Table:
    encoding, notices = detect_encoding(raw, file.name)
    with io.TextIOWrapper(io.BytesIO(raw), encoding, newline="") as stream:
        sample = stream.read(SAMPLE_CHARACTERS)
    dialect = _dialect_of(sample, options)
    source = _source(file, encoding, dialect, notices)
    with field_limit(options.limits.field_characters):
        quotes, ends = count_bytes(raw, b'"\n')
        if quotes % 2:
            _refuse_open_quote(raw, encoding, dialect, source)
        room = Room((ends or raw.count(b"\r")) + 1, len(raw) // 2)
        try:
            pieces = utf_8_pieces(raw, encoding)
            long = len(raw) >= LONG_BYTES
            return _gather(pieces, dialect, source, options, room, long=long)
        except _BrokenQuoteError as error:
            rest = itertools.islice(lines_of(text_pieces(raw, encoding)), error.line - 1, None)
            line = _broken_line(rest, error.line, dialect)
            raise _open_quote(source, line or error.line) from error


def _dialect_of(sample: str, options: LoadOptions) -> Dialect:
    dialect = detect_dialect(sample)
    if options.header_row is not None and not dialect.declared:
        lines = list(io.StringIO(sample, newline=""))[options.header_row - 1 :]
        dialect = detect_dialect("".join(lines))
    return dialect


def _source(file: Path, encoding: str, dialect: Dialect, notices: tuple[str, ...]) -> TableSource:
    return TableSource(
        name=file.name,
        path=str(file.absolute()),
        format="csv",
        encoding=encoding,
        delimiter=dialect.delimiter,
        notices=notices,
    )


def _gather(
    pieces: Iterator[bytes],
    dialect: Dialect,
    source: TableSource,
    options: LoadOptions,
    room: Room,
    *,
    long: bool,
) -> Table:
    with field_limit(options.limits.field_characters):
        layout = Layout("", options.header_row, options.no_header, room=room)
        return gather(_blocks(pieces, dialect, long=long), source, layout)


def _records(lines: Iterator[str], dialect: Dialect) -> Any:
    return csv.reader(lines, delimiter=dialect.delimiter, strict=True)


def _blocks(pieces: Iterator[bytes], dialect: Dialect, *, long: bool) -> Iterator[Block]:
    """All records of UTF-8 with their lines.

    Of a long text, regular stretches are read fast, the others with care.
    """
    line = 1
    stretches = Stretches(pieces, dialect.delimiter, csv.field_size_limit() if long else 0)
    for stretch in one_ahead(stretches):
        if stretch.width > 1 and line > 1:
            lines: Sequence[int] = range(line, line + len(stretch.lines))
            if not isinstance(stretch.lines, range):
                lines = [line + below for below in stretch.lines]
            yield lines, read_columns(stretch, dialect.delimiter)
        else:  # the first lines are looked at closely; rows that are not all equally wide
            text = io.StringIO(stretch.text.decode(), newline="")
            yield from _numbered_blocks(text, dialect, line)
        line += stretch.breaks
    rest = codecs.iterdecode(itertools.chain([stretches.pending], pieces), "utf-8")
    yield from _numbered_blocks(lines_of(whole_lines(rest)), dialect, line)


def _numbered_blocks(lines: Iterator[str], dialect: Dialect, start: int) -> Iterator[Block]:
    """Yield records with the lines they start on, quoted line breaks counted."""
    declared = dialect.declared and start == 1
    skipped = start - 1 + len(list(itertools.islice(lines, int(declared))))
    reader = _records(lines, dialect)
    while True:
        line = skipped + reader.line_num + 1
        try:
            rows = list(itertools.islice(reader, BLOCK_ROWS))
        except csv.Error as error:
            raise _BrokenQuoteError(line) from error
        if not rows:
            return
        if skipped + reader.line_num + 1 - line == len(rows):
            yield range(line, line + len(rows)), rows
        else:
            yield list(itertools.accumulate(map(_height, rows[:-1]), initial=line)), rows


def _height(fields: list[str]) -> int:
    """Lines a record takes; fields hold a line break only inside quotes, kept as it is."""
    text = " ".join(fields)
    return 1 + text.count("\n") + text.count("\r") - text.count("\r\n")


def _refuse_open_quote(raw: bytes, encoding: str, dialect: Dialect, source: TableSource) -> None:
    """With an odd number of quotes one is open: find it before a large file is taken in.

    Pieces with an even number of quotes are passed over, which is very much faster than to read
    their fields.
    """
    line = 1
    for number, piece in enumerate(text_pieces(raw, encoding)):
        if piece.count('"') % 2:
            rest = itertools.islice(text_pieces(raw, encoding), number, None)
            broken = _broken_line(lines_of(rest), line, dialect)
            if broken is not None:
                raise _open_quote(source, broken)
            return
        line += piece.count("\n") + piece.count("\r") - piece.count("\r\n")


def _broken_line(lines: Iterator[str], start: int, dialect: Dialect) -> int | None:
    """The line where the first broken quote opens; a record begins with the first of the lines."""
    seen: list[str] = []
    reader = _records(_kept(lines, seen), dialect)
    record_line = start
    try:
        for _ in reader:
            record_line = start + reader.line_num
            seen.clear()
    except csv.Error:
        # it need not be on the record's first line
        return record_line + _broken_field("".join(seen), dialect.delimiter)
    return None


def _open_quote(source: TableSource, line: int) -> InputError:
    return InputError(
        f"{source.place(line)}: a quote opens a field and is not closed before the next delimiter.",
        'Close it, or double the quotes that belong to the text (""), then try again.',
    )


def _kept(lines: Iterator[str], seen: list[str]) -> Iterator[str]:
    for text in lines:
        seen.append(text)
        yield text


def _broken_field(record: str, delimiter: str) -> int:
    """How many lines below the record's first line its broken field opens."""
    delimiter = re.escape(delimiter)
    field_end = rf"(?:{delimiter}|\r\n|\r|\n|\Z)"
    well_formed = re.compile(
        rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n{delimiter}][^\r\n{delimiter}]*+|){field_end}'
    )
    position = 0
    while field := well_formed.match(record, position):
        if field.end() == position:
            break
        position = field.end()
    return line_at(record, position) - 1
