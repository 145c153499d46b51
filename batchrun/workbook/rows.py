"""Write a sheet's rows as XML: stream them to disk, then insert them into the finished workbook.

openpyxl writes the workbook with empty sheets: styles, widths, filters, and charts, which are few.
The rows, which are many, are written here, because openpyxl's write-only mode takes about five
times as long for a cell with a style and keeps every link in memory (``benchmarks/workbook.py``).
Cells, rows, and hyperlinks follow ECMA-376 part 1, 18.3.1.

The same workbook gives the same bytes whenever it is written. It does not depend on the machine's
clock, which may say 1970: ZIP has no times before 1980.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import zipfile
from datetime import date, datetime, time, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast
from xml.sax.saxutils import escape

from openpyxl.drawing.spreadsheet_drawing import SpreadsheetDrawing
from openpyxl.utils import datetime as serials
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.writer.excel import ExcelWriter

from batchrun.workbook.cells import EXACT_DIGITS
from batchrun.workbook.styles import FONT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import ExitStack
    from pathlib import Path
    from typing import IO

    from openpyxl import Workbook

    from batchrun.model import Cell
    from batchrun.workbook.markdown import Run, Style

_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATION_PARTS = "http://schemas.openxmlformats.org/package/2006/relationships"
_NO_ROWS = re.compile(rb"<sheetData\s*/>|<sheetData>\s*</sheetData>")
_CHART_NAME = re.compile(rb"(<(?:\w+:)?cNvPr\b[^>]*?)(\s*/?>)")
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  # Excel has no zones
"""Day 0 of Excel's day count, which includes a nonexistent 29 February 1900."""
_MAX_INT = 10**EXACT_DIGITS
_MIN_INT = -_MAX_INT
_WHITE = " \t\n\r"
_LARGE = 2**31 - 2**20
"""Bytes from which a part of a ZIP file must be declared as large."""
_MEMORY_BYTES = 2**18
"""Maximum bytes of rows, or of links, that a sheet keeps in memory."""
LEVEL = 3
"""Compression level: half the time of the default 6 for a file that is an eighth larger."""
_NO_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest time in ZIP, used for every part."""


def cell_xml(place: str, style: int, value: Cell) -> str:
    """Return a cell; the value must be one that Excel can store (`cells.Fitter`)."""
    if isinstance(value, str):
        return f'<c r="{place}" s="{style}" t="inlineStr">{text_xml(value)}</c>'
    if value is None:
        return f'<c r="{place}" s="{style}"/>'
    if isinstance(value, bool):
        return f'<c r="{place}" s="{style}" t="b"><v>{value:d}</v></c>'
    if isinstance(value, (datetime, date, time, timedelta)):
        return f'<c r="{place}" s="{style}"><v>{_serial(value)!r}</v></c>'
    return f'<c r="{place}" s="{style}"><v>{value!r}</v></c>'  # repr distinguishes all doubles


def usual_number(value: Cell) -> str:
    """Return a number or date as a cell stores it, for ordinary values; ``""`` for the others."""
    if type(value) is int:
        return str(value) if _MIN_INT < value < _MAX_INT else ""
    if isinstance(value, float):
        return repr(value) if 1e-300 < abs(value) < 1e300 else ""
    if isinstance(value, datetime) and value.year > 1900 and value.tzinfo is None:
        since = value - _EPOCH  # takes half the time of openpyxl's function, for the same number
        return repr(since.days + (since.seconds + since.microseconds / 1e6) / 86_400)
    return ""


def text_xml(text: str) -> str:
    """Return the content of a text cell."""
    space = ' xml:space="preserve"' if text[:1] in _WHITE or text[-1:] in _WHITE else ""
    return f"<is><t{space}>{_escaped(text)}</t></is>"


def rich_xml(runs: Iterable[Run]) -> str:
    """Return the content of a cell with several styles; Excel must be able to store the texts."""
    parts = [f"{_run_begin(run.style)}{_escaped(run.text)}</t></r>" for run in runs]
    return f"<is>{''.join(parts)}</is>"


def _escaped(text: str) -> str:
    return escape(text) if "&" in text or "<" in text or ">" in text else text


@cache
def _run_begin(style: Style) -> str:
    names = {"bold": "<b/>", "italic": "<i/>", "strike": "<strike/>"}
    marks = "".join(names[name] for name in names if name in style)
    look = f'{marks}<sz val="11"/><rFont val="{FONT}"/><family val="2"/>'
    return f'<r><rPr>{look}</rPr><t xml:space="preserve">'


_serial: Callable[[Cell], float] = serials.to_excel  # untyped in its stubs


class SheetRows:
    """The rows of one sheet until they go into the workbook; if large, in temporary files."""

    def __init__(self, name: str, stack: ExitStack) -> None:
        self.name = name
        file = partial(tempfile.SpooledTemporaryFile, _MEMORY_BYTES, buffering=_MEMORY_BYTES)
        self._rows, self._links, self._relations = (stack.enter_context(file()) for _ in range(3))
        self.count = 0
        self.links = self.targets = 0

    def add(self, cells: Iterable[str], height: float | None = None) -> None:
        """Add a row of cells from `cell_xml`; the height is in points."""
        self.count += 1
        high = "" if height is None else f' ht="{height:g}" customHeight="1"'
        self._rows.write(f'<row r="{self.count}"{high}>{"".join(cells)}</row>'.encode())

    def link(self, place: str, *, target: str = "", location: str = "") -> None:
        """Link a cell to an address, or to a place in the workbook."""
        self.links += 1
        leads_to = f'location="{_attribute(location)}"' if location else f'r:id="rId{self.links}"'
        self._links.write(f'<hyperlink ref="{place}" {leads_to}/>'.encode())
        if target:
            self.targets += 1
            relation = (
                f'<Relationship Id="rId{self.links}" Type="{_RELATIONS}/hyperlink" '
                f'Target="{_attribute(target)}" TargetMode="External"/>'
            )
            self._relations.write(relation.encode())

    def write_sheet(self, sheet: bytes, part: IO[bytes]) -> None:
        """Write a sheet that openpyxl made without rows, with the rows inserted."""
        before, after = _NO_ROWS.split(sheet, maxsplit=1)
        part.write(before + b"<sheetData>")
        _copy(self._rows, part)
        part.write(b"</sheetData>")
        tail, margins, rest = after.partition(b"<pageMargins")
        part.write(tail)
        if self.links:
            part.write(f'<hyperlinks xmlns:r="{_RELATIONS}">'.encode())
            _copy(self._links, part)
            part.write(b"</hyperlinks>")
        part.write(margins + rest)

    def write_relations(self, part: IO[bytes]) -> None:
        """Write the link targets; a sheet without addresses has none."""
        part.write(f'<Relationships xmlns="{_RELATION_PARTS}">'.encode())
        _copy(self._relations, part)
        part.write(b"</Relationships>")

    @property
    def size(self) -> int:
        """The approximate size of its largest part, in bytes."""
        return self._rows.tell() + self._links.tell()


def save(
    workbook: Workbook,
    sheets: Mapping[str, SheetRows],
    path: Path,
    alternatives: Sequence[str] = (),
) -> None:
    """Save a workbook of sheets without cells, with these rows inserted, by the sheets' titles.

    ``alternatives`` are the alternative texts of the charts, in order.
    """
    texts = (f' descr="{_attribute(text)}"'.encode("utf-8", "replace") for text in alternatives)
    made = _Parts()
    writer: Any = _Writer(workbook, cast("zipfile.ZipFile", made))
    writer.save()
    # openpyxl names the parts while it saves
    parts = {sheet.path.removeprefix("/"): sheets[sheet.title] for sheet in workbook.worksheets}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as finished:
        for name, content in made.items():
            if (rows := parts.get(name)) is not None:
                large = rows.size > _LARGE
                with finished.open(_entry(name), "w", force_zip64=large) as part:
                    rows.write_sheet(content, part)
            elif name.startswith("xl/drawings/drawing"):
                named = _CHART_NAME.sub(
                    lambda found: found[1] + next(texts, b' descr=""') + found[2], content
                )
                finished.writestr(_entry(name), named)
            else:
                finished.writestr(_entry(name), content)
        for name, rows in parts.items():
            if rows.targets:
                folder, _, file = name.rpartition("/")
                with finished.open(_entry(f"{folder}/_rels/{file}.rels"), "w") as part:
                    rows.write_relations(part)


class _Parts(dict[str, bytes]):
    """The parts of a workbook by name: an archive in memory, as openpyxl uses it."""

    def writestr(self, name: str, content: bytes | str) -> None:
        self[name] = content.encode() if isinstance(content, str) else content

    def namelist(self) -> list[str]:
        return list(self)

    def close(self) -> None:
        pass


class _Writer(ExcelWriter):
    """Writes sheets without openpyxl's temporary files; they have no rows yet."""

    def write_worksheet(self, ws: Any) -> None:
        ws._drawing = SpreadsheetDrawing()
        ws._drawing.charts = ws._charts
        writer: Any = WorksheetWriter(ws, io.BytesIO())
        writer.write()
        ws._rels = writer._rels
        self._archive.writestr(ws.path[1:], writer.out.getvalue())  # type: ignore[attr-defined]
        self.manifest.append(ws)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _NO_MOMENT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = LEVEL  # type: ignore[attr-defined]  # streams have no other way
    return entry


def _copy(file: IO[bytes], part: IO[bytes]) -> None:
    file.seek(0)
    shutil.copyfileobj(file, part, 2**20)


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})
