from __future__ import annotations

from tests.cli.conftest import batchrun, place

__all__ = ["batchrun", "place"]
