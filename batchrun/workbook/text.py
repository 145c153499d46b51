"""Results as CSV for people and machines, and as JSON Lines."""

from __future__ import annotations

import csv
import json
import math
import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from batchrun.workbook.cells import unlike
from batchrun.workbook.layout import layout_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from batchrun.model import JSON, BatchResults, Cell
    from batchrun.workbook.layout import Shape

_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?%?")

_FORMULA = re.compile(
    # At the start whatever a spreadsheet takes for a formula or drops before it looks for one,
    # full-width signs too; further in where another delimiter or a line break begins a cell, which
    # is why there a sign counts only if something follows it: "- a list" is no formula.
    r"\A(?=[\t\r\n])|\A[\s\"']*(?=[=+\-@＝＋－＠])|(?<=[;\t\r\n])[\s\"']*(?=[=@＝＠]|[+\-＋－]\S)"  # noqa: RUF001
)

_LINE_BREAKS = {sign: f"\\u{sign:04x}" for sign in (0x85, 0x2028, 0x2029)}
"""Where some programs break lines that JSON Lines does not."""


def write_csv(
    results: BatchResults, path: Path, shape: Shape | None = None, *, plain: bool = False
) -> None:
    """The columns of the Results sheet as CSV.

    For people it is UTF-8 with BOM, which Excel needs to see, and text that a spreadsheet would
    take for a formula has an apostrophe before it (OWASP, CSV injection).

    Args:
        results: What to write.
        path: Where to.
        shape: Which result columns, in which order, under which names.
        plain: For machines: no BOM, no apostrophes, each text exactly as it is.
    """
    layout = layout_of(results, shape)
    write_table(path, layout.header, map(layout.values, results.rows), plain=plain)


def write_table(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, plain: bool = False
) -> None:
    """A table as CSV; see `write_csv`."""
    encoding = "utf-8" if plain else "utf-8-sig"
    with path.open("w", encoding=encoding, errors="surrogatepass", newline="") as file:
        writer = csv.writer(file, lineterminator="\n" if plain else "\r\n")
        writer.writerow([_field(name, plain=plain) for name in header])
        writer.writerows([_field(value, plain=plain) for value in values] for values in rows)


def write_json_lines(results: BatchResults, path: Path) -> None:
    """One object a row, the result whole as the service sent it."""
    keys = unlike(results.header)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in results.rows:
            entry: dict[str, JSON] = {
                "line": row.row.line,
                "input": {key: _json(cell) for key, cell in zip(keys, row.row.cells, strict=True)},
                "outcome": row.outcome.value,
                "message": row.message,
                "company_id": row.company_id,
                "contact_id": row.contact_id,
                "execution_id": row.execution_id,
                "triggered_at": _json(row.triggered_at),
                "started_at": _json(row.started_at),
                "finished_at": _json(row.finished_at),
                "seconds": row.seconds,
                "result": row.result,
            }
            file.write(_line(entry) + "\n")


def escaped(text: str) -> str:
    """A text that no spreadsheet takes for a formula; numbers stay as they are."""
    if all(_NUMBER.fullmatch(line) for line in text.split("\n")):
        return text
    return _FORMULA.sub(lambda found: f"{found[0]}'", text)


def _line(entry: dict[str, JSON]) -> str:
    """An object as a line of valid JSON in valid UTF-8, whatever is in it."""
    try:
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: escaped, it can be written
        return json.dumps(entry)
    except ValueError:  # NaN and Infinity are Python's words, not JSON's
        return json.dumps(_finite(entry))
    return text.translate(_LINE_BREAKS)


def _finite(value: JSON) -> JSON:
    match value:
        case dict():
            return {key: _finite(each) for key, each in value.items()}
        case list():
            return [_finite(each) for each in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def _json(cell: Cell) -> JSON:
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    return cell.total_seconds() if isinstance(cell, timedelta) else cell


def _field(cell: Cell, *, plain: bool) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "TRUE" if cell else "FALSE"
        case str():
            return cell if plain else escaped(cell)
        case datetime() if not plain and cell.microsecond:  # Excel reads no more than these
            return cell.isoformat(sep=" ", timespec="milliseconds")
        case datetime():
            return cell.isoformat(sep=" ")
        case _:
            return str(cell)
