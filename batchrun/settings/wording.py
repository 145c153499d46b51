"""What is wrong with a setting, in words, and how it is shown. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from batchrun.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY_END = 4
"""How many characters of a key are shown at most."""

_LONG_ENOUGH = 12
"""A shorter key is not shown at all: its end would be too much of it."""

_NUMBERS: dict[object, str] = {
    **dict.fromkeys((int, int | None), "a whole number"),
    **dict.fromkeys((float, float | None), "a number"),
}


_FLAWS: dict[str, str] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "is not a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "is not a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "is neither true nor false"),
    "string_type": "is not a text",
}


def flaw_words(flaw: Mapping[str, Any]) -> str:
    """What is wrong, from one of pydantic's errors.

    Never the value: it might be a key put into the wrong place.
    """
    bounds = flaw.get("ctx", {})
    match flaw["type"]:
        case "greater_than_equal":
            return f"is less than {bounds['ge']:g}"
        case "greater_than":
            return f"is not more than {bounds['gt']:g}"
        case kind:
            return _FLAWS.get(kind, "can't be used")


def wanted_words(name: str) -> str:
    """What a setting takes."""
    field = Settings.model_fields[name]
    if name == "rate":
        return "120, 120/min or unlimited"
    if field.annotation is bool:
        return "true or false"
    number = _NUMBERS.get(field.annotation)
    if number is None:
        return "a text"
    for bound in field.metadata:
        if hasattr(bound, "ge"):
            return f"{number} of at least {bound.ge}"
        if hasattr(bound, "gt"):
            return f"{number} greater than {bound.gt}"
    return number


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The closest of what there is as a question with a space after it; ``""`` for none."""
    close = get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]}? " if close else ""


def masked_key(key: str) -> str:
    """A key as it may be shown: its last four characters, of a short one nothing."""
    return f"…{key_end(key)}"


def key_end(key: str) -> str:
    """What may be shown of a key."""
    return key[-KEY_END:] if len(key) >= _LONG_ENOUGH else ""
