from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.errors import InputError
from batchrun.tables.files import load
from tests.tables.files import OTHER_UUID, UUID, cells, lines, load_bytes

LITERAL_TEXTS = [
    "00123", "NA", "NULL", "nan", "1E5", "12e34567", "123456789012345678", "  padded  ", "TRUE",
    "2026-03-01", "1,5", 'say "hi"', "two\nlines", "two\r\nlines", "two\rlines", "'=1+1", "ä\u200b",
]  # fmt: skip


@pytest.mark.parametrize("text", LITERAL_TEXTS)
def test_a_field_stays_the_text_it_is(tmp_path: Path, text: str) -> None:
    quoted = text.replace('"', '""')
    table = load_bytes(tmp_path, f'Company ID,Note\nx,"{quoted}"\n')
    assert cells(table) == [["x", text]]


def test_unquoted_fields_are_not_interpreted(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "a,b,c,d\n00123,NA,1E5, x \n")
    assert cells(table) == [["00123", "NA", "1E5", " x "]]


def names_report_row(text: str) -> bool:
    """Whether a row of this text alone may be a total or a footer, which is set aside."""
    begin = ("total", "sub", "sum", "grand", "gesamt", "count", "page", "confiden", "copyright")
    return text.strip().casefold().startswith(begin)


def records(width: int) -> st.SearchStrategy[list[list[str]]]:
    letters = st.characters(codec="utf-8", exclude_characters="\0")
    text = st.text(letters, max_size=8).filter(lambda each: not names_report_row(each))
    record = st.lists(text, min_size=width, max_size=width)
    filled = record.filter(any)
    header = st.lists(text.filter(str.strip), min_size=width, max_size=width)
    return st.tuples(header, st.lists(filled, min_size=1, max_size=6)).map(
        lambda parts: [parts[0], *parts[1]]
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@given(table=st.integers(1, 4).flatmap(records))
def test_quoted_tables_come_back_equal(
    delimiter: str, encoding: str, table: list[list[str]]
) -> None:
    """Any text survives the way through a fully quoted CSV file."""
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table)
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_bytes(Path(folder), stream.getvalue().encode(encoding))
    assert [list(loaded.header), *cells(loaded)] == table
    assert loaded.source.notices == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [["Company ID", "Name", "Amount"], ["x", "Acme", "1"], ["y", "Öl", "2"]]
    table = load_bytes(tmp_path, "\n".join(map(delimiter.join, rows)))
    assert table.source.delimiter == delimiter
    assert [list(table.header), *cells(table)] == rows


def test_decimal_commas_do_not_pass_for_delimiters(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "Name, first;Amount\nAnna;1,5\nBen;2,5\n")
    assert cells(table) == [["Anna", "1,5"], ["Ben", "2,5"]]


def test_a_single_column_keeps_its_commas(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "Company\nAcme, Inc.\nBayview\n")
    assert cells(table) == [["Acme, Inc."], ["Bayview"]]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (f"Company ID\n{UUID}, Acme\n{OTHER_UUID}, Bay\n", ("Company ID", "")),
        (f"Kennung\nAcme, {UUID}\nBay, {OTHER_UUID}\n", ("Kennung", "")),
        (f"List\nID,Name\n{UUID},Acme\nBay\n", ("ID", "Name")),
    ],
)
def test_an_id_beside_a_delimiter_is_an_id(
    tmp_path: Path, text: str, header: tuple[str, ...]
) -> None:
    table = load_bytes(tmp_path, text)
    assert table.header == header
    assert UUID in [str(cell).strip() for cell in cells(table)[0]]


def test_quotes_around_the_first_line_alone_wrap_nothing(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, '"Name"\n"Acme, Inc"\nBay, Ltd; x|y\tz\n')
    assert table.header[0] == "Name"


@pytest.mark.parametrize("title", ["Tabelle 1", "Accounts\n\nof May", "Accounts; all"])
@pytest.mark.parametrize("header", ["Kennung,Firma", "Firma,ID"])
def test_a_title_does_not_hide_the_delimiter_of_two_columns(
    tmp_path: Path, title: str, header: str
) -> None:
    table = load_bytes(tmp_path, f"{title}\n{header}\n{UUID},{UUID}\n{OTHER_UUID},x\n")
    assert table.source.delimiter == ","
    assert table.header == tuple(header.split(","))
    assert cells(table) == [[UUID, UUID], [OTHER_UUID, "x"]]


@pytest.mark.parametrize("rows", [["0,0", "A,ID", ",0"], ["0,0,0,0", "A,A,A,ID", ",,,0"]])
def test_a_first_row_as_wide_as_the_others_is_the_header(tmp_path: Path, rows: list[str]) -> None:
    table = load_bytes(tmp_path, "\n".join(rows))
    assert [list(table.header), *cells(table)] == [row.split(",") for row in rows]
    assert table.source.notices == ()


def test_a_sep_line_is_believed_and_counted(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "sep=|\r\na|b,c\r\n1|2\r\n")
    assert table.header == ("a", "b,c")
    assert lines(table) == [3]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("cp1252", "cp1252")],
)
def test_the_encoding_is_found(tmp_path: Path, encoding: str, told: str) -> None:
    table = load_bytes(tmp_path, "Firma;Ort\nMüller €;Köln\n".encode(encoding))
    assert table.source.encoding == told
    assert table.header == ("Firma", "Ort")
    assert cells(table) == [["Müller €", "Köln"]]


def test_windows_1252_is_said_aloud(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "Firma\nMüller\n".encode("cp1252"))
    (notice,) = table.source.notices
    assert 'not UTF-8; read as Windows-1252 (cp1252), a guess: check "Müller" in line 2' in notice


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lines_are_numbered_as_an_editor_shows_them(tmp_path: Path, line_end: str) -> None:
    """Blank lines and line breaks in quotes count."""
    text = line_end.join(["", "a,b", "1,2", '"x', 'y",3', "", "4,5"])
    table = load_bytes(tmp_path, text)
    assert lines(table) == [3, 4, 7]
    assert cells(table)[1] == [f"x{line_end}y", "3"]


def test_blank_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, 'a,b\n1,2\n\n,\n"",""\n3,4\n\n\n')
    assert cells(table) == [["1", "2"], ["3", "4"]]
    assert table.source.notices == ("3 blank rows were skipped",)


def test_short_rows_are_filled_and_said(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "a,b,c\n1,2,3\n4\n5,6\n")
    assert cells(table) == [["1", "2", "3"], ["4", "", ""], ["5", "6", ""]]
    assert "2 rows have fewer fields" in table.source.notices[0]
    assert "line 3" in table.source.notices[0]


def test_long_rows_keep_their_fields_in_columns_without_a_name(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "a,b\n1,2\n3,4,5,6\n7,8,9\n")
    assert table.header == ("a", "b", "", "")
    assert cells(table) == [["1", "2", "", ""], ["3", "4", "5", "6"], ["7", "8", "9", ""]]
    assert "2 rows have more fields" in table.source.notices[0]
    assert "line 3" in table.source.notices[0]


def test_a_delimiter_at_the_end_of_each_line_makes_no_column(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "a,b\n1,2,\n3,4,\n")
    assert table.header == ("a", "b")
    assert table.source.notices == ()


def test_very_long_fields_are_kept_whole(tmp_path: Path) -> None:
    text = "x, " * 100_000
    assert cells(load_bytes(tmp_path, f'a,b\n1,"{text}"\n')) == [["1", text]]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b\n1,2\n3,"never closed\n4,5\n', 3),
        ('a,b\n"fine\nfine","never\nclosed\n4,5\n', 2),  # where its record begins
        ('a,b\n1,"closed" too early\n', 2),
        ('"a,b\n1,2\n', 1),
        ('sep=,\na,b\n1,"x\n', 3),
    ],
)
def test_a_broken_quote_is_named_by_the_line_where_it_opens(
    tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(InputError, match=f"accounts.csv, line {line}: a quote"):
        load_bytes(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3,\x004\n", "line 3 holds a NUL"),
        (b"a,b\n\x00\x01\x02\x81,2\n", "line 2 holds a NUL"),
        (b"\xff\xfea\x00,\x00b", "is damaged or cut off"),
        (b"\n\n\r\n", "nothing but blank lines"),
        (b"\n , \n1,2\n", "line 2: the column names are missing"),
        (b"a,b\n,\n", "line 1: there is a header row but no row"),
    ],
)
def test_what_is_no_table_is_refused_with_the_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_bytes(tmp_path, content)


def test_more_rows_than_a_block_keep_their_order(tmp_path: Path) -> None:
    count = 25_000
    text = "a,b\n" + "".join(f"{number},x\n" for number in range(count)) + "last,x,extra\n"
    table = load_bytes(tmp_path, text)
    assert len(table) == count + 1
    assert table.cells[0][12_345] == "12345"
    assert set(table.cells[2]) == {"", "extra"}
    assert lines(table) == list(range(2, count + 3))


@pytest.mark.parametrize(
    ("content", "given", "wanted"),
    [
        ("a;b,c\n1;2,3\n", {"delimiter": ";"}, [["1", "2,3"]]),
        ("a;b,c\n1;2,3\n", {"delimiter": "comma"}, [["1;2", "3"]]),
        ("a^b\n1^2\n", {"delimiter": "^"}, [["1", "2"]]),
        ("a\tb\n1\t2\n", {"delimiter": "\\t"}, [["1", "2"]]),
        ('a,b\n"ACME" AND SONS,2\n', {"quoting": "literal"}, [['"ACME" AND SONS', "2"]]),
        ('a,b\n"x,2\n', {"quoting": "literal"}, [['"x', "2"]]),
    ],
)
def test_the_user_may_say_how_fields_are_told_apart(
    tmp_path: Path, content: str, given: dict[str, Any], wanted: list[list[str]]
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(content, encoding="utf-8")
    assert cells(load(file, **given)) == wanted


@pytest.mark.parametrize("given", [{"delimiter": ""}, {"delimiter": "ab"}, {"quoting": "odd"}])
def test_what_can_not_tell_fields_apart_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    file = tmp_path / "list.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"The (delimiter|quoting)"):
        load(file, **given)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'ID,Name\n{UUID},"ACME" AND SONS\n{UUID},"BAY" LTD\n', "--quoting literal"),
        (f'ID,Name\n{UUID},"ACME" AND SONS\n{UUID},"BAY" LTD\n', "There are 2 such lines"),
        (f'ID,Name\n{UUID},"the \\"best\\" of"\n', "as MySQL does"),
        (f'ID,Name\n{UUID},"a, b" c\n', "double the quotes"),
    ],
)
def test_stray_quotes_are_counted_and_settled(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load_bytes(tmp_path, content)
    assert said in str(refused.value)
    assert "line 2" in str(refused.value)


def test_a_space_may_stand_before_an_opening_quote(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, f'"id", "Name", "City"\n"{UUID}", "Acme, Inc", "Oslo"\n')
    assert table.header == ("id", "Name", "City")
    assert cells(table) == [[UUID, "Acme, Inc", "Oslo"]]


def test_the_delimiter_is_the_one_that_leaves_ids_whole(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, f"Tags; all,ID\na; b,{UUID}\nc; d,{UUID}\n")
    assert table.header == ("Tags; all", "ID")


@pytest.mark.parametrize(
    ("row", "column"),
    [(f"Acme,,{UUID},{OTHER_UUID}", "more"), (f"{UUID},{OTHER_UUID}", "fewer")],
)
def test_a_row_of_another_width_with_an_id_where_others_have_none_is_noted(
    tmp_path: Path, row: str, column: str
) -> None:
    table = load_bytes(
        tmp_path,
        f"Name,Contact ID,Company ID\n{row}\nBay,{UUID},{OTHER_UUID}\nCat,,{UUID}\nDay,,{UUID}\n",
    )
    assert table.misaligned == {2}
    assert any(column in notice for notice in table.source.notices)


def test_a_footer_below_a_single_column_is_set_aside_and_a_damaged_id_is_not(
    tmp_path: Path,
) -> None:
    table = load_bytes(tmp_path, f"Company ID\n{UUID}\n\n0b9f6c1e\n(2 rows)\n")
    assert lines(table) == [2, 4]
    assert "1 footer line set aside (line 5: (2 rows))" in table.source.notices


def test_a_filter_of_a_report_that_names_an_id_column_is_no_header(tmp_path: Path) -> None:
    filters = "Dana\nFilter,Account ID\n2026-01-01\n"
    rows = "".join(f"Acme {at},Ulm,Dana,{at},{UUID},x\n" for at in range(9))
    table = load_bytes(tmp_path, f"{filters}Name,City,Owner,Amount,Kennung,Notes\n{rows}")
    assert (table.source.header_line, len(table)) == (4, 9)


@pytest.mark.parametrize(
    "spelling", ["{}", "{{{}}}", "https://app.example.com/companies/{}", "urn:uuid:{}"]
)
def test_rows_that_a_quote_swallowed_are_found_by_ids_of_any_spelling(
    tmp_path: Path, spelling: str
) -> None:
    first, second = spelling.format(UUID), spelling.format(OTHER_UUID)
    text = f'Name,Company ID\n"Acme,{first}\nBolt,{second}\nCyan",{first}\n'
    with pytest.raises(InputError, match="line 2: a quote is closed only in line 4"):
        load_bytes(tmp_path, text)


@pytest.mark.parametrize(
    "text", [f"Company ID,Name\n{UUID},A\n", f'"Company ID","Name"\n"{UUID}",A']
)
def test_a_byte_order_mark_that_became_letters_is_left_out(tmp_path: Path, text: str) -> None:
    table = load_bytes(tmp_path, "ï»¿" + text)
    assert (table.header, cells(table)) == (("Company ID", "Name"), [[UUID, "A"]])
    assert "1 byte order mark" in table.source.notices[-1]
