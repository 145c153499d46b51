"""Files of the corpus whose structure misleads: spans, merged cells, second tables, no header.

Run from the repository: ``python -m tests.corpus.make_structure``.
"""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING, Any

import openpyxl

from tests.corpus.cases import A, B, C, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.corpus.cases import Rows

D = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
HEAD = ["Company ID", "Contact ID", "Name"]
ROWS = [[A, B, "Ann"], [A, C, "Bo"], [B, D, "Cy"]]


def page(*tables: str) -> bytes:
    """A web page of these tables."""
    return f"<html><meta charset=utf-8><body>{''.join(tables)}</body></html>".encode()


def plain(*rows: list[str], attributes: str = "") -> str:
    """A table without spans."""
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table {attributes}>{cells}</table>"


def book(*rows: Any, merge: str = "", formats: dict[str, str] | None = None) -> bytes:
    """A workbook of one sheet with these ranges merged, separated by blanks."""
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    for place, code in (formats or {}).items():
        sheet[place].number_format = code
    for each in merge.split():
        sheet.merge_cells(each)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def text(*rows: list[str]) -> bytes:
    """A CSV of these rows."""
    return "".join(",".join(row) + "\n" for row in rows).encode()


def spans() -> Iterator[Case]:
    """HTML cells that span rows and columns, and pages of several tables."""
    owner = "<tr><th>Owner<th>Company ID<th>Contact ID</tr>"
    table = [["Owner", "Company ID", "Contact ID"], ["Ann", A, B], ["Ann", C, D]]
    rows = f"<tr><td rowspan={{}}>Ann</td><td>{A}</td><td>{B}</td></tr><tr><td>{C}</td><td>{D}"
    for name, span in (("rowspan", "2"), ("rowspan-to-the-end", "0"), ("rowspan-too-far", "99")):
        yield Case(
            f"html-{name}.html", page(f"<table>{owner}{rows.format(span)}</table>"), table, [2, 3],
            ["1 cell was filled from the merged cells above them (Owner 1)"],
        )  # fmt: skip
    group = f"<tbody>{rows.format(0)}</tbody><tbody><tr><td>Bo<td>{B}<td>{A}</tbody>"
    yield Case(
        "html-rowspan-of-a-row-group.html",
        page(f"<table><thead>{owner}</thead>{group}</table>"), [*table, ["Bo", B, A]], [2, 3, 4],
        ["1 cell was filled"],
    )  # fmt: skip
    heads = (
        "<tr><th rowspan=2>Name<th colspan=2>Company</tr><tr><th>ID<th>City</tr>"
        f"<tr><td>Acme<td>{A}<td>Ulm</tr>"
    )
    yield Case(
        "html-header-of-two-rows.html", page(f"<table>{heads}</table>"),
        [["Name", "Company / ID", "Company / City"], ["Acme", A, "Ulm"]], [3],
        ["The header has 2 lines (1-2)"],
    )  # fmt: skip
    wide = f"<tr><td colspan=2>{A}<td>x</tr>"
    yield Case(
        "html-colspan-in-a-row.html",
        page(f"<table><tr><th>Company ID<th>More<th>Name</tr>{wide}</table>"),
        [["Company ID", "More", "Name"], [A, "", "x"]], [2],
    )  # fmt: skip
    first, second = plain(HEAD, *ROWS[:2]), plain(HEAD, *ROWS[2:])
    yield Case(
        "html-two-tables-of-one-header.html", page("<h2>Ann</h2>", first, "<h2>Bo</h2>", second),
        [HEAD, *ROWS], [2, 3, 5], ["2 tables of the page with the same header were joined"],
    )  # fmt: skip
    yield Case(
        "html-header-in-a-table-of-its-own.html", page(plain(HEAD), plain(*ROWS)),
        [HEAD, *ROWS], [2, 3, 4], ["2 tables of the page"],
    )  # fmt: skip
    other = plain(["Deal", "Amount"], ["x", "1"], ["y", "2"])
    yield Case(
        "html-two-tables-of-other-headers.html", page(other, first), [HEAD, *ROWS[:2]], [2, 3],
        ["3 lines, 2 rows with IDs). Not read: table 1 (Deal, Amount: 3 lines)"],
    )  # fmt: skip
    yield Case(
        "html-table-by-number.html", page(other, first),
        [["Deal", "Amount"], ["x", "1"], ["y", "2"]], [2, 3], options={"sheet": "1"},
    )  # fmt: skip
    titled = [
        f"<h2>{owner}</h2><table><tr><th colspan=3>Owner: {owner}</th></tr>{plain(HEAD, *rows)[8:]}"
        for owner, rows in (("Ann", ROWS[:2]), ("Bo", ROWS[2:]))
    ]
    yield Case(
        "html-a-titled-table-for-each-owner.xls", "".join(titled).encode(), [HEAD, *ROWS],
        [3, 4, 7],
        ["is a web page", "2 tables of the page", "1 line above the headers of the later",
        "1 line above the header set aside (line 1: Owner: Ann)"],
    )  # fmt: skip
    inner = f"<table><tr><th>Menu<td>{first}</tr></table>"
    yield Case("html-table-inside-a-layout.html", page(inner), [HEAD, *ROWS[:2]], [2, 3])
    small = "<table><tr><td>Ann<td>x</table>"
    nested = f"<table><tr><td>Company ID<td>Name<tr><td>{A}<td>{small}<tr><td>{B}<td>Bo</table>"
    yield Case(
        "html-small-table-inside-a-cell.html", page(nested),
        [["Company ID", "Name"], [A, "Ann x"], [B, "Bo"]], [2, 3],
    )  # fmt: skip
    unseen = f"<table><tr><td>Company ID<tr style='display: none'><td>{A}<tr><td>{B}</table>"
    yield Case(
        "html-hidden-row.html", page(unseen), [["Company ID"], [A], [B]], [2, 3],
        ["1 row is hidden on the page and read too"],
    )  # fmt: skip


def merged() -> Iterator[Case]:
    """Merged cells among the rows, and merged cells that touch the header."""
    body = [[A, B, "Ann"], [None, C, "Bo"], [None, D, "Cy"], [B, A, "Di"]]
    filled: Rows = [HEAD, [A, B, "Ann"], [A, C, "Bo"], [A, D, "Cy"], [B, A, "Di"]]
    yield Case(
        "merged-company-over-rows.xlsx", book(HEAD, *body, merge="A2:A4"), filled, [2, 3, 4, 5],
        ["2 cells were filled from the merged cells above them (Company ID 2)"],
    )  # fmt: skip
    filtered = openpyxl.load_workbook(io.BytesIO(book(HEAD, *body, merge="A2:A4")))
    for row in (2, 3):
        filtered.worksheets[0].row_dimensions[row].hidden = True
    stream = io.BytesIO()
    filtered.save(stream)
    yield Case(
        "merged-company-over-hidden-rows.xlsx", stream.getvalue(), [HEAD, *filled[3:]], [4, 5],
        ["2 rows are hidden and left out"], options={"visible_only": True},
    )  # fmt: skip
    hidden = f"<tr hidden><td rowspan=3>{A}<td>{B}<td>Ann<tr><td>{C}<td>Bo<tr><td>{D}<td>Cy"
    names = "".join(f"<th>{name}" for name in HEAD)
    yield Case(
        "merged-company-over-hidden-rows.html", page(f"<table><tr>{names}{hidden}</table>"),
        [HEAD, *filled[2:4]], [3, 4], ["1 row is hidden on the page", "1 cell was filled"],
        options={"visible_only": True},
    )  # fmt: skip
    total = ["Total", None, None]
    yield Case(
        "merged-over-a-total-and-a-blank-row.xlsx",
        book(HEAD, [A, B, "Ann"], [None, C, "Bo"], [None, None, None], total, merge="A2:A4 A5:C5"),
        filled[:3], [2, 3], ["1 subtotal or total set aside", "1 cell was filled", "1 blank row"],
    )  # fmt: skip
    yield Case(
        "merged-sideways.xlsx", book(HEAD, [A, B, "Ann"], [B, None, None], merge="B3:C3"),
        [HEAD, [A, B, "Ann"], [B, None, None]], [2, 3],
    )  # fmt: skip
    yield Case(
        "merged-square-over-an-id.xlsx",
        book(["Name", *HEAD[:2]], ["Ann", A, B], ["Acme", None, C], [None, None, D], merge="A3:B4"),
        [["Name", *HEAD[:2]], ["Ann", A, B], ["Acme", None, C], ["Acme", None, D]], [2, 3, 4],
        ["1 cell was filled from the merged cells above them (Name 1)"],
    )  # fmt: skip
    noted = [[*HEAD, "See the note"], *ROWS]
    table: Rows = [noted[0], *([*row, None] for row in ROWS)]
    for name, merge in (("one-column", "D1:D4"), ("a-square", "D1:F4")):
        yield Case(f"merged-note-beside-the-list-{name}.xlsx", book(*noted, merge=merge), table,
                   [2, 3, 4])  # fmt: skip
    yield Case(
        "merged-empty-box-over-the-header.xlsx", book(["Company ID", "Name"], [A, "x"], [B, "y"],
        merge="C1:D3"), [["Company ID", "Name"], [A, "x"], [B, "y"]], [2, 3],
    )  # fmt: skip
    yield Case(
        "merged-name-of-two-columns.xlsx",
        book(["Company ID", None, "City"], ["Acme", A, "Ulm"], ["Bay", B, "Bonn"], merge="A1:B1"),
        [["Company ID", "Company ID", "City"], ["Acme", A, "Ulm"], ["Bay", B, "Bonn"]], [2, 3],
    )  # fmt: skip
    yield Case(
        "merged-names-above-names.xlsx",
        book(["Company", None, "Contact", None], ["ID", "Name", "ID", "Name"], [A, "x", B, "y"],
             merge="A1:B1 C1:D1"),
        [["Company / ID", "Company / Name", "Contact / ID", "Contact / Name"], [A, "x", B, "y"]],
        [3], ["The header has 2 lines (1-2)"],
    )  # fmt: skip


def seconds() -> Iterator[Case]:
    """More than one table on a sheet, one above the other."""
    upper = [["Company ID", "Name"], [A, "Acme"], [B, "Bay"]]
    for name, lower in (
        ("other-columns", [["Contact ID", "Person"], [C, "Ann"], [D, "Bo"]]),
        ("other-order", [["Name", "Company ID"], ["Cat", C], ["Dot", D]]),
        ("another-language", [["Kontaktschlüssel", "Person"], [C, "Ann"], [D, "Bo"]]),
        ("unknown-names", [["Ansprechpartner", "Person"], [C, "Ann"], [D, "Bo"]]),
    ):
        for blank in ([], [["", ""]]):
            if name == "unknown-names" and not blank:
                continue
            where = "below-a-blank-line" if blank else "at-once"
            line = 4 + len(blank)
            yield Case(
                f"second-table-of-{name}-{where}.csv", text(*upper, *blank, *lower),
                error=f"line {line} looks like a second header",
            )  # fmt: skip
    lower = [["Contact ID", "Person"], [C, "Ann"], [D, "Bo"]]
    content = book(*upper, [], ["Our contacts"], *lower)
    yield Case(
        "second-table-below-a-title.xlsx", content, error="line 6 looks like a second header"
    )
    yield Case(
        "second-table-lower-wanted.xlsx", content, lower, [7, 8],
        ["of them 2 hold IDs and are not read"], options={"header_row": 6},
    )  # fmt: skip
    yield Case(
        "second-table-upper-wanted.xlsx", content, upper, [2, 3],
        says=None, options={"header_row": 1},
    )  # fmt: skip
    narrow = [["Firma", "Kennung"], ["Acme", A], ["Bay", B]]
    wide = [["Company ID", "Contact ID", "Name", "City", "Mail"], [A, B, "x", "y", "a@b.de"]]
    yield Case(
        "second-table-wider-than-the-first.csv",
        text(*([*row, "", "", ""] for row in narrow), *wide),
        error="line 4 looks like a second header",
    )  # fmt: skip
    pages = [HEAD, *ROWS[:2], ["COMPANY ID ", "Contact-ID", "Name"], ROWS[2]]
    yield Case(
        "second-header-the-same-on-each-page.csv", text(*pages), [HEAD, *ROWS], [2, 3, 5],
        ["1 repeated header set aside (line 4"],
    )  # fmt: skip
    stagger = [
        ["Company ID", "Name", "", ""], [A, "Acme", "", "Contact ID"], [B, "Bay", "", C],
        ["", "", "", D],
    ]  # fmt: skip
    yield Case(
        "second-table-beside-and-lower.csv", text(*stagger),
        error="there may be two lists side by side",
    )  # fmt: skip
    amounts = [["Company ID", "Amount"], [A, "1"], [B, "2"], ["Who", "What"], [C, "3"], [D, "4"]]
    yield Case(
        "second-table-in-a-column-of-numbers.csv", text(*amounts),
        error="line 4 looks like a second header (Who, What)",
    )  # fmt: skip
    marked = text(HEAD, ROWS[0]) + b"\xef\xbb\xbf" + text(HEAD, ROWS[1])
    yield Case(
        "second-header-of-two-files-joined.csv", marked, [HEAD, *ROWS[:2]], [2, 4],
        ["1 repeated header set aside (line 3", "1 byte order mark"],
    )  # fmt: skip
    pending = [["Company ID", "Status"], [A, "new"], ["pending", "old"], [B, "new"]]
    yield Case(
        "second-header-it-is-not.csv", text(*pending), pending, [2, 3, 4],
        ["Line 3 may be a second header (pending, old)"],
    )  # fmt: skip
    for name, words in (("german", ["Kunde", "Ort"]), ("english", ["Customer", "City"])):
        yield Case(
            f"second-header-of-column-words-{name}.csv",
            text(["Company ID", "Name"], [A, "x"], words, [C, "y"]),
            error=f"line 3 looks like a second header ({', '.join(words)})",
        )  # fmt: skip


def beside_the_header() -> Iterator[Case]:
    """What stands right above or below the names, and printed tables."""
    head, rows = ["Company ID", "Name"], [[A, "x"], [B, "y"]]
    for name, line in (("types", ["uuid", "varchar"]), ("descriptions", ["Our ID", "Of the firm"])):
        yield Case(
            f"header-with-{name}-below.csv", text(head, line, *rows), [head, line, *rows], [2, 3, 4]
        )
    dashes = text(head, ["-" * 36, "-" * 4], *rows)
    yield Case(
        "header-with-dashes-below.csv",
        dashes,
        [head, *rows],
        [3, 4],
        ["1 line of dashes set aside"],
    )
    printed = f" company_id | name \n{'-' * 12}+{'-' * 6}\n {A} | x\n {B} | y\n(2 rows)\n"
    yield Case(
        "report-printed-by-psql.txt", printed.encode(),
        [[" company_id ", " name "], [f" {A} ", " x"], [f" {B} ", " y"]], [3, 4],
        ["1 footer line set aside (line 5: (2 rows))", "1 line of dashes set aside"],
    )  # fmt: skip
    pairs = [["Export date", "2026-01-01"], ["User", "Ann"], ["Filter", "North"], ["", ""]]
    yield Case(
        "report-pairs-as-wide-as-the-list.csv", text(*pairs, head, *rows), [head, *rows], [6, 7],
        ["3 lines above the header set aside"],
    )  # fmt: skip
    comments = b"# made by a tool\n# filter: a, b, c\n"
    yield Case(
        "report-comments-wider-than-the-list.csv", comments + text(head, *rows), [head, *rows],
        [4, 5], ["2 lines above the header set aside"],
    )  # fmt: skip
    yield Case(
        "report-numbers-above-the-header.csv", text(["1", "2"], head, *rows), [head, *rows], [3, 4],
        ["1 line above the header set aside"],
    )  # fmt: skip
    yield Case(
        "second-header-the-same-below-a-title.csv",
        text(head, *rows, ["", ""], ["Closed accounts", ""], head, [C, "z"]),
        [head, *rows, [C, "z"]], [2, 3, 7],
        ["1 repeated header", "1 title above a repeated header set aside (line 5: Closed",
         "1 blank"],
    )  # fmt: skip


def pages() -> Iterator[Case]:
    """Web pages with tables in tables, and with spans that reach too far."""
    head = ["Company ID", "Contacts"]
    inner = [
        plain(["Contact ID", "Name"], *rows) for rows in ([[B, "Ann"]], [[C, "Bo"], [D, "Cy"]])
    ]
    yield Case(
        "html-contacts-inside-companies.html", page(plain(head, [A, inner[0]], [B, inner[1]])),
        [["Contact ID", "Name"], [B, "Ann"], [C, "Bo"], [D, "Cy"]], [2, 4, 5],
        ["2 tables of the page with the same header were joined",
         "Not read: table 1 (Company ID, Contacts: 3 lines, 2 rows with IDs)"],
    )  # fmt: skip
    rows = [f"<td rowspan=3>{A}<td>{B}<td>Ann", f"<td>{C}<td>Bo", f"<td>{B}<td>{D}<td>Cy"]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    yield Case(
        "html-rowspan-over-a-row-left-out.html",
        page(f"<table><tr><th>Company ID<th>Contact ID<th>Name</tr>{body}</table>"),
        [[*HEAD, ""], [A, B, "Ann", ""], [A, C, "Bo", ""], [A, B, D, "Cy"]], [2, 3, 4],
        ["2 cells were filled", "1 row has more fields"], misaligned=[4],
    )  # fmt: skip


def shifted() -> Iterator[Case]:
    """Rows that are not as wide as the header, most of them, so that no column is like another."""
    ids = [[A, B], [B, C], [C, D]]
    numbered = [[str(at), *row] for at, row in enumerate(ids, start=1)]
    named = [*HEAD[:2], ""]
    wider = ["3 rows have more fields"]
    yield Case(
        "shifted-by-row-names-of-r.csv", text(HEAD[:2], *numbered), [named, *numbered], [2, 3, 4],
        wider, misaligned=[2, 3, 4],
    )  # fmt: skip
    yield Case(
        "shifted-names-in-a-workbook.xlsx", book(HEAD[:2], *numbered), [named, *numbered],
        [2, 3, 4], misaligned=[2, 3, 4],
    )  # fmt: skip
    yield Case(
        "shifted-by-a-box-in-each-row.html", page(plain(HEAD[:2], *(["", *row] for row in ids))),
        [named, *(["", *row] for row in ids)], [2, 3, 4], wider, misaligned=[2, 3, 4],
    )  # fmt: skip
    head = ["Name", *HEAD[:2], "City"]
    for name, city, extra in (("", "Ulm", True), ("-and-blank-fields", "", False)):
        rows = [["Acme", " Inc", each, "", city] for each in (A, B, C)]
        width = 5 if extra else 4
        yield Case(
            f"shifted-by-a-comma-in-each-name{name}.csv", text(head, *rows),
            [[*head, ""][:width], *(row[:width] for row in rows)], [2, 3, 4],
            wider if extra else [], misaligned=[2, 3, 4],
        )  # fmt: skip
    yield Case(
        "shifted-by-a-missing-field.csv", text(["Nr", *HEAD[:2]], *ids),
        [["Nr", *HEAD[:2]], *([*row, ""] for row in ids)], [2, 3, 4], ["3 rows have fewer fields"],
        misaligned=[2, 3, 4],
    )  # fmt: skip
    yield Case(
        "shifted-one-row-of-a-workbook.xlsx", book(HEAD[:2], *ids, [None, A, B]),
        [named, *([*row, None] for row in ids), [None, A, B]], [2, 3, 4, 5], misaligned=[5],
    )  # fmt: skip
    notes = [["Account ID", "PG Company ID"], *(["0015g00000XyZabAAB", each] for each in (A, B))]
    noted = [[*notes[0], ""], *([*row, "call"] for row in notes[1:])]
    yield Case("shifted-it-is-not-notes.xlsx", book(*noted), noted, [2, 3])
    ended = [*([*row, ""] for row in ids), ["", D, ""]]
    yield Case(
        "shifted-it-is-not-delimiters.csv", text(HEAD[:2], *ended),
        [HEAD[:2], *(row[:2] for row in ended)], [2, 3, 4, 5],
    )  # fmt: skip
    people = [[A, "Ann", ""], [B, "Bo", ""], [C, "Cy", ""]]
    yield Case(
        "shifted-it-is-not-names-of-people.csv", text(HEAD[:2], *people),
        [HEAD[:2], *(row[:2] for row in people)], [2, 3, 4],
    )  # fmt: skip
    waiting: Rows = [[*HEAD[:2], ""], [A, "pending", "x"], [B, None, "y"], [C, None, "z"]]
    yield Case("shifted-it-is-not-a-word.xlsx", book(*waiting), waiting, [2, 3, 4])
    yield Case(
        "shifted-it-is-not-short-rows.csv", text(HEAD, *ids), [HEAD, *([*row, ""] for row in ids)],
        [2, 3, 4], ["3 rows have fewer fields"],
    )  # fmt: skip


def wrapped() -> Iterator[Case]:
    """Texts whose records some program took for one field each."""
    head, rows = ["Company ID", "Name", "City"], [[A, "Acme, Inc", "Ulm"], [B, "Bay", "Bonn"]]
    for name, delimiter in (("comma", ","), ("semicolon", ";")):
        lines = [delimiter.join(f'""{cell}""' for cell in row) for row in (head, *rows)]
        content = "".join(f'"{line}"\n' for line in lines).encode()
        yield Case(f"quote-around-whole-lines-{name}.csv", content, [head, *rows], [2, 3])


def swallowed() -> Iterator[Case]:
    """Quotes that are closed by another line's quote, so that the rows between look like text."""
    rows = f'{A},"Acme\n{B},Bay"\n{C},Cat\n'
    yield Case(
        "quote-closed-in-another-row.csv", f"Company ID,Name\n{rows}".encode(),
        error="line 2: a quote is closed only in line 3, and the lines between hold IDs.",
    )  # fmt: skip
    yield Case(
        "quote-closed-in-another-row-literal.csv", f"Company ID,Name\n{rows}".encode(),
        [["Company ID", "Name"], [A, '"Acme'], [B, 'Bay"'], [C, "Cat"]], [2, 3, 4],
        options={"quoting": "literal"},
    )  # fmt: skip
    inner = f"see\n{B},{C},x"
    yield Case(
        "quote-around-a-list-in-a-cell.csv",
        f'Company ID,Note\n{A},"{inner}"\n{D},"a, b"\n'.encode(),
        [["Company ID", "Note"], [A, inner], [D, "a, b"]], [2, 4],
        ["In line 2, a quote is closed only in line 3, and the lines between hold IDs"],
    )  # fmt: skip


def group_headers() -> Iterator[Case]:
    """Names above several columns that are not merged: the line of the names is the header."""
    above = ["Company", "", "Contact", ""]
    for name, line in (("one", ["ID", "Name", "Person", "Mail"]), ("two", ["ID", "Name"] * 2)):
        rows = [above, line, [A, "Acme", C if name == "two" else "Ann", "x"]]
        yield Case(
            f"headers-not-merged-{name}.csv", text(*rows), rows[1:], [3], ["1 line above"],
            check=["PG:AI IDs are in: ID (column 1: 1 PG:AI ID", "with --company-column 1"],
        )  # fmt: skip
    said = [above, ["Company ID", "Name", "Contact ID", "Mail"], [A, "Acme", C, "x"]]
    yield Case(
        "headers-not-merged-but-named.csv", text(*said), said[1:], [3], ["1 line above"],
        check=["company ID from column 'Company ID', contact ID from column 'Contact ID'"],
    )  # fmt: skip


def titled() -> Iterator[Case]:
    """A title, blank lines, then the names: signs and line breaks don't keep them from being it."""
    names = ["#", "Account\nName", "PG:AI ID", "Owner", "Rev %"]
    rows = [[1, "Acme", A, "Ann", 0.5], [2, "Bay", None, "Bo", 0.25], [3, "Cod", C, "Ann", 1.5]]
    total = ["Total", None, None, None, 2.25]
    title = [None, "Q4 Target Accounts", None, None, None]
    said = ["1 line above the header set aside (line 1: Q4 Target Accounts)", "1 subtotal or total"]
    unnamed = ["#", "Account\nName", None, "Owner", "Rev %"]
    unnamed_out = ["#", "Account\nName", "", "Owner", "Rev %"]
    for name, first, header, merge in (
        ("merged", title, names, "B1:D1"),
        ("merged-over-all", [title[1], *[None] * 4], names, "A1:E1"),
        ("not-merged", title, names, ""),
        ("beside-a-date", [*title[:4], date(2026, 10, 1)], names, "B1:D1"),
        ("in-each-cell", [title[1]] * 5, names, ""),
        ("above-an-unnamed-id", title, unnamed, "B1:D1"),
        ("above-other-names", title, ["No", "Name", "Key", "Owner", "€"], "B1:D1"),
    ):
        yield Case(
            f"titled-{name}.xlsx", book(first, [], [], header, *rows, total, merge=merge),
            [unnamed_out if header is unnamed else header, *rows], [5, 6, 7], said,
        )  # fmt: skip
    texts = [["", "Q4 Target Accounts", "", "", ""], ["#", "Account", "PGAI Id", "Owner", "%"]]
    lines = [["1", "Acme", A, "Ann", "5"], ["2", "Bay", "", "Bo", "2"]]
    yield Case(
        "titled.csv", text(texts[0], [""] * 5, texts[1], *lines), [texts[1], *lines], [4, 5],
        ["1 line above the header set aside (line 1: Q4 Target Accounts)"],
        check=["PGAI Id (column 3: 1 PG:AI ID, 1 empty", "with --company-column 3"],
    )  # fmt: skip
    years = ["Account", "Key", "Owner", "2025", "2026"]
    doubtful = [["Acme", A, "Ann", "5", "6"], ["Bay", "", "Bo", "2", "3"]]
    yield Case(
        "titled-above-years.csv", text(texts[0], years, *doubtful), [texts[0], years, *doubtful],
        [2, 3, 4], ["Line 1 was taken as the header, though line 2 may be it"],
        check=["--header-row 2 says so"],
    )  # fmt: skip


def headerless() -> Iterator[Case]:
    """Lists without column names."""
    rows = [[A, "Acme"], [B, "Bay"]]
    named = [["Column 1", "Column 2"], *rows]
    for name, first in (
        ("csv", A), ("urn", f"urn:uuid:{A}"), ("cut-off", A[:30]), ("braces", f"{{{A.upper()}}}"),
    ):  # fmt: skip
        yield Case(
            f"headerless-{name}.csv", text([first, "Acme"], rows[1]),
            error="line 1 holds an ID (column 1",
        )  # fmt: skip
    yield Case(
        "headerless-said.csv", text(*rows), named, [1, 2], ["Read without a header"],
        options={"no_header": True},
    )  # fmt: skip
    yield Case("headerless-one-column.csv", text([A], [B]), error="line 1 holds an ID")
    for name, value in (("e-mail", "info@acme.example"), ("salesforce", "0015g00000XyZabAAB"),
                        ("address", "https://acme.example/about")):  # fmt: skip
        yield Case(
            f"headerless-first-row-with-{name}.csv", text(["Acme", value], ["Bay", B]),
            error=f"line 1 holds a value (column 2: {value})",
        )  # fmt: skip
    yield Case(
        "headerless-workbook.xlsx", book(*rows), named, [1, 2], ["Read without a header"],
        options={"no_header": True},
    )  # fmt: skip
    yield Case(
        "headerless-but-it-has-one.csv", text(["Company ID", "Name"], *rows),
        error="line 1 looks like a header (Company ID, Name)", options={"no_header": True},
    )  # fmt: skip
    yield Case(
        "headerless-page.html", page(plain(*rows), plain([C, "Cat"])),
        [*named, [C, "Cat"]], [1, 2, 3],
        ["2 tables of the page", "Read without a header"], options={"no_header": True},
    )  # fmt: skip


def sheets() -> Iterator[Case]:
    """Workbooks whose first sheet is not the list."""
    cover: Rows = [["About this export"], ["Made on 1 May"], ["Ask Dana"]]
    accounts: Rows = [["Company ID", "Name"], [A, "Acme"], [B, "Bay"]]
    contacts: Rows = [["Contact ID", "Name"], [C, "Ann"]]
    pivot: Rows = [["Owner", "Count"], ["Dana", 2]]

    def several(*tables: Rows, hidden: tuple[int, ...] = (), names: tuple[str, ...] = ()) -> bytes:
        workbook = openpyxl.load_workbook(io.BytesIO(book(*tables[0])))
        for number, rows in enumerate(tables[1:], start=2):
            sheet = workbook.create_sheet(f"S{number}")
            for row in rows:
                sheet.append(row)
        for number in hidden:
            workbook.worksheets[number].sheet_state = "hidden"
        for number, name in enumerate(names):
            workbook.worksheets[number].title = name
        stream = io.BytesIO()
        workbook.save(stream)
        return stream.getvalue()

    own = several(cover[:1], pivot, accounts, names=("Overview", "Results", "Companies"))
    yield Case(
        "sheets-an-overview-and-results-of-its-own.xlsx", own, accounts, [2, 3],
        ["Sheet Companies was read, the only one with an ID column"],
    )  # fmt: skip
    yield Case(
        "sheets-a-cover-first.xlsx", several(cover, accounts, pivot), accounts, [2, 3],
        ["Sheet S2 was read, the only one with an ID column; not read: Sheet (no IDs, 2 rows: A"],
    )  # fmt: skip
    yield Case(
        "sheets-a-cover-of-one-line.xlsx", several(cover[:1], accounts), accounts, [2, 3],
        ["Sheet S2 was read, the only one with an ID column"],
    )  # fmt: skip
    yield Case(
        "sheets-two-lists-behind-a-cover.xlsx", several(cover, accounts, contacts),
        error="several others do: S2 (Company ID: 2 PG:AI IDs), S3 (Contact ID: 1 PG:AI ID)",
    )  # fmt: skip
    yield Case(
        "sheets-two-lists.xlsx", several(accounts, contacts), accounts, [2, 3],
        ["not read, though not empty: S2 (Contact ID: 1 PG:AI ID); --sheet S2 reads another"],
    )  # fmt: skip
    yield Case(
        "sheets-an-empty-one-first.xlsx", several([], accounts), accounts, [2, 3],
    )  # fmt: skip
    yield Case(
        "sheets-the-list-hidden.xlsx", several(cover, pivot, accounts, hidden=(2,)), accounts,
        [2, 3], ["Hidden sheet S3 was read, the only one with an ID column"],
    )  # fmt: skip
    yield Case(
        "sheets-a-cover-with-an-id.xlsx", several([["Export ID", C], ["By", "Dana"]], accounts),
        error="Other sheets hold IDs too: --sheet S2 reads one.",
    )  # fmt: skip
    yield Case(
        "sheets-a-cover-that-mentions-an-id.xlsx",
        several([["Dear client", "see sheet 2"], ["Ref", C]], accounts), accounts, [2, 3],
        ["the only one with an ID column; not read: Sheet (see sheet 2: 1 PG:AI ID)"],
    )  # fmt: skip
    yield Case(
        "sheets-two-tables-on-the-first.xlsx", several([*accounts, *contacts], accounts),
        error="line 4 looks like a second header",
    )  # fmt: skip


def oddities() -> Iterator[Case]:
    """Rows that hold nothing, subtotals, and numbers that are shown otherwise than they are."""
    head = ["Company ID", "Done"]
    boxes: Rows = [head, [A, True], [B, False], *([None, False] for _ in range(5))]
    yield Case(
        "rows-of-unticked-boxes.xlsx", book(*boxes), [head, [A, True], [B, False]], [2, 3],
        ["5 rows of unticked boxes set aside (lines 4-8"],
    )  # fmt: skip
    yield Case(
        "rows-of-unticked-boxes.csv", text(head, [A, "TRUE"], [B, "FALSE"], ["", "FALSE"]),
        [head, [A, "TRUE"], [B, "FALSE"]], [2, 3], ["1 row of unticked boxes"],
    )  # fmt: skip
    yield Case(
        "rows-of-unticked-boxes-in-german.csv", text(head, [A, "WAHR"], ["", "FALSCH"]),
        [head, [A, "WAHR"]], [2], ["1 row of unticked boxes"],
    )  # fmt: skip
    report = ["Company ID", "Name", "Amount"]
    sums = [["Subtotal", "Sum", 30], [None, "Count", 2], ["Total", "Average", 15]]
    yield Case(
        "report-subtotal-of-a-kind.xlsx",
        book(["Accounts"], report, [A, "x", 10], [B, "y", 20], *sums),
        [report, [A, "x", 10], [B, "y", 20]], [3, 4],
        ["1 line above", "3 subtotals and totals set aside"],
    )  # fmt: skip
    kinds = [["Subtotal", "Sum", "30"], ["", "Average", "15"], ["", "Record Count", "2"]]
    yield Case(
        "report-subtotal-of-a-kind.csv",
        text(["Accounts", "", ""], report, [A, "x", "10"], [B, "y", "20"], *kinds),
        [report, [A, "x", "10"], [B, "y", "20"]], [3, 4],
        ["1 line above", "3 subtotals and totals set aside"],
    )  # fmt: skip
    for name, groups, said in (
        ("in-a-line", [[2005.0, None, None]], "(lines 1-2: Accounts; 2005)"),
        (
            "in-two-lines",
            [[2005.0, None, None], [7.0, None, None]],
            "(lines 1-3: Accounts; 2005; 7)",
        ),
    ):
        above = [["Accounts"], *groups]
        yield Case(
            f"report-whole-number-{name}.xlsx", book(*above, report, [A, "x", 10]),
            [report, [A, "x", 10]], [len(above) + 2],
            [f"{len(above)} lines above the header set aside {said}"],
        )  # fmt: skip
    yield Case(
        "report-year-above-the-header.xlsx", book(["Accounts"], [2005], report, [A, "x", 10]),
        [report, [A, "x", 10]], [4],
        ["2 lines above the header set aside (lines 1-2: Accounts; 2005)"],
    )  # fmt: skip
    times: Rows = [["Company ID", "Left"], [A, -0.1], [B, 5.0]]
    yield Case(
        "cells-negative-time.xlsx", book(*times, formats={"B2": "h:mm"}),
        [["Company ID", "Left"], [A, -0.1], [B, 5]], [2, 3],
        ["1 cell holds a negative date or time"],
    )  # fmt: skip


def cases() -> list[Case]:
    """All of them."""
    kinds = (
        spans, merged, seconds, beside_the_header, pages, shifted, wrapped, swallowed,
        group_headers, titled, headerless, sheets, oddities,
    )  # fmt: skip
    return [case for kind in kinds for case in kind()]


if __name__ == "__main__":
    for each in cases():
        each.write()
