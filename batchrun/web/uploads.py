"""Receive forms and uploaded lists from the browser, within limits."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from batchrun.errors import UsageError
from batchrun.workbook.target import refused_by_windows

if TYPE_CHECKING:
    from starlette.types import Message

MAX_FORM_BYTES = 1024 * 1024
MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 5_000
MAX_NAME_CHARACTERS = 120

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')


async def read_form(
    request: Request, most_file_bytes: int = 0
) -> tuple[dict[str, str], UploadFile | None]:
    """Read a form: its fields, of which the last of a name wins, and its file.

    Args:
        request: The request with the form.
        most_file_bytes: The largest file, in bytes. It is in a temporary file, which the caller
            closes.

    Raises:
        UsageError: It is not a form of this page, or it is too large.
    """
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most_file_bytes + MAX_FORM_BYTES:
            raise _too_large(most_file_bytes)
        return message

    try:
        form = await Request(request.scope, receive).form(
            max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
    except HTTPException as error:
        raise UsageError("The form can't be read.", "Go back and send it again.") from error
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    file = next((value for value in form.values() if isinstance(value, UploadFile)), None)
    if file is not None and (file.size or 0) > most_file_bytes:
        file.file.close()
        raise _too_large(most_file_bytes)
    return fields, file


def _too_large(most_file_bytes: int) -> UsageError:
    if not most_file_bytes:
        return UsageError("The form is too large.", "Go back and send less.")
    most = most_file_bytes // 1024**2
    return UsageError(f"The list is larger than {most:,} MB.", "Split it into several lists.")


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
    return f"_{name}" if refused_by_windows(name) else name
