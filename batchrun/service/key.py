"""Which keys are sent at all: checked before the first request. Pure."""

from __future__ import annotations

from batchrun.errors import KeyRefusedError


def checked_key(key: str) -> str:
    """Return the key without white space around it.

    Raises:
        KeyRefusedError: There is none, or no header can carry it; the message doesn't repeat it.
    """
    bare = key.strip()
    if not bare:
        raise KeyRefusedError("There is no API key.", "Keep yours with: batchrun login")
    if not all("!" <= character <= "~" for character in bare):
        raise KeyRefusedError(
            "The API key holds a space or a character that no key has.",
            "Copy it again, alone and on one line.",
        )
    return bare
