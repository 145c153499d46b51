from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest

from batchrun.settings import Settings, variable_of

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS.parent
SAMPLES = ROOT / "sample_data"
PAGES = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *SAMPLES.glob("*.md")]


def test_the_page_shows_what_check_says_today() -> None:
    """Made again by ``python docs/fill_in_checks.py``."""
    script = runpy.run_path(str(DOCS / "fill_in_checks.py"))
    page = (DOCS / "loading.md").read_text(encoding="utf-8")
    assert script["filled_in"](page) == page


def test_the_page_shows_every_sample() -> None:
    page = (DOCS / "loading.md").read_text(encoding="utf-8")
    # A results workbook stands beside a sample once the README's first command has run.
    files = (path.name for path in SAMPLES.iterdir() if ".results" not in path.name)
    lists = {name for name in files if name.endswith((".csv", ".xlsx"))}
    assert set(re.findall(r"<!-- check (\S+) -->", page)) == lists


def test_the_reference_has_every_option_as_help_tells_it() -> None:
    """Made again by ``python docs/list_options.py``."""
    script = runpy.run_path(str(DOCS / "list_options.py"))
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert script["filled_in"](page) == page
    for name in script["commands"]():
        assert f"| `batchrun {name}" in page


def test_the_reference_has_every_setting() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    settings = page[page.index("## Settings") :]
    missing = [name for name in Settings.model_fields if f"`{variable_of(name)}`" not in settings]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    files = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in files if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_shown_is_one(page: Path) -> None:
    """Its name, options and their values are what the command line takes."""
    known = runpy.run_path(str(DOCS / "list_options.py"))["commands"]()
    for words in shown_commands(page.read_text(encoding="utf-8")):
        name, *arguments = words
        if name != "--version":
            known[name].make_context(name, list(arguments))


def shown_commands(page: str) -> list[list[str]]:
    """The words after each `batchrun` in a page's console blocks."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        lines = block.splitlines()
        typed = [line[2:] for line in lines if line.startswith("$ ")] or lines
        for command in re.split(r"&&|;|\n", "\n".join(typed)):
            words = shlex.split(command, comments=True)
            if words and words[0].rsplit("/", 1)[-1] == "batchrun":
                found.append(words[1:])
    return found
