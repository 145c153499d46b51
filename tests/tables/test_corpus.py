"""Every file of the corpus is read, or refused, as it is written beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import InputError
from batchrun.tables.files import load
from tests.corpus.cases import FILES, KINDS, decode, files_of
from tests.tables.files import cells, lines

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = sorted(FILES.glob("*.json"))


def test_the_corpus_is_whole() -> None:
    named = {path.name.removesuffix(".json") for path in EXPECTED}
    files = {path.name for path in FILES.iterdir() if path.suffix != ".json"}
    assert files == named
    assert len(named) >= 120


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_relatives(kind: str) -> None:
    assert len(files_of(kind)) >= 3


@pytest.mark.parametrize("expectation", EXPECTED, ids=lambda path: path.stem)
def test_a_file_of_the_corpus_is_read_as_expected(expectation: Path) -> None:
    expected = json.loads(expectation.read_text(encoding="utf-8"))
    file = expectation.with_name(expectation.name.removesuffix(".json"))
    if "table" not in expected:
        pytest.skip("only a check knows what it is: tests/cli/test_corpus.py")
    if expected["error"]:
        with pytest.raises(InputError) as refused:
            load(file, **expected["options"])
        assert expected["error"] in str(refused.value)
        assert len(str(refused.value).splitlines()) <= 2
        return
    table = load(file, **expected["options"])
    found = [list(table.header), *cells(table)]
    wanted = [[decode(cell) for cell in row] for row in expected["table"]]
    assert found == wanted
    assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in wanted]
    assert sorted(table.misaligned) == expected.get("misaligned", [])
    if expected["lines"] is not None:
        assert lines(table) == expected["lines"]
    if expected["says"] is not None:
        notices = table.source.notices
        assert len(notices) == len(expected["says"]), notices
        for words, notice in zip(expected["says"], notices, strict=True):
            assert words in notice
