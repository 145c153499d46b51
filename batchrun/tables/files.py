"""Load a `Table` from a path: detect the file format and call its reader."""

from __future__ import annotations

import glob
import re
import stat
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from batchrun.advice import reworded
from batchrun.errors import InputError, missing_file
from batchrun.model import Table, TableSource
from batchrun.tables.archive import RAISE_LIMIT_HINT
from batchrun.tables.formats import HEAD_BYTES, Format, detect_format, mentions
from batchrun.tables.frames import RowCollector
from batchrun.tables.html import read_page, read_tables
from batchrun.tables.isolated import open_book
from batchrun.tables.options import LoadOptions
from batchrun.tables.parquet import read_parquet
from batchrun.tables.sheets import BLOCK_ROWS
from batchrun.tables.text import TextFile
from batchrun.tables.workbooks import OUR_STATUS, read_workbook
from batchrun.text import listed, plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from io import BufferedIOBase
    from os import PathLike

    from batchrun.tables.options import LoadLimits
    from batchrun.tables.sheets import Block

DEFAULT = LoadOptions()
MENTION_BYTES = 256 * 1024
"""Bytes of a text file to search for the mention; its header must be within them."""


def load(path: str | PathLike[str], options: LoadOptions = DEFAULT, **given: Any) -> Table:
    """Read a list from a file. The format is detected from the bytes, not the file name.

    Supported formats: CSV and other delimited text, XLSX, XLSM, XLS, XLSB, ODS, Excel 2003 XML,
    Parquet, and HTML pages with a table (which CRMs often name .xls). Several files with the same
    columns can be read as one list.

    Args:
        path: A file; or several files, as a folder or a pattern such as ``exports/*.csv``.
        options: How to read the file.
        given: Fields of ``LoadOptions`` to override, such as ``sheet="Accounts"``.

    Returns:
        The table, with each cell exactly as it is in the file.

    Raises:
        InputError: The file can't be read, has an unsupported format, or holds no table.
    """
    options = replace(options, **given)
    try:
        if files := _files_of(Path(path)):
            table = _load_several(Path(path), files, options)
        else:
            table = _load(Path(path), options)
    except InputError as error:
        # names of files, sheets and parts may contain line breaks or terminal control codes
        what, hint = _one_line(error.what), reworded(error.hint, _one_line)
        raise InputError(what, hint) from error
    source = replace(
        table.source,
        name=visible(table.source.name, kept=""),
        notices=tuple(reworded(each, _one_line) for each in table.source.notices),
    )
    return replace(table, source=source)


RawFile: TypeAlias = "tuple[Mapping[str, str], Iterator[tuple[str, Iterator[Block]]]]"
"""The custom properties of a workbook, and each sheet's name and numbered rows.

Read each sheet before the next one."""


@contextmanager
def open_raw(file: Path, mention: str) -> Iterator[RawFile]:
    """Open a file for its raw rows, with the same safety checks as for a list.

    If the file does not contain the ``mention``, a lowercase text, in any case, no sheets are read.

    Raises:
        InputError: The file can't be read.
        OSError: The file can't be opened.
    """
    options = LoadOptions()
    _refuse_unfit(file, options.limits, pipes=False)
    with file.open("rb") as stream:
        head = stream.read(MENTION_BYTES)
        file_format = detect_format(head, file.name)
        if file_format is Format.TEXT:
            texts = [TextFile(stream, file, options).rows()] if mentions(head, mention) else []
            yield {}, ((file.name, rows) for rows in texts)
            return
        raw = head + stream.read()
    if file_format is Format.HTML:
        tables = enumerate(read_tables(raw, file, options), start=1)
        yield {}, ((str(number), iter([rows])) for number, rows in tables)
        return
    with open_book(raw, file.name, options.limits) as book:
        found = bool(book.properties) or book.may_contain(mention)
        filled = (each for each in book.sheets if found and book.filled(each))
        yield book.properties, ((each.name, book.read(each).blocks) for each in filled)


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()), kept="")


def _load(file: Path, options: LoadOptions) -> Table:
    try:
        _refuse_unfit(file, options.limits, pipes=True)
        with file.open("rb") as opened:
            if opened.seekable():
                return _read(opened, file, options)
            held = opened.read(options.limits.file_bytes + 1)  # a pipe can't be read twice
            _refuse_large(file, len(held), options.limits)
            return _read(BytesIO(held), file, options)
    except FileNotFoundError as error:
        raise missing_file(file) from error
    except OSError as error:
        raise InputError(
            f"{file} can't be read: {error.strerror or error}.",
            "Check that you may read it and that no other program has it locked.",
        ) from error


def _read(stream: BufferedIOBase, file: Path, options: LoadOptions) -> Table:
    raw = stream.read(HEAD_BYTES)
    if not raw:
        raise InputError(f"{file.name} is empty (0 bytes).", "Export the list again.")
    file_format = detect_format(raw, file.name)
    if options.sheet is not None and file_format in _WITHOUT_SHEETS:
        raise InputError(
            f"{file.name} is a {_WITHOUT_SHEETS[file_format]} file and has no sheet"
            f" {options.sheet!r}.",
            "Leave out the sheet, or name the workbook.",
        )
    match file_format:
        case Format.TEXT:
            return TextFile(stream, file, options).read()
        case Format.PARQUET:
            return read_parquet(raw + stream.read(), file, options)
        case Format.HTML:
            return read_page(raw + stream.read(), file, options)
        case _:
            return read_workbook(raw + stream.read(), file, options)


_WITHOUT_SHEETS = {Format.TEXT: "text", Format.PARQUET: "Parquet"}


def _refuse_unfit(file: Path, limits: LoadLimits, *, pipes: bool) -> None:
    """Refuse files that are too large, and devices, which may never end or block forever."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode) and not (pipes and stat.S_ISFIFO(found.st_mode)):
        raise InputError(f"{file.name} is not a file.", "Name the file of the list.")
    _refuse_large(file, found.st_size, limits)


def _refuse_large(file: Path, size: int, limits: LoadLimits) -> None:
    if size > limits.file_bytes:
        raise InputError(
            f"{file.name} has {size / 1024**2:,.0f} MB,"
            f" more than {limits.file_bytes / 1024**2:,.0f}.",
            RAISE_LIMIT_HINT,
        )


ENDINGS = frozenset({
    ".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".html", ".htm",
    ".parquet",
})  # fmt: skip
MAX_FILES = 10_000
SHOWN_FILES, SHOWN_NAMES = 5, 4


def _files_of(path: Path) -> list[Path]:
    """List the files of a folder or of a pattern such as ``exports/*.csv``, sorted by name.

    Skips batchrun's results, and names that start with a dot, an underscore or a tilde. Returns
    none for any other path, or for that of a file with ``*``, ``?`` or ``[…]`` in its name.
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
        raise _no_list(path)
    if len(files) > MAX_FILES:
        raise InputError(
            f"{path} has {len(files):,} files, more than {MAX_FILES:,}.", "Name fewer."
        )
    return files


def _no_list(path: Path, results: Sequence[str] = ()) -> InputError:
    hint = "Name a file, a folder with lists such as .csv or .parquet, or a pattern in quotes."
    left_out = f"{_LEFT_OUT}{listed(results, SHOWN_FILES, '; ')}. " if results else ""
    return InputError(f"{path} contains no list.", left_out + hint)


_LEFT_OUT = "Left out, because batchrun wrote them: "
_TO_LEAVE_OUT = " To leave that file out, move it, or give a pattern in quotes."


def _load_several(path: Path, files: Sequence[Path], options: LoadOptions) -> Table:
    """Concatenate files with the same columns.

    Line numbers continue from file to file. Results that batchrun wrote are left out.
    """
    name = path.name or str(path.absolute())
    header: tuple[str, ...] = ()
    collector: RowCollector | None = None
    sources: list[tuple[str, TableSource]] = []
    doubts: list[str] = []
    spans: list[str] = []
    results: list[str] = []
    misaligned: set[int] = set()
    offset = 0
    for file in files:
        try:
            table = _load(file, options)
        except InputError as error:
            if len(files) == 1:
                raise
            raise InputError(
                f"{name} is {len(files):,} files, read as one list. {error.what}",
                error.hint + _TO_LEAVE_OUT,
            ) from error
        if OUR_STATUS in table.header:
            results.append(file.name)
            continue
        names = table.header
        while names and not names[-1]:  # rows that are too wide add such columns
            names = names[:-1]
        if collector is None:
            header, collector = names, RowCollector(name, len(names), None)
        elif names != header:
            raise _other_columns(file.name, sources[0][0], names, header)
        rows = table.rows()
        while block := list(islice(rows, BLOCK_ROWS)):
            lines = [row.line + offset for row in block]
            collector.add_block((lines, [list(row.cells) for row in block]))
        misaligned |= {line + offset for line in table.misaligned}
        sources.append((file.name, table.source))
        doubts += [f"{file.name}: {doubt}" for doubt in table.header_doubts]
        last = offset + int(table.lines[-1])
        spans.append(f"{file.name} {offset + 1:,}-{last:,}")
        offset = last
    if collector is None:
        raise _no_list(path, results)
    count, files_read = plural(len(spans), "file"), listed(spans, SHOWN_FILES, "; ")
    said = [f"{count} read as one list, with consecutive lines: {files_read}"]
    if results:
        said.append(f"{_LEFT_OUT}{listed(results, SHOWN_FILES, '; ')}")
    said += [f"{file}: {notice}" for file, source in sources for notice in source.notices]
    # the name of the results workbook is derived from this path
    plain = re.sub(r"[*?\[\]]+", "", path.stem) or "all"
    place = path.absolute() if path.is_dir() else path.absolute().with_name(plain)
    _, first = sources[0]
    formats = [code for code in first.formats if all(code in each.formats for _, each in sources)]
    source = TableSource(
        name,
        str(place),
        "files",
        header_line=first.header_line,
        formats=tuple(formats),
        notices=tuple(said),
    )
    cells = collector.cells()
    header += ("",) * (len(cells) - len(header))
    return Table(source, header, cells, collector.lines(), frozenset(misaligned), tuple(doubts))


def _other_columns(
    file: str, first: str, header: tuple[str, ...], wanted: tuple[str, ...]
) -> InputError:
    missing = [name for name in wanted if name not in header]
    extra = [name for name in header if name not in wanted]
    differences = [
        f"{what}: {', '.join(map(repr, names[:SHOWN_NAMES]))}"
        f"{', …' if len(names) > SHOWN_NAMES else ''}"
        for what, names in (("missing", missing), ("only there", extra))
        if names
    ]
    reason = "; ".join(differences) or "the order of its columns is another"
    return InputError(
        f"{file} has other columns than {first} ({reason}).",
        "Files can be read as one list only if they have the same columns in the same order."
        + _TO_LEAVE_OUT,
    )
