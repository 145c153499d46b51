"""The page without a key: an imitated service in this process, and a journal of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from batchrun.sandbox import practice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun import Settings

SPEED = 30.0
"""Virtual seconds in a real second: a run is short, and can still be watched."""


@contextmanager
def sandbox_settings(settings: Settings, journal: str) -> Iterator[Settings]:
    """Settings with a sandbox behind them, which runs while the block lasts.

    Args:
        settings: The user's own.
        journal: Where its batches are kept.
    """
    with practice(SPEED) as url:
        yield settings.model_copy(
            update={
                "api_key": SecretStr("sandbox"),
                "profile": None,
                "base_url": url,
                "speed": SPEED,
                "daily": None,
                "journal": journal,
            }
        )
