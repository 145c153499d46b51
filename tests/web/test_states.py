"""What happens to a page beside the straight way: faults, several starts, many rows, many tabs."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import signal
import subprocess
import threading
import zipfile
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import openpyxl
import pytest
from pydantic import SecretStr

import batchrun
from batchrun import Outcome
from batchrun.sandbox import SandboxSettings, write_demo_list
from batchrun.sandbox.model import DEFAULT_KEYS
from batchrun.settings.model import Settings
from batchrun.web.lists import Lists, lists_folder
from batchrun.web.screens import Phase, sandbox_gone, view_batch
from batchrun.web.server import serve
from batchrun.web.words import plain
from batchrun.web.work import Workspace
from tests.preloaded import COMMAND, Popen
from tests.sandbox.faults import Faults
from tests.waiting import wait_until
from tests.web.conftest import expect, opened, press, remember_prices, running_site
from tests.web.test_page import RUN_MS, SAMPLES, done, drop
from tests.web.test_words import COMMAND_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from batchrun.web.lists import SavedList
    from batchrun.web.work import CheckedPlan
    from tests.web.conftest import Site, Window

CORPUS = sorted(
    path
    for path in (Path(__file__).parents[1] / "corpus" / "files").iterdir()
    if path.suffix != ".json"
)
WHOLE = bool(os.environ.get("BATCHRUN_TESTS_WHOLE_CORPUS"))
SAMPLED = CORPUS if WHOLE else CORPUS[::24]
"""Some are enough: the tests of tables read each file of the corpus."""
DROPPED = (
    CORPUS
    if WHOLE
    else [
        next(path for path in CORPUS if path.suffix == kind)
        for kind in (".csv", ".html", ".xls", ".xlsx")
    ]
)
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/open\?token=\S+")


@contextmanager
def started(
    site: Site, folder: Path, *through: str, **variables: str
) -> Iterator[tuple[Popen, str]]:
    """`batchrun web` as a process of its own, with the service of a site behind it."""
    settings = site.workspace.settings
    remember_prices(Lists(lists_folder(str(folder / "own.db")), settings.base_url))
    environment = {
        **os.environ,
        "PGAI_API_KEY": "sandbox",
        "BATCHRUN_BASE_URL": settings.base_url,
        "BATCHRUN_SPEED": str(settings.speed),
        "BATCHRUN_JOURNAL": str(folder / "own.db"),
        **variables,
    }
    process = Popen(
        [*through, *COMMAND, "web", "--no-browser"],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        found = (ADDRESS.search(line) for line in lines)
        yield process, next(one[0] for one in found if one)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_ctrl_c_while_the_page_starts_or_ends_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    settings = Settings(api_key=SecretStr("key"), journal=str(tmp_path / "journal.db"))
    monkeypatch.setattr(Workspace, "close", interrupted)
    serve(settings, lambda: settings, sandbox_journal="", open_browser=False, say=interrupted)


def test_a_second_start_opens_the_first(site: Site, tmp_path: Path) -> None:
    with started(site, tmp_path) as (first, address), started(site, tmp_path) as (second, again):
        assert second.wait(20) == 0
        assert again != address
        assert httpx.URL(again).port == httpx.URL(address).port
        assert httpx.get(again).status_code == 303
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 0


def test_a_killed_server_is_said_and_the_batch_goes_on_after_the_next_start(
    browser: Browser, tmp_path: Path
) -> None:
    with running_site(tmp_path, speed=20) as site, started(site, tmp_path) as (process, address):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        drop(page, SAMPLES / "salesforce_accounts.csv")
        page.get_by_role("button", name="Run all 60").click()
        page.wait_for_url("**/batches/*")
        while len(site.triggers) < 10:
            page.wait_for_timeout(20)
        process.kill()
        process.wait()
        expect(page.locator("#offline")).to_contain_text("not running any more")
        expect(page.locator(".expected")).to_be_hidden()
        with started(site, tmp_path) as (_, next_address):
            batch = httpx.URL(page.url).path
            page.goto(next_address)
            # "Decide" if the server was killed while it sent a row
            link = page.get_by_role("link", name=re.compile("^(Open|Watch|Decide) sales"))
            expect(link).to_be_visible()
            page.goto(str(httpx.URL(next_address).join(batch)))
            page.get_by_role("button", name="Continue").click(timeout=RUN_MS)
            done(page)
        context.close()
        assert len(site.triggers) == len(set(site.triggers))


def test_ctrl_c_collects_what_is_running_and_the_next_start_offers_to_continue(
    browser: Browser, tmp_path: Path
) -> None:
    with running_site(tmp_path, SandboxSettings(), speed=60) as site:
        with started(site, tmp_path) as (process, address):
            context = browser.new_context()
            page = context.new_page()
            page.goto(address)
            drop(page, SAMPLES / "salesforce_accounts.csv")
            page.get_by_role("button", name="Run all 60").click()
            page.wait_for_url("**/batches/*")
            while len(site.triggers) < 5:
                page.wait_for_timeout(20)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        sent = len(site.triggers)
        with started(site, tmp_path) as (_, address):
            page.goto(address)
            if sent < 60:
                page.get_by_role("link", name="Open").click()
                page.get_by_role("button", name="Continue").click()
                done(page)
        context.close()
        assert len(site.triggers) == len(set(site.triggers)) == 60


def test_a_batch_of_a_terminal_is_shown_live_and_read_only(window: Window, site: Site) -> None:
    ended = threading.Event()

    def run() -> None:
        batchrun.run(
            SAMPLES / "salesforce_accounts.csv",
            "Account Research",
            output=Path(site.workspace.settings.journal).parent / "out.xlsx",
            settings=site.workspace.settings.model_copy(update={"max_in_flight": 2}),
        )
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    page = window.page
    page.get_by_role("link", name="Watch").click()
    expect(page.get_by_text("run by another window or a terminal")).to_be_visible()
    assert page.get_by_role("button", name="Stop").count() == 0
    assert page.get_by_role("link", name="Forget this run").count() == 0
    done(page)
    thread.join()
    assert ended.is_set()


def test_rows_in_doubt_are_sent_again_only_when_the_risk_is_accepted(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        running_site(tmp_path, faults=Faults(garbage=0.3), priced=True) as site,
        opened(browser, site) as window,
    ):
        page = window.page
        drop(page, SAMPLES / "salesforce_accounts.csv")
        page.get_by_role("button", name="Run all 60").click()
        page.wait_for_url("**/batches/*")
        expect(page.locator("main .message b").first).to_be_visible(timeout=RUN_MS)
        batch_id = page.url.rpartition("/")[2]
        before = {row.row.line for row in site.workspace.status(batch_id, 0).in_doubt}
        doubts = len(before)
        assert doubts > 1
        page.goto(f"{site.url}/batches/{batch_id}/attention")
        expect(page.get_by_role("heading", name=f"{doubts} rows in doubt")).to_be_visible()
        sent = len(site.triggers)
        page.get_by_label("Send again", exact=False).check()
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_text("only if you accept the risk")).to_be_visible()
        assert len(site.triggers) == sent
        page.go_back()
        page.get_by_label("Leave them").check()
        page.get_by_role("button", name="Apply").click()
        page.wait_for_url("**/batches/*")
        ended = page.locator("main .message b, #pilot-title").first  # a rest may wait, too
        expect(ended).to_be_visible(timeout=RUN_MS)
        after = {row.row.line for row in site.workspace.status(batch_id, 0).in_doubt}
        assert not before & after
        window.messages.clear()  # Chromium notes the 400 of the refusal


def dropped(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the window, as from a folder."""
    page.evaluate(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
          const dropped = new DataTransfer();
          dropped.items.add(new File([bytes], name));
          for (const event of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(
              new DragEvent(event, { dataTransfer: dropped, bubbles: true, cancelable: true }));
        }""",
        [name, b64encode(content).decode()],
    )


@pytest.fixture(scope="module")
def corpus_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("corpus")) as found:
        yield found


def test_files_of_the_corpus_are_shown_or_refused_as_the_command_line_does(
    corpus_site: Site,
) -> None:
    site = corpus_site
    for path in SAMPLED:
        answer = site.upload(path)
        assert answer.status_code == 303, path.name
        list_id = answer.headers["location"].rpartition("/")[2]
        site.workspace.wait(60)
        with site.client() as client:
            shown = client.get(f"/lists/{list_id}")
        assert shown.status_code == 200, path.name
        expected = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
        if expected.get("options", True):  # other tests show what is read with them
            continue
        state = site.workspace.states[list_id]
        said = "" if state.error is None else f"{state.error.what} {state.error.hint}"
        assert expected["error"] in said, path.name
        assert bool(expected["error"]) == bool(said), path.name
        rows = None if state.read is None else state.read.rows
        assert rows == (len(expected["table"]) - 1 if expected["table"] else None), path.name


@pytest.mark.timeout(1_800 if WHOLE else 300)
def test_files_of_the_corpus_are_shown_or_refused_when_they_are_dropped(
    browser: Browser, corpus_site: Site
) -> None:
    """With ``BATCHRUN_TESTS_WHOLE_CORPUS=1``, every file: see CONTRIBUTING.md."""
    counts: Counter[str] = Counter()
    wrong = []
    with opened(browser, corpus_site) as window:
        page = window.page
        page.on("response", lambda answer: counts.update([f"HTTP {answer.status}"]))
        for path in DROPPED:
            expected = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
            page.goto(corpus_site.url)
            dropped(page, path.name, path.read_bytes())
            page.wait_for_url("**/lists/*")
            expect(page.locator(".loading"), path.name).to_have_count(0)
            said = " ".join(page.locator("main").inner_text().split())
            shown = page.get_by_role("heading", name="The first rows").count() > 0
            counts["shown" if shown else "refused"] += 1
            error = corpus_site.workspace.states[page.url.rpartition("/")[2]].error
            if not shown and (error is None or " ".join(plain(error.what).split()) not in said):
                wrong.append(f"{path.name} is not refused in the command line's words: {said}")
            notes = page.get_by_role("alert").or_(page.get_by_label("How the file was read"))
            if COMMAND_LINE.search(" ".join(notes.all_inner_texts())):
                wrong.append(f"{path.name} shows words of the command line: {said}")
            if not expected.get("options", True) and shown != bool(expected["table"]):
                wrong.append(f"{path.name} is {'shown' if shown else 'refused'}: {said}")
            page.get_by_role("link", name=re.compile("^Remove this")).click()
            page.get_by_role("button", name="Remove it").click()
            page.wait_for_url(f"{corpus_site.url}/?*")
        print(f"{len(DROPPED)} files: {dict(counts)}, {len(window.messages)} console messages")
    wrong += [name for name in counts if name.startswith("HTTP 5")]
    assert not wrong, "\n".join(wrong)


def test_other_pages_answer_while_a_long_list_is_read_run_and_written(tmp_path: Path) -> None:
    """How fast is a matter of ``benchmarks/page.py``: here, that they do not wait for the end."""
    path = tmp_path / "long.csv"
    rows = "".join(f"00000000-0000-4000-8000-{at:012d},Name {at}\n" for at in range(10_000))
    path.write_text(f"Company ID,Name\n{rows}")
    with running_site(tmp_path) as site, site.client() as client:
        workspace = site.workspace

        def answers_while(busy: Callable[[], bool]) -> bool:
            while busy():
                assert client.get("/settings").status_code == 200
                if busy():
                    wait_until(lambda: not busy())
                    return True
            return False

        list_id = site.upload(path).headers["location"].rpartition("/")[2]
        assert answers_while(lambda: workspace.states[list_id].busy)
        site.post(f"/lists/{list_id}/choices", workflow="wf_account_research")
        assert answers_while(lambda: workspace.states[list_id].busy)
        saved = workspace.lists.get(list_id)
        assert saved is not None
        checked = checked_list(workspace, saved)
        assert checked.to_trigger == 10_000
        run = workspace.run(saved, checked.id, limit=5, again=False)  # enters and writes all rows
        assert answers_while(lambda: not run.ended)
        batch = f"/batches/{run.batch_id}"
        target = f"{batch}/download"
        with ThreadPoolExecutor(1) as pool, site.client() as other:
            download = pool.submit(other.get, target)
            assert answers_while(lambda: not download.done())
            assert download.result().status_code == 200


def test_progress_is_announced_to_a_screen_reader(browser: Browser, tmp_path: Path) -> None:
    with (
        running_site(tmp_path, SandboxSettings(), speed=20) as site,
        opened(browser, site) as window,
    ):
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        run.control.begun.wait(30)
        page = window.page
        page.goto(f"{site.url}/batches/{run.batch_id}")
        live = page.get_by_role("status").and_(page.locator("#say"))
        expect(live).to_have_text(re.compile(r"^\d+ of 60 rows finished$"))
        bar = page.get_by_role("progressbar", name="Rows finished")
        expect(bar).to_have_attribute("aria-valuetext", re.compile(r"^\d+ of 60 rows finished$"))
        page.goto("about:blank")


KEY = "pgai-key-of-this-test-alone-4711"


def test_the_key_is_in_no_page_address_output_or_picture(browser: Browser, tmp_path: Path) -> None:
    """A key that is in no page's HTML and in no field can be in no picture of it either."""
    with running_site(
        tmp_path, SandboxSettings(rate_per_minute=None, keys={KEY: DEFAULT_KEYS["sandbox"]})
    ) as site:
        with (
            started(site, tmp_path, PGAI_API_KEY=KEY) as started_page,
            opened(browser, site) as window,
        ):
            process, address = started_page
            page = window.page
            seen: list[str] = []
            page.on("request", lambda request: seen.append(request.url))
            page.goto(address)
            drop(page, SAMPLES / "salesforce_report.xlsx")
            seen.append(page.content())
            page.get_by_role("button", name="Run all").click()
            done(page)
            batch = page.url
            row = page.locator("table.rows th a").first.get_attribute("href") or ""
            for path in (batch, f"{batch}/attention", row, "/settings", "/start"):
                page.goto(str(httpx.URL(batch).join(path)))
                seen.append(page.content())
                fields = page.locator("input")
                seen += [fields.nth(at).input_value() for at in range(fields.count())]
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert process.stdout is not None
            seen.append(process.stdout.read())
        assert not [text for text in seen if KEY in text]


def workbook_of_results(site: Site, path: Path, mark: int = 0) -> Path:
    """The downloaded workbook of a finished run, with its first rows marked."""
    settings = site.workspace.settings
    source = SAMPLES / "salesforce_report.xlsx"
    batchrun.run(source, "Account Research", output=path.with_name("own.xlsx"), settings=settings)
    batchrun.export(None, path, settings)
    book = openpyxl.load_workbook(path)
    sheet = book["Results"]
    titles = [cell.value for cell in sheet[1]]
    for line in range(2, 2 + mark):
        sheet.cell(line, titles.index("run again") + 1, "x")
    book.save(path)
    return path


def test_marked_rows_of_a_workbook_of_results_are_run_again(
    window: Window, site: Site, tmp_path: Path
) -> None:
    path = workbook_of_results(site, tmp_path / "done.xlsx", mark=2)
    sent = len(site.triggers)
    page = window.page
    page.locator("input[type=file]").set_input_files(path)
    expect(page.get_by_role("heading", name="2 rows marked to run again")).to_be_visible()
    expect(page.get_by_text("2 rows are charged again")).to_be_visible()
    expect(
        page.get_by_text(re.compile(r"^Marked in this workbook: .+ in row 2, .+ in row 3\.$"))
    ).to_be_visible()
    page.get_by_role("button", name="Run 2 marked rows again").dblclick()
    page.wait_for_url("**/batches/*")
    done(page)
    assert len(site.triggers) == sent + 2
    expect(page.get_by_text("Sending 2 rows again cost about 2 credits,")).to_be_visible()
    batch = page.url
    run = site.workspace.run_of(batch.rpartition("/")[2])
    assert run is not None
    run.ended = False  # as just before its end
    page.goto(batch)
    again = "2 of 15 rows sent again. 2 rows are charged again: about 2 credits."
    expect(page.get_by_text(again)).to_be_visible()
    run.ended = True
    page.get_by_role("link", name="Lists", exact=True).first.click()
    page.wait_for_url(re.compile(r":\d+/$"))  # until its script runs, too
    expect(page.get_by_text("Not run yet")).to_have_count(0)
    page.locator("input[type=file]").set_input_files(path)  # a mark counts once
    expect(page.get_by_text("not sent again")).to_be_visible()
    assert page.get_by_role("button", name=re.compile("^Run")).count() == 0
    page.get_by_role("link", name="See the results").click()
    assert page.url == batch
    assert len(site.triggers) == sent + 2


@pytest.mark.parametrize("saved_by_another_program", [False, True])
def test_a_workbook_of_results_without_marks_is_not_run_as_a_list(
    site: Site, tmp_path: Path, saved_by_another_program: bool
) -> None:
    output = workbook_of_results(site, tmp_path / "done.xlsx")
    if saved_by_another_program:
        with zipfile.ZipFile(output) as parts, zipfile.ZipFile(tmp_path / "x.xlsx", "w") as other:
            for name in parts.namelist():
                if not name.startswith("docProps"):
                    other.writestr(name, parts.read(name))
        output = tmp_path / "x.xlsx"
    sent = len(site.triggers)
    list_id = site.upload(output).headers["location"].rpartition("/")[2]
    site.workspace.wait(60)
    with site.client() as client:
        shown = client.get(f"/lists/{list_id}").text
        home = client.get("/").text
    assert "no row of it is marked" in shown
    assert re.search(r"holds the results of \S+, run \d{4}-\d\d-\d\d \d\d:\d\d, and no row", shown)
    assert ("See this run" in shown) is not saved_by_another_program
    assert "mark the rows" in shown
    assert "Run all" not in shown
    assert "Can&#39;t be read" not in home  # it can, and says what to do
    assert "Not run yet" not in home
    assert "Results of a run" in home
    assert site.post(f"/lists/{list_id}/delete").status_code == 303
    assert site.workspace.lists.all() == []
    assert len(site.triggers) == sent


def test_a_list_deleted_while_it_is_checked_stays_deleted(tmp_path: Path) -> None:
    lists = Lists(tmp_path / "lists")
    path = lists.new_path("list.csv")
    path.write_text("Company ID\n", encoding="utf-8")
    saved = lists.add(path)
    lists.delete(saved.id)

    lists.change(
        saved, request=replace(saved.request, workflow="wf")
    )  # as the check does at its end

    assert lists.all() == []
    assert not path.exists()


def test_the_next_start_removes_what_a_dead_process_left(tmp_path: Path) -> None:
    lists = Lists(tmp_path / "lists")
    half, path = lists.new_path("half.csv"), lists.new_path("list.csv")
    half.write_text("Company", encoding="utf-8")
    path.write_text("Company ID\n", encoding="utf-8")
    saved = lists.add(path)
    temporary, fresh = path.with_name(".list.results.a1.xlsx"), path.with_name(".now.b2.xlsx")
    for each in (temporary, fresh):
        each.write_bytes(b"half")
    os.utime(temporary, (0, 0))

    lists.remove_leftovers()

    assert lists.all() == [saved]
    assert sorted(one.name for one in path.parent.iterdir()) == [fresh.name, path.name, "list.json"]
    assert not half.parent.exists()


def test_more_tabs_than_connections_to_a_server_are_all_live(window: Window, site: Site) -> None:
    page = window.page
    drop(page, SAMPLES / "salesforce_accounts.csv")
    page.get_by_role("button", name="Try 5 rows").click()
    page.wait_for_url("**/batches/*")
    tabs = [page.context.new_page() for _ in range(6)]  # Chromium opens six connections at most
    for tab in tabs:
        tab.goto(page.url)
    for tab in [page, *tabs]:
        expect(tab.get_by_role("button", name="Run the rest")).to_be_visible(timeout=RUN_MS)
    page.get_by_role("button", name="Run the rest").click()
    for tab in [page, *tabs]:
        tab.bring_to_front()
        done(tab)


def test_what_has_not_changed_is_not_drawn_again(browser: Browser, shared_site: Site) -> None:
    with opened(browser, shared_site) as window:
        page = window.page
        page.locator("main").evaluate("(main) => { main.dataset.seen = 'yes'; }")
        for _ in range(3):
            page.wait_for_event("requestfinished", lambda request: "/live" in request.url)
        expect(page.locator("main[data-seen=yes]")).to_be_visible()


AXE = Path(os.environ.get("BATCHRUN_TESTS_AXE", "axe.min.js"))


def violations(page: Page) -> list[str]:
    """What axe-core finds on a page in light and dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        result = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        found += [
            f"{scheme} {page.url} {one['id']}: {node['html'][:120]}"
            for one in result["violations"]
            for node in one["nodes"]
        ]
    return found


def test_no_screen_has_a_violation_and_all_is_reached_by_keyboard(
    browser: Browser, tmp_path: Path
) -> None:
    if not AXE.exists():
        if os.environ.get("BATCHRUN_TESTS_NEED_BROWSER"):
            pytest.fail("axe-core is missing: set BATCHRUN_TESTS_AXE to its axe.min.js")
        pytest.skip("axe-core is not there; BATCHRUN_TESTS_AXE names its axe.min.js.")
    sandbox = SandboxSettings(rate_per_minute=None, fail=0.3)
    with (
        running_site(tmp_path, sandbox, speed=600) as site,
        opened(browser, site, bypass_csp=True) as window,
    ):
        page = window.page
        page.context.add_init_script(path=AXE)
        found = []
        for path in ("/", "/start", "/settings"):
            page.goto(site.url + path)
            found += violations(page)
        page.goto(site.url)
        drop(page, SAMPLES / "duplicates_and_damage.csv")
        found += violations(page)
        list_address = page.url
        press(page, "Try 5 rows")
        page.wait_for_url("**/batches/*")
        expect(page.get_by_role("button", name="Run the rest")).to_be_visible(timeout=RUN_MS)
        found += violations(page)
        press(page, "Run the rest")
        done(page)
        found += violations(page)
        batch = page.url
        for path in ("/attention", "/forget", "/line/2"):
            page.goto(batch + path)
            found += violations(page)
        page.goto(list_address)
        expect(page.locator(".loading")).to_have_count(0)
        found += violations(page)
        page.goto(f"{site.url}/nothing/here")
        found += violations(page)
        window.messages.clear()  # Chromium notes the 404
        page.context.clear_cookies()
        page.goto(site.url)
        found += violations(page)
        window.messages.clear()
        assert not found, "\n".join(found)


def test_the_sandbox_is_used_without_a_key_and_left_again(tmp_path: Path) -> None:
    settings = batchrun.Settings(journal=str(tmp_path / "journal.db"))
    workspace = Workspace(settings, lambda: settings, str(tmp_path / "sandbox.db"))
    assert not workspace.has_key
    workspace.use_sandbox()
    assert workspace.has_key
    assert workspace.settings.journal == str(tmp_path / "sandbox.db")
    workspace.leave_sandbox()
    assert workspace.settings == settings
    assert not workspace.has_key


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of POSIX")
def test_a_page_under_nohup_outlives_its_terminal(site: Site, tmp_path: Path) -> None:
    with started(site, tmp_path, "nohup") as (process, address):
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert httpx.get(address).status_code < 500
        process.terminate()
        assert process.wait(60) == 0


def test_practice_goes_on_after_the_next_start(tmp_path: Path) -> None:
    settings = batchrun.Settings(journal=str(tmp_path / "journal.db"))
    addresses = set()
    for start in range(3):
        workspace = Workspace(settings, lambda: settings, str(tmp_path / "sandbox.db"))
        assert workspace.has_practiced is bool(start)
        workspace.use_sandbox()
        addresses.add(workspace.settings.base_url)
        if not start:
            path = workspace.lists.new_path("list.csv")
            write_demo_list(path)
            saved = workspace.lists.add(path)
            workspace.lists.change(
                saved, request=replace(saved.request, workflow="wf_account_research")
            )
        (saved,) = workspace.lists.all()
        checked = checked_list(workspace, saved)
        if not start:
            assert checked.earlier is None
            workspace.run(saved, checked.id, limit=2, again=False)
        else:
            assert checked.earlier is not None
            view = view_batch(workspace, checked.earlier.batch_id)
            assert not sandbox_gone(view)
            assert view.phase is (Phase.PILOT if start == 1 else Phase.DONE)
            if start == 1:
                workspace.resume(checked.earlier.batch_id)
        assert workspace.wait(60)
        workspace.close()
    assert len(addresses) > 1


def checked_list(workspace: Workspace, saved: SavedList) -> CheckedPlan:
    """A list as its screen would show it."""
    workspace.state(saved)
    assert workspace.wait(60)
    checked = workspace.state(saved).checked
    assert checked is not None
    return checked


def test_what_would_hide_or_break_a_run_is_refused_where_it_was_asked_for(tmp_path: Path) -> None:
    with running_site(tmp_path, speed=10) as site, site.client() as client:
        workspace, saved = site.workspace, chosen_list(site)
        run = workspace.run(saved, checked_list(workspace, saved).id, limit=None, again=False)
        run.control.begun.wait(30)
        for path, said in (
            ("/settings/sandbox", "A run is still going"),
            (f"/batches/{run.batch_id}/forget", "This run is still going"),
            ("/settings/limits", "must be a whole number"),
        ):
            answer = site.post(path, daily="many")
            assert answer.status_code == 303
            shown = client.get(answer.headers["location"], follow_redirects=True).text
            assert said in shown
            assert "Another batchrun" not in shown
        assert not workspace.sandbox
        assert workspace.active == [run]


def first_rows(site: Site, rows: int) -> Path:
    """A list of the first rows of a sample."""
    source = SAMPLES / "salesforce_accounts.csv"
    path = Path(site.workspace.settings.journal).with_name(source.name)
    with source.open(encoding="utf-8-sig", newline="") as file:
        records = itertools.islice(csv.reader(file), rows + 1)
        with path.open("w", encoding="utf-8", newline="") as shorter:
            csv.writer(shorter).writerows(records)
    return path


def chosen_list(site: Site, rows: int = 60) -> SavedList:
    """A list that was uploaded, with a workflow."""
    list_id = site.upload(first_rows(site, rows)).headers["location"][-12:]
    site.workspace.wait(60)
    saved = site.workspace.lists.get(list_id)
    assert saved is not None
    chosen = replace(saved.request, workflow="wf_account_research")
    saved = site.workspace.lists.change(saved, request=chosen)
    site.workspace.check(saved)
    return saved


def test_a_trial_is_said_to_be_one_and_its_files_are_downloaded(site: Site) -> None:
    workspace, saved = site.workspace, chosen_list(site)
    checked = checked_list(workspace, saved)
    with site.client() as client:
        run = workspace.run(saved, checked.id, limit=5, again=False)
        while not run.ended:
            if run.batch_id is not None:
                view = view_batch(workspace, run.batch_id)
                assert view.phase is not Phase.RUNNING or view.trial == 5
        checked_list(workspace, saved)
        assert "Open this run" in client.get(f"/lists/{saved.id}").text
        batch = client.get(f"/batches/{run.batch_id}").text
        assert "Download workbook" in batch
        assert "CSV for Salesforce" not in batch  # offered when all results are there
        for kind in ("", "people", "csv", "salesforce", "jsonl"):
            answer = client.get(f"/batches/{run.batch_id}/download?as={kind}")
            assert "%20%285%20of%2060%20rows%29." in answer.headers["content-disposition"]


FEW = 10


def finished_batch(site: Site) -> str:
    """The address of a run of a few rows that has ended."""
    saved = chosen_list(site, FEW)
    checked = checked_list(site.workspace, saved)
    run = site.workspace.run(saved, checked.id, limit=None, again=False)
    assert site.workspace.wait(60)
    return f"/batches/{run.batch_id}"


def test_a_tab_says_that_its_run_was_forgotten_in_another(window: Window, site: Site) -> None:
    batch = finished_batch(site)
    page, other = window.page, window.page.context.new_page()
    other.goto(site.url + batch)
    page.goto(f"{site.url}{batch}/forget")
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_text("No lists yet")).to_be_visible()
    other.bring_to_front()
    expect(other.locator("#offline")).to_contain_text("forgotten in another window")
    other.reload()
    expect(other.get_by_text("This run is not here any more.")).to_be_visible()


def test_each_screen_says_that_batchrun_has_ended(browser: Browser, tmp_path: Path) -> None:
    with ExitStack() as stack:
        site = stack.enter_context(running_site(tmp_path))
        with opened(browser, site) as window:
            batch, not_run = finished_batch(site), chosen_list(site)
            checked_list(site.workspace, not_run)
            page = window.page
            tabs = [page]
            for path in (
                *("/start", "/", f"/lists/{not_run.id}", f"/lists/{not_run.id}/delete"),
                *(f"{batch}{part}" for part in ("", "/attention", "/forget", "/line/2")),
            ):
                tabs.append(page.context.new_page())
                tabs[-1].goto(site.url + path)
            page.goto(f"{site.url}/settings")
            expect(page.get_by_role("button", name="Save")).to_be_visible()
            stack.close()
            for tab in reversed(tabs):
                tab.bring_to_front()
                expect(tab.locator("#offline"), tab.url).to_contain_text("not running any more")
            page.get_by_role("button", name="Save").dispatch_event("click")
            expect(page.get_by_role("heading", name="Limits")).to_be_visible()
            window.messages.clear()  # Chromium notes what it could not reach


def test_a_list_is_dropped_on_any_screen(window: Window, site: Site) -> None:
    page = window.page
    drop(page, SAMPLES / "salesforce_accounts.csv")
    first = page.url
    dropped(page, "second.csv", b"Company ID,Name\nece4cc84-82a7-41c8-8f2c-2dd54d995e60,Acme\n")
    expect(page.get_by_role("heading", name="second.csv")).to_be_visible()
    assert page.url != first


def twice(site: Site, path: str, **fields: str) -> list[str]:
    """Send a form as two tabs at once, then a third time; the addresses that they lead to."""
    with ThreadPoolExecutor(2) as tabs:
        answers = list(tabs.map(lambda _: site.post(path, **fields), range(2)))
    assert site.workspace.wait(60)
    answers.append(site.post(path, **fields))
    assert site.workspace.wait(60)
    with site.client() as client:
        reloaded = client.get(path, follow_redirects=True)  # as Reload or Back would
        assert reloaded.status_code in {200, 404}
        for answer in answers:
            assert answer.status_code in {303, 404}, path
            if answer.status_code == 303:
                shown = client.get(answer.headers["location"], follow_redirects=True)
                assert shown.status_code in {200, 404}  # it may be deleted
    return [answer.headers.get("location", "") for answer in answers]


@pytest.mark.parametrize("what", ["pilot", "all"])
def test_a_run_that_is_started_twice_sends_each_row_once(site: Site, what: str) -> None:
    saved = chosen_list(site)
    check, fields = checked_list(site.workspace, saved).id, {"workflow": saved.request.workflow}
    batch, again, third = twice(
        site, f"/lists/{saved.id}/choices", what=what, check=check, **fields
    )
    assert batch == again == third
    assert len(site.triggers) == (5 if what == "pilot" else 60)
    twice(site, f"{batch}/resume")
    assert len(site.triggers) == len(set(site.triggers)) == 60
    twice(site, f"{batch}/stop")
    twice(site, f"{batch}/forget")
    assert site.workspace.batches() == []
    assert len(site.triggers) == 60


def shown_field(site: Site, path: str) -> str:
    """What the forms of a screen say that it shows."""
    with site.client() as client:
        found = re.search(r'name="shown" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def test_a_page_that_was_shown_before_another_run_sent_its_rows_sends_nothing(
    site: Site, tmp_path: Path
) -> None:
    companies, settings = [str(uuid4()) for _ in range(3)], site.workspace.settings
    lists = tmp_path / "list.csv", tmp_path / "longer.csv"
    for path, some in zip(lists, (companies[:2], companies), strict=True):
        path.write_text("\n".join(["Company ID", *some]), encoding="utf-8")
    batchrun.run(lists[0], "Account Research", limit=1, settings=settings)
    (summary,) = batchrun.batches(settings=settings)
    batch = f"/batches/{summary.batch_id}"
    before = shown_field(site, batch)
    reuse = timedelta(days=30)
    batchrun.run(lists[1], "Account Research", reuse=reuse, settings=settings)
    refused = site.post(f"{batch}/resume", shown=before)
    with site.client() as client:
        page = client.get(refused.headers["location"]).text
    assert "has changed since this page was shown. Nothing was sent." in page
    assert "was already sent, or is about to be, in another run" in page
    assert len(site.triggers) == 3
    site.post(f"{batch}/resume", shown=shown_field(site, batch))
    assert site.workspace.wait(60)
    assert len(site.triggers) == 4


@pytest.mark.parametrize("what", ["pilot", "all"])
def test_a_list_that_was_shown_before_another_run_sent_its_rows_sends_nothing(
    site: Site, what: str
) -> None:
    saved, shorter = (chosen_list(site, rows) for rows in (8, 7))
    path, shown = f"/lists/{saved.id}", checked_list(site.workspace, saved).id
    check = checked_list(site.workspace, shorter).id
    site.workspace.run(shorter, check, limit=None, again=False)
    assert site.workspace.wait(60)
    form = {"workflow": saved.request.workflow, "what": what}
    site.post(f"{path}/choices", check=shown, **form)
    assert site.workspace.wait(60)
    assert len(site.triggers) == 7
    with site.client() as client:
        assert "Nothing was sent. Check the list again." in client.get(path).text
        site.post(f"{path}/choices", workflow=saved.request.workflow)
        assert site.workspace.wait(60)
        assert "7 rows were researched in the last" in client.get(path).text
    site.post(f"{path}/choices", check=checked_list(site.workspace, saved).id, **form)
    assert site.workspace.wait(60)
    assert len(site.triggers) == 7 + (5 if what == "pilot" else 8)


@pytest.mark.parametrize(
    ("fail", "faults", "path", "choice"),
    [
        (0.5, None, "retry", {"retry-FAILED": "yes"}),
        (0.0, Faults(garbage=0.3), "decide", {"decision": "retry", "twice": "yes"}),
    ],
    ids=["failed", "in doubt"],
)
def test_a_page_with_rows_that_another_run_has_sent_since_sends_nothing(
    tmp_path: Path, fail: float, faults: Faults | None, path: str, choice: dict[str, str]
) -> None:
    sandbox = SandboxSettings(rate_per_minute=None, fail=fail, seed=3)
    with running_site(tmp_path, sandbox, faults=faults) as site:
        batch, settings = finished_batch(site), site.workspace.settings
        (summary,) = batchrun.batches(settings=settings)
        before = shown_field(site, f"{batch}/attention")
        batchrun.run(str(summary.source.path), "Account Research", again=True, settings=settings)
        sent = len(site.triggers)
        site.post(f"{batch}/{path}", shown=before, **choice)
        site.workspace.wait(60)
        assert len(site.triggers) == sent
        after = shown_field(site, f"{batch}/attention")
        with site.client() as client:
            page = client.get(f"{batch}/attention").text
        assert re.search(r"\d of these rows (was|were) already sent, or \w+ about to be", page)
        site.post(f"{batch}/{path}", shown=after, **choice)
        assert site.workspace.wait(60)
        assert len(site.triggers) > sent


def test_a_retry_that_is_sent_twice_pays_once(tmp_path: Path) -> None:
    with running_site(tmp_path, SandboxSettings(rate_per_minute=None, fail=0.3)) as site:
        batch = finished_batch(site)
        failed = site.workspace.status(batch.rpartition("/")[2], 0).summary.counts[Outcome.FAILED]
        assert failed
        sent = len(site.triggers)
        fields = {"shown": shown_field(site, f"{batch}/attention"), "retry-FAILED": "yes"}
        twice(site, f"{batch}/retry", **fields)
        assert len(site.triggers) == sent + failed


def test_rows_in_doubt_that_are_sent_again_twice_are_sent_once(tmp_path: Path) -> None:
    with running_site(tmp_path, faults=Faults(garbage=0.3)) as site:
        batch = finished_batch(site)
        shown = shown_field(site, f"{batch}/attention")
        twice(site, f"{batch}/decide", shown=shown, decision="retry", twice="yes")
        assert max(Counter(site.triggers).values()) == 2


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/lists/{list}/choices", {"workflow": "wf_account_research"}),
        ("/lists/{list}/delete", {}),
        ("/lists/sample", {}),
        ("/settings/limits", {"daily": "5000"}),
        ("/settings/key", {"key": "sandbox"}),
        ("/settings/logout", {}),
        ("/settings/sandbox", {}),
        ("/settings/real", {}),
        ("/start/key", {"key": "sandbox"}),
        ("/start/sandbox", {}),
    ],
)
def test_a_form_that_is_sent_twice_does_no_more_than_once(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fields: dict[str, str],
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # profiles of this test alone
    list_id = site.upload(SAMPLES / "salesforce_report.xlsx").headers["location"][-12:]
    assert site.workspace.wait(60)
    twice(site, path.format(list=list_id), **fields)
    assert site.triggers == []


def test_a_field_says_beside_it_what_is_wrong_with_it(window: Window, site: Site) -> None:
    page = window.page
    page.locator("input[type=file]").set_input_files(SAMPLES / "salesforce_accounts.csv")
    page.wait_for_url("**/lists/*")
    expect(page.locator(".loading")).to_have_count(0)
    about = page.locator("#about")
    expect(about).to_contain_text("Account Research: Research one company in depth.")
    check = page.get_by_role("button", name="Check the list")
    check.click()
    wrong = page.get_by_role("alert").filter(has_text="Choose a workflow.")
    expect(wrong).to_be_visible()
    expect(page.get_by_label("Workflow")).to_be_focused()
    page.get_by_label("Workflow").select_option(label="Account Research")
    expect(wrong).to_have_count(0)
    expect(about).to_have_text("Research one company in depth.")
    page.get_by_text("Parameters:").click()
    page.get_by_label("Name", exact=True).first.fill("depth")
    page.get_by_text("Parameters:").click()
    check.click()
    expect(page.get_by_role("alert").filter(has_text="Enter a value")).to_be_visible()
    page.get_by_label("Text or number").first.fill("2")
    check.click()
    expect(page.locator("dt", has_text="to send")).to_be_visible()


def test_a_download_is_said_to_be_prepared_only_until_it_begins(window: Window, site: Site) -> None:
    page = window.page
    page.clock.install()
    page.goto(site.url + finished_batch(site))
    for name in ("Download workbook", "Workbook to share"):
        link = page.get_by_role("link", name=name)
        with page.expect_download():
            link.click()
            expect(link).to_have_attribute("data-preparing", "yes")
            expect(page.locator("#say")).to_have_text("Preparing the file…")
        page.clock.run_for(4_000)
        expect(link).not_to_have_attribute("data-preparing", "yes")
        expect(page.locator("#say")).not_to_have_text("Preparing the file…")
        expect(link).to_have_text(name)


def test_a_list_stays_where_it_was_after_a_choice(window: Window, site: Site) -> None:
    page = window.page
    page.set_viewport_size({"width": 420, "height": 500})
    drop(page, SAMPLES / "salesforce_accounts.csv")
    page.get_by_text("More options").click()
    page.get_by_label("Reuse earlier results").select_option("30")
    page.get_by_role("button", name="Check again").scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 500
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("#before[data-say]")).to_be_focused()
    assert abs(page.evaluate("scrollY") - before) < 300
    expect(page.locator(".figures")).to_be_in_viewport()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")  # as after choosing below the figures
    page.locator("#recheck").evaluate("(one) => one.form.requestSubmit(one)")
    expect(page.locator("#before[data-say]")).to_be_focused()
    expect(page.locator(".figures")).to_be_in_viewport()
