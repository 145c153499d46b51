"""A small file in the user's configuration folder that only its owner can read."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from batchrun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """A file that is read as a whole and replaced atomically."""

    path: Path

    def read(self) -> str:
        """Return the text; ``""`` if the file does not exist.

        Raises:
            OSError: The file can't be read.
            ValueError: It is not UTF-8.
        """
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def change(self, changed: Callable[[str], str]) -> None:
        """Replace the text with the return value of ``changed``, under a lock.

        Raises:
            UsageError: The file can't be written.
        """
        try:
            make_private_folder(self.path.parent)
            with FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_SECONDS, mode=0o600):
                write_whole(self.path, changed(self.read()))
        except (OSError, Timeout) as error:
            raise UsageError(
                f"{self.path} can't be written: {error}.",
                "Nothing was saved; PGAI_API_KEY or a .env file works without it.",
            ) from error


def write_whole(path: Path, text: str, *, private: bool = True) -> None:
    """Replace a file, or leave it as it is; if it is private, only its owner can read it.

    Raises:
        OSError: It can't be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if not private:
            give_usual_permissions(temporary, path)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def give_usual_permissions(written: Path, target: Path) -> None:
    """Give a file the permissions it would have if it had been written directly.

    It keeps those of a file it replaces; a new file gets those of the folder and the umask, which
    lets colleagues open it in a shared folder.
    """
    if os.name != "posix":
        return  # Windows applies the folder's permissions
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        mode = 0o666 & ~umask
    with suppress(OSError):  # a network drive may have no permissions
        written.chmod(mode)


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner can open, and its missing parents.

    Raises:
        OSError: The folder can't be created.
    """
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
