from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.sandbox import SandboxSettings, running
from tests.cli.conftest import SPEED, batchrun, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.commands import CommandLine

__all__ = ["batchrun", "place"]  # the command in a folder of its own


@pytest.fixture
def sandbox_with_failures(batchrun: CommandLine) -> Iterator[str]:
    """A sandbox where every second execution fails, so that there is something to retry."""
    with running(SandboxSettings(rate_per_minute=None, fail=0.5, seed=1), speed=SPEED) as url:
        batchrun.connect(url, speed=SPEED)
        yield url
