"""The options for a list, each defined once.

`batchrun.Request`, the entries of ``batchrun.toml`` and the files' readers get them from here.
``cli/options.py`` has the help of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from batchrun.model import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How the file of a list is read.

    Attributes:
        sheet: Sheet of a workbook, by name or by its number among the visible sheets (``"1"``
            is the first), or the number of a table in an HTML page. ``None`` for the first visible
            sheet that is not empty, unless it holds no IDs and exactly one other sheet does.
        header_row: Line of the column names; ``None`` to detect it.
        no_header: The list has no column names.
        visible_only: Leave out rows that are hidden or filtered out.
        encoding: Encoding of a text file, such as ``cp1251``; ``None`` to detect it.
        delimiter: Field separator of a text file: a character, or ``comma``, ``semicolon``,
            ``tab`` or ``bar``; ``None`` to detect it.
        quoting: ``literal`` if quotes in a text file are ordinary characters; ``None`` if they
            enclose fields.
    """

    sheet: str | None = None
    header_row: int | None = None
    no_header: bool = False
    visible_only: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None

    def values(self, of: type[FileOptions]) -> dict[str, Any]:
        """Return the options that a class has, by name."""
        return {each.name: getattr(self, each.name) for each in fields(of)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions(FileOptions):
    """How a list is read, and what of it is sent.

    Attributes:
        company_column: Column with the company IDs; ``None`` to detect it.
        contact_column: Column with the contact IDs; ``None`` to detect it.
        no_company: Send no company IDs, even if there is a column of them.
        no_contact: Send no contact IDs, even if there is a column of them.
        lenient_ids: Also send IDs that look like PG:AI IDs but have a typo.
        parameters: Sent with every row.
        parameter_columns: Parameter name → column its value comes from.
    """

    company_column: str | None = None
    contact_column: str | None = None
    no_company: bool = False
    no_contact: bool = False
    lenient_ids: bool = False
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    parameter_columns: Mapping[str, str] = field(default_factory=dict)


class ReadingKeywords(TypedDict, total=False):
    """`ReadingOptions` as keywords of the public functions, for type checkers."""

    sheet: str | None
    header_row: int | None
    no_header: bool
    visible_only: bool
    encoding: str | None
    delimiter: str | None
    quoting: str | None
    company_column: str | None
    contact_column: str | None
    no_company: bool
    no_contact: bool
    lenient_ids: bool
    parameters: Mapping[str, JSON]
    parameter_columns: Mapping[str, str]


_PAIRS = (
    ("header_row", "no_header"),
    ("company_column", "no_company"),
    ("contact_column", "no_contact"),
)
_REPLACED = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
"""Option → the usual option that it replaces, besides the one of its own name."""


def without_other_parameters(usual: Mapping[str, Any], workflow: str | None) -> dict[str, Any]:
    """Return the usual options; for another workflow than theirs, without its parameters."""
    own = usual.get("workflow")
    if not own or not workflow or own.casefold() == workflow.casefold():
        return dict(usual)
    dropped = {"parameters", "parameter_columns"}
    return {name: value for name, value in usual.items() if name not in dropped}


def merged(usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by name: those given, over the usual ones. Tables are merged by entry."""
    replaced = {_REPLACED.get(name) for name, value in given.items() if value}
    found = {name: value for name, value in usual.items() if name not in replaced}
    for name, value in given.items():
        before = found.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            found[name] = {**before, **value}
        else:
            found[name] = value
    return found
