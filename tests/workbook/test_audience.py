"""A workbook for the people it is handed to has nothing in it that only operators need."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import openpyxl
import pandas as pd
import pytest

from batchrun import workbook
from batchrun.journal import Journal
from batchrun.model import Cause, Outcome
from batchrun.tables.files import load
from batchrun.tables.ids import DamagedId, parse_id
from batchrun.workbook import Audience
from batchrun.workbook.form import Form
from batchrun.workbook.layout import AGAIN
from batchrun.workbook.marks import read_results
from tests.workbook.batches import HEADER, batch, company, row, sheet, sheet_names, table
from tests.workbook.test_lossless import complete, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchrun.model import JSON

    Write = Callable[..., Path]

ROWS = [
    row(0, {"outputs": {"fit_score": 0.5}}),
    *(row(number, None, Outcome.FAILED, message="no domain") for number in (1, 2)),
    *(row(3 + at, None, each, message="why") for at, each in enumerate(Outcome) if at > 1),
]
PEOPLE = Form(audience=Audience.PEOPLE)


def test_people_see_no_ids_of_executions_no_moments_no_paths_and_no_commands(
    written: Write,
) -> None:
    path = written(batch(ROWS), PEOPLE)

    assert not {"Columns", "Run details"} & set(sheet_names(path))
    for name in sheet_names(path):
        for text in (str(cell) for cells in sheet(path, name) for cell in cells):
            assert "batchrun run" not in text
            assert "batchrun re" not in text
            assert "exec_" not in text
            assert "outputs.fit_score" not in text
            assert "UTC" not in text
            assert text != AGAIN


def test_people_get_the_list_its_status_and_the_useful_results(written: Write) -> None:
    result: dict[str, JSON] = {
        "report_id": "rpt", "company_id": company(0), "empty": None, "news_count": 1,
        "news": [{"title": "x"}], "fit": 5, "people": [{"name": "Ann"}],
    }  # fmt: skip
    rows = [row(at, {**result, "company_id": company(at)}) for at in range(6)]

    path = written(batch(rows), PEOPLE)

    titles = sheet(path)[0]
    assert set(titles) == {*HEADER, "batchrun status", "News", "Fit", "People"}
    opened = openpyxl.load_workbook(path)["Results"]
    for name in ("News", "People"):  # the numbers lead to the items, wherever they stand
        cell = opened.cell(3, titles.index(name) + 1)
        assert cell.hyperlink is not None
        assert cell.hyperlink.location == f"'{name}'!A3"


@pytest.mark.parametrize("count", [1, 6])
def test_people_get_every_value_that_somebody_may_have_paid_for(written: Write, count: int) -> None:
    news: JSON = [{"title": "x"}, {"title": "y"}]
    rows = [
        row(
            number,
            {
                "vat_id": f"DE13669597{number}",
                "tax_number": f"21/815/0815{number}",
                "news": news,
                "news_count": 400 if number == count - 1 else 2,
                "insights_count": 12,
                "company": {"lei_id": f"529900T8BM49AURSDO5{number}", "duns_id": f"ab_{number}"},
                "patent_count": 0,
                "patents": None,
                "report_id": f"rpt_00{number}",
                "outputs": {"run": f"exec_xyz{number}", "session_uuid": company(number + 9)},
                "sources": news,
                "sources_count": 2,
            },
        )
        for number in range(count)
    ]

    path = written(batch(rows), PEOPLE)

    results = {"VAT ID", "Tax number", "News", "News count", "Insights count", "LEI ID",
               "DUNS ID", "Patent count", "Sources"}  # fmt: skip
    assert set(sheet(path)[0]) == {*HEADER, "batchrun status", *results}
    assert table(path)[-1]["News count"] == 400


def test_a_list_without_a_column_to_share_keeps_its_sheet(written: Write) -> None:
    items: JSON = [{"title": "x"}]

    path = written(batch([row(0, {"news": items, "news_count": items})]), PEOPLE)

    assert {"News", "News count"} <= set(sheet_names(path))


def test_people_see_no_options_and_no_batches_in_messages(written: Write) -> None:
    damaged = parse_id("1b4e28ba-2fa1-11d2-883f-0016d3cca42O")
    assert isinstance(damaged, DamagedId)
    reused = "result of 2026-10-01 reused from batch 1001-accounts-7f3a; nothing was sent"
    rows = [
        row(0, {"a": 1}, message=reused),
        row(1, None, Outcome.INVALID, message=f"company ID {damaged.reason}"),
    ]

    path = written(batch(rows), PEOPLE)

    texts = [
        str(cell) for name in sheet_names(path) for cells in sheet(path, name) for cell in cells
    ]
    assert not [text for text in texts if "--" in text or "1001-" in text or "lenient" in text]
    assert not [text for text in texts if "UUID" in text or "hexadecimal" in text]


def test_people_who_correct_the_list_are_not_told_to_retry(written: Write) -> None:
    message, cause = "HTTP 404: not found", Cause.UNKNOWN_RECORD
    rejected = row(0, None, Outcome.REJECTED, message=message, cause=cause)
    path = written(batch([rejected]), PEOPLE)

    [found] = table(path, "Needs attention")

    assert found["Reason"] == "not found"
    assert "give the corrected list to the person who ran it" in found["What to do"]
    assert "retry" not in found["What to do"]


def test_rows_can_be_marked_to_run_again(written: Write, tmp_path: Path) -> None:
    path = written(batch(ROWS))
    opened = openpyxl.load_workbook(path)
    head = [cell.value for cell in opened["Results"][1]]
    opened["Results"].cell(2, head.index(AGAIN) + 1).value = "x"
    opened.save(tmp_path / "marked.xlsx")

    found = read_results(tmp_path / "marked.xlsx")

    assert found is not None
    [results] = found.sheets
    [marked] = results.marked
    assert marked.cells[:2] == ROWS[0].row.cells
    assert "exec_0" in results.executions


def test_a_workbook_for_people_names_its_batch_and_has_no_marks(
    written: Write, tmp_path: Path
) -> None:
    openpyxl.load_workbook(written(batch(ROWS), PEOPLE)).save(tmp_path / "saved.xlsx")

    found = read_results(tmp_path / "saved.xlsx")

    assert found is not None
    assert found.signature is not None
    assert found.signature.batch_id == "1124-accounts-7f3a"
    assert found.sheets == ()


@pytest.mark.parametrize("audience", Audience)
def test_a_workbook_of_results_is_read_as_a_list_by_its_results(
    written: Write, audience: Audience
) -> None:
    again = load(written(batch(ROWS), Form(audience=audience)))

    assert again.source.sheet == "Results"
    assert [each.cells[:2] for each in again.rows()] == [each.row.cells for each in ROWS]


@pytest.mark.parametrize("audience", Audience)
def test_each_row_that_needs_attention_says_what_to_do(written: Write, audience: Audience) -> None:
    """Readers filter by owner or by status, which may hide the first row of a reason."""
    causes = [None, *Cause]
    rows = [
        row(at, None, outcome, message=str(cause), cause=cause, dropped=dropped)
        for at in range(2)
        for outcome in Outcome
        for cause in causes
        for dropped in (False, True)
        if outcome is not Outcome.COMPLETED
    ]
    ids = ["", "x", "1,5E+30", "#REF!", "0015g00000uf5pzAAA", "a@b.example", "1b4e28ba-2fa1"]
    rows += [row(at, None, Outcome.INVALID, cells=(cell, "A")) for at, cell in enumerate(ids)]

    found = table(written(batch(rows), Form(audience=audience)), "Needs attention")

    assert len(found) == len(rows)
    assert all(each["What to do"] for each in found)


def test_a_colleague_sees_the_wrong_value_and_finds_the_record(written: Write) -> None:
    header = ("Company ID", "Account ID", "Account Name")
    cells = ("0015g00000uf5pzAAA", "0015g00000yG0NOAA0", "Öresund AB")
    invalid = replace(row(0, None, Outcome.INVALID, cells=cells, message="no"), company_id=None)

    path = written(batch([invalid], header), PEOPLE)

    [found] = table(path, "Needs attention")
    assert found["Value"] == '"0015g00000uf5pzAAA"'
    assert (found["Account ID"], found["Account Name"]) == cells[1:]
    opened = openpyxl.load_workbook(path)["Needs attention"]
    hidden = [opened.column_dimensions[letter].hidden for letter in "ABCDEFGH"]
    titles = [cell.value for cell in opened[1]]
    assert [title for title, folded in zip(titles, hidden, strict=True) if folded] == ["Company ID"]


def test_who_looks_after_a_row_is_said(written: Write) -> None:
    rows = [row(0, None, Outcome.FAILED, cells=("x", "A", "Dana"), message="why")]

    found = table(written(batch(rows, ("ID", "Name", "Account Owner"))), "Needs attention")

    assert [each["Account Owner"] for each in found] == ["Dana"]


def test_each_row_is_compared_with_its_newest_earlier_result(tmp_path: Path) -> None:
    """The first batch has all three rows, the second only the second row, the third all again."""
    api = "https://api.example.com/v1"
    ids: list[str] = []
    with Journal(str(tmp_path / "journal.db")) as journal:
        rounds: list[list[int | None]] = [[1, 2, 3], [None, 5, None], [1, 5, 4]]
        for scores in rounds:
            known = ids[-1] if ids else None
            ids.append(journal.create(plan_of(3), api, known=known))
            done = [at for at, score in enumerate(scores) if score is not None]
            found: list[JSON] = [{"score": score} for score in scores]
            asyncio.run(complete(journal, ids[-1], found, done, f"exec{len(ids)}"))
        earlier = journal.earlier_batches(ids[2])
        with journal.results(ids[2], earlier=earlier) as results:
            workbook.write(results, tmp_path / "out.xlsx")
        assert (journal.earlier_batches(ids[0]), earlier) == ([], [ids[1], ids[0]])
        assert journal.earlier_batches(ids[1]) == [ids[0]]

    assert [line["changed"] for line in table(tmp_path / "out.xlsx")] == [
        "same", "same", "changed",
    ]  # fmt: skip
    [change] = table(tmp_path / "out.xlsx", "Changes")
    assert (change["Field"], change["Before"], change["Now"]) == ("Score", 3, 4)
    heads = [line[0] for line in sheet(tmp_path / "out.xlsx", "Overview")]
    assert "Since the last results" in heads


@pytest.mark.parametrize(
    "header",
    [
        "batchrun status,execution id",
        "BATCHRUN STATUS,EXECUTION ID",
        "batchrun_status,execution_id",
    ],
)
@pytest.mark.parametrize("kind", ["csv", "html", "parquet"])
def test_results_that_another_program_saved_are_recognised(
    tmp_path: Path, header: str, kind: str
) -> None:
    frame = pd.DataFrame([["x", "completed", "exec_1"]], columns=["ID", *header.split(",")])
    path = tmp_path / f"saved.{kind}"
    match kind:
        case "csv":
            frame.to_csv(path, index=False)
        case "html":
            frame.to_html(path, index=False)
        case _:
            frame.to_parquet(path)
    found = read_results(path)
    assert found is not None
    assert found.sheets[0].executions == {"exec_1"}
