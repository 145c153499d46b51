"""The user's request, and loading its list."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from batchrun.errors import InputError, UsageError
from batchrun.model import Role
from batchrun.plan import Parameters, Plan, make_plan
from batchrun.tables import (
    Contents,
    LoadLimits,
    candidate_contents,
    find_column,
    find_roles,
    from_frame,
    load,
    role_notices,
)
from batchrun.tables.isolated import open_book
from batchrun.workbook.layout import REASON
from batchrun.workbook.text import unescaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    import pandas as pd

    from batchrun.estimate import EstimateRates
    from batchrun.model import JSON, Table, Workflow
    from batchrun.settings import ListDefaults, Settings
    from batchrun.tables import Ask


@dataclass(frozen=True, slots=True)
class Request:
    """The user's request: a list, a workflow, and how to read and send the list.

    Attributes:
        source: The list: path of a file, or a DataFrame.
        workflow: ID or name of the workflow.
        sheet: Sheet of a workbook; ``None`` to detect it.
        company_column: Name of the company ID column; ``None`` to detect it.
        contact_column: Name of the contact ID column; ``None`` to detect it.
        parameters: Sent with every row.
        parameter_columns: Parameter names and the columns their values come from.
        header_row: Line of the column names; ``None`` to detect it.
        no_header: The list has no column names.
        no_company: Send no company IDs, even if there is a column of them.
        no_contact: Send no contact IDs, even if there is a column of them.
        visible_only: Leave out rows that are hidden or filtered out.
        encoding: Encoding of a text file, such as ``cp1251``; ``None`` to detect it.
        delimiter: The field separator of a text file; ``None`` to detect it.
        quoting: ``"literal"`` if quotes in a text file are ordinary characters; ``None`` for the
            CSV rules.
        lenient_ids: Also send IDs that are not valid UUIDs.
        ask: Asks the user which column holds the IDs; ``None`` if there is nobody to ask.
        reuse: Reuse results of earlier batches up to this age instead of paying again; ``None``
            for never.
    """

    source: Path | str | pd.DataFrame
    workflow: str
    sheet: str | None = None
    company_column: str | None = None
    contact_column: str | None = None
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    parameter_columns: Mapping[str, str] = field(default_factory=dict)
    header_row: int | None = None
    no_header: bool = False
    no_company: bool = False
    no_contact: bool = False
    visible_only: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    lenient_ids: bool = False
    ask: Ask | None = None
    reuse: timedelta | None = None

    @property
    def without(self) -> tuple[Role, ...]:
        """The kinds of ID that are not sent."""
        unsent = {Role.COMPANY: self.no_company, Role.CONTACT: self.no_contact}
        return tuple(role for role, said in unsent.items() if said)

    def merged_with(self, defaults: ListDefaults) -> Request:
        """Return this request with the defaults for everything that it doesn't set."""
        return replace(
            self,
            parameters={**defaults.parameters, **self.parameters},
            sheet=self.sheet or defaults.sheet,
            company_column=None
            if self.no_company
            else self.company_column or defaults.company_column,
            contact_column=None
            if self.no_contact
            else self.contact_column or defaults.contact_column,
            no_company=self.no_company or (defaults.no_company and self.company_column is None),
            no_contact=self.no_contact or (defaults.no_contact and self.contact_column is None),
            parameter_columns={**defaults.parameter_columns, **self.parameter_columns},
            header_row=None if self.no_header else self.header_row or defaults.header_row,
            no_header=self.no_header or (defaults.no_header and self.header_row is None),
            visible_only=self.visible_only or defaults.visible_only,
            encoding=self.encoding or defaults.encoding,
            delimiter=self.delimiter or defaults.delimiter,
            quoting=self.quoting or defaults.quoting,
            lenient_ids=self.lenient_ids or defaults.lenient_ids,
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """The list of a request, loaded."""

    table: Table
    roles: Mapping[Role, int]
    parameters: Parameters
    lenient_ids: bool

    def plan(self, workflow: Workflow, rates: EstimateRates) -> Plan:
        """Plan the batch."""
        return make_plan(
            self.table, workflow, self.roles, self.parameters, rates, lenient_ids=self.lenient_ids
        )


def load_request(request: Request, settings: Settings) -> Loaded:
    """Load the list and find its columns.

    Raises:
        InputError: The list can't be used, or its columns can't be identified.
        UsageError: An option does not fit the list.
    """
    table = _table(request, settings)
    roles = _roles(table, request)
    table = _with_notices(table, role_notices(table, roles, request.without))
    columns = {
        name: find_column(table, column, "--param-column")
        for name, column in request.parameter_columns.items()
    }
    return Loaded(
        table, roles, Parameters(deepcopy(dict(request.parameters)), columns), request.lenient_ids
    )


def _with_notices(table: Table, notices: Sequence[str]) -> Table:
    source = replace(table.source, notices=(*table.source.notices, *notices))
    return replace(table, source=source)


def _table(request: Request, settings: Settings) -> Table:
    if isinstance(request.source, (str, Path)):
        table = load(
            Path(request.source),
            sheet=request.sheet,
            header_row=request.header_row,
            no_header=request.no_header,
            visible_only=request.visible_only,
            encoding=request.encoding,
            delimiter=request.delimiter,
            quoting=request.quoting,
            limits=_limits(settings),
        )
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


def _roles(table: Table, request: Request) -> dict[Role, int]:
    return find_roles(
        table,
        company_column=request.company_column,
        contact_column=request.contact_column,
        without=request.without,
        lenient=request.lenient_ids,
        ask=request.ask,
    )


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
        roles = _roles(table, request)
        table = _with_notices(table, role_notices(table, roles, request.without))
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
