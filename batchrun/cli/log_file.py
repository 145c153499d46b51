"""`--log-file`: write the library's events to a file, one JSON object per line."""

from __future__ import annotations

import json
import logging
import os
import stat
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batchrun.cli.output import print_text
from batchrun.errors import UsageError
from batchrun.events import EventMessage
from batchrun.text import masked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _masked(value: object) -> object:
    """Convert a fact to JSON. Masks each text separately, so that the line stays valid JSON."""
    match value:
        case dict():
            return {masked(str(name)): _masked(each) for name, each in value.items()}
        case list() | tuple():
            return [_masked(each) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return masked(str(value))


class LogFile(logging.Handler):
    """Appends records to a file. A write error is reported once, and the batch continues.

    Args:
        path: The file; a new file can be read only by its owner.

    Raises:
        UsageError: The file can't be opened, or is not a batchrun log.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        self._path = path
        self._file = -1
        self._reported = False
        self._torn = False
        if path.is_symlink() and not path.exists():  # would create a file where the link points
            raise UsageError(
                f"The log file {path} is a link to a file that does not exist.",
                "Name another with --log-file or BATCHRUN_LOG_FILE, or remove the link.",
            )
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UsageError(
                f"The log file {path} can't be written: {error.strerror or error}.",
                "Name another with --log-file or BATCHRUN_LOG_FILE, or leave it out.",
            ) from error
        regular = stat.S_ISREG(os.fstat(self._file).st_mode)  # reading from a pipe would block
        if regular and os.read(self._file, 1) not in {b"", b"{", b"\n"}:
            self.close()
            raise UsageError(
                f"{path} is not a log of batchrun, and was not changed.",
                "Name another file with --log-file or BATCHRUN_LOG_FILE.",
            )

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON without secrets."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(record.msg, EventMessage):
            facts = {name: fact for name, fact in record.msg.facts.items() if fact is not None}
            line |= {"event": record.msg.event.value, **facts}
        else:
            line |= {"event": "message", "message": record.getMessage()}
        return json.dumps(_masked(line))

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            line = ("\n" if self._torn else "") + self.format(record) + "\n"
            self._write(line.encode())
        except Exception as error:  # logging must not decide how a run ends
            self._report(error)

    def close(self) -> None:
        """See `logging.Handler`."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        super().close()

    def _write(self, line: bytes) -> None:
        self._torn = True  # until the whole line is written
        while line:  # an almost full disk accepts only part of it
            line = line[os.write(self._file, line) :]
        self._torn = False

    def _report(self, error: Exception) -> None:
        if not self._reported:
            self._reported = True
            why = error.strerror if isinstance(error, OSError) else error
            print_text(
                f"The log file {self._path} can't be written ({why}); the batch continues.",
                err=True,
                whole=[str(self._path)],
            )


@contextmanager
def logging_to(path: Path | None) -> Iterator[None]:
    """Log the library's events to a file, if there is one, until the block ends.

    Raises:
        UsageError: The file can't be used.
    """
    if path is None:
        yield
        return
    log, logger = LogFile(path.expanduser()), logging.getLogger("batchrun")
    before = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(log)
        log.close()
