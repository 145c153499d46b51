"""`status --watch`: look again and again, and draw over what was shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from batchrun.cli.terminal import LABEL, cut, is_screen, mark_of, room_of
from batchrun.words import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def watch(looks: Iterable[Sequence[str]]) -> None:
    """Show how things stand until they stand still, or until Ctrl-C.

    Args:
        looks: How they stand, in lines, look after look.
    """
    picture = _Picture()
    try:
        for lines in looks:
            picture.draw(lines)
    except KeyboardInterrupt:  # whoever watches has seen enough; the batch goes on
        return


class _Picture:
    """Lines on standard output, each time in the place of the last ones.

    Where nothing can be drawn over, they are printed again when they have changed.
    """

    def __init__(self) -> None:
        self._shown: list[str] = []

    def draw(self, lines: Sequence[str]) -> None:
        if not is_screen(sys.stdout):
            if list(lines) != self._shown:
                typer.echo(visible("\n".join([*([""] if self._shown else []), *lines])))
            self._shown = list(lines)
            return
        # A line that the terminal wraps itself would be two to go back over.
        width, mark = room_of(sys.stdout), mark_of(sys.stdout)
        back = f"\x1b[{len(self._shown)}A\r\x1b[J" if self._shown else ""
        self._shown = [_cut(visible(line), width, mark) for line in lines]
        typer.echo(back + "\n".join(self._shown))


def _cut(line: str, width: int, mark: str) -> str:
    """As `cut`, with the blanks that align what is said."""
    label, rest = line[:LABEL], line[LABEL:]
    return label + cut(rest, width - len(label), mark) if rest else label
