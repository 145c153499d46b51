"""Run a PG:AI workflow for every row of a spreadsheet and hand back a finished Excel workbook.

The public names below are loaded when they are first used, so `import batchrun` stays light.
"""

from batchrun import _search_path  # noqa: F401 - before anything else is imported

# isort: split

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrun import aio
    from batchrun.batch.control import Control, stop
    from batchrun.batch.history import (
        BatchStatus,
        RowPage,
        batches,
        export,
        forget,
        results,
        rows,
        status,
        unknown_columns,
        watch,
    )
    from batchrun.batch.report import Report
    from batchrun.batch.request import Preview, Request, preview
    from batchrun.batch.rerun import Rerun
    from batchrun.engine.engine import Ending
    from batchrun.engine.progress import Progress
    from batchrun.errors import BatchrunError
    from batchrun.estimate import Estimate
    from batchrun.model import BatchSummary, InDoubt, Outcome
    from batchrun.plan import Plan
    from batchrun.service.answers import Credits
    from batchrun.service.client import Client
    from batchrun.settings.loading import load_settings
    from batchrun.settings.model import Settings
    from batchrun.sync import check, resume, retry, run, run_marked, work, workflows
    from batchrun.tables.roles import ColumnQuestion
    from batchrun.workbook import Crm, Form, UnknownColumn

__version__ = "0.1.0"

__all__ = [
    "BatchStatus",
    "BatchSummary",
    "BatchrunError",
    "Client",
    "ColumnQuestion",
    "Control",
    "Credits",
    "Crm",
    "Ending",
    "Estimate",
    "Form",
    "InDoubt",
    "Outcome",
    "Plan",
    "Preview",
    "Progress",
    "Report",
    "Request",
    "Rerun",
    "RowPage",
    "Settings",
    "UnknownColumn",
    "aio",
    "batches",
    "check",
    "export",
    "forget",
    "load_settings",
    "preview",
    "results",
    "resume",
    "retry",
    "rows",
    "run",
    "run_marked",
    "status",
    "stop",
    "unknown_columns",
    "watch",
    "work",
    "workflows",
]

logging.getLogger("batchrun").addHandler(logging.NullHandler())

_HOMES = {
    "batch.control": "Control stop",
    "batch.history": "BatchStatus RowPage batches export forget results rows status "
    "unknown_columns watch",
    "batch.report": "Report",
    "batch.request": "Preview Request preview",
    "batch.rerun": "Rerun",
    "engine.engine": "Ending",
    "engine.progress": "Progress",
    "errors": "BatchrunError",
    "estimate": "Estimate",
    "model": "BatchSummary InDoubt Outcome",
    "plan": "Plan",
    "service.answers": "Credits",
    "service.client": "Client",
    "settings.loading": "load_settings",
    "settings.model": "Settings",
    "sync": "check resume retry run run_marked work workflows",
    "tables.roles": "ColumnQuestion",
    "workbook": "Crm Form UnknownColumn",
}
"""The public names, by module."""


def __getattr__(name: str) -> object:
    if name == "aio":
        return import_module("batchrun.aio")
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(f"batchrun.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
