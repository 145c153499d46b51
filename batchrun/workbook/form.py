"""How the user wants results written, and the file that keeps it for the next batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchrun.errors import UsageError
from batchrun.workbook.flatten import DEEPEST, dotted
from batchrun.workbook.layout import Shape, layout_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchrun.model import BatchResults


class Crm(StrEnum):
    """A CRM that takes a CSV back."""

    SALESFORCE = "salesforce"
    HUBSPOT = "hubspot"


@dataclass(frozen=True, slots=True)
class Form:
    """How results are written.

    Attributes:
        shape: Which result columns, in which order, under which names.
        csv_plain: A CSV is for machines: no BOM, no escapes.
        crm: A CSV is for this CRM's import.
        layout: Where the shape is kept for the next batch; written once all is finished, when
            there is no such file.
        write_every_seconds: How often a running batch writes what it has; ``None`` for not.
        usual: Where results go that have gone nowhere yet: there, or under a free name like it.
            ``None`` for ``NAME.results.xlsx`` beside the list.
    """

    shape: Shape = field(default_factory=Shape)
    csv_plain: bool = False
    crm: Crm | None = None
    layout: Path | None = None
    write_every_seconds: float | None = None
    usual: Path | None = None


def form_of(
    columns: Sequence[str] = (),
    rename: Sequence[str] = (),
    flat_depth: int | None = None,
    layout: Path | None = None,
    *,
    titles: Mapping[str, str] | None = None,
    usual: Path | None = None,
    csv_plain: bool = False,
    crm: Crm | None = None,
    write_every_seconds: float | None = None,
) -> Form:
    """A form from options; they win over a layout that is there.

    Args:
        columns: Dotted names, also several in one with commas between; ``*`` stands for anything.
        rename: Each ``name=title``.
        flat_depth: The most keys in a dotted name.
        layout: A file that a batch before has kept its columns in, or where to keep them.
        titles: Dotted name → title, beneath ``rename``.
        usual: As in `Form`.
        csv_plain: As in `Form`.
        crm: As in `Form`.
        write_every_seconds: As in `Form`.

    Raises:
        UsageError: One of them can't be used.
    """
    kept = _read_layout(layout) if layout is not None and layout.exists() else Shape()
    picked = tuple(name.strip() for given in columns for name in given.split(",") if name.strip())
    named = {**(titles or {}), **kept.rename}
    for given in rename:
        name, equals, title = given.partition("=")
        if not (equals and name.strip() and title.strip()):
            raise UsageError(
                f"--rename {given} has no title.", "Write it as --rename outputs.fit_score=Fit."
            )
        named[name.strip()] = title.strip()
    shape = Shape(picked or kept.columns, named, flat_depth or kept.flat_depth)
    return Form(shape, csv_plain, crm, layout, write_every_seconds, usual)


def keep_layout(results: BatchResults, form: Form) -> None:
    """Keep the columns of these results for the next batch, unless a file keeps some already.

    Raises:
        OSError: It can't be written.
    """
    if form.layout is None or form.layout.exists():
        return
    columns = form.shape.columns
    if columns is None:
        layout = layout_of(results, form.shape)
        columns = tuple(dict.fromkeys(dotted(column.path) for column in layout.results))
    kept = {
        "columns": list(columns),
        "rename": dict(form.shape.rename),
        "flat_depth": form.shape.flat_depth,
    }
    text = json.dumps(kept, ensure_ascii=False, indent=2) + "\n"
    form.layout.write_text(text, encoding="utf-8")


def _read_layout(path: Path) -> Shape:
    problem = UsageError(
        f"The layout {path} is not one that batchrun has written.",
        "Give another, or the name of a file that is not there yet.",
    )
    try:
        kept: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise problem from error
    match kept:
        case {"columns": [*columns], "rename": {**rename}, "flat_depth": int(depth)} if depth > 0:
            return Shape(
                tuple(map(str, columns)),
                {str(name): str(title) for name, title in rename.items()},
                min(depth, DEEPEST * 10),
            )
        case _:
            raise problem
