from __future__ import annotations

import pytest

from tests.cli.make_snapshots import COLUMNS, FOLDER, helps

HELPS = helps()


@pytest.mark.parametrize("name", HELPS)
def test_help_is_as_it_was_last_looked_at(name: str) -> None:
    snapshot = FOLDER / name
    assert snapshot.exists(), "Look at it after: python -m tests.cli.make_snapshots"
    assert HELPS[name] == snapshot.read_text(encoding="utf-8"), (
        "Renew it with: python -m tests.cli.make_snapshots"
    )


@pytest.mark.parametrize("name", HELPS)
def test_help_fits_on_a_terminal_of_80_columns(name: str) -> None:
    assert max(map(len, HELPS[name].splitlines())) <= COLUMNS


def test_what_each_command_does_is_said_in_full_in_the_list_of_commands() -> None:
    assert "..." not in HELPS["batchrun.txt"].split("Commands:")[1]


def test_no_snapshot_is_of_a_command_that_is_gone() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(HELPS)
