"""The library's errors as somebody at a command line reads them: its parameters are options."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from batchrun.errors import with_parameters

if TYPE_CHECKING:
    from batchrun.errors import BatchrunError

Raised = TypeVar("Raised", bound="BatchrunError")

_OTHERWISE = {"output": "-o", "workflow": "-w", "parameter_columns": "--param-column"}
"""Parameters whose option is not called as they are."""


def spelled(text: str) -> str:
    """A marked text in which each parameter, such as ```again=True```, is its option."""
    return with_parameters(text, _option)


def in_options(error: Raised) -> Raised:
    """The error, told for somebody at a command line."""
    error.marked_what = spelled(error.marked_what)
    error.marked_hint = spelled(error.marked_hint)
    return error


def _option(name: str, value: str) -> str:
    if value == "False":
        return f"--no-{name.replace('_', '-')}"
    option = _OTHERWISE.get(name, f"--{name.replace('_', '-')}")
    return option if value in {"", "True"} else f"{option} {value}"
