"""The options that several commands share, each written once."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from batchrun.errors import JournalError, UsageError

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
    typer.Argument(help="Id of the batch, or its beginning; without it, the newest batch."),
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

    return load_settings(
        configuration, base_url=base_url, journal=journal, rate=_rate(rate), daily=daily, **others
    )


def settings_with_journal(**given: Any) -> Settings:
    """As `settings_from`, where a journal must be there already: none is made by looking.

    Raises:
        JournalError: There is none.
    """
    settings = settings_from(**given)
    path = journal_path(settings)
    if path is not None and not path.exists():
        raise JournalError(
            f"There is no journal at {path}.",
            "The first batchrun run makes it; another one is named with --journal or "
            "BATCHRUN_JOURNAL.",
        )
    return settings


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
    return None if "://" in settings.journal else Path(settings.journal).expanduser()


def _rate(text: str | None) -> object:
    from batchrun.settings import read_rate

    try:
        return read_rate(text)
    except ValueError:
        raise UsageError(
            f"--rate {text} is not a number of requests a minute.",
            "Write it as --rate 120, --rate 120/min or --rate unlimited.",
        ) from None
