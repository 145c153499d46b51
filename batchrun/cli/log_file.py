"""`--log-file`: the library's events in a file, one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import stat
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batchrun.cli.output import tell
from batchrun.errors import UsageError
from batchrun.events import Happening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORTEST_SECRET = 8
"""A word shorter than that is no key of the service's, and may stand anywhere."""


class JsonLines(logging.Formatter):
    """A record as one line of JSON, without what must not be in it."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def mask(self, secret: str) -> None:
        """Write ``[key]`` where this would stand, from now on."""
        if len(secret) >= SHORTEST_SECRET:
            self._secrets.add(secret)

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(record.msg, Happening):
            facts = {name: told for name, told in record.msg.facts.items() if told is not None}
            line |= {"event": record.msg.event.value, **facts}
        else:
            line |= {"event": "message", "message": record.getMessage()}
        text = json.dumps(line, default=str)
        for secret in self._secrets:
            for spelling in (secret, json.dumps(secret)[1:-1]):
                text = text.replace(spelling, "[key]")
        return text


class LogFile(logging.Handler):
    """Appends records to a file. That it can't be written is said once, and stops nothing.

    Args:
        path: Where; a new file is for its owner's eyes only.

    Raises:
        UsageError: It can't be opened, or is something else than a log of batchrun's.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        self._path = path
        self._lines = JsonLines()
        self.setFormatter(self._lines)
        self._said = False
        self._torn = False
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UsageError(
                f"The log file {path} can't be written: {error.strerror or error}.",
                "Name another with --log-file or BATCHRUN_LOG_FILE, or leave it out.",
            ) from error
        regular = stat.S_ISREG(os.fstat(self._file).st_mode)  # reading from a pipe would wait
        if regular and os.read(self._file, 1) not in {b"", b"{", b"\n"}:
            os.close(self._file)
            raise UsageError(
                f"{path} is no log of batchrun's, and is left as it is.",
                "Name another file with --log-file or BATCHRUN_LOG_FILE.",
            )

    def mask(self, secret: str) -> None:
        """Write ``[key]`` where this would stand, from now on."""
        self._lines.mask(secret)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            line = ("\n" if self._torn else "") + self.format(record) + "\n"
            self._write(line.encode())
        except Exception as error:  # whatever it is: no log decides how a run ends
            self._say(error)

    def close(self) -> None:
        """See `logging.Handler`."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        super().close()

    def _write(self, line: bytes) -> None:
        self._torn = True  # until all of it is there
        while line:  # a disk that is nearly full takes a part
            line = line[os.write(self._file, line) :]
        self._torn = False

    def _say(self, error: Exception) -> None:
        if not self._said:
            self._said = True
            why = error.strerror if isinstance(error, OSError) else error
            tell(
                f"The log file {self._path} can't be written ({why}); the batch goes on.",
                err=True,
                whole=[str(self._path)],
            )


@contextmanager
def logging_to(path: Path | None, key: str) -> Iterator[LogFile | None]:
    """While the block lasts, log what the library tells.

    Args:
        path: The file; ``None`` for none.
        key: What must not be in it.

    Raises:
        UsageError: The file can't be used.
    """
    if path is None:
        yield None
        return
    log, logger = LogFile(path.expanduser()), logging.getLogger("batchrun")
    log.mask(key)
    before = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        logger.setLevel(before)
        logger.removeHandler(log)
        log.close()
