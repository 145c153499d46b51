"""Web pages: many CRMs export a table in HTML and name it .xls."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from batchrun.errors import InputError
from batchrun.model import TableSource
from batchrun.tables.build import Layout, gather
from batchrun.tables.encoding import detect_encoding

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import Cell, Table
    from batchrun.tables.options import LoadOptions

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n]+")
WIDEST_SPAN = 1_000


def read_page(raw: bytes, file: Path, options: LoadOptions) -> Table:
    """Read the largest table of a web page.

    Args:
        raw: The whole file.
        file: Its path; only named, not opened.
        options: Where the header is, if the user says so.

    Raises:
        InputError: The page holds no table.
    """
    encoding, notices = _encoding(raw, file.name)
    parser = _TableParser()
    text = raw.decode(encoding, "replace")
    end = text.rfind(">") + 1
    parser.feed(text[:end])
    parser.handle_data(text[end:])  # the parser takes quadratic time over tags that never close
    rows = max(parser.tables, key=_cells, default=[])
    if not _cells(rows):
        raise InputError(
            f"{file.name} is a web page (HTML) without a table, whatever its name says;"
            " it can't be read as a list.",
            "Open it in the program it comes from and save it as .xlsx or CSV.",
        )
    if file.suffix.lower() not in {".html", ".htm"}:
        notices += (
            f"{file.name} is a web page (HTML), not what its name says; its table was read",
        )
    source = TableSource(
        name=file.name,
        path=str(file.absolute()),
        format="html",
        encoding=encoding,
        notices=notices,
    )
    width = max(map(len, rows))
    padded: list[list[Cell]] = [[*row, *([""] * (width - len(row)))] for row in rows]
    blocks = iter([(range(1, len(padded) + 1), padded)])
    return gather(blocks, source, Layout("", options.header_row))


def _cells(rows: list[list[str]]) -> int:
    return sum(map(bool, (cell for row in rows for cell in row)))


def _encoding(raw: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """What the page declares, as far as it is true; else by its bytes."""
    declared = _CHARSET.search(raw[:4096])
    if declared and not raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        try:
            encoding = declared[1].decode("ascii").lower()
            raw.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            pass
        else:
            return encoding, ()
    found = detect_encoding(raw, name)
    guess = (f"{name} is not UTF-8; read as {found.guessed}, a guess",) if found.guessed else ()
    return found.name, found.notices + guess


class _TableParser(HTMLParser):
    """Collects the tables of a page: their rows, a cell's text as a browser shows it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self._open: list[list[list[str]]] = []
        self._text: list[str] | None = None
        self._span = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._end_cell()
            self._open.append([])
            self.tables.append(self._open[-1])
        elif tag == "tr" and self._open:
            self._end_cell()
            self._open[-1].append([])
        elif tag in {"td", "th"} and self._open:
            self._end_cell()
            if not self._open[-1]:
                self._open[-1].append([])
            span = dict(attrs).get("colspan") or "1"
            self._span = min(int(span), WIDEST_SPAN) if re.fullmatch(r"\d{1,4}", span) else 1
            self._text = []
        elif tag in {"br", "p", "div", "li"} and self._text:
            self._text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "tr", "table"}:
            self._end_cell()
        if tag == "table" and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(_SPACE.sub(" ", data))

    def _end_cell(self) -> None:
        if self._text is None or not self._open or not self._open[-1]:
            self._text = None
            return
        lines = (line.strip(" ") for line in "".join(self._text).split("\n"))
        text = "\n".join(lines).strip("\n")
        self._open[-1][-1].extend([text, *([""] * (max(self._span, 1) - 1))])
        self._text = None
