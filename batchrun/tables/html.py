"""Read HTML tables: many CRMs export HTML and name it .xls.

Uses the standard library's `HTMLParser`. Parsers that build a tree fail on such files: libxml2
drops cells after about 250 unclosed tags, and lexbor takes quadratic time for deep nesting.
"""

from __future__ import annotations

import codecs
import html
import re
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from batchrun.advice import Advice
from batchrun.errors import InputError
from batchrun.model import TableSource
from batchrun.tables.build import build_table
from batchrun.tables.cells import holds_id
from batchrun.tables.encoding import BOMS, PREFERRED, Encoding, encoding_of, with_guess_notice
from batchrun.tables.formats import SAVE_AS
from batchrun.tables.header import HeaderPosition, find_header, header_names
from batchrun.tables.roles import normalise
from batchrun.tables.sheets import HOLDS_ID, SheetRows, links_notice, visible_rows
from batchrun.text import listed, plural, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchrun.model import Cell, Table
    from batchrun.tables.options import LoadOptions
    from batchrun.tables.sheets import Block, Merged

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_ENDLESS_REFERENCE = re.compile(r"&#\d{1000,};?")
"""A reference to a character, with too many digits for `html.unescape`."""
_NOT_DISPLAYED = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_INVISIBLE = {"script", "style", "template"}
_ROW_GROUPS = {"thead", "tbody", "tfoot"}
WIDEST_SPAN = 1_000
TALLEST_SPAN = 65_534
"""The same limits as in browsers (HTML Standard 4.9.11)."""

DEEPEST_TABLE = 20
"""Maximum nesting depth; deeper tables become text of the cell that contains them."""

SHOWN_TABLES = 8
SHOWN_NAMES = 4


@dataclass(slots=True)
class _Cell:
    columns: int
    rows: int
    """Number of rows it spans; 0 for all rows to the end of its row group."""
    parts: list[str | _Page] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    group: tuple[bool, int]
    """Whether its row group is a footer, and the group's number."""
    hidden: bool
    cells: list[_Cell] = field(default_factory=list)


@dataclass(slots=True)
class _Page:
    """A table as parsed from the page, with its open row group, row and cell."""

    rows: list[_Row] = field(default_factory=list)
    group: tuple[bool, int] = (False, 0)
    row: _Row | None = None
    cell: _Cell | None = None

    def begin_group(self, *, foot: bool) -> None:
        self.group = foot, self.group[1] + 1
        self.row = self.cell = None

    def begin_row(self, attributes: dict[str, str | None]) -> _Row:
        unseen = "hidden" in attributes or _NOT_DISPLAYED.search(attributes.get("style") or "")
        self.row, self.cell = _Row(self.group, bool(unseen)), None
        self.rows.append(self.row)
        return self.row

    def parts(self) -> Iterator[list[str | _Page]]:
        """Yield the contents of each cell."""
        return (cell.parts for row in self.rows for cell in row.cells)


@dataclass(frozen=True, slots=True)
class _Grid:
    """A table with its cells placed in rows and columns."""

    rows: list[list[Cell]]
    merged: list[Merged]
    hidden: list[int]

    @property
    def width(self) -> int:
        return max(map(len, self.rows), default=0)


@dataclass(slots=True)
class _Group:
    """Tables with the same header; they are read as one list."""

    names: tuple[str, ...]
    width: int
    members: list[tuple[int, _Grid, HeaderPosition | None]] = field(default_factory=list)

    @property
    def ids(self) -> int:
        return sum(holds_id(row) for _, grid, _ in self.members for row in grid.rows)

    @property
    def rows(self) -> int:
        return sum(len(grid.rows) for _, grid, _ in self.members)

    @property
    def words(self) -> str:
        numbers = ", ".join(str(number) for number, _, _ in self.members)
        names = [name for name in self.names if name][:SHOWN_NAMES]
        noun = "table" if len(self.members) == 1 else "tables"
        ids = f", {plural(self.ids, 'row')} with IDs" if self.ids else ""
        return f"{noun} {numbers} ({', '.join(names)}: {plural(self.rows, 'line')}{ids})"


def read_page(raw: bytes, file: Path, options: LoadOptions) -> Table:
    """Read the list in an HTML page; tables with the same header are read as one list.

    Raises:
        InputError: The page has no table, or not the requested one.
    """
    encoding = _encoding(raw, file.name, options)
    grids, links = _grids(raw.decode(encoding.name, "replace"), file.name, options)
    notices = encoding.notices
    if not grids:
        raise InputError(
            f"{file.name} is a web page (HTML) without a table, whatever its name says;"
            " it can't be read as a list.",
            SAVE_AS,
        )
    if file.suffix.lower() not in {".html", ".htm"}:
        notices += (
            f"{file.name} is a web page (HTML), not what its name says; its table was read",
        )
    group, said = _choose(_grouped(grids, options), file.name, options)
    page, titles = _joined(group)
    if titles:
        said.append(f"{plural(titles, 'line')} above the headers of the later tables set aside")
    if hidden := page.traits.hidden_rows:
        fate = "left out" if options.visible_only else "read too"
        said.append(f"{plural(len(hidden), 'row is', 'rows are')} hidden on the page and {fate}")
    source = TableSource(
        name=file.name,
        path=str(file.absolute()),
        format="html",
        encoding=encoding.name,
        notices=(*notices, *said),
        links=links_notice(links),
    )
    if options.visible_only:
        page = visible_rows(page)
    return with_guess_notice(build_table(page.blocks, source, options, page.merged), encoding)


def read_tables(raw: bytes, file: Path, options: LoadOptions) -> Iterator[Block]:
    """Yield the raw rows of each table of an HTML page, numbered from 1.

    Raises:
        InputError: A table has too many cells.
    """
    text = raw.decode(_encoding(raw, file.name, options).name, "replace")
    for grid in _grids(text, file.name, options)[0]:
        yield list(range(1, len(grid.rows) + 1)), grid.rows


def _grids(text: str, name: str, options: LoadOptions) -> tuple[list[_Grid], list[str]]:
    """Return the tables that hold anything, and the addresses of their links that hold an ID."""
    parser = _TableParser()
    text = _ENDLESS_REFERENCE.sub("\ufffd", _without_sections(text))
    end = text.rfind(">") + 1
    parser.feed(text[:end])
    parser.handle_data(text[end:])  # the parser takes quadratic time for an unclosed tag
    grids = [_place(page, name, options) for page in _data_tables(parser.pages)]
    return [grid for grid in grids if any(map(any, grid.rows))], parser.links


def _without_sections(text: str) -> str:
    """Return a page with the CDATA sections of XHTML as normal text: the parser ends one at a >."""
    before, *sections = text.split("<![CDATA[")
    parts = (section.partition("]]>") for section in sections)
    return before + "".join(html.escape(marked) + after for marked, _, after in parts)


def _data_tables(pages: Sequence[_Page]) -> list[_Page]:
    """Return the tables with data; a table used only for layout is replaced by its inner tables."""
    found: list[_Page] = []
    for page in pages:
        data = _data_tables(
            [part for parts in page.parts() for part in parts if isinstance(part, _Page)]
        )
        own = _texts(page)
        inside = sum(len(_texts(each)) for each in data) > len(own)
        if not inside or holds_id(own):
            found.append(page)
        if inside:
            found += data
    return found


def _texts(page: _Page) -> list[str]:
    """Return the non-blank texts of the cells of a table, without those of nested tables."""
    texts = ("".join(part for part in parts if isinstance(part, str)) for parts in page.parts())
    return [text for text in texts if text.strip()]


def _place(page: _Page, name: str, options: LoadOptions) -> _Grid:
    """Place the cells in rows and columns as browsers do (HTML Standard 4.9.12)."""
    page.rows.sort(key=lambda row: row.group[0])  # a footer may come before the rows
    rows: list[list[Cell]] = []
    merged: list[Merged] = []
    taken: dict[int, int] = {}  # column → last row covered by a cell above
    last_of_group = {row.group: number for number, row in enumerate(page.rows, start=1)}
    cells = 0
    for number, row in enumerate(page.rows, start=1):
        placed: list[Cell] = []
        column = 1
        for cell in row.cells:
            while taken.get(column, 0) >= number:
                column += 1
            last = last_of_group[row.group]
            if cell.rows:
                last = min(last, number + cell.rows - 1)
            right = column + cell.columns - 1
            cells = max(cells, right)
            if cells * number > options.limits.cells:
                break  # one row can be too large
            placed += [""] * (right - len(placed))
            placed[column - 1] = _text(cell)
            if last > number:
                taken |= dict.fromkeys(range(column, right + 1), last)
            if last > number or right > column:
                merged.append((number, column - 1, last, right - 1))
            column = right + 1
        reached = max((each for each, last in taken.items() if last >= number), default=0)
        placed += [""] * (reached - len(placed))
        rows.append(placed)
        cells = max(cells, len(placed))
        if cells * len(rows) > options.limits.cells:
            raise InputError(
                f"{name} has a table of more than {options.limits.cells:,} cells.",
                "Save the list as CSV or .xlsx.",
            )
    hidden = [number for number, row in enumerate(page.rows, start=1) if row.hidden]
    return _Grid(rows, merged, hidden)


def _text(cell: _Cell) -> str:
    """Return a cell's text as a browser shows it."""
    parts = [
        part
        if isinstance(part, str)
        else "\n".join(" ".join(map(_text, row.cells)) for row in part.rows)
        for part in cell.parts
    ]
    lines = (_SPACE.sub(" ", line).strip(" ") for line in "".join(parts).split("\n"))
    return "\n".join(lines).strip("\n")


def _grouped(grids: Sequence[_Grid], options: LoadOptions) -> list[_Group]:
    """Group the tables by header; a table without a header continues the one before it."""
    groups: list[_Group] = []
    by_header: dict[tuple[str, ...], _Group] = {}
    for number, grid in enumerate(grids, start=1):
        filled = [at for at, row in enumerate(grid.rows) if any(row)]
        headerless = options.no_header or holds_id(grid.rows[filled[0]])
        if groups and headerless and grid.width == groups[-1].width:
            groups[-1].members.append((number, grid, None))
            continue
        header = find_header([at + 1 for at in filled], [grid.rows[at] for at in filled],
                             grid.merged)  # fmt: skip
        spots = filled[header.index - header.depth + 1 : header.index + 1]
        names = header_names([at + 1 for at in spots], [grid.rows[at] for at in spots], grid.merged)
        key = tuple(map(normalise, names))
        found = HeaderPosition(filled[header.index], header.depth)
        if key not in by_header:
            by_header[key] = _Group(tuple(names), grid.width)
            groups.append(by_header[key])
        by_header[key].members.append((number, grid, found))
    return groups


def _choose(groups: list[_Group], name: str, options: LoadOptions) -> tuple[_Group, list[str]]:
    """Choose the tables to read as the list; return them with notices about the choice."""
    if options.sheet is not None:
        number = whole_number(options.sheet)
        for group in groups:
            for member in group.members:
                if member[0] == number:
                    return _Group(group.names, group.width, [member]), []
        raise InputError(
            f"{name} has no table {options.sheet!r}.",
            f"Give the number of a table: {'; '.join(each.words for each in groups)}.",
        )
    chosen = max(groups, key=lambda each: (each.ids, each.rows))
    said = []
    if len(chosen.members) > 1:
        bare = sum(header is None for _, _, header in chosen.members[1:])
        but = ", or without one," if bare else ""
        said.append(
            f"{len(chosen.members)} tables of the page with the same header{but} were joined"
        )
    others = [each for each in groups if each is not chosen and (each.ids or each.rows > 1)]
    if others:
        not_read = listed([each.words for each in others], SHOWN_TABLES, "; ")
        other = str(others[0].members[0][0])
        said.append(
            Advice(
                f"The page has several tables. Read: {chosen.words}. Not read: {not_read}.",
                f" --sheet {other} reads another one",
                sheet=other,
            )
        )
    return chosen, said


def _joined(group: _Group) -> tuple[SheetRows, int]:
    """Concatenate the tables of a group, without the headers of the later ones.

    Returns:
        The rows, with line numbers continued from table to table, and the number of skipped lines
        above the headers of later tables.
    """
    lines: list[int] = []
    rows: list[list[Cell]] = []
    joined = SheetRows(iter([(lines, rows)]), merged=(merged := []))
    before = titles = 0
    for order, (_, grid, header) in enumerate(group.members):
        first = 0 if order == 0 or header is None else header.index + 1
        for at, row in enumerate(grid.rows):
            if at >= first or holds_id(row):
                lines.append(before + at + 1)
                rows.append(row)
            elif header is not None and at <= header.index - header.depth:
                titles += any(row)
        merged += [
            (top + before, left, bottom + before, right)
            for top, left, bottom, right in grid.merged
            if top > first
        ]
        joined.traits.hidden_rows.extend(line + before for line in grid.hidden)
        before += len(grid.rows)
    return joined, titles


def _encoding(raw: bytes, name: str, options: LoadOptions) -> Encoding:
    """Return the encoding that the user gave, else the declared one if it fits, or detect it."""
    declared = _CHARSET.search(raw[:4096]) if options.encoding is None else None
    if declared and not raw.startswith(tuple(bom for bom, _ in BOMS)):
        with suppress(LookupError, UnicodeDecodeError):
            encoding = codecs.lookup(declared[1].decode("ascii")).name
            encoding = PREFERRED.get(encoding, encoding)
            raw.decode(encoding)
            return Encoding(encoding)
    return encoding_of(raw, name, options.encoding)


def _span(text: str | None, most: int) -> int:
    return min(int(text), most) if text and re.fullmatch(r"\s*\d{1,6}\s*", text) else 1


class _TableParser(HTMLParser):
    """Collects the tables of a page."""

    parse_marked_section = HTMLParser.parse_bogus_comment  # as in browsers; else unknown ones fail

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pages: list[_Page] = []
        self.links: list[str] = []
        self._open: list[_Page] = []
        self._too_deep = 0
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _INVISIBLE:
            self._unseen += 1
        elif tag == "table":
            self._open_table()
        elif not self._open or self._too_deep:
            return
        elif tag in _ROW_GROUPS:
            self._open[-1].begin_group(foot=tag == "tfoot")
        elif tag == "tr":
            self._open[-1].begin_row(given)
        elif tag in {"td", "th"}:
            page = self._open[-1]
            columns = max(_span(given.get("colspan"), WIDEST_SPAN), 1)
            cell = _Cell(columns, _span(given.get("rowspan"), TALLEST_SPAN))
            (page.row or page.begin_row({})).cells.append(cell)
            page.cell = cell
        elif tag in {"br", "p", "div", "li"}:
            self._add("\n")
        elif tag == "a" and HOLDS_ID.search(address := given.get("href") or ""):
            self.links.append(address)

    def handle_endtag(self, tag: str) -> None:
        if tag in _INVISIBLE:
            self._unseen = max(self._unseen - 1, 0)
        elif tag == "table" and self._too_deep:
            self._too_deep -= 1
        elif not self._open or self._too_deep:
            return
        elif tag == "table":
            self._open.pop()
        elif tag in {"td", "th"}:
            self._open[-1].cell = None
        elif tag == "tr":
            self._open[-1].row = self._open[-1].cell = None
        elif tag in _ROW_GROUPS:
            self._open[-1].begin_group(foot=False)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._add(_SPACE.sub(" ", data))

    def _open_table(self) -> None:
        if len(self._open) >= DEEPEST_TABLE:
            self._too_deep += 1
            return
        page = _Page()
        if self._open and (cell := self._open[-1].cell) is not None:
            cell.parts.append(page)
        else:  # also from between cells: browsers move it out of the table
            self.pages.append(page)
        self._open.append(page)

    def _add(self, text: str) -> None:
        if self._open and (cell := self._open[-1].cell) is not None:
            cell.parts.append(text)
