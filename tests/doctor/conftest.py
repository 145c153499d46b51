from __future__ import annotations

from tests.cli.conftest import batchrun, beginning, beginnings, place

__all__ = ["batchrun", "beginning", "beginnings", "place"]
