"""One batch is worked on by one process at a time."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from platformdirs import user_data_path

from batchrun.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def hold_batch(location: str, batch_id: str) -> Iterator[None]:
    """Hold a batch while working on it; the system lets go of it when the process dies.

    Args:
        location: The journal's path or URL.
        batch_id: Which batch.

    Raises:
        JournalError: Another process works on it.
    """
    if "://" in location:
        folder = user_data_path("batchrun", appauthor=False) / "locks"
    else:
        folder = Path(location).expanduser().with_name("locks")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{batch_id}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise JournalError(
            f"Another batchrun is working on batch {batch_id}.",
            f"Watch it with: batchrun status {batch_id}",
        ) from None
    try:
        yield
    finally:
        lock.release()
