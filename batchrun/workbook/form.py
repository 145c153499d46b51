"""Output options: how results are written, and the form in which a batch stores them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchrun.options import merged
from batchrun.workbook.flatten import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from batchrun.model import Outcome
    from batchrun.workbook.reasons import Commands


class Audience(StrEnum):
    """The readers of a workbook."""

    PEOPLE = "people"
    """The people who receive it: no technical columns, times, key paths, or commands."""
    OPERATORS = "operators"
    """The people who run batches: everything."""


class Crm(StrEnum):
    """A CRM that imports a CSV."""

    SALESFORCE = "salesforce"
    HUBSPOT = "hubspot"


@dataclass(frozen=True, slots=True)
class Form:
    """How results are written.

    Attributes:
        columns: Dotted names of the result columns, in this order; ``*`` matches anything.
            ``None`` for all.
        rename: Dotted name → title.
        flat_depth: The most keys in a dotted name; anything deeper stays JSON text. ``None`` for
            the default.
        csv_plain: Write a CSV for machines: no BOM, no escapes.
        crm: Write a CSV that this CRM can import.
        write_every_seconds: How often a running batch writes its results; ``None`` for never.
        raw_text: Keep Markdown markup in texts, which is otherwise removed.
        audience: The readers of a workbook; ``None`` for operators.
        compare: What to compare with: the ID of an earlier batch, ``"auto"`` for each row's newest
            result in earlier batches of the same workflow, or ``"off"``. ``None`` for ``"auto"``.
        only: Write the original list, with only the rows that have these outcomes, and the reason;
            ``None`` for the results of all rows.
        rows_per_file: The most rows in a workbook; more rows are split into several files.
            ``None`` for as many as an Excel sheet can hold.
        commands: How the workbook says to continue the batch: with commands or on the page.
            ``None`` means commands that fit the batch's journal.
        usual: The default path for a batch that has written no results yet; a number is added if
            it is taken. ``None`` for ``NAME.results.xlsx`` beside the list.
    """

    columns: Sequence[str] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    flat_depth: int | None = None
    csv_plain: bool = False
    crm: Crm | None = None
    write_every_seconds: float | None = None
    usual: Path | None = None
    raw_text: bool = False
    audience: Audience | None = None
    only: Collection[Outcome] | None = None
    compare: str | None = None
    rows_per_file: int | None = None
    commands: Commands | None = None

    @property
    def depth(self) -> int:
        """The most keys in a dotted name."""
        return self.flat_depth or DEEPEST

    @property
    def for_people(self) -> bool:
        """Whether a workbook is for the people who receive it rather than for operators."""
        return self.audience is Audience.PEOPLE

    def merged_with(self, kept: Form) -> Form:
        """Return this form; options it leaves unset come from ``kept``, if batches store them."""
        given = {name: getattr(self, name) for name in _REMEMBERED}
        given = {name: value for name, value in given.items() if value not in (None, False)}
        usual = {name: getattr(kept, name) for name in _REMEMBERED}
        return replace(self, **merged(usual, given))

    def remembered(self) -> str:
        """Return the options that a batch stores, as JSON: those in ``_REMEMBERED``."""
        kept = {name: getattr(self, name) for name in _REMEMBERED}
        return json.dumps({**kept, "rename": dict(self.rename)}, ensure_ascii=False)

    @classmethod
    def recalled(cls, kept: str) -> Form:
        """Read the form that ``remembered`` wrote; the default one if it can't be read."""
        try:
            stored: dict[str, Any] = json.loads(kept)
            found = {name: stored[name] for name in _REMEMBERED if name in stored}
            if found.get("audience") is not None:
                found["audience"] = Audience(found["audience"])
            return cls().merged_with(cls(**found))
        except (AttributeError, TypeError, ValueError):
            return cls()


_REMEMBERED = (
    "columns", "rename", "flat_depth", "csv_plain", "raw_text", "audience", "compare",
    "rows_per_file",
)  # fmt: skip
