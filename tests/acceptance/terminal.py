"""The command line in a terminal: what a person types, and what is on the screen then."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyte

from tests.acceptance.sandbox_process import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pexpect

SECONDS = 60
"""A screen that does not show by then what is waited for never will."""

CTRL_C = "\x03\n"
"""Ctrl-C at a question. Python begins to wait for a line a moment after it has shown the prompt; a
signal that comes between the two is heard only when the line is there, so Enter follows."""


class Terminal:
    """A running command and its screen.

    Attributes:
        typed: What is typed into, and waited on.
    """

    def __init__(self, child: pexpect.spawn[str], rows: int, columns: int) -> None:
        self.typed = child
        self._screen = pyte.HistoryScreen(columns, rows, history=5_000)
        self._stream = pyte.Stream(self._screen)
        child.logfile_read = self

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
        self.typed.wait()
        assert self.typed.exitstatus is not None, f"killed by signal {self.typed.signalstatus}"
        return self.typed.exitstatus

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
        self.typed.setwinsize(rows, columns)


@contextmanager
def terminal(
    *arguments: str, env: dict[str, str], cwd: Path, rows: int = 40, columns: int = 100
) -> Iterator[Terminal]:
    """Run the command line in a terminal; it is ended with the block."""
    import pexpect

    # A CI system sets CI, which says that nobody looks at the screen; here somebody does.
    mine = {name: value for name, value in env.items() if name != "CI"} | {"TERM": "xterm"}
    child: Any = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *arguments],
        env=mine,
        cwd=str(cwd),
        dimensions=(rows, columns),
        encoding="utf-8",
        codec_errors="replace",  # an echoed ^C may come in the middle of a character
        timeout=SECONDS,
    )
    try:
        yield Terminal(child, rows, columns)
    finally:
        if child.isalive():
            child.kill(signal.SIGKILL)
        child.close()
