"""Put into docs/reference.md every command, option, setting and exit code, as the code has them.

Run from the repository: ``python docs/make_reference.py``.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path
from typing import Any

import typer

from batchrun.cli import app
from batchrun.errors import ExitCode
from batchrun.options import FileOptions, ReadingOptions
from batchrun.settings.files import ListDefaults, entry_type, known_names
from batchrun.settings.model import Settings, variable_of, wanted_value

PAGE = Path(__file__).parent / "reference.md"
SHARED = 3
"""Options with the same meaning in at least this many commands are explained once."""
OPTIONS_HEAD = ["| argument or option | meaning |", "|---|---|"]
PLACE = re.compile(
    r"(<!-- (commands|settings|batchrun.toml|exit codes) -->\n).*?(<!-- end of \2 -->)", re.DOTALL
)
ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+?)(?=^ {4}\w+: |\Z)", re.DOTALL | re.MULTILINE)


def commands() -> dict[str, Any]:
    """The commands by name."""
    group: Any = typer.main.get_command(app)
    return {name: command for name, command in group.commands.items() if not command.hidden}


def every_command() -> str:
    """Each command under a heading of its own: what it does, how it is written, its options."""
    known = commands()
    contents = [", ".join(f"[`{name}`](#batchrun-{name})" for name in known)]
    rows = Counter(_row(option) for command in known.values() for option in _options(command))
    shared = [row for row, times in rows.items() if times >= SHARED]
    table = ["### Options of several commands", "", *OPTIONS_HEAD, *shared, ""]
    parts = [_command(name, command, shared) for name, command in known.items()]
    return "\n".join([*contents, "", *parts, *table])


def _options(command: Any) -> list[Any]:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return [each for each in shown if each.opts[0].startswith("-")]


def _row(option: Any) -> str:
    return f"| {_spellings(option)} | {_meaning(option)} |"


def _command(name: str, command: Any, shared: list[str]) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = _options(command)
    own = [_row(option) for option in options if _row(option) not in shared]
    others = [
        f"`{spelling}`" for option in options if _row(option) in shared for spelling in option.opts
    ]
    required = [_written(each, each.opts[0]) for each in options if each.required]
    written = [_argument(each) for each in arguments] + required
    optional = "[OPTIONS]" if len(options) > len(required) else ""
    lines = [
        f"### `batchrun {name}`",
        "",
        _purpose(command),
        "",
        "```text",
        " ".join(filter(None, ["batchrun", name, *written, optional])),
        "```",
        *(["", *OPTIONS_HEAD] if arguments or own else []),
        *(f"| `{_argument(each)}` | {_meaning(each)} |" for each in arguments),
        *own,
        *(
            ["", f"Also [shared options](#options-of-several-commands): {', '.join(others)}."]
            if others
            else []
        ),
        *(["", "```console", *_examples(command), "```"] if command.epilog else []),
        "",
    ]
    return "\n".join(lines)


def _examples(command: Any) -> list[str]:
    return [f"$ {line}" for line in command.epilog.split("\n")]


def _purpose(command: Any) -> str:
    return " ".join(inspect.cleandoc(command.help).split())


def _argument(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required else f"[{name}]"


def _spellings(parameter: Any) -> str:
    spellings = (*parameter.opts, *parameter.secondary_opts)
    return ", ".join(f"`{_written(parameter, option)}`" for option in spellings)


def _written(parameter: Any, option: str) -> str:
    return (
        option if parameter.is_flag else f"{option} {parameter.metavar or parameter.name.upper()}"
    )


def _meaning(parameter: Any) -> str:
    words = str(parameter.help).replace("|", "\\|").replace("*", "\\*")
    if parameter.required and parameter.opts[0].startswith("-"):
        words += " Required."
    elif parameter.default is not None and parameter.default is not False:
        words += f" [default: {parameter.default}]"
    return words


def every_setting() -> str:
    """Each setting: its variable, its meaning from the docstring, its default."""
    meanings = _meanings(Settings)
    lines = ["| variable | option | meaning | default |", "|---|---|---|---|"]
    for name in Settings.model_fields:
        variable = variable_of(name)
        meaning = meanings[name].replace(f" (`{variable}`)", "").replace("`None`", "unset")
        lines.append(f"| `{variable}` | {_option_for(variable)} | {meaning} | {_default(name)} |")
    return "\n".join([*lines, ""])


def _meanings(described: type) -> dict[str, str]:
    """What a class's docstring says of each attribute."""
    found = ATTRIBUTE.findall(inspect.cleandoc(str(described.__doc__)))
    return {name: " ".join(words.split()).replace("``", "`") for name, words in found}


def every_entry() -> str:
    """Each entry of `batchrun.toml`, and who may say what."""
    meanings = _meanings(FileOptions) | _meanings(ReadingOptions) | _meanings(ListDefaults)
    lists = [name for name in known_names() if name not in Settings.model_fields]
    lines = ["| entry | meaning | is |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {re.sub('[;.] `None` .*', '.', meanings[name])} | "
        f"{_code(wanted_value(name, *entry_type(name)))} |"
        for name in lists
    ]
    beside = [name for name in known_names(beside_list=True) if name not in lists]
    anywhere = [name for name in known_names() if name not in lists]
    own = [name for name in anywhere if name not in beside]
    may = f"Either file can also contain the settings {_named(beside)}."
    only = f"Only the user's own file can contain {_named(own)}. Neither file can contain a key."
    return "\n".join([*lines, "", f"{may} {only}", ""])


def _named(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _code(words: str) -> str:
    """Put what is written in a file into code."""
    words = re.sub(r"\[parameters\]|\[parameter_columns\]|\[rename\]", r"`\g<0>`", words)
    return re.sub(r'(?<=such as )\["[^`]*\]|(?<=the line ).+', r"`\g<0>`", words)


def _option_for(variable: str) -> str:
    """The option that wins over a variable; its help names the variable."""
    names = {
        f"`{option.opts[0]}`"
        for command in commands().values()
        for option in command.params
        if re.search(rf"env: {variable}\b", str(option.help))
    }
    return ", ".join(sorted(names))


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    if field.default_factory is not None:
        return "in the user's data folder"
    match field.default:
        case None:
            return "none"
        case bool() as default:
            return f"`{str(default).lower()}`"
        case float() | int() as default:
            return f"`{int(default) if default == int(default) else default}`"
        case default:
            return f"`{default}`"


def every_exit_code() -> str:
    """Each exit code with its meaning from the code."""
    source = inspect.getsource(ExitCode)
    meanings = dict(re.findall(r'^ {4}(\w+) = \d+\n {4}"""(.+?)\.?"""', source, re.MULTILINE))
    lines = ["| exit code | meaning |", "|---|---|"]
    lines += [f"| {code.value} | {meanings[code.name]} |" for code in ExitCode]
    return "\n".join([*lines, ""])


def filled_in(page: str) -> str:
    """The page with all of it as it is now."""
    made = {
        "commands": every_command,
        "settings": every_setting,
        "batchrun.toml": every_entry,
        "exit codes": every_exit_code,
    }
    return PLACE.sub(lambda found: f"{found[1]}\n{made[found[2]]()}\n{found[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
