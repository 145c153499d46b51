"""Survey the values of each column in one pass over the rows. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

from batchrun.model import Role

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from batchrun.model import Cell
    from batchrun.workbook.flatten import Flat, Path


DECIMALS_SEEN = 1_000
"""Numbers whose decimals are counted, from the first on."""
WIDTH_SEEN = 80
"""Characters of a line that count towards a column's width; longer lines wrap anyway."""

_DATE, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(?:\.\d{3}(?:000)?)?"
_ISO = re.compile(rf"(?P<day>{_DATE})|(?P<moment>{_DATE}[T ]{_TIME})(?:Z|[+-]\d\d:\d\d)?|{_TIME}")
_PROGRAMS_ID = re.compile(
    r"(?:exec|rpt|wf)_(?=[a-z]*\d)[a-z\d]+|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}", re.IGNORECASE
)
"""An ID of PG:AI, such as ``rpt_001``, or a UUID."""
_EXCELS_FIRST_DAY = date(1900, 3, 1)
"""Excel counts a 29 February 1900 that never existed, so earlier days are off by one."""


class TemporalKind(Enum):
    """The kind of date or time that all texts of a column have."""

    DATE = "date"
    DATE_TIME = "date and time"
    UTC = "date and time (UTC)"
    TIME = "time"


def moment_of(text: str) -> tuple[TemporalKind, date | datetime | time] | None:
    """Parse an ISO 8601 date or time that Excel can store exactly, and return its kind."""
    if not 8 <= len(text) <= 32 or not (found := _ISO.fullmatch(text)):
        return None
    try:
        if found["day"]:
            day = date.fromisoformat(text)
            return (TemporalKind.DATE, day) if day >= _EXCELS_FIRST_DAY else None
        if found["moment"]:
            moment, kind = datetime.fromisoformat(text), TemporalKind.DATE_TIME
            if moment.tzinfo is not None:  # Excel has no time zones; the column's title says UTC
                moment, kind = moment.astimezone(UTC).replace(tzinfo=None), TemporalKind.UTC
            return (kind, moment) if moment.date() >= _EXCELS_FIRST_DAY else None
        return TemporalKind.TIME, time.fromisoformat(text)
    except (ValueError, OverflowError):  # 30 February; the last day of all in UTC
        return None


@dataclass(slots=True, eq=False)
class ColumnSurvey:
    """Statistics about one column's values."""

    filled: int = 0  # cells that have a value
    empty: int = 0  # the others, such as empty lists
    kinds: set[type] = field(default_factory=set)  # Python types of the values
    width: int = 0  # characters of the longest line
    example: Cell = None
    largest: int = 0  # the largest absolute value of an integer
    spaced: bool = False  # whether any text has a space or line break, where it could wrap
    programs_ids: bool = True  # whether all texts are UUIDs or IDs of PG:AI
    varied: bool = False  # whether there are at least two different values
    decimals: int = 0  # the most digits after the point, among the first `DECIMALS_SEEN` numbers
    items: int = 0  # cells that list plain values, one per line
    beyond_one: bool = False  # whether a number that is not an integer is above 1 or below -1
    tiny: bool = False  # whether a number is so small that its decimals would all be 0
    _moments: set[TemporalKind] | None = field(default_factory=set)

    @property
    def moments(self) -> TemporalKind | None:
        """The kind of date or time of all values; ``None`` if they are not all of one kind."""
        if self._moments and len(self._moments) == 1 and self.kinds == {str}:
            return next(iter(self._moments))
        return None

    def see(self, value: Cell) -> None:
        """Count a value."""
        if value is None or value == "":
            self.empty += 1
            return
        if not self.filled:
            self.example = value
        elif not self.varied:
            self.varied = value != self.example
        self.filled += 1
        self.kinds.add(type(value))
        if isinstance(value, str):
            self._see_text(value)
            return
        if isinstance(value, int):
            self.largest = max(self.largest, abs(value))
        elif isinstance(value, float):
            self.beyond_one = self.beyond_one or not -1 <= value <= 1
            digits = repr(value).partition(".")[2] if self.filled <= DECIMALS_SEEN else ""
            if digits.isdigit() and digits != "0":
                self.decimals = max(self.decimals, len(digits))
            self.tiny = self.tiny or 0 < abs(value) < 1e-4
        if self.width < 20:
            self.width = max(self.width, len(str(value)))

    def _see_text(self, text: str) -> None:
        if not self.spaced:
            self.spaced = " " in text or "\n" in text
        if self.programs_ids:
            self.programs_ids = _PROGRAMS_ID.fullmatch(text) is not None
        if len(text) > self.width < WIDTH_SEEN:
            longest = max(map(len, text.split("\n"))) if "\n" in text else len(text)
            self.width = min(max(self.width, longest), WIDTH_SEEN)
        if self._moments is not None:
            found = moment_of(text)
            if found is None:
                self._moments = None
            else:
                self._moments.add(found[0])

    @property
    def is_fraction(self) -> bool:
        """Whether the numbers are between -1 and 1 and not all integers."""
        return (
            self.kinds <= {int, float}
            and self.decimals > 0
            and not (self.beyond_one or self.largest > 1)
        )

    @property
    def type_name(self) -> str:
        """The value types in plain words."""
        return ", ".join(sorted(set(map(type_name, self.kinds)))) or "nothing"


_TYPE_NAMES = {
    bool: "yes/no", int: "whole number", float: "number", datetime: "date and time", date: "date",
    time: "time", timedelta: "duration",
}  # fmt: skip


def type_name(kind: type) -> str:
    """Return the name of a type in plain words."""
    return _TYPE_NAMES.get(kind, "text")


class TableSurvey:
    """Statistics about a table: the results of all rows, or the items of a list of objects.

    ``tickets`` yields once for each list table that may still be created, over all tables.
    """

    def __init__(self, most_columns: int, tickets: Iterator[object]) -> None:
        self.lines = 0
        self.columns: dict[Path, ColumnSurvey] = {}  # in the order in which they were first seen
        self.lists: dict[Path, TableSurvey] = {}  # tables of the lists of objects inside this one
        self.overflow = False  # whether there were more columns than `most_columns`
        self._most_columns = most_columns
        self._tickets = tickets

    def see(self, flat: Flat) -> None:
        """Count a flattened result or item; its lists are counted through ``list_at``."""
        self.lines += 1
        columns = self.columns
        for path, value in flat.values.items():
            column = columns.get(path)
            if column is None:
                if len(columns) >= self._most_columns:
                    self.overflow = True
                    continue
                column = columns[path] = ColumnSurvey()
            column.see(value)
        for path in flat.listed:
            if path in columns:
                columns[path].items += 1

    def list_at(self, path: Path) -> TableSurvey | None:
        """Return the table of a list's items; ``None`` if there are too many lists already."""
        table = self.lists.get(path)
        if table is None and next(self._tickets, None) is not None:
            table = self.lists[path] = TableSurvey(self._most_columns, self._tickets)
        return table

    @property
    def lists_overflow(self) -> bool:
        """Whether the items of any list have more columns than a sheet can hold."""
        return any(table.overflow or table.lists_overflow for table in self.lists.values())

    def order(self) -> list[Path]:
        """Return the columns' paths: siblings together, otherwise in the order first seen.

        A path that is always empty itself but has longer paths below it is not a column.
        """
        first: dict[Path, int] = {}  # prefix of paths → when it was first seen
        parents: set[Path] = set()
        for path in self.columns:
            prefixes = [path[:keys] for keys in range(1, len(path) + 1)]
            parents.update(prefixes[:-1])
            for prefix in prefixes:
                first.setdefault(prefix, len(first))
        found = (path for path, seen in self.columns.items() if seen.filled or path not in parents)
        return sorted(found, key=lambda path: [first[path[:at]] for at in range(1, len(path) + 1)])


_PEOPLE = ("full name", "contact name", "e mail", "email")
_WHOLE = (
    "account name", "company name", "name", "organization name", "organisation name",
    "full name", "contact name", "account", "company", "organization", "organisation",
    "customer name", "client name", "firm name", "business name", "legal name",
    "firma", "firmenname", "unternehmen", "unternehmensname", "name des unternehmens", "kunde",
    "kundenname", "société", "nom de la société", "nom de l entreprise", "nom du compte",
    "raison sociale", "entreprise", "nom du client", "empresa", "nombre de la empresa",
    "nombre de la cuenta", "razón social", "azienda", "nome azienda", "nome account",
    "ragione sociale", "nome da empresa", "nome da conta", "razão social", "bedrijf",
    "bedrijfsnaam", "accountnaam", "klantnaam", "företag", "företagsnamn", "virksomhed",
    "firmanavn", "bedrift", "nazwa firmy", "název firmy", "yritys", "компания",
    "название компании", "会社名", "企業名", "取引先名", "公司名称", "客户名称", "회사명",
    "firm", "business", "acct", "acct name", "prospect name", "partner name", "vendor name",
    "supplier name", "buyer name", "account company", "company account", "company organization",
    "e mail", "email", "customer", "prospect", "client", "cliente", "klant",
    "deal account", "target company",
)  # fmt: skip
"""Titles of columns that name a row, the best first."""
_PARTS = (
    ("first name", "last name"),
    ("given name", "family name"),
    ("vorname", "nachname"),
    ("prénom", "nom"),
    ("nombre", "apellidos"),
    ("nome", "cognome"),
    ("voornaam", "achternaam"),
    ("förnamn", "efternamn"),
)


SAMPLED_ROWS = 20
"""How many of a list's first rows, or of a batch's results, tell what the columns hold."""
_LONGEST_NAME = 60


def row_names(
    header: Sequence[str], roles: Mapping[Role, int], first: Iterable[Sequence[Cell]]
) -> tuple[int, ...]:
    """Return the positions of the columns that name a list's rows.

    If no column has a known title, the first whose cells look like names: all are short texts, and
    most of the list's first rows have a different one that is no ID. Owners of rows are not names.
    """
    if known := name_columns(header):
        return known
    others = {owner_column(header), *roles.values()}
    for at, cells in enumerate(zip(*islice(first, SAMPLED_ROWS), strict=True)):
        survey = ColumnSurvey()
        for cell in cells:
            survey.see(cell)
        if at in others or survey.kinds != {str} or survey.width > _LONGEST_NAME:
            continue
        names = {cell for cell in cells if cell and _is_wordy(str(cell))}
        if len(names) > max(1, len(cells) // 2) and not survey.moments and not survey.programs_ids:
            return (at,)
    return ()


def _is_wordy(text: str) -> bool:
    # Salesforce IDs have up to twice as many letters as digits.
    return sum(map(str.isalpha, text)) > 2 * sum(map(str.isdigit, text))


def name_columns(header: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of the columns titled as names, or as first and last names."""
    columns = _by_title(header)
    for first, last in map(_as_one_word, _PARTS):
        if first in columns and last in columns:
            return columns[first], columns[last]
    return next(((columns[name],) for name in _as_one_word(_WHOLE) if name in columns), ())


def columns_naming_ids(header: Sequence[str], roles: Container[Role]) -> tuple[int, ...]:
    """Return the `name_columns` if they name what the IDs identify, not people at companies.

    Then a different name with the same ID may mean that the ID is wrong.
    """
    names = name_columns(header)
    titles = _by_title([header[at] for at in names])
    people = len(names) > 1 or any(each in titles for each in _as_one_word(_PEOPLE))
    return names if Role.CONTACT in roles or not people else ()


def is_same_name(one: str, other: str) -> bool:
    """Whether two names differ at most in case, spaces and punctuation."""
    return one == other or _words_of_name(one) == _words_of_name(other)


def _words_of_name(name: str) -> list[str]:
    return re.findall(r"\w+", name.casefold())


_OWNERS = (
    "account owner", "owner", "owner name", "account owner name", "company owner", "contact owner",
    "record owner", "account manager", "sales rep", "responsible", "inhaber", "besitzer",
    "verantwortlich", "betreuer", "kundenbetreuer", "propriétaire", "propietario", "eigenaar",
    "account executive", "account rep", "sales representative", "salesperson", "rep",
    "assigned to", "lead owner", "deal owner", "propriétaire du compte",
    "propriétaire de l entreprise", "propriétaire de la fiche", "propietario de la empresa",
    "propietario de la cuenta", "zuständiger mitarbeiter", "zuständig", "responsable",
    "proprietario", "proprietário", "accountmanager", "担当者",
)  # fmt: skip


def owner_column(header: Sequence[str]) -> int | None:
    """Return the position of the column that names a row's owner, if there is one."""
    columns = _by_title(header)
    return next((columns[name] for name in _as_one_word(_OWNERS) if name in columns), None)


def _by_title(header: Sequence[str]) -> dict[str, int]:
    """Return the first column of each title, whose words are joined: "CompanyName" has one."""
    titles = ["".join(_words_of_title(title)) for title in header]
    return {title: at for at, title in reversed([*enumerate(titles)])}


def _words_of_title(title: str) -> list[str]:
    return re.findall(r"\w+", title.casefold().replace("_", " "))


def _as_one_word(titles: Iterable[str]) -> Iterator[str]:
    return (title.replace(" ", "") for title in titles)


def name_of(cells: Sequence[Cell], columns: Sequence[int]) -> str | None:
    """Return a row's name."""
    parts = [str(cells[at]).strip() for at in columns if cells[at] not in {None, ""}]
    return " ".join(parts) or None
