"""The options that say how results are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from batchrun.errors import UsageError
from batchrun.words import meant

if TYPE_CHECKING:
    from batchrun.workbook import Form

Columns: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,…", help="Result columns and their order; * stands for anything. Repeatable."
    ),
]
Rename: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="NAME=TITLE", help="A column's title. Repeatable.")
]
FlatDepth: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="The most keys in a column's name; deeper is JSON."),
]
LayoutFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--layout", metavar="FILE.json", help="Keeps the columns for the next batch, or gives them."
    ),
]
CsvPlain: TypeAlias = Annotated[
    bool, typer.Option("--csv-plain", help="CSV for machines: no BOM, no escapes.")
]
ForCrm: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="CRM",
        help="CSV for the import of salesforce or hubspot.",
        autocompletion=lambda: ["hubspot", "salesforce"],
    ),
]
WriteEvery: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Write also while it runs, such as every 30s, 5m or 1h."),
]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 60.0}


def form_from(
    columns: list[str] | None = None,
    rename: list[str] | None = None,
    flat_depth: int | None = None,
    layout: Path | None = None,
    *,
    csv_plain: bool = False,
    crm: str | None = None,
    write_every: str | None = None,
) -> Form:
    """The form that the options ask for.

    Raises:
        UsageError: One of them can't be used.
    """
    from batchrun.workbook import Crm, form_of

    if crm is not None and crm.lower() not in set(Crm):
        raise UsageError(
            f"--crm {crm} is not known.", f"{meant(crm, Crm)}It can be {' or '.join(Crm)}."
        )
    return form_of(
        columns or (),
        rename or (),
        flat_depth,
        layout,
        csv_plain=csv_plain,
        crm=None if crm is None else Crm(crm.lower()),
        write_every_seconds=None if write_every is None else _seconds(write_every),
    )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)(?:in|ec)?", text.strip().lower())
    if found is None or not float(found[1]):
        raise UsageError(f"--write-every {text} is no time.", "Write it as --write-every 5m.")
    return float(found[1]) * _UNITS[found[2]]
