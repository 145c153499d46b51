"""Rows without a result are grouped by the kind of reason, each with the advice that fits it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun import web
from batchrun.batch.export import commands_for
from batchrun.model import BatchResults, Cause, Outcome, ResultRow, Role, Row
from batchrun.settings.model import default_journal
from batchrun.workbook.form import Audience, Form
from batchrun.workbook.reasons import Commands, Reasons, Step, advice
from tests.workbook.batches import batch, company, row, sheet, sheet_names, table

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[..., Path]


def failed(*messages: str, outcome: Outcome = Outcome.FAILED) -> BatchResults:
    """A batch of rows with these messages."""
    return batch(
        row(number, None, outcome, message=message) for number, message in enumerate(messages)
    )


@pytest.mark.parametrize(
    ("first", "second", "kind", "values"),
    [
        (
            'company ID: "0015g1" looks like a Salesforce ID',
            'company ID: "0015g2" looks like a Salesforce ID',
            "company ID: … looks like a Salesforce ID",
            ["0015g1", "0015g2"],
        ),
        (
            f"HTTP 404: Company {company(1)} not found",
            f"HTTP 404: Company {company(2)} not found",
            "HTTP 404: Company … not found",
            [company(1), company(2)],
        ),
        ("a@b.example bounced", "c@d.example bounced", "… bounced", ["a@b.example", "c@d.example"]),
        (
            "no page at https://a.example/x",
            "no page at https://b.example/y",
            "no page at …",
            ["https://a.example/x", "https://b.example/y"],
        ),
        (
            "stopped after 3 of 7 steps",
            "stopped after 5 of 7 steps",
            "stopped after … of 7 steps",
            ["3", "5"],
        ),
        ("“Ömer” is unknown", "“Zoë” is unknown", "… is unknown", ["Ömer", "Zoë"]),
    ],
)
def test_reasons_that_differ_in_a_value_are_one_group(
    written: Write, first: str, second: str, kind: str, values: list[str]
) -> None:
    path = written(failed(first, second, "something else"))

    found = table(path, "Needs attention")

    assert [each["Reason"] for each in found] == [kind, kind, "something else"]
    assert [each["Value"] for each in found] == [*values, ""]
    told = [each["What to do"] for each in found]
    assert all("batchrun retry" in what for what in told)
    assert ["Retry individual rows" in what for what in told] == [True, False, True]
    overview = [line[:4] for line in sheet(path, "Overview")]
    assert [kind, "", "", 2] in overview


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("HTTP 404: not found", "HTTP 422: not found"),
        ("no domain", "no website"),
    ],
)
def test_reasons_that_differ_in_more_than_a_value_are_two_groups(
    written: Write, first: str, second: str
) -> None:
    found = table(written(failed(first, second)), "Needs attention")

    assert [each["Reason"] for each in found] == [first, second]
    assert "Value" not in found[0]


def test_a_reason_on_the_overview_leads_to_its_first_row(written: Write) -> None:
    path = written(failed("no domain", "timed out", "timed out"))

    opened = openpyxl.load_workbook(path)["Overview"]
    links = {cell.value: cell.hyperlink for cells in opened for cell in cells if cell.hyperlink}

    assert links["timed out"].location == "'Needs attention'!A2"
    assert links["no domain"].location == "'Needs attention'!A4"


def test_the_overview_names_reasons_in_the_order_of_needs_attention(written: Write) -> None:
    messages = [each for word in "abcdefghijkl" for each in [f"reason {word}"] * 2]
    rows = [row(at, None, Outcome.FAILED, message=text) for at, text in enumerate(messages)]
    rows += [row(24, None, Outcome.IN_DOUBT, message="the connection was lost")]
    path = written(batch(rows))

    links = [
        (cells[0].value, cells[0].hyperlink.location, cells[3].value)
        for cells in openpyxl.load_workbook(path)["Overview"].iter_rows()
        if cells[0].hyperlink
    ]

    there = "'Needs attention'!A"
    assert links[0] == ("the connection was lost", f"{there}2", 1)
    assert links[1] == ("reason a", f"{there}3", 2)
    assert links[-1] == ("other reasons", f"{there}21", 6)
    found = [each["Reason"] for each in table(path, "Needs attention")]
    assert found == ["the connection was lost", *messages]


def test_more_kinds_of_reasons_than_are_told_apart_are_counted_together(
    monkeypatch: pytest.MonkeyPatch, written: Write
) -> None:
    monkeypatch.setattr("batchrun.workbook.reasons.MAX_KINDS", 2)

    path = written(failed("one", "two", "three", "four"))

    assert ["other reasons", "", "", 2] in [line[:4] for line in sheet(path, "Overview")]
    found = [each["Reason"] for each in table(path, "Needs attention")]
    assert found == ["one", "two", "three", "four"]


def test_a_message_may_hold_anything() -> None:
    reasons = Reasons()
    rows = [row(0, None, Outcome.FAILED, message=text) for text in ("a\0b 1", "a\0b 2", "", '"')]

    for each in rows:
        reasons.see(each)

    assert [each.text for each in reasons.ranked()] == ["a b …", "failed", '"']


def said(
    message: str,
    outcome: Outcome,
    *,
    cell: str = "",
    people: bool = False,
    execution: str | None = None,
    resume_at: datetime | None = None,
    cause: Cause | None = None,
) -> str:
    """The advice about a row."""
    found = ResultRow(Row(2, (cell,)), outcome, message, execution_id=execution, cause=cause)
    summary = replace(batch([found]).summary, resume_at=resume_at)
    commands = None if people else Commands()
    return advice(found, {Role.COMPANY: 0}, summary, commands)


@pytest.mark.parametrize(
    ("cause", "outcome", "words"),
    [
        (Cause.TEMPORARY, Outcome.FAILED, "usually temporary"),
        (Cause.INCOMPLETE_RECORD, Outcome.FAILED, "record in the CRM"),
        (Cause.NOTHING_PUBLISHED, Outcome.FAILED, "nothing to correct"),
        (None, Outcome.FAILED, "owner of the workflow"),
        (Cause.NO_ACCESS, Outcome.REJECTED, "administrator for access"),
        (Cause.NO_CREDITS, Outcome.REJECTED, "credits are used up"),
        (Cause.UNKNOWN_RECORD, Outcome.REJECTED, "--reuse 30d"),
        (Cause.BAD_VALUES, Outcome.REJECTED, "--reuse 30d"),
        (Cause.NOT_REACHED, Outcome.REJECTED, "Ask your IT"),
        (None, Outcome.REJECTED, "batchrun retry"),
        (None, Outcome.TIMED_OUT, "costs nothing more"),
        (None, Outcome.PENDING, "has not been sent yet"),
        (Cause.NO_ACCESS, Outcome.PENDING, "administrator for access"),
        (None, Outcome.IN_DOUBT, "never sends it again"),
    ],
)
def test_each_cause_has_the_advice_that_fits(
    cause: Cause | None, outcome: Outcome, words: str
) -> None:
    found = said("x", outcome, cause=cause)

    assert words in found
    assert "batchrun" in found


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("0015g00000XyZabAAB", "another kind of ID"),
        ("someone@example.com", "another kind of ID"),
        ("1.23E+17", "Export the list again"),
        ("#REF!", "Repair the formula"),
        ("3f2504e0-4f89-11d3-9a0c", "Copy the whole ID from PG:AI"),
        ("3f2504e0-4f89-11d3-9a0c", "from PG:AI, or from your CRM if it has a field"),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c330l", "from PG:AI, or from your CRM if it has a field"),
        ("n/a", "Replace the placeholder with the company ID"),
        ("", "Add the company ID"),
    ],
)
def test_each_kind_of_id_has_the_advice_that_fits(cell: str, words: str) -> None:
    found = said("x", Outcome.INVALID, cell=cell)

    assert words in found
    assert "batchrun" in found


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REJECTED, Outcome.PENDING])
def test_advice_does_not_depend_on_the_words_of_the_reason(outcome: Outcome) -> None:
    words = "HTTP 403: the step timed out, no domain was found"

    assert said(words, outcome) == said("x", outcome)


def test_rows_with_the_same_words_and_different_causes_are_two_groups() -> None:
    reasons = Reasons()
    rows = [
        row(number, None, Outcome.REJECTED, message="HTTP 403: Forbidden", cause=cause)
        for number, cause in enumerate([Cause.NO_ACCESS, Cause.NOT_REACHED, Cause.NO_ACCESS])
    ]

    for each in rows:
        reasons.see(each)

    assert [each.rows for each in reasons.ranked()] == [2, 1]


def test_a_row_that_waits_for_the_quota_says_until_when() -> None:
    opens = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)

    assert "2026-11-25 00:00 UTC" in said("not sent yet", Outcome.PENDING, resume_at=opens)
    assert "UTC" not in said("not sent yet", Outcome.PENDING, resume_at=opens, people=True)
    assert "researched" in said("triggered", Outcome.PENDING, execution="exec_1")


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.COMPLETED])
def test_people_are_told_without_commands(outcome: Outcome) -> None:
    words = said("no domain", outcome, people=True)

    assert words
    assert "batchrun r" not in words
    assert "--" not in words


def test_commands_name_the_journal_and_the_program_as_the_shell_knows_it(written: Write) -> None:
    commands = Commands(".venv/bin/batchrun", "--sandbox")
    path = written(failed("no domain"), Form(commands=commands))

    [found] = table(path, "Needs attention")
    batch_id = "1124-accounts-7f3a"
    assert f".venv/bin/batchrun retry {batch_id} --outcome failed --sandbox" in found["What to do"]
    facts = {line[0]: line[1] for line in sheet(path, "Run details")}
    assert facts["regenerate this file with"] == (
        f".venv/bin/batchrun export {batch_id} -o OUT.xlsx --sandbox"
    )


def test_a_workbook_from_the_page_names_its_buttons_and_no_commands(written: Write) -> None:
    outcomes = [each for each in Outcome if each is not Outcome.COMPLETED]
    rows = [row(at, None, each, message="x") for at, each in enumerate(outcomes)]
    rows += [row(9, None, Outcome.REJECTED, message="y", cause=Cause.BAD_VALUES)]
    rows += [row(10, None, Outcome.IN_DOUBT, message="z", dropped=True)]

    path = written(batch(rows), Form(commands=Commands(on_page=True)))

    texts = [str(cell) for name in sheet_names(path) for line in sheet(path, name) for cell in line]
    assert not [text for text in texts if re.search(r"batchrun (re|run|export)|--[a-z]", text)]
    marking = [text for text in texts if "type x" in text]
    assert len(marking) == 3 + 1  # of failed, rejected and left rows; and the column's meaning
    assert all("drop this workbook on the page" in text for text in marking)
    templates = Path(web.__file__).with_name("templates").glob("*.html")
    page = "".join(template.read_text(encoding="utf-8") for template in templates)
    labels = {label for text in texts for label in re.findall("“(.*?)”", text)}
    assert len(labels) == 6
    assert not [label for label in labels if label not in page]


@pytest.mark.parametrize("audience", Audience)
def test_the_line_in_the_list_is_shown_where_it_differs_from_the_row_in_results(
    written: Write, audience: Audience
) -> None:
    lines = (5, 7, 8)
    rows = [
        replace(row(at, None, Outcome.FAILED, message="x"), row=Row(line, (company(at), "A")))
        for at, line in enumerate(lines)
    ]

    found = table(written(batch(rows), Form(audience=audience)), "Needs attention")

    lines_found = [(each["Row in Results"], each["Line in the list"]) for each in found]
    assert lines_found == [(2, 5), (3, 7), (4, 8)]
    same = table(written(failed("x"), Form(audience=audience)), "Needs attention")
    assert "Line in the list" not in same[0]


@pytest.mark.parametrize(
    ("journal", "address", "options"),
    [
        ("{usual}", "https://api.example.com/v1", ""),
        ("{folder}/sandbox.db", "http://127.0.0.1:8080", "--sandbox"),
        ("{folder}/imitated.db", "http://localhost:8080", "--sandbox"),
        ("/data/sandbox.db", "https://api.example.com/v1", "--journal /data/sandbox.db"),
        ("/data/my lists.db", "https://api.example.com/v1", "--journal '/data/my lists.db'"),
    ],
)
def test_commands_find_the_batch_again(journal: str, address: str, options: str) -> None:
    usual = default_journal()
    location = journal.format(usual=usual, folder=usual.parent)

    commands = commands_for(location, batch([], base_url=address).summary)

    assert commands(Step.RESUME, "1") == f"batchrun resume 1 {options}".strip()
