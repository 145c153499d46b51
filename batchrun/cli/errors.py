"""Errors on the command line: one or two lines, a documented exit code, no traceback."""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import re
import sys
import tempfile
import threading
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from platformdirs import user_log_path
from typer.exceptions import TyperException

from batchrun.cli.help import options_of
from batchrun.cli.output import (
    UnbrokenLine,
    discard_output,
    print_exact,
    print_text,
    runnable_commands,
)
from batchrun.cli.settings import sandbox_hint
from batchrun.errors import (
    BatchrunError,
    ExitCode,
    HeldError,
    JournalError,
    NoBatchError,
    NotConfirmedError,
    StoppedError,
    TakenOverError,
    UsageError,
    with_causes,
)
from batchrun.text import MASK, close_matches, masked, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def usage_error(said: str, command: str, others: Sequence[str] = ()) -> UsageError:
    """Convert a message from typer to an error of ours.

    ``others`` are the commands that have the unknown option.
    """
    what = " ".join(said.split())
    for pattern, words in _PLAIN_WORDS:
        what = re.sub(pattern, words, what)
    if others:
        what = what.partition(" (Possible options")[0]  # what was typed is no misspelling
    if offered := _OFFERED.search(what):  # typer offers options that are hardly similar, too
        [close] = close_matches(offered[1], offered[2].split(", "), 1) or [offered[2]]
        what = what.replace(offered[0], f"{offered[1]}. Did you mean {close}?")
    shown = _LIKE_A_KEY.sub(MASK, what)
    end = "" if what.endswith((".", "?")) else "."
    hint = f"See: {command} --help"
    if others:
        hint = f"It is an option of {', '.join(others)}. {hint}"
    if "extra argument" in what:
        hint = (
            "Put a name or path with spaces, and a pattern for several files, in quotes, such as "
            f'-w "Account Research". Write an age as one word, such as 30d. Name one batch. {hint}'
        )
    if shown != what:
        hint = "A key is never typed as an argument: batchrun login asks for it."
    return UsageError(f"{command}: {shown}{end}", hint)


_PLAIN_WORDS = (
    ("Value error, ", ""),
    ("Input should be", "it must be"),
    (", unable to parse string.*", ""),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
)
"""Replaces pydantic's words for a value that an option can't have."""

_OFFERED = re.compile(r"(--?[\w-]+) \(Possible options: (.*)\)")

_LIKE_A_KEY = re.compile(r"(?<![\w./\\-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}(?![\w./\\-])")
"""A word in a usage error that may be a key typed as an argument, which must not reach a log."""


class HiddenMessages(logging.Handler):
    """Collects messages that Python would print: warnings and failures of threads."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a library's warning or log message."""
        self.said.append(self.format(record))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Collect until the block ends."""
        failed, ignored = threading.excepthook, sys.unraisablehook
        root = logging.getLogger()
        root.addHandler(self)
        logging.captureWarnings(capture=True)
        threading.excepthook = self._failed
        sys.unraisablehook = self._ignored
        try:
            yield
        finally:
            logging.captureWarnings(capture=False)
            threading.excepthook, sys.unraisablehook = failed, ignored
            root.removeHandler(self)
            if not root.handlers:  # discard messages that are logged while Python exits
                root.addHandler(logging.NullHandler())

    def _failed(self, what: threading.ExceptHookArgs) -> None:
        found = traceback.format_exception(what.exc_type, what.exc_value, what.exc_traceback)
        self.said.append(f"in a thread: {''.join(found)}")

    def _ignored(self, what: sys.UnraisableHookArgs) -> None:
        self.said.append(f"unraisable: {type(what.exc_value).__name__}: {what.exc_value}")


def end(
    error: BaseException, typed: Sequence[str], commands: Mapping[str, Any], unseen: HiddenMessages
) -> int:
    """Print an error and return the exit code."""
    command = next((word for word in typed if word in commands), "")
    match error:
        case SystemExit(code=int(code)):
            return code
        case SystemExit():
            return ExitCode.COMPLETED
        case BrokenPipeError():
            discard_output(sys.stdout)  # the reader has ended (`| head`), which is not an error
            return ExitCode.COMPLETED
        case TyperException() if not typed:  # the help
            print_text(error.format_message(), err=True)
            return ExitCode.UNUSABLE
        case TyperException():
            option = getattr(error, "option_name", None)
            having = [name for name in commands if option in options_of(commands[name])]
            others = [] if command in having else having
            shown: BatchrunError = usage_error(
                error.format_message(), f"batchrun {command}".strip(), others
            )
        case typer.Abort() | KeyboardInterrupt():
            shown = StoppedError("Stopped before anything was started.")
        case _:
            shown = _explained(error, typed)
    match shown:
        case NotConfirmedError():
            # captured standard output must contain only a path or JSON
            print_text(str(shown), err=not sys.stdout.isatty())
        case StoppedError():
            print_text(str(shown), err=True)
        case _:
            print_text(f"Error: {shown}", err=True, whole=[word for word in typed if " " in word])
    _print_details(error, shown, shown.exit_code, typed, command, unseen)
    return shown.exit_code


def report_batch_error(
    error: Exception, batch_id: str, typed: Sequence[str], unseen: HiddenMessages
) -> tuple[ExitCode, BatchrunError]:
    """Print the error of one batch in `resume --all`.

    Returns:
        The exit code of the batch, and the error as it was shown.
    """
    shown, code = _explained(error, typed), ExitCode.PAUSED
    match shown:
        case StoppedError():
            print_text(str(shown), err=True)
        case HeldError() | TakenOverError():
            print_text(f"Left out: {shown}", err=True)
        case _:
            code = shown.exit_code
            print_text(f"Error: batch {batch_id}: {shown}", err=True)
    more = {"batch": batch_id, "exit_code": int(code)}
    _print_details(error, shown, code, typed, "resume", unseen, **more)
    return code, shown


def _explained(error: BaseException, typed: Sequence[str]) -> BatchrunError:
    """Return an error as it is shown: one of ours, or what explains another."""
    options = {word.partition("=")[0] for word in typed}  # the hint must not repeat a password
    if isinstance(error, JournalError) and not {"--sandbox", "--journal"} & options:
        none = isinstance(error, NoBatchError)
        if hint := sandbox_hint(typed, None if none else typed):
            return JournalError("You have only practice batches." if none else error.what, hint)
    if isinstance(error, BatchrunError):
        return error
    if isinstance(error, FileNotFoundError) and not _is_in_a_folder():
        return UsageError("The folder you are in no longer exists.", "Go to another: cd ~")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        # Files are checked where they are written, so this is standard output.
        return UsageError(f"The output can't be written: {error.strerror}.", "Free some space.")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        path = one_line(str(error.filename), 60)
        return UsageError(f"The path {path} is longer than this system allows.", "Shorten it.")
    more = "" if _debugging(typed) else " With --debug the details go to a file."
    said = " ".join(masked(f"{type(error).__name__}: {error}").split()).rstrip(".")
    return BatchrunError(
        f"batchrun failed unexpectedly ({said}).",
        f"What was triggered is saved: batchrun resume continues.{more}",
    )


def _is_in_a_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _debugging(typed: Sequence[str]) -> bool:
    return "--debug" in typed or bool(os.environ.get("BATCHRUN_DEBUG"))


def _print_details(
    error: BaseException,
    shown: BatchrunError,
    code: ExitCode,
    typed: Sequence[str],
    command: str,
    unseen: HiddenMessages,
    **more: object,
) -> None:
    """Print the path of the file with the details, with --debug; and the error as JSON."""
    if _debugging(typed):
        try:
            path = write_failure(error, unseen.said, command, typed)
            print_text(UnbrokenLine(f"Details:   {path}"), err=True)
        except Exception as problem:  # don't hide the error itself
            kind = type(problem).__name__
            print_text(f"Details:   could not be written ({kind})", err=True)
    if "--json" in typed:
        hint = runnable_commands(shown.hint)
        said = {"what": shown.what, "hint": hint, "exit_code": int(code)}
        print_exact(json.dumps({"error": said, **more}))


def write_failure(
    error: BaseException | None, unseen: Sequence[str], command: str, typed: Sequence[str] = ()
) -> Path:
    """Write a failure to a new file that only this user can read, and return its path.

    The file has the traceback and message of each error. Quoted parts of messages are removed,
    because they may contain the service's text or a cell. The arguments are left out, because they
    may contain a key.

    Raises:
        OSError: It can't be written.
    """
    from batchrun import __version__

    now = datetime.now(UTC)
    text = "\n".join(
        [
            f"batchrun {__version__}, {command}, {now:%Y-%m-%d %H:%M:%S} UTC",
            f"Python {platform.python_version()} on {platform.platform()}",
            "Secrets are masked. Messages may still name files and rows: read before sending.",
            *(f"\n{_described(each)}" for each in with_causes(error)),
            *(f"\n{_without_quotes(each)}" for each in unseen),
        ]
    )
    file, path = _new_file(f"batchrun-{now:%Y%m%d-%H%M%S}-")
    with os.fdopen(file, "w", encoding="utf-8", errors="replace") as opened:
        opened.write(masked(text, _values_of(typed, command)) + "\n")
    return path


def _described(error: BaseException) -> str:
    """Return an error's traceback and message, without our own messages: the screen has them."""
    raised_at = "".join(traceback.format_tb(error.__traceback__))
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    message = "" if isinstance(error, BatchrunError) else f": {_without_quotes(str(error))}"
    return f"{raised_at}{kind}{message}"


def _without_quotes(text: str) -> str:
    return re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "'…'", text)


def _values_of(typed: Sequence[str], command: str) -> Iterator[str]:
    """Yield arguments that may be a key: not options, the command or existing files."""
    for word in typed:
        value = word.partition("=")[2] if word.startswith("-") else word
        if value and value != command and not Path(value).exists():
            yield value


def _new_file(prefix: str) -> tuple[int, Path]:
    """Create a file (mode 0600) in the user's log folder, or else in the temporary folder."""
    from batchrun.settings.private_file import make_private_folder

    folder = user_log_path("batchrun", appauthor=False)
    try:
        make_private_folder(folder)
        file, path = tempfile.mkstemp(".txt", prefix, folder)
    except OSError:
        file, path = tempfile.mkstemp(".txt", prefix)
    return file, Path(path)
