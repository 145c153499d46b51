"""batchrun for programs: what the command line does, as plain functions.

Each is a thin door to its async namesake in `batchrun.batch`; call that one from async code.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batchrun import batch
from batchrun.batch import Report, export, results
from batchrun.journal import Journal
from batchrun.model import InDoubt
from batchrun.request import Request
from batchrun.settings import load_settings
from batchrun.takeover import RETRIED_BY_ITSELF

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pandas as pd

    from batchrun.control import Control
    from batchrun.engine import Progress
    from batchrun.model import JSON, Outcome, Workflow
    from batchrun.plan import Plan
    from batchrun.settings import Settings

__all__ = ["check", "export", "forget", "results", "resume", "retry", "run", "workflows"]


def workflows(settings: Settings | None = None) -> list[Workflow]:
    """The workflows the key may see.

    Args:
        settings: Key, address and so on; ``None`` reads them from the environment.

    Raises:
        BatchrunError: The key or the service can't be used.
    """
    return asyncio.run(batch.list_workflows(settings))


def check(
    source: Path | str | pd.DataFrame,
    workflow: str,
    *,
    sheet: str | None = None,
    company_column: str | None = None,
    contact_column: str | None = None,
    parameters: Mapping[str, JSON] | None = None,
    parameter_columns: Mapping[str, str] | None = None,
    header_row: int | None = None,
    visible_only: bool = False,
    lenient_ids: bool = False,
    settings: Settings | None = None,
) -> Plan:
    """What `run` would do and cost; nothing is triggered.

    Args:
        source: Path of a list (a workbook or CSV), or a DataFrame.
        workflow: Id or name of the workflow.
        sheet: Sheet of a workbook; ``None`` for the first.
        company_column: Name of the company id column; ``None`` to recognise it.
        contact_column: Name of the contact id column; ``None`` to recognise it.
        parameters: Sent with every row.
        parameter_columns: Parameter name → name of the column its value comes from.
        header_row: Line of the column names; ``None`` to find it.
        visible_only: Leave out rows that are hidden or filtered out.
        lenient_ids: Send what merely looks like a UUID.
        settings: Key, address and so on; ``None`` reads them from the environment.

    Raises:
        BatchrunError: The list, the workflow, the key or the service can't be used.
    """
    request = Request(
        source,
        workflow,
        sheet,
        company_column,
        contact_column,
        parameters or {},
        parameter_columns or {},
        header_row,
        visible_only,
        lenient_ids,
    )
    return asyncio.run(batch.check(request, settings))


def run(
    source: Path | str | pd.DataFrame,
    workflow: str,
    *,
    sheet: str | None = None,
    company_column: str | None = None,
    contact_column: str | None = None,
    parameters: Mapping[str, JSON] | None = None,
    parameter_columns: Mapping[str, str] | None = None,
    header_row: int | None = None,
    visible_only: bool = False,
    lenient_ids: bool = False,
    output: Path | str | None = None,
    limit: int | None = None,
    again: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    settings: Settings | None = None,
) -> Report:
    """Run a workflow for each row of a list and write the workbook.

    Spends without asking; look at `check` first.

    Args:
        source: Path of a list (a workbook or CSV), or a DataFrame.
        workflow: Id or name of the workflow.
        sheet: Sheet of a workbook; ``None`` for the first.
        company_column: Name of the company id column; ``None`` to recognise it.
        contact_column: Name of the contact id column; ``None`` to recognise it.
        parameters: Sent with every row.
        parameter_columns: Parameter name → name of the column its value comes from.
        header_row: Line of the column names; ``None`` to find it.
        visible_only: Leave out rows that are hidden or filtered out.
        lenient_ids: Send what merely looks like a UUID.
        output: Where the results go (.xlsx, .csv, .jsonl); ``None`` for ``NAME.results.xlsx``
            beside the list, or for no file when the list is a DataFrame.
        limit: Trigger at most so many jobs now.
        again: Trigger everything anew although the same batch has finished before.
        on_progress: Told of each step.
        control: Stops it early, from another thread or a callback.
        settings: Key, address and so on; ``None`` reads them from the environment.

    Raises:
        BatchrunError: Something can't be used; what was triggered is in the journal.
    """
    request = Request(
        source,
        workflow,
        sheet,
        company_column,
        contact_column,
        parameters or {},
        parameter_columns or {},
        header_row,
        visible_only,
        lenient_ids,
    )
    report = asyncio.run(
        batch.run(
            request,
            settings,
            output=None if output is None else Path(output),
            limit=limit,
            again=again,
            on_progress=on_progress or batch.ignore_progress,
            control=control,
        )
    )
    assert report is not None  # only a `confirm` that says no gives None
    return report


def resume(
    batch_id: str | None = None,
    *,
    output: Path | str | None = None,
    limit: int | None = None,
    in_doubt: Literal["hold", "retry", "drop"] = "hold",
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    settings: Settings | None = None,
) -> Report:
    """Go on with a batch where it stopped.

    Args:
        batch_id: Which batch (the beginning of its id is enough); ``None`` for the newest.
        output: Where the results go; ``None`` for where they went before.
        limit: Trigger at most so many jobs now.
        in_doubt: What to do with triggers that may or may not have been accepted: leave them,
            send them again (and perhaps pay twice), or never send them.
        on_progress: Told of each step.
        control: Stops it early, from another thread or a callback.
        settings: Key, address and so on; ``None`` reads them from the environment.

    Raises:
        BatchrunError: As in `run`.
    """
    return asyncio.run(
        batch.resume(
            batch_id,
            settings,
            output=None if output is None else Path(output),
            limit=limit,
            on_progress=on_progress or batch.ignore_progress,
            control=control,
            decide=lambda _: InDoubt(in_doubt),
        )
    )


def retry(
    batch_id: str | None = None,
    *,
    outcomes: Collection[Outcome] = RETRIED_BY_ITSELF,
    output: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    settings: Settings | None = None,
) -> Report:
    """Send jobs of a batch again that ended without a result, and pay for them again.

    What had become of them is kept in the journal.

    Args:
        batch_id: Which batch; ``None`` for the newest.
        outcomes: The outcomes to send again.
        output: Where the results go; ``None`` for where they went before.
        on_progress: Told of each step.
        control: Stops it early, from another thread or a callback.
        settings: Key, address and so on; ``None`` reads them from the environment.

    Raises:
        BatchrunError: As in `run`; an outcome that can't be retried.
    """
    return asyncio.run(
        batch.resume(
            batch_id,
            settings,
            output=None if output is None else Path(output),
            retry=outcomes,
            on_progress=on_progress or batch.ignore_progress,
            control=control,
        )
    )


def forget(batch_id: str, *, settings: Settings | None = None) -> None:
    """Erase a batch from the journal: its rows, results and all that was noted of it.

    Workbooks that were written stay. A later `run` of the same list knows nothing of it, and
    triggers everything again.

    Args:
        batch_id: Which batch (the beginning of its id is enough).
        settings: As in `run`.

    Raises:
        JournalError: There is no such batch, or another process works on it.
    """
    with Journal((settings or load_settings()).journal) as journal:
        journal.forget(journal.resolve(batch_id).batch_id)
