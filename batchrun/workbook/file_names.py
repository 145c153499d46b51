"""File names that a system can't take, though they look like names. Pure."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


def refused_by_windows(path: str) -> str:
    """Why Windows takes no file of this name, ``""`` where it does.

    A colon would not even fail: what is written lands in a hidden stream of another file.
    """
    name = PureWindowsPath(path).name
    if _DEVICE.fullmatch(name):
        return f"Windows keeps the name {name.partition('.')[0].strip()} for a device"
    found = _FORBIDDEN.search(name)
    if found is not None:
        return f"Windows takes no {found[0]!r} in a file's name"
    if name != name.rstrip(". "):
        return "Windows drops a dot or space at a name's end"
    return ""
