"""Options written once for several commands are those commands' own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from batchrun.cli.options import with_option_groups


@dataclass(frozen=True, slots=True)
class Paint:
    """What a wall is painted with."""

    color: Annotated[str, typer.Option(help="Of the wall.")] = "white"
    coats: Annotated[int, typer.Option(min=1, help="How many.")] = 1


def paint(
    wall: str, *, fast: Annotated[bool, typer.Option("--fast")] = False, paint: Paint, dry: int = 0
) -> None:
    """Paint a wall."""
    typer.echo(f"{wall} {fast} {paint.color} {paint.coats} {dry}")


def test_the_fields_of_a_group_are_options_in_its_place() -> None:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(with_option_groups(paint))
    ended = CliRunner().invoke(app, ["north", "--coats", "2", "--fast", "--color", "red"])
    assert ended.output == "north True red 2 0\n"
    assert CliRunner().invoke(app, ["north"]).output == "north False white 1 0\n"
    shown = CliRunner().invoke(app, ["--help"]).output
    assert shown.index("--fast") < shown.index("--color") < shown.index("--coats")
    assert shown.index("--coats") < shown.index("--dry")
    assert "Paint a wall." in shown
    assert CliRunner().invoke(app, ["north", "--coats", "0"]).exit_code == 2
