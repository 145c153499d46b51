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
    """

    name: str
    content: bytes
    table: Rows | None = None
    lines: list[int] | None = None
    says: list[str] | None = field(default_factory=list)
    error: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    misaligned: list[int] = field(default_factory=list)

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
        text = json.dumps(expected, ensure_ascii=False, indent=1)
        (FILES / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")


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
