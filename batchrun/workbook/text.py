"""Write results as CSV for people and machines, and as JSON Lines."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from batchrun.advice import Advice
from batchrun.errors import OutputError
from batchrun.model import Outcome
from batchrun.text import as_displayed, as_json
from batchrun.workbook.cells import UNLIMITED, free_name, numbered, unique_titles
from batchrun.workbook.form import Crm, Form
from batchrun.workbook.layout import REASON, UNWANTED, layout_of
from batchrun.workbook.markdown import without_markup
from batchrun.workbook.titles import STANDARD_FIELDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from batchrun.model import JSON, BatchResults, Cell, ResultRow


_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?%?")

_SIGN = re.compile(
    r"[=+\-@\u207a\u207c\u208a\u208c\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
)
"""The start of a formula: ``=``, ``+``, ``-``, ``@``, and their Unicode equivalents (NFKC)."""

_GUARD = re.compile(rf"'(?={_SIGN.pattern})|\A'(?=[\t\r\n])")
"""An apostrophe where `escaped` may have added one."""

_STRONG = frozenset("=@\u207c\u208c\ufe66\ufe6b\uff1d\uff20")
"""Signs that start a formula even before a blank; a later line "- item" is only a list item."""

_BREAKS = frozenset(";\t\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
"""Characters after which a spreadsheet may start a new cell: other delimiters and line breaks."""

_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Invisible characters that Unicode counts as letters, marks or symbols."""

_LINE_BREAKS = {sign: f"\\u{sign:04x}" for sign in (0x85, 0x2028, 0x2029)}
"""Characters that some programs, but not JSON Lines, treat as line breaks."""


def write_csv(results: BatchResults, path: Path, form: Form | None = None) -> None:
    """Write the columns of the Results sheet as CSV.

    For people, it is UTF-8 with a BOM, which Excel needs to recognize the encoding. An apostrophe
    goes before text that a spreadsheet would take for a formula (OWASP, CSV injection), and
    Markdown markup is removed. For machines, it has no BOM or apostrophes, and texts are unchanged.
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
    """Write a table as CSV; see `write_csv`."""
    encoding = "utf-8" if plain else "utf-8-sig"
    with path.open("w", encoding=encoding, errors="surrogatepass", newline="") as file:
        writer = csv.writer(file, lineterminator="\n" if plain else "\r\n")
        writer.writerow([_field(name, plain=plain) for name in header])
        writer.writerows([_field(value, plain=plain) for value in values] for values in rows)


def write_list_csv(
    results: BatchResults, path: Path, outcomes: Collection[Outcome], *, plain: bool = False
) -> None:
    """Write the list's own columns for rows with these outcomes, plus the reason, to be fixed."""
    rows = (
        [*row.row.cells, row.message or row.outcome.value]
        for row in results.rows
        if row.outcome in outcomes
    )
    write_table(path, [*results.header, free_name(REASON, results.header)], rows, plain=plain)


def write_json_lines(results: BatchResults, path: Path) -> None:
    """Write one object per row, with the complete result as the service sent it."""
    keys = unique_titles(results.header)
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
    """Add apostrophes to text that a spreadsheet would take for a formula; keep numbers unchanged.

    A spreadsheet ignores invisible characters before a formula, so they are skipped here: blanks,
    quotes, NUL and other controls, zero-width and bidirectional characters.
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


def unescaped(cell: Cell) -> Cell:
    """Return a cell of a CSV file that batchrun wrote, without the apostrophes of `escaped`."""
    if not isinstance(cell, str):
        return cell
    guards = list(_GUARD.finditer(cell))
    # all of them, or the only one that isn't the cell's own
    for some in (guards, *([each] for each in guards)):
        text = cell
        for guard in reversed(some):
            text = text[: guard.start()] + text[guard.end() :]
        if escaped(text) == cell:
            return text
    return cell


def _is_unseen(character: str) -> bool:
    if character.isalnum() and character not in _BLANK_LETTERS:
        return False
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me"}
    return hidden or character.isspace() or character in _BLANK_LETTERS or character in "\"'"


_CALL = re.compile(r"[\w.]{0,99}[(|!]")
"""The dangerous part of a formula: a call of a function, a program, or another sheet."""


def _escaped_for_crm(text: str) -> str:
    """Return text for a CRM, which would keep apostrophes: only a dangerous formula gets one.

    A formula behind invisible characters gets one too, since nobody writes that in good faith.
    """
    at = next((at for at, each in enumerate(text) if not _is_unseen(each)), len(text))
    if not _SIGN.match(text, at):
        return text
    return f"'{text}" if text[:at].strip() or _CALL.match(text, at + 1) else text


def _line(entry: dict[str, JSON]) -> str:
    """Return an object as a line of valid JSON in valid UTF-8, whatever it contains."""
    try:
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which can only be written escaped
        return json.dumps(entry)
    except ValueError:  # NaN and Infinity are not JSON: write them as text
        return json.dumps(
            json.loads(json.dumps(entry), parse_constant=lambda text: str(float(text)))
        )
    except RecursionError:
        text = as_json(entry).encode("utf-8", "replace").decode()
    return text.translate(_LINE_BREAKS)


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
        case datetime() if not plain and cell.microsecond:  # Excel reads no finer times
            return cell.isoformat(sep=" ", timespec="milliseconds")
        case datetime():
            return cell.isoformat(sep=" ")
        case _:
            return str(cell)


_RECORD_IDS = {
    Crm.SALESFORCE: re.compile(r"(?=\D*\d)[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?"),
    Crm.HUBSPOT: re.compile(r"\d{4,15}"),
}
"""Salesforce IDs have 15 characters and an optional checksum of 3; HubSpot IDs are numbers."""

_PREFIXES = {"001", "003", "00Q"}
"""What Salesforce IDs of accounts, contacts and leads begin with."""
_CHECK_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"

_NAMES = {Crm.SALESFORCE: "Salesforce", Crm.HUBSPOT: "HubSpot"}

_TITLES = {
    Crm.SALESFORCE: re.compile(r"(?:.*\b)?(?:id|record id|case safe id)", re.IGNORECASE),
    Crm.HUBSPOT: re.compile(
        r"record id.*|hs_object_id|.*\bid|id d.enregistrement|id de fiche.*|レコードid|"
        r"id (?:de|do|del) registro|hubspot (?:record|id)",
        re.IGNORECASE,
    ),
}


def write_crm(results: BatchResults, path: Path, form: Form) -> None:
    """Write completed rows for import into the CRM, each record once.

    Columns have the workbook's titles, which importers match with field labels; none is the label
    of a standard field, which an import would overwrite, even if the user renames a column. Unless
    the user chose columns, those that are empty, an ID for programs, or only count the items of a
    list are left out. An import reads data, so values stay unchanged; only a formula that calls
    something gets an apostrophe.
    Dates and times are ISO 8601, times with their zone.

    Raises:
        OutputError: The list has no column of the CRM's record IDs.
    """
    assert form.crm is not None
    record = record_column(results.header, results.rows, form.crm)
    if record is None:
        hint = Advice(
            "Export the list from the CRM with the record's ID, in a column such as Record ID, "
            "and run that list",
            " with --reuse 30d: rows already sent cost nothing.",
        )
        for crm in Crm:
            if (other := record_column(results.header, results.rows, crm)) is not None:
                own = f"Its column {results.header[other]} has those of {_NAMES[crm]}"
                hint = Advice(own, f": use --crm {crm.value}.")
        of = f"{results.summary.source.name} (batch {results.summary.batch_id})"
        raise OutputError(f"{of} has no column with the record IDs of {_NAMES[form.crm]}.", hint)
    own = results.header[record]
    taken = {own.casefold(), *STANDARD_FIELDS}  # an importer ignores case
    rename = {
        name: next(each for each in numbered(title) if each.casefold() not in taken)
        for name, title in form.rename.items()
    }
    form = replace(form, rename=rename)
    layout = layout_of(results, form, UNLIMITED, arranged=True, beside=[own, *STANDARD_FIELDS])
    columns = [
        column
        for column in layout.results
        if form.columns or not (column.counts or column.aside in UNWANTED)
    ]
    titles = [own, *(column.title for column in columns)]
    header = [_escaped_for_crm(title) for title in titles]

    def rows() -> Iterator[list[Cell]]:
        seen: set[Cell] = {None, ""}
        for row in results.rows:
            name = row.row.cells[record]
            if row.outcome is Outcome.COMPLETED and name not in seen:
                seen.add(name)  # an import rejects a file that names a record twice
                found = layout.flat(row.result)
                values = (_importable(each.value(found), raw=form.raw_text) for each in columns)
                yield [_importable(name, raw=True), *values]

    write_table(path, header, rows(), plain=True)


def _importable(value: Cell, *, raw: bool) -> Cell:
    if isinstance(value, str):
        return _escaped_for_crm(value if raw else without_markup(value))
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value


def crms_of(header: Sequence[str], rows: Sequence[ResultRow]) -> list[Crm]:
    """Return the CRMs whose record IDs are in some rows of a list."""
    return [crm for crm in Crm if _record_columns(header, rows, crm)]


def record_column(
    header: Sequence[str], rows: Iterable[ResultRow], crm: Crm, but: Collection[int] = ()
) -> int | None:
    """Return the column of the CRM's own IDs, found by its title and values.

    If there are several, such as for contacts and their accounts, it is the one with the most
    distinct IDs.
    """
    ids = _record_columns(header, rows, crm)
    return max((at for at in ids if at not in but), key=lambda at: ids[at], default=None)


def _record_columns(header: Sequence[str], rows: Iterable[ResultRow], crm: Crm) -> dict[int, int]:
    """Return the columns with a CRM's IDs in most rows, and their numbers of distinct IDs.

    Salesforce IDs are also recognized without a title, by their checksum or prefix. HubSpot IDs are
    numbers, so their column needs a known title.
    """
    titled = {at for at, title in enumerate(header) if _TITLES[crm].fullmatch(title.strip())}
    columns = range(len(header)) if crm is Crm.SALESFORCE else titled
    pattern, total = _RECORD_IDS[crm], 0
    found: dict[int, Counter[str]] = {position: Counter() for position in columns}
    for row in rows:
        total += 1
        for position, ids in found.items():
            cell = row.row.cells[position]
            if cell is not None and pattern.fullmatch(text := str(cell)):
                ids[text] += 1
    for position in found.keys() - titled:
        found[position] = _surely_salesforce(found[position])
    most = {at: len(ids) for at, ids in found.items() if ids.total() * 2 > total}
    return {at: number for at, number in most.items() if at in titled} or most


def _surely_salesforce(ids: Counter[str]) -> Counter[str]:
    """Return those of a column's values that are Salesforce IDs whatever the column's title.

    Short ones have no checksum, so all of them need one known prefix: tax numbers look similar.
    """
    prefixes = {text[:3] for text in ids if len(text) == 15}
    known = len(prefixes) == 1 and prefixes <= _PREFIXES
    sure = {
        text: number
        for text, number in ids.items()
        if (_has_checksum(text) if len(text) == 18 else known and not text.isdigit())
    }
    return Counter(sure)


def _has_checksum(text: str) -> bool:
    """Whether the last 3 characters of a Salesforce ID say which of the others are capitals."""
    groups = (text[at : at + 5] for at in (0, 5, 10))
    bits = (sum(letter.isupper() << at for at, letter in enumerate(group)) for group in groups)
    return text[15:] == "".join(_CHECK_LETTERS[each] for each in bits)
