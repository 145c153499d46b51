"""The options that several commands share, each written once."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from batchrun.cli.completing import batch_ids
from batchrun.cli.telling import tell
from batchrun.errors import BatchrunError, NoBatchError, UsageError

if TYPE_CHECKING:
    from batchrun.settings import Configuration, Settings

BaseUrl: TypeAlias = Annotated[
    str | None, typer.Option(help="Where the service is. [env: BATCHRUN_BASE_URL]")
]
ProfileName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Whose stored key to use, see batchrun login. [env: BATCHRUN_PROFILE]",
    ),
]
JournalAt: TypeAlias = Annotated[
    str | None,
    typer.Option("--journal", help="Path or URL of the journal. [env: BATCHRUN_JOURNAL]"),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
Batch: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        help="Id of the batch, or its beginning; without it, the newest batch.",
        autocompletion=batch_ids,
    ),
]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Where the results go: .xlsx, .csv, .jsonl or .parquet. "
        "Without it, NAME.results.xlsx beside the list.",
    ),
]
Rate: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="N/min",
        help="Requests a minute, such as 120/min, or unlimited. [env: BATCHRUN_RATE]",
    ),
]
Daily: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Requests a day. [env: BATCHRUN_DAILY]"),
]
Wait: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--wait", help="Wait for the quota, also until tomorrow, instead of pausing with code 4."
    ),
]
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Trigger only the next N jobs; resume does the rest."),
]
StopAfterFailures: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        help="Trigger nothing more after N failures in a row, or N among the first 4 N jobs; "
        "0 for never. [default: 10; env: BATCHRUN_STOP_AFTER_FAILURES]",
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No plan, no progress; at the end only the workbook's path."
    ),
]
LogFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--log-file",
        metavar="FILE",
        help="Log each event there, one JSON object a line. [env: BATCHRUN_LOG_FILE]",
    ),
]
NotifyCommand: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--notify-command",
        metavar="COMMAND",
        envvar="BATCHRUN_NOTIFY_COMMAND",
        show_envvar=False,
        help="Run this when the batch ends or pauses; it is told how in its environment. "
        "[env: BATCHRUN_NOTIFY_COMMAND]",
    ),
]
PlayJournal: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Look where run --sandbox and demo keep their batches.",
    ),
]
Reuse: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="AGE",
        help="Take results of the same triggers from earlier batches where they are at most so "
        "old, such as 30d, instead of triggering and paying again.",
    ),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask first.")]


def settings_from(
    *,
    base_url: str | None = None,
    journal: str | None = None,
    rate: str | None = None,
    daily: int | None = None,
    configuration: Configuration | None = None,
    **others: object,
) -> Settings:
    """The settings with a command's options over them.

    Args:
        base_url: As given.
        journal: As given.
        rate: As typed.
        daily: As given.
        configuration: What files say; ``None`` for the user's own.
        others: More of them by name; ``None`` for what was not given.

    Raises:
        UsageError: One of them can't be used.
    """
    from batchrun.settings import load_settings

    settings = load_settings(
        configuration, base_url=base_url, journal=journal, rate=_rate(rate), daily=daily, **others
    )
    _note_synchronised(settings)
    return settings


def settings_with_journal(*, sandbox: bool = False, **given: Any) -> Settings:
    """As `settings_from`, where a journal must be there already: none is made by looking.

    Args:
        sandbox: Whether the journal of the sandbox is meant.
        **given: As in `settings_from`.

    Raises:
        UsageError: One of them can't be used, or another journal is named beside --sandbox.
        NoBatchError: There is none.
    """
    settings = settings_to_look(sandbox=sandbox, **given)
    path = journal_path(settings)
    if path is not None and not path.exists():
        raise NoBatchError(
            f"There is no journal at {path}.",
            "batchrun demo or run --sandbox makes it."
            if sandbox
            else "The first batchrun run makes it; another one is named with --journal or "
            "BATCHRUN_JOURNAL.",
        )
    return settings


def settings_to_look(*, sandbox: bool = False, **given: Any) -> Settings:
    """As `settings_from`, for a command that looks at batches.

    Args:
        sandbox: Whether those of the sandbox are meant.
        **given: As in `settings_from`.

    Raises:
        UsageError: One of them can't be used, or another journal is named beside --sandbox.
    """
    if not sandbox:
        return settings_from(**given)
    if given.get("journal") is not None:  # `forget` would erase batches there that cost
        raise UsageError("--sandbox and --journal exclude each other.", "Give one.")
    from batchrun.settings import load_settings

    return with_play_journal(load_settings(**given), None)


def with_play_journal(settings: Settings, typed: str | None) -> Settings:
    """The settings of a command with --sandbox; all of them take the same journal.

    Args:
        settings: As they were loaded.
        typed: What --journal says; ``None`` for nothing.
    """
    if typed is not None:
        return settings
    return settings.model_copy(update={"journal": play_journal(settings)})


def play_journal(settings: Settings) -> str:
    """Where batches of the sandbox are kept: beside those that cost, and never among them."""
    from batchrun.settings import default_journal

    path = journal_path(settings)
    if path is None or not path.name:
        path = default_journal()
    name = "sandbox.db" if path.name.casefold() != "sandbox.db" else "imitated.db"
    return str(path.with_name(name))


def sandbox_words() -> str:
    """Where batches of the sandbox are seen, as a hint; ``""`` where there are none."""
    from batchrun import batches

    with suppress(BatchrunError):  # whatever is wrong with it, nobody has asked for it
        settings = settings_to_look(sandbox=True)
        if Path(settings.journal).exists() and batches(settings=settings):
            return "Those of demo and run --sandbox: batchrun batches --sandbox"
    return ""


def age(text: str, option: str) -> timedelta:
    """An age as people write it: ``90d``, ``12w``, ``48h``.

    Raises:
        UsageError: It is none.
    """
    found = re.fullmatch(r"(\d{1,5})\s*([hdw])", text.strip().lower(), re.ASCII)
    if found is None:
        raise UsageError(f"{option} {text} is no age.", "Write it as 90d, 12w or 48h.")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def journal_path(settings: Settings) -> Path | None:
    """Where the journal's file is; ``None`` where it is a database server's."""
    from batchrun.settings.location import is_server

    return None if is_server(settings.journal) else Path(settings.journal).expanduser()


def _note_synchronised(settings: Settings) -> None:
    """Say it where the journal lies in a folder that something copies to other machines."""
    if "journal" not in settings.model_fields_set:
        return
    path = journal_path(settings)
    if path is None:
        return
    from batchrun.settings.location import synchronised_by

    service = synchronised_by(path.absolute())
    if service is not None:
        tell(
            f"Note: the journal {path} lies in a folder of {service}, which may put back an older "
            "copy of it. Name one outside with --journal or BATCHRUN_JOURNAL.",
            err=True,
            whole=[str(path)],
        )


def _rate(text: str | None) -> object:
    from batchrun.settings import read_rate

    try:
        return read_rate(text)
    except ValueError:
        raise UsageError(
            f"--rate {text} is not a number of requests a minute.",
            "Write it as --rate 120, --rate 120/min or --rate unlimited.",
        ) from None
