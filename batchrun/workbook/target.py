"""Where results go: check the target early, and write the whole file or nothing."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from batchrun.advice import Action, Advice
from batchrun.errors import OutputError
from batchrun.settings.private_file import give_usual_permissions
from batchrun.text import visible
from batchrun.workbook.frame import require_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


def refused_by_windows(path: str) -> str:
    """Return why Windows does not allow a file name; ``""`` if it does.

    A colon would not even raise an error: the data would go to a hidden stream of another file.
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
"""Characters of the name to use for the temporary file, whose name must fit the file system."""
MAX_WINDOWS_PATH = 259 - 12
"""The limit without long paths enabled in Windows, less the extra length of a temporary name."""

ENDINGS = (".xlsx", ".csv", ".jsonl", ".parquet")


def check_target(target: Path, source: Path | None) -> None:
    """Check that results can be written there, before anything is spent.

    Raises:
        OutputError: They can't; the error says why and what to do.
    """
    if target.suffix.lower() not in ENDINGS:
        raise unknown_ending(target)
    if target.suffix.lower() == ".parquet":
        require_parquet()
    try:
        _check_place(target, source)
        target.exists()  # raises if the target's own name is too long; the temporary one is shorter
        _temporary(target).unlink()  # the only reliable test of whether a folder is writable
    except OSError as error:
        raise OutputError(
            f"The output {target} can't be written: {_words(error, target)}.",
            "Choose another with -o.",
        ) from error


def unknown_ending(target: Path) -> OutputError:
    """Return the error for a file that is none of the formats that batchrun writes."""
    return OutputError(
        f"The output {target} has an ending batchrun does not write.",
        f"End it in {', '.join(ENDINGS)}.",
    )


def _check_place(target: Path, source: Path | None) -> None:
    if sys.platform == "win32" and (refused := refused_by_windows(str(target))):
        raise OSError(errno.EINVAL, refused)
    folder = target.absolute().parent
    for path in filter(None, (source, target)):
        # how Python decodes bytes of a name that are not UTF-8
        if any("\ud800" <= each <= "\udfff" for each in str(path.absolute())):
            raise OutputError(
                f"The journal can't keep the name {visible(str(path))}: not all of it is UTF-8.",
                "Rename the file, or its folder.",
            )
    if not folder.is_dir():
        raise OutputError(
            f"There is no folder {folder}.", "Create it first, or choose another with -o."
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
    # Check the mode, not os.access: administrators, too, keep files marked as read-only.
    if target.exists() and not target.stat().st_mode & stat.S_IWUSR:
        raise OSError(errno.EROFS, "it is read-only")


def _temporary(target: Path) -> Path:
    """Create a temporary file beside the target, on the same drive, so that it can replace it."""
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem[:SHORT_CHARACTERS]}.",
        suffix=target.suffix,
        dir=target.absolute().parent,
    )
    os.close(handle)
    return Path(name)


def _words(error: OSError, target: Path) -> str:
    """Return the system's error in words that suggest what to do."""
    length = len(str(target.absolute()))
    long_for_windows = sys.platform == "win32" and length > MAX_WINDOWS_PATH
    if error.errno == errno.ENAMETOOLONG or long_for_windows:
        return f"its path of {length} characters is too long"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "it is read-only"
    return error.strerror or str(error)


def usual_target(source: Path | None, before: str | None, usual: Path | None) -> Path | None:
    """Return where results go by default: where they went before, or else a free name.

    ``before`` is the path of the batch's earlier results; ``usual``, the preferred path, instead of
    ``NAME.results.xlsx`` beside the list.
    """
    if before is not None:
        return Path(before)
    if source is None:
        return None
    return free_target(usual or results_path(source), lambda _: False)


def free_target(wanted: Path, replaceable: Callable[[Path], bool]) -> Path:
    """Return the path, or the first numbered one beside it that replaces no foreign file."""
    exists = os.path.exists  # a name that is too long is rejected later

    def is_free(place: Path) -> bool:
        is_new_workbook = place.suffix.lower() == ".xlsx" and not exists(place)
        files = (place, *companions(place)) if is_new_workbook else (place,)
        return all(replaceable(each) for each in files if exists(each))

    return next(filter(is_free, chain([wanted], numbered_beside(wanted))))


def numbered_beside(target: Path) -> Iterator[Path]:
    """Yield paths with the next numbers in their names: `a (2)`, `a (3)` and so on, without end.

    A longer number, such as a year, belongs to the name.
    """
    own = re.fullmatch(r"(.+) \((\d{1,3})\)", target.stem)
    stem, last = (target.stem, 1) if own is None else (own[1], int(own[2]))
    return (target.with_stem(f"{stem} ({number})") for number in count(last + 1))


def companions(target: Path) -> tuple[Path, ...]:
    """Return the paths that may be written beside a workbook: values in full, a second part."""
    return whole_path(target), part_path(target, 2)


def whole_path(target: Path) -> Path:
    """Return the path of the values that don't fit into a workbook's cells, in full."""
    return target.with_suffix(".whole.jsonl")


def results_path(source: Path) -> Path:
    """Return the path of a list's results, beside it."""
    return source.with_name(f"{source.stem}.results.xlsx")


def part_path(target: Path, number: int) -> Path:
    """Return the path of a later part of a split workbook; parts are counted from 1."""
    return target.with_suffix(f".part{number}{target.suffix}")


def other_parts(first: Path) -> tuple[Path, ...]:
    """Return the later parts that were written together with the first part, or after it."""
    parts: list[Path] = []
    with suppress(OSError):
        written = first.stat().st_mtime_ns
        for number in count(2):
            part = part_path(first, number)
            if part.stat().st_mtime_ns < written:
                break
            parts.append(part)
    return tuple(parts)


@dataclass(slots=True)
class PendingFile:
    """The temporary path of a file being written, and its final path."""

    temporary: Path
    final: Path


@contextmanager
def atomic_file(target: Path, *, beside: bool = True) -> Iterator[PendingFile]:
    """Yield a temporary file beside the target, which replaces the target when it is complete.

    If a program such as Excel has the target open, or has saved it meanwhile, the file goes beside
    it under a new name, which ``final`` contains; without ``beside``, that is an error.

    Raises:
        OutputError: The disk is full or the folder can't be written to.
    """
    try:
        before = _state(target)
        place = PendingFile(_temporary(target), target)
        try:
            yield place
            with place.temporary.open("rb+") as written:
                os.fsync(written.fileno())
            give_usual_permissions(place.temporary, target)
            if not beside and _state(target) != before:
                raise OSError(errno.EBUSY, "it was changed meanwhile")
            place.final = _put(place.temporary, target, before, most=9 if beside else 1)
        finally:
            with suppress(OSError):  # on Windows, a virus scanner may have it open
                place.temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The output {target} could not be written: {_words(error, target)}.",
            Advice(
                "Nothing is lost: mend it",
                ", then run: batchrun export -o OUT.xlsx",
                Action.DOWNLOAD,
            ),
        ) from error


def is_open(path: Path) -> bool:
    """Whether Excel or LibreOffice has left a lock file. Only Windows locks the workbook itself."""
    notes = (f"~${path.name}", f".~lock.{path.name}#")
    return os.path.lexists(path) and any(os.path.lexists(path.with_name(note)) for note in notes)


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes when somebody saves a file; ``None`` if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _put(temporary: Path, target: Path, before: tuple[int, ...] | None, most: int) -> Path:
    """Move a file to its target, or to a free name beside it.

    The target is not replaced if it is open elsewhere, or is not as it was ``before``.
    """
    for number, place in enumerate(chain([target], numbered_beside(target)), 1):
        if number == 1 or not place.exists():
            if number < most and (is_open(place) or (number == 1 and _state(place) != before)):
                continue
            try:
                return temporary.replace(place)
            except PermissionError:
                if number >= most:
                    raise
    raise AssertionError("the numbers do not end")
