"""Questions that protect the key and the money where files may come from a stranger."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from batchrun.cli.output import print_text
from batchrun.cli.prompts import confirm
from batchrun.errors import NotConfirmedError

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.batch.history import BatchStatus
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
    from batchrun.settings.consent import Consent, agree, needs_consent, punycode, require_consent
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
    answer once. If another key pays than the first one, a note says so every time.

    Args:
        settings: As they were loaded.
        batch: Which batch.
        output: Where the user wants the results; ``None`` for where the journal says.

    Raises:
        UsageError: There is no key to use, or nobody can be asked.
        NotConfirmedError: The answer was no.
    """
    from batchrun import status
    from batchrun.batch.recover import consent_refused
    from batchrun.settings import for_batch
    from batchrun.settings.consent import agree

    at_address = for_batch(settings, batch)
    confirm_address(at_address)
    now = status(batch.batch_id, settings=settings)
    if note := _other_payer(at_address, batch, now):
        print_text(f"Note:      {note}", err=True)
    for request in now.needed_consents(at_address, output):
        if not sys.stdin.isatty():
            raise consent_refused(request, batch.batch_id)
        print_text(request.what, err=True)
        if not confirm(request.question):
            raise NotConfirmedError("Nothing was triggered.")
        agree(request.kind, request.value)


def _other_payer(settings: Settings, batch: BatchSummary, now: BatchStatus) -> str:
    """The key that pays from now on, if it is another one; ``""`` for the same."""
    from batchrun.settings import other_key

    if other := other_key(settings, batch):
        return (
            f"batch {batch.batch_id} was begun with profile {batch.profile}, whose key is erased: "
            f"{other} pays from now on"
        )
    if other := now.unlike_its_key(settings):
        return (
            f"batch {batch.batch_id} was begun with another key: {other} pays from now on; a key "
            "of another workspace can't see the executions that run already"
        )
    return ""
