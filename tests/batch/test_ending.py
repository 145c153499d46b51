"""The words for why a batch stands where it stands."""

from __future__ import annotations

import pytest

from batchrun.batch.pipeline import note_of
from batchrun.engine.engine import Ending


@pytest.mark.parametrize("reason", ["no domain to research", "no domain to research."])
def test_a_reason_of_the_service_ends_in_one_full_stop(reason: str) -> None:
    note = note_of(Ending.FAILURES, None, f"the first 4 jobs failed: {reason}")
    assert note.endswith("failed: no domain to research.")


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_its_words(ending: Ending) -> None:
    silent = {Ending.FINISHED, Ending.DETACHED}  # nothing is left to say, or others work on
    assert bool(note_of(ending, None, "all failed")) is (ending not in silent)
