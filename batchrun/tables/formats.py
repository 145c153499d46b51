"""Detect a file's format from its bytes. Names mislead: CRMs name HTML .xls, people CSV .xlsx."""

from __future__ import annotations

import io
import re
from enum import Enum
from typing import TYPE_CHECKING

from batchrun.errors import InputError

if TYPE_CHECKING:
    from batchrun.tables.archive import Archive

ZIP_MAGIC = b"PK\x03\x04"
PARQUET_MAGIC = b"PAR1"
OLE_MAGIC = bytes.fromhex("D0CF11E0A1B11AE1")  # [MS-CFB] 2.2

SAVE_AS = "Open it in the program it comes from and save it as .xlsx or CSV."

MAGIC_NAMES = (
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3", "a SQLite database"),
    (b"{\\rtf", "a rich text document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"PK\x07\x08", "a ZIP archive in several parts"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"ARROW1", "a Feather file"),
    (b"Obj\x01", "an Avro file"),
    (b"\0\0\x02\0\x06\x04", "a Lotus 1-2-3 workbook"),
    (b"\0\0\x1a\0", "a Lotus 1-2-3 workbook"),
    (b"\x09\x00\x04\x00", "an Excel workbook from before 1997"),  # BOF, [MS-XLS] 2.4.21
    (b"\x09\x02\x06\x00", "an Excel workbook from before 1997"),
    (b"\x09\x04\x06\x00", "an Excel workbook from before 1997"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"bplist00", "a shortcut or settings file of macOS"),
)

_NOT_A_LIST = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"<\?xml\b.*?<office:document\b", "a flat OpenDocument file (.fods)"),
        (rb"\{\s*\"(url|doc_id)\".*?docs\.google\.com", "a shortcut to a Google document"),
        (rb"\[internetshortcut\]", "a shortcut to a web page"),
        (rb"<\?xml\b.*?<plist\b", "a shortcut or settings file of macOS"),
        (rb"(\[\s*)?\{\s*\"[^\"]*\"\s*:", "a JSON file"),
        (rb"<\?xml\b", "an XML file"),
        (rb"id;p[^\r\n;]*(;[^\r\n]*)?[\r\n]+(?:[bcfpoew];|n[nelu];)", "a SYLK file (.slk)"),
        (rb"table\r?\n0,1\r?\n", "a DIF file"),
        (
            rb"(?=[^\0]*?mime-version:)(?=[^\0]*?multipart/related)[\w-]+:",
            "a web archive (MHTML)",
        ),
        (rb"begin:vcard\b", "a contact card (vCard)"),
        (rb"begin:vcalendar\b", "a calendar"),
    )
)
"""Starts of unsupported text formats, with their names; matched against lowercase bytes."""

_XML_2003 = re.compile(
    rb"(<\?xml\b|<workbook\b).*?\burn:schemas-microsoft-com:office:spreadsheet", re.DOTALL
)

_HTML = re.compile(
    rb"(<\?xml[^>]*>\s*)?(<!--(?:(?!-->).)*+-->\s*+)*+<(!doctype\s+html|html|head|body|meta|table|style|div|h[1-6]|p|center|title|font|span|link|script|(?!workbook)[a-z][^<>]*+>.*<table)\b",
    re.DOTALL,
)

HEAD_BYTES = 4096

_OLE_NAMES = (
    ("EncryptedPackage", None),  # [MS-OFFCRYPTO] 2.3.4.4
    ("WordDocument", "a Word document"),
    ("PowerPoint Document", "a PowerPoint document"),
    ("__properties_version1.0", "an Outlook message"),
    ("VisioDocument", "a Visio drawing"),
    ("Quill", "a Publisher document"),
)
"""Names in the root storage of a compound file that is not an XLS workbook.

``None`` stands for a password-protected workbook."""


class Format(Enum):
    """The supported file formats; users see the value."""

    TEXT = "csv"
    XLSX = "xlsx"
    XLS = "xls"
    XLSB = "xlsb"
    ODS = "ods"
    HTML = "html"
    XML_2003 = "xml"
    PARQUET = "parquet"


def detect_format(head: bytes, name: str) -> Format | None:
    """Detect the format of a file from its first ``HEAD_BYTES`` bytes; the name is for messages.

    Returns:
        The format; ``None`` for a container, whose format only the whole file shows.

    Raises:
        InputError: The format is known but not supported; the message names it.
    """
    if head.startswith((ZIP_MAGIC, OLE_MAGIC)):
        return None
    if head.startswith(PARQUET_MAGIC):
        return Format.PARQUET
    kind = next((kind for magic, kind in MAGIC_NAMES if head.startswith(magic)), None)
    text = head[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe")
    text = text.replace(b"\0", b"").lstrip().lower()  # in UTF-16, tags are ASCII without the NULs
    if kind is None and _HTML.match(text):
        return Format.HTML
    if kind is None and _XML_2003.match(text):
        return Format.XML_2003
    kind = kind or next((kind for pattern, kind in _NOT_A_LIST if pattern.match(text)), None)
    if kind:
        raise _not_a_list(name, kind)
    return Format.TEXT


def mentions(raw: bytes, text: str) -> bool:
    """Whether bytes contain a text, given in lowercase, in UTF-8 or UTF-16 and in any case."""
    lowered, wide = raw.lower(), text.encode("utf-16-le")
    return any(each in lowered for each in (text.encode(), wide, wide[1:] + b"\0"))


def _not_a_list(name: str, kind: str) -> InputError:
    archive = kind.endswith(" archive")
    hint = "Unpack it, and save the list in it as .xlsx or CSV." if archive else SAVE_AS
    if kind == "a picture":
        hint = "A picture has no cells to read. Take the list itself, as .xlsx or CSV."
    return InputError(f"{name} is {kind}; it can't be read as a list.", hint)


def protected(name: str) -> InputError:
    """Return the error for a workbook that needs a password."""
    return InputError(f"{name} is protected by a password.", "Save it without one, then try again.")


def not_unpacked(name: str, error: OSError) -> InputError:
    """Return the error for a workbook that finds no room for its temporary files."""
    return InputError(
        f"{name} can't be unpacked: {error.strerror or error}.",
        "Make room on the disk that holds temporary files.",
    )


def detect_ole(raw: bytes, name: str) -> Format:
    """Detect the format of a compound file from the names in its root storage.

    Raises:
        InputError: It is not an XLS workbook, or needs a password.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(raw)) as compound:
            names = {path[0] for path in compound.listdir(streams=True, storages=True)}
    except Exception:  # damaged; the names may still be in the bytes
        names = {each for each, _ in _OLE_NAMES if each.encode("utf-16-le") in raw}
    if names & {"Workbook", "Book", "WORKBOOK", "BOOK"}:
        return Format.XLS
    for stream, kind in _OLE_NAMES:
        if stream in names:
            raise protected(name) if kind is None else _not_a_list(name, kind)
    return Format.XLS


def detect_zip(archive: Archive) -> Format:
    """Detect the format of a ZIP archive from its parts.

    Raises:
        InputError: It is not a workbook, or needs a password.
    """
    parts = archive.parts
    if "xl/workbook.bin" in parts:
        return Format.XLSB
    if "xl/workbook.xml" in parts or any(
        part.startswith("xl/worksheets/") and part.endswith(".xml") for part in parts
    ):
        return Format.XLSX
    if {"mimetype", "content.xml"} <= parts and b"spreadsheet" in archive.beginning("mimetype"):
        manifest = "meta-inf/manifest.xml"
        if manifest in parts and b":encryption-data" in archive.read(manifest):
            raise protected(archive.name)
        return Format.ODS
    kind = "a ZIP archive"
    if any(part.startswith("index/") or part == "index.zip" for part in parts):
        kind = "an Apple Numbers, Pages or Keynote document"
    elif {"mimetype", "content.xml"} <= parts:
        kind = "an OpenDocument text or drawing"
    elif any(part.startswith(("word/", "ppt/")) for part in parts):
        kind = "a Word or PowerPoint document"
    raise _not_a_list(archive.name, kind)
