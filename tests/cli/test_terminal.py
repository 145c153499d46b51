"""What fits on a terminal: nothing is wider, nothing turns into garbage."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.cli.output import (
    UnbrokenLine,
    fitting,
    is_screen,
    mark_of,
    print_lines,
    table,
    wrapped,
)
from batchrun.cli.progress import quota_words
from batchrun.engine.progress import Progress
from batchrun.model import Outcome
from batchrun.text import columns_of, one_line

NOW = datetime(2026, 11, 24, 14, 0).astimezone()  # by the machine's own clock
TEXTS = st.text(max_size=60)


@given(text=TEXTS, width=st.integers(1, 50))
def test_a_shortened_text_is_one_line_that_fits(text: str, width: int) -> None:
    shown = one_line(text, width)
    assert columns_of(shown) <= width
    assert shown.isprintable()


def test_a_shortened_text_shows_that_it_was_shortened() -> None:
    assert one_line("Account Research", 8) == "Account…"
    assert one_line("Account\n Research", 40) == "Account Research"
    assert one_line("株式会社アクメ", 7) == "株式会…"


@given(
    rows=st.lists(
        st.lists(st.text("abc é株[/]\n", max_size=40), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    ),
    width=st.integers(60, 120),
)
def test_a_table_fits_and_breaks_no_column_that_is_to_be_copied(
    rows: list[list[str]], width: int
) -> None:
    rows = [[f"1124-accounts-{at:04}", *row] for at, row in enumerate(rows)]
    lines = table(["batch", "rows", "workflow", "list"], rows, width, whole={0}).split("\n")
    assert max(map(columns_of, lines)) <= width
    assert all(any(line.startswith(row[0]) for line in lines) for row in rows)


def test_a_table_that_has_room_is_as_wide_as_its_cells_and_aligned() -> None:
    lines = table(["id", "name"], [["1", "Acme"], ["22", "Beta"]], 80).split("\n")
    assert lines == ["id  name", "1   Acme", "22  Beta"]


WORDS = st.lists(st.text("abcdé株-", min_size=1, max_size=12), min_size=1, max_size=20)


@given(words=WORDS, width=st.integers(24, 80), label=st.sampled_from(["Rows:      ", "  ", ""]))
def test_a_long_line_is_broken_where_words_end(words: list[str], width: int, label: str) -> None:
    lines = wrapped(label + " ".join(words), width).split("\n")
    assert max(map(columns_of, lines)) <= max(width, len(label) + max(map(columns_of, words)))
    assert lines[0].startswith(label)
    assert all(line.startswith(" " * len(label)) for line in lines[1:])
    assert [word for line in lines for word in line.removeprefix(label).split()] == words


def test_below_a_label_a_line_goes_on_where_its_text_began() -> None:
    assert wrapped("Requests:  about 2,050, 34 min\nNote:      none", 22).split("\n") == [
        "Requests:  about",
        "           2,050, 34",
        "           min",
        "Note:      none",
    ]


@pytest.mark.parametrize(
    "whole",
    [
        "https://api.pipelinegeneration.ai/v1/workflows?status=active",
        "batchrun resume 1124-accounts-7f3a --journal '/home/dana/my journal'",
        "batchrun resume 1124-accounts-7f3a --journal '/home/anna/Daten (alt)/journal.db'",
        "batchrun resume 1124-accounts-7f3a --journal '/home/anna/Daten/v1. neu/journal.db'",
    ],
)
def test_an_address_and_a_command_stay_whole(whole: str) -> None:
    assert wrapped(f"Resume with: {whole}", 30) == f"Resume with:\n{whole}"
    assert (
        whole in wrapped(f"A sentence goes first: {whole}. Another comes then.", 40).split("\n")[1]
    )


def test_a_given_name_is_never_broken() -> None:
    name = "my lists of 2026/customers and more"
    line = f"There is no file {name} here."
    assert wrapped(line, 20).count("\n") > 2
    assert wrapped(line, 20, whole=[name]) == f"There is no file\n{name}\nhere."
    assert name in wrapped(line, 20, whole=[name, "(unclosed [brackets"])


def test_a_line_to_be_copied_is_not_broken_on_a_narrow_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder's name may hold what looks like the end of a sentence."""
    monkeypatch.setattr("batchrun.cli.output.is_screen", lambda _: True)
    monkeypatch.setenv("COLUMNS", "30")
    path = "/home/anna/Mr. X, 3 h (a; b)/no ending of a file"
    print_lines([f"Note:      {path}", UnbrokenLine(f"Workbook:  {path}")])
    shown = capsys.readouterr().out
    assert f"Workbook:  {path}\n" in shown
    assert f"Note:      {path}\n" not in shown


def test_a_command_with_what_it_does_is_broken_like_any_line() -> None:
    line = "  batchrun demo     run an invented list"
    assert wrapped(line, 30) == "  batchrun demo     run an\n  invented list"


def test_a_text_that_fits_is_unchanged() -> None:
    text = "Batch:     1124-accounts-7f3a\n\n  two   blanks  stay"
    assert wrapped(text, 40) == text


def test_parts_that_do_not_fit_are_left_out_whole() -> None:
    assert fitting(["3/40 rows", "2 failed", "9 running"], 19) == "3/40 rows, 2 failed"
    assert fitting(["3/40 rows", "2 failed", "9 run"], 16) == "3/40 rows, 9 run"
    assert fitting(["3/40 rows"], 4) == ""


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (100, "55 requests left this minute, 9,800 today, about 20 min left, done at 14:20"),
        (45, "55 requests left this minute, 9,800 today"),
        (20, "9,800 today"),
    ],
)
def test_the_quota_line_says_what_is_left_and_when_it_ends(width: int, line: str) -> None:
    progress = Progress(dict.fromkeys(Outcome, 0), 3, 9, 55, 9800, 1200)
    assert fitting(quota_words(progress, NOW), width) == line


def test_a_wait_for_the_quota_comes_first() -> None:
    progress = Progress(dict.fromkeys(Outcome, 0), 3, 9, 0, 0, 40_000, 36_000)
    assert quota_words(progress, NOW)[0] == "waiting for the quota until Wed 00:00"


class _Stream(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def _stream(encoding: str) -> _Stream:
    return _Stream(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("encoding", "mark"), [("utf-8", "…"), ("cp1252", "…"), ("cp437", "~"), ("ascii", "~")]
)
def test_the_mark_of_a_cut_is_one_that_the_console_has(encoding: str, mark: str) -> None:
    assert mark_of(_stream(encoding)) == mark


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_nothing_is_redrawn_on_a_dumb_terminal_or_in_ci(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert is_screen(_stream("utf-8"))
    monkeypatch.setenv(name, value)
    assert not is_screen(_stream("utf-8"))
    assert not is_screen(io.StringIO())


def test_a_file_in_a_folder_named_batchrun_is_no_command() -> None:
    line = "Journal   /home/dana/batchrun/journal.db, the record of 2 batches, whole"
    assert wrapped(line, 50).split("\n")[0].endswith("journal.db, the")
