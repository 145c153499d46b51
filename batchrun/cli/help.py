"""Help in panels: the most used options first, examples at the end.

In an 80-column terminal, typer's own panels leave only a third for the text, and they differ
between versions. These panels only need a parameter's names, metavar, panel and help, which every
version has.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from batchrun.cli.output import rendered, repeat_options, runnable_commands
from batchrun.text import HIDDEN, quoted_command, without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

THE_BATCH = "The batch"
THE_LIST = "The list"
PARAMETERS = "Parameters"
SPENDING = "Spending"
OUTPUT = "Output"
SERVICE = "Service and keys"
AUTOMATION = "Automation"
OTHER = "Other"
PANELS = (THE_BATCH, THE_LIST, PARAMETERS, SPENDING, OUTPUT, SERVICE, AUTOMATION, OTHER)
"""Panels of options, in the order of the help. Choose one with ``rich_help_panel``."""

MAX_WIDTH = 100
_COMPLETION = {
    "install_completion": "Set up completion with Tab in this shell.",
    "show_completion": "Print the completion script of this shell.",
}
"""Replaces typer's own help texts, which differ between versions."""
NAMES_WIDTH = 28
"""Columns for option names and values; the same for all panels, to align them."""


class _PanelHelp:
    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help to the formatter."""
        formatter.write(rendered(lambda console: _print_command(console, self, ctx)))


class Command(_PanelHelp, TyperCommand):
    """A command with help in panels. Commands that it prints get its options repeated."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        repeat_options(_repeated(ctx))
        return super().invoke(ctx)


class HelpGroup(_PanelHelp, TyperGroup):
    """The group of all commands, with help in panels."""


def add_command(
    app: typer.Typer,
    function: Callable[..., None],
    *examples: str,
    panel: str = "",
    name: str | None = None,
    hidden: bool = False,
) -> None:
    """Add a command.

    Args:
        app: The application.
        function: The function to call; its docstring is the help.
        *examples: Command lines for the end of the help, each with a comment after ``#``.
        panel: Its panel in the list of commands.
        name: Its name; ``None`` for the function's.
        hidden: Leave it out of the list of commands.
    """
    register = app.command(
        name, cls=Command, epilog="\n".join(examples), rich_help_panel=panel, hidden=hidden
    )
    register(function)


_OF_THE_JOURNAL = ("--sandbox", "--journal")
_OF_THE_SERVICE = ("--profile", "--base-url")
_AT_THE_SERVICE = {"check", "doctor", "run", "workflows"}
"""Commands without a batch. A batch remembers its own profile and address."""


def _repeated(context: Any) -> dict[str, list[str]]:
    """Return the given options to repeat in each command that is printed, by command."""
    given: dict[str, str] = {}
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        option = max(parameter.opts, key=len)
        if value is True:
            given[option] = option
        elif isinstance(value, str) and option in (*_OF_THE_JOURNAL, *_OF_THE_SERVICE):
            from batchrun.settings.location import shown

            safe = shown(value) if option == "--journal" else without_password(value)
            if safe != HIDDEN:
                given[option] = quoted_command(option, safe)
    return {
        name: [
            given[option]
            for option in (*_OF_THE_JOURNAL, *(_OF_THE_SERVICE if name in _AT_THE_SERVICE else ()))
            if option in given and option in options_of(command)
        ]
        for name, command in context.parent.command.commands.items()
    }


def options_of(command: Any) -> set[str]:
    """Return all spellings of a command's options, without hidden options."""
    shown = (each for each in command.params if not getattr(each, "hidden", False))
    return {option for each in shown for option in each.opts}


def _print_command(console: Console, command: Any, context: Any) -> None:
    from rich.text import Text

    console.width = min(console.width, MAX_WIDTH)
    usage = Text.assemble(("Usage: ", "bold"), (f"{context.command_path} {_usage(command)}"))
    console.print(usage, overflow="fold")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        console.print(Text(f"\n{' '.join(paragraph.split())}"))
    console.print()
    if isinstance(command, TyperGroup):
        _print_commands(console, command)
    panels: dict[str, list[tuple[Text, Text]]] = defaultdict(list)
    for parameter in command.get_params(context):
        if not getattr(parameter, "hidden", False):
            panel = getattr(parameter, "rich_help_panel", None) or OTHER
            panels[panel].append((_names(parameter), _help(parameter)))
    for title in sorted(panels, key=PANELS.index):
        _print_panel(console, title, panels[title], NAMES_WIDTH)
    if command.epilog:
        _print_examples(console, command.epilog.split("\n"))


def _usage(command: Any) -> str:
    if isinstance(command, TyperGroup):
        return "COMMAND [OPTIONS]"
    words = ["[OPTIONS]"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words.append(_metavar(parameter) if parameter.required else f"[{_metavar(parameter)}]")
        elif parameter.required:
            words.append(f"{parameter.opts[0]} {_metavar(parameter)}")
    return " ".join(words)


def _print_commands(console: Console, group: Any) -> None:
    from rich.text import Text

    panels: dict[str, list[tuple[Text, Text]]] = defaultdict(list)
    for name, command in group.commands.items():
        if not command.hidden:
            first = inspect.cleandoc(command.help or "").split("\n\n")[0]
            text = Text(" ".join(first.split()))
            panels[command.rich_help_panel].append((Text(name, "bold cyan"), text))
    for title, rows in panels.items():
        _print_panel(console, title, rows, 10)


def _print_panel(
    console: Console, title: str, rows: Sequence[tuple[Any, Any]], names_width: int
) -> None:
    from rich.panel import Panel
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=names_width, overflow="fold")
    grid.add_column(ratio=1)
    for row in rows:
        grid.add_row(*row)
    console.print(Panel(grid, title=title, title_align="left", border_style="dim"))


def _names(parameter: Any) -> Any:
    from rich.text import Text

    if parameter.param_type_name == "argument":
        return Text(_metavar(parameter), "bold cyan")
    spellings = sorted((*parameter.opts, *parameter.secondary_opts), key=len)
    indent = "" if len(spellings[0]) == 2 else "    "
    names = Text(f"{indent}{', '.join(spellings)}", "bold cyan")
    return names if parameter.is_flag else names.append(f" {_metavar(parameter)}", "yellow")


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _help(parameter: Any) -> Any:
    from rich.text import Text

    text = Text(_COMPLETION.get(parameter.name, parameter.help or ""))
    if parameter.required:
        text.append(" [required]", "red")
    elif parameter.default not in (None, False, "") and not callable(parameter.default):
        text.append(f" [default: {parameter.default}]", "dim")
    text.highlight_regex(r"\[(?:env|default)[^\]]*\]", "dim")
    return text


def _print_examples(console: Console, lines: Sequence[str]) -> None:
    from rich.panel import Panel
    from rich.text import Text

    text = Text()
    for line in lines:
        command, _, comment = runnable_commands(line).partition("  # ")
        if comment:
            text.append(f"# {comment}\n", "dim")
        text.append(f"{command}\n", "cyan")
    text.rstrip()
    console.print(Panel(text, title="Examples", title_align="left", border_style="dim"))
