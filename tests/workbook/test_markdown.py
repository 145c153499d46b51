"""Markdown is shown as people read it, and what is no Markdown stays as it is."""

from __future__ import annotations

import csv
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun import workbook
from batchrun.workbook import Crm, Form, markdown
from batchrun.workbook.markdown import (
    MAX_CHARACTERS,
    UnsureError,
    parsed_rich_text,
    rich_text,
    simple_rich_text,
    without_markup,
)
from tests.workbook.batches import batch, batch_of, row, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., Path]

SUMMARY = """## Account Research

Based in Zürich. What *matters* now:

- **New VP of Sales** (87)
- Moved its CRM, see [the report](https://x.example/r)

| City | Staff |
|---|---|
| Zürich | 12 |
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("## Head\ntext", "Head\ntext"),
        ("# Head\n\ntext\n\nmore", "Head\ntext\n\nmore"),
        ("a **bold** word", "a bold word"),
        ("*italic* and _some more_", "italic and some more"),
        ("~~gone~~ here", "gone here"),
        ("- one\n- two\n  - three", "• one\n• two\n   • three"),
        ("* one\n* two", "• one\n• two"),
        ("3. one\n4. two", "3. one\n4. two"),
        ("1) one\n2) two", "1) one\n2) two"),
        ("- one\n\n  more\n- two", "• one\n   more\n• two"),
        ("text\n\n- one\n- two\n\nafter", "text\n• one\n• two\n\nafter"),
        ("[name](https://x.example/)", "name"),
        ("**see** [name](https://x.example/)", "see name (https://x.example/)"),
        ("**see** <https://x.example/>", "see https://x.example/"),
        ("**see** [mail](mailto:a@b.example)", "see mail (mailto:a@b.example)"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |", "a | b\n1 | 2\n3 | 4"),
        ("```python\nx = 1\n  y = *z*\n```", "x = 1\n  y = *z*"),
        ("> one\n> two", "one\ntwo"),
        ("**a** `code_x` and 2*3*4", "a code_x and 2*3*4"),
        ("**bold\nover lines**", "bold\nover lines"),
        ("**a** 1 \\* 2 &amp; 3", "a 1 * 2 & 3"),
        ("这是**粗体**文字", "这是粗体文字"),
        ("**=1+1**", "=1+1"),
        ("Head\n====\n\ntext", "Head\ntext"),
        ("Head\n---\n\na **b**", "Head\na b"),
        ("**a**<br>b<BR/>c", "a\nb\nc"),
        ("| a |\n|---|\n| 1<br />2 |", "a\n1\n2"),
        ("<b>x</b> and <em>y</em>, <u>z</u> **w**", "x and y, z w"),
        ("**Dear** <name>, 1 < 2 and a<b", "Dear <name>, 1 < 2 and a<b"),
        ("**see** <a href='https://x.example'>it</a>", "see <a href='https://x.example'>it</a>"),
        ("- [ ] open\n- [x] done\n- [X] done", "☐ open\n☑ done\n☑ done"),
        ("__init__.py **b** and _it is_.", "__init__.py b and it is."),
        ("**see** [x](javascript:alert(1))", "see [x](javascript:alert(1))"),
        ("**see** ![logo](https://x.example/l.png)", "see logo (https://x.example/l.png)"),
        ("1. a\n   - b\n     1. c\n2. d", "1. a\n   • b\n      1. c\n2. d"),
        ("**a** \\*b\\* \\# c", "a *b* # c"),
        ("**a**\r\n\r\n- b\r\n- c", "a\n• b\n• c"),
        ("see [it][1] **b**\n\n[1]: https://x.example", "see [it][1] b\n\n[1]: https://x.example"),
        ("**a**\n\n---\n\nb", "a\n\nb"),
        ("1. [ ] open\n2. [x] done", "1. ☐ open\n2. ☑ done"),
        ("| a | b |\n|---|---|\n| `x|y` | 1 | **z** |\n| 3 |", "a | b\n`x | y` | 1 | z\n3 | "),
        ("> | a |\n> |---|\n> | 1 | 2 |", "a\n1 | 2"),
        (
            "**see** https://x.example/_a_/*b*?c=1&copy=2.",
            "see https://x.example/_a_/*b*?c=1&copy=2.",
        ),
        (
            "**https://x.example/a_b**, *https://x.example*",
            "https://x.example/a_b, https://x.example",
        ),
        ("**Label:**text and **标签。**文本", "Label:text and 标签。文本"),
    ],
)
def test_markdown_is_shown_without_its_markup(text: str, shown: str) -> None:
    assert without_markup(text) == shown
    rich = rich_text(text)
    assert rich is not None
    assert rich.text == shown


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "plain", "snake_case_name", "__init__", "_private_", "2*3*4", "2 * 3 * 4",
        "2**3**4", "#1 in its market", "# of employees: 5", "#hashtag", "4* and 5* hotels",
        "- 5 degrees", "+ 5 %", "> 500 employees", ">5", "1. January", "2024. A good year",
        "a | b", "|", "`code`", "*", "**", "***", "_", "C:\\new_*\\x", "a~b~c", "~5 min",
        "f(*args, **kwargs)", "Two\nlines", "Two sites:\n- head office", "x\n---\ny", "x\n===",
        "    four spaces", "[1] see below", "[a](b", "a]b(c)", "<b>bold</b>", "AT&amp;T", "1.\n2.",
        "Dear Sir,\n\nthank you.\n\n-- \nA. Smith", "line  \nline", "E=mc^2", "\u00a0", "\\*a\\*",
        "price: *", "* required", "a * b\nc * d", "-5\n-7", "3.5\n4.5", "a_b c_d", "5' 11\"",
        "a<br>b", "<p>text</p>\n<ul><li>x</li></ul>", "x <y> z", "[ ] open", "A\n==",
        "[x](javascript:alert(1))", "[it][1]\n\n[1]: https://x.example", "__init__.py and __x__.y",
    ],
)  # fmt: skip
def test_what_is_no_markdown_stays_as_it_is(text: str) -> None:
    assert rich_text(text) is None
    assert without_markup(text) == text


@given(st.text(st.characters(exclude_characters="*_#`~|>[]<-+\n\r.)", exclude_categories=["Cs"])))
def test_a_text_without_signs_of_markup_is_unchanged(text: str) -> None:
    assert without_markup(text) == text


words = st.text(st.characters(categories=["L"]), min_size=1, max_size=8)
blocks = st.one_of(
    words.map(lambda word: (f"## {word}", word)),
    words.map(lambda word: (f"a **{word}** b", f"a {word} b")),
    words.map(lambda word: (f"a *{word}* b", f"a {word} b")),
    st.lists(words, min_size=2, max_size=4).map(
        lambda items: ("\n".join(f"- {item}" for item in items),
                       "\n".join(f"• {item}" for item in items))
    ),
    st.lists(words, min_size=1, max_size=3).map(
        lambda cells: (f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}", " | ".join(cells))
    ),
)  # fmt: skip


@given(st.lists(blocks, min_size=1, max_size=5))
def test_no_word_is_lost_and_no_markup_is_left(parts: list[tuple[str, str]]) -> None:
    text = "\n\n".join(markup for markup, _ in parts)

    shown = without_markup(text)

    assert shown.split() == " ".join(plain for _, plain in parts).split()


@settings(max_examples=200)
@given(st.text(st.sampled_from("ab *_#`~|>[]()<-\n1.:/\\&")))
def test_any_text_is_written_and_its_letters_are_kept(text: str) -> None:
    rich = rich_text(text)
    if rich is not None:
        assert (
            [sign for sign in rich.text if sign in "ab"] == [sign for sign in text if sign in "ab"]
            or "&" in text
            or "[" in text
            or "`" in text
            or "~" in text
        )
        assert all(run.text for run in rich.runs)


pieces = st.sampled_from(
    [
        "# ",
        "## ",
        "- ",
        "* ",
        "+ ",
        "1. ",
        "2) ",
        "**",
        "*",
        "a",
        "b c",
        "10",
        " ",
        "\n",
        "\n\n",
        ".",
        ",",
        "(",
        ")",
        "[a](https://x.example/r_1)",
        "![a](http://b.example)",
        "_",
        "a_b",
        "é",
        "%",
        "**bold**",
        " *it* ",
        "**87 %**",
        "\xa0",
        "&",
        "!",
        "=",
        "---",
        "`",
        ":",
        "\x85",
        "“x”",
        "🎉",
    ]
)


@settings(max_examples=500)
@given(st.lists(pieces, max_size=14).map("".join))
def test_simple_markdown_is_read_as_the_parser_reads_it(text: str) -> None:
    try:
        simple = simple_rich_text(text)
    except UnsureError:
        return
    assert simple == parsed_rich_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "## Head\n\ntext\n\n- **one** (1)\n- two\n\nSee [it](https://x.example/r?a=1#b).",
        "# Head\n1. one\n2. two",
        "*so* and **so**, (**so**)",
        "- one\n\n- two\n\n\n\nafter",
    ],
)
def test_the_usual_markdown_is_read_fast(text: str) -> None:
    assert simple_rich_text(text) == parsed_rich_text(text)


HOSTILE = [
    "[", "![", "[](", "*a ", "**a *", "_a_", "`", "`a", "<", "<a", "&", "> ", "- ", "1. ", "#",
    "# a\n", "|", "|-", "|-\n", "~~a", "\\", "a**", "*a_", "[a](b)", "(", ")", "\n", " \n", "a\n\n",
    "```\n", "\t", " ", "* * *\n", "-|-\n", "![a](", "<http://a", "- a\n", "> a\n", "[a]: b\n",
]  # fmt: skip


@pytest.mark.timeout(30)  # a square of the length takes minutes
@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_markdown_takes_time_in_proportion_to_its_length(piece: str) -> None:
    rich_text(piece * (MAX_CHARACTERS // len(piece)))
    rich_text("**a** " + piece * ((MAX_CHARACTERS - 6) // len(piece)))
    assert rich_text(piece * (MAX_CHARACTERS + 1)) is None


def test_markdown_is_rich_text_in_a_cell(written: Write) -> None:
    path = written(batch_of({"summary": SUMMARY, "list": [{"note": "**b** x"}]}))

    shown = without_markup(SUMMARY)
    assert table(path)[0]["Summary"] == shown
    assert table(path, "List")[0]["Note"] == "b x"
    opened = openpyxl.load_workbook(path, rich_text=True)["Results"]
    runs = opened["K2"].value
    bold = [run.text for run in runs if not isinstance(run, str) and run.font.b]
    assert bold == ["Account Research", "New VP of Sales", "City | Staff"]


def test_a_text_too_long_for_a_cell_has_no_markup_either(written: Write) -> None:
    lines = "word word word word\n" * 2_500
    shown = table(written(batch_of({"summary": f"## Head\n\n**b** text\n{lines}"})))

    assert str(shown[0]["Summary"]).startswith("Head\nb text\nword word")
    assert "not whole: cut" in str(shown[0]["Summary"])


def test_a_cell_that_is_one_link_leads_there(written: Write) -> None:
    cell = openpyxl.load_workbook(written(batch_of({"a": "[Report](https://x.example/r)"})))[
        "Results"
    ]["K2"]

    assert cell.value == "Report"
    assert cell.hyperlink is not None
    assert cell.hyperlink.target == "https://x.example/r"


def test_the_lists_own_cells_keep_their_signs(written: Write) -> None:
    own = "**not ours** to change"

    assert table(written(batch([row(0, {}, cells=("x", own))])))[0]["Account Name"] == own


def test_raw_text_keeps_the_markup(written: Write, tmp_path: Path) -> None:
    assert table(written(batch_of({"a": SUMMARY}), Form(raw_text=True)))[0]["A"] == SUMMARY

    path = workbook.write(batch_of({"a": SUMMARY}), tmp_path / "a.csv", Form(raw_text=True))
    assert SUMMARY.splitlines()[0] in path.read_text(encoding="utf-8-sig")


def test_a_csv_has_the_text_and_machines_get_it_raw(tmp_path: Path) -> None:
    results = batch_of({"a": SUMMARY})

    people = workbook.write(results, tmp_path / "people.csv")
    machines = workbook.write(results, tmp_path / "machines.csv", Form(csv_plain=True))
    lines = workbook.write(results, tmp_path / "out.jsonl")

    with people.open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["a"] == without_markup(SUMMARY)
    with machines.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["a"] == SUMMARY
    assert json.loads(lines.read_text(encoding="utf-8"))["result"]["a"] == SUMMARY
    assert workbook.to_frame(results)["a"].tolist() == [SUMMARY]


def test_a_csv_for_a_crm_has_no_markup(tmp_path: Path) -> None:
    rows = [row(0, {"note": SUMMARY}, cells=(123456789, "x"))]

    path = workbook.write(
        batch(rows, ("Record ID", "Name")), tmp_path / "import.csv", Form(crm=Crm.HUBSPOT)
    )

    with path.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["Note"] == without_markup(SUMMARY)


def test_threads_that_begin_together_read_the_same() -> None:
    """The page draws a tab in each of several threads."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(40):
                markdown._parser.cache_clear()
                markdown._parser()
                texts = list(threads.map(parsed_rich_text, ["a\n\n* *b*"] * 8))
                assert all(text == texts[0] for text in texts)
    finally:
        sys.setswitchinterval(interval)
