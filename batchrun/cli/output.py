"""Printing: unwrapped lines to a pipe, lines that fit the window on a terminal."""

from __future__ import annotations

import codecs
import errno
import os
import re
import shutil
import sys
import time
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from batchrun.text import columns_of, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from rich.console import Console


LABEL = 11
"""Columns for the label before a value, such as ``Workbook:  ``."""

_LABELLED = re.compile(r"[A-Z][\w ]*: +")
_PIECES = r"""
    (?<=[:\ ]\ )(?:[^\s:]*[/\\])?batchrun(?![/\\])  # a command
    (?:\ ?(?:'[^'\n]*'|"[^"\n]*"|[^()\s])){1,400}?(?=\.\ |\.?$)\S*
    |\S+"""
"""Text that is not wrapped in the middle: a command, or a word."""


def is_screen(stream: TextIO) -> bool:
    """Return whether a stream is a terminal on which text can be redrawn.

    A CI system may give its jobs a terminal, but its log would contain every redrawn line.
    """
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int:
    """Return the columns of a stream's terminal; without a terminal those in COLUMNS, else 80."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        columns = 0
    return columns or shutil.get_terminal_size().columns


def usable_columns(stream: TextIO) -> int:
    """Return the usable columns of a line: some terminals wrap after the last column."""
    return max(width_of(stream) - 1, 1)


def mark_of(stream: TextIO) -> str:
    """Return the mark for shortened text, in a character that the stream can encode."""
    try:
        "…".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "~"
    return "…"


def wrapped(
    text: str, width: int, hanging: int | None = None, *, whole: Collection[str] = ()
) -> str:
    """Wrap text between words, to lines of at most ``width`` columns.

    Commands are not broken, even if they are wider, so that users can copy them.

    Args:
        text: One line or several.
        width: Columns of a line.
        hanging: Columns to indent continuation lines; ``None`` to align them with the line's text,
            after its label.
        whole: Names given by the user, which are not broken either.
    """
    pieces = _pieces(whole)
    lines = []
    for line in text.split("\n"):
        lines += [line] if columns_of(line) <= width else _broken(line, width, hanging, pieces)
    return "\n".join(lines)


def cut(text: str, width: int) -> list[str]:
    """Cut text after ``width`` columns, for texts without spaces, such as Chinese ones."""
    lines = [""]
    for each in text:
        if lines[-1] and columns_of(lines[-1] + each) > width:
            lines.append("")
        lines[-1] += each
    return lines


def _pieces(whole: Collection[str]) -> re.Pattern[str]:
    named = "".join(rf"\S*?{re.escape(name)}\S*|" for name in sorted(whole, key=len, reverse=True))
    return re.compile(rf"(?P<gap>\s*+)(?P<piece>{named}{_PIECES})", re.VERBOSE)


def _broken(line: str, width: int, hanging: int | None, pieces: re.Pattern[str]) -> list[str]:
    indent = _text_begins(line) if hanging is None else hanging
    lines = [""]
    for found in pieces.finditer(line.rstrip()):
        longer = lines[-1] + found["gap"] + found["piece"]
        nothing_yet = (
            columns_of(lines[-1] + found["gap"]) <= indent
        )  # on the next line it would have no more room
        if nothing_yet or columns_of(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(" " * indent + found["piece"])
    return lines


def _text_begins(line: str) -> int:
    if _LABELLED.fullmatch(line[:LABEL]):
        return LABEL
    return len(line) - len(line.lstrip())


def fitting(parts: Sequence[str], width: int) -> str:
    """Join parts with commas, as many as fit into the width; none is cut."""
    line = ""
    for part in parts:
        longer = f"{line}, {part}" if line else part
        if columns_of(longer) <= width:
            line = longer
    return line


def rendered(draw: Callable[[Console], None], width: int | None = None) -> str:
    """Return what rich draws, without trailing spaces."""
    from rich.console import Console

    console = Console(width=width, highlight=False, soft_wrap=False, emoji=False)
    with console.capture() as captured:
        draw(console)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, whole: Collection[int] = ()
) -> str:
    """Align rows in columns. A cell that is too wide is wrapped; a word that is too wide is cut.

    The columns at the indexes in ``whole`` are never broken.
    """
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for at, title in enumerate(header):
        least = max(columns_of(row[at]) for row in rows) if at in whole else None
        drawn.add_column(title, min_width=least, no_wrap=at in whole, overflow="ellipsis")
    for row in rows:
        drawn.add_row(*(Text(visible(cell, "")) for cell in row))
    return rendered(lambda console: console.print(drawn), width).rstrip("\n")


@dataclass(frozen=True, slots=True)
class OutputMode:
    """What a command prints, and the command to run at its end.

    Attributes:
        as_json: One JSON document on standard output, the rest on standard error.
        quiet: No plan and no progress; at the end only the workbook's path.
        notify_command: The command to run when the batch ends or pauses; ``None`` for none.
    """

    as_json: bool = False
    quiet: bool = False
    notify_command: str | Sequence[str] | None = None

    @property
    def shows_a_pilot(self) -> bool:
        """Whether the user can see the results of a pilot and answer a question."""
        return not self.as_json and not self.quiet and sys.stdin.isatty() and sys.stdout.isatty()


ANSWERS = len(": ") + 1
"""Columns to keep free after a question, for the answer."""


class UnbrokenLine(str):
    """A line that is never broken: its value is for copying."""

    __slots__ = ()


def print_text(
    text: str, *, err: bool = False, hanging: int | None = None, whole: Collection[str] = ()
) -> None:
    """Print text, as in `wrapped`; a closed terminal is not an error."""
    shown = visible(runnable_commands(text))
    if not isinstance(text, UnbrokenLine):
        names = [visible(name) for name in whole]
        shown = fitted(shown, sys.stderr if err else sys.stdout, hanging=hanging, whole=names)
    _print(shown, err=err)


def print_exact(text: str) -> None:
    """Print text for scripts or for copying: never wrapped."""
    _print(visible(text) if is_screen(sys.stdout) else text, err=False)


def begin_log_block(what: str, *, err: bool = False, always: bool = False) -> None:
    """Print the date and a title, to separate the blocks of a log.

    If somebody is at the terminal, only ``always`` prints it.
    """
    unattended = not sys.stdin.isatty() and not is_screen(sys.stdout)
    if always or unattended:
        print_text(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {what}", err=err)


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print several lines."""
    for line in lines:
        print_text(line, err=err)


class _Commands:
    """The user's way to call this program, and the options to repeat in printed commands."""

    program = "batchrun"
    known = re.compile(r"(?!)")
    repeated: Mapping[str, Sequence[str]] = {}


def name_commands(program: str, commands: Iterable[str]) -> None:
    """Set how the user's shell calls this program, for all printed commands."""
    _Commands.program = program
    _Commands.repeated = {}
    names = "|".join(map(re.escape, commands))
    _Commands.known = re.compile(
        rf"(?<![\w./\\\"'-])batchrun (?P<name>{names or '(?!)'}|--help)\b"
        r"(?P<first>(?: (?:[A-Z_]{2,}|\d{4}-[^\s,;]*[^\s,;.]))?)(?P<rest>[^\n]*)"
    )


def repeat_options(options: Mapping[str, Sequence[str]]) -> None:
    """Repeat options of the running command, by name of the printed command.

    For example, only ``status --sandbox`` finds a batch of ``run --sandbox``.
    """
    _Commands.repeated = options


def repeats_options(command: str) -> bool:
    """Return whether a printed command needs options to find this command's batch."""
    return bool(_Commands.repeated.get(command))


def runnable_commands(text: str) -> str:
    """Adapt the commands in a text so that they work in the user's shell as printed."""
    return _Commands.known.sub(_runnable, text)


def _runnable(found: re.Match[str]) -> str:
    rest = found["rest"]
    own, _, _ = rest.partition("batchrun ")
    added = [
        f" {option}"
        for option in _Commands.repeated.get(found["name"], ())
        if option.split()[0] not in own and not rest.startswith((":", " --help"))
    ]
    words = f"{_Commands.program} {found['name']}{found['first']}"
    return words + "".join(added) + runnable_commands(rest)


def _print(text: str, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    try:
        typer.echo(text, err=err)
        stream.flush()
    except OSError as error:
        discard_output(stream)
        if error.errno == errno.ENOSPC and not err:
            _print(f"The output can't be written: {error.strerror}.", err=True)


def fitted(
    text: str,
    stream: TextIO,
    *,
    hanging: int | None = None,
    beside: int = 0,
    whole: Collection[str] = (),
) -> str:
    """Return a text for a stream: unchanged for a pipe, wrapped for a terminal.

    ``beside`` columns are kept free, for an answer.
    """
    if not is_screen(stream):
        return text
    return wrapped(text, max(usable_columns(stream) - beside, 1), hanging, whole=whole)


def question(text: str, stream: TextIO) -> str:
    """Return a yes-or-no question for a stream."""
    return fitted(visible(runnable_commands(text)), stream, beside=ANSWERS)


def discard_output(stream: Any) -> None:
    """Discard further output to a stream whose terminal is closed."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


_PLAINLY = "batchrun-plainly"


def open_standard_streams() -> None:
    """Open standard streams that the shell has closed (``<&-``, ``>&-``, ``2>&-``) as null device.

    Otherwise Python's streams are ``None``, and the next opened file, such as the journal, gets
    the file number of a standard stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, so this one
        if getattr(sys, name) is None:
            nothing = Path(os.devnull).open("w" if number else "r", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nothing)


def replace_unprintable() -> None:
    """Replace characters that the console (cp437, cp1252, ASCII) can't encode."""
    codecs.register_error(_PLAINLY, _replace_character)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_PLAINLY)


def replace_unusable_time_zone() -> None:
    """Use UTC if TZ is a day or more from it, because Python can't convert such times."""
    try:
        datetime.now().astimezone()
    except ValueError:
        os.environ["TZ"] = "UTC"
        if sys.platform != "win32":
            time.tzset()


def _replace_character(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # streams only write
    return plain(error.object[error.start : error.end]), error.end


def plain(text: str) -> str:
    """Return a text in ASCII: letters lose their accents; ``?`` replaces unknown characters."""
    return "".join(_letters(each) for each in text)


def _letters(character: str) -> str:
    if unicodedata.combining(character):  # a separate accent, as in file names from a Mac
        return ""
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(each for each in decomposed if each.isascii()) or "?"
