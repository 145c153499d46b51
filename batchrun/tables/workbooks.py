"""XLSX: bytes → `Table`, cells as Excel holds them.

Read by calamine, which is nine times faster than openpyxl. What it can't tell apart: an error
cell (``#N/A``), a formula that was never calculated, an empty text and a text of nothing but
spaces, tabs or line breaks all come as empty cells.
"""

from __future__ import annotations

import difflib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource
from batchrun.tables.frames import RowCollector, blank_rows_notice, check_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from python_calamine import CalamineSheet, CalamineWorkbook

EXACT_INTEGERS = 2**53
"""Below this every integer has its own double, and Excel holds each number as a double."""


def read_workbook(raw: bytes, file: Path, sheet: str | None) -> Table:
    """Read a sheet of an XLSX workbook.

    Args:
        raw: The whole file.
        file: Its path; only named, not opened.
        sheet: The sheet's name or number, ``None`` for the first that holds anything.

    Raises:
        InputError: The workbook is damaged, has no such sheet, or the sheet holds no table.
    """
    import python_calamine as calamine

    source = TableSource(name=file.name, path=str(file.absolute()), format="xlsx")
    try:
        with calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw)) as workbook:
            content, notices = _choose_sheet(workbook, sheet, source)
            return _read_sheet(content, replace(source, sheet=content.name, notices=notices))
    except calamine.PasswordError as error:
        raise InputError(
            f"{file.name} is protected by a password.", "Save it without one, then try again."
        ) from error
    except (calamine.CalamineError, OSError) as error:
        raise InputError(
            f"{file.name} is an Excel workbook that can't be read: {error}.",
            "Open it in Excel and save it again as .xlsx.",
        ) from error


def _choose_sheet(
    workbook: CalamineWorkbook, wanted: str | None, source: TableSource
) -> tuple[CalamineSheet, tuple[str, ...]]:
    """The sheet to read and what is to be said of the choice."""
    visible, hidden = _sheet_names(workbook)
    if wanted is not None:
        content = workbook.get_sheet_by_name(_named_sheet(wanted, visible, hidden, source))
        if content.start is None:
            raise InputError(
                f"{source.name}, sheet {content.name} is empty.",
                f"Name another sheet: {_listed([*visible, *hidden])}.",
            )
        return content, ()
    sheets = [workbook.get_sheet_by_name(name) for name in visible]
    filled = [content for content in sheets if content.start is not None]
    if not filled:
        hint = f"Name a hidden sheet: {_listed(hidden)}." if hidden else "Export the list again."
        raise InputError(f"{source.name} has no visible sheet that holds anything.", hint)
    if len(filled) == 1:
        return filled[0], ()
    others = _listed(content.name for content in filled[1:])
    return filled[0], (f"Sheet {filled[0].name} was read; not read, though not empty: {others}",)


def _sheet_names(workbook: CalamineWorkbook) -> tuple[list[str], list[str]]:
    """Names of the visible and of the hidden worksheets, charts left out."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    worksheets = [each for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    visible = [each.name for each in worksheets if each.visible == SheetVisibleEnum.Visible]
    hidden = [each.name for each in worksheets if each.visible != SheetVisibleEnum.Visible]
    return visible, hidden


def _named_sheet(wanted: str, visible: list[str], hidden: list[str], source: TableSource) -> str:
    names = [*visible, *hidden]
    if wanted in names:
        return wanted
    # Excel allows no two names that differ in case only
    folded = {name.casefold(): name for name in names}
    if wanted.casefold() in folded:
        return folded[wanted.casefold()]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(visible):
        return visible[int(wanted) - 1]
    close = difflib.get_close_matches(wanted.casefold(), folded, n=1)
    suggestion = f" Did you mean {folded[close[0]]}?" if close else ""
    raise InputError(
        f"{source.name} has no sheet {wanted!r}.", f"Its sheets: {_listed(names)}.{suggestion}"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _read_sheet(content: CalamineSheet, source: TableSource) -> Table:
    numbered = enumerate(content.iter_rows(), start=1)  # starts at row 1, wherever cells start
    header_line, header_cells = next(
        ((line, cells) for line, cells in numbered if _any_cell(cells)), (0, [])
    )
    if not header_line:
        raise InputError(f"{source.place(1)}: every cell is empty.", "Name another sheet.")
    rows = RowCollector(len(header_cells), filler=None)
    for line, cells in numbered:
        if _any_cell(cells):
            rows.add(line, cells)
        else:
            rows.skip_blank()
    header = [_header_text(cell) for cell in header_cells]
    columns = rows.columns
    columns[:] = map(_exact_column, columns)
    while header and not header[-1] and all(cell is None for cell in columns[-1]):
        header.pop()
        columns.pop()
    check_header(source, tuple(header), header_line, len(rows))
    notices = (*source.notices, *blank_rows_notice(rows))
    return Table(replace(source, notices=notices), tuple(header), rows.frame())


def _any_cell(cells: Sequence[Cell]) -> bool:
    return any(cells) or any(cell != "" for cell in cells)  # 0 and FALSE are something


def _exact_column(column: list[Cell]) -> list[Cell]:
    """Undo what calamine's types lose: 5 is not 5.0, and an empty cell is not an empty text."""
    kinds = set(map(type, column))
    if float not in kinds and str not in kinds:
        return column
    return [_exact_cell(cell) for cell in column]


def _exact_cell(cell: Cell) -> Cell:
    if cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT_INTEGERS:
        return int(cell)
    return cell


def _header_text(cell: Cell) -> str:
    match _exact_cell(cell):
        case None:
            return ""
        case bool(value):
            return str(value).upper()
        case value:
            return str(value)
