"""Which column holds the company IDs and which the contact IDs.

By header name first. A strong name, such as *Company ID*, is believed; a weak one, such as
*Account ID*, only when most of its filled cells are UUIDs, since CRMs put their own numbers there.
Of several columns with a strong name the only one that holds UUIDs wins. What stays undecided is
refused with the candidates named, never guessed.
"""

from __future__ import annotations

import difflib
import itertools
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from batchrun.errors import InputError
from batchrun.model import Role, Table
from batchrun.tables.ids import MissingId, ValidId, parse_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

OPTIONS = {Role.COMPANY: "--company-column", Role.CONTACT: "--contact-column"}
WORDS = {Role.COMPANY: "company", Role.CONTACT: "contact"}

STRONG_NAMES = {
    Role.COMPANY: frozenset({
        "company id", "companyid", "company uuid", "companyuuid", "pg company id",
        "pgai company id", "pg ai company id", "account uuid", "organization id",
        "organisation id", "organization uuid", "organisation uuid",
    }),
    Role.CONTACT: frozenset({
        "contact id", "contactid", "contact uuid", "contactuuid", "pg contact id",
        "pgai contact id", "pg ai contact id", "person id", "person uuid", "lead id",
    }),
}  # fmt: skip

WEAK_NAMES = {
    Role.COMPANY: frozenset({
        "account id", "accountid", "associated company id", "associated company ids",
        "record id company", "company record id",
    }),
    Role.CONTACT: frozenset({
        "associated contact id", "associated contact ids", "record id contact",
        "contact record id",
    }),
}  # fmt: skip

SAMPLED_CELLS = 1_000
"""Filled cells of a column that are looked at to tell what it holds."""


def find_roles(
    table: Table, *, company_column: str | None = None, contact_column: str | None = None
) -> dict[Role, int]:
    """Find the position of each identifier column; one role is enough.

    Args:
        table: The list.
        company_column: Name of the company column, or its number from 1; ``None`` to find it.
        contact_column: The contact column likewise.

    Raises:
        InputError: A named column does not exist, two columns may have the same role, or no
            column has one.
    """
    named = {Role.COMPANY: company_column, Role.CONTACT: contact_column}
    roles = {
        role: find_column(table, name, OPTIONS[role])
        for role, name in named.items()
        if name is not None
    }
    if len(set(roles.values())) < len(roles):
        raise InputError(
            f"{table.source.name}: column {_quoted(table, roles.values())} can't be both the"
            " company and the contact column.",
            f"Name two columns, or only one of {' and '.join(OPTIONS.values())}.",
        )

    @cache
    def holds_ids(column: int) -> bool:
        return _mostly_uuids(table, column)

    for role in Role:
        if role in roles:
            continue
        candidates = _candidates(table, role, roles, holds_ids)
        if len(candidates) > 1:
            raise InputError(
                f"{table.source.name} has {len(candidates)} columns that may hold the"
                f" {WORDS[role]} IDs: {_quoted(table, candidates)}.",
                f"Say which with {OPTIONS[role]}.",
            )
        roles.update((role, column) for column in candidates)
    if not roles:
        raise _nothing_found(table, holds_ids)
    return roles


def normalise(name: str) -> str:
    """A header name without case, accents, punctuation and superfluous white space."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = (
        character if character.isalnum() else " "
        for character in decomposed
        if unicodedata.category(character) not in {"Mn", "Cf"}
    )
    return " ".join("".join(kept).split())


def _candidates(
    table: Table, role: Role, taken: Mapping[Role, int], holds_ids: Callable[[int], bool]
) -> list[int]:
    free = [
        (column, normalise(name))
        for column, name in enumerate(table.header)
        if column not in taken.values()
    ]
    strong = [column for column, name in free if name in STRONG_NAMES[role]]
    if len(strong) == 1:
        return strong
    if strong:
        with_ids = [column for column in strong if holds_ids(column)]
        return with_ids if len(with_ids) == 1 else strong
    return [column for column, name in free if name in WEAK_NAMES[role] and holds_ids(column)]


def _mostly_uuids(table: Table, column: int) -> bool:
    parsed = map(parse_id, table.frame[column])
    filled = (each for each in parsed if not isinstance(each, MissingId))
    sample = [isinstance(each, ValidId) for each in itertools.islice(filled, SAMPLED_CELLS)]
    return sum(sample) * 2 > len(sample)


def find_column(table: Table, name: str, option: str) -> int:
    """The position of the column a user means: by name, by normalised name, or by number from 1.

    Args:
        table: The list.
        name: What the user wrote.
        option: The option it was written with, for the error message.

    Raises:
        InputError: There is no such column, or there are several.
    """
    wanted = normalise(name)
    matches = [column for column, each in enumerate(table.header) if each == name] or [
        column for column, each in enumerate(table.header) if wanted and normalise(each) == wanted
    ]
    if len(matches) > 1:
        numbers = " or ".join(str(column + 1) for column in matches)
        raise InputError(
            f"{table.source.name} has {len(matches)} columns named {name!r}.",
            f"Give the column's number instead: {option} {numbers}.",
        )
    if matches:
        return matches[0]
    if name.isdecimal() and 1 <= int(name) <= len(table.header):
        return int(name) - 1
    by_name = {normalise(each): column for column, each in enumerate(table.header)}
    close = [by_name[each] for each in difflib.get_close_matches(wanted, by_name)]
    hint = f"Did you mean {_quoted(table, close, ' or ')}?" if close else _columns_hint(table)
    raise InputError(f"{table.source.name} has no column {name!r} ({option}).", hint)


def _nothing_found(table: Table, holds_ids: Callable[[int], bool]) -> InputError:
    columns = range(len(table.header))
    holders = [column for column in columns if holds_ids(column)]
    found = f"UUIDs are in {_quoted(table, holders)}" if holders else "No column holds UUIDs"
    return InputError(
        f"{table.source.name}: no column is named like a company or contact ID."
        f" {found}. {_columns_hint(table)}",
        f"Say which it is with {' or '.join(OPTIONS.values())}.",
    )


def _columns_hint(table: Table) -> str:
    return f"Its columns: {_quoted(table, range(len(table.header)))}."


def _quoted(table: Table, columns: Iterable[int], separator: str = ", ") -> str:
    names = (table.header[column].strip() or f"(column {column + 1})" for column in columns)
    return separator.join(dict.fromkeys(names))
