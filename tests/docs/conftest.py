from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.sandbox import SandboxSettings, running
from tests.cli.conftest import SPEED, batchrun, beginning, beginnings, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.commands import CommandLine
    from tests.cli.conftest import Beginning

__all__ = ["batchrun", "beginning", "beginnings", "place"]  # the command in a folder of its own


@pytest.fixture
def sandbox_with_failures(batchrun: CommandLine, beginning: Beginning | None) -> Iterator[str]:
    """A sandbox where every second execution fails, so that there is something to retry."""
    settings = SandboxSettings(rate_per_minute=None, fail=0.5, seed=1)
    port = 0 if beginning is None else beginning.port
    with running(settings, speed=SPEED, port=port) as url:
        batchrun.connect(url, speed=SPEED)
        yield url
