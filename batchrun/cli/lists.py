"""Which list, what is sent with each row, and what a ``batchrun.toml`` beside it adds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from batchrun.cli.reading import (
    HeaderRow,
    LenientIds,
    MappingFile,
    SaveMapping,
    VisibleOnly,
    ask_if_somebody_is_here,
)
from batchrun.cli.telling import tell
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from batchrun import Request
    from batchrun.model import BatchSummary
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


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How a list is read, and what is sent with each row: the same for `check` and `run`."""

    sheet: Sheet = None
    header_row: HeaderRow = None
    visible_only: VisibleOnly = False
    company_column: CompanyColumn = None
    contact_column: ContactColumn = None
    lenient_ids: LenientIds = False
    mapping: MappingFile = None
    save_mapping: SaveMapping = None
    param: Param = None
    param_column: ParamColumn = None
    params: Params = None

    def given(self) -> dict[str, object]:
        """Those that were given, by their options."""
        each = {f"--{one.name.replace('_', '-')}": getattr(self, one.name) for one in fields(self)}
        return {option: value for option, value in each.items() if value}


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
        tell(f"Using:     {file.path} ({', '.join(file.names)})", err=True, whole=[str(file.path)])
    named = configuration.settings.get("profile")
    if named is not None and settings.profile != named:
        tell(
            f"Note:      profile {named} of batchrun.toml is not used: "
            "the key comes from elsewhere (see: batchrun config)",
            err=True,
        )


def tell_whose_key(settings: Settings, batch: BatchSummary) -> None:
    """Say it where a batch goes on with another key than it was begun with: that one pays.

    Raises:
        UsageError: It can't, since no such key is named.
    """
    from batchrun import status
    from batchrun.access import for_batch, other_key

    here = for_batch(settings, batch)
    if other := other_key(here, batch):
        tell(
            f"Note:      batch {batch.batch_id} was begun with profile {batch.profile}, whose key "
            f"is erased: {other} pays from now on",
            err=True,
        )
    elif other := status(batch.batch_id, settings=here).unlike_its_key(here):
        tell(
            f"Note:      batch {batch.batch_id} was begun with another key: {other} pays from now "
            "on; a key of another workspace can't see the executions that run already",
            err=True,
        )


def request_from(
    file: Path,
    workflow: str | None,
    options: ListOptions,
    reuse: timedelta | None,
    defaults: ListDefaults,
) -> Request:
    """The request that the options make, and the files where they say nothing.

    Raises:
        UsageError: One of them can't be used, or nothing names a workflow.
    """
    from batchrun import Request
    from batchrun.cli.parameters import parse_parameter, read_parameters

    workflow = defaults.workflow if workflow is None else workflow
    if workflow is None:
        raise UsageError(
            "No workflow is named.",
            "Name it with -w, or in a batchrun.toml beside the list; see: batchrun workflows",
        )
    parameters = {} if options.params is None else read_parameters(options.params)
    parameters |= dict(parse_parameter(text) for text in options.param or [])
    return Request(
        file,
        workflow,
        options.sheet,
        options.company_column,
        options.contact_column,
        parameters,
        dict(_column_of(text) for text in options.param_column or []),
        header_row=options.header_row,
        visible_only=options.visible_only,
        lenient_ids=options.lenient_ids,
        mapping=options.mapping,
        save_mapping=options.save_mapping,
        ask=ask_if_somebody_is_here(),
        reuse=reuse,
    ).over(defaults)


def _column_of(text: str) -> tuple[str, str]:
    """A parameter's name and the column it comes from."""
    name, equals, column = text.partition("=")
    if not (equals and name.strip() and column):
        raise UsageError(
            f"--param-column {text} has no column.", "Write it as --param-column focus=Focus."
        )
    return name.strip(), column
