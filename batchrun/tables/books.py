"""Workbook readers, one for each format. They run in the process that isolated.py starts."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from batchrun.errors import InputError
from batchrun.tables import xlsx
from batchrun.tables.archive import Archive
from batchrun.tables.details import read_details
from batchrun.tables.formats import (
    OLE_MAGIC,
    PARQUET_MAGIC,
    SAVE_AS,
    ZIP_MAGIC,
    Format,
    detect_ole,
    detect_zip,
    protected,
)
from batchrun.tables.sheets import Sheet, Traits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchrun.model import Cell
    from batchrun.tables.options import LoadLimits

FILE_PASS, END_OF_RECORDS = 0x2F, 0x0A  # [MS-XLS] 2.4.117 and 2.4.103


@dataclass(frozen=True, slots=True)
class SheetRows:
    """The contents of a sheet.

    Attributes:
        rows: All rows, starting with row 1.
        first_column: Column number (from 1) of the first cell of each row.
        merged: Merged ranges as (first row, first column, last row, last column), from 1.
        traits: Other details of the sheet; ``None`` if the format does not provide them.
        notices: Notices about the sheet.
    """

    rows: Iterator[list[Cell]]
    first_column: int
    merged: Sequence[tuple[int, int, int, int]]
    traits: Traits | None = None
    notices: Sequence[str] = ()


class WorkbookReader(Protocol):
    """The interface of all workbook readers."""

    format: Format
    sheets: list[Sheet]

    def properties(self) -> dict[str, str]:
        """Return the custom properties."""

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet holds anything."""

    def may_contain(self, text: str) -> bool:
        """Whether the workbook may contain a text; a quick search that does not parse cells."""

    def read(self, sheet: Sheet) -> SheetRows:
        """Read a sheet."""


def open_reader(raw: bytes, name: str, limits: LoadLimits) -> WorkbookReader:
    """Open a workbook in any supported format.

    Raises:
        InputError: The file is not a workbook or can't be opened; the message says why.
    """
    if raw.startswith(ZIP_MAGIC):
        archive = Archive(raw, name, limits)
        file_format = detect_zip(archive)
        if file_format is Format.XLSX:
            return XlsxReader(archive, limits)
        return CalamineReader(raw, name, file_format, limits, archive)
    if raw.startswith(OLE_MAGIC):
        file_format = detect_ole(raw, name)
        _refuse_protected(raw, name)
        return CalamineReader(raw, name, file_format, limits, None)
    if raw.startswith(PARQUET_MAGIC):
        from batchrun.tables.parquet import ParquetReader

        return ParquetReader(raw, name, limits)
    from batchrun.tables.spreadsheetml import Xml2003Reader

    return Xml2003Reader(raw, name, limits)


class CalamineReader:
    """Reads XLS, XLSB and ODS with calamine."""

    def __init__(
        self,
        raw: bytes,
        name: str,
        file_format: Format,
        limits: LoadLimits,
        archive: Archive | None,
    ) -> None:
        import python_calamine as calamine

        self.format = file_format
        self._raw, self._name, self._limits, self._archive = raw, name, limits, archive
        self._book = _opened(io.BytesIO(raw), name)
        self.sheets = [
            Sheet(each.name, each.visible == calamine.SheetVisibleEnum.Visible)
            for each in self._book.sheets_metadata
            if each.typ == calamine.SheetTypeEnum.WorkSheet
        ]
        if len(self.sheets) > limits.sheets:
            raise InputError(
                f"{name} has {len(self.sheets):,} sheets, more than {limits.sheets:,}.", SAVE_AS
            )
        self._content: tuple[str, Any] = ("", None)

    def properties(self) -> dict[str, str]:
        """Return nothing: batchrun does not write these formats."""
        return {}

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet holds anything."""
        return self._sheet(sheet).end is not None

    def may_contain(self, text: str) -> bool:
        """Whether the workbook may contain a text; a quick search that does not parse cells."""
        spellings = (text.encode(), text.encode("utf-16-le"))
        if self._archive is None:
            lowered = self._raw.lower()
            return any(each in lowered for each in spellings)
        return any(_holds(self._archive, part, spellings) for part in self._archive.parts)

    def read(self, sheet: Sheet) -> SheetRows:
        """Read a sheet."""
        content = _content(self._sheet(sheet), self._name, sheet, self._limits)
        traits, merged = read_details(self._raw, self.format, sheet.name)
        return replace(content, traits=traits, merged=content.merged or merged)

    def _sheet(self, sheet: Sheet) -> Any:
        if self._content[1] is None or self._content[0] != sheet.name:
            self._content = (
                sheet.name,
                _called(self._book.get_sheet_by_name, sheet.name, self._name),
            )
        return self._content[1]


class XlsxReader:
    """Reads XLSX and XLSM: calamine reads a copy of one sheet; see xlsx.py."""

    format = Format.XLSX

    def __init__(self, archive: Archive, limits: LoadLimits) -> None:
        archive.refuse_declarations()
        self._archive, self._limits = archive, limits
        self._parts = xlsx.find_parts(archive, limits)
        self.sheets = self._parts.sheets

    def properties(self) -> dict[str, str]:
        """Return the custom properties."""
        return xlsx.properties_of(self._archive)

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet holds anything."""
        return xlsx.is_filled(self._archive, sheet)

    def may_contain(self, text: str) -> bool:
        """Whether the workbook may contain a text; a quick search that does not parse cells."""
        parts = [part for part in self._archive.parts if part.endswith(".xml")]
        return any(_holds(self._archive, part, (text.encode(),)) for part in parts)

    def read(self, sheet: Sheet) -> SheetRows:
        """Read a sheet."""
        try:
            content = self._read(sheet)
        except xlsx.UnreadableError:  # calamine rejects some files that other programs open
            content = self._read(sheet, parsed=True)
        if any(part.startswith("xl/externallinks/") for part in self._archive.parts):
            links = "Links to other files were not followed; the values stored here were read"
            return replace(content, notices=[links])
        return content

    def _read(self, sheet: Sheet, *, parsed: bool = False) -> SheetRows:
        name = self._archive.name
        try:
            traits = xlsx.copy_sheet(self._archive, self._parts, sheet, self._limits, parsed=parsed)
        except OSError as error:
            raise InputError(
                f"{name} can't be unpacked: {error.strerror or error}.",
                "Make room on the disk that holds temporary files.",
            ) from error
        copy = _opened(xlsx.COPY, name)
        found = _called(copy.get_sheet_by_index, 0, name)
        content = _content(found, name, sheet, self._limits, traits)
        return replace(content, rows=self._complete(content.rows, sheet, traits))

    def _complete(
        self, rows: Iterator[list[Cell]], sheet: Sheet, traits: Traits
    ) -> Iterator[list[Cell]]:
        """Yield the rows; calamine keeps only the last of several cells with the same reference.

        Raises:
            InputError: A cell is there twice.
        """
        filled = 0
        for row in rows:
            filled += len(row) - row.count("")
            yield row
        if filled < traits.filled - len(traits.errors):  # or some texts are empty
            xlsx.refuse_repeated(self._archive, self._parts, sheet)


def _opened(source: Any, name: str) -> Any:
    import python_calamine as calamine

    opener = calamine.CalamineWorkbook
    return _called(
        opener.from_filelike if isinstance(source, io.BytesIO) else opener.from_path, source, name
    )


def _called(read: Any, argument: Any, name: str) -> Any:
    """Call calamine and replace its errors, which users would not understand."""
    import python_calamine as calamine

    try:
        return read(argument)
    except calamine.PasswordError as error:
        raise protected(name) from error
    except (calamine.CalamineError, OSError) as error:
        raise xlsx.unreadable(name) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # calamine's own bug; no Exception
            raise
        raise xlsx.unreadable(name) from error


def _content(
    found: Any, name: str, sheet: Sheet, limits: LoadLimits, traits: Traits | None = None
) -> SheetRows:
    if found.start is None:
        raise InputError(f"{name}, sheet {sheet.name}: every cell is empty.", "Name another sheet.")
    xlsx.refuse_far(name, sheet.name, found.total_height, found.width, limits)
    merged = [
        (top + 1, left + 1, bottom + 1, right + 1)
        for (top, left), (bottom, right) in found.merged_cell_ranges or ()
    ]
    return SheetRows(iter(found.iter_rows()), found.start[1] + 1, merged, traits)


def _holds(archive: Archive, part: str, texts: Sequence[bytes]) -> bool:
    before = b""
    for chunk in archive.chunks(part):
        block = before + chunk
        lowered = block.lower()
        if any(text in lowered for text in texts):
            return True
        before = block[-256:]
    return False


def _refuse_protected(raw: bytes, name: str) -> None:
    """Refuse an encrypted XLS, because calamine only reports an unknown format."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(raw)) as compound:
            book = next(each for each in ("Workbook", "Book") if compound.exists(each))
            records = compound.openstream(book).read(1024**2)
    except (OSError, StopIteration, ValueError, struct.error, IndexError):
        return
    at = 0
    while at + 4 <= len(records):
        kind, size = struct.unpack_from("<HH", records, at)
        if kind == FILE_PASS:
            raise protected(name)
        if kind == END_OF_RECORDS:
            return
        at += 4 + size
