"""Results as CSV for people and machines, and as JSON Lines."""

from __future__ import annotations

import csv
import json
import math
import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from batchrun.errors import OutputError
from batchrun.model import Outcome
from batchrun.text import as_displayed
from batchrun.workbook.cells import UNLIMITED, unlike
from batchrun.workbook.flatten import as_json
from batchrun.workbook.form import Crm, Form
from batchrun.workbook.layout import STATUS_COLUMNS, layout_of
from batchrun.workbook.markdown import without_markup

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from batchrun.model import JSON, BatchResults, Cell
    from batchrun.workbook.layout import Layout


_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?%?")

_SIGN = re.compile(
    r"[=+\-@\u207a\u207c\u208a\u208c\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
)
"""What begins a formula: ``=``, ``+``, ``-``, ``@``, and what Unicode says is the same (NFKC)."""

_STRONG = frozenset("=@\u207c\u208c\ufe66\ufe6b\uff1d\uff20")
"""Signs that need nothing behind them; after a ``+`` or ``-`` a blank is a list: "- item"."""

_BREAKS = frozenset(";\t\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
"""What begins a new cell where a spreadsheet splits at another delimiter, or at a line break."""

_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Invisible characters that Unicode counts as letters, marks or symbols."""

_LINE_BREAKS = {sign: f"\\u{sign:04x}" for sign in (0x85, 0x2028, 0x2029)}
"""Where some programs break lines that JSON Lines does not."""


def write_csv(results: BatchResults, path: Path, form: Form | None = None) -> None:
    """The columns of the Results sheet as CSV.

    For people it is UTF-8 with BOM, which Excel needs to see, text that a spreadsheet would take
    for a formula has an apostrophe before it (OWASP, CSV injection), and Markdown has no markup.
    For machines it has no BOM and no apostrophes, and each text is exactly as it is.
    """
    form = form or Form()
    layout = layout_of(results, form, UNLIMITED)
    values_of = layout.values if form.csv_plain or form.raw_text else layout.readable_values
    rows: Iterator[Sequence[Cell]] = map(values_of, results.rows)
    if formats := dict(results.summary.source.formats):
        rows = (
            [as_displayed(cell, formats.get(at, "")) for at, cell in enumerate(values)]
            for values in rows
        )
    write_table(path, layout.header, rows, plain=form.csv_plain)


def write_table(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, plain: bool = False
) -> None:
    """A table as CSV; see `write_csv`."""
    encoding = "utf-8" if plain else "utf-8-sig"
    with path.open("w", encoding=encoding, errors="surrogatepass", newline="") as file:
        writer = csv.writer(file, lineterminator="\n" if plain else "\r\n")
        writer.writerow([_field(name, plain=plain) for name in header])
        writer.writerows([_field(value, plain=plain) for value in values] for values in rows)


def write_list_csv(
    results: BatchResults, path: Path, outcomes: Collection[Outcome], *, plain: bool = False
) -> None:
    """The list's own columns of the rows with these outcomes, and why: ready to correct."""
    rows = (
        [*row.row.cells, row.message or row.outcome.value]
        for row in results.rows
        if row.outcome in outcomes
    )
    write_table(path, [*results.header, STATUS_COLUMNS[1]], rows, plain=plain)


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
    """Text that no spreadsheet takes for a formula, by an apostrophe; numbers stay as they are.

    A spreadsheet drops what can't be seen before it looks for a formula, so that is skipped here:
    blanks, quotes, NUL and other controls, zero-width and bidirectional characters.
    """
    if _SIGN.search(text) is None and text[:1] not in _BREAKS:
        return text
    if all(_NUMBER.fullmatch(line) for line in text.split("\n")):
        return text
    written, end = ["'"] if text[:1] in {"\t", "\r", "\n"} else [], 0
    for sign in _SIGN.finditer(text):
        at = sign.start()
        first = at
        while first > end and _is_unseen(text[first - 1]):
            first -= 1
        opens = not first or not _BREAKS.isdisjoint(text[first - 1 : at])
        following = text[at + 1 : at + 2]
        if opens and (not first or sign[0] in _STRONG or following.strip()):
            written += [text[end:at], "'"]
            end = at
    return "".join([*written, text[end:]])


def _is_unseen(character: str) -> bool:
    if character.isalnum() and character not in _BLANK_LETTERS:
        return False
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me"}
    return hidden or character.isspace() or character in _BLANK_LETTERS or character in "\"'"


_CALL = re.compile(r"[\w.]{0,99}[(|!]")
"""What makes a formula dangerous: it calls a function, a program, or another sheet."""


def _escaped_for_crm(text: str) -> str:
    """Text for a CRM, which would keep an apostrophe: only a formula that calls something gets one.

    So does one behind characters that can't be seen, which is nobody's honest text.
    """
    at = next((at for at, each in enumerate(text) if not _is_unseen(each)), len(text))
    if not _SIGN.match(text, at):
        return text
    return f"'{text}" if text[:at].strip() or _CALL.match(text, at + 1) else text


def _line(entry: dict[str, JSON]) -> str:
    """An object as a line of valid JSON in valid UTF-8, whatever is in it."""
    try:
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: escaped, it can be written
        return json.dumps(entry)
    except ValueError:  # NaN and Infinity are Python's words, not JSON's
        return json.dumps(_finite(entry))
    except RecursionError:
        text = as_json(entry).encode("utf-8", "replace").decode()
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


_RECORD_IDS = {
    Crm.SALESFORCE: re.compile(r"[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?"),
    Crm.HUBSPOT: re.compile(r"\d{4,15}"),
}
"""What a record's ID looks like: 15 characters and perhaps 3 that check them; a number."""

_NAMES = {Crm.SALESFORCE: "Salesforce", Crm.HUBSPOT: "HubSpot"}

_TITLES = {
    Crm.SALESFORCE: re.compile(r"(?:.*\b)?(?:id|record id|case safe id)", re.IGNORECASE),
    Crm.HUBSPOT: re.compile(r"record id.*|hs_object_id|.*\bid", re.IGNORECASE),
}


def write_crm(results: BatchResults, path: Path, form: Form) -> None:
    """Write completed rows for the CRM's import, each record once.

    Columns have the titles of the workbook: importers match them with the labels of fields.
    The values are as they are, since an import reads data; only a formula that calls
    something gets an apostrophe.
    Dates and times are ISO 8601, times with the zone.

    Raises:
        OutputError: The list has no column with the CRM's record IDs.
    """
    layout = layout_of(results, form, UNLIMITED)
    assert form.crm is not None
    record = _record_column(results, layout, form.crm)
    titles = [layout.original[record], *(column.title for column in layout.results)]
    header = [_escaped_for_crm(title) for title in titles]
    rows = _rows(results, layout, record, raw=form.raw_text)
    write_table(path, header, rows, plain=True)


def _rows(
    results: BatchResults, layout: Layout, record: int, *, raw: bool
) -> Iterator[Sequence[Cell]]:
    seen: set[Cell] = set()
    for row in results.rows:
        name = row.row.cells[record]
        if row.outcome is not Outcome.COMPLETED or name in seen or name in {None, ""}:
            continue
        seen.add(name)  # an import refuses a file that names a record twice
        flat = layout.flat(row.result)
        known_as = _importable(name, raw=True)
        yield [known_as, *(_importable(column.value(flat), raw=raw) for column in layout.results)]


def _importable(value: Cell, *, raw: bool) -> Cell:
    if isinstance(value, str):
        return _escaped_for_crm(value if raw else without_markup(value))
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value


def _record_column(results: BatchResults, layout: Layout, crm: Crm) -> int:
    """The column that holds the CRM's own IDs: by its title and by what is in it."""
    pattern = _RECORD_IDS[crm]
    hits = [0] * len(layout.original)
    for row in results.rows:
        for position, cell in enumerate(row.row.cells):
            if cell is not None and pattern.fullmatch(str(cell)):
                hits[position] += 1
    titled = [
        position
        for position, title in enumerate(layout.original)
        if _TITLES[crm].fullmatch(title.strip()) and hits[position] * 2 > results.summary.rows
    ]
    if not titled:
        raise OutputError(
            f"The list has no column with the record IDs of {_NAMES[crm]}.",
            "Export it from the CRM with the record's ID, and run that list.",
        )
    return max(titled, key=lambda position: hits[position])
