"""Which columns of a list name its rows for people. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchrun.model import Cell

_WHOLE = (
    "account name", "company name", "name", "organization name", "organisation name",
    "full name", "contact name", "account", "company", "organization", "organisation",
    "firma", "firmenname", "unternehmen", "société", "entreprise", "empresa", "azienda",
    "ragione sociale", "bedrijf", "bedrijfsnaam", "e mail", "email",
)  # fmt: skip
_PARTS = (
    ("first name", "last name"),
    ("vorname", "nachname"),
    ("prénom", "nom"),
    ("nombre", "apellidos"),
)


def name_columns(header: Sequence[str]) -> tuple[int, ...]:
    """Positions of the column, or the first and last name, that says who a row is; or none."""
    columns: dict[str, int] = {}
    for position, title in enumerate(header):
        columns.setdefault(
            " ".join(re.findall(r"\w+", title.casefold().replace("_", " "))), position
        )
    for first, last in _PARTS:
        if first in columns and last in columns:
            return columns[first], columns[last]
    return next(((columns[name],) for name in _WHOLE if name in columns), ())


def name_of(cells: Sequence[Cell], columns: Sequence[int]) -> str | None:
    """What a row is called."""
    parts = (cells[column] for column in columns)
    return " ".join(str(part).strip() for part in parts if part not in {None, ""}) or None
