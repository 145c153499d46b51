"""When a spent quota opens, told in a note and read from it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from batchrun.batch.pipeline import note_of
from batchrun.engine import Ending
from batchrun.text import opens_at


def test_the_moment_a_note_tells_is_read_back_from_it() -> None:
    opens = datetime(2026, 11, 26, 0, 1, tzinfo=UTC)
    assert opens_at(note_of(Ending.QUOTA, opens, "")) == opens


@pytest.mark.parametrize(
    "note",
    [
        "",
        note_of(Ending.QUOTA, None, ""),
        "The quota is spent for now. It opens again at noon.",
        note_of(Ending.FAILURES, None, "all failed: It opens again at 2026-11-26 00:01 UTC"),
    ],
)
def test_a_note_that_tells_no_moment_gives_none(note: str) -> None:
    assert opens_at(note) is None
