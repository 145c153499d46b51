"""How a text file is written: its encoding and its delimiter. Pure."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

DELIMITERS = ",;\t|"
SAMPLE_CHARACTERS = 256 * 1024
SAMPLE_RECORDS = 200

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

LINE_END = re.compile(r"\r\n|\r|\n")

FIELD_SIZE_LIMIT = 2**31 - 1
"""The csv module refuses fields over 131,072 characters unless told; this fits a C long."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the fields of a text are told apart.

    Attributes:
        delimiter: One of ``DELIMITERS``, or what a ``sep=`` line names.
        declared: Whether the first line is such a ``sep=`` line.
    """

    delimiter: str
    declared: bool = False


def detect_encoding(raw: bytes, name: str) -> str:
    """Find the encoding: by BOM, else UTF-8 if it is, else Windows-1252.

    Args:
        raw: The whole file.
        name: Its name, for messages.

    Raises:
        InputError: The bytes are none of these, or hold a NUL character.
    """
    encoding = next((codec for bom, codec in BOMS if raw.startswith(bom)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise InputError(
                f"{name} announces {error.encoding.upper()} but is damaged or cut off"
                f" (byte {error.start + 1:,}).",
                "Export it again, as CSV in UTF-8 if you can choose.",
            ) from error
        encoding = "cp1252"
        text = _decode_cp1252(raw, name)
    nul = text.find("\0")
    if nul >= 0:
        raise InputError(
            f"{name}, line {line_at(text, nul)} holds a NUL character: this is not a text file,"
            " or it is damaged.",
            "Export it again, as CSV in UTF-8 if you can choose.",
        )
    return encoding


def _decode_cp1252(raw: bytes, name: str) -> str:
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError as error:
        line = line_at(raw[: error.start].decode("cp1252"), error.start)
        raise InputError(
            f"{name}, line {line} holds the byte 0x{raw[error.start]:02X},"
            " which is neither UTF-8 nor Windows-1252.",
            "Save the file as CSV in UTF-8.",
        ) from error


def line_at(text: str, position: int) -> int:
    """Line number, from 1, of a position in a text."""
    return 1 + sum(1 for _ in LINE_END.finditer(text, 0, position))


def detect_dialect(sample: str) -> Dialect:
    r"""Find the delimiter among comma, semicolon, tab and bar.

    A ``sep=;`` line, as Excel writes and reads it, is believed. Otherwise each delimiter of the
    header is tried on the first records, quotes respected: the one that most often gives as many
    fields as it gives in the header wins, then the one that gives more fields, then any before the
    comma, which is common in text and numbers. When the header holds no delimiter the list has a
    single column.

    Args:
        sample: The beginning of the text, up to ``SAMPLE_CHARACTERS``.
    """
    declared = re.match(r"sep=([^\r\n\"])(?:\r|\n|$)", sample, re.IGNORECASE)
    if declared:
        return Dialect(declared[1], declared=True)
    widths = {delimiter: _record_widths(sample, delimiter) for delimiter in DELIMITERS}
    scores = {
        delimiter: (counts.count(counts[0]), counts[0], delimiter != ",")
        for delimiter, counts in widths.items()
        if counts and counts[0] > 1
    }
    if scores:
        return Dialect(max(scores, key=lambda delimiter: scores[delimiter]))
    unused = (delimiter for delimiter, counts in widths.items() if set(counts) == {1})
    return Dialect(next(unused, ","))


def _record_widths(sample: str, delimiter: str) -> list[int]:
    """Number of fields of the first records; as far as they can be read with this delimiter."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True)
    widths: list[int] = []
    with unlimited_fields(), suppress(csv.Error):  # quotes that make no sense, or the sample's end
        widths.extend(len(record) for record in itertools.islice(reader, SAMPLE_RECORDS) if record)
    if len(sample) >= SAMPLE_CHARACTERS and len(widths) > 1:
        widths.pop()  # the sample may end inside it
    return widths


@contextmanager
def unlimited_fields() -> Iterator[None]:
    """Let the csv module read fields of any size for a while."""
    before = csv.field_size_limit(FIELD_SIZE_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)
