"""Recognize files of results that batchrun wrote: their batch, and the rows marked to run again.

They are recognized by their content: the properties that name the batch get lost if another
program saves the file, or saves it as CSV.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from batchrun.errors import InputError
from batchrun.model import Outcome
from batchrun.tables.files import open_raw
from batchrun.tables.workbooks import OURS
from batchrun.workbook.layout import AGAIN, STATUS_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from openpyxl import Workbook

    from batchrun.model import Cell

STATUS, EXECUTION = STATUS_COLUMNS[0], "execution id"
ENOUGH_COLUMNS = 4
"""Enough of batchrun's columns to recognize results; lists rarely have as many of these names."""
MENTION = "batchrun"
"""Every file with results contains this word, in any case."""
HEADER_ROWS = 50
"""Non-empty rows to search for the header of results, from the top."""
MAX_EXECUTIONS = 1_000
"""Executions to look up if the file does not name its batch."""

_AS_OF = "batchrun as of"


class MarkedRow(NamedTuple):
    """A row with an entry in a column "run again"."""

    line: int  # in the sheet
    cells: Sequence[Cell]


@dataclass(slots=True)
class ResultsSheet:
    """A sheet that contains results."""

    name: str
    header: tuple[str, ...]
    marked: list[MarkedRow] = field(default_factory=list)  # the rows that may be marked
    # For each column called "run again", its entries and how often each occurs
    cells_under: dict[int, Counter[str]] = field(default_factory=dict)
    executions: set[str] = field(default_factory=set)  # some of the execution IDs in it

    @property
    def execution(self) -> int | None:
        """The position of batchrun's execution IDs; the list may have such a column, too."""
        return max(self.columns(EXECUTION), default=None)

    def columns(self, title: str) -> list[int]:
        """Return the columns with this name, including those that pandas renamed to ``name.1``."""
        return [at for at, name in enumerate(self.header) if _plain(name) == _plain(title)]

    def again(self, list_header: Sequence[str], own: Counter[str]) -> int | None:
        """Find batchrun's column "run again"; the list may have one of its own.

        ``own`` has the entries of the list's own column, and how often each occurs.
        """
        found = list(self.cells_under)
        if len(found) <= sum(_plain(name) == _plain(AGAIN) for name in list_header):
            return None
        others = [at for at in found if self.cells_under[at] != own]
        return others[0] if len(found) > 1 and len(others) == 1 else found[-1]


class ResultsFile(NamedTuple):
    """A file that contains results written by batchrun."""

    signature: Signature | None  # the batch named in its properties; None if they got lost
    sheets: tuple[ResultsSheet, ...]


class Signature(NamedTuple):
    """The properties by which a workbook names its batch."""

    batch_id: str  # the batch it was written from
    # The last change of the batch that it shows; None if an older batchrun wrote it
    as_of: datetime | None = None


def sign(workbook: Workbook, signature: Signature) -> None:
    """Store the signature in a workbook's properties, which Excel keeps when it saves."""
    from openpyxl.packaging.custom import StringProperty  # slow to import

    as_of = "" if signature.as_of is None else signature.as_of.isoformat()
    properties: Any = workbook  # the stubs lack these properties
    for name, value in ((OURS, signature.batch_id), (_AS_OF, as_of)):
        properties.custom_doc_props.append(StringProperty(name=name, value=value))


def read_results(path: Path) -> ResultsFile | None:
    """Read the results that batchrun wrote to a file; ``None`` for any other file.

    Results have the columns "batchrun status", with an outcome in it, and "execution id", or
    several others of batchrun's. If the file names its batch, a column "run again" is enough.
    """
    with suppress(InputError, OSError):  # loading the file as a list reports the error
        with open_raw(path, MENTION) as (properties, raw_sheets):
            signature = _signature(properties)
            sheets = [_sheet(name, blocks, signature) for name, blocks in raw_sheets]
        found = tuple(each for each in sheets if each is not None)
        if signature is not None or found:
            return ResultsFile(signature, found)
    return None


def signature_of(path: Path) -> Signature | None:
    """Read which batch a workbook was written from; ``None`` for any other file."""
    with suppress(InputError, OSError), open_raw(path, MENTION) as (properties, _):
        return _signature(properties)
    return None


def _signature(properties: Mapping[str, str]) -> Signature | None:
    if not properties.get(OURS):
        return None
    try:
        return Signature(properties[OURS], datetime.fromisoformat(properties[_AS_OF]))
    except (KeyError, ValueError):
        return Signature(properties[OURS])


def _sheet(name: str, blocks: Iterator[Any], signature: Signature | None) -> ResultsSheet | None:
    sheet: ResultsSheet | None = None
    looked_at, status, execution = 0, -1, -1
    certain = signed = signature is not None
    for line, cells in (
        (line, row) for lines, rows in blocks for line, row in zip(lines, rows, strict=True)
    ):
        if sheet is None:
            looked_at += any(cell is not None and cell != "" for cell in cells)
            if looked_at > HEADER_ROWS:
                return None
            titles = tuple("" if cell is None else str(cell) for cell in cells)
            ours = _OURS & set(map(_plain, titles))
            enough = len(ours) >= ENOUGH_COLUMNS
            can_mark = signed and _plain(AGAIN) in ours and len(ours) > 1
            if enough or can_mark or {_plain(STATUS), _plain(EXECUTION)} <= ours:
                sheet = ResultsSheet(name, titles)
                certain = certain or enough
                sheet.cells_under = {at: Counter() for at in sheet.columns(AGAIN)}
                status = max(sheet.columns(STATUS), default=-1)
                execution = -1 if sheet.execution is None else sheet.execution
            continue
        if 0 <= status < len(cells) and cells[status] in _OUTCOMES:
            certain = True
        if 0 <= execution < len(cells) and len(sheet.executions) < MAX_EXECUTIONS:
            sheet.executions |= {text for text in [_text(cells[execution])] if text}
        marks = {at: _text(cells[at]) for at in sheet.cells_under if at < len(cells)}
        for at, text in marks.items():
            sheet.cells_under[at].update(filter(None, [text]))
        if any(marks.values()):
            sheet.marked.append(MarkedRow(line, tuple(cells)))
    return sheet if certain else None


_OUTCOMES = {text for outcome in Outcome for text in (outcome.value, outcome.words)}


def _plain(title: str) -> str:
    """Normalize a name, since other programs change case, blanks, and number repeated names."""
    return re.sub(r"\.\d{1,3}\Z|[\s_]+", "", title.casefold())


_OURS = {_plain(title) for title in (*STATUS_COLUMNS, AGAIN)}
_NO_MARKS = {"false", "falsch", "no", "nein", "non", "0", "-", "none", "nan", "nat", "null", "<na>"}


def is_mark(cell: Cell) -> bool:
    """Whether a cell under "run again" marks the row: not if it is empty or an unticked box."""
    return bool(cell and _text(cell)) and _text(cell).casefold() not in _NO_MARKS


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell).strip()
