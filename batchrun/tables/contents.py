"""What a column holds where IDs might be: counted by kind, with samples. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.model import Role, Table
from batchrun.tables.ids import DamagedId, IdKind, MissingId, ValidId, parse_id
from batchrun.tables.names import is_known_name

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLED_CELLS = 1_000
"""Filled cells of a column that are looked at to tell what it holds."""

SAMPLES = 3
SAMPLE_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Contents:
    """What a column holds.

    Attributes:
        position: Which column, from 0.
        name: Its name as it can be shown.
        uuids: Cells that are IDs.
        damaged: Other cells by what they seem to be.
        empty: Cells that hold nothing.
        samples: Up to three different filled cells, as text.
    """

    position: int
    name: str
    uuids: int
    damaged: Mapping[IdKind, int]
    empty: int
    samples: tuple[str, ...]

    @property
    def words(self) -> str:
        """The counts in words, such as ``58 UUIDs, 2 Salesforce IDs, 1 empty``."""
        parts = [f"{self.uuids:,} UUID{'' if self.uuids == 1 else 's'}"] if self.uuids else []
        parts += [f"{number:,} {_plural(kind, number)}" for kind, number in self.damaged.items()]
        parts += [f"{self.empty:,} empty"] if self.empty else []
        return ", ".join(parts)


def _plural(kind: IdKind, number: int) -> str:
    if number == 1:
        return kind.value
    first, *rest = kind.value.split(" ", 1)
    if first in {"number", "cell"} and rest:
        return f"{first}s {rest[0]}"
    return f"{kind.value}es" if kind.value.endswith("address") else f"{kind.value}s"


def column_name(table: Table, position: int) -> str:
    """A column's name on one line; its number when it has none."""
    name = " ".join(table.header[position].split())
    return name or f"(column {position + 1})"


def read_contents(table: Table, position: int, *, lenient: bool = False) -> Contents:
    """Count what a column holds; every cell is looked at."""
    column = table.cells[position]
    uuids = empty = 0
    damaged: Counter[IdKind] = Counter()
    for cell in column:
        match parse_id(cell, lenient=lenient):
            case ValidId():
                uuids += 1
            case MissingId():
                empty += 1
            case DamagedId(kind=kind):
                damaged[kind] += 1
    filled = (str(cell) for cell in column if cell is not None and str(cell).strip())
    samples = itertools.islice(dict.fromkeys(itertools.islice(filled, SAMPLED_CELLS)), SAMPLES)
    return Contents(
        position,
        column_name(table, position),
        uuids,
        dict(damaged.most_common()),
        empty,
        tuple(_short(sample) for sample in samples),
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SAMPLE_CHARACTERS else f"{line[: SAMPLE_CHARACTERS - 1]}…"


def mostly_ids(table: Table, position: int, *, lenient: bool = False) -> bool:
    """Whether most filled cells of a column, as far as sampled, are IDs."""
    parsed = (parse_id(cell, lenient=lenient) for cell in table.cells[position])
    filled = (each for each in parsed if not isinstance(each, MissingId))
    sample = [isinstance(each, ValidId) for each in itertools.islice(filled, SAMPLED_CELLS)]
    return sum(sample) * 2 > len(sample)


def candidate_contents(
    table: Table, roles: Mapping[Role, int], *, lenient: bool = False
) -> list[Contents]:
    """What the ID columns hold, and the other columns that might have been meant."""
    chosen = list(roles.values())
    others = [
        position
        for position, name in enumerate(table.header)
        if position not in chosen
        and (is_known_name(name) or mostly_ids(table, position, lenient=lenient))
    ]
    return [read_contents(table, position, lenient=lenient) for position in [*chosen, *others]]


def swap_notice(table: Table, roles: Mapping[Role, int]) -> str:
    """What is to be said when the same IDs stand under both roles, else ``""``."""
    if len(roles) < 2:
        return ""
    ids = {
        role: [each.value if isinstance(each, ValidId) else None for each in _parsed(table, column)]
        for role, column in roles.items()
    }
    companies, contacts = ids[Role.COMPANY], ids[Role.CONTACT]
    both = (set(companies) & set(contacts)) - {None}
    if not both:
        return ""
    lines = [
        line
        for line, company, contact in zip(table.lines, companies, contacts, strict=True)
        if company in both or contact in both
    ]
    rows = "1 row has" if len(lines) == 1 else f"{len(lines):,} rows have"
    return (
        f"{rows} an ID that stands under both {column_name(table, roles[Role.COMPANY])} and"
        f" {column_name(table, roles[Role.CONTACT])}: some may be swapped (first: line {lines[0]})"
    )


def _parsed(table: Table, column: int) -> list[object]:
    return [parse_id(cell) for cell in table.cells[column]]
