"""The session on docs/first-hour.md is what these commands answer today."""

from __future__ import annotations

import os
import runpy
import shlex
import shutil
import sys
from difflib import unified_diff
from typing import Any

import pytest

from tests.docs.pages import DOCS
from tests.preloaded import COMMAND, INTERPRETER_VARIABLES, Popen

if sys.platform == "win32":
    pytest.skip("a terminal of its own is POSIX's", allow_module_level=True)

import termios

from pexpect.fdpexpect import fdspawn

PAGE = DOCS / "first-hour.md"
INSTALLED = ".venv/bin/batchrun"
HOW = "Made again by: python docs/make_first_hour.py"


class Forked(fdspawn):  # type: ignore[type-arg]  # it is generic in its stubs only
    """`pexpect.spawn` for `sh -c "exec batchrun …"`, without the start of Python."""

    def __init__(
        self, _: str, arguments: list[str], *, dimensions: Any, timeout: None, **how: Any
    ) -> None:
        ours, its = os.openpty()
        termios.tcsetwinsize(ours, dimensions)
        program, *words = shlex.split(arguments[1].removeprefix("exec "))
        how |= {"stdin": its, "stdout": its, "stderr": its}
        command = COMMAND if program == INSTALLED else [shutil.which(program) or program]
        self._process = Popen([*command, *words], start_new_session=True, text=True, **how)
        os.close(its)
        super().__init__(ours, timeout=timeout)

    def sendintr(self) -> None:
        """Press Ctrl-C."""
        self.send("\x03")

    def kill(self, _: int) -> None:
        """End it."""
        self._process.kill()

    def wait(self) -> None:
        """Wait for its end."""
        self.exitstatus = self._process.wait()


@pytest.mark.timeout(300)
def test_the_page_equals_todays_output(monkeypatch: pytest.MonkeyPatch) -> None:
    script = made_by()
    monkeypatch.setattr("pexpect.spawn", Forked)
    for name in filter(lambda each: each.startswith(INTERPRETER_VARIABLES), list(os.environ)):
        monkeypatch.delenv(name)
    # With other values than the page's, a real Python starts for each command.
    for name in ("LANG", "PYTHON_KEYRING_BACKEND"):
        monkeypatch.setenv(name, script["Desk"](DOCS).environment()[name])
    page, today = PAGE.read_text(encoding="utf-8"), script["session_today"]()
    written, typed = (
        script["settled"](each.replace(INSTALLED, "batchrun")) for each in (page, today)
    )
    assert typed in written, f"{HOW}\n{differing_lines(written, typed)}"


def differing_lines(written: str, typed: str) -> str:
    """The differences between a session and its lines on the page."""
    page, lines = written.splitlines(), typed.splitlines()
    begins = page.index(lines[0]) if lines[0] in page else 0
    different = unified_diff(page[begins : begins + len(lines)], lines, "page", "today", n=1)
    return "\n".join(different)


def test_a_line_that_differs_is_shown() -> None:
    page, today = "# Page\n\n## Step\nRows: 5\nDone\n\nMore", "## Step\nRows: 6\nDone"
    assert differing_lines(page, today).splitlines()[-4:-1] == [" ## Step", "-Rows: 5", "+Rows: 6"]


def test_what_depends_on_the_load_of_the_machine_does_not_count() -> None:
    settled = made_by()["settled"]
    idle = "Quota:     about 7 requests, 9 s (sandbox, 60 times as\n           fast)\n"
    busy = "Quota:     about 23 requests, 1 min 9 s (sandbox, 60\n           times as fast)\n"
    more = "A request failed (HTTP 502). Retrying.\nRunning:   3 jobs; resuming fetches\n"
    assert settled(busy + more) == settled(idle)


def test_times_and_ids_may_differ_but_words_and_rows_may_not() -> None:
    settled = made_by()["settled"]
    today = (
        "Batch:     1124-accounts-7f3a, planned 13 s ago\nRows:      60 (57 completed, 3 failed)"
    )
    another_day = today.replace("1124", "0102").replace("7f3a", "90b1").replace("13 s", "2 min")
    assert settled(another_day) == settled(today)
    assert settled(today.replace("57", "56")) != settled(today)
    assert settled(today.replace("planned", "made")) != settled(today)


def made_by() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_first_hour.py"))
