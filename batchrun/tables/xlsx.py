"""XLSX and XLSM: the archive's parts are looked through, then calamine reads the values.

calamine never sees the file as it came. It is given an archive made here of the parts it needs,
unpacked and looked through: a row number or a string count that was made up would otherwise let
it take all memory there is, which no exception handler survives.
"""

from __future__ import annotations

import itertools
import queue
import re
import tempfile
import threading
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from batchrun.errors import InputError
from batchrun.tables import sheetxml
from batchrun.tables.archive import Archive
from batchrun.tables.extent import LAST_COLUMN, LAST_ROW, column_letters, filled_extent
from batchrun.tables.formats import SAVE_AS, protected
from batchrun.tables.frames import Room
from batchrun.tables.listing import list_sheets
from batchrun.tables.sheets import BLOCK_ROWS, Grid, Sheet, choose_sheet
from batchrun.tables.tags import OPENING, PREFIX, whole_rows, without_asides

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from python_calamine import CalamineSheet

    from batchrun.model import Cell
    from batchrun.tables.options import LoadLimits

STRINGS = "xl/sharedStrings.xml"

KNOWN_ERRORS = {"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"}
"""What calamine takes for the value of an error cell; another one makes it give up."""

_CONTENT = re.compile(OPENING + rb"(?:v|t|is|f)(?=[\s>])[^>]*(?<!/)>")
_ERROR_CELL = re.compile(
    rb"(" + OPENING + rb"c(?=\s)(?=[^<>]*\st\s*=\s*[\"']e[\"'])[^<>]*(?<!/)>"
    rb"(?:<(?!/?"
    + PREFIX
    + rb"(?:v|c)[\s/>])[^<>]*>|[^<>]++)*+"
    + OPENING
    + rb"v(?:\s[^<>]*)?>)[^<]+"
)
_COUNT = re.compile(rb"uniqueCount\s*=\s*[\"'](\d+)")
_UNNEEDED = (
    "xl/worksheets/", "xl/media/", "xl/drawings/", "xl/charts/", "xl/externalLinks/", "customXml/",
)  # fmt: skip


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
    sheets = list_sheets(archive, limits)
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
        with _new_copy(archive, sheet, copy) as stream:
            written = _written(archive.chunks(sheet.part), stream)
            traits = sheetxml.read_traits(_ahead(written))
        plain = not traits.uncertain and KNOWN_ERRORS.issuperset(traits.errors.values())
        if not plain:
            with _new_copy(archive, sheet, copy) as stream:
                traits = sheetxml.read_traits(_rewritten(archive, sheet, stream), counting=True)
        _refuse_far_cells(archive, sheet, traits, limits, plain=plain)
    except OSError as error:
        raise InputError(
            f"{archive.name} can't be unpacked: {error.strerror or error}.",
            "Make room on the disk that holds temporary files.",
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise archive.damaged() from error
    return traits


@contextmanager
def _new_copy(archive: Archive, sheet: Sheet, copy: Path) -> Iterator[IO[bytes]]:
    """A stream for the sheet, in an archive that has all else that calamine needs."""
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
        for part in sorted(archive.parts):
            if _needed(part):
                with target.open(part, "w") as stream:
                    for chunk in archive.chunks(part):
                        stream.write(chunk)
        with target.open(sheet.part, "w") as stream:
            yield stream


def _rewritten(archive: Archive, sheet: Sheet, stream: IO[bytes]) -> Iterator[bytes]:
    """The sheet without what calamine drops or gives up on; it is given errors that it knows."""
    for rows in whole_rows(without_asides(archive.chunks(sheet.part))):
        stream.write(_ERROR_CELL.sub(rb"\1#N/A", rows))
        yield rows


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
    archive: Archive, sheet: Sheet, traits: sheetxml.SheetTraits, limits: LoadLimits, *, plain: bool
) -> None:
    rows, columns = traits.extent.last_row, traits.extent.columns
    if _too_large(rows, columns, limits):  # what may be is not yet what is
        chunks = archive.chunks(sheet.part)
        rows, columns = filled_extent(whole_rows(chunks if plain else without_asides(chunks)))
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
