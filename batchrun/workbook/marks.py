"""A workbook that batchrun wrote, given back: which batch it is of, which rows are marked."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException, ElementTree
from openpyxl.packaging.custom import StringProperty

from batchrun.workbook.layout import STATUS_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openpyxl import Workbook

    from batchrun.model import Cell

AGAIN = "run again"
"""The head of the column in which anything asks for the row to be sent again."""

SHEET = "Results"
_PROPERTY = "batchrun batch"


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


def sign(workbook: Workbook, batch_id: str) -> None:
    """Keep in a workbook which batch it is of; Excel leaves it there when it saves."""
    properties: Any = workbook  # its stubs do not know of them
    properties.custom_doc_props.append(StringProperty(name=_PROPERTY, value=batch_id))


def batch_of_workbook(path: Path) -> str | None:
    """The batch that a workbook was written from; ``None`` for any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            properties = ElementTree.fromstring(archive.read("docProps/custom.xml"))
    except (OSError, KeyError, zipfile.BadZipFile, ParseError, DefusedXmlException):
        return None
    for each in properties:
        if each.get("name") == _PROPERTY:
            return "".join(each.itertext()) or None
    return None


def marked_rows(path: Path) -> Iterator[Marked]:
    """The rows of its Results whose cell under "run again" holds anything."""
    import python_calamine as calamine

    with calamine.CalamineWorkbook.from_path(str(path)) as workbook:
        for name in workbook.sheet_names:
            if name.partition(" (")[0] != SHEET:
                continue
            rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
            if not rows or not {AGAIN, *STATUS_COLUMNS} <= set(rows[0]):
                continue
            header = rows[0]
            status, again = header.index(STATUS_COLUMNS[0]), header.index(AGAIN)
            execution = header.index("execution id", status)
            for line, cells in enumerate(rows[1:], 2):
                if str(cells[again]).strip():
                    mine = tuple(None if cell == "" else cell for cell in cells[:status])
                    yield Marked(line, name, mine, str(cells[execution]) or None)
