"""How the user wants results written, and the file that keeps it for the next batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchrun.workbook.flatten import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from batchrun.model import Outcome


class Audience(StrEnum):
    """Who a workbook is for."""

    PEOPLE = "people"
    """The people it is handed to: no execution IDs, times, key paths or commands."""
    OPERATORS = "operators"
    """The people who run batches: everything."""


class Crm(StrEnum):
    """A CRM that takes a CSV back."""

    SALESFORCE = "salesforce"
    HUBSPOT = "hubspot"


@dataclass(frozen=True, slots=True)
class Form:
    """How results are written.

    Attributes:
        columns: Which result columns, in this order, by dotted name; ``*`` stands for anything.
            ``None``: all.
        rename: Dotted name → the title to show.
        flat_depth: The most keys in a dotted name; what is deeper stays JSON text. ``None`` for
            the usual depth.
        csv_plain: A CSV is for machines: no BOM, no escapes.
        crm: A CSV is for this CRM's import.
        write_every_seconds: How often a running batch writes what it has; ``None`` for not.
        raw_text: Keep the markup of texts in Markdown, which people otherwise don't see.
        audience: Who a workbook is for; ``None`` for operators.
        compare: What the results are compared with: the id of an earlier batch, ``"auto"`` for
            each row's newest result in earlier batches of the same workflow, ``"off"`` for
            nothing; ``None`` for ``"auto"``.
        only: Write the list again, with only the rows that have these outcomes and the reason;
            ``None`` for the results of all rows.
        rows_per_file: The most rows in a workbook, which is split into several files beyond them;
            ``None`` for as many as a sheet of Excel takes.
        usual: Where results go that have gone nowhere yet: there, or under a free name like it.
            ``None`` for ``NAME.results.xlsx`` beside the list.
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

    @property
    def depth(self) -> int:
        """The most keys in a dotted name."""
        return self.flat_depth or DEEPEST

    @property
    def for_people(self) -> bool:
        """Whether a workbook is for the people it is handed to, and not for operators."""
        return self.audience is Audience.PEOPLE

    def over(self, kept: Form) -> Form:
        """This form; what it leaves open is as it was kept, but for the CRM and the times."""
        return replace(
            self,
            columns=kept.columns if self.columns is None else self.columns,
            rename={**kept.rename, **self.rename},
            flat_depth=self.flat_depth or kept.flat_depth,
            csv_plain=self.csv_plain or kept.csv_plain,
            raw_text=self.raw_text or kept.raw_text,
            audience=self.audience or kept.audience,
            compare=self.compare or kept.compare,
            rows_per_file=self.rows_per_file or kept.rows_per_file,
        )

    def remembered(self) -> str:
        """What a batch remembers of it, as JSON: not for whom and how often it was written."""
        kept = {name: getattr(self, name) for name in _REMEMBERED}
        return json.dumps({**kept, "rename": dict(self.rename)}, ensure_ascii=False)

    @classmethod
    def recalled(cls, kept: str) -> Form:
        """The form that ``remembered`` wrote; the usual one where nothing was kept."""
        found: dict[str, Any] = json.loads(kept) if kept else {}
        found.pop("layout", None)  # of a journal written before batchrun.toml replaced it
        if found.get("audience") is not None:
            found["audience"] = Audience(found["audience"])
        return cls(**found)


_REMEMBERED = (
    "columns", "rename", "flat_depth", "csv_plain", "raw_text", "audience", "compare",
    "rows_per_file",
)  # fmt: skip
