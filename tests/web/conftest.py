"""A page on a free port with a sandbox behind it, and a browser to look at it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from batchrun.sandbox.model import SandboxService, SandboxSettings
from batchrun.sandbox.server import SandboxClock, create_app, running_app
from batchrun.settings.model import Settings
from batchrun.web import app, server
from batchrun.web.security import Session
from batchrun.web.work import Workspace
from tests.sandbox.faults import Faults, FaultyApp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page
    from playwright.sync_api._generated import LocatorAssertions
    from starlette.types import ASGIApp

    from batchrun.web.lists import Lists

SPEED = 300.0
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--renderer-process-limit=1",
    "--host-resolver-rules=MAP rebound.example 127.0.0.1",
]


@dataclass
class Site:
    """A page that runs, and what is behind it."""

    workspace: Workspace
    session: Session
    service: SandboxService

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.session.port}"

    @property
    def cookie(self) -> dict[str, str]:
        name, _, value = self.session.cookie().partition(";")[0].partition("=")
        return {name: value}

    def client(self) -> httpx.Client:
        """A client with the session's cookie, which sends what a browser sends."""
        return httpx.Client(
            base_url=self.url,
            cookies=self.cookie,
            headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"},
            timeout=30,
        )

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form as the page would."""
        with self.client() as client:
            return client.post(path, data={"secret": self.session.page_secret(path), **fields})

    def upload(self, path: Path, name: str | None = None) -> httpx.Response:
        """Send a list as the page would."""
        fields = {"secret": self.session.page_secret("/lists")}
        with self.client() as client, path.open("rb") as file:
            return client.post("/lists", data=fields, files={"list": (name or path.name, file)})

    @property
    def triggers(self) -> list[str]:
        """The bodies that the service accepted, in order."""
        return [json.dumps(one.body, sort_keys=True) for one in self.service.log]


@contextmanager
def running_site(
    folder: Path,
    sandbox: SandboxSettings | None = None,
    *,
    speed: float = SPEED,
    faults: Faults | None = None,
    priced: bool = False,
    port: int = 0,
) -> Iterator[Site]:
    """A page with a sandbox behind it, while the block lasts.

    If it is `priced`, what a row costs is known from earlier runs.
    """
    clock = SandboxClock(speed)
    service = SandboxService(sandbox or SandboxSettings(rate_per_minute=None), clock())
    with ExitStack() as stack:
        behind: ASGIApp = create_app(service, clock)
        if faults is not None:
            behind = FaultyApp(behind, faults, seed=1, speed=speed)
        url = stack.enter_context(running_app(behind, port))
        settings = Settings(
            api_key=SecretStr("sandbox"),
            base_url=url,
            speed=speed,
            journal=str(folder / "journal.db"),
        )
        listener = stack.enter_context(closing(server._listen(0)))
        session = Session(listener.getsockname()[1])
        workspace = Workspace(settings, lambda: settings, str(folder / "sandbox.db"))
        if priced:
            remember_prices(workspace.lists)
        stack.enter_context(server._serving(app.create_app(workspace, session), listener))
        yield Site(workspace, session, service)
        workspace.stop_all()
        workspace.cancel_all()
        workspace.wait(20)
        workspace.close()


def remember_prices(lists: Lists) -> None:
    """Make known what a row costs, as after an earlier run."""
    for workflow in ("wf_account_research", "wf_contact_research"):
        lists.remember_price(workflow, {"credits": 1})


@pytest.fixture(autouse=True)
def no_failures_in_practice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The IDs of most lists are random, so any of them might fail."""
    monkeypatch.setattr("batchrun.sandbox.server.PRACTICE_FAIL", 0.0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A page of this test's own."""
    with running_site(tmp_path, priced=True) as found:
        yield found


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page for tests that change nothing."""
    with running_site(tmp_path_factory.mktemp("site")) as found:
        yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a browser come last: while it runs, this thread has an event loop."""
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium; without the parts that show windows it takes half the CPU time."""
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        if os.environ.get("BATCHRUN_TESTS_NEED_BROWSER"):
            pytest.fail("Chromium is missing: apt-get install chromium-headless-shell")
        pytest.skip("Chromium is not installed.")
    from playwright.sync_api import expect as expectation
    from playwright.sync_api import sync_playwright

    expectation.set_options(timeout=30_000)  # a loaded machine needs more than the default of 5 s
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        found.new_context(reduced_motion="reduce").set_default_timeout(30_000)  # for `opened`
        yield found
        found.close()


def expect(found: Locator, message: str | None = None) -> LocatorAssertions:
    """Playwright's own, imported when a test asks for it: each process collects these tests."""
    from playwright.sync_api import expect as expectation

    return expectation(found, message)


class Window:
    """A tab that notes what a page must never do."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.messages: list[str] = []
        self.foreign: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("request", lambda request: self._see(request.url))

    def _see(self, url: str) -> None:
        if not url.startswith("http://127.0.0.1:"):
            self.foreign.append(url)


@contextmanager
def opened(browser: Browser, site: Site, **options: Any) -> Iterator[Window]:
    """A tab that is connected to a page; it ends with no message and no foreign call.

    Tabs without options share one context, because a new one takes a second of a core.
    """
    context = browser.contexts[0]
    if options:
        context = browser.new_context(reduced_motion="reduce", **options)
        context.set_default_timeout(30_000)
    found = Window(context.new_page())
    found.page.goto(site.session.new_address())
    yield found
    for page in context.pages:
        page.close()
    if options:
        context.close()
    assert found.messages == []
    assert found.foreign == []


def tab_to(page: Page, wanted: Locator, most: int = 30) -> None:
    """Reach an element from the top of the page with Tab alone."""
    expect(wanted).to_be_visible()
    page.evaluate("() => document.activeElement?.blur()")
    page.locator("body").press("Control+Home")
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    pytest.fail(f"{wanted} is not reached by keyboard")


def press(page: Page, name: str) -> None:
    """Press a button with the keyboard alone."""
    tab_to(page, page.get_by_role("button", name=name))
    page.keyboard.press("Enter")


@pytest.fixture
def window(browser: Browser, site: Site) -> Iterator[Window]:
    """A tab that is connected to this test's page."""
    with opened(browser, site) as found:
        yield found
