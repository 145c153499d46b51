"""What the command line says: one line to a pipe; on a terminal at most as wide as its window."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

import typer

from batchrun.cli.terminal import is_screen, room_of, wrapped
from batchrun.words import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

ANSWERS = len(" [y/N]: ")
"""What stands behind a question on its last line."""


class Whole(str):
    """A line with one thing to be copied behind its label: it is never broken."""

    __slots__ = ()


def tell(
    text: str, *, err: bool = False, hanging: int | None = None, whole: Collection[str] = ()
) -> None:
    """Say something, if anybody is still there to hear it.

    Args:
        text: One line or several.
        err: Whether it goes to standard error.
        hanging: Where a line goes on that is too long; ``None`` for where its text begins.
        whole: What in it is not broken: names that came from the user.
    """
    shown = visible(text)
    if not isinstance(text, Whole):
        names = [visible(name) for name in whole]
        shown = fitted(shown, sys.stderr if err else sys.stdout, hanging=hanging, whole=names)
    _print(shown, err=err)


def tell_as_it_is(text: str) -> None:
    """Say something for machines, or to be copied: on one line, however wide."""
    _print(visible(text) if is_screen(sys.stdout) else text, err=False)


def tell_all(lines: Iterable[str], *, err: bool = False) -> None:
    """Say several lines; nothing where there are none."""
    for line in lines:
        tell(line, err=err)


def _print(text: str, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    try:
        typer.echo(text, err=err)
        stream.flush()
    except OSError:
        nobody_reads(stream)


def fitted(
    text: str,
    stream: TextIO,
    *,
    hanging: int | None = None,
    beside: int = 0,
    whole: Collection[str] = (),
) -> str:
    """A text as it goes to a stream: scripts find in a pipe what was said as it was said.

    Args:
        text: One line or several.
        stream: Where it goes.
        hanging: As in `tell`.
        beside: Columns that are kept free, for an answer.
        whole: As in `tell`.
    """
    if not is_screen(stream):
        return text
    return wrapped(text, max(room_of(stream) - beside, 1), hanging, whole=whole)


def question(text: str, stream: TextIO) -> str:
    """A question with yes or no behind it, as it goes to a stream."""
    return fitted(visible(text), stream, beside=ANSWERS)


def nobody_reads(stream: Any) -> None:
    """Let what is still written to a stream go nowhere: its terminal is closed."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
