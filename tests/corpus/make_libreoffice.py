"""Files of the corpus that LibreOffice writes: what a real program makes of a typed table.

Needs ``soffice``. Run from the repository: ``python -m tests.corpus.make_libreoffice``.
"""

from __future__ import annotations

import subprocess
import tempfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from openpyxl.comments import Comment
from openpyxl.styles import Font

from tests.corpus.cases import A, B, C, Case, Rows
from tests.corpus.make_workbooks import book

TABLE: Rows = [
    ["Company ID", "Name", "Zip", "Amount", "Count", "Since", "Met", "Flag", "At", "Long", "Sum"],
    [A, "Müller & Söhne", "01067", 1250.5, 7, date(2026, 3, 1),
     datetime.fromisoformat("2026-03-01T10:30"), True, time(9, 15), timedelta(hours=30), 1257.5],
    [B, "two\nlines", "00123", 0, -3, date(1999, 12, 31),
     datetime.fromisoformat("2000-02-29T23:59"), False, time(23, 59), timedelta(hours=26), -3],
    [C, "漢字 \u2013 \u20ac", "NULL", 7.25, 0, None, None, None, None, None, 7.25],
]  # fmt: skip
"""The last column is a formula, the sum of Amount and Count."""

CSV_FILTER = "csv:Text - txt - csv (StarCalc)"
TEXTS: Rows = [["Company ID", "Name", "Zip"], *[row[:3] for row in TABLE[1:]]]


def source(folder: Path) -> Path:
    """The workbook that LibreOffice is given."""
    workbook, sheet = book(TABLE)
    for row in range(2, len(TABLE) + 1):
        sheet.cell(row, 11).value = f"=D{row}+E{row}"
        sheet.cell(row, 9).number_format = "hh:mm:ss"
        sheet.cell(row, 10).number_format = "[hh]:mm:ss"
    sheet["A1"].font = Font(bold=True)
    sheet["A1"].comment = Comment("an ID", "somebody")
    path = folder / "source.xlsx"
    workbook.save(path)
    return path


def texts(folder: Path) -> Path:
    """A workbook of texts only, for CSV."""
    path = folder / "texts.xlsx"
    book(TEXTS)[0].save(path)
    return path


ZIPS: Rows = [["Company ID", "Zip"], [A, 1234], [B, 987]]


def zips(folder: Path) -> Path:
    """A workbook of numbers that are shown with leading zeros, one of them in a hidden row."""
    workbook, sheet = book(ZIPS)
    for row in (2, 3):
        sheet.cell(row, 2).number_format = "00000"
    sheet.row_dimensions[3].hidden = True
    path = folder / "zips.xlsx"
    workbook.save(path)
    return path


TIMES: Rows = [["Company ID", "Left"], [A, -0.5], [B, -1.25]]


def times(folder: Path) -> Path:
    """A workbook of negative times, which no program can show."""
    workbook, sheet = book(TIMES)
    for row in (2, 3):
        sheet.cell(row, 2).number_format = "h:mm"
    path = folder / "times.xlsx"
    workbook.save(path)
    return path


def convert(path: Path, kind: str, folder: Path) -> bytes:
    """Let LibreOffice save a file as another kind."""
    subprocess.run(
        ["soffice", "--headless", f"-env:UserInstallation=file://{folder}/profile",
         "--convert-to", kind, "--outdir", str(folder / "out"), str(path)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    ending, _, _ = kind.partition(":")
    return (folder / "out" / path.with_suffix(f".{ending}").name).read_bytes()


def expected(table: Rows, flag_as_number: bool = False) -> Rows:
    """The table as a format can hold it."""
    if not flag_as_number:
        return table
    return [[int(cell) if isinstance(cell, bool) else cell for cell in row] for row in table]


def main() -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, text = source(folder), texts(folder)
        for kind in ("xls", "ods", "xlsx"):
            content = convert(path, kind, folder)
            table = expected(TABLE, flag_as_number=kind == "ods")
            Case(f"libreoffice-typed.{kind}", content, table, [2, 3, 4]).write()
            Case(f"libreoffice-{kind}-named.csv", content, table, [2, 3, 4]).write()
        for kind in ("xls", "ods"):
            content = convert(zips(folder), kind, folder)
            Case(f"libreoffice-zeros.{kind}", content, ZIPS, [2, 3], ["1 row is hidden"]).write()
            content, says = convert(times(folder), kind, folder), ["2 cells hold a negative date"]
            Case(f"libreoffice-negative-times.{kind}", content, TIMES, [2, 3], says).write()
        for kind in ("xls", "ods", "xlsx", "html"):
            content = convert(text, kind, folder)
            says = ["is a web page"] if kind == "html" else []
            ending = "xls" if kind == "html" else kind
            lines: Any = None if kind == "html" else [2, 3, 4]
            Case(f"libreoffice-texts-{kind}.{ending}", content, TEXTS, lines, says).write()
        for label, delimiter, quote, charset in (
            ("comma-utf-8", 44, 34, 76), ("semicolon-utf-8", 59, 34, 76),
            ("tab-utf-16", 9, 34, 65535),
            ("bar-utf-8", 124, 34, 76), ("semicolon-quoted", 59, 34, 76),
        ):  # fmt: skip
            all_quoted = "true" if label.endswith("quoted") else "false"
            options = f"{CSV_FILTER}:{delimiter},{quote},{charset},1,,0,{all_quoted},true"
            content = convert(text, options, folder)
            Case(f"libreoffice-{label}.csv", content, TEXTS, [2, 3, 5], None).write()


if __name__ == "__main__":
    main()
