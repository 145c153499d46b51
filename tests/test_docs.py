from __future__ import annotations

import re
import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
SAMPLES = DOCS.parent / "sample_data"


def test_the_page_shows_what_check_says_today() -> None:
    """Made again by ``python docs/fill_in_checks.py``."""
    script = runpy.run_path(str(DOCS / "fill_in_checks.py"))
    page = (DOCS / "loading.md").read_text(encoding="utf-8")
    assert script["filled_in"](page) == page


def test_the_page_shows_every_sample() -> None:
    page = (DOCS / "loading.md").read_text(encoding="utf-8")
    lists = {path.name for path in SAMPLES.iterdir() if path.suffix in {".csv", ".xlsx"}}
    assert set(re.findall(r"<!-- check (\S+) -->", page)) == lists
