"""When a spent quota opens again: told in a batch's note, and read from it later. Pure."""

from __future__ import annotations

from datetime import datetime

SPENT = "The quota is spent for now."

_OPENS = f"{SPENT} It opens again at "  # a note that ends in the service's words begins otherwise
_MINUTE = "%Y-%m-%d %H:%M"
_ZONE = " UTC."


def spent_until(moment: datetime) -> str:
    """The note of a batch that waits for its quota.

    Args:
        moment: When it opens; UTC.
    """
    return f"{_OPENS}{moment:{_MINUTE}}{_ZONE}"


def opens_at(note: str) -> datetime | None:
    """When the quota opens that a batch waits for, by its note; ``None`` where it says nothing."""
    told = note.removeprefix(_OPENS).removesuffix(_ZONE)
    if f"{_OPENS}{told}{_ZONE}" != note:
        return None
    try:
        return datetime.strptime(f"{told}+0000", f"{_MINUTE}%z")
    except ValueError:
        return None
