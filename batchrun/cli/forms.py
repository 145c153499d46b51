"""The options that say how results are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from batchrun.errors import UsageError
from batchrun.words import meant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.settings import ListDefaults
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


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """Which result columns, and how they are written: the same wherever results are."""

    columns: Columns = None
    rename: Rename = None
    flat_depth: FlatDepth = None
    layout: LayoutFile = None
    csv_plain: CsvPlain = False


def form_from(
    options: ColumnOptions,
    *,
    crm: str | None = None,
    write_every: str | None = None,
    defaults: ListDefaults | None = None,
    source: Path | str | None = None,
) -> Form:
    """The form that the options ask for.

    Args:
        options: As given.
        crm: As given.
        write_every: As given.
        defaults: What counts where the options say nothing.
        source: The list, which names the results.

    Raises:
        UsageError: One of them can't be used.
    """
    from batchrun.settings import ListDefaults
    from batchrun.workbook import Crm, Form

    usual = defaults or ListDefaults()
    layout = options.layout
    kept = layout is not None and layout.exists()
    shape = ListDefaults() if kept else usual  # a layout says it all
    every, said_by = write_every, "--write-every"
    if every is None:
        every, said_by = usual.write_every, "write_every in batchrun.toml"

    if crm is not None and crm.lower() not in set(Crm):
        raise UsageError(
            f"--crm {crm} is not known.", f"{meant(crm, Crm)}It can be {' or '.join(Crm)}."
        )
    wanted = Form(
        _names(options.columns or shape.columns),
        _titles(options.rename or ()),
        options.flat_depth or shape.flat_depth,
        options.csv_plain or usual.csv_plain,
        None if crm is None else Crm(crm.lower()),
        layout,
        None if every is None else _seconds(every, said_by),
        None if source is None else usual.output_of(Path(source)),
    )
    return wanted.with_layout().over(Form(rename=shape.rename))


def _names(columns: Sequence[str]) -> Sequence[str] | None:
    """Dotted names, given one by one or with commas between; ``None`` for none."""
    return (
        tuple(name for given in columns for one in given.split(",") if (name := one.strip()))
        or None
    )


def _titles(rename: Sequence[str]) -> dict[str, str]:
    titles: dict[str, str] = {}
    for given in rename:
        name, equals, title = given.partition("=")
        if not (equals and name.strip() and title.strip()):
            raise UsageError(
                f"--rename {given} has no title.", "Write it as --rename outputs.fit_score=Fit."
            )
        titles[name.strip()] = title.strip()
    return titles


def _seconds(text: str, said_by: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)(?:in|ec)?", text.strip().lower())
    if found is None or not float(found[1]):
        raise UsageError(f"{said_by}: {text} is no time.", "Write it as 30s, 5m or 1h.")
    return float(found[1]) * _UNITS[found[2]]
