"""Write what `--help` of every command prints into tests/cli/snapshots/.

Run from the repository: ``python -m tests.cli.make_snapshots``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from batchrun.cli import app
from batchrun.cli.output import name_commands

FOLDER = Path(__file__).parent / "snapshots"
COLUMNS = 80


def helps() -> dict[str, str]:
    """What the whole and each command print on a terminal of 80 columns, by file name."""
    name_commands(
        "batchrun", []
    )  # a command before this one may have had another name in the shell
    group: Any = typer.main.get_command(app)
    each = {f"{name}.txt": _help_of(name) for name in group.commands}
    return {"batchrun.txt": _help_of()} | each


def _help_of(*command: str) -> str:
    ended = CliRunner().invoke(
        app, [*command, "--help"], prog_name="batchrun", env={"COLUMNS": str(COLUMNS)}
    )
    return ended.stdout


def main() -> None:
    """Write them all again; those of removed commands are deleted."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        path.unlink()
    for name, text in helps().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
