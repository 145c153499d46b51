"""`check` says of a file of the corpus what its user has to know."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.corpus.cases import FILES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

EXPECTED = {path: json.loads(path.read_text("utf-8")) for path in sorted(FILES.glob("*.json"))}
CHECKED = [path for path, expected in EXPECTED.items() if "check" in expected]


@pytest.mark.parametrize("expectation", CHECKED, ids=lambda path: path.stem)
def test_a_check_says_what_is_expected(
    batchrun: CommandLine, sandbox: str, expectation: Path
) -> None:
    expected = EXPECTED[expectation]
    file = expectation.with_suffix("")
    shutil.copy(file, batchrun.folder)
    ended = batchrun("check", file.name, "-w", "Account Research", *expected["flags"])
    printed = ended.stdout + ended.stderr
    at = 0
    for words in expected["check"]:
        at = printed.find(words, at)
        assert at >= 0, f"{words!r} is not said, or not in this order:\n{printed}"
