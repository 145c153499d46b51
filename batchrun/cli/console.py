"""Words on any console: what its code page lacks is written plainly instead of failing."""

from __future__ import annotations

import codecs
import sys
import unicodedata

_PLAINLY = "batchrun-plainly"


def write_plainly() -> None:
    """Let what is printed appear on every console (cp437, cp1252, ASCII) as well as it can."""
    codecs.register_error(_PLAINLY, _plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_PLAINLY)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # streams only write
    return plain(error.object[error.start : error.end]), error.end


def plain(text: str) -> str:
    """A text in ASCII: letters without their accents, three dots, else a question mark."""
    return "".join(_letters(each) for each in text)


def _letters(character: str) -> str:
    if unicodedata.combining(character):  # an accent of its own, as a Mac spells file names
        return ""
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(each for each in decomposed if each.isascii()) or "?"
