"""What a file of the corpus is: its bytes, and the table or the refusal that is expected of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"

A = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
B = "0b9f6c1e-2d3a-4b5c-8d7e-6f5a4b3c2d1e"
C = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

Rows = list[list[Any]]

KINDS = {
    "1 HTML cells that span rows and columns":
        "html-rowspan* html-colspan* html-header-of-two-rows*",
    "2 several HTML tables":
        "html-two-tables* html-header-in-a-table* html-table-* html-a-titled* html-*inside*",
    "3 cells merged downwards": "merged-company-* merged-down* merged-over-* merged-square-*",
    "4 two tables on a sheet": "second-*",
    "5 merged cells at the header":
        "merged-note-* merged-empty-box-* merged-name* header-merged-* report-merged-* headers-*",
    "6 no header": "headerless-*",
    "7 IDs of the CRM": "ids-*",
    "8 contacts for a company workflow": "contacts-*",
    "9 results of batchrun given back": "results-as-* results-by-* results-in-*",
    "10 columns of the list named like batchrun's": "own-column-*",
    "11 numbers shown with leading zeros": "zeros-* libreoffice-zeros*",
    "12 white space around quotes": "quote-after-a-space* quote-and-space-*",
    "13 encodings": "encoding-*",
    "14 delimiters": "delimiter-*",
    "15 quotes that enclose nothing": "quote-stray* quote-mysql* quote-closed-* quote-never-*",
    "16 workbooks of other programs": "program-*",
    "17 old workbooks that mention Word, or have a password": "old-workbook-*",
    "18 Excel 2003 XML": "xml-2003-*",
    "18 SYLK, DIF and MHTML": "kind-sylk* kind-dif* kind-mhtml*",
    "19 a cover sheet first": "sheets-*",
    "19 a header in doubt": "report-*-above-* report-preamble*",
    "19 a header below a title": "titled-*",
    "20 marks in results that were changed": "results-with-* results-without-* results-in-*",
    "21 negative times": "cells-negative-* libreoffice-negative-*",
    "21 durations in ODS": "durations-* libreoffice-typed.ods",
    "21 unticked boxes": "rows-of-unticked-*",
    "21 subtotals by kind": "report-subtotal-* report-total-* report-grand-*",
    "21 byte order marks in the middle": "second-header-of-two-files-* marks-*",
    "21 Ctrl-Z at the end": "ctrl-z*",
    "21 rows of height 0": "height-0*",
    "21 IDs with other dashes": "ids-typographic-*",
    "21 whole numbers in notices": "report-year-* report-numbers-* report-whole-*",
    "repeated rows and cells": "repeated-*",
    "links to IDs": "links-*",
    "rows shifted under the header": "shifted-*",
}  # fmt: skip
"""What misleads a reader → the files with it. ``python -m tests.corpus.cases`` prints them all."""


@dataclass(frozen=True, slots=True)
class Case:
    """A file and what is expected.

    Attributes:
        name: File name; its beginning names the trait.
        content: The bytes.
        table: Header and rows expected; ``None`` for a refusal.
        lines: Line numbers expected; ``None`` when they don't matter.
        says: What the notices say, in order, a part of each; ``None`` when they don't matter.
        error: What the refusal says, a part of it.
        options: How the file is to be read.
        misaligned: Lines of rows that are not sent since their cells are not under their names.
        check: What ``batchrun check`` prints, in order, a part of each; ``None`` if it is not run.
        flags: Options of that command beside those that say how the file is read.
        only_check: Whether only the command knows what the file is, such as results of batchrun.
    """

    name: str
    content: bytes
    table: Rows | None = None
    lines: list[int] | None = None
    says: list[str] | None = field(default_factory=list)
    error: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    misaligned: list[int] = field(default_factory=list)
    check: list[str] | None = None
    flags: list[str] = field(default_factory=list)
    only_check: bool = False

    def write(self) -> None:
        """Put the file and its expectation into the corpus."""
        (FILES / self.name).write_bytes(self.content)
        expected = {
            "error": self.error,
            "options": self.options,
            "says": self.says,
            "lines": self.lines,
            "table": self.table and [[encode(cell) for cell in row] for row in self.table],
        }
        if self.misaligned:
            expected["misaligned"] = self.misaligned
        if self.check is not None:
            expected |= {"check": self.check, "flags": self.flags}
        if self.only_check:
            expected = {"check": self.check, "flags": self.flags}
        text = json.dumps(expected, ensure_ascii=False, indent=1)
        (FILES / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")


def files_of(kind: str) -> list[Path]:
    """The expectations of the files of a kind, in order."""
    return sorted({path for each in KINDS[kind].split() for path in FILES.glob(f"{each}.json")})


def main() -> None:
    """Print each kind with its files, how each is read, and what is expected of it."""
    for kind in KINDS:
        print(kind)
        for path in files_of(kind):
            found = json.loads(path.read_text(encoding="utf-8"))
            options = " ".join(
                f"{name}={value}" for name, value in found.get("options", {}).items()
            )
            table = found.get("table")
            rows = f"{len(table) - 1} rows" if table else "refused"
            said = [found.get("error"), *(found.get("says") or ()), *found.get("check", ())]
            print(f"  {path.stem} {options}: {'; '.join([rows, *filter(None, said)])}")


def encode(cell: Any) -> Any:
    """A cell as JSON: what JSON lacks becomes an object named after its type."""
    if isinstance(cell, str) and len(cell) > 1000 and len(set(cell)) == 1:
        return {"repeat": cell[0], "times": len(cell)}
    if isinstance(cell, datetime | date | time):
        return {type(cell).__name__: cell.isoformat()}
    if isinstance(cell, timedelta):
        return {"seconds": cell.total_seconds()}
    return cell


def decode(cell: Any) -> Any:
    """The cell that ``encode`` was given."""
    match cell:
        case {"repeat": character, "times": times}:
            return character * times
        case {"seconds": seconds}:
            return timedelta(seconds=seconds)
        case {"datetime": text}:
            return datetime.fromisoformat(text)
        case {"date": text}:
            return date.fromisoformat(text)
        case {"time": text}:
            return time.fromisoformat(text)
        case _:
            return cell


if __name__ == "__main__":
    main()
