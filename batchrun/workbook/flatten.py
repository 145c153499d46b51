"""Flatten a result: nested JSON to paths with one value each. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from batchrun.text import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.model import JSON

FlatValue: TypeAlias = str | int | float | bool | None
Path: TypeAlias = tuple[str, ...]
"""The keys from the result's root to a value. Columns are told apart by path, not by dotted name:
``{"a.b": 1}`` and ``{"a": {"b": 2}}`` are two columns."""

DEEPEST = 6
"""Default number of keys in a path; anything nested deeper stays together as JSON text."""

NOT_AN_OBJECT: Path = ("result",)
"""The path for a result that is a list or a bare value."""


@dataclass(frozen=True, slots=True)
class Flat:
    """A result as paths."""

    # One value per path, in the order the service sent them. For a list of objects, the value is
    # its length
    values: dict[Path, FlatValue] = field(default_factory=dict)
    items: dict[Path, list[dict[str, JSON]]] = field(default_factory=dict)
    # Paths of lists of plain values; their value is a text with one item per line
    listed: list[Path] = field(default_factory=list)


def flatten(result: JSON, depth: int = DEEPEST) -> Flat:
    """Flatten a result to paths with one value each.

    Nested objects become longer paths, up to ``depth`` keys (at least 1); anything deeper becomes
    JSON text. A list of plain values becomes text with one item per line. A list of objects becomes
    its length, and its items go to ``items``; any other list becomes JSON text. ``null``, ``{}``
    and ``[]`` become ``None``; a missing key has no path.
    """
    flat = Flat()
    try:
        if isinstance(result, dict):
            _add(flat, (), result, depth)
        elif result is not None:
            _add(flat, (), dict.fromkeys(NOT_AN_OBJECT, result), depth)
    except (RecursionError, TypeError, ValueError):  # an odd value: keep the result in one piece
        return Flat({NOT_AN_OBJECT: as_json(result)})
    return flat


def dotted(path: Path) -> str:
    """Return a path as dotted text; a blank key is shown as ``(blank)``."""
    return ".".join(key if key.strip() else "(blank)" for key in path)


_NAMES = ("name", "title", "label", "headline", "type", "category", "topic")


def name_of_item(item: Mapping[str, JSON]) -> str:
    """Return the name of a list's item, on one line; ``""`` if it has none.

    A person's title follows the name: it is the news when somebody is promoted.
    """
    texts = ((key, item.get(key)) for key in _NAMES)
    lines = {key: " ".join(text.split()) for key, text in texts if isinstance(text, str)}
    found = {key: line for key, line in lines.items() if line}
    if "name" in found and "title" in found:
        return f"{found['name']}, {found['title']}"
    return next(iter(found.values()), "")


def _add(flat: Flat, prefix: Path, values: dict[str, JSON], depth: int) -> None:
    for key, value in values.items():
        path = (*prefix, key)
        if not isinstance(value, (dict, list)):
            flat.values[path] = value
        elif not value:
            flat.values[path] = None
        elif isinstance(value, list):
            _add_list(flat, path, value)
        elif len(path) < depth:
            _add(flat, path, value, depth)
        else:
            flat.values[path] = as_json(value)


def _add_list(flat: Flat, path: Path, values: list[JSON]) -> None:
    objects = [item for item in values if isinstance(item, dict)]
    if len(objects) == len(values):
        flat.items[path] = objects
        flat.values[path] = len(objects)
    elif (lines := _lines(values)) is not None:
        flat.listed.append(path)
        flat.values[path] = lines
    else:
        flat.values[path] = as_json(values)


def _lines(values: list[JSON]) -> str | None:
    """Return the items one per line, if that can be read back."""
    texts = [item for item in values if isinstance(item, str)]
    if len(texts) == len(values):
        if all(text.strip() and "\n" not in text for text in texts):
            return "\n".join(texts)
    elif all(isinstance(item, (bool, int, float)) for item in values):
        return "\n".join(map(as_json, values))
    return None
