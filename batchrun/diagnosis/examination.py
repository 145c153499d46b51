"""All that is looked at, in the order it is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from batchrun.diagnosis.finding import Finding, Verdict
from batchrun.diagnosis.journal import examine_journal
from batchrun.diagnosis.machine import (
    examine_configuration,
    examine_proxies,
    examine_terminal,
    examine_versions,
)
from batchrun.diagnosis.service import examine_service
from batchrun.errors import BatchrunError
from batchrun.settings import find_configuration, load_settings

if TYPE_CHECKING:
    from batchrun.diagnosis.machine import Terminal


async def examine(terminal: Terminal, **overrides: object) -> list[Finding]:
    """Look at everything; one request is sent, nothing is triggered or changed.

    Args:
        terminal: Where output goes.
        overrides: Settings that options gave.
    """
    found = [
        *examine_versions(),
        examine_terminal(terminal),
        examine_proxies(os.environ),
    ]
    try:
        files = find_configuration()
        found.append(examine_configuration(files))
        settings = load_settings(files, **overrides)
    except BatchrunError as error:
        return [*found, Finding("Settings", Verdict.FAULT, error.marked_what, error.marked_hint)]
    return [*found, examine_journal(settings.journal), *await examine_service(settings)]
