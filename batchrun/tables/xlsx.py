"""Read XLSX and XLSM with calamine, and find what calamine does not report.

calamine reads values fast. But it does not report hidden rows, returns error cells and formulas
without a stored value as empty, and rejects files that other programs open. So this module writes
a temporary workbook for calamine, with one sheet, its styles and its strings.

While the sheet's XML is copied, regular expressions search it for hidden rows, errors and formulas.
Most sheets have none and are copied unchanged. Sheets with unusual XML are parsed and rewritten in
the usual form.
"""

from __future__ import annotations

import html
import itertools
import posixpath
import re
import zipfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from batchrun.errors import InputError
from batchrun.tables.archive import part_name
from batchrun.tables.calamine import UnreadableError, called, content_of, opened
from batchrun.tables.formats import SAVE_AS, Format, not_unpacked
from batchrun.tables.sheets import (
    HOLDS_ID,
    LAST_COLUMN,
    LAST_ROW,
    MAX_STYLES,
    NumberFormats,
    Sheet,
    SheetDetails,
    SheetRows,
    Traits,
    WorkbookReader,
    ZeroFormat,
    attribute,
    cell_name,
    local_name,
    refuse_far,
    style_kinds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchrun.tables.archive import Archive
    from batchrun.tables.options import LoadLimits
    from batchrun.tables.sheets import Block, Merged

MAX_ROW_BYTES = 64 * 1024**2
COPY = Path("sheet.xlsx")
"""Path of the workbook for calamine, in the child process's own temporary folder."""

_ODD_CELL = re.compile(rb"<c(?! r=\"[A-Z]{1,2}+[1-9]\d{0,5}+\")(?=[\s/>])")
_ODD_TAG = re.compile(
    rb"<c(?=[\s/>])(?! r=\"[A-Z]{1,2}[1-9]\d{0,5}\"(?: \w+=\"[^\"<>&]*\")*+ ?/?>)"
    rb"|<row(?=[\s/>])(?! r=\"[1-9]\d{0,6}\"(?: [\w:]+=\"[^\"<>&]*\")*+ ?/?>)"
    rb"|<(?:v(?! />)|/v|/f)\s"
)
_PREFIXED = re.compile(rb":(?:row|c|v|f|is|t|sheetData|col)[\s/>]")
_ODD_TEXT = re.compile(rb"<t(?:>[ \t\r\n]+<| (?!xml:space=\"preserve\">))")
_ODD_STRING = re.compile(rb"s[\"'][^<>]*><v[^<>/]*>(?!\d{1,9}</v|</v)")
"""A text that is not referred to by its number alone: calamine would return the first text."""
_ERROR_TYPE = re.compile(rb"\"e\"")
_FORMULA = re.compile(rb"<f[\s/>]")
_HIDDEN = re.compile(rb"h(?:idden\s*=\s*[\"'](?:1|true)|t\s*=\s*[\"']0(?:\.0*)?[\"'])")
_HIDDEN_ROW = re.compile(
    rb"<row r=\"(\d+)\"(?=[^>]* (?:hidden=\"(?:1|true)\"|ht=\"0(?:\.0*)?\"))[^>]*>"
)
_ERROR = re.compile(
    rb"<c r=\"([A-Z]+)(\d+)\"(?=[^>]* t=\"e\")[^>]*+>(?:<f[^>]*+(?:(?<=/)>|>[^<]*+</f>))?<v>"
    rb"([^<]++)"
)
_UNCALCULATED = re.compile(
    rb"<c r=\"([A-Z]+)(\d+)\"(?>(?=[^>]* t=\"str\")()|)[^>]*+><f[^>]*+(?:(?<=/)>|>[^<]*+</f>)"
    rb"(?(3)(?!<v)|(?!<v>[^<]))"  # a formula whose text is empty has an empty value
)
_EMPTY_VALUES = (b"<v></v>", b"<v/>", b"<v />")
_CONTENT = re.compile(rb"<(?:[^\s<>/]{1,64}:)?(?:v|t|is|f)(?=[\s>])[^<>]*(?<!/)>")
_MERGED = re.compile(rb"<(?:[\w.-]+:)?mergeCell\s(?:[^<>]*\s)?ref\s*=\s*[\"']([A-Za-z\d:]+)[\"']")
_NO_MERGED = b"<mergeCells></mergeCells>"
"""Written before the rows, because calamine parses the sheet a second time to find its ranges.

They come after the rows in the file; here, calamine stops before the rows.
"""
_LINK = re.compile(
    rb"HYPERLINK\((?:(?!HYPERLINK\()[^<]){0,500}?[0-9a-f]{8}-[^<]{27,500}", re.IGNORECASE
)
_STRING_NUMBER = re.compile("[0-9]{1,9}")
_NO_DATE = re.compile(rb"<v(?!>[^-\s]| ?/)(?=[\s>])")
_LONG = rb"s=[\"'](?:%s)[\"'][^<>]*>(?:<f[^<]*(?:</f>)?)?<v>(?:\d{7}|[\d.]+[Ee]\+?\d)"
"""A number with one of some styles that may be too large for a duration."""
_FEW_STYLES = 50
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_ELAPSED_ID = 46
"""Number of the built-in format ``[h]:mm:ss``."""
_COUNT = re.compile(rb"uniqueCount\s*=\s*[\"'](\d+)")
_REFERENCE = re.compile(r"\$?([A-Za-z]+)\$?(\d+)")
_RANGE = re.compile(r"[A-Za-z]{1,3}\d{1,7}(?::[A-Za-z]{1,3}\d{1,7})?")
_TRUE = {"1", "true"}


class _UnusualError(Exception):
    """The sheet's XML is too unusual for regular expressions and must be parsed."""


@dataclass(slots=True)
class Parts:
    """The sheets and other parts of a workbook."""

    # The worksheets, without chart and macro sheets
    sheets: list[Sheet] = field(default_factory=list)
    # Relation type (`styles` or `sharedStrings`) → part
    others: dict[str, str] = field(default_factory=dict)
    from_1904: bool = False  # whether dates count from 1904
    styles: list[int] = field(default_factory=list)  # the number of each style's format
    # Number → format, for formats that are not built in
    codes: dict[int, str] = field(default_factory=dict)
    # Style → its format, for styles with leading zeros
    zeros: Mapping[int, ZeroFormat] = field(default_factory=dict)
    dates: frozenset[int] = frozenset()  # styles for dates and times


class XlsxReader(WorkbookReader):
    """Reads XLSX and XLSM: calamine reads a copy of one sheet."""

    format = Format.XLSX

    def __init__(self, archive: Archive, limits: LoadLimits) -> None:
        archive.refuse_declarations()
        self._archive, self._limits = archive, limits
        self._parts = find_parts(archive)
        self.sheets = self._parts.sheets

    def properties(self) -> dict[str, str]:
        """Return the custom properties."""
        part = "docprops/custom.xml"
        if part not in self._archive.parts or self._archive.size(part) > 1024**2:
            return {}
        try:
            root = fromstring(self._archive.read(part), forbid_dtd=True)
        except (ParseError, DefusedXmlException, ValueError, LookupError, InputError):
            return {}
        return {
            attribute(each, "name"): "".join(each.itertext()).strip()
            for each in root
            if local_name(each) == "property"
        }

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet has any cell with a value or a formula."""
        if sheet.part not in self._archive.parts:
            raise self._archive.damaged()
        return self._archive.any_block(
            sheet.part, lambda block: b"\0" in block or _CONTENT.search(block)
        )

    def read(self, sheet: Sheet) -> SheetRows:
        """Read a sheet."""
        try:
            content = self._read(sheet)
        except UnreadableError:  # calamine rejects some files that other programs open
            content = self._read(sheet, parsed=True)
        parts = self._archive.parts
        content.traits.linked = any(part.startswith("xl/externallinks/") for part in parts)
        return content

    def _read(self, sheet: Sheet, *, parsed: bool = False) -> SheetRows:
        """Read a sheet from a workbook with this sheet alone, written for calamine.

        With ``parsed``, it is parsed even if its XML could be copied unchanged.
        """
        archive, parts, name = self._archive, self._parts, self._archive.name
        _refuse_made_up_count(archive, parts)
        links, columns = _links(archive, sheet), _hidden_columns(archive, sheet)
        traits = Traits(links=[*links], hidden_columns=columns)
        merged: list[Merged] = []
        searched = _searched(archive, sheet, traits, merged, _odd_dates(parts))
        try:
            if parsed or parts.zeros or not _write_copy(archive, parts, searched):
                rewriter = _Rewriter(archive, sheet, parts)
                traits, merged = rewriter.traits, rewriter.merged
                traits.links, traits.hidden_columns = links, columns
                _write_copy(archive, parts, rewriter.blocks())
                refuse_far(name, sheet.name, rewriter.last_row, rewriter.last_column, self._limits)
        except OSError as error:
            raise not_unpacked(name, error) from error
        found = called(opened(COPY, name).get_sheet_by_index, 0, name)
        content = content_of(found, name, sheet, self._limits)
        blocks = self._complete(content.blocks, sheet, traits)
        return replace(content, traits=traits, merged=merged, blocks=blocks)

    def _complete(self, blocks: Iterator[Block], sheet: Sheet, traits: Traits) -> Iterator[Block]:
        """Yield the rows; if the sheet's XML has more filled cells, refuse one that is repeated."""
        filled = 0
        for lines, rows in blocks:
            filled += sum(map(len, rows)) - sum([row.count("") for row in rows])
            yield lines, rows
        if filled < traits.filled:  # or some texts are empty
            rewriter = _Rewriter(self._archive, sheet, self._parts)
            deque(rewriter.blocks(), maxlen=0)
            rewriter.refuse_repeated(self._archive.name, sheet.name)


def find_parts(archive: Archive) -> Parts:
    """Find the sheets and other parts of a workbook, whose parts must not declare entities.

    Raises:
        InputError: The workbook is damaged.
    """
    workbook = _workbook_part(archive)
    relations = archive.relations(workbook)
    if workbook not in archive.parts or not relations:
        raise archive.damaged()
    found, targets = Parts(), {}
    for relation in relations:
        kind = relation.get("Type", "").rpartition("/")[2]
        part = part_name(posixpath.dirname(workbook), relation.get("Target", ""))
        if kind == "worksheet":
            targets[relation.get("Id", "")] = part
        elif kind in {"styles", "sharedStrings"} and part in archive.parts:
            found.others[kind] = part
    for element, attributes in archive.elements(workbook, {"sheet", "workbookPr"}):
        if element == "workbookPr":
            found.from_1904 = attributes.get("date1904") in _TRUE
            continue
        part = targets.get(attributes.get("id", ""), "")
        if part:
            visible = attributes.get("state", "visible") == "visible"
            found.sheets.append(Sheet(attributes.get("name", ""), visible, part))
    if len({each.part for each in found.sheets}) < len(found.sheets):
        raise archive.refused("two of its sheets are the same part", hint="")
    if "styles" in found.others:
        with suppress(InputError):  # calamine will report what is wrong with the styles
            _read_styles(archive, found.others["styles"], found)
            found.zeros, found.dates = style_kinds(found.styles, found.codes)
    return found


def _read_styles(archive: Archive, part: str, found: Parts) -> None:
    inside = False
    wanted = {"numFmt", "cellStyleXfs", "cellXfs", "cellStyles", "xf"}
    for element, attributes in archive.elements(part, wanted):
        number = _whole_number(attributes.get("numFmtId", ""))
        if element == "numFmt":
            found.codes[number] = attributes.get("formatCode", "")
        elif element == "xf" and inside and len(found.styles) < MAX_STYLES:
            found.styles.append(number)
        elif element != "xf":
            inside = element == "cellXfs"


def _workbook_part(archive: Archive) -> str:
    """Return the part that lists the sheets; some programs use another name or folder for it."""
    usual = "xl/workbook.xml"
    for relation in archive.relations("") if usual not in archive.parts else ():
        if relation.get("Type", "").endswith("/officeDocument"):
            return part_name("", relation.get("Target", ""))
    return usual


def _links(archive: Archive, sheet: Sheet) -> list[str]:
    """Return the addresses with IDs that cells of a sheet lead to."""
    targets = (each.get("Target", "") for each in archive.relations(sheet.part))
    return list(filter(HOLDS_ID.search, targets))


def _refuse_made_up_count(archive: Archive, parts: Parts) -> None:
    """Refuse a string table that declares more strings than bytes."""
    strings = parts.others.get("sharedStrings")
    if strings is not None:
        announced = _COUNT.findall(archive.beginning(strings, 4096))
        if any(len(digits) > 18 or int(digits) > archive.size(strings) for digits in announced):
            raise archive.refused("its table of strings announces more than it holds", hint="")


def _write_copy(archive: Archive, parts: Parts, blocks: Iterator[bytes]) -> bool:
    """Write a workbook with one sheet; return whether its XML could be searched."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    workbook = (
        f'<workbook xmlns="{main}" xmlns:r="{links}">'
        f'<workbookPr date1904="{int(parts.from_1904)}"/>'
        '<sheets><sheet name="sheet" sheetId="1" r:id="worksheet"/></sheets></workbook>'
    )
    targets = {"worksheet": "worksheets/sheet", **{kind: kind for kind in parts.others}}
    relations = "".join(
        f'<Relationship Id="{kind}" Type="{links}/{kind}" Target="{target}.xml"/>'
        for kind, target in targets.items()
    )
    with suppress(_UnusualError), zipfile.ZipFile(COPY, "w", zipfile.ZIP_STORED) as target:
        target.writestr(
            "_rels/.rels",
            f'<Relationships><Relationship Id="workbook" Type="{links}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>',
        )
        target.writestr("xl/workbook.xml", workbook)
        target.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{relations}</Relationships>")
        for kind, part in parts.others.items():
            with target.open(f"xl/{kind}.xml", "w") as stream:
                stream.writelines(archive.chunks(part))
        with target.open("xl/worksheets/sheet.xml", "w", force_zip64=True) as stream:
            stream.writelines(blocks)
        return True
    return False


def _odd_dates(parts: Parts) -> re.Pattern[bytes] | None:
    """Return what to search for numbers that have the format of a date, but may not be one."""
    found = [
        b"%d" % style
        for style, number in enumerate(parts.styles)
        if number == _ELAPSED_ID or _ELAPSED.search(parts.codes.get(number, ""))
    ]
    if found:
        styles = b"|".join(found) if len(found) <= _FEW_STYLES else rb"\d+"
        return re.compile(_NO_DATE.pattern + b"|" + _LONG % styles)
    return _NO_DATE if parts.dates else None


def _searched(
    archive: Archive,
    sheet: Sheet,
    traits: Traits,
    merged: list[Merged],
    odd_dates: re.Pattern[bytes] | None,
) -> Iterator[bytes]:
    """Yield the sheet's XML, and record the details and merged ranges found by searching it.

    Only errors are changed, to texts, and what stands before the rows is left out.

    Raises:
        _UnusualError: The XML can't be searched, or matches ``odd_dates``.
    """
    block = b""
    for number, block in enumerate(_whole_rows(archive.chunks(sheet.part))):
        text = block
        if number == 0:  # the rows in the root element: calamine notices a tag that is only closed
            head, rows, rest = block.partition(b"<sheetData")
            if not rows or b"<!" in head or b"<?" in head[1:]:
                raise _UnusualError
            text = rows + rest
        traits.filled += text.count(b"</c")  # empty cells usually have no end tag
        marked = any(each.search(text) for each in (_ERROR_TYPE, _FORMULA, _HIDDEN))
        if _is_unusual(text, marked=marked) or (odd_dates and odd_dates.search(text)):
            raise _UnusualError
        text = _record_details(text, traits) if marked else text
        yield text if number else _NO_MERGED + text
    traits.filled -= block[block.rfind(b"</sheetData") :].count(b"</c")
    for found in _MERGED.finditer(block):
        merged += _merged_range(found[1].decode())


def _whole_rows(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Regroup chunks to split them only between rows, so no cell is cut in two."""
    pending: list[bytes] = []
    held = 0
    for chunk in chunks:
        cut = chunk.rfind(b"<row ")
        if cut > 0:
            yield b"".join((*pending, chunk[:cut]))
            pending, held, chunk = [], 0, chunk[cut:]  # noqa: PLW2901
        pending.append(chunk)
        held += len(chunk)
        if held > MAX_ROW_BYTES:
            raise _UnusualError
    yield b"".join(pending)


def _is_unusual(block: bytes, *, marked: bool) -> bool:
    """Whether a search could miss something in the block, or calamine could misread it.

    A block is marked if it may hold anything that calamine does not report.
    For speed, rare single characters are checked first, and most patterns start with letters: a
    search that starts with an angle bracket is several times slower.
    """
    if (b"!" in block and b"<!" in block) or (b"?" in block and b"<?" in block):
        return True
    if (b"'" in block and b"'e'" in block) or _ODD_CELL.search(block):
        return True
    if b":" in block and _PREFIXED.search(block):
        return True
    if _ODD_TEXT.search(block) or _ODD_STRING.search(block):
        return True
    return marked and _ODD_TAG.search(block) is not None


def _record_details(block: bytes, traits: Traits) -> bytes:
    """Record what calamine does not report; return the block with its errors as texts."""
    traits.filled -= sum(map(block.count, _EMPTY_VALUES))  # formulas whose text is empty
    traits.hidden_rows.extend(int(found[1]) for found in _HIDDEN_ROW.finditer(block))
    if b"HYPERLINK(" in block:
        traits.links += [each.decode("utf-8", "replace") for each in _LINK.findall(block)]
    for found in _UNCALCULATED.finditer(block):
        traits.uncalculated.append((int(found[2]), column_number(found[1].decode())))
        traits.filled -= not block.startswith(_EMPTY_VALUES, found.end())

    def noted(found: re.Match[bytes]) -> bytes:
        text = html.unescape(found[3].decode("utf-8", "replace"))
        traits.errors.append((int(found[2]), column_number(found[1].decode()), text))
        return found[0].replace(b' t="e"', b' t="str"', 1)

    return _ERROR.sub(noted, block) if _ERROR_TYPE.search(block) else block


def _merged_range(reference: str) -> list[Merged]:
    """Return the range of a reference such as ``A1:B2``; none if the reference is not valid."""
    if not _RANGE.fullmatch(reference):
        return []
    first, _, last = reference.partition(":")
    (left, top), (right, bottom) = (
        (column_number(letters), int(digits))
        for letters, digits in _REFERENCE.findall(f"{first} {last or first}")
    )
    return [(top, left, bottom, right)]


def _hidden_columns(archive: Archive, sheet: Sheet) -> list[tuple[int, int]]:
    hidden: list[tuple[int, int]] = []
    with suppress(InputError):  # the reader will report what is wrong with the XML
        for element, attributes in archive.elements(sheet.part, {"col", "sheetData"}):
            if element == "sheetData":
                break
            first, last = (_whole_number(attributes.get(end, "")) for end in ("min", "max"))
            if attributes.get("hidden") in _TRUE and first and last:
                hidden.append((first, last))
    return hidden


@lru_cache(LAST_COLUMN)
def column_number(letters: str) -> int:
    """Return a column's number: 1 for ``A`` and ``a``, 27 for ``AA``, 0 for no letters."""
    number = 0
    for letter in letters[:8].upper():
        number = number * 26 + ord(letter) - 64
    return number


class _Rewriter(SheetDetails):
    """Parses a sheet and rewrites its XML in the usual form: each cell with its reference.

    Rows and cells without a position are counted, as calamine does.
    """

    def __init__(self, archive: Archive, sheet: Sheet, parts: Parts) -> None:
        super().__init__()
        self._numbers = NumberFormats(self.traits, parts.zeros, parts.dates)
        self.last_row = self.last_column = 1  # of the lowest and of the rightmost filled cell
        self._archive, self._sheet = archive, sheet
        self._written: list[str] = []
        self._row = self._column = 0
        # The open cell, and the open elements in it
        self._open: list[tuple[str, dict[str, str]]] = []
        self._parts: dict[str, list[str]] = {}  # the texts of the elements in the open cell
        # The parts of its text, and whether blanks in them are preserved
        self._runs: list[tuple[str, bool]] = []
        self._text: list[str] = []

    def blocks(self) -> Iterator[bytes]:
        """Yield the rewritten XML of the sheet."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        yield b"<worksheet>" + _NO_MERGED + b"<sheetData>"
        held = 0
        try:
            for chunk in itertools.chain(self._archive.chunks(self._sheet.part), [b""]):
                parser.Parse(chunk, not chunk)
                held = 0 if self._written else held + len(chunk)
                if held > MAX_ROW_BYTES:
                    raise self._archive.damaged()
                yield "".join(self._written).encode("utf-8", "surrogatepass")
                self._written.clear()
        except (expat.ExpatError, ValueError) as error:
            raise UnreadableError(self._archive.name) from error
        self._numbers.finish()
        yield b"</sheetData></worksheet>"

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        self._text.clear()
        if tag == "c":
            self._open, self._parts, self._runs = [(tag, attributes)], {}, []
        elif tag == "row":
            self._row = _whole_number(attributes.get("r", "")) or self._row + 1
            self._column = 0
            flat = re.fullmatch(r"0(\.0*)?", attributes.get("ht", ""))
            if attributes.get("hidden") in _TRUE or flat:
                self.traits.hidden_rows.append(self._row)
        elif tag == "mergeCell":
            self.merged += _merged_range(attributes.get("ref", ""))
        elif self._open:
            self._open.append((tag, attributes))

    def _end(self, name: str) -> None:
        tag = name.rpartition(":")[2]
        if not self._open or self._open[-1][0] != tag:
            return
        _, attributes = self._open.pop()
        text = "".join(self._text)
        if tag == "c":
            self._end_cell(attributes)
        elif tag != "t":
            self._parts.setdefault(tag, []).append(text)
        elif "rPh" not in map(itemgetter(0), self._open):
            self._runs.append((text, attributes.get("xml:space") == "preserve"))

    def _end_cell(self, cell: dict[str, str]) -> None:
        row, column = self._row, self._column + 1
        if reference := _REFERENCE.fullmatch(cell.get("r", "")):
            row, column = _whole_number(reference[2]), column_number(reference[1])
        self._column = column
        parts = self._parts
        value, formula = "".join(parts.get("v", ())), "".join(parts.get("f", ()))
        text = "".join([run for run, preserved in self._runs if preserved or run.strip()])
        text = text or "".join([run for run, _ in self._runs])  # blanks are kept if alone
        kind, style = cell.get("t", ""), cell.get("s", "")
        if value and kind == "s" and not _STRING_NUMBER.fullmatch(value := value.strip()):
            raise InputError(
                f"{self._archive.name}, sheet {self._sheet.name}, line {row}: the text of cell"
                f" {cell_name(row, column)} is not in the file.",
                SAVE_AS,
            )
        if value and kind in {"", "n"}:
            with suppress(ValueError):
                if self._numbers.add(row, column, _whole_number(style), float(value)):
                    style = ""  # calamine can't read it as a date
        if "HYPERLINK(" in formula and HOLDS_ID.search(formula):
            self.traits.links.append(formula)
        if "f" in parts and not value and (kind != "str" or "v" not in parts):
            self.traits.uncalculated.append((row, column))
        if kind == "e" and value:
            self.traits.errors.append((row, column, value))
            kind = "str"
        if text:
            kind = "inlineStr"
            content = f'<is><t xml:space="preserve">{html.escape(text, quote=False)}</t></is>'
        elif value:
            content = f"<v>{html.escape(value, quote=False)}</v>"
        else:
            return
        self.last_row, self.last_column = max(self.last_row, row), max(self.last_column, column)
        if row > LAST_ROW or column > LAST_COLUMN:
            return  # `refuse_far` will refuse the sheet
        self.add_cell(row, column)
        self.traits.filled += 1
        attributes = f' s="{html.escape(style)}"' if style else ""
        attributes += f' t="{html.escape(kind)}"' if kind else ""
        self._written.append(f'<c r="{cell_name(row, column)}"{attributes}>{content}</c>')


def _whole_number(digits: str) -> int:
    return int(digits[:18]) if digits.isascii() and digits.isdigit() else 0
