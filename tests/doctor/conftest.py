from __future__ import annotations

from tests.cli.conftest import batchrun

__all__ = ["batchrun"]
