"""Put into docs/reference.md every option of every command, as `--help` tells them.

Run from the repository: ``python docs/list_options.py``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from batchrun.cli import app

PAGE = Path(__file__).parent / "reference.md"
PLACE = re.compile(r"(<!-- options -->\n).*?(<!-- end of options -->)", re.DOTALL)


def commands() -> dict[str, Any]:
    """The commands by name."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def table() -> str:
    """Each option once, with the commands that have it."""
    of: dict[tuple[str, str], list[str]] = {}
    for name, command in commands().items():
        for parameter in command.params:
            if parameter.opts[0].startswith("-"):
                of.setdefault((_written(parameter), _meaning(parameter)), []).append(name)
    lines = ["| option | of | meaning |", "|---|---|---|"]
    for (written, meaning), names in of.items():
        lines.append(f"| `{written}` | {', '.join(f'`{name}`' for name in names)} | {meaning} |")
    return "\n".join([*lines, ""])


def _written(parameter: Any) -> str:
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return ", ".join(f"{option}{value}" for option in parameter.opts)


def _meaning(parameter: Any) -> str:
    words = str(parameter.help).replace("|", "\\|").replace("*", "\\*")
    if parameter.required:
        words += " Required."
    elif parameter.default is not None and parameter.default is not False:
        words += f" [default: {parameter.default}]"
    return words


def filled_in(page: str) -> str:
    """The page with the options as they are now."""
    return PLACE.sub(lambda found: f"{found[1]}{table()}{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
