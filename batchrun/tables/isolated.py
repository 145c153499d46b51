"""XLS, XLSB and ODS, read by calamine in a process of its own.

These formats can't be looked through as XLSX can. A number in them that was made up lets calamine
ask for more memory than there is, which ends the process. So the process is another one, with
bounds on its memory and time, and its end is an ordinary error here.

``python -m batchrun.tables.isolated`` reads a request (pickled) from its standard input and writes
what it finds (pickled) to its standard output.
"""

from __future__ import annotations

import io
import itertools
import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from batchrun.errors import InputError
from batchrun.tables.formats import Format, protected
from batchrun.tables.sheets import BLOCK_ROWS, Grid, Sheet, choose_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.tables.options import LoadLimits

MEMORY_BYTES = 3 * 1024**3
SECONDS = 300
PACKAGE_ROOT = str(Path(__file__).parents[2])
UNREADABLE = "Open it in the program it comes from and save it as .xlsx or CSV."


def read_grid(
    raw: bytes, name: str, file_format: Format, wanted: str | None, limits: LoadLimits
) -> Grid:
    """Open a sheet.

    Args:
        raw: The whole file.
        name: Its name, for messages.
        file_format: One of XLS, XLSB and ODS.
        wanted: Name or number of the sheet; ``None`` for the first that holds anything.
        limits: What it is held to.

    Raises:
        InputError: The workbook is damaged or hostile, has no such sheet, or holds nothing.
    """
    answers = _ask((raw, name, wanted, limits), name, file_format)
    sheet, notices, first_column, merged = next(answers)
    return Grid(sheet, notices, first_column, answers, merged)


def _ask(request: tuple[object, ...], name: str, file_format: Format) -> Iterator[Any]:
    search_path = os.pathsep.join(filter(None, (PACKAGE_ROOT, os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [sys.executable, "-m", "batchrun.tables.isolated"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": search_path, "RUST_BACKTRACE": "0"},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        overtime = threading.Timer(SECONDS, child.kill)
        overtime.start()
        try:
            with suppress(BrokenPipeError):
                pickle.dump(request, child.stdin)
                child.stdin.close()
            while (answer := _next_answer(child.stdout)) is not None:
                if isinstance(answer, InputError):
                    raise answer
                yield answer
                if answer == []:
                    return
        finally:
            overtime.cancel()
            child.kill()
    raise InputError(
        f"{name} is an .{file_format.value} workbook that can't be read: it is damaged,"
        " or built to do harm.",
        UNREADABLE,
    )


def _next_answer(stream: IO[bytes]) -> Any:
    """What the child says next; ``None`` when it ended before it had said all."""
    try:
        return pickle.load(stream)  # noqa: S301 - written by this module in the child
    except (EOFError, pickle.UnpicklingError):
        return None


def _answer(raw: bytes, name: str, wanted: str | None, limits: LoadLimits) -> Iterator[Any]:
    """The child's part: where the table is, then its rows in blocks, then an empty block."""
    import python_calamine as calamine

    try:
        with calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw)) as workbook:
            sheets = [
                Sheet(each.name, each.visible == calamine.SheetVisibleEnum.Visible)
                for each in workbook.sheets_metadata
                if each.typ == calamine.SheetTypeEnum.WorkSheet
            ]
            if len(sheets) > limits.sheets:
                raise InputError(
                    f"{name} has {len(sheets):,} sheets, more than {limits.sheets:,}.", UNREADABLE
                )
            chosen, notices = choose_sheet(
                sheets,
                wanted,
                lambda each: workbook.get_sheet_by_name(each.name).end is not None,
                name,
            )
            content = workbook.get_sheet_by_name(chosen.name)
    except calamine.PasswordError as error:
        raise protected(name) from error
    except (calamine.CalamineError, OSError) as error:
        raise InputError(
            f"{name} is a workbook that can't be read: {error}.", UNREADABLE
        ) from error
    assert content.start is not None
    merged = [
        (top + 1, left + 1, bottom + 1, right + 1)
        for (top, left), (bottom, right) in content.merged_cell_ranges or ()
    ]
    yield chosen.name, notices, content.start[1] + 1, merged
    rows = content.iter_rows()
    while block := list(itertools.islice(rows, BLOCK_ROWS)):
        yield block
    yield []


def _bound_memory() -> None:
    if sys.platform == "win32":  # it has no such bound
        return
    import resource

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer one request."""
    _bound_memory()
    request = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by this module in the parent
    try:
        for answer in _answer(*request):
            pickle.dump(answer, sys.stdout.buffer)
    except InputError as error:
        pickle.dump(error, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
