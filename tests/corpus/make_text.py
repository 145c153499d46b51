"""Text files of the corpus: encodings, dialects, line ends, damage, report exports, other kinds.

Run from the repository: ``python -m tests.corpus.make_text``.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from typing import TYPE_CHECKING

from tests.corpus.cases import A, B, C, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = ["Company ID", "Name", "City"]
ACCENTS = [HEADER, [A, "Müller & Söhne", "Köln"], [B, "Société Générale", "Nîmes"]]
PLAIN = [HEADER, [A, "Acme", "00123"], [B, "Bay", "NULL"]]
AS_WINDOWS = ["read as Windows-1252"]


def csv(rows: list[list[str]], delimiter: str = ",", end: str = "\n", quote: str = "") -> str:
    """Rows as text, without any quoting but the one asked for."""
    return "".join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) + end for row in rows)


def encodings() -> Iterator[Case]:
    """Each encoding, by its mark or its looks."""
    text = csv(ACCENTS, "\t", "\r\n")
    bom = "\ufeff"
    for name, content, says in (
        ("utf-8", text.encode(), []),
        ("utf-8-bom", (bom + text).encode(), []),
        ("utf-16-le-excel-unicode-text", codecs.BOM_UTF16_LE + text.encode("utf-16-le"), []),
        ("utf-16-be", codecs.BOM_UTF16_BE + text.encode("utf-16-be"), []),
        ("utf-16-le-no-bom", text.encode("utf-16-le"), ["no byte order mark"]),
        ("utf-16-be-no-bom", text.encode("utf-16-be"), ["no byte order mark"]),
        ("utf-32", codecs.BOM_UTF32_LE + text.encode("utf-32-le"), []),
        ("cp1252", text.encode("cp1252"), AS_WINDOWS),
        ("latin-1", text.encode("latin-1"), AS_WINDOWS),
        ("mac-roman", text.encode("mac_roman"), ["Mac Roman, a guess"]),
    ):
        yield Case(f"encoding-{name}.txt", content, ACCENTS, [2, 3], says)
    for encoding, first, second in (
        ("shift_jis", "株式会社日立製作所", "東京都千代田区"),
        ("euc_jp", "株式会社日立製作所", "パナソニック ホールディングス"),
        ("gbk", "华为技术有限公司", "深圳市龙岗区"),
        ("big5", "台灣積體電路製造股份有限公司", "新竹市"),
        ("euc_kr", "삼성전자 주식회사", "경기도 수원시"),
        ("cp1251", "ООО Рога и копыта", "Санкт-Петербург"),  # noqa: RUF001
        ("koi8_r", "ООО Рога и копыта", "Санкт-Петербург"),  # noqa: RUF001
        ("cp1250", "Grzegorz Brzęczyszczykiewicz", "Łódź"),
        ("iso8859_2", "Žďárské strojírny", "Jiří Dvořák, Plzeň"),
        ("iso8859_15-french", "Œuvre d'été", "Citroën, 10 €"),
        ("iso8859_15", "Müller, 10 €", "Söhne, 20 €"),
        ("cp1253", "Ελληνικά Πετρέλαια", "Θεσσαλονίκη"),
        ("cp1254", "Türkiye İş Bankası", "Çağrı Gündoğdu"),  # noqa: RUF001
    ):
        names = [["Company ID", "Name"], [A, first], [B, second]]
        content = csv(names, ";").encode(encoding.partition("-")[0])
        yield Case(
            f"encoding-{encoding}.csv", content, names, [2, 3], [f'a guess: check "{first}"']
        )
    for encoding, first, second in (
        ("iso2022_jp", "株式会社日立製作所", "東京都千代田区"),
        ("iso2022_kr", "삼성전자 주식회사", "경기도 수원시"),
        ("hz", "华为技术有限公司", "深圳市龙岗区"),
    ):
        names = [["Company ID", "Name"], [A, first], [B, second]]
        yield Case(
            f"encoding-{encoding}.csv", csv(names, ";").encode(encoding), names, [2, 3],
            [f'a guess: check "{first}"'],
        )  # fmt: skip
    chinese = csv([["Company ID", "Name"], [A, "\x1b$)A\x0eVP9z\x0f"]]).encode()
    yield Case("encoding-iso-2022-cn.csv", chinese, error="line 2: its text is in an encoding")
    for name, title, firm, said in (
        ("", "Name", "Müller & Söhne", 'would be "Müller & Söhne"; --encoding utf-7 reads it so'),
        ("-in-russian", "Имя", "ООО Рога", 'would be "Имя"'),  # noqa: RUF001
    ):
        names = [["Company ID", title], [A, firm]]
        content = csv(names, ";").encode("utf-7")
        garbled = [line.split(";") for line in content.decode().splitlines()]
        yield Case(f"encoding-utf-7{name}.csv", content, garbled, [2], [said])
        yield Case(
            f"encoding-utf-7{name}-said.csv", content, names, [2], options={"encoding": "utf-7"}
        )
    plus = [["Company ID", "Name", "Mail"], [A, "A+B-Stores, C+Team-X", "ann+new@x.de"],
            [B, "+49-30-1234", "bo+a-b@x.de"]]  # fmt: skip
    yield Case("encoding-it-is-not-utf-7.csv", csv(plus, ";").encode(), plus, [2, 3])
    mixed = csv(ACCENTS, ";").encode() + f"{A};Zürich;Genève\n".encode("cp1252")
    yield Case("encoding-mixed.csv", mixed, error="line 4: 1 line is not UTF-8")
    stray = csv([["Company ID", "Name"], [A, '"ACME" AND SONS']])
    yield Case("quote-stray.csv", stray.encode(), error="--quoting literal")
    yield Case(
        "quote-stray-literal.csv",
        stray.encode(),
        [["Company ID", "Name"], [A, '"ACME" AND SONS']],
        [2],
        options={"quoting": "literal"},
    )
    strays = csv([["Company ID", "Name"], *([each, '"ACME" AND SONS'] for each in (A, B, C))])
    yield Case("quote-stray-in-each-row.csv", strays.encode(), error="There are 3 such lines.")
    escaped = csv([["Company ID", "Name"], [A, r'"The \"Best\" Co"'], [B, '"Bay"']])
    yield Case("quote-mysql-escapes.csv", escaped.encode(), error=r"written as \", as MySQL does")
    spaced = csv([['"Company ID"', '"Name"'], [f'"{A}"', '"Acme, Inc"']], ", ")
    wanted = [["Company ID", "Name"], [A, "Acme, Inc"]]
    yield Case("quote-after-a-space.csv", spaced.encode(), wanted, [2])
    lines = [("before", '"{}" ,"{}"'), ("both", '"{}" , "{}"'), ("tab", '"{}",\t"{}"'),
             ("some", '{}, "{}"'), ("apostrophes", "'{}','{}'")]  # fmt: skip
    for name, line in lines:
        written = "".join(line.format(*row) + "\n" for row in wanted)
        yield Case(f"quote-and-space-{name}.csv", written.encode(), wanted, [2])
    short = spaced + f'"{B}"\n'
    yield Case(
        "quote-after-a-space-short-row.csv", short.encode(), [*wanted, [B, ""]], [2, 3],
        ["1 row has fewer fields"],
    )  # fmt: skip
    broken = spaced.replace("Acme, ", "Acme,\n")
    several = [["Company ID", "Name"], [A, "Acme,\nInc"]]
    yield Case("quote-after-a-space-line-break.csv", broken.encode(), several, [2])
    late = csv([["Company ID", " Name"], *([[A, " Bay"]] * 250), [A, ' "Acme, Inc"']])
    read = [wanted[0], *([[A, "Bay"]] * 250), wanted[1]]
    yield Case("quote-after-a-space-late.csv", late.encode(), read, [*range(2, 253)])
    quotes = [["Company ID", "Name"], [A, "Anna\u2019s \u201cBest\u201d \u2013 20 \u20ac"]]
    content = csv(quotes, ";").encode("cp1252")
    yield Case("encoding-cp1252-punctuation.csv", content, quotes, [2], AS_WINDOWS)
    cut = codecs.BOM_UTF16_LE + text.encode("utf-16-le")[:-1]
    yield Case("encoding-utf-16-cut-off.txt", cut, error="damaged or cut off")
    nul = csv(PLAIN).replace("NULL", "NU\0L").encode()
    yield Case("encoding-nul.csv", nul, error="line 3 holds a NUL character")
    yield Case(
        "encoding-nul-utf-16.csv",
        codecs.BOM_UTF16_LE + nul.decode().encode("utf-16-le"),
        error="line 3 holds a NUL character",
    )


def dialects() -> Iterator[Case]:
    """Each delimiter, plain, quoted and declared."""
    for name, delimiter in (("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("bar", "|")):
        yield Case(f"delimiter-{name}.csv", csv(PLAIN, delimiter).encode(), PLAIN, [2, 3])
        quoted = csv(PLAIN, delimiter, quote='"').encode()
        yield Case(f"delimiter-{name}-quoted.csv", quoted, PLAIN, [2, 3])
        declared = f"sep={delimiter}\r\n{csv(PLAIN, delimiter, chr(13) + chr(10))}".encode()
        yield Case(f"delimiter-{name}-declared.csv", declared, PLAIN, [3, 4])
    odd = f"sep=^\n{csv(PLAIN, '^')}".encode()
    yield Case("delimiter-odd-declared.csv", odd, PLAIN, [3, 4])
    bom = b"\xef\xbb\xbfsep=;\n" + csv(PLAIN, ";").encode()
    yield Case("delimiter-declared-after-bom.csv", bom, PLAIN, [3, 4])
    decimals = [["Company ID", "Umsatz, netto", "Ort"], [A, "1.250,50", "Köln"], [B, "7,5", "Ulm"]]
    yield Case("delimiter-decimal-comma.csv", csv(decimals, ";").encode(), decimals, [2, 3])
    for name, inside, delimiter in (
        ("semicolons", "; ", ","), ("commas", ", ", ";"), ("commas-in-tabs", ", ", "\t"),
        ("bars", "| ", ","),
    ):  # fmt: skip
        both = [
            ["Company ID", f"Name{inside}City"],
            [A, f"Acme{inside}Ulm"],
            [B, f"Bay{inside}Bonn"],
        ]
        content = csv(both, delimiter).encode()
        yield Case(f"delimiter-{name}-in-header-and-values.csv", content, both, [2, 3])
    caret = csv(PLAIN, "^").encode()
    for given in ("^", "semicolon"):
        content = caret if given == "^" else csv(PLAIN, ";").encode()
        name = "odd" if given == "^" else given
        yield Case(
            f"delimiter-{name}-said.csv", content, PLAIN, [2, 3], options={"delimiter": given}
        )
    single = [["Company ID"], [A], [B]]
    yield Case("single-column.csv", csv(single).encode(), single, [2, 3])
    yield Case("single-column-no-newline.csv", csv(single).strip().encode(), single, [2, 3])
    names = [["Name"], ["Doe, John"], ["Roe, Jane"], ["Poe, Ada"]]
    yield Case("single-column-of-names.csv", csv(names).encode(), names, [2, 3, 4])
    notes = [["Company ID"], [f"{A}, Acme"], [f"{B}, Bay"]]
    divided = [["Company ID", ""], [A, " Acme"], [B, " Bay"]]
    yield Case(
        "single-column-of-ids-with-names.csv", csv(notes).encode(), divided, [2, 3],
        ["2 rows have more fields"],
    )  # fmt: skip
    commas = [["Company"], ["Acme, Inc."], ["Bay"]]
    yield Case("single-column-with-commas.csv", csv(commas, "\t").encode(), commas, [2, 3])


def line_ends() -> Iterator[Case]:
    """CR, LF, CRLF and mixed; with and without the last one; inside quotes."""
    for name, end in (("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r")):
        yield Case(f"line-end-{name}.csv", csv(PLAIN, end=end).encode(), PLAIN, [2, 3])
        cut = csv(PLAIN, end=end).rstrip().encode()
        yield Case(f"line-end-{name}-none-at-the-end.csv", cut, PLAIN, [2, 3])
        quoted = [HEADER, [A, f"Acme{end}Inc.", "x"], [B, "Bay", "y"]]
        text = csv(quoted, end=end, quote='"').encode()
        yield Case(f"line-end-{name}-in-quotes.csv", text, quoted, [2, 4])
    mixed = f"Company ID,Name,City\r\n{A},Acme,00123\r{B},Bay,NULL\n".encode()
    yield Case("line-end-mixed.csv", mixed, PLAIN, [2, 3])
    blank = f"\n\nCompany ID,Name,City\n\n{A},Acme,00123\n,,\n\n{B},Bay,NULL\n\n\n".encode()
    yield Case("line-end-blank-lines.csv", blank, PLAIN, [5, 8], ["3 blank rows"])


def fields() -> Iterator[Case]:
    """Fields that a careless reader changes, and rows that are not as wide as the header."""
    literal = [
        ["Company ID", "Value"],
        *([A, text] for text in ("00123", "1E5", "12e34567", "NA", "NULL", "nan", "TRUE")),
        *([A, text] for text in ("123456789012345678", "2026-03-01", " padded ", "'=1+1", "-0")),
    ]
    yield Case("field-literal.csv", csv(literal).encode(), literal)
    doubled = f'Company ID,Name,City\n{A},"say ""hi""","""x"""\n{B},"",""""\n'.encode()
    table = [HEADER, [A, 'say "hi"', '"x"'], [B, "", '"']]
    yield Case("field-doubled-quotes.csv", doubled, table, [2, 3])
    inches = f'Company ID,Name,City\n{A},5" pipe,x\n{B},6" pipe,y\n'.encode()
    table = [HEADER, [A, '5" pipe', "x"], [B, '6" pipe', "y"]]
    yield Case("field-quote-in-the-middle.csv", inches, table, [2, 3])
    long = [HEADER, [A, "x" * 200_000, "y"]]
    yield Case("field-of-200000-characters.csv", csv(long).encode(), long, [2])
    short = f"Company ID,Name,City\n{A}\n{B},Bay\n".encode()
    table = [HEADER, [A, "", ""], [B, "Bay", ""]]
    yield Case("ragged-short.csv", short, table, [2, 3], ["2 rows have fewer fields"])
    wide = f"Company ID,Name,City\n{A},a,b,c\n{B},Bay,x\n".encode()
    table = [[*HEADER, ""], [A, "a", "b", "c"], [B, "Bay", "x", ""]]
    yield Case("ragged-long.csv", wide, table, [2, 3], ["1 row has more fields"])
    trailing = f"Company ID,Name,City\n{A},a,b,\n{B},Bay,x,\n".encode()
    yield Case(
        "ragged-delimiter-at-the-end.csv", trailing, [HEADER, [A, "a", "b"], [B, "Bay", "x"]]
    )
    for name, text, line in (
        ("never-closed", f'Company ID,Name\n{A},"Acme\n{B},Bay\n', 2),
        ("in-a-later-row", f'Company ID,Name\n{A},Acme\n{B},"Bay\n', 3),
        ("below-quoted-lines", f'Company ID,Name\n"{A}","two\nlines"\n{B},"Bay\n', 4),
        ("closed-too-early", f'Company ID,Name\n{A},"Acme" Inc.\n', 2),
        ("in-the-header", f'"Company ID,Name\n{A},Acme\n', 1),
    ):
        error = f"line {line}: a quote opens a field"
        yield Case(f"quote-{name}.csv", text.encode(), error=error)
    yield Case("empty.csv", b"", error="is empty")
    yield Case("blank.csv", b"\r\n\r\n \r\n", error="the column names are missing")
    yield Case("header-only.csv", b"Company ID,Name\n", error="no row under it")


def headers() -> Iterator[Case]:
    """Column names as they come."""
    for name, header in (
        ("repeated", ["Company ID", "Name", "Name"]),
        ("blank", ["Company ID", "", "City"]),
        ("line-break", ["Company\nID", "Name", "City\r\n(HQ)"]),
        ("no-break-space", ["Company\xa0ID", "\xa0Name", "City"]),
        ("zero-width", ["\u200bCompany ID\ufeff", "Na\u200bme", "City"]),
    ):
        table = [header, [A, "a", "b"], [B, "c", "d"]]
        yield Case(f"header-{name}.csv", csv(table, quote='"').encode(), table)


FOOTER = [
    "", "Accounts by owner", "Copyright (c) 2000-2026 salesforce.com, inc. All rights reserved.",
    "Confidential Information - Do Not Distribute", "Generated By:  Dana Whitfield  3/1/2026",
    "Nordwind AG",
]  # fmt: skip


def reports() -> Iterator[Case]:
    """Exports with lines that belong to the report."""
    body = csv(PLAIN, quote='"')
    footer = "".join(f'"{line}"\n' if line else "\n" for line in FOOTER)
    yield Case(
        "report-salesforce-footer.csv", (body + footer).encode(), PLAIN, [2, 3],
        ["5 footer lines set aside (lines 5-9: Accounts by owner", "1 blank row"],
    )  # fmt: skip
    top = "Accounts by owner\nAs of 2026-03-01\nFiltered By: mine\n\n"
    yield Case(
        "report-preamble.csv", (top + body).encode(), PLAIN, [6, 7],
        ["3 lines above the header set aside (lines 1-3: Accounts by owner; As of 2026-03-01"],
    )  # fmt: skip
    pairs = "Report,Accounts\nOwner,Dana\n\n"
    yield Case(
        "report-preamble-of-pairs.csv", (pairs + csv(PLAIN)).encode(), PLAIN, [5, 6],
        ["2 lines above the header"],
    )  # fmt: skip
    two = [["Company ID", "Name"], [A, "Acme"], [B, "Bay"]]
    unknown = [["Kennung", "Firma"], [A, "Acme"], [B, "Bay"]]
    for name, table in (("named", two), ("not-named", unknown)):
        for kind, delimiter in (("comma", ","), ("semicolon", ";"), ("tab", "\t")):
            text = "Tabelle 1\n" + csv(table, delimiter)
            yield Case(
                f"report-title-above-two-columns-{name}-{kind}.csv", text.encode(), table, [3, 4],
                ["1 line above the header set aside (line 1: Tabelle 1)"],
            )  # fmt: skip
    text = "Accounts; all of them\n\n" + csv(two)
    yield Case(
        "report-title-with-another-delimiter.csv", text.encode(), two, [4, 5],
        ["1 line above the header set aside (line 1: Accounts; all of them)"],
    )  # fmt: skip
    text = "ACME\nReport as of,2026-05-01\n" + csv(two)
    yield Case(
        "report-pair-above-two-columns.csv", text.encode(), two, [4, 5],
        ["2 lines above the header set aside (lines 1-2: ACME; Report as of)"],
    )  # fmt: skip
    padded = "Accounts by owner,,\n,,\n"
    yield Case(
        "report-preamble-padded.csv", (padded + csv(PLAIN)).encode(), PLAIN, [4, 5],
        ["1 line above the header"],
    )  # fmt: skip
    amounts = [["Company ID", "Name", "Amount"], [A, "Acme", "10"], [B, "Bay", "20"]]
    text = csv(amounts) + ",Grand Total,30\n"
    yield Case(
        "report-grand-total.csv", text.encode(), amounts, [2, 3],
        ["1 subtotal or total set aside (line 4: Grand Total)"],
    )  # fmt: skip
    for name, words in (
        ("german", "Gesamtsumme"), ("french", "Sous-total"),
        ("records", "Grand Totals (2 records)"),
        ("spanish", "Total general"), ("plain", "Total"),
    ):  # fmt: skip
        text = csv(amounts) + f'"{words}",,30\n'
        yield Case(f"report-total-{name}.csv", text.encode(), amounts, [2, 3], ["1 subtotal"])
    grouped = (
        "Accounts by owner\n\nCompany ID,Name,Amount\n"
        f"Owner: Dana (1 record),,\n{A},Acme,10\nSubtotal,,10\n"
        f"Owner: Mei (1 record),,\n{B},Bay,20\nSubtotal,,20\n\nTotal,,30\n"
    )
    yield Case(
        "report-groups-and-subtotals.csv", grouped.encode(), amounts, [5, 8],
        ["1 line above", "2 group rows set aside (lines 4, 7", "3 subtotals and totals", "1 blank"],
    )  # fmt: skip
    paged = csv(amounts) + csv(amounts[:1]) + f"{C},Cat,30\n"
    yield Case(
        "report-repeated-header.csv", paged.encode(), [*amounts, [C, "Cat", "30"]], [2, 3, 5],
        ["1 repeated header set aside (line 4"],
    )  # fmt: skip
    named = [["Company ID", "Name", "City"], [A, "Total", "Paris"], ["", "Total", "Lyon"]]
    yield Case(
        "report-a-company-named-total.csv", csv(named).encode(), named, [2, 3],
    )  # fmt: skip
    doubt = "My list\n\n" + csv(amounts) + "Something else,,\n" + f"{C},Cat,30\n"
    table = [*amounts, ["Something else", "", ""], [C, "Cat", "30"]]
    yield Case(
        "report-in-doubt-stays.csv", doubt.encode(), table, [4, 5, 6, 7],
        ["1 line above", "1 row looks like part of the report, but may be data"],
    )  # fmt: skip
    yield Case(
        "report-header-row-said.csv", f"a,b\nc,d\nRef,Wert\n{A},x\n".encode(),
        [["Ref", "Wert"], [A, "x"]], [4], ["2 lines above"], options={"header_row": 3},
    )  # fmt: skip
    yield Case(
        "report-header-row-blank.csv", f"a,b\n\n{A},x\n".encode(),
        error="line 2 can't be the header", options={"header_row": 2},
    )  # fmt: skip


PAGE = """<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head><meta charset="utf-8"></head>
<body><table><tr><td>menu</td></tr></table><table border=1><tr><th>Company ID</th><th>Name</th>
<th>City</th></tr><tr><td>{a}</td><td>Müller &amp; Söhne</td><td>00123</td></tr>
<tr><td>{b}<td>two<br>lines<td colspan=1>&nbsp;x</table></body></html>"""


def other_kinds() -> Iterator[Case]:
    """What a name hides: other kinds of file, read or refused by name."""
    table = [HEADER, [A, "Müller & Söhne", "00123"], [B, "two\nlines", "\xa0x"]]
    page = PAGE.format(a=A, b=B)
    says = ["is a web page (HTML)"]
    yield Case("kind-html-named.xls", page.encode(), table, says=says)
    utf_16 = page.replace("utf-8", "unicode").encode("utf-16")
    yield Case("kind-html-utf-16-named.xls", utf_16, table, says=says)
    latin = page.replace("utf-8", "iso-8859-1").encode("latin-1")
    yield Case("kind-html-latin-1-named.xls", latin, table, says=says)
    yield Case("kind-html-without-a-table.xls", b"<html>Log in</html>", error="without a table")
    yield Case("kind-csv-named.xlsx", csv(PLAIN).encode(), PLAIN, [2, 3])
    for name, content, error in (
        ("pdf.csv", b"%PDF-1.7\n", "a PDF"),
        ("png.xlsx", b"\x89PNG\r\n\x1a\n", "a picture"),
        ("gzip.csv", gzip.compress(csv(PLAIN).encode(), mtime=0), "a gzip archive"),
        ("sqlite.csv", b"SQLite format 3\0", "a SQLite database"),
        ("rtf.xls", b"{\\rtf1 x}", "a rich text document"),
        ("json.csv", b'[{"company_id": "x"}]', "a JSON file"),
        (
            "shortcut.gsheet",
            b'{"url": "https://docs.google.com/x", "doc_id": "1"}',
            "shortcut to a",
        ),
        ("shortcut.url", b"[InternetShortcut]\r\nURL=https://x", "a shortcut to a web page"),
        ("shortcut.webloc", b'<?xml version="1.0"?><plist><dict/></plist>', "a shortcut"),
        (
            "excel-2003-xml.xls",
            b'<?xml version="1.0"?><Book xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
            "an Excel 2003 XML file",
        ),
        ("protected.xlsx", ole("EncryptedPackage"), "protected by a password"),
        ("word.xls", ole("WordDocument"), "a Word document"),
        ("very-old.xls", b"\x09\x04\x06\x00\x00\x00", "from before 1997"),
        ("zip.xlsx", zipped("accounts.csv"), "a ZIP archive"),
        ("docx.xlsx", zipped("word/document.xml"), "a Word or PowerPoint document"),
        ("apple.numbers", zipped("Index/Document.iwa"), "an Apple Numbers"),
        ("odt.ods", zipped("mimetype", "content.xml"), "an OpenDocument text"),
    ):
        yield Case(f"kind-{name}", content, error=error)


def ole(stream: str) -> bytes:
    """The beginning of a compound file that has such a stream."""
    return bytes.fromhex("D0CF11E0A1B11AE1") + bytes(504) + stream.encode("utf-16-le") + bytes(64)


def zipped(*parts: str) -> bytes:
    """An archive with these parts, all empty."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for part in parts:
            archive.writestr(zipfile.ZipInfo(part), "")
    return stream.getvalue()


def main() -> None:
    """Write the files."""
    for make in (encodings, dialects, line_ends, fields, headers, reports, other_kinds):
        for case in make():
            case.write()


if __name__ == "__main__":
    main()
