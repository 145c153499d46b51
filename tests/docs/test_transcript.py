"""The session on docs/first-hour.md is what these commands answer today."""

from __future__ import annotations

import runpy
import sys
from typing import Any

import pytest

from tests.docs.pages import DOCS

PAGE = DOCS / "first-hour.md"
HOW = "Made again by: python docs/make_first_hour.py"


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of its own is POSIX's")
@pytest.mark.timeout(300)
def test_the_page_equals_todays_output() -> None:
    script = made_by()
    written = script["settled"](PAGE.read_text(encoding="utf-8"))
    assert script["settled"](script["session_today"]()) in written, HOW


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of its own is POSIX's")
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
