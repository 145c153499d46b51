"""Commands that work on a list: `check`, `run`, `resume`, `demo`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from batchrun.cli.options import (
    AsJson,
    BaseUrl,
    Batch,
    Daily,
    JournalAt,
    Limit,
    Output,
    Rate,
    settings_from,
)
from batchrun.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from batchrun.batch import Control, Report, Request
    from batchrun.engine import Progress
    from batchrun.model import BatchSummary
    from batchrun.plan import Plan
    from batchrun.settings import Settings
    from batchrun.tables import Ask

SANDBOX_SPEED = 60.0
DEMO_WORKFLOW = "Account Research"
Ended = TypeVar("Ended")

List: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="The list: a workbook or CSV.")
]
Workflow: TypeAlias = Annotated[
    str, typer.Option("--workflow", "-w", help="Id or name of the workflow, any case.")
]
Sheet: TypeAlias = Annotated[
    str | None, typer.Option(help="Sheet of a workbook; without it, the first.")
]
CompanyColumn: TypeAlias = Annotated[
    str | None, typer.Option(metavar="C", help="Column with the company ids.")
]
ContactColumn: TypeAlias = Annotated[
    str | None, typer.Option(metavar="C", help="Column with the contact ids.")
]
Param: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="K=V", help="A parameter for all rows: JSON, else text. Repeatable."),
]
ParamColumn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="K=COLUMN", help="A parameter from a column. Repeatable."),
]
Params: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE.json", help="Parameters for all rows from a file.")
]
HeaderRow: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Line with the column names.")
]
VisibleOnly: TypeAlias = Annotated[
    bool, typer.Option("--visible-only", help="Leave out rows that are hidden or filtered out.")
]
LenientIds: TypeAlias = Annotated[
    bool, typer.Option("--lenient-ids", help="Send what merely looks like a UUID.")
]
MappingFile: TypeAlias = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE.toml", help="Read columns as saved there.")
]
SaveMapping: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Keep this choice of columns there.")
]
Sandbox: TypeAlias = Annotated[
    bool, typer.Option("--sandbox", help="Run against an imitation of the service; no key needed.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before spending.")]
Again: TypeAlias = Annotated[
    bool, typer.Option("--again", help="Trigger it all anew although it was done before.")
]


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (check, run, resume, demo):
        app.command()(command)


def check(
    file: List,
    workflow: Workflow,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    visible_only: VisibleOnly = False,
    company_column: CompanyColumn = None,
    contact_column: ContactColumn = None,
    lenient_ids: LenientIds = False,
    mapping: MappingFile = None,
    save_mapping: SaveMapping = None,
    param: Param = None,
    param_column: ParamColumn = None,
    params: Params = None,
    rate: Rate = None,
    daily: Daily = None,
    base_url: BaseUrl = None,
    use_sandbox: Sandbox = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do and cost; nothing is triggered."""
    from batchrun import batch
    from batchrun.cli import wording

    request = replace(
        _request(
            file, workflow, sheet, company_column, contact_column, param, param_column, params
        ),
        header_row=header_row,
        visible_only=visible_only,
        lenient_ids=lenient_ids,
        mapping=mapping,
        save_mapping=save_mapping,
        ask=_ask_if_somebody_is_here(),
    )
    with _settings(use_sandbox, base_url=base_url, rate=rate, daily=daily) as settings:
        plan = asyncio.run(batch.check(request, settings))
    if as_json:
        typer.echo(json.dumps(wording.plan_json(plan)))
    else:
        typer.echo("\n".join(wording.plan_lines(plan)))


def run(
    file: List,
    workflow: Workflow,
    output: Output = None,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    visible_only: VisibleOnly = False,
    company_column: CompanyColumn = None,
    contact_column: ContactColumn = None,
    lenient_ids: LenientIds = False,
    mapping: MappingFile = None,
    save_mapping: SaveMapping = None,
    param: Param = None,
    param_column: ParamColumn = None,
    params: Params = None,
    limit: Limit = None,
    rate: Rate = None,
    daily: Daily = None,
    yes: Yes = False,
    again: Again = False,
    use_sandbox: Sandbox = False,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow for each row of a list and write the workbook."""
    request = replace(
        _request(
            file, workflow, sheet, company_column, contact_column, param, param_column, params
        ),
        header_row=header_row,
        visible_only=visible_only,
        lenient_ids=lenient_ids,
        mapping=mapping,
        save_mapping=save_mapping,
        ask=_ask_if_somebody_is_here(),
    )
    with _settings(
        use_sandbox, base_url=base_url, rate=rate, daily=daily, journal=journal
    ) as settings:
        _run(request, settings, output, limit, yes=yes, again=again, as_json=as_json)


def resume(
    batch: Batch = None,
    output: Output = None,
    limit: Limit = None,
    rate: Rate = None,
    daily: Daily = None,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a batch where it stopped, whatever stopped it."""
    from batchrun import batch as batches

    settings = settings_from(base_url=base_url, rate=rate, daily=daily, journal=journal)
    with _showing() as (on_progress, control):
        report = _in_loop(
            batches.resume(
                batch,
                settings,
                output=output,
                limit=limit,
                on_progress=on_progress,
                control=control,
            )
        )
    _end(report, as_json)


def demo(journal: JournalAt = None) -> None:
    """Run an invented list through the whole way against the sandbox: no key, no cost."""
    from batchrun.batch import Request
    from batchrun.sandbox import write_demo_list

    source = Path("batchrun-demo.csv").resolve()
    try:
        write_demo_list(source)
    except OSError as error:
        raise UsageError(
            f"The demo's list can't be written: {error}.", "Go to a folder of your own first."
        ) from error
    with _settings(use_sandbox=True, journal=journal) as settings:
        _run(Request(source, DEMO_WORKFLOW), settings, None, None, yes=True)


def _run(
    request: Request,
    settings: Settings,
    output: Path | None,
    limit: int | None,
    *,
    yes: bool,
    again: bool = False,
    as_json: bool = False,
) -> None:
    from batchrun import batch

    def confirm(plan: Plan, earlier: BatchSummary | None) -> bool:
        return _confirmed(plan, earlier, yes=yes, to_stderr=as_json)

    with _showing() as (on_progress, control):
        report = _in_loop(
            batch.run(
                request,
                settings,
                output=output,
                limit=limit,
                again=again,
                confirm=confirm,
                on_progress=on_progress,
                control=control,
            )
        )
    if report is None:
        typer.echo("Nothing was triggered.", err=as_json)
        raise typer.Exit(ExitCode.COMPLETED)
    _end(report, as_json)


# what the user gives


def _request(
    file: Path,
    workflow: str,
    sheet: str | None,
    company_column: str | None,
    contact_column: str | None,
    param: list[str] | None,
    param_column: list[str] | None,
    params: Path | None,
) -> Request:
    from batchrun.batch import Request
    from batchrun.plan import parse_parameter, read_parameters

    parameters = {} if params is None else read_parameters(params)
    parameters |= dict(parse_parameter(text) for text in param or [])
    columns: dict[str, str] = {}
    for text in param_column or []:
        name, equals, column = text.partition("=")
        if not (equals and name.strip() and column):
            raise UsageError(
                f"--param-column {text} has no column.", "Write it as --param-column focus=Focus."
            )
        columns[name.strip()] = column
    return Request(file, workflow, sheet, company_column, contact_column, parameters, columns)


@contextmanager
def _settings(use_sandbox: bool, **given: Any) -> Iterator[Settings]:
    """The settings; with an embedded sandbox behind them when one is wanted."""
    with ExitStack() as stack:
        if use_sandbox:
            if given.get("base_url"):
                raise UsageError("--sandbox and --base-url exclude each other.", "Give one.")
            from batchrun.sandbox import SandboxSettings, running

            given["base_url"] = stack.enter_context(running(SandboxSettings(), speed=SANDBOX_SPEED))
            given |= {"api_key": "sandbox", "speed": SANDBOX_SPEED}
        yield settings_from(**given)


def _ask_if_somebody_is_here() -> Ask | None:
    if not sys.stdin.isatty():
        return None
    from batchrun.cli.asking import ask_for_column

    return ask_for_column


# what the user sees


def _confirmed(plan: Plan, earlier: BatchSummary | None, *, yes: bool, to_stderr: bool) -> bool:
    from batchrun.cli import wording

    typer.echo("\n".join(wording.plan_lines(plan)), err=to_stderr)
    if earlier is not None:
        typer.echo(
            f"Going on:  batch {earlier.batch_id} of this list; rows: {wording.counts(earlier)}",
            err=to_stderr,
        )
    if yes or not plan.bodies:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nobody is here to confirm the run.", "Add --yes to run it unasked.")
    return typer.confirm(f"Trigger {plural_jobs(plan)} now?", err=to_stderr)


def plural_jobs(plan: Plan) -> str:
    """How many jobs a plan has, in words."""
    from batchrun.cli.wording import plural

    return plural(len(plan.bodies), "job")


@contextmanager
def _showing() -> Iterator[tuple[Callable[[Progress], None], Control]]:
    """Progress on the screen, and Ctrl-C as the way to stop: once gently, twice at once."""
    from batchrun.batch import Control
    from batchrun.cli.progress import ProgressPrinter

    control = Control()
    with ProgressPrinter() as printer:

        def stop(*_signal: object) -> None:
            if control.stopped:
                raise KeyboardInterrupt
            printer.say(
                "Stopping: no more triggers; collecting what is in flight for up to a minute. "
                "Ctrl-C again to stop at once; nothing is lost either way."
            )
            control.stop()

        before = {number: signal.signal(number, stop) for number in _stop_signals()}
        try:
            yield printer.show, control
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last is Windows' own
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _in_loop(work: Coroutine[Any, Any, Ended]) -> Ended:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo("Stopped. Nothing is lost; go on with: batchrun resume", err=True)
        raise typer.Exit(ExitCode.PAUSED) from None


def _end(report: Report, as_json: bool) -> None:
    from batchrun.cli import wording

    summary = report.summary
    if as_json:
        exit_code = int(report.exit_code)
        typer.echo(json.dumps(wording.summary_json(summary) | {"exit_code": exit_code}))
        raise typer.Exit(exit_code)
    typer.echo(f"\nBatch:     {summary.batch_id}")
    typer.echo(f"Rows:      {wording.counts(summary)}")
    typer.echo(f"Requests:  {summary.requests:,}")
    if summary.note:
        typer.echo(f"Note:      {summary.note}")
    if summary.unfinished:
        typer.echo(f"Go on:     batchrun resume {summary.batch_id}")
    if report.output is not None:
        typer.echo(f"Workbook:  {report.output}")
    raise typer.Exit(report.exit_code)
