"""What scripts put into the pages is what they would put there today."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest

from batchrun.settings.model import Settings, variable_of
from tests.docs.checks import COMMANDS, options_of
from tests.docs.pages import DOCS, SAMPLES, Page

MADE = {
    "reference.md": "make_reference.py",
    "loading.md": "fill_in_checks.py",
}


@pytest.mark.parametrize(("page", "script"), MADE.items(), ids=MADE)
def test_a_made_page_is_as_its_script_makes_it_today(page: str, script: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert made_by(script)["filled_in"](text) == text, f"Run: python docs/{script}"


def test_the_page_about_lists_shows_every_sample() -> None:
    page = (DOCS / "loading.md").read_text(encoding="utf-8")
    # A results workbook stands beside a sample once the README's first command has run.
    files = (path.name for path in SAMPLES.iterdir() if ".results" not in path.name)
    lists = {name for name in files if name.endswith((".csv", ".xlsx"))}
    assert set(re.findall(r"<!-- check (\S+) -->", page)) == lists


def test_the_reference_has_every_option_of_every_command() -> None:
    """Whatever its script makes, by the page itself."""
    parts = re.split(r"^### `batchrun (\w[\w-]*)`$", reference().text, flags=re.MULTILINE)
    documented = dict(zip(parts[1::2], parts[2::2], strict=True))
    shown = {name: command for name, command in COMMANDS.items() if not command.hidden}
    assert set(documented) == set(shown)
    for name, command in shown.items():
        missing = {each for each in options_of(command) if f"`{each}" not in documented[name]}
        hidden = {
            option
            for each in command.params
            if getattr(each, "hidden", False)
            for option in each.opts
        }
        assert missing <= {"--help", "-h", *hidden}, name


def test_an_option_of_several_commands_has_one_meaning() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    shared = page.partition("### Options of several commands")[2].partition("<!--")[0]
    spellings = re.findall(r"^\| `(--[\w-]+)", shared, re.MULTILINE)
    assert len(spellings) == len({*spellings})


def test_the_reference_has_every_setting() -> None:
    documented = {row[0].strip("`") for row in reference().rows()}
    assert {variable_of(name) for name in Settings.model_fields} <= documented


def reference() -> Page:
    return Page(DOCS / "reference.md")


def made_by(script: str) -> dict[str, Any]:
    return runpy.run_path(str(DOCS / script))
