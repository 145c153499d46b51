"""How fast the page answers while a long list is loaded, planned, run and written.

    python -m benchmarks.page                 100,000 rows
    python -m benchmarks.page --rows 10000

`batchrun web` and its sandbox are processes of their own; this one uses the page over HTTP as a
browser does, and meanwhile asks for other screens. Prints, for each phase, the median and the
slowest answer in seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OTHERS = ("/", "/live", "/settings")
PAUSE_SECONDS = 0.02
SANDBOX = ("sandbox", "--port", "0", "--rate", "0", "--run-times", "none", "--speed", "2000")


@contextmanager
def started(
    words: tuple[str, ...], pattern: str, more: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Batchrun as a process; what it prints that matches a pattern."""
    process = subprocess.Popen(
        [sys.executable, "-m", "batchrun", *words],
        env={**os.environ, **(more or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield next(found[0] for line in process.stdout if (found := re.search(pattern, line)))
    finally:
        process.terminate()
        process.wait()


class Browser:
    """Uses the page as a browser without JavaScript does."""

    def __init__(self, address: str) -> None:
        headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        self.base = address.partition("/open")[0]
        self.client = httpx.Client(base_url=self.base, headers=headers, timeout=120)
        self.client.get(address)

    def send(self, page: str, action: str, **fields: str) -> str:
        """Send a form of a page; the path it leads to."""
        shown = self.client.get(page).text
        form = re.search(rf'action="{action}".*?</form>', shown, re.DOTALL)
        assert form is not None, action
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))
        return str(self.client.post(action, data=hidden | fields).headers["location"])

    def upload(self, path: Path) -> str:
        """Send a list; its path on the page."""
        shown = self.client.get("/").text
        secret = re.search(r'name="secret" value="(\w+)"', shown)
        assert secret is not None
        with path.open("rb") as file:
            answer = self.client.post(
                "/lists", data={"secret": secret[1]}, files={"list": (path.name, file)}
            )
        return str(answer.headers["location"])

    def wait(self, page: str, *phases: str) -> None:
        """Wait while a page is in one of these phases."""
        while self.client.get(f"{page}/live").json()["phase"] in phases:
            time.sleep(0.1)


class Answers:
    """How long other screens take meanwhile, by phase."""

    def __init__(self, browser: Browser) -> None:
        self._client = httpx.Client(
            base_url=browser.base, headers=browser.client.headers, cookies=browser.client.cookies
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.phase = "upload"
        self.seconds: dict[str, list[float]] = {}

    def __enter__(self) -> Answers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            for path in OTHERS:
                begun = time.monotonic()
                self._client.get(path, timeout=60).raise_for_status()
                self.seconds.setdefault(self.phase, []).append(time.monotonic() - begun)


def main() -> None:
    """Measure, and print a line for each phase."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = folder / "long.csv"
        lines = (f"00000000-0000-4000-8000-{at:012d},Name {at}\n" for at in range(rows))
        path.write_text("Company ID,Name\n" + "".join(lines), encoding="utf-8")
        service = stack.enter_context(started(SANDBOX, r"http://\S+/v1"))
        settings = {
            "BATCHRUN_BASE_URL": service,
            "BATCHRUN_JOURNAL": str(folder / "journal.db"),
            "BATCHRUN_SPEED": "2000",
            "PGAI_API_KEY": "sandbox",
            "PYTHONUNBUFFERED": "1",
        }
        address = stack.enter_context(
            started(("web", "--no-browser"), r"http://127\S+token=\S+", settings)
        )
        browser = Browser(address)
        with Answers(browser) as answers:
            use(browser, answers, path)
        for phase, seconds in answers.seconds.items():
            print(f"{phase:12} median {median(seconds):.3f} s, slowest {max(seconds):.2f} s")


def use(browser: Browser, answers: Answers, path: Path) -> None:
    """Take a list from the file to the workbook of its first rows, then run on for a moment."""
    page = browser.upload(path)
    answers.phase = "load"
    browser.wait(page, "busy")
    answers.phase = "plan"
    browser.send(page, f"{page}/choices", workflow="wf_account_research")
    browser.wait(page, "busy")
    answers.phase = "create, write"
    batch = browser.send(page, f"{page}/choices", workflow="wf_account_research", what="pilot")
    browser.wait(page, "starting")
    while not batch.startswith("/batches"):
        batch = str(browser.client.get(page).headers.get("location", page))
    browser.wait(batch, "running")
    answers.phase = "run"
    browser.send(batch, f"{batch}/resume")
    time.sleep(10)
    answers.phase = "stop, write"
    browser.send(batch, f"{batch}/stop")
    browser.wait(batch, "running", "stopping")
    answers.phase = "download"
    browser.client.get(f"{batch}/download").raise_for_status()


if __name__ == "__main__":
    main()
