"""CSV and its kin: bytes → `Table`, every field exactly as it is written.

The fields are told apart by the standard library's csv module, not by pandas: pandas gives
the same text, but pads short rows without a word and does not tell where a record starts.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from batchrun.errors import InputError
from batchrun.model import Table, TableSource
from batchrun.tables.dialect import (
    LINE_END,
    SAMPLE_CHARACTERS,
    detect_dialect,
    detect_encoding,
    line_at,
    unlimited_fields,
)
from batchrun.tables.frames import RowCollector, blank_rows_notice, check_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class _Ragged:
    """Counts rows that are not as wide as the header, and the line of the first."""

    count: int = 0
    first_line: int = 0

    def note(self, line: int) -> None:
        self.count += 1
        self.first_line = self.first_line or line

    def notice(self, what: str) -> list[str]:
        if not self.count:
            return []
        rows = "1 row has" if self.count == 1 else f"{self.count:,} rows have"
        return [f"{rows} {what} (first: line {self.first_line})"]


def read_text(raw: bytes, file: Path) -> Table:
    """Read delimited text.

    Args:
        raw: The whole file.
        file: Its path; only named, not opened.

    Raises:
        InputError: The text can't be decoded, a quote is not closed, or it is no table.
    """
    name = file.name
    encoding = detect_encoding(raw, name)
    with io.TextIOWrapper(io.BytesIO(raw), encoding, newline="") as stream:
        dialect = detect_dialect(stream.read(SAMPLE_CHARACTERS))
    source = TableSource(
        name=name,
        path=str(file.absolute()),
        format="csv",
        encoding=encoding,
        delimiter=dialect.delimiter,
    )
    with unlimited_fields(), io.TextIOWrapper(io.BytesIO(raw), encoding, newline="") as stream:
        skipped_lines = len(list(itertools.islice(stream, int(dialect.declared))))
        records = _numbered_records(stream, dialect.delimiter, skipped_lines)
        try:
            return _collect(records, source)
        except _BrokenQuoteError as error:
            raise _explain_quote(raw.decode(encoding), error.line, source) from error


class _BrokenQuoteError(Exception):
    """The record that starts on this line has a quote that is not closed properly."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _numbered_records(
    stream: TextIO, delimiter: str, skipped_lines: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line it starts on, quoted line breaks counted."""
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    line = skipped_lines + 1
    try:
        for fields in reader:
            yield line, fields
            line = skipped_lines + reader.line_num + 1
    except csv.Error as error:
        raise _BrokenQuoteError(line) from error


def _collect(records: Iterator[tuple[int, list[str]]], source: TableSource) -> Table:
    header_line, header = next(
        ((line, fields) for line, fields in records if any(fields)), (0, [""])
    )
    if not header_line:
        raise InputError(f"{source.name} holds nothing but blank lines.", "Export the list again.")
    width = len(header)
    rows = RowCollector(width, filler="")
    short, long = _Ragged(), _Ragged()
    for line, fields in records:
        if not any(fields):
            rows.skip_blank()
            continue
        if len(fields) < width:
            short.note(line)
        elif len(fields) > width:
            if any(fields[width:]):
                long.note(line)
            else:
                del fields[width:]  # a delimiter at the end of the line, and nothing behind it
        rows.add(line, fields)
    check_header(source, tuple(header), header_line, len(rows))
    blank_names = [""] * (len(rows.columns) - width)
    notices = [
        *_encoding_notice(source),
        *short.notice("fewer fields than the header; the missing ones were taken as empty"),
        *long.notice("more fields than the header; they are kept in columns without a name"),
        *blank_rows_notice(rows),
    ]
    return Table(replace(source, notices=tuple(notices)), (*header, *blank_names), rows.frame())


def _encoding_notice(source: TableSource) -> list[str]:
    if source.encoding != "cp1252":
        return []
    return [f"{source.name} is not UTF-8; read as Windows-1252 (cp1252)"]


def _explain_quote(text: str, record_line: int, source: TableSource) -> InputError:
    """Find the field whose quote is broken: it need not be on the record's first line."""
    delimiter = re.escape(source.delimiter or ",")
    field_end = rf"(?:{delimiter}|\r\n|\r|\n|\Z)"
    well_formed = re.compile(
        rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n{delimiter}][^\r\n{delimiter}]*+|){field_end}'
    )
    line_starts = itertools.chain([0], (end.end() for end in LINE_END.finditer(text)))
    start = position = next(itertools.islice(line_starts, record_line - 1, None))
    while field := well_formed.match(text, position):
        if field.end() == position:
            break
        position = field.end()
    line = record_line + line_at(text[start:position], position - start) - 1
    return InputError(
        f"{source.place(line)}: a quote opens a field and is not closed before the next delimiter.",
        'Close it, or double the quotes that belong to the text (""), then try again.',
    )
