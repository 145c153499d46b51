"""The pages tell the truth, as far as a program can see; `checks` says what it looks at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from batchrun.errors import ExitCode
from batchrun.model import Outcome
from tests.docs import checks
from tests.docs.pages import DOCS, PAGES, ROOT, Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

README, MAP = ROOT / "README.md", DOCS / "README.md"
OWN_WORDS = {"journal": "database", "key path": "where in the result", "drain_seconds": "collect"}
"""Words that only batchrun uses, and a word of their explanation."""
PAGE_WITH_EVERY_FAULT = """
# A page

[gone](nowhere.md) ![gone too](nowhere.png) [no such heading](#nowhere)
[another](checks.py) [itself](#a-page) [no address](http://example)

`batchrun rum FILE` and `batchrun run FILE --fast`, with `--turbo` and `BATCHRUN_TURBO`; it ends
with exit code 42.

```console
$ batchrun run list.xlsx --limit many
3 rows
$ batchrun flee && batchrun --faster
```

```python
import batchrun
from batchrun import rerun_all
batchrun.run_all("list.xlsx")
```

```toml
workflow = "Account Research"
journal = "elsewhere.db"
```

| it says | why | what to do |
|---|---|---|
| There is no file …. | | |
| There is no file of that name | | |
"""


def test_no_page_has_a_fault() -> None:
    faults = {
        f"{page.name}, {check.__name__}": found
        for page in PAGES
        for check in checks.EVERY_CHECK
        if (found := check(page))
    }
    assert faults == {}


def test_the_exit_codes_of_the_reference_are_those_of_the_code() -> None:
    assert checks.exit_codes(Page(DOCS / "reference.md")) == set(ExitCode)


def test_the_outcomes_of_the_readme_are_those_of_the_code() -> None:
    (table,) = (rows for head, *rows in Page(README).tables() if head[0] == "outcome")
    assert {row[0] for row in table} == {outcome.words for outcome in Outcome}


def test_every_package_is_in_the_design_and_no_other() -> None:
    (table,) = (rows for head, *rows in Page(DOCS / "design.md").tables() if head[0] == "package")
    named = {name.rstrip("/") for row in table for name in re.findall(r"`([^`]+)`", row[0])}
    there = {path.name for path in (ROOT / "batchrun").iterdir()}
    without_a_job = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
    assert named == there - without_a_job


def test_every_module_is_in_the_design_and_no_other() -> None:
    (table,) = (rows for head, *rows in Page(DOCS / "design.md").tables() if head[0] == "folder")
    named = {
        f"{folder.strip('`')}{module}"
        for folder, modules in table
        for module in re.findall(r"`(\w+)`", modules)
    }
    paths = (ROOT / "batchrun").glob("*/*.py")
    assert named == {f"{path.parent.name}/{path.stem}" for path in paths if path.stem != "__init__"}


def test_every_message_of_the_troubleshooting_is_one_of_the_code() -> None:
    page = Page(DOCS / "troubleshooting.md")
    assert page.quoted_messages()
    assert checks.unknown_messages(page) == []


def test_every_page_can_be_reached_from_the_map_in_two_clicks() -> None:
    found = {MAP}
    for _ in range(2):
        found |= {target for path in found for target in _pages_linked_from(path)}
    assert [page.name for page in PAGES if page.path not in found] == []


def _pages_linked_from(path: Path) -> set[Path]:
    links = [urlsplit(link) for link in Page(path).links()]
    names = [unquote(link.path) for link in links if not link.scheme]
    return {(path.parent / name).resolve() for name in names if name.endswith(".md")}


@pytest.mark.parametrize("page", [Page(README), *map(Page, sorted(DOCS.glob("*.md")))], ids=str)
def test_a_word_of_our_own_is_explained_where_a_page_first_uses_it(page: Page) -> None:
    if page.path.stem in {"benchmarks", "design", "first-hour", "platforms", "reliability"}:
        return  # for developers, or made from output
    for word, explained in OWN_WORDS.items():
        first = next((each for each in page.paragraphs() if word in each.lower()), explained)
        assert explained in first, word


@pytest.fixture
def bad_page(tmp_path: Path) -> Page:
    path = tmp_path / "bad.md"
    path.write_text(PAGE_WITH_EVERY_FAULT, encoding="utf-8")
    (tmp_path / "checks.py").touch()
    return Page(path)


@pytest.mark.parametrize(
    ("check", "faults"),
    [
        (checks.lost_files, ["nowhere.md", "nowhere.png"]),
        (checks.lost_anchors, ["#nowhere"]),
        (checks.crippled_addresses, ["http://example"]),
        (checks.wrong_mentions, ["batchrun rum FILE", "batchrun run FILE --fast"]),
        (checks.unknown_options, ["--turbo"]),
        (checks.unknown_variables, ["BATCHRUN_TURBO"]),
        (checks.unknown_names, ["rerun_all", "run_all"]),
        (checks.unknown_exit_codes, [42]),
        (checks.unknown_messages, ["There is no file of that name"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_found(
    check: Callable[[Page], list[object]], faults: list[object], bad_page: Page
) -> None:
    assert sorted(map(str, check(bad_page))) == sorted(map(str, faults))


def test_commands_that_would_be_refused_are_found(bad_page: Page) -> None:
    value, command, option = checks.wrong_commands(bad_page)
    assert "--limit many" in value
    assert command == "batchrun flee: no such command"
    assert option == "batchrun --faster: no option --faster"


def test_a_configuration_that_would_be_refused_is_found(bad_page: Page) -> None:
    (fault,) = checks.wrong_configurations(bad_page)
    assert fault.startswith("journal is not taken from a file beside a list")


def test_headings_of_the_same_words_get_anchors_of_their_own(tmp_path: Path) -> None:
    """As on GitHub."""
    path = tmp_path / "page.md"
    path.write_text("# In doubt\n## `run`, again!\n## In doubt\n", encoding="utf-8")
    assert Page(path).anchors() == {"in-doubt", "run-again", "in-doubt-1"}


def test_the_readme_and_the_help_name_doctor_for_when_something_is_wrong() -> None:
    assert "find out what is wrong | `batchrun doctor`" in README.read_text(encoding="utf-8")
    help_of_all = (ROOT / "tests/cli/snapshots/batchrun.txt").read_text(encoding="utf-8")
    setup = help_of_all.partition("Set up and check")[2]
    assert setup.split("│")[1].split()[:6] == ["doctor", "Find", "out", "what", "is", "wrong:"]
    assert "# when something does not work" in help_of_all
