"""From a path to a `Table`: read the bytes, see what they are, hand them to their reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from batchrun.errors import InputError
from batchrun.tables.formats import Format, detect_format
from batchrun.tables.text import read_text
from batchrun.tables.workbooks import read_workbook

if TYPE_CHECKING:
    from os import PathLike

    from batchrun.model import Table


def load(path: str | PathLike[str], *, sheet: str | None = None) -> Table:
    """Read a list from a CSV or XLSX file; the bytes decide which it is, not the name.

    Args:
        path: The file.
        sheet: Sheet of a workbook, by name or by its number among the visible sheets (``"1"``
            is the first). Without it the first visible sheet that holds anything.

    Returns:
        The table, each cell exactly as it is in the file.

    Raises:
        InputError: The file can't be read, is of a kind that is not supported, or is no table.
    """
    file = Path(path)
    raw = _read_bytes(file)
    match detect_format(raw, file.name):
        case Format.TEXT if sheet is not None:
            raise InputError(
                f"{file.name} is a text file and has no sheet {sheet!r}.",
                "Leave the sheet out, or name the workbook.",
            )
        case Format.TEXT:
            return read_text(raw, file)
        case Format.XLSX:
            return read_workbook(raw, file, sheet)
        case unexpected:
            assert_never(unexpected)


def _read_bytes(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"There is no file {file}.", "Check the name and the folder, then try again."
        ) from error
    except IsADirectoryError as error:
        raise _is_folder(file) from error
    except OSError as error:
        if file.is_dir():  # Windows refuses to open a folder with PermissionError
            raise _is_folder(file) from error
        raise InputError(
            f"{file} can't be read: {error.strerror or error}.",
            "Check that you may read it and that no other program has it locked.",
        ) from error
    if not raw:
        raise InputError(f"{file.name} is empty (0 bytes).", "Export the list again.")
    return raw


def _is_folder(file: Path) -> InputError:
    return InputError(f"{file} is a folder, not a file.", "Name the list inside it.")
