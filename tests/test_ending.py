"""The words for why a batch stands where it stands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from batchrun.ending import note_of, opens_at
from batchrun.engine import Ending


@pytest.mark.parametrize("reason", ["no domain to research", "no domain to research."])
def test_a_reason_of_the_service_ends_in_one_full_stop(reason: str) -> None:
    note = note_of(Ending.FAILURES, None, f"the first 4 jobs failed: {reason}")
    assert note.endswith("failed: no domain to research.")


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


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_its_words(ending: Ending) -> None:
    assert bool(note_of(ending, None, "all failed")) is (ending is not Ending.FINISHED)
