"""Options that say how a list is read, and the question which column holds the IDs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from batchrun.cli.asking import off_stdout, on_stderr
from batchrun.cli.stopping import heard_at_once
from batchrun.cli.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchrun.model import Role
    from batchrun.tables import ColumnQuestion

HeaderRow: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Line with the column names.")
]
VisibleOnly: TypeAlias = Annotated[
    bool, typer.Option("--visible-only", help="Leave out rows that are hidden or filtered out.")
]
LenientIds: TypeAlias = Annotated[
    bool, typer.Option("--lenient-ids", help="Send what merely looks like a UUID.")
]
MappingFile: TypeAlias = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE.toml", help="Read columns as saved there.")
]
SaveMapping: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Keep this choice of columns there.")
]


def ask_if_somebody_is_here() -> Callable[[ColumnQuestion], tuple[Role, int] | None] | None:
    """What puts a question on the terminal; ``None`` when nobody sits there."""
    return ask_for_column if sys.stdin.isatty() else None


def ask_for_column(question: ColumnQuestion) -> tuple[Role, int] | None:
    """Put a question; the answer is the column's number in the file, nothing is no answer."""
    from batchrun.model import Role

    tell(f"{question.text}:", err=True)
    for candidate in question.candidates:
        samples = ", ".join(candidate.samples)
        tell(f"  {candidate.position + 1}  {candidate.name}: {candidate.words}", err=True)
        tell(f"     such as {samples}", err=True)
    numbers = {str(candidate.position + 1): candidate.position for candidate in question.candidates}
    while (answer := _prompt(f"Which one ({', '.join(numbers)}; Enter for none)")) not in numbers:
        if not answer:
            return None
        tell(f"{answer} is none of {', '.join(numbers)}.", err=True)
    role = question.roles[0]
    if len(question.roles) > 1:
        words = {"company": Role.COMPANY, "contact": Role.CONTACT}
        while (said := _prompt("Does it hold company or contact IDs")) not in words:
            if not said:
                return None
            tell(f"{said} is neither company nor contact.", err=True)
        role = words[said]
    return role, numbers[answer]


def _prompt(text: str) -> str:
    with heard_at_once(), off_stdout():
        return str(typer.prompt(text, default="", show_default=False, err=on_stderr())).strip()
