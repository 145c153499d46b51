"""`--notify-command`: tell somebody who is not at the terminal how a batch ended."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.cli.log_file import SHORTEST_SECRET
from batchrun.cli.output import tell
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTICE_SECONDS = 30.0
"""A command that takes longer is ended."""

KEY_VARIABLE = "PGAI_API_KEY"


@dataclass(frozen=True, slots=True)
class Notice:
    """How a batch ended, as a command is told.

    Attributes:
        batch: Its id.
        outcome: In a word.
        exit_code: The command line's own.
        message: In a line.
        workbook: Where the results are, ``""`` for nowhere.
    """

    batch: str
    outcome: str
    exit_code: int
    message: str
    workbook: str = ""

    def variables(self) -> dict[str, str]:
        """What the command finds in its environment."""
        told = {
            "BATCHRUN_BATCH": self.batch,
            "BATCHRUN_OUTCOME": self.outcome,
            "BATCHRUN_EXIT_CODE": str(self.exit_code),
            "BATCHRUN_MESSAGE": " ".join(self.message.split()),
            "BATCHRUN_WORKBOOK": self.workbook,
        }
        return {name: value.replace("\0", "") for name, value in told.items()}


def words_of(command: str) -> Sequence[str] | str:
    """The words of a command, without a shell: nothing in them is expanded or run by itself.

    Raises:
        UsageError: It is empty, or a quote is left open.
    """
    if os.name == "nt":  # a program there cuts its own command line into words
        words: Sequence[str] | str = command.strip()
    else:
        try:
            words = shlex.split(command)
        except ValueError:
            words = []
    if not words:
        raise UsageError(
            "The command of --notify-command can't be read.",
            "Write a program and its words, such as --notify-command 'sh notify.sh'.",
        )
    return words


def environment(given: Mapping[str, str], notice: Notice, key: str) -> dict[str, str]:
    """What the command's environment is: ours and the notice, but not the key."""
    telling = len(key) >= SHORTEST_SECRET
    ours = {
        name: value
        for name, value in given.items()
        if name.upper() != KEY_VARIABLE and not (telling and key in value)
    }
    return ours | notice.variables()


def notify(
    command: str,
    notice: Notice,
    key: str,
    *,
    longest_seconds: float = NOTICE_SECONDS,
    wait: bool = True,
) -> None:
    """Run the command. That it fails is said, and changes nothing.

    Args:
        command: A program and its words.
        notice: What it is told.
        key: What it must not be told.
        longest_seconds: When it is ended.
        wait: Whether to wait for its end, and say how it ended; else it is started and left alone.
    """
    try:
        words = words_of(command)
        process = subprocess.Popen(  # noqa: S603  # the user's own command, and no shell
            words,
            env=environment(os.environ, notice, key),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError, UsageError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        tell(f"The notify command could not be started: {why}.", err=True)
        return
    if not wait:
        return
    try:
        code = process.wait(longest_seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        tell(f"The notify command was ended after {longest_seconds:.0f} s.", err=True)
        return
    except KeyboardInterrupt:
        _end(process)
        return
    if code:
        tell(f"The notify command ended with code {code}.", err=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and, where the system lets us, whatever it has started."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
