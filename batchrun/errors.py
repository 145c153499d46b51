"""Every error that a user can see.

::

    BatchrunError                 exit code
    ├── UsageError                2   an option or argument can't be used
    │   └── ArgumentError         2   a function has no such parameter (a TypeError, too)
    ├── InputError                2   the list can't be used: what, where, what to do
    ├── OutputError               2   the workbook can't be written there
    ├── WorkflowError             2   no such workflow, or it is not active
    ├── JournalError              2   the journal can't be opened, or has no such batch
    │   ├── HeldError             2   another process works on the batch
    │   ├── NoBatchError          2   the journal has no batch yet
    │   ├── TakenOverError        4   another process has taken over the batch
    │   └── JournalWriteError     4   the journal can't be written any more: full disk, lock
    │       └── JournalLostError  4   its file was deleted, truncated or replaced
    ├── NotConfirmedError         0   the user answered no: nothing was triggered
    ├── StoppedError              4   stopped at once, by Ctrl-C twice or a signal; 130 if
    │                                 nothing was triggered
    ├── ServiceError              4   the service can't be reached, or sends an unusable answer
    └── KeyRefusedError           5   no key, a wrong key (401), or one without the scope (403)

Each says what happened, where, and what to do next, in one or two lines. A message names an option
of the command line, such as ``--again``; in Python it is the parameter ``again=True``.
A failed row is not an error but an outcome (see ``batchrun.model.Outcome``).
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING

from batchrun.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ExitCode(IntEnum):
    """How the command ended, for scripts."""

    COMPLETED = 0
    """All rows completed."""
    UNEXPECTED = 1
    """A defect in batchrun, or an unexpected problem with this machine."""
    UNUSABLE = 2
    """Wrong usage or unusable input; nothing was triggered."""
    INCOMPLETE = 3
    """Finished, but some rows are not completed; or failures stopped the batch."""
    PAUSED = 4
    """Paused or interrupted. `batchrun resume` picks it up."""
    KEY_REFUSED = 5
    """The service refused the key."""
    INTERRUPTED = 130
    """Ctrl-C before anything was triggered. The shell's own code for it."""


class BatchrunError(Exception):
    """Any error batchrun explains to its user.

    Args:
        what: What happened and where, in sentences.
        hint: What to do next, in sentences, or words that end in a command to copy.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n{self.hint}" if self.hint else self.what

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback."""
        return [f"{type(self).__name__}: {' '.join(str(self).split())}"]


class UsageError(BatchrunError):
    """An option or argument can't be used."""

    exit_code = ExitCode.UNUSABLE


class ArgumentError(UsageError, TypeError):
    """A function has no such parameter."""


class InputError(BatchrunError):
    """The input list can't be used."""

    exit_code = ExitCode.UNUSABLE


def missing_file(file: Path) -> InputError:
    """Return the error for a file that does not exist; its hint names similar ones."""
    hint = "Check the name and the folder."
    if str(file).startswith(("http:", "https:")):
        hint = "batchrun reads files, not web addresses: download the list first."
    with suppress(OSError):
        hint = did_you_mean(file.name, sorted(each.name for each in file.parent.iterdir())) + hint
    return InputError(f"There is no file {file}.", hint)


class OutputError(BatchrunError):
    """The workbook can't be written where it was asked for."""

    exit_code = ExitCode.UNUSABLE


class WorkflowError(BatchrunError):
    """There is no such workflow, or it is not active."""

    exit_code = ExitCode.UNUSABLE


class JournalError(BatchrunError):
    """The journal can't be opened, is from a newer batchrun, or has no such batch."""

    exit_code = ExitCode.UNUSABLE


class NoBatchError(JournalError):
    """There is no journal yet, or it holds no batch."""


class HeldError(JournalError):
    """Another process works on the batch."""


class TakenOverError(JournalError):
    """Another process has taken over the batch because this one stopped responding."""

    exit_code = ExitCode.PAUSED


class JournalWriteError(JournalError):
    """The journal can't be written any more. The batch pauses."""

    exit_code = ExitCode.PAUSED


class JournalLostError(JournalWriteError):
    """The journal's file was deleted, truncated or replaced while a batch was running."""


class NotConfirmedError(BatchrunError):
    """The user answered no before anything was spent."""

    exit_code = ExitCode.COMPLETED


class StoppedError(BatchrunError):
    """The command was stopped at once; exit code 4 if a batch had started."""

    exit_code = ExitCode.INTERRUPTED


class ServiceError(BatchrunError):
    """The service can't be reached, or its answer can't be used."""

    exit_code = ExitCode.PAUSED


class KeyRefusedError(BatchrunError):
    """There is no key, the service refuses it (401), or it lacks a scope (403)."""

    exit_code = ExitCode.KEY_REFUSED


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, then the errors in its group, its causes and its contexts."""
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [each.__context__, each.__cause__]
        if isinstance(each, BaseExceptionGroup):
            left += reversed(each.exceptions)
