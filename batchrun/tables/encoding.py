"""Detect the encoding of a text file. Pure."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.text import close_matches, plural

if TYPE_CHECKING:
    from io import BufferedIOBase

    from batchrun.model import Table

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts like UTF-16, so it comes first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MISREAD_MARK = codecs.BOM_UTF8.decode("cp1252")
"""A UTF-8 byte order mark that a program misread as letters."""
PIECE_BYTES = 256 * 1024
SHOWN_CELLS, SHOWN_CHARACTERS = 2, 40
SAMPLE_BYTES = 256 * 1024
AGAIN = "Export it again, as CSV in UTF-8 if you can choose."
MIXED_SHARE = 0.25
"""In a multibyte encoding, a ratio of UTF-8 lines to others below this counts as chance."""

_LETTERS = {
    "Arabic": ("cp1256",),
    "Baltic": ("cp1257",),
    "Central European": ("cp1250", "iso8859-2"),
    "Chinese": ("gb18030", "big5"),
    "Cyrillic": ("cp1251", "koi8-r", "koi8-u", "iso8859-5", "cp866", "mac-cyrillic"),
    "Greek": ("cp1253", "iso8859-7"),
    "Hebrew": ("cp1255",),
    "Japanese": ("cp932", "euc_jp"),
    "Korean": ("cp949",),
    "Thai": ("cp874",),
    "Turkish": ("cp1254", "iso8859-9"),
    "Vietnamese": ("cp1258",),
    "Western European": ("cp437", "cp850", "iso8859-15"),
}
_NAMES = {"cp1252": "Windows-1252 (cp1252)", "mac_roman": "Mac Roman"} | {
    name: f"{letters} ({name})" for letters, names in _LETTERS.items() for name in names
}
"""What an encoding is called for people, with its name for ``--encoding``."""
PREFERRED = {"iso8859-1": "cp1252", "mac-latin2": "mac_roman", "mac-roman": "mac_roman"}
"""Encodings to use instead of the detected one. cp1252 is ISO 8859-1 with printable characters in
place of control characters. chardet mistakes short French and Spanish texts from old Macs for
Central European."""
_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIELD_ENDS = re.compile(rb"[,;\t|\"\r\n]+")
_SEVERAL_BYTES = {"cp932", "gb18030", "big5", "cp949", "euc_jp"}
_KNOWN = (
    *(f"Windows-125{number}" for number in range(9)),
    *("CP932", "EUC-JP", "GB18030", "Big5", "CP949", "CP874", "KOI8-R", "KOI8-U"),
    *(f"ISO-8859-{number}" for number in (2, 5, 7, 9)),
    *("MacRoman", "MacCyrillic", "IBM866", "cp437", "cp850"),
)
"""The encodings of real lists. chardet knows more, but a match with those is a coincidence."""
_FEW_CHARACTERS = 12
_WESTERN = re.compile(
    "(?:[\x00-\x7f\u00b0\u00c0-\u00cf\u00d1-\u00d6\u00d8-\u00dc\u00df-\u00ef\u00f1-\u00f6\u00f8-\u00fc"
    "\u00ff\u0152\u0153\u20ac\u2013-\u2026\u2122]|\u00ae(?![^\\W\\d_]))*"
)
"""Western European letters without Icelandic ones: their bytes are Turkish letters in cp1254."""
_OTHER_SCRIPT = re.compile(r"\b(?:(?![A-Za-zªµºÀ-ɏ])[^\W\d_]){2,}\b")
"""A word of two letters or more, none of which is Latin."""
_EURO = b"\xa4"
"""The euro sign in ISO 8859-15; in Windows-1252 it is the currency sign, which nobody uses."""
_ESCAPE = b"\x1b$"
"""Starts the texts of ISO-2022, which are otherwise ASCII."""
_SEVEN_BIT = (
    (b"\x1b$)C", "iso2022_kr", "ISO-2022-KR (Korean)"),
    (_ESCAPE, "iso2022_jp", "ISO-2022-JP (Japanese)"),
    (b"~{", "hz", "HZ (Chinese)"),
)
"""What starts a text that is not ASCII in an encoding of 7 bits, Python's name for it, and ours."""
_UTF_7 = re.compile(rb"\+(?:[AB][A-Za-z0-9/+]{2}|[0-9/+]{0,99}[A-Za-z][A-Za-z0-9/+]{0,99}-)")
"""Letters of most alphabets in UTF-7, or a short text that is ended as UTF-7 does; no phone number.

In long Base64, each plus sign would be compared with all that follows it."""
_OFFERED = (
    "utf-8", "utf-16", "cp1252", "cp1250", "cp1251", "koi8-r", "shift_jis", "gb18030", "big5",
    "euc-kr", "euc-jp", "mac_roman", "latin-1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of a text."""

    name: str  # Python's name for it
    notices: tuple[str, ...] = ()
    guessed: str = ""  # display name of the encoding if it is a guess; "" if it is certain


_NOT_OF_FILES = {"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"}
"""Python codecs that are not for files: they change text or raise other errors."""


def encoding_of(raw: bytes, name: str, given: str | None) -> Encoding:
    """Return the encoding that the user gave, if the text is valid in it, or else detect it.

    Raises:
        InputError: There is no such text encoding, or the text can't be decoded.
    """
    if given is None:
        return detect_encoding(raw, name)
    with suppress(LookupError, ValueError):
        found = codecs.lookup(given.strip())
        if found._is_text_encoding and found.name not in _NOT_OF_FILES:  # base64 is a codec too
            _check(raw, found.name, name, f"{name} was to be read as {given}")
            marked = found.name == "utf-8" and raw.startswith(codecs.BOM_UTF8)
            return Encoding("utf-8-sig" if marked else found.name)
    close = close_matches(given, _OFFERED)
    meant = f" Did you mean {close[0]}?" if close else ""
    raise InputError(
        f"{given} is not a known encoding.", f"Choose one of {', '.join(_OFFERED)}.{meant}"
    )


def with_guess_notice(table: Table, encoding: Encoding) -> Table:
    """Add a notice with the encoding and two cells to check it by, if it is a guess."""
    if not encoding.guessed:
        return table
    found = (
        f'"{cell[:SHOWN_CHARACTERS]}" in line {row.line}'
        for row in table.rows()
        for cell in row.cells
        if isinstance(cell, str) and not cell.isascii()
    )
    shown = " and ".join(islice(found, SHOWN_CELLS))
    said = f"{table.source.name} is not UTF-8; read as {encoding.guessed}, a guess"
    said = Advice(
        said + (f": check {shown}" if shown else ""),
        "; if it is wrong, add --encoding",
        encoding="",
    )
    return replace(table, source=replace(table.source, notices=(said, *table.source.notices)))


def survey(stream: BufferedIOBase) -> tuple[bool, bool]:
    """Check all bytes of a text in one pass, piece by piece.

    Returns:
        Two values. First, whether the text is UTF-8, with or without a byte order mark at the
        start; a text that holds a NUL or may be in a 7-bit encoding is not. Second, whether it is
        also free of Ctrl-Z, and of byte order marks after the start.
    """
    stream.seek(0)
    stream.seek(len(codecs.BOM_UTF8) * (stream.read(3) == codecs.BOM_UTF8))
    decoder = codecs.getincrementaldecoder("utf-8")()
    clean = True
    try:
        while piece := stream.read(PIECE_BYTES):
            seven_bit = _may_hold(piece, _ESCAPE) or _may_hold(piece, b"~{")
            if b"\0" in piece or seven_bit or _UTF_7.search(piece):
                return False, False
            if not piece.isascii() or decoder.getstate()[0]:
                text = decoder.decode(piece)
                clean = clean and "\ufeff" not in text and MISREAD_MARK not in text
            clean = clean and b"\x1a" not in piece
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False, False
    return True, clean


def _may_hold(piece: bytes, mark: bytes) -> bool:
    """Return whether a mark of two bytes is in a piece, or may begin at its end."""
    first = mark[:1]  # a search for one byte is many times faster than one for two
    return first in piece and (mark in piece or piece.endswith(first))


def detect_encoding(raw: bytes, name: str) -> Encoding:
    """Detect the encoding: by byte order mark, else by valid UTF-16, UTF-32 or UTF-8, else a guess.

    Raises:
        InputError: The text is damaged, holds a NUL character, or mixes UTF-8 with another
            encoding.
    """
    marked = next((codec for bom, codec in BOMS if raw.startswith(bom)), None)
    wide = marked or _wide_without_bom(raw)
    if wide is not None and wide != "utf-8-sig":
        _check(raw, wide, name, f"{name} announces {wide.upper()}")
        if marked is None:
            notice = f"{name} has no byte order mark; read as {wide.upper()}"
            return Encoding(wide, (notice,))
        return Encoding(wide)
    at = raw.find(b"\0")
    if at >= 0:
        raise _nul(name, raw[:at])
    for mark, codec, shown in _SEVEN_BIT:
        if mark in raw and _first_error(raw, codec) is None:
            return Encoding(codec, guessed=shown)
    if (at := raw.find(_ESCAPE)) >= 0:
        line = _line_of(raw, at)
        raise InputError(f"{name}, line {line}: its text is in an encoding unknown here.", AGAIN)
    if _first_error(raw, "utf-8") is None:
        return Encoding(marked or "utf-8", _utf_7_notice(raw, name))
    if marked is not None:
        _check(raw, "utf-8", name, f"{name} announces UTF-8")
    return _guess(raw, name)


def _utf_7_notice(raw: bytes, name: str) -> tuple[str, ...]:
    """Return a notice if a text may be in UTF-7; it may also be as it is, with plus signs."""
    if not _UTF_7.search(raw) or _first_error(raw, "utf-7") is not None:
        return ()
    for number, line in enumerate(_LINE_END.split(raw), start=1):
        for field in filter(_UTF_7.search, _FIELD_ENDS.split(line)):
            text = field.decode("utf-7", "replace")
            if "".join(each for each in text if not each.isascii()).isalpha():
                shown = f'"{field.decode():.60}" in line {number} would be "{text:.40}"'
                said = f"{name} may be in UTF-7: {shown}"
                return (Advice(said, "; --encoding utf-7 reads it so"),)
    return ()


def _check(raw: bytes, encoding: str, name: str, claim: str) -> None:
    """Check that a text is valid in an encoding.

    The error begins with the ``claim``, such as ``a.csv announces UTF-16``.

    Raises:
        InputError: The text is not valid, or holds a NUL character.
    """
    at = _first_error(raw, encoding)
    if at is not None:
        what = f"{claim} but is damaged or cut off (line {_line_of(raw, at)}, byte {at + 1:,})."
        raise InputError(what, AGAIN)
    at = -1
    width = {"utf-16": 2, "utf-32": 4}.get(encoding[:6], 1)
    while (at := raw.find(b"\0" * width, at + 1)) >= 0:
        if at % width == 0:
            raise _nul(name, raw[:at])


def _first_error(raw: bytes, encoding: str) -> int | None:
    """Return the position of the first byte that can't be decoded, if any.

    Decodes piece by piece to save memory.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(raw) + 1, PIECE_BYTES):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(raw[start : start + PIECE_BYTES], start + PIECE_BYTES > len(raw))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None


def _line_of(raw: bytes, at: int) -> int:
    return 1 + len(_LINE_END.findall(raw, 0, at))


def _nul(name: str, before: bytes) -> InputError:
    line = _line_of(before.replace(b"\0", b""), len(before))
    return InputError(
        f"{name}, line {line} holds a NUL character: this is not a text file, or it is damaged.",
        AGAIN,
    )


def _wide_without_bom(raw: bytes) -> str | None:
    """Detect UTF-16 or UTF-32 without a byte order mark: ASCII has NULs in fixed byte positions."""
    sample = raw[: SAMPLE_BYTES - SAMPLE_BYTES % 4]
    for codec, width, place in (
        ("utf-32-le", 4, 0), ("utf-32-be", 4, 3), ("utf-16-le", 2, 0), ("utf-16-be", 2, 1),
    ):  # fmt: skip
        count = len(sample) // width
        zeros = [sample[at : count * width : width].count(0) for at in range(width)]
        if len(raw) % width or count < 2 or zeros.pop(place):
            continue
        if min(zeros) > 0.2 * count and _first_error(raw, codec) is None:
            return codec
    return None


def _guess(raw: bytes, name: str) -> Encoding:
    """Guess the encoding with chardet, which gets only the fields that are not ASCII."""
    import chardet

    fields = [field for field in _FIELD_ENDS.split(raw) if not field.isascii()]
    sample = b"\n".join(fields)[:SAMPLE_BYTES]
    found = chardet.detect(sample, include_encodings=_KNOWN)["encoding"] or "cp1252"
    candidates = [codecs.lookup(found).name, "cp1252", "mac-roman"]
    candidates = [PREFERRED.get(each, each) for each in candidates]
    # never empty: Mac Roman can decode any bytes
    usable = [each for each in candidates if _first_error(raw, each) is None]
    encoding = usable[0]
    _refuse_mixed(raw, name, encoding)
    western = "iso8859-15" if _EURO in sample else "cp1252"
    if "cp1252" in usable:  # by far the most common: it is taken if the text makes sense in it
        text = sample.decode(western)
        foreign = [character for character in text if not character.isascii()]
        read = sample.decode(encoding, "replace")
        likely = western != "cp1252" or not any(map(str.isalpha, foreign))
        likely = likely or not (encoding == "mac_roman" or _OTHER_SCRIPT.search(read))
        few = len(foreign) < _FEW_CHARACTERS and _WESTERN.fullmatch(text)
        if read == text or (few and likely):
            encoding = western
    return Encoding(encoding, guessed=_NAMES.get(encoding, encoding.upper()))


def _refuse_mixed(raw: bytes, name: str, guessed: str) -> None:
    """Refuse a text in which only some lines are UTF-8: any single encoding would garble the rest.

    In multibyte encodings, a short line may be valid UTF-8 by chance.
    """
    lines: dict[bool, list[int]] = {True: [], False: []}
    for number, line in enumerate(_LINE_END.split(raw), start=1):
        if not line.isascii():
            lines[line.decode(errors="ignore").encode() == line].append(number)
    utf_8, others = lines[True], lines[False]
    by_chance = guessed in _SEVERAL_BYTES and len(utf_8) < MIXED_SHARE * len(others)
    if not utf_8 or by_chance:
        return
    few, what = (others, "not UTF-8") if len(others) <= len(utf_8) else (utf_8, "UTF-8")
    most = "UTF-8" if few is others else "not"
    count = plural(len(few), "line is", "lines are")
    raise InputError(
        f"{name}, line {few[0]}: {count} {what}, while most are {most}.",
        "Fix that text in an editor, or export the list again as CSV in UTF-8.",
    )
