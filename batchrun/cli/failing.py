"""How a command ends that goes wrong: one or two lines, a documented exit code, no traceback."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from typer.exceptions import TyperException

from batchrun.cli.options import sandbox_words
from batchrun.cli.spelling import in_options
from batchrun.cli.telling import Whole, nobody_reads, tell, tell_as_it_is
from batchrun.cli.usage import usage_error
from batchrun.errors import (
    BatchrunError,
    ExitCode,
    HeldError,
    NoBatchError,
    NotConfirmedError,
    StoppedError,
    TakenOverError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


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
            told: BatchrunError = usage_error(
                error.format_message(), f"batchrun {command}".strip(), typed
            )
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
    told = in_options(error) if isinstance(error, BatchrunError) else _unforeseen(error, typed)
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
    """The error in the words of the command line; who looks in vain may mean the sandbox."""
    if isinstance(error, NoBatchError) and "--sandbox" not in typed:
        error.marked_hint = f"{error.marked_hint}\n{sandbox_words()}".rstrip()
    return in_options(error)


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
        from batchrun.debug import masked, secrets_of

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
        from batchrun.debug import write_failure

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
