"""Which column holds the company IDs and which the contact IDs.

By header name first. A strong name, such as *Company ID*, is believed; a weak one, such as
*Account ID*, only when most of its filled cells are UUIDs, since CRMs put their own numbers there.
Of several columns with a strong name the only one that holds UUIDs wins. What stays undecided is
asked, or refused with the candidates and samples of what they hold; never guessed.
"""

from __future__ import annotations

import difflib
import itertools
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from batchrun.errors import InputError
from batchrun.model import Role, Table
from batchrun.tables.ids import DamagedId, IdKind, MissingId, ValidId, parse_id
from batchrun.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


STRONG_NAMES = {
    Role.COMPANY: frozenset({
        "company id", "companyid", "company uuid", "companyuuid", "pg company id",
        "pgai company id", "pg ai company id", "account uuid", "organization id",
        "organisation id", "organization uuid", "organisation uuid",
        # as German, French, Spanish and Dutch CRMs name them
        "firmen id", "unternehmens id", "id entreprise", "id societe", "id empresa", "bedrijfs id",
    }),
    Role.CONTACT: frozenset({
        "contact id", "contactid", "contact uuid", "contactuuid", "pg contact id",
        "pgai contact id", "pg ai contact id", "person id", "person uuid", "lead id",
        "kontakt id", "ansprechpartner id", "id contact", "id contacto", "contactpersoon id",
    }),
}  # fmt: skip
"""Believed by themselves; see CRM exports in docs/loading.md."""

WEAK_NAMES = {
    Role.COMPANY: frozenset({
        "account id", "accountid", "associated company id", "associated company ids",
        "associated company ids primary", "record id company", "company record id",
    }),
    Role.CONTACT: frozenset({
        "associated contact id", "associated contact ids", "record id contact",
        "contact record id",
    }),
}  # fmt: skip
"""Believed only when most filled cells under them are UUIDs: CRMs keep their own IDs there."""

_KNOWN = frozenset({"id", "record id"}).union(*STRONG_NAMES.values(), *WEAK_NAMES.values())


def normalise(name: str) -> str:
    """A header name without case, accents, punctuation and superfluous white space."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = (
        character if character.isalnum() else " "
        for character in decomposed
        if unicodedata.category(character) not in {"Mn", "Cf"}
    )
    return " ".join("".join(kept).split())


def is_known_name(cell: object) -> bool:
    """Whether a cell is the name of an ID column, as headers have it and rows do not."""
    return isinstance(cell, str) and len(cell) < 60 and normalise(cell) in _KNOWN


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
    name = visible(" ".join(table.header[position].split()), kept="")
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
    line = visible(" ".join(text.split()), kept="")
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


OPTIONS = {Role.COMPANY: "--company-column", Role.CONTACT: "--contact-column"}
WORDS = {Role.COMPANY: "company", Role.CONTACT: "contact"}
SHOWN_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class ColumnQuestion:
    """A choice only the user can make.

    Attributes:
        text: The question.
        roles: The roles the column may get.
        candidates: The columns to choose from, and what they hold.
    """

    text: str
    roles: tuple[Role, ...]
    candidates: tuple[Contents, ...]


Ask: TypeAlias = "Callable[[ColumnQuestion], tuple[Role, int] | None]"
"""Puts a question; gives the role and the column's position, or ``None`` for no answer."""


def find_roles(
    table: Table,
    *,
    company_column: str | None = None,
    contact_column: str | None = None,
    lenient: bool = False,
    ask: Ask | None = None,
) -> dict[Role, int]:
    """Find the position of each identifier column; one role is enough.

    Args:
        table: The list.
        company_column: Name of the company column, or its number from 1; ``None`` to find it.
        contact_column: The contact column likewise.
        lenient: Whether what merely looks like a UUID counts as one.
        ask: Puts a tie to the user; ``None`` when nobody is there.

    Raises:
        InputError: A named column does not exist, two columns may have the same role, or no
            column has one, and nobody could be asked.
    """
    roles = _named_roles(table, {Role.COMPANY: company_column, Role.CONTACT: contact_column})

    @cache
    def holds_ids(column: int) -> bool:
        return mostly_ids(table, column, lenient=lenient)

    for role in Role:
        if role in roles:
            continue
        candidates = _candidates(table, role, roles, holds_ids)
        if len(candidates) > 1:
            question = _question(
                table,
                f"{table.source.name} has {len(candidates)} columns that may hold the"
                f" {WORDS[role]} IDs",
                (role,),
                candidates,
                lenient=lenient,
            )
            roles.update([_answer(question, ask, f"Say which with {OPTIONS[role]}.")])
        else:
            roles.update((role, column) for column in candidates)
    if not roles:
        roles.update([_ask_for_any(table, holds_ids, ask, lenient=lenient)])
    return roles


def _named_roles(table: Table, named: Mapping[Role, str | None]) -> dict[Role, int]:
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
    return roles


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


def _ask_for_any(
    table: Table, holds_ids: Callable[[int], bool], ask: Ask | None, *, lenient: bool
) -> tuple[Role, int]:
    """No column is named like an ID: those that hold UUIDs are the candidates."""
    holders = [column for column in range(len(table.header)) if holds_ids(column)]
    what = f"{table.source.name}: no column is named like a company or contact ID"
    hint = f"Say which it is with {' or '.join(OPTIONS.values())}."
    if not holders:
        raise InputError(f"{what}. No column holds UUIDs. {_columns_hint(table)}", hint)
    text = f"{what}. UUIDs are in"
    question = _question(table, text, tuple(Role), holders, lenient=lenient)
    return _answer(question, ask, hint, _columns_hint(table))


def _question(
    table: Table, text: str, roles: tuple[Role, ...], columns: Sequence[int], *, lenient: bool
) -> ColumnQuestion:
    shown = columns[:SHOWN_CANDIDATES]
    contents = tuple(read_contents(table, column, lenient=lenient) for column in shown)
    return ColumnQuestion(text, roles, contents)


def _answer(
    question: ColumnQuestion, ask: Ask | None, hint: str, more: str = ""
) -> tuple[Role, int]:
    answer = None if ask is None else ask(question)
    if answer is not None:
        return answer
    listed = "; ".join(map(candidate_words, question.candidates))
    what = f"{question.text}: {listed}."
    raise InputError(f"{what} {more}" if more else what, hint)


def candidate_words(contents: Contents) -> str:
    """A column that may be meant, with what it holds and samples."""
    samples = ", ".join(contents.samples)
    return f"{contents.name} (column {contents.position + 1}: {contents.words}, such as {samples})"


def find_column(table: Table, name: str, option: str) -> int:
    """The position of the column a user means: by name, by normalised name, or by number from 1.

    Args:
        table: The list.
        name: What the user wrote.
        option: The parameter it was given with, for the error message.

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


def _columns_hint(table: Table) -> str:
    return f"Its columns: {_quoted(table, range(len(table.header)))}."


def _quoted(table: Table, columns: Iterable[int], separator: str = ", ") -> str:
    return separator.join(dict.fromkeys(column_name(table, column) for column in columns))
