"""Commands that work on a list: `check`, `run`, `resume`, `demo`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from batchrun.cli.again import is_given_back, run_marked
from batchrun.cli.attending import go, go_on
from batchrun.cli.deciding import Doubts, about_doubts
from batchrun.cli.forms import (
    Columns,
    CsvPlain,
    FlatDepth,
    LayoutFile,
    Rename,
    WriteEvery,
    form_from,
)
from batchrun.cli.options import (
    AsJson,
    BaseUrl,
    Batch,
    Daily,
    JournalAt,
    Limit,
    Output,
    Rate,
    Reuse,
    StopAfterFailures,
    Wait,
    Yes,
    age,
    settings_from,
    settings_with_journal,
)
from batchrun.cli.reading import (
    HeaderRow,
    LenientIds,
    MappingFile,
    SaveMapping,
    VisibleOnly,
    ask_if_somebody_is_here,
)
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from batchrun.request import Request
    from batchrun.settings import Settings

Ended = TypeVar("Ended")

SANDBOX_SPEED = 60.0
DEMO_WORKFLOW = "Account Research"

List: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="The list: a workbook or CSV.")
]
Workflow: TypeAlias = Annotated[
    str, typer.Option("--workflow", "-w", help="Id or name of the workflow, any case.")
]
WorkflowUnlessMarked: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workflow",
        "-w",
        help="Id or name of the workflow, any case; not needed for a workbook that batchrun wrote "
        'and whose column "run again" says what to send.',
    ),
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
Sandbox: TypeAlias = Annotated[
    bool, typer.Option("--sandbox", help="Run against an imitation of the service; no key needed.")
]
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
    reuse: Reuse = None,
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
        ask=ask_if_somebody_is_here(),
        reuse=_reuse(reuse),
    )
    with _settings(use_sandbox, base_url=base_url, rate=rate, daily=daily) as settings:
        plan = asyncio.run(batch.check(request, settings))
    if as_json:
        typer.echo(json.dumps(wording.plan_json(plan)))
    else:
        typer.echo("\n".join(wording.plan_lines(plan)))


def run(
    file: List,
    workflow: WorkflowUnlessMarked = None,
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
    wait: Wait = False,
    stop_after_failures: StopAfterFailures = None,
    yes: Yes = False,
    again: Again = False,
    reuse: Reuse = None,
    columns: Columns = None,
    rename: Rename = None,
    flat_depth: FlatDepth = None,
    layout: LayoutFile = None,
    csv_plain: CsvPlain = False,
    write_every: WriteEvery = None,
    use_sandbox: Sandbox = False,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow for each row of a list and write the workbook."""
    form = form_from(
        columns, rename, flat_depth, layout, csv_plain=csv_plain, write_every=write_every
    )
    given = {
        "base_url": base_url,
        "rate": rate,
        "daily": daily,
        "wait": wait or None,
        "stop_after_failures": stop_after_failures,
        "journal": journal,
    }
    if is_given_back(file):
        _refuse_for_results(
            file,
            {
                "--sheet": sheet,
                "--header-row": header_row,
                "--visible-only": visible_only,
                "--company-column": company_column,
                "--contact-column": contact_column,
                "--lenient-ids": lenient_ids,
                "--mapping": mapping,
                "--save-mapping": save_mapping,
                "--param": param,
                "--param-column": param_column,
                "--params": params,
                "--again": again,
                "--reuse": reuse,
            },
        )
        with _settings(use_sandbox, **given) as settings:
            run_marked(file, settings, workflow, output, limit, form, yes=yes, as_json=as_json)
        return
    if again and reuse is not None:
        raise UsageError("--again and --reuse exclude each other.", "Give one.")
    if workflow is None:
        raise UsageError("No workflow is named.", "Name it with -w; see: batchrun workflows")
    request = replace(
        _request(
            file, workflow, sheet, company_column, contact_column, param, param_column, params
        ),
        header_row=header_row,
        visible_only=visible_only,
        lenient_ids=lenient_ids,
        mapping=mapping,
        save_mapping=save_mapping,
        ask=ask_if_somebody_is_here(),
        reuse=_reuse(reuse),
    )
    with _settings(use_sandbox, **given) as settings:
        go(
            request,
            settings,
            output,
            limit,
            form,
            yes=yes,
            again=again,
            sandbox=use_sandbox,
            as_json=as_json,
        )


def resume(
    batch: Batch = None,
    output: Output = None,
    limit: Limit = None,
    in_doubt: Doubts = None,
    rate: Rate = None,
    daily: Daily = None,
    wait: Wait = False,
    stop_after_failures: StopAfterFailures = None,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    as_json: AsJson = False,
    columns: Columns = None,
    rename: Rename = None,
    flat_depth: FlatDepth = None,
    layout: LayoutFile = None,
    csv_plain: CsvPlain = False,
    write_every: WriteEvery = None,
) -> None:
    """Go on with a batch where it stopped, whatever stopped it."""
    form = form_from(
        columns, rename, flat_depth, layout, csv_plain=csv_plain, write_every=write_every
    )
    settings = settings_with_journal(
        base_url=base_url,
        rate=rate,
        daily=daily,
        wait=wait or None,
        stop_after_failures=stop_after_failures,
        journal=journal,
    )
    batch = _to_resume(batch, settings, to_stderr=as_json)
    decide = about_doubts(in_doubt)
    go_on(batch, settings, output=output, limit=limit, decide=decide, form=form, as_json=as_json)


def _refuse_for_results(file: Path, options: Mapping[str, object]) -> None:
    """Options that say how a list is read and sent do nothing where its batch is known."""
    useless = [name for name, value in options.items() if value]
    if useless:
        raise UsageError(
            f"{file.name} holds results of batchrun: only its marked rows are sent, as they were "
            f"sent before, and {', '.join(useless)} would do nothing.",
            "Leave it out; or run the list itself, where it counts.",
        )


def _to_resume(batch: str | None, settings: Settings, *, to_stderr: bool) -> str:
    """The whole id of the batch that is meant; said first where nothing of it is left to do."""
    from batchrun.journal import Journal

    with Journal(settings.journal) as journal:
        summary = journal.resolve(batch)
        done = not (
            summary.unfinished
            or journal.undecided(summary.batch_id)
            or journal.rescued(summary.batch_id)
        )
    if done:
        typer.echo("Nothing left to do.", err=to_stderr)
    return summary.batch_id


def demo(journal: JournalAt = None) -> None:
    """Run an invented list through the whole way against the sandbox: no key, no cost."""
    from batchrun.request import Request
    from batchrun.sandbox import write_demo_list

    source = Path("batchrun-demo.csv").resolve()
    try:
        write_demo_list(source)
    except OSError as error:
        raise UsageError(
            f"The demo's list can't be written: {error}.", "Go to a folder of your own first."
        ) from error
    with _settings(use_sandbox=True, journal=journal) as settings:
        go(Request(source, DEMO_WORKFLOW), settings, None, None, None, yes=True, sandbox=True)


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
    from batchrun.plan import parse_parameter, read_parameters
    from batchrun.request import Request

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


def _reuse(text: str | None) -> timedelta | None:
    return None if text is None else age(text, "--reuse")


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
        settings = settings_from(**given)
        if use_sandbox and "journal" not in settings.model_fields_set:
            from batchrun.settings import default_journal

            play = default_journal().with_name("sandbox.db")  # never among batches that cost
            settings = settings.model_copy(update={"journal": str(play)})
        yield settings
