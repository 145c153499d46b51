"""The rules of ECMA-376 that Excel is strict about: a workbook that breaks one is "repaired".

Each rule is one that openpyxl does not hold by itself, or that a wrong use of it breaks:

* the package (part 2): every part has a content type, every relationship leads to a part;
* workbook.xml (part 1, 18.2.27): sheet names are legal and unlike, ids are unlike, defined names
  are unlike on each sheet and speak of sheets that are there;
* worksheets (18.3.1.99): elements in the order of the schema's sequence, rows and cells in
  ascending order and within the sheet, values of the type their cell claims, texts of at most
  32,767 code units, no formula, columns that do not overlap, links that lead somewhere;
* styles.xml (18.8): every number a style is called by is there, fonts, fills and formats too.
"""

from __future__ import annotations

import math
import posixpath
import re
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from openpyxl.utils import column_index_from_string

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
WORKSHEET_ORDER = (
    "sheetPr", "dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData",
    "sheetCalcPr", "sheetProtection", "protectedRanges", "scenarios", "autoFilter",
    "sortState", "dataConsolidate", "customSheetViews", "mergeCells", "phoneticPr",
    "conditionalFormatting", "dataValidations", "hyperlinks", "printOptions", "pageMargins",
    "pageSetup", "headerFooter", "rowBreaks", "colBreaks", "customProperties",
    "cellWatches", "ignoredErrors", "smartTags", "drawing", "legacyDrawing",
    "legacyDrawingHF", "drawingHF", "picture", "oleObjects", "controls", "webPublishItems",
    "tableParts", "extLst",
)  # fmt: skip
WORKBOOK_ORDER = (
    "fileVersion", "fileSharing", "workbookPr", "workbookProtection", "bookViews", "sheets",
    "functionGroups", "externalReferences", "definedNames", "calcPr", "oleSize",
    "customWorkbookViews", "pivotCaches", "smartTagPr", "smartTagTypes", "webPublishing",
    "fileRecoveryPr", "webPublishObjects", "extLst",
)  # fmt: skip


def check_workbook(path: Path) -> None:
    """Raise AssertionError for the first rule that the workbook breaks."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
        assert len(parts) == len(archive.namelist()), "two parts have one name"
    trees = {
        name: ET.fromstring(content)
        for name, content in parts.items()
        if name.endswith((".xml", ".rels"))
    }
    _check_content_types(trees["[Content_Types].xml"], set(parts))
    for name, tree in trees.items():
        if name.endswith(".rels"):
            _check_relationships(name, tree, set(parts))
    names = _check_workbook_part(trees["xl/workbook.xml"], trees["xl/_rels/workbook.xml.rels"])
    styles, formats = _check_styles(trees["xl/styles.xml"])
    for name, tree in trees.items():
        if name.startswith("xl/worksheets/sheet"):
            relations = trees.get(f"xl/worksheets/_rels/{posixpath.basename(name)}.rels")
            _check_worksheet(tree, names, styles, formats, _targets(relations))
        elif name.startswith("xl/charts/"):
            for formula in tree.iter(f"{CHART}f"):
                assert _sheet_of(formula.text or "") in names, formula.text


def _check_content_types(tree: ET.Element, parts: set[str]) -> None:
    defaults = [each.get("Extension") for each in tree if each.tag.endswith("}Default")]
    overrides = [each.get("PartName", "") for each in tree if each.tag.endswith("}Override")]
    _unlike(defaults, "content type of an extension")
    _unlike(overrides, "content type of a part")
    for name in overrides:
        assert name.removeprefix("/") in parts, f"there is no part {name}"
    for part in parts - {"[Content_Types].xml"}:
        known = f"/{part}" in overrides or part.rsplit(".", 1)[-1] in defaults
        assert known, f"{part} has no content type"


def _check_relationships(name: str, tree: ET.Element, parts: set[str]) -> None:
    _unlike([each.get("Id") for each in tree], f"relationship in {name}")
    folder = posixpath.dirname(posixpath.dirname(name))
    for each in tree:
        target = each.get("Target", "")
        if each.get("TargetMode") == "External":
            assert re.fullmatch(r"https?://[!-~]+", target), target
            continue
        place = posixpath.normpath(posixpath.join("/", folder, target)).removeprefix("/")
        assert place in parts, f"{name} leads to {target}, which is not there"


def _check_workbook_part(tree: ET.Element, relations: ET.Element) -> list[str]:
    _in_order(tree, WORKBOOK_ORDER, set())
    sheets = list(tree.iter(f"{MAIN}sheet"))
    names = [each.get("name", "") for each in sheets]
    _unlike([name.casefold() for name in names], "sheet name")
    _unlike([each.get("sheetId") for each in sheets], "sheet id")
    for name in names:
        assert 1 <= _units(name) <= 31, name
        assert not re.search(r"[\[\]:*?/\\]|^'|'$", name), name
        assert name.casefold() != "history"
    for each in sheets:
        assert each.get(f"{RELATION}id") in _targets(relations), each.attrib
    defined = list(tree.iter(f"{MAIN}definedName"))
    _unlike([(each.get("name"), each.get("localSheetId")) for each in defined], "defined name")
    for each in defined:
        assert _sheet_of(each.text or "") in names, each.text
        assert 0 <= int(each.get("localSheetId", "0")) < len(names)
    return names


def _check_styles(tree: ET.Element) -> tuple[int, int]:
    """How many cell styles and differential styles there are."""
    numbers = [int(each.get("numFmtId", "")) for each in tree.iter(f"{MAIN}numFmt")]
    _unlike(numbers, "number format")
    assert all(number >= 164 for number in numbers)
    assert all(each.get("formatCode") for each in tree.iter(f"{MAIN}numFmt")), "an empty format"
    kinds = {kind: len(list(tree.find(f"{MAIN}{kind}") or ())) for kind in ("fonts", "fills")}
    cell_styles = list(tree.find(f"{MAIN}cellXfs") or ())
    assert 0 < len(cell_styles) <= 64_000
    for each in cell_styles:
        assert int(each.get("fontId", "0")) < kinds["fonts"]
        assert int(each.get("fillId", "0")) < kinds["fills"]
        number = int(each.get("numFmtId", "0"))
        assert number < 164 or number in numbers, f"there is no number format {number}"
    for group in tree:
        count = group.get("count")
        assert count is None or int(count) == len(group), f"{group.tag} counts wrongly"
    return len(cell_styles), len(list(tree.find(f"{MAIN}dxfs") or ()))


def _check_worksheet(
    tree: ET.Element, names: list[str], styles: int, formats: int, targets: set[str]
) -> None:
    _in_order(tree, WORKSHEET_ORDER, {"conditionalFormatting"})
    _check_columns(tree)
    _check_rows(tree, styles)
    for each in tree.iter():
        number = each.get(f"{RELATION}id")
        assert number is None or number in targets, f"no relationship {number}"
    links = list(tree.iter(f"{MAIN}hyperlink"))
    assert len(links) <= 65_530
    _unlike([each.get("ref") for each in links], "link of a cell")
    for each in links:
        location = each.get("location")
        assert location is None or _sheet_of(location) in names, location
    rules = list(tree.iter(f"{MAIN}cfRule"))
    _unlike([each.get("priority") for each in rules], "priority of a rule")
    for each in rules:
        assert int(each.get("dxfId", "0")) < formats


def _check_columns(tree: ET.Element) -> None:
    last = 0
    for each in tree.iter(f"{MAIN}col"):
        assert last < int(each.get("min", "")) <= int(each.get("max", "")) <= 16_384
        assert 0 <= float(each.get("width", "0")) <= 255
        last = int(each.get("max", ""))


def _check_rows(tree: ET.Element, styles: int) -> None:
    last_row = 0
    for row in tree.iter(f"{MAIN}row"):
        number = int(row.get("r", ""))
        assert last_row < number <= 1_048_576
        assert float(row.get("ht", "15")) <= 409
        last_row, last_column = number, 0
        for cell in row:
            found = re.fullmatch(rf"([A-Z]+){number}", cell.get("r", ""))
            assert found is not None, cell.attrib
            column = column_index_from_string(found[1])
            assert last_column < column <= 16_384
            last_column = column
            assert int(cell.get("s", "0")) < styles
            _check_cell(cell)


def _check_cell(cell: ET.Element) -> None:
    assert cell.find(f"{MAIN}f") is None, "a formula"
    value = cell.findtext(f"{MAIN}v")
    match cell.get("t", "n"):
        case "n":
            assert value is None or math.isfinite(float(value)), value
        case "b":
            assert value in {"0", "1"}
        case "inlineStr":
            text = "".join(cell.itertext())
            assert _units(re.sub("_x[0-9A-F]{4}_", "x", text)) <= 32_767
            assert text == text.strip(" \t\r\n") or any(
                each.get("{http://www.w3.org/XML/1998/namespace}space") for each in cell.iter()
            ), "white space at an end that would be dropped"
        case other:
            raise AssertionError(f"a cell of type {other}")


def _in_order(tree: ET.Element, order: tuple[str, ...], repeatable: set[str]) -> None:
    names = [each.tag.removeprefix(MAIN) for each in tree]
    places = [order.index(name) for name in names]
    assert places == sorted(places), f"out of order: {names}"
    _unlike([name for name in names if name not in repeatable], "element")


def _targets(relations: ET.Element | None) -> set[str]:
    return set() if relations is None else {each.get("Id", "") for each in relations}


def _sheet_of(place: str) -> str:
    found = re.match(r"'((?:[^']|'')*)'!", place)
    assert found is not None, place
    return found[1].replace("''", "'")


def _unlike(values: Iterable[object], what: str) -> None:
    seen = list(values)
    twice: Iterator[object] = (value for value in seen if seen.count(value) > 1)
    assert len(set(seen)) == len(seen), f"twice: {what} {next(twice)}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
