"""Questions to the user, on standard error: a script may capture standard output."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import typer

from batchrun.cli.output import print_lines, print_text
from batchrun.cli.output import question as fitted
from batchrun.cli.signals import interruptible
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchrun.model import Role
    from batchrun.tables import ColumnQuestion


def on_stderr() -> bool:
    """Whether questions go to standard error: always, unless only standard output is a terminal."""
    return sys.stderr.isatty() or not sys.stdout.isatty()


def beside_question(*, yes: bool) -> bool:
    """Whether the text before a question goes to standard error, where the question goes.

    Args:
        yes: Whether nothing is asked.
    """
    return not yes and sys.stdin.isatty() and on_stderr()


@contextmanager
def keep_stdout_clean() -> Iterator[None]:
    """Keep questions out of a captured standard output.

    Typer writes a question's last character there, whatever the settings.
    """
    with redirect_stdout(sys.stdout if sys.stdout.isatty() else sys.stderr):
        yield


def ask(text: str, *, hidden: bool = False, default: str = "") -> str:
    """Ask for a line of text.

    Args:
        text: What to ask.
        hidden: Whether the answer is not shown.
        default: The answer if nothing is typed; Ctrl-D is ``""``.

    Raises:
        KeyboardInterrupt: Ctrl-C came instead of an answer.
    """
    err = on_stderr()
    try:
        with interruptible(), keep_stdout_clean():
            typed = typer.prompt(
                text, default=default, show_default=bool(default), hide_input=hidden, err=err
            )
    except typer.Abort:  # Ctrl-D
        print_text("", err=err)  # start a new line
        return ""
    except KeyboardInterrupt:
        print_text("", err=err)
        raise
    return str(typed).strip()


def confirm(question: str, details: Sequence[str] = ()) -> bool:
    """Ask a question; Ctrl-D is a no.

    Args:
        question: What to ask.
        details: Lines to show when the user answers ``d``.

    Raises:
        KeyboardInterrupt: Ctrl-C came instead of an answer.
    """
    err = on_stderr()
    choices = "y/N/d for details" if details else "y/N"
    text = fitted(f"{question} [{choices}]", sys.stderr if err else sys.stdout)
    while True:
        match ask(text).lower():
            case "y" | "yes":
                return True
            case "" | "n" | "no":
                return False
            case "d" if details:
                print_lines(details, err=err)
            case _:
                print_text("Please answer y or n.", err=err)


def confirmed(question: str, details: Sequence[str] = (), *, yes: bool) -> bool:
    """Whether the user agrees, by --yes or at the terminal.

    Args:
        question: What to ask.
        details: As in `confirm`.
        yes: Whether --yes is given.

    Raises:
        UsageError: There is no terminal to ask at.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Can't ask for confirmation outside a terminal.", "Add --yes.")
    return confirm(question, details)


def ask_if_somebody_is_here() -> Callable[[ColumnQuestion], tuple[Role, int] | None] | None:
    """The function that asks for a column; ``None`` without a terminal."""
    return ask_for_column if sys.stdin.isatty() else None


def ask_for_column(question: ColumnQuestion) -> tuple[Role, int] | None:
    """Ask which column holds the IDs; ``None`` if the user does not choose."""
    from batchrun.model import Role

    print_text(f"{question.text}:", err=True)
    for candidate in question.candidates:
        samples = ", ".join(candidate.samples)
        print_text(f"  {candidate.position + 1}  {candidate.name}: {candidate.words}", err=True)
        print_text(f"     such as {samples}", err=True)
    numbers = {str(candidate.position + 1): candidate.position for candidate in question.candidates}
    while (answer := ask(f"Which one ({', '.join(numbers)}; Enter for none)")) not in numbers:
        if not answer:
            return None
        print_text(f"{answer} is none of {', '.join(numbers)}.", err=True)
    role = question.roles[0]
    if len(question.roles) > 1:
        words = {"company": Role.COMPANY, "contact": Role.CONTACT}
        while (said := ask("Does it hold company or contact IDs")) not in words:
            if not said:
                return None
            print_text(f"{said} is neither company nor contact.", err=True)
        role = words[said]
    return role, numbers[answer]
