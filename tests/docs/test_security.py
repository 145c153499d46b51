"""Each promise of docs/security.md has a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_]+/test_\w+\.py(?:::test_\w+)?)`", PAGE)))


def test_the_tests_that_promises_name_are_there() -> None:
    for path, _, test in (name.partition("::") for name in NAMED):
        assert f"def {test}(" in (TESTS / path).read_text(encoding="utf-8") or not test, path


def test_each_row_of_the_threat_model_names_a_test() -> None:
    section = PAGE[PAGE.index("## Threat model") :]
    rows = [line for line in section.splitlines() if re.match(r"\| (?!it |they |-)", line)]
    rows = [line for line in rows if not line.startswith(("|---", "| it can", "| they can"))]
    assert [line for line in rows if "test_" not in line] == []
