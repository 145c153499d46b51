"""Read Excel 2003 XML (SpreadsheetML), which several CRMs export and name .xls."""

from __future__ import annotations

import codecs
import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from batchrun.errors import InputError
from batchrun.tables.formats import SAVE_AS, Format
from batchrun.tables.sheets import (
    LAST_ROW,
    NumberFormats,
    Sheet,
    SheetDetails,
    SheetRows,
    WorkbookReader,
    ZeroFormat,
    attribute,
    count_of,
    distinct,
    local_name,
    numbered,
    refuse_far,
    zero_format,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.model import Cell
    from batchrun.tables.options import LoadLimits

_FIRST_DAY = datetime.fromisoformat("1899-12-31")


class Xml2003Reader(WorkbookReader):
    """Reads Excel 2003 XML. All sheets are read when it is created."""

    format = Format.XML_2003

    def __init__(self, raw: bytes, name: str, limits: LoadLimits) -> None:
        self._name, self._limits = name, limits
        self._tables: list[_Sheet] = []
        self._zeros: dict[str, ZeroFormat] = {}
        try:
            stream = io.BytesIO(raw.removeprefix(codecs.BOM_UTF8).lstrip())
            for event, element in iterparse(stream, ("start", "end"), forbid_dtd=True):
                self._take(event, element)
        except DefusedXmlException as error:
            raise InputError(
                f"{name} was not opened: it declares XML entities or a document type.", ""
            ) from error
        except (ParseError, ValueError, LookupError) as error:
            raise InputError(
                f"{name} is an Excel 2003 XML file that can't be read: it is damaged.", SAVE_AS
            ) from error
        if not self._tables:
            raise InputError(f"{name} is an Excel 2003 XML file without a sheet.", SAVE_AS)
        self.sheets = [Sheet(each.name, each.visible) for each in self._tables]

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet holds anything."""
        return bool(self._tables[self.sheets.index(sheet)].rows)

    def read(self, sheet: Sheet) -> SheetRows:
        """Read a sheet."""
        table = self._tables[self.sheets.index(sheet)]
        table.numbers.finish()
        table.traits.hidden_rows = distinct(table.hidden_rows, LAST_ROW)
        table.refuse_repeated(self._name, sheet.name)
        width = max((max(row) for row in table.rows.values() if row), default=1)
        height = max(table.rows, default=1)
        refuse_far(self._name, sheet.name, height, width, self._limits)

        def rows() -> Iterator[list[Cell]]:
            for line in range(1, height + 1):
                cells = table.rows.get(line)
                yield [cells.get(at) for at in range(1, width + 1)] if cells else [None] * width

        return SheetRows(numbered(rows()), merged=table.merged, traits=table.traits)

    def _take(self, event: str, element: Any) -> None:
        name = local_name(element)
        if event == "end" and name == "Style" and not self._tables:
            for each in element.iterfind("{*}NumberFormat"):
                if code := zero_format(attribute(each, "Format")):
                    self._zeros[attribute(element, "ID")] = code
        if event == "start":
            if name == "Worksheet":
                self._tables.append(_Sheet(attribute(element, "Name"), self._zeros))
            return
        if not self._tables:
            return
        sheet = self._tables[-1]
        match name:
            case "Row":
                sheet.add_row(element)
                element.clear()
            case "Column":
                sheet.add_column(element)
            case "Visible":
                sheet.visible = "Hidden" not in (element.text or "")


class _Sheet(SheetDetails):
    def __init__(self, name: str, zeros: dict[str, ZeroFormat]) -> None:
        super().__init__()
        self.name, self.visible = name, True
        self.rows: dict[int, dict[int, Cell]] = {}
        self.hidden_rows: list[tuple[int, int]] = []
        self.numbers = NumberFormats(self.traits, zeros)
        self._line = self._column = 0

    def add_column(self, element: Any) -> None:
        first = count_of(element, "Index") or self._column + 1
        self._column = first + count_of(element, "Span")
        if attribute(element, "Hidden") == "1":
            self.traits.hidden_columns.append((first, self._column))

    def add_row(self, element: Any) -> None:
        self._line = line = count_of(element, "Index") or self._line + 1
        last = line + count_of(element, "Span")
        if attribute(element, "Hidden") == "1" or attribute(element, "Height") in {"0", "0.0"}:
            self.hidden_rows.append((line, last))
        column = 0
        for cell in element.iterfind("{*}Cell"):
            column = count_of(cell, "Index") or column + 1
            across, down = count_of(cell, "MergeAcross"), count_of(cell, "MergeDown")
            if across or down:
                self.merged.append((line, column, line + down, column + across))
            if (data := cell.find("{*}Data")) is not None:
                kind, text = attribute(data, "Type"), "".join(data.itertext())
                if kind == "Error":
                    self.traits.errors.append((line, column, text))
                if kind == "Number":
                    self.numbers.add(line, column, attribute(cell, "StyleID"), 0.0)
                if (value := _cell(kind, text)) != "":
                    self.add_cell(line, column)
                    self.rows.setdefault(line, {})[column] = value
            elif attribute(cell, "Formula"):
                self.traits.uncalculated.append((line, column))
            column += across
        self._line = last


def _cell(kind: str, text: str) -> Cell:
    try:
        match kind:
            case "Number":
                return float(text)
            case "Boolean":
                return text.strip() == "1"
            case "DateTime":
                moment = datetime.fromisoformat(text.strip())
                past = moment - _FIRST_DAY  # a time without a date is stored on the day before 1
                if timedelta(0) <= past < timedelta(days=1):
                    return moment.time()
                return moment
            case _:
                return text
    except (ValueError, OverflowError, TypeError):
        return text
