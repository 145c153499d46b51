"""Which list, what is sent with each row, and what a ``batchrun.toml`` beside it adds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from batchrun.errors import UsageError

if TYPE_CHECKING:
    from batchrun.model import BatchSummary
    from batchrun.request import Request
    from batchrun.settings import Configuration, ListDefaults, Settings

List: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="The list: a workbook or CSV.")
]
Workflow: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workflow",
        "-w",
        help="Id or name of the workflow, any case; needed unless batchrun.toml names it.",
    ),
]
WorkflowUnlessMarked: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workflow",
        "-w",
        help="Id or name of the workflow, any case; needed unless batchrun.toml names it, or the "
        'file is a workbook that batchrun wrote and whose column "run again" says what to send.',
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


def configuration_beside(file: Path) -> Configuration:
    """What the ``batchrun.toml`` beside a list and the user's own say."""
    from batchrun.settings import find_configuration

    return find_configuration(file)


def configuration_of(batch: BatchSummary) -> Configuration:
    """What the files say of the list that a batch was made of."""
    from batchrun.settings import find_configuration

    return find_configuration(None if batch.source.path is None else Path(batch.source.path))


def tell_configuration(configuration: Configuration, settings: Settings) -> None:
    """Say which files count: what they hold may decide what is paid for."""
    for file in configuration.files:
        typer.echo(f"Using:     {file.path} ({', '.join(file.names)})", err=True)
    named = configuration.settings.get("profile")
    if named is not None and settings.profile != named:
        typer.echo(
            f"Note:      profile {named} of batchrun.toml is not used: "
            "the key comes from elsewhere (see: batchrun config)",
            err=True,
        )


def tell_whose_key(settings: Settings, batch: BatchSummary) -> None:
    """Say it where a batch goes on with another key than it was begun with: that one pays.

    Raises:
        UsageError: It can't, since no such key is named.
    """
    from batchrun.access import for_batch, other_key

    other = other_key(for_batch(settings, batch), batch)
    if other:
        typer.echo(
            f"Note:      batch {batch.batch_id} was begun with profile {batch.profile}, whose key "
            f"is erased: {other} pays from now on",
            err=True,
        )


def request_from(
    file: Path,
    workflow: str | None,
    sheet: str | None,
    company_column: str | None,
    contact_column: str | None,
    param: list[str] | None,
    param_column: list[str] | None,
    params: Path | None,
    defaults: ListDefaults,
) -> Request:
    """The request that the options make.

    Raises:
        UsageError: One of them can't be used, or nothing names a workflow.
    """
    from batchrun.cli.parameters import parse_parameter, read_parameters
    from batchrun.request import Request

    workflow = defaults.workflow if workflow is None else workflow
    if workflow is None:
        raise UsageError(
            "No workflow is named.",
            "Name it with -w, or in a batchrun.toml beside the list; see: batchrun workflows",
        )
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
