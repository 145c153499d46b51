"""The sheets that a workbook lists, and where each is in its archive."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from xml.parsers import expat

from batchrun.tables.sheets import Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.tables.archive import Archive
    from batchrun.tables.options import LoadLimits

WORKBOOK = "xl/workbook.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"


def list_sheets(archive: Archive, limits: LoadLimits) -> list[Sheet]:
    """The worksheets, charts and macro sheets left out.

    Args:
        archive: A workbook whose parts declare no entities.
        limits: How many sheets it may have.

    Raises:
        InputError: It is damaged, or has too many sheets.
    """
    if RELATIONS not in archive.parts:
        raise archive.damaged()
    targets: dict[str, str] = {}
    for relation in _elements(archive, RELATIONS, "Relationship"):
        if relation.get("Type", "").endswith("/worksheet"):
            target = relation.get("Target", "")
            part = target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
            targets[relation.get("Id", "")] = posixpath.normpath(part)
    listed = list(_elements(archive, WORKBOOK, "sheet"))
    if len(listed) > limits.sheets:
        raise archive.refused(f"it has {len(listed):,} sheets, more than {limits.sheets:,}")
    return [
        Sheet(each.get("name", ""), each.get("state", "visible") == "visible", targets[link])
        for each in listed
        if (link := each.get("id", "")) in targets
    ]


def _elements(archive: Archive, part: str, wanted: str) -> Iterator[dict[str, str]]:
    """The attributes of each element of this name; prefixes don't matter, as for calamine."""
    found: list[dict[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == wanted:
            found.append({key.rpartition(":")[2]: value for key, value in attributes.items()})

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    try:
        for chunk in archive.chunks(part):
            parser.Parse(chunk, False)
            yield from found
            found.clear()
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError) as error:  # or an encoding that Python doesn't know
        raise archive.damaged() from error
    yield from found
