"""`batchrun` alone: what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.cli.spelling import spelled
from batchrun.cli.telling import tell_all
from batchrun.errors import BatchrunError

if TYPE_CHECKING:
    from batchrun.model import BatchSummary
    from batchrun.settings import Settings


COMMANDS = len('batchrun check FILE -w "WORKFLOW" ')
"""Columns of the commands, before what each does."""


def welcome() -> None:
    """Say what to do next, by what is there already."""
    from batchrun.access import address_of, given_key, profile_of, stored_profiles
    from batchrun.cli.options import settings_from

    settings = settings_from()
    stored = profile_of(settings)
    lines = ["batchrun runs a PG:AI workflow for every row of a list and writes a workbook.", ""]
    if stored is None and not given_key(settings):
        others = ", ".join(stored_profiles().all())
        lines += [
            f"Keys are kept under: {others}. Name one with --profile or BATCHRUN_PROFILE."
            if others
            else "There is no key yet.",
            "  batchrun demo     run an invented list on this machine: no key, no cost",
            "  batchrun login    keep your key",
        ]
    else:
        whose = "PGAI_API_KEY" if stored is None else f"profile {stored.name}"
        lines += [f"Key: {whose}, for {address_of(settings)}", *_unfinished(settings)]
        lines += [
            '  batchrun check FILE -w "WORKFLOW"   what a run would do and cost',
            '  batchrun run FILE -w "WORKFLOW"     run it; asks first',
            "  batchrun workflows                  which workflows there are",
        ]
    tell_all([*lines, "", "Everything else: batchrun --help"])


def _unfinished(settings: Settings) -> list[str]:
    """The newest batch that has something left to do, and how to go on with it."""
    try:
        found = newest_unfinished(settings)
    except BatchrunError as error:
        return [f"The journal can't be read: {spelled(error.marked_what)} See: batchrun doctor"]
    if found is None:
        return []
    command = f"batchrun resume {found.batch_id}"
    if len(command) <= COMMANDS:
        return [f"  {command:{COMMANDS}}  go on with {found.source.name}"]
    return [f"  {command}", f"  {'':{COMMANDS}}  go on with {found.source.name}"]


def newest_unfinished(settings: Settings) -> BatchSummary | None:
    """The newest batch that is not finished; no journal is made by looking."""
    from batchrun.cli.options import journal_path

    path = journal_path(settings)
    if path is not None and not path.exists():
        return None
    from batchrun import batches

    return next((one for one in batches(settings=settings) if one.unfinished), None)
