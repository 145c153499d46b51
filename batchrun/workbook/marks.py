"""A workbook that batchrun wrote, given back: which batch it is of, which rows are marked."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException, ElementTree

from batchrun.workbook.layout import AGAIN, STATUS_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openpyxl import Workbook

    from batchrun.model import Cell

SHEET = "Results"

MENDED = "run it with --reuse 30d"
"""How a mended list is sent: it is a new batch, and would be paid for anew without that."""

_BATCH = "batchrun batch"
_AS_OF = "batchrun as of"


@dataclass(frozen=True, slots=True)
class Marked:
    """A row that is to be sent again.

    Attributes:
        line: Its number in the sheet.
        sheet: The sheet's name.
        cells: The list's own cells.
        execution_id: Its last execution, ``None`` when it had none.
    """

    line: int
    sheet: str
    cells: tuple[Cell, ...]
    execution_id: str | None


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
    told = {_BATCH: signature.batch_id}
    if signature.as_of is not None:
        told[_AS_OF] = signature.as_of.isoformat()
    for name, value in told.items():
        properties.custom_doc_props.append(StringProperty(name=name, value=value))


def signature_of(path: Path) -> Signature | None:
    """What a workbook was written from; ``None`` for any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            properties = ElementTree.fromstring(archive.read("docProps/custom.xml"))
    except (OSError, KeyError, zipfile.BadZipFile, ParseError, DefusedXmlException):
        return None
    told = {each.get("name"): "".join(each.itertext()) for each in properties}
    if not told.get(_BATCH):
        return None
    try:
        return Signature(told[_BATCH], datetime.fromisoformat(told[_AS_OF]))
    except (KeyError, ValueError):
        return Signature(told[_BATCH])


def marked_rows(path: Path) -> Iterator[Marked]:
    """The rows of its Results whose cell under "run again" holds anything."""
    import python_calamine as calamine

    with calamine.CalamineWorkbook.from_path(str(path)) as workbook:
        for name in workbook.sheet_names:
            if name.partition(" (")[0] != SHEET:
                continue
            rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
            if not rows or not {AGAIN, *STATUS_COLUMNS[:3]} <= set(rows[0]):
                continue
            header = rows[0]
            status, again = header.index(STATUS_COLUMNS[0]), header.index(AGAIN)
            execution = header.index("execution id", status)
            for line, cells in enumerate(rows[1:], 2):
                if str(cells[again]).strip():
                    mine = tuple(None if cell == "" else cell for cell in cells[:status])
                    yield Marked(line, name, mine, str(cells[execution]) or None)
