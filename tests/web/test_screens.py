"""What the screens say, mostly without a browser."""

from __future__ import annotations

import csv
import errno
import html
import io
import math
import re
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import openpyxl
import pytest

from batchrun import Outcome, Request, list_rows
from batchrun import rows as rows_of
from batchrun import run as run_list
from batchrun.advice import REUSE_AGE, run_corrected
from batchrun.batch.pipeline import note_of, ways_on
from batchrun.engine.engine import Ending
from batchrun.errors import ServiceError, UsageError
from batchrun.estimate import Estimate
from batchrun.sandbox import SandboxSettings
from batchrun.sandbox.model import RunTimeKind
from batchrun.sandbox.server import PRACTICE_FAIL
from batchrun.web import work
from batchrun.web.app import NO_COLUMN, choices_from
from batchrun.web.screens import (
    Figures,
    Findings,
    Phase,
    ended_words,
    problem_words,
    retry_words,
    run_cost_words,
    stop_words,
    time_words,
    view_batch,
)
from batchrun.web.work import BatchRun, ReadList
from batchrun.workbook.changes import Change
from tests.sandbox.faults import Faults
from tests.web.conftest import expect, opened, running_site
from tests.web.test_page import SAMPLES
from tests.web.test_states import (
    FEW,
    checked_list,
    chosen_list,
    finished_batch,
    first_rows,
    shown_field,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from playwright.sync_api import Browser

    from batchrun.model import Workflow
    from batchrun.web.lists import SavedList
    from tests.web.conftest import Site, Window


def shown(site: Site, path: str) -> str:
    """The text of a screen."""
    with site.client() as client:
        answer = client.get(path, follow_redirects=True)
    main = answer.text.partition("<main")[2]
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", main).split()))


def shown_list(site: Site, list_id: str) -> str:
    """The text of a list's screen once the list is checked."""
    shown(site, f"/lists/{list_id}")
    assert site.workspace.wait(60)
    return shown(site, f"/lists/{list_id}")


def test_credits_are_in_words_before_and_after_the_first_rows(tmp_path: Path) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=40)
    with running_site(tmp_path, sandbox) as site:
        workspace, saved = site.workspace, chosen_list(site)
        check = checked_list(workspace, saved).id
        said = shown(site, f"/lists/{saved.id}")
        assert "You have 40 credits." in said
        assert "Run all 60 rows What a row costs is not known yet. “Try 5 rows” shows" in said
        run = workspace.run(saved, check, limit=5, again=False)
        assert workspace.wait(60)
        said = shown(site, f"/batches/{run.batch_id}")
        assert "They cost 5 credits. The other 55 rows: about " in said
        assert "about 55 credits. You have 35 credits, too few for 55 rows" in said
        assert "Run the rest · about 55 credits" in said
        assert "You have 40 credits" not in shown(site, f"/lists/{saved.id}")  # any more
        workspace.check(
            workspace.lists.change(saved, request=replace(saved.request, parameters={"a": 1}))
        )
        assert workspace.wait(60)
        said = shown(site, f"/lists/{saved.id}")
        assert "You have 35 credits, too few for 60 rows: rows are refused without credits." in said
        assert "Last time, a row cost 1 credit." in said
        assert "Try 5 rows · about 5 credits Run all 60 rows · about 60 credits" in said


COUNTED = "Company ID,Name\n" + "".join(
    f"{one},Acme {at}\n"
    for at, one in enumerate(
        [
            *(f"ece4cc84-82a7-41c8-8f2c-2dd54d995e{at}" for at in range(10, 30)),
            *(f"ece4cc84-82a7-41c8-8f2c-2dd54d995e{at}" for at in range(10, 13)),
            *("n/a", "0015g00000XyZabAAB"),
        ]
    )
)
"""25 rows: 20 companies, 3 of them twice, and 2 without an ID that can be sent."""


def counted_list(site: Site, folder: Path) -> SavedList:
    (folder / "accounts.csv").write_text(COUNTED)
    saved = site.workspace.lists.get(a_list(site, folder / "accounts.csv"))
    assert saved is not None
    return saved


def test_rows_add_up_in_the_same_words_before_during_and_after_a_run(tmp_path: Path) -> None:
    rest = "3 duplicates, 2 can't be sent."
    with running_site(tmp_path) as site:
        saved = counted_list(site, tmp_path)
        said = reversed_figures(shown(site, f"/lists/{saved.id}"))
        correct = "in a text editor (Excel damages IDs in CSV files)"
        assert f"To send them, correct the list {correct} and drop it again." in said
        assert "20 to send 3 duplicates 2 can't be sent" in said
        assert f"25 rows: 20 to send, {rest}" in said
        check = checked_list(site.workspace, saved).id
        run = site.workspace.run(saved, check, limit=5, again=False)
        assert site.workspace.wait(60)
        batch = f"/batches/{run.batch_id}"
        run.ended = False  # as just before the end of the trial
        said = shown(site, batch)
        with site.client() as client:
            live = client.get(f"{batch}/live").json()
        run.ended = True
        assert f"25 rows: 20 to send in all, {rest}" in said
        assert live["say"] == "8 of 25 rows finished"
        assert live["title"] == "8 of 25"
        assert run.batch_id is not None
        view = view_batch(site.workspace, run.batch_id)
        assert view.total_words == f"25 rows: 5 sent, 15 to send, {rest}"
        site.workspace.resume(run.batch_id)
        assert site.workspace.wait(60)
        said = reversed_figures(shown(site, batch))
        assert "Finished: 23 of 25 rows have a result." in said
        assert "23 completed 2 can't be sent" in said
        assert f"Correct these rows in your list {correct}," in shown(site, f"{batch}/attention")
        assert f"25 rows: 20 sent, {rest}" in said
        assert "25 rows: 23 completed, 2 can't be sent" in shown(site, "/")
        bars = view_batch(site.workspace, run.batch_id).figures.bars
        assert bars == [("ok", 0.0, 92.0), ("none", 92.0, 8.0)]


def test_a_run_without_a_trial_shows_what_the_rest_costs_after_its_first_results(
    tmp_path: Path,
) -> None:
    sandbox = SandboxSettings(credits=400, run_times=RunTimeKind.SHORT)
    with running_site(tmp_path, sandbox, speed=6) as site:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        run.control.begun.wait(30)
        found = known = None
        while found is None and not run.ended:
            said = shown(site, f"/batches/{run.batch_id}")
            known = known or "You see what a row costs after the first results." in said
            found = re.search(r"The rest costs about ([\d.]+) credits\.", said)
        run.control.stop()
        assert known
        assert found is not None
        assert 0 < float(found[1]) < 60


def numbered_list(site: Site, folder: Path, first: int, rows: int) -> SavedList:
    """A list of companies with these numbers, uploaded and checked."""
    path = folder / f"{first}.csv"
    path.write_text("Company ID\n" + "".join(f"{ID}{first + at}\n" for at in range(rows)))
    saved = site.workspace.lists.get(a_list(site, path))
    assert saved is not None
    return saved


def test_a_run_costs_only_what_was_spent_since_its_start(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, credits=400)) as site:
        workspace = site.workspace
        lists = [numbered_list(site, tmp_path, 10, 6), numbered_list(site, tmp_path, 20, 54)]
        checks = [checked_list(workspace, saved).id for saved in lists]
        for saved, check in reversed([*zip(lists, checks, strict=True)]):
            run = workspace.run(saved, check, limit=None, again=False)
            assert workspace.wait(60)
            assert run.price == {"credits": 1}
            assert workspace.lists.price("wf_account_research") == {"credits": 1}
        assert "This run cost 6 credits." in shown(site, f"/batches/{run.batch_id}")


def test_each_button_that_spends_says_its_price(tmp_path: Path) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=400, fail=0.5)
    with running_site(tmp_path, sandbox) as site:
        workspace, saved = site.workspace, chosen_list(site)
        workspace.sandbox = True
        check = checked_list(workspace, saved).id
        unknown = shown(site, f"/lists/{saved.id}")
        assert "· about" not in unknown
        assert "what the rest costs before you decide" in unknown
        run = workspace.run(saved, check, limit=5, again=False)
        assert workspace.wait(60)
        batch = f"/batches/{run.batch_id}"
        said = [shown(site, f"/lists/{chosen_list(site).id}"), shown(site, batch)]
        assert "Run the rest · about 55 practice credits" in said[-1]
        assert run.batch_id is not None
        workspace.resume(run.batch_id)
        assert workspace.wait(60)
        assert "practice credits left at the last check or run" in shown(site, "/settings")
        said.append(shown(site, f"{batch}/attention"))
        assert re.search(r"Send again · about \d+ practice credits", said[-1])
        said.append(shown_list(site, saved.id))
        assert "Run all 60 again · about 60 practice credits" in said[-1]
        other = numbered_list(site, tmp_path, 10, 9)
        said.append(shown(site, f"/lists/{other.id}"))
        assert "Try 5 rows · about 5 practice credits" in said[-1]
        assert "Run all 9 rows · about 9 practice credits" in said[-1]
        said.append(shown(site, "/settings"))
        assert re.search(r"Credits [\d,]+ practice credits left", said[-1])
        for screen in [*said, shown(site, batch)]:
            assert not re.search(r"\d credits?\b", screen)


def test_a_list_that_was_partly_run_counts_only_its_own_rows_for_the_price(
    tmp_path: Path,
) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, credits=400)) as site:
        workspace, saved = site.workspace, chosen_list(site)
        workspace.run(saved, checked_list(workspace, saved).id, limit=20, again=False)
        assert workspace.wait(60)
        checked = checked_list(workspace, saved)
        run = workspace.run(saved, checked.id, limit=None, again=False)
        assert workspace.wait(60)
        assert len(site.triggers) == 60
        assert run.to_send == 40
        assert run.price == {"credits": 1}


def test_no_price_is_found_while_another_run_spends_credits(tmp_path: Path) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=400)
    with running_site(tmp_path, sandbox, speed=20) as site:
        workspace = site.workspace
        lists = [numbered_list(site, tmp_path, first, 4) for first in (10, 20)]
        checks = [checked_list(workspace, saved).id for saved in lists]
        runs = [
            workspace.run(saved, check, limit=None, again=False)
            for saved, check in zip(lists, checks, strict=True)
        ]
        assert workspace.wait(60)
        assert [run.price for run in runs] == [None, None]
        assert workspace.lists.price("wf_account_research") is None
        assert "credit" not in shown(site, f"/batches/{runs[0].batch_id}")


def a_list(site: Site, path: Path, workflow: str = "wf_account_research") -> str:
    """The ID of a list that was uploaded and checked."""
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    site.post(f"/lists/{list_id}/choices", workflow=workflow)
    assert site.workspace.wait(60)
    return list_id


ID = "ece4cc84-82a7-41c8-8f2c-2dd54d995e"


def hiding_workbook(folder: Path, rows: int, hidden: Iterable[int]) -> Path:
    """A workbook that hides some lines."""
    book, path = openpyxl.Workbook(), folder / "accounts.xlsx"
    sheet = book.active
    assert sheet is not None
    sheet.append(["Company ID", "Name"])
    for at in range(10, 10 + rows):
        sheet.append([f"{ID}{at}", f"Acme {at}"])
    for line in hidden:
        sheet.row_dimensions[line].hidden = True
    book.save(path)
    return path


def test_the_first_rows_say_how_many_they_are_and_which_are_hidden(
    site: Site, tmp_path: Path
) -> None:
    list_id = a_list(site, hiding_workbook(tmp_path, 10, [4, 11]))
    said = shown(site, f"/lists/{list_id}").partition("The first rows")[2]
    assert "8 of 10 rows are shown here." in said
    assert re.findall(r"hidden (\d+)", said) == ["4"]
    few = shown(site, f"/lists/{a_list(site, hiding_workbook(tmp_path, 8, []))}")
    assert "are shown here" not in few
    assert " hidden " not in few.partition("The first rows")[2]


def test_hidden_rows_are_named_beside_the_control_that_leaves_them_out(
    site: Site, window: Window, tmp_path: Path
) -> None:
    path = hiding_workbook(tmp_path, 10, range(3, 10))
    page = window.page
    page.goto(f"{site.url}/lists/{a_list(site, path)}")
    guess = page.get_by_label("How the file was read")
    expect(guess).to_contain_text(
        "7 rows are hidden in the file and would also be sent: Acme 11 in line 3, Acme 12 in"
    )
    expect(guess).to_contain_text("Acme 15 in line 7 and 2 more.")
    expect(page.locator("#before")).to_have_attribute("data-say", "10 rows: 10 to send.")
    guess.get_by_role("button", name="Leave them out").click()
    expect(page.locator("#before")).to_have_attribute("data-say", "3 rows: 3 to send.")
    assert page.get_by_role("button", name="Leave them out").count() == 0


def test_a_hidden_header_is_not_taken_for_hidden_companies(site: Site, tmp_path: Path) -> None:
    said = shown(site, f"/lists/{a_list(site, hiding_workbook(tmp_path, 9, [1]))}")
    assert "1 row is hidden and read too (line 1)." in said
    assert "9 rows are hidden" not in said


def run_of(site: Site, list_id: str, *, visible_only: bool = False) -> str:
    """The address of the run of a list that was uploaded and checked."""
    saved = site.workspace.lists.get(list_id)
    assert saved is not None
    saved = site.workspace.lists.change(
        saved, request=replace(saved.request, visible_only=visible_only)
    )
    site.workspace.check(saved)
    check = checked_list(site.workspace, saved).id
    run = site.workspace.run(saved, check, limit=None, again=False)
    assert site.workspace.wait(60)
    return f"/batches/{run.batch_id}"


def test_the_page_says_how_many_lines_of_the_file_the_workbook_has_not(
    site: Site, tmp_path: Path
) -> None:
    every = "The workbook has every row that was read, in the same order."
    said = shown(site, run_of(site, a_list(site, SAMPLES / "salesforce_accounts.csv")))
    assert f"{every} Download workbook For you: with status" in said
    assert "Workbook to share For colleagues: the same rows" in said
    assert "of the workbook" not in said  # its rows are the lines of the file in Excel
    path = hiding_workbook(tmp_path, 10, [4, 11])
    book = openpyxl.load_workbook(path)
    book["Sheet"].append(["Total", "10"])
    book.save(path)
    batch = run_of(site, a_list(site, path), visible_only=True)
    said = shown(site, batch)
    left_out = "2 rows hidden (lines 4, 11), 1 subtotal or total (line 12)"
    assert f"{every} Lines of the file that are not rows of the list: {left_out}." in said
    assert "Line 10 · row 9 of the workbook" in shown(site, f"{batch}/line/10")


def test_duplicates_with_a_different_name_are_listed_before_a_run(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.csv"
    rows = [(10, "Baker"), (11, "Lindt"), (10, "baker"), (11, "Hafen"), (11, "")]
    path.write_text("Company ID,Name\n" + "".join(f"{ID}{at},{name}\n" for at, name in rows))
    said = shown(site, f"/lists/{a_list(site, path)}")
    assert "1 row has a different name than an earlier row with the same ID." in said
    assert "Hafen in line 5: same ID as Lindt in line 3" in said
    assert "ine 6: same ID" not in said  # it has no name
    assert "baker:" not in said


def test_a_check_names_all_rows_by_the_same_column(site: Site, tmp_path: Path) -> None:
    path, firms = tmp_path / "accounts.csv", [f"Firm {letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
    regions = ["North", "South", "East", "West", "Ost", "Nord", "Mitte", "Alps", *["East"] * 12]
    ids = [f"{ID}{at}" for at in range(10, 28)] + [f"{ID}10", "12"]
    rows = zip(ids, regions, firms, strict=True)
    path.write_text("Company ID,Region,Target\n" + "".join(f"{','.join(row)}\n" for row in rows))
    said = shown(site, f"/lists/{a_list(site, path)}")
    assert "Firm S in line 20: same ID as Firm A in line 2" in said
    assert "Firm T in line 21" in said


def test_the_same_id_with_another_name_is_noted_also_where_parameters_differ(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.csv"
    rows = [(10, "Baker", "IT"), (10, "Hafen", "Sales"), (11, "Zoll", "IT"), (11, "Zoll", "Sales")]
    path.write_text(
        "Company ID,Name,Topic\n"
        + "".join(f"{ID}{at},{name},{topic}\n" for at, name, topic in rows)
    )
    list_id = a_list(site, path)
    choices = {"parameter-0-name": "focus", "parameter-0-from": "Topic"}
    site.post(f"/lists/{list_id}/choices", workflow="wf_account_research", **choices)
    assert site.workspace.wait(60)
    said = shown(site, f"/lists/{list_id}")
    assert "0 duplicates" in said.replace("duplicates 0", "0 duplicates")
    assert "1 row has a different name than an earlier row with the same ID." in said
    assert "Hafen in line 3: same ID as Baker in line 2" in said
    batch = run_of(site, list_id)
    attention = shown(site, f"{batch}/attention")
    assert "Hafen in line 3: same ID as Baker in line 2" in attention
    assert "Zoll" not in attention
    row = shown(site, f"{batch}/line/3")
    assert "This row has the same ID as line 2, Baker" in row
    assert "it was sent once" not in row
    with site.client() as client:
        content = client.get(f"{batch}/download").content
    needs = openpyxl.load_workbook(io.BytesIO(content))["Needs attention"]
    cells = [cell for row in needs.iter_rows(values_only=True) for cell in row]
    assert "Same ID as row 2, Baker" in cells


def test_a_trial_with_parameters_says_how_to_see_whether_they_were_used(
    site: Site, tmp_path: Path
) -> None:
    saved = chosen_list(site)
    chosen = replace(saved.request, parameters={"focus": "IT"})
    for request, noted in ((saved.request, False), (chosen, True)):
        saved = site.workspace.lists.change(saved, request=request)
        site.workspace.check(saved)
        check = checked_list(site.workspace, saved)
        run = site.workspace.run(saved, check.id, limit=5, again=False)
        assert site.workspace.wait(60)
        said = shown(site, f"/batches/{run.batch_id}")
        words = "report whether it recognizes the parameter focus. Check the results"
        assert (words in said) is noted


def test_rows_with_a_result_in_a_later_run_are_not_paid_for_again_without_a_word(
    tmp_path: Path,
) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, fail=0.5, seed=3)) as site:
        workspace, saved = site.workspace, chosen_list(site, FEW)
        first = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        assert workspace.wait(60)
        words = "about to be, in another run"
        assert words not in shown(site, f"/batches/{first.batch_id}/attention")
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=True)
        assert workspace.wait(60)
        results = [
            {
                row.row.line: row.outcome
                for row in rows_of(one.batch_id or "", settings=workspace.settings).rows
            }
            for one in (first, run)
        ]
        again = sum(
            outcome is Outcome.FAILED and results[1][line] is Outcome.COMPLETED
            for line, outcome in results[0].items()
        )
        assert again
        said = shown(site, f"/batches/{first.batch_id}/attention")
        assert re.search(
            rf"{again} of these rows (was|were) already sent, or (is|are) {words}", said
        )


def test_the_rest_of_a_pilot_is_not_paid_for_after_another_run_without_a_word(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site, FEW)
    pilot = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    words = "were already sent, or are about to be, in another run"
    assert words not in shown(site, f"/batches/{pilot.batch_id}")
    longer = chosen_list(site, FEW + 1)
    workspace.run(longer, checked_list(workspace, longer).id, limit=None, again=False)
    assert workspace.wait(60)
    assert f"{FEW - 5} of the other rows {words}" in shown(site, f"/batches/{pilot.batch_id}")


def test_rows_in_doubt_in_another_run_are_not_paid_for_twice_without_a_word(
    tmp_path: Path,
) -> None:
    with running_site(tmp_path, faults=Faults(garbage=0.5)) as site:
        workspace = site.workspace
        first, longer = (chosen_list(site, rows) for rows in (FEW, FEW + 1))
        words = "under way or in doubt in"
        checked_list(workspace, longer)
        assert words not in shown(site, f"/lists/{longer.id}")
        run = workspace.run(first, checked_list(workspace, first).id, limit=None, again=False)
        assert workspace.wait(60)
        doubts = len(workspace.status(run.batch_id or "", 0).in_doubt)
        assert doubts
        workspace.check(longer)
        checked_list(workspace, longer)
        said = shown(site, f"/lists/{longer.id}")
        assert re.search(rf"{doubts} rows? (is|are) {words} another run", said)


def test_people_and_spellings_raise_no_doubt_about_an_id(site: Site, tmp_path: Path) -> None:
    people, spellings = tmp_path / "people.csv", tmp_path / "spellings.csv"
    rows = [f"{ID}{10 + at % 2},First{at},Last{at},p{at}@acme.example\n" for at in range(6)]
    people.write_text("Company ID,First Name,Last Name,Email\n" + "".join(rows))
    spellings.write_text(f'Company ID,Name\n{ID}10,"Acme, Inc."\n{ID}10,Acme Inc\n')
    for path, duplicates in ((people, "4 duplicates"), (spellings, "1 duplicate")):
        said = shown(site, f"/lists/{a_list(site, path)}")
        assert duplicates in said
        assert "different name" not in said


def test_duplicates_are_marked_after_the_run_and_can_be_filtered(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.csv"
    rows = [(10, "Baker"), (11, "Lindt"), (10, "Hafen"), (11, "Lindt")]
    path.write_text("Company ID,Name\n" + "".join(f"{ID}{at},{name}\n" for at, name in rows))
    batch = run_of(site, a_list(site, path))
    said = shown(site, batch)
    assert "Can't be sent Duplicates Find" in said
    assert "Hafen same ID as line 2 Completed" in said
    assert said.count("same ID as line 3") == 1
    said = shown(site, f"{batch}?show=duplicates").partition(" Rows Show All rows ")[2]
    assert "Baker" not in said
    assert said.count("same ID as line") == 2
    assert "Hafen" in shown(site, f"{batch}?show=duplicates&find=haf")
    assert "No row matches." in shown(site, f"{batch}?show=duplicates&find=baker")
    said = shown(site, f"{batch}/line/4")
    assert "This row has the same ID as line 2, Baker : it was sent once" in said
    assert "Their names differ." in said
    said = shown(site, f"{batch}/line/5")
    assert "This row has the same ID as line 3 : it was sent once" in said
    assert "Their names differ." not in said


def test_the_results_that_the_workbook_doubts_are_listed_at_the_end_of_a_run(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.csv"
    rows = [(10, "Baker"), (11, "Lindt"), (10, "Hafen"), (11, "LINDT"), (10, ""), (10, "Zoll")]
    path.write_text("Company ID,Name\n" + "".join(f"{ID}{at},{name}\n" for at, name in rows))
    batch = run_of(site, a_list(site, path))
    with site.client() as client:
        content = client.get(f"{batch}/download").content
    sheet = openpyxl.load_workbook(io.BytesIO(content))["Needs attention"]
    doubted = {cell.value for row in sheet.iter_rows() for cell in row} & {one for _, one in rows}
    assert doubted == {"Hafen", "Zoll"}
    for screen in (batch, f"{batch}/attention"):
        said = shown(site, screen).partition(" Rows Show All rows ")[0]
        assert "may be about another company or person" in said
        assert "Hafen in line 4: same ID as Baker in line 2 Zoll in line 7: same ID as" in said
        assert "Lindt" not in said
    assert "See the rows that need attention" in shown(site, batch)
    plain = shown(site, run_of(site, a_list(site, SAMPLES / "salesforce_accounts.csv")))
    assert "may be about another" not in plain


def test_a_run_says_what_changed_since_which_run_also_if_nothing_did(
    site: Site, tmp_path: Path
) -> None:
    workspace = site.workspace

    def ran(name: str, last: int) -> str:
        path = tmp_path / name
        path.write_text("Company ID\n" + "".join(f"{ID}{at}\n" for at in range(10, last)))
        saved = workspace.lists.get(a_list(site, path))
        assert saved is not None
        workspace.choose(saved, replace(saved.request, reuse=REUSE_AGE))
        return run_of(site, saved.id)

    first = ran("first.csv", 13)
    assert "changed since" not in shown(site, first)
    run = r"Nothing changed since the run of today, \d\d:\d\d"
    several = "Since the last results 2 rows are new: their IDs had no result then. No other result"
    for batch, since in ((ran("next.csv", 12), run), (ran("more.csv", 15), several)):
        workspace._begin(workspace._settings)  # it says so after a start, too
        said = shown(site, batch)
        assert re.search(since, said)


def test_a_run_is_compared_only_with_runs_that_sent_the_same_and_names_each_row_once(
    site: Site, tmp_path: Path
) -> None:
    workspace, path = site.workspace, tmp_path / "accounts.csv"
    path.write_text("Company ID,Name\n" + "".join(f"{ID}{at},A{at}\n" for at in range(10, 22)))

    def ran(**choices: Any) -> str:
        saved = workspace.lists.get(a_list(site, path))
        assert saved is not None
        workspace.choose(saved, replace(saved.request, **choices))
        return run_of(site, saved.id)

    ran()
    deep = ran(parameters={"depth": "deep"})
    assert "changed since" not in shown(site, deep)
    view = view_batch(workspace, deep.rpartition("/")[2])
    changes = [
        [Change(at, at + 2, f"A{at}", None, (name,), name, "**Old**", "# New\n\n- x", None)
         for name in ("City", "News")]
        for at in range(9)
    ]  # fmt: skip
    found = Findings(view.version, "the run of today", changes)
    workspace.findings[view.summary.batch_id] = found
    said = shown(site, deep)
    assert "A0 City: Old → - x , and 1 other field A1 City: " in said
    assert "And 1 more row. The workbook has all changes." in said


def test_a_filter_of_the_rows_shows_the_rows_not_the_top_of_the_page(
    site: Site, window: Window
) -> None:
    window.page.goto(site.url + finished_batch(site))
    window.page.locator("select[name=show]").select_option("Completed")
    window.page.wait_for_url("**?show=done*#rows-title")
    expect(window.page.get_by_role("heading", name="Rows", exact=True)).to_be_in_viewport()


def test_a_run_to_forget_is_told_apart_from_others_of_the_same_list(site: Site) -> None:
    said = shown(site, f"{finished_batch(site)}/forget")
    assert re.search(r"Account Research · started today, \d\d:\d\d This deletes", said)


def test_long_lists_offer_no_filter_for_duplicates(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_rows, "COMPARED_ROWS", 24)
    saved = counted_list(site, tmp_path)
    check = checked_list(site.workspace, saved).id
    run = site.workspace.run(saved, check, limit=None, again=False)
    assert site.workspace.wait(60)
    said = shown(site, f"/batches/{run.batch_id}")
    assert "3 duplicates" in said
    assert "Duplicates Find" not in said
    assert "same ID as" not in said


def test_what_is_sent_for_a_row_is_a_table(site: Site) -> None:
    saved = chosen_list(site)
    saved = site.workspace.lists.change(
        saved, request=replace(saved.request, parameters={"depth": 2})
    )
    site.workspace.check(saved)
    checked_list(site.workspace, saved)
    said = shown(site, f"/lists/{saved.id}")
    assert "leaves this computer except the company ID and the parameters." in said
    said = said.partition("What is sent first")[2]
    assert re.match(r" Workflow Account Research Company ID [0-9a-f-]{36} depth 2 ", said)


def test_the_results_of_a_trial_say_how_many_fields_they_leave_out(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    batch = f"/batches/{run.batch_id}"
    with site.client() as client:
        found = re.findall(r'<a href="(\S+)">… (\d+) more fields?</a>', client.get(batch).text)
        assert found
        path, more = found[0]
        result = client.get(path).text.partition('id="result"')[2].partition("</section>")[0]
    assert result.count("<dt>") == 8 + int(more)


def test_a_row_and_the_attention_screen_say_how_to_send_a_row_again(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, fail=0.5)) as site:
        batch = finished_batch(site)
        how = "download the workbook , type x in the column “run again”, save it, and drop it"
        assert f"To send only some of these rows again, {how}" in shown(site, f"{batch}/attention")
        assert f"To send this row again, {how}" in shown(site, f"{batch}/line/2")


def test_hidden_rows_that_are_left_out_stay_in_sight_and_can_be_sent(
    site: Site, tmp_path: Path
) -> None:
    list_id = a_list(site, hiding_workbook(tmp_path, 10, [3, 4]))
    fields = {"workflow": "wf_account_research", "visible_only": "yes"}
    site.post(f"/lists/{list_id}/choices", **fields)
    said = shown_list(site, list_id)
    assert (
        "2 hidden rows are left out: Acme 11 in line 3, Acme 12 in line 4. Send them, too" in said
    )
    site.post(f"/lists/{list_id}/choices", **fields, hidden="send")
    said = shown_list(site, list_id)
    assert "left out" not in said
    assert "2 rows are hidden in the file and would also be sent: Acme 11 in line 3," in said


def test_forgetting_says_what_is_true_for_the_run(site: Site) -> None:
    batch = finished_batch(site)
    said = shown(site, f"{batch}/forget")
    assert "no longer knows that 10 rows were sent" in said
    assert "You would pay again." in said
    site.workspace.sandbox = True
    assert "Practice charges nothing." in shown(site, f"{batch}/forget")


def test_forgetting_counts_the_rows_that_no_other_run_knows(site: Site, tmp_path: Path) -> None:
    settings, batches = site.workspace.settings, []
    for name, companies in (("short.csv", (10, 10, 11)), ("longer.csv", (10, 10, 11, 12))):
        path = tmp_path / name
        path.write_text("Company ID\n" + "".join(f"{ID}{at}\n" for at in companies))
        report = run_list(path, "Account Research", reuse=timedelta(days=30), settings=settings)
        batches.append(report.summary.batch_id)
    short, longer = (f"/batches/{each}/forget" for each in batches)
    assert "Other runs know all rows that were sent" in shown(site, short)
    assert "no longer knows that 1 row was sent: it can't reuse its result" in shown(site, longer)
    site.workspace.forget(batches[0])
    assert "no longer knows that 3 rows were sent" in shown(site, longer)


def test_a_window_of_practice_says_how_to_start_practice_again(site: Site) -> None:
    with site.client() as client:
        assert 'data-start="“batchrun web”"' in client.get("/").text
        site.workspace.use_sandbox()
        text = client.get("/").text
    assert 'data-start="“batchrun web --sandbox” (“batchrun web” alone opens your real' in text


def test_the_csv_for_the_crm_of_the_list_is_offered_when_all_results_are_there(site: Site) -> None:
    said = shown(site, finished_batch(site))
    assert "CSV for Salesforce to import the results there" in said
    assert "CSV for HubSpot" not in said


def test_a_list_that_cannot_be_read_is_not_said_to_wait_for_its_run(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "broken.xlsx"
    path.write_bytes(b"PK no workbook")
    site.upload(path)
    assert site.workspace.wait(60)
    said = shown(site, "/")
    assert "Not run yet" not in said
    assert re.search(r"Can.t be read broken\.xlsx uploaded [^.]+ broken\.xlsx", said)


@pytest.mark.parametrize("limit", [None, 5])
def test_a_list_is_in_its_section_of_the_home_screen_also_after_a_start(
    site: Site, tmp_path: Path, limit: int | None
) -> None:
    workspace, saved = site.workspace, chosen_list(site, FEW)
    workspace.run(saved, checked_list(workspace, saved).id, limit=limit, again=False)
    assert workspace.wait(60)
    checked_list(workspace, chosen_list(site, FEW))
    path = tmp_path / "broken.xlsx"
    path.write_bytes(b"PK no workbook")
    site.upload(path)
    assert workspace.wait(60)
    for _ in range(2):
        said = shown(site, "/")
        assert "Not run yet" not in said
        assert "Earlier" not in said
        assert "Can't be read broken.xlsx" in said
        assert ("You ran these rows" in said) is (limit is None)
        assert ("You started this list" in said) is (limit == 5)
        workspace._begin(workspace._settings)
    site.upload(SAMPLES / "salesforce_report.xlsx")
    assert "Not run yet salesforce_report.xlsx" in shown(site, "/")


def test_an_error_of_a_run_is_gone_when_other_choices_were_checked(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site, FEW)
    state = checked_list(workspace, saved)
    workspace.states[saved.id].run = BatchRun(
        state.id, error=UsageError("It may not be used."), ended=True
    )
    assert "It may not be used." in shown(site, f"/lists/{saved.id}")
    site.post(f"/lists/{saved.id}/choices", workflow="wf_contact_research")
    assert "It may not be used." not in shown_list(site, saved.id)


def test_a_warning_is_gone_when_the_choice_that_it_is_about_is_changed(
    site: Site, window: Window, tmp_path: Path
) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(f"Contact ID,Name\n{ID}60,Ann\n")
    page = window.page
    page.goto(f"{site.url}/lists/{a_list(site, path)}")
    about = page.locator(".note")
    expect(about).to_be_visible()
    expect(page.get_by_role("button", name="Run 1 row")).to_be_visible()
    page.get_by_label("Workflow").select_option("Contact Research")
    expect(about).to_be_hidden()
    expect(page.get_by_role("button", name="Run 1 row")).to_be_hidden()


TYPED = ["9" * 5_000, "-1", "0", "NaN", "1e999", "4.5", "\uff19", "\xb2", "9" * 19, "x", " "]


def test_a_number_that_makes_no_sense_is_refused_or_ignored(site: Site) -> None:
    batch = finished_batch(site)
    (saved,) = site.workspace.lists.all()
    choices = f"/lists/{saved.id}/choices"
    for typed in TYPED:
        with site.client() as client:
            for path in (f"{batch}/line/{typed}", f"{batch}/line/{typed}/live"):
                assert client.get(path).status_code == 404, typed
            queries = dict.fromkeys(("page", "show", "find", "since", "message"), typed)
            for screen in (batch, f"{batch}/live"):
                assert client.get(screen, params=queries).status_code == 200, typed
        limits = shown(site, site.post("/settings/limits", daily=typed).headers["location"])
        assert ("must be a whole number" in limits) is bool(typed.strip()), typed
        refused = site.post(choices, workflow="wf_account_research", header_row=typed)
        assert refused.status_code == (400 if typed.strip() else 303), typed
        values = {"reuse": typed, "parameter-0-name": "depth", "parameter-0-value": typed}
        # No numbers: the longest text, one that looks like an option, and none.
        texts = (
            *({name: typed} for name in ("sheet", "company_column", "encoding", "workflow")),
            {"reuse": typed},
            {"parameter-0-name": "depth", "parameter-0-from": typed},
        )
        for fields in (values, *(texts if typed in {TYPED[0], "-1", " "} else ())):
            sent = {"workflow": "wf_account_research"} | fields
            assert site.post(choices, **sent).status_code < 500, fields
            assert "Something went wrong" not in shown_list(site, saved.id), fields


def test_advice_and_the_page_offer_to_reuse_results_of_one_age(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choices_from(Request("list.csv", ""), {"reuse": "30"}).reuse == REUSE_AGE
    batch = finished_batch(site)
    summary = site.workspace.status(batch.rpartition("/")[2]).summary
    assert f"--reuse {REUSE_AGE.days}d" in run_corrected("fix.xlsx", summary)
    assert f"--reuse {REUSE_AGE.days}d" in ways_on(summary)
    old = timedelta(days=-400)  # no result is as recent as that
    for ages, days in (((REUSE_AGE,), 30), ((old, timedelta(days=90)), 90), ((old,), 0)):
        monkeypatch.setattr(work, "REUSE_AGES", ages)
        saved = chosen_list(site, FEW + 5)
        said = shown_list(site, saved.id)
        assert "Up to 30 days old Up to 90 days old Up to 365 days old" in said
        assert (f"{FEW} rows were researched in the last {days} days" in said) is bool(days)
        with site.client() as client:
            page = client.get(f"/lists/{saved.id}").text
        main = re.findall(r'name="(\w+)" value="(\w+)" class="primary"', page)
        assert main == [("reuse", str(days)) if days else ("what", "pilot")]


def test_a_finished_list_is_run_again_with_earlier_results(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, fail=0.5, seed=3)) as site:
        workspace, saved = site.workspace, chosen_list(site, FEW)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        assert workspace.wait(60)
        sent = len(site.triggers)
        workspace.choose(saved, replace(saved.request, reuse=REUSE_AGE))
        said = shown_list(site, saved.id)
        assert "Run it again and reuse the earlier results" in said
        assert "reused, " in said
        fields = {"workflow": saved.request.workflow, "reuse": "30", "what": "again"}
        check = workspace.states[saved.id].checked
        assert check is not None
        again = site.post(f"/lists/{saved.id}/choices", check=check.id, **fields)
        assert workspace.wait(60)
        assert again.headers["location"] not in {f"/batches/{run.batch_id}", f"/lists/{saved.id}"}
        assert 0 < len(site.triggers) - sent == check.to_trigger < sent


def test_the_rows_that_are_sent_beside_reused_ones_are_named(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    names = ["Acme", "Baker", "Cobalt"]
    lines = [f"{ID}{10 + at},{name}\n" for at, name in enumerate(names)]
    path.write_text("Company ID,Name\n" + "".join(lines[:2]))
    run_of(site, a_list(site, path))
    path.write_text("Company ID,Name\n" + "".join([*lines, lines[2]]))
    list_id = a_list(site, path)
    assert "To send:" not in shown(site, f"/lists/{list_id}")
    site.post(f"/lists/{list_id}/choices", workflow="wf_account_research", reuse="30")
    assert site.workspace.wait(60)
    assert "To send: Cobalt in line 4. Rows with" in shown(site, f"/lists/{list_id}")


def test_the_end_of_a_run_says_in_words_how_many_rows_have_no_result(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, fail=1)) as site:
        path = tmp_path / "accounts.csv"
        path.write_text(f"Company ID,Name\n{ID}10,Acme\nn/a,Baker\n")
        said = shown(site, run_of(site, a_list(site, path)))
        assert "0 of 2 rows have a result. 1 row failed, and 1 row can't be sent." in said


def test_a_price_that_nobody_knows_is_not_said_to_be_nothing(site: Site) -> None:
    lists = site.workspace.lists
    lists.remember_price("wf_account_research", {})  # such as when credits were bought meanwhile
    assert lists.price("wf_account_research") is None


COSTS = re.compile(
    r"(?<!would )\bpay\b|\bpaid\b|(?<!would )(?<!perhaps )\bbe charged|(are|and) charged\b"
    r"|\d credits?\b",
    re.IGNORECASE,
)
FREE = re.compile(r"\bfree\b|no credits|invented|would be charged|charges nothing", re.IGNORECASE)


@pytest.mark.parametrize("practice", [True, False])
def test_practice_never_costs_anything_and_the_real_service_is_never_free(
    tmp_path: Path, practice: bool
) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=400, fail=0.3, seed=4)
    with running_site(tmp_path, sandbox, faults=Faults(garbage=0.1)) as site:
        workspace = site.workspace
        workspace.sandbox = practice
        saved = chosen_list(site)
        request = replace(saved.request, parameters={"depth": 1})
        saved = workspace.lists.change(saved, request=request)
        workspace.check(saved)
        check = checked_list(workspace, saved).id
        screens = [shown(site, f"/lists/{saved.id}")]
        run = workspace.run(saved, check, limit=5, again=False)
        assert workspace.wait(60)
        batch = f"/batches/{run.batch_id}"
        screens += [shown(site, batch), shown(site, "/"), shown(site, f"{batch}/forget")]
        assert run.batch_id is not None
        workspace.resume(run.batch_id)
        assert workspace.wait(60)
        lines = [f"{batch}/line/{one.row.line}" for one in workspace.status(run.batch_id).in_doubt]
        others = [batch, f"{batch}/attention", "/", "/settings", *lines]
        screens += [shown_list(site, saved.id), *(shown(site, path) for path in others)]
        for said in screens:
            found = (COSTS if practice else FREE).search(
                said.partition("Practice without a key")[0]
            )
            assert not found, said[max(0, found.start() - 80) : found.end() + 40]


@pytest.mark.parametrize("has_own_ids", [True, False])
def test_ids_of_a_crm_get_one_message_that_says_which_ids_pg_ai_needs(
    site: Site, tmp_path: Path, has_own_ids: bool
) -> None:
    path = tmp_path / "accounts.csv"
    own = ID if has_own_ids else "row "
    rows = "".join(f"0015g00000uf5pzAA{at},{own}{at + 10}\n" for at in range(3))
    path.write_text(f"Account ID,Company ID\n{rows}")
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    fields = {"workflow": "wf_account_research", "company_column": "Account ID"}
    site.post(f"/lists/{list_id}/choices", **fields)
    said = shown_list(site, list_id)
    assert said.count("No row of this list can be sent.") == 1
    assert "Company ID looks like a Salesforce ID, not a PG:AI ID" in said
    assert ("in the column “Company ID” (3 of 3 are PG:AI IDs, such as" in said) is has_own_ids
    assert ("Export the list from PG:AI, or add the CRM field" in said) is not has_own_ids
    assert len(re.findall(r"such as [0-9a-f]{8}-", said)) == 1
    assert "UUID" not in said


def test_practice_says_that_its_clock_is_fast_and_its_credits_are_reset(site: Site) -> None:
    site.workspace.use_sandbox()
    list_id = a_list(site, SAMPLES / "salesforce_report.xlsx")
    said = shown(site, f"/lists/{list_id}")
    assert "clock runs 60 times as fast" in said
    assert "Practice credits are reset each time you start practicing." in said


def test_in_practice_the_first_rows_of_a_list_that_ran_can_be_tried(
    site: Site, tmp_path: Path
) -> None:
    path, workspace = hiding_workbook(tmp_path, 6, []), site.workspace
    paid = a_list(site, path)
    run_of(site, paid)
    assert "Try 5 rows" not in shown_list(site, paid)
    workspace.use_sandbox()
    list_id = a_list(site, path)
    finished = run_of(site, list_id)
    assert "Open this run Try 5 rows again" in shown_list(site, list_id)
    saved = workspace.lists.get(list_id)
    assert saved is not None
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    assert (run.error, f"/batches/{run.batch_id}" == finished) == (None, False)
    assert "Run the rest" in shown(site, f"/batches/{run.batch_id}")


def test_a_sample_contact_fails_in_practice_and_succeeds_when_it_is_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.sandbox.server.PRACTICE_FAIL", PRACTICE_FAIL)
    workspace = site.workspace
    workspace.use_sandbox()
    saved = workspace.lists.get(a_list(site, SAMPLES / "hubspot_contacts.xlsx"))
    assert saved is not None
    workspace.choose(saved, replace(saved.request, workflow="wf_contact_research"))
    batch = run_of(site, saved.id)
    summary = workspace.status(batch.rpartition("/")[2], 0).summary
    assert summary.counts[Outcome.FAILED] == 1
    before = shown_field(site, f"{batch}/attention")
    site.post(f"{batch}/retry", **{"retry-FAILED": "yes", "shown": before})
    assert workspace.wait(60)
    summary = workspace.status(summary.batch_id, 0).summary
    assert summary.counts[Outcome.COMPLETED] == summary.rows == 40


def test_no_estimate_is_announced_while_the_workbook_is_written(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
    assert workspace.wait(60)
    run.ended = False  # as while the workbook is written
    said = shown(site, f"/batches/{run.batch_id}")
    run.ended = True
    assert "Writing the workbook…" in said
    assert "Stop" not in said
    assert "Working out" not in said


def test_the_time_of_a_run_adds_up() -> None:
    said = time_words(Estimate(82, 202.0, 60.0))
    assert said.startswith(": 1 min 22 s for the requests (PG:AI accepts 60 requests a minute")
    assert said.endswith("and a row takes two), then about 2 min for the last results")
    assert time_words(Estimate(82, 120.0, math.inf)) == ""


def test_stop_is_offered_while_rows_run_and_says_what_it_saves(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    assert run.batch_id is not None
    view = replace(view_batch(workspace, run.batch_id), phase=Phase.RUNNING)
    for trial, done, running, waiting, says in (
        (0, 5, 20, 35, "Stop: nothing more is sent"),
        (0, 5, 55, 0, "If you stop now, you can collect the missing results later"),
        (0, 60, 0, 0, ""),
        (5, 2, 2, 56, "Stop: nothing more is sent"),
        (5, 2, 3, 55, "If you stop now, you can collect the missing results later"),
    ):
        run.trial = trial
        figures = replace(view.figures, done=done, running=running, waiting=waiting)
        now = replace(view, figures=figures)
        assert now.can_stop is bool(says)
        assert stop_words(now).startswith(says)
    assert run.progress is not None
    run.progress = replace(run.progress, stopped_because="10 rows failed")
    assert not replace(now, figures=replace(figures, running=2)).can_stop


def test_a_stopped_run_says_what_is_sent_and_that_collecting_it_costs_nothing(
    tmp_path: Path,
) -> None:
    with running_site(tmp_path, SandboxSettings(credits=400), speed=20, priced=True) as site:
        workspace, saved = site.workspace, chosen_list(site)
        workspace._settings = workspace._settings.model_copy(update={"drain_seconds": 0.0})
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        while run.progress is None or not run.progress.running_rows:
            assert not run.ended
        run.control.stop()
        assert workspace.wait(60)
        sent, said = len(site.triggers), shown(site, f"/batches/{run.batch_id}")
        assert f"It was stopped before the end. {sent} row" in said
        assert "of them without a result yet" in said
        assert "No result yet" in said
        assert "unning" not in said.partition(" Rows Show All rows ")[2]
        assert re.search(r"“Continue” collects the \d+ missing results? at no cost\.", said)
        assert re.search(rf"This run has cost (about )?{sent} credits? so far\.", said)
        workspace._begin(workspace._settings)  # as after a start
        for path in (f"/batches/{run.batch_id}", "/"):
            assert f"It was stopped before the end. {sent} row" in shown(site, path)


def test_stop_says_what_happens_to_the_running_rows(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(), speed=20) as site:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        run.control.begun.wait(30)
        batch = f"/batches/{run.batch_id}"
        running = re.compile(r"Stop: nothing more is sent. Results of (\d+) rows? already sent")
        while (found := running.search(shown(site, batch))) is None or found[1] == "0":
            assert not run.ended
        site.post(f"{batch}/stop")
        assert re.search(
            r"Stopping: nothing more is sent. Results of \d+ rows? already sent are"
            r" collected for up to 3 s\.",
            shown(site, batch),
        )


def test_a_run_with_other_choices_is_not_the_one_that_the_buttons_start(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    assert "Open this run" in shown_list(site, saved.id)
    fields = {"parameter-0-name": "depth", "parameter-0-value": "deep"}
    site.post(f"/lists/{saved.id}/choices", workflow=saved.request.workflow, **fields)
    assert workspace.wait(60)
    said = shown(site, f"/lists/{saved.id}")
    assert "You ran this list before with other choices" in said
    assert "Open this run" not in said
    assert "Try 5 rows" in said
    again = site.post(
        f"/lists/{saved.id}/choices",
        workflow=saved.request.workflow,
        what="pilot",
        check=checked_list(workspace, saved).id,
        **fields,
    )
    assert workspace.wait(60)
    batch = again.headers["location"]
    assert batch != f"/batches/{run.batch_id}"
    assert "depth = deep" in shown(site, batch)
    assert [one for one in site.triggers if '"deep"' in one] == site.triggers[5:]


def test_a_list_that_was_run_before_offers_to_pay_only_for_the_rest(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
    assert workspace.wait(60)
    again = chosen_list(site)
    assert checked_list(workspace, again).earlier is not None
    assert "You ran these rows" in shown(site, "/")
    changed = tmp_path / "changed.csv"
    text = (SAMPLES / "salesforce_accounts.csv").read_text("utf-8-sig")
    changed.write_text(text.replace("Stuttgart", "Stuttgarx", 1), "utf-8")
    list_id = site.upload(changed).headers["location"][-12:]
    listed = workspace.lists.get(list_id)
    assert listed is not None
    listed = workspace.lists.change(
        listed, request=replace(listed.request, workflow=saved.request.workflow)
    )
    assert checked_list(workspace, listed).to_trigger == 60
    with opened(browser, site) as window:
        window.page.goto(f"{site.url}/lists/{list_id}")
        expect(window.page.get_by_text("rows were researched in the last 30 days")).to_be_visible()
        window.page.get_by_role("button", name="Reuse these 60 results").click()
        expect(window.page.get_by_role("button", name="Write the workbook")).to_be_visible()


def test_a_run_is_not_continued_after_a_choice_was_changed(site: Site, window: Window) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    page = window.page
    page.goto(f"{site.url}/lists/{saved.id}")
    expect(page.get_by_role("link", name="Open this run")).to_be_visible()
    page.get_by_label("Contact ID").select_option("Send none")
    expect(page.get_by_role("link", name="Open this run")).to_be_hidden()


def test_a_run_with_other_choices_than_checked_is_refused_while_another_goes(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
    with pytest.raises(UsageError, match="choices have changed"):
        workspace.run(saved, "", limit=None, again=False)
    assert workspace.wait(60)
    assert len(site.triggers) == 60


def test_a_full_disk_does_not_leave_a_list_in_its_check(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    checked_list(workspace, saved)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("batchrun.web.lists.write_whole", fail)
        workspace.check(saved)
        assert workspace.wait(60)
    assert "Checking" not in shown(site, f"/lists/{saved.id}")
    assert not workspace.state(saved).busy


def test_everything_runs_again_if_there_is_nothing_to_reuse(site: Site) -> None:
    none = timedelta(days=-400)  # no result is as recent as that
    workspace, saved = site.workspace, chosen_list(site, 5)
    workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
    assert workspace.wait(60)
    saved = workspace.lists.change(saved, request=replace(saved.request, reuse=none))
    workspace.check(saved)
    check = checked_list(workspace, saved)
    assert check.reused == 0
    workspace.run(saved, check.id, limit=None, again=True)
    assert workspace.wait(60)
    assert len(site.triggers) == 10


def test_a_trial_is_still_one_after_the_next_start(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    batch = f"/batches/{run.batch_id}"
    before = shown(site, batch)
    workspace._begin(workspace._settings)  # as after a start
    said = shown(site, batch)
    assert "5 results to look at" in before
    assert "5 results to look at" in said
    assert "The other 55 rows: about " in said
    assert "Nothing more is sent until you decide. Run the rest" in said
    assert "First 5 tried 60 rows: 5 sent, 55 to send." in shown(site, "/")
    assert said.count("Not sent") == 45  # of the 50 rows of a page


def test_a_run_that_failures_stopped_is_no_trial(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    note = note_of(Ending.FAILURES, None, "2 jobs in a row ended without a result")
    with closing(sqlite3.connect(workspace.settings.journal)) as journal:
        journal.execute("UPDATE batches SET note = ?", [note])
        journal.commit()
    said = shown(site, f"/batches/{run.batch_id}")
    assert "2 rows in a row ended without a result. 5 rows sent; 55 rows not sent." in said
    assert "results to look at" not in said


def test_a_quota_that_is_open_again_is_not_said_to_be_spent(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=1, again=False)
    assert workspace.wait(60)
    assert run.batch_id is not None
    view = view_batch(workspace, run.batch_id)
    for hours, said in ((1, "The quota is spent until "), (-1, "The quota was spent, and is open")):
        resume_at = datetime.now(UTC) + timedelta(hours=hours)
        summary = replace(view.summary, note="", resume_at=resume_at)
        status = replace(view.status, summary=summary)
        paused = replace(view, phase=Phase.PAUSED, summary=summary, status=status)
        assert ended_words(paused).startswith(said)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"value": "deep"}, "A parameter has no name."),
        ({"from": "Industry"}, "A parameter has no name."),
        ({"name": "depth"}, "The parameter depth has no value."),
        ({"name": "depth", "from": "Industry", "value": "x"}, "has a value and a column."),
    ],
)
def test_half_a_parameter_is_refused(fields: dict[str, str], said: str) -> None:
    form = {f"parameter-0-{name}": value for name, value in fields.items()}
    with pytest.raises(UsageError, match=said):
        choices_from(Request("list.csv", ""), form)


@pytest.mark.parametrize("what", ["", "all"])
def test_what_was_typed_stays_in_the_form_when_it_is_refused(site: Site, what: str) -> None:
    workspace, saved = site.workspace, chosen_list(site, FEW)
    checked_list(workspace, saved)
    fields = {
        "parameter-0-value": "very deep",
        "parameter-0-name": "",
        "reuse": "90",
        "what": what,
    }
    fields |= {"header_row": "1", "workflow": "wf_unknown", "is": "company:Name"}
    answer = site.post(f"/lists/{saved.id}/choices", **fields)
    assert answer.status_code == 400
    assert "A parameter has no name." in answer.text
    assert 'name="parameter-0-value" value="very deep"' in answer.text
    for left_out in ("to send</dt>", "data-run", "What is sent"):  # they are of other choices
        assert left_out not in answer.text
    assert '<option value="90" selected>' in answer.text
    assert re.search('name="header_row"[^>]* value="1"', answer.text)
    assert workspace.wait(60)
    assert workspace.lists.get(saved.id) == saved
    assert site.triggers == []


def test_refused_choices_leave_the_earlier_run_of_the_list_in_reach(site: Site) -> None:
    batch = finished_batch(site)
    (saved,) = site.workspace.lists.all()
    shown_list(site, saved.id)
    answer = site.post(f"/lists/{saved.id}/choices", header_row="x")
    assert answer.status_code == 400
    assert f'href="{batch}"' in answer.text
    assert "Run everything again" not in answer.text
    assert "Remove this list" not in answer.text


def test_a_click_right_after_typing_is_not_lost(window: Window, site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    workspace.choose(saved, replace(saved.request, parameters={"depth": "very "}))
    checked_list(workspace, saved)
    page = window.page
    page.goto(f"{site.url}/lists/{saved.id}")
    expect(page.get_by_role("button", name="Try 5 rows")).to_be_visible()
    value = page.get_by_label("Text or number").first
    value.press("End")
    value.press_sequentially("deep")
    # The click below leaves the field: nothing may move under the mouse then.
    expect(page.get_by_role("button", name="Try 5 rows")).to_be_hidden()
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("button", name="Try 5 rows")).to_be_visible()
    assert site.triggers == []
    assert '"depth": "very deep"' in (checked_list(workspace, saved).first_body or "")


def test_enter_in_a_field_checks_the_list_and_never_runs_it(
    window: Window, site: Site, tmp_path: Path
) -> None:
    page, list_id = window.page, a_list(site, hiding_workbook(tmp_path, 9, [3]))
    page.goto(f"{site.url}/lists/{list_id}")
    expect(page.get_by_role("button", name="Leave it out")).to_be_visible()
    before = site.workspace.states[list_id]
    page.get_by_label("Column names in line").press("Enter")
    expect(page.locator("#before[data-say]")).to_be_focused()
    assert site.workspace.states[list_id] is not before
    saved = site.workspace.lists.get(list_id)
    assert saved is not None
    assert not saved.request.visible_only
    assert site.triggers == []


def test_rows_that_are_sent_without_a_parameter_are_counted(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "focus.csv"
    cells = ["IT", "", "HR", ""]
    rows = "".join(f"{ID}{at + 10},{cell}\n" for at, cell in enumerate(cells))
    path.write_text(f"Company ID,Focus\n{rows}12,\n")  # the last row is not sent at all
    list_id = a_list(site, path)
    fields = {"parameter-0-name": "focus", "parameter-0-from": "Focus"}
    constant = {"parameter-1-name": "focus", "parameter-1-value": "IT"}
    about = "The column “Focus” is empty in 2 rows: they are sent without the parameter “focus”."
    for more, noted in ({}, True), (constant, False):
        choices = {"workflow": "wf_account_research", **fields, **more}
        site.post(f"/lists/{list_id}/choices", **choices)
        assert (about in shown_list(site, list_id)) is noted


@pytest.mark.parametrize(
    ("contact", "named"),
    [("", "the company ID."), (f"{ID}99", "the company ID and the contact ID.")],
)
def test_only_the_ids_that_are_sent_are_named(
    site: Site, tmp_path: Path, contact: str, named: str
) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text(f"Company ID,Contact ID\n{ID}10,\n{ID}11,{contact}\n{ID}12,{contact}\n")
    said = shown_list(site, a_list(site, path))
    assert f"Nothing of a row leaves this computer except {named}" in said


def test_a_workflow_that_fits_the_ids_badly_is_noted_before_the_run(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("Contact ID,Name\nece4cc84-82a7-41c8-8f2c-2dd54d995e60,Ann\n")
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    site.post(f"/lists/{list_id}/choices", workflow="wf_account_research")
    assert site.workspace.wait(60)
    assert "but only contact IDs are sent" in shown(site, f"/lists/{list_id}")


def test_the_line_of_the_column_names_is_said(site: Site) -> None:
    list_id = site.upload(SAMPLES / "salesforce_report.xlsx").headers["location"][-12:]
    assert site.workspace.wait(60)
    assert "Column names in line 5" in shown(site, f"/lists/{list_id}")


def test_a_row_is_named_as_excel_shows_it_where_cells_hold_line_breaks(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, fail=0.3)) as site:
        batch = finished_batch(site)
        numbers = site.workspace.numbers(batch.rpartition("/")[2])
        assert numbers.in_excel == list(range(2, FEW + 2))
        assert numbers.lines[3:5] == [9, 10]
        assert "Line 9 (row 5 in Excel)" in shown(site, f"{batch}/line/9")
        assert "Excel row File line Account Name Status" in shown(site, batch)
        found = re.search(
            r"in line (\d+) \(row (\d+) in Excel\)", shown(site, f"{batch}/attention")
        )
        assert found is not None
        assert numbers.excel_row(int(found[1])) == int(found[2])


def test_reasons_before_a_run_name_rows_as_excel_shows_them(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    one = "ece4cc84-82a7-41c8-8f2c-2dd54d995e60"
    path.write_text(f'Company ID,"Notes\nof May"\n{one},"a\nb\nc"\n\n{one[:-1]},x\nn/a,"y\nz"\n')
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    site.post(f"/lists/{list_id}/choices", workflow="wf_account_research")
    said = shown_list(site, list_id)
    assert "line 7 (row 4 in Excel)" in said
    assert "line 8 (row 5 in Excel)" in said
    with site.client() as client:
        text = client.get(f"/lists/{list_id}/unsendable.csv").text.removeprefix("\ufeff")
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert found[0][:3] == ["Line", "Excel row", "Reason"]
    assert [row[:2] for row in found if row[0].isdecimal()] == [["7", "4"], ["8", "5"]]


def test_a_row_that_cannot_be_sent_has_a_bare_line_number(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    one = "ece4cc84-82a7-41c8-8f2c-2dd54d995e60"
    path.write_text("Company ID,Name\n" + f"{one},x\n" * 1_499 + "n/a,y\n")
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    site.post(f"/lists/{list_id}/choices", workflow="wf_account_research")
    assert site.workspace.wait(60)
    with site.client() as client:
        text = client.get(f"/lists/{list_id}/unsendable.csv").text.removeprefix("\ufeff")
    title, row = csv.reader(io.StringIO(text, newline=""))
    assert title == ["Line", "Reason", "Company ID", "Name"]
    assert row[0] == "1501"


@pytest.mark.parametrize(
    ("above", "below"), [('"Accounts\nof May"\n\n', ""), ("", "Grand Total (10),,\n")]
)
def test_no_excel_row_is_said_where_lines_that_are_not_read_may_hold_line_breaks(
    site: Site, tmp_path: Path, above: str, below: str
) -> None:
    path = tmp_path / "report.csv"
    one = "ece4cc84-82a7-41c8-8f2c-2dd54d995e"
    rows = "".join(f'{one}{at},Acme {at},"a\nb"\n' for at in range(10, 20))
    path.write_text(f"{above}Company ID,Name,Notes\n{rows}{below}")
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    said = shown(site, f"/lists/{list_id}")
    assert "set aside" in said
    assert "The first rows Line " in said


@pytest.mark.parametrize("name", ["hubspot_contacts.xlsx", "salesforce_report.xlsx"])
def test_a_line_of_a_workbook_is_its_row_in_excel(site: Site, name: str) -> None:
    list_id = site.upload(SAMPLES / name).headers["location"][-12:]
    assert site.workspace.wait(60)
    said = shown(site, f"/lists/{list_id}")
    assert "Excel row" not in said
    assert "Row Line" not in said
    assert "The first rows Line " in said


def test_choices_made_while_a_list_is_checked_count(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    assert workspace.wait(60)
    slow = workspace.check(saved)  # it is still at work when the choices change
    changed = workspace.lists.change(
        saved, request=replace(saved.request, parameters={"depth": "deep"})
    )
    workspace.check(changed)
    assert workspace.check(changed) is not slow
    assert workspace.wait(60)
    kept = workspace.lists.get(saved.id)
    assert kept is not None
    assert kept.request == changed.request
    checked = workspace.state(saved).checked
    assert checked is not None
    assert "deep" in (checked.first_body or "")


def test_a_list_shows_its_run_instead_of_what_a_run_would_send(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    assert "60 to send" in reversed_figures(shown_list(site, saved.id))
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    said = reversed_figures(shown_list(site, saved.id))
    assert "You started this list" in said
    assert "5 completed 55 not sent Open this run" in said
    assert "to send" not in said
    assert run.batch_id is not None
    workspace.resume(run.batch_id)
    assert workspace.wait(60)
    for _ in range(2):  # also after a start
        said = reversed_figures(shown_list(site, saved.id))
        assert "You ran this list" in said
        assert "60 completed Open this run Run everything again" in said
        assert "Run all 60 again" in said
        assert "to send" not in said
        workspace._begin(workspace._settings)


def reversed_figures(said: str) -> str:
    """A screen's text with each figure before its word, as it is shown."""
    words = "to send|duplicates|completed|failed|in doubt|running|not sent|can't be sent"
    return re.sub(rf"\b({words}) ([\d,]+)", r"\2 \1", said)


def test_an_earlier_run_that_was_forgotten_is_not_shown(site: Site) -> None:
    batch = finished_batch(site)
    list_id = site.upload(first_rows(site, FEW)).headers["location"][-12:]
    assert site.workspace.wait(60)
    assert "You ran this list" in shown_list(site, list_id)
    site.workspace.forget(batch.rpartition("/")[2])
    said = shown_list(site, list_id)
    assert "Try 5 rows" in said
    assert "You ran this list" not in said


def recheck_is_disabled(text: str) -> bool:
    return re.search(r'<button form="choices" id="recheck"[^>]* disabled>', text) is not None


def test_a_list_that_cannot_be_run_offers_no_check(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("Name,Account ID\nAcme,0015g00000uf5pzAAB\nBaker,0015g00000uf5pzAAC\n")
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    with site.client() as client:
        text = client.get(f"/lists/{list_id}").text
    assert recheck_is_disabled(text)
    assert "workflow, then check" not in text


def test_a_column_of_ids_with_another_name_is_asked_about(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "firmen.csv"
    rows = "".join(f"Firma {at},ece4cc84-82a7-41c8-8f2c-2dd54d995e{at:02}\n" for at in range(9))
    path.write_text(f"Firma,PG-Firmen-Nr\n{rows}")
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    said = shown(site, f"/lists/{list_id}")
    assert "Is “PG-Firmen-Nr” the company ID or the contact ID? 9 of 9 are PG:AI IDs" in said
    assert "Neither? Then this list has no IDs that can be sent" in said
    assert "First choose above what the column contains, and choose a workflow." in said
    with site.client() as client:
        assert recheck_is_disabled(client.get(f"/lists/{list_id}").text)
    assert "no column with PG:AI IDs is named" not in said
    gate, read = threading.Event(), ReadList.of
    monkeypatch.setattr(ReadList, "of", lambda *given: gate.wait(60) and read(*given))
    site.post(f"/lists/{list_id}/choices", **{"is": "company:PG-Firmen-Nr"})
    assert "no column with PG:AI IDs" not in shown(site, f"/lists/{list_id}")
    gate.set()
    said = shown_list(site, list_id)
    assert "Is “PG-Firmen-Nr”" not in said
    site.post(
        f"/lists/{list_id}/choices",
        company_column="PG-Firmen-Nr",
        workflow="wf_account_research",
    )
    assert "Try 5 rows" in shown_list(site, list_id)


def test_ids_that_are_sent_as_another_kind_than_their_name_says_are_noted(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("Contact ID,Name\nece4cc84-82a7-41c8-8f2c-2dd54d995e60,Ann\n")
    list_id = site.upload(path).headers["location"][-12:]
    assert site.workspace.wait(60)
    fields = {"workflow": "wf_account_research", "company_column": "Contact ID"}
    site.post(f"/lists/{list_id}/choices", **fields)
    said = shown_list(site, list_id)
    assert "'Contact ID' is sent as the company ID, but is named like a contact ID" in said


def test_what_a_run_cost_is_said_when_it_has_ended(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, credits=400)) as site:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
        assert workspace.wait(60)
        assert run.batch_id is not None
        workspace.resume(run.batch_id)
        assert workspace.wait(60)
        said = shown(site, f"/batches/{run.batch_id}")
        assert "This run cost about 60 credits." in said


def test_credits_are_added_up_only_if_each_row_was_sent_once_and_accepted(tmp_path: Path) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=400, fail=1)
    with running_site(tmp_path, sandbox) as site:
        workspace, saved = site.workspace, chosen_list(site)
        settings = workspace._settings.model_copy(update={"stop_after_failures": 0})
        workspace._settings = settings  # else a slow machine sends fewer rows
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        assert workspace.wait(60)
        batch = f"/batches/{run.batch_id}"
        assert "This run cost 60 credits, including failed rows." in shown(site, batch)
        assert run.batch_id is not None
        view = view_batch(workspace, run.batch_id)
        counts = dict.fromkeys(Outcome, 0) | {Outcome.REJECTED: 60}  # such as with 402
        refused = replace(view, summary=replace(view.summary, counts=counts))
        assert run_cost_words(refused) == "Last time, a row cost 1 credit."
        fields = {"retry-FAILED": "yes", "shown": shown_field(site, f"{batch}/attention")}
        site.service._seen.clear()  # else they would succeed
        site.post(f"{batch}/retry", **fields)
        assert workspace.wait(60)
        assert len(site.triggers) == 120
        said = shown(site, batch)
        assert "This run cost about 120 credits, including failed rows. Rows that were sent" in said
        assert "sent again cost about 60 credits of that." in said
        workspace._begin(settings)  # as after a start: what was sent before is not known
        shown(site, f"{batch}/attention")
        fields["shown"] = shown_field(site, f"{batch}/attention")
        site.post(f"{batch}/retry", **fields)
        assert workspace.wait(60)
        assert "Sending 60 rows again cost about 60 credits, on top of what the run" in shown(
            site, batch
        )


def test_only_what_was_sent_is_paid_for_when_results_are_reused(site: Site, tmp_path: Path) -> None:
    workspace = site.workspace

    def ran(
        name: str, *numbers: int, reuse: timedelta | None = None, limit: int | None = None
    ) -> BatchRun:
        rows = "".join(f"00000000-0000-4000-8000-{at:012d}\n" for at in numbers)
        path = tmp_path / name
        path.write_text(f"Company ID\n{rows}")
        list_id = site.upload(path).headers["location"][-12:]
        assert workspace.wait(60)
        saved = workspace.lists.get(list_id)
        assert saved is not None
        request = replace(saved.request, workflow="wf_account_research", reuse=reuse)
        saved = workspace.lists.change(saved, request=request)
        workspace.check(saved)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=limit, again=False)
        assert workspace.wait(60)
        return run

    ran("first.csv", *range(9), 8)
    run = ran("more.csv", *range(11), 8, reuse=timedelta(days=365))
    said = shown(site, f"/batches/{run.batch_id}")
    assert "12 rows: 11 sent or reused, 1 duplicate. This run cost 2 credits." in said
    run = ran("few.csv", *range(7), reuse=timedelta(days=365))
    workspace._begin(workspace._settings)  # it says so after a start, too
    said = shown(site, f"/batches/{run.batch_id}")
    assert "7 rows: 7 reused. Nothing was sent, and it cost nothing." in said
    run = ran("again.csv", *range(6, 9), 12, reuse=timedelta(days=365))
    said = shown(site, f"/batches/{run.batch_id}")
    assert "4 rows: 1 sent, 3 reused. This run cost 1 credit." in said
    ran("pilot.csv", *[0] * 9, *range(20, 30), reuse=timedelta(days=365), limit=2)
    assert "First rows tried" in shown(site, "/")


def test_a_run_stays_in_reach_when_its_list_cannot_be_checked_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    check = checked_list(workspace, saved).id

    def fail() -> None:
        raise ServiceError("The service is away.")

    monkeypatch.setattr(workspace, "workflows", fail)
    run = workspace.run(saved, check, limit=5, again=False)
    assert workspace.wait(60)
    for _ in range(2):  # also after a start
        said = shown_list(site, saved.id)
        assert "The service is away." in said
        assert "You ran this list before" in said
        assert "Remove this list" not in said
        with site.client() as client:
            assert f'href="/batches/{run.batch_id}"' in client.get(f"/lists/{saved.id}").text
        workspace._begin(workspace._settings)


def test_a_choice_that_is_changed_while_a_list_is_checked_is_kept(
    site: Site, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    checked_list(workspace, saved)
    gate, find = threading.Event(), workspace.workflows

    def wait() -> list[Workflow]:
        gate.wait(60)
        return find()

    monkeypatch.setattr(workspace, "workflows", wait)
    workspace.check(saved)
    page = window.page
    page.goto(f"{site.url}/lists/{saved.id}")
    expect(page.locator("#recheck")).to_be_disabled()
    page.get_by_label("Contact ID").select_option("Send none")
    page.get_by_text("Parameters:").click()
    page.get_by_label("Name", exact=True).first.fill("depth")
    expect(page.locator("#changed")).to_be_visible()
    gate.set()
    expect(page.locator("#recheck")).to_be_enabled()
    expect(page.get_by_label("Contact ID")).to_have_value(NO_COLUMN)
    expect(page.get_by_label("Name", exact=True).first).to_be_visible()
    expect(page.get_by_label("Name", exact=True).first).to_have_value("depth")
    expect(page.locator("#changed")).to_be_visible()
    expect(page.get_by_role("button", name="Try 5 rows")).to_be_hidden()


def test_rows_that_are_not_sent_are_counted_as_the_table_names_them(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    run.ended = False  # as just before the end of the trial
    said = reversed_figures(shown(site, f"/batches/{run.batch_id}"))
    run.ended = True
    assert "Trying 5 rows; the others are not sent until you decide." in said
    assert "5 completed 0 running 55 not sent" in said
    assert said.count("Not sent") == 45  # of the 50 rows of a page


def test_what_running_again_costs_stands_in_no_other_paragraph(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
    assert workspace.wait(60)
    shown_list(site, saved.id)
    with site.client() as client:
        text = client.get(f"/lists/{saved.id}").text
    assert "Run everything again" in text
    assert not re.search(r"<p\b(?:(?!</p>).)*<p\b", text, re.DOTALL)


def test_one_row_in_doubt_that_shares_no_id_is_charged_again(shared_site: Site) -> None:
    workspace = shared_site.workspace
    assert retry_words(workspace, None, 1, duplicates=True) == retry_words(workspace, None, 1)
    assert retry_words(workspace, {"credits": 2}, 1) == "1 row is charged again: about 2 credits."


def test_rows_in_doubt_with_the_same_id_cost_once_and_are_still_there_when_they_are_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "twins.csv"
    path.write_text("Company ID\n" + "ece4cc84-82a7-41c8-8f2c-2dd54d995e60\n" * 8)
    with running_site(tmp_path, faults=Faults(garbage=1)) as site:
        list_id = site.upload(path).headers["location"][-12:]
        assert site.workspace.wait(60)
        saved = site.workspace.lists.get(list_id)
        assert saved is not None
        request = replace(saved.request, workflow="wf_account_research")
        saved = site.workspace.lists.change(saved, request=request)
        site.workspace.check(saved)
        check = checked_list(site.workspace, saved).id
        run = site.workspace.run(saved, check, limit=None, again=False)
        assert site.workspace.wait(60)
        batch = f"/batches/{run.batch_id}"
        said = shown(site, f"{batch}/attention")
        assert "Up to 8 rows are charged again: at most 8 credits; duplicates count once." in said
        fields = {"decision": "drop", "shown": shown_field(site, f"{batch}/attention")}
        site.post(f"{batch}/decide", **fields)
        assert site.workspace.wait(60)
        said = shown(site, f"{batch}/attention")
        assert "You left 8 rows in doubt . They are not sent again." in said
        assert "In doubt: no clear answer came when they were sent" in shown(site, batch)
        assert "8 in doubt" in shown(site, "/")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, ""),
        ({"failed": 1}, "1 row failed"),
        ({"in_doubt": 1}, "1 row is in doubt"),
        ({"failed": 5, "timed_out": 1, "in_doubt": 4}, "6 rows failed and 4 rows are in doubt"),
    ],
)
def test_failures_and_rows_in_doubt_are_counted_apart(counts: dict[str, int], said: str) -> None:
    none = dict.fromkeys(("done", "failed", "timed_out", "in_doubt", "invalid", "running"), 0)
    assert problem_words(Figures(**none | counts, rows=20, waiting=0)) == said


def test_removing_a_list_says_nothing_of_a_file_that_a_sample_list_does_not_have(
    site: Site,
) -> None:
    path = site.post("/lists/sample").headers["location"]
    assert "This deletes only batchrun" in shown(site, f"{path}/delete")
    removed = site.post(f"{path}/delete").headers["location"]
    assert "was removed. No other file was changed." in shown(site, removed)


def test_lists_of_one_name_are_told_apart(site: Site) -> None:
    for _ in range(2):
        site.upload(SAMPLES / "salesforce_report.xlsx")
        assert site.workspace.wait(60)
    said = shown(site, "/")
    assert "copy 2 of 2 · " in said
    assert said.index("copy 2 of 2 · ") < said.index("copy 1 of 2 · ")


def test_a_row_s_screen_follows_its_status(site: Site) -> None:
    batch = finished_batch(site)
    with site.client() as client:
        assert client.get(f"{batch}/line/2/live").json()["phase"] == "Completed"
        assert client.get(f"{batch}/line/2222/live").status_code == 404


def test_a_row_in_doubt_is_explained_in_plain_words(tmp_path: Path) -> None:
    with running_site(tmp_path, faults=Faults(garbage=0.3)) as site:
        batch = finished_batch(site)
        doubts = site.workspace.status(batch.rpartition("/")[2], 0).in_doubt
        assert doubts
        table = shown(site, f"{batch}?show=doubt").partition("File line Account Name Status")[2]
        assert "No clear answer came when it was sent. It may have been accepted." in table
        assert "HTTP" not in table
        row = shown(site, f"{batch}/line/{doubts[0].row.line}")
        assert "It may have been accepted. What came back: " in row
        assert "Decide about the rows in doubt" in row


def test_the_first_rows_and_the_question_about_the_rest_are_there_after_a_restart(
    tmp_path: Path,
) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=400)
    with running_site(tmp_path, sandbox) as site:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
        assert workspace.wait(60)
        port = httpx.URL(workspace.settings.base_url).port or 0
    with running_site(tmp_path, port=port) as site:
        said = shown(site, f"/batches/{run.batch_id}")
        assert "5 results to look at" in said
        assert "They cost about 5 credits. The other 55 rows: about " in said
        assert "Nothing more is sent until you decide." in said
        assert "Run the rest" in said
        assert "Continue" not in said


def test_a_decision_about_rows_in_doubt_sends_no_others(tmp_path: Path) -> None:
    with running_site(tmp_path, faults=Faults(garbage=0.6)) as site:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
        assert workspace.wait(60)
        batch = f"/batches/{run.batch_id}"
        assert run.batch_id is not None
        assert workspace.status(run.batch_id, 0).in_doubt
        assert "This sends none of the 55 rows not sent yet." in shown(site, f"{batch}/attention")
        sent = len(site.triggers)
        site.post(f"{batch}/decide", decision="drop")
        assert workspace.wait(60)
        assert len(site.triggers) == sent
        assert workspace.status(run.batch_id, 0).to_confirm == 55
        assert "Run the rest" in shown(site, batch)
