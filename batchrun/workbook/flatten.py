"""Flatten a result: nested JSON to dotted names, one value a column. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from batchrun.model import JSON

FlatValue: TypeAlias = str | int | float | bool | None


def flatten(result: JSON) -> dict[str, FlatValue]:
    """A result as named values, in the order the service sent them.

    Nested objects become dotted names; a list of scalars is joined by line breaks; a list of
    objects is counted; a mixed list is JSON text. A result that is no object is one value named
    ``result``.
    """
    if result is None:
        return {}
    flat: dict[str, FlatValue] = {}
    if isinstance(result, dict):
        _add(flat, "", result)
    else:
        flat["result"] = _leaf(result)
    return flat


def _add(flat: dict[str, FlatValue], prefix: str, values: dict[str, JSON]) -> None:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            _add(flat, f"{name}.", value)
            continue
        while name in flat:
            name += " (2)"
        flat[name] = _leaf(value)


def _leaf(value: JSON) -> FlatValue:
    if isinstance(value, list):
        if not value:
            return None
        if all(isinstance(item, dict) for item in value):
            return len(value)
        if not any(isinstance(item, (dict, list)) for item in value):
            return "\n".join(_text(item) for item in value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False) if value else None
    return value


def _text(item: JSON) -> str:
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
