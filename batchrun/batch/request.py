"""What the user wants done, and the list it is about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.errors import UsageError, parameter
from batchrun.model import Role
from batchrun.plan import Parameters, Plan, make_plan
from batchrun.tables import (
    Choices,
    LoadLimits,
    find_column,
    find_roles,
    from_frame,
    load,
    read_choices,
    save_choices,
    unused_notices,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    import pandas as pd

    from batchrun.estimate import EstimateRates
    from batchrun.model import JSON, Table, Workflow
    from batchrun.settings import ListDefaults, Settings
    from batchrun.tables import Ask


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
        no_header: The list has no column names.
        no_company: Send no company ids, whatever columns there are.
        no_contact: Send no contact ids likewise.
        visible_only: Leave out rows that are hidden or filtered out.
        lenient_ids: Send what merely looks like a UUID.
        mapping: File with the choices made for an earlier export of the same shape.
        save_mapping: Where to keep the choices made for this one.
        ask: Puts to the user which column holds the IDs; ``None`` when nobody is there.
        reuse: How old the result of the same trigger in an earlier batch may be to be taken
            instead of triggering and paying again; ``None`` for never.
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
    lenient_ids: bool = False
    mapping: Path | None = None
    save_mapping: Path | None = None
    ask: Ask | None = None
    reuse: timedelta | None = None

    def over(self, defaults: ListDefaults) -> Request:
        """This request, and the defaults wherever it says nothing.

        How columns are read is said by the mapping alone, where there is one.
        """
        said = replace(self, parameters={**defaults.parameters, **self.parameters})
        if self.mapping is not None:
            return said
        return replace(
            said,
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
            lenient_ids=self.lenient_ids or defaults.lenient_ids,
        )


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


def load_request(request: Request, settings: Settings) -> Loaded:
    """Load the list and find its columns.

    Raises:
        InputError: The list can't be used, or its columns can't be told.
        UsageError: The mapping can't be used.
        OutputError: The mapping can't be kept where it is wanted.
    """
    choices = Choices(
        sheet=request.sheet,
        header_row=request.header_row,
        visible_only=request.visible_only,
        company_column=request.company_column,
        contact_column=request.contact_column,
        lenient_ids=request.lenient_ids,
        parameter_columns=request.parameter_columns,
    )
    if request.mapping is not None:
        choices = read_choices(request.mapping).overridden_by(choices)
    if isinstance(request.source, (str, Path)):
        table = load(
            Path(request.source),
            sheet=choices.sheet,
            header_row=choices.header_row,
            no_header=request.no_header,
            visible_only=choices.visible_only,
            limits=_limits(settings),
        )
    elif request.no_header:
        raise UsageError(
            f"A DataFrame has its column names; {parameter('no_header', True)} is for files.",
            "Leave it out, or make the frame with pandas.read_csv(…, header=None).",
        )
    else:
        table = from_frame(request.source)
    table = choices.check_shape(table)
    unsent = {Role.COMPANY: request.no_company, Role.CONTACT: request.no_contact}
    without = [role for role, said in unsent.items() if said]
    roles = find_roles(
        table,
        company_column=choices.company_column,
        contact_column=choices.contact_column,
        without=without,
        lenient=choices.lenient_ids,
        ask=request.ask,
    )
    unused = unused_notices(table, roles, without)
    table = replace(
        table, source=replace(table.source, marked_notices=(*table.source.marked_notices, *unused))
    )
    columns = {
        name: find_column(table, column, parameter("parameter_columns"))
        for name, column in choices.parameter_columns.items()
    }
    if request.save_mapping is not None:
        save_choices(request.save_mapping, choices.made(table, roles))
    return Loaded(table, roles, Parameters(request.parameters, columns), choices.lenient_ids)


def _limits(settings: Settings) -> LoadLimits:
    return LoadLimits(
        file_bytes=settings.largest_file_mb * 1024**2,
        unpacked_bytes=settings.largest_unpacked_mb * 1024**2,
        cells=settings.most_cells,
        sheets=settings.most_sheets,
    )
