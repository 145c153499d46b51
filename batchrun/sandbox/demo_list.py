"""The list that `batchrun demo` runs: ``demo.csv``, a fictional CRM export.

It is mostly clean: one company is in it twice, with another owner, and one ID is damaged.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_demo_list(path: Path) -> None:
    """Write the demo list as UTF-8 CSV. Replaces an existing file."""
    path.unlink(missing_ok=True)  # it may be a pipe without a reader
    with path.open("xb") as file:
        file.write(files("batchrun.sandbox").joinpath("demo.csv").read_bytes())
