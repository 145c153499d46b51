"""The same XML in another spelling: what a parser can't tell apart, a search of bytes might."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Parts = dict[str, bytes]

_TAG = re.compile(r"<(/?)([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(/?)>")
_ATTRIBUTE = re.compile(r"\s+([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How tags are written.

    Attributes:
        quote: What attributes are quoted with, where their value doesn't hold it.
        equals: The equals sign with the white space around it.
        gap: White space before each attribute.
        end: White space before the end of each tag.
        prefix: What element names begin with, colon included.
        backwards: Whether attributes come in opposite order.
        whole: Whether an empty element has two tags.
        between: White space between elements in which there is no text.
    """

    quote: str = '"'
    equals: str = "="
    gap: str = " "
    end: str = ""
    prefix: str = ""
    backwards: bool = False
    whole: bool = False
    between: str = ""


SPELLINGS = {
    "as-they-are": Spelling(),
    "apostrophes": Spelling(quote="'"),
    "spaces": Spelling(equals=" = "),
    "apostrophes-and-line-breaks": Spelling(quote="'", equals="\n=\t", gap="\r\n  ", end="\n"),
    "space-before-equals": Spelling(equals=" ="),
    "space-behind-equals": Spelling(equals="= "),
    "prefix": Spelling(prefix="x:"),
    "odd-prefix": Spelling(prefix="ns-0.ä:", quote="'", equals=" = "),
    "backwards": Spelling(backwards=True),
    "whole": Spelling(whole=True, end=" "),
    "indented": Spelling(between="\n  "),
    "all": Spelling("'", " = ", "\n", " ", "main:", True, True, "\n "),
}

_WITH_TEXT = re.compile(r"</?(?:t|v|f|si|is|r|rPh|definedName)[\s/>]")


def respell(text: str, spelling: Spelling) -> str:
    """Write a part's XML so; names that have a prefix already keep it, comments stay."""

    def tag(found: re.Match[str]) -> str:
        closing, name, attributes, closed = found.groups()
        written = [_attribute(*each, spelling=spelling) for each in _ATTRIBUTE.findall(attributes)]
        if spelling.backwards:
            written.reverse()
        opened = f"<{closing}{spelling.prefix}{name}{''.join(written)}{spelling.end}"
        after = "" if _WITH_TEXT.match(f"<{name} ") and name != "is" else spelling.between
        if closed and spelling.whole:
            return f"{opened}></{spelling.prefix}{name}{spelling.end}>{after}"
        return f"{opened}{closed}>{after if closing or closed else ''}"

    return _TAG.sub(tag, text)


def _attribute(name: str, double: str, single: str, *, spelling: Spelling) -> str:
    value = double or single
    quote = spelling.quote if spelling.quote not in value else {'"': "'", "'": '"'}[spelling.quote]
    if name == "xmlns" and spelling.prefix:
        name = f"xmlns:{spelling.prefix.rstrip(':')}"
    return f"{spelling.gap}{name}{spelling.equals}{quote}{value}{quote}"


def respelled(content: bytes, spelling: Spelling, wanted: Callable[[str], bool] = bool) -> bytes:
    """A workbook whose parts are spelled so.

    Args:
        content: An XLSX file.
        spelling: How.
        wanted: Whether the part of this name is to be rewritten.
    """
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in archive.namelist():
            part = archive.read(name)
            if name.endswith((".xml", ".rels")) and wanted(name):
                part = respell(part.decode(), spelling).encode()
            target.writestr(name, part)
    return stream.getvalue()
