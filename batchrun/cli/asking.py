"""Questions on a terminal: which column holds the IDs."""

from __future__ import annotations

import typer

from batchrun.model import Role
from batchrun.tables import ColumnQuestion

_ROLE_WORDS = {"company": Role.COMPANY, "contact": Role.CONTACT}


def ask_for_column(question: ColumnQuestion) -> tuple[Role, int] | None:
    """Put a question; the answer is the column's number in the file, nothing is no answer."""
    typer.echo(f"{question.text}:", err=True)
    for candidate in question.candidates:
        samples = ", ".join(candidate.samples)
        typer.echo(f"  {candidate.position + 1}  {candidate.name}: {candidate.words}", err=True)
        typer.echo(f"     such as {samples}", err=True)
    numbers = {str(candidate.position + 1): candidate.position for candidate in question.candidates}
    while (answer := _prompt(f"Which one ({', '.join(numbers)}; Enter for none)")) not in numbers:
        if not answer:
            return None
    role = question.roles[0]
    if len(question.roles) > 1:
        while (words := _prompt("Does it hold company or contact IDs")) not in _ROLE_WORDS:
            if not words:
                return None
        role = _ROLE_WORDS[words]
    return role, numbers[answer]


def _prompt(text: str) -> str:
    return str(typer.prompt(text, default="", show_default=False, err=True)).strip()
