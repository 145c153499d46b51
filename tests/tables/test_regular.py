"""What pandas' C parser is given is read as the csv module reads it; the rest it is not given."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchrun.errors import InputError
from batchrun.tables import LoadOptions, encoding, load, text
from batchrun.tables.frames import rows_of
from batchrun.tables.text import read_columns, regular_stretch

CELLS = st.one_of(
    st.text(alphabet='ab ",;\t|\r\n\ufeffé\u2028\x0b0.', max_size=6),
    st.sampled_from(["", "NA", "nan", "1E5", "00123", "TRUE", "None", " a ", "#x", "\\", "'"]),
)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """A table as a program writes it, some of its characters then lost or put in."""
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", " ", "'", "\\", "#", "e"]))
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6))
    stream = io.StringIO(newline="")
    quoting: Literal[0, 1] = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)
    text = stream.getvalue()
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(text)))
        put = draw(st.sampled_from(["", '"', '""', "\n", "\r", delimiter, "x", "\r\n"]))
        text = text[:at] + put + text[at + 1 :]
    return text, delimiter


@given(written())
@example(('a,b\n"x","y"z\n', ","))
@example(('a,b\n"x\r\ny",\n1,2\n', ","))
@settings(max_examples=600)
def test_what_is_regular_is_read_as_the_csv_module_reads_it(given_text: tuple[str, str]) -> None:
    text, delimiter = given_text
    stretch = regular_stretch(text.encode(), delimiter)
    if stretch is None or not stretch.text:
        return
    reader = csv.reader(
        io.StringIO(stretch.text.decode(), newline=""), delimiter=delimiter, strict=True
    )
    lines, rows = [], []
    line = 0
    for row in reader:
        lines.append(line)
        rows.append(row)
        line = reader.line_num
    assert stretch.breaks == line
    assert len({len(row) or 1 for row in rows}) == 1 or stretch.width == 0
    if stretch.width > 1:
        assert list(stretch.lines) == lines
        assert rows_of(read_columns(stretch, delimiter)) == rows


@pytest.mark.parametrize(
    "text",
    ['a,b\n"x"y,z\n', 'a,b\nx "y",z\n', "a,b\n1,2\r3,4\n", "\ufeffa,b\n1,2\n", 'a,b\n" "x" ",y\n'],
)
def test_a_misplaced_quote_or_line_end_is_no_regular_text(text: str) -> None:
    assert regular_stretch(text.encode(), ",") is None


def long_list(odd_line: str) -> str:
    """So many rows that they are read in several stretches, an odd one in the midst of them."""
    row = 'company {},{},"a note, and\nanother line"\n'
    rows = [row.format(number, number) for number in range(60_000)]
    return "".join(["name,number,note\n", *rows[:40_000], odd_line, *rows[40_000:]])


@pytest.mark.parametrize(
    ("odd_line", "kept", "said"),
    [
        ("short,1\n", 60_001, "1 row has fewer fields than the header"),
        ("long,1,note,more\n", 60_001, "1 row has more fields than the header"),
        (",,\n", 60_000, "1 blank row was skipped"),
        ("\n", 60_000, "1 blank row was skipped"),
        ('inch,5",note\ninch,6",note\n', 60_002, None),
    ],
)
def test_an_odd_line_far_down_changes_no_other_row(
    tmp_path: Path, odd_line: str, kept: int, said: str | None
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(long_list(odd_line), encoding="utf-8", newline="")
    table = load(path)
    assert len(table) == kept
    assert len(table.source.notices) == (said is not None)
    assert all(said and said in notice for notice in table.source.notices)
    plain = table.frame[table.frame[0].str.startswith("company")]
    assert plain[1].tolist() == [str(number) for number in range(60_000)]
    assert set(plain[2]) == {"a note, and\nanother line"}
    first_line = 2 + 40_000 * 2
    below = [2 * number + first_line + odd_line.count("\n") for number in range(20_000)]
    assert plain.index.tolist() == [*range(2, first_line, 2), *below]


BYTES = st.sampled_from(
    [
        b"a", b"b,c", b'"', b'"x"', b'"x\ny"', b",", b"\n", b"\r\n", b"\r",
        b"\xc3\xa9", b"\xe9", b"\xc3",
        b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\x80", b"NA",
    ]
)  # fmt: skip


@given(st.lists(BYTES, max_size=12).map(b"".join), st.integers(1, 9), st.booleans())
@example(b'"x\ny",b,c\n"x\ny"\xe9', 3, False)
@settings(max_examples=400)
def test_a_text_is_the_same_piece_by_piece_and_whole(
    content: bytes, piece: int, numbered: bool
) -> None:
    if numbered:  # so that there is a table
        content = b"name,number,code\n" + b"x,1,NA\n" * 30 + content
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "LONG_BYTES", 0)
        patch.setattr(text, "FIRST_BYTES", 20 * piece)
        patch.setattr(text, "STRETCH_BYTES", piece)
        patch.setattr(encoding, "SURVEYED_BYTES", piece)
        pieces = outcome(io.BytesIO(content))
        patch.setattr(text, "survey", lambda _: encoding.NOT_PLAIN)
        assert outcome(io.BytesIO(content)) == pieces


def outcome(stream: io.BytesIO) -> object:
    """What is read of a text, or said of it."""
    try:
        table = text.read_text(stream, Path("list.csv"), LoadOptions())
    except InputError as error:
        return str(error)
    return table.source, table.header, table.frame.to_numpy().tolist(), list(table.frame.index)


class Changing(io.BytesIO):
    """A file that another program overwrites once it has been surveyed."""

    def __init__(self, before: bytes, after: bytes) -> None:
        super().__init__(before)
        self._after = after
        self._looked = False

    def seek(self, position: int, whence: int = 0) -> int:
        if self._looked:
            super().seek(0)
            super().truncate(0)
            super().write(self._after)
        self._looked = True
        return super().seek(position, whence)


@pytest.mark.parametrize(
    "after",
    [b"a,b\n1,\xe9\n", b'a,b\n"1",\xe9\n', b"a,b\n1,\0\n", b'a,b\n"1,', b"a,b\n3,4\n"],
)
@pytest.mark.parametrize("rows", [1, 40_000])
def test_a_file_that_changes_while_it_is_read_is_read_as_it_is_then(
    after: bytes, rows: int
) -> None:
    before = b"a,b\n" + b"1,2\n" * rows
    after = before + after
    assert outcome(Changing(before, after)) == outcome(io.BytesIO(after))


def test_a_quote_left_open_far_down_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(long_list('x,"open,1\ny,"2",3\n'), encoding="utf-8", newline="")
    with pytest.raises(InputError, match="line 80002: a quote opens a field"):
        load(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_long_list_is_the_same_in_each_encoding(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "list.csv"
    rows = [f"Café {number},{number},NA{end}" for number in range(80_000)]
    path.write_text("".join([f"name,number,code{end}", *rows]), encoding=encoding, newline="")
    table = load(path)
    assert table.frame[0].tolist() == [f"Café {number}" for number in range(80_000)]
    assert table.frame[2].eq("NA").all()
    assert table.frame.index.tolist() == list(range(2, 80_002))
