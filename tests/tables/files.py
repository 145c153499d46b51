"""Small real files for the tests of load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openpyxl

from batchrun.tables.files import load

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import Table

UUID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
OTHER_UUID = "0b9f6c1e-2d3a-4b5c-8d7e-6f5a4b3c2d1e"

Rows = list[list[Any]]


def load_bytes(folder: Path, content: bytes | str, name: str = "accounts.csv") -> Table:
    """Write a file and load it."""
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(file)


def write_workbook(file: Path, sheets: dict[str, Rows], hidden: tuple[str, ...] = ()) -> Path:
    """Write an XLSX workbook, a list of rows a sheet."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
        if title in hidden:
            sheet.sheet_state = "hidden"
    workbook.save(file)
    return file


def cells(table: Table) -> Rows:
    """The cells of a table, row by row."""
    return [list(row.cells) for row in table.rows()]


def lines(table: Table) -> list[int]:
    """The line number of each row."""
    return [row.line for row in table.rows()]
