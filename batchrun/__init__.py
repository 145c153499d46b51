"""Run a PG:AI workflow for every row of a spreadsheet and hand back a finished Excel workbook.

The public names below are loaded when they are first used, so `import batchrun` stays light.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun.api import check, export, forget, results, resume, retry, run, workflows
    from batchrun.batch import Report
    from batchrun.control import Control
    from batchrun.errors import BatchrunError
    from batchrun.model import Outcome
    from batchrun.service import Client
    from batchrun.settings import Settings, load_settings

__version__ = "0.1.0"

__all__ = [
    "BatchrunError",
    "Client",
    "Control",
    "Outcome",
    "Report",
    "Settings",
    "check",
    "export",
    "forget",
    "load_settings",
    "results",
    "resume",
    "retry",
    "run",
    "workflows",
]

logging.getLogger("batchrun").addHandler(logging.NullHandler())

_HOMES = {
    "batchrun.api": (
        *("check", "export", "forget", "results"),
        *("resume", "retry", "run", "workflows"),
    ),
    "batchrun.batch": ("Report",),
    "batchrun.control": ("Control",),
    "batchrun.errors": ("BatchrunError",),
    "batchrun.model": ("Outcome",),
    "batchrun.service": ("Client",),
    "batchrun.settings": ("Settings", "load_settings"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
