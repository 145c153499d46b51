"""What a workbook says, before it is laid out on sheets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchrun.settings.location import is_practice
from batchrun.workbook.reasons import Commands
from batchrun.workbook.source import ListFormats

if TYPE_CHECKING:
    from batchrun.model import BatchResults
    from batchrun.workbook.analysis import Analysis
    from batchrun.workbook.changes import Comparison
    from batchrun.workbook.form import Form
    from batchrun.workbook.layout import Layout


@dataclass(slots=True)
class Content:
    """What all sheets of a workbook are made from."""

    results: BatchResults
    form: Form  # the audience, and whether texts in Markdown keep their markup
    layout: Layout  # the columns, and why rows have no result
    analysis: Analysis  # what the results say; complete when all rows of Results are written
    formats: ListFormats = field(default_factory=ListFormats)
    # The changes since an earlier batch; None if there is none
    comparison: Comparison | None = None
    # The sentence that says which part of the results this is; "" for all of them
    part: str = ""

    @property
    def commands(self) -> Commands:
        """How to continue the batch."""
        return self.form.commands or Commands()

    @property
    def practice(self) -> bool:
        """Whether a practice service invented the results; its clock runs faster than real time."""
        summary = self.results.summary
        return summary.practice or is_practice(summary.base_url)
