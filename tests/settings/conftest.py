from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.settings.keyrings import MemoryKeyring, system_keyring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, and no variable that batchrun reads."""
    for name in os.environ:
        if name.upper().startswith(("BATCHRUN_", "PGAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    """A system with a keyring."""
    backend = MemoryKeyring()
    with system_keyring(backend):
        yield backend
