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
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.model import TableSource
from batchrun.tables.dialect import (
    SAMPLE_CHARACTERS,
    Dialect,
    detect_dialect,
    field_limit,
    line_at,
)
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
from batchrun.tables.gather import Block, Layout, gather
from batchrun.tables.regular import Stretches, one_ahead, read_columns
from batchrun.tables.sheets import BLOCK_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedIOBase
    from pathlib import Path

    from batchrun.model import Table
    from batchrun.tables.options import LoadOptions

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
        marked_notices=notices,
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
        layout = Layout("", options.header_row, room=room)
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
