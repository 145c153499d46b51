"""How a command ends that goes wrong: one or two lines, a documented exit code, no traceback."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import sys
import tempfile
import threading
import traceback
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from platformdirs import user_log_path
from typer.exceptions import TyperException

from batchrun.cli.options import sandbox_words
from batchrun.cli.output import Whole, nobody_reads, tell, tell_as_it_is
from batchrun.errors import (
    BatchrunError,
    ExitCode,
    HeldError,
    NoBatchError,
    NotConfirmedError,
    StoppedError,
    TakenOverError,
    UsageError,
)
from batchrun.text import KeepsSecrets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence


def usage_error(said: str, command: str) -> UsageError:
    """Typer's own message as an error like any other.

    Args:
        said: The message.
        command: The command it is about, such as ``batchrun run``.
    """
    what = " ".join(said.replace("Value error, ", "").split())  # a word of pydantic's
    end = "" if what.endswith((".", "?")) else "."
    return UsageError(f"{command}: {what}{end}", f"See: {command} --help")


class Unseen(logging.Handler):
    """Takes what Python would print on the user's screen: warnings, and failures nobody awaits.

    Attributes:
        said: What it has taken, for `--debug`.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take what a library logs."""
        self.said.append(self.format(record))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take it until the block ends."""
        shown, failed, ignored = warnings.showwarning, threading.excepthook, sys.unraisablehook
        root = logging.getLogger()
        root.addHandler(self)
        warnings.showwarning = self._warned
        threading.excepthook = self._failed
        sys.unraisablehook = self._ignored
        try:
            yield
        finally:
            warnings.showwarning, threading.excepthook = shown, failed
            sys.unraisablehook = ignored
            root.removeHandler(self)
            if not root.handlers:  # for what is still logged while Python ends
                root.addHandler(logging.NullHandler())

    def _warned(self, message: Warning | str, *where: object, **_more: object) -> None:
        self.said.append(f"{type(message).__name__}: {message} ({where[1]}:{where[2]})")

    def _failed(self, what: threading.ExceptHookArgs) -> None:
        found = traceback.format_exception(what.exc_type, what.exc_value, what.exc_traceback)
        self.said.append(f"in a thread: {''.join(found)}")

    def _ignored(self, what: sys.UnraisableHookArgs) -> None:
        self.said.append(f"nobody could be told: {type(what.exc_value).__name__}: {what.exc_value}")


def end(
    error: BaseException, typed: Sequence[str], commands: Collection[str], unseen: Unseen
) -> int:
    """Tell what went wrong; the exit code.

    Args:
        error: What the command raised.
        typed: The words after ``batchrun``.
        commands: The commands there are.
        unseen: What was not shown.
    """
    command = next((word for word in typed if word in commands), "")
    match error:
        case SystemExit(code=int(code)):
            return code
        case SystemExit():
            return ExitCode.COMPLETED
        case BrokenPipeError():
            nobody_reads(sys.stdout)  # whoever read has gone (`| head`): nothing is wrong here
            return ExitCode.COMPLETED
        case TyperException() if not typed:  # the help
            tell(error.format_message(), err=True)
            return ExitCode.UNUSABLE
        case TyperException():
            told: BatchrunError = usage_error(error.format_message(), f"batchrun {command}".strip())
        case BatchrunError():
            told = _as_typed(error, typed)
        case typer.Abort() | KeyboardInterrupt():
            told = StoppedError("Stopped before anything was begun.")
        case _:
            return _unexpected(error, typed, command, unseen)
    match told:
        case NotConfirmedError():
            tell(str(told), err=not sys.stdout.isatty())  # what is captured is a path or JSON
        case StoppedError():
            tell(str(told), err=True)
        case _:
            tell(f"Error: {told}", err=True, whole=[word for word in typed if " " in word])
    if _debugging(typed):
        _point_to_file(error, command, unseen)
    _tell_machines(told, typed)
    return told.exit_code


def told_of_batch(
    error: Exception, batch_id: str, typed: Sequence[str], unseen: Unseen
) -> BatchrunError:
    """Tell what ended one batch of several, as its own command would; the error as it was told.

    Args:
        error: What going on with it raised.
        batch_id: Which batch.
        typed: The words after ``batchrun``.
        unseen: What was not shown.
    """
    told = error if isinstance(error, BatchrunError) else _unforeseen(error, typed)
    match told:
        case StoppedError():
            tell(str(told), err=True)
        case HeldError() | TakenOverError():
            tell(f"Left out: {told}", err=True)
        case _:
            tell(f"Error: batch {batch_id}: {told}", err=True)
    if _debugging(typed):
        _point_to_file(error, "resume", unseen)
    return told


def tell_machines_of_batch(
    error: BatchrunError, batch_id: str, code: ExitCode, typed: Sequence[str]
) -> None:
    """One JSON document on standard output for a batch that has none of its own."""
    if "--json" in typed:
        ended = {"batch": batch_id, "error": _as_json(error, code), "exit_code": int(code)}
        tell_as_it_is(json.dumps(ended))


def _as_typed(error: BatchrunError, typed: Sequence[str]) -> BatchrunError:
    """The error, with a hint to the sandbox if there is no batch."""
    if isinstance(error, NoBatchError) and "--sandbox" not in typed:
        error.hint = f"{error.hint}\n{sandbox_words()}".rstrip()
    return error


def _unexpected(error: BaseException, typed: Sequence[str], command: str, unseen: Unseen) -> int:
    told = _unforeseen(error, typed)
    tell(f"Error: {told}", err=True)
    if _debugging(typed):
        _point_to_file(error, command, unseen)
    _tell_machines(told, typed)
    return ExitCode.UNEXPECTED


def _unforeseen(error: BaseException, typed: Sequence[str]) -> BatchrunError:
    more = "" if _debugging(typed) else " With --debug the details go to a file."
    return BatchrunError(
        f"batchrun failed unexpectedly ({_in_words(error)}).",
        f"What was triggered is in the journal: batchrun resume goes on.{more}",
    )


def _in_words(error: BaseException) -> str:
    """An error on one line without secrets; where they can't be told, only its kind."""
    try:
        secrets = [*secrets_of(error, os.environ), *_configured_keys()]
        text = masked(f"{type(error).__name__}: {error}", secrets)
    except Exception:  # a broken installation fails here too
        return type(error).__name__
    return " ".join(text.split()).rstrip(".")


def _configured_keys() -> list[str]:
    """The key of a ``.env`` file, which no variable of the environment holds."""
    try:
        from batchrun.settings import load_settings

        return list(load_settings().secrets())
    except Exception:  # settings that can't be read may be why we are here
        return []


def _debugging(typed: Sequence[str]) -> bool:
    return "--debug" in typed or bool(os.environ.get("BATCHRUN_DEBUG"))


def _point_to_file(error: BaseException, command: str, unseen: Unseen) -> None:
    try:
        path = write_failure(error, unseen.said, command, os.environ, _configured_keys())
    except Exception as problem:  # nothing may hide the error itself
        tell(f"Details:   could not be written ({type(problem).__name__})", err=True)
        return
    tell(Whole(f"Details:   {path}"), err=True)


def _tell_machines(error: BatchrunError, typed: Sequence[str]) -> None:
    """One JSON document on standard output, however a command with ``--json`` ends."""
    if "--json" in typed:
        tell_as_it_is(json.dumps({"error": _as_json(error, error.exit_code)}))


def _as_json(error: BatchrunError, code: ExitCode) -> dict[str, object]:
    return {"what": error.what, "hint": error.hint, "exit_code": int(code)}


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
