"""What the command line's parser complains about, in the words of all other errors."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from batchrun.errors import UsageError
from batchrun.words import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def usage_error(said: str, command: str, typed: Sequence[str] = ()) -> UsageError:
    """The error for what the parser says.

    Args:
        said: Its own words.
        command: The command they are about, such as ``batchrun run``.
        typed: The words that were typed, in which a value is looked for that it does not repeat.
    """
    for pattern, words in _SAID:
        found = re.fullmatch(pattern, said, re.DOTALL)
        if found is not None:
            what, hint = words(found, typed)
            return UsageError(f"{command} {what}", hint.format(command=command))
    return UsageError(f"{said.rstrip('.')}.", f"See: {command} --help")


def _no_command(found: re.Match[str], _typed: Sequence[str]) -> tuple[str, str]:
    return f"has no command {found['name']}.", _offer(re.findall(r"'([^']+)'", found["close"]))


def _no_option(found: re.Match[str], _typed: Sequence[str]) -> tuple[str, str]:
    close = [name for name in re.findall(r"--?[\w-]+", found["close"]) if name != "--help"]
    return f"has no option {found['name']}.", _offer(
        get_close_matches(found["name"], close, 3, 0.5)
    )


def _missing(found: re.Match[str], _typed: Sequence[str]) -> tuple[str, str]:
    name = found["name"].split("'")[1]
    kind = "the option " if found["kind"] == "option" else ""
    return f"needs {kind}{name}.", "See: {command} --help"


def _no_value(found: re.Match[str], _typed: Sequence[str]) -> tuple[str, str]:
    return f"needs a value after {found['name']}.", "See: {command} --help"


def _no_flag(found: re.Match[str], _typed: Sequence[str]) -> tuple[str, str]:
    return f"takes no value for {found['name']}.", f"Write it as {found['name']} alone."


def _too_many(found: re.Match[str], _typed: Sequence[str]) -> tuple[str, str]:
    return (
        f"does not know what to do with {found['extra']}.",
        "A name with spaces goes in quotes; see: {command} --help",
    )


def _bad_choice(found: re.Match[str], _typed: Sequence[str]) -> tuple[str, str]:
    choices = re.findall(r"'([^']*)'", found["choices"])
    option, value = found["name"], found["value"]
    return f"takes no {option} {value}.", f"{meant(value, choices)}It can be {_either(choices)}."


def _bad_number(found: re.Match[str], typed: Sequence[str]) -> tuple[str, str]:
    option, bound = found["name"], found["bound"]
    kind = "a whole number" if found["kind"] == "integer" else "a number"
    wanted = f"{kind}" if not bound else f"{_BOUNDS[found['how']]} {bound}"
    value = _value_of(option, typed)
    return f"takes no {option} {value}.".replace("  ", " "), f"Write {option} with {wanted}."


_BOUNDS = {
    "greater than or equal to": "a number of at least",
    "less than or equal to": "a number of at most",
}


def _value_of(option: str, typed: Sequence[str]) -> str:
    """What was typed for an option."""
    for position, word in enumerate(typed):
        if word == option and position + 1 < len(typed):
            return typed[position + 1]
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return "with this value"


def _offer(close: Sequence[str]) -> str:
    if not close:
        return "See: {command} --help"
    return f"Did you mean {_either(close)}? All of them: {{command}} --help"


def _either(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


_OPTION = r"'(?P<name>[^']+)'(?: / '[^']+')*"
_BAD = f"Invalid value for {_OPTION}: "
_HOW = "|".join(_BOUNDS)
_SAID: tuple[tuple[str, Callable[[re.Match[str], Sequence[str]], tuple[str, str]]], ...] = (
    (r"No such command '(?P<name>.*?)'\.?(?P<close>.*)", _no_command),
    (r"No such option:? '?(?P<name>[^\s']+?)'?\.?(?P<close>(?:\s.*)?)", _no_option),
    (r"Missing (?P<kind>option|argument) (?P<name>'.*)", _missing),
    (rf"Option {_OPTION} requires an argument\.?", _no_value),
    (rf"Option {_OPTION} does not take a value\.?", _no_flag),
    (r"Got unexpected extra arguments?(?:\(s\))? \((?P<extra>.*)\)", _too_many),
    (
        rf"{_BAD}(?:Value error, )?'(?P<value>.*?)' is not one of (?P<choices>.*)",
        _bad_choice,
    ),
    (
        rf"{_BAD}Input should be (?:a valid (?P<kind>\w+).*|(?P<how>{_HOW}) (?P<bound>\S+))",
        _bad_number,
    ),
)
