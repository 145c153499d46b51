"""How a user wants a list to be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrun.tables.limits import LoadLimits


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a user may say of a list.

    Attributes:
        sheet: Sheet of a workbook, by name or by its number among the visible sheets (``"1"``
            is the first); ``None`` for the first visible sheet that holds anything.
        header_row: Line of the column names; ``None`` to find it.
        visible_only: Leave out rows that are hidden or filtered out.
        limits: How large the list may be.
    """

    sheet: str | None = None
    header_row: int | None = None
    visible_only: bool = False
    limits: LoadLimits = field(default_factory=LoadLimits)
