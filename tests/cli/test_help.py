from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from tests.cli.make_snapshots import COLUMNS, FOLDER, helps
from tests.cli.test_bad_input import assert_refused

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    return helps()


def test_help_equals_its_snapshots(shown: dict[str, str]) -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    differs = {name for name in {*kept, *shown} if kept.get(name) != shown.get(name)}
    assert differs == set(), "Look at it, then: python -m tests.cli.make_snapshots"


def test_help_fits_on_a_terminal_of_80_columns(shown: dict[str, str]) -> None:
    assert [
        line for text in shown.values() for line in text.splitlines() if len(line) > COLUMNS
    ] == []


@pytest.mark.parametrize("typed", [("help", "run"), ("run", "--help"), ("run", "-h")])
def test_help_of_a_command_can_be_asked_for_in_several_ways(
    batchrun: CommandLine, typed: tuple[str, ...]
) -> None:
    ended = batchrun(*typed)
    assert ended.exit_code == ExitCode.COMPLETED
    assert ended.stdout.startswith("Usage: batchrun run [OPTIONS] FILE")


def test_help_alone_lists_the_commands(batchrun: CommandLine) -> None:
    assert batchrun("help").stdout == batchrun("--help").stdout


def test_help_of_a_mistyped_command_offers_the_right_one(batchrun: CommandLine) -> None:
    assert_refused(batchrun("help", "rnu"), ExitCode.UNUSABLE, "rnu", "Did you mean run?")


def test_the_version_is_a_command_too(batchrun: CommandLine) -> None:
    assert batchrun("version").stdout == batchrun("--version").stdout


def test_help_in_a_pipe_has_no_colour(batchrun: CommandLine) -> None:
    assert "\x1b" not in batchrun("run", "--help").stdout
