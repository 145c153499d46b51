"""Files with the same columns, read as one list."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.errors import InputError
from batchrun.model import Cell, Table, TableSource
from batchrun.tables.frames import RowCollector
from batchrun.tables.sheets import BLOCK_ROWS
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ENDINGS = frozenset({
    ".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".html", ".htm",
    ".parquet",
})  # fmt: skip
MOST_FILES = 10_000
SHOWN_FILES, SHOWN_NAMES = 5, 4


def files_of(path: Path) -> list[Path]:
    """The files of a folder or a pattern such as ``exports/*.csv``, by their names.

    Left out are results of batchrun, and what begins with a dot, an underscore or a tilde.

    Args:
        path: A folder, or a path with ``*``, ``?`` or ``[…]`` in it that is no file.

    Returns:
        The files; none for a path that is neither.

    Raises:
        InputError: There is no list in it, or there are too many.
    """
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() in ENDINGS]
    elif glob.has_magic(str(path)) and not path.exists():
        found = [Path(each) for each in glob.glob(str(path))]  # noqa: PTH207 - it may be absolute
    else:
        return []
    files = [
        each
        for each in sorted(found)
        if each.is_file() and each.name[0] not in "._~" and ".results." not in each.name
    ]
    if not files:
        raise InputError(
            f"{path} has no list in it.",
            "Name a file, a folder with lists such as .csv or .parquet, or a pattern in quotes.",
        )
    if len(files) > MOST_FILES:
        raise InputError(
            f"{path} has {len(files):,} files, more than {MOST_FILES:,}.", "Name fewer."
        )
    return files


def load_several(path: Path, files: Sequence[Path], load: Callable[[Path], Table]) -> Table:
    """Read files with the same columns as if they stood one below the other.

    Line numbers go on from file to file.

    Args:
        path: What the user named.
        files: The files.
        load: Reads one of them.

    Raises:
        InputError: One of them can't be read, or has other columns than the first.
    """
    name = path.name or str(path.absolute())
    header: tuple[str, ...] = ()
    formats: tuple[tuple[int, str], ...] = ()
    collector: RowCollector | None = None
    notices: list[str] = []
    spans: list[str] = []
    misaligned: set[int] = set()
    offset = 0
    for file in files:
        table = load(file)
        names = table.header[: _named_width(table.header)]
        if collector is None:
            header, formats = names, table.source.formats
            collector = RowCollector(name, len(header), None)
        elif names != header:
            raise _other_columns(file, files[0], names, header)
        formats = tuple(each for each in formats if each in table.source.formats)
        for lines, rows in _blocks(table):
            collector.add_block([line + offset for line in lines], rows)
        misaligned |= {line + offset for line in table.misaligned}
        notices += [f"{file.name}: {notice}" for notice in table.source.notices]
        last = offset + int(table.lines[-1])
        spans.append(f"{file.name} {offset + 1:,}-{last:,}")
        offset = last
    assert collector is not None
    more = f"; and {len(spans) - SHOWN_FILES:,} more" if len(spans) > SHOWN_FILES else ""
    said = (
        f"{plural(len(files), 'file')} read as one list; lines count through all of them:"
        f" {'; '.join(spans[:SHOWN_FILES])}{more}"
    )
    # the name of a workbook with the results is made of it
    place = path.with_name(re.sub(r"[*?\[\]]+", "", path.stem) or "all")
    source = TableSource(
        name,
        str((path if path.is_dir() else place).absolute()),
        "files",
        header_line=table.source.header_line,
        formats=formats,
        notices=(said, *notices),
    )
    cells = collector.cells()
    header += ("",) * (len(cells) - len(header))
    return Table(source, header, cells, collector.lines(), frozenset(misaligned))


def _named_width(header: Sequence[str]) -> int:
    """The columns up to the last one with a name; those behind are of rows that are too wide."""
    return max((at for at, name in enumerate(header, start=1) if name), default=0)


def _blocks(table: Table) -> Iterator[tuple[list[int], list[list[Cell]]]]:
    lines: list[int] = []
    rows: list[list[Cell]] = []
    for row in table.rows():
        lines.append(row.line)
        rows.append(list(row.cells))
        if len(rows) == BLOCK_ROWS:
            yield lines, rows
            lines, rows = [], []
    if rows:
        yield lines, rows


def _other_columns(
    file: Path, first: Path, header: tuple[str, ...], wanted: tuple[str, ...]
) -> InputError:
    missing = [name for name in wanted if name not in header]
    extra = [name for name in header if name not in wanted]
    differences = [
        f"{what}: {', '.join(names[:SHOWN_NAMES])}{', …' if len(names) > SHOWN_NAMES else ''}"
        for what, names in (("missing", missing), ("only there", extra))
        if names
    ]
    reason = "; ".join(differences) or "the order of its columns is another"
    return InputError(
        f"{file.name} has other columns than {first.name} ({reason}).",
        "Files are one list only with the same columns in the same order. Run that file by itself,"
        " or export it again.",
    )
