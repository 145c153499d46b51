"""How the characters of a text file are written as bytes. Pure."""

from __future__ import annotations

import codecs
import io
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedIOBase

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the next one
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
PIECE_BYTES = 1024**2
FIRST_BYTES = 64 * 1024
"""Of the first piece, which is looked at closely: enough for a header and the rows under it."""
CHECKED_BYTES = 64 * 1024
"""Decoded at once to see whether it can be: so little that the memory is used again."""
COUNTED_BYTES = 256 * 1024
SURVEYED_BYTES = 256 * 1024
SAMPLE_BYTES = 256 * 1024
AGAIN = "Export it again, as CSV in UTF-8 if you can choose."

_LINE_END = re.compile(rb"\r\n|\r|\n")
_PLAUSIBLE = re.compile(
    r"(?<=[a-z])[\u00df-\u00ff\u0161\u017e\u0153\u2019]"  # é in a word, or an apostrophe
    r"|[\u00c0-\u00de\u0160\u017d](?=[a-z])"  # É where a word begins
    r"|(?<![A-Za-z])[\u00df-\u00ff](?=[a-z])"
    r"|(?<=[A-Z])[\u00c0-\u00ff](?=[a-zA-Z])"
    r"|(?<!\w)[\u201c\u201e\u2018](?=\w)|(?<=\w)[\u201d\u2026]|(?<=\s)\u2013(?=\s)"
    r"|(?<=\d )\u20ac|(?<=\d)\u20ac|\u20ac(?= ?\d)"
)
_IMPLAUSIBLE = re.compile(
    r"(?<=[a-z])[\u00c0-\u00de\u0160\u017d\u0178\u0152]"  # É within a word
    r"|[\u00df-\u00ff](?=[A-Z])"
    r"|(?<=[A-Za-z])[^\w\s\x00-\x7f\u2018\u2019\u2013\u2014\u00ae\u2122\u00b4\u00b7](?=[a-z])"
    r"|(?<!\S)[\u00c4-\u00d6\u00d8-\u00de\u00f1](?!\S)"  # a letter that is no word
)


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look at all bytes of a text tells.

    Attributes:
        size: Bytes.
        lines: Lines at most.
        plain: Whether it is UTF-8 without a NUL, lines end with LF, and quotes may be in pairs.
    """

    size: int
    lines: int
    plain: bool


NOT_PLAIN = Survey(0, 0, plain=False)


def survey(stream: BufferedIOBase) -> Survey:
    """Look at all bytes of a text, in pieces that stay in the processor's cache."""
    import numpy as np

    stream.seek(0)
    buffer = bytearray(SURVEYED_BYTES)
    characters = np.frombuffer(buffer, dtype=np.uint8)
    decoder = codecs.getincrementaldecoder("utf-8")()
    size = quotes = ends = 0
    try:
        while count := stream.readinto(buffer):
            size += count
            if buffer.find(0, 0, count) >= 0:
                return NOT_PLAIN
            if not buffer.isascii() or decoder.getstate()[0]:
                decoder.decode(memoryview(buffer)[:count])
            piece = characters[:count]
            quotes += int(np.count_nonzero(piece == ord('"')))
            ends += int(np.count_nonzero(piece == ord("\n")))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return NOT_PLAIN
    return Survey(size, ends + 1, plain=quotes % 2 == 0 and ends > 0)


def detect_encoding(raw: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Find the encoding: by BOM, else UTF-8 if it is, else a named guess.

    Args:
        raw: The whole file.
        name: Its name, for messages.

    Returns:
        The encoding, and what is to be said of it.

    Raises:
        InputError: The bytes are none of these, or hold a NUL character.
    """
    encoding = next((codec for bom, codec in BOMS if raw.startswith(bom)), None)
    if encoding is None:
        encoding = _utf_16_without_bom(raw)
        if encoding is not None:
            _refuse_undecodable(raw, encoding, name)
            return encoding, (f"{name} has no byte order mark; read as {encoding.upper()}",)
        encoding = "utf-8"
    if encoding.startswith("utf-8"):
        _refuse_nul(raw, name)
        if _first_error(raw, encoding) is None:
            return encoding, ()
        if encoding == "utf-8":
            return _guess(raw, name)
    _refuse_undecodable(raw, encoding, name)
    return encoding, ()


def lines_of(pieces: Iterable[str]) -> Iterator[str]:
    """Cut text into lines at CR, LF and CRLF, line ends kept; each piece ends with a line."""
    return itertools.chain.from_iterable(io.StringIO(piece, newline="") for piece in pieces)


def text_pieces(raw: bytes, encoding: str) -> Iterator[str]:
    """Decode in pieces that end with a line: faster, being larger, than ``io.TextIOWrapper``'s."""
    return whole_lines(_decoded(raw, encoding))


def whole_lines(pieces: Iterable[str]) -> Iterator[str]:
    """Cut text anew, so that each piece ends with a line."""
    pending: list[str] = []
    for text in pieces:
        cut = text.rfind("\n") + 1
        if not cut:  # after a CR only where it can't be half of a CRLF
            cut = text.rfind("\r", 0, max(len(text) - 1, 0)) + 1
        if cut:
            yield "".join((*pending, text[:cut]))
            pending = []
        pending.append(text[cut:])
    yield "".join(pending)


def utf_8_pieces(raw: bytes, encoding: str) -> Iterator[bytes]:
    """The text in UTF-8, without its BOM; a piece may end within a character."""
    if encoding in {"utf-8", "utf-8-sig"}:
        begin = len(codecs.BOM_UTF8) * raw.startswith(codecs.BOM_UTF8)
        first = begin + FIRST_BYTES
        rest = (raw[at : at + PIECE_BYTES] for at in range(first, len(raw), PIECE_BYTES))
        return itertools.chain([raw[begin:first]], rest)
    return (piece.encode() for piece in _decoded(raw, encoding))


def count_bytes(raw: bytes, wanted: bytes) -> list[int]:
    """How often each of these bytes is in a text; all are counted while a piece is in the cache."""
    import numpy as np

    characters = np.frombuffer(raw, dtype=np.uint8)
    counts = [0] * len(wanted)
    for start in range(0, len(raw), COUNTED_BYTES):
        piece = characters[start : start + COUNTED_BYTES]
        for at, byte in enumerate(wanted):
            counts[at] += int(np.count_nonzero(piece == byte))
    return counts


def _decoded(raw: bytes, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(raw)
    for start in range(0, len(raw), PIECE_BYTES):
        yield decoder.decode(view[start : start + PIECE_BYTES])
    yield decoder.decode(b"", final=True)


def _first_error(raw: bytes, encoding: str) -> int | None:
    """Position of the first byte that can't be decoded; piece by piece, to save memory."""
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(raw)
    for start in range(0, len(raw) + 1, CHECKED_BYTES):
        piece = view[start : start + CHECKED_BYTES]
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, final=start + CHECKED_BYTES > len(raw))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None


def _refuse_undecodable(raw: bytes, encoding: str, name: str) -> None:
    position = _first_error(raw, encoding)
    if position is not None:
        raise InputError(
            f"{name} announces {encoding.removesuffix('-sig').upper()} but is damaged or cut off"
            f" (byte {position + 1:,}).",
            AGAIN,
        )
    nul = "\0".encode(encoding.removesuffix("-sig") + ("-le" if encoding == "utf-16" else ""))
    if encoding in {"utf-16-le", "utf-16-be"} or encoding == "utf-16":
        at = raw.find(nul)
        while at >= 0 and at % len(nul):
            at = raw.find(nul, at + 1)
        if at >= 0:
            raise _nul(name, raw[:at])


def _refuse_nul(raw: bytes, name: str) -> None:
    at = raw.find(b"\0")
    if at >= 0:
        raise _nul(name, raw[:at])


def _nul(name: str, before: bytes) -> InputError:
    line = 1 + sum(1 for _ in _LINE_END.finditer(before.replace(b"\0", b"")))
    return InputError(
        f"{name}, line {line} holds a NUL character: this is not a text file, or it is damaged.",
        AGAIN,
    )


def _utf_16_without_bom(raw: bytes) -> str | None:
    """UTF-16 shows itself by the NUL in each second byte of what is mostly ASCII."""
    sample = raw[: SAMPLE_BYTES - SAMPLE_BYTES % 2]
    if len(raw) % 2 or len(sample) < 4:
        return None
    half = len(sample) // 2
    for codec, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        if sample[first::2].count(0) > 0.7 * half and sample[1 - first :: 2].count(0) == 0:
            return codec
    return None


def _guess(raw: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Windows-1252 or Mac Roman, whichever gives the more plausible words."""
    sample = b"\n".join(line for line in raw[: 4 * SAMPLE_BYTES].splitlines() if not line.isascii())
    windows = _score(sample, "cp1252")
    if _first_error(raw, "cp1252") is None and windows >= _score(sample, "mac_roman"):
        return "cp1252", (f"{name} is not UTF-8; read as Windows-1252 (cp1252)",)
    if _score(sample, "mac_roman") > 0:
        return "mac_roman", (f"{name} is not UTF-8; read as Mac Roman, a guess: check the accents",)
    position = _first_error(raw, "cp1252") or 0
    line = 1 + sum(1 for _ in _LINE_END.finditer(raw, 0, position))
    raise InputError(
        f"{name}, line {line} holds the byte 0x{raw[position]:02X},"
        " which is neither UTF-8 nor Windows-1252.",
        "Save the file as CSV in UTF-8.",
    )


def _score(sample: bytes, encoding: str) -> int:
    text = sample.decode(encoding, "replace")
    bad = len(_IMPLAUSIBLE.findall(text)) + text.count("\ufffd")
    return len(_PLAUSIBLE.findall(text)) - 2 * bad
