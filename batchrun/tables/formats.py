"""What a file is, by its bytes. CRMs name HTML `.xls` and people name CSV `.xlsx`."""

from __future__ import annotations

import io
import re
import zipfile
from enum import Enum, auto

from batchrun.errors import InputError

ZIP_MAGIC = b"PK\x03\x04"
OLE_MAGIC = bytes.fromhex("D0CF11E0A1B11AE1")  # [MS-CFB] 2.2
ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3.4.4

SAVE_AS = "Open it in the program it comes from and save it as .xlsx or CSV."

MAGIC_NAMES = (
    (b"%PDF-", "a PDF document"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a SQLite database"),
    (b"{\\rtf", "a rich text document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
)

WEB_PAGE = "a web page (HTML), whatever its name says"

TEXT_NAMES = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|meta|table|style)\b", WEB_PAGE),
        (rb"<\?xml\b.*?<html\b", WEB_PAGE),
        (rb"<\?xml\b.*?\burn:schemas-microsoft-com:office:spreadsheet", "an Excel 2003 XML file"),
        (rb"\{\s*\"(url|doc_id)\".*?docs\.google\.com", "a shortcut to a Google document"),
    )
)
"""How supported text never begins, and what does; matched against lower-cased bytes."""

HEAD_BYTES = 4096


class Format(Enum):
    """The kinds of file that can be read."""

    TEXT = auto()
    XLSX = auto()


def detect_format(raw: bytes, name: str) -> Format:
    """Tell by its bytes how a file is to be read.

    Args:
        raw: The whole file.
        name: Its name, for messages only.

    Raises:
        InputError: It is something known that can't be read; the message says what.
    """
    if raw.startswith(ZIP_MAGIC):
        return _detect_zip(raw, name)
    kind = _unsupported_kind(raw)
    if kind:
        raise InputError(f"{name} is {kind}; it can't be read as a list.", SAVE_AS)
    return Format.TEXT


def _unsupported_kind(raw: bytes) -> str | None:
    if raw.startswith(OLE_MAGIC):
        if ENCRYPTED_STREAM in raw:
            return "protected by a password"
        return "an old Excel workbook (.xls)"
    for magic, kind in MAGIC_NAMES:
        if raw.startswith(magic):
            return kind
    head = raw[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"")[2:]  # enough of UTF-16 to see ASCII tags
    head = head.lstrip().lower()
    return next((kind for pattern, kind in TEXT_NAMES if pattern.match(head)), None)


def _detect_zip(raw: bytes, name: str) -> Format:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            parts = set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError) as error:
        raise InputError(
            f"{name} begins like an Excel workbook but is damaged or cut off.",
            "Download or export it again.",
        ) from error
    if "xl/workbook.xml" in parts:
        return Format.XLSX
    raise InputError(f"{name} is {_zip_kind(parts)}; it can't be read as a list.", SAVE_AS)


def _zip_kind(parts: set[str]) -> str:
    if "xl/workbook.bin" in parts:
        return "a binary Excel workbook (.xlsb)"
    if {"Index/Document.iwa", "Index.zip"} & parts:
        return "an Apple Numbers, Pages or Keynote document"
    if {"mimetype", "content.xml"} <= parts:
        return "an OpenDocument file (.ods)"
    if any(part.startswith(("word/", "ppt/")) for part in parts):
        return "a Word or PowerPoint document"
    return "a ZIP archive"
