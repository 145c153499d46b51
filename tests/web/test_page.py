"""The page in a real Chromium, from the first start to the downloaded workbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl

import batchrun
from tests.web.conftest import expect, opened, press, running_site, tab_to

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.web.conftest import Site, Window

SAMPLES = Path(__file__).parents[2] / "sample_data"
RUN_MS = 60_000


def drop(page: Page, path: Path, workflow: str = "Account Research") -> None:
    """Take a list to the point where it can be run."""
    page.locator("input[type=file]").set_input_files(path)
    page.wait_for_url("**/lists/*")
    expect(page.locator("#before")).to_be_visible()
    expect(page.get_by_role("heading", name="First rows")).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    if page.get_by_label("Workflow").input_value() == "":
        page.get_by_label("Workflow").select_option(label=workflow)
        page.get_by_role("button", name="Check the list").click()
    expect(page.locator("dt", has_text="to send")).to_be_visible()


def done(page: Page) -> None:
    ended = page.locator("main .message b", has_text=re.compile("are done|^Finished"))
    expect(ended).to_be_visible(timeout=RUN_MS)


def cells(path: Path) -> list[tuple[object, ...]]:
    """The Results sheet without the columns of times and IDs, which differ with each run."""
    sheet = openpyxl.load_workbook(path)["Results"]
    header, *rows = sheet.iter_rows(values_only=True)
    kept = [
        at
        for at, title in enumerate(header)
        if not re.search(r"execution|triggered|started|finished|seconds|batch", str(title).lower())
    ]
    return [tuple(row[at] for at in kept) for row in (header, *rows)]


def test_a_sample_goes_by_keyboard_from_the_file_to_the_workbook_of_the_command_line(
    window: Window, site: Site, tmp_path: Path
) -> None:
    name, workflow = "duplicates_and_damage.csv", "Account Research"
    page = window.page
    choose = page.locator("input[type=file]")
    tab_to(page, choose)
    choose.set_input_files(SAMPLES / name)  # in the system's own dialog
    page.wait_for_url("**/lists/*")
    expect(page.locator(".loading")).to_have_count(0)
    page.get_by_text("More options").click()  # the keyboard passes over what is folded
    tab_to(page, page.get_by_label("Workflow"))
    page.keyboard.type(workflow.partition(" ")[0])
    page.keyboard.press("Enter")  # checks the list: no need to go through all options
    press(page, "Try 5 rows")
    expect(page.get_by_role("heading", name="results to look at")).to_be_visible(timeout=RUN_MS)
    assert len(site.triggers) == 5
    press(page, "Run the rest")
    done(page)
    assert len(site.triggers) == len(set(site.triggers))
    with page.expect_download() as download:
        tab_to(page, page.get_by_role("link", name="Download workbook"))
        page.keyboard.press("Enter")
    ours = tmp_path / "page.xlsx"
    download.value.save_as(ours)
    assert download.value.suggested_filename == f"{Path(name).stem}.results.xlsx"

    settings = site.workspace.settings.model_copy(update={"journal": str(tmp_path / "other.db")})
    theirs = tmp_path / "command.xlsx"
    batchrun.run(SAMPLES / name, workflow, output=theirs, settings=settings)
    assert cells(ours) == cells(theirs)


def test_a_double_click_two_tabs_reload_and_back_make_one_batch(
    window: Window, site: Site, tmp_path: Path
) -> None:
    page = window.page
    drop(page, SAMPLES / "salesforce_accounts.csv")
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_role("button", name="Run all 60").dblclick()
    other.get_by_role("button", name="Run all 60").click()
    page.wait_for_url("**/batches/*")
    other.wait_for_url("**/batches/*")
    assert other.url == page.url
    page.reload()
    page.go_back()
    page.go_forward()
    done(page)
    done(other)
    assert len(site.triggers) == len(set(site.triggers)) == 60
    assert len(site.workspace.batches()) == 1


def test_a_batch_goes_on_without_a_tab_and_stop_and_continue_send_nothing_twice(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        running_site(tmp_path, priced=True, speed=10) as site,  # long enough to be stopped
        opened(browser, site) as window,
    ):
        page = window.page
        drop(page, SAMPLES / "salesforce_accounts.csv")
        page.get_by_role("button", name="Run all 60").click()
        page.wait_for_url("**/batches/*")
        address = page.url
        page.get_by_role("button", name="Stop").click()
        page.goto("about:blank")
        page.goto(address)
        page.get_by_role("button", name="Continue").click(timeout=RUN_MS)
        done(page)
        assert len(site.triggers) == len(set(site.triggers)) == 60


def test_what_stands_in_a_list_is_only_ever_text(
    window: Window, site: Site, tmp_path: Path
) -> None:
    names = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "=cmd|' /C calc'!A0",
        "\x1b[31mred\x1b[0m",
        "\u202egpj.exe",
        '"><b>bold</b>',
        "{{ 7*7 }}",
        "javascript:alert(1)",
    ]
    path = tmp_path / "<b>list.csv"
    lines = "".join(
        f'"ece4cc84-82a7-41c8-8f2c-2dd54d995e6{at}","{name}"\n'
        for at, name in enumerate(name.replace('"', '""') for name in names)
    )
    path.write_text(f'"Company ID","<i>Name</i>"\n{lines}', encoding="utf-8")
    page = window.page
    drop(page, path)
    shown = page.locator("main").inner_text()
    assert "<script>alert(1)</script>" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    page.get_by_role("button", name="Run all 8").click()
    done(page)
    assert page.locator("main script, main img, main b:has-text('bold'), main i").count() == 0
    assert "{{ 7*7 }}" in page.locator("main").inner_text()


def test_it_works_without_javascript(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.session.new_address())
    page.locator("input[type=file]").set_input_files(SAMPLES / "salesforce_report.xlsx")
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Check the list").wait_for()
    page.get_by_label("Workflow").select_option(label="Account Research")
    page.get_by_role("button", name="Check the list").click()
    page.get_by_role("button", name="Run all").click()
    done(page)
    context.close()
    assert len(site.triggers) == len(set(site.triggers)) > 0


def test_a_run_is_refused_when_the_list_has_changed_since_it_was_shown(
    window: Window, site: Site, tmp_path: Path
) -> None:
    page = window.page
    drop(page, SAMPLES / "salesforce_report.xlsx")
    stale = page.context.new_page()
    stale.goto(page.url)
    other = page.context.new_page()
    other.goto(page.url)
    # What a browser that restores forms after Back would show: another choice, and no event.
    other.get_by_label("Workflow").evaluate("(one) => { one.selectedIndex = 1; }")
    assert (
        other.get_by_label("Workflow").input_value() != page.get_by_label("Workflow").input_value()
    )
    other.get_by_role("button", name="Run all").click()
    expect(other.get_by_text("have changed since this page was shown")).to_be_visible()
    expect(other.get_by_role("button", name="Check again")).to_be_visible()
    assert site.workspace.wait(60)  # the refusal has checked the list again
    page.reload()
    page.get_by_text("Parameters", exact=False).first.click()
    page.get_by_label("Name").first.fill("depth")
    page.get_by_label("Text or number").first.fill("deep")
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("button", name="Try 5 rows")).to_be_enabled()
    stale.get_by_role("button", name="Run all").click()
    expect(stale.get_by_text("have changed since this page was shown")).to_be_visible()
    assert site.triggers == []


def test_forget_deletes_the_batch_and_the_uploaded_list(window: Window, site: Site) -> None:
    page = window.page
    drop(page, SAMPLES / "salesforce_report.xlsx")
    page.get_by_role("button", name="Run all").click()
    done(page)
    page.get_by_role("link", name="Forget this run").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("heading", name="No lists yet")).to_be_visible()
    assert site.workspace.batches() == []
    assert [one for one in site.workspace.lists.folder.iterdir() if one.is_dir()] == []


def test_results_have_the_titles_and_formats_of_the_workbook(
    window: Window, site: Site, tmp_path: Path
) -> None:
    page = window.page
    drop(page, SAMPLES / "salesforce_report.xlsx")
    page.get_by_role("button", name="Run all").click()
    done(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download workbook").click()
    path = tmp_path / "results.xlsx"
    download.value.save_as(path)
    opened = openpyxl.load_workbook(path)
    sheet, details = opened["Results"], opened["Run details"]
    assert "“Download workbook”" in str([*details.values])
    titles = {str(cell.value) for row in sheet.iter_rows(max_row=3) for cell in row}
    page.locator("table.rows th a").first.click()
    shown = page.locator("section[aria-labelledby=result]")
    expect(shown).to_be_visible()
    names = shown.locator("dt").all_inner_texts()
    assert set(names) <= titles
    assert "Last funding (USD)" in titles
    texts = dict(zip(names, shown.locator("dd").all_inner_texts(), strict=True))
    assert re.fullmatch(r"\d{1,3}(,\d{3})*", texts["Company employees"])
    if "Last funding (USD)" in texts:
        assert re.fullmatch(r"\$\d{1,3}(,\d{3})*", texts["Last funding (USD)"])


def test_rows_of_the_same_name_are_told_apart_in_the_pilot(window: Window, tmp_path: Path) -> None:
    path = tmp_path / "twins.csv"
    ids = (f"ece4cc84-82a7-41c8-8f2c-2dd54d995e{at:02}" for at in range(8))
    path.write_text("Company ID,Account Name\n" + "".join(f"{one},Acme\n" for one in ids))
    page = window.page
    drop(page, path)
    page.get_by_role("button", name="Try 5 rows").click()
    expect(page.get_by_role("link", name="Acme, line 2")).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_role("link", name="Acme, line 6")).to_be_visible()


def a_book_with_a_cover_sheet(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "Cover"  # type: ignore[union-attr]
    book["Cover"]["A1"] = "Accounts of the fourth quarter"
    book.create_sheet("Accounts").append(["Company ID", "Name"])
    book["Accounts"].append(["ece4cc84-82a7-41c8-8f2c-2dd54d995e60", "Acme"])
    book.create_sheet("Other").append(["Notes", "Name"])
    book["Other"].append(["call back", "Acme"])
    book.save(path)
    return path


def test_a_guess_is_said_with_its_control(window: Window, tmp_path: Path) -> None:
    page = window.page
    drop(page, SAMPLES / "duplicates_and_damage.csv")
    guess = page.get_by_label("How the file was read")
    expect(guess).to_contain_text("is not UTF-8; read as Western European (Windows)")
    guess.get_by_role("link", name="Change “Character set”").click()
    page.get_by_label("Character set").select_option(label="Western European (Windows)")
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_label("How the file was read")).to_have_count(0)

    page.goto(page.url.partition("/lists")[0])
    drop(page, a_book_with_a_cover_sheet(tmp_path / "book.xlsx"))
    guess = page.get_by_label("How the file was read")
    expect(guess).to_contain_text("Sheet Accounts was read")
    guess.get_by_role("link", name="Change “Sheet”").click()
    page.get_by_label("Sheet").select_option("Other")
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("alert").first).to_contain_text("none holds PG:AI IDs")


def test_a_file_that_can_t_be_read_is_read_in_another_way_or_removed(
    window: Window, site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "quotes.csv"
    ids = [f"ece4cc84-82a7-41c8-8f2c-2dd54d995e6{at}" for at in range(3)]
    lines = "".join(f'{one},"Acme" Ltd "North\n' for one in ids)
    path.write_text(f"Company ID,Name\n{lines}")
    page = window.page
    page.locator("input[type=file]").set_input_files(path)
    expect(page.get_by_role("heading", name="Read it in another way")).to_be_visible()
    said = page.locator("main").inner_text()
    assert "Quotes are ordinary characters" in said
    assert "--" not in said
    page.get_by_label("Quotes are ordinary characters").check()
    page.get_by_role("button", name="Read it again").click()
    expect(page.get_by_role("heading", name="The first rows")).to_be_visible()
    page.get_by_role("link", name="Remove this list").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("quotes.csv was removed")).to_be_visible()
    expect(page.get_by_role("heading", name="No lists yet")).to_be_visible()
    assert site.workspace.lists.all() == []


def test_the_next_step_is_visible_on_a_small_laptop_and_results_on_a_phone(
    browser: Browser, site: Site
) -> None:
    with opened(browser, site, viewport={"width": 1280, "height": 720}) as window:
        page = window.page
        page.locator("input[type=file]").set_input_files(SAMPLES / "salesforce_report.xlsx")
        expect(page.get_by_role("button", name="Check the list")).to_be_in_viewport()
        page.goto(site.url)
        drop(page, SAMPLES / "duplicates_and_damage.csv")
        page.get_by_role("button", name="Run all 10").click()
        done(page)
        page.set_viewport_size({"width": 420, "height": 720})
        reason = page.get_by_role("cell", name="No company ID and no contact ID").first
        reason.scroll_into_view_if_needed()
        expect(reason).to_be_in_viewport(ratio=1)
        result = page.get_by_role("cell", name="Based in").first
        result.scroll_into_view_if_needed()
        expect(result).to_be_in_viewport(ratio=1)
