"""The user's request, and loading its list."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from batchrun.errors import InputError, UsageError
from batchrun.model import Role, Table, Workflow
from batchrun.options import FileOptions, ReadingOptions
from batchrun.plan import Parameters, Plan, make_plan
from batchrun.tables.files import load
from batchrun.tables.frames import from_frame
from batchrun.tables.isolated import open_book
from batchrun.tables.options import LoadLimits, LoadOptions
from batchrun.tables.roles import (
    ColumnQuestion,
    Contents,
    candidate_contents,
    find_column,
    find_roles,
    role_notices,
)
from batchrun.workbook.layout import REASON
from batchrun.workbook.text import unescaped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    import pandas as pd

    from batchrun.estimate import EstimateRates
    from batchrun.settings.model import Settings
    from batchrun.tables.roles import Ask


@dataclass(frozen=True, slots=True)
class Request(ReadingOptions):
    """The user's request: a list, a workflow, and how to read and send the list.

    The options for reading and sending are those of `batchrun.options.ReadingOptions`.

    Attributes:
        source: The list: path of a file, or a DataFrame.
        workflow: ID or name of the workflow.
        ask: Asks the user which column holds the IDs; ``None`` if there is nobody to ask.
        reuse: Reuse results of earlier batches up to this age instead of paying again; ``None``
            for never.
    """

    source: Path | str | pd.DataFrame
    workflow: str
    ask: Ask | None = field(default=None, kw_only=True)
    reuse: timedelta | None = field(default=None, kw_only=True)

    @property
    def without(self) -> tuple[Role, ...]:
        """The kinds of ID that are not sent."""
        unsent = {Role.COMPANY: self.no_company, Role.CONTACT: self.no_contact}
        return tuple(role for role, said in unsent.items() if said)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The list of a request, loaded; ``roles`` is ``None`` if the user has to choose a column."""

    table: Table
    roles: Mapping[Role, int] | None
    parameters: Parameters
    request: Request

    def plan(self, workflow: Workflow, rates: EstimateRates) -> Plan:
        """Plan the batch. If the user has to choose a column, ask."""
        request, table, roles = self.request, self.table, self.roles
        if roles is None:
            table, roles = _with_roles(table, request, request.ask)
        return make_plan(
            table, workflow, roles, self.parameters, rates, lenient_ids=request.lenient_ids
        )


def load_request(request: Request, settings: Settings) -> Loaded:
    """Load the list and find its columns, without asking: the workflow may be mistyped.

    Raises:
        InputError: The list can't be used, or its columns can't be identified.
        UsageError: An option does not fit the list.
    """
    table, roles, questions = _table(request, settings), None, list[ColumnQuestion]()
    try:
        table, roles = _with_roles(table, request, questions.append)  # it returns no answer
    except InputError:
        if not questions or request.ask is None:
            raise
    columns = {
        name: find_column(table, column, "--param-column")
        for name, column in request.parameter_columns.items()
    }
    return Loaded(table, roles, Parameters(deepcopy(dict(request.parameters)), columns), request)


def _table(request: Request, settings: Settings) -> Table:
    if isinstance(request.source, (str, Path)):
        options = LoadOptions(**request.values(FileOptions), limits=_limits(settings))
        table = load(Path(request.source), options)
        if table.source.format == "csv" and REASON in table.header:
            table = _without_guards(table)
    elif request.no_header:
        raise UsageError(
            "A DataFrame has its column names; the option no_header is for files.",
            "Leave it out, or make the frame with pandas.read_csv(…, header=None).",
        )
    else:
        table = from_frame(request.source)
    return table


def _without_guards(table: Table) -> Table:
    """Return a list of rows to correct as the list itself had it: its CSV file guards formulas."""
    header = tuple(str(unescaped(name)) for name in table.header)
    cells = np.empty((len(header), len(table)), dtype=object)
    for at in range(len(header)):
        cells[at] = [unescaped(cell) for cell in table.cells[at]]
    return replace(table, header=header, cells=cells)


def _with_roles(table: Table, request: Request, ask: Ask | None) -> tuple[Table, dict[Role, int]]:
    """Return the table, with notices about its ID columns, and these columns."""
    roles = find_roles(
        table,
        company_column=request.company_column,
        contact_column=request.contact_column,
        without=request.without,
        lenient=request.lenient_ids,
        ask=ask,
    )
    notices = (*table.source.notices, *role_notices(table, roles, request.without))
    return replace(table, source=replace(table.source, notices=notices)), roles


@dataclass(frozen=True, slots=True)
class Preview:
    """A list before a workflow is chosen.

    Attributes:
        table: The list.
        roles: The column index of each kind of ID; empty if that is unclear.
        columns: The contents of the ID columns, and of other columns that could be ID columns.
        problem: Why the ID columns can't be identified; ``None`` if they can.
        sheets: Names of the workbook's visible sheets; empty for a text file.
    """

    table: Table
    roles: Mapping[Role, int]
    columns: tuple[Contents, ...]
    problem: InputError | None = None
    sheets: tuple[str, ...] = ()


def preview(request: Request, settings: Settings) -> Preview:
    """Read a list and find its ID columns, without a request to the service.

    Args:
        request: The list and how to read it. The workflow is ignored.
        settings: Settings with the limits on the size of a list.

    Raises:
        InputError: The list can't be used.
    """
    table = _table(request, settings)
    roles: Mapping[Role, int] = {}
    problem = None
    try:
        table, roles = _with_roles(table, request, request.ask)
    except InputError as error:
        problem = error
    columns = tuple(candidate_contents(table, roles, lenient=request.lenient_ids))
    sheets: tuple[str, ...] = ()
    if table.source.sheet is not None and table.source.path is not None:
        sheets = sheet_names(Path(table.source.path), settings)
    return Preview(table, roles, columns, problem, sheets)


def sheet_names(path: Path, settings: Settings) -> tuple[str, ...]:
    """Return the visible sheets of a workbook; none if the file is not a workbook."""
    try:
        with open_book(path.read_bytes(), path.name, _limits(settings)) as book:
            return tuple(sheet.name for sheet in book.sheets if sheet.visible)
    except (InputError, OSError):
        return ()


def _limits(settings: Settings) -> LoadLimits:
    return LoadLimits(
        file_bytes=settings.largest_file_mb * 1024**2,
        unpacked_bytes=settings.largest_unpacked_mb * 1024**2,
        cells=settings.most_cells,
        sheets=settings.most_sheets,
    )
