"""Make the pictures of the page's five main screens, from real runs against the sandbox.

Run ``python docs/make_page_pictures.py`` with batchrun and its extra ``dev`` installed; it needs
``chromium`` (Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright
from pydantic import SecretStr

from batchrun import Settings
from batchrun.sandbox import PRACTICE_SPEED, SandboxSettings, running
from batchrun.web.app import create_app
from batchrun.web.security import Session
from batchrun.web.server import _listen, _serving
from batchrun.web.work import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS = Path(__file__).parent
SAMPLES = DOCS.parent / "sample_data"
SIZE = (1280, 800)
RUN_MS = 120_000


def main() -> None:
    """Take a list from the file to the workbook, and picture each screen on the way."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sandbox = SandboxSettings(fail=0.12, seed=7)
        settings = Settings(
            api_key=SecretStr("sandbox"),
            base_url=stack.enter_context(running(sandbox, speed=PRACTICE_SPEED)),
            speed=PRACTICE_SPEED,
            journal=str(folder / "journal.db"),
        )
        listener = stack.enter_context(closing(_listen(0)))
        session = Session(listener.getsockname()[1])
        workspace = Workspace(settings, lambda: settings, str(folder / "sandbox.db"))
        workspace.sandbox = True  # the pictures show what a reader who practices sees
        stack.enter_context(_serving(create_app(workspace, session), listener))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.goto(session.new_address())
        take_all(page)
        browser.close()


def take_all(page: Page) -> None:
    """Take the five pictures."""
    drop(page, "hubspot_contacts.xlsx", "Contact Research")
    page.get_by_role("button", name="Try 5 rows").click()
    page.get_by_role("button", name="Run the rest").click(timeout=RUN_MS)
    done(page)

    drop(page, "salesforce_accounts.csv", "Account Research")
    picture(page, "page-list")
    page.get_by_role("button", name="Try 5 rows").click()
    expect(page.get_by_role("button", name="Run the rest")).to_be_visible(timeout=RUN_MS)
    picture(page, "page-pilot")
    page.get_by_role("button", name="Run the rest").click()
    running_rows = page.locator(".figures .ok dd")
    expect(running_rows).not_to_have_text("5", timeout=RUN_MS)
    page.wait_for_timeout(1500)
    picture(page, "page-running")
    done(page)
    picture(page, "page-done")

    drop(page, "salesforce_report.xlsx", "Account Research")
    page.get_by_role("button", name="Try 5 rows").click()
    expect(page.get_by_role("button", name="Run the rest")).to_be_visible(timeout=RUN_MS)
    page.get_by_role("link", name="Not now").click()
    expect(page.get_by_text("Needs a decision")).to_be_visible()
    picture(page, "page-home")


def drop(page: Page, name: str, workflow: str) -> None:
    """Upload a list and choose its workflow."""
    page.get_by_role("link", name="Lists", exact=True).first.click()
    expect(page.get_by_role("heading", name="Drop a list here")).to_be_visible()
    page.locator("input[type=file]").set_input_files(SAMPLES / name)
    page.wait_for_url("**/lists/*")
    expect(page.locator("#recheck")).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    page.get_by_label("Workflow").select_option(label=workflow)
    page.locator("#recheck").click()
    expect(page.get_by_role("button", name="Try 5 rows")).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_text("You changed something")).to_be_hidden()


def done(page: Page) -> None:
    """Wait for the end of a run."""
    expect(page.get_by_role("link", name="Download workbook")).to_be_visible(timeout=RUN_MS)
    expect(page.locator("main .message")).to_be_visible(timeout=RUN_MS)


def picture(page: Page, name: str) -> None:
    """Picture what the window shows."""
    page.evaluate("() => { document.activeElement?.blur(); scrollTo(0, 0); }")
    target = DOCS / f"{name}.png"
    page.screenshot(path=target)
    print(target)


if __name__ == "__main__":
    main()
