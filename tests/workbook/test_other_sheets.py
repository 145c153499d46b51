from __future__ import annotations

import csv
import re
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from batchrun.model import Outcome, Role, Row, TableSource
from batchrun.workbook.analysis import quantile
from batchrun.workbook.columns import row_names
from batchrun.workbook.form import Audience, Form
from batchrun.workbook.layout import STATUS_COLUMNS
from batchrun.workbook.sheets import LINE_POINTS, MAX_LINES
from batchrun.workbook.text import write_csv
from tests.workbook.batches import batch, batch_of, company, row, sheet, sheet_names, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from batchrun.model import JSON, ResultRow

    Write = Callable[..., Path]


def test_needs_attention_has_each_row_not_completed_those_in_doubt_first(written: Write) -> None:
    outcomes = [
        Outcome.COMPLETED, Outcome.PENDING, Outcome.FAILED, Outcome.IN_DOUBT,
        Outcome.INVALID, Outcome.REJECTED, Outcome.TIMED_OUT, Outcome.FAILED,
    ]  # fmt: skip
    rows = [
        row(number, None, outcome, message=f"reason {number}")
        for number, outcome in enumerate(outcomes)
    ]

    path = written(batch(rows))

    found = table(path, "Needs attention")
    assert [each["Status"] for each in found] == [
        "in doubt", "failed", "failed", "rejected", "timed out", "can't be sent", "pending",
    ]  # fmt: skip
    first = found[0]
    assert (first["Row in Results"], first["Account Name"], first["Reason"]) == (
        5,
        "Firm 3",
        "reason 3",
    )
    assert first["Company ID"] == company(3)
    assert "never sends it again" in first["What to do"]
    link = openpyxl.load_workbook(path)["Needs attention"]["A2"].hyperlink
    assert link is not None
    assert link.location == "'Results'!A5"


def advice(path: Path) -> list[str]:
    return [each["What to do"] for each in table(path, "Needs attention")]


def test_a_failed_row_can_be_sent_again_with_all_others_or_alone(written: Write) -> None:
    [told] = advice(written(batch([row(0, None, Outcome.FAILED, message="no domain")])))

    assert "batchrun retry 1124-accounts-7f3a" in told
    assert '"run again"' in told


def test_an_invalid_row_is_mended_in_the_list_and_run_without_paying_for_the_others(
    written: Write,
) -> None:
    path = written(batch([row(0, {"a": 1}), row(1, None, Outcome.INVALID, message="no ID")]))

    [told] = advice(path)
    command = "batchrun run accounts.csv -w 'Account Research' --param depth=comprehensive"
    command += " --reuse 30d"
    assert told.endswith(f": {command}")
    facts = {line[0]: line[1] for line in sheet(path, "Run details")}
    again = facts["correct rows that can't be sent in the list, then"]
    assert again == command


def test_nothing_is_left_to_decide_about_a_doubt_that_was_dropped(written: Write) -> None:
    path = written(batch([row(0, None, Outcome.IN_DOUBT, message="by your word", dropped=True)]))

    [told] = advice(path)
    assert "Look in PG:AI" not in told
    assert "run again" in told
    facts = {line[0]: line[1] for line in sheet(path, "Run details")}
    assert "settle rows in doubt with" not in facts
    assert facts['send the rows you mark under "run again" with'] == "batchrun run THIS_FILE"


def test_the_summary_tells_how_to_settle_a_doubt_and_to_send_again(written: Write) -> None:
    rows = [row(0, None, Outcome.IN_DOUBT), row(1, None, Outcome.REJECTED)]

    facts = {line[0]: line[1] for line in sheet(written(batch(rows)), "Run details")}

    assert facts["settle rows in doubt with"] == "batchrun resume 1124-accounts-7f3a"
    assert facts["send failed and rejected rows again with"] == "batchrun retry 1124-accounts-7f3a"


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("Customer", "Rep"),
        ("CompanyName", "Account Executive"),
        ("Client_Name", "Assigned To"),
        ("Nom du compte", "Propriétaire du compte"),
        ("会社名", "OwnerName"),
        ("Entreprise", "Propriétaire de l'entreprise"),
        ("Deal Account", "Rep"),
    ],
)
def test_rows_are_named_by_the_titles_that_exports_use(
    written: Write, name: str, owner: str
) -> None:
    header = ("Company ID", "Created By: Name", "Owner Assigned Date", name, owner)
    cells = ("Eve", "2024-03-04", "Nordwind AG", "Dana")
    rows = [row(0, None, Outcome.FAILED, cells=(company(0), *cells))]
    titles = sheet(written(batch(rows, header)), "Needs attention")[0]
    assert name in titles
    assert owner in titles
    assert not {"Created By: Name", "Owner Assigned Date"} & {*titles}


def test_rows_without_a_known_title_are_named_by_the_first_column_of_names(written: Write) -> None:
    header = ("Company ID", "Last call", "Segment", "Salesforce", "Firm in question", "City")
    found = [
        ("2026-11-24", "SMB", "0015g00000Fq2bQAAR", "1&1", "Ulm"),
        ("2026-11-25", "SMB", "0015g00000Fq2bUAAR", "Acme", "Bonn"),
        ("2026-11-25", "SMB", "0015g00000Fq2bXAAR", "Zeta", "Kiel"),
    ]
    rows = [
        row(number, None, Outcome.FAILED, cells=(company(number), *cells))
        for number, cells in enumerate(found)
    ]
    titles = sheet(written(batch(rows, header)), "Needs attention")[0]
    assert titles[1] == "Firm in question"


@pytest.mark.parametrize("values", [("SMB", "SMB"), ("2026-11-24", "2026-11-25"), (7, 8), ("", "")])
def test_a_list_without_names_has_no_name_column(
    written: Write, values: tuple[str | int, str | int]
) -> None:
    rows = [
        row(number, None, Outcome.FAILED, cells=(company(number), value))
        for number, value in enumerate(values)
    ]
    path = written(batch(rows, ("Company ID", "Segment")))

    assert "Segment" not in sheet(path, "Needs attention")[0]


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("Account Owner", ("Dana Whitfield", "Mei Tanaka")),
        ("Key", ("001Qa00000gXicgIBA", "a0BQa00000gXicgIBA")),
    ],
)
def test_owners_and_record_ids_are_no_names_of_rows(title: str, values: Sequence[str]) -> None:
    cells = [
        (company(number), value, name)
        for number, value, name in zip(range(2), values, ("Acme", "Zeta"), strict=True)
    ]
    assert row_names(("Company ID", title, "Firm in question"), {Role.COMPANY: 0}, cells) == (2,)


def test_nothing_needs_attention_when_all_is_completed(written: Write) -> None:
    assert "Needs attention" not in sheet_names(written(batch_of({"a": 1})))


def test_the_summary_counts_every_row_and_names_the_reasons(written: Write) -> None:
    rows = [row(number, {"a": 1}) for number in range(6)]
    rows += [row(6, None, Outcome.FAILED, message="no domain")] * 3
    rows += [row(9, None, Outcome.PENDING, message="not sent yet")]

    path = written(batch(rows, note="It was interrupted."))
    cells = sheet(path, "Run details")

    facts = {line[0]: line[1] for line in cells}
    assert facts["continue with"] == "batchrun resume 1124-accounts-7f3a"
    assert facts["note"] == "It was interrupted."
    assert facts["made"] == 20
    overview = [line[:2] for line in sheet(path, "Overview")]
    assert ["completed", 6] in overview
    assert ["failed", 3] in overview
    assert ["pending", 1] in overview
    assert not any(line[0] == "rejected" for line in overview)
    overview = [line[:4] for line in sheet(path, "Overview")]
    assert overview.index(["no domain", "", "", 3]) < overview.index(["not sent yet", "", "", 1])


@pytest.mark.parametrize("waited", [112.0, 0.0])
def test_the_summary_tells_the_time_worked_beside_the_estimated(
    written: Write, waited: float
) -> None:
    path = written(batch([row(0, {})], worked_seconds=163.2, quota_seconds=waited))

    facts = {line[0]: line[1] for line in sheet(path, "Run details")[::-1]}  # the first of a name
    assert facts["took"] == timedelta(seconds=163)
    assert facts["part of it spent waiting for the quota"] == timedelta(seconds=waited)
    times = [line[0] for line in sheet(path, "Run details")]
    assert times[times.index("took") - 1] == "estimated"
    assert facts["estimated"] == timedelta(seconds=300)


def test_the_overview_has_a_chart_of_outcomes_that_is_said_in_words(written: Write) -> None:
    rows = [row(0, {"a": 1}), row(1, None, Outcome.FAILED, message="no domain")]
    with zipfile.ZipFile(written(batch(rows))) as archive:
        drawing = archive.read("xl/drawings/drawing1.xml")

    assert b'descr="Bar chart. Rows by status: completed: 1, failed: 1"' in drawing


def test_a_batch_in_which_nothing_ran_has_a_summary_all_the_same(written: Write) -> None:
    path = written(batch([row(0, None, Outcome.PENDING, message="not sent yet")]))

    assert sheet(path, "Overview")[0][0] == "Account Research: accounts.csv"


def test_quantiles_are_values_that_occurred() -> None:
    seconds = [(10.0, 5), (20.0, 4), (90.0, 1)]

    assert (quantile(seconds, 0.5), quantile(seconds, 0.9)) == (10.0, 20.0)
    assert quantile(seconds, 1.0) == 90.0
    assert quantile([], 0.5) is None


def test_columns_says_of_each_column_what_it_is(written: Write) -> None:
    found = table(
        written(batch_of({"n": 1, "when": "2026-05-01"}, {"n": None, "l": [{"x": 1}]})), "Columns"
    )

    by_name = {each["Name"]: each for each in found}
    assert by_name["Account Name"]["Comes from"] == "your list"
    assert by_name["N"]["Type"] == "whole number"
    assert by_name["N"]["Key path"] == "n"
    assert (by_name["N"]["Filled cells"], by_name["N"]["Filled share"]) == (1, 0.5)
    assert by_name["N"]["What it is"] == "empty in 1 result"
    assert by_name["When"]["Type"] == "date"
    assert by_name["When"]["Example"] == "2026-05-01"
    assert "sheet L" in by_name["L"]["What it is"]


def test_columns_says_how_many_of_the_results_have_a_value(written: Write) -> None:
    rows = [
        row(0, {"text": "## Head\n\n**One** thing", "more": {"n": 1}}),
        row(1, {"text": "- a\n- b", "more": None}),
        row(2, None, Outcome.FAILED),
    ]

    found = {each["Name"]: each for each in table(written(batch(rows)), "Columns")}

    assert (found["Text"]["Filled share"], found["N"]["Filled share"]) == (1, 0.5)
    assert found["N"]["What it is"] == "empty in 1 result"
    assert found["Text"]["Example"] == "Head One thing"


def test_an_empty_list_counts_as_the_0_that_its_cell_shows(written: Write) -> None:
    path = written(batch_of({"l": [{"x": 1}]}, {"l": []}, {}))
    assert [each["L"] for each in table(path)] == [1, 0, ""]
    found = {each["Name"]: each for each in table(path, "Columns")}["L"]
    assert (found["Filled cells"], found["Of rows"]) == (2, 3)
    assert found["What it is"].endswith("; empty in 1 result")
    assert "L 2.0 0.66" in "\n".join(" ".join(map(str, line)) for line in sheet(path, "Overview"))


def test_the_best_rows_are_of_different_executions(written: Write) -> None:
    rows = [row(number, {"score": 90}) for number in range(3)]
    rows[1] = replace(rows[1], job=rows[0].job)

    cells = [line[0] for line in sheet(written(batch(rows)), "Overview")]

    assert [cell for cell in cells if str(cell).startswith("Firm")] == [
        "Firm 0 (result of 2 rows)",
        "Firm 2",
    ]


def test_the_best_rows_name_their_owner_and_how_many_more_are_as_good(written: Write) -> None:
    rows = [
        row(number, {"score": min(number, 5), "why": f"reason {number}"}, cells=("x", "A", "Dana"))
        for number in range(20)
    ]

    lines = sheet(written(batch(rows, ("ID", "Name", "Owner"))), "Overview")

    first = next(at for at, line in enumerate(lines) if line[0] == "Highest Score")
    assert [lines[first][at] for at in (1, 2, 5)] == ["Score", "Owner", "Why"]
    assert [lines[first + 1][at] for at in (0, 1, 2, 5)] == ["A", 5, "Dana", "reason 5"]
    assert lines[first + 11][:2] == ["and 5 other results with", 5]


def test_a_share_says_of_how_many_rows_it_is(written: Write) -> None:
    rows = [
        row(number, {"stage": "AB"[number % 2], "tags": ["x"] * (number < 3)})
        for number in range(6)
    ]
    rows += [row(number, None, Outcome.FAILED) for number in range(6, 10)]

    cells = {
        tuple(line[at : at + 3])
        for line in sheet(written(batch(rows)), "Overview")
        for at in range(10)
    }

    assert ("Status", "Rows", "% of 10") in cells
    assert ("Stage", "Results", "% of 6") in cells
    assert ("Tags", "Results", "% of 3") in cells
    assert ("Results with a value", "Results", "% of 6") in cells


def test_the_overview_says_how_many_values_a_block_leaves_out(written: Write) -> None:
    """And the items of a list are named whole."""
    insight = "Names data quality as a risk in the annual report"
    rows = [
        row(at, {"stage": f"Stage {at % 7}", "news": [insight, f"News {at % 8}"]})
        for at in range(40)
    ]

    lines = sheet(written(batch(rows)), "Overview")

    blocks = [line[at : at + 3] for line in lines for at in (5, 9)]
    assert ["and 2 other values", "", ""] in blocks
    assert [insight, "", 40] in blocks
    assert ["and 4 other values", "", ""] in blocks


def test_each_printed_page_says_which_sheet_it_is_of(written: Write) -> None:
    for page in openpyxl.load_workbook(written(batch_of({"a": 1}))):
        footer = page.oddFooter
        assert footer is not None
        assert footer.center.text == "&A"


def test_the_overview_says_how_many_rows_repeat_another(written: Write) -> None:
    rows = [row(number, {"score": 90}) for number in range(3)]

    path = written(batch(rows, jobs=2))

    assert (
        "1 row repeats another and shares its result, which counts once below, except under "
        "Status." in sheet(path, "Overview")[1][0]
    )


def sharing(names: Iterable[str | None], *, first: int = 0) -> list[ResultRow]:
    """Rows of these names that share one result, because they have the same ID."""
    one = row(first, {"score": 90 - first, "tier": "A", "news": [{"title": "x"}]})
    return [
        replace(one, row=Row(first + at + 2, (company(first), name)))
        for at, name in enumerate(names)
    ]


@pytest.mark.parametrize("audience", Audience)
def test_a_result_that_may_be_another_companys_does_not_look_genuine(
    written: Write, audience: Audience
) -> None:
    names = ["Acme GmbH", "ACME  gmbh", "Cobalt AG", None, "Dune SA"]
    rows = [*sharing(names), *sharing(["Elm", "Fir"], first=5), row(7, None, Outcome.FAILED)]
    said = "Same ID as row 2, Acme GmbH"

    path = written(batch(rows), Form(audience=audience))

    results = table(path)
    assert [each["batchrun status"] for each in results] == [*["completed"] * 7, "failed"]
    told = [each["batchrun message"] for each in results]
    assert told == ["", "", said, "", said, "", "Same ID as row 7, Elm", ""]
    opened = openpyxl.load_workbook(path)
    status = next(cell for cell in opened["Results"][1] if cell.value == "batchrun status")
    reasons = table(path, "Needs attention")
    assert [(each["Row in Results"], each["Status"], each["Reason"]) for each in reasons] == [
        (9, "failed", "failed"),
        (4, "completed", said),
        (6, "completed", said),
        (8, "completed", "Same ID as row 7, Elm"),
    ]
    assert [each["Value"] for each in reasons[1:]] == [company(0), company(0), company(5)]
    for name, letter, beside in (
        ("Results", status.column_letter, "D"),
        ("Needs attention", "D", "E"),
    ):
        rules = opened[name].conditional_formatting
        [first] = [each.rules[0] for each in rules if str(each.sqref).startswith(f"{letter}2")]
        assert first.formula == [f'LEFT({beside}2,14)="Same ID as row"']
        assert first.dxf.fill.bgColor.rgb.endswith("FFEB9C")
    overview = [line[:4] for line in sheet(path, "Overview")]
    assert ["Same ID as another row, but a different name", "", "", 3] in overview
    assert "Needs attention lists 4 rows." in overview[1][0]


def test_all_rows_may_have_a_result_although_one_is_of_another_company(written: Write) -> None:
    path = written(batch(sharing(["Acme", "Bay"])))

    [found] = table(path, "Needs attention")
    assert "Compare them with the CRM" in found["What to do"]
    assert "batchrun run accounts.csv" in found["What to do"]
    assert (
        "2 of 2 rows have a result. Needs attention lists 1 row." in sheet(path, "Overview")[1][0]
    )


def test_people_at_one_company_may_have_its_id(written: Write) -> None:
    one = row(0, {"score": 90})
    rows = [
        replace(one, row=Row(at + 2, (company(0), name, "Lee")))
        for at, name in enumerate(["Ann", "Bob"])
    ]

    path = written(batch(rows, ("Company ID", "First Name", "Last Name")))

    assert "Needs attention" not in sheet_names(path)


def test_a_result_counts_once_however_many_rows_share_it(written: Write) -> None:
    rows = [*sharing(["Acme"] * 5), *(row(at, {"score": at, "tier": "B"}) for at in (5, 6))]

    path = written(batch(rows, jobs=3))

    lines = sheet(path, "Overview")
    cells = {tuple(line[at : at + 3]) for line in lines for at in range(10)}
    assert ("Tier", "Results", "% of 3") not in cells  # too few to be a category
    assert ("Results with a value", "Results", "% of 3") in cells
    [numbers] = [line[:4] for line in lines if line[0] == "Score"]
    assert numbers == ["Score", 5, 6, 90]
    best = [line[0] for line in lines if str(line[0]).startswith(("Acme", "Firm"))]
    assert best == ["Acme (result of 5 rows)", "Firm 6", "Firm 5"]
    columns = {each["Name"]: each for each in table(path, "Columns")}
    assert (columns["Score"]["Filled cells"], columns["Score"]["Of rows"]) == (3, 3)
    assert len(table(path, "News")) == 5  # each row has its items


def test_the_overview_says_which_lines_of_the_file_are_no_rows(written: Write) -> None:
    notices = (
        "2 lines above the header set aside (lines 1-2: Accounts; x); --header-row chooses another",
        "2 group rows set aside (lines 5, 14: Owner: Dana (7 records); Owner: Mei (7 records))",
        "1 row is hidden and left out (line 11)",
        "3 rows are hidden and read too; --visible-only leaves such rows out",
        "may.csv: 4 blank rows were skipped",
        "1 byte-order mark inside the file left out (first: line 3)",
    )
    source = TableSource("report.xlsx", format="xlsx", notices=notices)

    lines = [line[0] for line in sheet(written(batch([row(0, {})], source=source)), "Overview")]

    assert lines[3] == (
        "Lines of the file that are not rows of the list: 2 lines above the header (lines 1-2), "
        "2 group rows (lines 5, 14), 1 row hidden (line 11), 4 blank rows."
    )


def test_the_overview_explains_the_outcomes_that_do_not_say_so_themselves(written: Write) -> None:
    rows = [row(0, {}), row(1, None, Outcome.IN_DOUBT), row(2, None, Outcome.PENDING)]

    lines = [line[0] for line in sheet(written(batch(rows)), "Overview")]

    assert "in doubt: no clear answer, may have been charged" in lines
    assert "pending: running or not sent" in lines


@pytest.mark.parametrize("audience", Audience)
def test_messages_use_plain_words(written: Write, audience: Audience) -> None:
    messages = [
        "company ID is not a PG:AI ID: a character in it is not one of 0-9 and a-f",
        "triggered; its result has not been collected yet",
        "the trigger is on its way",
        "batchrun was stopped while the trigger was being sent; it may have been accepted",
    ]
    rows = [row(at, None, Outcome.IN_DOUBT, message=text) for at, text in enumerate(messages)]

    path = written(batch(rows), Form(audience=audience))

    names = ("Overview", "Results", "Needs attention")
    text = str([sheet(path, name)[1:] for name in names])
    assert not re.search("UUID|hexadecimal|trigger", text)
    assert "sent; its result is not here yet" in text


def test_the_services_own_words_stay_as_they_are(written: Write) -> None:
    said = ("the trigger is on its way to another queue", "HTTP 422: the trigger was being sent")
    outcomes = (Outcome.FAILED, Outcome.REJECTED)
    rows = [
        row(at, None, outcome, message=message)
        for at, (outcome, message) in enumerate(zip(outcomes, said, strict=True))
    ]

    found = table(written(batch(rows)), "Results")

    assert [each["batchrun message"] for each in found] == list(said)


def test_a_result_under_another_name_keeps_what_its_message_said(written: Write) -> None:
    rows = [replace(each, message="reused from batch b") for each in sharing(["Acme", "Bay"])]

    found = table(written(batch(rows)), "Results")

    messages = [each["batchrun message"] for each in found]
    assert messages == [
        "reused from batch b",
        "Same ID as row 2, Acme; reused from batch b",
    ]


def test_the_advice_for_a_dataframe_names_no_file(written: Write) -> None:
    frame = TableSource("DataFrame")

    path = written(batch(sharing(["Acme", "Bay"]), source=frame))

    assert "batchrun run FILE -w" in table(path, "Needs attention")[0]["What to do"]


def test_columns_calls_a_date_of_the_list_what_it_is_in_its_cells(written: Write) -> None:
    rows = [row(0, {"when": "2026-05-01"}, cells=(company(0), "2026-05-01"))]

    found = table(written(batch(rows, ("Company ID", "Closed"))), "Columns")

    types = {each["Name"]: each["Type"] for each in found}
    assert (types["Closed"], types["When"]) == ("text", "date")


def test_a_list_of_objects_has_a_sheet_one_line_an_item_linked_to_its_row(written: Write) -> None:
    path = written(
        batch_of(
            {"people": [{"name": "Ann", "age": 40}, {"name": "Bob"}]},
            {"people": []},
            {"people": [{"name": "Cid", "phones": [{"no": "1"}, {"no": "2"}]}]},
        )
    )

    assert [each["People"] for each in table(path)] == [2, 0, 1]
    people = table(path, "People")
    assert [(each["Row in Results"], each["No."], each["Name"]) for each in people] == [
        (2, 1, "Ann"), (2, 2, "Bob"), (4, 1, "Cid"),
    ]  # fmt: skip
    assert people[2]["Account Name"] == "Firm 2"
    assert people[2]["Company ID"] == company(2)
    phones = table(path, "People phones")
    assert [(each["Row in Results"], each["No."], each["No"]) for each in phones] == [
        (4, "1.1", "1"), (4, "1.2", "2"),
    ]  # fmt: skip
    opened = openpyxl.load_workbook(path)
    back = opened["People"]["A4"].hyperlink
    forth = opened["Results"]["K4"].hyperlink
    assert back is not None
    assert forth is not None
    assert (back.location, forth.location) == ("'Results'!A4", "'People'!A4")


def test_sheets_print_on_wide_pages_with_their_heads_on_each(written: Write) -> None:
    book = openpyxl.load_workbook(written(batch_of({"a": 1})))

    for title in ("Results", "Columns"):
        printed = book[title]
        assert printed.page_setup.orientation == "landscape"
        fitting = printed.sheet_properties.pageSetUpPr
        assert fitting is not None
        assert fitting.fitToPage
        assert (printed.page_setup.fitToWidth, printed.page_setup.fitToHeight) == (1, 0)
        assert printed.print_title_rows == "$1:$1"


def test_a_long_text_is_shown_in_whole_lines(written: Write) -> None:
    path = written(batch_of({"summary": "one\n" * 50}, {"summary": "one\ntwo"}))

    results = openpyxl.load_workbook(path)["Results"]
    heights = [results.row_dimensions[line].height for line in (2, 3)]
    assert heights == [MAX_LINES * LINE_POINTS, 2 * LINE_POINTS]


def test_names_of_sheets_are_legal_and_unlike_whatever_the_keys_are(written: Write) -> None:
    item: JSON = [{"x": 1}]
    keys = [
        "a/b\\c?d*e[f]:g", "'quoted'", "History", "results", "=1+1", "", " ",
        "x" * 40, "x" * 41, "\N{PILE OF POO}" * 20, "tab\tbell\x07", "Summary",
    ]  # fmt: skip

    names = sheet_names(written(batch_of(dict.fromkeys(keys, item))))  # checked by `written`

    assert len(names) == 4 + len(keys)
    assert "=1+1" in names


def test_the_overview_says_why_a_row_is_good_and_names_a_reason_whole(written: Write) -> None:
    text = "## Account Research\n\nBased in Zürich:\n\n- **New VP** (72)\n- Hiring"
    reason = "The company record has no domain to research."
    rows = [row(0, {"fit_score": 9, "summary": text})]
    rows += [row(number, None, Outcome.FAILED, message=reason) for number in (1, 2)]

    cells = [cell for line in sheet(written(batch(rows)), "Overview") for cell in line]

    assert "Based in Zürich: • New VP (72) • Hiring" in cells
    assert reason in cells


def test_the_overview_shows_no_json_as_the_reason(written: Write) -> None:
    deep: JSON = {"a": {"b": {"c": {"d": {"e": {"f": {"g": "so it is"}}}}}}}
    path = written(batch_of(*[{"score": at, "deep": deep} for at in range(3)]))

    assert not any("{" in str(cell) for line in sheet(path, "Overview") for cell in line)


def test_a_chart_of_one_bar_is_left_out(written: Write) -> None:
    with zipfile.ZipFile(written(batch_of({"a": "x"}, {"a": "y"}))) as archive:
        assert not [name for name in archive.namelist() if "drawing" in name]


def test_times_of_any_zone_are_shown_in_utc(written: Write) -> None:
    times = ("2026-11-24T00:15:00+02:00", "2026-11-24T10:00:00.500-05:30", "2026-11-24T09:00:00Z")
    path = written(batch(row(number, {"at": at}) for number, at in enumerate(times)))

    assert [each["At (UTC)"] for each in table(path)] == [
        datetime(2026, 11, 23, 22, 15),  # cells have no zone
        datetime(2026, 11, 24, 15, 30, 0, 500_000),
        datetime(2026, 11, 24, 9),
    ]


def test_ids_for_programs_are_folded_at_the_end(written: Write) -> None:
    path = written(batch(row(at, {"report_id": f"r{at}", "fit": at}) for at in range(6)))

    assert sheet(path)[0][-2:] == ["Fit", "Report ID"]
    opened = openpyxl.load_workbook(path)["Results"]
    assert opened.column_dimensions["L"].hidden


def test_a_time_says_that_it_is_in_utc_and_a_date_takes_no_more_room_than_it_needs(
    written: Write,
) -> None:
    path = written(batch_of({"at": "2026-11-24T09:15:00Z", "day": "2026-11-24"}))

    assert sheet(path)[0][-2:] == ["At (UTC)", "Day"]
    opened = openpyxl.load_workbook(path)["Results"]
    widths = [opened.column_dimensions[letter].width for letter in ("K", "L")]
    assert widths[0] > 20
    assert widths[1] < 15


PRACTICE: list[dict[str, Any]] = [
    {"base_url": "http://127.0.0.1/practice/v1"},
    {"base_url": "http://127.0.0.1:8020/v1", "practice": True},
]


@pytest.mark.parametrize("practice", PRACTICE)
@pytest.mark.parametrize("form", [Form(), Form(audience=Audience.PEOPLE)])
def test_a_workbook_of_practice_says_that_its_results_are_invented(
    written: Write, form: Form, practice: dict[str, Any]
) -> None:
    rows = [row(number, {"score": 90}) for number in range(3)]
    path = written(batch(rows, **practice), form)
    assert sheet(path, "Overview")[1][0] == "Practice: these results are invented."
    for page in openpyxl.load_workbook(path):  # printed pages get apart from each other
        assert page.oddFooter is not None
        assert str(page.oddFooter.left.text).startswith("Practice: invented results. ")
    for address in ("https://api.pipelinegeneration.ai/v1", "http://127.0.0.1:8020/v1"):
        real = written(batch(rows, base_url=address), form)
        assert "invented" not in str(sheet(real, "Overview"))


@pytest.mark.parametrize("practice", PRACTICE)
def test_a_workbook_of_practice_has_no_times_of_the_service(
    written: Write, practice: dict[str, Any]
) -> None:
    """The practice service's clock runs ahead: its times would lie in the future."""
    rows = [row(number, {"score": 90}) for number in range(3)]
    path = written(batch(rows, worked_seconds=163.2, **practice))

    assert not any(each[title] for each in table(path) for title in STATUS_COLUMNS[3:])
    write_csv(batch(rows, **practice), path.with_suffix(".csv"))
    with path.with_suffix(".csv").open(encoding="utf-8-sig", newline="") as file:
        lines = [*csv.DictReader(file)]
    assert [each["score"] for each in lines] == ["90"] * 3
    assert not any(each[title] for each in lines for title in STATUS_COLUMNS[3:])
    facts = {line[0]: line[1] for line in sheet(path, "Run details")}
    assert facts["created (UTC)"] == datetime(2026, 11, 24, 9)
    assert "faster than PG:AI" in facts["durations"]
    assert not [value for value in facts.values() if isinstance(value, timedelta)]


def test_the_workbook_says_with_which_parameters_it_ran(written: Write) -> None:
    rows, columns = [row(0, {"score": 90})], {"focus": "Industry"}
    path = written(batch(rows, parameters={"depth": "deep"}, parameter_columns=columns))
    assert sheet(path, "Overview")[2][0] == "With depth: deep, focus: from Industry"
    facts = {line[0]: line[1] for line in sheet(path, "Run details")}
    assert facts["parameters"] == '{"depth": "deep"}'
    assert facts["parameter focus"] == "from column Industry"
