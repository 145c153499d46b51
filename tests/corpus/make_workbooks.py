"""Workbooks of the corpus: by openpyxl what it can write, part by part what it can't, and attacks.

Run from the repository: ``python -m tests.corpus.make_workbooks``.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import openpyxl
from openpyxl.utils.datetime import MAC_EPOCH

from tests.corpus.cases import A, B, C, Case
from tests.corpus.parts import INLINE, pack, record, rows, xlsb, xlsx_parts
from tests.corpus.spelling import SPELLINGS, respelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openpyxl.worksheet.worksheet import Worksheet

HEADER = ["Company ID", "Name", "City"]
PLAIN: list[list[Any]] = [HEADER, [A, "Acme", "00123"], [B, "Bay", "NULL"]]


def book(*sheets: Sequence[list[Any]]) -> tuple[openpyxl.Workbook, Worksheet]:
    """A workbook of these sheets, and the first of them."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for number, table in enumerate(sheets, start=1):
        sheet = workbook.create_sheet(f"S{number}")
        for row in table:
            sheet.append(row)
    return workbook, workbook.worksheets[0]


def saved(workbook: openpyxl.Workbook) -> bytes:
    """The workbook's bytes."""
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def values() -> Iterator[Case]:
    """Cells of each type, by openpyxl."""
    typed: list[list[Any]] = [
        ["Company ID", "Value"],
        *([A, value] for value in ("00123", "NA", "1E5", " padded ", "two\nlines", "ä\u200b")),
        *([A, value] for value in (5, 0, -7, 5.5, 2.0**60, 123456789012345, True, False)),
        *([A, value] for value in (date(2026, 3, 1), time(9, 15), timedelta(hours=30))),
        [A, datetime.fromisoformat("2026-03-01T10:30:00")],
    ]
    workbook, _ = book(typed)
    yield Case("cells-typed.xlsx", saved(workbook), typed)
    yield Case("kind-xlsx-named.csv", saved(book(PLAIN)[0]), PLAIN, [2, 3])
    yield Case("kind-macro-workbook.xlsm", saved(book(PLAIN)[0]), PLAIN, [2, 3])
    dates = [typed[0], *(row for row in typed if isinstance(row[1], date | time | timedelta))]
    workbook, _ = book(dates)
    workbook.epoch = MAC_EPOCH
    yield Case("cells-epoch-1904.xlsx", saved(workbook), dates)
    numbers = [["Company ID", "Zip"], [A, "01067"], [B, "123456789012345678"]]
    workbook, sheet = book(numbers)
    for row in sheet.iter_rows(min_col=2, max_col=2):
        row[0].number_format = "@"
    yield Case("cells-numbers-as-text.xlsx", saved(workbook), numbers)
    workbook, sheet = book([["Company ID", "n"], [A, "#N/A"], [B, "#REF!"]])
    table = [["Company ID", "n"], [A, "#N/A"], [B, "#REF!"]]
    yield Case("cells-errors.xlsx", saved(workbook), table, says=["2 cells hold an error"])
    workbook, sheet = book([["Company ID", "n"], [A, "=1+1"], [B, 2]])
    yield Case(
        "cells-formula-not-calculated.xlsx", saved(workbook),
        [["Company ID", "n"], [A, None], [B, 2]], says=["1 formula has no stored value"],
    )  # fmt: skip
    spaces = [["Company ID", "x"], [A, "  "], [B, "\n"]]
    yield Case("cells-white-space.xlsx", saved(book(spaces)[0]), spaces)
    wide = [["Company ID", *(f"c{n}" for n in range(60))], [A, *range(60)]]
    yield Case("cells-of-60-columns.xlsx", saved(book(wide)[0]), wide)
    long = [["Company ID", "Text"], [A, "x" * 32_767]]
    yield Case("cells-of-32767-characters.xlsx", saved(book(long)[0]), long)


def layouts() -> Iterator[Case]:
    """Where the table lies and what of it is hidden."""
    body = [[None] * 2 + row for row in PLAIN]
    workbook, _ = book([[], [], [], *body])
    yield Case("layout-not-at-a1.xlsx", saved(workbook), PLAIN, [5, 6])
    workbook, sheet = book([*PLAIN, [C, "Cat", "x"]])
    sheet.row_dimensions[3].hidden = True
    table = [*PLAIN, [C, "Cat", "x"]]
    content = saved(workbook)
    yield Case("layout-hidden-row.xlsx", content, table, [2, 3, 4], ["1 row is hidden"])
    yield Case(
        "layout-hidden-row-visible-only.xlsx", content, [table[0], table[1], table[3]], [2, 4],
        ["1 row is hidden and left out"], options={"visible_only": True},
    )  # fmt: skip
    sheet.auto_filter.ref = "A1:C4"
    yield Case("layout-filtered-row.xlsx", saved(workbook), table, [2, 3, 4], ["1 row is hidden"])
    workbook, sheet = book(PLAIN)
    sheet.column_dimensions["B"].hidden = True
    yield Case("layout-hidden-column.xlsx", saved(workbook), PLAIN, [2, 3], ["1 column is hidden"])
    workbook, _ = book([["secret"], ["x"]], PLAIN)
    workbook.worksheets[0].sheet_state = "hidden"
    yield Case("layout-hidden-sheet.xlsx", saved(workbook), PLAIN, [2, 3])
    workbook.worksheets[0].sheet_state = "veryHidden"
    yield Case("layout-very-hidden-sheet.xlsx", saved(workbook), PLAIN, [2, 3])
    workbook, _ = book(PLAIN, [["ID"], ["x"]])
    content = saved(workbook)
    yield Case("layout-two-sheets.xlsx", content, PLAIN, [2, 3], ["not read, though not empty: S2"])
    table = [["ID"], ["x"]]
    yield Case("layout-sheet-by-name.xlsx", content, table, [2], options={"sheet": "s2"})
    yield Case("layout-sheet-by-number.xlsx", content, table, [2], options={"sheet": "2"})
    yield Case(
        "layout-no-such-sheet.xlsx", content, error="no sheet 'Accounts'",
        options={"sheet": "Accounts"},
    )  # fmt: skip
    yield Case(
        "layout-empty.xlsx", saved(book([])[0]), error="no visible sheet that holds anything"
    )
    workbook, sheet = book(PLAIN)
    sheet.cell(40, 3).number_format = "0.00"
    yield Case("layout-formats-below.xlsx", saved(workbook), PLAIN, [2, 3])
    blank: list[list[Any]] = [HEADER, [], PLAIN[1], [None, "", None], PLAIN[2], [], []]
    yield Case("layout-blank-rows.xlsx", saved(book(blank)[0]), PLAIN, [3, 5], ["2 blank rows"])
    gaps: list[list[Any]] = [["Company ID", None, "", "City"], [A, 1, 2, "x"]]
    yield Case(
        "layout-blank-headers.xlsx", saved(book(gaps)[0]),
        [["Company ID", "", "", "City"], [A, 1, 2, "x"]], [2],
    )  # fmt: skip


def merged() -> Iterator[Case]:
    """Merged cells in and above the header; reports as Salesforce formats them."""
    workbook, sheet = book(
        [["Company ID", "Address", None], [None, "City", "Zip"], [A, "Ulm", "1"]]
    )
    sheet.merge_cells("A1:A2")
    sheet.merge_cells("B1:C1")
    yield Case(
        "header-merged-over-two-rows.xlsx", saved(workbook),
        [["Company ID", "Address / City", "Address / Zip"], [A, "Ulm", "1"]], [3],
        ["The header has 2 lines (1-2)"],
    )  # fmt: skip
    workbook, sheet = book([["Our accounts", None, None], *PLAIN])
    sheet.merge_cells("A1:C1")
    yield Case(
        "report-merged-title.xlsx", saved(workbook), PLAIN, [3, 4],
        ["1 line above the header set aside (line 1: Our accounts)"],
    )  # fmt: skip
    day = date(2026, 5, 1)
    two: list[list[Any]] = [["Company ID", "Name"], [A, "Acme"], [B, "Bay"]]
    for name, pair in (("pair", ["Report as of", day]), ("pair-of-texts", ["Owner", "Dana"])):
        yield Case(
            f"report-{name}-above-two-columns.xlsx", saved(book([["ACME"], pair, *two])[0]), two,
            [4, 5], [f"2 lines above the header set aside (lines 1-2: ACME; {pair[0]})"],
        )  # fmt: skip
    unknown: list[list[Any]] = [["Kennung", "Firma"], [A, "Acme"], [B, "Bay"]]
    yield Case(
        "report-title-above-two-columns.xlsx", saved(book([["Tabelle 1"], *unknown])[0]), unknown,
        [3, 4], ["1 line above the header set aside (line 1: Tabelle 1)"],
    )  # fmt: skip
    empty = [None] * 4
    formatted: list[list[Any]] = [
        [None, "Accounts by owner", None, None], [None, "As of 2026-03-01", None, None],
        [None, "Filtered By: my accounts", None, None], empty,
        [None, "Company ID", "Name", "Amount"],
        [None, "Owner: Dana (2 records)", None, None], [None, A, "Acme", 10], [None, B, "Bay", 20],
        [None, "Subtotal", None, 30],
        [None, "Owner: Mei (1 record)", None, None], [None, C, "Cat", 5],
        [None, "Subtotal", None, 5],
        [None, "Grand Totals (3 records)", None, 35], empty,
        [None, "Confidential Information - Do Not Distribute", None, None],
        [None, "Copyright (c) 2000-2026 salesforce.com, inc. All rights reserved.", None, None],
    ]  # fmt: skip
    yield Case(
        "report-salesforce-formatted.xlsx", saved(book(formatted)[0]),
        [["Company ID", "Name", "Amount"], [A, "Acme", 10], [B, "Bay", 20], [C, "Cat", 5]],
        [7, 8, 11],
        ["3 lines above", "2 group rows", "3 subtotals", "2 footer lines", "1 blank"],
    )  # fmt: skip
    dynamics = [["(Do Not Modify) Account", "Company ID", "Name"], [C, A, "Acme"], [C, B, "Bay"]]
    workbook, sheet = book(dynamics)
    sheet.column_dimensions["A"].hidden = True
    yield Case(
        "report-dynamics-hidden-id.xlsx", saved(workbook), dynamics, [2, 3], ["1 column is hidden"]
    )


def by_hand() -> Iterator[Case]:
    """What other programs write and openpyxl does not."""
    head = ["Company ID", "Value"]
    rich = "<is><r><t>Ac</t></r><r><rPr><b/></rPr><t>me</t></r></is>"
    sheet = rows(head, [A, f't="inlineStr"|{rich}'])
    yield Case("cells-rich-text-inline.xlsx", pack(xlsx_parts(sheet)), [head, [A, "Acme"]], [2])
    blank, kept = "<r><t> </t></r>", '<r><t xml:space="preserve"> </t></r>'
    runs = (
        (f"{blank}<r><t>{A}</t></r>", A), (f"{kept}<r><t>{A}</t></r>", f" {A}"),
        (f"<r><t/></r>{blank}<r><t>x</t></r>{blank}", "x"), (f"<r><t />\n</r>{blank}{blank}", "  "),
        (f"{kept}{kept}", "  "), ("<r><t> </t></r><r><t/></r>", " "),
    )  # fmt: skip
    sheet = rows(head, *([A, f"{INLINE}|<is>{each}</is>"] for each, _ in runs))
    yield Case(
        "cells-rich-text-of-blank-runs.xlsx", pack(xlsx_parts(sheet)),
        [head, *([A, text] for _, text in runs)], [2, 3, 4, 5, 6, 7],
    )  # fmt: skip
    sheet = rows(head, [f"{INLINE}|<is>{kept}<r><t>{A}</t></r></is>", "x"])
    yield Case(  # in another spelling its cells are looked at one by one
        "cells-rich-text-of-a-kept-blank-run.xlsx", pack(xlsx_parts(sheet)), [head, [f" {A}", "x"]],
        [2],
    )  # fmt: skip
    strings = (
        f"<si><t>Company ID</t></si><si><t>Value</t></si><si><t>{A}</t></si>"
        '<si><r><t>Ac</t></r><r><rPr><b/></rPr><t xml:space="preserve">me </t></r></si>'
        '<si><t>漢字</t><rPh sb="0" eb="2"><t>かんじ</t></rPh></si>'
    )
    shared = rows(
        ['t="s"|<v>0</v>', 't="s"|<v>1</v>'],
        ['t="s"|<v>2</v>', 't="s"|<v>3</v>'],
        ['t="s"|<v>2</v>', 't="s"|<v>4</v>'],
    )
    table: list[list[Any]] = [head, [A, "Acme "], [A, "漢字"]]
    yield Case(
        "cells-shared-strings.xlsx", pack(xlsx_parts(shared, strings=strings)), table, [2, 3]
    )
    stored = pack(xlsx_parts(shared, strings=strings), zipfile.ZIP_STORED)
    yield Case("archive-not-compressed.xlsx", stored, table, [2, 3])
    strict = pack(xlsx_parts(shared, strings=strings, strict=True))
    yield Case("kind-strict-ooxml.xlsx", strict, table, [2, 3])
    formulas = rows(
        head, [A, 't="str"|<f>"a"&amp;"b"</f><v>ab</v>'], [B, "|<f>1+1</f><v>2</v>"],
        [C, 't="str"|<f>""</f><v></v>'], [C, 't="b"|<f>TRUE()</f><v>1</v>'],
    )  # fmt: skip
    yield Case(
        "cells-formulas-by-cached-value.xlsx", pack(xlsx_parts(formulas)),
        [head, [A, "ab"], [B, 2], [C, None], [C, True]], [2, 3, 4, 5],
    )  # fmt: skip
    iso = rows(head, [A, 't="d"|<v>2026-03-01T10:30:00</v>'], [B, 't="d"|<v>2026-03-01</v>'])
    table = [head, [A, datetime.fromisoformat("2026-03-01T10:30")], [B, date(2026, 3, 1)]]
    yield Case("cells-iso-dates.xlsx", pack(xlsx_parts(iso, strict=True)), table, [2, 3])
    bare = (
        '<sheetData><row><c t="inlineStr"><is><t>Company ID</t></is></c></row>'
        f'<row><c t="inlineStr"><is><t>{A}</t></is></c></row></sheetData>'
    )
    yield Case("cells-without-references.xlsx", pack(xlsx_parts(bare)), [["Company ID"], [A]], [2])
    prefixed = rows(head, [A, "x"], [B, 't="e"|<v>#N/A</v>']).replace("</", "</x:")
    for tag in ("sheetData", "row", "c ", "is", "t>", "v>"):
        prefixed = prefixed.replace(f"<{tag}", f"<x:{tag}")
    yield Case(
        "cells-with-a-prefix.xlsx", pack(xlsx_parts(prefixed, prefix="x")),
        [head, [A, "x"], [B, "#N/A"]], [2, 3], ["1 cell holds an error"],
    )  # fmt: skip
    tall = '<dimension ref="A1:XFD1048576"/>' + rows(head, [A, "x"]).replace(
        "</sheetData>", '<row r="1048576"><c r="B1048576" s="0"/></row></sheetData>'
    )
    yield Case("layout-huge-dimension.xlsx", pack(xlsx_parts(tall)), [head, [A, "x"]], [2])
    parts = xlsx_parts(rows(head, [A, "|<f>[1]S!A1</f><v>7</v>"]))
    parts["xl/externalLinks/externalLink1.xml"] = "<externalLink/>"
    yield Case(
        "hostile-external-link.xlsx", pack(parts), [head, [A, 7]], [2], ["Links to other files"]
    )
    table = [list(head), [A, "Müller"], [B, 2], [C, 2.5], [C, True]]
    yield Case("kind-binary-workbook.xlsb", xlsb(table), table, [2, 3, 4, 5])
    owned: list[list[object]] = [["Company ID", "Contact ID"], [A, B], [None, C], [C, B]]
    broken: list[list[object]] = [list(head), [A, IndexError()]]
    yield Case(
        "merged-down.xlsb", xlsb(owned, merged=(1, 2, 0, 0)),
        [owned[0], [A, B], [A, C], [C, B]], [2, 3, 4],
        ["1 cell was filled from the merged cells above them (Company ID 1)"],
    )  # fmt: skip
    yield Case(
        "cells-error-in-a-hidden-row.xlsb", xlsb(broken, hidden=(1,)),
        [head, [A, "#N/A"]], [2], ["1 row is hidden", "1 cell holds an error"],
    )  # fmt: skip


def repeated() -> Iterator[Case]:
    """Rows and cells that are in a sheet twice: a reader keeps only one of the two."""
    head = ["Company ID", "Value"]
    table: list[list[Any]] = [head, [A, "x"], [B, "y"]]
    sheet = rows(*table)
    for name, odd in (
        ("row", sheet.replace('r="3"', 'r="2"').replace("A3", "A2").replace("B3", "B2")),
        ("cell", sheet.replace("B2", "A2")),
        ("cell-of-another-row", sheet.replace("A3", "A2")),
        ("row-without-references", sheet.replace(' r="A3"', "").replace(' r="3"', ' r="2"')),
    ):
        for spelling, write in (
            ("", str),
            ("-in-apostrophes", lambda xml: xml.replace('"', "'")),
            ("-with-spaces", lambda xml: re.sub(r"</\w+", r"\g<0>\n", xml)),
        ):
            yield Case(
                f"repeated-{name}{spelling}.xlsx", pack(xlsx_parts(write(odd))),
                error="line 2: cell A2 is there twice",
            )  # fmt: skip
    empty = rows(head, [A, 't="str"|<f>X()</f><v></v>'], [B, 't="s"|<v>0</v>'])
    yield Case(
        "repeated-it-is-not-empty-texts.xlsx",
        pack(xlsx_parts(empty, strings="<si><t></t></si>")),
        [head, [A, None], [B, None]], [2, 3],
    )  # fmt: skip
    two = pack(xlsx_parts(sheet.replace("B2", "A2"), sheets=2))
    yield Case("repeated-on-each-of-two-sheets.xlsx", two, error="sheet S1, line 2: cell A2")
    space = "urn:schemas-microsoft-com:office:spreadsheet"
    cells = [
        "".join(f'<Cell><Data ss:Type="String">{cell}</Data></Cell>' for cell in row)
        for row in table
    ]
    text = f'<Row>{cells[0]}</Row><Row>{cells[1]}</Row><Row ss:Index="2">{cells[2]}</Row>'
    xml = (
        f'<?xml version="1.0"?><Workbook xmlns="{space}" xmlns:ss="{space}">'
        f'<Worksheet ss:Name="S1"><Table>{text}</Table></Worksheet></Workbook>'
    )
    yield Case("repeated-row.xls", xml.encode(), error="line 2: cell A2 is there twice")


def spellings() -> Iterator[Case]:
    """What calamine keeps silent about, in every spelling of its XML."""
    head = ["Company ID", "Value"]
    sheet = rows(
        head, [A, 't="e"|<v>#N/A</v>'], [B, "|<f>1+1</f>"], [C, f"{INLINE}|<is><t>  </t></is>"],
        [A, "hidden"],
    )  # fmt: skip
    sheet = '<cols><col min="2" max="2" hidden="1"/></cols>' + sheet.replace(
        '<row r="5"', '<row r="5" hidden="true"'
    )
    sheet += '<autoFilter ref="A1:B5"/><rowBreaks count="1"><brk id="2"/></rowBreaks>'
    table: list[list[Any]] = [head, [A, "#N/A"], [B, None], [C, "  "], [A, "hidden"]]
    says = ["1 row is hidden", "1 column is hidden", "1 cell holds", "1 formula has"]
    content = pack(xlsx_parts(sheet))
    for name, spelling in SPELLINGS.items():
        case = f"spelling-{name}.xlsx"
        yield Case(case, respelled(content, spelling), table, [2, 3, 4, 5], says)
    bare = sheet.replace('<row r="5"', "<row")
    for number in range(1, 6):
        bare = bare.replace(f' r="A{number}"', "").replace(f' r="B{number}"', "")
    yield Case(
        "spelling-without-references.xlsx", pack(xlsx_parts(bare)), table, [2, 3, 4, 5], says
    )
    parts = xlsx_parts(rows(head, [A, 't="str"|<v><![CDATA[Q&A <1>]]></v>'], [B, "|<v>7</v>"]))
    yield Case("spelling-cdata.xlsx", pack(parts), [head, [A, "Q&A <1>"], [B, 7]], [2, 3])
    comment = '<!-- <c r="B2" t="e"><v>#N/A</v></c> <row r="2" hidden="1"> -->'
    sheet = rows(head, [A, "|<v>7<!-- 8 -->9</v>"], [B, "x"]).replace(
        '<row r="2">', f'<row r="2">{comment}'
    )
    yield Case("spelling-comments.xlsx", pack(xlsx_parts(sheet)), [head, [A, 79], [B, "x"]], [2, 3])
    errors = ("#ERROR!", "#SPILL!", "Err:502", "#N/A", "#GETTING_DATA")
    sheet = rows(head, *([A, f't="e"|<f>X(1)</f><v>{error}</v>'] for error in errors))
    yield Case(
        "cells-errors-of-other-programs.xlsx", pack(xlsx_parts(sheet)),
        [head, *([A, error] for error in errors)], says=["5 cells hold an error"],
    )  # fmt: skip
    parts = xlsx_parts(rows(head, [A, "x"]))
    parts["xl/workbook.xml"] = str(parts["xl/workbook.xml"]).replace("S1", "Deals > 50k")
    yield Case("layout-sheet-name-with-an-angle-bracket.xlsx", pack(parts), [head, [A, "x"]], [2])
    family = '<is><r><rPr><family val="2"/></rPr><t>Acme</t></r></is>'
    sheet = rows(head, [A, f"{INLINE}|{family}"])
    yield Case(
        "cells-rich-text-with-a-font-family.xlsx", pack(xlsx_parts(sheet)), [head, [A, "Acme"]], [2]
    )


def hostile() -> Iterator[Case]:
    """Built to do harm, and damaged."""
    small = rows(["Company ID"], [A])
    bomb = xlsx_parts("<!--" + " " * 30_000_000 + "-->" + small)
    yield Case("hostile-zip-bomb.xlsx", pack(bomb), error="as a ZIP bomb does")
    many = pack(xlsx_parts("<sheetData/>", sheets=2_000))
    yield Case("hostile-thousands-of-sheets.xlsx", many, error="2,000 sheets, more than 500")
    laughs = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
    parts = xlsx_parts(small)
    sheet = str(parts["xl/worksheets/sheet1.xml"])
    for name, content in (
        ("billion-laughs", laughs + sheet),
        ("external-entity", "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" + sheet),
        ("entity-in-utf-16", (laughs + sheet).encode("utf-16")),
        ("entity-below-a-comment", "<?xml version='1.0'?><!-- x -->" + laughs + sheet),
    ):
        attack = parts | {"xl/worksheets/sheet1.xml": content}
        yield Case(f"hostile-{name}.xlsx", pack(attack), error="declares XML entities")
    last = '<row r="1048576"><c r="A1048576"><v>1</v></c></row>'
    for name, where, error in (
        (
            "far-cell",
            '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
            "reach to XFD1048576",
        ),
        ("row-too-far", '<row r="9999999999"><c r="A9999999999"><v>1</v></c></row>', "reach to"),
        ("column-too-far", '<row r="9"><c r="AAAAA9"><v>1</v></c></row>', "reach to AAAAA9"),
        ("cell-in-another-row", '<row r="9"><c r="A9999999"><v>1</v></c></row>', "reach to"),
        ("cell-below-a-far-row", '<row r="200000"><c r="A9999999"><v>1</v></c></row>', "reach to"),
        ("small-letters", '<row r="9"><c r="xfd1048570"><v>1</v></c></row>', "reach to"),
        (
            "far-corner-of-two",
            '<row r="9"><c r="XFD9"><v>1</v></c></row>' + f'<row r="10">{" " * 600_000}</row>'
            '<row r="11"><c r="A99999"><v>1</v></c></row>',
            "reach to XFD99999",
        ),
        (
            "row-without-references",
            '<row r="9"><c r="XFD9"><v>1</v></c></row><row r="1048576"><c><v>1</v></c></row>',
            "reach to XFD1048576",
        ),
        (
            "rows-counted-on",
            '<row r="9"><c r="FZZ9"/></row>' + "<row/>" * 700_000 + "<row><c><v>1</v></c></row>"
            '<row><c r="FZZ9"><v>1</v></c></row>',
            "reach to FZZ700010",
        ),
        (
            "cells-counted-on",
            f'<row r="9">{"<c/>" * 20_000}<c><v>1</v></c></row>' + last,
            "reach to ACOG1048576",
        ),
        (
            "cells-counted-on-with-a-prefix",
            f'<row r="9">{"<c/><x:c />" * 10_000}<c><v>1</v></c></row>' + last,
            "reach to ACOG1048576",
        ),
        (
            "reference-behind-an-angle-bracket",
            '<row r="9"><c s=">" r="XFD1048576"><v>1</v></c></row>',
            "reach to XFD1048576",
        ),
        (
            "rows-in-comments",
            "<row r='9'>" + "<!-- <row r='1'> --><c/>" * 20_000 + "<c><v>1</v></c></row>" + last,
            "reach to",
        ),
        ("apostrophes", "<row r='9'><c r='XFD1048570'><v>1</v></c></row>", "reach to"),
    ):
        attack = xlsx_parts(small.replace("</sheetData>", where + "</sheetData>"))
        yield Case(f"hostile-{name}.xlsx", pack(attack), error=error)
    attack = xlsx_parts(small, strings="<si><t>x</t></si>")
    strings = str(attack["xl/sharedStrings.xml"]).replace("<sst ", '<sst uniqueCount="4294967295" ')
    attack["xl/sharedStrings.xml"] = strings
    yield Case("hostile-string-count.xlsx", pack(attack), error="announces more than it holds")
    for name, path in (("path-upwards", "../../evil.xml"), ("path-absolute", "/etc/evil.xml")):
        attack = xlsx_parts(small) | {path: "x"}
        yield Case(f"hostile-{name}.xlsx", pack(attack), error="leads out of the archive")
    honest = pack(xlsx_parts(small))
    yield Case("hostile-size-made-up.xlsx", shrink_sizes(honest), error="larger than the archive")
    yield Case("damaged-cut-off.xlsx", honest[: len(honest) // 2], error="damaged or cut off")
    torn = pack(xlsx_parts(small[: len(small) // 2]))
    yield Case("damaged-xml.xlsx", torn, error="can't be read")
    unclosed = small.replace("</sheetData>", ("<row>" + '<c t="e">' * 1_000) * 400)
    yield Case("hostile-cells-never-closed.xlsx", pack(xlsx_parts(unclosed)), error="can't be read")
    missing = xlsx_parts(small)
    del missing["xl/worksheets/sheet1.xml"]
    yield Case("damaged-no-sheet.xlsx", pack(missing), error="damaged or cut off")
    table = xlsb([["ID"], ["x"]])
    yield Case("damaged-cut-off.xlsb", table[: len(table) // 2], error="damaged or cut off")
    far = record(129) + record(148, bytes(16)) + record(145)
    for row, column in ((0, 0), (1_048_575, 16_383)):
        far += record(0, struct.pack("<IIHBBBI", row, 0, 1, 0, 0, 0, 0))
        far += record(5, struct.pack("<IId", column, 0, 1.0))
    parts = unpack(table) | {"xl/worksheets/sheet1.bin": far + record(146) + record(130)}
    yield Case("hostile-far-cell.xlsb", pack(parts), error="can't be read")
    yield Case("damaged-nothing-inside.xls", bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600),
               error="can't be read")  # fmt: skip


def unpack(content: bytes) -> dict[str, bytes | str]:
    """The parts of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def shrink_sizes(content: bytes) -> bytes:
    """Let the archive's directory announce a tenth of the size of its last part."""
    at = content.rindex(b"PK\x01\x02")
    size = struct.unpack("<I", content[at + 24 : at + 28])[0]
    return content[: at + 24] + struct.pack("<I", size // 10) + content[at + 28 :]


def main() -> None:
    """Write the files."""
    for make in (values, layouts, merged, by_hand, repeated, spellings, hostile):
        for case in make():
            case.write()


if __name__ == "__main__":
    main()
