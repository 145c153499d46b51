"""The library's errors as somebody at a command line reads them: its parameters are options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from batchrun.errors import BatchrunError

Raised = TypeVar("Raised", bound="BatchrunError")

_PARAMETER = re.compile(r"(?<!`)`([a-z_]+)=\w*`(?!`)")
_OTHERWISE = {"output": "-o", "workflow": "-w", "parameter_columns": "--param-column"}
"""Parameters whose option is not called as they are."""


def spelled(text: str) -> str:
    """A text in which each parameter, such as ```again=True```, is its option: ``--again``."""
    return _PARAMETER.sub(lambda found: _option(found[1]), text)


def in_options(error: Raised) -> Raised:
    """The error, told for somebody at a command line."""
    error.what, error.hint = spelled(error.what), spelled(error.hint)
    return error


def _option(parameter: str) -> str:
    return _OTHERWISE.get(parameter, f"--{parameter.replace('_', '-')}")
