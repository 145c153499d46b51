"""What can go wrong, as the user meets it.

::

    BatchrunError                 exit code
    ├── UsageError                2   an option or argument can't be used
    ├── InputError                2   the list can't be used: what, where, what to do
    ├── OutputError               2   the workbook can't be written there
    ├── WorkflowError             2   no such workflow, or it is not active
    ├── JournalError              2   the journal can't be opened, or has no such batch
    │   ├── HeldError             2   another process works on the batch
    │   ├── NoBatchError          2   nothing was ever run with this journal
    │   ├── TakenOverError        4   another process has taken the batch over meanwhile
    │   └── JournalWriteError     4   the journal can't be written any more: full disk, lock
    │       └── JournalLostError  4   its file was deleted, truncated or replaced meanwhile
    ├── NotConfirmedError         0   somebody was asked and said no: nothing was triggered
    ├── StoppedError              4   stopped at once, by Ctrl-C twice or a signal; 130 before
    │                                 anything had begun
    ├── ServiceError              4   the service can't be reached or makes no sense now
    └── KeyRefusedError           5   no key, a wrong key (401), or one without the scope (403)

Each says what happened, where, and what to do next, in one or two lines. A parameter stands there
as Python writes it, such as ```again=True```; the command line puts its own option in its place,
and knows it from a file's name or the service's words by `parameter`'s mark.
Rows that fail are not errors: they are outcomes (see ``batchrun.model.Outcome``).
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Two of the characters that Unicode keeps for a program's inside: no name or answer holds them.
_BEGINS, _ENDS = "\ufdd0", "\ufdd1"
_MARKED = re.compile(f"{_BEGINS}([a-z_]+)=(\\w*){_ENDS}")


def parameter(name: str, value: object = "") -> str:
    """A parameter for an error's text, marked, so that who tells the error may word it anew."""
    return f"{_BEGINS}{name}={value}{_ENDS}"


def with_parameters(text: str, worded: Callable[[str, str], str]) -> str:
    """A marked text in which each parameter is worded by its name and value."""
    return _MARKED.sub(lambda found: worded(found[1], found[2]), text)


def in_python(text: str) -> str:
    """A marked text in which each parameter stands as Python writes it."""
    return with_parameters(text, _in_python)


def _in_python(name: str, value: str) -> str:
    return f"`{name}={value}`"


class ExitCode(IntEnum):
    """How the command ended, for scripts."""

    COMPLETED = 0
    """All rows completed."""
    UNEXPECTED = 1
    """A defect in batchrun, or a fault of the machine nobody foresaw."""
    UNUSABLE = 2
    """Wrong usage or unusable input; nothing was triggered."""
    INCOMPLETE = 3
    """Finished, but some rows are not completed."""
    PAUSED = 4
    """Paused or interrupted; `batchrun resume` goes on."""
    KEY_REFUSED = 5
    """The service refused the key."""
    INTERRUPTED = 130
    """Ctrl-C before anything began: there is nothing to go on with. The shell's own code for it."""


class BatchrunError(Exception):
    """Any error batchrun explains to its user.

    Args:
        what: What happened and where, in sentences; it may hold a `parameter`.
        hint: What to do next, in sentences, or words that end in a command to copy; the same.

    Attributes:
        marked_what: What happened, its parameters marked.
        marked_hint: What to do next, its parameters marked.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.marked_what = what
        self.marked_hint = hint

    @property
    def what(self) -> str:
        """What happened and where."""
        return in_python(self.marked_what)

    @property
    def hint(self) -> str:
        """What to do next; ``""`` for nothing."""
        return in_python(self.marked_hint)

    def __str__(self) -> str:
        return f"{self.what}\n{self.hint}" if self.hint else self.what


class UsageError(BatchrunError):
    """An option or argument can't be used."""

    exit_code = ExitCode.UNUSABLE


class InputError(BatchrunError):
    """The input list can't be used."""

    exit_code = ExitCode.UNUSABLE


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
    """Another process has taken the batch over while this one was not heard of."""

    exit_code = ExitCode.PAUSED


class JournalWriteError(JournalError):
    """The journal can't be written any more: the batch pauses where it is."""

    exit_code = ExitCode.PAUSED


class JournalLostError(JournalWriteError):
    """The journal's file was deleted, truncated or replaced while a batch was running."""


class NotConfirmedError(BatchrunError):
    """Whoever was asked before anything is spent said no."""

    exit_code = ExitCode.COMPLETED


class StoppedError(BatchrunError):
    """The command was stopped at once; with code 4 where a batch had begun."""

    exit_code = ExitCode.INTERRUPTED


class ServiceError(BatchrunError):
    """The service can't be reached, or its answer makes no sense."""

    exit_code = ExitCode.PAUSED


class KeyRefusedError(BatchrunError):
    """There is no key, or the service refuses it (401) or what it may do (403)."""

    exit_code = ExitCode.KEY_REFUSED
