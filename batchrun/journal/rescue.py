"""Where steps go that the journal can't take, so that what was paid for isn't lost.

A full disk or a damaged journal must not cost a result, or worse the id of an execution that
nobody could find again. A step that can't be committed is appended to a file beside the journal,
or where that fails, in another folder of the user; the next process that works on the batch
takes it into the journal.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path

from batchrun.journal.schema import JobState
from batchrun.settings.location import is_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_BYTES = "base64"
_NO_STEP = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a line raises that batchrun did not write."""
_COLUMNS: Mapping[str, tuple[type, ...]] = {
    "execution_id": (str,),
    "triggered_at": (int, float),
    "started_at": (int, float),
    "finished_at": (int, float),
    "message": (str,),
    "result": (bytes,),
}
"""The columns that a step may set, and their types; all but the message may be empty."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one job: from one of these states to another, with further columns' values.

    Attributes:
        job: The job's number.
        old: The states it may be in before.
        new: The state it is in then.
        values: Further columns' values.
        retried: How often the job had been sent again when it was sent, if it is the answer to
            that; ``None`` for any other step.
        execution_id: Of which execution it is the end; ``None`` for any other step.
    """

    job: int
    old: tuple[JobState, ...]
    new: JobState
    values: Mapping[str, Any] = field(default_factory=dict)
    retried: int | None = None
    execution_id: str | None = None


def folders(location: str) -> list[Path]:
    """Where a rescue file may be, the best place first."""
    own = user_data_path("batchrun", appauthor=False)
    beside = own if is_server(location) else Path(location).expanduser().parent
    places = [beside, own]
    with suppress(RuntimeError):  # a container's user without a home
        places.append(Path.home())
    return list(dict.fromkeys([*places, Path(tempfile.gettempdir())]))


class RescueFiles:
    """The rescue files of one batch.

    Args:
        places: Folders to try, the best first.
        batch_id: Which batch.
    """

    def __init__(self, places: Iterable[Path], batch_id: str) -> None:
        self._places = list(places)
        self._batch_id = batch_id
        self._candidates = [folder / f"batchrun-{batch_id}.rescue.jsonl" for folder in self._places]

    def journals(self) -> list[Path]:
        """Where a journal of the batch's own may be saved, the best place first."""
        names = [f"batchrun-{self._batch_id}.rescue{each}.db" for each in ("", " (2)", " (3)")]
        return [folder / name for folder in self._places for name in names]

    def keep(self, *steps: Step) -> Path | None:
        """Append steps and sync them to disk; ``None`` where no folder takes them."""
        kept = [json.dumps(asdict(step), default=_plain) for step in steps]
        lines = "".join(f"{line}\n" for line in kept).encode("ascii")
        for path in self._candidates:
            try:
                _append(path, lines)
            except OSError:
                continue
            return path
        return None

    def found(self) -> list[Path]:
        """The rescue files that there are, and that are this user's own."""
        return [path for path in self._candidates if _is_own_file(path)]

    def steps(self) -> Iterator[Step]:
        """What was kept; a line that broke off is no step."""
        for path in self.found():
            for line in path.read_bytes().splitlines():
                try:
                    yield _from_json(json.loads(line))
                except _NO_STEP:
                    continue

    def discard(self) -> None:
        """Erase the files, once their steps are in the journal."""
        for path in self.found():
            path.unlink(missing_ok=True)


def _append(path: Path, lines: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # In a folder for everybody, nobody else decides where this goes; Windows alters line ends.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o600)
    try:
        if not _is_own_file(path):
            raise PermissionError(path)
        length = os.fstat(handle).st_size
        try:
            written = os.write(handle, lines)
            os.fsync(handle)
        except OSError:
            written = 0
        if written < len(lines):
            os.ftruncate(handle, length)
            if length == 0:
                path.unlink(missing_ok=True)
            raise OSError("no space for all lines")
    finally:
        os.close(handle)


def _is_own_file(path: Path) -> bool:
    """Whether it is a plain file of this user: another's must not tell us what became of a job."""
    try:
        found = path.lstat()
    except OSError:
        return False
    owner_fits = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return path.is_file() and not path.is_symlink() and owner_fits


def _plain(value: bytes) -> dict[str, str]:
    """What JSON has no type for."""
    return {_BYTES: base64.b64encode(value).decode()}


def _fits(name: str, value: object) -> bool:
    return isinstance(value, _COLUMNS[name]) or (value is None and name != "message")


def _from_json(kept: Any) -> Step:
    values = {
        name: base64.b64decode(value[_BYTES]) if isinstance(value, dict) else value
        for name, value in kept["values"].items()
    }
    old = tuple(JobState(state) for state in kept["old"])
    if not old or not all(_fits(name, value) for name, value in values.items()):
        raise ValueError("not a step that batchrun kept")
    # Files of earlier versions tell neither.
    retried, execution_id = kept.get("retried"), kept.get("execution_id")
    return Step(
        int(kept["job"]),
        old,
        JobState(kept["new"]),
        values,
        None if retried is None else int(retried),
        None if execution_id is None else str(execution_id),
    )
