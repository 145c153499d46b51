"""What a ``batchrun.toml`` may say of lists: what would otherwise be typed as options."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LIST_MARK = "{list}"
"""In ``output``: the list's name without its ending."""


def _as_json(value: Any) -> Any:
    """A value of TOML as JSON has it; times as text.

    Raises:
        ValueError: JSON has no such number.
    """
    match value:
        case dict():
            return {name: _as_json(each) for name, each in value.items()}
        case list():
            return [_as_json(each) for each in value]
        case datetime() | date() | time():
            return value.isoformat()
        case float() if not math.isfinite(value):
            raise ValueError("JSON has no such number")
        case _:
            return value


class ListDefaults(BaseModel):
    """What counts for a list unless an option says otherwise; each as the option of its name.

    Attributes:
        workflow: Id or name of the workflow.
        sheet: Sheet of a workbook.
        header_row: Line of the column names.
        visible_only: Leave out hidden rows.
        company_column: Column with the company ids.
        contact_column: Column with the contact ids.
        lenient_ids: Send what merely looks like a UUID.
        parameters: Sent with every row.
        parameter_columns: Parameter name → column its value comes from.
        output: Name of the results' file, or only its ending; ``{list}`` stands for the list's
            name.
        columns: Result columns, in this order.
        rename: Column → title.
        flat_depth: The most keys in a column's name.
        csv_plain: A CSV is for machines.
        write_every: How often a running batch writes what it has, such as ``5m``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    workflow: str | None = None
    sheet: str | None = None
    header_row: Annotated[int | None, Field(ge=1)] = None
    visible_only: bool = False
    company_column: str | None = None
    contact_column: str | None = None
    lenient_ids: bool = False
    parameters: Annotated[dict[str, Any], AfterValidator(_as_json)] = Field(default_factory=dict)
    parameter_columns: dict[str, str] = Field(default_factory=dict)
    output: str | None = None
    columns: list[str] = Field(default_factory=list)
    rename: dict[str, str] = Field(default_factory=dict)
    flat_depth: Annotated[int | None, Field(ge=1)] = None
    csv_plain: bool = False
    write_every: str | None = None

    def beneath(self, other: ListDefaults) -> ListDefaults:
        """The other's, and these wherever the other says nothing; tables entry by entry."""
        said = {name: getattr(other, name) for name in other.model_fields_set}
        tables = {
            name: {**getattr(self, name), **said[name]}
            for name in ("parameters", "parameter_columns", "rename")
            if name in said
        }
        return self.model_copy(update=said | tables)

    def output_of(self, source: Path) -> Path | None:
        """Where the results of a list go; ``None`` where nothing is said of it."""
        if self.output is None:
            return None
        wanted = self.output.replace(LIST_MARK, source.stem)
        if wanted.startswith(".") and wanted.count(".") == 1 and is_plain_name(wanted):
            wanted = f"{source.stem}.results{wanted}"
        path = Path(wanted)
        # A plain name may begin with ~, and names nobody's home.
        return source.parent / (path if is_plain_name(wanted) else path.expanduser())


def is_plain_name(name: str) -> bool:
    """Whether a name leads into no other folder, on any system."""
    plain = bool(name) and name not in {".", ".."} and ":" not in name  # C:x, x:stream
    return plain and PureWindowsPath(name).name == name


WANTED = {
    "header_row": "a whole number of at least 1",
    "flat_depth": "a whole number of at least 1",
    "visible_only": "true or false",
    "lenient_ids": "true or false",
    "csv_plain": "true or false",
    "columns": 'a list such as ["summary", "outputs.*"]',
    "parameters": 'a table such as [parameters] with the line depth = "comprehensive"',
    "parameter_columns": 'a table such as [parameter_columns] with the line focus = "Focus"',
    "rename": 'a table such as [rename] with the line "outputs.fit" = "Fit"',
}
"""What each takes that is not a text."""
