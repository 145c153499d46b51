"""The chaos benchmark in little: everything goes wrong at once, and the counts still add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import chaos

if TYPE_CHECKING:
    import pytest


def test_outcomes_add_up_with_what_the_service_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert chaos.main(["--rows", "80", "--strange", "0.04"]) == 0
    shown = capsys.readouterr().out
    for kind in ("reset", "garbage", "error", "slow", "throttle", "another workflow"):
        assert f"'{kind}'" in shown
