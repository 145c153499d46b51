"""What the user has chosen for a list, kept in a TOML file for the next export like it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from batchrun.errors import OutputError, UsageError
from batchrun.model import Role
from batchrun.tables.roles import column_name, normalise

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchrun.model import Table

HEAD = "# How batchrun reads exports of this shape; use it with --mapping.\n"
SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True)
class Choices:
    """What may be said of how a list is to be read; each as in the option of that name.

    Attributes:
        sheet: Sheet of a workbook.
        header_row: Line of the column names.
        visible_only: Leave out hidden rows.
        encoding: Encoding of a text file.
        delimiter: What separates the fields of a text file.
        quoting: ``literal`` where quotes are text.
        company_column: Name or number of the company column.
        contact_column: Name or number of the contact column.
        lenient_ids: Send what merely looks like a UUID.
        parameter_columns: Parameter name → column.
        header: Names of the columns the choices were made for; empty for none.
    """

    sheet: str | None = None
    header_row: int | None = None
    visible_only: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    company_column: str | None = None
    contact_column: str | None = None
    lenient_ids: bool = False
    parameter_columns: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = ()

    def overridden_by(self, other: Choices) -> Choices:
        """These choices, but those of the other wherever it has made one."""
        made = {each.name: value for each in fields(other) if (value := getattr(other, each.name))}
        columns = {**self.parameter_columns, **other.parameter_columns}
        return replace(self, **made | {"parameter_columns": columns})

    def check_shape(self, table: Table) -> Table:
        """The table, with a notice when its columns are not those the choices were made for."""
        known, found = set(map(normalise, self.header)), set(map(normalise, table.header))
        if not self.header or known == found:
            return table
        missing = [name for name in self.header if normalise(name) not in found]
        added = [name for name in table.header if normalise(name) not in known]
        parts = [
            f"{words} {', '.join(names[:SHOWN_NAMES])}{', …' if len(names) > SHOWN_NAMES else ''}"
            for words, names in (("missing", missing), ("new", added))
            if names
        ]
        notice = f"The columns differ from those of the mapping: {'; '.join(parts)}"
        source = replace(table.source, notices=(*table.source.notices, notice))
        return replace(table, source=source)

    def made(self, table: Table, roles: Mapping[Role, int]) -> Choices:
        """These choices completed by what was found in a table."""

        def named(role: Role) -> str | None:
            at = roles.get(role)
            if at is None:
                return None
            alone = sum(normalise(name) == normalise(table.header[at]) for name in table.header)
            return column_name(table, at) if alone == 1 else str(at + 1)

        return replace(
            self,
            company_column=named(Role.COMPANY),
            contact_column=named(Role.CONTACT),
            header=table.header,
        )


_TYPES: dict[str, type] = {
    "sheet": str,
    "header_row": int,
    "visible_only": bool,
    "encoding": str,
    "delimiter": str,
    "quoting": str,
    "company_column": str,
    "contact_column": str,
    "lenient_ids": bool,
    "header": list,
    "parameter_columns": dict,
}


def read_choices(path: Path) -> Choices:
    """Read a mapping.

    Raises:
        UsageError: It can't be read, or says something that can't be understood.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"The mapping {path} can't be read: {error.strerror}.",
            "Check its name; --save-mapping makes one.",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"The mapping {path} is not TOML: {error}.",
            "Mend it, or make a new one with --save-mapping.",
        ) from error
    for name, value in found.items():
        wanted = _TYPES.get(name)
        if wanted is None or type(value) is not wanted or not _of_texts(value):
            raise UsageError(
                f"The mapping {path} has an entry {name} that batchrun does not know or can't use.",
                f"It may have: {', '.join(_TYPES)}.",
            )
    return Choices(**found | {"header": tuple(found.get("header", ()))})


def _of_texts(value: Any) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(isinstance(each, str) for each in inside)


def save_choices(path: Path, choices: Choices) -> None:
    """Write a mapping.

    Raises:
        OutputError: It can't be written there.
    """
    lines = [HEAD]
    for each in fields(choices):
        value = getattr(choices, each.name)
        if not value or each.name == "parameter_columns":
            continue
        lines.append(f"{each.name} = {_toml(value)}\n")
    if choices.parameter_columns:
        lines.append("\n[parameter_columns]\n")
        columns = choices.parameter_columns.items()
        lines += [f"{_toml(name)} = {_toml(column)}\n" for name, column in columns]
    if path.is_symlink() and not path.exists():
        raise OutputError(
            f"The mapping {path} is a link to a file that does not exist.",
            "Name another place with --save-mapping.",
        )
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"The mapping {path} can't be written: {error.strerror}.",
            "Name another place with --save-mapping.",
        ) from error


def _toml(value: object) -> str:
    """A value in TOML; a JSON text is a TOML text but for DEL, which TOML wants escaped."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
