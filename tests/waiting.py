"""Wait for something that another thread, process or server does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BETWEEN_SECONDS = 0.02


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once a condition holds. Between looks, others have the cores."""
    while not holds():
        time.sleep(BETWEEN_SECONDS)
