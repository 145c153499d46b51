"""Going on with all that is left, for a line in a scheduler that nobody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from batchrun.cli.spelling import in_options
from batchrun.cli.telling import tell
from batchrun.errors import BatchrunError, ExitCode, HeldError, StoppedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchrun.model import BatchSummary
    from batchrun.settings import Settings

_BY_WEIGHT = (
    ExitCode.COMPLETED,
    ExitCode.INCOMPLETE,
    ExitCode.PAUSED,
    ExitCode.UNUSABLE,
    ExitCode.KEY_REFUSED,
    ExitCode.UNEXPECTED,
)
"""Of several batches the heaviest counts: what needs a person comes after what needs time."""


def resume_all(
    settings: Settings,
    for_one: Mapping[str, object],
    go_on_with: Callable[[BatchSummary], None],
    *,
    to_stderr: bool,
) -> None:
    """Go on with each batch of which something is left, and end the command as the worst ended.

    What pauses one batch (the quota, Ctrl-C, a service out of reach) pauses those behind it too.
    A batch that another process works on is left to it.

    Args:
        settings: Where the journal is.
        for_one: Options that are for a single batch, by their names; none may be given.
        go_on_with: Goes on with one batch, with what is configured for its list, and ends as
            that command does.
        to_stderr: Whether words go to standard error.

    Raises:
        UsageError: One of those options was given.
    """
    from batchrun import batches
    from batchrun.settings.location import shown

    useless = [name for name, value in for_one.items() if value is not None]
    if useless:
        raise UsageError(
            f"--all goes on with every batch, and {', '.join(useless)} is for one.", "Leave it out."
        )
    left = batches(unfinished=True, settings=settings)[::-1]  # who waits longest comes first
    if not left:
        tell(f"Nothing left to do in the journal {shown(settings.journal)}.", err=to_stderr)
    codes = [ExitCode.COMPLETED]
    for number, summary in enumerate(left, start=1):
        code, goes_on = _resume_one(summary, go_on_with)
        codes.append(code)
        if not goes_on:
            if number < len(left):
                waiting = ", ".join(one.batch_id for one in left[number:])
                tell(f"Not gone on with now: {waiting}", err=True)
            break
    raise typer.Exit(max(codes, key=_BY_WEIGHT.index))


def _resume_one(
    summary: BatchSummary, go_on_with: Callable[[BatchSummary], None]
) -> tuple[ExitCode, bool]:
    """How a batch ended, and whether there is a point in going on with the next."""
    try:
        go_on_with(summary)
    except typer.Exit as ended:
        code = ExitCode(ended.exit_code)
        return code, code is not ExitCode.PAUSED
    except StoppedError as error:
        tell(str(error), err=True)
        return ExitCode.PAUSED, False
    except HeldError as error:
        tell(f"Left out: {in_options(error)}", err=True)
        return ExitCode.PAUSED, True
    except BatchrunError as error:
        tell(f"Error: batch {summary.batch_id}: {in_options(error)}", err=True)
        return error.exit_code, error.exit_code is not ExitCode.PAUSED
    return ExitCode.COMPLETED, True
