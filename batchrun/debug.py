"""A failure as a file for support: the traceback with every secret masked, and no variables.

What may be a secret is masked by what it is (the keys that the failing code had in its hands, the
environment's keys and passwords) and by where it stands (a header, a URL with a password).
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_log_path

from batchrun.masking import KeepsSecrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MASK = "[masked]"
SHORTEST_SECRET = 4
"""What is shorter would mask half of the text, and is no key."""

_SECRET_NAMES = re.compile(r"key|token|secret|passw", re.IGNORECASE)
_STRUCTURES = (
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]*://)[^\r\n]+@", re.IGNORECASE),  # to the last @
    re.compile(
        r"(?P<kept>\b(?:x-api-key|api[-_]?key|(?:proxy-)?authorization|(?:set-)?cookie)"
        r"[\"']?\s*[,:=]\s*)[^\r\n]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<kept>[?&](?:ssl)?password=)[^&\r\n]*", re.IGNORECASE),
    re.compile(
        r"(?P<kept>\b(?:ssl)?password[\"']?\s*[=:]\s*)"
        r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^&\s]+)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<kept>\b(?:bearer|basic)\s+)[^\s'\",;]+", re.IGNORECASE),
    re.compile(r"(?P<kept>\bheader values?\b:?\s*)[^\r\n]+", re.IGNORECASE),
)


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets, and without what stands where secrets stand."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    for structure in _STRUCTURES:
        text = structure.sub(rf"\g<kept>{MASK}", text)
    return text


def write_failure(
    error: BaseException | None,
    unseen: Sequence[str],
    command: str,
    environment: Mapping[str, str],
    configured: Iterable[str] = (),
) -> Path:
    """Write a failure to a new file that only this user may read.

    Args:
        error: What ended the command; ``None`` where only something unseen went wrong.
        unseen: What was not shown to the user: warnings, failures of threads.
        command: Which command it was; not its arguments, which may hold anything.
        environment: The environment's variables, whose keys are masked.
        configured: The keys of files.

    Returns:
        The file.

    Raises:
        OSError: There is no place for it.
    """
    from batchrun import __version__

    now = datetime.now(UTC)
    trace = "" if error is None else "".join(traceback.format_exception(error))
    text = "\n".join(
        [
            f"batchrun {__version__}, {command}, {now:%Y-%m-%d %H:%M:%S} UTC",
            f"Python {platform.python_version()} on {platform.platform()}",
            "Secrets are masked. Messages may still name files and rows: read before sending.",
            "",
            trace,
            *unseen,
        ]
    )
    name = f"batchrun-{now:%Y%m%d-%H%M%S}-"
    file, path = _new_file(name)
    with os.fdopen(file, "w", encoding="utf-8", errors="replace") as opened:
        opened.write(masked(text, [*secrets_of(error, environment), *configured]))
    return path


def secrets_of(error: BaseException | None, environment: Mapping[str, str]) -> list[str]:
    """What must not be told with a failure: the keys at hand where it was raised, and around."""
    return [*_keys_at_hand(error), *_keys_around(environment)]


def _new_file(prefix: str) -> tuple[int, Path]:
    """A new file in the user's folder for logs, else among the temporary ones; mode 0600."""
    folder = user_log_path("batchrun", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file, path = tempfile.mkstemp(".txt", prefix, folder)
    except OSError:
        file, path = tempfile.mkstemp(".txt", prefix)
    return file, Path(path)


def _keys_around(environment: Mapping[str, str]) -> list[str]:
    return [value for name, value in environment.items() if _SECRET_NAMES.search(name)]


def _keys_at_hand(error: BaseException | None) -> Iterator[str]:
    """The keys that the frames of a failure hold: one may have been typed, and be nowhere else."""
    from pydantic import SecretStr

    for each in _all_of(error):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            for value in frame.f_locals.values():
                match value:
                    case KeepsSecrets():
                        yield from value.secrets()
                    case SecretStr():
                        yield value.get_secret_value()
                    case _:
                        pass


def _all_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error with its causes, contexts and the errors in it."""
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
