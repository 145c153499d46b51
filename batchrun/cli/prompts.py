"""Ask the user on standard error, because a script may capture standard output."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, TypeVar

import typer

from batchrun.cli.output import print_lines, print_text
from batchrun.cli.output import question as fitted
from batchrun.cli.signals import interruptible
from batchrun.errors import NotConfirmedError, UsageError
from batchrun.text import quoted_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from batchrun.model import BatchSummary, Role
    from batchrun.settings.model import Settings
    from batchrun.tables.roles import ColumnQuestion, Contents

_T = TypeVar("_T")


def on_stderr() -> bool:
    """Return whether to ask on standard error: always, unless only stdout is a terminal."""
    return sys.stderr.isatty() or not sys.stdout.isatty()


def beside_question(*, yes: bool) -> bool:
    """Return whether the text before a question also goes to standard error.

    With ``yes``, no question is asked.
    """
    return not yes and sys.stdin.isatty() and on_stderr()


def ask(text: str, *, hidden: bool = False, default: str = "") -> str:
    """Ask for a line of text. Ctrl-D returns ``""``.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
    """
    err = on_stderr()
    # Typer writes a question's last character to standard output, whatever the settings.
    stdout = sys.stdout if sys.stdout.isatty() else sys.stderr
    try:
        with interruptible(), redirect_stdout(stdout):
            _discard_early_input()
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


def _discard_early_input() -> None:
    """Drop what was typed before the question was shown: it can't be the answer to it."""
    if not sys.stdin.isatty():
        return
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        with suppress(OSError, ValueError, termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def confirm(question: str, details: Sequence[str] = ()) -> bool:
    """Ask a yes-or-no question; Ctrl-D means no, and ``d`` shows the details.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
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
    """Return whether the user agrees, by --yes or at the terminal.

    Raises:
        UsageError: There is no terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            "Can't ask for confirmation outside a terminal.", "Add --yes, or run it in a terminal."
        )
    return confirm(question, details)


@contextmanager
def agreed_to(words: str, *, yes: bool, collects: bool) -> Iterator[bool]:
    """Say what somebody must agree to before jobs are sent; yield whether they may be sent.

    Without ``yes``, the command fails: at once, or if it ``collects`` results, at its end.

    Raises:
        UsageError: ``yes`` is not given.
    """
    refused = UsageError(words, "To send them anyway, add --yes.")
    if words and not yes and not collects:
        raise refused
    if words and yes:
        print_text(f"Note:      {words}", err=True)
    try:
        yield yes or not words
    except typer.Exit:
        if words and not yes:
            raise refused from None
        raise


def ask_for_column(question: ColumnQuestion) -> tuple[Role, int] | None:
    """Ask which column holds the IDs; ``None`` if the user does not choose."""
    columns = question.candidates
    kinds = {role: role.name.lower() for role in question.roles}
    for doubt in question.doubts:
        print_text(f"{doubt}.", err=True)
    print_text(f"{question.text}:", err=True)
    chooses = len(columns) > 1 or len(kinds) == 1
    for each in columns:
        number = f"{each.position + 1}  " if chooses else ""
        print_text(f"  {number}{each.name}: {each.words}", err=True)
        print_text(f"     such as {', '.join(each.samples)}", err=True)
    numbers = ", ".join(str(each.position + 1) for each in columns)
    ids = f"{' or '.join(kinds.values())} IDs"
    column: Contents | None = columns[0]
    role: Role | None = question.roles[0]
    if chooses:
        column = _ask_for_one(
            f"Which one contains the {ids} ({numbers}, or its name; Enter to stop)",
            lambda answer: (
                [each for each in columns if str(each.position + 1) == answer]
                or [each for each in columns if each.name.casefold() == answer]
            ),
            f"not one of {numbers}. Type the number or the name of the column.",
        )
    if column is not None and len(kinds) > 1:
        role = _ask_for_one(
            f"Does it hold {ids}? Type company or contact (Enter to stop)",
            lambda answer: [role for role in kinds if kinds[role].startswith(answer)],
            "neither company nor contact. Type the whole word.",
        )
    if column is None or role is None:
        return None
    unnamed = column.name.startswith("(column ")
    shown = quoted_command(str(column.position + 1) if unnamed else column.name)
    print_text(f"To skip this question, add --{kinds[role]}-column {shown}", err=True)
    return role, column.position


def _ask_for_one(text: str, find: Callable[[str], Sequence[_T]], wrong: str) -> _T | None:
    """Ask until the answer stands for exactly one thing; ``None`` if there is no answer."""
    while answer := ask(text):
        found = find(answer.casefold())
        if len(found) == 1:
            return found[0]
        print_text(f"That is {wrong}", err=True)  # an answer could look like a command
    return None


def confirm_address(settings: Settings, *, at_login: bool = False) -> None:
    """Ask once before a key is sent to an address that is not the service's.

    Without a terminal, an option or the environment must give the address. With ``at_login``,
    there need not be a key yet.

    Raises:
        UsageError: There is no key, there is no terminal, or the address can't be used.
        NotConfirmedError: The answer was no.
    """
    from batchrun.settings.consent import (
        Consent,
        agree,
        needs_consent,
        punycode,
        require_agreed_address,
    )
    from batchrun.settings.credentials import address_of, profile_of, require_key
    from batchrun.settings.location import checked_base_url, service_of

    if not at_login:
        require_key(settings)
    address = checked_base_url(address_of(settings))
    stored = profile_of(settings)
    if stored is not None and service_of(stored.base_url) == address:
        return  # agreed to at login
    if not needs_consent(address):
        return
    if not sys.stdin.isatty():
        require_agreed_address(settings, address)
        print_text(
            f"Note:      the key and the rows' IDs go to {punycode(address)}, which is not an "
            "address of PG:AI",
            err=True,
        )
        return
    if not confirm(
        f"{punycode(address)} is not an address of PG:AI. Send your key and the rows' IDs there?"
    ):
        raise NotConfirmedError("Nothing was sent.")
    agree(Consent.ADDRESS, address)


def confirm_batch(
    settings: Settings, batch: BatchSummary, output: Path | None = None, *, sends: bool = True
) -> None:
    """Ask before a batch continues, if its journal may come from a stranger.

    Its address, a key that this machine has never used, and an output in another folder each need
    consent once. If it ``sends`` jobs, a note says if a different key pays from now on.

    Raises:
        UsageError: There is no key to use, or there is no terminal to ask at.
        NotConfirmedError: The answer was no.
    """
    from batchrun.batch.history import existing_journal
    from batchrun.batch.recover import consent_refused, key_replaced_by, needed_consents
    from batchrun.settings.consent import agree
    from batchrun.settings.credentials import find_credentials, for_batch, profile_replaced_by

    at_address = for_batch(settings, batch)
    confirm_address(at_address)
    used = find_credentials(at_address)
    with existing_journal(settings.journal) as journal:
        other = key_replaced_by(journal, batch, used.key, used.profile)
        requests = list(needed_consents(journal, batch, used.key, output))
    for request in requests:
        if not sys.stdin.isatty():
            raise consent_refused(request, batch.batch_id)
        print_text(request.what, err=True)
        if not confirm(request.question):
            raise NotConfirmedError("Nothing was triggered.")
        agree(request.kind, request.value)
    started = "another key"
    more = "; a key of another workspace can't see the jobs that are already running"
    if replaced := profile_replaced_by(at_address, batch):
        other, started, more = replaced, f"profile {batch.profile}, whose key is deleted", ""
    if other and sends:
        note = f"batch {batch.batch_id} was started with {started}: {other} pays from now on{more}"
        print_text(f"Note:      {note}", err=True)
