"""Where results go: refused early when it can't work, written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from batchrun.errors import OutputError
from batchrun.text import visible
from batchrun.workbook.frame import require_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator


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


SHORT_CHARACTERS = 40
"""Of a name in a temporary file's: together they must fit into what a file system takes."""
LONGEST_WINDOWS_PATH = 259 - 12
"""Without long paths switched on in Windows; a temporary name is some characters longer."""

ENDINGS = (".xlsx", ".csv", ".jsonl", ".parquet")


def check_target(target: Path, source: Path | None) -> None:
    """Make sure that results can go there, before anything is spent.

    Raises:
        OutputError: They can't; it says why and what to do.
    """
    if target.suffix.lower() not in ENDINGS:
        raise OutputError(
            f"The output {target} has an ending batchrun does not write.",
            f"End it in {', '.join(ENDINGS)}.",
        )
    if target.suffix.lower() == ".parquet":
        require_parquet()
    refused = refused_by_windows(str(target)) if sys.platform == "win32" else ""
    if refused:
        raise OutputError(f"The output {target} can't be written: {refused}.", "Name another.")
    try:
        _check_place(target, source)
        _try_out(target)
    except OSError as error:
        raise OutputError(
            f"The output {target} can't be written: {_words(error, target)}.",
            "Choose another with -o.",
        ) from error


def _check_place(target: Path, source: Path | None) -> None:
    folder = target.absolute().parent
    for path in filter(None, (source, target)):
        # what Python reads for bytes of a name that are not UTF-8
        if any("\ud800" <= each <= "\udfff" for each in str(path.absolute())):
            raise OutputError(
                f"The journal can't keep the name {visible(str(path))}: not all of it is UTF-8.",
                "Rename the file, or its folder.",
            )
    if not folder.is_dir():
        raise OutputError(
            f"There is no folder {folder}.",
            "Make it first, or choose another -o.",
        )
    if target.is_dir():
        raise OutputError(f"The output {target} is a folder.", "Name a file with -o.")
    if target.is_symlink() and not target.exists():
        raise OutputError(
            f"The output {target} is a link to a file that does not exist.",
            "Remove the link, or choose another -o.",
        )
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise OutputError(
            f"The output {target} is the list itself.",
            "The list is never overwritten: name another.",
        )
    # The mode, not os.access: a file somebody has marked read-only stays, for an administrator too.
    if target.exists() and not target.stat().st_mode & stat.S_IWUSR:
        raise OSError(errno.EROFS, "it is read-only")


def _try_out(target: Path) -> None:
    """Make a file there and erase it: what a folder really takes no other question tells."""
    target.exists()  # its own name may be too long where a shorter one is not
    temporary = _temporary(target)
    temporary.unlink()


def _temporary(target: Path) -> Path:
    """A new file beside the target, on the same drive, so that it can take its place."""
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem[:SHORT_CHARACTERS]}.",
        suffix=target.suffix,
        dir=target.absolute().parent,
    )
    os.close(handle)
    return Path(name)


def _words(error: OSError, target: Path) -> str:
    """What the system says, in words that tell what to do."""
    length = len(str(target.absolute()))
    long_for_windows = sys.platform == "win32" and length > LONGEST_WINDOWS_PATH
    if error.errno == errno.ENAMETOOLONG or long_for_windows:
        return f"its path of {length} characters is too long"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "it is read-only"
    return error.strerror or str(error)


def usual_target(source: Path | None, before: str | None, usual: Path | None) -> Path | None:
    """Where results go when nobody has said where: where they went before, else a free name.

    Args:
        source: The list, if it is a file.
        before: Where the batch's results went.
        usual: The name to go by; ``None`` for ``NAME.results.xlsx`` beside the list.
    """
    if before is not None:
        return Path(before)
    if source is None:
        return None
    wanted = usual or results_path(source)
    for number in count(1):
        target = wanted if number == 1 else wanted.with_stem(f"{wanted.stem} ({number})")
        if not os.path.exists(target):  # noqa: PTH110  # a name that is too long is refused later
            return target
    raise AssertionError("count() does not end")


def results_path(source: Path) -> Path:
    """The name of a list's results, beside it."""
    return source.with_name(f"{source.stem}.results.xlsx")


def part_path(target: Path, number: int) -> Path:
    """Where a later part of a workbook in several files goes; parts are counted from 1."""
    return target.with_suffix(f".part{number}{target.suffix}")


def other_parts(first: Path) -> tuple[Path, ...]:
    """The later parts that were written together with the first, or after it."""
    parts: list[Path] = []
    with suppress(OSError):
        written = first.stat().st_mtime_ns
        for number in count(2):
            part = part_path(first, number)
            if part.stat().st_mtime_ns < written:
                break
            parts.append(part)
    return tuple(parts)


class Place:
    """Where a file that is being written is, and where it went."""

    def __init__(self, temporary: Path, target: Path) -> None:
        self.temporary = temporary
        self.final = target


@contextmanager
def whole_file(target: Path, *, beside: bool = True) -> Iterator[Place]:
    """A temporary file beside the target, which takes its place when all is written.

    When a program such as Excel holds the target open, the file goes beside it under a new name;
    ``final`` tells which.

    Args:
        target: Where the file is to be.
        beside: Whether it may go beside a target that is held open; an error if not.

    Raises:
        OutputError: The disk is full or the folder can't be written.
    """
    try:
        place = Place(_temporary(target), target)
        try:
            yield place
            with place.temporary.open("rb+") as written:
                os.fsync(written.fileno())
            _open_to_others(place.temporary, target)
            place.final = _put(place.temporary, target, most=9 if beside else 1)
        finally:
            with suppress(OSError):  # a virus scanner may be looking at it on Windows
                place.temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The output {target} could not be written: {_words(error, target)}.",
            "Nothing is lost: mend it, then run: batchrun export -o OUT",
        ) from error


def _open_to_others(written: Path, target: Path) -> None:
    """Give a file the permissions it would have without the detour by a temporary file.

    A file that is replaced passes on its own, a new one has those of the folder and the umask: a
    colleague can open it in a shared folder.
    """
    if os.name != "posix":
        return  # Windows takes them from the folder
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        mode = 0o666 & ~umask
    with suppress(OSError):  # a network drive may have no permissions
        written.chmod(mode)


def _put(temporary: Path, target: Path, most: int) -> Path:
    for number in count(1):
        suffix = "" if number == 1 else f" ({number})"
        place = target.with_name(f"{target.stem}{suffix}{target.suffix}")
        if number > 1 and place.exists():
            continue
        try:
            temporary.replace(place)
        except PermissionError:
            if number >= most:
                raise
            continue
        return place
    raise AssertionError("count() does not end")
