"""Commands about keys: `login`, `logout`."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from batchrun.cli.asking import on_stderr
from batchrun.cli.options import BaseUrl, settings_from
from batchrun.cli.spelling import in_options
from batchrun.cli.stopping import heard_at_once
from batchrun.cli.telling import tell
from batchrun.errors import UsageError

Name = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Name of the profile. [default: default]"),
]


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(login)
    app.command()(logout)


def login(
    profile: Name = None,
    base_url: BaseUrl = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Keep the key without asking the service.")
    ] = False,
    in_file: Annotated[
        bool, typer.Option("--in-file", help="Keep it in a file even where there is a keyring.")
    ] = False,
) -> None:
    """Keep a key, once the service has said that it is good.

    It is typed unseen, or read from standard input.
    """
    from batchrun.access import DEFAULT_PROFILE
    from batchrun.access.login import address_for, log_in
    from batchrun.access.profiles import checked_name
    from batchrun.settings.wording import shown_end
    from batchrun.words import plural

    settings = settings_from(base_url=base_url)
    name = checked_name(profile or settings.profile or DEFAULT_PROFILE)
    address = address_for(name, settings)
    kept = asyncio.run(
        log_in(
            _key(name, address),
            address,
            name,
            timeout_seconds=settings.timeout_seconds,
            check=not no_check,
            in_file=in_file,
        )
    )
    seen = "not checked"
    if kept.workflows is not None:
        seen = f"sees {plural(kept.workflows, 'workflow')}"
    tell(f"Profile:   {name}, key {shown_end(kept.profile.end)} for {address}, {seen}")
    if kept.why_a_file:
        tell(
            f"Kept in:   {kept.place}, readable by your account alone: {kept.why_a_file}",
            whole=[kept.place],
        )
    else:
        tell(f"Kept in:   the system's keyring ({kept.place})")
    if kept.left_behind:
        tell(f"Note:      an earlier key stays in the keyring. {kept.left_behind}")
    if settings.api_key is not None:
        tell("Note:      PGAI_API_KEY is set, and counts unless --profile is given")


def logout(
    profile: Name = None,
    every: Annotated[bool, typer.Option("--all", help="Erase the keys of all profiles.")] = False,
) -> None:
    """Erase a stored key, from the keyring too."""
    from batchrun.access import DEFAULT_PROFILE, stored_profiles

    if every and profile is not None:
        raise UsageError("--all and --profile exclude each other.", "Give one.")
    settings = settings_from()
    names = (
        [*stored_profiles().all()] if every else [profile or settings.profile or DEFAULT_PROFILE]
    )
    left = []
    for name in names:
        try:
            _erase(name)
        except UsageError as error:  # a locked keyring keeps its own keys, and no others
            if not every:
                raise
            told = in_options(error)
            tell(f"Left:      the key of profile {name}. {told.what} {told.hint}", err=True)
            left.append(name)
    if not names:
        tell("No key is stored.")
    if settings.api_key is not None:
        tell("Note:      PGAI_API_KEY is still set, in the environment or in .env")
    if left:
        raise UsageError(
            f"Not all keys are erased: of {len(names)}, {', '.join(left)} "
            f"{'is' if len(left) == 1 else 'are'} left.",
            "Do what is said of each, then again: batchrun logout --all",
        )


def _erase(name: str) -> None:
    from batchrun.access.login import log_out

    gone = log_out(name)
    what = "profile" if gone.left_behind else "the key of profile"
    tell(f"Erased:    {what} {name} for {gone.profile.base_url}")
    if gone.left_behind:
        tell(f"Note:      {gone.left_behind}")


def _key(name: str, address: str) -> str:
    """The key: typed unseen on a terminal, else the first line of standard input."""
    typed = _typed(name, address) if sys.stdin.isatty() else sys.stdin.readline()
    if not typed.strip():
        raise UsageError("No key came; nothing was kept.", "Type it, or pipe it in on one line.")
    return typed.strip()


def _typed(name: str, address: str) -> str:
    """What the user types, unseen; ``""`` for nothing."""
    try:
        with heard_at_once():
            typed: str = typer.prompt(
                f"Key for {address}, profile {name} (not shown)",
                hide_input=True,
                default="",
                show_default=False,
                err=on_stderr(),
            )
    except typer.Abort:  # Ctrl-D
        return ""
    return typed
