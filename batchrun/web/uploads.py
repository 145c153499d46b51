"""Receive forms from the browser: fields in memory, a list straight to disk."""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from batchrun.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from starlette.requests import Request

MAX_FORM_BYTES = 1024 * 1024
MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 5_000
MAX_HEADER_BYTES = 16 * 1024
MAX_NAME_CHARACTERS = 120

_NEW_BINARY_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
"""Without ``O_BINARY``, Windows would change line endings."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


async def read_form(request: Request) -> dict[str, str]:
    """Read a form's fields; the last field of a name wins.

    Raises:
        UsageError: It is not a form of this page.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise _too_large()
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise UsageError("The form can't be read.", "Go back and send it again.") from error
    return dict(pairs)


@dataclass
class Upload:
    """An uploaded list, and the form's other fields. The path is ``None`` if no file was chosen."""

    fields: dict[str, str] = field(default_factory=dict)
    path: Path | None = None


async def receive_upload(
    request: Request, place: Callable[[dict[str, str], str], Path], most_bytes: int
) -> Upload:
    """Write an uploaded file to disk as it arrives, readable only by the user.

    Args:
        request: The form, with its fields before its file.
        place: Returns the path to write to, given the fields so far and the file's name; it may
            raise to refuse the file.
        most_bytes: The largest file, in bytes.

    Raises:
        InputError: The file is too large.
        UsageError: It is not a form with a file, or it is incomplete.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise UsageError("No list came.", "Choose a file, then send it again.")
    parts = _Parts(place, most_bytes)
    parser = MultipartParser(
        options[b"boundary"],
        {
            "on_part_begin": parts.begin,
            "on_header_field": parts.header_name,
            "on_header_value": parts.header_value,
            "on_header_end": parts.header_end,
            "on_headers_finished": parts.open,
            "on_part_data": parts.data,
            "on_part_end": parts.end,
            "on_end": parts.finish,
        },
    )
    try:
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
        parts.check_finished()
    except FormParserError as error:
        parts.discard()
        raise UsageError("The upload can't be read.", "Send the list again.") from error
    except BaseException:
        parts.discard()
        raise
    return parts.upload


class _Parts:
    """Callbacks that receive the parts of one form from the parser."""

    def __init__(self, place: Callable[[dict[str, str], str], Path], most_bytes: int) -> None:
        self.upload = Upload()
        self._finished = False
        self._place = place
        self._most = most_bytes
        self._headers: dict[str, bytes] = {}
        self._name = self._value = b""
        self._field = ""
        self._text = b""
        self._file: BinaryIO | None = None
        self._size = 0
        self._parts = 0
        self._header_bytes = 0

    def begin(self) -> None:
        self._headers, self._name, self._value, self._text = {}, b"", b"", b""
        self._parts += 1
        self._header_bytes = 0
        if self._parts > MAX_FIELDS:
            raise _too_large()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise _too_large()

    def header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value
        self._name = self._value = b""

    def open(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename")
        if not name:  # no file was chosen, or it is a plain field
            return
        if self.upload.path is not None:
            raise UsageError("More than one list came.", "Send one list at a time.")
        path = self._place(self.upload.fields, file_name(name.decode("utf-8", "replace")))
        descriptor = os.open(path, _NEW_BINARY_FILE, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self.upload.path = path

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._text += data[start:end]
            if len(self._text) > MAX_FIELD_BYTES:
                raise _too_large()
            return
        self._size += end - start
        if self._size > self._most:
            raise InputError(
                f"The list is larger than {self._most // 1024**2:,} MB.",
                "Split it into several lists.",
            )
        self._file.write(data[start:end])

    def end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        elif self._field:
            self.upload.fields[self._field] = self._text.decode("utf-8", "replace")

    def finish(self) -> None:
        self._finished = True

    def check_finished(self) -> None:
        if not self._finished:
            raise UsageError("The upload broke off.", "Send the list again.")

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
        if self.upload.path is not None:
            self.upload.path.unlink(missing_ok=True)
            with suppress(OSError):
                self.upload.path.parent.rmdir()


def _too_large() -> UsageError:
    return UsageError("The form is too large.", "Go back and send less.")


def file_name(given: str) -> str:
    """Return a file name that is safe on every system, and close to the original."""
    bare = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    kept = "".join(each for each in bare if unicodedata.category(each)[0] != "C")
    name = _FORBIDDEN.sub("_", kept).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    if dot and len(suffix) <= 10:
        name = f"{stem[: MAX_NAME_CHARACTERS - len(suffix)].strip(' .')}.{suffix}"
    else:
        name = name[:MAX_NAME_CHARACTERS]
    if not name.strip("._ "):
        return "list"
    return f"_{name}" if _RESERVED.fullmatch(name) else name
