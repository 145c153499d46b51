"""batchrun for async programs. `batchrun.run` and so on do the same without ``await``.

Only the functions that call the service are here. Those that read the journal
(`batchrun.batches`, `status`, `results`, `export`, `forget`) do not wait for a network. If one
takes too long for an event loop, use `asyncio.to_thread`.

Cancelling the task stops at once: triggers that are being sent are then in doubt, and `resume`
continues with the rest. `Control.stop` stops gently.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from batchrun.advice import Action, Advice
from batchrun.arguments import checked_arguments
from batchrun.batch import pipeline
from batchrun.batch.cluster import connected
from batchrun.batch.control import Control
from batchrun.batch.request import Request, load_request
from batchrun.batch.rerun import Rerun
from batchrun.engine.session import open_session
from batchrun.errors import InputError, NotConfirmedError, UsageError, missing_file
from batchrun.model import RETRIED_BY_ITSELF
from batchrun.notebook import TableList
from batchrun.options import ReadingKeywords
from batchrun.service.client import choose_workflow
from batchrun.settings.loading import load_settings
from batchrun.workbook import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta

    import pandas as pd
    from distributed import Client as Dask

    from batchrun.batch.report import Report
    from batchrun.engine.progress import Progress
    from batchrun.engine.session import Rest
    from batchrun.model import BatchSummary, Decide, Outcome, Workflow
    from batchrun.plan import Plan
    from batchrun.settings.model import Settings
    from batchrun.tables.roles import Ask

__all__ = ["Reading", "check", "resume", "retry", "run", "run_marked", "work", "workflows"]


class Reading(ReadingKeywords, total=False):
    """How a list is read and what of it is sent: more keywords of `check` and `run`.

    `batchrun.Request` describes each.
    """

    ask: Ask | None
    reuse: timedelta | None


@checked_arguments()
async def workflows(*, settings: Settings | None = None) -> list[Workflow]:
    """The workflows that the key can see.

    Args:
        settings: Key, address and so on; ``None`` to read them from the environment.

    Raises:
        BatchrunError: The key or the service can't be used.
    """
    async with open_session(settings or load_settings(), few_requests=True) as session:
        return TableList(
            await session.workflows(),
            {"Workflow": lambda each: each.name, "ID": lambda each: each.id},
        )


@checked_arguments(Reading.__annotations__)
async def check(
    source: Request | Path | str | pd.DataFrame,
    workflow: str | None = None,
    *,
    with_credits: bool = False,
    settings: Settings | None = None,
    **reading: Unpack[Reading],
) -> Plan:
    """What `run` would do and cost. Nothing is triggered.

    Args:
        source: Path of a list (a file, or a folder of files), a DataFrame, or a whole `Request`.
        workflow: ID or name of the workflow; not needed if a `Request` names it.
        with_credits: Also ask for the credits left, which takes one more request.
        settings: Key, address and so on; ``None`` to read them from the environment.
        reading: As in `run`.

    Raises:
        BatchrunError: The list, the workflow, the key or the service can't be used.
    """
    request = _request(source, workflow, reading)
    settings = settings or load_settings()
    loaded = load_request(request, settings)
    async with open_session(settings, few_requests=True) as session:
        chosen = choose_workflow(await session.workflows(), request.workflow)
        plan = loaded.plan(chosen, session.rates(chosen.id))
        newest = session.journal.find(plan.fingerprint(), session.settings.base_url)
        plan = replace(session.with_known_results(plan, request.reuse, newest), earlier=newest)
        return replace(plan, credits=await session.credits()) if with_credits else plan


@checked_arguments(Reading.__annotations__)
async def run(
    source: Request | Path | str | pd.DataFrame,
    workflow: str | None = None,
    *,
    output: Path | str | None = None,
    limit: int | None = None,
    again: bool = False,
    form: Form | None = None,
    confirm: Callable[[Plan, BatchSummary | None], bool] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    with_credits: bool = False,
    workers: int | Dask | None = None,
    detach: bool = False,
    settings: Settings | None = None,
    **reading: Unpack[Reading],
) -> Report:
    """Run a workflow for each row of a list and write the workbook.

    It does not ask before spending unless you give ``confirm``. Look at `check` first.

    Args:
        source: Path of a list (a file, or a folder of files), a DataFrame, or a whole `Request`.
        workflow: ID or name of the workflow; not needed if a `Request` names it.
        output: Where the results go (.xlsx, .csv, .jsonl, .parquet); ``None`` for
            ``NAME.results.xlsx`` beside the list, or for no file if the list is a DataFrame.
        limit: Trigger at most this many jobs now; `resume` does the rest.
        again: Run everything again even if the same batch has finished (you pay again).
        form: How and how often the results are written; `resume` and `retry` remember it.
        confirm: Called before anything is spent, with the plan and the unfinished batch of the same
            list that would continue, if there is one. Return whether to go ahead.
        on_progress: Called after each step, in the thread that runs the batch.
        control: Stops the batch early, from another thread or a callback.
        with_credits: A person answers ``confirm``: also ask for the credits left, before
            ``confirm`` and after the jobs of ``limit``. Each takes one more request.
        workers: How many processes on this machine work on it, or a ``distributed.Client`` of a
            Dask cluster whose workers help; ``None`` for the setting. With ``limit``, this process
            works alone.
        detach: Return at once and leave the batch to the workers; `watch` shows its state.
        settings: Key, address and so on; ``None`` to read them from the environment.
        reading: How the list is read and what of it is sent, such as ``sheet`` or ``parameters``:
            the options of a `Request`.

    Raises:
        BatchrunError: Something can't be used. What was triggered is in the journal.
        NotConfirmedError: ``confirm`` returned false. Nothing was triggered.
    """
    request = _request(source, workflow, reading)
    if isinstance(request.source, (str, Path)) and Rerun.holds_results(request.source):
        raise UsageError(  # every row would be paid for again
            f"{Path(request.source).name} holds results of batchrun.",
            "Send its marked rows again with batchrun.run_marked, or run the list itself.",
        )
    settings = _for_workers(settings, workers, limit, detach=detach)
    options = _options(output, form, control, limit=limit, on_progress=on_progress, detach=detach)
    async with connected(settings) as cluster:
        return await pipeline.run(
            request,
            settings,
            replace(options, cluster=cluster),
            again=again,
            confirm=confirm,
            with_credits=with_credits,
        )


@checked_arguments()
async def resume(
    batch_id: str | None = None,
    *,
    output: Path | str | None = None,
    limit: int | None = None,
    only: Collection[int] | None = None,
    in_doubt: Literal["hold", "retry", "drop"] | Decide = "hold",
    form: Form | None = None,
    confirm: Callable[[Rest], bool] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    workers: int | Dask | None = None,
    detach: bool = False,
    trusted: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Continue a batch where it stopped.

    It does not ask before it sends jobs that nobody has confirmed, such as those after a pilot,
    unless you give ``confirm``.

    Args:
        batch_id: Which batch (the beginning of its ID is enough); ``None`` for the newest.
        output: Where the results go; ``None`` for where they went before.
        limit: Trigger at most this many jobs now.
        only: Trigger only the jobs with these numbers; ``None`` for all that are left.
        in_doubt: What to do with triggers that may or may not have been accepted: leave them,
            send them again (and perhaps pay twice), or never send them; or a function that gets
            their rows and decides.
        form: How the results are written; what it leaves open stays as it was.
        confirm: Called with what is left, if nobody has confirmed it. Return whether to go ahead.
        on_progress: Called after each step, in the thread that runs the batch.
        control: Stops the batch early, from another thread or a callback.
        workers: As in `run`; with ``only``, too, this process works alone.
        detach: As in `run`.
        trusted: Also continue a batch that was started with a key, or writes to a place, that this
            machine has not used before. Set it only if you know where the journal comes from.
        settings: Key and so on. Unless given, the address is the batch's own.

    Raises:
        BatchrunError: As in `run`.
        NotConfirmedError: ``confirm`` returned false. Nothing was triggered.
    """
    settings = _for_workers(settings, workers, limit, detach=detach)
    options = _options(
        output,
        form,
        control,
        limit=limit,
        on_progress=on_progress,
        decide=in_doubt,
        only=only,
        trusted=trusted,
        detach=detach,
    )
    async with connected(settings) as cluster:
        options = replace(options, cluster=cluster)
        return await pipeline.resume(batch_id, settings, options, confirm)


@checked_arguments()
async def work(
    batch_id: str | None = None,
    *,
    until_done: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    settings: Settings | None = None,
) -> list[BatchSummary]:
    """Work on batches that other processes started in the same journal.

    Others can join a batch that runs without ``limit``, if its journal is on a server or it was
    started with several workers. A worker needs the key that the batch was started with. If the
    process that started a batch is gone, a worker finishes it and writes its workbook.

    Args:
        batch_id: Which batch; ``None`` for all open ones.
        until_done: Return when no batch is open; otherwise wait for more until stopped.
        on_progress: Called after each step, in the thread that runs the batch.
        control: Stops this worker from another thread or a callback.
        settings: Key, journal and so on; ``None`` reads them from the environment.

    Returns:
        The batches it worked on, as they are now.

    Raises:
        BatchrunError: The journal, the key or the service can't be used.
    """
    return await pipeline.work(
        batch_id, settings, until_done=until_done, on_progress=on_progress, control=control
    )


@checked_arguments()
async def retry(
    batch_id: str | None = None,
    *,
    outcomes: Collection[Outcome] = RETRIED_BY_ITSELF,
    output: Path | str | None = None,
    in_doubt: Literal["hold", "retry", "drop"] | Decide = "hold",
    form: Form | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    trusted: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Send jobs again that ended without a result, and pay for them again.

    The journal keeps their earlier outcome. Jobs that were never sent wait for `resume`.

    Args:
        batch_id: Which batch; ``None`` for the newest.
        outcomes: The outcomes to send again.
        output: Where the results go; ``None`` for where they went before.
        in_doubt: As in `resume`, for rows in doubt that are not among ``outcomes``.
        form: As in `resume`.
        on_progress: Called after each step, in the thread that runs the batch.
        control: Stops the batch early, from another thread or a callback.
        trusted: As in `resume`.
        settings: As in `resume`.

    Raises:
        BatchrunError: As in `run`; or an outcome can't be retried.
    """
    options = _options(
        output,
        form,
        control,
        on_progress=on_progress,
        decide=in_doubt,
        retry=outcomes,
        trusted=trusted,
    )
    return await pipeline.resume(batch_id, settings, options)


@checked_arguments()
async def run_marked(
    workbook: Path | str | Rerun,
    *,
    output: Path | str | None = None,
    limit: int | None = None,
    in_doubt: Literal["hold", "retry", "drop"] | Decide = "hold",
    form: Form | None = None,
    confirm: Callable[[Rerun], bool] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    control: Control | None = None,
    trusted: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Send the rows again that are marked in a results workbook, and pay for them again.

    All other rows stay as they are; jobs that were never sent wait for `resume`. A mark counts
    once: rows that were sent again after the workbook was written are left out.

    Args:
        workbook: A results workbook with marks in its column "run again", or what `Rerun.read`
            returned for one.
        output: Where the new workbook goes; ``None`` for beside this one.
        limit: Trigger at most this many jobs now; `resume` does the rest.
        in_doubt: As in `retry`.
        form: As in `resume`.
        confirm: Called with the marked rows before anything is spent. Return whether to go ahead.
        on_progress: Called after each step, in the thread that runs the batch.
        control: Stops the batch early, from another thread or a callback.
        trusted: As in `resume`.
        settings: As in `resume`.

    Raises:
        BatchrunError: As in `run`; or no row is marked, or a row can't be matched with its job.
        NotConfirmedError: ``confirm`` returned false. Nothing was triggered.
    """
    marked = workbook if isinstance(workbook, Rerun) else _marked(Path(workbook), settings)
    if not marked.jobs:
        raise UsageError(
            f"All marked rows of {marked.workbook.name} were sent since it was written, "
            "or wait to be.",
            Advice(
                "", f"To see their state: batchrun status {marked.summary.batch_id}", Action.WATCH
            ),
        )
    if confirm is not None and not confirm(marked):
        raise NotConfirmedError("The run was not confirmed.", "Nothing was triggered.")
    options = _options(
        output or marked.output,
        form,
        control,
        limit=limit,
        on_progress=on_progress,
        decide=in_doubt,
        again=marked.jobs,
        trusted=trusted,
    )
    return await pipeline.resume(marked.summary.batch_id, settings, options)


def _marked(path: Path, settings: Settings | None) -> Rerun:
    """The rows that are marked in a workbook that batchrun wrote."""
    if not path.exists():
        raise missing_file(path)
    marked = Rerun.read(path, settings=settings)
    if marked is None:
        raise InputError(
            f"{path.name} is no workbook that batchrun has written.", "Run it as a list instead."
        )
    return marked


def _request(
    source: Request | Path | str | pd.DataFrame, workflow: str | None, reading: Reading
) -> Request:
    if isinstance(source, Request):
        return replace(source, workflow=workflow or source.workflow, **reading)
    if workflow is None:
        raise UsageError(
            "No workflow given.",
            'Name one, such as "Account Research". To list them: batchrun.workflows()',
        )
    return Request(source, workflow, **reading)


def _for_workers(
    settings: Settings | None, workers: int | Dask | None, limit: int | None, *, detach: bool
) -> Settings:
    """Return the settings with the workers; other processes can't run only a part of a batch."""
    if detach and limit is not None:
        raise UsageError(
            "The options --detach and --limit can't be combined: only the process that was asked "
            "for a part of the batch may trigger it.",
            "Leave one out.",
        )
    settings = settings or load_settings()
    if workers is None:
        return settings
    name = "workers" if isinstance(workers, int) else "dask"
    return settings.model_copy(update={name: workers})


def _options(
    output: Path | str | None, form: Form | None, control: Control | None, **others: Any
) -> pipeline.RunOptions:
    return pipeline.RunOptions(
        output=None if output is None else Path(output).absolute(),  # also from another folder
        form=form or Form(),
        control=control or Control(),
        **others,
    )
