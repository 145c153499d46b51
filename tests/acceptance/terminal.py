"""The command line in a terminal: what a person types, and what is on the screen then."""

from __future__ import annotations

import os
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyte

from tests.acceptance.sandbox_process import started
from tests.preloaded import COMMAND

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from pexpect.fdpexpect import fdspawn

SECONDS = 60
"""A screen that does not show by then what is waited for never will."""

CTRL_C = "\x03\n"
"""Ctrl-C at a question. Python begins to wait for a line a moment after it has shown the prompt; a
signal that comes between the two is heard only when the line is there, so Enter follows."""


class Terminal:
    """A running command and its screen.

    Attributes:
        typed: What is typed into, and waited on.
        process: The command.
    """

    def __init__(
        self, typed: fdspawn[str], process: subprocess.Popen[str], rows: int, columns: int
    ) -> None:
        self.typed = typed
        self.process = process
        self._screen = pyte.HistoryScreen(columns, rows, history=5_000)
        self._stream = pyte.Stream(self._screen)
        typed.logfile_read = self

    def write(self, text: str) -> None:
        """Draw what the command says; called by pexpect."""
        self._stream.feed(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def wait_for(self, pattern: str) -> str:
        """Read until this is said; the text of it."""
        self.typed.expect(pattern)
        return str(self.typed.after)

    def answer(self, question: str, answer: str) -> None:
        """Wait for a question and type an answer."""
        self.wait_for(question)
        self.typed.sendline(answer)

    def ended(self) -> int:
        """Read to the end; the exit code."""
        import pexpect

        self.typed.expect(pexpect.EOF)
        code = self.process.wait()
        assert code >= 0, f"killed by signal {-code}"
        return code

    @property
    def lines(self) -> list[str]:
        """What is on the screen, what was scrolled away first."""
        width = self._screen.columns
        gone = ["".join(line[at].data for at in range(width)) for line in self._screen.history.top]
        return [line.rstrip() for line in [*gone, *self._screen.display]]

    @property
    def text(self) -> str:
        """The same in one text."""
        return "\n".join(self.lines)

    def resize(self, rows: int, columns: int) -> None:
        """As if the user had pulled at the window."""
        self._screen.resize(rows, columns)
        termios.tcsetwinsize(self.typed.fileno(), (rows, columns))


@contextmanager
def terminal(
    *arguments: str, env: dict[str, str], cwd: Path, rows: int = 40, columns: int = 100
) -> Iterator[Terminal]:
    """Run the command line in a terminal; it is ended with the block."""
    from pexpect.fdpexpect import fdspawn

    # A CI system sets CI, which says that nobody looks at the screen; here somebody does.
    mine = {name: value for name, value in env.items() if name != "CI"} | {"TERM": "xterm"}
    ours, its = os.openpty()
    termios.tcsetwinsize(ours, (rows, columns))
    with started(
        *COMMAND,
        *arguments,
        env=mine,
        cwd=cwd,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as process:
        os.close(its)
        # An echoed ^C may come in the middle of a character.
        typed = fdspawn(ours, encoding="utf-8", codec_errors="replace", timeout=SECONDS)
        try:
            yield Terminal(typed, process, rows, columns)
        finally:
            typed.close()
