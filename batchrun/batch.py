"""A batch from end to end: load → plan → trigger → poll → write.

The only module that knows all stages. Each stage reads what the stage before put into the
journal, so `resume` is `run` with less left to do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun import tables, workbook
from batchrun.engine import Clock, Ending, Engine, Limits, Progress, Quota, TimedForecast
from batchrun.errors import BatchrunError, ExitCode, UsageError
from batchrun.journal import Journal, hold_batch
from batchrun.model import JSON, BatchSummary, Outcome, Role, Table, TableSource, Workflow
from batchrun.plan import EstimateRates, Parameters, Plan, make_plan
from batchrun.service import Client, choose_workflow
from batchrun.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd


@dataclass(frozen=True, slots=True)
class Request:
    """What the user wants done.

    Attributes:
        source: The list: path of a file, or a DataFrame.
        workflow: Id or name of the workflow.
        sheet: Sheet of a workbook; ``None`` for the first.
        company_column: Name of the company id column; ``None`` to recognise it.
        contact_column: Name of the contact id column; ``None`` to recognise it.
        parameters: Sent with every row.
        parameter_columns: Parameter name → name of the column its value comes from.
        header_row: Line of the column names; ``None`` to find it.
        visible_only: Leave out rows that are hidden or filtered out.
        lenient_ids: Send what merely looks like a UUID.
        mapping: File with the choices made for an earlier export of the same shape.
        save_mapping: Where to keep the choices made for this one.
        ask: Puts to the user which column holds the IDs; ``None`` when nobody is there.
    """

    source: Path | str | pd.DataFrame
    workflow: str
    sheet: str | None = None
    company_column: str | None = None
    contact_column: str | None = None
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    parameter_columns: Mapping[str, str] = field(default_factory=dict)
    header_row: int | None = None
    visible_only: bool = False
    lenient_ids: bool = False
    mapping: Path | None = None
    save_mapping: Path | None = None
    ask: tables.Ask | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How a run or resume ended.

    Attributes:
        summary: The batch as it stands now.
        ending: Why the engine stopped.
        output: The workbook that was written; ``None`` when none was asked for.
    """

    summary: BatchSummary
    ending: Ending
    output: Path | None

    @property
    def exit_code(self) -> ExitCode:
        """How the command ends."""
        if self.summary.unfinished:
            finished = self.ending is Ending.FINISHED
            return ExitCode.INCOMPLETE if finished else ExitCode.PAUSED
        completed = self.summary.counts[Outcome.COMPLETED] == self.summary.rows
        return ExitCode.COMPLETED if completed else ExitCode.INCOMPLETE


class Control:
    """Stops a running batch from a signal handler, another thread or a callback."""

    def __init__(self) -> None:
        self._stop: Callable[[], object] | None = None
        self.stopped = False

    def stop(self) -> None:
        """No more triggers; what is in flight is collected for a while, then the workbook."""
        self.stopped = True
        if self._stop is not None:
            self._stop()

    def attach(self, stop: Callable[[], object]) -> None:
        """Give it what to call; called by the batch when it begins to work."""
        self._stop = stop
        if self.stopped:
            stop()


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a batch is worked on with."""

    settings: Settings
    key: str
    client: Client
    quota: Quota
    clock: Clock

    @classmethod
    def of(cls, settings: Settings | None) -> _Desk:
        settings = settings or load_settings()
        if settings.api_key is None or not settings.api_key.get_secret_value():
            raise UsageError(
                "There is no API key.",
                "Put it into the environment variable PGAI_API_KEY or into a .env file here; "
                "to try without one, add --sandbox.",
            )
        key = settings.api_key.get_secret_value()
        client = Client(key, settings.base_url)
        return cls(settings, key, client, Quota(settings.rate), Clock(settings.speed))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A list as it was loaded for a request."""

    table: Table
    roles: Mapping[Role, int]
    parameters: Parameters
    lenient_ids: bool

    def plan(self, workflow: Workflow, rates: EstimateRates) -> Plan:
        """What to do with it."""
        return make_plan(
            self.table, workflow, self.roles, self.parameters, rates, lenient_ids=self.lenient_ids
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """One run or resume of a batch."""

    batch_id: str
    target: Path | None
    limit: int | None
    on_progress: Callable[[Progress], None]
    control: Control | None


def ignore_progress(progress: Progress) -> None:
    """What is told of progress when nobody asked."""
    del progress


def _always(plan: Plan, earlier: BatchSummary | None) -> bool:
    del plan, earlier
    return True


async def list_workflows(settings: Settings | None = None) -> list[Workflow]:
    """The workflows the key may see.

    Raises:
        BatchrunError: The key or the service can't be used.
    """
    desk = _Desk.of(settings)
    async with desk.client:
        return list((await desk.client.workflows()).workflows)


async def check(request: Request, settings: Settings | None = None) -> Plan:
    """Load and plan, and send no trigger.

    Raises:
        BatchrunError: The list, the workflow, the key or the service can't be used.
    """
    desk = _Desk.of(settings)
    loaded = _load(request, desk.settings)
    async with desk.client:
        workflow, rates = await _preflight(desk, request.workflow)
    return loaded.plan(workflow, rates)


async def run(
    request: Request,
    settings: Settings | None = None,
    *,
    output: Path | None = None,
    limit: int | None = None,
    again: bool = False,
    confirm: Callable[[Plan, BatchSummary | None], bool] = _always,
    on_progress: Callable[[Progress], None] = ignore_progress,
    control: Control | None = None,
) -> Report | None:
    """Run a workflow for each row of a list and write the workbook.

    Args:
        request: What to do.
        settings: Key, rate and so on; ``None`` reads them from the environment.
        output: Where the results go (.xlsx, .csv, .jsonl); ``None`` for
            ``NAME.results.xlsx`` beside the list, or for no file when the list is a DataFrame.
        limit: Trigger at most so many jobs now.
        again: Trigger everything anew although the same batch has finished before.
        confirm: Asked with the plan, and with the unfinished batch that would go on, before
            anything is spent.
        on_progress: Told of each step.
        control: Stops it early.

    Returns:
        The report, or ``None`` when ``confirm`` said no.

    Raises:
        BatchrunError: Something can't be used; what was triggered is in the journal.
    """
    desk = _Desk.of(settings)
    loaded = _load(request, desk.settings)
    source = _path(loaded.table.source)
    if output is not None:
        workbook.check_target(output, source)
    base_url = desk.settings.base_url
    async with desk.client:
        workflow, rates = await _preflight(desk, request.workflow)
        plan = loaded.plan(workflow, rates)
        with Journal(desk.settings.journal) as journal:
            earlier = None if again else journal.find(plan.fingerprint(), base_url)
            if earlier is not None and not earlier.unfinished:
                raise UsageError(
                    f"This list went through {workflow.name} already, as batch {earlier.batch_id}.",
                    f"Its results: batchrun export {earlier.batch_id} -o OUT.xlsx. "
                    "To trigger and pay for it all once more, add --again.",
                )
            target = output or _default_output(source, earlier)
            if target is not None:
                workbook.check_target(target, source)
            if not confirm(plan, earlier):
                return None
            batch_id = earlier.batch_id if earlier else journal.create(plan, base_url)
            run_now = _Run(batch_id, target, limit, on_progress, control)
            return await _work(desk, journal, run_now)


async def resume(
    batch_id: str | None = None,
    settings: Settings | None = None,
    *,
    output: Path | None = None,
    limit: int | None = None,
    on_progress: Callable[[Progress], None] = ignore_progress,
    control: Control | None = None,
) -> Report:
    """Go on with a batch where it stopped, whatever stopped it.

    Args:
        batch_id: Which batch (the beginning of its id is enough); ``None`` for the newest.
        settings: As in `run`; the service's address is the batch's own unless given in so many
            words.
        output: Where the results go; ``None`` for where they went before.
        limit: Trigger at most so many jobs now.
        on_progress: Told of each step.
        control: Stops it early.

    Raises:
        BatchrunError: As in `run`.
    """
    settings = settings or load_settings()
    with Journal(settings.journal) as journal:
        summary = journal.resolve(batch_id)
        if "base_url" not in settings.model_fields_set:
            base_url = journal.base_url(summary.batch_id)
            settings = settings.model_copy(update={"base_url": base_url})
        source = _path(summary.source)
        target = output or _default_output(source, summary)
        if target is not None:
            workbook.check_target(target, source)
        desk = _Desk.of(settings)
        async with desk.client:
            again = _Run(summary.batch_id, target, limit, on_progress, control)
            return await _work(desk, journal, again)


def export(batch_id: str | None, output: Path, settings: Settings | None = None) -> Path:
    """Write a batch's results as they stand; also while it runs.

    Args:
        batch_id: Which batch; ``None`` for the newest.
        output: Where to; its ending decides the format.
        settings: As in `run`.

    Returns:
        The path that was written.

    Raises:
        JournalError: There is no such batch.
        OutputError: It can't be written there.
    """
    settings = settings or load_settings()
    with Journal(settings.journal) as journal:
        summary = journal.resolve(batch_id)
        workbook.check_target(output, _path(summary.source))
        return _export(journal, summary.batch_id, output)


def results(batch_id: str | None = None, settings: Settings | None = None) -> pd.DataFrame:
    """A batch's results as a DataFrame: the columns of the Results sheet.

    Args:
        batch_id: Which batch; ``None`` for the newest.
        settings: As in `run`.

    Raises:
        JournalError: There is no such batch.
    """
    settings = settings or load_settings()
    with Journal(settings.journal) as journal:
        summary = journal.resolve(batch_id)
        with journal.results(summary.batch_id) as found:
            return workbook.to_frame(found)


# the stages


def _load(request: Request, settings: Settings) -> Loaded:
    choices = tables.Choices(
        sheet=request.sheet,
        header_row=request.header_row,
        visible_only=request.visible_only,
        company_column=request.company_column,
        contact_column=request.contact_column,
        lenient_ids=request.lenient_ids,
        parameter_columns=request.parameter_columns,
    )
    if request.mapping is not None:
        choices = tables.read_choices(request.mapping).overridden_by(choices)
    if isinstance(request.source, (str, Path)):
        table = tables.load(
            Path(request.source),
            sheet=choices.sheet,
            header_row=choices.header_row,
            visible_only=choices.visible_only,
            limits=_limits(settings),
        )
    else:
        table = tables.from_frame(request.source)
    table = choices.check_shape(table)
    roles = tables.find_roles(
        table,
        company_column=choices.company_column,
        contact_column=choices.contact_column,
        lenient=choices.lenient_ids,
        ask=request.ask,
    )
    columns = {
        name: tables.find_column(table, column, "--param-column")
        for name, column in choices.parameter_columns.items()
    }
    if request.save_mapping is not None:
        tables.save_choices(request.save_mapping, choices.made(table, roles))
    return Loaded(table, roles, Parameters(request.parameters, columns), choices.lenient_ids)


def _limits(settings: Settings) -> tables.LoadLimits:
    return tables.LoadLimits(
        file_bytes=settings.largest_file_mb * 1024**2,
        unpacked_bytes=settings.largest_unpacked_mb * 1024**2,
        cells=settings.most_cells,
        sheets=settings.most_sheets,
    )


async def _preflight(desk: _Desk, wanted: str) -> tuple[Workflow, EstimateRates]:
    """Find the workflow; its answer also tells the quota."""
    desk.quota.take(desk.clock.now())
    listed = await desk.client.workflows()
    desk.quota.answered(listed.quota, desk.clock.now())
    forecast = TimedForecast()
    rates = EstimateRates(
        requests_per_minute=desk.quota.rate,
        requests_per_job=forecast.requests_per_job,
        seconds_per_execution=forecast.seconds_per_execution,
        daily=desk.settings.daily,
    )
    return choose_workflow(listed.workflows, wanted), rates


async def _work(desk: _Desk, journal: Journal, run_now: _Run) -> Report:
    """Trigger and poll what is left of a batch, then write its workbook."""
    settings, batch_id = desk.settings, run_now.batch_id
    with hold_batch(settings.journal, batch_id):
        jobs = journal.jobs(batch_id, desk.key)
        await jobs.recover()
        if settings.daily is not None:
            desk.quota.limit_today(settings.daily - jobs.requests_today(datetime.now(UTC)))
        engine = Engine(
            desk.client,
            jobs,
            journal.summary(batch_id).counts,
            quota=desk.quota,
            forecast=TimedForecast(),
            clock=desk.clock,
            limits=Limits(
                max_in_flight=settings.max_in_flight or desk.quota.rate,
                jobs=run_now.limit,
                patience_seconds=settings.patience_seconds,
                drain_seconds=settings.drain_seconds,
                longest_pause_seconds=settings.longest_pause_seconds,
            ),
            on_progress=run_now.on_progress,
        )
        if run_now.control is not None:
            loop = asyncio.get_running_loop()
            run_now.control.attach(lambda: loop.call_soon_threadsafe(engine.stop))
        try:
            ending = await engine.work()
        except BatchrunError as error:
            await jobs.note(error.what)
            _write(journal, run_now)
            raise
        await jobs.note(_NOTES[ending])
        output = _write(journal, run_now)
        return Report(journal.summary(batch_id), ending, output)


_NOTES = {
    Ending.FINISHED: "",
    Ending.LIMIT: "The jobs of --limit are done.",
    Ending.INTERRUPTED: "It was interrupted.",
    Ending.QUOTA: "The quota is spent for now.",
    Ending.UNREACHABLE: "The service could not be reached.",
}


def _write(journal: Journal, run_now: _Run) -> Path | None:
    if run_now.target is None:
        return None
    return _export(journal, run_now.batch_id, run_now.target)


def _export(journal: Journal, batch_id: str, target: Path) -> Path:
    with journal.results(batch_id) as found:
        written = workbook.write(found, target)
    journal.set_output(batch_id, str(written))
    return written


# where things are


def _path(source: TableSource) -> Path | None:
    return None if source.path is None else Path(source.path)


def _default_output(source: Path | None, earlier: BatchSummary | None) -> Path | None:
    """Where the workbook went before, else a free name beside the list."""
    if earlier is not None and earlier.output is not None:
        return Path(earlier.output)
    if source is None:
        return None
    for number in count(1):
        suffix = "" if number == 1 else f" ({number})"
        target = source.with_name(f"{source.stem}.results{suffix}.xlsx")
        if not target.exists():
            return target
    raise AssertionError("count() does not end")
