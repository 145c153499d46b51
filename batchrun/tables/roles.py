"""Find the columns with the company IDs and the contact IDs.

A column gets a role only if most of its filled cells are UUIDs. Among those columns, the name
decides, in this order: the service's own names, such as *PG Company ID*; plain names, such as
*Company ID*; names that CRMs also use for their own IDs, such as *Account ID*. If no column of the
list holds UUIDs, a name of the first two kinds is enough, and the rows are invalid.

If several columns qualify, or none does, the user is asked. Without a user, an error lists the
candidates with samples of their contents. A column is never guessed.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from array import array
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from operator import add
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from batchrun.advice import Advice
from batchrun.errors import InputError, UsageError
from batchrun.model import Role, Table
from batchrun.tables.cells import is_filled
from batchrun.tables.ids import (
    EXAMPLE_ID,
    DamagedId,
    IdKind,
    MissingId,
    ValidId,
    find_id,
    normal_form,
    parse_id,
)
from batchrun.text import close_matches, listed, one_line, plural, visible, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from batchrun.model import Cell


_OWN = ("pg", "pgai", "pg ai", "pipeline generation")
_KINDS = ("id", "uuid", "guid")
_COMPANY = ("company", "account", "organization", "organisation")
_CONTACT = ("contact", "person", "lead")


def _own_names(objects: Iterable[str]) -> frozenset[str]:
    """Add the service's name in any position: Pipedrive has *Organization - PG ID*."""
    return frozenset(
        separator.join(words)
        for each, own, kind in itertools.product(objects, _OWN, _KINDS)
        for words in ((own, each, kind), (each, own, kind), (each, kind, own), (own, each + kind))
        for separator in (" ", "")
    )


def _id_names(nouns: Iterable[str], kinds: Iterable[str] = _KINDS) -> frozenset[str]:
    """Return the names that consist of a noun and a kind of ID, in either order."""
    return frozenset(
        separator.join(words)
        for pair in itertools.product(nouns, kinds)
        for words in (pair, pair[::-1])
        for separator in (" ", "")
    )


NAMES = {
    Role.COMPANY: (
        _own_names(_COMPANY),
        _id_names((
            "company", "organization", "organisation", "organisations", "firma", "firmen", "firmy",
            "unternehmen", "unternehmens", "entreprise", "societe", "empresa", "bedrijf",
            "bedrijfs", "azienda", "societa", "foretag", "foretags", "virksomhed", "virksomheds",
            "spolecnosti", "sirket", "компании", "会社", "公司",
        )) | _id_names(("account",), ("uuid", "guid")),
        frozenset({
            "account id", "accountid", "associated company id", "associated company ids",
            "associated company ids primary", "record id company", "company record id",
        }),
    ),
    Role.CONTACT: (
        _own_names(_CONTACT),
        _id_names((
            *_CONTACT, "kontakt", "ansprechpartner", "contacto", "contato", "contatto",
            "contactpersoon", "persona", "personne", "pessoa", "контакта", "連絡先", "联系人",
        )),
        frozenset({
            "associated contact id", "associated contact ids", "record id contact",
            "contact record id",
        }),
    ),
}  # fmt: skip
"""Names of ID columns, in tiers: the service's own, plain ones, and those of a CRM's own IDs."""

_EITHER = _id_names(_OWN) | {"id", "record id"}
_KNOWN = _EITHER.union(*(tier for tiers in NAMES.values() for tier in tiers))


def normalise(name: str) -> str:
    """Return a column name in lowercase, without accents, punctuation and extra white space."""
    decomposed = normal_form("NFKD", name.casefold())
    kept = (
        character if character.isalnum() else " "
        for character in decomposed
        if unicodedata.category(character) not in {"Mn", "Cf"}
    )
    return " ".join("".join(kept).split())


def is_known_name(cell: object) -> bool:
    """Whether a cell is a known name of an ID column."""
    return isinstance(cell, str) and len(cell) < 60 and not _KNOWN.isdisjoint(_spellings(cell))


def roles_named(name: object) -> set[Role]:
    """Return the roles whose IDs stand below a column with this name."""
    if not isinstance(name, str):
        return set()
    spellings = _spellings(name)
    return {role for role, tiers in NAMES.items() if any(tier & spellings for tier in tiers)}


_ARTICLES = frozenset(
    {"d", "da", "de", "del", "dell", "della", "der", "des", "di", "do", "du", "l", "la"}
)
_OF_AN_OBJECT = re.compile(
    rf"\A(\d+[.)]\s+|({'|'.join((*_COMPANY, *_CONTACT))})(__r)?(\.|:\s|\s-\s))+", re.IGNORECASE
)
"""A number or the objects that the field belongs to, as in *Account.PG_Company_ID__c*."""
_REMARK = re.compile(
    r"(__c|(?<!\s)\s*[(\[](required|optional|read.only|text|18|uuid|guid)[)\]])\Z", re.IGNORECASE
)
"""An ending that does not change which ID it is; *__c* marks a custom field of Salesforce."""


@lru_cache(maxsize=20_000)  # more than a list has columns
def _spellings(name: str) -> frozenset[str]:
    """Return a name and its parts, normalized: *IDs / Company ID* also matches *Company ID*."""
    field = _OF_AN_OBJECT.sub("", _REMARK.sub("", name.strip()), count=1)
    found = {normalise(part) for part in (name, field, *name.split(" / "))}
    without_articles = {" ".join(w for w in each.split() if w not in _ARTICLES) for each in found}
    return frozenset(found | without_articles)


SAMPLED_CELLS = 1_000
"""Cells of a column to sample."""

SAMPLES = 3
SAMPLE_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Contents:
    """A summary of a column's contents.

    Attributes:
        position: Position of the column, from 0.
        name: Its name, ready for display.
        uuids: Number of cells that are IDs.
        damaged: Number of other filled cells, by likely kind.
        empty: Number of empty cells.
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
        """The counts in words, such as ``58 PG:AI IDs, 2 Salesforce IDs, 1 empty``."""
        parts = [plural(self.uuids, "PG:AI ID")] if self.uuids else []
        parts += [plural(number, kind, plural_of(kind)) for kind, number in self.damaged.items()]
        parts += [f"{self.empty:,} empty"] if self.empty else []
        return ", ".join(parts)


def plural_of(kind: str) -> str:
    """Return the plural of what rows or cells are, such as ``cells with a PG:AI ID``."""
    noun, *rest = kind.split(" ", 1)
    if noun in {"cell", "line", "number", "row", "title"}:
        return " ".join([f"{noun}s", *rest])
    return f"{kind}es" if kind.endswith("address") else f"{kind}s"


def column_name(table: Table, position: int) -> str:
    """Return a column's name on one line, or its number if it has no name."""
    name = visible(" ".join(table.header[position].split()), kept="")
    return name or f"(column {position + 1})"


def column_options(header: Sequence[str], roles: Mapping[Role, int]) -> tuple[str, ...]:
    """Return the options with which the same ID columns are found again; none if by their names."""
    words: list[str] = []
    for role in Role:
        if (at := roles.get(role)) is None:
            words += [NONE_OF[role]] if any(role in roles_named(name) for name in header) else []
        elif role not in roles_named(header[at]) or header.count(header[at]) > 1:
            unique = header[at].strip() and header.count(header[at]) == 1
            words += [OPTIONS[role], header[at] if unique else str(at + 1)]
    return tuple(words)


def read_contents(table: Table, position: int, *, lenient: bool = False) -> Contents:
    """Summarize a column's contents. Reads every cell."""
    column = table.cells[position]
    parsed = (parse_id(cell, lenient=lenient) for cell in column)
    found: Counter[Any] = Counter(getattr(each, "kind", type(each)) for each in parsed)
    uuids, empty = found.pop(ValidId, 0), found.pop(MissingId, 0)
    filled = (str(cell) for cell in column if cell is not None and str(cell).strip())
    samples = itertools.islice(dict.fromkeys(itertools.islice(filled, SAMPLED_CELLS)), SAMPLES)
    return Contents(
        position,
        column_name(table, position),
        uuids,
        dict(found.most_common()),
        empty,
        tuple(one_line(sample, SAMPLE_CHARACTERS) for sample in samples),
    )


def mostly_ids(table: Table, position: int, *, lenient: bool = False) -> bool:
    """Whether most filled cells in a sample of a column are IDs."""
    step = len(table) // SAMPLED_CELLS + 1
    # if step > 1, the column may be so sparse that the sample misses all filled cells
    found = _are_ids(table, position, step, lenient) or _are_ids(table, position, 1, lenient)
    return sum(found) * 2 > len(found)


def _are_ids(table: Table, position: int, step: int, lenient: bool) -> list[bool]:
    """Return whether each filled cell in a sample of a column is an ID.

    Rows that are shifted relative to the header don't count: other columns' cells are in them.
    """
    skipped = table.misaligned if len(table.misaligned) < len(table) else frozenset()
    sample = zip(table.lines[::step].tolist(), table.cells[position][::step], strict=True)
    parsed = (parse_id(cell, lenient=lenient) for line, cell in sample if line not in skipped)
    return [isinstance(each, ValidId) for each in parsed if not isinstance(each, MissingId)]


def candidate_contents(
    table: Table, roles: Mapping[Role, int], *, lenient: bool = False
) -> list[Contents]:
    """Summarize the ID columns, then other columns that might hold the IDs."""
    chosen = list(roles.values())
    others = [
        position
        for position, name in enumerate(table.header)
        if position not in chosen
        and (is_known_name(name) or mostly_ids(table, position, lenient=lenient))
    ]
    return [read_contents(table, position, lenient=lenient) for position in [*chosen, *others]]


def swap_notice(table: Table, roles: Mapping[Role, int]) -> str:
    """Return a notice if the same IDs are in both ID columns, else ``""``."""
    if len(roles) < 2:
        return ""
    companies, contacts = (_hashes(table.cells[roles[role]]) for role in Role)
    both = set(np.intersect1d(companies, contacts).tolist()) - {_NO_ID}
    if not both:
        return ""
    pairs = zip(table.lines, companies, contacts, strict=True)
    lines = [line for line, company, contact in pairs if company in both or contact in both]
    rows = plural(len(lines), "row has", "rows have")
    return (
        f"{rows} an ID that is in both {column_name(table, roles[Role.COMPANY])} and"
        f" {column_name(table, roles[Role.CONTACT])}: some may be swapped (first: line {lines[0]})"
    )


_NO_ID = 0


def _hashes(column: Iterable[Cell]) -> array[int]:
    """Return a hash of each ID, because a large list's IDs would take too much memory."""
    return array("q", (hash(found) if found else _NO_ID for found in map(find_id, column)))


OPTIONS = {Role.COMPANY: "--company-column", Role.CONTACT: "--contact-column"}
NONE_OF = {Role.COMPANY: "--no-company", Role.CONTACT: "--no-contact"}


def column_parameter(role: Role) -> str:
    """Return the parameter of a request that names the column of a role."""
    return f"{role.name.lower()}_column"


def choose_column(contents: Contents, role: Role) -> Advice:
    """Return the advice to use a column for a role."""
    named = {column_parameter(role): contents.name}
    option = f"{OPTIONS[role]} {contents.position + 1}"
    return Advice("Choose the column that has the IDs", f", {contents.name}: {option}", **named)


_COLUMN_PARAMETERS = dict.fromkeys(map(column_parameter, Role), "")
WORDS = {Role.COMPANY: "company", Role.CONTACT: "contact"}
SHOWN_CANDIDATES = 8
_EXPORT_IDS = (
    "Export the list from PG:AI, or add the CRM field that holds the PG:AI ID (such as PG Company"
    " ID or PG Contact ID) to the report or view and export it again."
)
GET_IDS = (
    f"PG:AI needs its own IDs, such as {EXAMPLE_ID}; IDs of your CRM can't be sent. {_EXPORT_IDS}"
)
"""What to do if the list holds a CRM's own IDs."""


@dataclass(frozen=True, slots=True)
class ColumnQuestion:
    """A choice of column that only the user can make.

    Attributes:
        text: The question.
        roles: The roles that the column may get.
        candidates: The columns to choose from, with their contents.
        doubts: Notices that another line may be the header.
    """

    text: str
    roles: tuple[Role, ...]
    candidates: tuple[Contents, ...]
    doubts: tuple[str, ...] = ()


Ask: TypeAlias = "Callable[[ColumnQuestion], tuple[Role, int] | None]"
"""Asks the user; returns the role and the column's position, or ``None`` without an answer."""


def find_roles(
    table: Table,
    *,
    company_column: str | None = None,
    contact_column: str | None = None,
    without: Collection[Role] = (),
    lenient: bool = False,
    ask: Ask | None = None,
) -> dict[Role, int]:
    """Find the position of each ID column; a list needs only one of them.

    A column is given by name or by number from 1; ``None`` finds it. Roles in ``without`` are not
    sent. If ``lenient``, IDs that are not valid UUIDs also count.

    Raises:
        InputError: A named column does not exist, the file seems to hold two lists side by side,
            or several columns or none qualify and the question was not answered.
        UsageError: The options exclude each other, or leave no role to send.
    """
    named = {Role.COMPANY: company_column, Role.CONTACT: contact_column}
    _check_without(without, named)
    roles = _named_roles(table, named)
    wanted = [role for role in Role if role not in without]
    holders = [at for at in range(len(table.header)) if mostly_ids(table, at, lenient=lenient)]
    search = _Search(table, wanted, holders, lenient, ask)
    for role in wanted:
        if role not in roles:
            roles.update(search.by_name(role, roles))
    if not roles and not holders:
        # each row then gets a reason that says what its cell holds instead of an ID
        for role in wanted:
            own, plain, _ = NAMES[role]
            found = [at for at, name in enumerate(table.header) if _spellings(name) & (own | plain)]
            if len(found) == 1:
                roles[role] = found[0]
    for role in wanted:
        if roles and role not in roles:
            search.refuse_partly_ids(role, roles)
    if not roles:
        roles.update([search.ask_for_any()])
    if None in named.values():
        _refuse_side_by_side(table, roles)
    return roles


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for the ID columns of a list."""

    table: Table
    wanted: Sequence[Role]
    holders: Sequence[int]  # the columns that mostly hold IDs
    lenient: bool  # whether IDs that are not valid UUIDs also count
    ask: Ask | None  # asks the user; None if there is no user to ask

    def by_name(self, role: Role, taken: Mapping[Role, int]) -> list[tuple[Role, int]]:
        """Find the column that holds IDs and has a name of a role; ask if there are several."""
        free = [at for at in self.holders if at not in taken.values()]
        named = (
            [at for at in free if tier & _spellings(self.table.header[at])] for tier in NAMES[role]
        )
        columns = _distinct(self.table, next(filter(None, named), []))
        if len(columns) < 2:
            return [(role, column) for column in columns]
        count = f"{self.table.source.name} has {len(columns)} columns"
        text = f"{count} that may hold the {WORDS[role]} IDs"
        hint = Advice("", f"Choose one with {OPTIONS[role]}.", **{column_parameter(role): ""})
        return [self._asked(text, (role,), columns, hint)]

    def refuse_partly_ids(self, role: Role, roles: Mapping[Role, int]) -> None:
        """Refuse to leave out a column that is named like IDs of a role and holds some."""
        for column in _named_like(self.table, role, roles):
            if not any(_are_ids(self.table, column, 1, self.lenient)):
                continue
            contents = read_contents(self.table, column, lenient=self.lenient)
            raise InputError(
                f"{self.table.source.name}: only some cells of column {contents.name} are PG:AI IDs"
                f" ({contents.words}).",
                Advice(
                    "Correct it",
                    f", or choose: {OPTIONS[role]} {column + 1} sends the rows that hold one,"
                    f" {NONE_OF[role]} sends no {WORDS[role]} IDs.",
                    **{column_parameter(role): contents.name},
                ),
            )

    def ask_for_any(self) -> tuple[Role, int]:
        """Ask which column to use if none both holds UUIDs and has a known name.

        The candidates are the columns that hold UUIDs.

        Raises:
            InputError: There are no candidates, or the question was not answered.
        """
        table, wanted = self.table, self.wanted
        number = f" {self.holders[0] + 1}" if self.holders else ""
        named_by = " or ".join(f"{OPTIONS[role]}{number}" for role in wanted)
        parameters = {column_parameter(role): "" for role in wanted}
        hint: str = Advice("", f"Choose it by name or number, with {named_by}.", **parameters)
        kinds = " or ".join(WORDS[role] for role in wanted)
        name, columns = table.source.name, f" {_columns_hint(table)}"
        like = [column for role in wanted for column in _named_like(table, role, {})]
        if self.holders:
            failed = f" ({_quoted(table, like)}: most cells are not PG:AI IDs)" if like else ""
            text = f"{name}: no column with PG:AI IDs is named like a {kinds} ID{failed}."
            text += " PG:AI IDs are in"
            hint += _header_hint(table)
            return self._asked(text, wanted, self.holders, hint, columns)
        links = table.source.links
        like = like or [column for column in range(len(table.header)) if _crm_ids(table, column)]
        if not like:
            raise InputError(
                f"{name}: no column is named like a {kinds} ID, and none holds PG:AI IDs.{columns}",
                (links and f"{links} ")
                + hint
                + f" If no column holds PG:AI IDs: {_EXPORT_IDS}"
                + _header_hint(table)
                + _delimiter_hint(table),
            )
        text = f"{name}: no column holds PG:AI IDs. Other IDs are in"
        hint = GET_IDS + (links and f" {links}") + _doubt_hint(table)
        return replace(self, ask=None)._asked(text, wanted, like, hint, columns)

    def _asked(
        self,
        text: str,
        roles: Sequence[Role],
        columns: Sequence[int],
        hint: str,
        more: str = "",
    ) -> tuple[Role, int]:
        """Ask which of the columns to use; without an answer, the question becomes the error."""
        table = self.table
        shown = columns[:SHOWN_CANDIDATES]
        contents = tuple(read_contents(table, column, lenient=self.lenient) for column in shown)
        question = ColumnQuestion(text, tuple(roles), contents, table.header_doubts)
        if self.ask and (answer := self.ask(question)):
            return answer
        candidates = [
            f"{each.name} (column {each.position + 1}: {each.words}"
            f"{', such as ' if each.samples else ''}{', '.join(each.samples)})"
            for each in contents
        ]
        raise InputError(f"{text}: {'; '.join(candidates)}.{more}", hint)


def _check_without(without: Collection[Role], named: Mapping[Role, str | None]) -> None:
    if len(without) == len(Role):
        raise UsageError(
            "No company IDs and no contact IDs leave no ID to send.",
            Advice("", f"Give one of {' and '.join(NONE_OF.values())}.", **_COLUMN_PARAMETERS),
        )
    for role in without:
        if named[role] is not None:
            raise UsageError(
                f"{NONE_OF[role]} and {OPTIONS[role]} exclude each other.", "Give one."
            )


def role_notices(table: Table, roles: Mapping[Role, int], without: Collection[Role]) -> list[str]:
    """Return notices about the ID columns, and about columns named like IDs that are not used."""
    said = _unnamed_notice(table, roles)
    for role in Role:
        if role in without:
            said.append(
                Advice(
                    f"No {WORDS[role]} IDs are sent",
                    f" ({NONE_OF[role]})",
                    **{column_parameter(role): ""},
                )
            )
        elif role not in roles:
            for column in _named_like(table, role, roles):
                contents = read_contents(table, column)
                holds = contents.words if contents.damaged or contents.uuids else "empty"
                said.append(
                    f"Column {contents.name} is not used for {WORDS[role]} IDs: most of its"
                    f" cells are not PG:AI IDs ({holds})"
                )
    return said


def _unnamed_notice(table: Table, roles: Mapping[Role, int]) -> list[str]:
    """Return a notice if the header may be a data row: an ID column has no name in it.

    There is no notice if the header contains a known name, or if another notice names the line
    that may be the header.
    """
    line = table.source.header_line
    if line is None or table.header_doubts or any(map(is_known_name, table.header)):
        return []
    for role, column in roles.items():
        named = parse_id(table.header[column])
        if isinstance(named, MissingId) or (
            isinstance(named, DamagedId) and named.kind is not IdKind.OTHER
        ):
            names = ", ".join(column_name(table, each) for each in range(len(table.header)))
            said = Advice(
                f"Line {line} was taken for the column names ({one_line(names, NAMES_SHOWN)}),"
                f" though the {WORDS[role]} column has no name in it",
                ": if it is a row of the list, add --no-header",
                no_header="",
            )
            return [said]
    return []


NAMES_SHOWN = 80
LISTED_NAMES = 200


def _distinct(table: Table, columns: list[int]) -> list[int]:
    """Leave out the columns with the same IDs as the first one, such as the twin left by a join."""
    if len(columns) < 2:
        return columns
    first, *others = columns
    ids = _hashes(table.cells[first])
    return [first, *(each for each in others if _hashes(table.cells[each]) != ids)]


def _named_like(table: Table, role: Role, taken: Mapping[Role, int]) -> list[int]:
    """Return the columns named like IDs of a role that have no role yet."""
    named = [at for at, name in enumerate(table.header) if role in roles_named(name)]
    return [at for at in named if at not in taken.values()]


def _refuse_side_by_side(table: Table, roles: Mapping[Role, int]) -> None:
    """Refuse two lists side by side: their rows don't belong together."""
    if len(roles) < 2:
        return
    first, last = sorted(roles.values())
    reason = _blank_between(table, first, last)
    if not reason:
        reason = _repeated_names(table, first, last) or _tail(table, first, last)
        ids = list(filter(is_filled, table.cells[roles[Role.COMPANY]])) if reason else []
        if len(set(ids)) < len(ids):  # a company in several rows, as in a list of contacts
            return
    if reason:
        company, contact = (column_name(table, roles[role]) for role in Role)
        raise InputError(
            f"{table.source.name}: {reason}, and the company IDs ({company}) and the contact IDs"
            f" ({contact}) are in different parts: there may be two lists side by side.",
            ONE_OF_TWO,
        )


def _blank_between(table: Table, first: int, last: int) -> str:
    blank = [
        not name.strip() and not any(map(is_filled, column))
        for name, column in zip(table.header, table.cells, strict=True)
    ]
    gap = next((at for at in range(first + 1, last) if blank[at]), None)
    blocks = [len(list(run)) for empty, run in itertools.groupby(blank) if not empty]
    # a sheet may have a blank column between all columns, only for layout
    return "" if gap is None or max(blocks) == 1 < len(blocks) - 1 else f"column {gap + 1} is blank"


def _repeated_names(table: Table, first: int, last: int) -> str:
    """Return a reason if the column names, except for the IDs, repeat; else ``""``."""
    names = list(enumerate(map(normalise, table.header)))
    ends = {name: at for at, name in names if at != last}
    starts = {name: at for at, name in reversed(names) if at != first}
    # the first of the left names to end, and the last of the right names to start
    left = itertools.accumulate(
        (ends[name] if name and at != first else len(names) for at, name in names[:last]), min
    )
    right = itertools.accumulate(
        (starts[name] if name and at != last else -1 for at, name in names[:first:-1]), max
    )
    both = zip(itertools.islice(left, first, None), reversed(list(right)), strict=False)
    for start, (end, begin) in enumerate(both, first + 1):
        if end < len(names) and begin >= 0 and (end >= start or begin < start):
            return f"the column names repeat from column {start + 1} on"
    return ""


def _tail(table: Table, first: int, last: int) -> str:
    """Return a reason if the last rows are filled in only one part of the columns, else ``""``.

    This suggests two lists of different length. Each part must have an ID column and at least one
    other column, and all rows above must have both IDs.
    """
    width, rows = len(table.header), len(table)
    filled = [at for at in range(width) if rows and is_filled(table.cells[at][rows - 1])]
    if filled and filled[0] > first and last in filled:
        own, other = range(filled[0], width), range(filled[0])
    elif filled and filled[-1] < last and first in filled:
        own, other = range(filled[-1] + 1), range(filled[-1] + 1, width)
    else:
        return ""
    while rows and not any(is_filled(table.cells[column][rows - 1]) for column in other):
        rows -= 1
    if not rows or rows == len(table) or min(len(own), len(other)) < 2:
        return ""
    for column in (first, last):
        if not all(map(is_filled, itertools.islice(table.cells[column], rows))):
            return ""
    span = f"{own[0] + 1}-{own[-1] + 1}"
    return f"the rows from line {table.lines[rows]} on are blank outside columns {span}"


ONE_OF_TWO = Advice(
    "",
    f"Send one of them with {NONE_OF[Role.CONTACT]} or {NONE_OF[Role.COMPANY]}. If each row"
    f" belongs together, name both columns with {' and '.join(OPTIONS.values())}.",
    **_COLUMN_PARAMETERS,
)


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
            Advice(
                "Name two columns, or only one",
                f" of {' and '.join(OPTIONS.values())}.",
                **_COLUMN_PARAMETERS,
            ),
        )
    return roles


def _crm_ids(table: Table, position: int) -> bool:
    """Whether most filled cells in a sample of a column are a CRM's IDs."""
    column = table.cells[position][:SAMPLED_CELLS]
    parsed = [each for each in map(parse_id, column) if not isinstance(each, MissingId)]
    kinds = {IdKind.SALESFORCE, IdKind.HUBSPOT}
    found = [each for each in parsed if isinstance(each, DamagedId) and each.kind in kinds]
    return len(found) * 2 > len(parsed)


def _delimiter_hint(table: Table) -> str:
    if len(table.header) > 1:
        return ""
    if table.source.delimiter is not None:
        if re.search(r"\S {2,}\S", table.header[0]) and any(
            getattr(parse_id(cell), "kind", None) is IdKind.SEVERAL
            for cell in table.cells[0][:SAMPLED_CELLS]
        ):
            return (
                " Its columns are lined up with spaces: open it in Excel, split them (Data, Text to"
                " Columns, Fixed width), and save it as .xlsx."
            )
        return Advice(
            "",
            " If its fields are separated by another character, such as ^, add --delimiter.",
            delimiter="",
        )
    names = re.split(r"[,;\t|]", table.header[0])
    if len(names) > 1 and any(map(is_known_name, names)):
        return (
            " Its cells hold whole lines of a text file: use that file, or split them in Excel"
            " (Data, Text to Columns)."
        )
    return ""


def _doubt_hint(table: Table) -> str:
    return reduce(add, (" " + each + "." for each in table.header_doubts), "")


def _header_hint(table: Table) -> str:
    line = table.source.header_line
    if line is None:
        return ""
    return _doubt_hint(table) or Advice(
        f" The column names are taken from line {line}.",
        " If they are in another line, add --header-row; if there are none, add --no-header.",
        header_row="",
        no_header="",
    )


def find_column(table: Table, name: str, option: str) -> int:
    """Return the position of a column, found by exact name, normalized name, or number from 1.

    ``option`` is the one that the name was given with, for the error message.

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
            Advice("Give the column's number instead", f": {option} {numbers}."),
        )
    if matches:
        return matches[0]
    if (number := whole_number(name)) and number <= len(table.header):
        return number - 1
    names = [column_name(table, column) for column in range(len(table.header))]
    close = close_matches(name, names)
    hint = f"Did you mean {' or '.join(close)}?" if close else _columns_hint(table)
    at = Advice("", f" See {option}.")  # the page shows the message at the column's control
    raise InputError(f"{table.source.name} has no column {name!r}.", hint + at)


def _columns_hint(table: Table) -> str:
    return f"Its columns: {_quoted(table, range(len(table.header)))}."


def _quoted(table: Table, columns: Iterable[int]) -> str:
    names = dict.fromkeys(one_line(column_name(table, at), NAMES_SHOWN) for at in columns)
    return listed(list(names), LISTED_NAMES)
