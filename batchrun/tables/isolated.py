"""Read workbooks in a separate process.

A malicious workbook can make a reader allocate more memory than there is, and no exception handler
survives that. So the reader runs in a child process with limits on memory and time, in an empty
temporary folder, without our environment variables, and without access to modules in the user's
folder. If it dies, this process raises an ordinary error. Its answers are data, never code (unlike
pickle): even if a malicious workbook takes over the child, this process receives only cells.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.tables.archive import Archive
from batchrun.tables.formats import (
    OLE_MAGIC,
    PARQUET_MAGIC,
    SAVE_AS,
    ZIP_MAGIC,
    Format,
    detect_ole,
    detect_zip,
    mentions,
    not_unpacked,
)
from batchrun.tables.options import LoadLimits
from batchrun.tables.sheets import LAST_ROW, ColumnBlock, Sheet, SheetRows, Traits, without_overlaps
from batchrun.tables.store import PackingError, pack_column, unpack_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchrun.model import Cell
    from batchrun.tables.sheets import WorkbookReader

    Corrector = Callable[[Sequence[Cell]], Sequence[Cell]]

_LENGTH = struct.Struct("<Q")
MAX_FRAME_BYTES = 2 * 1024**3
MAX_BLOCK_BYTES = 32 * 1024**2
MEMORY_BYTES = 3 * 1024**3
SECONDS = 300
_PIPE_BYTES = 1024**2  # where the system lets us: the default takes turns every 64 KB
_START = "import sys; sys.path += sys.argv[1:]; from batchrun.tables.isolated import main; main()"
_NEEDED = ("batchrun", "python_calamine", "olefile", "defusedxml", "pyarrow", "numpy")
_KEPT_VARIABLES = {"SYSTEMROOT", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}


class Book:
    """A workbook that is open in a child process."""

    def __init__(
        self, process: subprocess.Popen[bytes], raw: bytes, name: str, limits: LoadLimits
    ) -> None:
        self._process = process
        self._sends_rows = False  # whether the process is still sending the rows of a sheet
        (kind, sheets, properties), _ = self._ask([name, asdict(limits)], raw)
        self.format = Format(kind)
        self.sheets = [Sheet(str(title), bool(visible)) for title, visible in sheets]
        self.properties = {str(key): str(value) for key, value in properties.items()}
        if len(self.sheets) > limits.sheets:
            raise InputError(
                f"{name} has {len(self.sheets):,} sheets, more than {limits.sheets:,}.", SAVE_AS
            )

    def filled(self, sheet: Sheet) -> bool:
        """Whether a sheet holds anything."""
        return bool(self._ask(["filled", self.sheets.index(sheet)])[0])

    def may_contain(self, text: str) -> bool:
        """Whether the workbook may contain a text; a quick search that does not parse cells."""
        return bool(self._ask(["may_contain", text])[0])

    def read(self, sheet: Sheet, correct: Corrector | None = None) -> SheetRows:
        """Read a sheet; its rows are streamed, each column of a block corrected by ``correct``.

        Raises:
            InputError: The sheet is damaged or malicious.
        """
        head, _ = self._ask(["read", self.sheets.index(sheet)])
        self._sends_rows = True
        first, merged, traits = head
        return SheetRows(
            self._blocks(correct),
            int(first),
            [(int(top), left - first, int(end), right - first) for top, left, end, right in merged],
            Traits(**traits),
        )

    def _blocks(self, correct: Corrector | None) -> Iterator[ColumnBlock]:
        first = 1
        while True:
            if not self._sends_rows:
                raise RuntimeError("the rest of these rows is gone: something else was asked for")
            head, columns = self._next_rows()
            if not head:
                return
            count, *kinds = head
            try:
                cells = [unpack_column(*each) for each in zip(kinds, columns, strict=True)]
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
                raise PackingError from error
            fits = isinstance(count, int) and 0 < count <= LAST_ROW
            if not fits or any(len(column) != count for column in cells):
                raise PackingError
            lines = range(first, first + count)
            size = sum(map(len, columns))
            yield ColumnBlock(lines, list(map(correct, cells)) if correct else cells, size)
            first += count

    def _next_rows(self) -> tuple[Any, list[bytes]]:
        """Return the next block of rows; it is empty at the end of the sheet."""
        self._sends_rows = False  # also if `_answer` raises an error
        answer = self._answer()
        self._sends_rows = bool(answer[0])
        return answer

    def _ask(self, request: object, *parts: bytes) -> tuple[Any, list[bytes]]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        while self._sends_rows:  # discard the rest of the previous sheet
            self._next_rows()
        with suppress(BrokenPipeError):
            _write_frame(self._process.stdin, request, *parts)
        return self._answer()

    def _answer(self) -> tuple[Any, list[bytes]]:
        """Return the next answer.

        Raises:
            InputError: The process refused the workbook.
            PackingError: The process has ended, or its answer is invalid.
        """
        assert self._process.stdout is not None
        match _read_frame(self._process.stdout):
            case ["refused", str(what), str(hint)], _:
                raise InputError(what, hint)
            case ["answer", content], parts:
                return content, parts
            case _:
                raise PackingError


@contextmanager
def open_book(raw: bytes, name: str, limits: LoadLimits) -> Iterator[Book]:
    """Open a workbook in a child process, which ends when the block ends.

    Raises:
        InputError: The file is not a workbook, is damaged or malicious, or needs a password.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="batchrun-", ignore_cleanup_errors=True)
    except OSError as error:
        raise not_unpacked(name, error) from error
    found = (importlib.util.find_spec(each) for each in _NEEDED)
    places = (spec.origin for spec in found if spec is not None and spec.origin is not None)
    folders = dict.fromkeys(str(Path(place).resolve().parents[1]) for place in places)
    with (
        folder,
        subprocess.Popen(  # noqa: S603 - our own interpreter, no user input
            [sys.executable, "-I", "-c", _START, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=_PIPE_BYTES,
            cwd=folder.name,
            env={each: os.environ[each] for each in _KEPT_VARIABLES if each in os.environ},
        ) as process,
    ):
        overtime = threading.Timer(SECONDS, process.kill)
        overtime.daemon = True
        overtime.start()
        try:
            yield Book(process, raw, name, limits)
        except (PackingError, ValueError, TypeError, KeyError, AttributeError) as error:
            if process.poll() is None and not isinstance(error, PackingError):
                raise
            raise InputError(
                f"{name} can't be read: it is damaged, or built to do harm.", SAVE_AS
            ) from error
        finally:
            overtime.cancel()
            process.kill()
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]


def _write_frame(stream: IO[bytes], head: object, *parts: bytes) -> None:
    """Write a frame: a JSON head and binary parts."""
    packed = json.dumps([head, [len(part) for part in parts]]).encode()
    stream.write(_LENGTH.pack(len(packed)))
    stream.write(packed)
    stream.writelines(parts)
    stream.flush()


def _read_frame(stream: IO[bytes]) -> tuple[Any, list[bytes]]:
    """Read a frame that `_write_frame` wrote.

    Raises:
        PackingError: The frame is incomplete or invalid.
    """
    try:
        head, sizes = json.loads(
            _read_bytes(stream, _LENGTH.unpack(_read_bytes(stream, _LENGTH.size))[0])
        )
        return head, [_read_bytes(stream, int(size)) for size in sizes]
    except (ValueError, TypeError, RecursionError) as error:
        raise PackingError from error


def _read_bytes(stream: IO[bytes], size: int) -> bytes:
    if not 0 <= size <= MAX_FRAME_BYTES:
        raise PackingError
    found = stream.read(size)
    if len(found) < size:
        raise PackingError
    return found


def main() -> None:
    """Run the child process: answer requests until the pipe is closed."""
    _bound_resources()
    gc.disable()  # it would scan millions of new lists again and again for nothing
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # keep anything that a library prints out of the answers
    with suppress(PackingError):  # the parent process has closed the pipe
        (name, given), (raw,) = _read_frame(requests)
        limits = LoadLimits(**given)
        request: object = ["open"]
        while True:
            try:
                match request:
                    case ["open"]:
                        reader = _open_reader(raw, name, limits)
                        sheets = [(each.name, each.visible) for each in reader.sheets]
                        _answer(answers, [reader.format.value, sheets, reader.properties()])
                    case ["filled", int(at)]:
                        _answer(answers, reader.filled(reader.sheets[at]))
                    case ["may_contain", str(text)]:
                        _answer(answers, _may_contain(raw, name, limits, text))
                    case ["read", int(at)]:
                        _answer_rows(answers, reader.read(reader.sheets[at]))
            except InputError as error:
                _write_frame(answers, ["refused", error.what, error.hint])
            request, _ = _read_frame(requests)


def _open_reader(raw: bytes, name: str, limits: LoadLimits) -> WorkbookReader:
    """Open a workbook in any supported format; each reader is imported only if it is needed."""
    if raw.startswith(PARQUET_MAGIC):
        from batchrun.tables.parquet import ParquetReader

        return ParquetReader(raw, name, limits)
    if not raw.startswith((ZIP_MAGIC, OLE_MAGIC)):
        from batchrun.tables.spreadsheetml import Xml2003Reader

        return Xml2003Reader(raw, name, limits)
    from batchrun.tables.calamine import CalamineReader
    from batchrun.tables.xlsx import XlsxReader

    if raw.startswith(OLE_MAGIC):
        return CalamineReader(raw, name, detect_ole(raw, name), limits)
    archive = Archive(raw, name, limits)
    file_format = detect_zip(archive)
    if file_format is Format.XLSX:
        return XlsxReader(archive, limits)
    return CalamineReader(raw, name, file_format, limits, archive)


def _may_contain(raw: bytes, name: str, limits: LoadLimits, text: str) -> bool:
    if not raw.startswith(ZIP_MAGIC):
        return mentions(raw, text)
    archive = Archive(raw, name, limits)
    parts = (part for part in archive.parts if part.endswith((".xml", ".bin")))
    return any(archive.any_block(part, partial(mentions, text=text)) for part in parts)


def _answer(stream: IO[bytes], content: object, *parts: bytes) -> None:
    _write_frame(stream, ["answer", content], *parts)


def _answer_rows(stream: IO[bytes], content: SheetRows) -> None:
    merged = without_overlaps(content.merged)
    _answer(stream, [content.first_column, merged, asdict(content.traits)])
    for _, rows in content.blocks:
        _answer_block(stream, rows)
    _answer(stream, [])


def _answer_block(stream: IO[bytes], rows: Sequence[Sequence[Cell]]) -> None:
    packed = [pack_column(column) for column in zip(*rows, strict=True)]
    if sum(len(cells) for _, cells in packed) > MAX_BLOCK_BYTES and (half := len(rows) // 2):
        _answer_block(stream, rows[:half])
        _answer_block(stream, rows[half:])
    else:
        _answer(stream, [len(rows), *(kind for kind, _ in packed)], *(cells for _, cells in packed))


def _bound_resources() -> None:
    if sys.platform == "win32":  # Windows has no such limit
        return
    import resource

    with suppress(ValueError, OSError):
        # A reader that never ends must end even if the parent process was killed.
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
