"""What the screens say, without a browser."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from batchrun import Request
from batchrun.errors import UsageError
from batchrun.sandbox import SandboxSettings
from batchrun.web.app import choices_from
from batchrun.web.screens import Phase, ended_words, view_batch
from tests.sandbox.faults import Faults
from tests.web.conftest import running_site
from tests.web.test_page import SAMPLES
from tests.web.test_states import checked_list, chosen_list, finished_batch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Site


def shown(site: Site, path: str) -> str:
    """The text of a screen."""
    with site.client() as client:
        answer = client.get(path, follow_redirects=True)
    main = answer.text.partition("<main")[2]
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", main).split()))


def test_credits_are_in_words_before_and_after_the_first_rows(tmp_path: Path) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=40)
    with running_site(tmp_path, sandbox) as site:
        workspace, saved = site.workspace, chosen_list(site)
        check = checked_list(workspace, saved).id
        said = shown(site, f"/lists/{saved.id}")
        assert "You have 40 credits. What a row costs is known after the first ones." in said
        run = workspace.run(saved, check, limit=5, again=False)
        assert workspace.wait(60)
        said = shown(site, f"/batches/{run.batch_id}")
        assert re.search(r"They took \d+ requests and 5 credits", said)
        assert "about 55 credits" in said
        assert "You have 40 credits" not in shown(site, f"/lists/{saved.id}")  # any more
        workspace.check(workspace.lists.choose(saved, replace(saved.request, parameters={"a": 1})))
        assert workspace.wait(60)
        said = shown(site, f"/lists/{saved.id}")
        assert "Last time, a row cost 1 credit: about 60 credits" in said
        assert "Rows are refused when the credits are gone." in said


def test_stop_says_what_happens_to_the_running_rows(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(), speed=20) as site:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        run.control.begun.wait(30)
        batch = f"/batches/{run.batch_id}"
        running = re.compile(
            r"Stop: nothing more is sent, and (\d+) running rows? (is|are) collect"
        )
        while (found := running.search(shown(site, batch))) is None or found[1] == "0":
            assert not run.ended
        site.post(f"{batch}/stop")
        assert re.search(
            r"Stopping: nothing more is sent\. \d+ running rows? (is|are) collected",
            shown(site, batch),
        )


def test_a_run_with_other_choices_is_not_the_one_that_the_buttons_start(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    assert "Continue this run" in shown(site, f"/lists/{saved.id}")
    fields = {"parameter-0-name": "depth", "parameter-0-value": "deep"}
    site.post(f"/lists/{saved.id}/choices", workflow=saved.request.workflow, **fields)
    assert workspace.wait(60)
    said = shown(site, f"/lists/{saved.id}")
    assert "You ran this list with other choices before" in said
    assert "Continue this run" not in said
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


def test_a_trial_is_still_one_after_the_next_start(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
    assert workspace.wait(60)
    batch = f"/batches/{run.batch_id}"
    before = shown(site, batch)
    workspace._switch(workspace._settings)  # as after a start
    said = shown(site, batch)
    assert "5 results to look at" in before
    assert "5 results to look at" in said
    assert "The other 55 rows: about 113 requests" in said
    assert "Nothing more is sent until you decide. Run the rest" in said
    assert "Tried 5 rows tried; 55 wait for you." in shown(site, "/")


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


def test_a_row_has_its_number_where_lines_of_the_file_are_skipped(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, fail=0.3)) as site:
        batch = finished_batch(site)
        lines = site.workspace.lines(batch.rpartition("/")[2])
        assert lines[3:5] == [9, 10]  # cells of the sample hold line breaks
        assert "Line 9 of the file, row 4 of the list" in shown(site, f"{batch}/line/9")
        assert "Row Line Account Name Status" in shown(site, batch)
        found = re.search(r"Lines? (\d+) \(row (\d+)\)", shown(site, f"{batch}/attention"))
        assert found is not None
        assert lines[int(found[2]) - 1] == int(found[1])


def test_a_row_has_no_number_where_its_line_tells_it(site: Site) -> None:
    list_id = site.upload(SAMPLES / "hubspot_contacts.xlsx").headers["location"][-12:]
    assert site.workspace.wait(60)
    said = shown(site, f"/lists/{list_id}")
    assert "Row Line" not in said
    assert "The first rows Line Record ID" in said


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
        table = shown(site, f"{batch}?show=doubt").partition("Line Account Name Status")[2]
        assert "No clear answer came when it was sent. It may have been charged." in table
        assert "HTTP" not in table
        row = shown(site, f"{batch}/line/{doubts[0].row.line}")
        assert "It may have been charged. What came back: " in row
        assert "Decide about the rows in doubt" in row


def test_the_first_rows_and_the_question_about_the_rest_are_there_after_a_restart(
    tmp_path: Path,
) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, credits=400)
    with running_site(tmp_path, sandbox) as site:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=5, again=False)
        assert workspace.wait(60)
    with running_site(tmp_path) as site:
        said = shown(site, f"/batches/{run.batch_id}")
        assert "5 results to look at" in said
        assert re.search(r"They took \d+ requests and about 5 credits\. The other 55 rows:", said)
        assert "about 55 credits. Nothing more is sent until you decide." in said
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
