"""Questions that protect the key and the money where files may come from a stranger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.cli.output import print_text
from batchrun.cli.prompts import confirm
from batchrun.errors import NotConfirmedError, UsageError
from batchrun.text import quoted_command

if TYPE_CHECKING:
    from batchrun.model import BatchSummary
    from batchrun.settings import Settings


def confirm_address(settings: Settings) -> None:
    """Ask once before a key goes to an address that is not the service's.

    Without a terminal, the address must be named by an option or the environment.

    Raises:
        UsageError: Nobody can be asked, or the address can't be used.
        NotConfirmedError: The answer was no.
    """
    from batchrun.settings import address_of, profile_of, service_of
    from batchrun.settings.consent import (
        Consent,
        agree,
        needs_consent,
        punycode,
        require_consent,
    )
    from batchrun.settings.location import checked_base_url

    address = checked_base_url(address_of(settings))
    stored = profile_of(settings)
    if stored is not None and service_of(stored.base_url) == address:
        return  # agreed to at login
    if not needs_consent(address):
        return
    if not sys.stdin.isatty():
        require_consent(settings, address)
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


def confirm_batch(settings: Settings, batch: BatchSummary, output: Path | None = None) -> None:
    """Before a batch goes on: ask where its journal may be a stranger's.

    Its address, a key this machine has never used, and an output in another folder each need an
    answer once. Where another key pays than the one it was begun with, that is said every time.

    Args:
        settings: As they were loaded.
        batch: Which batch.
        output: Where the user wants the results; ``None`` for where the journal says.

    Raises:
        UsageError: There is no key to use, or nobody can be asked.
        NotConfirmedError: The answer was no.
    """
    from batchrun.settings import for_batch

    at_address = for_batch(settings, batch)
    confirm_address(at_address)
    _confirm_key(at_address, batch)
    if output is None:
        _confirm_output(batch)


def _confirm_key(settings: Settings, batch: BatchSummary) -> None:
    from batchrun import status
    from batchrun.settings import other_key
    from batchrun.settings.consent import Consent, agree, has_agreed

    now = status(batch.batch_id, settings=settings)
    if other := other_key(settings, batch):
        print_text(
            f"Note:      batch {batch.batch_id} was begun with profile {batch.profile}, whose key "
            f"is erased: {other} pays from now on",
            err=True,
        )
    elif other := now.unlike_its_key(settings):
        print_text(
            f"Note:      batch {batch.batch_id} was begun with another key: {other} pays from now "
            "on; a key of another workspace can't see the executions that run already",
            err=True,
        )
    elif now.key_hash:
        return  # it is the key in use
    begun_with = now.key_hash or f"of batch {batch.batch_id}"
    if has_agreed(Consent.KEY, begun_with):
        return
    _ask(
        f"Batch {batch.batch_id} was begun with a key that this machine has never used.",
        f"Pay for its {batch.workflow.name} with your key?",
        batch,
    )
    agree(Consent.KEY, begun_with)


def _confirm_output(batch: BatchSummary) -> None:
    from batchrun.settings.consent import Consent, agree, has_agreed

    if batch.output is None or has_agreed(Consent.OUTPUT, batch.output):
        return
    output = Path(batch.output).absolute()
    folder = output.parent.resolve()
    if folder.is_relative_to(Path.cwd().resolve()):
        return
    if batch.source.path is not None and not output.exists():
        beside = Path(batch.source.path).absolute().parent.resolve()
        if folder.is_relative_to(beside):
            return
    _ask(
        f"The journal says that the results of batch {batch.batch_id} go to {output}, "
        "which this machine has never written.",
        "Write them there?",
        batch,
        "or choose a place with -o",
    )
    agree(Consent.OUTPUT, batch.output)


def _ask(what: str, question: str, batch: BatchSummary, other: str = "") -> None:
    """Ask on a terminal.

    Raises:
        UsageError: There is none.
        NotConfirmedError: The answer was no.
    """
    if not sys.stdin.isatty():
        resume = quoted_command("batchrun", "resume", batch.batch_id)
        raise UsageError(
            f"{what} Nothing was triggered.",
            f"If that is right, resume it once at a terminal{f' ({other})' if other else ''}: "
            f"{resume}",
        )
    print_text(what, err=True)
    if not confirm(question):
        raise NotConfirmedError("Nothing was triggered.")
