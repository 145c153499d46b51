"""How the input workbook's columns looked: their widths and their formats of numbers and dates.

Read as XML, because openpyxl would read the whole workbook for it. What can't be found is left to
the usual looks: nobody's results may depend on it.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException, ElementTree
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils import column_index_from_string

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO
    from xml.etree.ElementTree import Element

    from batchrun.model import BatchResults

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
ROWS_LOOKED_AT = 200
_WIDEST = 255.0
_TEXT = {"s", "str", "inlineStr", "b", "e"}
"""Types of cells that have no format of a number."""

_MOMENTS = ("datetime", "date", "time", "timedelta")
_NUMBERS = ("int", "float")


@dataclass(frozen=True, slots=True)
class SourceLook:
    """How a column of the input looked.

    Attributes:
        width: Its width, ``None`` when it had the usual one.
        formats: Number formats by the name of a value's type.
    """

    width: float | None = None
    formats: Mapping[str, str] = field(default_factory=dict)


def source_looks(results: BatchResults) -> Mapping[int, SourceLook]:
    """The looks of the input's columns by their position; none if it was no workbook."""
    source = results.summary.source
    if source.format != "xlsx" or source.path is None or source.sheet is None:
        return {}
    lines = {str(row.row.line) for row in islice(results.rows, ROWS_LOOKED_AT)}
    try:
        with zipfile.ZipFile(Path(source.path)) as archive:
            formats = _formats(archive)
            with archive.open(_part(archive, source.sheet)) as sheet:
                return _looks(sheet, lines, formats)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, ParseError, DefusedXmlException):
        return {}  # moved, changed or unusual since it was read


def _part(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part that holds a sheet; ``KeyError`` when there is none."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    ids = {each.get("name"): each.get(f"{_RELATION}id") for each in book.iter(f"{_MAIN}sheet")}
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    return posixpath.join("/xl", targets[ids[sheet]]).removeprefix("/")


def _formats(archive: zipfile.ZipFile) -> list[str]:
    """The number format of each cell style."""
    styles = ElementTree.fromstring(archive.read("xl/styles.xml"))
    known = dict(BUILTIN_FORMATS)
    for each in styles.iter(f"{_MAIN}numFmt"):
        known[int(each.get("numFmtId", "0"))] = each.get("formatCode", "General")
    cells = styles.find(f"{_MAIN}cellXfs")
    numbers = [int(each.get("numFmtId", "0")) for each in (cells if cells is not None else ())]
    return [known.get(number, "General") for number in numbers]


def _looks(sheet: IO[bytes], lines: set[str], formats: list[str]) -> dict[int, SourceLook]:
    widths: dict[int, float] = {}
    seen: dict[int, dict[tuple[str, ...], Counter[str]]] = {}
    first = None
    for element in _elements(sheet):
        if element.tag == f"{_MAIN}col":
            if "width" in element.attrib:
                last = min(int(element.get("max", "1")), 16_384)
                width = min(float(element.get("width", "0")), _WIDEST)
                widths |= dict.fromkeys(range(int(element.get("min", "1")), last + 1), width)
            continue
        for cell in element:
            column = column_index_from_string(re.sub(r"\d", "", cell.get("r", "")))
            first = column if first is None else min(first, column)
            if element.get("r") in lines and cell.get("t") not in _TEXT:
                code = formats[int(cell.get("s", "0"))]
                kinds = _MOMENTS if is_date_format(code) else _NUMBERS
                seen.setdefault(column, {}).setdefault(kinds, Counter())[code] += 1
        if element.get("r") in lines:
            lines.discard(str(element.get("r")))
        if not lines:
            break
    looks = {}
    for column in widths.keys() | seen.keys():
        usual = {
            kind: codes.most_common(1)[0][0]
            for kinds, codes in seen.get(column, {}).items()
            for kind in kinds
        }
        looks[column - (first or 1)] = SourceLook(widths.get(column), usual)
    return looks


def _elements(sheet: IO[bytes]) -> Iterator[Element]:
    """The columns and the rows of a sheet, one at a time; what was seen is let go."""
    for _, element in ElementTree.iterparse(sheet):
        if element.tag in {f"{_MAIN}col", f"{_MAIN}row"}:
            yield element
            element.clear()
