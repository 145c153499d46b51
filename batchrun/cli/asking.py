"""Questions: where they are put, and the one before anything is spent or erased: yes or no.

A question goes to standard error: standard output is for what a script captures.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import typer

from batchrun.cli.stopping import heard_at_once
from batchrun.cli.telling import question as fitted
from batchrun.cli.telling import tell

if TYPE_CHECKING:
    from collections.abc import Iterator


def on_stderr() -> bool:
    """Whether questions go to standard error: always, unless only standard output is seen."""
    return sys.stderr.isatty() or not sys.stdout.isatty()


def beside_question(*, yes: bool) -> bool:
    """Whether what is asked about goes to standard error, beside the question that follows it.

    Args:
        yes: Whether nothing is asked.
    """
    return not yes and sys.stdin.isatty() and on_stderr()


@contextmanager
def off_stdout() -> Iterator[None]:
    """While something is asked, nothing of it goes to a standard output that is captured.

    Typer writes a question's last character there, whatever it is told.
    """
    with redirect_stdout(sys.stdout if sys.stdout.isatty() else sys.stderr):
        yield


def agreed(question: str) -> bool:
    """Ask; Ctrl-D is a no, as the end of any input is.

    Args:
        question: What is asked.

    Raises:
        KeyboardInterrupt: Ctrl-C came instead of an answer.
    """
    err = on_stderr()
    try:
        with heard_at_once(), off_stdout():
            return typer.confirm(fitted(question, sys.stderr if err else sys.stdout), err=err)
    except typer.Abort:  # Ctrl-D
        tell("", err=err)  # what is told next begins a line of its own
        return False
    except KeyboardInterrupt:
        tell("", err=err)
        raise
