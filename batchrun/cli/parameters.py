"""Parameters for all rows as they are typed, or read from a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from batchrun.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import JSON


def parse_parameter(text: str) -> tuple[str, JSON]:
    """Read ``name=value``: JSON where the value is JSON, else text.

    Raises:
        UsageError: There is no ``=`` or no name before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(
            f"The parameter {text} has no value.", "Write it as --param depth=comprehensive."
        )
    try:
        return name.strip(), json.loads(value, parse_constant=_refuse_constant)
    except ValueError:
        return name.strip(), value


def read_parameters(path: Path) -> dict[str, JSON]:
    """Read parameters for all rows from a JSON file that holds one object.

    Raises:
        UsageError: It can't be read, or is not an object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        raise UsageError(
            f"The parameter file {path} can't be read: {error.strerror}.",
            "Check the name given with --params.",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"The parameter file {path} is not JSON: {error}.",
            'Write it as {"depth": "comprehensive"}.',
        ) from error
    if not isinstance(found, dict):
        raise UsageError(
            f"The parameter file {path} does not hold an object.",
            'Write it as {"depth": "comprehensive"}.',
        )
    return found


def _refuse_constant(name: str) -> JSON:
    raise ValueError(name)  # NaN and Infinity are words, not JSON
