"""XLSX and XLSM: the archive's parts are looked through, then calamine reads the values.

calamine never sees the file as it came. It is given an archive made here of the parts it needs,
unpacked and looked through: a row number or a string count that was made up would otherwise let
it take all memory there is, which no exception handler survives.
"""

from __future__ import annotations

import html
import itertools
import posixpath
import queue
import re
import tempfile
import threading
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from batchrun.errors import InputError
from batchrun.tables import sheetxml
from batchrun.tables.archive import Archive
from batchrun.tables.extent import LAST_COLUMN, LAST_ROW, column_letters, filled_extent
from batchrun.tables.formats import SAVE_AS, protected
from batchrun.tables.frames import Room
from batchrun.tables.sheets import BLOCK_ROWS, Grid, Sheet, choose_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from python_calamine import CalamineSheet

    from batchrun.model import Cell
    from batchrun.tables.limits import LoadLimits

WORKBOOK = "xl/workbook.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"
STRINGS = "xl/sharedStrings.xml"

_SHEET = re.compile(r"<(?:\w+:)?sheet\s([^>]*)>")
_RELATION = re.compile(r"<(?:\w+:)?Relationship\s([^>]*)>")
_ATTRIBUTE = re.compile(r"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_CONTENT = re.compile(rb"<(?:\w+:)?(v|t|is|f)\b[^>]*[^/>]?>")
_COUNT = re.compile(rb"uniqueCount\s*=\s*[\"'](\d+)")
_UNNEEDED = (
    "xl/worksheets/", "xl/media/", "xl/drawings/", "xl/charts/", "xl/externalLinks/", "customXml/",
)  # fmt: skip
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_grid(raw: bytes, name: str, wanted: str | None, limits: LoadLimits) -> Grid:
    """Open a sheet.

    Args:
        raw: The whole file.
        name: Its name, for messages.
        wanted: Name or number of the sheet; ``None`` for the first that holds anything.
        limits: What it is held to.

    Raises:
        InputError: The workbook is damaged or hostile, has no such sheet, or holds nothing.
    """
    archive = Archive(raw, name, limits)
    archive.refuse_declarations()
    sheets = _list_sheets(archive, limits)
    chosen, notices = choose_sheet(sheets, wanted, lambda each: _filled(archive, each), name)
    _refuse_made_up_count(archive)
    with tempfile.TemporaryDirectory(prefix="batchrun-") as folder:
        copy = Path(folder) / "sheet.xlsx"
        traits = _copy(archive, chosen, copy, limits)
        content = _open(copy, chosen, name)
    start = content.start
    if start is None:
        raise InputError(
            f"{name}, sheet {chosen.name}: every cell is empty.", "Name another sheet."
        )
    merged = [
        (top + 1, left + 1, bottom + 1, right + 1)
        for (top, left), (bottom, right) in content.merged_cell_ranges or ()
    ]
    if any(part.startswith("xl/externalLinks/") for part in archive.parts):
        notices += ("Links to other files were not followed; the values stored here were read",)
    room = Room(content.total_height, content.total_height * content.width)
    return Grid(chosen.name, notices, start[1] + 1, _blocks(content), merged, traits, room)


def _blocks(content: CalamineSheet) -> Iterator[list[list[Cell]]]:
    rows = content.iter_rows()  # starts at row 1, wherever cells start
    while block := list(itertools.islice(rows, BLOCK_ROWS)):
        yield cast("list[list[Cell]]", block)


def _open(copy: Path, sheet: Sheet, name: str) -> CalamineSheet:
    import python_calamine as calamine

    try:
        with calamine.CalamineWorkbook.from_path(copy) as workbook:
            return workbook.get_sheet_by_name(sheet.name)
    except calamine.PasswordError as error:
        raise protected(name) from error
    except (calamine.CalamineError, OSError) as error:
        raise unreadable(name, str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # calamine's own defect; no Exception
            raise
        raise unreadable(name, "its parts contradict each other") from error


def unreadable(name: str, why: str) -> InputError:
    """The error for a workbook that calamine does not understand."""
    return InputError(f"{name} is a workbook that can't be read: {why}.", SAVE_AS)


def _text(part: bytes) -> str:
    return part.decode("utf-16" if part.startswith(_UTF_16) else "utf-8-sig", "replace")


def _attributes(text: str) -> dict[str, str]:
    return {
        key.rpartition(":")[2]: html.unescape(double or single)
        for key, double, single in _ATTRIBUTE.findall(text)
    }


def _list_sheets(archive: Archive, limits: LoadLimits) -> list[Sheet]:
    """The worksheets, charts and macro sheets left out."""
    if RELATIONS not in archive.parts:
        raise archive.damaged()
    targets: dict[str, str] = {}
    for found in _RELATION.finditer(_text(archive.read(RELATIONS))):
        relation = _attributes(found[1])
        if relation.get("Type", "").endswith("/worksheet"):
            target = relation.get("Target", "")
            part = target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
            targets[relation.get("Id", "")] = posixpath.normpath(part)
    found_sheets = list(_SHEET.finditer(_text(archive.read(WORKBOOK))))
    if len(found_sheets) > limits.sheets:
        raise archive.refused(f"it has {len(found_sheets):,} sheets, more than {limits.sheets:,}")
    sheets = []
    for found in found_sheets:
        attributes = _attributes(found[1])
        sheet_part = targets.get(attributes.get("id", ""))
        if sheet_part is not None:
            visible = attributes.get("state", "visible") == "visible"
            sheets.append(Sheet(attributes.get("name", ""), visible, sheet_part))
    return sheets


def _filled(archive: Archive, sheet: Sheet) -> bool:
    """Whether any cell holds something: a value or a formula after the first row begins."""
    if sheet.part not in archive.parts:
        raise archive.damaged()
    before = b""
    inside = False
    for chunk in archive.chunks(sheet.part):
        block = before + chunk
        start = 0
        if not inside:
            start = block.find(b"sheetData")
            inside = start >= 0
        if inside and _CONTENT.search(block, max(start, 0)):
            return True
        before = block[-64:]
    return False


def _refuse_made_up_count(archive: Archive) -> None:
    """Refuse a table of strings that announces more strings than it has room for."""
    if STRINGS in archive.parts:
        announced = _COUNT.findall(archive.beginning(STRINGS, 4096))
        if any(len(digits) > 18 or int(digits) > archive.size(STRINGS) for digits in announced):
            raise archive.refused("its table of strings announces more than it holds", hint="")


def _copy(archive: Archive, sheet: Sheet, copy: Path, limits: LoadLimits) -> sheetxml.SheetTraits:
    """Write what calamine needs to a file, and look through the sheet on the way."""
    try:
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
            for part in sorted(archive.parts):
                if _needed(part):
                    with target.open(part, "w") as stream:
                        for chunk in archive.chunks(part):
                            stream.write(chunk)
            with target.open(sheet.part, "w") as stream:
                traits = sheetxml.read_traits(_ahead(_written(archive.chunks(sheet.part), stream)))
    except OSError as error:
        raise InputError(
            f"{archive.name} can't be unpacked: {error.strerror or error}.",
            "Make room on the disk that holds temporary files.",
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise archive.damaged() from error
    _refuse_far_cells(archive, sheet, traits, limits)
    return traits


def _needed(part: str) -> bool:
    return part.endswith((".xml", ".rels")) and not part.startswith(_UNNEEDED)


def _written(chunks: Iterator[bytes], stream: IO[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        stream.write(chunk)
        yield chunk


def _ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Take the next pieces in a second thread: zlib and files work beside the search."""
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=8)
    abandoned = threading.Event()

    def take() -> None:
        try:
            for chunk in chunks:
                ready.put(chunk)
                if abandoned.is_set():
                    break
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        abandoned.set()
        while thread.is_alive():  # it may be waiting for room
            with suppress(queue.Empty):
                ready.get(timeout=0.01)


def _refuse_far_cells(
    archive: Archive, sheet: Sheet, traits: sheetxml.SheetTraits, limits: LoadLimits
) -> None:
    rows, columns = traits.extent.last_row, traits.extent.columns
    if _too_large(rows, columns, limits):  # what may be is not yet what is
        rows, columns = filled_extent(sheetxml.whole_rows(archive.chunks(sheet.part)))
    if _too_large(rows, columns, limits):
        corner = f"{column_letters(columns)}{rows}"
        too_far = rows > LAST_ROW or columns > LAST_COLUMN
        how_far = (
            "further than an Excel sheet does"
            if too_far
            else f"{rows * columns:,} cells, more than {limits.cells:,}"
        )
        hint = "Delete what stands far from the list." if not too_far else ""
        raise archive.refused(
            f"the cells of sheet {sheet.name} reach to {corner:.20}, {how_far}", hint
        )


def _too_large(rows: int, columns: int, limits: LoadLimits) -> bool:
    return rows > LAST_ROW or columns > LAST_COLUMN or rows * columns > limits.cells
