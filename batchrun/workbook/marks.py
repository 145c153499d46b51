"""Results that batchrun wrote, given back: which batch they are of, which rows are marked.

They are known by what they hold, since the properties that name the batch get lost where another
program saves the file, or saves it as CSV.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.model import Outcome
from batchrun.tables import LoadLimits
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
"""Of ours, by which results are known that lost some; a list seldom has as many of these names."""
MENTION = "batchrun"
"""What a file with results mentions, in capitals or not."""
HEADER_ROWS = 50
"""Filled rows from the top among which the header of results is looked for."""
MOST_EXECUTIONS = 1_000
"""By as many the batch is looked for, where the file does not name it."""

_AS_OF = "batchrun as of"


@dataclass(frozen=True, slots=True)
class MarkedRow:
    """A row with anything under a column "run again".

    Attributes:
        line: Its number in the sheet.
        cells: Its cells.
    """

    line: int
    cells: Sequence[Cell]


@dataclass(slots=True)
class ResultsSheet:
    """A sheet that holds results.

    Attributes:
        name: Its name.
        header: Its column names.
        marked: The rows that may be marked.
        cells_under: What stands under each column that is called "run again", and how often.
        executions: Some of the executions it names.
    """

    name: str
    header: tuple[str, ...]
    marked: list[MarkedRow] = field(default_factory=list)
    cells_under: dict[int, Counter[str]] = field(default_factory=dict)
    executions: set[str] = field(default_factory=set)

    @property
    def execution(self) -> int | None:
        """Where our execution IDs are; a list may have a column of that name, too."""
        return max(self.columns(EXECUTION), default=None)

    def columns(self, title: str) -> list[int]:
        """The columns of this name, those of which pandas made ``name.1`` included."""
        return [at for at, name in enumerate(self.header) if _plain(name) == _plain(title)]

    def again(self, list_header: Sequence[str], own: Counter[str]) -> int | None:
        """Our column "run again", wherever it stands; the list may have one of its own.

        Args:
            list_header: The list's own column names.
            own: What stands in the list's own column of that name, and how often.
        """
        found = list(self.cells_under)
        if len(found) <= sum(_plain(name) == _plain(AGAIN) for name in list_header):
            return None
        others = [at for at in found if self.cells_under[at] != own]
        return others[0] if len(found) > 1 and len(others) == 1 else found[-1]


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """A file that holds results of batchrun.

    Attributes:
        signature: What it says of itself; ``None`` where that got lost.
        sheets: Its sheets with results.
    """

    signature: Signature | None
    sheets: tuple[ResultsSheet, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a workbook says of itself.

    Attributes:
        batch_id: The batch it was written from.
        as_of: The batch's last change that it shows; ``None`` where an older batchrun wrote it.
    """

    batch_id: str
    as_of: datetime | None = None


def sign(workbook: Workbook, signature: Signature) -> None:
    """Keep in a workbook what it is of; Excel leaves that there when it saves."""
    from openpyxl.packaging.custom import StringProperty  # slow to import

    properties: Any = workbook  # its stubs do not know of them
    values = {OURS: signature.batch_id}
    if signature.as_of is not None:
        values[_AS_OF] = signature.as_of.isoformat()
    for name, value in values.items():
        properties.custom_doc_props.append(StringProperty(name=name, value=value))


def read_results(path: Path, limits: LoadLimits | None = None) -> ResultsFile | None:
    """What of batchrun's results a file holds; ``None`` for any other file.

    Results have the columns "batchrun status", with an outcome in it, and "execution id", or
    several others of ours; where the file names its batch, a column "run again" is enough.

    Args:
        path: The file.
        limits: What it is held to.
    """
    with suppress(InputError, OSError):  # whatever is wrong with it is said when it is loaded
        with open_raw(path, MENTION, limits or LoadLimits()) as raw:
            signature = _signature(raw.properties)
            sheets = [_sheet(name, blocks, signature) for name, blocks in raw.sheets]
        found = tuple(each for each in sheets if each is not None)
        if signature is not None or found:
            return ResultsFile(signature, found)
    return None


def signature_of(path: Path) -> Signature | None:
    """What a workbook was written from; ``None`` for any other file."""
    with (
        suppress(InputError, OSError),
        open_raw(path, MENTION, LoadLimits()) as raw,
    ):
        return _signature(raw.properties)
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
    looked_at = 0
    certain = signature is not None
    status = execution = -1
    for line, cells in (
        (line, row) for lines, rows in blocks for line, row in zip(lines, rows, strict=True)
    ):
        if sheet is None:
            looked_at += any(cell is not None and cell != "" for cell in cells)
            if looked_at > HEADER_ROWS:
                return None
            titles = tuple("" if cell is None else str(cell) for cell in cells)
            if _is_header(titles, signed=signature is not None):
                sheet = ResultsSheet(name, titles)
                certain = certain or len(_ours(titles)) >= ENOUGH_COLUMNS
                sheet.cells_under = {at: Counter() for at in sheet.columns(AGAIN)}
                status = max(sheet.columns(STATUS), default=-1)
                execution = -1 if sheet.execution is None else sheet.execution
            continue
        if 0 <= status < len(cells) and cells[status] in _OUTCOMES:
            certain = True
        if 0 <= execution < len(cells) and len(sheet.executions) < MOST_EXECUTIONS:
            sheet.executions |= {text for text in [_text(cells[execution])] if text}
        _note_marks(sheet, line, cells)
    return sheet if certain else None


_OUTCOMES = frozenset(map(str, Outcome))


def _note_marks(sheet: ResultsSheet, line: int, cells: Sequence[Cell]) -> None:
    marked = False
    for at, counts in sheet.cells_under.items():
        if at < len(cells) and (text := _text(cells[at])):
            counts[text] += 1
            marked = True
    if marked:
        sheet.marked.append(MarkedRow(line, tuple(cells)))


def _is_header(titles: Sequence[str], *, signed: bool) -> bool:
    found = _ours(titles)
    if {_plain(STATUS), _plain(EXECUTION)} <= found or len(found) >= ENOUGH_COLUMNS:
        return True
    return signed and _plain(AGAIN) in found and len(found) > 1


def _ours(titles: Sequence[str]) -> set[str]:
    """Our columns among these."""
    return _OURS & set(map(_plain, titles))


def _plain(title: str) -> str:
    """A name without what other programs change: capitals, blanks, a number for a repeat."""
    return re.sub(r"\.\d{1,3}\Z|[\s_]+", "", title.casefold())


_OURS = {_plain(title) for title in (*STATUS_COLUMNS, AGAIN)}
_NO_MARKS = {"false", "falsch", "no", "nein", "non", "0", "-", "none", "nan", "nat", "null", "<na>"}


def is_mark(cell: Cell) -> bool:
    """Whether a cell under "run again" asks for it: an unticked box or an empty cell does not."""
    return bool(cell and _text(cell)) and _text(cell).casefold() not in _NO_MARKS


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell).strip()
