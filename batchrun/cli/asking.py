"""The question before anything is spent or erased: yes or no, and what leaving it means."""

from __future__ import annotations

import sys

import typer

from batchrun.cli.stopping import heard_at_once
from batchrun.cli.telling import question as fitted
from batchrun.cli.telling import tell


def agreed(question: str, *, err: bool) -> bool:
    """Ask; Ctrl-D is a no, as the end of any input is.

    Args:
        question: What is asked.
        err: Whether it goes to standard error.

    Raises:
        KeyboardInterrupt: Ctrl-C came instead of an answer.
    """
    try:
        with heard_at_once():
            return typer.confirm(fitted(question, sys.stderr if err else sys.stdout), err=err)
    except typer.Abort:  # Ctrl-D
        tell("", err=err)  # what is told next begins a line of its own
        return False
    except KeyboardInterrupt:
        tell("", err=err)
        raise
